"""Points and zones: the grid in front of the exact test changes no answer."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from taxi_pipeline.tlc.zone_finder import CELL_DEGREES, ZoneFinder
from taxi_pipeline.tlc.zones import NUM_SHAPES, UNKNOWN_ZONE_ID, read_zones


def box(west: float, south: float, east: float, north: float) -> str:
    """Make a box of edges in tenths of a degree, so that there are few cells."""
    return shapely.to_wkt(shapely.box(west / 10, south / 10, east / 10, north / 10))


def find(finder: ZoneFinder, *points: tuple[float, float]) -> list[int]:
    longitudes, latitudes = np.array(points, dtype=float).T / 10
    return finder.zones_of(longitudes, latitudes).tolist()


@pytest.fixture(scope="module")
def real_zones(real_tlc: Path) -> dict[int, str]:
    zones = read_zones(real_tlc / "misc" / "taxi_zones.zip")
    return {zone.zone_id: zone.geometry for zone in zones if zone.geometry}


def test_points_lie_in_the_zone_that_covers_them() -> None:
    finder = ZoneFinder({7: box(0, 0, 1, 1), 3: box(1, 0, 2, 1), 9: box(2, 2, 2.001, 2.001)})
    assert find(finder, (0.5, 0.5), (1.5, 0.5), (2.0005, 2.0005)) == [7, 3, 9]
    assert find(finder, (3, 3), (-1, 0.5), (0.5, 1.5), (99, 99)) == [UNKNOWN_ZONE_ID] * 4


def test_a_point_on_a_border_belongs_to_the_lowest_id() -> None:
    finder = ZoneFinder({7: box(0, 0, 1, 1), 3: box(1, 0, 2, 1)})
    assert find(finder, (1, 0.5), (0, 0), (2, 1), (2, 0), (0, 1)) == [3, 7, 3, 3, 7]


def test_zones_that_overlap_give_the_lowest_id_everywhere() -> None:
    """This holds in cells that lie wholly in one of them, too."""
    finder = ZoneFinder({5: box(0, 0, 1, 1), 2: box(0.25, 0.25, 0.75, 0.75)})
    assert find(finder, (0.5, 0.5), (0.3, 0.3), (0.1, 0.1)) == [2, 2, 5]


def test_a_hole_is_no_part_of_a_zone() -> None:
    hole = shapely.box(0.05, 0.05, 0.05 + CELL_DEGREES / 4, 0.05 + CELL_DEGREES / 4)
    ring = shapely.difference(shapely.box(0, 0, 0.1, 0.1), hole)
    finder = ZoneFinder({1: shapely.to_wkt(ring)})
    inside = 0.5 + 10 * CELL_DEGREES / 8
    assert find(finder, (inside, inside), (0.4, 0.4)) == [UNKNOWN_ZONE_ID, 1]


def test_what_is_no_number_lies_nowhere() -> None:
    finder = ZoneFinder({1: box(0, 0, 1, 1)})
    assert find(finder, (np.nan, 0.5), (0.5, np.nan), (np.inf, 0.5), (0.5, -np.inf)) == [UNKNOWN_ZONE_ID] * 4
    assert finder.zones_of(np.array([]), np.array([])).tolist() == []


@pytest.mark.real_data
def test_real_zones_are_found_as_an_exact_test_of_each_finds_them(real_zones: dict[int, str]) -> None:
    """Points all over the city, many of them near borders, against each shape by itself."""
    rng = np.random.default_rng(0)
    longitudes, latitudes = rng.uniform(-74.27, -73.69, 5_000), rng.uniform(40.48, 40.93, 5_000)
    shapes = {zone_id: shapely.from_wkt(wkt) for zone_id, wkt in real_zones.items()}
    corners = np.concatenate([shapely.get_coordinates(shape)[::400] for shape in shapes.values()])
    near = corners + rng.normal(0, 1e-5, corners.shape)
    inside = np.array([(point.x, point.y) for point in map(shapely.point_on_surface, shapes.values())])
    longitudes = np.concatenate([longitudes, corners[:, 0], near[:, 0], inside[:, 0]])
    latitudes = np.concatenate([latitudes, corners[:, 1], near[:, 1], inside[:, 1]])
    expected = np.full(len(longitudes), UNKNOWN_ZONE_ID)
    for zone_id in sorted(shapes, reverse=True):
        shapely.prepare(shapes[zone_id])
        expected[shapely.intersects_xy(shapes[zone_id], longitudes, latitudes)] = zone_id
    found = ZoneFinder(real_zones).zones_of(longitudes, latitudes)
    assert (found == expected).all()
    assert len(set(found.tolist())) == NUM_SHAPES + 1


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("place", "zone_id"),
    [
        ((-73.9855, 40.7580), 230),  # Times Square
        ((-73.7781, 40.6413), 132),  # JFK
        ((-73.8740, 40.7769), 138),  # LaGuardia
        ((-74.1745, 40.6895), 1),  # Newark
        ((-73.9442, 40.8116), 42),  # Harlem, Lenox Avenue at 125th Street
        ((-73.9969, 40.7061), UNKNOWN_ZONE_ID),  # the middle of Brooklyn Bridge
    ],
)
def test_known_places_lie_in_their_zones(real_zones: dict[int, str], place: tuple[float, float], zone_id: int) -> None:
    longitude, latitude = place
    found = ZoneFinder(real_zones).zones_of(np.array([longitude]), np.array([latitude]))
    assert found.tolist() == [zone_id]
