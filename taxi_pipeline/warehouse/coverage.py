"""Coverage: the loaded days and months. Checks, reports and the refresh plan read it.

Each function takes a session and returns plain values; none changes a table.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.zones import UNKNOWN_ZONE_ID
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import month_start, placeholders
from taxi_pipeline.warehouse.tables import NUM_PUBLISHED_COLUMNS, Table


@dataclass(frozen=True)
class LoadedMonth:
    """The loaded part of a fleet's month."""

    fleet: str
    first: date
    num_days: int
    file_rows: int
    num_trips: int
    num_rejected: int
    """Rows in `rejected_trips`."""
    num_versions: int
    """Number of versions of the published file that its days come from."""
    file_version: str
    """SHA-256 of the published file; of one of them when there are several."""

    @property
    def is_whole(self) -> bool:
        """True if all days of the month are loaded."""
        return self.num_days == Days.of_month(self.first).num_days

    @property
    def trips_per_day(self) -> float:
        """Mean trips per loaded day."""
        return self.num_trips / self.num_days


class EmptyWindowError(TaxiPipelineError):
    """No day of a week or month is loaded, so no output can be made of it."""


def loaded_days(session: Session, days: Days, fleets: Sequence[str]) -> dict[tuple[str, date], bool]:
    """Fleet and day → whether the trips are synthetic, for those of these days and fleets that are loaded."""
    rows = session.rows(
        "SELECT fleet, pickup_date, synthetic FROM loaded_days "
        f"WHERE pickup_date BETWEEN ? AND ? AND fleet IN ({placeholders(fleets)})",
        [days.first, days.last, *fleets],
    )
    return {(fleet, day): synthetic for fleet, day, synthetic in rows}


def not_loaded(loaded: Container[tuple[str, date]], days: Days, fleets: Sequence[str]) -> list[tuple[str, date]]:
    """List the fleets and days that are published and not loaded, fleet by fleet."""
    return [
        (fleet, day)
        for fleet in fleets
        for day in days
        if FLEETS[fleet].first_month <= day and (fleet, day) not in loaded
    ]


def is_synthetic(session: Session) -> bool:
    """True if the loaded trips are generated; synthetic and real ones never come together."""
    return session.row("SELECT count(*) FROM loaded_days WHERE synthetic")[0] > 0


def warehouse_version(session: Session) -> int:
    """The number of writes to the warehouse."""
    return session.row("SELECT version FROM warehouse_version")[0]


@dataclass(frozen=True)
class Coverage:
    """The days of some fleets that an output counts."""

    fleets: Sequence[str]
    first_day: date | None
    last_day: date | None
    num_days: int
    synthetic: bool
    version: int
    """`warehouse_version` when the days were read."""

    def as_json(self) -> dict[str, Any]:
        """The member `coverage` of the outputs: days as ISO text or None, without the version."""
        return {
            "fleets": list(self.fleets),
            "first_day": self.first_day and str(self.first_day),
            "last_day": self.last_day and str(self.last_day),
            "num_days": self.num_days,
            "synthetic": self.synthetic,
        }


def coverage_of(session: Session, fleets: Sequence[str]) -> Coverage:
    """Find the loaded days of these fleets."""
    first, last, num_days = session.row(
        "SELECT min(pickup_date), max(pickup_date), count(DISTINCT pickup_date) "
        f"FROM loaded_days WHERE fleet IN ({placeholders(fleets)})",
        fleets,
    )
    return Coverage(fleets, first, last, num_days, is_synthetic(session), warehouse_version(session))


@dataclass(frozen=True)
class FleetCoverage:
    """The loaded days and trips of a fleet."""

    first_day: date
    last_day: date
    num_days: int
    num_trips: int
    file_version: str
    """SHA-256 of the file of the newest day."""

    @property
    def num_missing(self) -> int:
        """Number of days between the first and the last that are not loaded."""
        return Days(self.first_day, self.last_day).num_days - self.num_days


def coverage_by_fleet(session: Session) -> dict[str, FleetCoverage]:
    """Fleet → its loaded days and trips, for fleets of which any day is loaded."""
    return {fleet: FleetCoverage(*rest) for fleet, *rest in session.rows(_FLEETS_SQL)}


LACKS_COLUMNS = f"coalesce(num_columns, 0) < {NUM_PUBLISHED_COLUMNS}"
"""SQL over a row of `loaded_days`: whether the day was loaded before `trips` had all of today's columns."""


def outdated_months(session: Session) -> dict[str, list[date]]:
    """Fleet → its months with days that were loaded before `trips` had all of today's columns."""
    month = month_start("pickup_date")
    rows = session.rows(
        f"SELECT fleet, {month} AS month FROM loaded_days WHERE {LACKS_COLUMNS} GROUP BY fleet, {month} "
        "ORDER BY fleet, month"
    )
    months: dict[str, list[date]] = {}
    for fleet, month in rows:
        months.setdefault(fleet, []).append(month)
    return months


def newest_days(session: Session) -> dict[str, date]:
    """Fleet → its newest loaded day."""
    return dict(session.rows("SELECT fleet, max(pickup_date) FROM loaded_days GROUP BY fleet"))


