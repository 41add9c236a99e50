"""The pipeline in a folder of its own: the whole graph, run in the test's process, and what its runs say."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_pipeline.defs import partitions
from taxi_pipeline.defs.assets import (
    ASSETS,
    city_map,
    demand_errors,
    demand_model,
    market_shares,
    zone_explorer,
    zone_hours,
)
from taxi_pipeline.defs.assets.metrics import CITY_MAP_FILE, ZONE_EXPLORER_FILE
from taxi_pipeline.defs.assets.single_trips import single_trips
from taxi_pipeline.defs.checks import CHECKS
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.dagster_names import RANGE_END, RANGE_START
from taxi_pipeline.defs.io_managers import build_datasets_io_manager
from taxi_pipeline.defs.resources.alerts import Alerts
from taxi_pipeline.delivery.chat import Chats
from taxi_pipeline.delivery.smtp import Postbox, SmtpServer
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.settings import Settings
from taxi_pipeline.sources.source import SourceServers
from taxi_pipeline.storage import Storage, open_storage
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.interface import Warehouse
from taxi_pipeline.warehouse.tables import (
    CODE_TABLES,
    MONTH_CHANGES,
    MONTH_COLUMN_CHANGES,
    SOURCE_TABLES,
    TABLES,
    TLC_INDICATORS,
    WAREHOUSE_VERSION,
    ZONES,
)

TAKING_LONG = (city_map, zone_explorer)
"""A third of a run's time, and wanted by few tests: these ask for `EVERYTHING`."""
EVERYTHING = tuple(ASSETS)
LOADING = ("taxi_trips_file", "taxi_trips", "zone_hourly_trips", "borough_flows")
"""The assets that bring days of trips into the warehouse."""
_THE_WAREHOUSE = ("taxi_zones_file", "taxi_zones", "code_tables", *LOADING)
DATASET_ASSETS = (zone_hours, market_shares, demand_model, demand_errors, single_trips)
_OF_VERSIONS = (MONTH_CHANGES, MONTH_COLUMN_CHANGES)
CONTENT_TABLES = tuple(table for table in TABLES if table not in (*_OF_VERSIONS, WAREHOUSE_VERSION))
"""The tables whose rows depend neither on how often the warehouse was written to, nor on when a file was replaced."""
GROUPS = {
    "tlc": {"tlc_trip_records"},
    "raw_files": {"taxi_trips_file", "taxi_zones_file"},
    "warehouse": {"taxi_zones", "code_tables", "taxi_trips", "zone_hourly_trips", "borough_flows"},
    "history": {"loaded_months"},
    "metrics": {"trips_by_week", "manhattan_stats", "manhattan_map", "city_map", "zone_explorer", "month_changes"},
    "indicators": {"tlc_report_file", "tlc_indicators"},
    "reports": {"week_summary", "month_manifest", "monthly_report"},
    "datasets": {"zone_hours", "market_shares", "demand_model", "demand_errors"},
    "sources": {
        *("bases_publication", "bases_file", "bases", "weather_publication", "weather_file", "weather_days"),
        *("calendar_days", "zone_places"),
    },
    "weather": {"extreme_days", "daily_highs"},
    "analysis": {"congestion_fee"},
    "delivery": {"monthly_report_pdf", "monthly_report_mail", "monthly_report_message"},
    "requests": {"trip_request"},
}
IN_A_RUN_OF_DAYS = {*GROUPS["raw_files"], *GROUPS["warehouse"], *GROUPS["metrics"]}
_GRAPH = dg.AssetSelection.all() - dg.AssetSelection.assets(*TAKING_LONG)


