"""The week summary: a week's totals by fleet and borough beside those of the week before, as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import EmptyWindowError, loaded_days, not_loaded
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, week_start

WEEK = timedelta(days=7)

AMOUNTS = ("num_trips", "passenger_count", "trip_distance", "fare_amount", "tip_amount", "total_amount")
"""The sums in a summary: trips, passengers, miles, and US dollars, as in `zone_hourly_trips`."""


def summary_of_week(session: Session, week: date, fleets: Sequence[str]) -> dict[str, Any]:
    """Sum up a week by fleet and borough, and the week before.

    Args:
        session: the warehouse.
        week: the Sunday on which the week starts.
        fleets: names of the fleets to count.

    Returns:
        The content of the week's JSON file.

    Raises:
        EmptyWindowError: no day of the week is loaded.
    """
    days, before = _days(week), week - WEEK
    loaded = loaded_days(session, days, fleets)
    if not loaded:
        raise EmptyWindowError(f"no day of the week of {week} is loaded: materialize its days first")
    missing = sorted(not_loaded(loaded, days, fleets), key=lambda which: which[1])
    return {
        "week": str(week),
        "last_day": str(days.last),
        "missing_days": [f"{fleet} {day}" for fleet, day in missing],
        "synthetic": any(loaded.values()),
        **_totals(session, week, fleets),
        "week_before": {"week": str(before), **_totals(session, before, fleets)}
        if _is_whole(session, _days(before), fleets)
        else None,
    }


def preview_rows(summary: Mapping[str, Any]) -> list[tuple[str, int, int | None]]:
    """List fleet, trips, and trips of the week before (None when that week is not complete) of a summary."""

    def trips(of: Mapping[str, Any]) -> Counter[str]:
        counted: Counter[str] = Counter()
        for row in of["by_fleet_and_borough"]:
            counted[row["fleet"]] += row["num_trips"]
        return counted

    now, before = trips(summary), trips(summary["week_before"]) if summary["week_before"] else None
    return [(fleet, now[fleet], None if before is None else before[fleet]) for fleet in sorted(now)]


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
    """Name the sums: counts as whole numbers, dollars and miles with two decimals."""
    named = dict(zip(AMOUNTS, amounts, strict=True))
    return {
        name: int(value or 0) if name in ("num_trips", "passenger_count") else round(float(value or 0), 2)
        for name, value in named.items()
    }


_TOTALS_SQL = f"""
SELECT fleet, borough, {", ".join(f"sum({amount})" for amount in AMOUNTS)}
FROM zone_hourly_trips JOIN zones ON zone_id = pickup_zone_id
WHERE fleet IN ({{fleets}}) AND {week_start("pickup_date")} = ?
GROUP BY GROUPING SETS ((fleet, borough), ())
ORDER BY fleet, borough
"""
