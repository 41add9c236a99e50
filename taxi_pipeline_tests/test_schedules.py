"""The schedules: what an observation finds, and what a tick launches because of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.defs import schedules
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.partitions import daily_partitions, days_from
from taxi_pipeline.defs.schedules import CHUNK_TAG
from taxi_pipeline.tlc.fleets import YELLOW
from taxi_pipeline.tlc.http_transfer import Patience
from taxi_pipeline.tlc.months import month_of, new_york_today
from taxi_pipeline.tlc.publication_delay import SHORTEST_DELAY, SURE_DELAY
from taxi_pipeline_tests.faulty_server import Answer, FaultyServer
from taxi_pipeline_tests.pipelines import Pipeline, error_of, range_tags, settings_of
from taxi_pipeline_tests.processes import held_by_another_process

MakePipeline = Callable[..., Pipeline]
ALWAYS = {
    "daily_observation",
    "daily_refresh",
    "monthly_zones",
    "weekly_indicators",
    "daily_freshness",
    "monthly_history",
}
LOADING = ["taxi_zones_file", "taxi_zones", "taxi_trips_file", "taxi_trips"]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """One on disk: schedules open theirs by a reference to it."""
    with dg.instance_for_test() as temporary:
        yield temporary


def observe(pipeline: Pipeline, instance: dg.DagsterInstance, *, fails: bool = False) -> dg.ExecuteInProcessResult:
    """The run of the job `tlc_observation`."""
    definitions = build_definitions(settings=settings_of(), resources=pipeline.resources)
    result = definitions.resolve_job_def("tlc_observation").execute_in_process(
        instance=instance, run_config=QUIET, raise_on_error=False
    )
    assert result.success is not fails, error_of(result)
    return result


def only_tick(
    pipeline: Pipeline, instance: dg.DagsterInstance, schedule: str = "daily_refresh"
) -> tuple[list[dg.RunRequest], str | None]:
    """One tick, as the daemon makes it: the runs that it requests, or why there are none."""
    definitions = build_definitions(settings=settings_of(), resources=pipeline.resources)
    with dg.build_schedule_context(
        instance=instance, repository_def=definitions.get_repository_def(), resources=pipeline.resources
    ) as context:
        data = definitions.resolve_schedule_def(schedule).evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message


def tick(
    pipeline: Pipeline, instance: dg.DagsterInstance, schedule: str = "daily_refresh"
) -> tuple[list[dg.RunRequest], str | None]:
    """An observation, and the tick after it."""
    observe(pipeline, instance)
    return only_tick(pipeline, instance, schedule)


def days_of_requests(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    """First and last day of each requested run."""
    start, end = range_tags("2023-01-01", "2023-01-01")
    return [(request.tags[start], request.tags[end]) for request in requests]


def test_an_empty_warehouse_gets_the_newest_month(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    (request,), _ = tick(make_pipeline(mirror), instance)
    assert days_of_requests([request]) == [("2023-02-01", "2023-02-28")]
    assert request.run_key == request.tags[CHUNK_TAG]
    assert str(request.run_key).startswith("2023-02 ")


def test_a_loaded_month_is_skipped_and_the_next_one_is_run(
    make_pipeline: MakePipeline, own_mirror: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = make_pipeline(own_mirror)
    february = own_mirror / "trip-data" / YELLOW.file_name(date(2023, 2, 1))
    kept = february.rename(own_mirror / "kept")
    pipeline.load("2023-01-01", "2023-01-31")
    requests, message = tick(pipeline, instance)
    assert requests == []
    assert "2023-01 is the newest published month" in str(message)
    kept.rename(february)
    requests, _ = tick(pipeline, instance)
    assert days_of_requests(requests) == [("2023-02-01", "2023-02-28")]


def test_a_month_published_again_is_run_until_it_is_loaded(
    make_pipeline: MakePipeline, own_mirror: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = make_pipeline(own_mirror)
    pipeline.load("2023-01-01", "2023-02-28")
    assert tick(pipeline, instance)[0] == []
    january = own_mirror / "trip-data" / YELLOW.file_name(date(2023, 1, 1))
    january.write_bytes(january.read_bytes())  # the same trips, published another time
    first, second = tick(pipeline, instance)[0], tick(pipeline, instance)[0]
    assert days_of_requests(first) == [("2023-01-01", "2023-01-31")]
    assert [r.run_key for r in first] == [r.run_key for r in second], "two ticks launch one run"
    pipeline.load("2023-01-01", "2023-01-31")
    assert tick(pipeline, instance)[0] == []


def test_a_month_is_not_launched_while_it_runs_or_waits(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    """Run keys hold for the ticks of one time only; the next morning's has to look itself."""
    pipeline = make_pipeline(mirror)
    (request,), _ = tick(pipeline, instance)
    run = instance.create_run_for_job(
        build_definitions(settings=settings_of()).resolve_job_def("daily_trips"),
        tags=dict(request.tags),
        status=dg.DagsterRunStatus.STARTED,
    )
    requests, message = tick(pipeline, instance)
    assert requests == []
    assert "loaded or being loaded" in str(message)
    instance.report_run_failed(run)
    assert tick(pipeline, instance)[0], "a failed one is tried again"


