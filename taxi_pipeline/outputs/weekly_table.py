"""The weekly tables `trips_by_week.csv`, `…_by_fleet.csv`, `…_net.csv` and `…_days.csv`.

The first two have totals as published. Their columns are a contract, so others say what is net of voids, and how many
days of each week are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.warehouse.coverage import Coverage, coverage_of
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, week_start
from taxi_pipeline.warehouse.tables import TRIPS_BY_WEEK

WEEK_HEADER = TRIPS_BY_WEEK.column_names
FLEET_WEEK_HEADER = ("period", "fleet", *WEEK_HEADER[1:])
ALL_FLEETS = "all"
"""What stands for all fleets together in the column `fleet`; it sorts before their names."""
WEEK_DAYS_HEADER = ("period", "fleet", "num_days", "num_missing")


@dataclass(frozen=True)
class Weeks:
    """The rows of the weekly tables, as the CSV spells them."""

    all_fleets: Sequence[Sequence[str]]
    by_fleet: Sequence[Sequence[str]]
    """The rows by fleet; empty with one fleet only."""
    net: Sequence[Sequence[str]]
    """The weeks without both rows of each void, by fleet, and as fleet `all` of all of them together."""
    days: Sequence[Sequence[str]]
    """Week, fleet, number of its days that are loaded, and that are not; of weeks of which any day is loaded."""
    coverage: Coverage

    @property
    def partial(self) -> list[str]:
        """Weeks of which a day of any fleet is not loaded."""
        return sorted({week for week, _, _, missing in self.days if missing != "0"})


def weekly_totals(session: Session, fleets: Sequence[str]) -> Weeks:
    """Sum up the weeks that have trips, of all these fleets together and of each by itself.

    Args:
        session: the warehouse.
        fleets: names of the fleets to count.
    """
    by_fleet = _weeks(session, "period, fleet", fleets, _WEEKS_SQL) if len(fleets) > 1 else []
    return Weeks(
        all_fleets=_weeks(session, "period", fleets, _WEEKS_SQL),
        by_fleet=by_fleet,
        net=sorted(
            [
                *([week, ALL_FLEETS, *totals] for week, *totals in _weeks(session, "period", fleets, _NET_WEEKS_SQL)),
                *_weeks(session, "period, fleet", fleets, _NET_WEEKS_SQL),
            ]
        ),
        days=_days(session, fleets),
        coverage=coverage_of(session, fleets),
    )


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


def _weeks(session: Session, keys: str, fleets: Sequence[str], sql: str) -> list[list[str]]:
    statement = sql.format(keys=keys, fleets=placeholders(fleets))
    return [week_row(*week) for week in session.rows(statement, fleets)]


def _days(session: Session, fleets: Sequence[str]) -> list[list[str]]:
    counted = {
        (week, fleet): days for week, fleet, days in session.rows(_DAYS_SQL.format(fleets=placeholders(fleets)), fleets)
    }
    return [
        [str(week), fleet, str(num_days), str(_published_days(week, fleet) - num_days)]
        for week in sorted({week for week, _ in counted})
        for fleet in sorted(fleets)
        if _published_days(week, fleet)
        for num_days in [counted.get((week, fleet), 0)]
    ]


def _published_days(week: date, fleet: str) -> int:
    """The number of days of a week since the fleet's first month: 7, but for weeks in which the fleet began."""
    return sum(FLEETS[fleet].first_month <= week + timedelta(days=n) for n in range(7))


_DAYS_SQL = f"""
SELECT period, fleet, count(*)
FROM (SELECT *, {week_start("pickup_date")} AS period FROM loaded_days) AS days
WHERE fleet IN ({{fleets}})
GROUP BY period, fleet
"""

_HOURLY_SQL = (
    "SELECT fleet, pickup_date, num_trips, total_amount, trip_distance, passenger_count FROM zone_hourly_trips"
)
_NET_HOURLY_SQL = f"""
{_HOURLY_SQL}
UNION ALL
SELECT fleet, pickup_date, -num_trips, -total_amount, -trip_distance, -passenger_count FROM zone_hourly_voids
"""


def _weeks_sql(hourly: str) -> str:
    return f"""
SELECT {{keys}}, sum(num_trips), sum(total_amount), sum(trip_distance), sum(passenger_count)
FROM (SELECT *, {week_start("pickup_date")} AS period FROM ({hourly}) AS hourly) AS hourly
WHERE fleet IN ({{fleets}})
GROUP BY {{keys}}
HAVING sum(num_trips) > 0
ORDER BY {{keys}}
"""


_WEEKS_SQL = _weeks_sql("SELECT * FROM zone_hourly_trips")
_NET_WEEKS_SQL = _weeks_sql(_NET_HOURLY_SQL)
