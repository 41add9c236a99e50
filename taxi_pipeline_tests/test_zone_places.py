"""The places of zones: facts that a map of the city shows, and both files computed again from the shapes."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from docs.zone_places import boundaries, neighbors, place_rows, zones_in_feet
from taxi_pipeline.sources.zone_places import (
    MIN_BORDER_M,
    NEIGHBORS_FILE,
    PLACES_FILE,
    ZoneNeighbor,
    ZonePlace,
    district_name,
    zone_neighbors,
    zone_places,
)
from taxi_pipeline.tlc.codes import CONGESTION_ZONE, JFK, LAGUARDIA, NEWARK
from taxi_pipeline.tlc.zones import NUM_SHAPES, boroughs_of_zones

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy as np
    import numpy.typing as npt

CENTRAL_PARK, MARBLE_HILL, RIKERS_ISLAND = 43, 153, 199
ISLANDS = {46, 103, 104, 105, 194, RIKERS_ISLAND, 202}
"""City Island; Liberty, Ellis and Governors Island; Randalls, Rikers and Roosevelt Island: water is around them."""


@pytest.fixture(scope="module")
def places() -> dict[int, ZonePlace]:
    return {place.zone_id: place for place in zone_places()}


@pytest.fixture(scope="module")
def zones(real_tlc: Path) -> "gpd.GeoSeries":
    return zones_in_feet(real_tlc / "misc" / "taxi_zones.zip")


def test_each_zone_with_a_shape_is_there_once_in_order() -> None:
    assert [place.zone_id for place in zone_places()] == list(range(1, NUM_SHAPES + 1))


def test_alphabet_city_lies_in_the_east_village(places: dict[int, ZonePlace]) -> None:
    assert places[4] == ZonePlace(
        zone_id=4,
        service_zone="Yellow Zone",
        neighborhood_code="MN0303",
        neighborhood="East Village",
        neighborhood_share=0.9999,
        community_district=103,
        community_district_name="Manhattan 3",
        community_district_share=0.9999,
        longitude=-73.977,
        latitude=40.7242,
        area_km2=0.745,
    )


@pytest.mark.parametrize(
    ("zone_id", "neighborhood", "district"),
    [
        (24, "Upper West Side-Manhattan Valley", "Manhattan 7"),
        (42, "Harlem (North)", "Manhattan 10"),
        (74, "East Harlem (North)", "Manhattan 11"),
        (87, "Financial District-Battery Park City", "Manhattan 1"),
        (112, "Greenpoint", "Brooklyn 1"),
        (181, "Park Slope", "Brooklyn 6"),
        (202, "Upper East Side-Lenox Hill-Roosevelt Island", "Manhattan 8"),
        (JFK, "John F. Kennedy International Airport", None),
        (LAGUARDIA, "LaGuardia Airport", None),
        (CENTRAL_PARK, "Central Park", None),
        (NEWARK, None, None),
    ],
)
def test_zones_lie_where_a_map_has_them(
    places: dict[int, ZonePlace], zone_id: int, neighborhood: str | None, district: str | None
) -> None:
    """Large parks and airports are in no district; Newark Airport is not in New York."""
    assert (places[zone_id].neighborhood, places[zone_id].community_district_name) == (neighborhood, district)


def test_airports_have_their_service_zones(places: dict[int, ZonePlace]) -> None:
    by_service = {place.zone_id: place.service_zone for place in places.values()}
    assert {zone_id for zone_id, service in by_service.items() if service == "Airports"} == {JFK, LAGUARDIA}
    assert {zone_id for zone_id, service in by_service.items() if service == "EWR"} == {NEWARK}
    assert set(by_service.values()) == {"Yellow Zone", "Boro Zone", "Airports", "EWR"}


def test_the_congestion_zone_lies_in_the_districts_of_lower_manhattan_and_midtown(
    places: dict[int, ZonePlace],
) -> None:
    assert {places[zone_id].community_district for zone_id in CONGESTION_ZONE} <= set(range(101, 109))


def test_places_lie_in_the_borough_of_their_zone(places: dict[int, ZonePlace]) -> None:
    """Two are known not to: Marble Hill is Manhattan's beyond its river, and Rikers Island belongs to Queens 1."""
    letters = {"MN": "Manhattan", "BX": "Bronx", "BK": "Brooklyn", "QN": "Queens", "SI": "Staten Island"}
    elsewhere = {
        place.zone_id
        for place in places.values()
        for borough in [boroughs_of_zones()[place.zone_id]]
        if (place.neighborhood_code and letters[place.neighborhood_code[:2]] != borough)
        or (place.community_district_name and not place.community_district_name.startswith(borough))
    }
    assert elsewhere == {MARBLE_HILL, RIKERS_ISLAND}


def test_what_a_place_has_is_whole(places: dict[int, ZonePlace]) -> None:
    for place in places.values():
        assert len({place.neighborhood_code is None, place.neighborhood is None, place.neighborhood_share is None}) == 1
        district = (place.community_district, place.community_district_name, place.community_district_share)
        assert None not in district or set(district) == {None}, place
        for share in (place.neighborhood_share, place.community_district_share):
            assert share is None or 0 < share <= 1, place
    assert {place.zone_id for place in places.values() if place.neighborhood is None} == {NEWARK}


