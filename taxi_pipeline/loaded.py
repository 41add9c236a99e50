"""What is loaded, by day and by month: asked by checks, reports, and schedules that decide what is next. No Dagster."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import date

from taxi_pipeline.session import Session, placeholders
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, days_in, month_of
from taxi_pipeline.tlc.zones import UNKNOWN_ZONE_ID


@dataclass(frozen=True)
class LoadedMonth:
    """What is loaded of a fleet's month."""

    fleet: str
    first: date
    num_days: int
    file_rows: int
    num_trips: int
    num_rejected: int
    """Rows in `rejected_trips`."""
    num_versions: int
    """Versions of the published file that its days come from."""
    file_version: str
    """SHA-256 of the published file; of one of them when there are several."""

    @property
    def is_whole(self) -> bool:
        """Whether all days of the month are loaded."""
        return self.num_days == days_in(self.first)

    @property
    def trips_per_day(self) -> float:
        """On average over the loaded days."""
        return self.num_trips / self.num_days


class EmptyWindowError(RuntimeError):
    """A file of a week or month was asked for of which no day is loaded."""


def loaded_days(session: Session, days: Days, fleets: Sequence[str]) -> dict[tuple[str, date], bool]:
    """Fleet and day that are loaded, of these → whether they are synthetic."""
    rows = session.rows(
        "SELECT fleet, pickup_date, synthetic FROM loaded_days "
        f"WHERE pickup_date BETWEEN ? AND ? AND fleet IN ({placeholders(fleets)})",
        [days.first, days.last, *fleets],
    )
    return {(fleet, day): synthetic for fleet, day, synthetic in rows}


def not_loaded(loaded: Container[tuple[str, date]], days: Days, fleets: Sequence[str]) -> list[tuple[str, date]]:
    """Fleets and days that are not loaded, of those that the TLC publishes; fleet by fleet."""
    return [
        (fleet, day)
        for fleet in fleets
        for day in days
        if FLEETS[fleet].first_month <= day and (fleet, day) not in loaded
    ]


def loaded_span(session: Session) -> Days | None:
    """The first to the last loaded day; None when nothing is loaded."""
    first, last = session.row("SELECT min(pickup_date), max(pickup_date) FROM loaded_days")
    return Days(first, last) if first else None


def loaded_months(session: Session, days: Days) -> list[LoadedMonth]:
    """The months in which these days lie, each fleet's by itself."""
    rows = session.rows(_MONTHS_SQL, [month_of(days.first), month_of(days.last)])
    return [LoadedMonth(*row) for row in rows]


@dataclass(frozen=True)
class PlacedDay:
    """How well a fleet's coordinates of a day could be placed."""

    fleet: str
    day: date
    num_ends: int
    """Pickups and drop-offs."""
    num_placed: int
    """Those that lie in a zone."""


def placed_days(session: Session, days: Days) -> list[PlacedDay]:
    """Of these days those with trips whose zones are derived from coordinates."""
    return [
        PlacedDay(*row)
        for fleet in FLEETS.values()
        if days.first < fleet.zones_since
        for row in session.rows(_PLACED_SQL, [fleet.name, days.first, days.last, fleet.zones_since])
    ]


def share_placed(days: Sequence[PlacedDay]) -> float | None:
    """The share of pickups and drop-offs that lie in a zone; None when there are none."""
    num_ends = sum(day.num_ends for day in days)
    return sum(day.num_placed for day in days) / num_ends if num_ends else None


_PLACED_SQL = f"""
SELECT fleet, pickup_date, 2 * count(*), count(*) FILTER (pickup_zone_id <> {UNKNOWN_ZONE_ID})
    + count(*) FILTER (dropoff_zone_id <> {UNKNOWN_ZONE_ID})
FROM trips
WHERE fleet = ? AND pickup_date BETWEEN ? AND ? AND pickup_date < ?
GROUP BY fleet, pickup_date
ORDER BY fleet, pickup_date
"""

_MONTHS_SQL = """
SELECT fleet, month, count(*), max(file_rows), CAST(sum(num_trips) AS BIGINT),
    (SELECT count(*) FROM rejected_trips WHERE rejected_trips.fleet = days.fleet AND rejected_trips.month = days.month),
    count(DISTINCT file_version), min(file_version)
FROM (SELECT *, CAST(date_trunc('month', pickup_date) AS DATE) AS month FROM loaded_days) AS days
WHERE month BETWEEN ? AND ?
GROUP BY fleet, month
ORDER BY fleet, month
"""
