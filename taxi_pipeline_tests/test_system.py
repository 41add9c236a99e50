"""The running system: `dagster dev` with its daemon, driven through GraphQL as the UI drives it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days, month_of, new_york_today, previous_month
from taxi_pipeline_tests.faulty_server import Answer, FaultyServer, faulty_server
from taxi_pipeline_tests.pipelines import EVERYTHING, IN_A_RUN_OF_DAYS, Pipeline, leftovers_in, pipeline_in, tables_of
from taxi_pipeline_tests.running_dagster import (
    RUNS,
    ask,
    dagster_dev,
    end_of_backfill,
    instance_of,
    launch_backfill,
    launch_run,
    reexecute_failed,
    status_of_run,
    wait_for,
)

pytestmark = pytest.mark.slow


class Server:
    """A running `dagster dev`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        return ask(self.url, query, **variables)

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """Runs that have all these tags (`schedule_name` for `dagster/schedule_name`), the newest first."""
        wanted = [{"key": f"dagster/{key}", "value": value} for key, value in tags.items()]
        return self.ask(RUNS, filter={"tags": wanted})["runsOrError"]["results"]

    def statuses(self, **tags: str) -> set[str]:
        return {run["status"] for run in self.runs(**tags)}

    def backfill(self, days: list[str]) -> str:
        """Launch a backfill of the whole graph and of weeks."""
        return launch_backfill(self.url, [*IN_A_RUN_OF_DAYS, "week_summary"], days)

    def reexecute_failed(self, backfill: str) -> str:
        return reexecute_failed(self.url, backfill)

    def end_of_backfill(self, backfill: str) -> str:
        return end_of_backfill(self.url, backfill)

    def launch(self, first: str, last: str) -> str:
        """A run over a range of days of the job."""
        return launch_run(self.url, first, last)

    def status_of_run(self, run: str) -> str:
        return status_of_run(self.url, run)


DRY_RUN = """
mutation DryRun($selector: ScheduleSelector!, $now: Float!) {
  scheduleDryRun(selectorData: $selector, timestamp: $now) {
    __typename
    ... on DryRunInstigationTick { evaluationResult { skipReason runRequests { runKey } error { message } } }
    ... on PythonError { message }
  }
}
"""


@pytest.fixture(scope="module")
def months() -> list[date]:
    """Three months that the TLC may have published by now, the oldest first."""
    newest = month_of(new_york_today() - timedelta(days=65))
    return [previous_month(previous_month(newest)), previous_month(newest), newest]


