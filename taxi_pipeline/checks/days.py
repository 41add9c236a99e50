"""Which days and months a check looks at: those of its run, or all that are loaded when it runs by itself."""

from dataclasses import dataclass
from datetime import date

import dagster as dg

from taxi_pipeline.partitions import days_of_run
from taxi_pipeline.resources import Session
from taxi_pipeline.tlc.months import Days, month_of, next_month


def days_of_check(context: dg.AssetCheckExecutionContext, session: Session) -> Days | None:
    """The days of the check's run; all loaded ones when it has none; None when nothing is loaded."""
    if days := days_of_run(context):
        return days
    first, last = session.row("SELECT min(pickup_date), max(pickup_date) FROM loaded_days")
    return Days(first, last) if first else None


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

    @property
    def is_whole(self) -> bool:
        """Whether all days of the month are loaded."""
        return self.num_days == (next_month(self.first) - self.first).days

    @property
    def trips_per_day(self) -> float:
        """On average over the loaded days."""
        return self.num_trips / self.num_days


def loaded_months(session: Session, days: Days) -> list[LoadedMonth]:
    """The months in which these days lie, each fleet's by itself."""
    rows = session.rows(_MONTHS_SQL, [month_of(days.first), month_of(days.last)])
    return [LoadedMonth(*row) for row in rows]


_MONTHS_SQL = """
SELECT fleet, month, count(*), max(file_rows), CAST(sum(num_trips) AS BIGINT),
    (SELECT count(*) FROM rejected_trips WHERE rejected_trips.fleet = days.fleet AND rejected_trips.month = days.month),
    count(DISTINCT file_version)
FROM (SELECT *, CAST(date_trunc('month', pickup_date) AS DATE) AS month FROM loaded_days) AS days
WHERE month BETWEEN ? AND ?
GROUP BY fleet, month
ORDER BY fleet, month
"""
