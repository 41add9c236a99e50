"""The zone explorer: its numbers against plain queries, and the page in a real browser."""

import csv
import gzip
import json
import random
import re
import shutil
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from taxi_pipeline.defs.assets import zone_explorer
from taxi_pipeline.outputs.explorer.cube import Block, Entries, packed_within
from taxi_pipeline.outputs.explorer.data import events_of, explorer_data
from taxi_pipeline.outputs.explorer.page import page_of
from taxi_pipeline.outputs.geometry import areas_km2
from taxi_pipeline.outputs.palette import round_classes
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.sources.zone_places import zone_places
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import read_zones
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline.warehouse.tables import ZONE_HOURLY_DROPOFFS, ZONE_HOURLY_TRIPS, ZONES
from taxi_pipeline_tests.browsers import barriers_in_any_look, browser_or_skip, open_explorer, wait_for_explorer
from taxi_pipeline_tests.pipelines import EVERYTHING, Pipeline, pipeline_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

FLEETS = ("yellow", "green")
PAGE = "outputs/zone_explorer.html"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Three weeks of two fleets, with the page. Read it, never write to it."""
    mirror = tmp_path_factory.mktemp("mirror")
    days = Days(date(2023, 1, 8), date(2023, 1, 28))
    write_mirror(mirror, days, fleet="yellow", trips_per_day=300)
    write_mirror(mirror, days, fleet="green", trips_per_day=100)
    pipeline = pipeline_in(tmp_path_factory.mktemp("loaded"), mirror, FLEETS)
    pipeline.run("2023-01-08", "2023-01-28", select=EVERYTHING)
    return pipeline


@pytest.fixture(scope="module")
def data(loaded: Pipeline) -> dict[str, Any]:
    """The JSON inside the page, and `weekly` and `hourly`: what plain queries count, by end, fleet and zone."""
    html = (loaded.folder / PAGE).read_text()
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    ends = {"pickups": "pickup", "dropoffs": "dropoff"}
    return {
        **json.loads(found),
        "weekly": {
            name: _counted(loaded, end, "(pickup_date - DATE '2023-01-08') // 7", 3) for name, end in ends.items()
        },
        "hourly": {name: _counted(loaded, end, f"hour({end}_datetime)", 24) for name, end in ends.items()},
    }


def _counted(loaded: Pipeline, end: str, position: str, length: int) -> dict[str, dict[str, list[int]]]:
    counts: dict[str, dict[str, list[int]]] = {fleet: {} for fleet in FLEETS}
    for fleet, zone_id, n, trips in loaded.rows(
        f"SELECT fleet, {end}_zone_id, {position}, count(*) FROM trips GROUP BY ALL"
    ):
        counts[fleet].setdefault(str(zone_id), [0] * length)[n] = trips
    return counts


def numbers_of(block: Block) -> dict[int, list[int]]:
    """Zone id → its numbers by slot and period, as `cube.js` unpacks them."""
    packed, start = gzip.decompress(block.packed), 0
    length = (7 * block.header["hours"] or 1) * block.header["periods"]
    numbers = {}
    for zone_id, width in zip(block.header["zones"], block.header["widths"], strict=True):
        parts = [packed[start + n * length : start + (n + 1) * length] for n in range(width)]
        numbers[zone_id] = [sum(byte << 8 * n for n, byte in enumerate(bytes_)) for bytes_ in zip(*parts, strict=True)]
        start += width * length
    assert start == len(packed)
    return numbers


@pytest.mark.parametrize(("count", "end"), [("pickups", "pickup"), ("dropoffs", "dropoff")])
def test_trips_are_packed_by_zone_weekday_hour_and_week(loaded: Pipeline, count: str, end: str) -> None:
    data = loaded.warehouse.query(explorer_data, FLEETS)
    assert data["weeks"] == ["2023-01-08", "2023-01-15", "2023-01-22"]
    assert data["weeks_per_period"] == 1
    for fleet in FLEETS:
        (block,) = (each for each in data["blocks"] if (each.header["fleet"], each.header["count"]) == (fleet, count))
        found = {
            (zone_id, n // 3, n % 3): trips
            for zone_id, row in numbers_of(block).items()
            for n, trips in enumerate(row)
            if trips
        }
        slot = f"isodow(pickup_date) % 7 * 24 + hour({end}_datetime)"
        expected = loaded.rows(
            f"SELECT {end}_zone_id, {slot}, (pickup_date - DATE '2023-01-08') // 7, count(*) FROM trips "
            "WHERE fleet = ? GROUP BY ALL",
            [fleet],
        )
        assert found == {(zone_id, at, week): trips for zone_id, at, week, trips in expected}


def test_large_numbers_and_unknown_hours_are_packed() -> None:
    """A row takes as many bytes a number as its largest needs."""
    entries = Entries(
        "fhv",
        "dropoffs",
        zones=np.array([3, 3, 7, 9]),
        days=np.array([0, 13, 6, 8]),
        hours=np.array([0, 24, 23, 5]),
        trips=np.array([70_000, 1, 256, 255]),
    )
    weeks, (block,), by_week = packed_within([entries], 2, 10_000)
    assert (weeks, by_week) == (1, [])
    assert block.header["hours"] == 25
    assert block.header["widths"] == [4, 2, 1]
    found = {
        zone_id: {divmod(n, 2): trips for n, trips in enumerate(row) if trips}
        for zone_id, row in numbers_of(block).items()
    }
    assert found == {3: {(0, 0): 70_000, (6 * 25 + 24, 1): 1}, 7: {(6 * 25 + 23, 0): 256}, 9: {(25 + 5, 1): 255}}
    weeks, (block,), (weekly,) = packed_within([entries], 2, 10)
    assert weeks == 2, "what does not fit has longer periods"
    assert sum(map(sum, numbers_of(block).values())) == 70_000 + 1 + 256 + 255
    assert numbers_of(weekly) == {3: [70_000, 1], 7: [256, 0], 9: [0, 255]}, "weeks alone stay exact"


def test_periods_are_as_short_as_fit() -> None:
    """Whatever a sample of the zones says: all blocks are made for the periods that it lets through."""
    numbers = np.random.default_rng(1)
    week, zone, hour = np.nonzero(numbers.poisson(0.5, (40, 200, 24)))
    entries = Entries("green", "pickups", zone + 1, week * 7, hour, numbers.integers(1, 40, len(week)))
    periods = [2]
    while periods[-1] < 40:
        periods.append(periods[-1] + max(1, periods[-1] // 3))
    sizes = {weeks: sum(len(block.packed) for block in packed_all(entries, weeks)) for weeks in (1, *periods[:-1])}
    for size in sizes.values():
        by_week = 0 if size == sizes[1] else len(packed_within([entries], 40, 1)[2][0].packed)
        shortest = min(weeks for weeks, takes in sizes.items() if takes <= size)
        assert packed_within([entries], 40, size + by_week)[0] == shortest
    assert packed_within([entries], 40, 1)[0] == 40


def packed_all(entries: Entries, weeks: int) -> list[Block]:
    """The blocks by slot with periods of so many weeks, made out of entries whose weeks are such periods."""
    periods = Entries(
        entries.fleet, entries.count, entries.zones, entries.days // 7 // weeks * 7, entries.hours, entries.trips
    )
    return packed_within([periods], -(-40 // weeks), 10**9)[1]


def test_every_zone_is_there_and_outlines_are_small(data: dict[str, Any]) -> None:
    assert [zone["id"] for zone in data["zones"]] == list(range(1, 266))
    assert [zone["id"] for zone in data["zones"] if not zone["path"]] == [264, 265]
    assert len(json.dumps(data["zones"])) < 300_000


def test_trips_from_borough_to_borough_and_loaded_days(loaded: Pipeline, data: dict[str, Any]) -> None:
    for fleet in FLEETS:
        flows = {(pickup, dropoff): sum(weeks) for pickup, dropoff, weeks in data["flows"][fleet]}
        expected = loaded.rows(
            "SELECT p.borough, d.borough, count(*) FROM trips JOIN zones p ON p.zone_id = pickup_zone_id "
            "JOIN zones d ON d.zone_id = dropoff_zone_id WHERE fleet = ? GROUP BY ALL",
            [fleet],
        )
        assert flows == {(pickup, dropoff): trips for pickup, dropoff, trips in expected}
    assert data["days"] == {"yellow": [127, 127, 127], "green": [127, 127, 127], "all": [127, 127, 127]}


def test_days_of_any_fleet_count_once_for_all_fleets(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = pipeline_in(Path(shutil.copytree(loaded.folder, tmp_path / "data")), loaded.folder, FLEETS)
    pipeline.execute("DELETE FROM loaded_days WHERE fleet = 'green' AND pickup_date < '2023-01-20'")
    pipeline.execute("DELETE FROM loaded_days WHERE pickup_date >= '2023-01-27'")
    found = pipeline.warehouse.query(explorer_data, FLEETS)
    # A bit for each loaded day, Sundays first: the 20th was a Friday, the 26th a Thursday.
    assert found["days"] == {
        "yellow": [0b1111111, 0b1111111, 0b0011111],
        "green": [0b0000000, 0b1100000, 0b0011111],
        "all": [0b1111111, 0b1111111, 0b0011111],
    }


def test_the_rows_of_voids_are_named(loaded: Pipeline, tmp_path: Path) -> None:
    """Of all weeks and of the page's fleets; without voids there is no note."""
    pipeline = pipeline_in(Path(shutil.copytree(loaded.folder, tmp_path / "data")), loaded.folder, FLEETS)
    pipeline.execute("DELETE FROM zone_hourly_voids")
    without = page_of(pipeline.warehouse.query(explorer_data, FLEETS))
    assert 'id="void-rows"' not in without
    assert 'value="net"' not in without
    pipeline.execute(
        "INSERT INTO zone_hourly_voids SELECT * REPLACE (617 AS num_trips) FROM zone_hourly_trips "
        "WHERE fleet = 'green' ORDER BY ALL LIMIT 2"
    )
    assert '<span id="void-rows">1,234</span>' in page_of(pipeline.warehouse.query(explorer_data, FLEETS))
    assert 'id="void-rows"' not in page_of(pipeline.warehouse.query(explorer_data, ["yellow"]))


