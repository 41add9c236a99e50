"""The maps of Manhattan and of the city, drawn from GeoJSON. `zone_statistics` decides what is counted on them."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import permutations
from typing import TYPE_CHECKING, Any

from taxi_pipeline.outputs.geometry import BOROUGH_LABELS
from taxi_pipeline.outputs.palette import EMPTY, NUM_SHADES, SHADES, Classes, round_classes
from taxi_pipeline.outputs.places import shares_note
from taxi_pipeline.outputs.style import DPI, INK, MUTED, SIZE_INCHES, SOURCE, SYNTHETIC_NOTE, WARNING, own_style, png_of
from taxi_pipeline.outputs.text import percent, short
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import BOROUGH_TITLES

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Point = tuple[float, float]
"""Shares of the map's width and height."""

BUSIEST = 5
"""Number of zones whose names are on the map."""

# Shares of the map's height or width: least distance between the middles of two labels, distance of a label from the
# zones beside it, width of a label.
_LABEL_GAP = 0.07
_LABEL_DISTANCE = 0.035
_LABEL_WIDTH = 0.19


def draw_manhattan_map(stats: Mapping[str, Any]) -> bytes:
    """Draw pickups by Manhattan taxi zone as a 10 × 10 inch PNG.

    Args:
        stats: a GeoJSON FeatureCollection in degrees whose features have the properties `zone` and `num_trips`, with a
            member `coverage` (`first_day`, `last_day`: ISO dates or None; `num_days`, `fleets`, `synthetic`).

    Returns:
        The PNG's bytes.
    """
    from matplotlib.figure import Figure

    zones = _zones_of(stats)
    with own_style():
        figure = Figure(figsize=(SIZE_INCHES, SIZE_INCHES), dpi=DPI, facecolor="white")
        axes = figure.add_axes((0.0, 0.035, 1.0, 0.875))
        frame(figure, axes, zones)
        _fill(figure, {axes: zones}, stats["coverage"]["num_days"], key_at=(0.58, 0.105))
        if zones["num_trips"].any():
            _name_busiest(axes, zones)
        _add_texts(figure, stats["coverage"], "Manhattan", int(zones["num_trips"].sum()))
        return png_of(figure)


def draw_city_map(stats: Mapping[str, Any]) -> bytes:
    """Draw pickups by taxi zone of all boroughs as a 14 × 10 inch PNG, Manhattan enlarged beside the city.

    Args:
        stats: a FeatureCollection as `draw_manhattan_map` takes it, with all zones that have a shape; its features also
            have the property `borough`. Its member `num_unplaced` is the number of pickups in no known zone.

    Returns:
        The PNG's bytes.
    """
    from matplotlib.figure import Figure

    zones = _zones_of(stats)
    with own_style():
        figure = Figure(figsize=(1.4 * SIZE_INCHES, SIZE_INCHES), dpi=DPI, facecolor="white")
        enlarged = figure.add_axes((0.01, 0.06, 0.30, 0.82))
        city = figure.add_axes((0.31, 0.075, 0.69, 0.835))
        manhattan = zones[zones["borough"] == "Manhattan"]
        frame(figure, enlarged, manhattan)
        frame(figure, city, zones)
        _fill(figure, {city: zones, enlarged: manhattan}, stats["coverage"]["num_days"], key_at=(0.70, 0.085))
        _name_boroughs(city, zones)
        enlarged.set_title("Manhattan, enlarged", fontsize=10, color=MUTED, loc="left", x=0.06, pad=0)
        num_trips = int(zones["num_trips"].sum())
        _add_texts(figure, stats["coverage"], "New York", num_trips + stats["num_unplaced"])
        if num_trips + stats["num_unplaced"]:
            figure.text(0.02, 0.905, shares_note(num_trips, stats["num_unplaced"]), fontsize=10, color=MUTED)
        return png_of(figure)


def _zones_of(stats: Mapping[str, Any]) -> "gpd.GeoDataFrame":
    import geopandas as gpd

    return gpd.GeoDataFrame.from_features(stats["features"], crs=4326)


def frame(figure: "Figure", axes: "Axes", zones: "gpd.GeoDataFrame") -> None:
    """Show all zones, undistorted and centred, as large as the axes allow."""
    west, south, east, north = zones.total_bounds
    box, (figure_width, figure_height) = axes.get_position(), figure.get_size_inches()
    aspect = box.width * figure_width / (box.height * figure_height)
    # A degree of longitude is shorter than one of latitude by the cosine of the latitude.
    narrow = math.cos(math.radians((south + north) / 2))
    height = max(north - south, (east - west) * narrow / aspect) * 1.02
    width = height * aspect / narrow
    axes.set_axis_off()
    axes.set_xlim((west + east - width) / 2, (west + east + width) / 2)
    axes.set_ylim((south + north - height) / 2, (south + north + height) / 2)


