"""Checks of what the pipeline promises: nothing lost, nothing counted twice, every output what the trips say.

They compute another way than the assets do: from `trips` where the asset used `zone_hourly_trips`, from the file's own
counts where the asset counted rows. What is odd in the published data is looked at in `published`.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_pipeline.assets.metrics import (
    FLEET_WEEK_HEADER,
    MANHATTAN_STATS_FILE,
    TRIPS_BY_WEEK_BY_FLEET_FILE,
    TRIPS_BY_WEEK_FILE,
    WEEK_HEADER,
    manhattan_stats,
    trips_by_week,
    week_row,
)
from taxi_pipeline.assets.warehouse import POOL, borough_flows, taxi_trips, taxi_zones, zone_hourly_trips
from taxi_pipeline.checks.days import days_of_check
from taxi_pipeline.loaded import LoadedMonth, loaded_months
from taxi_pipeline.loading import REJECTED_WITH_DAY
from taxi_pipeline.metadata import PREVIEW_ROWS, markdown_table
from taxi_pipeline.resources import FileStore, TlcSource, Warehouse
from taxi_pipeline.session import Session, placeholders
from taxi_pipeline.tables import (
    BOROUGH_FLOWS,
    LOADED_DAYS,
    REJECTED_TRIPS,
    TRIPS,
    WEEK_START_SQL,
    ZONE_HOURLY_DROPOFFS,
    ZONE_HOURLY_TRIPS,
    ZONES,
    Table,
)
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import LAST_ZONE_ID, NUM_SHAPES


@dg.asset_check(asset=taxi_trips, blocking=True, pool=POOL)
def trips_conserved(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No trip is lost and none counted twice.

    Each loaded day holds as many trips and rejected rows as its published file has for it; and for each month whose
    days are all loaded, trips and rejected rows together are the rows of the file.
    """
    with warehouse.read() as session:
        days = days_of_check(context, session)
        wrong_days = session.rows(_DAYS_SQL, [days.first, days.last] * 3) if days else []
        months = [_verdict(month) for month in loaded_months(session, days)] if days else []
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
    """For each day and fleet, pickups and drop-offs by hour sum up to what the trips table says."""
    with warehouse.read() as session:
        days = days_of_check(context, session)
        wrong = session.rows(_HOURLY_SQL, [days.first, days.last] * 3) if days else []
    return _days_compared(wrong, ("fleet", "day", "pickups", "drop-offs", "trips"), zone_hourly_trips)