def test_weeks_without_trips_are_zeros(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = pipeline_in(Path(shutil.copytree(loaded.folder, tmp_path / "data")), loaded.folder, FLEETS)
    for table in ("zone_hourly_trips", "zone_hourly_dropoffs", "loaded_days"):
        pipeline.execute(f"DELETE FROM {table} WHERE pickup_date BETWEEN '2023-01-15' AND '2023-01-21'")
    with pipeline.warehouse.read() as session:
        found = explorer_data(session, FLEETS)
    assert found["weeks"] == ["2023-01-08", "2023-01-15", "2023-01-22"]
    blocks = [block for block in found["blocks"] if block.header["count"] in ("pickups", "dropoffs")]
    assert len(blocks) == 4
    for block in blocks:
        trips = [row[week::3] for row in numbers_of(block).values() for week in range(3)]
        assert [any(map(any, trips[week::3])) for week in range(3)] == [True, False, True]


def test_an_empty_warehouse_has_a_page(tmp_path: Path, mirror: Path) -> None:
    pipeline = pipeline_in(tmp_path / "data", mirror)
    pipeline.execute("DELETE FROM loaded_days")
    pipeline.run("2023-01-05", select=[zone_explorer])
    assert '"weeks":[]' in (pipeline.folder / PAGE).read_text()


def test_it_is_one_file_that_names_no_other(loaded: Pipeline) -> None:
    html = (loaded.folder / PAGE).read_text()
    own = html.replace((Path(page_of.__code__.co_filename).parent / "d3.min.js").read_text(), "")
    assert not re.findall(r'(?:src|href)="(?!data:,)', own)
    assert "url(" not in own
    assert "fetch(" not in own


@pytest.mark.slow
@pytest.mark.real_data
def test_three_years_of_all_fleets_in_real_zones_take_at_most_eight_megabytes(
    tmp_path: Path, mirror: Path, real_tlc: Path
) -> None:
    """The page holds as many numbers as possible: each zone has trips in each week, thousands of them."""
    pipeline = pipeline_in(tmp_path / "data", mirror, ("yellow", "green", "fhv", "fhvhv"))
    zones = read_zones(real_tlc / "misc" / "taxi_zones.zip")
    first = date(2020, 1, 5)
    with pipeline.warehouse.write() as session:
        assert isinstance(session, DuckDBSession)
        session.replace(ZONES, [(zone.zone_id, zone.zone, zone.borough, zone.geometry) for zone in zones])
        for table in (ZONE_HOURLY_TRIPS, ZONE_HOURLY_DROPOFFS):
            rest = ", 0, 0, 0, 0, 0" if table is ZONE_HOURLY_TRIPS else ""
            session.execute(
                f"INSERT INTO {table.name} SELECT fleet, CAST(? AS DATE) + 7 * CAST(week AS INTEGER), hour, zone, "
                f"CAST(hash(week, zone, fleet) % 9000 + 1000 AS BIGINT) {rest} "
                "FROM (VALUES ('yellow'), ('green'), ('fhv'), ('fhvhv')) AS fleets(fleet), range(157) AS weeks(week), "
                "range(1, 266) AS zones(zone), (VALUES (8), (17)) AS hours(hour)",
                [first],
            )
        last = first + timedelta(weeks=156)
        session.execute(
            "INSERT INTO loaded_days SELECT 'yellow', day, 1, 0, 'x', 1, FALSE, NULL, 0, NULL "
            "FROM (VALUES (?), (?)) AS days(day)",
            [first, last],
        )
        page = page_of(explorer_data(session, pipeline.tlc.fleets))
    assert page.count("2022-12-25") == 1
    assert len(page.encode()) <= 8_000_000


def test_events_of_the_loaded_weeks_have_their_places() -> None:
    weeks = [date(2020, 3, 15) + timedelta(weeks=n) for n in range(5)]
    events = events_of(weeks)
    lockdown = next(each for each in events if "lockdown" in each["words"])
    assert lockdown == {
        "from": 1,
        "to": 4,
        "words": "2020-03-22 to 2020-06-07: COVID-19 lockdown (New York State on PAUSE)",
    }
    assert events[0]["words"].startswith("2020-03-16:")
    assert events[0]["from"] == events[0]["to"] == 0
    assert all(0 <= each["from"] <= each["to"] < 5 for each in events)
    assert events_of([]) == []


@pytest.mark.real_data
def test_areas_are_those_of_the_zones(real_tlc: Path) -> None:
    """Against the declared ones, which were measured on a plane of New York and have three digits."""
    declared = {place.zone_id: place.area_km2 for place in zone_places()}
    zones = read_zones(real_tlc / "misc" / "taxi_zones.zip")
    areas = areas_km2({zone.zone_id: zone.geometry for zone in zones if zone.geometry})
    assert set(areas) == set(declared)
    assert not [
        zone_id for zone_id in areas if abs(areas[zone_id] - declared[zone_id]) > 0.0006 + 0.003 * areas[zone_id]
    ]


# In a browser


@pytest.fixture(scope="module")
def browser(loaded: Pipeline) -> "Iterator[Browser]":
    """A real browser, opened when Dagster is done: both want the thread's event loop for themselves."""
    with browser_or_skip() as opened:
        yield opened


@pytest.fixture
def page(browser: "Browser", loaded: Pipeline) -> "Iterator[Page]":
    """The opened page; afterwards nothing stood in the console and nothing was asked for."""
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(10_000)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
    open_explorer(page, (loaded.folder / PAGE).as_uri())
    yield page
    assert troubles == []
    page.close()


def zone_named(page: "Page", name: str) -> Any:
    return page.locator(f'#map path[aria-label^="{name},"]')


def words_of(page: "Page", name: str) -> str:
    """The words of the map's description of a zone."""
    return str(zone_named(page, name).get_attribute("aria-label"))


def shades(page: "Page") -> dict[str, str]:
    """Zone as it is described → its class."""
    read = "paths => paths.map(path => [path.getAttribute('aria-label'), path.getAttribute('class')])"
    return dict(page.locator("#map path[aria-label]").evaluate_all(read))


def trips_of(data: dict[str, Any], zone_id: int, count: str = "pickups", *fleets: str) -> list[int]:
    """Per week."""
    rows = [data["weekly"][count][fleet].get(str(zone_id), [0] * 3) for fleet in fleets or FLEETS]
    return [sum(week) for week in zip(*rows, strict=True)]


def in_borough(data: dict[str, Any], borough: str) -> int:
    """Pickups of all fleets and weeks."""
    ids = [zone["id"] for zone in data["zones"] if zone["borough"] == borough]
    return sum(sum(trips_of(data, zone_id)) for zone_id in ids)


JFK = 132


@pytest.mark.slow
def test_pointing_at_a_zone_shows_its_name_and_numbers(page: "Page", data: dict[str, Any]) -> None:
    zone_named(page, "JFK Airport").hover()
    words = page.locator("#tooltip").inner_text()
    assert words.startswith("JFK Airport, Queens")
    assert f"{sum(trips_of(data, JFK)):,} pickups" in words
    assert f"{sum(trips_of(data, JFK)) / 21:.3g} a day" in words
    page.mouse.move(5, 5)
    assert page.locator("#tooltip").is_hidden()


@pytest.mark.slow
def test_a_click_shows_the_zones_weeks_and_hours_and_another_lets_it_go(page: "Page", data: dict[str, Any]) -> None:
    everywhere = page.locator("#weeks [aria-label]").first.get_attribute("aria-label")
    zone_named(page, "JFK Airport").click()
    assert page.locator("#chosen").inner_text() == "JFK Airport, Queens"
    weeks = [str(bar.get_attribute("aria-label")) for bar in page.locator("#weeks [aria-label^=Week]").all()]
    assert [words.partition(" pickups")[0] for words in weeks] == [
        f"Week of {week}: {trips:,}" for week, trips in zip(data["weeks"], trips_of(data, JFK), strict=True)
    ]
    hours = [str(bar.get_attribute("aria-label")) for bar in page.locator('#hours [aria-label*=":00 to"]').all()]
    expected = [
        sum(data["hourly"]["pickups"][fleet].get(str(JFK), [0] * 24)[hour] for fleet in FLEETS) for hour in range(24)
    ]
    assert [words.split(": ")[1].partition(" pickups")[0] for words in hours] == [f"{trips:,}" for trips in expected]
    assert page.locator("#flows-title").inner_text() == "Where trips from Queens end"
    zone_named(page, "JFK Airport").click()
    assert page.locator("#chosen").inner_text() == "All of New York"
    assert page.locator("#weeks [aria-label]").first.get_attribute("aria-label") == everywhere


@pytest.mark.slow
def test_the_weeks_sliders_change_the_map_from_the_keyboard(page: "Page", data: dict[str, Any]) -> None:
    before = shades(page)
    page.get_by_label("First week").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#from-week").inner_text() == "2023-01-15"
    assert f"{sum(trips_of(data, JFK)[1:]):,} pickups" in words_of(page, "JFK Airport")
    page.keyboard.press("End")
    assert page.locator("#to-week").inner_text() == "2023-01-22"
    assert f"{trips_of(data, JFK)[2]:,} pickups" in words_of(page, "JFK Airport")
    assert shades(page) != before
    page.get_by_label("Last week").focus()
    page.keyboard.press("Home")
    assert page.locator("#from-week").inner_text() == "2023-01-08", "the first week gives way"
    page.get_by_role("button", name="Reset").press("Enter")
    assert shades(page) == before


def drag(page: "Page", chart: str, first: float, last: float) -> None:
    """Brush a chart between two shares of its width."""
    box = page.locator(f"{chart} .overlay").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + first * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + last * box["width"], y, steps=4)
    page.mouse.up()


