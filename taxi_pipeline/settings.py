"""The pipeline's settings, read from the environment in this one place and validated when they are read.

Here belongs every environment variable of the pipeline, its default and what it accepts. Nothing else reads the
environment; `.env.example` documents the same variables for people.
"""

import difflib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from taxi_pipeline.datasets.columns import FORMATS
from taxi_pipeline.delivery.smtp import PORTS, SmtpServer
from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.storage.opening import OBJECT_STORE_SCHEMES
from taxi_pipeline.tlc.download import TLC_SERVER
from taxi_pipeline.tlc.fleets import FIRST_DAY, FLEETS
from taxi_pipeline.tlc.kept_versions import ALL_VERSIONS
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline.tlc.publication_delay import SHORTEST_DELAY

ENGINES = ("duckdb", "spark")
SPARK_SCHEMES = ("file", "s3", "gs")
"""Storages for which Iceberg has a reader of its own by the same URL."""
_A_SLIP = 0.95
"""Likeness of a name in which a letter or two are wrong. Names that others use are further off: DAGSTER_POSTGRES_USER
has 0.93 of DAGSTER_POSTGRES_URL, AWS_ENDPOINT_URL_S3 0.91 of AWS_ENDPOINT_URL."""
_LONGEST_PAUSE = 3600
"""Seconds between two downloads."""
_SHORTEST_HISTORY = 30
"""Days. Automation and the alerts look back for a day at most; people who look for a cause need more."""
ZONES_FILE_SUFFIXES = (".zip", ".csv", ".geojson")


class SettingsError(TaxiPipelineError):
    """An environment variable has a value that can't be used."""

    def __init__(self, variable: str, value: str, accepted: str, *, may_have_login: bool = True) -> None:
        # A login is no error message's.
        shown = re.sub(r"[^/\s]*@", "***@", value) if may_have_login else value
        super().__init__(f"{variable} is {shown!r}, but must be {accepted}. Correct it in the environment or in .env.")


class UnknownSettingError(TaxiPipelineError):
    """A variable looks like a setting of the pipeline, and is none."""

    def __init__(self, variable: str, known: Collection[str]) -> None:
        (nearest, *_) = *difflib.get_close_matches(variable.upper(), known, n=1), None
        meant = f"; did you mean {nearest}?" if nearest else "."
        super().__init__(
            f"{variable} is no setting of the pipeline{meant} Correct or remove it in the environment or in .env; "
            ".env.example has all settings."
        )


def find_project() -> Path | None:
    """The folder that holds `dagster.yaml`: the nearest one from the current folder upwards, else the checkout.

    None where there is neither: the package is installed, and was started outside of a project.
    """
    here, checkout = Path.cwd(), Path(__file__).resolve().parents[1]
    return next((folder for folder in (here, *here.parents, checkout) if (folder / "dagster.yaml").is_file()), None)


