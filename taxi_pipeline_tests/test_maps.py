"""The map: what stands on it, for any numbers, and the same bytes every time."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import shapely
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from taxi_pipeline.outputs.maps import (
    SYNTHETIC_NOTE,
    _spread,
    draw_city_map,
    draw_manhattan_map,
)
from taxi_pipeline.outputs.requests.chart import ChartData, draw_trip_request
from taxi_pipeline.sample.zones import schematic_zones

COVERAGE = {
    "fleets": ["yellow"],
    "first_day": "2023-03-01",
    "last_day": "2023-03-31",
    "num_days": 31,
    "synthetic": False,
}


@pytest.fixture(scope="module")
def stats() -> dict[str, Any]:
    """Manhattan without trips."""
    zones = schematic_zones().to_crs(4326)
    zones = zones[zones["borough"] == "Manhattan"].assign(num_trips=0)
    return {**json.loads(zones.to_json()), "coverage": COVERAGE}


def with_trips(stats: Mapping[str, Any], trips: Callable[[int, str], int], **coverage: Any) -> dict[str, Any]:
    """The same zones with trips by position and name."""
    features = [
        {**feature, "properties": {**feature["properties"], "num_trips": trips(n, feature["properties"]["zone"])}}
        for n, feature in enumerate(stats["features"])
    ]
    return {**stats, "features": features, "coverage": {**stats["coverage"], **coverage}}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Mapping[str, Any]], Figure]:
    """Draw a map and give the figure that was saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *args: Any, **options: Any) -> None:
        figures.append(self)
        save(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(stats: Mapping[str, Any]) -> Figure:
        draw_manhattan_map(stats)
        return figures[-1]

    return draw


def texts(figure: Figure) -> list[str]:
    on_axes = [text.get_text() for axes in figure.axes for text in (*axes.texts, *axes.get_xticklabels())]
    return [text.get_text() for text in figure.texts] + on_axes


def test_title_dates_source_and_thousands(drawn: Callable[..., Figure], stats: dict[str, Any]) -> None:
    words = texts(drawn(with_trips(stats, lambda n, _: 1000 * n + 7)))
    assert "Where yellow taxis pick up in Manhattan" in words
    assert "1 March 2023 to 31 March 2023 · 2,346,483 trips" in words
    assert any(text.startswith("Source: NYC Taxi and Limousine Commission") for text in words)
    assert "1k" in words, "short numbers on the key"
    assert not any("SYNTHETIC" in text for text in words)


def test_synthetic_data_says_so_and_claims_no_source(drawn: Callable[..., Figure], stats: dict[str, Any]) -> None:
    words = texts(drawn(with_trips(stats, lambda n, _: n, synthetic=True)))
    assert any("SYNTHETIC" in text for text in words)
    assert not any("Source" in text for text in words)


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        ({"last_day": "2023-03-01", "num_days": 1}, "1 March 2023 · 69 trips"),
        ({"num_days": 5}, "1 March 2023 to 31 March 2023 (5 of 31 days) · 69 trips"),
        ({"first_day": None, "last_day": None, "num_days": 0}, "No days loaded · 69 trips"),
        ({"fleets": ["yellow", "green"]}, "Where yellow and green taxis pick up in Manhattan"),
        ({"fleets": ["fhv"]}, "Where for-hire vehicles pick up in Manhattan"),
        ({"fleets": ["fhvhv"]}, "Where high-volume for-hire vehicles pick up in Manhattan"),
        ({"fleets": ["green", "fhv"]}, "Where green taxis and for-hire vehicles pick up in Manhattan"),
        (
            {"fleets": ["yellow", "green", "fhv", "fhvhv"]},
            "Where taxis and for-hire vehicles pick up in Manhattan",
        ),
    ],
)
def test_what_is_covered(
    drawn: Callable[..., Figure], stats: dict[str, Any], coverage: dict[str, Any], expected: str
) -> None:
    assert expected in texts(drawn(with_trips(stats, lambda *_: 1, **coverage)))


