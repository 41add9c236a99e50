"""The demand model: a forecast of a month's pickups by day, hour and zone, from the months of `zone_hours` before it.

A day is of one of seven kinds: its weekday, or Sunday when it is a holiday. Past holidays are left out: they are few,
and would make the mean of any weekday worse. What is expected in an hour of a zone is made in three steps:

- The mean of the hour over the past days of the kind. A week counts half as much as the one `HALF_LIFE_WEEKS` after it.
- Few trips say little about an hour, so that mean is drawn to the zone's usual course of a day: that of Mondays to
  Fridays together, of Saturdays, or of Sundays, scaled to the kind's trips a day. The course itself is
  drawn to that of the neighbouring hours. Each counts as much as a number of trips (a gamma prior of a Poisson mean),
  so that busy hours follow their own past.
- The level of the last weeks: the zone's trips in them, as a share of what the first two steps expect of these weeks.
  Zones with few trips follow the level of the fleet.

The interval comes from how far the past hours were from their mean, in units of its square root (Pearson residuals:
counts scatter more where more is expected), over all days of the zone's hour, because four Mondays alone say little. It
is between their weighted 5th and 95th percentiles, widened for what a mean of few weeks does not know itself.

Beside it are the forecasts of two opponents that take no model, from the same past days: the mean and the median of the
same hour on the last eight same weekdays before the month.

The constants were chosen on the green trips of 2022-10 to 2023-06. Half or twice their value changes the error of no
month by more than 2 %. How good a forecast was is measured in `judgement`.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from taxi_pipeline.datasets.columns import DEMAND_MODEL
from taxi_pipeline.datasets.encoding import frame_of
from taxi_pipeline.tlc.zones import NUM_SHAPES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from pandas.tseries.holiday import AbstractHolidayCalendar

HALF_LIFE_WEEKS = 8
LEVEL_HALF_LIFE_WEEKS = 2
COURSE_TRIPS = 200
"""Number of trips in an hour of a kind of days, from which on they count more than the course of the day."""
NEIGHBOUR_TRIPS = 100
"""Number of trips in an hour of a course, from which on they count more than the hours beside it."""
LEVEL_TRIPS = 20
"""Number of trips expected in the last weeks, from which on a zone's own level counts more than that of the fleet."""
INTERVAL = (0.05, 0.95)
"""The lower and the upper quantile of the interval in which an hour's pickups are expected."""

_WEEK = 7
_OPPONENTS_WEEKS = 8
_SATURDAY, SUNDAY = 5, 6


@dataclass(frozen=True)
class Pickups:
    """Pickups by day, hour and zone. Hours without pickups are zero."""

    days: "pd.DatetimeIndex"
    counts: "NDArray[np.float64]"
    """Pickups, in an array of days × 24 hours × zones 1 to 263."""


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


def kinds_of(days: "pd.DatetimeIndex") -> "NDArray[np.int64]":
    """The kind of each day: 0 for Monday to 6 for Sunday; a holiday is a Sunday.

    Holidays are those of the federal government, on the day on which they are observed. Veterans Day is left out: on
    2022-11-11 the green taxis had the trips of a Friday.
    """
    import numpy as np

    if days.empty:
        return np.empty(0, dtype="int64")
    holidays = _calendar().holidays(days.min(), days.max())
    return np.where(days.isin(holidays), SUNDAY, days.day_of_week).astype("int64")


def demand_model_of(zone_hours: "pd.DataFrame", month: date) -> "pd.DataFrame":
    """Forecast a month from past months.

    Args:
        zone_hours: past months of one fleet. Without any day the forecast has no rows.
        month: first day of the month to forecast. It may be later than the day after the last past one.

    Returns:
        A frame with the columns of `DEMAND_MODEL`: for each zone, day and hour of the month the expected pickups and
        their interval. Zones without any past pickup are left out, and days of a kind without any past day.
    """
    import numpy as np
    import pandas as pd

    if zone_hours.empty:
        return frame_of(DEMAND_MODEL, "", ())
    past = pickups_of(zone_hours)
    expected, low, high, days_of_kind = _by_kind(_without_holidays(past))
    mean, median = _opponents(past, month)
    days = pd.date_range(month, periods=pd.Timestamp(month).days_in_month, unit="ms")
    days = days[days_of_kind[kinds_of(days)] > 0]
    kinds, weekdays = kinds_of(days), days.day_of_week.to_numpy()
    names = zone_hours.loc[zone_hours["zone_id"] <= NUM_SHAPES, ["zone_id", "zone", "borough"]]
    names = names.drop_duplicates("zone_id", keep="last").sort_values("zone_id", ignore_index=True)
    zones = names["zone_id"].to_numpy() - 1
    hours = len(days) * 24

    def column(values: "NDArray[np.float64]", of_day: "NDArray[np.int64]" = kinds) -> "NDArray[np.float64]":
        return values[of_day][:, :, zones].transpose(2, 0, 1).ravel().round(4)

    return pd.DataFrame(
        {
            "fleet": zone_hours["fleet"].iloc[0],
            **{name: names[name].repeat(hours).to_numpy() for name in names},
            "pickup_date": np.tile(np.repeat(days.to_numpy(), 24), len(names)),
            "pickup_hour": np.tile(np.arange(24, dtype="int16"), len(days) * len(names)),
            "expected": column(expected),
            "low": column(low),
            "high": column(high),
            "num_days": np.tile(np.repeat(days_of_kind[kinds].astype("int16"), 24), len(names)),
            "mean_of_8_weeks": column(mean, weekdays),
            "median_of_8_weeks": column(median, weekdays),
        },
        columns=list(DEMAND_MODEL.column_names),
    )


