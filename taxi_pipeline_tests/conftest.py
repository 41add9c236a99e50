"""What tests share: a clean environment, a small synthetic mirror, and a pipeline in a folder of its own.

Each process of tests imports this module first: Dagster and data frames are imported in the fixtures that need them.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taxi_pipeline_tests.faulty_server import FaultyServer, faulty_server

if TYPE_CHECKING:
    from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
    from taxi_pipeline_tests.pipelines import Pipeline

REPOSITORY = Path(__file__).resolve().parents[1]
IN_A_CHECKOUT = (REPOSITORY / "taxi_pipeline").is_dir()
"""False in `make test-wheel`: the tests run beside no package, on the one that is installed."""
TLC_MIRROR = REPOSITORY.parent / "shared" / "tlc"

SETTINGS = (
    "TAXI_DATA_DIR",
    "TAXI_STORAGE_URL",
    "DAGSTER_POSTGRES_URL",
    "DUCKDB_DATABASE",
    "TAXI_ENGINE",
    "SPARK_REMOTE",
    "TAXI_CATALOG_URL",
    "TAXI_CATALOG_NAMESPACE",
    "TLC_URL",
    "TAXI_ZONES_URL",
    "TAXI_BASES_URL",
    "TAXI_WEATHER_URL",
    "TLC_PAUSE_SECONDS",
    "TAXI_FLEETS",
    "TAXI_ACCEPT",
    "TAXI_START_DATE",
    "TAXI_END_DATE",
    "TAXI_AUTOMATION",
    "TAXI_HISTORY_DAYS",
    "TAXI_KEPT_VERSIONS",
    "TAXI_MARTS",
    "TAXI_NOTEBOOKS",
    "TAXI_DATASETS_FORMAT",
    "TAXI_TRIPS_DATASET",
    "TAXI_PAGES_URL",
    "TAXI_PAGES_HOSTS",
    "TAXI_ALERT_WEBHOOK_URL",
    "TAXI_CHAT_URLS",
    "TAXI_MAIL_TO",
    "TAXI_MAIL_FROM",
    "TAXI_SMTP_HOST",
    "TAXI_SMTP_PORT",
    "TAXI_SMTP_TLS",
    "TAXI_SMTP_USER",
    "TAXI_SMTP_PASSWORD",
    "TAXI_SMTP_PASSWORD_FILE",
)


SPARK = {
    "TAXI_ENGINE": "spark",
    "SPARK_REMOTE": "sc://spark.example.com:15002",
    "TAXI_CATALOG_URL": "postgresql://user:secret@db.example.com/catalog",
}
"""Settings of a cluster that nobody has."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--renew-baselines`: what is drawn and defined now becomes what is compared with later."""
    parser.addoption(
        "--renew-baselines", action="store_true", help="write what drawings and definitions are compared with"
    )


_LONGEST = (
    *("test_iceberg", "test_conformance", "test_cluster_runs", "test_equal_outputs", "test_older_tables"),
    *("test_marts", "test_faults", "test_operations", "test_deploy", "test_system", "test_assets", "test_odd_months"),
    *("test_first_hour", "test_long_history", "test_cli", "test_imports", "test_real_data", "test_voids"),
    *("test_fleets", "test_wheel", "test_dev", "test_measured_marts", "test_run_launcher", "test_definitions"),
    *("test_monthly_report", "test_questions"),
)
"""The files of tests that take longest, in the order in which they begin.

A process is given its next file when two tests are left to it. So `test_operations`, a single test of minutes, would
keep the file after it waiting: this is one that takes seconds, and not the other that mostly waits for the daemon. The
first five matter to `make test-cluster`; without a cluster most of their tests skip.
"""
_SLOW_MARKS = ("slow", "services", "cluster")
_SLOW_FIXTURES = {"make_pipeline", "environment", "real_tlc"}
_DAGSTER = re.compile(
    r"^(import dagster|from (dagster|taxi_pipeline\.defs|taxi_pipeline_tests\.(pipelines|running_dagster)))\b",
    re.MULTILINE,
)


@cache
def _imports_dagster(path: Path) -> bool:
    return bool(_DAGSTER.search(path.read_text(encoding="utf-8")))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files without a fast test when `-m fast` is given."""
    wanted = config.option.markexpr == "fast" and collection_path.name.startswith("test_")
    return True if wanted and _imports_dagster(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the fast tests, and order all.

    Several processes begin with the longest files, so that none of them waits for one at the end. A single process,
    which somebody is waiting for, begins with the fast tests.
    """
    for item in items:
        if _is_fast(item):
            item.add_marker(pytest.mark.fast)
        if item.get_closest_marker("checkout") and not IN_A_CHECKOUT:
            item.add_marker(pytest.mark.skip(reason="needs taxi_pipeline/ of the clone"))

    rank = {name: number for number, name in enumerate(_LONGEST)}
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))
    else:
        items.sort(key=lambda item: (item.path.stem in rank, item.get_closest_marker("fast") is None))


