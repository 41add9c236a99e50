"""Estimates with intervals: Poisson regressions with effects of zones and of days, by `pyfixest`.

The number of trips of a zone on a day is modelled as its mean's exponent: a level of the zone, a level of the day, the
regressors of the sample, and the effect. Poisson's likelihood gives the right coefficients for any counts whose means
are right, zeros included (Santos Silva and Tenreyro 2006); errors come from clusters, not from Poisson's variance.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taxi_pipeline.analysis.design import Sample, independent

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

LEVEL = 0.95
"""The share of intervals that hold the true effect, if the model is right."""

MIN_WEEKS_OF_DRIFT = 3
"""Smallest number of weeks before the start in which a drift can be seen."""


@dataclass(frozen=True)
class Estimate:
    """An effect on the logarithm of trips, with its error.

    Attributes:
        effect: change of the logarithm of trips; `percent_of` makes percent of it.
        error: its standard error.
        degrees: degrees of freedom of Student's t: the smaller number of clusters, less one.
    """

    effect: float
    error: float
    degrees: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.effect - self._half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.effect + self._half

    @property
    def p_value(self) -> float:
        """The probability of an estimate that is as far from 0 or farther, if there is no effect."""
        from scipy.stats import t

        return float(2 * t.sf(abs(self.effect) / self.error, self.degrees)) if self.error else 1.0

    @property
    def _half(self) -> float:
        from scipy.stats import t

        return float(t.ppf((1 + LEVEL) / 2, self.degrees)) * self.error


@dataclass(frozen=True)
class WeekEffect:
    """How zones inside differ from control zones in a week, beside the mean of the weeks before the start."""

    week: int
    """Weeks from the start on: 0 is the first with the fee."""
    estimate: Estimate


@dataclass(frozen=True)
class EventStudy:
    """The effects week by week, and the joint test of the weeks before the start.

    Attributes:
        weeks: in order.
        num_leads: number of weeks before the start that are tested.
        p_value: the probability of differences like those before the start, if there are none; None with no lead.
    """

    weeks: tuple[WeekEffect, ...]
    num_leads: int
    p_value: float | None


def percent_of(effect: float) -> float:
    """The change in percent of a change of the logarithm."""
    return 100 * math.expm1(effect)


def estimate_of(sample: Sample) -> Estimate:
    """Estimate the effect of a sample.

    Errors are clustered by zone (a zone's days are alike) and by week (in a week all zones inside share what happens
    there). The larger of the errors by zone alone and by both is taken, because the sum of the second can come out too
    small with few weeks. Each is a jackknife's (arXiv 2406.08880).
    """
    return _first_estimate(sample.rows, ["effect", *sample.controls])


def drift_of(sample: Sample) -> Estimate | None:
    """Estimate by how much zones inside moved away from control zones in each week before the start.

    The errors are those of `estimate_of`: unlike the joint test of the weeks it asks for a trend, and not whether weeks
    differ at all, which they do wherever something happens inside.

    Returns:
        The drift a week, in the fee's season beside the other one; None with fewer than three weeks before the start.
    """
    rows = sample.rows[sample.rows["post"] == 0].copy()
    rows["drift"] = rows["relative_week"] * rows["inside"] * rows["fee_season"]
    rows["season_drift"] = rows["relative_week"] * rows["inside"]
    if rows["relative_week"].nunique() < MIN_WEEKS_OF_DRIFT:
        return None
    return _first_estimate(rows, ["drift", *independent(rows, ["drift"], ["season_drift", *sample.controls])])


def _first_estimate(rows: "pd.DataFrame", regressors: Sequence[str]) -> Estimate:
    """The estimate of the first regressor, with the larger of the errors by zone and by zone and week."""
    fit = _fit(rows, regressors)
    zones, weeks = rows["zone"].to_numpy(), rows["week"].to_numpy()
    by_zone = _jackknife(fit, zones)[0, 0]
    by_both = by_zone + _jackknife(fit, weeks)[0, 0] - _sandwich(fit, zones * 10_000 + weeks)[0, 0]
    degrees = min(rows["zone"].nunique(), rows["week"].nunique()) - 1
    return Estimate(float(fit.coef().iloc[0]), math.sqrt(max(by_zone, by_both)), degrees)


def event_study_of(sample: Sample) -> EventStudy:
    """Estimate the effect of each week, beside the mean of the weeks before the start.

    A comparison winter has week effects of its own, so that what is told is the fee's season beside it. Errors are
    clustered by zone: a week has no second one to say how weeks vary.
    """
    rows, weeks = _with_weeks(sample)
    base, *_ = [week for week in reversed(weeks) if week < 0]
    others = [week for week in weeks if week != base]
    names = [_name("effect", week) for week in others]
    seasonal = [_name("season", week) for week in others] if (rows["fee_season"] == 0).any() else []
    controls = [name for name in sample.controls if name != "inside_post"]
    fit = _fit(rows, [*names, *seasonal, *controls])
    covariance, degrees = _jackknife(fit, rows["zone"].to_numpy()), rows["zone"].nunique() - 1
    leads = [name for name, week in zip(names, others, strict=True) if week < 0]
    p_value = _joint_p_value(fit, covariance, leads, degrees) if leads else None
    return EventStudy(tuple(_beside_their_mean(fit, covariance, weeks, degrees)), len(leads), p_value)


def _beside_their_mean(
    fit: Any, covariance: "NDArray[np.float64]", weeks: Sequence[int], degrees: int
) -> Iterator[WeekEffect]:
    """Each week's coefficient, 0 for the week without one, less the mean of those of the weeks before the start."""
    import numpy as np

    order = {name: position for position, name in enumerate(fit._coefnames)}
    chosen = np.zeros((len(weeks), len(order)))
    for row, week in enumerate(weeks):
        if (name := _name("effect", week)) in order:
            chosen[row, order[name]] = 1
    contrasts = chosen - chosen[[week < 0 for week in weeks]].mean(axis=0)
    effects, variances = contrasts @ fit.coef().to_numpy(), (contrasts @ covariance @ contrasts.T).diagonal()
    for week, effect, variance in zip(weeks, effects, variances, strict=True):
        yield WeekEffect(week, Estimate(float(effect), math.sqrt(variance), degrees))


