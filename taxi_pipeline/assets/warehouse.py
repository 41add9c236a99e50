"""Group `warehouse`: the tables in DuckDB. Each asset owns its tables; the longer SQL is in `loading` and `rollups`.

What is drawn or written for people out of the tables is in group `metrics`.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.assets.raw_files import (
    FleetsFailedError,
    failed_to_fetch,
    taxi_trips_file,
    taxi_zones_file,
    tlc_trip_records,
)
from taxi_pipeline.files import sha256_of
from taxi_pipeline.loaded import placed_days, share_placed
from taxi_pipeline.loading import MissingZonesError, MixedDataError, load_trips, refuse_mixture
from taxi_pipeline.metadata import OWNERS, PREVIEW_ROWS, column_lineage, markdown_table, per_partition, table_metadata
from taxi_pipeline.partitions import backfill_policy, daily_partitions, days_of
from taxi_pipeline.resources import FileStore, MissingFileError, TlcSource, Warehouse
from taxi_pipeline.rollups import replace_flows, replace_hourly
from taxi_pipeline.session import Session
from taxi_pipeline.tables import BOROUGH_FLOWS, CODE_TABLES, TRIPS, ZONE_HOURLY_TRIPS, ZONES, Table
from taxi_pipeline.tlc.codes import AREAS, CODES
from taxi_pipeline.tlc.download import DamagedFileError
from taxi_pipeline.tlc.fleets import FLEETS, Fleet, MissingColumnsError
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.tlc.zones import read_zones, zones_are_synthetic

POOL = "duckdb"

LOADING_ERRORS = (
    DamagedFileError,
    MissingColumnsError,
    MissingFileError,
    MissingZonesError,
    MixedDataError,
    UnusableFileError,
)
"""What is wrong with one fleet's file, and so is no reason to leave the other fleets out."""


@dg.asset(
    group_name="warehouse",
    deps=[taxi_zones_file],
    pool=POOL,
    kinds={"duckdb"},
    owners=OWNERS,
    tags={"output": "table"},
    metadata=table_metadata(ZONES),
)
def taxi_zones(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dg.MaterializeResult:
    """Table `zones`: one row for each zone id from 1 to 265, with name, borough and shape (WKT, EPSG:4326).

    The id is the zone file's `OBJECTID`. 264 (Unknown) and 265 (Outside of NYC) have no shape, so that every trip
    finds its zone.
    """
    path = files.written_by("taxi_zones_file", tlc.zones_file)
    zones = read_zones(path)
    synthetic = zones_are_synthetic(path)
    with warehouse.write() as session:
        if synthetic:  # real zones under synthetic trips mislead nobody
            refuse_mixture(session, path, synthetic=True)
        session.execute("DELETE FROM zones")
        session.insert(ZONES, [(zone.zone_id, zone.zone, zone.borough, zone.geometry) for zone in zones])
    shown = [(z.zone_id, z.zone, z.borough, (z.geometry or "")[:40]) for z in zones[:PREVIEW_ROWS]]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(zones),
            **column_lineage(ZONES),
            "preview": markdown_table(ZONES.column_names, shown),
            "synthetic": synthetic,
        },
        data_version=dg.DataVersion(sha256_of(path)),
    )


@dg.asset(
    group_name="warehouse",
    deps=[tlc_trip_records],
    pool=POOL,
    kinds={"duckdb"},
    owners=OWNERS,
    tags={"output": "table"},
)
def code_tables(warehouse: Warehouse) -> dg.MaterializeResult:
    """Tables `vendors`, `rate_codes`, `payment_types` and `licensees`, out of the TLC's dictionaries, and `zone_areas`.

    What the codes in `trips` stand for, with the date of the dictionary that says so; and which zones are airports or
    lie in the congestion zone.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {
        name: [(meaning.code, meaning.text, meaning.as_of) for meaning in meanings] for name, meanings in CODES.items()
    }
    rows["zone_areas"] = [(area, zone_id) for area, zone_ids in AREAS.items() for zone_id in sorted(zone_ids)]
    with warehouse.write() as session:
        for table in CODE_TABLES:
            session.execute(f"DELETE FROM {table.name}")
            session.insert(table, rows[table.name])
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(len(content) for content in rows.values()),
            **{table.name: markdown_table(table.column_names, rows[table.name]) for table in CODE_TABLES},
        },
        data_version=dg.DataVersion(hashlib.sha256(repr(list(rows.values())).encode()).hexdigest()),
    )


@dg.asset(
    group_name="warehouse",
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    deps=[taxi_trips_file, taxi_zones],
    pool=POOL,
    kinds={"duckdb"},
    owners=OWNERS,
    tags={"output": "table"},
    metadata=table_metadata(TRIPS),
)
def taxi_trips(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: FileStore, tlc: TlcSource
) -> dg.MaterializeResult:
    """Tables `trips`, one row per trip as published, and `rejected_trips`, rows that no day or column can hold.

    The days of the run are replaced, each fleet's in one transaction: afterwards they hold what the published files
    say, or, if anything fails, what they held before. What fails of one fleet fails the run, with the fleet's name,
    when the others are loaded. `loaded_days` keeps from which version of its file each day came. The days' rows of
    the rollups are replaced with them, so that no output ever counts others than the trips. Where a file holds
    coordinates (before 2011), the zones are those of `taxi_zones` that cover them.
    """
    days = days_of(context)
    fleets = tlc.months_by_fleet(days)
    failed = failed_to_fetch(context)
    for fleet, months in fleets:
        try:
            if fleet.name not in failed:
                _load_fleet(fleet, months, warehouse, files)
        except LOADING_ERRORS as error:
            if len(fleets) == 1:
                raise
            failed[fleet.name] = str(error)
    if failed:
        raise FleetsFailedError(failed, [fleet.name for fleet, _ in fleets if fleet.name not in failed])
    with warehouse.write() as session:  # days before the first fleet's first month may come before there are tables
        counts = session.rows(
            "SELECT pickup_date, CAST(sum(num_trips) AS BIGINT) FROM loaded_days "
            "WHERE pickup_date BETWEEN ? AND ? GROUP BY pickup_date",
            [days.first, days.last],
        )
        rejected = session.row(
            "SELECT count(*) FROM rejected_trips WHERE month BETWEEN ? AND ?", [month_of(days.first), days.last]
        )[0]
        overview = _overview(session, TRIPS, days.first)
        placed = share_placed(placed_days(session, days))
    _tell_of_days(context, TRIPS, days, counts)
    metadata = {**overview, "trips_in_run": sum(count for _, count in counts), "rejected_rows": rejected}
    return dg.MaterializeResult(metadata=metadata if placed is None else metadata | {"share_placed": placed})


def _load_fleet(fleet: Fleet, months: Sequence[Days], warehouse: Warehouse, files: FileStore) -> None:
    """Replace the fleet's trips and hourly rows of these days, one after the other month, in one transaction."""
    names = [TlcSource.trips_file(fleet, month_of(days.first)) for days in months]
    with files.locked(*names), warehouse.write() as session:
        for name, days in zip(names, months, strict=True):
            load_trips(session, fleet, days, files.written_by("taxi_trips_file", name))
            replace_hourly(session, days, [fleet.name])
            replace_flows(session, days, [fleet.name])


