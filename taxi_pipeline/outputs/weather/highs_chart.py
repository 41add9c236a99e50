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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    """Draw the highs, and the net trips a day of each fleet below them, as a 10 × 7 inch PNG.

    Args:
        found: the loaded days; a day without a high, or that is not loaded, is a gap.

    Returns:
        The PNG's bytes.
    """
    from matplotlib.figure import Figure

    with own_style():
        figure = Figure(figsize=(SIZE_INCHES, 7), dpi=DPI, facecolor="white")
        figure.text(0.07, 0.945, "Daily highs in Central Park, and trips a day", fontsize=15, weight="bold", color=INK)
        figure.text(0.07, 0.91, _legend(found), fontsize=10, color=MUTED)
        if found.coverage.synthetic:
            figure.text(0.97, 0.945, SYNTHETIC_NOTE, fontsize=10, weight="bold", color=WARNING, ha="right")
        else:
            figure.text(0.07, 0.015, f"{SOURCE}; NOAA, GHCN daily, USW00094728", fontsize=8, color=MUTED)
        highs, trips = figure.add_axes((0.07, 0.53, 0.9, 0.33)), figure.add_axes((0.07, 0.1, 0.9, 0.36))
        days = sorted(found.weather)
        values = [found.weather[day].high_f for day in days]
        _draw(highs, days, [None if value is None else float(value) for value in values], _HIGH)
        highs.set_ylabel("Highest temperature, °F", fontsize=9, color=MUTED)
        for day in (day for day in days if found.weather[day].snowfall_in):
            highs.axvline(_number(day), color=_SNOW, linewidth=0.8, alpha=0.5)
        for fleet in found.fleets:
            counted = [found.trips.get((fleet, day)) for day in days]
            _draw(trips, days, [each.num_net_trips if each else None for each in counted], _FLEETS[fleet], fleet)
        trips.set_ylim(bottom=0)
        trips.yaxis.set_major_formatter("{x:,.0f}")
        trips.set_ylabel("Trips a day, net of voids", fontsize=9, color=MUTED)
        if found.fleets:
            trips.legend(loc="upper left", fontsize=9, frameon=False, ncols=len(found.fleets))
        return png_of(figure)


def _legend(found: WeatherOfTrips) -> str:
    if not found.weather:
        return "The weather of no loaded day is known: weather_days and loaded_days have no day in common"
    first, last = min(found.weather), max(found.weather)
    return f"{len(found.weather):,} loaded days from {first} to {last}. Blue lines: days with fresh snow"


def _number(day: date) -> float:
    """The day as matplotlib counts days."""
    from matplotlib.dates import date2num

    return float(date2num(day))


def _draw(axes: "Axes", days: Sequence[date], values: Sequence[float | None], color: str, label: str = "") -> None:
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
    axes.plot(xs, ys, color=color, linewidth=1, marker=".", markersize=2.5, label=label or None)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.margins(x=0.01)
    axes.tick_params(colors=MUTED, labelsize=9)
    axes.grid(axis="y", color="#e6e6ec")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