def project_root() -> Path:
    """The folder of the project; the current folder where there is none."""
    return find_project() or Path.cwd()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Paths are absolute, URLs have no trailing slash."""

    data_dir: Path
    """Folder of this machine's own files: the warehouse, and copies of an object store's files while they are used."""
    storage_url: str
    """URL of the storage of named files: `file://`, `s3://`, `gs://` or `az://`."""
    engine: str
    """The warehouse's engine: `duckdb` or `spark`."""
    duckdb_database: Path
    spark_remote: str
    """URL of Spark Connect, `sc://host:15002`; empty with DuckDB."""
    catalog_url: str
    """URL of the Postgres database with the Iceberg catalogue; empty with DuckDB."""
    catalog_namespace: str
    """Namespace of the tables in the catalogue."""
    s3_endpoint: str | None
    """URL of an S3 server other than Amazon's; None for Amazon's."""
    postgres_url: str | None
    """The Postgres database of Dagster's history; None where that is SQLite."""
    tlc_url: str
    zones_url: str
    source_urls: Mapping[str, str]
    """Name of a source → the URL of its file, where it is not that of the publisher or of the mirror."""
    tlc_pause_seconds: float
    """Pause before each download from the TLC's server."""
    fleets: tuple[str, ...]
    accepted: tuple[str, ...]
    """Months of fleets, for example `green/2023-01`, whose files are taken although they are judged unlikely."""
    num_kept_versions: int
    """How many older versions of each published month are kept."""
    start_date: date
    end_date: date | None
    """The last daily partition; None for the last day that can be published."""
    datasets_format: str
    """Format of the datasets' files: `parquet` or `csv`."""
    trips_dataset: bool
    """True if single trips are a dataset, too: `datasets/trips/`."""
    marts: bool
    """True if the marts, a dbt project, are part of the graph, where the extra `dbt` is installed; not with Spark."""
    notebooks: bool
    """True if the notebook `tour` is part of the graph, where the extra `notebook` is installed; not with Spark."""
    automation: bool
    """True if schedules and sensors are on from the start."""
    history_days: int
    """Days after its end for which a run stays in Dagster's history, also when newer runs have made the same."""
    pages_url: str | None
    """URL at which the browsers of the UI's users reach `taxi-pipeline pages`; None for no links."""
    pages_hosts: tuple[str, ...]
    """Further hosts in whose name `taxi-pipeline pages` serves, without ports; `*.example.com` for a domain's hosts."""
    alert_webhook_url: str | None
    """URL that receives a message when a run fails; None for no message."""
    chat_urls: tuple[str, ...] = field(repr=False)
    """Addresses of the package apprise that receive a message when a run fails, and when a report is new."""
    mail_to: tuple[str, ...]
    """Addresses to which the monthly report is sent; empty for no mail."""
    mail_from: str
    """Address from which it is sent."""
    smtp: SmtpServer
    """The server that takes the mail; without a host where there is no mail."""

    @property
    def scratch_dir(self) -> Path:
        """Folder for copies of an object store's files, as long as they are used."""
        return self.data_dir / ".scratch"

    @property
    def inbox_dir(self) -> Path:
        """Folder of this machine into which files are dropped to be imported."""
        return self.data_dir / "inbox"

    @property
    def of_outputs(self) -> dict[str, str]:
        """Variable → value, of those that decide on what is in the outputs."""
        return {
            "TAXI_ACCEPT": ",".join(self.accepted),
            "TAXI_DATASETS_FORMAT": self.datasets_format,
            "TAXI_END_DATE": str(self.end_date or ""),
            "TAXI_ENGINE": self.engine,
            "TAXI_FLEETS": ",".join(self.fleets),
            "TAXI_START_DATE": str(self.start_date),
            "TAXI_TRIPS_DATASET": "on" if self.trips_dataset else "off",
        }

    @property
    def locks_url(self) -> str | None:
        """The Postgres database that all machines share, for locks on the files of an object store.

        On a cluster that is the catalogue's; otherwise the history's; None for locks of this machine.
        """
        return self.catalog_url or self.postgres_url

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read and validate all settings.

        Args:
            environment: variable → value; one that is missing or empty has its default.

        Raises:
            SettingsError: a variable holds a value that can't be used; names it, the value and what is accepted.
            UnknownSettingError: a variable begins with TAXI_ or TLC_ and is no setting, or is one in small letters;
                names the most similar one.
        """
        known: set[str] = set()

        def value(variable: str, default: str) -> str:
            known.add(variable)
            return environment.get(variable, "").strip() or default

        root = project_root()
        data_dir = _folder("TAXI_DATA_DIR", value("TAXI_DATA_DIR", "data"), root)
        tlc_url = _url("TLC_URL", value("TLC_URL", TLC_SERVER), root)
        zones_url = _url("TAXI_ZONES_URL", value("TAXI_ZONES_URL", f"{tlc_url}/misc/taxi_zones.zip"), root)
        if not zones_url.lower().endswith(ZONES_FILE_SUFFIXES):
            raise SettingsError("TAXI_ZONES_URL", zones_url, "a URL that ends in .zip, .csv or .geojson")
        fleets = _fleets(value("TAXI_FLEETS", "yellow"))
        start_date = _date("TAXI_START_DATE", value("TAXI_START_DATE", "2023-01-01"), FIRST_DAY, "the TLC's first")
        end = value("TAXI_END_DATE", "")
        storage_url = _storage_url(value("TAXI_STORAGE_URL", str(data_dir)), root)
        engine = _choice("TAXI_ENGINE", value("TAXI_ENGINE", "duckdb"), ENGINES)
        if engine == "spark" and _parts_of(storage_url).scheme not in SPARK_SCHEMES:
            raise SettingsError("TAXI_STORAGE_URL", storage_url, "a folder, s3:// or gs:// with TAXI_ENGINE=spark")
        spark_remote, catalog_url = value("SPARK_REMOTE", ""), value("TAXI_CATALOG_URL", "")
        settings = cls(
            data_dir=data_dir,
            storage_url=storage_url,
            engine=engine,
            spark_remote=_spark_remote(spark_remote) if engine == "spark" else "",
            catalog_url=_catalog_url(catalog_url) if engine == "spark" else "",
            catalog_namespace=_namespace(value("TAXI_CATALOG_NAMESPACE", "warehouse")),
            s3_endpoint=value("AWS_ENDPOINT_URL", "") or None,
            postgres_url=_postgres_url(value("DAGSTER_POSTGRES_URL", "")),
            duckdb_database=_database(value("DUCKDB_DATABASE", str(data_dir / "staging" / "data.duckdb")), root),
            tlc_url=tlc_url,
            zones_url=zones_url,
            source_urls=_source_urls(
                {
                    "bases": ("TAXI_BASES_URL", value("TAXI_BASES_URL", "")),
                    "weather": ("TAXI_WEATHER_URL", value("TAXI_WEATHER_URL", "")),
                },
                root,
            ),
            tlc_pause_seconds=_pause("TLC_PAUSE_SECONDS", value("TLC_PAUSE_SECONDS", "0")),
            fleets=fleets,
            accepted=_accepted(value("TAXI_ACCEPT", "")),
            num_kept_versions=_num_kept(value("TAXI_KEPT_VERSIONS", "all")),
            start_date=start_date,
            end_date=_date("TAXI_END_DATE", end, start_date, "TAXI_START_DATE") if end else None,
            datasets_format=_choice("TAXI_DATASETS_FORMAT", value("TAXI_DATASETS_FORMAT", "parquet"), FORMATS),
            trips_dataset=_choice("TAXI_TRIPS_DATASET", value("TAXI_TRIPS_DATASET", "off"), ("on", "off")) == "on",
            # Both open the DuckDB file.
            marts=_choice("TAXI_MARTS", value("TAXI_MARTS", "on"), ("on", "off")) == "on" and engine == "duckdb",
            notebooks=_choice("TAXI_NOTEBOOKS", value("TAXI_NOTEBOOKS", "on"), ("on", "off")) == "on"
            and engine == "duckdb",
            automation=_choice("TAXI_AUTOMATION", value("TAXI_AUTOMATION", "off"), ("on", "off")) == "on",
            history_days=_history_days(value("TAXI_HISTORY_DAYS", "90")),
            pages_url=_pages_url(value("TAXI_PAGES_URL", "")),
            pages_hosts=_hosts(value("TAXI_PAGES_HOSTS", "")),
            alert_webhook_url=_webhook_url(value("TAXI_ALERT_WEBHOOK_URL", "")),
            chat_urls=_chat_urls(value("TAXI_CHAT_URLS", "")),
            mail_to=_addresses("TAXI_MAIL_TO", value("TAXI_MAIL_TO", "")),
            mail_from=_sender(value("TAXI_MAIL_FROM", "")),
            smtp=_smtp(
                host=value("TAXI_SMTP_HOST", ""),
                port=value("TAXI_SMTP_PORT", ""),
                tls=_choice("TAXI_SMTP_TLS", value("TAXI_SMTP_TLS", "starttls"), tuple(PORTS)),
                user=value("TAXI_SMTP_USER", ""),
                password=value("TAXI_SMTP_PASSWORD", ""),
                password_file=value("TAXI_SMTP_PASSWORD_FILE", ""),
                root=root,
            ),
        )
        if settings.mail_to and not (settings.mail_from and settings.smtp.host):
            missing = "TAXI_SMTP_HOST" if settings.mail_from else "TAXI_MAIL_FROM"
            raise SettingsError(missing, "", "set when TAXI_MAIL_TO is")
        for variable in sorted(environment):
            if _looks_like_one_of(variable, known) and not variable.startswith("TAXI_TEST_"):
                raise UnknownSettingError(variable, known)
        return settings


def _looks_like_one_of(variable: str, known: Collection[str]) -> bool:
    """Whether a variable is meant as a setting, and is none: for its beginning, in small letters, or with a slip."""
    name = variable.upper()
    return variable not in known and (
        name.startswith(("TAXI_", "TLC_")) or bool(difflib.get_close_matches(name, known, n=1, cutoff=_A_SLIP))
    )


def _parts_of(url: str) -> SplitResult:
    """The parts of a URL; all empty when it is none, as `http://[::bad`."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _path(variable: str, value: str, root: Path, accepted: str) -> Path:
    """A path of this machine, below the project's root when it is relative.

    Raises:
        SettingsError: it is a URL, names a user who is not there, or lies below what is no folder.
    """
    try:
        path = root / Path(value).expanduser()
    except RuntimeError:
        raise SettingsError(variable, value, f"{accepted}, of a user who is there") from None
    if re.match("[A-Za-z][A-Za-z0-9+.-]+:", value) or any(one.exists() and not one.is_dir() for one in path.parents):
        raise SettingsError(variable, value, accepted)
    return path