def _is_fast(item: pytest.Item) -> bool:
    """True if a test needs neither Dagster nor servers, processes of several seconds, a browser or real months."""
    if not isinstance(item, pytest.Function) or any(item.get_closest_marker(mark) for mark in _SLOW_MARKS):
        return False
    return not _imports_dagster(item.path) and not _SLOW_FIXTURES & set(item.fixturenames)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the developer's settings from the environment, so that they don't decide how a test ends."""
    for variable in (*SETTINGS, "DAGSTER_HOME"):
        monkeypatch.delenv(variable, raising=False)
    # dbt would make each process a second slower; test_marts.py has the marts.
    monkeypatch.setenv("TAXI_MARTS", "off")
    monkeypatch.setenv("TAXI_NOTEBOOKS", "off")


@pytest.fixture(scope="session", autouse=True)
def _quick_history() -> Iterator[None]:
    """Ephemeral instances keep their events with less work."""
    if "dagster" not in sys.modules:  # none of the files of tests needs it
        yield
        return
    from taxi_pipeline_tests.quick_history import quick_history

    with quick_history():
        yield


_SEEN_STATEMENTS: dict[str, Path] = {}


@pytest.fixture(autouse=True)
def _statements_translate() -> Iterator[None]:
    """Every statement that a test runs outside the engine's folder translates to Spark's SQL."""
    from taxi_pipeline_tests.portable_sql import checked_statements

    with checked_statements(_SEEN_STATEMENTS):
        yield


@pytest.fixture(scope="session")
def real_tlc() -> Path:
    """The mirror of the TLC's server with real months."""
    if not TLC_MIRROR.is_dir():
        pytest.skip(f"no real data: {TLC_MIRROR} does not exist")
    return TLC_MIRROR


@pytest.fixture(scope="session")
def real_warehouse(real_tlc: Path, tmp_path_factory: pytest.TempPathFactory) -> "DuckDBWarehouse":
    """All real months at hand, loaded once for all processes of tests. Read it, never write to it."""
    from taxi_pipeline.storage.whole_files import locked
    from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
    from taxi_pipeline_tests.real_months import load_months

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of the folders of all processes
    folder, loading = root / "real_months", root / "real_months_loading"
    with locked(folder, timeout_seconds=600):
        if not folder.is_dir():
            load_months(sorted((real_tlc / "trip-data").glob("*.parquet")), loading)
            loading.rename(folder)
    return DuckDBWarehouse(folder / "data.duckdb")


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic trips of both fleets over the change of types in February 2023. Read it, never write to it."""
    from taxi_pipeline.sample.mirror import write_mirror
    from taxi_pipeline.tlc.months import Days

    folder = tmp_path_factory.mktemp("mirror")
    days = Days(date(2023, 1, 1), date(2023, 2, 28))
    write_mirror(folder, days, fleet="yellow", trips_per_day=600)
    write_mirror(folder, days, fleet="green", trips_per_day=200)
    return folder


@pytest.fixture
def own_mirror(mirror: Path, tmp_path: Path) -> Path:
    """A copy of the mirror that a test may change."""
    return Path(shutil.copytree(mirror, tmp_path / "own_mirror"))


@pytest.fixture
def copy_of_the_project(tmp_path: Path) -> Path:
    """A copy of the files that `dg` needs to scaffold into the project."""
    from taxi_pipeline_tests.project_copies import copy_project

    return copy_project(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """A server on loopback that does what the test tells it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with faulty_server() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A throwaway Dagster home with the project's own configuration."""
    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    return folder


@pytest.fixture
def environment(home: Path, mirror: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a process of its own: that instance, the synthetic mirror, data in `tmp_path`."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TLC_URL": mirror.as_uri(),
        "COLUMNS": "200",
    }


@pytest.fixture
def make_pipeline(tmp_path: Path) -> "Callable[..., Pipeline]":
    """Make a pipeline over a mirror; give it a name when a test needs several."""
    from taxi_pipeline_tests.pipelines import pipeline_in

    def make(
        mirror: Path | str, *, fleets: Sequence[str] = ("yellow",), name: str = "data", accepted: Sequence[str] = ()
    ) -> "Pipeline":
        return pipeline_in(tmp_path / name, mirror, fleets, accepted=accepted)

    return make
