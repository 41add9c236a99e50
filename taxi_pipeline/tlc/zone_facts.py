"""Known facts of each taxi zone, and the check that the zones of a file are New York's.

Zones do not move: a file whose shapes lie elsewhere, or whose boroughs are others, is broken, or is another file. The
trips of 2009 and 2010 are placed by these shapes, so a wrong file would misplace them without a word.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.trip_files import UnusableFileError

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy.typing as npt
    import pandas as pd

MAX_NAME_LENGTH = 100
"""Longest name of a zone, in letters; the longest that the TLC has is 45."""

BOUNDS = (-74.35, 40.45, -73.65, 40.95)
"""West, south, east and north of all zones, with Newark Airport, in degrees; rounded outwards."""

MAX_DISTANCE_DEGREES = 0.02
"""Longest distance of a shape from the known point in its zone: about two kilometres."""

KM_PER_DEGREE = 111.2
"""Kilometres per degree of latitude; for longitude times the cosine of the latitude."""

FACTS_FILE = Path(__file__).with_suffix(".csv")

_KINDS_WITH_AREA = (3, 6)
"""Polygon and MultiPolygon, as shapely numbers kinds of geometry."""
_AREA_FACTOR = 4
"""Factor by which a shape's area may differ from the known one, up or down: some files clip the water, some do not."""

_NAMED_AT_MOST = 5


def read_zone_facts() -> "pd.DataFrame":
    """Read the known facts of each zone.

    Returns:
        One row for each zone id from 1 to 263, sorted: name, borough, service zone, a point inside the zone (degrees),
        its area in km², and its share of yellow pickups in the first quarter of 2023. The share is 0 for 57, 104 and
        105, whose trips the source counts with those of 56 and 103, and for zones without any. Source: the TLC's taxi
        zones and trip records.
    """
    import pandas as pd

    return pd.read_csv(FACTS_FILE, keep_default_na=False).sort_values("zone_id")


def zone_ids_by_name_and_place(shapes: "gpd.GeoDataFrame") -> list[int]:
    """Identify the zones of a file without ids.

    Names alone would not do: Corona is the name of two zones, and three islands share one.

    Args:
        shapes: shapes in EPSG:4326, with `zone` and `borough`, in any order.

    Returns:
        The zone id of each shape, 1 to 263, each once.

    Raises:
        UnusableFileError: some zones can't be identified; names some of them.
    """
    import shapely

    known = read_zone_facts()
    geometry = shapes.geometry.to_numpy()
    positions: dict[tuple[str, str], list[int]] = {}
    for position, (zone, borough) in enumerate(zip(shapes["zone"], shapes["borough"], strict=True)):
        positions.setdefault((_plain(zone), _plain(borough)), []).append(position)
    found: dict[int, int] = {}
    unknown = []
    for zone_id, zone, borough, lon, lat in known[["zone_id", "zone", "borough", "lon", "lat"]].itertuples(index=False):
        named = positions.get((_plain(zone), _plain(borough)), [])
        distances = {n: shapely.distance(geometry[n], shapely.Point(lon, lat)) for n in named if n not in found}
        near = [n for n, distance in distances.items() if distance <= MAX_DISTANCE_DEGREES]
        if near:
            found[min(near, key=distances.__getitem__)] = int(zone_id)
        else:
            unknown.append(f"{zone_id} ({zone}, {borough})")
    if unknown:
        named = ", ".join(unknown[:_NAMED_AT_MOST])
        raise UnusableFileError(f"{len(unknown)} of the known zones are not in it by name and place, such as {named}")
    if len(shapes) > len(found):
        raise UnusableFileError(f"{len(shapes) - len(found)} of its {len(shapes)} shapes are no zone that is known")
    return [found[position] for position in range(len(shapes))]


def _plain(name: object) -> str:
    return " ".join(str(name).split()).casefold()


def refuse_what_is_not_new_york(shapes: "gpd.GeoDataFrame") -> None:
    """Check that shapes are those of New York's zones.

    Args:
        shapes: shapes in EPSG:4326, with `objectid` 1 to 263 in order, `zone` and `borough`.

    Raises:
        UnusableFileError: they are not; says of which zones, and what is wrong with them.
    """
    import numpy as np
    import shapely

    known = read_zone_facts()
    ids = np.asarray(shapes["objectid"], dtype=int)
    geometry = np.asarray(shapes.geometry.values, dtype=object)
    has_area = np.isin(shapely.get_type_id(geometry), _KINDS_WITH_AREA)
    _refuse(ids[~has_area], "have no area as their shape, but points or lines")
    names = [str(name) for name in shapes["zone"]]
    _refuse(ids[[len(name) > MAX_NAME_LENGTH for name in names]], f"have a name of more than {MAX_NAME_LENGTH} letters")
    _refuse(ids[[not name.strip() for name in names]], "have no name")
    boroughs = np.asarray([str(name) for name in shapes["borough"]], dtype=object)
    other = boroughs != np.asarray(known["borough"], dtype=object)
    _refuse(ids[other], f"have another borough than is known ({_short(boroughs[other])})")
    west, south, east, north = shapely.bounds(geometry).T
    outside = (west < BOUNDS[0]) | (south < BOUNDS[1]) | (east > BOUNDS[2]) | (north > BOUNDS[3])
    _refuse(
        ids[outside],
        f"lie outside of New York (longitude {BOUNDS[0]} to {BOUNDS[2]}, latitude {BOUNDS[1]} to {BOUNDS[3]}); are "
        "longitude and latitude exchanged, or is the coordinate system another one than the file says?",
    )
    points = shapely.points(known["lon"].to_numpy(dtype=float), known["lat"].to_numpy(dtype=float))
    _refuse(ids[shapely.distance(geometry, points) > MAX_DISTANCE_DEGREES], "do not lie where they are known to lie")
    areas = shapely.area(geometry) * np.cos(np.radians((south + north) / 2)) * KM_PER_DEGREE**2
    ratio = areas / known["area_km2"].to_numpy(dtype=float)
    _refuse(ids[(ratio > _AREA_FACTOR) | (ratio < 1 / _AREA_FACTOR)], "have another area than is known")


def _refuse(ids: "npt.NDArray[Any]", what: str) -> None:
    if len(ids):
        named = ", ".join(map(str, ids[:_NAMED_AT_MOST]))
        more = f" and {len(ids) - _NAMED_AT_MOST} more" if len(ids) > _NAMED_AT_MOST else ""
        raise UnusableFileError(f"its zones {named}{more} {what}")


def _short(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:40]) for name in sorted(set(names))[:3])