@pytest.mark.slow
def test_weeks_and_hours_are_brushed_on_the_bars(page: "Page", data: dict[str, Any]) -> None:
    drag(page, "#weeks", 0.4, 0.95)
    assert f"{sum(trips_of(data, JFK)[1:]):,} pickups" in words_of(page, "JFK Airport")
    assert page.locator("#title").inner_text() == "Pickups of all fleets, weeks of 2023-01-15 to 2023-01-22"
    drag(page, "#hours", 0.26, 0.40)
    hours = [
        sum(data["hourly"]["pickups"][fleet].get(str(JFK), [0] * 24)[hour] for fleet in FLEETS) for hour in range(24)
    ]
    assert page.locator("#title").inner_text() == (
        "Pickups of all fleets, weeks of 2023-01-15 to 2023-01-22, 06:00 to 10:00"
    )
    page.get_by_label("First week").focus()
    page.keyboard.press("Home")
    assert f"{sum(hours[6:10]):,} pickups, {sum(hours[6:10]) / 21:.3g} a day" in words_of(page, "JFK Airport")
    assert page.locator("#part-of-day").input_value() == "6-9"
    page.locator("#part-of-day").select_option("all")
    assert f"{sum(trips_of(data, JFK)):,} pickups" in words_of(page, "JFK Airport")


