"""The asset checks: what must hold of the tables and files, computed another way than the assets compute it.

A check that is part of a run of days looks at these days; one that runs by itself looks at all. Checks are not
partitioned: Dagster would lose the partition in range runs.
"""

import csv
import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.assets.metrics import (
    MANHATTAN_STATS_FILE,
    TRIPS_BY_WEEK_FILE,
    WEEK_HEADER,
    WEEK_START_SQL,
    manhattan_stats,
    placeholders,
    trips_by_week,
    week_row,
)
from taxi_pipeline.assets.raw_files import taxi_trips_file
from taxi_pipeline.assets.warehouse import POOL, taxi_trips, taxi_zones, zone_hourly_trips
from taxi_pipeline.metadata import PREVIEW_ROWS, markdown_table
from taxi_pipeline.partitions import days_of_run
from taxi_pipeline.resources import FileStore, Session, TlcSource, Warehouse
from taxi_pipeline.tables import LOADED_DAYS, REJECTED_TRIPS, TRIPS, ZONE_HOURLY_TRIPS, ZONES, Table
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, month_of, next_month
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.tlc.zones import LAST_ZONE_ID, NUM_SHAPES


@dg.asset_check(asset=taxi_trips_file)
def columns_known(context: dg.AssetCheckExecutionContext, tlc: TlcSource, files: FileStore) -> dg.AssetCheckResult:
    """The published files have no column that the pipeline does not know; a new one is left out of `trips`."""
    days = days_of_run(context)
    if days:
        trip_files = [
            (fleet, files.written_by("taxi_trips_file", tlc.trips_file(fleet, month_of(part.first))))
            for fleet, part in tlc.months(days)
        ]
    else:
        trip_files = [
            (FLEETS[name], path)
            for name in tlc.fleets
            for path in sorted(files.path("raw").glob(FLEETS[name].file_pattern))
        ]
    unknown = [
        (path.name, column)
        for fleet, path in trip_files
        for column in fleet.unknown_columns(read_trip_file(path).columns)
    ]
    return dg.AssetCheckResult(
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(trip_files)} files looked at, {len(unknown)} unknown columns",
        metadata={"num_unknown": len(unknown), "unknown_columns": markdown_table(("file", "column"), unknown)},
    )


