"""Checks of the pipeline itself: nothing lost, nothing counted twice, every output equal to the sum of the trips.

`taxi_pipeline.quality.reconciliation` compares; here the differences become check results. `data_quality` checks the
TLC's publications.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from taxi_pipeline.defs.assets.metrics import (
    MANHATTAN_STATS_FILE,
    TRIPS_BY_WEEK_BY_FLEET_FILE,
    TRIPS_BY_WEEK_FILE,
)
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, table
from taxi_pipeline.defs.partitions import days_of_run
from taxi_pipeline.defs.resources import POOL, FilesParam, TlcParam, WarehouseParam
from taxi_pipeline.outputs.made_from import made_from
from taxi_pipeline.quality.reconciliation import (
    SEVERAL_VERSIONS,
    UNEQUAL,
    column_differences,
    conservation,
    expected_manhattan,
    expected_weeks,
    flow_differences,
    hourly_differences,
    week_differences,
    zone_ids,
    zones_in_geojson,
)
from taxi_pipeline.required_files import require_file
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import (
    BOROUGH_FLOWS,
    LOADED_DAYS,
    REJECTED_TRIPS,
    TLC_INDICATORS,
    TRIPS,
    ZONE_HOURLY_DROPOFFS,
    ZONE_HOURLY_TRIPS,
    ZONES,
)

_CONSERVED = (
    "No trip is lost and none counted twice.\n"
    "\n"
    "Each loaded day holds as many trips and rejected rows as its published file has for it; and for each month whose "
    "days are all loaded, trips and rejected rows together are the rows of the file."
)


@dg.multi_asset_check(
    # A blocking check blocks the assets that depend on its own asset; so each table that outputs are made from has it.
    specs=[
        dg.AssetCheckSpec("trips_conserved", asset=asset, blocking=True, description=_CONSERVED)
        for asset in ("taxi_trips", "zone_hourly_trips", "borough_flows")
    ],
    can_subset=True,
    pool=POOL,
)
def trips_conserved(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> Iterator[dg.AssetCheckResult]:
    """Compare the tables with the published files, once for all three assets."""
    found = warehouse.query(conservation, days_of_run(context))
    wrong_months = found.months_with(UNEQUAL)
    is_wrong = bool(found.wrong_days or wrong_months)
    for key in sorted(context.selected_asset_check_keys):
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=not is_wrong and not found.months_with(SEVERAL_VERSIONS),
            severity=dg.AssetCheckSeverity.ERROR if is_wrong else dg.AssetCheckSeverity.WARN,
            description=f"{len(found.wrong_days)} wrong days, {len(wrong_months)} wrong months, "
            f"{len(found.months)} months compared",
            metadata={
                "num_wrong_days": len(found.wrong_days),
                "num_wrong_months": len(wrong_months),
                "wrong_days": table(
                    ("fleet", "day", "trips in file", "trips in table", "rejected in file", "rejected in table"),
                    found.wrong_days,
                ),
                "months": table(
                    ("fleet", "month", "days loaded", "rows in file", "trips", "rejected", "result"), found.months
                ),
            },
        )


@dg.asset_check(asset="zone_hourly_trips", pool=POOL)
def hourly_trips_match_trips(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
    """Pickups and drop-offs by hour add up to the trips table, for each day and fleet."""
    wrong = warehouse.query(hourly_differences, days_of_run(context))
    return _days_compared(wrong, ("fleet", "day", "pickups", "drop-offs", "trips"), "zone_hourly_trips")


@dg.asset_check(asset="borough_flows", pool=POOL)
def borough_flows_match_trips(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
    """Trips in borough_flows add up to the trips table, for each day and fleet."""
    wrong = warehouse.query(flow_differences, days_of_run(context))
    return _days_compared(wrong, ("fleet", "day", "in flows", "trips"), "borough_flows")


def _days_compared(wrong: Sequence[tuple[Any, ...]], header: Sequence[str], asset: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not wrong,
        description=f"{len(wrong)} days differ; materialize {asset} for them" if wrong else "equal",
        metadata={"num_wrong_days": len(wrong), "wrong_days": table(header, wrong[:PREVIEW_ROWS])},
    )


@dg.asset_check(asset="taxi_zones", blocking=True, pool=POOL)
def zone_ids_unique(warehouse: WarehouseParam) -> dg.AssetCheckResult:
    """Zones holds each id from 1 to 265 once, and 263 of them have a shape."""
    found = warehouse.query(zone_ids)
    return dg.AssetCheckResult(
        passed=found.are_right,
        description=f"{found.num_zones} zones, {found.num_shapes} with a shape",
        metadata={"repeated_ids": str(found.repeated), "missing_ids": str(found.missing)},
    )


@dg.asset_check(asset="trips_by_week", pool=POOL)
def weekly_totals_match_trips(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam
) -> dg.AssetCheckResult:
    """The weeks of the CSV, and of the one by fleet, are the weeks of the trips table, with the same totals.

    In a run of days its weeks are compared, in a run of the check alone all weeks.
    """
    require_file(files, TRIPS_BY_WEEK_FILE, written_by="trips_by_week")
    version = made_from(files, TRIPS_BY_WEEK_FILE)
    text = files.read_text(TRIPS_BY_WEEK_FILE)
    has_by_fleet = files.exists(TRIPS_BY_WEEK_BY_FLEET_FILE)
    text_by_fleet = files.read_text(TRIPS_BY_WEEK_BY_FLEET_FILE) if has_by_fleet else None
    expected = warehouse.query(expected_weeks, days_of_run(context), tlc.fleets)
    wrong = week_differences(text, ("period",), expected.all_fleets, expected.weeks)
    if expected.by_fleet or text_by_fleet:
        wrong += week_differences(text_by_fleet, ("period", "fleet"), expected.by_fleet, expected.weeks)
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=_severity(version, expected.version),
        description=f"{len(wrong)} differ: {wrong[0]}" if wrong else f"{len(expected.all_fleets)} weeks compared",
        metadata={
            "num_wrong": len(wrong),
            "wrong": table(("difference",), [(difference,) for difference in wrong[:PREVIEW_ROWS]]),
        },
    )


@dg.asset_check(asset="manhattan_stats", pool=POOL)
def manhattan_stats_match_trips(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam
) -> dg.AssetCheckResult:
    """The features are the Manhattan zones, each once, and count the trips picked up in them.

    In a run of days the trips of these days are counted, and the other days are taken from zone_hourly_trips; in a
    run of the check alone all trips are counted.
    """
    require_file(files, MANHATTAN_STATS_FILE, written_by="manhattan_stats")
    version = made_from(files, MANHATTAN_STATS_FILE)
    written = zones_in_geojson(files.read_text(MANHATTAN_STATS_FILE))
    expected = warehouse.query(expected_manhattan, days_of_run(context), tlc.fleets)
    wrong = sorted(set(written) ^ set(expected.zones))
    return dg.AssetCheckResult(
        passed=written == list(expected.zones),
        severity=_severity(version, expected.version),
        description=f"{len(written)} zones, {sum(row[1] for row in written):,} trips",
        metadata={
            "num_wrong": len(wrong),
            "only_in_one": table(("zone_id", "num_trips", "total_amount"), wrong),
        },
    )


def _severity(made_from_version: int, current_version: int) -> dg.AssetCheckSeverity:
    """Severity for an output that differs from the trips.

    It is an error, unless another run wrote to the warehouse after the output was made.
    """
    return dg.AssetCheckSeverity.WARN if made_from_version < current_version else dg.AssetCheckSeverity.ERROR


_TABLES_OF = {
    "taxi_zones": (ZONES,),
    "taxi_trips": (TRIPS, REJECTED_TRIPS, LOADED_DAYS),
    "zone_hourly_trips": (ZONE_HOURLY_TRIPS, ZONE_HOURLY_DROPOFFS),
    "borough_flows": (BOROUGH_FLOWS,),
    "tlc_indicators": (TLC_INDICATORS,),
}
"""Asset → its tables."""


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            f"{declared.name}_columns_as_declared",
            asset=asset,
            description=f"Table {declared.name} has the declared columns, in order, with their types.",
        )
        for asset, tables in _TABLES_OF.items()
        for declared in tables
    ],
    can_subset=True,
    pool=POOL,
)
def columns_as_declared(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam
) -> Iterator[dg.AssetCheckResult]:
    """Compare the tables' columns with their declarations, in one step for all assets."""
    differences = warehouse.query(_column_differences)
    for key in sorted(context.selected_asset_check_keys):
        different = differences[key.name]
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=not different,
            description=f"{len(different)} columns differ" if different else "all columns as declared",
            metadata={
                "num_different": len(different),
                "different": table(("column", "declared", "found"), different),
            },
        )


def _column_differences(session: Session) -> dict[str, Sequence[tuple[Any, ...]]]:
    """Name of the check → the columns that differ."""
    return {
        f"{declared.name}_columns_as_declared": column_differences(session, declared)
        for tables in _TABLES_OF.values()
        for declared in tables
    }