@pytest.mark.slow
def test_pickups_or_dropoffs_and_one_fleet_or_all(page: "Page", data: dict[str, Any]) -> None:
    page.get_by_label("drop-offs").check()
    assert f"{sum(trips_of(data, JFK, 'dropoffs')):,} drop-offs" in words_of(page, "JFK Airport")
    page.get_by_label("Fleet").select_option("green")
    assert sum(trips_of(data, JFK, "dropoffs", "green")) != sum(trips_of(data, JFK, "dropoffs"))
    total = sum(map(sum, data["weekly"]["dropoffs"]["green"].values()))
    assert page.locator("#chosen-numbers").inner_text() == f"{total:,} drop-offs, {total / 21:.3g} a day"


@pytest.mark.slow
def test_net_pickups_stand_beside_published_ones(browser: "Browser", loaded: Pipeline, tmp_path: Path) -> None:
    """By week and by hour; borough pairs are as published, and say so. A link shows them, too."""
    pipeline = pipeline_in(Path(shutil.copytree(loaded.folder, tmp_path / "data")), loaded.folder, FLEETS)
    pipeline.execute(
        "INSERT INTO trips SELECT * REPLACE (-total_amount AS total_amount) FROM trips "
        "WHERE pickup_date = '2023-01-17' AND total_amount > 0"
    )
    pipeline.warehouse.change(count_again, Days(date(2023, 1, 17), date(2023, 1, 17)), ["zone_hourly_trips"])
    ((published,),) = pipeline.rows("SELECT count(*) FROM trips WHERE pickup_zone_id < 264")
    ((net, mornings),) = pipeline.rows(
        "SELECT count(*), count(*) FILTER (hour(pickup_datetime) BETWEEN 6 AND 9) FROM net_trips "
        "WHERE pickup_zone_id < 264"
    )
    assert net < published - 500
    (tmp_path / "page.html").write_text(page_of(pipeline.warehouse.query(explorer_data, FLEETS)))
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    open_explorer(page, (tmp_path / "page.html").as_uri())
    assert f"{published:,} pickups are on the map" in page.locator("#summary").inner_text()
    page.get_by_label("net pickups").check()
    assert f"{net:,} net pickups are on the map" in page.locator("#summary").inner_text()
    assert "are as published" in page.locator("#flows-note").inner_text()
    page.wait_for_url("**show=net**")
    page.locator("#part-of-day").select_option("6-9")
    assert f"{mornings:,} net pickups are on the map" in page.locator("#summary").inner_text()
    page.close()


