"""The zone explorer: its numbers against plain queries, and the page in a real browser."""

import json
import re
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taxi_pipeline.defs.assets import zone_explorer
from taxi_pipeline.outputs.explorer.data import explorer_data
from taxi_pipeline.outputs.explorer.page import page_of
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import read_zones
from taxi_pipeline.warehouse.tables import ZONE_HOURLY_DROPOFFS, ZONE_HOURLY_TRIPS, ZONES
from taxi_pipeline_tests.browsers import NoBrowserError, opened_browser
from taxi_pipeline_tests.conftest import EVERYTHING, Pipeline, pipeline_in

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
    """What is inside the page."""
    html = (loaded.folder / PAGE).read_text()
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(found)


@pytest.mark.parametrize(("direction", "end"), [("pickups", "pickup"), ("dropoffs", "dropoff")])
def test_trips_by_zone_and_week_and_by_zone_and_hour(
    loaded: Pipeline, data: dict[str, Any], direction: str, end: str
) -> None:
    assert data["weeks"] == ["2023-01-08", "2023-01-15", "2023-01-22"]
    for fleet in FLEETS:
        weekly: dict[str, list[int]] = {}
        for zone_id, day, trips in loaded.rows(
            f"SELECT {end}_zone_id, CAST(pickup_datetime AS DATE) AS day, count(*) FROM trips WHERE fleet = ? "
            "GROUP BY ALL",
            [fleet],
        ):
            weekly.setdefault(str(zone_id), [0] * 3)[(day - date(2023, 1, 8)).days // 7] += trips
        assert data["weekly"][direction][fleet] == weekly
        hourly: dict[str, list[int]] = {}
        for zone_id, hour, trips in loaded.rows(
            f"SELECT {end}_zone_id, hour({end}_datetime), count(*) FROM trips WHERE fleet = ? GROUP BY ALL", [fleet]
        ):
            hourly.setdefault(str(zone_id), [0] * 24)[hour] = trips
        assert data["hourly"][direction][fleet] == hourly


def test_every_zone_is_there_and_outlines_are_small(data: dict[str, Any]) -> None:
    assert [zone["id"] for zone in data["zones"]] == list(range(1, 266))
    assert [zone["id"] for zone in data["zones"] if not zone["outline"]] == [264, 265]
    assert len(json.dumps(data["zones"])) < 300_000


def test_weeks_without_trips_are_zeros(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = pipeline_in(Path(shutil.copytree(loaded.folder, tmp_path / "data")), loaded.folder, FLEETS)
    for table in ("zone_hourly_trips", "zone_hourly_dropoffs", "loaded_days"):
        pipeline.execute(f"DELETE FROM {table} WHERE pickup_date BETWEEN '2023-01-15' AND '2023-01-21'")
    with pipeline.warehouse.read() as session:
        found = explorer_data(session, FLEETS)
    assert found["weeks"] == ["2023-01-08", "2023-01-15", "2023-01-22"]
    assert {counts[1] for counts in found["weekly"]["pickups"]["yellow"].values()} == {0}


def test_an_empty_warehouse_has_a_page(tmp_path: Path, mirror: Path) -> None:
    pipeline = pipeline_in(tmp_path / "data", mirror)
    pipeline.execute("DELETE FROM loaded_days")
    pipeline.run("2023-01-05", select=[zone_explorer])
    assert '"weeks":[]' in (pipeline.folder / PAGE).read_text()


def test_it_is_one_file_that_names_no_other(loaded: Pipeline) -> None:
    html = (loaded.folder / PAGE).read_text()
    own = html.replace((Path(page_of.__code__.co_filename).parent / "vega.min.js").read_text(), "")
    assert not re.findall(r'(?:src|href)="(?!data:,)', own)
    assert "url(" not in own
    assert "fetch(" not in own


@pytest.mark.slow
@pytest.mark.real_data
def test_three_years_of_all_fleets_in_real_zones_take_less_than_five_megabytes(
    tmp_path: Path, mirror: Path, real_tlc: Path
) -> None:
    """As many numbers as there can be: each zone has trips in each week, thousands of them."""
    pipeline = pipeline_in(tmp_path / "data", mirror, ("yellow", "green", "fhv", "fhvhv"))
    zones = read_zones(real_tlc / "misc" / "taxi_zones.zip")
    first = date(2020, 1, 5)
    with pipeline.warehouse.write() as session:
        session.execute("DELETE FROM zones")
        session.insert(ZONES, [(zone.zone_id, zone.zone, zone.borough, zone.geometry) for zone in zones])
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
            "INSERT INTO loaded_days SELECT 'yellow', day, 1, 0, 'x', 1, FALSE FROM (VALUES (?), (?)) AS days(day)",
            [first, last],
        )
        page = page_of(explorer_data(session, pipeline.tlc.fleets))
    assert page.count("2022-12-25") == 1
    assert len(page.encode()) < 5_000_000


# In a browser


@pytest.fixture(scope="module")
def browser(loaded: Pipeline) -> "Iterator[Browser]":
    """A real browser, opened when Dagster is done: both want the thread's event loop for themselves."""
    try:
        with opened_browser() as opened:
            yield opened
    except NoBrowserError as error:
        pytest.skip(f"no browser: {error}")


@pytest.fixture
def page(browser: "Browser", loaded: Pipeline) -> "Iterator[Page]":
    """The opened page; afterwards nothing stood in the console and nothing was asked for."""
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(10_000)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
    page.goto((loaded.folder / PAGE).as_uri())
    yield page
    assert troubles == []
    page.close()


def zone_named(page: "Page", name: str) -> Any:
    return page.locator(f'#map path[aria-label^="{name}"]')


def fills(page: "Page") -> dict[str, str]:
    """Zone as it is described → its colour."""
    read = "paths => paths.map(path => [path.getAttribute('aria-label'), path.getAttribute('fill')])"
    return dict(page.locator("#map path[aria-label]").evaluate_all(read))


def trips_of(data: dict[str, Any], zone_id: int, direction: str = "pickups", *fleets: str) -> list[int]:
    """Per week."""
    rows = [data["weekly"][direction][fleet].get(str(zone_id), [0] * 3) for fleet in fleets or FLEETS]
    return [sum(week) for week in zip(*rows, strict=True)]


JFK = 132


@pytest.mark.slow
def test_pointing_at_a_zone_shows_its_name_and_numbers(page: "Page", data: dict[str, Any]) -> None:
    jfk = zone_named(page, "JFK Airport")
    jfk.hover()
    words = page.locator("#tooltip").inner_text()
    assert words.startswith("JFK Airport, Queens")
    assert f"{sum(trips_of(data, JFK)):,} pickups" in words
    page.mouse.move(5, 5)
    assert page.locator("#tooltip").is_hidden()


@pytest.mark.slow
def test_a_click_shows_the_zones_weeks_and_hours_and_another_lets_it_go(page: "Page", data: dict[str, Any]) -> None:
    everywhere = page.locator("#weeks path[aria-label]").first.get_attribute("aria-label")
    zone_named(page, "JFK Airport").click()
    assert page.locator("#chosen").inner_text() == "JFK Airport, Queens"
    weeks = [path.get_attribute("aria-label") for path in page.locator("#weeks path[aria-label^=Week]").all()]
    assert weeks == [
        f"Week of {week}: {trips:,} pickups" for week, trips in zip(data["weeks"], trips_of(data, JFK), strict=True)
    ]
    hours = [path.get_attribute("aria-label") for path in page.locator('#hours path[aria-label*=":00 to"]').all()]
    expected = [
        sum(data["hourly"]["pickups"][fleet].get(str(JFK), [0] * 24)[hour] for fleet in FLEETS) for hour in range(24)
    ]
    assert [str(words).split(": ")[1] for words in hours] == [f"{trips:,} pickups" for trips in expected]
    zone_named(page, "JFK Airport").click()
    assert page.locator("#chosen").inner_text() == "All of New York"
    assert page.locator("#weeks path[aria-label]").first.get_attribute("aria-label") == everywhere


@pytest.mark.slow
def test_the_weeks_sliders_change_the_map_from_the_keyboard(page: "Page", data: dict[str, Any]) -> None:
    before = fills(page)
    page.get_by_label("First week").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#from-week").inner_text() == "2023-01-15"
    assert f"{sum(trips_of(data, JFK)[1:]):,} pickups" in str(
        zone_named(page, "JFK Airport").get_attribute("aria-label")
    )
    page.keyboard.press("End")
    assert page.locator("#to-week").inner_text() == "2023-01-22"
    assert f"{trips_of(data, JFK)[2]:,} pickups" in str(zone_named(page, "JFK Airport").get_attribute("aria-label"))
    after = fills(page)
    assert after != before
    assert set(after.values()) != set(before.values())
    page.get_by_label("Last week").focus()
    page.keyboard.press("Home")
    assert page.locator("#from-week").inner_text() == "2023-01-08", "the first week gives way"
    page.get_by_role("button", name="All weeks, no zone").press("Enter")
    assert fills(page) == before


@pytest.mark.slow
def test_pickups_or_dropoffs_and_one_fleet_or_all(page: "Page", data: dict[str, Any]) -> None:
    jfk = zone_named(page, "JFK Airport")
    page.get_by_label("drop-offs").check()
    assert f"{sum(trips_of(data, JFK, 'dropoffs')):,} drop-offs" in str(jfk.get_attribute("aria-label"))
    page.get_by_label("Fleet").select_option("green")
    assert sum(trips_of(data, JFK, "dropoffs", "green")) != sum(trips_of(data, JFK, "dropoffs"))
    total = sum(map(sum, data["weekly"]["dropoffs"]["green"].values()))
    assert page.locator("#chosen-numbers").inner_text() == f"{total:,} drop-offs"


@pytest.mark.slow
def test_a_zone_is_found_by_name_without_a_mouse(page: "Page", data: dict[str, Any]) -> None:
    page.get_by_label("Find a zone").focus()
    page.keyboard.type("jfk")
    page.keyboard.press("Enter")
    assert page.locator("#chosen").inner_text() == "JFK Airport, Queens"
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
def test_a_borough_fills_the_map(page: "Page") -> None:
    before = zone_named(page, "JFK Airport").bounding_box()
    page.get_by_label("Show").select_option("Queens")
    after = zone_named(page, "JFK Airport").bounding_box()
    assert before
    assert after
    assert after["width"] > 1.2 * before["width"]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1300, "dark")])
def test_it_fits_a_phone_and_a_dark_room(browser: "Browser", loaded: Pipeline, width: int, scheme: Any) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto((loaded.folder / PAGE).as_uri())
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
    page.goto((tmp_path / "page.html").as_uri())
    page.get_by_label("Find a zone").fill(name)
    page.keyboard.press("Enter")
    assert page.locator("#chosen").inner_text() == f"{name}, Queens"
    assert page.locator("img").count() == 0
    page.close()
