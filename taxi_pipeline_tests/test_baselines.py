"""What is drawn of sample data looks as it did: compared with the committed pictures in `baselines/`.

After a change on purpose `make baselines` draws them anew; look at them before you commit them.
"""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from matplotlib.testing.compare import compare_images
from PIL import Image

from taxi_pipeline.assets.metrics import _collection, _pickups, loaded_coverage
from taxi_pipeline.assets.requests import pickups, title_of
from taxi_pipeline.drawing import draw_city_map, draw_manhattan_map, draw_trip_request
from taxi_pipeline.trip_requests import parse_request
from taxi_pipeline_tests.conftest import Pipeline, pipeline_in

BASELINES = Path(__file__).parent / "baselines"
SMALLER = 2
"""Half as wide and high: small enough for the repository, large enough to read every word."""
TOLERANCE = 2.0
"""Root mean square of 256 levels. A label that moves by its own width makes about 5."""

Compare = Callable[[str, Callable[[Path], None]], None]


@pytest.fixture
def looks_as_before(request: pytest.FixtureRequest, tmp_path: Path) -> Compare:
    """Draw into a file, and compare it with the baseline of that name, or renew that."""

    def compare(name: str, draw: Callable[[Path], None]) -> None:
        drawn, smaller, baseline = tmp_path / "drawn.png", tmp_path / f"{name}.png", BASELINES / f"{name}.png"
        draw(drawn)
        with Image.open(drawn) as image:
            size = (image.width // SMALLER, image.height // SMALLER)
            image.convert("RGB").resize(size, Image.Resampling.BOX).quantize(128, dither=Image.Dither.NONE).save(
                smaller, optimize=True
            )
        if request.config.getoption("--renew-baselines"):
            BASELINES.mkdir(exist_ok=True)
            baseline.write_bytes(smaller.read_bytes())
        assert baseline.is_file(), f"there is no {baseline}: make baselines, and look at it"
        difference = compare_images(str(baseline), str(smaller), tol=TOLERANCE)
        assert difference is None, f"{difference}\nIf it was meant to change: make baselines, and look at it"

    return compare


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Pipeline:
    """A sample month. Read it, never write to it."""
    pipeline = pipeline_in(tmp_path_factory.mktemp("january"), mirror, ("yellow",))
    pipeline.run("2023-01-01", "2023-01-31")
    return pipeline


@pytest.fixture(scope="module")
def one_day(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Pipeline:
    """A sample day of green taxis. Read it, never write to it."""
    pipeline = pipeline_in(tmp_path_factory.mktemp("one_day"), mirror, ("green",))
    pipeline.run("2023-01-05")
    return pipeline


def stats(pipeline: Pipeline, condition: str) -> dict[str, Any]:
    with pipeline.warehouse.read() as session:
        fleets = pipeline.tlc.fleets
        collection = _collection(_pickups(session, fleets, condition), loaded_coverage(session, fleets))
    return json.loads(json.dumps(collection))


def without_trips(collection: dict[str, Any]) -> dict[str, Any]:
    for feature in collection["features"]:
        feature["properties"]["num_trips"] = 0
    return collection


MANHATTAN = "borough = 'Manhattan'"
PLACED = "geometry IS NOT NULL"


def test_manhattan_in_a_month(looks_as_before: Compare, january: Pipeline) -> None:
    looks_as_before("manhattan_month", lambda path: draw_manhattan_map(stats(january, MANHATTAN), path))


def test_manhattan_on_a_day(looks_as_before: Compare, one_day: Pipeline) -> None:
    looks_as_before("manhattan_day", lambda path: draw_manhattan_map(stats(one_day, MANHATTAN), path))


def test_manhattan_without_trips(looks_as_before: Compare, one_day: Pipeline) -> None:
    collection = without_trips(stats(one_day, MANHATTAN))
    looks_as_before("manhattan_without_trips", lambda path: draw_manhattan_map(collection, path))


def test_the_city_in_a_month(looks_as_before: Compare, january: Pipeline) -> None:
    looks_as_before("city_month", lambda path: draw_city_map(stats(january, PLACED), path))


def test_the_city_without_trips(looks_as_before: Compare, one_day: Pipeline) -> None:
    collection = without_trips(stats(one_day, PLACED))
    looks_as_before("city_without_trips", lambda path: draw_city_map(collection, path))


@pytest.mark.parametrize("borough", ["Manhattan", "Staten Island"])
def test_a_request(looks_as_before: Compare, january: Pipeline, borough: str) -> None:
    asked = {"borough": borough, "start_date": "2023-01-01", "end_date": "2023-01-31"}
    request = parse_request(json.dumps(asked).encode())
    assert request.start_date == date(2023, 1, 1)
    with january.warehouse.read() as session:
        counts = pickups(session, request)
    name = f"request_{borough.replace(' ', '_').lower()}"
    looks_as_before(name, lambda path: draw_trip_request(counts, title_of(request), path, synthetic=True))


def test_a_label_that_moves_is_noticed(looks_as_before: Compare, january: Pipeline, request: Any) -> None:
    """The comparison can fail: another order of the busiest zones moves the labels, and little else."""
    if request.config.getoption("--renew-baselines"):
        pytest.skip("the baselines are renewed")
    collection = stats(january, MANHATTAN)
    zones = sorted(collection["features"], key=lambda feature: -feature["properties"]["num_trips"])
    zones[4]["properties"]["num_trips"], zones[5]["properties"]["num_trips"] = (
        zones[5]["properties"]["num_trips"] - 1,
        zones[4]["properties"]["num_trips"],
    )
    with pytest.raises(AssertionError, match="make baselines"):
        looks_as_before("manhattan_month", lambda path: draw_manhattan_map(collection, path))
