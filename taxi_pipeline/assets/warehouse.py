"""Group `warehouse`: the tables in DuckDB. Each asset owns its tables, and the SQL that fills them stands here.

What is drawn or written for people out of the tables is in group `metrics`.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.assets.raw_files import taxi_trips_file, taxi_zones_file
from taxi_pipeline.files import sha256_of
from taxi_pipeline.loading import load_trips, refuse_mixture
from taxi_pipeline.metadata import OWNERS, PREVIEW_ROWS, markdown_table, per_partition, table_metadata
from taxi_pipeline.partitions import backfill_policy, daily_partitions, days_of
from taxi_pipeline.resources import FileStore, Session, TlcSource, Warehouse
from taxi_pipeline.tables import TRIPS, ZONE_HOURLY_TRIPS, ZONES, Table
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.zones import read_zones, zones_are_synthetic

POOL = "duckdb"


@dg.asset(
    group_name="warehouse",
    deps=[taxi_zones_file],
    pool=POOL,
    kinds={"duckdb"},
    owners=OWNERS,
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
            "preview": markdown_table(ZONES.column_names, shown),
            "synthetic": synthetic,
        },
        data_version=dg.DataVersion(sha256_of(path)),
    )


@dg.asset(
    group_name="warehouse",
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    deps=[taxi_trips_file],
    pool=POOL,
    kinds={"duckdb"},
    owners=OWNERS,
    metadata=table_metadata(TRIPS),
)
def taxi_trips(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: FileStore, tlc: TlcSource
) -> dg.MaterializeResult:
    """Tables `trips`, one row per trip as published, and `rejected_trips`, rows that no day or column can hold.

    The days of the run are replaced in one transaction: afterwards they hold what the published files say, or, if
    anything fails, what they held before. `loaded_days` keeps from which version of its file each day came. The
    days' rows of `zone_hourly_trips` are replaced with them, so that no rollup ever reads others than the trips'.
    """
    days = days_of(context)
    parts = [(fleet, part, tlc.trips_file(fleet, month_of(part.first))) for fleet, part in tlc.months(days)]
    with files.locked(*(name for _, _, name in parts)), warehouse.write() as session:
        for fleet, part, name in parts:
            load_trips(session, fleet, part, files.written_by("taxi_trips_file", name))
        replace_hourly(session, days)
        counts = session.rows(
            "SELECT pickup_date, CAST(sum(num_trips) AS BIGINT) FROM loaded_days "
            "WHERE pickup_date BETWEEN ? AND ? GROUP BY pickup_date",
            [days.first, days.last],
        )
        rejected = session.row(
            "SELECT count(*) FROM rejected_trips WHERE month BETWEEN ? AND ?", [month_of(days.first), days.last]
        )[0]
        overview = _overview(session, TRIPS, days.first)
    _tell_rows_per_day(context, days, counts)
    trips_in_run = sum(count for _, count in counts)
    return dg.MaterializeResult(metadata={**overview, "trips_in_run": trips_in_run, "rejected_rows": rejected})


@dg.asset(
    group_name="warehouse",
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    deps=[taxi_trips],
    pool=POOL,
    kinds={"duckdb"},
    owners=OWNERS,
    metadata=table_metadata(ZONE_HOURLY_TRIPS),
)
def zone_hourly_trips(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Table `zone_hourly_trips`: trips by fleet, pickup date, hour and pickup zone.

    At most 265 × 24 rows a day and fleet, however many trips there were.
    """
    days = days_of(context)
    with warehouse.write() as session:
        replace_hourly(session, days)
        counts = session.rows(
            "SELECT pickup_date, count(*) FROM zone_hourly_trips WHERE pickup_date BETWEEN ? AND ? "
            "GROUP BY pickup_date",
            [days.first, days.last],
        )
        overview = _overview(session, ZONE_HOURLY_TRIPS, days.first)
    _tell_rows_per_day(context, days, counts)
    return dg.MaterializeResult(metadata=overview)


_HOURLY_SQL = """
SELECT
    fleet,
    pickup_date,
    CAST(EXTRACT(HOUR FROM pickup_datetime) AS SMALLINT) AS pickup_hour,
    pickup_zone_id,
    count(*),
    coalesce(sum(passenger_count), 0),
    coalesce(sum(trip_distance), 0),
    coalesce(sum(fare_amount), 0),
    coalesce(sum(tip_amount), 0),
    coalesce(sum(total_amount), 0)
FROM trips
WHERE pickup_date BETWEEN ? AND ?
GROUP BY fleet, pickup_date, EXTRACT(HOUR FROM pickup_datetime), pickup_zone_id
ORDER BY fleet, pickup_date, pickup_hour, pickup_zone_id
"""


def replace_hourly(session: Session, days: Days) -> None:
    """Make `zone_hourly_trips` of these days what the trips table says."""
    between = [days.first, days.last]
    session.execute("DELETE FROM zone_hourly_trips WHERE pickup_date BETWEEN ? AND ?", between)
    session.execute(ZONE_HOURLY_TRIPS.insert_sql(_HOURLY_SQL), between)


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


def _tell_rows_per_day(context: dg.AssetExecutionContext, days: Days, counts: Iterable[tuple[Any, ...]]) -> None:
    """Give each partition of the run its row count; a day that is not among the counts has none."""
    found = dict(counts)
    per_partition(context, {str(day): {"dagster/partition_row_count": found.get(day, 0)} for day in days})
