"""Schematic taxi zones: the TLC's names, ids and places, with shapes made of census tracts.

The shapes are in `zone_shapes.geojson`, which `make zone-shapes` makes. Names and boroughs are those of
`tlc.zone_facts`.
"""

import io
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from taxi_pipeline.storage.whole_files import replacing
from taxi_pipeline.tlc.zone_facts import read_zone_facts
from taxi_pipeline.tlc.zones import SYNTHETIC_MARKER

if TYPE_CHECKING:
    import geopandas as gpd

REPEATED_LOCATION_IDS = {57: 56, 104: 103, 105: 103}
"""OBJECTID → the `LocationID` that the TLC's file gives instead; readers must not fall for it."""

_NEW_YORK_FEET = 2263


def schematic_zones() -> "gpd.GeoDataFrame":
    """A shape per zone in EPSG:2263 (feet), with the columns of the TLC's file."""
    import geopandas as gpd
    import shapely

    facts = read_zone_facts()
    zones = gpd.read_file(Path(__file__).with_name("zone_shapes.geojson")).to_crs(_NEW_YORK_FEET)
    shapes = shapely.set_precision(zones.geometry.to_numpy(), 0.01)
    return gpd.GeoDataFrame(
        {
            "OBJECTID": facts["zone_id"],
            "Shape_Leng": shapely.length(shapes),
            "Shape_Area": shapely.area(shapes),
            "zone": facts["zone"],
            "LocationID": facts["zone_id"].replace(REPEATED_LOCATION_IDS),
            "borough": facts["borough"],
        },
        geometry=shapes,
        crs=_NEW_YORK_FEET,
    )


def write_zones_zip(target: Path) -> None:
    """Write the schematic zones as the TLC packs its own: a zipped shapefile in a folder. Same bytes every time."""
    with replacing(target) as temporary:
        temporary.write_bytes(_zones_zip())


@cache
def _zones_zip() -> bytes:
    """The file, made once in a process: a sample of several fleets writes it for each of them."""
    packed = io.BytesIO()
    with TemporaryDirectory() as folder, zipfile.ZipFile(packed, "w") as archive:
        shapefile = Path(folder) / "taxi_zones.shp"
        # A dBase file carries the day on which it was written.
        schematic_zones().to_file(shapefile, engine="pyogrio", DBF_DATE_LAST_UPDATE="2023-01-01")
        for part in sorted(Path(folder).iterdir()):
            _add(archive, f"taxi_zones/{part.name}", part.read_bytes())
        _add(archive, SYNTHETIC_MARKER, b"Schematic zones made by taxi-pipeline sample; not the TLC's shapes.\n")
    return packed.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A ZipInfo made by hand has a fixed time stamp.
    archive.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_DEFLATED)
