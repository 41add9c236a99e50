"""The rows of the datasets that are made out of the warehouse: one function for each dataset, for a fleet's month."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from taxi_pipeline.datasets.columns import MARKET_SHARES, ZONE_HOURS
from taxi_pipeline.datasets.encoding import frame_of
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.companies import WITH_COMPANY
from taxi_pipeline.warehouse.coverage import loaded_days, loaded_totals, not_loaded
from taxi_pipeline.warehouse.interface import Session

if TYPE_CHECKING:
    import pandas as pd


def zone_hours_of(session: Session, fleet: str, month: date) -> "pd.DataFrame":
    """Count the trips of a fleet's month by day, hour and pickup zone.

    Args:
        session: the warehouse.
        fleet: name of the fleet.
        month: first day of the month.

    Returns:
        A frame with the columns of `ZONE_HOURS`, one row for each hour of a zone with trips. Days that are not loaded
        have no rows.
    """
    days = Days.of_month(month)
    return frame_of(ZONE_HOURS, fleet, session.rows(_ZONE_HOURS_SQL, [fleet, days.first, days.last]))


def market_shares_of(session: Session, fleet: str, month: date, fleets: Sequence[str]) -> "pd.DataFrame":
    """Count the trips of a fleet's month by company.

    Args:
        session: the warehouse.
        fleet: name of the fleet.
        month: first day of the month.
        fleets: the fleets whose trips together make 100 % in the column of the share of all trips.

    Returns:
        A frame with the columns of `MARKET_SHARES`, one row for each company with trips on the loaded days.
    """
    days = Days.of_month(month)
    which = [fleet, days.first, days.last]
    rows = session.rows(_COMPANIES_SQL, which)
    num_void_rows = session.row(_VOIDS_SQL, which)[0]  # none of them has a company: only taxis publish voids
    num_trips = sum(row[1] for row in rows)
    num_all = _num_trips(session, days, fleets)
    shares = [
        (month, company, trips, trips - num_void_rows, amount, trips / num_trips, trips / num_all if num_all else None)
        for company, trips, amount in rows
    ]
    return frame_of(MARKET_SHARES, fleet, shares)


def missing_days(session: Session, fleet: str, month: date) -> list[date]:
    """List the days of a fleet's month that are published and not loaded."""
    days = Days.of_month(month)
    return [day for _, day in not_loaded(loaded_days(session, days, [fleet]), days, [fleet])]


def _num_trips(session: Session, days: Days, fleets: Sequence[str]) -> int | None:
    """Count the trips of all these fleets; None when a day of one of them is not loaded."""
    if not_loaded(loaded_days(session, days, fleets), days, fleets):
        return None
    return sum(num_trips for fleet, _, num_trips, _ in loaded_totals(session, days) if fleet in fleets)


_ZONE_HOURS_SQL = """
SELECT pickup_date, pickup_hour, pickup_zone_id, zone, borough, num_trips, passenger_count, trip_distance, fare_amount,
    tip_amount, total_amount
FROM zone_hourly_trips
JOIN zones ON zone_id = pickup_zone_id
WHERE fleet = ? AND pickup_date BETWEEN ? AND ?
ORDER BY pickup_date, pickup_hour, pickup_zone_id
"""

_VOIDS_SQL = """
SELECT CAST(coalesce(sum(num_trips), 0) AS BIGINT)
FROM zone_hourly_voids
WHERE fleet = ? AND pickup_date BETWEEN ? AND ?
"""

_COMPANIES_SQL = f"""
SELECT coalesce(of_company, 'all') AS company, count(*) AS num_trips, sum(total_amount)
FROM {WITH_COMPANY}
WHERE fleet = ? AND pickup_date BETWEEN ? AND ?
GROUP BY of_company
ORDER BY num_trips DESC, company
"""
