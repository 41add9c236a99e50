"""The pipeline's settings, read from the environment in this one place and validated when they are read.

Here belongs every environment variable of the pipeline, its default and what it accepts. Nothing else reads the
environment; `.env.example` documents the same variables for people.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_pipeline.datasets.columns import FORMATS
from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.storage.opening import OBJECT_STORE_SCHEMES
from taxi_pipeline.tlc.download import TLC_SERVER
from taxi_pipeline.tlc.fleets import FIRST_DAY, FLEETS
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline.tlc.publication_delay import SHORTEST_DELAY

ENGINES = ("duckdb", "spark")
SPARK_SCHEMES = ("file", "s3", "gs")
"""Storages for which Iceberg has a reader of its own by the same URL."""
ZONES_FILE_SUFFIXES = (".zip", ".csv", ".geojson")


class SettingsError(TaxiPipelineError):
    """An environment variable has a value that can't be used."""

    def __init__(self, variable: str, value: str, accepted: str) -> None:
        super().__init__(f"{variable} is {value!r}, but must be {accepted}. Correct it in the environment or in .env.")


def project_root() -> Path:
    """The folder that holds `dagster.yaml`: that of the checkout, else the nearest one above the current folder."""
    checkout = Path(__file__).resolve().parents[1]
    here = Path.cwd()
    for folder in (checkout, here, *here.parents):
        if (folder / "dagster.yaml").is_file():
            return folder
    return here


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Paths are absolute, URLs have no trailing slash."""

    data_dir: Path
    """Holds what is this machine's own: the warehouse, and copies of an object store's files while they are used."""
    storage_url: str
    """Where the named files lie: `file://`, `s3://`, `gs://` or `az://`."""
    engine: str
    """Of the warehouse: `duckdb` or `spark`."""
    duckdb_database: Path
    spark_remote: str
    """Of Spark Connect, `sc://host:15002`; empty with DuckDB."""
    catalog_url: str
    """The Postgres database with the Iceberg catalogue; empty with DuckDB."""
    catalog_namespace: str
    """Of the tables in the catalogue."""
    s3_endpoint: str | None
    """Of an S3 server that is not Amazon's."""
    tlc_url: str
    zones_url: str
    fleets: tuple[str, ...]
    accepted: tuple[str, ...]
    """Months of fleets, for example `green/2023-01`, whose files are taken although they are judged unlikely."""
    start_date: date
    end_date: date | None
    """The last daily partition; None for the last day that can be published."""
    datasets_format: str
    """Of the files of the datasets: `parquet` or `csv`."""
    marts: bool
    """Whether the dbt project in `marts/` is part of the graph, where the extra `dbt` is installed; not with Spark."""
    notebooks: bool
    """Whether `docs/tour.ipynb` is part of the graph, where the extra `notebook` is installed; not with Spark."""
    automation: bool
    """Whether schedules and sensors are on from the start."""
    pages_url: str | None
    """Where `taxi-pipeline pages` is reached by the browsers of the UI's users; None for no links."""
    alert_webhook_url: str | None
    """Receives a message when a run fails; None for no message."""

    @property
    def scratch_dir(self) -> Path:
        """For copies of the files of an object store, as long as they are used."""
        return self.data_dir / ".scratch"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read and validate all settings; a variable that is empty counts as unset.

        Raises:
            SettingsError: a variable holds a value that can't be used; names it, the value and what is accepted.
        """

        def value(variable: str, default: str) -> str:
            return environment.get(variable, "").strip() or default

        root = project_root()
        data_dir = root / Path(value("TAXI_DATA_DIR", "data")).expanduser()
        tlc_url = _url("TLC_URL", value("TLC_URL", TLC_SERVER), root)
        zones_url = _url("TAXI_ZONES_URL", value("TAXI_ZONES_URL", f"{tlc_url}/misc/taxi_zones.zip"), root)
        if not zones_url.lower().endswith(ZONES_FILE_SUFFIXES):
            raise SettingsError("TAXI_ZONES_URL", zones_url, "a URL that ends in .zip, .csv or .geojson")
        fleets = _fleets(value("TAXI_FLEETS", "yellow"))
        start_date = _date("TAXI_START_DATE", value("TAXI_START_DATE", "2023-01-01"), FIRST_DAY, "the TLC's first")
        end = value("TAXI_END_DATE", "")
        storage_url = _storage_url(value("TAXI_STORAGE_URL", str(data_dir)), root)
        engine = _choice("TAXI_ENGINE", value("TAXI_ENGINE", "duckdb"), ENGINES)
        if engine == "spark" and urlsplit(storage_url).scheme not in SPARK_SCHEMES:
            raise SettingsError("TAXI_STORAGE_URL", storage_url, "a folder, s3:// or gs:// with TAXI_ENGINE=spark")
        return cls(
            data_dir=data_dir,
            storage_url=storage_url,
            engine=engine,
            spark_remote=_spark_remote(value("SPARK_REMOTE", "")) if engine == "spark" else "",
            catalog_url=_catalog_url(value("TAXI_CATALOG_URL", "")) if engine == "spark" else "",
            catalog_namespace=_namespace(value("TAXI_CATALOG_NAMESPACE", "warehouse")),
            s3_endpoint=value("AWS_ENDPOINT_URL", "") or None,
            duckdb_database=root
            / Path(value("DUCKDB_DATABASE", str(data_dir / "staging" / "data.duckdb"))).expanduser(),
            tlc_url=tlc_url,
            zones_url=zones_url,
            fleets=fleets,
            accepted=_accepted(value("TAXI_ACCEPT", "")),
            start_date=start_date,
            end_date=_date("TAXI_END_DATE", end, start_date, "TAXI_START_DATE") if end else None,
            datasets_format=_choice("TAXI_DATASETS_FORMAT", value("TAXI_DATASETS_FORMAT", "parquet"), FORMATS),
            # Both open the DuckDB file.
            marts=_choice("TAXI_MARTS", value("TAXI_MARTS", "on"), ("on", "off")) == "on" and engine == "duckdb",
            notebooks=_choice("TAXI_NOTEBOOKS", value("TAXI_NOTEBOOKS", "on"), ("on", "off")) == "on"
            and engine == "duckdb",
            automation=_choice("TAXI_AUTOMATION", value("TAXI_AUTOMATION", "off"), ("on", "off")) == "on",
            pages_url=(_http_url("TAXI_PAGES_URL", value("TAXI_PAGES_URL", "")) or "").rstrip("/") or None,
            alert_webhook_url=_http_url("TAXI_ALERT_WEBHOOK_URL", value("TAXI_ALERT_WEBHOOK_URL", "")),
        )


def _url(variable: str, value: str, root: Path) -> str:
    scheme, separator, rest = value.partition("://")
    if scheme.lower() == "file" and separator and rest.strip("/"):
        path = rest.removeprefix("localhost") if rest.startswith("localhost/") else rest
        return (root / unquote(path)).resolve().as_uri()
    if scheme.lower() in ("http", "https") and urlsplit(value).netloc:
        return value.rstrip("/")
    raise SettingsError(variable, value, "an http://, https:// or file:// URL")


def _storage_url(value: str, root: Path) -> str:
    accepted = "a folder, file://, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    if "://" not in value:
        return (root / Path(value).expanduser()).as_uri()
    parts = urlsplit(value)
    if parts.scheme == "file" and parts.path.strip("/") and parts.netloc in ("", "localhost"):
        return (root / unquote(parts.path)).as_uri()
    if parts.scheme not in OBJECT_STORE_SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise SettingsError("TAXI_STORAGE_URL", value, accepted)
    if "@" in parts.netloc:
        secretless = f"{parts.scheme}://***@{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise SettingsError(
            "TAXI_STORAGE_URL", secretless, f"{accepted}, without credentials, which belong in variables"
        )
    return value.rstrip("/")


def _spark_remote(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "sc" or not parts.hostname:
        raise SettingsError("SPARK_REMOTE", value, "the URL of Spark Connect, sc://host:15002, with TAXI_ENGINE=spark")
    return value


def _catalog_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "postgresql" or not parts.hostname or not parts.path.strip("/"):
        # Not the value: it may hold a password.
        shown = f"{parts.scheme}://…" if value else ""
        raise SettingsError(
            "TAXI_CATALOG_URL",
            shown,
            "a Postgres database, postgresql://user:password@host:5432/database, with TAXI_ENGINE=spark",
        )
    return value


def _namespace(value: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]*", value):
        raise SettingsError("TAXI_CATALOG_NAMESPACE", value, "a name of small letters, digits and underscores")
    return value


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


def _choice(variable: str, value: str, choices: Sequence[str]) -> str:
    if value.lower() not in choices:
        raise SettingsError(variable, value, " or ".join(choices))
    return value.lower()


def _http_url(variable: str, value: str) -> str | None:
    if value and not (value.startswith(("http://", "https://")) and urlsplit(value).netloc):
        raise SettingsError(variable, value, "an http:// or https:// URL, or empty")
    return value or None
