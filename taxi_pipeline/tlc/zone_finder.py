"""Finds the taxi zones of coordinates: the files of 2009 and 2010 hold longitudes and latitudes.

Exact: a point belongs to the zone whose shape covers it. Most points need no such test, because a grid of cells in
front of it knows the cells that lie in one zone, and those that lie in none.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from taxi_pipeline.tlc.zones import UNKNOWN_ZONE_ID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CELL_DEGREES = 0.002
"""Width of a cell, about 200 m: smaller cells take longer to prepare than they save."""

_SEVERAL = -1
"""Mark of a cell that lies in a zone only in part."""


class ZoneFinder:
    """Finds the zones of points. Prepared once (a second for New York's zones), then used for any number of points."""

    def __init__(self, shapes: Mapping[int, str]) -> None:
        """Prepare for these zones.

        Args:
            shapes: zone id → shape as WKT in degrees.
        """
        import numpy as np
        import shapely

        self._ids = np.array(sorted(shapes), dtype=np.int16)
        polygons = shapely.from_wkt([shapes[int(zone_id)] for zone_id in self._ids])
        self._tree = shapely.STRtree(polygons)
        self._west, self._south, east, north = shapely.total_bounds(polygons)
        self._columns = int(np.ceil((east - self._west) / CELL_DEGREES)) or 1
        self._rows = int(np.ceil((north - self._south) / CELL_DEGREES)) or 1
        self._cells = self._zones_of_cells()

    def zones_of(self, longitudes: "NDArray[np.float64]", latitudes: "NDArray[np.float64]") -> "NDArray[np.int16]":
        """Find the zone of each point.

        A point on the border of several zones belongs to the one with the lowest id.

        Args:
            longitudes: degrees, one for each point.
            latitudes: degrees, one for each point.

        Returns:
            Zone ids in the order of the points; 264 where no zone covers the point, or a coordinate is NaN.
        """
        import numpy as np

        column = np.floor((longitudes - self._west) / CELL_DEGREES)
        row = np.floor((latitudes - self._south) / CELL_DEGREES)
        # The outermost border lies on the grid's edge.
        inside = (column >= 0) & (column <= self._columns) & (row >= 0) & (row <= self._rows)
        column, row = np.minimum(column, self._columns - 1), np.minimum(row, self._rows - 1)
        zones = np.full(len(longitudes), UNKNOWN_ZONE_ID, dtype=np.int16)
        zones[inside] = self._cells[(row[inside] * self._columns + column[inside]).astype(np.int64)]
        crossed = np.flatnonzero(zones == _SEVERAL)
        zones[crossed] = self._covering(longitudes[crossed], latitudes[crossed])
        return zones

    def _covering(self, longitudes: "NDArray[np.float64]", latitudes: "NDArray[np.float64]") -> "NDArray[np.int16]":
        import numpy as np
        import shapely

        point, polygon = self._tree.query(shapely.points(longitudes, latitudes), predicate="intersects")
        lowest = np.full(len(longitudes), np.iinfo(np.int16).max, dtype=np.int16)
        np.minimum.at(lowest, point, self._ids[polygon])
        return np.where(lowest == np.iinfo(np.int16).max, np.int16(UNKNOWN_ZONE_ID), lowest)

    def _zones_of_cells(self) -> "NDArray[np.int16]":
        """The zone in which each cell lies whole, row by row from the southwest; else 264 or the mark."""
        import numpy as np
        import shapely

        west, south = np.meshgrid(
            self._west + CELL_DEGREES * np.arange(self._columns), self._south + CELL_DEGREES * np.arange(self._rows)
        )
        # A little larger than the cell: a point that rounding puts on the wrong side of a cell's edge is still right.
        margin = CELL_DEGREES / 1000
        boxes = shapely.box(
            west.ravel() - margin,
            south.ravel() - margin,
            west.ravel() + CELL_DEGREES + margin,
            south.ravel() + CELL_DEGREES + margin,
        )
        touched = np.bincount(self._tree.query(boxes, predicate="intersects")[0], minlength=len(boxes))
        cells = np.where(touched > 0, _SEVERAL, np.int16(UNKNOWN_ZONE_ID)).astype(np.int16)
        cell, polygon = self._tree.query(boxes, predicate="within")
        alone = touched[cell] == 1
        cells[cell[alone]] = self._ids[polygon[alone]]
        return cells
