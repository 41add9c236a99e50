"""The image of all pickups by coordinates: each trip is accounted for, and each cell has its colour."""

import io
import math
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pytest
from PIL import Image

from taxi_pipeline.defs.assets import month_manifest
from taxi_pipeline.defs.assets.pickup_image import pickup_image
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.outputs import pickup_cells as subject
from taxi_pipeline.outputs.pickup_cells import (
    FRAME,
    HEIGHT,
    MOST,
    WIDTH,
    FleetPickups,
    PickupCells,
    level_borders,
    pickup_cells,
    picture_file,
)
from taxi_pipeline.proof.manifest import manifest_of
from taxi_pipeline.proof.rebuilding import rebuild_month
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import EmptyWindowError
from taxi_pipeline_tests.pipelines import Pipeline, error_of, loaded_sample, materializations_of, settings_of

DECEMBER_2009, DECEMBER_2010, JANUARY_2011 = date(2009, 12, 1), date(2010, 12, 1), date(2011, 1, 1)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The last day with coordinates in a sample, and the first with zones. Read it, never write to it."""
    days = Days(date(2010, 12, 31), date(2011, 1, 1))
    return loaded_sample(tmp_path_factory.mktemp("pickups"), days, {"yellow": 3000})


@pytest.fixture
def changed(loaded: Pipeline, make_pipeline: Callable[..., Pipeline]) -> Pipeline:
    """A copy of it to write to."""
    pipeline = make_pipeline(loaded.folder.parent / "mirror")
    source = loaded.folder / "staging" / "data.duckdb"
    target = pipeline.folder / "staging" / "data.duckdb"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    return pipeline


def cell_of(longitude: float, latitude: float) -> tuple[int, int] | None:
    """Row and column, by the distance from the frame's corner in kilometres; None outside."""
    west, south, east, north = FRAME
    kilometres_across = (east - west) * math.cos(math.radians((south + north) / 2))
    column = math.floor((longitude - west) / (east - west) * WIDTH)
    row = math.floor((north - latitude) / kilometres_across * WIDTH)
    return (row, column) if 0 <= row < HEIGHT and 0 <= column < WIDTH else None


def counted(cells: PickupCells) -> dict[tuple[int, int], int]:
    """Row and column → pickups, of cells that have any."""
    return {(int(row), int(column)): int(cells.counts[row, column]) for row, column in np.argwhere(cells.counts)}


def published_pickups(pipeline: Pipeline, fleet: str, month: str) -> list[tuple[float, float]]:
    path = pipeline.folder / "raw" / f"{fleet}_tripdata_{month}.parquet"
    with duckdb.connect() as connection:
        sql = "SELECT pickup_longitude, pickup_latitude FROM read_parquet(?)"
        return connection.execute(sql, [str(path)]).fetchall()


def pixels_of(png: bytes) -> np.ndarray:
    """The part of the picture that has the cells."""
    with Image.open(io.BytesIO(png)) as image:
        rgb = np.asarray(image.convert("RGB"))
    assert rgb.shape[1] == WIDTH
    return rgb[210 : 210 + HEIGHT]


def test_each_published_trip_is_drawn_in_its_cell_or_counted_as_not_drawn(loaded: Pipeline) -> None:
    found = loaded.warehouse.query(pickup_cells, DECEMBER_2010, ["yellow"])
    pickups = published_pickups(loaded, "yellow", "2010-12")
    placed = [cell_of(*place) for place in pickups if all(place)]
    expected = Counter(cell for cell in placed if cell)
    assert counted(found) == expected
    num_nowhere = len(pickups) - len(placed)
    assert num_nowhere > 0
    assert found.fleets == {"yellow": FleetPickups(sum(expected.values()), num_nowhere, placed.count(None))}
    assert (found.synthetic, len(found.missing_days), found.drawn_fleets) == (True, 30, ["yellow"])


def test_the_asset_writes_the_picture_with_a_pixel_for_each_cell(loaded: Pipeline) -> None:
    result = loaded.report(pickup_image, "2010-12-01", "2011-01-01")
    assert result.success, error_of(result)
    png = loaded.files.read(picture_file(DECEMBER_2010))
    counts = loaded.warehouse.query(pickup_cells, DECEMBER_2010, ["yellow"]).counts
    assert (pixels_of(png).any(axis=2) == (counts > 0)).all(), "a cell with pickups is not black, every other one is"
    made = {m.partition: m.metadata for m in materializations_of(result, "pickup_image")}
    december = made["2010-12-01"]
    ((total,),) = loaded.rows("SELECT count(*) FROM trips WHERE pickup_date = '2010-12-31'")
    names = ("trips_drawn", "trips_without_coordinates", "trips_outside_of_the_frame")
    assert sum(int(str(december[name].value)) for name in names) == total
    assert {"preview", "dagster/uri", "cost_seconds", "synthetic", "by_fleet"} <= set(december)
    # A month of zones has no picture, and says why.
    january = made["2011-01-01"]
    assert "no trip of 2011-01 has coordinates" in str(january["not_drawn"].value)
    assert int(str(january["trips_without_coordinates"].value)) > 0
    assert not loaded.files.exists(picture_file(JANUARY_2011))


