"""How good a forecast of the demand model was, when its month has come, beside two opponents that take no model.

All three know the days before the month only: an opponent that saw the first weeks of the month would have it easier in
the last.

A mean makes the root of the mean squared error (RMSE) small, and a median the mean absolute error (MAE). The forecast
is a mean, because people add it up over hours and zones; it is judged by its RMSE. In most hours of most zones nobody
is picked up, and nobody is expected: so errors are also given for busy hours alone, in which the model expects one
pickup or more.
"""

from dataclasses import astuple, dataclass, fields
from datetime import date
from typing import TYPE_CHECKING

from taxi_pipeline.datasets.columns import DEMAND_ERRORS
from taxi_pipeline.datasets.demand import pickups_of
from taxi_pipeline.datasets.encoding import frame_of
from taxi_pipeline.tlc.zones import NUM_SHAPES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MODEL = "expected"
METHODS = (MODEL, "mean_of_8_weeks", "median_of_8_weeks")
"""The compared methods: columns of `demand_model`."""


@dataclass(frozen=True)
class MethodErrors:
    """The errors of a method over a month, in pickups an hour: a row of `demand_errors`."""

    method: str
    num_hours: int
    rmse: float
    mae: float
    num_busy_hours: int
    busy_rmse: float | None
    busy_mae: float | None
    share_inside: float | None

    @property
    def row(self) -> tuple[str | float | None, ...]:
        """The values, in the order of `MethodErrors.names`."""
        return astuple(self)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the values."""
        return tuple(field.name for field in fields(cls))


@dataclass(frozen=True)
class Judgement:
    """The errors of the model and of its opponents in the same hours."""

    model: MethodErrors
    opponents: tuple[MethodErrors, ...]

    @property
    def is_better(self) -> bool:
        """True if the model's RMSE is smaller than that of each opponent."""
        return all(self.model.rmse < opponent.rmse for opponent in self.opponents)


def judgement_of(errors: "pd.DataFrame") -> Judgement | None:
    """Read the judgement out of a frame of `demand_errors`; None when it has no rows."""
    if errors.empty:
        return None
    known = errors.astype(object).where(errors.notna(), None)
    model, *opponents = (MethodErrors(*row) for row in known[list(MethodErrors.names())].itertuples(index=False))
    return Judgement(model, tuple(opponents))


def demand_errors_of(model: "pd.DataFrame", counted: "pd.DataFrame", month: date) -> "pd.DataFrame":
    """Compare a forecast, and its opponents, with the month.

    All methods are compared in the same hours: those of the loaded days for which the forecast has all methods. Zones
    that the forecast lacks count, too: none of the methods expects anybody there.

    Args:
        model: the forecast of the month, with the columns of `DEMAND_MODEL`.
        counted: `zone_hours` of the month.
        month: first day of the month.

    Returns:
        A frame with the columns of `DEMAND_ERRORS`, one row for each of `METHODS`; no rows when there is no hour to
        compare.
    """
    if model.empty or counted.empty:
        return frame_of(DEMAND_ERRORS, "", ())
    actual = pickups_of(counted)
    known = actual.days.isin(model.dropna(subset=list(METHODS))["pickup_date"])
    if not known.any():
        return frame_of(DEMAND_ERRORS, "", ())
    days, counts = actual.days[known], actual.counts[known]
    expected, low, high = (_by_day(model, column, days) for column in (MODEL, "low", "high"))
    busy = expected >= 1
    inside = ((low <= counts) & (counts <= high))[busy]
    rows = []
    for method in METHODS:
        differences = _by_day(model, method, days) - counts
        share_inside = float(inside.mean()) if method == MODEL and inside.size else None
        of_busy = _rmse_and_mae(differences[busy]) if inside.size else (None, None)
        rows.append((month, method, counts.size, *_rmse_and_mae(differences), inside.size, *of_busy, share_inside))
    return frame_of(DEMAND_ERRORS, counted["fleet"].iloc[0], rows)


def _rmse_and_mae(differences: "NDArray[np.float64]") -> tuple[float, float]:
    """Errors in pickups an hour, rounded because the last digits of a sum are not the same on all machines."""
    import numpy as np

    return round(float(np.sqrt((differences**2).mean())), 6), round(float(np.abs(differences).mean()), 6)


def _by_day(model: "pd.DataFrame", column: str, days: "pd.DatetimeIndex") -> "NDArray[np.float64]":
    """A column of the forecast as day × hour × zone; 0 for zones that the forecast lacks."""
    import numpy as np
    import pandas as pd

    day = days.get_indexer(pd.DatetimeIndex(model["pickup_date"]))
    rows, day = model[day >= 0], day[day >= 0]
    values = np.zeros((len(days), 24, NUM_SHAPES))
    values[day, rows["pickup_hour"], rows["zone_id"] - 1] = rows[column]
    return values
