"""Geometry of the maps: positions of the boroughs' labels, and zone shapes with fewer points for web pages."""

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


_KILOMETRES_A_DEGREE = 40_030 / 360
"""Of latitude: the circumference of a sphere as large as the earth."""

WIDTH = 2000
"""Width of a drawing of the city, in pixels; a pixel is about 20 metres."""


def on_plane(shapes: Mapping[int, str]) -> "tuple[Plane, dict[int, BaseGeometry]]":
    """Fit a plane around the zones and simplify their shapes.

    Args:
        shapes: zone id → WKT in degrees; at least one.

    Returns:
        The plane, and zone id → simplified shape in degrees.
    """
    import shapely

    simple = _simplified(shapes)
    return Plane(shapely.total_bounds(list(simple.values())).tolist(), WIDTH), simple


def _simplified(shapes: Mapping[int, str]) -> "dict[int, BaseGeometry]":
    """Remove points from the zones' shapes (WKT, degrees). Borders that neighbours share stay shared."""
    import shapely

    simple = shapely.coverage_simplify(shapely.from_wkt(list(shapes.values())), TOLERANCE_DEGREES)
    return dict(zip(shapes, simple.tolist(), strict=True))


def areas_km2(shapes: Mapping[int, str]) -> dict[int, float]:
    """The areas of zones in square kilometres, on a sphere; within 0.3 % of those on the earth's ellipsoid.

    Args:
        shapes: zone id → WKT in degrees.
    """
    import shapely

    areas = {}
    for zone_id, shape in zip(shapes, shapely.from_wkt(list(shapes.values())).tolist(), strict=True):
        _, south, _, north = shape.bounds
        narrow = math.cos(math.radians((south + north) / 2))
        areas[zone_id] = shape.area * narrow * _KILOMETRES_A_DEGREE**2
    return areas


def svg_path(rings: Iterable[Sequence[tuple[int, int]]]) -> str:
    """Write closed rings as the path of an SVG."""
    return "".join(f"M{'L'.join(f'{x} {y}' for x, y in ring[:-1])}Z" for ring in rings)


class Plane:
    """A projection of degrees to the pixels of a drawing, undistorted: x to the right, y down.

    Args:
        bounds: west, south, east, north in degrees.
        width: width of the drawing in pixels.
    """

    def __init__(self, bounds: tuple[float, float, float, float], width: float) -> None:
        self._west, south, east, self._north = bounds
        # A degree of longitude is shorter than one of latitude by the cosine of the latitude.
        self._narrow = math.cos(math.radians((south + self._north) / 2))
        self._scale = width / ((east - self._west) * self._narrow)
        self.width = width
        self.height = (self._north - south) * self._scale

    @property
    def pixels_per_degree(self) -> tuple[float, float]:
        """The pixels of a degree of longitude, and of a degree of latitude."""
        return self._narrow * self._scale, self._scale

    def x(self, longitude: float) -> float:
        """The pixels from the left edge to a longitude."""
        return (longitude - self._west) * self._narrow * self._scale

    def y(self, latitude: float) -> float:
        """The pixels from the top edge to a latitude."""
        return (self._north - latitude) * self._scale

    def polygons(self, shape: "BaseGeometry") -> list[list[list[tuple[int, int]]]]:
        """The shape's polygons, each as its rings in whole pixels, without those smaller than a pixel."""
        parts: Any = getattr(shape, "geoms", [shape])
        polygons = [[self._ring(ring) for ring in (part.exterior, *part.interiors)] for part in parts]
        return [[ring for ring in rings if len(ring) > 3] for rings in polygons if len(rings[0]) > 3]

    def rings(self, shape: "BaseGeometry") -> list[list[tuple[int, int]]]:
        """The rings of all the shape's polygons."""
        return [ring for rings in self.polygons(shape) for ring in rings]

    def path(self, shape: "BaseGeometry") -> str:
        """Write the shape as the path of an SVG."""
        return svg_path(self.rings(shape))

    def _ring(self, ring: "LinearRing") -> list[tuple[int, int]]:
        pixels = [(round(self.x(longitude)), round(self.y(latitude))) for longitude, latitude in ring.coords]
        return [pixel for n, pixel in enumerate(pixels) if n == 0 or pixel != pixels[n - 1]]