def _folder(variable: str, value: str, root: Path) -> Path:
    folder = _path(variable, value, root, "a folder")
    if folder.exists() and not folder.is_dir():
        raise SettingsError(variable, value, "a folder, and this is none")
    return folder


def _database(value: str, root: Path) -> Path:
    path = _path("DUCKDB_DATABASE", value, root, "a file")
    if value.endswith("/") or value.startswith(":") or (path.exists() and not path.is_file()):
        raise SettingsError("DUCKDB_DATABASE", value, "a file, and this is none")
    return path


def _url(variable: str, value: str, root: Path, *, query: bool = False) -> str:
    scheme, separator, rest = value.partition("://")
    if scheme.lower() == "file" and separator and rest.strip("/"):
        path = rest.removeprefix("localhost") if rest.startswith("localhost/") else rest
        return (root / unquote(path)).resolve().as_uri()
    if scheme.lower() in ("http", "https") and _parts_of(value).netloc:
        if "@" in _parts_of(value).netloc:
            raise SettingsError(variable, _without_login(value), "a URL without a login, which belongs in ~/.netrc")
        if not query and (_parts_of(value).query or _parts_of(value).fragment):
            raise SettingsError(variable, value.partition("?")[0].partition("#")[0], "a URL without ? and #")
        return value if query else value.rstrip("/")
    raise SettingsError(variable, value, "an http://, https:// or file:// URL")