@pytest.fixture(scope="module")
def server(months: list[date], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    """The TLC's server with these months."""
    folder = tmp_path_factory.mktemp("mirror")
    write_mirror(folder, Days(months[0], Days.of_month(months[2]).last), trips_per_day=80)
    with faulty_server() as running:
        running.folder = folder
        yield running


@pytest.fixture
def system(home: Path, tmp_path: Path, server: FaultyServer, months: list[date]) -> dict[str, str]:
    """The environment of a system that runs by itself."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TLC_URL": server.url,
        "TAXI_START_DATE": str(months[0]),
        "TAXI_AUTOMATION": "on",
        "TAXI_ALERT_WEBHOOK_URL": f"{server.url}/hook",
        "NO_PROXY": "127.0.0.1",
    }


def path_of(month: date) -> str:
    return f"/trip-data/yellow_tripdata_{month:%Y-%m}.parquet"


def days_of(month: date) -> list[str]:
    return [str(day) for day in Days.of_month(month)]


def loaded_days(pipeline: Pipeline) -> list[str]:
    with pipeline.warehouse.read_without_waiting() as session:
        return [str(day) for (day,) in session.rows("SELECT pickup_date FROM loaded_days ORDER BY ALL")]


def switch_on_yesterday(schedule: str, cron: str, home: Path) -> None:
    """Say that the schedule was switched on a day ago: the daemon then makes up for the tick of this morning."""
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.scheduler.instigation import (
        InstigatorState,
        InstigatorStatus,
        InstigatorType,
        ScheduleInstigatorData,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(module_name="taxi_pipeline.definitions"), location_name="taxi_pipeline.definitions"
    )
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), schedule)
    data = ScheduleInstigatorData(cron, start_timestamp=time.time() - 86_400)
    with instance_of(home) as instance:
        instance.add_instigator_state(InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data))


def observe(system: dict[str, str], folder: Path) -> None:
    """Run the job of the schedule `daily_observation` with Dagster's own command."""
    command = [Path(sys.executable).with_name("dagster"), "job", "execute", "-m", "taxi_pipeline.definitions"]
    result = subprocess.run(
        [*command, "-j", "tlc_observation"], env=system, cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@dataclass
class Scene:
    """The system under test, and what it works on."""

    folder: Path
    home: Path
    server: FaultyServer
    months: list[date]

    @property
    def pipeline(self) -> Pipeline:
        return pipeline_in(self.folder / "data", self.server.url)

    @property
    def undisturbed(self) -> Pipeline:
        """The same months, loaded without any of this."""
        return pipeline_in(self.folder / "undisturbed", self.server.url)

    @property
    def all_days(self) -> list[str]:
        return [day for month in self.months for day in days_of(month)]

    def assert_as_undisturbed(self) -> None:
        assert tables_of(self.pipeline) == tables_of(self.undisturbed)
        assert self.pipeline.bytes_of_outputs() == self.undisturbed.bytes_of_outputs()


def test_it_runs_by_itself_and_survives_what_happens_to_it(
    system: dict[str, str], home: Path, tmp_path: Path, server: FaultyServer, months: list[date]
) -> None:
    """A morning's tick, a request, a backfill with a failing chunk, a restart in its middle, and a killed run.

    One test, because each start of the system and each look of its daemon takes its time.
    """
    scene = Scene(tmp_path, home, server, months)
    scene.undisturbed.run(scene.all_days[0], scene.all_days[-1], select=EVERYTHING)
    (tmp_path / "data" / "requests").mkdir(parents=True)
    switch_on_yesterday("daily_refresh", "0 6 * * *", home)
    log = tmp_path / "dagster-dev.log"
    observe(system, tmp_path)
    with dagster_dev(system, log) as url:
        ui = Server(url)
        the_morning_loads_the_newest_month(ui, scene)
        drop_requests(scene)
        backfill = a_chunk_fails_and_takes_no_other_along(ui, scene)
        requests_are_answered(ui, scene)
        backfill = ui.reexecute_failed(backfill)
        wait_for("a run of it", lambda: ui.runs(backfill=backfill))
    with dagster_dev(system, log) as url:
        ui = Server(url)
        the_backfill_is_completed(ui, scene, backfill)
        requests_are_answered(ui, scene)
        a_killed_run_is_noticed_and_leaves_nothing(ui, scene)
        weeks_are_summed_up(scene)


def the_morning_loads_the_newest_month(ui: Server, scene: Scene) -> None:
    newest = scene.months[2]
    wait_for("the schedule's run", lambda: ui.statuses(schedule_name="daily_refresh") == {"SUCCESS"})
    assert loaded_days(scene.pipeline) == days_of(newest), "an empty warehouse gets the newest month"
    dry_run = ui.ask(DRY_RUN, selector=selector("scheduleName", "daily_refresh"), now=time.time())["scheduleDryRun"]
    assert dry_run["__typename"] == "DryRunInstigationTick", dry_run
    tick = dry_run["evaluationResult"]
    assert tick["runRequests"] == []
    assert f"{newest:%Y-%m} is the newest published month" in tick["skipReason"]


def drop_requests(scene: Scene) -> None:
    newest = days_of(scene.months[2])
    request = {"borough": "Manhattan", "start_date": newest[0], "end_date": newest[-1]}
    (scene.folder / "data" / "requests" / "good.one.json").write_text(json.dumps(request))
    (scene.folder / "data" / "requests" / "bad.json").write_text("{")


def requests_are_answered(ui: Server, scene: Scene) -> None:
    """Each once, also after a restart."""
    wait_for("the chart", (scene.folder / "data" / "outputs" / "requests" / "good.one.png").is_file)
    assert "Invalid JSON" in (scene.folder / "data" / "requests" / "bad.json.error.txt").read_text()
    assert len(ui.runs(sensor_name="trip_request_sensor")) == 1


def a_chunk_fails_and_takes_no_other_along(ui: Server, scene: Scene) -> str:
    """The first month's file is a page that says no."""
    first, second, third = scene.months
    scene.server.answers[path_of(first)] = [Answer(body=b"<html>403 ERROR</html>")]
    backfill = ui.backfill(scene.all_days)
    assert ui.end_of_backfill(backfill) == "COMPLETED_FAILED"
    assert ui.statuses(backfill=backfill) == {"SUCCESS", "FAILURE"}
    assert set(days_of(second)[1:] + days_of(third)) <= set(loaded_days(scene.pipeline))
    assert not set(days_of(first)) & set(loaded_days(scene.pipeline))
    del scene.server.answers[path_of(first)]
    wait_for("the alert", lambda: scene.server.posted)
    message = json.loads(scene.server.posted[0])
    assert (message["step"], message["partitions"]) == (
        "taxi_trips_file",
        f"{days_of(first)[0]} to {scene.all_days[30]}",
    )
    assert "HTML" in message["error"]
    return backfill


def the_backfill_is_completed(ui: Server, scene: Scene, backfill: str) -> None:
    """Everything was stopped while it ran; should that have cost it a run, what failed is run again."""
    if ui.end_of_backfill(backfill) != "COMPLETED_SUCCESS":
        again = ui.reexecute_failed(backfill)
        assert ui.end_of_backfill(again) == "COMPLETED_SUCCESS"
    assert loaded_days(scene.pipeline) == scene.all_days
    scene.assert_as_undisturbed()
    with instance_of(scene.home) as instance:
        assert sorted(instance.get_materialized_partitions(dg.AssetKey("zone_hourly_trips"))) == scene.all_days


def a_killed_run_is_noticed_and_leaves_nothing(ui: Server, scene: Scene) -> None:
    """It hangs in a download when it is killed."""
    newest, path = days_of(scene.months[2]), path_of(scene.months[2])
    assert scene.server.folder
    body = (scene.server.folder / path.lstrip("/")).read_bytes()
    scene.server.answers[path] = [Answer(body=body, headers={"ETag": '"new"'}, trickle=(2000, 0.5))]
    asked = len(scene.server.asked(path))
    run = ui.launch(newest[0], newest[-1])
    wait_for("the download", lambda: len(scene.server.asked(path)) > asked)
    os.kill(process_of(scene.home, run), signal.SIGKILL)
    killed = time.monotonic()
    wait_for("the killed run to be noticed", lambda: ui.status_of_run(run) == "FAILURE")
    assert time.monotonic() - killed < 60
    del scene.server.answers[path]
    after = ui.launch(newest[0], newest[-1])
    wait_for("the run after it", lambda: ui.status_of_run(after) in ("SUCCESS", "FAILURE"))
    assert ui.status_of_run(after) == "SUCCESS"
    scene.assert_as_undisturbed()
    assert leftovers_in(scene.folder / "data") == []


def weeks_are_summed_up(scene: Scene) -> None:
    """The backfill or the automation sums up each complete week."""
    last_start = scene.all_days[-7]
    weeks = [day for day in scene.all_days if date.fromisoformat(day).isoweekday() == 7 and day <= last_start]
    folder = scene.folder / "data" / "outputs" / "week_summary"

    def complete() -> list[str]:
        found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
        return sorted(week for week, summary in found.items() if not summary["missing_days"])

    wait_for("the weeks", lambda: complete() == weeks)
    counts = scene.undisturbed.rows(
        "SELECT CAST(pickup_date - CAST(EXTRACT(DOW FROM pickup_date) AS INTEGER) AS VARCHAR) AS week, count(*) "
        "FROM trips GROUP BY week"
    )
    expected = {week: count for week, count in counts if week in weeks}
    found = {week: json.loads((folder / f"{week}.json").read_text())["totals"]["num_trips"] for week in weeks}
    assert found == expected


def selector(kind: str, name: str) -> dict[str, str]:
    return {"repositoryName": "__repository__", "repositoryLocationName": "taxi_pipeline.definitions", kind: name}


def process_of(home: Path, run: str) -> int:
    """The process id of a run's worker, as its log tells it."""
    with instance_of(home) as instance:

        def pid() -> str | None:
            text = "\n".join(entry.user_message for entry in instance.all_logs(run))
            return next(iter(re.findall(r"\(pid: (\d+)\)", text)), None)

        return int(wait_for("the run's process", pid))
