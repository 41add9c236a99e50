"""Doubts of an estimate that need no model of errors: other zones as the treated ones, other dates as the start."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import TYPE_CHECKING, Any

from taxi_pipeline.analysis.design import START, Design, NoSampleError, Sample, imagined_starts, sample_of
from taxi_pipeline.analysis.estimation import Estimate, estimate_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

NUM_PERMUTATIONS = 1999
"""Random choices of zones; with the real one they are 2,000."""

_SEED = 20250105
"""Equal samples are permuted alike."""

PLACEBO_WEEKS = 4
"""Weeks before and after an imagined start."""


@dataclass(frozen=True)
class Permutation:
    """Zones at random as the ones inside.

    Attributes:
        effect: the ratio of ratios of the real zones, as a logarithm.
        p_value: share of the choices, with the real one, whose effect is as many errors from 0 as that of the real
            zones, or more.
        num_choices: number of choices, with the real one.
    """

    effect: float
    p_value: float
    num_choices: int


@dataclass(frozen=True)
class Placebo:
    """The estimate at a date on which no fee began."""

    start: date
    estimate: Estimate


def permutation_of(sample: Sample, *, num_permutations: int = NUM_PERMUTATIONS) -> Permutation:
    """Compare the effect with those of random choices of as many zones.

    What is compared is the ratio of ratios: trips a day of the zones inside after and before the start, over the same
    of the control zones (and all of it over the same of the earlier winter). Weekdays weigh equally. Without further
    regressors it is the Poisson estimate exactly, and takes no fitting. Effects are divided by their errors, because
    random zones are smaller ones, whose effects scatter more (as DiCiccio and Romano 2017 do).

    Args:
        sample: the sample of the estimate.
        num_permutations: number of random choices.
    """
    import numpy as np

    totals, signs, inside = _totals(sample)
    rng = np.random.default_rng(_SEED)
    order = rng.permuted(np.tile(np.arange(len(inside)), (num_permutations, 1)), axis=1)
    choices = np.vstack([inside, inside[order]])
    effects, errors = ratios_of_ratios(totals, signs, choices)
    scores = np.abs(effects / errors)
    as_far = np.isnan(scores) | (scores >= scores[0] * (1 - 1e-9))
    return Permutation(float(effects[0]), float(as_far.mean()), len(choices))


def ratios_of_ratios(
    totals: "NDArray[np.float64]", signs: "NDArray[np.float64]", choices: "NDArray[np.bool_]"
) -> tuple["NDArray[Any]", "NDArray[Any]"]:
    """The logarithms of ratios of ratios, and their errors, for many choices of zones inside.

    Args:
        totals: zones × periods: trips a day.
        signs: for each period 1 where it is in a numerator, -1 where in a denominator.
        choices: choices × zones: which zones are inside.

    Returns:
        For each choice the effect and its error, by the spread of zones about the mean of their side; not a number
        where a side has no trips.
    """
    import numpy as np

    effects, variances = np.zeros(len(choices)), np.zeros(len(choices))
    with np.errstate(divide="ignore", invalid="ignore"):
        for side, sign in ((choices, 1.0), (~choices, -1.0)):
            members = side.astype(float)
            sums = members @ totals
            effects += sign * (np.log(sums) @ signs)
            for first, second in product(range(len(signs)), repeat=2):
                products = members @ (totals[:, first] * totals[:, second])
                variances += signs[first] * signs[second] * products / (sums[:, first] * sums[:, second])
        return effects, np.sqrt(variances)


def placebos_of(trips: "pd.DataFrame", facts: "pd.DataFrame", design: Design) -> list[Placebo]:
    """Estimate the effect at dates before the fee, without comparing winters.

    Args:
        trips: as in `panel.FleetPanel`.
        facts: as `panel.day_facts` returns them.
        design: the design of the estimate.
    """
    at_dates = design.changed(weeks=PLACEBO_WEEKS, years_before=None, before=START, weather=False)
    found = []
    for start in imagined_starts(trips, PLACEBO_WEEKS):
        try:
            found.append(Placebo(start, estimate_of(sample_of(trips, facts, at_dates.changed(start=start)))))
        except NoSampleError:
            continue
    return found


def share_as_large(placebos: Sequence[Placebo], effect: float) -> float | None:
    """The share of the dates, with the real one, whose effect is as large or larger; None without dates."""
    as_large = sum(abs(placebo.estimate.effect) >= abs(effect) for placebo in placebos)
    return (1 + as_large) / (1 + len(placebos)) if placebos else None


def _totals(sample: Sample) -> tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.bool_]"]:
    """Trips a day by zone and period, the periods' signs, and which zones are inside."""
    import numpy as np

    periods = ["fee_season", "post"]
    by_weekday = sample.rows.groupby(["zone", *periods, "weekday"], sort=True)["trips"].mean()
    means = by_weekday.groupby(level=["zone", *periods]).mean().unstack(periods)
    signs = np.array([(1.0 if post else -1.0) * (1.0 if fee else -1.0) for fee, post in means.columns])
    inside = sample.rows.groupby("zone", sort=True)["inside"].first().to_numpy() == 1
    return means.to_numpy(dtype=float), signs, inside