def test_the_longest_title_fits(drawn: Callable[..., Figure], stats: dict[str, Any]) -> None:
    figure = drawn(with_trips(stats, lambda *_: 1, fleets=["yellow", "fhvhv"]))
    (title,) = [text for text in figure.texts if text.get_text().startswith("Where")]
    assert title.get_text() == "Where yellow taxis and high-volume for-hire vehicles pick up in Manhattan"
    assert title.get_window_extent().x1 < figure.bbox.width


def test_the_five_busiest_zones_are_named(drawn: Callable[..., Figure], stats: dict[str, Any]) -> None:
    busy = {"Inwood": 900, "Battery Park": 800, "Midtown East": 700, "Central Park": 600, "East Village": 500}
    figure = drawn(with_trips(stats, lambda _, zone: busy.get(zone, 3)))
    labels = {text.get_text().replace("\n", " ") for text in figure.axes[0].texts}
    assert labels == {f"{zone} {trips} trips" for zone, trips in busy.items()}


def test_zones_without_trips_look_different(drawn: Callable[..., Figure], stats: dict[str, Any]) -> None:
    figure = drawn(with_trips(stats, lambda n, _: n % 2))
    hatches = [collection.get_hatch() for collection in figure.axes[0].collections]
    assert sorted(hatches, key=str) == ["////", None]
    assert "No pickups" in texts(figure)
    assert "No pickups" not in texts(drawn(with_trips(stats, lambda *_: 5)))


@pytest.mark.parametrize(
    "busiest",
    [
        ["Midtown East", "Midtown Center", "Midtown North", "Midtown South", "Murray Hill"],
        ["Inwood", "Inwood Hill Park", "Marble Hill", "Highbridge Park", "Washington Heights North"],
        ["Battery Park", "Battery Park City", "Financial District North", "Financial District South", "Seaport"],
        [
            "Penn Station/Madison Sq West",
            "Times Sq/Theatre District",
            "Garment District",
            "East Chelsea",
            "Clinton East",
        ],
    ],
)
def test_names_never_overlap_each_other_or_leave_the_picture(
    drawn: Callable[..., Figure], stats: dict[str, Any], busiest: list[str]
) -> None:
    figure = drawn(with_trips(stats, lambda _, zone: 1_000_000 if zone in busiest else 1))
    labels = figure.axes[0].texts
    assert len(labels) == 5
    boxes = [Text.get_window_extent(label) for label in labels]  # an annotation's own would include its line
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    key = Bbox.union([artist.get_window_extent() for artist in (*figure.artists, *figure.texts[:-3])])
    for box in boxes:
        assert not box.overlaps(key), "not on the key"
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= 0.92 * figure.bbox.y1, "not on the title"


@pytest.mark.parametrize(
    "busiest",
    [
        [
            "Midtown East",
            "Sutton Place/Turtle Bay North",
            "Stuy Town/Peter Cooper Village",
            "Flatiron",
            "Midtown Center",
        ],
        [
            "Greenwich Village North",
            "Battery Park",
            "Upper West Side North",
            "Sutton Place/Turtle Bay North",
            "West Village",
        ],
    ],
)
def test_lines_to_names_never_cross(drawn: Callable[..., Figure], stats: dict[str, Any], busiest: list[str]) -> None:
    """Regression: names stood in the order of their zones from north to south, and their lines crossed."""
    from shapely import LineString

    figure = drawn(with_trips(stats, lambda _, zone: 1_000_000 if zone in busiest else 1))
    lines = [LineString([label.xy, label.xyann]) for label in figure.axes[0].texts if isinstance(label, Annotation)]
    assert len(lines) == 5
    assert not [pair for pair in combinations(lines, 2) if pair[0].intersects(pair[1])]