def _by_kind(
    past: Pickups,
) -> "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]":
    """Expected pickups, lower and upper end as kind × hour × zone, and the number of past days of each kind."""
    import numpy as np

    kinds = kinds_of(past.days)
    weeks_ago = (past.days.max() - past.days).days.to_numpy() / _WEEK
    weights = 0.5 ** (weeks_ago / HALF_LIFE_WEEKS)
    usual = np.zeros((_WEEK, 24, NUM_SHAPES))
    widening = np.ones(_WEEK)
    for kind in np.unique(kinds):
        these, alike = kinds == kind, np.maximum(kinds, _SATURDAY - 1) == max(kind, _SATURDAY - 1)
        mean = np.average(past.counts[these], axis=0, weights=weights[these])
        course = _course(past.counts[alike], weights[alike])
        a_day = course.sum(axis=0)
        course *= np.where(a_day > 0, mean.sum(axis=0) / np.where(a_day > 0, a_day, 1), 0)
        worth = _worth(weights[these])
        usual[kind] = _drawn(mean, worth, course, COURSE_TRIPS)
        widening[kind] = _widening(worth)
    scale = np.sqrt(np.where(usual > 0, usual, 1))
    residuals = (past.counts - usual[kinds]) / scale[kinds] * widening[kinds][:, np.newaxis, np.newaxis]
    below, above = _percentiles(residuals, weights)
    expected = usual * _levels(past.counts.sum(axis=1), usual.sum(axis=1)[kinds], weeks_ago)
    low = np.maximum(expected + below * np.sqrt(expected), 0)
    return expected, low, expected + above * np.sqrt(expected), np.bincount(kinds, minlength=_WEEK)


def _without_holidays(past: Pickups) -> Pickups:
    """The days that are no holidays; all days when there is no other."""
    ordinary = kinds_of(past.days) == past.days.day_of_week
    return Pickups(past.days[ordinary], past.counts[ordinary]) if ordinary.any() else past


def _opponents(past: Pickups, month: date) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Mean and median of the eight weeks before a month, as weekday × hour × zone; NaN for weekdays without a day."""
    import numpy as np
    import pandas as pd

    mean, median = np.full((2, _WEEK, 24, NUM_SHAPES), np.nan)
    last = past.days >= pd.Timestamp(month) - pd.Timedelta(weeks=_OPPONENTS_WEEKS)
    for weekday in np.unique(past.days[last].day_of_week):
        counts = past.counts[last & (past.days.day_of_week == weekday)]
        mean[weekday], median[weekday] = counts.mean(axis=0), np.median(counts, axis=0)
    return mean, median


@cache
def _calendar() -> "AbstractHolidayCalendar":
    from pandas.tseries.holiday import AbstractHolidayCalendar, USFederalHolidayCalendar

    rules = [rule for rule in USFederalHolidayCalendar.rules if rule.name != "Veterans Day"]
    return AbstractHolidayCalendar("holidays of taxis", rules)


def _course(counts: "NDArray[np.float64]", weights: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The usual course of these days, as hour × zone, drawn to the hours beside; 23 o'clock is beside 0 o'clock."""
    import numpy as np

    course = np.average(counts, axis=0, weights=weights)
    smooth = course / 2 + (np.roll(course, 1, axis=0) + np.roll(course, -1, axis=0)) / 4
    return _drawn(course, _worth(weights), smooth, NEIGHBOUR_TRIPS)


def _drawn(
    mean: "NDArray[np.float64]", num_days: float, prior: "NDArray[np.float64]", num_trips: float
) -> "NDArray[np.float64]":
    """Draw a mean of some days to a prior value that is worth a number of trips. The result is 0 where the prior is."""
    import numpy as np

    known = prior > 0
    of_prior = num_trips / np.where(known, prior, 1)
    return np.where(known, (num_days * mean + num_trips) / (num_days + of_prior), 0)


def _levels(
    counted: "NDArray[np.float64]", usual: "NDArray[np.float64]", weeks_ago: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """The level of each zone in the last weeks.

    Args:
        counted: trips by past day and zone.
        usual: what the means expect of the same days and zones.
        weeks_ago: the age of each day in weeks.
    """
    weights = 0.5 ** (weeks_ago / LEVEL_HALF_LIFE_WEEKS)[:, None]
    trips, expected = (counted * weights).sum(axis=0), (usual * weights).sum(axis=0)
    of_fleet = trips.sum() / expected.sum()
    return (trips + LEVEL_TRIPS * of_fleet) / (expected + LEVEL_TRIPS)


def _worth(weights: "NDArray[np.float64]") -> float:
    """The number of equal weights whose mean scatters as much as that with these weights."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _widening(worth: float) -> float:
    """The factor by which a new value is farther from a mean than the values that the mean was made of.

    It is sqrt((1 + 1/n) / (1 - 1/n)) for a mean of n values; at most 2, where n is small.
    """
    return min(2.0, float(((worth + 1) / max(worth - 1, 1e-9)) ** 0.5))


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
