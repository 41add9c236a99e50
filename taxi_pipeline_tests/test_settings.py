"""Settings: every variable, its default, and errors that name it."""

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from taxi_pipeline.delivery.smtp import SmtpServer
from taxi_pipeline.settings import Settings, SettingsError, UnknownSettingError, project_root
from taxi_pipeline.tlc.kept_versions import ALL_VERSIONS
from taxi_pipeline_tests.conftest import REPOSITORY, SETTINGS, SPARK


def test_defaults() -> None:
    assert Settings.from_environment({}) == Settings(
        data_dir=REPOSITORY / "data",
        storage_url=(REPOSITORY / "data").as_uri(),
        engine="duckdb",
        duckdb_database=REPOSITORY / "data" / "staging" / "data.duckdb",
        spark_remote="",
        catalog_url="",
        catalog_namespace="warehouse",
        s3_endpoint=None,
        postgres_url=None,
        tlc_url="https://d37ci6vzurychx.cloudfront.net",
        zones_url="https://d37ci6vzurychx.cloudfront.net/misc/taxi_zones.zip",
        tlc_pause_seconds=0,
        source_urls={},
        fleets=("yellow",),
        accepted=(),
        num_kept_versions=ALL_VERSIONS,
        start_date=date(2023, 1, 1),
        end_date=None,
        automation=False,
        history_days=90,
        datasets_format="parquet",
        trips_dataset=False,
        marts=True,
        notebooks=True,
        pages_url=None,
        pages_hosts=(),
        alert_webhook_url=None,
        chat_urls=(),
        mail_to=(),
        mail_from="",
        smtp=SmtpServer(host="", port=587),
    )


def test_values_are_read_as_they_are_meant(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "TAXI_DATA_DIR": str(tmp_path / "d"),
            "DUCKDB_DATABASE": str(tmp_path / "x.duckdb"),
            "TLC_URL": "http://localhost:8000/tlc/",
            "TAXI_ZONES_URL": "https://example.com/zones.geojson",
            "TAXI_BASES_URL": "https://example.com/rows.csv?accessType=DOWNLOAD",
            "TAXI_WEATHER_URL": "file:///mirror/weather.csv",
            "TAXI_FLEETS": " green, Yellow ",
            "TAXI_ACCEPT": " green/2023-01 , YELLOW/2009-12",
            "TAXI_START_DATE": "2019-02-03",
            "TAXI_END_DATE": "2019-02-04",
            "TAXI_AUTOMATION": "On",
            "TAXI_ALERT_WEBHOOK_URL": "https://hooks.example.com/x",
        }
    )
    assert settings.automation is True
    assert settings.alert_webhook_url == "https://hooks.example.com/x"
    assert settings.data_dir == tmp_path / "d"
    assert settings.duckdb_database == tmp_path / "x.duckdb"
    assert settings.tlc_url == "http://localhost:8000/tlc"
    assert settings.zones_url == "https://example.com/zones.geojson"
    assert settings.source_urls == {
        "bases": "https://example.com/rows.csv?accessType=DOWNLOAD",
        "weather": "file:///mirror/weather.csv",
    }
    assert settings.fleets == ("yellow", "green"), "in the declared order, however they are listed"
    assert settings.accepted == ("green/2023-01", "yellow/2009-12")
    assert (settings.start_date, settings.end_date) == (date(2019, 2, 3), date(2019, 2, 4))


def documented() -> dict[str, str]:
    """Variable → default, out of `.env.example`."""
    text = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, flags=re.MULTILINE))