def test_the_picture_is_made_again_byte_for_byte(loaded: Pipeline, tmp_path: Path) -> None:
    """From the published file, in another warehouse."""
    for asset in (month_manifest, pickup_image):
        assert loaded.report(asset, "2010-12-01").success
    rebuilt = rebuild_month(manifest_of(loaded.files, {"TAXI_FLEETS": "yellow"}), loaded.files, DECEMBER_2010, tmp_path)
    assert picture_file(DECEMBER_2010) in rebuilt.equal
    assert rebuilt.findings == []


def test_a_picture_goes_when_the_month_is_loaded_with_zones(changed: Pipeline) -> None:
    """The TLC has replaced the coordinates of old months by zones."""
    changed.files.write(picture_file(JANUARY_2011), b"the old one")
    assert changed.report(pickup_image, "2011-01-01").success
    assert not changed.files.exists(picture_file(JANUARY_2011))


def test_a_month_without_loaded_days_fails(loaded: Pipeline) -> None:
    with pytest.raises(EmptyWindowError, match="no day of 2009-12 is loaded"):
        loaded.warehouse.query(pickup_cells, DECEMBER_2009, ["yellow"])
    assert not loaded.report(pickup_image, "2009-12-01").success


WEST, SOUTH, EAST, NORTH = FRAME
STEP = (EAST - WEST) / WIDTH


ODD = (
    (WEST, NORTH, (0, 0)),
    (WEST + 1.5 * STEP, NORTH, (0, 1)),
    (EAST - 0.5 * STEP, SOUTH + 1e-4, (HEIGHT - 1, WIDTH - 1)),
    (WEST - 1e-6, NORTH, "outside"),
    (EAST + 1e-6, NORTH, "outside"),
    (WEST, NORTH + 1e-6, "outside"),
    (WEST, SOUTH - 1e-3, "outside"),
    (1e308, -1e308, "outside"),
    (math.inf, NORTH, "outside"),
    (math.nan, NORTH, "outside"),
    (0.0, 0.0, "none"),
    (0.0, 40.7, "none"),
    (-73.9, None, "none"),
    (None, None, "none"),
)
"""Longitude, latitude, and the cell, or why there is none."""


def test_odd_coordinates_are_counted_as_what_they_are(changed: Pipeline) -> None:
    changed.execute("CREATE TABLE odd AS SELECT * FROM trips WHERE pickup_date = '2010-12-31' LIMIT 1")
    changed.execute("DELETE FROM trips")
    replaced = "* REPLACE (CAST(? AS DOUBLE) AS pickup_longitude, CAST(? AS DOUBLE) AS pickup_latitude)"
    for *place, _ in ODD:
        changed.execute(f"INSERT INTO trips SELECT {replaced} FROM odd", place)
    found = changed.warehouse.query(pickup_cells, DECEMBER_2010, ["yellow"])
    cells = Counter(expected for *_, expected in ODD if isinstance(expected, tuple))
    assert counted(found) == cells
    kinds = Counter(expected for *_, expected in ODD if isinstance(expected, str))
    assert found.fleets == {"yellow": FleetPickups(cells.total(), kinds["none"], kinds["outside"])}


def test_fleets_are_counted_together_and_named(changed: Pipeline) -> None:
    before = changed.warehouse.query(pickup_cells, DECEMBER_2010, ["yellow"])
    changed.execute("INSERT INTO trips SELECT * REPLACE ('green' AS fleet) FROM trips WHERE pickup_date < '2011-01-01'")
    changed.execute("INSERT INTO loaded_days SELECT * REPLACE ('green' AS fleet) FROM loaded_days")
    both = changed.warehouse.query(pickup_cells, DECEMBER_2010, ["yellow", "green"])
    assert (both.counts == 2 * before.counts).all()
    assert both.fleets == {"yellow": before.fleets["yellow"], "green": before.fleets["yellow"]}
    assert both.drawn_fleets == ["yellow", "green"]


def test_the_colour_says_how_many_in_the_same_way_every_month() -> None:
    borders = level_borders()
    assert (borders[0], borders[-1]) == (1, MOST)
    assert (np.diff(borders) >= 0).all()
    palette = subject._palette().astype(int)
    shades = [tuple(palette[np.searchsorted(borders, count, side="right")]) for count in (0, 1, 10, 100, 1000, MOST)]
    assert shades[0] == (0, 0, 0)
    lightness = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in shades]
    assert lightness == sorted(lightness)
    assert lightness[1] > 20, "a single pickup can be seen"
    assert tuple(palette[np.searchsorted(borders, 10 * MOST, side="right")]) == shades[-1]


@pytest.mark.parametrize(("start", "is_there"), [("2016-06-30", True), ("2016-07-01", False)])
def test_it_is_in_the_graph_where_days_with_coordinates_are_asked_for(start: str, is_there: bool) -> None:
    definitions = build_definitions(settings=settings_of({"TAXI_START_DATE": start}))
    for keys in (
        definitions.resolve_asset_graph().materializable_asset_keys,
        definitions.resolve_job_def("monthly_reports").asset_layer.selected_asset_keys,
    ):
        assert (dg.AssetKey("pickup_image") in keys) is is_there
