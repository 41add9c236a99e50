"""The chart of a demand model: what it expects in the busiest zones, and what was counted.

The model itself is in `datasets.demand`.
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
    WEEKDAYS,
    own_style,
    png_of,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NUM_ZONES = 3
_EXPECTED, _COUNTED = "#1d4f91", "#e8743b"
_HOURS = 7 * 24


def draw_demand(model: "pd.DataFrame", held_out: "pd.DataFrame", title: str, *, synthetic: bool) -> bytes:
    """Draw a week of the busiest zones as a 10 × 8 inch PNG: expected pickups with their interval, and counted ones.

    Args:
        model: the dataset `demand_model`.
        held_out: `zone_hours` of the month that the model is compared with.
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
        figure.text(
            0.07,
            0.925,
            "Line: expected in the hour. Band: nine hours of ten lie in it. Dots: counted in the month"
            if len(busiest)
            else "No month before it is loaded: there is nothing to learn from",
            fontsize=10,
            color=MUTED,
        )
        if synthetic:
            figure.text(0.97, 0.955, SYNTHETIC_NOTE, fontsize=10, weight="bold", color=WARNING, ha="right")
        else:
            figure.text(0.07, 0.015, SOURCE, fontsize=8, color=MUTED)
        for number, zone in enumerate(busiest.itertuples()):
            axes = figure.add_axes((0.07, 0.67 - number * 0.295, 0.9, 0.2))
            _draw_zone(axes, model[model["zone_id"] == zone.zone_id], held_out[held_out["zone_id"] == zone.zone_id])
            axes.set_title(str(zone.zone), loc="left", fontsize=11, color=INK)
        return png_of(figure)


def _draw_zone(axes: "Axes", model: "pd.DataFrame", counted: "pd.DataFrame") -> None:
    week = model.sort_values(["weekday", "pickup_hour"])
    hours = week["weekday"] * 24 + week["pickup_hour"]
    axes.fill_between(hours, week["low"], week["high"], color=_EXPECTED, alpha=0.18, linewidth=0, step="mid")
    axes.plot(hours, week["expected"], color=_EXPECTED, linewidth=1.4)
    days = (counted["pickup_date"].dt.day_of_week + 1) % 7
    axes.plot(days * 24 + counted["pickup_hour"], counted["num_trips"], ".", color=_COUNTED, markersize=2.5, alpha=0.7)
    axes.set_xlim(0, _HOURS)
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(0, _HOURS, 24), [name for name, _ in WEEKDAYS], ha="left", fontsize=9)
    axes.tick_params(colors=MUTED)
    axes.grid(axis="x", color="#e6e6ec")
    axes.set_axisbelow(True)
    axes.set_ylabel("Trips an hour", fontsize=9, color=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
