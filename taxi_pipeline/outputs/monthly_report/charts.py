"""The three charts in the mail of a monthly report, as PNGs of 1,200 pixels: days, hours, busiest zones.

Mail programs show neither SVG nor a style sheet, so these are drawn anew, of the report's own numbers.
"""

from typing import TYPE_CHECKING

from taxi_pipeline.outputs.monthly_report.written import WrittenReport
from taxi_pipeline.outputs.palette import SHADES, WEEKDAY, WEEKEND
from taxi_pipeline.outputs.style import INK, MUTED, SYNTHETIC_NOTE, WARNING, WEEKDAYS, own_style, png_of
from taxi_pipeline.outputs.text import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

_WIDTH, _DPI = 6, 200


def draw_days(report: WrittenReport) -> bytes:
    """Draw the trips of each day as bars; a day that is not loaded has none."""
    with own_style():
        figure, axes = _panel(report, "Trips per day; weekends in orange", height=2.4)
        days = report.trips_per_day
        colors = [WEEKEND if day.isoweekday() >= 6 else WEEKDAY for day in days]
        axes.bar([day.day for day in days], list(days.values()), color=colors, width=0.8)
        axes.set_xlim(0.3, 31.7)
        axes.set_xticks(range(1, 32, 2))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(_whole_numbers())
        axes.yaxis.set_major_formatter(lambda value, _: short(round(value)))
        axes.grid(axis="y", color="#d9d9e0", linewidth=0.6)
        axes.set_axisbelow(True)
        return png_of(figure)


def draw_hours(report: WrittenReport) -> bytes:
    """Draw the trips in each hour of an average week as a heat map, Sunday first."""
    from matplotlib.colors import ListedColormap

    with own_style():
        figure, axes = _panel(report, "Trips in an hour of an average day", height=2.4)
        trips = [[report.trips_per_hour.get((weekday, hour), 0) for hour in range(24)] for weekday in range(7)]
        image = axes.imshow(trips, aspect="auto", cmap=ListedColormap(SHADES), vmin=0)
        axes.set_xticks(range(0, 24, 3), [f"{hour:02}:00" for hour in range(0, 24, 3)])
        axes.set_yticks(range(7), [name[:3] for name, _ in WEEKDAYS])
        bar = figure.colorbar(image, ax=axes, pad=0.02, format=lambda value, _: short(round(value)))
        bar.ax.tick_params(labelsize=7, colors=MUTED)
        bar.outline.set_visible(False)  # type: ignore[operator]
        return png_of(figure)


def draw_busiest(report: WrittenReport) -> bytes:
    """Draw the pickups of the busiest zones as bars, with their numbers."""
    with own_style():
        figure, axes = _panel(report, "Pickups in the busiest zones", height=3)
        names = [zone if len(zone) <= 32 else f"{zone[:31]}…" for zone, _ in report.busiest]
        places = list(range(len(names)))
        bars = axes.barh(places, [trips for _, trips in report.busiest], color=WEEKDAY, height=0.7)
        axes.bar_label(bars, [f"{trips:,}" for _, trips in report.busiest], padding=3, fontsize=7.5, color=MUTED)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.margins(x=0.14)
        axes.set_xticks([])
        return png_of(figure)


def _panel(report: WrittenReport, title: str, height: float) -> "tuple[Figure, Axes]":
    """A figure with one panel: its title, and what must not be overlooked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=10, color=INK, weight="bold")
    if report.is_synthetic:
        axes.set_title(SYNTHETIC_NOTE, loc="right", fontsize=7, color=WARNING, weight="bold")
    axes.tick_params(length=0, labelsize=7.5, colors=MUTED)
    axes.spines[:].set_visible(False)
    return figure, axes


def _whole_numbers() -> "MaxNLocator":
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, integer=True)
