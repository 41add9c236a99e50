"""The taxi zones: reading the TLC's zone file in each of its formats.

The zone id is the file's `OBJECTID`, not its `LocationID`: that column holds 56 twice and 103 three times and lacks 57,
104 and 105, which trips use. By `OBJECTID` all 263 names and boroughs equal the TLC's own lookup table. NYC Open Data's
newer export lacks `OBJECTID`; its zones are identified by name and place (`zone_facts`).
"""

import csv
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline.tlc.trip_files import UnusableFileError, describe_content
from taxi_pipeline.tlc.zone_facts import FACTS_FILE, refuse_what_is_not_new_york, zone_ids_by_name_and_place

if TYPE_CHECKING:
    import geopandas as gpd

NUM_SHAPES = 263
"""Zones 1 to 263 have a shape; 264 and 265 stand for pickups that no zone holds."""

UNKNOWN_ZONE_ID = 264
OUTSIDE_ZONE_ID = 265
LAST_ZONE_ID = OUTSIDE_ZONE_ID

BOROUGHS = ("Manhattan", "Brooklyn", "Queens", "Bronx", "Staten Island", "EWR", "N/A", "Unknown")
"""Boroughs of the zones, in the order in which they are shown; the last three are none of New York's."""

BOROUGH_TITLES = {"EWR": "Newark Airport", "N/A": "Outside the city", "Unknown": "Not known"}
"""Titles for boroughs whose published name is not readable."""

SYNTHETIC_MARKER = "SYNTHETIC.txt"
"""Name of the file that marks a zip as generated."""


_WGS84 = 4326
_DECIMALS = 7
"""Decimals of a degree: about a centimetre, and the same text whatever the projection library's last bits are."""

_HEAD_BYTES = 4096
_GZIP = b"\x1f\x8b"
_NO_LOCATION_ID = "LocationID can't take its place: it holds 56 twice and 103 three times, and lacks 57, 104 and 105"
_TAKE = "Take the TLC's own file, misc/taxi_zones.zip, or a CSV with WKT or a GeoJSON that has OBJECTID"


@cache
def boroughs_of_zones() -> Mapping[int, str]:
    """Zone id → borough, also for 264 and 265, which are no places. It needs no pandas, because sensors ask for it."""
    with FACTS_FILE.open(encoding="utf-8", newline="") as file:
        known = {int(row["zone_id"]): row["borough"] for row in csv.DictReader(file)}
    return {**known, UNKNOWN_ZONE_ID: "Unknown", OUTSIDE_ZONE_ID: "N/A"}


@dataclass(frozen=True)
class Zone:
    """One taxi zone; the geometry is WKT in EPSG:4326 (degrees), None for 264 and 265."""

    zone_id: int
    zone: str
    borough: str
    geometry: str | None


def read_zones(path: Path) -> list[Zone]:
    """Read a zone file: a zipped shapefile, a CSV with WKT in `the_geom`, or GeoJSON.

    Args:
        path: a local copy; its suffix is `.zip`, `.csv` or `.geojson`.

    Returns:
        All 265 zones, sorted by id; names as in the TLC's lookup table, but for 264, which it calls N/A.

    Raises:
        UnusableFileError: the file is none of these, lacks a column, its ids are not 1 to 263, each once, or the zones
            are not New York's.
    """
    import shapely

    try:
        shapes = _read_shapes(path)
        _refuse_wrong_ids(shapes["objectid"].tolist())
        shapes = shapes.sort_values("objectid", ignore_index=True)
        refuse_what_is_not_new_york(shapes)
        geometry = shapely.set_precision(shapes.geometry.values, 10**-_DECIMALS, mode="valid_output")
    except shapely.errors.ShapelyError as error:
        raise UnusableFileError(f"it holds a shape that can't be read ({str(error)[:200]}). {_TAKE}") from error
    if not all(shapely.is_valid(geometry)) or any(shapely.is_empty(geometry)):
        raise UnusableFileError("it holds zones whose shape is empty or invalid")
    wkt = shapely.to_wkt(geometry, rounding_precision=_DECIMALS)
    zones = [
        Zone(int(zone_id), str(zone), str(borough), str(shape))
        for zone_id, zone, borough, shape in zip(
            shapes["objectid"], shapes["zone"], shapes["borough"], wkt, strict=True
        )
    ]
    return [
        *zones,
        Zone(UNKNOWN_ZONE_ID, "Unknown", "Unknown", None),
        Zone(OUTSIDE_ZONE_ID, "Outside of NYC", "N/A", None),
    ]


