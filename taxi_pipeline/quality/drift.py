"""Drift: how far the distributions of a fleet's month are from those of the same month a year before.

The distance is the population stability index over the bins of `trip_histograms`: the sum of (p - q) ln(p / q) over the
shares p and q of the trips in each bin. It is 0 for equal distributions, and has no unit, so that fares and speeds can
be judged by one limit. Here is the arithmetic; the check is in `evaluation`, the charts are in the monthly report.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from taxi_pipeline.tlc.months import Days, month_of, year_before
from taxi_pipeline.warehouse.coverage import loaded_months
from taxi_pipeline.warehouse.histograms import MEASURES, NO_VALUE, Measure
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import month_start

MAX_INDEX = 0.1
"""Largest index that is called steady. By convention (N. Siddiqi, Credit Risk Scorecards, 2006) 0.1 is a small change
and 0.25 a large one. Of green, 2024-01 and 2025-01 are at most 0.023 from the year before, and 2020-04, when the city
stood still, is up to 0.66 from 2023-04."""

_LEAST_SHARE = 0.0001
"""Share that counts for a bin without trips, because the logarithm of nothing is none."""

Counts = Mapping[int, int]
"""Bin → number of trips."""


@dataclass(frozen=True)
class Drift:
    """A measure of a fleet's month beside the same month a year before."""

    fleet: str
    month: date
    measure: Measure
    now: Counts
    then: Counts

    @property
    def index(self) -> float:
        """The population stability index."""
        return sum((now - then) * math.log(now / then) for now, then in self._shares.values())

    @property
    def limit(self) -> float:
        """The index above which the distribution has changed: what random samples differ by is added to the limit.

        The index of two samples of one distribution is (1/n + 1/m) times a chi-squared variable with as many degrees of
        freedom as there are bins, less one (B. Yurdakul, Statistical Properties of the Population Stability Index,
        2018). Its mean and two standard deviations are allowed.
        """
        freedom = max(len(self._shares) - 1, 0)
        scale = 1 / sum(self.now.values()) + 1 / sum(self.then.values())
        return MAX_INDEX + scale * (freedom + 2 * math.sqrt(2 * freedom))

    @property
    def has_changed(self) -> bool:
        """True if the index is above the limit."""
        return self.index > self.limit

    @property
    def words(self) -> str:
        """The bin whose share changed most, for example `25 to 30: 5.1 % before, 9.3 % now`."""
        bin_, (now, then) = max(self._shares.items(), key=lambda item: (abs(item[1][0] - item[1][1]), -item[0]))
        return f"{self.measure.words(bin_)}: {then:.1%} before, {now:.1%} now"

    @property
    def _shares(self) -> dict[int, tuple[float, float]]:
        """Bin → its shares now and then, of the bins that one of the two has."""
        num_now, num_then = sum(self.now.values()), sum(self.then.values())
        return {
            bin_: (
                max(self.now.get(bin_, 0) / num_now, _LEAST_SHARE),
                max(self.then.get(bin_, 0) / num_then, _LEAST_SHARE),
            )
            for bin_ in sorted({*self.now, *self.then})
        }


def drifts(session: Session, days: Days) -> list[Drift]:
    """Compare the months of these days with the year before: those that are whole, and whose month before is, too.

    A measure that nearly no trip of both months has is left out. One that only one of them has is compared: trips
    without it are a bin of their own.

    Args:
        session: the warehouse.
        days: any days.

    Returns:
        The comparisons, sorted by fleet, month and measure.
    """
    span = Days(year_before(month_of(days.first)), Days.of_month(days.last).last)
    whole = {(each.fleet, each.first) for each in loaded_months(session, span) if each.is_whole and each.num_trips}
    months = sorted(
        (fleet, month)
        for fleet, month in whole
        if month >= month_of(days.first) and (fleet, year_before(month)) in whole
    )
    if not months:
        return []
    counts = _counts(session, span)
    compared = (
        Drift(fleet, month, measure, counts.get((fleet, month, measure.name), {}), before)
        for fleet, month in months
        for measure in MEASURES.values()
        if (before := counts.get((fleet, year_before(month), measure.name)))
    )
    return [each for each in compared if each.now and (_is_published(each.now) or _is_published(each.then))]


def histograms_of(session: Session, month: date, fleets: Iterable[str]) -> dict[str, dict[str, Counts]]:
    """Fleet → measure → bin → trips, of the loaded days of a month; without measures that the fleet does not have."""
    counts = _counts(session, Days.of_month(month))
    return {
        fleet: {name: bins for name in MEASURES if (bins := counts.get((fleet, month, name))) and _is_published(bins)}
        for fleet in fleets
    }


MIN_SHARE_PUBLISHED = 0.01
"""Least share of the trips of a month that have a measure; below it the measure is not shown."""


def _is_published(bins: Counts) -> bool:
    num_trips = sum(bins.values())
    return num_trips - bins.get(NO_VALUE, 0) > MIN_SHARE_PUBLISHED * num_trips


def _counts(session: Session, days: Days) -> dict[tuple[str, date, str], dict[int, int]]:
    counts: dict[tuple[str, date, str], dict[int, int]] = {}
    rows: Sequence[tuple[str, date, str, int, int]] = session.rows(_COUNTS_SQL, [days.first, days.last])
    for fleet, month, measure, bin_, num_trips in rows:
        counts.setdefault((fleet, month, measure), {})[bin_] = num_trips
    return counts


_COUNTS_SQL = f"""
SELECT fleet, {month_start("pickup_date")} AS month, measure, bin, CAST(sum(num_trips) AS BIGINT)
FROM trip_histograms
WHERE pickup_date BETWEEN ? AND ?
GROUP BY fleet, {month_start("pickup_date")}, measure, bin
ORDER BY fleet, month, measure, bin
"""
