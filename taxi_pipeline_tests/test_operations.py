"""What docs/operations.md says, on the running system: stop and go on, add a fleet, change the days."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days, month_of, new_york_today, previous_month
from taxi_pipeline_tests.browsers import browser_or_skip
from taxi_pipeline_tests.faulty_server import Answer, FaultyServer, faulty_server
from taxi_pipeline_tests.pipelines import IN_A_RUN_OF_DAYS, pipeline_in
from taxi_pipeline_tests.running_dagster import (
    RUNS,
    ask,
    cancel_backfill,
    cancel_run,
    dagster_dev,
    end_of_backfill,
    instance_of,
    launch_backfill,
    reexecute_failed,
    status_of_run,
    wait_for,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

NEWEST = month_of(new_york_today() - timedelta(days=65))
MONTHS = [previous_month(NEWEST), NEWEST]
DAYS = [str(day) for month in MONTHS for day in Days.of_month(month)]
TICKS = """
query Ticks($sensor: SensorSelector!) {
  sensorOrError(sensorSelector: $sensor) {
    ... on Sensor { sensorState { ticks(limit: 20) { status timestamp error { message } } } }
  }
}
"""
BACKFILLS = """
{ partitionBackfillsOrError { ... on PartitionBackfills { results { id assetSelection { path } } } } }
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultyServer]:
    """The TLC's server with two months of two fleets."""
    folder = tmp_path / "mirror"
    for fleet in ("yellow", "green"):
        write_mirror(folder, Days(MONTHS[0], Days.of_month(NEWEST).last), fleet=fleet, trips_per_day=60)
    with faulty_server() as running:
        running.folder = folder
        yield running


@pytest.fixture
def system(environment: dict[str, str], server: FaultyServer) -> dict[str, str]:
    return {
        **environment,
        "TLC_URL": server.url,
        "TAXI_START_DATE": str(MONTHS[0]),
        "TAXI_END_DATE": DAYS[-1],
        "TAXI_MARTS": "off",
        "TAXI_NOTEBOOKS": "off",
        "TAXI_AUTOMATION": "on",
        "TAXI_ALERT_WEBHOOK_URL": f"{server.url}/hook",
        "NO_PROXY": "127.0.0.1",
    }


def path_of(fleet: str, month: date) -> str:
    return f"/trip-data/{fleet}_tripdata_{month:%Y-%m}.parquet"


def loaded(folder: Path) -> dict[str, list[str]]:
    """Fleet → its loaded days."""
    with pipeline_in(folder / "data", "").warehouse.read_without_waiting() as session:
        rows = session.rows("SELECT fleet, pickup_date FROM loaded_days ORDER BY ALL")
    return {fleet: [str(day) for name, day in rows if name == fleet] for fleet, _ in rows}


def runs_of(url: str, backfill: str) -> list[dict[str, Any]]:
    tags = [{"key": "dagster/backfill", "value": backfill}]
    return ask(url, RUNS, filter={"tags": tags})["runsOrError"]["results"]


def hang(server: FaultyServer, fleet: str, month: date) -> None:
    """From now on the download of a month takes for ever."""
    assert server.folder
    path = path_of(fleet, month)
    body = (server.folder / path.lstrip("/")).read_bytes()
    server.answers[path] = [Answer(body=body, trickle=(100, 0.5))]


def started_and_hanging(url: str, server: FaultyServer, days: list[str]) -> tuple[str, str]:
    """A backfill whose first run hangs in its download, and that run."""
    path = path_of("yellow", MONTHS[0])
    hang(server, "yellow", MONTHS[0])
    asked = len(server.asked(path))
    backfill = launch_backfill(url, [*IN_A_RUN_OF_DAYS], days)
    wait_for("the download", lambda: len(server.asked(path)) > asked)
    (run,) = [run["runId"] for run in runs_of(url, backfill) if run["status"] == "STARTED"]
    return backfill, run