def test_all_of_manhattan_is_in_the_picture(drawn: Callable[..., Figure], stats: dict[str, Any]) -> None:
    """Regression: hard-coded limits cut off nine zones in the north."""
    import geopandas as gpd

    axes = drawn(with_trips(stats, lambda n, _: n)).axes[0]
    west, south, east, north = gpd.GeoDataFrame.from_features(stats["features"]).total_bounds
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < west < east < right
    assert bottom < south < north < top


def test_no_trips_at_all(drawn: Callable[..., Figure], stats: dict[str, Any]) -> None:
    figure = drawn(stats)
    words = texts(figure)
    assert "1 March 2023 to 31 March 2023 · 0 trips" in words
    assert "No pickups" in words
    assert not [text for text in words if text.startswith("Pickups per zone")], "a key would have nothing to say"


def test_a_single_trip(drawn: Callable[..., Figure], stats: dict[str, Any]) -> None:
    words = texts(drawn(with_trips(stats, lambda n, _: int(n == 20))))
    assert "1 March 2023 to 31 March 2023 · 1 trip" in words
    assert sum(text.endswith("\n1 trip") for text in words) == 1


def test_the_same_numbers_give_the_same_bytes_whatever_the_user_has_set(stats: dict[str, Any]) -> None:
    numbers = with_trips(stats, lambda n, _: n * n)
    before = draw_manhattan_map(numbers)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "hatch.linewidth": 5, "savefig.dpi": 20}):
        after = draw_manhattan_map(numbers)
        assert mpl.rcParams["font.size"] == 30, "the user's settings are left as they were"
    assert before == after


def test_labels_keep_their_distance() -> None:
    placed = _spread([0.9, 0.89, 0.5, 0.23, 0.22])
    gaps = [upper - lower for upper, lower in pairwise(placed)]
    assert min(gaps) >= 0.069
    assert min(placed) >= 0.219


# The city


@pytest.fixture
def city(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Figure:
    """The map of all zones; the zone's id is its number of trips."""
    saved: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k))[1])
    zones = schematic_zones().to_crs(4326)
    zones = zones.assign(num_trips=zones["OBJECTID"])
    draw_city_map({**json.loads(zones.to_json()), "coverage": COVERAGE, "num_unplaced": 4_321})
    return saved[0]


def test_the_city_has_all_boroughs_with_their_shares(city: Figure) -> None:
    words = texts(city)
    assert "Where yellow taxis pick up in New York" in words
    total = 263 * 264 // 2
    assert f"1 March 2023 to 31 March 2023 · {total + 4_321:,} trips" in words
    assert f"Shares are of the {total:,} in known zones; 4,321 more are outside the zones or not known." in words
    zones = schematic_zones()
    for borough, ids in zones.groupby("borough")["OBJECTID"]:
        name = "Newark Airport" if borough == "EWR" else borough
        share = ids.sum() / total
        assert f"{name}\n{'< 0.1%' if share < 0.001 else f'{share:.1%}'}" in words


def test_labels_of_boroughs_lie_beside_the_zones(city: Figure) -> None:
    """Regression: the label of Queens lay on JFK."""
    axes = city.axes[1]
    zones = schematic_zones().to_crs(4326).union_all().buffer(-0.003)
    assert len(axes.texts) == 6
    for label in axes.texts:
        box = Text.get_window_extent(label).transformed(axes.transData.inverted())
        assert not shapely.box(box.x0, box.y0, box.x1, box.y1).intersects(zones), label.get_text()


