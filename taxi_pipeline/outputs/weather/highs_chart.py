"""The chart of the daily highs in Central Park above the trips a day of each fleet, for the loaded days."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from taxi_pipeline.outputs.style import (
    DPI,
    INK,
    MUTED,
    SIZE_INCHES,
    SOURCE,
    SYNTHETIC_NOTE,
    WARNING,
    own_style,
    png_of,
)
from taxi_pipeline.outputs.weather.extreme_days import WeatherOfTrips
from taxi_pipeline.tlc.fleets import FLEETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADER = ("day", "high_f", "high_c")
"""Columns of `outputs/daily_highs.csv`."""

_HIGH, _SNOW = "#e8743b", "#2f72b8"
_FLEETS = {"yellow": "#d9a400", "green": "#2e8b57", "fhv": "#6b6b7b", "fhvhv": "#12305c"}


def highs_rows(found: WeatherOfTrips) -> list[tuple[str, str, str]]:
    """List the highs of the loaded days with the columns of `HEADER`, one decimal; without days that have none."""
    return [
        (str(day), f"{weather.high_f:.1f}", f"{(float(weather.high_f) - 32) / 1.8:.1f}")
        for day, weather in sorted(found.weather.items())
        if weather.high_f is not None
    ]


def draw_highs(found: WeatherOfTrips) -> bytes:
    """Draw the highs, and the net trips a day of each fleet below them, as a 10 × 8 inch PNG.

    Args:
        found: the loaded days; a day without a high, or that is not loaded, is a gap.

    Returns:
        The PNG's bytes.
    """
    from matplotlib.figure import Figure

    with own_style():
        figure = Figure(figsize=(SIZE_INCHES, 8), dpi=DPI, facecolor="white")
        figure.text(0.09, 0.945, "Daily highs in Central Park, and trips a day", fontsize=15, weight="bold", color=INK)
        figure.text(0.09, 0.91, _legend(found), fontsize=10, color=MUTED)
        if found.coverage.synthetic:
            figure.text(0.97, 0.945, SYNTHETIC_NOTE, fontsize=10, weight="bold", color=WARNING, ha="right")
        else:
            figure.text(0.09, 0.015, f"{SOURCE}; NOAA, GHCN daily, USW00094728", fontsize=8, color=MUTED)
        days = sorted(found.weather)
        top, *panels = _panels(figure, len(found.fleets))
        highs = [found.weather[day].high_f for day in days]
        _draw(top, days, [None if high is None else float(high) for high in highs], _HIGH)
        top.set_ylabel("Highest temperature, °F", fontsize=9, color=MUTED)
        for day in (day for day in days if found.weather[day].snowfall_in):
            top.axvline(_number(day), color=_SNOW, linewidth=0.8, alpha=0.5)
        for fleet, panel in zip(found.fleets, panels, strict=True):
            counted = [found.trips.get((fleet, day)) for day in days]
            _draw(panel, days, [each.num_net_trips if each else None for each in counted], _FLEETS[fleet])
            panel.set_ylim(bottom=0)
            panel.yaxis.set_major_formatter("{x:,.0f}")
            panel.set_title(f"{FLEETS[fleet].title}: trips a day, net of voids", loc="left", fontsize=10, color=INK)
        return png_of(figure)


def _panels(figure: "Figure", num_fleets: int) -> "list[Axes]":
    """The panel of the highs and, below it, one for each fleet: their trips differ a hundredfold."""
    below = 0.46 / max(num_fleets, 1)
    return [
        figure.add_axes((0.09, 0.6, 0.88, 0.27)),
        *(figure.add_axes((0.09, 0.54 - (number + 1) * below, 0.88, below - 0.06)) for number in range(num_fleets)),
    ]


def _legend(found: WeatherOfTrips) -> str:
    if not found.weather:
        return "The weather of no loaded day is known: weather_days and loaded_days have no day in common"
    first, last = min(found.weather), max(found.weather)
    return f"{len(found.weather):,} loaded days from {first} to {last}. Blue lines: days with fresh snow"


def _number(day: date) -> float:
    """The day as matplotlib counts days."""
    from matplotlib.dates import date2num

    return float(date2num(day))


def _draw(axes: "Axes", days: Sequence[date], values: Sequence[float | None], color: str) -> None:
    """Draw a line with a gap wherever a day is missing between two."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    xs: list[float] = []
    ys: list[float] = []
    for day, value in zip(days, values, strict=True):
        x = _number(day)
        if xs and x > xs[-1] + 1:
            xs.append(xs[-1] + 1)
            ys.append(float("nan"))
        xs.append(x)
        ys.append(float("nan") if value is None else value)
    # Dots for days that stand alone, which a line would not show.
    axes.plot(xs, ys, color=color, linewidth=1, marker=".", markersize=2.5)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.margins(x=0.01)
    axes.tick_params(colors=MUTED, labelsize=9)
    axes.grid(axis="y", color="#e6e6ec")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
