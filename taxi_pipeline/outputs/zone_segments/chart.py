"""The picture of the segments: a map with a colour for each, and below it the week of each beside that of the city."""

import textwrap
from typing import TYPE_CHECKING, Any

from taxi_pipeline.analysis.segments import MIN_PICKUPS, Segment, Segmentation
from taxi_pipeline.analysis.zone_profiles import NUM_HOURS
from taxi_pipeline.outputs.maps import frame
from taxi_pipeline.outputs.palette import EMPTY, KINDS
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
from taxi_pipeline.outputs.zone_segments.table import months_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_WIDTH_INCHES = 1.4 * SIZE_INCHES
_ROW_INCHES = 2.0
_PANEL_INCHES = 1.25
_COLUMNS = 2
_LEGEND_LINE = 46
"""Letters in a line of the legend."""


def draw_segments(found: Segmentation) -> bytes:
    """Draw the segments as a PNG, 14 inches wide, 10 inches high without segments, higher with their weeks.

    Args:
        found: segments of at least one zone that has a shape, or none with the reason.

    Returns:
        The PNG's bytes.
    """
    from matplotlib.figure import Figure

    num_rows = -(-len(found.segments) // _COLUMNS)
    height = SIZE_INCHES + _ROW_INCHES * num_rows
    with own_style():
        figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=DPI, facecolor="white")
        _add_texts(figure, found, height)
        _draw_maps(figure, found, height)
        _draw_legend(figure, found, height)
        if found.segments:
            words = (
                "Share of a zone's pickups in each hour of the week, mean of the segment; the line is the whole city"
            )
            figure.text(0.02, (height - SIZE_INCHES + 0.22) / height, words, fontsize=10, color=MUTED)
        for number, segment in enumerate(found.segments):
            row, column = divmod(number, _COLUMNS)
            bottom = height - SIZE_INCHES - _ROW_INCHES * (row + 1) + 0.6
            box = (0.055 + 0.485 * column, bottom / height, 0.435, _PANEL_INCHES / height)
            _draw_week(figure.add_axes(box), segment, found.city)
        return png_of(figure)


def _add_texts(figure: "Figure", found: Segmentation, height: float) -> None:
    title = "When trips begin: zones whose weeks are alike"
    figure.text(0.02, 1 - 0.38 / height, title, fontsize=19, weight="bold", color=INK, va="center")
    num_trips = int(found.profiles.pickups.sum())
    subtitle = f"{months_words(found)} · {num_trips:,} pickups"
    figure.text(0.02, 1 - 0.7 / height, textwrap.shorten(subtitle, 150), fontsize=11, color=INK, va="center")
    if found.why_none:
        figure.text(0.02, 1 - 0.98 / height, f"No segments. {found.why_none}", fontsize=11, color=INK, va="center")
    if found.profiles.synthetic:
        figure.text(0.02, 0.16 / height, SYNTHETIC_NOTE, fontsize=11, weight="bold", color=WARNING)
    else:
        figure.text(0.02, 0.16 / height, SOURCE, fontsize=8.5, color=MUTED)


def _draw_maps(figure: "Figure", found: Segmentation, height: float) -> None:
    zones = _zones_of(found)
    base = height - SIZE_INCHES
    boxes = ((0.01, (base + 0.6) / height, 0.30, 8.0 / height), (0.31, (base + 0.55) / height, 0.69, 8.2 / height))
    enlarged, city = (figure.add_axes(box) for box in boxes)
    for axes, shown in ((enlarged, zones[zones["borough"] == "Manhattan"]), (city, zones)):
        if len(shown):
            frame(figure, axes, shown)
            shown.plot(ax=axes, aspect=None, color=shown["color"].tolist(), edgecolor="white", linewidth=0.6)
        else:
            axes.set_axis_off()
    enlarged.set_title("Manhattan, enlarged", fontsize=10, color=MUTED, loc="left", x=0.06, pad=0)


def _zones_of(found: Segmentation) -> "gpd.GeoDataFrame":
    import geopandas as gpd

    colors = {zone_id: KINDS[its.segment_id - 1] for zone_id, its in found.zones.items()}
    places = found.profiles.places
    columns: Mapping[str, Any] = {
        "borough": [place.borough for place in places],
        "color": [colors.get(place.zone_id, EMPTY) for place in places],
    }
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries.from_wkt([p.geometry or "" for p in places]), crs=4326)


def _draw_legend(figure: "Figure", found: Segmentation, height: float) -> None:
    """Draw the key west of the city, a line or two for each segment."""
    from matplotlib.patches import Rectangle

    entries = [(KINDS[segment.segment_id - 1], f"{segment.segment_id}  {segment.name}") for segment in found.segments]
    if len(found.zones) < len(found.profiles.places):
        entries.append((EMPTY, f"fewer than {MIN_PICKUPS:,} pickups" if found.segments else "no segment"))
    top = height - 1.5
    for color, text in entries:
        box = (0.345, (top - 0.14) / height)
        figure.add_artist(
            Rectangle(box, 0.22 / _WIDTH_INCHES, 0.15 / height, facecolor=color, edgecolor=MUTED, linewidth=0.4)
        )
        for line in textwrap.wrap(text, _LEGEND_LINE):
            figure.text(0.367, (top - 0.065) / height, line, fontsize=9, color=INK, va="center")
            top -= 0.19
        top -= 0.06


def _draw_week(axes: "Axes", segment: Segment, city: "NDArray[Any]") -> None:
    """Draw the share of pickups by hour of the week, in percent, and that of the city as a line."""
    hours = range(NUM_HOURS)
    color = KINDS[segment.segment_id - 1]
    axes.fill_between(hours, 100 * segment.week, color=color, alpha=0.45, linewidth=0)
    axes.plot(hours, 100 * segment.week, color=color, linewidth=1.4)
    axes.plot(hours, 100 * city, color=INK, linewidth=0.8)
    num_zones = len(segment.zone_ids)
    facts = f"{num_zones} zone{'' if num_zones == 1 else 's'} · {segment.num_trips:,} pickups"
    axes.set_title(f"{segment.segment_id}  {segment.name}", fontsize=10, weight="bold", color=INK, loc="left")
    axes.set_title(facts, fontsize=8.5, color=MUTED, loc="right")
    axes.set_xlim(0, NUM_HOURS - 1)
    axes.set_ylim(0, 105 * max(segment.week.max(), city.max()))
    axes.set_xticks([24 * day + 12 for day in range(7)], [name[:3] for name, _ in WEEKDAYS])
    axes.tick_params(axis="x", length=0)
    for day in range(1, 7):
        axes.axvline(24 * day, color="#d4d4dc", linewidth=0.7, zorder=0)
    axes.tick_params(colors=MUTED, labelsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylabel("% of pickups", fontsize=8.5, color=MUTED)
