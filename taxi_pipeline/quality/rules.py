"""The rules: the conditions of unusual trips and days, and the thresholds above which they are a warning.

Conditions and thresholds, without any query; `evaluation` applies them.

Each threshold was chosen over what real months show, so that usual months pass and unusual ones are seen: green of
2020-03 and 2020-04, 2022-10 to 2023-06, 2024-01, 2024-12 and 2025-01, and yellow of 2019-01 to 2019-03 (10,000 rows of
each month). `docs/data-quality.md` has the observed values.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.zones import UNKNOWN_ZONE_ID
from taxi_pipeline.warehouse.plausibility import BACKWARDS, MAX_PLAUSIBLE_MILES, TOO_FAR
from taxi_pipeline.warehouse.sql import weekday
from taxi_pipeline.warehouse.vendor_defects import MINUTES_ARE_MONTHS


@dataclass(frozen=True)
class Defect:
    """A defect of single trips, of which each day has a few."""

    name: str
    condition: str
    """SQL over a row of `trips`."""
    max_share: float
    """Largest share of a day's trips with the defect; the day is reported above it."""
    description: str
    fleets: tuple[str, ...] = tuple(FLEETS)
    """Fleets whose days are judged."""
    coordinates: bool = True
    """True if days whose zones are derived from coordinates are judged, too."""
    follows_last_year: bool = False
    """If true, the limit comes from the fleet's last 365 days; `max_share` is used until 28 of them are loaded."""

    def judges(self, fleet: str, day: date) -> bool:
        """True if the fleet's trips of the day are judged."""
        return fleet in self.fleets and (self.coordinates or day >= FLEETS[fleet].zones_since)


DEFECTS = (
    Defect("negative_totals_are_few", "total_amount < 0", 0.02, "Refunds and voided trips: a negative total."),
    Defect(
        "passengers_are_counted",
        "passenger_count IS NULL",
        0.5,
        "Trips without a number of passengers.",
        fleets=tuple(name for name, fleet in FLEETS.items() if fleet.first_month_of("passenger_count")),
        # 6 % of green's trips in 2023, 31 % in 2020-04; by others' counts 36 to 48 % from 2020-05 to 2021-09, and
        # 27.5 % of yellow's in 2026-07: no fixed share is right for all years.
        follows_last_year=True,
    ),
    Defect(
        "zones_are_known",
        f"pickup_zone_id = {UNKNOWN_ZONE_ID} OR dropoff_zone_id = {UNKNOWN_ZONE_ID}",
        0.04,
        "Trips whose pickup or drop-off zone is not known (264).",
        # The bases of fhv leave zones out as a habit, those of before 2011 have a check of their own.
        fleets=tuple(name for name in FLEETS if name != "fhv"),
        coordinates=False,
    ),
    Defect(
        "dropoffs_follow_pickups",
        # From one to two o'clock of the first Sunday of November clocks go back: a trip may end before it began.
        f"{BACKWARDS} AND NOT ("
        "EXTRACT(MONTH FROM pickup_datetime) = 11 AND EXTRACT(DAY FROM pickup_datetime) <= 7 "
        f"AND {weekday('pickup_date')} = 0 AND EXTRACT(HOUR FROM pickup_datetime) = 1 "
        "AND CAST(dropoff_datetime AS DATE) = pickup_date AND EXTRACT(HOUR FROM dropoff_datetime) = 1) "
        f"AND NOT {MINUTES_ARE_MONTHS.applies}",
        0.0005,
        "Trips that end before they begin, but for the hour in which clocks go back, and those of a vendor whose times "
        "are known to be wrong.",
    ),
    Defect("distances_are_plausible", TOO_FAR, 0.004, f"Trips of more than {MAX_PLAUSIBLE_MILES} miles."),
)

SIGMAS = 4
"""Standard deviations of a count that random variation explains."""

MAX_SHARE_OF_OTHER_TOTALS = 0.03
"""Largest share of a fleet's trips in a month whose net parts differ from the total; the month is reported above it. Of
the real months at hand green 2020-03 has most, 1.8 %; yellow 2019-01 to -03 have 0.2 to 0.3 %."""

MIN_SHARE_PLACED = 0.95
"""Least share of a day's coordinates that lie in a zone; the day is reported below it. In 2009 and 2010 a few percent
of the pickups and drop-offs are (0, 0) or lie outside the city; no real month of these years was available when this
was chosen."""

DAYS_LOOKED_BACK = 365
"""Days before a day whose shares give the usual limit of a defect with `follows_last_year`."""
MIN_DAYS = 28
"""Least number of loaded days for a usual limit; with fewer, the limit is `max_share`."""
MIN_SPREAD = 0.02
"""Least distance between the quartiles. Shares that lie closer together are steady, and a limit close above them would
warn often."""


def usual_limit(shares: Sequence[float]) -> float | None:
    """Compute the share above which a day is unusual.

    It is Tukey's upper fence, the third quartile and one and a half times the distance between the quartiles. Up to a
    quarter of the days may be odd without an effect on it. After a lasting change a quarter of a year warns, then the
    new level is the usual one.

    Args:
        shares: share of trips with the defect on each loaded day of the year before, 0 to 1.

    Returns:
        The limit as a share; None when fewer than `MIN_DAYS` are given.
    """
    if len(shares) < MIN_DAYS:
        return None
    lower, _, upper = statistics.quantiles(shares, n=4, method="inclusive")
    return upper + 1.5 * max(upper - lower, MIN_SPREAD)


WEEKS_LOOKED_BACK = 8
MIN_WEEKS = 4
"""Least number of loaded weeks before a day; with fewer, the day is not judged."""
MAX_DEVIATION = 0.4
"""Largest deviation from the usual number of trips, as a share of it."""


def too_many(num: int, num_trips: int, max_share: float) -> bool:
    """True if the number exceeds the share of a day's trips by more than random variation explains.

    Args:
        num: trips with the defect.
        num_trips: all trips of the day.
        max_share: largest share that passes, 0 to 1.
    """
    expected = num_trips * max_share
    return num > expected + _random_variation(expected)


@dataclass(frozen=True)
class Level:
    """A day's number of trips beside the usual number on that weekday."""

    fleet: str
    day: date
    num_trips: int
    usual: float
    """Median number of trips on the same weekday of the weeks before."""

    @property
    def share(self) -> str:
        """The trips as a percentage of the usual number, in words; a dash where that is zero."""
        return f"{self.num_trips / self.usual:.0%}" if self.usual else "-"

    @property
    def is_far(self) -> bool:
        """True if the day deviates from the usual by more than `MAX_DEVIATION` and random variation."""
        return abs(self.num_trips - self.usual) > MAX_DEVIATION * self.usual + _random_variation(max(self.usual, 1))


def level(trips_of: Mapping[tuple[str, date], int], fleet: str, day: date) -> Level | None:
    """Compare a day with the same weekday of the weeks before.

    The median is robust: one blizzard or holiday among the eight weeks does not move it.

    Args:
        trips_of: fleet and day → trips, for loaded days.
        fleet: name of the fleet.
        day: the day to judge.

    Returns:
        The comparison; None when fewer than `MIN_WEEKS` of the weeks are loaded.
    """
    before = [trips_of.get((fleet, day - timedelta(weeks=n))) for n in range(1, WEEKS_LOOKED_BACK + 1)]
    known = [trips for trips in before if trips is not None]
    if len(known) < MIN_WEEKS:
        return None
    return Level(fleet, day, trips_of[fleet, day], statistics.median(known))


def _random_variation(expected: float) -> float:
    """So many standard deviations of a count with this mean."""
    return SIGMAS * math.sqrt(expected)
