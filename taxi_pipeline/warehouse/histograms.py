"""The measures of a trip whose distributions a load counts, their bins, and SQL for both.

The table `trip_histograms` is declared in `tables` and filled in `rollups`; how far two histograms are apart is in
`quality.drift`. The bounds are fixed, so that any two days, months and fleets can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from taxi_pipeline.tlc.codes import CREDIT_CARD
from taxi_pipeline.warehouse.sql import seconds_between
from taxi_pipeline.warehouse.vendor_defects import DURATION_SECONDS, FARE

NO_VALUE = -1
"""Bin of the trips that do not have the measure."""


@dataclass(frozen=True)
class Measure:
    """A number that trips have, and the bounds of the bins in which they are counted."""

    name: str
    title: str
    unit: str
    value: str
    """SQL for the number over a row of `trips`; NULL where the trip does not have it."""
    bounds: Sequence[float]
    """Ascending, in the unit. Bin 0 is below the first, bin n is from the nth bound on, below the next."""
    fleets: Sequence[str] = ("yellow", "green", "fhvhv")
    """Fleets whose files have the columns that the number comes from."""
    is_whole: bool = False
    """True for whole numbers, whose bins between two bounds hold one number each."""

    @property
    def bin(self) -> str:
        """SQL for the bin, over a row that has the number under the measure's name; never NULL."""
        below = " ".join(f"WHEN {self.name} < {bound} THEN {bin_}" for bin_, bound in enumerate(self.bounds))
        return f"CASE WHEN {self.name} IS NULL THEN {NO_VALUE} {below} ELSE {len(self.bounds)} END"

    def range_of(self, bin_: int) -> tuple[float | None, float | None]:
        """The range of a bin of known numbers: from the first number to the second; None where it has no end."""
        first = self.bounds[bin_ - 1] if bin_ else None
        if bin_ == len(self.bounds):
            return first, None
        return first, first if self.is_whole and bin_ else self.bounds[bin_]

    def words(self, bin_: int) -> str:
        """The range of a bin as text, for example `5 to 10`."""
        if bin_ == NO_VALUE:
            return "not known"
        first, last = self.range_of(bin_)
        if first is None:
            return f"below {last:g}"
        if last is None:
            return f"{first:g} and more"
        return f"{first:g}" if first == last else f"{first:g} to {last:g}"


def median_bin(counts: Mapping[int, int]) -> int | None:
    """The bin that holds the median of the trips that have the measure; None where no trip has it.

    Args:
        counts: bin → number of trips. Of an even number the lower of the two in the middle is the median.
    """
    known = sorted((bin_, trips) for bin_, trips in counts.items() if bin_ != NO_VALUE and trips)
    half = (sum(trips for _, trips in known) + 1) // 2
    below = accumulate(trips for _, trips in known)
    return next((bin_ for (bin_, _), so_far in zip(known, below, strict=True) if so_far >= half), None)


_MINUTES = f"CAST({DURATION_SECONDS} AS DOUBLE) / 60"
_WAIT = f"CAST({seconds_between('request_datetime', 'pickup_datetime')} AS DOUBLE) / 60"

_MEASURES = (
    Measure("fare_amount", "Fare", "US dollars", FARE, (0, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 40, 50, 70, 100)),
    Measure(
        "trip_distance",
        "Distance",
        "miles",
        "trip_distance",
        (0.01, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 50),
    ),
    Measure(
        "duration_minutes",
        "Duration by the clock",
        "minutes",
        _MINUTES,
        (0, 2, 5, 7.5, 10, 15, 20, 25, 30, 40, 60, 90, 360),
        fleets=("yellow", "green", "fhv", "fhvhv"),
    ),
    Measure(
        "miles_per_hour",
        "Speed",
        "miles an hour",
        f"CASE WHEN trip_distance > 0 AND {DURATION_SECONDS} > 0 "
        f"THEN CAST(trip_distance AS DOUBLE) * 3600 / {DURATION_SECONDS} END",
        (2, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 40, 60),
    ),
    Measure(
        "tip_percent",
        "Tip, of the fare",
        "percent",
        # Cash tips of taxis are not recorded; the tips of fhvhv are those of the app, and have no payment type.
        f"CASE WHEN {FARE} > 0 AND (payment_type = {CREDIT_CARD} OR fleet = 'fhvhv') "
        f"THEN 100 * CAST(tip_amount AS DOUBLE) / CAST({FARE} AS DOUBLE) END",
        (0.01, 5, 10, 15, 20, 22.5, 25, 27.5, 30, 35, 40, 60),
    ),
    Measure(
        "passenger_count",
        "Passengers",
        "people",
        "passenger_count",
        (1, 2, 3, 4, 5, 6),
        ("yellow", "green"),
        is_whole=True,
    ),
    Measure(
        "wait_minutes",
        "Wait from request to pickup",
        "minutes",
        _WAIT,
        (0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30),
        fleets=("fhvhv",),
    ),
)

MEASURES = {measure.name: measure for measure in _MEASURES}
"""Name → measure, of all measures. The bounds are round numbers. They stay: days counted with other bounds could not be
compared with these."""


def bounds_in_words() -> str:
    """The bounds of all measures as a sentence, for the description of the table."""
    return "; ".join(f"{each.name} {', '.join(f'{bound:g}' for bound in each.bounds)}" for each in _MEASURES)


def histograms_sql(fleet: str, which: str) -> str:
    """The SELECT of the rows of `trip_histograms`, in one pass over the trips.

    Args:
        fleet: name of the fleet, which says which measures the trips have.
        which: SQL condition over a row of `trips`.
    """
    measures = [measure for measure in _MEASURES if fleet in measure.fleets]
    names = [measure.name for measure in measures]
    values = ", ".join(f"{measure.value} AS {measure.name}" for measure in measures)
    bins = ", ".join(f"{measure.bin} AS {measure.name}" for measure in measures)
    # A row of the result belongs to one measure: the bins of all the others are NULL in it.
    measure_of = " ".join(f"WHEN {name} IS NOT NULL THEN '{name}'" for name in names)
    bin_of = f"coalesce({', '.join([*names, 'NULL'])})"
    sets = ", ".join(f"(fleet, pickup_date, {name})" for name in names)
    return f"""
SELECT fleet, pickup_date, CASE {measure_of} END, CAST({bin_of} AS SMALLINT), count(*)
FROM (SELECT fleet, pickup_date, {bins} FROM (SELECT fleet, pickup_date, {values} FROM trips WHERE {which}) AS numbers)
    AS bins
GROUP BY GROUPING SETS ({sets})
"""