@dg.asset_check(asset=taxi_trips, blocking=True, pool=POOL)
def trips_conserved(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No trip is lost and none counted twice.

    Each loaded day holds as many trips and rejected rows as its published file has for it; and for each month whose
    days are all loaded, trips and rejected rows together are the rows of the file.
    """
    with warehouse.read() as session:
        days = days_of_run(context) or _loaded_span(session)
        wrong_days = session.rows(_DAYS_SQL, [days.first, days.last] * 3) if days else []
        months = _months(session, days) if days else []
    wrong_months = [month for month in months if month[-1] == _UNEQUAL]
    mixed = [month for month in months if month[-1] == _MIXED]
    return dg.AssetCheckResult(
        passed=not (wrong_days or wrong_months or mixed),
        severity=dg.AssetCheckSeverity.ERROR if wrong_days or wrong_months else dg.AssetCheckSeverity.WARN,
        description=f"{len(wrong_days)} wrong days, {len(wrong_months)} wrong months, {len(months)} months looked at",
        metadata={
            "num_wrong_days": len(wrong_days),
            "num_wrong_months": len(wrong_months),
            "wrong_days": markdown_table(
                ("fleet", "day", "trips in file", "in table", "rejected in file", "in table"), wrong_days
            ),
            "months": markdown_table(
                ("fleet", "month", "days loaded", "rows in file", "trips", "rejected", "result"), months
            ),
        },
    )


@dg.asset_check(asset=zone_hourly_trips, pool=POOL)
def hourly_trips_match_trips(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """For each day and fleet, `zone_hourly_trips` sums up to what the trips table says."""
    with warehouse.read() as session:
        days = days_of_run(context) or _loaded_span(session)
        wrong = session.rows(_HOURLY_SQL, [days.first, days.last] * 2) if days else []
    return dg.AssetCheckResult(
        passed=not wrong,
        description=f"{len(wrong)} days differ; materialize zone_hourly_trips for them" if wrong else "equal",
        metadata={
            "num_wrong_days": len(wrong),
            "wrong_days": markdown_table(("fleet", "day", "hourly", "trips"), wrong[:PREVIEW_ROWS]),
        },
    )


@dg.asset_check(asset=taxi_zones, blocking=True, pool=POOL)
def zone_ids_unique(warehouse: Warehouse) -> dg.AssetCheckResult:
    """`zones` holds each id from 1 to 265 once, and 263 of them have a shape."""
    with warehouse.read() as session:
        ids = [row[0] for row in session.rows("SELECT zone_id FROM zones ORDER BY zone_id")]
        shapes = session.row("SELECT count(geometry) FROM zones")[0]
    repeated = sorted({zone_id for zone_id in ids if ids.count(zone_id) > 1})
    missing = sorted(set(range(1, LAST_ZONE_ID + 1)) - set(ids))
    return dg.AssetCheckResult(
        passed=ids == list(range(1, LAST_ZONE_ID + 1)) and shapes == NUM_SHAPES,
        description=f"{len(ids)} zones, {shapes} with a shape",
        metadata={"repeated_ids": str(repeated), "missing_ids": str(missing)},
    )


@dg.asset_check(asset=trips_by_week, pool=POOL)
def weekly_totals_match_trips(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, files: FileStore, tlc: TlcSource
) -> dg.AssetCheckResult:
    """The weeks of the CSV are the weeks of the trips table, with the same totals."""
    header, *rows = csv.reader(files.written_by("trips_by_week", TRIPS_BY_WEEK_FILE).read_text().splitlines())
    with warehouse.read() as session:
        days = days_of_run(context) or _loaded_span(session)
        weeks = days.in_weeks() if days else None
        expected = _weeks(session, tlc.fleets, weeks) if weeks else []
    written = [row for row in rows if weeks and weeks.first <= date.fromisoformat(row[0]) <= weeks.last]
    wrong = [row for row in expected if row not in written] + [row for row in written if row not in expected]
    return dg.AssetCheckResult(
        passed=header == list(WEEK_HEADER) and not wrong and len(written) == len(expected),
        description=f"{len(expected)} weeks compared",
        metadata={"num_wrong": len(wrong), "only_in_one": markdown_table(WEEK_HEADER, wrong)},
    )


@dg.asset_check(asset=manhattan_stats, pool=POOL)
def manhattan_stats_match_trips(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dg.AssetCheckResult:
    """The features are the Manhattan zones, each once, and count the trips picked up in them."""
    collection = json.loads(files.written_by("manhattan_stats", MANHATTAN_STATS_FILE).read_text(encoding="utf-8"))
    features = [feature["properties"] for feature in collection["features"]]
    written = [(f["zone_id"], f["num_trips"], f"{f['total_amount']:.2f}") for f in features]
    with warehouse.read() as session:
        ids = [row[0] for row in session.rows("SELECT zone_id FROM zones WHERE borough = 'Manhattan'")]
        counted = {
            zone_id: (zone_id, count, f"{total:.2f}")
            for zone_id, count, total in session.rows(
                f"SELECT pickup_zone_id, count(*), sum(total_amount) FROM trips "
                f"WHERE fleet IN ({placeholders(tlc.fleets)}) GROUP BY pickup_zone_id",
                tlc.fleets,
            )
        }
    expected = [counted.get(zone_id, (zone_id, 0, "0.00")) for zone_id in sorted(ids)]
    wrong = sorted(set(written) ^ set(expected))
    return dg.AssetCheckResult(
        passed=written == expected,
        description=f"{len(written)} zones, {sum(row[1] for row in written):,} trips",
        metadata={
            "num_wrong": len(wrong),
            "only_in_one": markdown_table(("zone_id", "num_trips", "total_amount"), wrong),
        },
    )


def _columns_as_declared(asset: dg.AssetsDefinition, table: Table) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name=f"{table.name}_columns_as_declared",
        description=f"Table `{table.name}` has the declared columns, in order, with their types.",
        pool=POOL,
    )
    def check(warehouse: Warehouse) -> dg.AssetCheckResult:
        with warehouse.read() as session:
            found = session.column_types(table)
        different = [
            (name, table.column_types.get(name), found.get(name))
            for name in {**table.column_types, **found}
            if table.column_types.get(name) != found.get(name)
        ]
        return dg.AssetCheckResult(
            passed=list(found.items()) == list(table.column_types.items()),
            description=f"{len(different)} columns differ" if different else f"{len(found)} columns as declared",
            metadata={
                "num_different": len(different),
                "different": markdown_table(("column", "declared", "found"), different),
            },
        )

    return check


CHECKS = [
    columns_known,
    trips_conserved,
    hourly_trips_match_trips,
    zone_ids_unique,
    weekly_totals_match_trips,
    manhattan_stats_match_trips,
    _columns_as_declared(taxi_zones, ZONES),
    _columns_as_declared(taxi_trips, TRIPS),
    _columns_as_declared(taxi_trips, REJECTED_TRIPS),
    _columns_as_declared(taxi_trips, LOADED_DAYS),
    _columns_as_declared(zone_hourly_trips, ZONE_HOURLY_TRIPS),
]

_EQUAL = "equal"
_PARTLY = "not all days loaded"
_MIXED = "days of different versions of the file: materialize the whole month"
_UNEQUAL = "UNEQUAL"

_DAYS_SQL = """
SELECT fleet, pickup_date, coalesce(loaded.num_trips, 0), coalesce(counted.num_trips, 0),
    coalesce(loaded.num_rejected, 0), coalesce(counted.num_rejected, 0)
FROM (SELECT * FROM loaded_days WHERE pickup_date BETWEEN ? AND ?) AS loaded
FULL JOIN (
    SELECT fleet, pickup_date, sum(num_trips) AS num_trips, sum(num_rejected) AS num_rejected
    FROM (
        SELECT fleet, pickup_date, count(*) AS num_trips, 0 AS num_rejected
        FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
        UNION ALL
        SELECT fleet, day, 0, count(*)
        FROM (
            SELECT *, CASE WHEN date_trunc('month', pickup_date) = month THEN pickup_date ELSE month END AS day
            FROM rejected_trips
        ) AS rejected
        WHERE day BETWEEN ? AND ? GROUP BY fleet, day
    ) AS by_kind
    GROUP BY fleet, pickup_date
) AS counted USING (fleet, pickup_date)
WHERE coalesce(loaded.num_trips, 0) <> coalesce(counted.num_trips, 0)
    OR coalesce(loaded.num_rejected, 0) <> coalesce(counted.num_rejected, 0)
ORDER BY fleet, pickup_date
"""

_MONTHS_SQL = """
SELECT fleet, month, count(*), max(file_rows), CAST(sum(num_trips) AS BIGINT), count(DISTINCT file_version),
    (SELECT count(*) FROM rejected_trips WHERE rejected_trips.fleet = days.fleet AND rejected_trips.month = days.month)
FROM (SELECT *, CAST(date_trunc('month', pickup_date) AS DATE) AS month FROM loaded_days) AS days
WHERE month BETWEEN ? AND ?
GROUP BY fleet, month
ORDER BY fleet, month
"""

_HOURLY_SQL = """
WITH hourly AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips,
        sum(total_amount) AS total_amount, sum(trip_distance) AS trip_distance
    FROM zone_hourly_trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
), counted AS (
    SELECT fleet, pickup_date, count(*) AS num_trips,
        coalesce(sum(total_amount), 0) AS total_amount, coalesce(sum(trip_distance), 0) AS trip_distance
    FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
)
SELECT fleet, pickup_date, hourly.num_trips, counted.num_trips
FROM hourly FULL JOIN counted USING (fleet, pickup_date)
WHERE (hourly.num_trips, hourly.total_amount, hourly.trip_distance)
    IS DISTINCT FROM (counted.num_trips, counted.total_amount, counted.trip_distance)
