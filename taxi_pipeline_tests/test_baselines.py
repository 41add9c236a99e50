"""What is drawn of sample data looks as it did: compared with the committed pictures in `baselines/`.

After a change on purpose `make baselines` draws them anew; look at them before you commit them.
"""

import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.testing.compare import compare_images
from PIL import Image

from taxi_pipeline.analysis.segments import segments_of
from taxi_pipeline.analysis.week_parts import PARTS
from taxi_pipeline.analysis.zone_profiles import FleetMonth, ZoneProfiles, zone_profiles
from taxi_pipeline.outputs.maps import draw_city_map, draw_manhattan_map
from taxi_pipeline.outputs.pickup_cells import HEIGHT, PLANE, WIDTH, FleetPickups, PickupCells, draw_pickups
from taxi_pipeline.outputs.requests.chart import chart_data, draw_trip_request, title_of
from taxi_pipeline.outputs.requests.request_files import parse_request
from taxi_pipeline.outputs.zone_segments.chart import draw_segments
from taxi_pipeline.outputs.zone_statistics import ZoneStatistics, city_statistics, manhattan_statistics
from taxi_pipeline.tlc.zone_facts import read_zone_facts
from taxi_pipeline_tests.pipelines import Pipeline, pipeline_in

BASELINES = Path(__file__).parent / "baselines"
SMALLER = 2
"""Half as wide and high: small enough for the repository, large enough to read every word."""
TOLERANCE = 2.0
"""Root mean square of 256 levels. A label that moves by its own width makes about 5."""

Compare = Callable[[str, Callable[[], bytes]], None]


@pytest.fixture
def looks_as_before(request: pytest.FixtureRequest, tmp_path: Path) -> Compare:
    """Draw, and compare the picture with the baseline of that name, or renew that."""

    def compare(name: str, draw: Callable[[], bytes]) -> None:
        smaller, baseline = tmp_path / f"{name}.png", BASELINES / f"{name}.png"
        with Image.open(io.BytesIO(draw())) as image:
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


def stats(pipeline: Pipeline, statistics: Callable[..., ZoneStatistics]) -> dict[str, Any]:
    collection = pipeline.warehouse.query(statistics, pipeline.tlc.fleets).feature_collection()
    return json.loads(json.dumps(collection))


def without_trips(collection: dict[str, Any]) -> dict[str, Any]:
    for feature in collection["features"]:
        feature["properties"]["num_trips"] = 0
    return {**collection, "num_unplaced": 0}


def test_manhattan_in_a_month(looks_as_before: Compare, january: Pipeline) -> None:
    looks_as_before("manhattan_month", lambda: draw_manhattan_map(stats(january, manhattan_statistics)))


def test_manhattan_on_a_day(looks_as_before: Compare, one_day: Pipeline) -> None:
    looks_as_before("manhattan_day", lambda: draw_manhattan_map(stats(one_day, manhattan_statistics)))


def test_manhattan_without_trips(looks_as_before: Compare, one_day: Pipeline) -> None:
    collection = without_trips(stats(one_day, manhattan_statistics))
    looks_as_before("manhattan_without_trips", lambda: draw_manhattan_map(collection))


def test_the_city_in_a_month(looks_as_before: Compare, january: Pipeline) -> None:
    looks_as_before("city_month", lambda: draw_city_map(stats(january, city_statistics)))


def test_the_city_without_trips(looks_as_before: Compare, one_day: Pipeline) -> None:
    collection = without_trips(stats(one_day, city_statistics))
    looks_as_before("city_without_trips", lambda: draw_city_map(collection))


@pytest.mark.parametrize("borough", ["Manhattan", "Staten Island"])
def test_a_request(looks_as_before: Compare, january: Pipeline, borough: str) -> None:
    asked = {"borough": borough, "start_date": "2023-01-01", "end_date": "2023-01-31"}
    request = parse_request(json.dumps(asked).encode())
    assert request.start_date == date(2023, 1, 1)
    with january.warehouse.read() as session:
        data = chart_data(session, request)
    name = f"request_{borough.replace(' ', '_').lower()}"
    looks_as_before(name, lambda: draw_trip_request(data, title_of(request)))


def week_of_zone(zone_id: int) -> list[int]:
    """Counts of a week, by hand: hours like the city's, and more in a part that follows from the id; often too few."""
    part = PARTS[zone_id % 5]
    by_day = [3, 2, 1, 1, 2, 4, 9, 16, 18, 14, 13, 13, 14, 14, 15, 16, 17, 20, 20, 17, 14, 12, 10, 7]
    week = [by_day[hour % 24] * (3 if hour in part.hours else 1) + (hour * zone_id) % 3 for hour in range(168)]
    return [count // (20 if zone_id % 6 == 0 else 1) for count in week]


def test_segments_of_zones(looks_as_before: Compare, january: Pipeline) -> None:
    places = january.warehouse.query(zone_profiles, ["yellow"]).places
    counts = np.array([[week_of_zone(place.zone_id) for place in places]])
    months = [FleetMonth("yellow", date(2023, 1, 1), 31)]
    profiles = ZoneProfiles(places, counts, np.full((1, 168), 4), months, [], synthetic=True)
    looks_as_before("zone_segments", lambda: draw_segments(segments_of(profiles)))


def test_zones_without_segments(looks_as_before: Compare, january: Pipeline) -> None:
    """There is no mart."""
    profiles = january.warehouse.query(zone_profiles, ["yellow"])
    looks_as_before("zone_segments_none", lambda: draw_segments(segments_of(profiles)))


def test_pickups_by_coordinates(looks_as_before: Compare) -> None:
    """Around a point in each zone as many as its share of real pickups, denser towards the point."""
    counts = np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    rng = np.random.default_rng(0)
    for zone in read_zone_facts().itertuples():
        number = int(400_000 * float(str(zone.pickup_share)))
        column, row = PLANE.x(float(str(zone.lon))), PLANE.y(float(str(zone.lat)))
        around = rng.normal((row, column), 12, (number, 2)).astype(int)
        np.add.at(counts, (around[:, 0], around[:, 1]), 1)
    pickups = FleetPickups(int(counts.sum()), 4321, 1)
    missing = [("yellow", date(2009, 1, 31))]
    cells = PickupCells(date(2009, 1, 1), counts, {"yellow": pickups}, missing, synthetic=True)
    looks_as_before("pickup_image", lambda: draw_pickups(cells))


def test_a_label_that_moves_is_noticed(looks_as_before: Compare, january: Pipeline, request: Any) -> None:
    """The comparison can fail: another order of the busiest zones moves the labels, and little else."""
    if request.config.getoption("--renew-baselines"):
        pytest.skip("the baselines are renewed")
    collection = stats(january, manhattan_statistics)
    zones = sorted(collection["features"], key=lambda feature: -feature["properties"]["num_trips"])
    zones[4]["properties"]["num_trips"], zones[5]["properties"]["num_trips"] = (
        zones[5]["properties"]["num_trips"] - 1,
        zones[4]["properties"]["num_trips"],
    )
    with pytest.raises(AssertionError, match="make baselines"):
        looks_as_before("manhattan_month", lambda: draw_manhattan_map(collection))