def test_a_day_that_was_tried_is_completed_to_its_month(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = make_pipeline(mirror)
    pipeline.run("2023-02-07", select=["taxi_trips_file", "taxi_trips"])
    assert days_of_requests(tick(pipeline, instance)[0]) == [("2023-02-01", "2023-02-28")]


def test_a_fleet_that_is_late_keeps_no_other_waiting(
    make_pipeline: MakePipeline, own_mirror: Path, instance: dg.DagsterInstance
) -> None:
    """Regression: a month counted as published when all fleets were, so that one that stopped would stop them all."""
    pipeline = make_pipeline(own_mirror, fleets=("yellow", "green"))
    late = own_mirror / "trip-data" / "green_tripdata_2023-02.parquet"
    kept = late.rename(own_mirror / "kept.parquet")
    february = [("2023-02-01", "2023-02-28")]
    requests, _ = tick(pipeline, instance)
    assert days_of_requests(requests) == february
    assert str(requests[0].run_key).endswith("-none")
    result = pipeline.run("2023-02-01", "2023-02-28", fails=True)
    assert "green: green trips of 2023-02 are not published" in error_of(result)
    assert pipeline.rows("SELECT fleet, count(*) FROM loaded_days GROUP BY ALL") == [("yellow", 28)]
    requests, message = tick(pipeline, instance)
    assert (requests, "Nothing new" in str(message)) == ([], True), "what is not there is not asked for every morning"
    kept.rename(late)
    assert days_of_requests(tick(pipeline, instance)[0]) == february
    pipeline.load("2023-02-01", "2023-02-28")
    assert tick(pipeline, instance)[0] == []


def test_a_fleet_that_is_configured_later_is_loaded(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    make_pipeline(mirror).run("2023-02-01", "2023-02-28")
    both = make_pipeline(mirror, fleets=("yellow", "green"))
    assert days_of_requests(tick(both, instance)[0]) == [("2023-02-01", "2023-02-28")]


def test_a_server_without_months_of_these_fleets_is_named(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    requests, message = tick(make_pipeline(mirror, fleets=("fhv",)), instance)
    assert (requests, "no month of the configured fleets" in str(message)) == ([], True)


def test_one_run_per_day_carries_its_partition_key(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    """Regression: schedules over partitioned jobs that launch runs without a partition key."""
    requests, _ = tick(make_pipeline(mirror), instance, "daily_trips_by_partition")
    assert [request.partition_key for request in requests] == [f"2023-02-{day:02}" for day in range(1, 29)]
    assert len({request.run_key for request in requests}) == 28


def impatient_pipeline(make_pipeline: MakePipeline, url: str) -> Pipeline:
    pipeline = make_pipeline(url)
    patience = Patience(first_pause_seconds=0.01, refusal_pauses_seconds=(0.01,))
    pipeline.tlc = replace(pipeline.tlc, patience=patience)
    return pipeline


def test_over_http_an_observation_sends_head_requests_and_downloads_nothing(
    make_pipeline: MakePipeline, server: FaultyServer, instance: dg.DagsterInstance
) -> None:
    newest = month_of(new_york_today() - timedelta(days=70))
    server.answers[f"/trip-data/{YELLOW.file_name(newest)}"] = [Answer(body=b"x", headers={"ETag": '"1"'})]
    (request,), _ = tick(impatient_pipeline(make_pipeline, server.url), instance)
    ((first, _),) = days_of_requests([request])
    assert first == str(newest)
    assert {request.method for request in server.requests} == {"HEAD"}


def test_a_server_that_fails_makes_the_observation_fail_with_its_message(
    make_pipeline: MakePipeline, server: FaultyServer, instance: dg.DagsterInstance
) -> None:
    """Regression: the tick of the schedule failed, and Dagster cut its message off after 60 s."""
    month = new_york_today().replace(day=1)
    server.answers[f"/trip-data/{YELLOW.file_name(month)}"] = [Answer(500)]
    pipeline = impatient_pipeline(make_pipeline, server.url)
    assert "could not be fetched in 5 attempts" in error_of(observe(pipeline, instance, fails=True))
    assert "was never observed" in str(only_tick(pipeline, instance)[1])


def test_a_tick_asks_no_server_and_opens_no_warehouse(
    make_pipeline: MakePipeline, mirror: Path, server: FaultyServer, instance: dg.DagsterInstance
) -> None:
    """Regression: a tick has 60 s, and waited for minutes for a server that throttles, and a minute for the file."""
    observe(make_pipeline(mirror), instance)
    pipeline = make_pipeline(server.url)  # with the patience of a real run: 390 s for a 403
    database = pipeline.folder / "staging" / "data.duckdb"
    database.parent.mkdir(parents=True)
    with held_by_another_process(database, read_only=False):
        requests, _ = only_tick(pipeline, instance)
    assert days_of_requests(requests) == [("2023-02-01", "2023-02-28")]
    assert server.requests == []


def test_what_was_loaded_since_the_observation_is_not_launched_again(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = make_pipeline(mirror)
    (request,), _ = tick(pipeline, instance)
    instance.create_run_for_job(
        build_definitions(settings=settings_of()).resolve_job_def("daily_trips"),
        tags=dict(request.tags),
        status=dg.DagsterRunStatus.SUCCESS,
    )
    requests, message = only_tick(pipeline, instance)
    assert (requests, "Nothing new" in str(message)) == ([], True)


def test_an_old_observation_launches_nothing(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An observation of yesterday must not stand in for this morning's that failed."""
    pipeline = make_pipeline(mirror)
    observe(pipeline, instance)
    monkeypatch.setattr(schedules, "MAX_AGE_OF_OBSERVATION", timedelta(seconds=-1))
    requests, message = only_tick(pipeline, instance)
    assert requests == []
    assert "see why the latest run of tlc_observation failed" in str(message)


def test_an_observation_does_not_wait_for_a_run_that_writes(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = make_pipeline(mirror)
    pipeline.run("2023-02-01", "2023-02-28", select=LOADING)
    with held_by_another_process(pipeline.folder / "staging" / "data.duckdb", read_only=False):
        requests, message = tick(pipeline, instance)
    assert (requests, "Nothing new" in str(message)) == ([], True)


@pytest.mark.parametrize(("automation", "running"), [("off", set()), ("on", ALWAYS)])
def test_automation_switches_all_on_but_the_one_that_would_do_the_work_twice(
    automation: str, running: set[str]
) -> None:
    definitions = build_definitions(settings=settings_of({"TAXI_AUTOMATION": automation}))
    schedules = {schedule.name: schedule for schedule in definitions.get_repository_def().schedule_defs}
    assert set(schedules) == {*ALWAYS, "daily_trips_by_partition"}
    assert {
        name for name, schedule in schedules.items() if schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    } == running
    assert all(schedule.description for schedule in schedules.values())
    assert all(sensor.description for sensor in definitions.get_repository_def().sensor_defs)
    assert {schedule.execution_timezone for schedule in schedules.values()} == {"America/New_York"}
    assert schedules["daily_refresh"].cron_schedule == "0 6 * * *"


def test_partitions_end_where_the_tlc_can_have_published() -> None:
    """Thirty days before today, whatever today is: over a leap day, a change of clocks, the end of a year."""
    assert SHORTEST_DELAY < SURE_DELAY
    for today in (date(2024, 3, 30), date(2024, 3, 31), date(2023, 12, 6), date(2024, 1, 30), date(2024, 11, 3)):
        with dg.partition_loading_context(effective_dt=datetime(today.year, today.month, today.day, 12, tzinfo=UTC)):
            last = days_from(date(2023, 1, 1)).get_last_partition_key()
        assert last == str(today - timedelta(days=30)), today
    assert daily_partitions.get_last_partition_key() == str(new_york_today() - SHORTEST_DELAY)