OTHER_VALUES = {
    "TAXI_DATA_DIR": "elsewhere",
    "TAXI_STORAGE_URL": "s3://bucket/prefix",
    "DAGSTER_POSTGRES_URL": "postgresql://user:secret@history.example.com/dagster",
    "TAXI_ENGINE": "spark",
    "SPARK_REMOTE": "sc://other.example.com:15002",
    "TAXI_CATALOG_URL": "postgresql://user:secret@other.example.com/catalog",
    "TAXI_CATALOG_NAMESPACE": "team_1",
    "DUCKDB_DATABASE": "other.duckdb",
    "TAXI_BASES_URL": "https://example.com/rows.csv?accessType=DOWNLOAD",
    "TAXI_WEATHER_URL": "https://example.com/weather.csv.gz",
    "TLC_URL": "http://localhost:8000",
    "TAXI_ZONES_URL": "https://example.com/zones.geojson",
    "TLC_PAUSE_SECONDS": "2.5",
    "TAXI_FLEETS": "green",
    "TAXI_ACCEPT": "green/2023-01",
    "TAXI_START_DATE": "2019-02-03",
    "TAXI_END_DATE": "2023-02-04",
    "TAXI_DATASETS_FORMAT": "csv",
    "TAXI_TRIPS_DATASET": "on",
    "TAXI_MARTS": "off",
    "TAXI_NOTEBOOKS": "off",
    "TAXI_AUTOMATION": "on",
    "TAXI_HISTORY_DAYS": "365",
    "TAXI_KEPT_VERSIONS": "2",
    "TAXI_PAGES_URL": "https://pages.example.com",
    "TAXI_PAGES_HOSTS": "pages.example.com, *.example.org",
    "TAXI_ALERT_WEBHOOK_URL": "https://hooks.example.com/x",
    "TAXI_CHAT_URLS": "discord://1/a-token slack://a-token",
    "TAXI_MAIL_TO": "mayor@example.com, desk@example.com",
    "TAXI_MAIL_FROM": "taxi@example.com",
    "TAXI_SMTP_HOST": "mail.example.com",
    "TAXI_SMTP_PORT": "2525",
    "TAXI_SMTP_TLS": "none",
    "TAXI_SMTP_USER": "taxi",
    "TAXI_SMTP_PASSWORD": "a-secret",
    "TAXI_SMTP_PASSWORD_FILE": "/run/secrets/smtp",
}
"""None is the default."""


@pytest.mark.parametrize("variable", documented())
def test_every_variable_is_read(variable: str) -> None:
    """Regression: half of the variables were read by no test; a new one is missing in `OTHER_VALUES`, which fails."""
    of_spark = variable in ("TAXI_ENGINE", "SPARK_REMOTE", "TAXI_CATALOG_URL")
    before = dict(SPARK) if of_spark else {}
    if variable == "TAXI_MAIL_TO":
        before = {name: OTHER_VALUES[name] for name in ("TAXI_MAIL_FROM", "TAXI_SMTP_HOST")}
    if variable in ("TAXI_SMTP_USER", "TAXI_SMTP_PASSWORD", "TAXI_SMTP_PASSWORD_FILE"):
        before = {"TAXI_SMTP_USER": "another", "TAXI_SMTP_PASSWORD": "another"}
    if variable == "TAXI_ENGINE":
        before["TAXI_ENGINE"] = "duckdb"
    changed = Settings.from_environment({**before, variable: OTHER_VALUES[variable]})
    assert changed != Settings.from_environment(before)


@pytest.mark.checkout
def test_the_code_reads_the_variables_that_are_documented_and_no_others() -> None:
    """The names stand in `settings.py` as the first argument of what reads them."""
    code = (REPOSITORY / "taxi_pipeline" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'\bvalue\(\s*"([A-Z_]+)"', code))
    assert read - {"AWS_ENDPOINT_URL"} == set(documented()), "AWS_ENDPOINT_URL belongs to the tools of AWS"
    assert set(SETTINGS) == set(documented()), "conftest.py clears what is documented"


def test_spark_is_read_with_its_cluster_and_catalogue() -> None:
    settings = Settings.from_environment(
        {**SPARK, "TAXI_CATALOG_NAMESPACE": "team_1", "AWS_ENDPOINT_URL": "http://localhost:9000"}
    )
    assert (settings.engine, settings.spark_remote) == ("spark", "sc://spark.example.com:15002")
    assert settings.catalog_url == SPARK["TAXI_CATALOG_URL"]
    assert (settings.catalog_namespace, settings.s3_endpoint) == ("team_1", "http://localhost:9000")
    assert not settings.marts, "they open the DuckDB file"
    assert not settings.notebooks


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("TAXI_ENGINE", "polars", "duckdb or spark"),
        ("TAXI_ACCEPT", "green", "such as green/2023-01"),
        ("TAXI_ACCEPT", "green/2023-13", "such as green/2023-01"),
        ("TAXI_ACCEPT", "blue/2023-01", "such as green/2023-01"),
        ("TAXI_ACCEPT", "green/2023-01-05", "such as green/2023-01"),
        ("SPARK_REMOTE", "", "sc://host:15002"),
        ("SPARK_REMOTE", "http://host", "sc://host:15002"),
        ("TAXI_CATALOG_URL", "", "postgresql://user:password@host:5432/database"),
        ("TAXI_CATALOG_URL", "mysql://user:secret@host/db", "postgresql://"),
        ("TAXI_CATALOG_URL", "postgresql://user:secret@host", "postgresql://"),
        ("TAXI_CATALOG_NAMESPACE", "a; DROP", "small letters, digits and underscores"),
        ("TAXI_STORAGE_URL", "az://container/prefix", "with TAXI_ENGINE=spark"),
    ],
)
def test_what_spark_can_not_use_is_refused_without_showing_a_password(variable: str, value: str, accepted: str) -> None:
    with pytest.raises(SettingsError, match=variable) as caught:
        Settings.from_environment({**SPARK, variable: value})
    assert accepted in str(caught.value)
    assert "secret" not in str(caught.value)