def test_districts_are_named_by_borough_and_number() -> None:
    assert [district_name(code) for code in (103, 212, 318, 414, 501)] == [
        "Manhattan 3",
        "Bronx 12",
        "Brooklyn 18",
        "Queens 14",
        "Staten Island 1",
    ]


def test_neighbors_are_neighbors_of_each_other() -> None:
    pairs = {(pair.zone_id, pair.neighbor_id) for pair in zone_neighbors()}
    assert len(pairs) == len(zone_neighbors())
    assert pairs == {(b, a) for a, b in pairs}
    assert all(a != b for a, b in pairs)
    assert list(zone_neighbors()) == sorted(zone_neighbors(), key=lambda pair: (pair.zone_id, pair.neighbor_id))


def test_the_neighbors_of_a_zone_are_those_of_a_map() -> None:
    """Alphabet City has the East Village, Stuyvesant Town and Two Bridges; the Lower East Side meets it in a corner."""
    assert [pair.neighbor_id for pair in zone_neighbors() if pair.zone_id == 4] == [79, 224, 232]
    assert ZoneNeighbor(236, CENTRAL_PARK) in zone_neighbors()


def test_islands_and_newark_have_no_neighbors() -> None:
    with_neighbors = {pair.zone_id for pair in zone_neighbors()}
    assert set(range(1, NUM_SHAPES + 1)) - with_neighbors == ISLANDS | {NEWARK}


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def as_text(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    return [[str(value) for value in row] for row in rows]


@pytest.mark.real_data
def test_the_maker_gives_the_files_that_are_carried_over(zones: "gpd.GeoSeries") -> None:
    assert as_text(place_rows(zones)) == rows_of(PLACES_FILE)
    assert as_text(neighbors(zones)) == rows_of(NEIGHBORS_FILE)


METRES = 32618
"""UTM zone 18 north: another projection than the maker's, in metres."""


def points_inside(shape: Any, about: int) -> "npt.NDArray[np.object_]":
    """Points of a grid that lie in the shape, about so many."""
    import numpy as np
    import shapely

    west, south, east, north = shapely.bounds(shape)
    step = (shapely.area(shape) / about) ** 0.5
    x, y = np.meshgrid(np.arange(west + step / 2, east, step), np.arange(south + step / 2, north, step))
    points = shapely.points(x.ravel(), y.ravel())
    shapely.prepare(shape)
    return points[shapely.contains(shape, points)]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("layer", "code", "share_of"),
    [
        ("neighborhood_tabulation_area", "nta2020", lambda place: (place.neighborhood_code, place.neighborhood_share)),
        ("community_district", "boro_cd", lambda place: (place.community_district, place.community_district_share)),
    ],
)
def test_points_in_the_zones_tell_the_same_shares(
    zones: "gpd.GeoSeries", places: dict[int, ZonePlace], layer: str, code: str, share_of: Any
) -> None:
    """A grid of a thousand points a zone, each looked up by itself, is no overlay of shapes."""
    import numpy as np
    import shapely

    areas = boundaries(layer).to_crs(METRES)
    tree = shapely.STRtree(areas.geometry.to_numpy())
    for zone_id, shape in zones.to_crs(METRES).items():
        points = points_inside(shape, 1000)
        _, hit = tree.query(points, predicate="within")
        shares = np.bincount(hit, minlength=len(areas)) / len(points)
        known, share = share_of(places[int(str(zone_id))])
        if known is None:
            assert shares.max() <= 1 - shares.sum() + 0.03, zone_id
        else:
            assert shares[(areas[code] == known).to_numpy()][0] == pytest.approx(share, abs=0.03), zone_id
            assert shares.max() <= share + 0.03, zone_id


STEP_M = 5


def points_along(shape: Any) -> "npt.NDArray[np.object_]":
    """Points on the border of a shape, one each five metres."""
    import numpy as np
    import shapely

    lines = shapely.get_parts(shapely.boundary(shape))
    return np.concatenate(
        [shapely.line_interpolate_point(line, np.arange(0, shapely.length(line), STEP_M)) for line in lines]
    )


@pytest.mark.real_data
@pytest.mark.slow
def test_points_along_the_borders_tell_the_same_neighbors(zones: "gpd.GeoSeries") -> None:
    """A border is as long as there are points within a metre of the other zone.

    Points are coarser than shapes, so that a pair may be told otherwise near the shortest border, and only there.
    """
    import shapely

    shapes = zones.to_crs(METRES)
    tree, ids = shapely.STRtree(shapes.to_numpy()), shapes.index.to_numpy()
    metres: Counter[tuple[int, int]] = Counter()
    for zone_id, shape in zip(ids, shapes, strict=True):
        _, near = tree.query(points_along(shape), predicate="dwithin", distance=1)
        metres.update({(int(zone_id), int(other)): STEP_M * count for other, count in Counter(ids[near]).items()})
    pairs = {(pair.zone_id, pair.neighbor_id) for pair in zone_neighbors()}
    found = {pair: length for pair, length in metres.items() if pair[0] != pair[1]}
    surely = {pair for pair, length in found.items() if length >= 1.3 * MIN_BORDER_M}
    perhaps = {pair for pair, length in found.items() if length >= MIN_BORDER_M / 1.3}
    assert surely <= pairs <= perhaps
    assert len(perhaps - surely) < 0.02 * len(pairs)