def _fill(
    figure: "Figure", maps: "Mapping[Axes, gpd.GeoDataFrame]", num_days: int, key_at: tuple[float, float]
) -> None:
    """Colour zones with pickups, hatch those without, on each map; and draw the key.

    Args:
        figure: the figure that holds the maps.
        maps: axes whose frame is set → the zones on them, with `num_trips`; the first has all of them.
        num_days: days that are counted; the classes are of pickups a day.
        key_at: left and bottom of the colours' key, as shares of the figure.
    """
    from matplotlib.patches import Rectangle

    trips = next(iter(maps.values()))["num_trips"]
    left, bottom = key_at
    if (trips == 0).any():
        style: dict[str, Any] = {"facecolor": EMPTY, "edgecolor": "#b4b4be", "linewidth": 0.6}
        for axes, zones in maps.items():
            _plot(axes, zones[zones["num_trips"] == 0], hatch="////", **style)
        figure.add_artist(Rectangle((left, bottom - 0.05), 0.016, 0.016, hatch="//////", **style))
        figure.text(left + 0.023, bottom - 0.042, "No pickups", fontsize=9, color=INK, va="center")
    if (trips > 0).any():
        days = max(1, num_days)
        classes = round_classes(count / days for count in trips.tolist())
        for axes, zones in maps.items():
            filled = zones[zones["num_trips"] > 0]
            colors = [SHADES[classes.of(count / days) - 1] for count in filled["num_trips"].tolist()]
            _plot(axes, filled, color=colors, edgecolor="white", linewidth=0.6)
        _draw_key(figure, classes, left, bottom)


def _draw_key(figure: "Figure", classes: Classes, left: float, bottom: float) -> None:
    """Draw the key: a swatch for each class, with the number that it begins with."""
    from matplotlib.patches import Rectangle

    width = 3.8 / figure.get_figwidth() / NUM_SHADES
    for n, (start, shade) in enumerate(zip(classes.starts, classes.shades, strict=True)):
        x = left + n * width
        figure.add_artist(Rectangle((x, bottom), width, 0.016, facecolor=SHADES[shade - 1], edgecolor="white"))
        figure.text(x, bottom - 0.006, short(start), fontsize=8.5, color=INK, va="top")
    figure.text(left, bottom + 0.024, "Pickups a day per zone, from … on", fontsize=9, color=INK)


def _plot(axes: "Axes", zones: "gpd.GeoDataFrame", **style: Any) -> None:
    if len(zones):
        zones.plot(ax=axes, aspect=None, **style)