def test_database_follows_data_dir_and_zones_follow_tlc_url(tmp_path: Path) -> None:
    settings = Settings.from_environment({"TAXI_DATA_DIR": str(tmp_path), "TLC_URL": tmp_path.as_uri()})
    assert settings.duckdb_database == tmp_path / "staging" / "data.duckdb"
    assert settings.zones_url == f"{tmp_path.as_uri()}/misc/taxi_zones.zip"


@pytest.mark.checkout
def test_relative_paths_are_relative_to_the_project_wherever_a_command_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({"TAXI_DATA_DIR": "elsewhere", "TLC_URL": "file://data/mirror"})
    assert settings.data_dir == REPOSITORY / "elsewhere"
    assert settings.tlc_url == (REPOSITORY / "data" / "mirror").as_uri()


@pytest.mark.parametrize("url", ["file:///srv/tlc data", "file:///srv/tlc%20data/", "file://localhost/srv/tlc data"])
def test_file_urls_are_normalised(url: str) -> None:
    assert Settings.from_environment({"TLC_URL": url}).tlc_url == "file:///srv/tlc%20data"


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment(dict.fromkeys(SETTINGS, " ")) == Settings.from_environment({})


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("TAXI_FLEETS", "yellow,blue", "comma list out of yellow, green, fhv, fhvhv"),
        ("TAXI_FLEETS", "yellow,yellow", "each at most once"),
        ("TAXI_FLEETS", ",", "comma list out of yellow, green, fhv, fhvhv"),
        ("TAXI_START_DATE", "2023-13-01", "YYYY-MM-DD"),
        ("TAXI_START_DATE", "20230101", "YYYY-MM-DD"),
        ("TAXI_START_DATE", "2008-12-31", "2009-01-01 (the TLC's first) to "),
        ("TAXI_START_DATE", "2999-01-01", "(30 days ago)"),
        ("TAXI_END_DATE", "2022-12-31", "2023-01-01 (TAXI_START_DATE) to "),
        ("TAXI_END_DATE", "2999-01-01", "(30 days ago)"),
        ("TAXI_AUTOMATION", "yes", "on or off"),
        ("TAXI_ACCEPT", "green/2013-07", "months that there are; of green, 2013-08 to"),
        ("TAXI_ACCEPT", "green/2999-01", "months that there are"),
        ("TLC_PAUSE_SECONDS", "soon", "a number of seconds, 0 to 3,600"),
        ("TLC_PAUSE_SECONDS", "-1", "a number of seconds, 0 to 3,600"),
        ("TLC_PAUSE_SECONDS", "3600.5", "a number of seconds, 0 to 3,600"),
        ("TAXI_HISTORY_DAYS", "29", "a number of days, 30 to 99,999"),
        ("TAXI_KEPT_VERSIONS", "-1", "all, or a number of versions, 0 to 999"),
        ("TAXI_KEPT_VERSIONS", "1000", "all, or a number of versions, 0 to 999"),
        ("TAXI_HISTORY_DAYS", "off", "a number of days, 30 to 99,999"),
        ("TAXI_HISTORY_DAYS", "100000", "a number of days, 30 to 99,999"),
        ("TLC_URL", "ftp://example.com", "http://, https:// or file://"),
        ("TLC_URL", "https://", "http://, https:// or file://"),
        ("TLC_URL", "/srv/tlc", "http://, https:// or file://"),
        ("TLC_URL", "file://", "http://, https:// or file://"),
        ("TAXI_ZONES_URL", "https://example.com/zones.shp", ".zip, .csv or .geojson"),
        ("TAXI_STORAGE_URL", "s3:/bucket", "s3://bucket/prefix"),
        ("TAXI_STORAGE_URL", "s3:bucket", "s3://bucket/prefix"),
        ("TAXI_STORAGE_URL", "s3://[::bad", "s3://bucket/prefix"),
        ("TAXI_STORAGE_URL", "/etc/passwd", "a folder"),
        ("TLC_URL", "http://[::bad", "http://, https:// or file://"),
        ("TAXI_PAGES_URL", "http://[::bad", "http:// or https:// URL"),
        ("TAXI_DATA_DIR", "s3://bucket/x", "a folder"),
        ("TAXI_DATA_DIR", "~nosuchuser/x", "of a user who is there"),
        ("TAXI_DATA_DIR", "/dev/null", "a folder"),
        ("DUCKDB_DATABASE", "/etc/passwd/x.duckdb", "a file"),
        ("DUCKDB_DATABASE", "/dev/null", "a file"),
        ("DUCKDB_DATABASE", ":memory:", "a file"),
        ("TAXI_DATA_DIR", "/etc/passwd", "a folder"),
        ("TAXI_DATA_DIR", "/etc/passwd/data", "a folder"),
        ("DUCKDB_DATABASE", "/nowhere/", "a file"),
        ("DUCKDB_DATABASE", "/tmp", "a file"),  # noqa: S108
    ],
)
def test_a_bad_value_is_named_with_what_is_accepted(variable: str, value: str, accepted: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({variable: value})
    assert variable in str(error.value)
    assert repr(value) in str(error.value)
    assert accepted in str(error.value)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TAXI_FLEET", "TAXI_FLEETS"),
        ("TAXI_STARTDATE", "TAXI_START_DATE"),
        ("TAXI_CATALOGUE_URL", "TAXI_CATALOG_URL"),
        ("TLC_ULR", "TLC_URL"),
        ("taxi_fleets", "TAXI_FLEETS"),
        ("duckdb_database", "DUCKDB_DATABASE"),
        ("DUCKDB_DATABSE", "DUCKDB_DATABASE"),
        ("DAGSTER_POSTGRE_URL", "DAGSTER_POSTGRES_URL"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_one_that_is_meant(variable: str, meant: str) -> None:
    """Regression: `TAXI_FLEET=green` loaded yellow without a word."""
    with pytest.raises(
        UnknownSettingError, match=f"{variable} is no setting of the pipeline; did you mean {meant}"
    ) as e:
        Settings.from_environment({variable: "a-secret"})
    assert "a-secret" not in str(e.value)


@pytest.mark.parametrize(
    "variable", ["DAGSTER_POSTGRES_USER", "DAGSTER_POSTGRES_DB", "AWS_ENDPOINT_URL_S3", "DUCKDB_PATH"]
)
def test_what_other_programs_read_is_left_alone(variable: str) -> None:
    assert Settings.from_environment({variable: "x"}) == Settings.from_environment({})


def test_a_variable_that_resembles_no_setting_is_refused_too() -> None:
    with pytest.raises(UnknownSettingError, match=r"TAXI_QXZ is no setting of the pipeline\. Correct or remove it"):
        Settings.from_environment({"TAXI_QXZ": "1"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TLC_URL", "https://user:a-secret@example.com/tlc"),
        ("TAXI_ZONES_URL", "https://user:a-secret@example.com/zones.zip"),
        ("TAXI_STORAGE_URL", "s3://user:a-secret@bucket/prefix"),
        ("TAXI_ALERT_WEBHOOK_URL", "hooks.example.com/a-secret"),
        ("DAGSTER_POSTGRES_URL", "mysql://user:a-secret@host/db"),
        ("DAGSTER_POSTGRES_URL", "postgresql://user:a-secret@[bad/db"),
        ("TAXI_ALERT_WEBHOOK_URL", "http://[::a-secret"),
        ("TLC_URL", "htps://user:a-secret@host/x"),
        ("TLC_URL", "user:a-secret@host"),
        ("TAXI_STORAGE_URL", "s4://key:a-secret@bucket/p"),
        ("TAXI_STORAGE_URL", "s3://key:a-secret@bucket/p?x=1"),
        ("TLC_URL", "https://example.com/tlc?token=a-secret"),
        ("TAXI_PAGES_URL", "http://user:a-secret@example.com:3001"),
        ("TAXI_CHAT_URLS", "discord://1/x hooks.example.com/a-secret"),
        ("TAXI_CHAT_URLS", "discord://1/x,slack://a-secret"),
        ("TAXI_CHAT_URLS", "discord://1/x, slack://a-secret"),
    ],
)
def test_a_value_that_holds_a_secret_is_refused_without_it(variable: str, value: str) -> None:
    """Regression: a login in TLC_URL stood in errors, in `raw/*.source.json` and in the asset's metadata."""
    with pytest.raises(SettingsError, match=variable) as error:
        Settings.from_environment({variable: value})
    assert "a-secret" not in str(error.value)


@pytest.mark.slow
def test_a_bad_value_stops_the_code_location_from_loading() -> None:
    environment = {**os.environ, "TAXI_FLEETS": "blue"}
    code = "import taxi_pipeline.definitions"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "TAXI_FLEETS is 'blue'" in result.stderr


def test_env_example_documents_every_variable_with_its_default() -> None:
    assert Settings.from_environment(documented()) == Settings.from_environment({})


def test_project_root_is_the_folder_of_dagster_yaml() -> None:
    assert (project_root() / "dagster.yaml").is_file()


MAIL = {"TAXI_MAIL_TO": "desk@example.com", "TAXI_MAIL_FROM": "taxi@example.com", "TAXI_SMTP_HOST": "mail.example.com"}


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), ("none", 25), ("TLS", 465)])
def test_the_mail_server_has_the_usual_port_of_its_encryption(tls: str, port: int) -> None:
    assert Settings.from_environment({**MAIL, "TAXI_SMTP_TLS": tls}).smtp.port == port


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"TAXI_SMTP_HOST": ""}, "TAXI_SMTP_HOST is '', but must be set when TAXI_MAIL_TO is"),
        ({"TAXI_MAIL_FROM": ""}, "TAXI_MAIL_FROM is '', but must be set when TAXI_MAIL_TO is"),
        ({"TAXI_SMTP_HOST": "mail.example.com:25"}, "TAXI_SMTP_HOST .* without a port"),
        ({"TAXI_SMTP_PORT": "0"}, "TAXI_SMTP_PORT is '0'"),
        ({"TAXI_SMTP_PORT": "65536"}, "TAXI_SMTP_PORT is '65536'"),
        ({"TAXI_SMTP_TLS": "ssl"}, "TAXI_SMTP_TLS is 'ssl', but must be starttls or tls or none"),
        ({"TAXI_MAIL_TO": "desk"}, "TAXI_MAIL_TO is 'desk'"),
        ({"TAXI_MAIL_TO": "the desk@example.com"}, "TAXI_MAIL_TO is 'the desk@example.com'"),
        ({"TAXI_SMTP_PASSWORD": "a-secret"}, "TAXI_SMTP_USER .* must be set when TAXI_SMTP_PASSWORD or"),
        ({"TAXI_SMTP_PASSWORD_FILE": "/run/secrets/smtp"}, "TAXI_SMTP_USER .* must be set when TAXI_SMTP_PASSWORD or"),
        ({"TAXI_SMTP_USER": "taxi", "TAXI_SMTP_PASSWORD": "a-secret-ü"}, "TAXI_SMTP_PASSWORD .* of ASCII"),
        ({"TAXI_SMTP_USER": "täxi", "TAXI_SMTP_PASSWORD": "a-secret"}, "TAXI_SMTP_USER is 'täxi', .* of ASCII"),
        ({"TAXI_MAIL_TO": "desk@example.com; mayor@example.com"}, "TAXI_MAIL_TO"),
        ({"TAXI_MAIL_TO": "desk@example.com\nBcc: all@example.com"}, "TAXI_MAIL_TO"),
        ({"TAXI_MAIL_FROM": "a@example.com, b@example.com"}, "one mail address"),
        ({"TAXI_SMTP_USER": "taxi"}, "TAXI_SMTP_PASSWORD .* must be set when TAXI_SMTP_USER is"),
        (
            {"TAXI_SMTP_USER": "taxi", "TAXI_SMTP_PASSWORD": "a-secret", "TAXI_SMTP_TLS": "none"},
            "TAXI_SMTP_TLS .* a password is not sent in the clear",
        ),
    ],
)
def test_settings_of_mail_that_can_not_be_used_are_refused(change: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as error:
        Settings.from_environment({**MAIL, **change})
    assert "a-secret" not in str(error.value)


def test_capital_letters_make_no_other_address() -> None:
    addresses = {"TAXI_MAIL_TO": "Desk@Example.com, mayor@example.com, desk@example.com"}
    assert Settings.from_environment({**MAIL, **addresses}).mail_to == ("Desk@Example.com", "mayor@example.com")


def test_an_address_of_a_chat_may_hold_commas() -> None:
    url = "mailto://user:a-secret@example.com?to=a@example.com,b@example.com"
    assert Settings.from_environment({"TAXI_CHAT_URLS": url}).chat_urls == (url,)


def test_no_secret_of_mail_or_chats_is_shown_with_the_settings() -> None:
    settings = Settings.from_environment(
        {**MAIL, "TAXI_SMTP_USER": "taxi", "TAXI_SMTP_PASSWORD": "a-secret", "TAXI_CHAT_URLS": "slack://a-secret/x"}
    )
    assert settings.smtp.password == OTHER_VALUES["TAXI_SMTP_PASSWORD"]
    assert settings.chat_urls == ("slack://a-secret/x",)
    assert "a-secret" not in repr(settings)