def loaded_totals(session: Session, days: Days) -> list[tuple[str, int, int, int]]:
    """List each fleet's name, the number of these days that are loaded, their trips and their rejected rows."""
    return [
        (fleet, num_days, num_trips, num_rejected)
        for fleet, num_days, num_trips, num_rejected in session.rows(_TOTALS_SQL, [days.first, days.last])
    ]


def loaded_span(session: Session) -> Days | None:
    """The first to the last loaded day; None when nothing is loaded."""
    first, last = session.row("SELECT min(pickup_date), max(pickup_date) FROM loaded_days")
    return Days(first, last) if first else None


def loaded_months(session: Session, days: Days) -> list[LoadedMonth]:
    """Describe the months in which these days lie, each fleet's by itself."""
    rows = session.rows(_MONTHS_SQL, [month_of(days.first), month_of(days.last)])
    return [LoadedMonth(*row) for row in rows]


def rejected_rows(session: Session, days: Days) -> int:
    """Count the rows that are rejected with these days, of all fleets."""
    return session.row(
        "SELECT CAST(coalesce(sum(num_rejected), 0) AS BIGINT) FROM loaded_days WHERE pickup_date BETWEEN ? AND ?",
        [days.first, days.last],
    )[0]


@dataclass(frozen=True)
class DailyTable:
    """The content of a table that is loaded by days."""

    num_rows: int
    """Number of rows of all days."""
    rows_per_day: Mapping[date, int]
    """Day → number of rows, for the days in question; a day without rows is missing."""
    synthetic: bool
    first_rows: Sequence[tuple[Any, ...]]
    """The first rows of the first day in question."""


def daily_table(session: Session, table: Table, days: Days, num_first_rows: int) -> DailyTable:
    """Look at a table that has a column `pickup_date`, for these days."""
    columns = ", ".join(table.column_names)
    counted = session.rows(
        f"SELECT pickup_date, count(*) FROM {table.name} WHERE pickup_date BETWEEN ? AND ? GROUP BY pickup_date",
        [days.first, days.last],
    )
    return DailyTable(
        num_rows=session.row(f"SELECT count(*) FROM {table.name}")[0],
        rows_per_day=dict(counted),
        synthetic=is_synthetic(session),
        first_rows=session.rows(
            f"SELECT {columns} FROM {table.name} WHERE pickup_date = ? ORDER BY {columns} LIMIT {num_first_rows}",
            [days.first],
        ),
    )


@dataclass(frozen=True)
class PlacedDay:
    """The number of a fleet's coordinates that could be placed in a zone, on one day."""

    fleet: str
    day: date
    num_ends: int
    """Number of pickups and drop-offs."""
    num_placed: int
    """Number of pickups and drop-offs that lie in a zone."""


def placed_days(session: Session, days: Days) -> list[PlacedDay]:
    """Find the days whose trips have zones derived from coordinates."""
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
SELECT fleet, pickup_date, 2 * count(*), count(*) FILTER (WHERE pickup_zone_id <> {UNKNOWN_ZONE_ID})
    + count(*) FILTER (WHERE dropoff_zone_id <> {UNKNOWN_ZONE_ID})
FROM trips
WHERE fleet = ? AND pickup_date BETWEEN ? AND ? AND pickup_date < ?
GROUP BY fleet, pickup_date
ORDER BY fleet, pickup_date
"""

_MONTHS_SQL = f"""
SELECT fleet, month, num_days, file_rows, num_trips, coalesce(num_rejected, 0), num_versions, file_version
FROM (
    SELECT fleet, month, count(*) AS num_days, max(file_rows) AS file_rows,
        CAST(sum(num_trips) AS BIGINT) AS num_trips,
        count(DISTINCT file_version) AS num_versions, min(file_version) AS file_version
    FROM (SELECT *, {month_start("pickup_date")} AS month FROM loaded_days) AS days
    WHERE month BETWEEN ? AND ?
    GROUP BY fleet, month
) AS loaded
LEFT JOIN (
    SELECT fleet, month, count(*) AS num_rejected FROM rejected_trips GROUP BY fleet, month
) AS rejected USING (fleet, month)
ORDER BY fleet, month
"""

_FLEETS_SQL = """
SELECT spans.fleet, first_day, last_day, num_days, trips, file_version
FROM (
    SELECT fleet, min(pickup_date) AS first_day, max(pickup_date) AS last_day, count(*) AS num_days,
        CAST(sum(num_trips) AS BIGINT) AS trips
    FROM loaded_days
    GROUP BY fleet
) AS spans
JOIN loaded_days ON loaded_days.fleet = spans.fleet AND loaded_days.pickup_date = spans.last_day
"""

_TOTALS_SQL = """
SELECT fleet, count(*), CAST(sum(num_trips) AS BIGINT), CAST(sum(num_rejected) AS BIGINT)
FROM loaded_days
WHERE pickup_date BETWEEN ? AND ?
GROUP BY fleet
ORDER BY fleet
"""