def test_what_is_stopped_goes_on_and_settings_change(
    system: dict[str, str], home: Path, tmp_path: Path, server: FaultyServer
) -> None:
    """One test, because each start of the system and each look of its daemon takes its time."""
    log = tmp_path / "dagster-dev.log"
    with dagster_dev(system, log) as url:
        a_cancelled_backfill_goes_on(url, server, tmp_path)
        assert server.posted == [], "what somebody cancelled sends no message"
        backfill, _ = started_and_hanging(url, server, DAYS)
    with dagster_dev({**system, "TAXI_START_DATE": str(NEWEST)}, log) as url:
        a_backfill_of_days_that_are_gone_fails_and_automation_goes_on(url, backfill)
    server.answers.clear()
    with dagster_dev({**system, "TAXI_FLEETS": "yellow,green"}, log) as url:
        a_fleet_that_is_added_is_loaded(url, server, home, tmp_path)


def a_cancelled_backfill_goes_on(url: str, server: FaultyServer, folder: Path) -> None:
    """A run of it is cancelled, then all of it; what was not loaded is loaded by `Re-execute from failure`."""
    backfill, run = started_and_hanging(url, server, DAYS)
    cancel_run(url, run)
    wait_for("the run to end", lambda: status_of_run(url, run) == "CANCELED")
    cancel_backfill(url, backfill)
    assert end_of_backfill(url, backfill) == "CANCELED"
    assert {run["status"] for run in runs_of(url, backfill)} <= {"CANCELED", "SUCCESS"}
    del server.answers[path_of("yellow", MONTHS[0])]
    assert end_of_backfill(url, reexecute_failed(url, backfill)) == "COMPLETED_SUCCESS"
    assert loaded(folder) == {"yellow": DAYS}


def a_fleet_that_is_added_is_loaded(url: str, server: FaultyServer, home: Path, folder: Path) -> None:
    """In the browser, by one backfill of what `loaded_months` lacks, which asks for nothing that is loaded."""
    keys = {fleet: [f"{fleet}|{month}" for month in MONTHS] for fleet in ("yellow", "green")}
    with instance_of(home) as instance:

        def recorded() -> list[str]:
            return sorted(instance.get_materialized_partitions(dg.AssetKey("loaded_months")))

        wait_for("the manifests", lambda: recorded() == keys["yellow"])
        asked = len(server.asked(path_of("yellow", NEWEST)))
        with browser_or_skip() as browser:
            materialize_missing_months(browser.new_page(viewport={"width": 1400, "height": 900}), url)
        backfills = ask(url, BACKFILLS)["partitionBackfillsOrError"]["results"]
        (backfill,) = [each["id"] for each in backfills if each["assetSelection"] == [{"path": ["loaded_months"]}]]
        assert end_of_backfill(url, backfill) == "COMPLETED_SUCCESS"
        assert recorded() == keys["green"] + keys["yellow"]
    assert len(runs_of(url, backfill)) == 1
    assert len(server.asked(path_of("yellow", NEWEST))) == asked
    assert loaded(folder) == {"green": DAYS, "yellow": DAYS}


def materialize_missing_months(page: "Page", url: str) -> None:
    """Click what docs/operations.md says; the page shows what is missing before."""
    page.set_default_timeout(60_000)
    page.goto(f"{url}/assets/loaded_months?view=partitions")
    page.get_by_text("Missing (2)").wait_for()
    page.get_by_text("Materialized (2)").wait_for()
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    choose_all = dialog.get_by_role("button", name="All", exact=True)
    for number in range(2):  # fleets and months
        choose_all.nth(number).click()
    dialog.get_by_text("Backfill only failed and missing partitions within selection").click()
    dialog.get_by_text("Only 2 failed and missing partitions").wait_for()
    dialog.get_by_role("button", name="Launch backfill").click()
    dialog.wait_for(state="hidden")


def a_backfill_of_days_that_are_gone_fails_and_automation_goes_on(url: str, backfill: str) -> None:
    """While it lasts, a look of the automation can end with "Stored partitions definition … no longer present"."""
    assert end_of_backfill(url, backfill) == "FAILED"
    failed_at = max(tick["timestamp"] for tick in ticks(url))

    def later() -> list[dict[str, Any]]:
        return [tick for tick in ticks(url) if tick["timestamp"] > failed_at + 1]

    wait_for("a look of the automation", lambda: len(later()) >= 2)
    assert {tick["status"] for tick in later()[:-1]} <= {"SUCCESS", "SKIPPED", "STARTED"}


def ticks(url: str) -> list[dict[str, Any]]:
    """The looks of the automation."""
    sensor = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "taxi_pipeline.definitions",
        "sensorName": "automation",
    }
    return ask(url, TICKS, sensor=sensor)["sensorOrError"]["sensorState"]["ticks"]