def test_both_maps_of_the_city_hold_all_they_show_undistorted(city: Figure) -> None:
    """Regression while it was made: a wide city was cut off at the right, because only its height was fitted."""
    zones = schematic_zones().to_crs(4326)
    shown = {0: zones[zones["borough"] == "Manhattan"], 1: zones}
    for position, expected in shown.items():
        axes = city.axes[position]
        west, south, east, north = expected.total_bounds
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left < west < east < right
        assert bottom < south < north < top
        box = axes.get_position()
        pixels_per_degree = (
            box.width * city.get_figwidth() / (right - left),
            box.height * city.get_figheight() / (top - bottom),
        )
        assert pixels_per_degree[0] / pixels_per_degree[1] == pytest.approx(0.757, abs=0.005), "cos(40.8°)"
    assert len(city.axes[0].collections[0].get_paths()) == 69


@pytest.mark.parametrize(
    "busiest", [["East Harlem South", "East Harlem North"], ["Roosevelt Island"], ["Two Bridges/Seward Park"]]
)
def test_labels_lie_beside_all_zones(drawn: Callable[..., Figure], stats: dict[str, Any], busiest: list[str]) -> None:
    """Regression: East Harlem's name lay over Randalls Island."""
    import geopandas as gpd
    import shapely

    figure = drawn(with_trips(stats, lambda _, zone: 1_000_000 if zone in busiest else 1))
    axes = figure.axes[0]
    zones = gpd.GeoDataFrame.from_features(stats["features"]).union_all()
    named = [label for label in axes.texts if label.get_text().split("\n")[0] in " ".join(busiest)]
    assert named
    for label in named:
        box = Text.get_window_extent(label).transformed(axes.transData.inverted())
        assert not shapely.box(box.x0, box.y0, box.x1, box.y1).intersects(zones), label.get_text()


# Charts of requests


@pytest.fixture
def charted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Figure]:
    """Draw a chart and give the figure that was saved."""

    def draw(counts: Mapping[tuple[int, int], int], title: str = "Trips", *, synthetic: bool = False) -> Figure:
        saved: list[Figure] = []
        save = Figure.savefig
        monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k))[1])
        draw_trip_request(ChartData(counts, 1, [date(2023, 3, 1)], synthetic), title)
        return saved[0]

    return draw


def test_a_chart_stacks_weekdays_in_calendar_order(charted: Callable[..., Figure]) -> None:
    figure = charted({(0, 8): 5, (6, 8): 7, (3, 23): 2})
    (axes,) = figure.axes
    names = [container.get_label() for container in axes.containers]
    assert names == ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    tops = {
        (day, hour): (bar.get_y(), bar.get_height())
        for day, container in enumerate(axes.containers)
        for hour, bar in enumerate(container)  # type: ignore[arg-type]
        if bar.get_height()
    }
    assert tops == {(0, 8): (0, 5), (3, 23): (0, 2), (6, 8): (5, 7)}
    assert "14 trips" in [text.get_text() for text in figure.texts]


def test_a_chart_of_few_trips_counts_whole_ones(charted: Callable[..., Figure]) -> None:
    """Regression: with one trip an hour the axis said 0, 0, 0, 0, 1, 1, 1."""
    figure = charted({(5, 9): 1, (0, 13): 1})
    figure.canvas.draw()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert sorted(set(labels)) == sorted(labels)
    assert {"0", "1"} <= set(labels)


def test_a_chart_without_trips_says_so(charted: Callable[..., Figure]) -> None:
    """Regression: empty results crash charts."""
    figure = charted({})
    assert [text.get_text() for text in figure.axes[0].texts] == ["No pickups on the loaded days"]
    assert "0 trips" in [text.get_text() for text in figure.texts]


def test_a_chart_says_that_its_trips_are_synthetic(charted: Callable[..., Figure]) -> None:
    assert SYNTHETIC_NOTE in [text.get_text() for text in charted({}, synthetic=True).texts]
    assert SYNTHETIC_NOTE not in [text.get_text() for text in charted({}).texts]


def test_a_long_title_stays_in_the_picture(charted: Callable[..., Figure]) -> None:
    figure = charted({}, "Taxi pickups in Manhattan\nzones " + ", ".join(map(str, range(1, 264))))
    figure.canvas.draw()
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1, text.get_text()
