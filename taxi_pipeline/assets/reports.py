"""Group `reports`: files of a week or a month of their own, made when all its days are loaded."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg

from taxi_pipeline.assets.warehouse import POOL, borough_flows, taxi_zones, zone_hourly_trips
from taxi_pipeline.automation import window_complete
from taxi_pipeline.loaded import EmptyWindowError, loaded_days, not_loaded
from taxi_pipeline.metadata import OWNERS, file_metadata, markdown_table, per_partition
from taxi_pipeline.partitions import backfill_policy, monthly_partitions, weekly_partitions
from taxi_pipeline.resources import FileStore, TlcSource, Warehouse
from taxi_pipeline.session import Session, placeholders
from taxi_pipeline.tables import WEEK_START_SQL
from taxi_pipeline.tlc.months import Days, next_month

WEEK = timedelta(days=7)

AMOUNTS = ("num_trips", "passenger_count", "trip_distance", "fare_amount", "tip_amount", "total_amount")
"""Sums in a summary: trips, passengers, miles, and US dollars, as in `zone_hourly_trips`."""


_WINDOW = dg.TimeWindowPartitionMapping()


@dg.asset(
    group_name="reports",
    partitions_def=weekly_partitions,
    backfill_policy=backfill_policy,
    deps=[dg.AssetDep(zone_hourly_trips, partition_mapping=_WINDOW), taxi_zones],
    automation_condition=window_complete,
    pool=POOL,
    kinds={"duckdb", "json"},
    owners=OWNERS,
    tags={"output": "data-file"},
)
def week_summary(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: FileStore, tlc: TlcSource
) -> dg.MaterializeResult:
    """`outputs/week_summary/YYYY-MM-DD.json`: a week's totals by fleet and borough, and those of the week before.

    The name is the Sunday on which the week starts. Automation makes it when all seven days are loaded; who asks for it
    earlier gets what is loaded, and `missing_days` says what is not. `week_before` is null until that week is complete.
    """
    weeks = [date.fromisoformat(key) for key in context.partition_keys]
    # The week after compares itself with this one.
    also = [week + WEEK for week in weeks if files.path(summary_file(week + WEEK)).is_file()]
    for week in sorted({*weeks, *also}):
        with files.locked(summary_file(week)), warehouse.read() as session:
            summary = summarize(session, week, tlc)
            files.write_text(summary_file(week), json.dumps(summary, indent=1) + "\n")
        if week in weeks:
            path = dg.MetadataValue.path(files.path(summary_file(week)))
            trips = summary["totals"]["num_trips"]
            per_partition(context, {str(week): {"path": path, "trips": trips, "synthetic": summary["synthetic"]}})
    return dg.MaterializeResult(metadata={"weeks": len(weeks)})


@dg.asset(
    group_name="reports",
    partitions_def=monthly_partitions,
    backfill_policy=backfill_policy,
    deps=[
        dg.AssetDep(zone_hourly_trips, partition_mapping=_WINDOW),
        dg.AssetDep(borough_flows, partition_mapping=_WINDOW),
        taxi_zones,
    ],
    automation_condition=window_complete,
    pool=POOL,
    kinds={"duckdb", "html"},
    owners=OWNERS,
    tags={"output": "page"},
)
def monthly_report(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: FileStore, tlc: TlcSource
) -> dg.MaterializeResult:
    """`outputs/reports/YYYY-MM.html`: how New York moved in a month. One file, which opens without a network.

    Numbers beside those of the month before and the year before, trips by day, hour, zone and borough, and how good
    the data is. Automation makes it when all days are loaded; who asks for it earlier gets what is loaded, and the page
    says what is not.
    """
    from taxi_pipeline.report.figures import figures_of
    from taxi_pipeline.report.page import numbers_of, page_of

    months = [date.fromisoformat(key) for key in context.partition_keys]
    # Later months compare themselves with these.
    also = {month for key in months for month in _compared_with(key) if files.path(report_file(month)).is_file()}
    for month in sorted({*months, *also}):
        with files.locked(report_file(month)), warehouse.read() as session:
            figures = figures_of(session, month, tlc.fleets)
            path = files.write_text(report_file(month), page_of(figures))
        if month in months:
            warned = [name for name, verdict in figures.verdicts.items() if not verdict.passed]
            per_partition(
                context,
                {
                    str(month): {
                        **file_metadata(path),
                        "open": dg.MetadataValue.url(path.absolute().as_uri()),
                        "preview": markdown_table(*numbers_of(figures)),
                        "trips": figures.totals.num_trips,
                        "revenue": float(figures.totals.revenue or 0),
                        "missing_days": len(figures.missing),
                        "checks_that_warn": ", ".join(warned) or "none",
                        "synthetic": figures.synthetic,
                    }
                },
            )
    return dg.MaterializeResult(metadata={"months": len(months)})


def report_file(month: date) -> str:
    """Name of the month's report in the file store."""
    return f"outputs/reports/{month:%Y-%m}.html"