def _name_boroughs(axes: "Axes", zones: "gpd.GeoDataFrame") -> None:
    """Write name and share of the pickups of each borough, beside its zones where there is space, else over them."""
    from matplotlib.patheffects import withStroke

    total = int(zones["num_trips"].sum())
    boroughs = zones.dissolve("borough", aggfunc={"num_trips": "sum"})
    middles = boroughs.representative_point()
    positions = zip(middles.x, middles.y, strict=True)
    for name, middle, trips in zip(boroughs.index, positions, boroughs["num_trips"].tolist(), strict=True):
        x, y, align = BOROUGH_LABELS.get(name, (*middle, "center"))
        share = f"\n{percent(trips / total)}" if total else ""
        axes.text(
            x,
            y,
            f"{BOROUGH_TITLES.get(name, name)}{share}",
            ha=align,
            va="center",
            fontsize=11,
            weight="bold",
            color=INK,
            linespacing=1.2,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def _name_busiest(axes: "Axes", zones: "gpd.GeoDataFrame") -> None:
    """Name the busiest zones beside the island, with a line to each: western zones on the left, others on the right."""
    import numpy as np
    import shapely

    points = zones.representative_point()
    to_share = (axes.transData - axes.transAxes).transform
    x, y = to_share(np.column_stack([points.x, points.y])).T  # as shares of the map's width and height
    middle = np.poly1d(np.polyfit(y, x, 1))
    outline = shapely.transform(shapely.union_all(zones.geometry.to_numpy()), to_share)
    trips = zones["num_trips"].tolist()
    busiest = [i for i in sorted(range(len(zones)), key=lambda i: (-trips[i], i))[:BUSIEST] if trips[i] > 0]
    for side, sign in (("left", -1), ("right", 1)):
        chosen = sorted((i for i in busiest if (x[i] < middle(y[i])) == (side == "left")), key=lambda i: -y[i])
        places = []
        for height in _spread([y[i] for i in chosen]):
            # The label stands outside of the zones at its height, islands in the river included.
            beside_it = outline.intersection(shapely.box(-1, height - _LABEL_GAP / 2, 2, height + _LABEL_GAP / 2))
            edge = beside_it.bounds[0 if side == "left" else 2] if beside_it else float(middle(height))
            places.append((float(np.clip(edge + sign * _LABEL_DISTANCE, _LABEL_WIDTH, 1 - _LABEL_WIDTH)), height))
        for i, place in zip(chosen, _nearest_places([(x[i], y[i]) for i in chosen], places), strict=True):
            axes.annotate(
                f"{textwrap.fill(zones['zone'].iloc[i], width=22)}\n{_trips(trips[i])}",
                xy=(x[i], y[i]),
                xycoords="axes fraction",
                xytext=place,
                textcoords="axes fraction",
                ha="right" if side == "left" else "left",
                va="center",
                fontsize=10,
                color=INK,
                linespacing=1.25,
                arrowprops={
                    "arrowstyle": "-",
                    "color": INK,
                    "linewidth": 0.7,
                    "shrinkA": 4,
                    "shrinkB": 0,
                    "relpos": (1 if side == "left" else 0, 0.5),
                },
            )
            axes.plot(
                x[i],
                y[i],
                marker="o",
                markersize=3.5,
                color=INK,
                markeredgecolor="white",
                transform=axes.transAxes,
            )


def _nearest_places(points: Sequence[_Point], places: Sequence[_Point]) -> Sequence[_Point]:
    """A place for each point, so that all lines together are as short as they can be: then no two of them cross.

    Two lines that cross would be longer than the same two with their places exchanged.
    """
    return min(
        permutations(places),
        key=lambda tried: round(sum(math.dist(*ends) for ends in zip(points, tried, strict=True)), 9),
    )


def _spread(heights: Sequence[float]) -> list[float]:
    """Move labels apart, none below the lower edge, so that they do not overlap; heights are sorted downwards."""
    placed: list[float] = []
    for height in heights:
        placed.append(min(height, placed[-1] - _LABEL_GAP if placed else 0.95))
    # The key is at the bottom right, the islands are at the bottom left.
    too_low = 0.22 - min(placed, default=1.0)
    return [height + too_low for height in placed] if too_low > 0 else placed


def _add_texts(figure: "Figure", coverage: Mapping[str, Any], place: str, num_trips: int) -> None:
    title = f"Where {vehicles_in_words(coverage['fleets'])} pick up in {place}"
    size = 19 if len(title) <= 57 else 15
    figure.text(0.02, 0.962, title, fontsize=size, weight="bold", color=INK)
    figure.text(0.02, 0.932, f"{_dates(coverage)} · {_trips(num_trips)}", fontsize=12.5, color=INK)
    if coverage["synthetic"]:
        figure.text(0.02, 0.016, SYNTHETIC_NOTE, fontsize=11, weight="bold", color=WARNING)
    else:
        figure.text(0.02, 0.016, SOURCE, fontsize=8.5, color=MUTED)


def vehicles_in_words(fleets: Sequence[str]) -> str:
    """Describe the fleets' vehicles in words, as in `yellow and green taxis`."""
    colors = [fleet for fleet in fleets if fleet in ("yellow", "green")]
    hired = [fleet for fleet in fleets if fleet not in colors]
    words = []
    if colors:
        words.append("taxis" if len(colors) == 2 and hired else f"{' and '.join(colors)} taxis")
    if hired:
        words.append("high-volume for-hire vehicles" if hired == ["fhvhv"] else "for-hire vehicles")
    return " and ".join(words)


def _trips(count: int) -> str:
    return f"{count:,} trip{'' if count == 1 else 's'}"


def _dates(coverage: Mapping[str, Any]) -> str:
    if not coverage["first_day"]:
        return "No days loaded"
    first, last = (date.fromisoformat(coverage[key]) for key in ("first_day", "last_day"))
    if first == last:
        return _day(first)
    span = f"{_day(first)} to {_day(last)}"
    num_days = Days(first, last).num_days
    return span if coverage["num_days"] == num_days else f"{span} ({coverage['num_days']:,} of {num_days:,} days)"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
