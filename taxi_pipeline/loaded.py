"""What is loaded, by month: asked by the checks, and by the schedules that decide what comes next. No Dagster."""

from dataclasses import dataclass
from datetime import date

from taxi_pipeline.resources import Session
from taxi_pipeline.tlc.months import Days, days_in, month_of


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


def loaded_span(session: Session) -> Days | None:
    """The first to the last loaded day; None when nothing is loaded."""
    first, last = session.row("SELECT min(pickup_date), max(pickup_date) FROM loaded_days")
    return Days(first, last) if first else None


def loaded_months(session: Session, days: Days) -> list[LoadedMonth]:
    """The months in which these days lie, each fleet's by itself."""
    rows = session.rows(_MONTHS_SQL, [month_of(days.first), month_of(days.last)])
    return [LoadedMonth(*row) for row in rows]


_MONTHS_SQL = """
SELECT fleet, month, count(*), max(file_rows), CAST(sum(num_trips) AS BIGINT),
    (SELECT count(*) FROM rejected_trips WHERE rejected_trips.fleet = days.fleet AND rejected_trips.month = days.month),
    count(DISTINCT file_version), min(file_version)
FROM (SELECT *, CAST(date_trunc('month', pickup_date) AS DATE) AS month FROM loaded_days) AS days
WHERE month BETWEEN ? AND ?
GROUP BY fleet, month
ORDER BY fleet, month
"""