@pytest.mark.slow
def test_a_zone_is_found_by_name_without_a_mouse_and_the_map_goes_there(page: "Page", data: dict[str, Any]) -> None:
    """Regression: the map stayed where it was when another borough was shown."""
    page.get_by_label("Show").select_option("Bronx")
    page.get_by_label("Find a zone").focus()
    page.keyboard.type("jfk")
    page.keyboard.press("Enter")
    assert page.locator("#chosen").inner_text() == "JFK Airport, Queens"
    assert page.get_by_label("Show").input_value() == "all"
    shown, zone = page.locator("#map").bounding_box(), zone_named(page, "JFK Airport").bounding_box()
    assert shown
    assert zone
    assert shown["x"] <= zone["x"] < zone["x"] + zone["width"] <= shown["x"] + shown["width"]
    assert shown["y"] <= zone["y"] < zone["y"] + zone["height"] <= shown["y"] + shown["height"]
    page.get_by_label("Find a zone").fill("no such place")
    page.keyboard.press("Enter")
    assert page.locator("#search:invalid").count() == 1
    assert page.locator("#chosen").inner_text() == "JFK Airport, Queens"
    page.keyboard.press("Escape")
    assert page.locator("#chosen").inner_text() == "All of New York"
    page.locator("#zone-list button").first.focus()
    page.keyboard.press("Enter")
    busiest = max(range(1, 264), key=lambda zone_id: (sum(trips_of(data, zone_id)), -zone_id))
    name = data["zones"][busiest - 1]["zone"]
    assert page.locator("#chosen").inner_text().startswith(name)
    assert page.locator("#zone-list button[aria-pressed=true]").inner_text().startswith(name)


@pytest.mark.slow
def test_a_borough_fills_the_map_and_is_what_the_numbers_are_about(page: "Page", data: dict[str, Any]) -> None:
    """Regression: title, totals and list stayed those of the whole city."""
    before = zone_named(page, "JFK Airport").bounding_box()
    page.get_by_label("Show").select_option("Queens")
    after = zone_named(page, "JFK Airport").bounding_box()
    assert before
    assert after
    assert after["width"] > 1.2 * before["width"]
    queens = in_borough(data, "Queens")
    assert page.locator("#chosen").inner_text() == "Queens"
    assert page.locator("#chosen-numbers").inner_text().startswith(f"{queens:,} pickups")
    assert page.locator("#summary").inner_text() == f"{queens:,} pickups are on the map."
    names = {zone["zone"]: zone["borough"] for zone in data["zones"]}
    listed = page.locator("#zone-list .row span:first-child").all_inner_texts()
    assert {names[name] for name in listed} == {"Queens"}
    first = page.locator("#weeks [aria-label]").first.get_attribute("aria-label")
    ids = [zone["id"] for zone in data["zones"] if zone["borough"] == "Queens"]
    assert f": {sum(trips_of(data, zone_id)[0] for zone_id in ids):,} pickups" in str(first)


@pytest.mark.slow
@pytest.mark.parametrize("borough", ["all", "Bronx", "Queens"])
def test_the_key_lies_on_no_zone(page: "Page", borough: str) -> None:
    """Regression: it lay over zones of the Bronx and of Queens."""
    page.get_by_label("Show").select_option(borough)
    shown, key = page.locator("#map").bounding_box(), page.locator("#key").bounding_box()
    assert shown
    assert key
    assert key["y"] >= shown["y"] + shown["height"]


@pytest.mark.slow
def test_the_map_is_zoomed_and_shown_whole_again(page: "Page") -> None:
    before = zone_named(page, "JFK Airport").bounding_box()
    for _ in range(2):
        page.get_by_role("button", name="Zoom in").press("Enter")
    near = zone_named(page, "JFK Airport").bounding_box()
    assert before
    assert near
    assert near["width"] == pytest.approx(2.56 * before["width"], rel=0.05)
    page.get_by_role("button", name="Whole map").click()
    assert zone_named(page, "JFK Airport").bounding_box() == before


