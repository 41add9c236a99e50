"""The charts of the page as positions and words; `page.html.jinja` makes SVG of them. All values are percent."""

import math
from collections.abc import Sequence
from typing import Any

from taxi_pipeline.analysis.design import START
from taxi_pipeline.analysis.estimation import Estimate, percent_of
from taxi_pipeline.analysis.study import Choice, FleetStudy
from taxi_pipeline.analysis.verdict import interval, percent, probability, trips_changed

WIDTH, HEIGHT = 720, 220
BAR_WIDTH, BAR_HEIGHT = 240, 20
_MOST_PERCENT = 60.0
"""Values beyond this are drawn at the border, so that one wide interval does not flatten the others."""


def bars_of(choices: Sequence[Choice]) -> dict[str, Any]:
    """Place estimates and their intervals on one horizontal scale, a drawing of 240 × 20 for each.

    Returns:
        `rows`, one for each choice: `words`, and either `x`, `low`, `high` and the numbers in words, or `why_none`;
        `zero`, the position of no change; `ends`, the ends of the scale in words.
    """
    ends = _ends([choice.estimate for choice in choices if choice.estimate])

    def x(value: float) -> float:
        return round(BAR_WIDTH * (value - ends[0]) / (ends[1] - ends[0]), 1)

    return {
        "width": BAR_WIDTH,
        "height": BAR_HEIGHT,
        "zero": x(0.0),
        "ends": [_percent_words(end) for end in ends],
        "rows": [{"words": _upper(choice.words), **_numbers(choice), **_bar(choice.estimate, x)} for choice in choices],
    }


def weeks_of(study: FleetStudy) -> dict[str, Any] | None:
    """Place the effects by week in a drawing of 720 × 220; None without any."""
    if study.events is None:
        return None
    points = [
        (f"{week.week:+d}".replace("-", "\N{MINUS SIGN}") if week.week else "0", week.week >= 0, week.estimate)
        for week in study.events.weeks
    ]
    return _points(points)


def placebos_of(study: FleetStudy) -> dict[str, Any] | None:
    """Place the estimates at other dates, and that of the answer, in a drawing of 720 × 220; None without any."""
    if not study.placebos or study.main.estimate is None:
        return None
    points = [(str(placebo.start), False, placebo.estimate) for placebo in study.placebos]
    return _points([*points, (str(START), True, study.main.estimate)])


def trips_words(study: FleetStudy) -> str:
    """The trips a day that the estimate stands for, with its interval."""
    estimate = study.main.estimate
    if estimate is None:
        return ""
    middle, low, high = (
        f"{trips_changed(study, effect):+,.0f}".replace("-", "\N{MINUS SIGN}")
        for effect in (estimate.effect, estimate.low, estimate.high)
    )
    return f"{middle} ({low} to {high})"


def _points(found: Sequence[tuple[str, bool, Estimate]]) -> dict[str, Any]:
    """Points with intervals, side by side."""
    ends = _ends([estimate for *_, estimate in found])
    step = WIDTH / len(found)

    def y(value: float) -> float:
        return round(HEIGHT * (ends[1] - value) / (ends[1] - ends[0]), 1)

    every = max(1, math.ceil(len(found) / 9))
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "lines": [(y(tick), _percent_words(tick)) for tick in _ticks(*ends)],
        "zero": y(0.0),
        "points": [
            {
                "x": round((number + 0.5) * step, 1),
                "label": label,
                "labelled": number % every == 0 or number == len(found) - 1,
                "is_odd": number % (2 * every) != 0,
                "with_fee": with_fee,
                "y": y(_clipped(estimate.effect, ends)),
                "low": y(_clipped(estimate.low, ends)),
                "high": y(_clipped(estimate.high, ends)),
                "change": percent(estimate.effect),
                "interval": interval(estimate),
            }
            for number, (label, with_fee, estimate) in enumerate(found)
        ],
    }


def _numbers(choice: Choice) -> dict[str, Any]:
    if choice.estimate is None or choice.sample is None:
        return {"why_none": choice.why_none}
    return {
        "why_none": "",
        "change": percent(choice.estimate.effect),
        "interval": interval(choice.estimate),
        "p_value": probability(choice.estimate.p_value),
        "zones": f"{choice.sample.num_inside} / {choice.sample.num_control}",
        "days": len(choice.sample.days),
        "is_main": choice.name == "main",
    }


def _bar(estimate: Estimate | None, x: Any) -> dict[str, float]:
    if estimate is None:
        return {}
    ends = (-_MOST_PERCENT, _MOST_PERCENT)
    values = {"x": estimate.effect, "low": estimate.low, "high": estimate.high}
    return {name: x(_clipped(value, ends)) for name, value in values.items()}


def _ends(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """The ends of a scale that holds all intervals and 0, on round percents."""
    values = [percent_of(value) for estimate in estimates for value in (estimate.low, estimate.high)]
    low, high = max(min([*values, -1.0]), -_MOST_PERCENT), min(max([*values, 1.0]), _MOST_PERCENT)
    step = _step(high - low)
    return step * math.floor(low / step), step * math.ceil(high / step)


def _ticks(low: float, high: float) -> list[float]:
    step = _step(high - low)
    return [step * number for number in range(round(low / step), round(high / step) + 1)]


def _step(span: float) -> float:
    """A round step that divides a span into at most seven."""
    return next((step for step in (0.5, 1, 2, 5, 10, 20) if span / step <= 7), 40)


def _clipped(effect: float, ends: tuple[float, float]) -> float:
    return min(max(percent_of(effect), ends[0]), ends[1])


def _percent_words(value: float) -> str:
    return f"{value:+g} %".replace("-", "\N{MINUS SIGN}") if value else "0"


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]
