"""What tests share: a clean environment, a small synthetic mirror, and a pipeline in a folder of its own."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_pipeline.defs import partitions
from taxi_pipeline.defs.assets import ASSETS, city_map, demand_model, market_shares, zone_explorer, zone_hours
from taxi_pipeline.defs.assets.metrics import CITY_MAP_FILE, ZONE_EXPLORER_FILE
from taxi_pipeline.defs.checks import CHECKS
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.io_managers import build_datasets_io_manager
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.settings import Settings
from taxi_pipeline.storage import Storage, open_storage
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Warehouse
from taxi_pipeline.warehouse.tables import TABLES, WAREHOUSE_VERSION
from taxi_pipeline_tests.faulty_server import FaultyServer, faulty_server
from taxi_pipeline_tests.portable_sql import checked_statements

REPOSITORY = Path(__file__).resolve().parents[1]
TLC_MIRROR = REPOSITORY.parent / "shared" / "tlc"

SETTINGS = (
    "TAXI_DATA_DIR",
    "TAXI_STORAGE_URL",
    "DUCKDB_DATABASE",
    "TAXI_ENGINE",
    "SPARK_REMOTE",
    "TAXI_CATALOG_URL",
    "TAXI_CATALOG_NAMESPACE",
    "TLC_URL",
    "TAXI_ZONES_URL",
    "TAXI_FLEETS",
    "TAXI_START_DATE",
    "TAXI_END_DATE",
    "TAXI_AUTOMATION",
    "TAXI_MARTS",
    "TAXI_NOTEBOOKS",
    "TAXI_DATASETS_FORMAT",
    "TAXI_PAGES_URL",
    "TAXI_ALERT_WEBHOOK_URL",
)

TAKING_LONG = (city_map, zone_explorer)
"""A third of a run's time, and wanted by few tests: these ask for `EVERYTHING`."""
EVERYTHING = tuple(ASSETS)
LOADING = ("taxi_trips_file", "taxi_trips", "zone_hourly_trips", "borough_flows")
"""The assets that bring days of trips into the warehouse."""
DATASET_ASSETS = (zone_hours, market_shares, demand_model)
CONTENT_TABLES = tuple(table for table in TABLES if table is not WAREHOUSE_VERSION)
"""The tables whose rows do not depend on how often the warehouse was written to."""
_GRAPH = dg.AssetSelection.all() - dg.AssetSelection.assets(*TAKING_LONG)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--renew-baselines`: what is drawn and defined now becomes what is compared with later."""
    parser.addoption(
        "--renew-baselines", action="store_true", help="write what drawings and definitions are compared with"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that they are not those that all wait for at the end."""
    longest = ("test_system", "test_first_hour", "test_faults", "test_odd_months", "test_marts", "test_deploy")
    items.sort(key=lambda item: not any(name in item.nodeid for name in longest))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer has exported must not decide how a test ends."""
    for variable in (*SETTINGS, "DAGSTER_HOME"):
        monkeypatch.delenv(variable, raising=False)
    # dbt would make each process a second slower; test_marts.py has the marts.
    monkeypatch.setenv("TAXI_MARTS", "off")
    monkeypatch.setenv("TAXI_NOTEBOOKS", "off")


_SEEN_STATEMENTS: dict[str, Path] = {}


@pytest.fixture(autouse=True)
def _statements_translate() -> Iterator[None]:
    """Every statement that a test runs outside the engine's folder translates to Spark's SQL."""
    with checked_statements(_SEEN_STATEMENTS):
        yield


@pytest.fixture(scope="session")
def real_tlc() -> Path:
    """The mirror of the TLC's server with real months."""
    if not TLC_MIRROR.is_dir():
        pytest.skip(f"no real data: {TLC_MIRROR} does not exist")
    return TLC_MIRROR


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic trips of both fleets over the change of types in February 2023. Read it, never write to it."""
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
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """A server on loopback that does what the test tells it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with faulty_server() as running:
        yield running


@dataclass
class Pipeline:
    """The whole graph over a mirror, with its data in a folder of its own."""

    folder: Path
    tlc: TlcSource
    warehouse: Warehouse
    files: Storage
    datasets_format: str = "parquet"

    @property
    def resources(self) -> dict[str, Any]:
        """By the keys under which assets ask for them."""
        datasets = build_datasets_io_manager(self.datasets_format)
        return {"tlc": self.tlc, "warehouse": self.warehouse, "files": self.files, "datasets": datasets}

    def run_job(self, selection: dg.AssetSelection, tags: Mapping[str, str]) -> dg.ExecuteInProcessResult:
        """Run a selection of assets and checks as a job."""
        definitions = dg.Definitions(
            assets=ASSETS,
            asset_checks=CHECKS,
            jobs=[dg.define_asset_job("selected", selection=selection)],
            resources=self.resources,
        )
        with dg.DagsterInstance.ephemeral() as instance:
            return definitions.resolve_job_def("selected").execute_in_process(
                run_config=QUIET, instance=instance, raise_on_error=False, tags=tags
            )

    def run(
        self,
        first: str,
        last: str | None = None,
        *,
        select: Iterable[Any] | None = None,
        fails: bool = False,
    ) -> dg.ExecuteInProcessResult:
        """Materialize days through Dagster, checks included; asserts that it succeeds, or that it fails.

        Without a selection it is the graph but for `TAKING_LONG`; `select=EVERYTHING` is all of it.
        """
        result = self.try_run(first, last or first, select=select)
        assert result.success is not fails, error_of(result)
        return result

    def try_run(self, first: str, last: str, *, select: Iterable[Any] | None = None) -> dg.ExecuteInProcessResult:
        """Materialize days through Dagster, however that ends."""
        return self._materialize(
            # Dagster lists all partitions several times a run; days since 2011 would take most of it.
            [*partitions.between(date.fromisoformat(first), None, self.tlc.fleets, ASSETS), *CHECKS],
            range_tags(first, last),
            selection=_GRAPH if select is None else dg.AssetSelection.assets(*select),
        )

    def report(self, asset: dg.AssetsDefinition, first: str, last: str | None = None) -> dg.ExecuteInProcessResult:
        """Materialize reports of weeks or months by their partitions, as a backfill does, however that ends."""
        return self._materialize([asset], range_tags(first, last or first))

    def dataset(self, fleet: str, month: str, *assets: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
        """Materialize a fleet's month (YYYY-MM) of datasets, however that ends; by default of all of them."""
        made = partitions.between(date(2023, 1, 1), None, self.tlc.fleets, DATASET_ASSETS)
        return self._materialize(
            made,
            {},
            partition_key=f"{fleet}|{month}-01",
            selection=dg.AssetSelection.assets(*(assets or DATASET_ASSETS)),
        )

    def _materialize(
        self,
        definitions: Sequence[Any],
        tags: Mapping[str, str],
        selection: dg.AssetSelection | None = None,
        partition_key: str | None = None,
    ) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                definitions,
                selection=selection,
                resources=self.resources,
                tags=tags,
                partition_key=partition_key,
                run_config=QUIET,
                instance=instance,
                raise_on_error=False,
            )

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Query the warehouse."""
        with self.warehouse.read() as session:
            return session.rows(sql, values)

    def execute(self, sql: str) -> None:
        """Change the warehouse behind the pipeline's back."""
        with self.warehouse.write() as session:
            session.execute(sql)

    def bytes_of_outputs(self) -> dict[str, bytes]:
        """The files whose bytes must be the same whenever the inputs are."""
        names = ("outputs/trips_by_week.csv", "staging/manhattan_stats.geojson", "outputs/manhattan_map.png")
        longer = [name for name in (CITY_MAP_FILE, ZONE_EXPLORER_FILE) if self.files.exists(name)]
        return {name: self.files.read(name) for name in (*names, *longer)}


def contents(warehouse: Warehouse) -> dict[str, Counter[tuple[Any, ...]]]:
    """All rows of all tables but for the version."""
    with warehouse.read() as session:
        return {
            table.name: Counter(session.rows(f"SELECT {', '.join(table.column_names)} FROM {table.name}"))
            for table in CONTENT_TABLES
        }


def pipeline_in(
    folder: Path,
    mirror: Path | str,
    fleets: Sequence[str] = ("yellow",),
    *,
    storage_url: str | None = None,
    warehouse: Warehouse | None = None,
) -> Pipeline:
    """A pipeline over a mirror (a folder or a URL), with its data in the folder, but for the files of a storage."""
    url = mirror.as_uri() if isinstance(mirror, Path) else mirror
    return Pipeline(
        folder=folder,
        tlc=TlcSource(url=url, zones_url=f"{url}/misc/taxi_zones.zip", fleets=list(fleets)),
        warehouse=warehouse or DuckDBWarehouse(folder / "staging" / "data.duckdb", lock_timeout_seconds=10),
        files=open_storage(storage_url or folder.as_uri(), scratch=folder / ".scratch"),
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A throwaway Dagster home with the project's own configuration."""
    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    return folder


@pytest.fixture
def environment(home: Path, mirror: Path, tmp_path: Path) -> dict[str, str]:
    """For a process of its own: that instance, the synthetic mirror, data in `tmp_path`."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TLC_URL": mirror.as_uri(),
        "COLUMNS": "200",
    }


@pytest.fixture
def make_pipeline(tmp_path: Path) -> Callable[..., Pipeline]:
    """Make a pipeline over a mirror; give it a name when a test needs several."""

    def make(mirror: Path | str, *, fleets: Sequence[str] = ("yellow",), name: str = "data") -> Pipeline:
        return pipeline_in(tmp_path / name, mirror, fleets)

    return make


def settings_of(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment, without marts and notebooks, which `test_marts.py` has."""
    return Settings.from_environment({"TAXI_MARTS": "off", "TAXI_NOTEBOOKS": "off", **(environment or {})})


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags by which Dagster runs a range of partitions."""
    return partitions.range_tags(Days(date.fromisoformat(first), date.fromisoformat(last)))


def error_of(result: dg.ExecuteInProcessResult) -> str:
    """The errors of a failed run, as text."""
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return "\n".join(error.to_string() for error in failures if error)


def check_of(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    """A check's evaluation in a run; one that several assets have must say the same of each."""
    evaluations = [check for check in result.get_asset_check_evaluations() if check.check_name == name]
    assert len({(check.passed, check.severity, check.description) for check in evaluations}) == 1
    return evaluations[0]


def materializations_of(result: dg.ExecuteInProcessResult, asset: str) -> list[dg.AssetMaterialization]:
    """An asset's materializations in a run, in order, whichever step made them."""
    events = [event for event in result.all_events if event.is_step_materialization]
    found = [event.step_materialization_data.materialization for event in events]
    return [made for made in found if made.asset_key == dg.AssetKey(asset)]


def table_of(value: dg.MetadataValue | None) -> list[dict[str, Any]]:
    """The rows of a table in metadata."""
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]