@dg.asset_check(asset=borough_flows, pool=POOL)
def borough_flows_match_trips(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
    """For each day and fleet, `borough_flows` sums up to what the trips table says."""
    with warehouse.read() as session:
        days = days_of_check(context, session)
        wrong = session.rows(_FLOWS_SQL, [days.first, days.last] * 2) if days else []
    return _days_compared(wrong, ("fleet", "day", "in flows", "trips"), borough_flows)


def _days_compared(
    wrong: Sequence[tuple[Any, ...]], header: Sequence[str], asset: dg.AssetsDefinition
) -> dg.AssetCheckResult:
    name = asset.key.to_user_string()
    return dg.AssetCheckResult(
        passed=not wrong,
        description=f"{len(wrong)} days differ; materialize {name} for them" if wrong else "equal",
        metadata={"num_wrong_days": len(wrong), "wrong_days": markdown_table(header, wrong[:PREVIEW_ROWS])},
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
    """The weeks of the CSV, and of the one by fleet, are the weeks of the trips table, with the same totals."""
    path = files.written_by("trips_by_week", TRIPS_BY_WEEK_FILE)
    written_ns = path.stat().st_mtime_ns
    by_fleet = files.path(TRIPS_BY_WEEK_BY_FLEET_FILE)
    with warehouse.read() as session:
        days = days_of_check(context, session)
        weeks = days.in_weeks() if days else None
        expected = _weeks(session, "period", tlc.fleets, weeks)
        expected_by_fleet = _weeks(session, "period, fleet", tlc.fleets, weeks) if len(tlc.fleets) > 1 else []
    wrong = _differences(path, WEEK_HEADER, expected, weeks)
    if expected_by_fleet or by_fleet.is_file():
        wrong += _differences(by_fleet, FLEET_WEEK_HEADER, expected_by_fleet, weeks)
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=_severity(warehouse, written_ns),
        description=f"{len(wrong)} rows differ" if wrong else f"{len(expected)} weeks compared",
        metadata={
            "num_wrong": len(wrong),
            "only_in_one": markdown_table(("row",), [(", ".join(row),) for row in wrong]),
        },
    )


def _differences(
    path: Path, header: Sequence[str], expected: Sequence[list[str]], weeks: Days | None
) -> list[list[str]]:
    """Rows of these weeks that only the file has, or has more often than it should, and those that it lacks."""
    found, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else [[]]
    written = [row for row in rows if weeks and weeks.first <= date.fromisoformat(row[0]) <= weeks.last]
    counted = Counter(map(tuple, written))
    wanted = Counter(map(tuple, expected))
    wrong = [list(row) for row in ((counted - wanted) + (wanted - counted)).elements()]
    return wrong if found == list(header) else [found, *wrong]


@dg.asset_check(asset=manhattan_stats, pool=POOL)
def manhattan_stats_match_trips(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dg.AssetCheckResult:
    """The features are the Manhattan zones, each once, and count the trips picked up in them."""
    path = files.written_by("manhattan_stats", MANHATTAN_STATS_FILE)
    written_ns = path.stat().st_mtime_ns
    collection = json.loads(path.read_text(encoding="utf-8"))
    features = [feature["properties"] for feature in collection["features"]]
    written = [(f["zone_id"], f["num_trips"], f"{f['total_amount']:.2f}") for f in features]
    with warehouse.read() as session:
        ids = [row[0] for row in session.rows("SELECT zone_id FROM zones WHERE borough = 'Manhattan'")]
        counted = {
            zone_id: (zone_id, count, f"{total:.2f}")
            for zone_id, count, total in session.rows(
                f"SELECT pickup_zone_id, count(*), coalesce(sum(total_amount), 0) FROM trips "
                f"WHERE fleet IN ({placeholders(tlc.fleets)}) GROUP BY pickup_zone_id",
                tlc.fleets,
            )
        }
    expected = [counted.get(zone_id, (zone_id, 0, "0.00")) for zone_id in sorted(ids)]
    wrong = sorted(set(written) ^ set(expected))
    return dg.AssetCheckResult(
        passed=written == expected,
        severity=_severity(warehouse, written_ns),
        description=f"{len(written)} zones, {sum(row[1] for row in written):,} trips",
        metadata={
            "num_wrong": len(wrong),
            "only_in_one": markdown_table(("zone_id", "num_trips", "total_amount"), wrong),
        },
    )


def _columns_as_declared(asset: dg.AssetsDefinition, *tables: Table) -> dg.AssetChecksDefinition:
    """A check for each of the asset's tables, in one step."""

    @dg.multi_asset_check(
        name=f"{asset.key.to_user_string()}_columns",
        specs=[
            dg.AssetCheckSpec(
                f"{table.name}_columns_as_declared",
                asset=asset,
                description=f"Table `{table.name}` has the declared columns, in order, with their types.",
            )
            for table in tables
        ],
        pool=POOL,
    )
    def check(warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        with warehouse.read() as session:
            found = {table: session.column_types(table.name) for table in tables}
        for table, columns in found.items():
            different = [
                (name, table.column_types.get(name), columns.get(name))
                for name in {**table.column_types, **columns}
                if table.column_types.get(name) != columns.get(name)
            ]
            yield dg.AssetCheckResult(
                asset_key=asset.key,
                check_name=f"{table.name}_columns_as_declared",
                passed=list(columns.items()) == list(table.column_types.items()),
                description=f"{len(different)} columns differ" if different else f"{len(columns)} columns as declared",
                metadata={
                    "num_different": len(different),
                    "different": markdown_table(("column", "declared", "found"), different),
                },
            )

    return check


COLUMN_CHECKS = [
    _columns_as_declared(taxi_zones, ZONES),
    _columns_as_declared(taxi_trips, TRIPS, REJECTED_TRIPS, LOADED_DAYS),
    _columns_as_declared(zone_hourly_trips, ZONE_HOURLY_TRIPS, ZONE_HOURLY_DROPOFFS),
    _columns_as_declared(borough_flows, BOROUGH_FLOWS),
]

_EQUAL = "equal"
_PARTLY = "not all days loaded"
_MIXED = "days of different versions of the file: materialize the whole month"
_UNEQUAL = "UNEQUAL"

_DAYS_SQL = f"""
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
            SELECT fleet, {REJECTED_WITH_DAY} AS day FROM rejected_trips
        ) AS rejected
        WHERE day BETWEEN ? AND ? GROUP BY fleet, day
    ) AS by_kind
    GROUP BY fleet, pickup_date
) AS counted USING (fleet, pickup_date)
WHERE coalesce(loaded.num_trips, 0) <> coalesce(counted.num_trips, 0)
    OR coalesce(loaded.num_rejected, 0) <> coalesce(counted.num_rejected, 0)
ORDER BY fleet, pickup_date
"""

_HOURLY_SQL = """
WITH hourly AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips,
        sum(total_amount) AS total_amount, sum(trip_distance) AS trip_distance
    FROM zone_hourly_trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
), dropoffs AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips
    FROM zone_hourly_dropoffs WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
), counted AS (
    SELECT fleet, pickup_date, count(*) AS num_trips,
        coalesce(sum(total_amount), 0) AS total_amount, coalesce(sum(trip_distance), 0) AS trip_distance
    FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
)
SELECT fleet, pickup_date, hourly.num_trips, dropoffs.num_trips, counted.num_trips
FROM hourly FULL JOIN dropoffs USING (fleet, pickup_date) FULL JOIN counted USING (fleet, pickup_date)
WHERE (hourly.num_trips, hourly.total_amount, hourly.trip_distance, dropoffs.num_trips)
    IS DISTINCT FROM (counted.num_trips, counted.total_amount, counted.trip_distance, counted.num_trips)
ORDER BY fleet, pickup_date
"""

_FLOWS_SQL = """
WITH flows AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips,
        sum(card_tip_amount) AS card_tip_amount
    FROM borough_flows WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
), counted AS (
    SELECT fleet, pickup_date, count(*) AS num_trips,
        sum(CASE WHEN payment_type = 1 THEN coalesce(tip_amount, 0) ELSE 0 END) AS card_tip_amount
    FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
)
SELECT fleet, pickup_date, flows.num_trips, counted.num_trips
FROM flows FULL JOIN counted USING (fleet, pickup_date)
WHERE (flows.num_trips, flows.card_tip_amount) IS DISTINCT FROM (counted.num_trips, counted.card_tip_amount)
ORDER BY fleet, pickup_date
"""


def _severity(warehouse: Warehouse, written_ns: int) -> dg.AssetCheckSeverity:
    """What it means when a file is not what the trips say: it is wrong, or the run that loaded them is not over."""
    return dg.AssetCheckSeverity.WARN if warehouse.written_since(written_ns) else dg.AssetCheckSeverity.ERROR


def _verdict(month: LoadedMonth) -> tuple[Any, ...]:
    """Fleet, month, days loaded, rows of the file, trips, rejected rows, and whether these add up."""
    if not month.is_whole:
        verdict = _PARTLY
    elif month.num_versions > 1:
        verdict = _MIXED
    else:
        verdict = _EQUAL if month.num_trips + month.num_rejected == month.file_rows else _UNEQUAL
    return (
        month.fleet,
        f"{month.first:%Y-%m}",
        month.num_days,
        month.file_rows,
        month.num_trips,
        month.num_rejected,
        verdict,
    )


def _weeks(session: Session, keys: str, fleets: Sequence[str], weeks: Days | None) -> list[list[str]]:
    if weeks is None:
        return []
    rows = session.rows(
        f"SELECT {keys}, count(*), coalesce(sum(total_amount), 0), coalesce(sum(trip_distance), 0), "
        "coalesce(sum(passenger_count), 0) "
        f"FROM (SELECT *, {WEEK_START_SQL} AS period FROM trips) AS trips "
        f"WHERE fleet IN ({placeholders(fleets)}) AND pickup_date BETWEEN ? AND ? "
        f"GROUP BY {keys} ORDER BY {keys}",
        [*fleets, weeks.first, weeks.last],
    )
    return [week_row(*row) for row in rows]
