"""The chart of a month's forecast: what is expected in the busiest zones, and what was counted, when it is known.

The forecast itself is made in `datasets.demand`.
"""

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

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NUM_ZONES = 3
_EXPECTED, _COUNTED = "#1d4f91", "#e8743b"


def draw_demand(model: "pd.DataFrame", counted: "pd.DataFrame | None", title: str, *, synthetic: bool) -> bytes:
    """Draw the month of the busiest zones as a 10 × 8 inch PNG: expected pickups, their interval, and counted ones.

    Args:
        model: the forecast, with the columns of `DEMAND_MODEL`.
        counted: `zone_hours` of the month; None for the forecast alone.
        title: one line.
        synthetic: true if the trips are generated; the picture then says so.

    Returns:
        The PNG's bytes.
    """
    from matplotlib.figure import Figure

    # `nlargest` keeps the order of zones with equal sums: the lower id comes first.
    busiest = model.groupby(["zone_id", "zone"])["expected"].sum().nlargest(NUM_ZONES).reset_index()
    with own_style():
        figure = Figure(figsize=(SIZE_INCHES, 8), dpi=DPI, facecolor="white")
        figure.text(0.07, 0.955, title, fontsize=15, weight="bold", color=INK)
        figure.text(0.07, 0.925, _legend(model, counted), fontsize=10, color=MUTED)
        if synthetic:
            figure.text(0.97, 0.955, SYNTHETIC_NOTE, fontsize=10, weight="bold", color=WARNING, ha="right")
        else:
            figure.text(0.07, 0.015, SOURCE, fontsize=8, color=MUTED)
        for number, zone in enumerate(busiest.itertuples()):
            axes = figure.add_axes((0.07, 0.67 - number * 0.295, 0.9, 0.2))
            _draw_expected(axes, model[model["zone_id"] == zone.zone_id])
            if counted is not None:
                these = counted[counted["zone_id"] == zone.zone_id]
                axes.plot(_times(these), these["num_trips"], ".", color=_COUNTED, markersize=2.5, alpha=0.7)
            axes.set_ylim(bottom=0)
            axes.set_title(str(zone.zone), loc="left", fontsize=11, color=INK)
        return png_of(figure)


def _legend(model: "pd.DataFrame", counted: "pd.DataFrame | None") -> str:
    if model.empty:
        return "There is no forecast: no month before it is loaded"
    dots = "No trips of the month are read" if counted is None else "Dots: counted in the month"
    return f"Line: expected in the hour. Band: nine hours of ten lie in it. {dots}"


def _times(frame: "pd.DataFrame") -> "pd.Series[pd.Timestamp]":
    """The beginning of each row's hour."""
    import pandas as pd

    return frame["pickup_date"] + pd.to_timedelta(frame["pickup_hour"], unit="h")


def _draw_expected(axes: "Axes", model: "pd.DataFrame") -> None:
    from matplotlib.dates import DateFormatter, WeekdayLocator

    model = model.sort_values(["pickup_date", "pickup_hour"])
    times = _times(model)
    axes.fill_between(times, model["low"], model["high"], color=_EXPECTED, alpha=0.18, linewidth=0, step="mid")
    axes.plot(times, model["expected"], color=_EXPECTED, linewidth=1)
    axes.margins(x=0)
    axes.xaxis.set_major_locator(WeekdayLocator(byweekday=0))
    axes.xaxis.set_major_formatter(DateFormatter("Mon, %d"))
    axes.tick_params(colors=MUTED, labelsize=9)
    axes.grid(axis="x", color="#e6e6ec")
    axes.set_axisbelow(True)
    axes.set_ylabel("Trips an hour", fontsize=9, color=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