def _source_urls(given: Mapping[str, tuple[str, str]], root: Path) -> dict[str, str]:
    """Name of a source → the URL of its file, for those that have one; given are each one's variable and value."""
    return {name: _url(variable, url, root, query=True) for name, (variable, url) in given.items() if url}


def _storage_url(value: str, root: Path) -> str:
    accepted = "a folder, file://, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    if re.match("[A-Za-z][A-Za-z0-9+.-]+:", value) and "://" not in value:
        raise SettingsError("TAXI_STORAGE_URL", value, accepted)
    if "://" not in value:
        return _folder("TAXI_STORAGE_URL", value, root).as_uri()
    parts = _parts_of(value)
    if parts.scheme == "file" and parts.path.strip("/") and parts.netloc in ("", "localhost"):
        return _folder("TAXI_STORAGE_URL", unquote(parts.path), root).as_uri()
    if parts.scheme not in OBJECT_STORE_SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise SettingsError("TAXI_STORAGE_URL", value, accepted)
    if "@" in parts.netloc:
        raise SettingsError(
            "TAXI_STORAGE_URL", _without_login(value), f"{accepted}, without credentials, which belong in variables"
        )
    return value.rstrip("/")


def _spark_remote(value: str) -> str:
    parts = _parts_of(value)
    if parts.scheme != "sc" or not parts.hostname:
        raise SettingsError("SPARK_REMOTE", value, "the URL of Spark Connect, sc://host:15002, with TAXI_ENGINE=spark")
    return value