@dataclass
class Pipeline:
    """The whole graph over a mirror, with its data in a folder of its own."""

    folder: Path
    tlc: TlcSource
    warehouse: Warehouse
    files: Storage
    pages: Pages = field(default_factory=Pages)
    datasets_format: str = "parquet"
    source_urls: Mapping[str, str] = field(default_factory=dict)
    postbox: Postbox = field(default_factory=lambda: Postbox(SmtpServer("", 25)))
    chats: Chats = field(default_factory=Chats)
    alerts: Alerts = field(default_factory=Alerts)

    @property
    def resources(self) -> dict[str, Any]:
        """The resources by the keys under which assets ask for them."""
        datasets = build_datasets_io_manager(self.datasets_format)
        return {
            "tlc": self.tlc,
            "sources": SourceServers(tlc_url=self.tlc.url, urls=self.source_urls, patience=self.tlc.patience),
            "warehouse": self.warehouse,
            "files": self.files,
            "pages": self.pages,
            "postbox": self.postbox,
            "chats": self.chats,
            "alerts": self.alerts,
            "datasets": datasets,
        }

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
            [*self._graph(first, last), *CHECKS],
            range_tags(first, last),
            selection=_GRAPH if select is None else dg.AssetSelection.assets(*select),
        )

    def load(self, first: str, last: str | None = None) -> None:
        """Bring days into the warehouse through its assets; asserts that it succeeds.

        Without checks and outputs this takes a third of the time of `run`: for tests of what is made of the warehouse.
        """
        result = self._materialize(
            self._graph(first, last or first),
            range_tags(first, last or first),
            selection=dg.AssetSelection.assets(*_THE_WAREHOUSE),
        )
        assert result.success, error_of(result)

    def _graph(self, first: str, last: str) -> list[Any]:
        """The assets of days, with the partitions from the first day to the end of the last one's month.

        Dagster lists all partitions several times a run; the days from 2011 to now would take most of it.
        """
        end = Days.of_month(date.fromisoformat(last)).last
        return partitions.between(date.fromisoformat(first), end, self.tlc.fleets, ASSETS)

    def report(self, asset: dg.AssetsDefinition, first: str, last: str | None = None) -> dg.ExecuteInProcessResult:
        """Materialize reports of weeks or months by their partitions, as a backfill does, however that ends."""
        return self._materialize([asset], range_tags(first, last or first))

    def dataset(
        self, fleet: str, month: str, *assets: dg.AssetsDefinition, until: str | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialize a fleet's month (YYYY-MM) of datasets, or the months until another one, however that ends.

        By default of all but the forecast, which has other months. Months begin in January 2023, forecasts in February.
        """
        made = partitions.between(date(2023, 1, 1), None, self.tlc.fleets, DATASET_ASSETS)
        first, last = f"{fleet}|{month}-01", f"{fleet}|{until}-01"
        return self._materialize(
            made,
            {RANGE_START: first, RANGE_END: last} if until else {},
            partition_key=None if until else first,
            selection=dg.AssetSelection.assets(*(assets or (zone_hours, market_shares, demand_errors))),
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

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Change the warehouse behind the pipeline's back."""
        with self.warehouse.write() as session:
            assert isinstance(session, DuckDBSession)
            session.execute(sql, values)

    def bytes_of_outputs(self) -> dict[str, bytes]:
        """The files whose bytes must be the same whenever the inputs are."""
        names = (
            "outputs/trips_by_week.csv",
            "outputs/trips_by_week_net.csv",
            "outputs/trips_by_week_days.csv",
            "staging/manhattan_stats.geojson",
            "outputs/manhattan_map.png",
        )
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
    accepted: Sequence[str] = (),
) -> Pipeline:
    """A pipeline over a mirror (a folder or a URL), with its data in the folder, but for the files of a storage."""
    url = mirror.as_uri() if isinstance(mirror, Path) else mirror
    return Pipeline(
        folder=folder,
        tlc=TlcSource(url=url, zones_url=f"{url}/misc/taxi_zones.zip", fleets=list(fleets), accepted=accepted),
        warehouse=warehouse or DuckDBWarehouse(folder / "staging" / "data.duckdb", lock_timeout_seconds=10),
        files=open_storage(storage_url or folder.as_uri(), scratch=folder / ".scratch"),
    )


def loaded_sample(folder: Path, days: Days, trips_per_day: Mapping[str, int]) -> Pipeline:
    """Synthetic trips of some fleets, written into a mirror and loaded; nothing is made of them.

    Args:
        folder: gets the mirror and the pipeline's data.
        days: all that is generated, and loaded.
        trips_per_day: fleet → its trips a day.
    """
    for fleet, trips in trips_per_day.items():
        write_mirror(folder / "mirror", days, fleet=fleet, trips_per_day=trips)
    pipeline = pipeline_in(folder / "data", folder / "mirror", list(trips_per_day))
    pipeline.load(str(days.first), str(days.last))
    return pipeline


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


def tables_of(pipeline: Pipeline) -> dict[str, Any]:
    """All rows of the tables of trips."""
    others = (ZONES, *CODE_TABLES, TLC_INDICATORS, *SOURCE_TABLES, *_OF_VERSIONS, WAREHOUSE_VERSION)
    with pipeline.warehouse.read() as session:
        return {t.name: session.rows(f"SELECT * FROM {t.name} ORDER BY ALL") for t in TABLES if t not in others}


def leftovers_in(folder: Path) -> list[str]:
    """Temporary files; the locks stay, they are empty names."""
    return [path.name for path in folder.rglob("*") if ".tmp" in path.name or path.suffix == ".wal"]
