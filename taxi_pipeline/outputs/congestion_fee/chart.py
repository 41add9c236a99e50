"""The picture of the study: the estimates of all fleets, and the effects by week of each that has any."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from taxi_pipeline.analysis.design import START
from taxi_pipeline.analysis.estimation import LEVEL, percent_of
from taxi_pipeline.analysis.study import FleetStudy
from taxi_pipeline.analysis.verdict import verdict_of
from taxi_pipeline.outputs.style import DPI, INK, MUTED, SIZE_INCHES, SOURCE, SYNTHETIC_NOTE, WARNING, own_style, png_of
from taxi_pipeline.tlc.fleets import FLEETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BEFORE, _FEE = "#5b5b6b", "#c4561b"
_ROW_INCHES = 2.65
_TOP_INCHES = 2.6


def draw_study(studies: Sequence[FleetStudy]) -> bytes:
    """Draw the studies as a PNG, 10 inches wide, and as high as there are fleets with an estimate.

    Args:
        studies: one for each fleet.

    Returns:
        The PNG's bytes.
    """
    from matplotlib.figure import Figure

    drawn = [study for study in studies if study.events]
    height = _TOP_INCHES + 1 + _ROW_INCHES * len(drawn)
    with own_style():
        figure = Figure(figsize=(SIZE_INCHES, height), dpi=DPI, facecolor="white")
        figure.text(0.03, 1 - 0.4 / height, "What the congestion fee changed", fontsize=15, weight="bold", color=INK)
        subtitle = f"Trips inside beside control zones since {START}, in percent, with {LEVEL:.0%} intervals"
        figure.text(0.03, 1 - 0.68 / height, subtitle, fontsize=10, color=MUTED)
        if any(study.synthetic for study in studies):
            figure.text(0.97, 1 - 0.4 / height, SYNTHETIC_NOTE, fontsize=10, weight="bold", color=WARNING, ha="right")
        else:
            figure.text(0.03, 0.12 / height, SOURCE, fontsize=8, color=MUTED)
        _draw_estimates(figure.add_axes((0.3, 1 - _TOP_INCHES / height, 0.67, 1.6 / height)), studies)
        for number, study in enumerate(drawn):
            bottom = height - _TOP_INCHES - 0.35 - _ROW_INCHES * (number + 1) + 0.7
            _draw_weeks(figure.add_axes((0.08, bottom / height, 0.89, (_ROW_INCHES - 1.05) / height)), study)
        return png_of(figure)


def _draw_estimates(axes: "Axes", studies: Sequence[FleetStudy]) -> None:
    axes.axvline(0, color=MUTED, linewidth=0.8, linestyle="--")
    for row, study in enumerate(studies):
        estimate = study.main.estimate
        if estimate is None:
            axes.text(0, row, "no estimate", ha="center", va="center", fontsize=9, color=MUTED, backgroundcolor="white")
            continue
        low, middle, high = map(percent_of, (estimate.low, estimate.effect, estimate.high))
        axes.plot([low, high], [row, row], color=_FEE, linewidth=2)
        axes.plot([middle], [row], marker="o", color=_FEE, markersize=6)
    labels = [f"{FLEETS[study.fleet].title}:\n{verdict_of(study).kind.value}" for study in studies]
    axes.set_yticks(range(len(studies)), labels, fontsize=9)
    axes.set_ylim(len(studies) - 0.5, -0.5)
    _plain(axes)
    axes.grid(axis="x", color="#e6e6ec")


def _draw_weeks(axes: "Axes", study: FleetStudy) -> None:
    weeks = study.events.weeks if study.events else ()
    axes.axhline(0, color=MUTED, linewidth=0.8, linestyle="--")
    for week in weeks:
        color = _FEE if week.week >= 0 else _BEFORE
        ends = [percent_of(week.estimate.low), percent_of(week.estimate.high)]
        axes.plot([week.week, week.week], ends, color=color, linewidth=2)
        axes.plot([week.week], [percent_of(week.estimate.effect)], marker="o", color=color)
    axes.set_title(
        f"{FLEETS[study.fleet].title}, week by week beside the mean of those before", fontsize=10, color=INK, loc="left"
    )
    axes.set_xticks([week.week for week in weeks])
    axes.axvline(-0.5, color=_FEE, linewidth=0.8, linestyle=":")
    axes.set_xlabel("weeks since the fee began; 22 December to 4 January do not count", fontsize=9, color=MUTED)
    _plain(axes)
    axes.grid(axis="y", color="#e6e6ec")


def _plain(axes: "Axes") -> None:
    axes.tick_params(colors=MUTED, labelsize=9)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