ORDER BY fleet, pickup_date
"""


def _months(session: Session, days: Days) -> list[tuple[Any, ...]]:
    """Each fleet's months: fleet, month, days loaded, rows of the file, trips, rejected rows, verdict."""
    months = []
    for fleet, month, loaded, file_rows, trips, versions, rejected in session.rows(
        _MONTHS_SQL, [month_of(days.first), month_of(days.last)]
    ):
        if loaded < (next_month(month) - month).days:
            verdict = _PARTLY
        elif versions > 1:
            verdict = _MIXED
        else:
            verdict = _EQUAL if trips + rejected == file_rows else _UNEQUAL
        months.append((fleet, f"{month:%Y-%m}", loaded, file_rows, trips, rejected, verdict))
    return months


def _weeks(session: Session, fleets: Sequence[str], weeks: Days) -> list[list[str]]:
    return [
        week_row(*week)
        for week in session.rows(
            f"SELECT {WEEK_START_SQL} AS period, count(*), sum(total_amount), sum(trip_distance), "
            "coalesce(sum(passenger_count), 0) "
            f"FROM trips WHERE fleet IN ({placeholders(fleets)}) AND pickup_date BETWEEN ? AND ? "
            "GROUP BY period ORDER BY period",
            [*fleets, weeks.first, weeks.last],
        )
    ]


def _loaded_span(session: Session) -> Days | None:
    first, last = session.row("SELECT min(pickup_date), max(pickup_date) FROM loaded_days")
    return Days(first, last) if first else None
