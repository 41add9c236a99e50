"""The weekly tables `trips_by_week.csv` and `trips_by_week_by_fleet.csv`: their queries and their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taxi_pipeline.warehouse.coverage import Coverage, coverage_of
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, week_start
from taxi_pipeline.warehouse.tables import TRIPS_BY_WEEK

WEEK_HEADER = TRIPS_BY_WEEK.column_names
FLEET_WEEK_HEADER = ("period", "fleet", *WEEK_HEADER[1:])


@dataclass(frozen=True)
class Weeks:
    """The rows of the weekly tables, as the CSV spells them."""

    all_fleets: Sequence[Sequence[str]]
    by_fleet: Sequence[Sequence[str]]
    """The rows by fleet; empty with one fleet only."""
    coverage: Coverage


def weekly_totals(session: Session, fleets: Sequence[str]) -> Weeks:
    """Sum up the weeks that have trips, of all these fleets together and of each by itself.

    Args:
        session: the warehouse.
        fleets: names of the fleets to count.
    """
    by_fleet = _weeks(session, "period, fleet", fleets) if len(fleets) > 1 else []
    return Weeks(_weeks(session, "period", fleets), by_fleet, coverage_of(session, fleets))


def week_row(*week: Any) -> list[str]:
    """Write a week as a row of the CSV: counts whole, dollars and miles with two decimals.

    Args:
        week: its Sunday, the fleet in the file by fleet, trips, dollars, miles, passengers.
    """
    *keys, num_trips, total_amount, trip_distance, passenger_count = week
    return [
        *map(str, keys),
        str(int(num_trips)),
        f"{total_amount:.2f}",
        f"{trip_distance:.2f}",
        str(int(passenger_count)),
    ]


def _weeks(session: Session, keys: str, fleets: Sequence[str]) -> list[list[str]]:
    sql = _WEEKS_SQL.format(keys=keys, fleets=placeholders(fleets))
    return [week_row(*week) for week in session.rows(sql, fleets)]


_WEEKS_SQL = f"""
SELECT {{keys}}, sum(num_trips), sum(total_amount), sum(trip_distance), sum(passenger_count)
FROM (SELECT *, {week_start("pickup_date")} AS period FROM zone_hourly_trips) AS hourly
WHERE fleet IN ({{fleets}})
GROUP BY {{keys}}
ORDER BY {{keys}}
"""
