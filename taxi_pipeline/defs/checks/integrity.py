"""Checks of the pipeline itself: no row lost, none loaded twice, every output equal to the sum of the trips.

`taxi_pipeline.quality.reconciliation` compares; here the differences become check results, and those of the trips'
tables in `table_checks`. `data_quality` checks the
TLC's publications.
"""

from collections.abc import Iterator

import dagster as dg

from taxi_pipeline.defs.assets.metrics import (
    MANHATTAN_STATS_FILE,
    TRIPS_BY_WEEK_BY_FLEET_FILE,
    TRIPS_BY_WEEK_FILE,
    TRIPS_BY_WEEK_NET_FILE,
)
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, table
from taxi_pipeline.defs.partitions import days_of_run
from taxi_pipeline.defs.resources import POOL, FilesParam, TlcParam, WarehouseParam
from taxi_pipeline.defs.table_checks import (
    CONSERVED_ASSETS,
    TABLES_OF,
    columns_check,
    columns_match,
    conserved,
    flows_match,
    histograms_match,
    hourly_match,
    net_match,
)
from taxi_pipeline.outputs.made_from import made_from
from taxi_pipeline.quality.reconciliation import (
    expected_manhattan,
    expected_weeks,
    week_differences,
    zone_ids,
    zones_in_geojson,
)
from taxi_pipeline.required_files import require_file

_CONSERVED = (
    "No published row is lost, and none is loaded twice.\n"
    "\n"
    "Each loaded day holds as many trips and rejected rows as its published file has for it; and for each month whose "
    "days are all loaded, trips and rejected rows together are the rows of the file."
)


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec("trips_conserved", asset=asset, blocking=True, description=_CONSERVED)
        for asset in CONSERVED_ASSETS
    ],
    can_subset=True,
    pool=POOL,
)
def trips_conserved(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> Iterator[dg.AssetCheckResult]:
    """Compare the tables with the published files, once for all three assets."""
    result = warehouse.query(conserved, days_of_run(context))
    for key in sorted(context.selected_asset_check_keys):
        yield result._replace(asset_key=key.asset_key, check_name=key.name)


@dg.asset_check(asset="zone_hourly_trips", pool=POOL)
def hourly_trips_match_trips(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
    """Pickups and drop-offs by hour add up to the trips table, for each day and fleet."""
    return warehouse.query(hourly_match, days_of_run(context))


@dg.asset_check(asset="zone_hourly_trips", pool=POOL)
def published_is_net_and_voids(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam
) -> dg.AssetCheckResult:
    """The published trips are the net trips and two for each void, for each day and fleet.

    A void is a taxi's trip and its row once more with the opposite total. They are counted from the trips, by what both
    rows have in common.
    """
    return warehouse.query(net_match, days_of_run(context))


@dg.asset_check(asset="zone_hourly_trips", pool=POOL)
def histograms_match_trips(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
    """Each measure in trip_histograms holds each trip once, for each day and fleet; far and full trips are counted."""
    return warehouse.query(histograms_match, days_of_run(context))


@dg.asset_check(asset="borough_flows", pool=POOL)
def borough_flows_match_trips(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
    """Trips in borough_flows add up to the trips table, for each day and fleet."""
    return warehouse.query(flows_match, days_of_run(context))


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
    """The weeks of the CSV, of the one by fleet and of the one net of voids are those of the trips, with their totals.

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
    net = files.read_text(TRIPS_BY_WEEK_NET_FILE) if files.exists(TRIPS_BY_WEEK_NET_FILE) else None
    wrong += [f"net: {each}" for each in week_differences(net, ("period", "fleet"), expected.net, expected.weeks)]
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


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            columns_check(declared),
            asset=asset,
            description=f"Table {declared.name} has the declared columns, in order, with their types.",
        )
        for asset, tables in TABLES_OF.items()
        for declared in tables
    ],
    can_subset=True,
    pool=POOL,
)
def columns_as_declared(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam
) -> Iterator[dg.AssetCheckResult]:
    """Compare the tables' columns with their declarations, in one step for all assets."""
    results = warehouse.query(lambda session: list(columns_match(session)))
    selected = {key.name for key in context.selected_asset_check_keys}
    yield from (result for result in results if result.check_name in selected)