@dg.asset(
    group_name="warehouse",
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    deps=[taxi_trips],
    pool=POOL,
    kinds={"duckdb"},
    owners=OWNERS,
    tags={"output": "table"},
    metadata=table_metadata(ZONE_HOURLY_TRIPS),
)
def zone_hourly_trips(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Table `zone_hourly_trips`: trips by fleet, pickup date, hour and pickup zone.

    And `zone_hourly_dropoffs`, the same by hour and zone of the drop-off. At most 265 × 24 rows a day and fleet,
    however many trips there were.
    """
    return _rebuild(context, warehouse, ZONE_HOURLY_TRIPS, replace_hourly)


@dg.asset(
    group_name="warehouse",
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    deps=[taxi_trips, taxi_zones],
    pool=POOL,
    kinds={"duckdb"},
    owners=OWNERS,
    tags={"output": "table"},
    metadata=table_metadata(BOROUGH_FLOWS),
)
def borough_flows(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Table `borough_flows`: trips by fleet, pickup date and the boroughs of pickup and drop-off.

    With the sums that means are made of, without trips that nobody can have made. The monthly report reads it. At most
    64 rows a day and fleet.
    """
    return _rebuild(context, warehouse, BOROUGH_FLOWS, replace_flows)


def _rebuild(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    table: Table,
    replace: Callable[[Session, Days, Sequence[str]], None],
) -> dg.MaterializeResult:
    """Replace the run's days of a rollup, of all fleets; `taxi_trips` has done it when it is part of the run."""
    days = days_of(context)
    with warehouse.write() as session:
        if taxi_trips.key not in context.job_def.asset_layer.selected_asset_keys:
            replace(session, days, list(FLEETS))
        counts = session.rows(
            f"SELECT pickup_date, count(*) FROM {table.name} WHERE pickup_date BETWEEN ? AND ? GROUP BY pickup_date",
            [days.first, days.last],
        )
        overview = _overview(session, table, days.first)
    _tell_of_days(context, table, days, counts)
    return dg.MaterializeResult(metadata=overview)


def _overview(session: Session, table: Table, day: date) -> dict[str, Any]:
    """Metadata of a table that is loaded by days: its rows, whether they are synthetic, the first ones of a day."""
    rows = session.row(f"SELECT count(*) FROM {table.name}")[0]
    synthetic = session.row("SELECT bool_or(synthetic) FROM loaded_days")[0]
    preview = session.rows(f"SELECT * FROM {table.name} WHERE pickup_date = ? ORDER BY ALL LIMIT {PREVIEW_ROWS}", [day])
    return {
        "dagster/row_count": rows,
        "synthetic": bool(synthetic),
        "preview": markdown_table(table.column_names, preview),
    }


def _tell_of_days(
    context: dg.AssetExecutionContext, table: Table, days: Days, counts: Iterable[tuple[Any, ...]]
) -> None:
    """Give each partition of the run its row count, and the last one, which is shown first, the columns' lineage.

    A day that is not among the counts has no rows. The lineage of a wide table is most of an event's size.
    """
    found = dict(counts)
    per_partition(context, {str(day): {"dagster/partition_row_count": found.get(day, 0)} for day in days})
    per_partition(context, {str(days.last): column_lineage(table)})
