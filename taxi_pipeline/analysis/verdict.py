"""The answer in words, made of the numbers: what the fee changed, or that this can't be told, and why."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from taxi_pipeline.analysis.design import DAYS_OF_A_YEAR, START, Design, Sample
from taxi_pipeline.analysis.estimation import LEVEL, Estimate, percent_of
from taxi_pipeline.analysis.study import FleetStudy, winter_of
from taxi_pipeline.tlc.fleets import FLEETS

MAX_P = 0.05
"""A chance of at most this makes a difference one that is told."""

MAX_PLACEBO_SHARE = 0.10
"""Largest share of dates on which nothing happened that may show as much. With fewer than nine dates it is larger."""

NARROW_PERCENT = 5.0
"""An interval around 0 that ends before this on both sides says that there is no large change."""


class Kind(Enum):
    """The kinds of answers."""

    NO_ESTIMATE = "no estimate"
    CAN_NOT_TELL = "can't tell"
    FEWER = "fewer trips"
    MORE = "more trips"
    NO_LARGE_CHANGE = "no large change"


@dataclass(frozen=True)
class Verdict:
    """The answer for a fleet.

    Attributes:
        kind: the kind of answer.
        reasons: why nothing more can be told, each a clause; empty where something is told.
        paragraph: the answer with its numbers, a few sentences.
    """

    kind: Kind
    reasons: tuple[str, ...]
    paragraph: str


def verdict_of(study: FleetStudy) -> Verdict:
    """Word the answer of a study."""
    estimate = study.main.estimate
    if estimate is None or study.main.sample is None:
        return Verdict(Kind.NO_ESTIMATE, (study.main.why_none,), f"No estimate: {study.main.why_none}.")
    reasons = tuple(_reasons(study, estimate))
    kind = Kind.CAN_NOT_TELL if reasons else _kind(estimate)
    return Verdict(kind, reasons, " ".join(_sentences(study, study.main.sample, estimate, kind, reasons)))


def excludes_zero(estimate: Estimate) -> bool:
    """True if the whole interval lies on one side of 0."""
    return estimate.low > 0 or estimate.high < 0


def is_narrow(estimate: Estimate) -> bool:
    """True if both ends of the interval are nearer to 0 than `NARROW_PERCENT`."""
    return max(abs(percent_of(estimate.low)), abs(percent_of(estimate.high))) < NARROW_PERCENT


def percent(effect: float) -> str:
    """A change in percent with its sign and one decimal; a minus is a minus sign, the space does not break."""
    return f"{percent_of(effect):+z.1f}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")


def interval(estimate: Estimate) -> str:
    """The interval in percent."""
    return f"{percent(estimate.low)} to {percent(estimate.high)}"


def probability(value: float) -> str:
    """A probability with three decimals; a very small one is never written as 0."""
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _kind(estimate: Estimate) -> Kind:
    if not excludes_zero(estimate):
        return Kind.NO_LARGE_CHANGE
    return Kind.FEWER if estimate.effect < 0 else Kind.MORE


def _reasons(study: FleetStudy, estimate: Estimate) -> list[str]:
    """Why nothing can be told; empty where it can."""
    reasons = []
    if study.winter is None:
        reasons.append(
            "the same weeks of no earlier winter are loaded, so what January does after the holidays can't be told "
            "from what the fee did"
        )
    if study.drift is None:
        reasons.append("too few weeks before the fee are loaded to see whether zones moved together before")
    elif study.drift.p_value < MAX_P:
        reasons.append(
            f"zones inside moved away from control zones before the fee, too, by {percent(study.drift.effect)} a week "
            f"(p {probability(study.drift.p_value)})"
        )
    if excludes_zero(estimate):
        return [*reasons, *_doubts(study, estimate)]
    if not is_narrow(estimate):
        reasons.append(f"the interval, {interval(estimate)}, holds both a fall and a rise")
    return reasons


def _doubts(study: FleetStudy, estimate: Estimate) -> list[str]:
    """Why an estimate whose interval excludes 0 is no finding."""
    doubts = []
    if study.permutation and study.permutation.p_value > MAX_P:
        doubts.append(
            "zones chosen at random differ as much from the others in "
            f"{study.permutation.p_value:.0%} of {study.permutation.num_choices:,} choices"
        )
    share = study.placebo_share
    if share is None:
        doubts.append("no weeks before the fee are loaded to see what differences come by themselves")
    elif share > MAX_PLACEBO_SHARE:
        as_large = round(share * (1 + len(study.placebos))) - 1
        doubts.append(
            f"of {_many(len(study.placebos), 'date')} before the fee {as_large} show a difference as large"
            if as_large
            else f"{_many(len(study.placebos), 'date')} before the fee are too few to say what comes by itself"
        )
    opposite = [
        choice.words
        for choice in study.others
        if choice.estimate
        and choice.design.outcome == study.main.design.outcome
        and choice.estimate.effect * estimate.effect < 0
    ]
    if opposite:
        doubts.append(f"the sign is the other one {opposite[0]}" + (" and with other choices" * (len(opposite) > 1)))
    return doubts


def _sentences(
    study: FleetStudy, sample: Sample, estimate: Estimate, kind: Kind, reasons: tuple[str, ...]
) -> list[str]:
    title, counted = FLEETS[study.fleet].title, counted_words(sample.design)
    measured = (
        f"beside {sample.num_control} control zones{_winter_words(study)} {counted} changed by "
        f"{percent(estimate.effect)} ({LEVEL:.0%} interval {interval(estimate)})"
    )
    if kind is Kind.CAN_NOT_TELL:
        return [f"{title}: can't tell.", f"{_upper(measured)}, but {_joined(reasons)}."]
    if kind is Kind.NO_LARGE_CHANGE:
        return [f"{title}: no large change.", f"{_upper(measured)}: a larger change than that is not likely."]
    trips = trips_changed(study, estimate.effect)
    return [
        f"{title}: {kind.value} because of the fee.",
        f"{_upper(measured)}, {abs(trips):,.0f} trips a day {'fewer' if trips < 0 else 'more'} than without it.",
        "Neither the weeks before, nor random zones, other dates or other choices say otherwise."
        + _uneven_weeks(study),
    ]


def _uneven_weeks(study: FleetStudy) -> str:
    """What the joint test says of weeks that have no drift, and differ all the same."""
    if study.events is None or study.events.p_value is None or study.events.p_value >= MAX_P:
        return ""
    return (
        " Single weeks before the fee differ by more than zones do by chance (joint test: p "
        f"{probability(study.events.p_value)}), which the interval takes in."
    )


def trips_changed(study: FleetStudy, effect: float) -> float:
    """The trips a day of all zones inside by which an effect changes what there would be without it."""
    return -(study.trips_a_day or 0.0) * percent_of(-effect) / 100


def counted_words(design: Design) -> str:
    """What is counted, as the subject of a sentence."""
    return f"trips that {'begin' if design.outcome == 'pickups' else 'end'} inside the zone"


def days_words(study: FleetStudy) -> str:
    """The months that the estimate rests on, with their days."""
    if study.main.sample is None:
        return "none"
    return ", ".join(f"{month} ({_many(days, 'day')})" for month, days in study.main.sample.months().items())


def start_of_winter(years: int) -> str:
    """The day in an earlier winter that the fee's first day is compared with."""
    return str(START - timedelta(days=DAYS_OF_A_YEAR * years))


def _winter_words(study: FleetStudy) -> str:
    return "" if study.winter is None else f", and beside the winter of {winter_of(study.winter)},"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _joined(reasons: tuple[str, ...]) -> str:
    return reasons[0] if len(reasons) == 1 else f"{'; '.join(reasons[:-1])}; and {reasons[-1]}"


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]