def _catalog_url(value: str) -> str:
    if not _names_a_database(value, "postgresql") or not _parts_of(value).hostname:
        raise SettingsError("TAXI_CATALOG_URL", _without_secret(value), f"{_A_DATABASE}, with TAXI_ENGINE=spark")
    return value


def _postgres_url(value: str) -> str | None:
    if value and not _names_a_database(value, "postgresql", "postgresql+psycopg2", "postgres"):
        raise SettingsError("DAGSTER_POSTGRES_URL", _without_secret(value), f"{_A_DATABASE}, or empty")
    return value or None


_A_DATABASE = "a Postgres database, postgresql://user:password@host:5432/database"


def _names_a_database(url: str, *schemes: str) -> bool:
    parts = _parts_of(url)
    return parts.scheme in schemes and bool(parts.path.strip("/"))


def _without_secret(url: str) -> str:
    return f"{_parts_of(url).scheme}://…" if url else ""


def _namespace(value: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]*", value):
        raise SettingsError("TAXI_CATALOG_NAMESPACE", value, "a name of small letters, digits and underscores")
    return value


def _hosts(value: str) -> tuple[str, ...]:
    hosts = tuple(host.strip().lower() for host in value.split(",") if host.strip())
    if not all(re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:]+\]", host) for host in hosts):
        raise SettingsError("TAXI_PAGES_HOSTS", value, "a comma list of host names, without http:// and port, or empty")
    return hosts


def _fleets(value: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in value.split(",") if name.strip())
    if not names or len(set(names)) < len(names) or not set(names) <= set(FLEETS):
        raise SettingsError("TAXI_FLEETS", value, f"a comma list out of {', '.join(FLEETS)}, each at most once")
    return tuple(sorted(names, key=list(FLEETS).index))


def _accepted(value: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in value.split(",") if name.strip())
    for name in names:
        fleet, _, month = name.partition("/")
        try:
            first = date.fromisoformat(f"{month}-01")
        except ValueError:
            first = None
        if fleet not in FLEETS or first is None or FLEETS[fleet].month_name(first) != name:
            raise SettingsError("TAXI_ACCEPT", value, "a comma list of months of fleets, such as green/2023-01")
        if not FLEETS[fleet].first_month <= first <= new_york_today():
            months = f"{FLEETS[fleet].first_month:%Y-%m} to {new_york_today():%Y-%m}"
            raise SettingsError("TAXI_ACCEPT", value, f"a comma list of months that there are; of {fleet}, {months}")
    return names


def _date(variable: str, value: str, first: date, what_first_is: str) -> date:
    """A day from the first to 30 days ago."""
    last = new_york_today() - SHORTEST_DELAY
    accepted = f"a date YYYY-MM-DD, {first} ({what_first_is}) to {last} (30 days ago)"
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise SettingsError(variable, value, accepted) from None
    if not first <= day <= last or value != day.isoformat():
        raise SettingsError(variable, value, accepted)
    return day


def _pause(variable: str, value: str) -> float:
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", value) or float(value) > _LONGEST_PAUSE:
        raise SettingsError(variable, value, f"a number of seconds, 0 to {_LONGEST_PAUSE:,}")
    return float(value)


def _history_days(value: str) -> int:
    if not re.fullmatch(r"\d{1,5}", value) or int(value) < _SHORTEST_HISTORY:
        raise SettingsError("TAXI_HISTORY_DAYS", value, f"a number of days, {_SHORTEST_HISTORY} to 99,999")
    return int(value)


def _num_kept(value: str) -> int:
    if value.lower() == "all":
        return ALL_VERSIONS
    if not re.fullmatch(r"\d{1,3}", value):
        raise SettingsError("TAXI_KEPT_VERSIONS", value, "all, or a number of versions, 0 to 999")
    return int(value)