def _with_weeks(sample: Sample) -> tuple["pd.DataFrame", list[int]]:
    """The rows with a regressor for each week, and the weeks in order."""
    rows = sample.rows.copy()
    weeks = sorted(int(week) for week in rows["relative_week"].unique())
    for week in weeks:
        of_week = rows["inside"] * (rows["relative_week"] == week)
        rows[_name("season", week)] = of_week
        rows[_name("effect", week)] = of_week * rows["fee_season"]
    return rows, weeks


def _name(kind: str, week: int) -> str:
    return f"{kind}_{'before' if week < 0 else 'after'}_{abs(week)}"


def _joint_p_value(fit: Any, covariance: "NDArray[np.float64]", names: Sequence[str], degrees: int) -> float:
    """The p-value of Wald's test that all these coefficients are 0, by the F distribution."""
    import numpy as np
    from scipy.stats import f

    order = [list(fit._coefnames).index(name) for name in names]
    values = fit.coef().to_numpy()[order]
    statistic = float(values @ np.linalg.solve(covariance[np.ix_(order, order)], values)) / len(names)
    return float(f.sf(statistic, len(names), degrees))


def _fit(rows: "pd.DataFrame", regressors: Sequence[str]) -> Any:
    """Fit trips on the regressors, with effects of zones (of each season) and of days."""
    with _old_pandas_calls():
        from pyfixest.estimation import fepois

        return fepois(f"trips ~ {' + '.join(regressors)} | zone_season + day", rows, vcov="iid")


def _jackknife(fit: Any, clusters: "NDArray[Any]") -> "NDArray[np.float64]":
    """The covariance of the coefficients by leaving out one cluster after the other (CRV3).

    With few clusters inside, or some that are much larger than others, the usual sandwich comes out too small, and this
    one much less so (MacKinnon, Nielsen and Webb, arXiv 2301.04527). Each coefficient without a cluster is found by one
    step from that with all, as in arXiv 2406.00650, with the effects of zones and days as they are.
    """
    import numpy as np

    weighted, hessian = fit._X, fit._hessian
    scores, codes = _by_cluster(fit, clusters)
    order = np.argsort(codes, kind="stable")
    parts = np.split(weighted[order], np.flatnonzero(np.diff(codes[order])) + 1)
    steps = np.array(
        [
            np.linalg.pinv(hessian - part.T @ part, hermitian=True) @ score
            for part, score in zip(parts, scores, strict=True)
        ]
    )
    return (len(scores) - 1) / len(scores) * steps.T @ steps


def _sandwich(fit: Any, clusters: "NDArray[Any]") -> "NDArray[np.float64]":
    """The covariance of the coefficients by the sum of each cluster's scores (CRV1)."""
    import numpy as np

    scores, _ = _by_cluster(fit, clusters)
    bread = np.linalg.inv(fit._hessian)
    return bread @ (scores.T @ scores) @ bread


def _by_cluster(fit: Any, clusters: "NDArray[Any]") -> tuple["NDArray[np.float64]", "NDArray[Any]"]:
    """The sum of the scores of each cluster, and the number of each row's cluster."""
    import numpy as np

    values, codes = np.unique(clusters, return_inverse=True)
    scores = np.zeros((len(values), fit._scores.shape[1]))
    np.add.at(scores, codes, fit._scores)
    return scores, codes


@contextmanager
def _old_pandas_calls() -> Iterator[None]:
    """Pass over pyfixest's calls of pandas that will go away with pandas 4."""
    from pandas.errors import Pandas4Warning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pandas4Warning)
        yield
