"""All numbers of the study as rows: the estimates, the weeks, the dates without a fee, and the tests."""

from collections.abc import Iterator, Sequence
from typing import Any

from taxi_pipeline.analysis.design import Design
from taxi_pipeline.analysis.estimation import Estimate, percent_of
from taxi_pipeline.analysis.study import Choice, FleetStudy, winter_of
from taxi_pipeline.analysis.verdict import days_words, verdict_of

HEADER = (
    "fleet",
    "kind",
    "name",
    "outcome",
    "start",
    "weeks",
    "winter_compared",
    "zones_inside",
    "control_zones",
    "days",
    "change_percent",
    "low_percent",
    "high_percent",
    "log_change",
    "standard_error",
    "degrees_of_freedom",
    "p_value",
    "words",
)
"""Columns of `outputs/congestion_fee.csv`. What there is not is empty. Kinds: `verdict`, `estimate` (of the answer),
`choice` (the same with another choice), `week`, `placebo`, `permutation`, `joint_test` (of the weeks before), `drift`
(a week, before the fee)."""


def table_rows(studies: Sequence[FleetStudy]) -> list[tuple[Any, ...]]:
    """List the numbers of the studies with the columns of `HEADER`."""
    return [row for study in studies for row in _rows(study)]


def summary_of(studies: Sequence[FleetStudy]) -> dict[str, str]:
    """The answers, and the months that they rest on, as short texts with a name for each."""
    summary: dict[str, str] = {}
    for study in studies:
        verdict = verdict_of(study)
        summary[f"{study.fleet}_verdict"] = verdict.kind.value
        summary[f"{study.fleet}_answer"] = verdict.paragraph
        summary[f"{study.fleet}_days"] = days_words(study)
    return summary


def _rows(study: FleetStudy) -> Iterator[tuple[Any, ...]]:
    verdict, main = verdict_of(study), study.main
    yield _row(study, "verdict", verdict.kind.value, words=verdict.paragraph)
    yield _choice_row(study, "estimate", main)
    for choice in study.others:
        yield _choice_row(study, "choice", choice)
    if study.events:
        for week in study.events.weeks:
            yield _row(study, "week", str(week.week), main.design, week.estimate)
        yield _row(study, "joint_test", f"{study.events.num_leads} weeks", p_value=study.events.p_value)
    if study.drift:
        yield _row(study, "drift", "a week", estimate=study.drift)
    for placebo in study.placebos:
        yield _row(study, "placebo", str(placebo.start), estimate=placebo.estimate)
    if study.permutation:
        yield _row(study, "permutation", f"{study.permutation.num_choices} choices", p_value=study.permutation.p_value)


def _choice_row(study: FleetStudy, kind: str, choice: Choice) -> tuple[Any, ...]:
    words = f"{choice.words}: {choice.why_none}" if choice.why_none else choice.words
    sizes: tuple[Any, ...] = ("", "", "")
    if choice.sample:
        sizes = (choice.sample.num_inside, choice.sample.num_control, len(choice.sample.days))
    return _row(study, kind, choice.name, choice.design, choice.estimate, sizes=sizes, words=words)


def _row(
    study: FleetStudy,
    kind: str,
    name: str,
    design: Design | None = None,
    estimate: Estimate | None = None,
    *,
    sizes: tuple[Any, ...] = ("", "", ""),
    p_value: float | None = None,
    words: str = "",
) -> tuple[Any, ...]:
    designed: tuple[Any, ...] = ("", "", "", "")
    if design:
        winter = winter_of(design.years_before) if design.years_before else ""
        designed = (design.outcome, str(design.start), design.weeks, winter)
    numbers: tuple[Any, ...] = ("",) * 6
    if estimate:
        percents = [f"{percent_of(value):.2f}" for value in (estimate.effect, estimate.low, estimate.high)]
        numbers = (*percents, f"{estimate.effect:.5f}", f"{estimate.error:.5f}", estimate.degrees)
        p_value = estimate.p_value
    probability = "" if p_value is None else f"{p_value:.4f}"
    return (study.fleet, kind, name, *designed, *sizes, *numbers, probability, words)
