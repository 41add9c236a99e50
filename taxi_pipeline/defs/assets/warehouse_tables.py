"""Group `warehouse`: the tables. `taxi_pipeline.warehouse` fills them; group `metrics` makes outputs of them."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.failures import FleetsFailed
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, column_lineage, per_partition, table, table_facts, table_metadata
from taxi_pipeline.defs.partitions import backfill_policy, daily_partitions, days_of
from taxi_pipeline.defs.report_check import REPORT_CHECK, result_of_report
from taxi_pipeline.defs.resources import POOL, FilesParam, TlcParam, WarehouseParam
from taxi_pipeline.defs.table_checks import as_evaluation, named, results_of_load
from taxi_pipeline.errors import LoadError
from taxi_pipeline.required_files import require_file
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.codes import code_rows
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.source import TlcSource, trips_file
from taxi_pipeline.tlc.zones import read_zones, zones_are_synthetic
from taxi_pipeline.warehouse.coverage import DailyTable, daily_table, placed_days, rejected_rows, share_placed
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.interface import Session, Warehouse
from taxi_pipeline.warehouse.reference import replace_code_tables, replace_zones
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline.warehouse.tables import BOROUGH_FLOWS, CODE_TABLES, TRIPS, ZONE_HOURLY_TRIPS, ZONES, Table


@dg.asset(
    group_name="warehouse",
    deps=["taxi_zones_file"],
    pool=POOL,
    kinds={"duckdb"},
    tags={"output": "table"},
    metadata=table_metadata(ZONES),
)
def taxi_zones(warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam) -> dg.MaterializeResult:
    """Table zones: one row for each zone id from 1 to 265, with name, borough and shape (WKT, EPSG:4326).

    The id is the zone file's OBJECTID. 264 (Unknown) and 265 (Outside of NYC) have no shape, so that every trip
    finds its zone.
    """
    spent = Cost()
    require_file(files, tlc.zones_file, written_by="taxi_zones_file")
    with files.local_copy(tlc.zones_file) as path:
        zones, synthetic = read_zones(path), zones_are_synthetic(path)
    warehouse.change(replace_zones, zones, tlc.zones_file, synthetic=synthetic)
    shown = [(z.zone_id, z.zone, z.borough, (z.geometry or "")[:40]) for z in zones[:PREVIEW_ROWS]]
    return dg.MaterializeResult(
        metadata={
            **table_facts(ZONES, len(zones)),
            **spent.so_far(rows=len(zones)),
            **column_lineage(ZONES),
            "preview": table(ZONES.column_names, shown),
            "synthetic": synthetic,
        },
        data_version=dg.DataVersion(files.describe(tlc.zones_file).sha256),
    )


@dg.asset(
    group_name="warehouse",
    deps=["tlc_trip_records"],
    pool=POOL,
    kinds={"duckdb"},
    tags={"output": "table"},
)
def code_tables(warehouse: WarehouseParam) -> dg.MaterializeResult:
    """Tables with the meanings of codes, from the TLC's dictionaries, and zone_areas.

    Each meaning of a code in trips has the date of the dictionary that it is from. zone_areas says which zones are
    airports or lie in the congestion zone.
    """
    spent = Cost()
    rows = code_rows()
    warehouse.change(replace_code_tables, rows)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(len(content) for content in rows.values()),
            **spent.so_far(rows=sum(len(content) for content in rows.values())),
            **{declared.name: table(declared.column_names, rows[declared.name]) for declared in CODE_TABLES},
        },
        data_version=dg.DataVersion(hashlib.sha256(repr(list(rows.values())).encode()).hexdigest()),
    )


def _table_spec(key: str, description: str, declared: Table, deps: list[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=deps,
        description=description,
        group_name="warehouse",
        kinds={"duckdb"},
        tags={"output": "table"},
        metadata=table_metadata(declared),
    )


TABLES = {"taxi_trips": TRIPS, "zone_hourly_trips": ZONE_HOURLY_TRIPS, "borough_flows": BOROUGH_FLOWS}
"""Asset → the table that its page shows, in the order of their dependencies."""


def _trip_tables() -> list[dg.AssetSpec]:
    return [
        _table_spec(
            "taxi_trips",
            "Tables trips, one row per trip as published, and rejected_trips, rows that fit no day or no zone.\n"
            "\n"
            "The days of the run are replaced, each fleet's in one transaction: afterwards they hold the rows of the "
            "published files, or, if anything fails, what they held before. A fleet that fails makes the run fail with "
            "its name, after the others are loaded. loaded_days keeps the version of the file of each day. The days' "
            "rows of zone_hourly_trips and borough_flows are replaced in the same transaction. Where a "
            "file holds coordinates (before 2011), taxi_zones gives the zones.",
            TRIPS,
            ["taxi_trips_file", "taxi_zones"],
        ),
        _table_spec(
            "zone_hourly_trips",
            "Table zone_hourly_trips: trips by fleet, pickup date, hour and pickup zone.\n"
            "\n"
            "With it zone_hourly_dropoffs, the same by hour and zone of the drop-off, zone_hourly_voids, the same of "
            "voids alone, and trip_histograms, the trips by the size of fare, distance, duration, speed, tip, "
            "passengers and wait. At most 265 × 24 rows a day and fleet, however many trips there are.",
            ZONE_HOURLY_TRIPS,
            ["taxi_trips"],
        ),
        _table_spec(
            "borough_flows",
            "Table borough_flows: trips by fleet, pickup date and the boroughs of pickup and drop-off.\n"
            "\n"
            "With the sums for means over plausible trips, which the monthly report shows. At most 64 rows a day and "
            "fleet.",
            BOROUGH_FLOWS,
            ["taxi_trips", "taxi_zones"],
        ),
    ]


@dg.multi_asset(
    specs=_trip_tables(),
    can_subset=True,
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    pool=POOL,
)
def trip_tables(
    context: dg.AssetExecutionContext, warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam
) -> Iterator[dg.MaterializeResult | dg.AssetCheckEvaluation]:
    """Load the days' trips and count them; or, when `taxi_trips` is not selected, count the loaded trips again."""
    days = days_of(context)
    spent = Cost(days.num_days)
    selected = {key.to_user_string() for key in context.selected_asset_keys}
    if "taxi_trips" in selected:
        try:
            _load(days, warehouse, files, tlc)
        except FleetsFailed as failure:
            if failure.loaded:  # the checks' own steps are skipped
                results = warehouse.query(lambda session: list(results_of_load(session, days)))
                results.append(named(result_of_report(warehouse, tlc, files, days, context.log.info), *REPORT_CHECK))
                yield from map(as_evaluation, results)
            raise
    else:
        warehouse.change(count_again, days, selected)
    written = [asset for asset in TABLES if "taxi_trips" in selected or asset in selected]
    contents, of_load = warehouse.query(_look_at, written, days)
    for asset, content in contents.items():
        metadata = {**table_facts(TABLES[asset], content.num_rows), "synthetic": content.synthetic}
        metadata |= spent.so_far(rows=sum(content.rows_per_day.values()))
        metadata |= of_load if asset == "taxi_trips" else {}
        if asset in selected:
            _describe_days(context, asset, content, days)
            yield dg.MaterializeResult(asset_key=asset, metadata=metadata)
        else:
            _record(context, asset, content, days, metadata)


