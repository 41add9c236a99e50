"""The demand model: what to expect in an hour of a weekday in a zone, learned from past months of `zone_hours`.

A weighted mean of the same hour of the same weekday: a week counts half as much as the one eight weeks after it, so
that the model follows the season. The interval comes from how far the past hours were from their mean, in units of its
square root (Pearson residuals: counts scatter more where more is expected), over all weekdays of the zone's hour,
because four Mondays alone say little. It is between their weighted 5th and 95th percentiles, widened for what a mean of
few weeks does not know itself.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxi_pipeline.datasets.columns import DEMAND_MODEL
from taxi_pipeline.datasets.encoding import frame_of
from taxi_pipeline.tlc.zones import NUM_SHAPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

HALF_LIFE_WEEKS = 8
INTERVAL = (0.05, 0.95)
"""The lower and the upper quantile of the interval in which an hour's pickups are expected."""

_WEEK = 7


@dataclass(frozen=True)
class Judgement:
    """The quality of the model, measured on the days of a month that it was not trained on."""

    num_hours: int
    """Number of compared hours, over all zones."""
    mean_error: float
    """Mean absolute error, in pickups an hour."""
    last_weeks_mean_error: float
    """Mean absolute error, in pickups an hour, of the forecast "as many as in the same hour of the week before"."""
    share_inside: float | None
    """Share of the hours inside the interval, of those with an expected pickup or more; None when there are none.

    In most hours of most zones nobody is picked up, and nobody is expected: they would make any interval look right.
    """

    @property
    def is_better(self) -> bool:
        """True if the model's error is smaller than that of repeating the week before."""
        return self.mean_error < self.last_weeks_mean_error


@dataclass(frozen=True)
class Pickups:
    """Pickups by day, hour and zone. Hours without pickups are zero."""

    days: "pd.DatetimeIndex"
    counts: "NDArray[np.float64]"
    """Pickups, in an array of days × 24 hours × zones 1 to 263."""

    @property
    def weekdays(self) -> "NDArray[np.int64]":
        """The weekday of each day, 0 for Sunday."""
        return ((self.days.day_of_week + 1) % _WEEK).to_numpy()


