"""Places on the maps: where boroughs are named, and zones' shapes for web pages, which are small and still touch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapely import LinearRing
    from shapely.geometry.base import BaseGeometry

BOROUGH_LABELS = {
    "Manhattan": (-74.032, 40.765, "right"),
    "Bronx": (-73.935, 40.915, "right"),
    "Queens": (-73.742, 40.803, "left"),
    "Brooklyn": (-74.040, 40.560, "center"),
    "Staten Island": (-74.215, 40.640, "right"),
    "EWR": (-74.205, 40.690, "right"),
}
"""Longitude, latitude and alignment of the label of a borough: on water or outside of the city."""

TOLERANCE_DEGREES = 0.0004
"""About 40 metres, less than a pixel where the whole city is on the screen."""


WIDTH = 2000
"""Of a drawing of the city: a pixel is about 20 metres."""


def on_plane(shapes: Mapping[int, str]) -> "tuple[Plane, dict[int, BaseGeometry]]":
    """A plane that holds all the zones (WKT, degrees; at least one), and their shapes, simplified."""
    import shapely

    simple = _simplified(shapes)
    return Plane(shapely.total_bounds(list(simple.values())).tolist(), WIDTH), simple


def _simplified(shapes: Mapping[int, str]) -> "dict[int, BaseGeometry]":
    """The zones' shapes (WKT, degrees) with fewer points; what neighbours share stays shared."""
    import shapely

    simple = shapely.coverage_simplify(shapely.from_wkt(list(shapes.values())), TOLERANCE_DEGREES)
    return dict(zip(shapes, simple.tolist(), strict=True))


def svg_path(rings: Iterable[Sequence[tuple[int, int]]]) -> str:
    """Closed rings as the path of an SVG."""
    return "".join(f"M{'L'.join(f'{x} {y}' for x, y in ring[:-1])}Z" for ring in rings)


class Plane:
    """Degrees as pixels of a drawing, undistorted: x to the right, y down.

    Args:
        bounds: west, south, east, north in degrees.
        width: of the drawing.
    """

    def __init__(self, bounds: tuple[float, float, float, float], width: float) -> None:
        self._west, south, east, self._north = bounds
        # A degree of longitude is shorter than one of latitude by the cosine of the latitude.
        self._narrow = math.cos(math.radians((south + self._north) / 2))
        self._scale = width / ((east - self._west) * self._narrow)
        self.width = width
        self.height = (self._north - south) * self._scale

    def x(self, longitude: float) -> float:
        """Pixels from the left."""
        return (longitude - self._west) * self._narrow * self._scale

    def y(self, latitude: float) -> float:
        """Pixels from the top."""
        return (self._north - latitude) * self._scale

    def polygons(self, shape: "BaseGeometry") -> list[list[list[tuple[int, int]]]]:
        """The shape's polygons, each with its rings, in whole pixels; what is smaller than one is left out."""
        parts: Any = getattr(shape, "geoms", [shape])
        polygons = [[self._ring(ring) for ring in (part.exterior, *part.interiors)] for part in parts]
        return [[ring for ring in rings if len(ring) > 3] for rings in polygons if len(rings[0]) > 3]

    def rings(self, shape: "BaseGeometry") -> list[list[tuple[int, int]]]:
        """The rings of all the shape's polygons."""
        return [ring for rings in self.polygons(shape) for ring in rings]

    def path(self, shape: "BaseGeometry") -> str:
        """The shape as the path of an SVG."""
        return svg_path(self.rings(shape))

    def _ring(self, ring: "LinearRing") -> list[tuple[int, int]]:
        pixels = [(round(self.x(longitude)), round(self.y(latitude))) for longitude, latitude in ring.coords]
        return [pixel for n, pixel in enumerate(pixels) if n == 0 or pixel != pixels[n - 1]]