def _refuse_wrong_ids(ids: Sequence[int]) -> None:
    expected = set(range(1, NUM_SHAPES + 1))
    if wrong := sorted({number for number, count in Counter(ids).items() if count > 1} | (set(ids) ^ expected)):
        named = ", ".join(map(str, wrong[:10])) + (f" and {len(wrong) - 10} more" if len(wrong) > 10 else "")
        raise UnusableFileError(f"its OBJECTIDs are not 1 to {NUM_SHAPES}, each once; wrong are {named}")


def zones_are_synthetic(path: Path) -> bool:
    """True if the zone file was generated."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(Path(name).name == SYNTHETIC_MARKER for name in archive.namelist())


def _read_shapes(path: Path) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    from shapely.errors import ShapelyError

    _refuse_other_kinds(path)
    try:
        found = _read_csv(path) if path.suffix == ".csv" else gpd.read_file(_inside(path))
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, ShapelyError) as error:
        raise UnusableFileError(f"no zones can be read from it ({error}); it is {_describe(path)}") from error
    if not isinstance(found, gpd.GeoDataFrame):
        raise UnusableFileError(f"it has no shapes; it is {_describe(path)}")
    shapes = found.rename(columns=lambda name: str(name).strip().lower())
    _refuse_columns(shapes.columns.tolist(), path)
    if shapes.crs is None:
        raise UnusableFileError(f"the coordinate system of its shapes is not known: it has no .prj file. {_TAKE}")
    return _with_ids(shapes.to_crs(_WGS84))


def _with_ids(shapes: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    if "objectid" not in shapes.columns:
        try:
            return shapes.assign(objectid=zone_ids_by_name_and_place(shapes))
        except UnusableFileError as error:
            raise UnusableFileError(f"it has no column OBJECTID, and {error}. {_NO_LOCATION_ID}. {_TAKE}") from error
    try:
        return shapes.assign(objectid=shapes["objectid"].astype("int64"))
    except (ValueError, TypeError) as error:
        raise UnusableFileError(f"its column OBJECTID holds a value that is no integer ({error})") from error


def _refuse_other_kinds(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"PAR1"):
        raise UnusableFileError(f"it is a Parquet file, from which zones are not read. {_TAKE}")
    if head.startswith(_GZIP):
        raise UnusableFileError("it is a gzip file: unpack it, and name the unpacked file in TAXI_ZONES_URL")
    # Only a CSV begins with this header; the shapes' column would be in it.
    if {"locationid", "borough", "zone", "service_zone"} == _csv_header(head):
        raise UnusableFileError(f"it is the TLC's lookup table of zones, which has no shapes. {_TAKE}")


def _csv_header(head: bytes) -> set[str]:
    first_line = head.decode("utf-8-sig", errors="replace").partition("\n")[0]
    return {name.strip().strip('"').lower() for name in first_line.split(",")}


def _refuse_columns(columns: Sequence[str], path: Path) -> None:
    if twice := sorted(name for name, count in Counter(columns).items() if count > 1):
        raise UnusableFileError(f"it has more than one column {', '.join(twice)}, where case and blanks do not count")
    if missing := [name for name in ("zone", "borough") if name not in columns]:
        raise UnusableFileError(
            f"it lacks the columns {', '.join(missing)}; it has {', '.join(columns)[:200]}, and is {_describe(path)}. "
            f"{_TAKE}"
        )


def _describe(path: Path) -> str:
    """Name what the file is. A text of JSON is told by its beginning, because zones as GeoJSON are large."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode("utf-8-sig", errors="replace").strip()
    if head.startswith(("{", "[")):
        return f"JSON of {path.stat().st_size:,} bytes: {' '.join(head.split())[:160]} …"
    return describe_content(path)


def _read_csv(path: Path) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import pandas as pd

    table = pd.read_csv(path, keep_default_na=False)
    if "the_geom" not in table:
        raise ValueError(f"it has no column the_geom with WKT, but {', '.join(map(str, table))[:200]}")
    return gpd.GeoDataFrame(
        table.drop(columns="the_geom"), geometry=gpd.GeoSeries.from_wkt(table["the_geom"]), crs=_WGS84
    )


def _inside(path: Path) -> str:
    """The shapefile to open in a zip: the TLC's holds it in a folder, beside leftovers of macOS."""
    if path.suffix != ".zip":
        return str(path)
    with zipfile.ZipFile(path) as archive:
        shapefiles = [
            name for name in archive.namelist() if name.lower().endswith(".shp") and not name.startswith("__MACOSX/")
        ]
    if len(shapefiles) != 1:
        raise ValueError(f"the zip holds {len(shapefiles)} shapefiles, one is expected")
    return f"zip://{path}!{shapefiles[0]}"