def _load(days: Days, warehouse: Warehouse, files: Storage, tlc: TlcSource) -> None:
    """Replace the days of each fleet; raise for those that failed when all the others are loaded."""
    fleets = tlc.months_by_fleet(days)
    failed: dict[str, str] = {}
    for fleet, months in fleets:
        try:
            with files.lock(*(trips_file(fleet, month_of(month.first)) for month in months)):
                warehouse.change(load_days, fleet, months, files, accepted=tlc.accepted)
        except LoadError as error:
            if len(fleets) == 1:
                raise
            failed[fleet.name] = str(error)
    if failed:
        raise FleetsFailed(failed, [fleet.name for fleet, _ in fleets if fleet.name not in failed])
    if not fleets:  # days before the first month of all fleets: the tables exist all the same
        with warehouse.write():
            pass


def _look_at(session: Session, assets: Sequence[str], days: Days) -> tuple[dict[str, DailyTable], dict[str, Any]]:
    """Look at the assets' tables; returns their content, and the metadata of `taxi_trips` about the days of the run."""
    contents = {asset: daily_table(session, TABLES[asset], days, PREVIEW_ROWS) for asset in assets}
    if "taxi_trips" not in contents:
        return contents, {}
    placed = share_placed(placed_days(session, days))
    return contents, {
        "trips_in_run": sum(contents["taxi_trips"].rows_per_day.values()),
        "rejected_rows": rejected_rows(session, days),
        **({} if placed is None else {"share_placed": placed}),
    }


def _describe_days(context: dg.AssetExecutionContext, asset: str, content: DailyTable, days: Days) -> None:
    """Each partition's row count; the last one, which the UI shows first, also has first rows and column lineage."""
    declared = TABLES[asset]
    counts = {str(day): {"dagster/partition_row_count": content.rows_per_day.get(day, 0)} for day in days}
    details = {"preview": table(declared.column_names, content.first_rows), **column_lineage(declared)}
    per_partition(context, counts, asset)
    per_partition(context, {str(days.last): details}, asset)


def _record(
    context: dg.AssetExecutionContext, asset: str, content: DailyTable, days: Days, metadata: dict[str, Any]
) -> None:
    """Record a table that was written although it was not selected, so that what depends on it is made again."""
    for day in days:
        context.log_event(
            dg.AssetMaterialization(
                asset,
                partition=str(day),
                metadata={**metadata, "dagster/partition_row_count": content.rows_per_day.get(day, 0)},
            )
        )