@pytest.mark.slow
def test_two_choices_are_compared_per_day(page: "Page", data: dict[str, Any]) -> None:
    page.get_by_label("Last week").focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="Compare with this").click()
    assert words_of(page, "JFK Airport").endswith(", 0.0% compared"), "the same has no sign"
    drag(page, "#weeks", 0.4, 0.95)
    assert page.locator("#compared").inner_text() == "Compared with pickups of all fleets, week of 2023-01-08"
    first, *others = trips_of(data, JFK)
    change = sum(others) / 14 / (first / 7) - 1
    sign = "−" if change < 0 else "+"  # noqa: RUF001 - as it is typeset
    digits = 1 if abs(change) < 0.1 else 0
    assert f"{sign}{abs(100 * change):.{digits}f}% compared" in words_of(page, "JFK Airport")
    assert {shade.split()[0][0] for shade in shades(page).values()} <= {"d", "s"}
    assert page.locator("#key p").inner_text() == "Change of the trips per day"
    page.get_by_label("Fleet").select_option("green")
    assert page.locator("#key p").inner_text() == "Change of the share of the trips in known zones", (
        "fleets differ in size"
    )
    page.get_by_role("button", name="Stop comparing").click()
    assert page.locator("#compared").is_hidden()


@pytest.mark.slow
def test_a_link_shows_the_same_view(page: "Page") -> None:
    page.get_by_label("drop-offs").check()
    page.get_by_label("Fleet").select_option("green")
    page.get_by_role("button", name="Compare with this").click()
    page.get_by_label("Fleet").select_option("yellow")
    page.get_by_label("Show").select_option("Queens")
    zone_named(page, "JFK Airport").click()
    drag(page, "#weeks", 0.4, 0.95)
    texts = ("#title", "#compared", "#chosen", "#chosen-numbers", "#summary")
    before = [page.locator(text).inner_text() for text in texts], shades(page)
    page.wait_for_function("location.hash.includes('zone=132') && location.hash.includes('2023-01-15..2023-01-22')")
    link = page.evaluate("location.href")  # page.url follows later
    page.goto("about:blank")
    open_explorer(page, link)
    assert ([page.locator(text).inner_text() for text in texts], shades(page)) == before
    page.goto("about:blank")
    open_explorer(page, f"{link.partition('#')[0]}#show=drop,blue,1..2&zone=9999&borough=x&than=%00")
    assert page.locator("#title").inner_text() == "Pickups of all fleets, weeks of 2023-01-08 to 2023-01-22"


