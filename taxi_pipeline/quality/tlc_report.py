"""The comparison of the loaded trips with the TLC's monthly report, and the months that are known to differ from it.

The TLC counts its own records, so the report is a count of the trips that does not depend on the files or on us. Where
the published files themselves differ from it, the difference is declared here with its evidence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from taxi_pipeline.differences import signed
from taxi_pipeline.tlc.aggregated_report import MonthlyReport
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import LoadedMonth
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.plausibility import MAX_PLAUSIBLE_HOURS, MAX_PLAUSIBLE_MILES
from taxi_pipeline.warehouse.sql import month_start, placeholders, seconds_between

MAX_DIFFERENCE_FROM_REPORT = 0.01
"""Largest difference of trips per day from the TLC's figure, as a share of it. Green differs by 0.05 % (2020-03) and
0.16 % (2020-04); by others' counts 140 of 147 months of yellow and 37 of 38 of fhvhv are within it."""

ROUNDING_OF_DEVIATIONS = 0.005
"""Known deviations are declared in whole percent, so half a percentage point is added to them."""

MAX_MINUTES_FROM_REPORT = 0.25
"""Largest difference of the mean duration from the TLC's figure, in minutes. Green differs by +0.11 (2020-03) and -0.20
(2020-04); by others' counts all 25 months from 2020-03 to 2022-03 are within 0.2. The figure has one decimal, so half
of that is added."""

FLEETS_WITH_MINUTES = ("yellow", "green")
"""Fleets whose mean duration is compared. The figures of for-hire vehicles are whole minutes, and no month of theirs is
at hand. Of yellow there are 10,000 rows of each of 2019-01 to 2019-03: they differ by -0.02, +0.06 and -0.14 minutes,
where 0.1 is the standard error."""


@dataclass(frozen=True)
class KnownDeviation:
    """Months of a fleet whose files are known to differ from the report."""

    fleet: str
    first: date
    """First day of the first month."""
    last: date
    """First day of the last month."""
    lowest: float
    """Smallest known difference of the file from the report, as a share of the report's figure."""
    highest: float
    """Largest known difference."""
    evidence: str

    @property
    def words(self) -> str:
        """The range as text, for example `-13% to -10%`."""
        low, high = (f"{100 * bound:+.3g}%" for bound in (self.lowest, self.highest))
        return low if low == high else f"{low} to {high}"

    def allows(self, difference: float) -> bool:
        """True if the difference is no larger than is known; a file without any difference is right, too."""
        lowest = min(self.lowest - ROUNDING_OF_DEVIATIONS, -MAX_DIFFERENCE_FROM_REPORT)
        highest = max(self.highest + ROUNDING_OF_DEVIATIONS, MAX_DIFFERENCE_FROM_REPORT)
        return lowest <= difference <= highest


_SHORT_2012 = (
    "Counted by others: the Parquet files are 10 to 13 % short. The older CSV files were whole: counts of them in "
    "public code (2012-01 14,969,132 rows, -02 14,983,521, -04 15,477,914, -05 15,567,525) are within 0.02 % of the "
    "report."
)

KNOWN_DEVIATIONS = (
    KnownDeviation("yellow", date(2012, 1, 1), date(2012, 2, 1), -0.13, -0.10, _SHORT_2012),
    KnownDeviation("yellow", date(2012, 4, 1), date(2012, 5, 1), -0.13, -0.10, _SHORT_2012),
    KnownDeviation(
        "yellow",
        date(2013, 8, 1),
        date(2013, 8, 1),
        -0.07,
        -0.07,
        "Counted by others: the Parquet file is 7 % short. A count of the older CSV file in public code (12,597,109 "
        "rows) is within 0.03 % of the report.",
    ),
    KnownDeviation(
        "green",
        date(2018, 8, 1),
        date(2020, 1, 1),
        0.02,
        0.27,
        "Counted by others: each of these months has 2 to 27 % more rows than the report.",
    ),
    KnownDeviation(
        "fhvhv",
        date(2021, 9, 1),
        date(2021, 9, 1),
        0.17,
        0.17,
        "Counted by others: 17 % more rows than the report, the only one of 38 months that differs by more than 1 %.",
    ),
    KnownDeviation(
        "fhv",
        date(2015, 1, 1),
        date(2019, 1, 1),
        -0.028,
        0.028,
        "Counted by others: the file is the sum of the report's four for-hire classes, in 38 of these 49 months within "
        "1 %, in all within 2.8 %.",
    ),
)
"""Months that differ from the report, each fleet's without overlaps. None of them is at hand as a whole month, so all
figures are those that others counted."""