def _compared_with(month: date) -> tuple[date, date]:
    """The months whose reports compare themselves with this one: the next, and the same a year later."""
    return next_month(month), month.replace(year=month.year + 1)


def summary_file(week: date) -> str:
    """Name of the week's file in the file store."""
    return f"outputs/week_summary/{week}.json"


def summarize(session: Session, week: date, tlc: TlcSource) -> dict[str, Any]:
    """What the file of the week holds.

    Args:
        session: on the warehouse.
        week: the Sunday on which it starts.
        tlc: whose fleets are counted.

    Raises:
        EmptyWindowError: no day of the week is loaded.
    """
    days, before = _days(week), week - WEEK
    loaded = loaded_days(session, days, tlc.fleets)
    if not loaded:
        raise EmptyWindowError(f"no day of the week of {week} is loaded: materialize its days first")
    missing = sorted(not_loaded(loaded, days, tlc.fleets), key=lambda which: which[1])
    return {
        "week": str(week),
        "last_day": str(days.last),
        "missing_days": [f"{fleet} {day}" for fleet, day in missing],
        "synthetic": any(loaded.values()),
        **_totals(session, week, tlc.fleets),
        "week_before": {"week": str(before), **_totals(session, before, tlc.fleets)}
        if _is_whole(session, _days(before), tlc.fleets)
        else None,
    }


def _days(week: date) -> Days:
    return Days(week, week + WEEK - timedelta(days=1))


def _is_whole(session: Session, days: Days, fleets: Sequence[str]) -> bool:
    return not not_loaded(loaded_days(session, days, fleets), days, fleets)


def _totals(session: Session, week: date, fleets: Sequence[str]) -> dict[str, Any]:
    rows = session.rows(_TOTALS_SQL.format(fleets=placeholders(fleets)), [*fleets, week])
    by_borough = [
        {"fleet": fleet, "borough": borough, **_numbers(amounts)}
        for fleet, borough, *amounts in rows
        if fleet is not None and borough is not None
    ]
    totals = next(amounts for fleet, borough, *amounts in rows if fleet is None and borough is None)
    return {"totals": _numbers(totals), "by_fleet_and_borough": by_borough}


def _numbers(amounts: Sequence[Any]) -> dict[str, float | int]:
    """Counts as whole numbers, dollars and miles with two decimals."""
    named = dict(zip(AMOUNTS, amounts, strict=True))
    return {
        name: int(value or 0) if name in ("num_trips", "passenger_count") else round(float(value or 0), 2)
        for name, value in named.items()
    }


_TOTALS_SQL = f"""
SELECT fleet, borough, {", ".join(f"sum({amount})" for amount in AMOUNTS)}
FROM zone_hourly_trips JOIN zones ON zone_id = pickup_zone_id
WHERE fleet IN ({{fleets}}) AND {WEEK_START_SQL} = ?
GROUP BY GROUPING SETS ((fleet, borough), ())
ORDER BY fleet, borough
"""