def _choice(variable: str, value: str, choices: Sequence[str]) -> str:
    if value.lower() not in choices:
        raise SettingsError(variable, value, " or ".join(choices))
    return value.lower()


def _without_login(url: str) -> str:
    parts = _parts_of(url)
    return f"{parts.scheme}://***@{parts.netloc.rpartition('@')[2]}{parts.path}"


def _webhook_url(value: str) -> str | None:
    try:
        return _http_url("TAXI_ALERT_WEBHOOK_URL", value)
    except SettingsError:  # not the value: whoever has it can send messages
        raise SettingsError("TAXI_ALERT_WEBHOOK_URL", "…", "an http:// or https:// URL, or empty") from None


def _pages_url(value: str) -> str | None:
    if "@" in _parts_of(value).netloc:
        raise SettingsError("TAXI_PAGES_URL", _without_login(value), "a URL without a login, or empty")
    return (_http_url("TAXI_PAGES_URL", value) or "").rstrip("/") or None


def _http_url(variable: str, value: str) -> str | None:
    if value and not (value.startswith(("http://", "https://")) and _parts_of(value).netloc):
        raise SettingsError(variable, value, "an http:// or https:// URL, or empty")
    return value or None


def _chat_urls(value: str) -> tuple[str, ...]:
    urls = tuple(value.split())
    # An address may hold commas, but does not end with one, and none begins behind one.
    if not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]*://(?!.*(,$|,\w+://)).+", url) for url in urls):
        # Not the value: it has tokens.
        raise SettingsError(
            "TAXI_CHAT_URLS", "…", "addresses of apprise such as slack://…, with blanks and no commas between them"
        )
    return urls


def _addresses(variable: str, value: str) -> tuple[str, ...]:
    addresses = tuple(address.strip() for address in value.split(",") if address.strip())
    for address in addresses:
        if not re.fullmatch(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", address, re.ASCII):
            raise SettingsError(
                variable, address, "mail addresses as name@example.com, a comma list", may_have_login=False
            )
    # No mail server in use tells mailboxes apart by capital letters.
    first = {address.lower(): address for address in reversed(addresses)}
    return tuple(address for address in addresses if first.pop(address.lower(), None))


def _sender(value: str) -> str:
    addresses = _addresses("TAXI_MAIL_FROM", value)
    if len(addresses) > 1:
        raise SettingsError("TAXI_MAIL_FROM", value, "one mail address", may_have_login=False)
    return next(iter(addresses), "")


def _smtp(*, host: str, port: str, tls: str, user: str, password: str, password_file: str, root: Path) -> SmtpServer:
    if host and not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9a-fA-F:]+", host):
        raise SettingsError("TAXI_SMTP_HOST", host, "the name or address of a mail server, without a port")
    if port and not (re.fullmatch(r"\d{1,5}", port) and 1 <= int(port) <= 65_535):
        raise SettingsError("TAXI_SMTP_PORT", port, "a port, 1 to 65535")
    if user and not (password or password_file):
        raise SettingsError("TAXI_SMTP_PASSWORD", "", "set when TAXI_SMTP_USER is, or TAXI_SMTP_PASSWORD_FILE")
    if (password or password_file) and not user:
        raise SettingsError("TAXI_SMTP_USER", "", "set when TAXI_SMTP_PASSWORD or TAXI_SMTP_PASSWORD_FILE is")
    if not password.isascii():
        raise SettingsError("TAXI_SMTP_PASSWORD", "…", "of ASCII characters: no others are sent to log in")
    if not user.isascii():
        raise SettingsError("TAXI_SMTP_USER", user, "of ASCII characters: no others are sent to log in")
    if user and tls == "none":
        raise SettingsError(
            "TAXI_SMTP_TLS", tls, "starttls or tls with TAXI_SMTP_USER: a password is not sent in the clear"
        )
    return SmtpServer(
        host=host,
        port=int(port) if port else PORTS[tls],
        tls=tls,
        user=user,
        password=password,
        password_file=_path("TAXI_SMTP_PASSWORD_FILE", password_file, root, "a file") if password_file else None,
    )