def known_deviation(fleet: str, month: date) -> KnownDeviation | None:
    """Find what is declared of a fleet's month.

    Args:
        fleet: name of the fleet.
        month: its first day.
    """
    found = (each for each in KNOWN_DEVIATIONS if each.fleet == fleet and each.first <= month <= each.last)
    return next(found, None)


@dataclass(frozen=True)
class ComparedTrips:
    """A month's trips per day beside the TLC's figure."""

    fleet: str
    month: date
    ours: float
    reported: int
    known: KnownDeviation | None

    @property
    def difference(self) -> float:
        """The difference as a share of the TLC's figure."""
        return self.ours / self.reported - 1

    @property
    def is_off(self) -> bool:
        """True if the month differs by more than it is known to."""
        if self.known:
            return not self.known.allows(self.difference)
        return abs(self.difference) > MAX_DIFFERENCE_FROM_REPORT

    @property
    def words(self) -> str:
        """The difference as text, with the declared deviation where there is one."""
        known = f", known: {self.known.words}" if self.known else ""
        return f"{self.fleet} {self.month:%Y-%m} trips per day {signed(self.difference, '.2%')}{known}"


@dataclass(frozen=True)
class ComparedMinutes:
    """A month's mean duration of plausible trips beside the TLC's figure, in minutes."""

    fleet: str
    month: date
    ours: float
    reported: float

    @property
    def difference(self) -> float:
        """The difference in minutes."""
        return self.ours - self.reported

    @property
    def is_off(self) -> bool:
        """True if the means differ by more than real months do."""
        return abs(self.difference) > MAX_MINUTES_FROM_REPORT

    @property
    def words(self) -> str:
        """The difference as text."""
        return f"{self.fleet} {self.month:%Y-%m} minutes per trip {signed(self.difference, '.2f')}"


def compare_trips(months: Iterable[LoadedMonth], report: MonthlyReport) -> list[ComparedTrips]:
    """Put the trips of whole months beside the TLC's figures, where it has one."""
    return [
        ComparedTrips(month.fleet, month.first, month.trips_per_day, figure, known_deviation(month.fleet, month.first))
        for month in months
        if (figure := report.trips_per_day(month.fleet, month.first))
    ]


Minutes = Mapping[tuple[str, date], float]
"""Fleet and first day of the month → mean duration in minutes."""


def compare_minutes(minutes: Minutes, report: MonthlyReport) -> list[ComparedMinutes]:
    """Put mean durations beside the TLC's figures, where it has one."""
    return [
        ComparedMinutes(fleet, month, ours, figure)
        for (fleet, month), ours in sorted(minutes.items())
        if (figure := report.minutes_per_trip(fleet, month))
    ]


def mean_minutes(session: Session, months: Sequence[LoadedMonth]) -> dict[tuple[str, date], float]:
    """Compute the mean duration of plausible trips, from the trips themselves and not from the rollups.

    Args:
        session: the warehouse.
        months: whole months; those of other fleets than `FLEETS_WITH_MINUTES` are left out.

    Returns:
        Fleet and first day of the month → minutes.
    """
    wanted = {(month.fleet, month.first) for month in months if month.fleet in FLEETS_WITH_MINUTES}
    if not wanted:
        return {}
    firsts = sorted({month for _, month in wanted})
    sql = _MINUTES_SQL.format(fleets=placeholders(FLEETS_WITH_MINUTES), months=placeholders(firsts))
    between = [firsts[0], Days.of_month(firsts[-1]).last]
    limits = [MAX_PLAUSIBLE_MILES, MAX_PLAUSIBLE_HOURS * 3600]
    rows = session.rows(sql, [*FLEETS_WITH_MINUTES, *between, *firsts, *limits])
    return {
        (fleet, month): seconds / num_trips / 60
        for fleet, month, seconds, num_trips in rows
        if (fleet, month) in wanted
    }


_MINUTES_SQL = f"""
SELECT fleet, month, CAST(sum(seconds) AS BIGINT), count(*)
FROM (
    SELECT fleet, {month_start("pickup_date")} AS month, trip_distance,
        {seconds_between("pickup_datetime", "dropoff_datetime")} AS seconds
    FROM trips
    WHERE fleet IN ({{fleets}}) AND pickup_date BETWEEN ? AND ?
) AS timed
WHERE month IN ({{months}}) AND coalesce(trip_distance, 0) <= ? AND seconds BETWEEN 0 AND ?
GROUP BY fleet, month
"""