def before_and_in(partition_key: str, frames: "Mapping[str, pd.DataFrame]") -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Split frames of `zone_hours` into the months before a partition and the partition's own month.

    Args:
        partition_key: the fleet and the month.
        frames: partition key → data frame of `zone_hours`; keys sort as their months do.

    Returns:
        The rows of all earlier months, then the rows of the partition's month; either may be empty.
    """
    import pandas as pd

    empty = next(iter(frames.values())).iloc[:0]
    before = [frame for key, frame in sorted(frames.items()) if key != partition_key and not frame.empty]
    return pd.concat(before, ignore_index=True) if before else empty, frames.get(partition_key, empty)


def pickups_of(zone_hours: "pd.DataFrame") -> Pickups:
    """Arrange a frame of `zone_hours` as an array. A day without any trip counts as not loaded."""
    import numpy as np
    import pandas as pd

    zone_hours = zone_hours[zone_hours["zone_id"] <= NUM_SHAPES]
    days = pd.DatetimeIndex(np.sort(zone_hours["pickup_date"].unique()))
    counts = np.zeros((len(days), 24, NUM_SHAPES))
    day = days.get_indexer(pd.DatetimeIndex(zone_hours["pickup_date"]))
    counts[day, zone_hours["pickup_hour"], zone_hours["zone_id"] - 1] = zone_hours["num_trips"]
    return Pickups(days, counts)


def demand_model_of(zone_hours: "pd.DataFrame") -> "pd.DataFrame":
    """Train the demand model on past months.

    Args:
        zone_hours: past months of one fleet. Without any day the model has no rows.

    Returns:
        A frame with the columns of `DEMAND_MODEL`: for each zone, weekday and hour the expected pickups and their
        interval. Zones without any pickup are left out.
    """
    import numpy as np
    import pandas as pd

    if zone_hours.empty:
        return frame_of(DEMAND_MODEL, "", ())
    past = pickups_of(zone_hours)
    names = zone_hours.loc[zone_hours["zone_id"] <= NUM_SHAPES, ["zone_id", "zone", "borough"]].drop_duplicates()
    names = names.sort_values("zone_id", ignore_index=True)
    weekdays = np.unique(past.weekdays)
    weights = 0.5 ** ((past.days.max() - past.days).days.to_numpy() // _WEEK / HALF_LIFE_WEEKS)
    expected = np.empty((len(weekdays), 24, NUM_SHAPES))
    residuals = np.empty_like(past.counts)
    num_weeks = []
    for number, weekday in enumerate(weekdays):
        these = past.weekdays == weekday
        mean = expected[number] = np.average(past.counts[these], axis=0, weights=weights[these])
        scale = np.sqrt(np.where(mean > 0, mean, 1))
        residuals[these] = (past.counts[these] - mean) / scale * _widening(weights[these])
        num_weeks.append(int(these.sum()))
    below, above = _percentiles(residuals, weights)
    low = np.maximum(expected + below * np.sqrt(expected), 0)
    high = expected + above * np.sqrt(expected)
    zones = names["zone_id"].to_numpy() - 1
    rows = len(weekdays) * 24

    def column(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
        return values[:, :, zones].transpose(2, 0, 1).ravel().round(4)

    return pd.DataFrame(
        {
            "fleet": zone_hours["fleet"].iloc[0],
            **{name: names[name].repeat(rows).to_numpy() for name in names},
            "weekday": np.tile(np.repeat(weekdays, 24), len(names)).astype("int16"),
            "pickup_hour": np.tile(np.arange(24, dtype="int16"), len(weekdays) * len(names)),
            "expected": column(expected),
            "low": column(low),
            "high": column(high),
            "num_weeks": np.tile(np.repeat(np.array(num_weeks, dtype="int16"), 24), len(names)),
        },
        columns=list(DEMAND_MODEL.column_names),
    )


def judged(model: "pd.DataFrame", past: "pd.DataFrame", held_out: "pd.DataFrame") -> Judgement | None:
    """Compare a model with a month that it was not trained on.

    An hour is compared when the week before it is loaded, too. "The week before" may lie in the held-out month, which
    the model has not seen: that makes it the stronger opponent.

    Args:
        model: the model, trained on `past`.
        past: `zone_hours` of the months before.
        held_out: `zone_hours` of the month to compare with.

    Returns:
        The model's errors in pickups an hour; None when there is no hour to compare.
    """
    import numpy as np
    import pandas as pd

    if past.empty or held_out.empty:
        return None
    known = pickups_of(pd.concat([past, held_out]))
    week_before = known.days.get_indexer(known.days - pd.Timedelta(days=_WEEK))
    compared = (known.days >= held_out["pickup_date"].min()) & (week_before >= 0)
    compared &= np.isin(known.weekdays, model["weekday"].unique())
    if not compared.any():
        return None
    actual, last_week = known.counts[compared], known.counts[week_before[compared]]
    expected, low, high = (_by_weekday(model, name)[known.weekdays[compared]] for name in ("expected", "low", "high"))
    inside = ((low <= actual) & (actual <= high))[expected >= 1]
    return Judgement(
        num_hours=actual.size,
        mean_error=float(np.abs(actual - expected).mean()),
        last_weeks_mean_error=float(np.abs(actual - last_week).mean()),
        share_inside=float(inside.mean()) if inside.size else None,
    )


def _by_weekday(model: "pd.DataFrame", column: str) -> "NDArray[np.float64]":
    """A column of the model as weekday × hour × zone; 0 for zones that the model does not know."""
    import numpy as np

    values = np.zeros((_WEEK, 24, NUM_SHAPES))
    values[model["weekday"], model["pickup_hour"], model["zone_id"] - 1] = model[column]
    return values


def _widening(weights: "NDArray[np.float64]") -> float:
    """The factor by which a new value is farther from a weighted mean than the values that the mean was made of.

    It is sqrt((1 + 1/n) / (1 - 1/n)), where n equal weights are worth as much as these; at most 2, where n is small.
    """
    n = weights.sum() ** 2 / (weights**2).sum()
    return min(2.0, float(((n + 1) / max(n - 1, 1e-9)) ** 0.5))


def _percentiles(
    values: "NDArray[np.float64]", weights: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """The weighted percentiles of INTERVAL along the first axis: the least value that reaches the share of weight."""
    import numpy as np

    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    reached = np.cumsum(weights[order], axis=0) / weights.sum()

    def at(share: float) -> "NDArray[np.float64]":
        # The last one has all the weight, whatever rounding makes of its sum.
        first = np.minimum((reached < share - 1e-12).sum(axis=0), len(values) - 1)
        return np.take_along_axis(ordered, first[np.newaxis], axis=0)[0]

    return at(INTERVAL[0]), at(INTERVAL[1])