def num_pages(pdf: bytes) -> int:
    """The number of sheets of a PDF that Chromium made."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.mark.slow
@pytest.mark.parametrize("sheet", ["A4", "Letter"])
@pytest.mark.parametrize("width", [390, 1300, 2200])
def test_it_fits_a_sheet_of_paper(page: "Page", sheet: str, width: int) -> None:
    """Regression: half of the weeks and the hours after 14:00 were cut off, and the map was on the second sheet."""
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(300)  # it draws anew
    assert num_pages(page.pdf(format=sheet)) == 1, "all is on the first sheet, the map, too"
    page.emulate_media(media="print")
    # As wide as the sheet within its margins. Nothing is drawn anew when a page is printed.
    page.evaluate("document.body.style.width = '700px'")
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 700
    for chart in ("#weeks", "#hours"):
        place = page.locator(chart).bounding_box()
        assert place
        bars = [bar.bounding_box() for bar in page.locator(f"{chart} .bar").all()]
        assert len(bars) == (3 if chart == "#weeks" else 24)
        assert all(bar and place["x"] <= bar["x"] for bar in bars)
        assert all(bar and bar["x"] + bar["width"] <= place["x"] + place["width"] + 1 for bar in bars)
    shown = page.locator("#map").bounding_box()
    assert shown
    assert shown["height"] > 300
    assert page.locator("#controls").is_hidden()


@pytest.mark.slow
def test_the_weeks_are_played(page: "Page") -> None:
    page.get_by_role("button", name="Play the weeks").click()
    seen = []
    for week in ("2023-01-08", "2023-01-15", "2023-01-22", "2023-01-08"):
        page.wait_for_function("week => document.getElementById('title').textContent.endsWith(week)", arg=week)
        seen.append(page.locator("#title").inner_text())
    assert seen[0] == "Pickups of all fleets, week of 2023-01-08"
    page.get_by_role("button", name="Stop", exact=True).click()
    assert page.get_by_role("button", name="Play the weeks").is_visible()


@pytest.mark.slow
def test_what_is_shown_is_saved_as_csv(page: "Page", data: dict[str, Any], tmp_path: Path) -> None:
    page.get_by_label("Show").select_option("Queens")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="CSV").click()
    downloading.value.save_as(tmp_path / "zones.csv")
    with (tmp_path / "zones.csv").open(newline="") as file:
        rows = {int(row["zone_id"]): row for row in csv.DictReader(file)}
    assert set(rows) == {zone["id"] for zone in data["zones"] if zone["borough"] == "Queens"}
    trips = sum(trips_of(data, JFK))
    assert rows[JFK] == {
        "zone_id": "132",
        "zone": "JFK Airport",
        "borough": "Queens",
        "trips": str(trips),
        "trips_per_day": f"{trips / 21:.3f}",
    }


@pytest.mark.slow
def test_its_classes_are_those_of_the_other_pictures(page: "Page") -> None:
    """The rule is written twice: in Python for PNG and report, in JavaScript for what its readers choose."""
    numbers = random.Random(0)  # noqa: S311 - no secrets
    borders = page.evaluate("[1.8 / 100, 1.4 / 10, 0.5, 1500].map(short)")
    assert borders == ["0.018", "0.14", "0.5", "1.5k"], "a border is written as it is meant"
    for _ in range(200):
        days = numbers.choice([1, 31, 365])
        counts = [int(10 ** numbers.uniform(-1, 7)) / days for _ in range(numbers.randrange(0, 300))]
        classes = round_classes(counts)
        assert page.evaluate("counts => roundClasses(counts)", counts) == classes.starts
        tried = counts[:20]
        shown = page.evaluate(
            "([tried, starts]) => tried.map((count) => shadeOf(count, starts))", [tried, classes.starts]
        )
        assert shown == [classes.of(count) for count in tried]


@pytest.mark.slow
def test_partial_weeks_are_no_slumps(browser: "Browser", loaded: Pipeline, tmp_path: Path) -> None:
    """Regression: weeks of which a few days are loaded looked as if people had stayed at home."""
    pipeline = pipeline_in(Path(shutil.copytree(loaded.folder, tmp_path / "data")), loaded.folder, FLEETS)
    for table in ("zone_hourly_trips", "zone_hourly_dropoffs", "loaded_days", "borough_flows"):
        pipeline.execute(f"DELETE FROM {table} WHERE pickup_date >= '2023-01-24'")
    (tmp_path / "page.html").write_text(page_of(pipeline.warehouse.query(explorer_data, FLEETS)))
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    open_explorer(page, (tmp_path / "page.html").as_uri())
    bars = page.locator("#weeks .bar")
    heights = [float(str(bar.get_attribute("height"))) for bar in bars.all()]
    assert min(heights) > 0.8 * max(heights)
    assert "(2 of 7 days loaded)" in str(bars.last.get_attribute("aria-label"))
    assert "partial" in str(bars.last.get_attribute("class"))
    assert page.locator("#partial").is_visible()
    page.close()


@pytest.mark.slow
def test_zones_of_manhattan_can_be_hit_on_a_phone(browser: "Browser", loaded: Pipeline, data: dict[str, Any]) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    open_explorer(page, f"{(loaded.folder / PAGE).as_uri()}#borough=Manhattan")
    for _ in range(2):
        page.get_by_role("button", name="Zoom in").tap()
    for name in ("Midtown Center", "Times Sq/Theatre District", "Murray Hill"):
        box = zone_named(page, name).bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 24, "the least size of a target by WCAG 2.2"
    zone_named(page, "Central Park").tap()
    assert page.locator("#chosen").inner_text() == "Central Park, Manhattan"
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1300, "dark")])
def test_it_fits_a_phone_and_a_dark_room(browser: "Browser", loaded: Pipeline, width: int, scheme: Any) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    open_explorer(page, (loaded.folder / PAGE).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#map path[aria-label]").count() == 263
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 22, 28)" if scheme == "dark" else "rgb(255, 255, 255)")
    page.close()


@pytest.mark.slow
def test_zones_with_names_like_markup_stay_text(browser: "Browser", loaded: Pipeline, tmp_path: Path) -> None:
    with loaded.warehouse.read() as session:
        found = explorer_data(session, FLEETS)
    name = "</script><img src=x onerror=alert(1)>"
    found["zones"][JFK - 1]["zone"] = name
    (tmp_path / "page.html").write_text(page_of(found))
    page = browser.new_page()
    open_explorer(page, (tmp_path / "page.html").as_uri())
    page.get_by_label("Find a zone").fill(name)
    page.keyboard.press("Enter")
    assert page.locator("#chosen").inner_text() == f"{name}, Queens"
    assert page.locator("img").count() == 0
    page.close()


@pytest.mark.slow
def test_trips_by_area_are_shaded_told_and_saved(page: "Page", data: dict[str, Any], tmp_path: Path) -> None:
    before = shades(page)
    page.get_by_label("Shade by trips per").select_option("square kilometre")
    area = next(zone["km2"] for zone in data["zones"] if zone["id"] == JFK)
    per_day = sum(trips_of(data, JFK)) / 21
    assert f"{float(f'{per_day / area:.3g}'):g} a day and km²" in words_of(page, "JFK Airport")
    assert "Pickups a day per km²" in page.locator("#key").inner_text()
    kinds = {name.split(":")[0]: shade for name, shade in before.items()}
    assert any(kinds[name.split(":")[0]] != shade for name, shade in shades(page).items())
    with page.expect_download() as downloading:
        page.get_by_role("button", name="CSV").click()
    downloading.value.save_as(tmp_path / "zones.csv")
    with (tmp_path / "zones.csv").open(newline="") as file:
        rows = {int(row["zone_id"]): row for row in csv.DictReader(file)}
    assert rows[JFK]["trips_per_day_and_km2"] == f"{per_day / area:.3f}"
    page.wait_for_function("location.hash.includes('per=km2')")


@pytest.mark.slow
def test_what_is_shown_is_saved_as_a_picture(page: "Page", tmp_path: Path) -> None:
    """The drawing needs neither stylesheet nor script: a page with nothing else has the same colours."""
    zone_named(page, "JFK Airport").click()
    with page.expect_download() as drawing:
        page.get_by_role("button", name="SVG").click()
    with page.expect_download() as picture:
        page.get_by_role("button", name="PNG").click()
    assert drawing.value.suggested_filename == "zones pickups all 2023-01-08..2023-01-22.svg"
    drawing.value.save_as(tmp_path / "zones.svg")
    picture.value.save_as(tmp_path / "zones.png")
    root = ElementTree.fromstring((tmp_path / "zones.svg").read_text())  # noqa: S314 - our own
    words = " ".join(text for text in root.itertext())
    for part in (
        "Pickups of all fleets",
        "JFK Airport, Queens:",
        "Pickups a day per zone",
        "A program generated these trips",
    ):
        assert part in words
    fills = [
        dict(style.split(":", 1) for style in path.get("style", "").split(";"))["fill"]
        for path in root.iter("{http://www.w3.org/2000/svg}path")
        if "style" in path.attrib
    ]
    shown = page.locator("#map path[aria-label]").evaluate_all(
        "paths => paths.map(path => getComputedStyle(path).fill)"
    )
    assert Counter(shown) <= Counter(fills)
    assert not [name for element in root.iter() for name in element.attrib if name in ("class", "onclick", "href")]
    with Image.open(tmp_path / "zones.png") as image:
        assert image.size == tuple(2 * int(float(root.attrib[side])) for side in ("width", "height"))
        assert len({image.getpixel((x, 700)) for x in range(0, 1700, 10)}) > 3


@pytest.mark.slow
def test_known_events_and_years_stand_beside_the_weeks(browser: "Browser", loaded: Pipeline, tmp_path: Path) -> None:
    found = loaded.warehouse.query(explorer_data, FLEETS)
    events = [
        {"from": 0, "to": 1, "words": "2022-12-26 to 2023-01-02: Lasts"},
        {"from": 2, "to": 2, "words": "2023-01-09: <b>Happens</b>"},
    ]
    weeks = ["2022-12-25", "2023-01-01", "2023-01-08"]
    (tmp_path / "page.html").write_text(page_of({**found, "weeks": weeks, "events": events}))
    page = browser.new_page()
    open_explorer(page, (tmp_path / "page.html").as_uri())
    words = [str(bar.get_attribute("aria-label")) for bar in page.locator("#weeks .bar").all()]
    assert [re.findall("Lasts|<b>Happens</b>", each) for each in words] == [["Lasts"], ["Lasts"], ["<b>Happens</b>"]]
    assert page.locator("#weeks .noted path").count() == 2
    page.get_by_text("The weeks as a table").click()
    page.wait_for_selector("#weeks-table td")
    assert "2023-01-09: <b>Happens</b>" in page.locator("#weeks-table").inner_text()
    page.get_by_text("Year by year").click()
    page.wait_for_selector("#years g")
    rows = page.locator("#years g").evaluate_all(
        "rows => rows.map(row => [row.textContent, row.querySelectorAll('rect').length])"
    )
    pickups = [sum(week) for week in zip(*(trips for fleet in FLEETS for trips in _weekly(found, fleet)), strict=True)]
    means = [pickups[0] / 7, sum(pickups[1:]) / 14]
    assert rows == [
        [f"{year}{float(f'{mean:.3g}'):g} a day", bars]
        for year, mean, bars in zip((2022, 2023), means, (1, 2), strict=True)
    ]
    ends = page.locator("#years g").evaluate_all(
        "rows => rows.map(row => ['line', 'rect:last-of-type'].map(name => row.querySelector(name).getBBox()))"
        ".map(boxes => boxes.map(box => box.x + box.width))"
    )
    assert all(bar <= line for line, bar in ends), "a week at the turn of the year ends with the year"
    page.emulate_media(media="print")
    widths = page.locator("#years svg").evaluate(
        "svg => [svg.getBoundingClientRect().width, svg.parentElement.clientWidth]"
    )
    assert widths[0] <= widths[1], "on paper nothing is cut off"
    page.close()


def _weekly(found: dict[str, Any], fleet: str) -> list[list[int]]:
    """Pickups by week of each zone of a fleet."""
    (block,) = (each for each in found["blocks"] if (each.header["fleet"], each.header["count"]) == (fleet, "pickups"))
    return [[sum(numbers[week::3]) for week in range(3)] for numbers in numbers_of(block).values()]


@pytest.mark.slow
def test_an_embedded_page_shows_what_is_chosen_and_nothing_to_choose_with(page: "Page") -> None:
    page.evaluate("location.hash = 'embed=1&borough=Queens'")
    page.wait_for_selector("body[data-embedded=true]")
    assert not page.locator("#controls").is_visible()
    assert not page.locator("#weeks-table").is_visible()
    assert page.locator("#map").is_visible()
    assert page.locator("#synthetic").is_visible(), "what the numbers are is told there, too"
    link = page.get_by_role("link", name="Open with all controls")
    assert "borough=Queens" in str(link.get_attribute("href"))
    assert "embed" not in str(link.get_attribute("href"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        "borough=Queens&zone=132&map=ends&per=km2&than=dropoffs,green,2023-01-08..2023-01-15,hours 6-9",
        "embed=1&zone=132",
    ],
)
def test_nothing_keeps_anybody_out(browser: "Browser", loaded: Pipeline, chosen: str) -> None:
    """With everything open that can be opened."""

    def opened(page: "Page") -> None:
        wait_for_explorer(page)
        page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
        page.wait_for_selector("#heat-table td", state="attached")

    assert barriers_in_any_look(browser, f"{(loaded.folder / PAGE).as_uri()}#{chosen}", opened) == {}
