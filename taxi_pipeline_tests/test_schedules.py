"""The schedules' shells: what a tick asks the server, reads from the warehouse, and launches."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.code_location import build_definitions
from taxi_pipeline.partitions import daily_partitions, days_from
from taxi_pipeline.schedules import CHUNK_TAG
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.download import LONGEST_DELAY, SHORTEST_DELAY
from taxi_pipeline.tlc.fleets import YELLOW
from taxi_pipeline.tlc.months import month_of, new_york_today
from taxi_pipeline.tlc.transfer import NoAnswerError
from taxi_pipeline_tests.conftest import Pipeline, error_of, range_tags
from taxi_pipeline_tests.faulty_server import Answer, FaultyServer

MakePipeline = Callable[..., Pipeline]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """One on disk: schedules open theirs by a reference to it."""
    with dg.instance_for_test() as temporary:
        yield temporary


def tick(
    pipeline: Pipeline, instance: dg.DagsterInstance, schedule: str = "daily_refresh"
) -> tuple[list[dg.RunRequest], str | None]:
    """One tick, as the daemon makes it: the runs that it requests, or why there are none."""
    definitions = build_definitions(settings=Settings.from_environment({}), resources=pipeline.resources)
    with dg.build_schedule_context(
        instance=instance, repository_def=definitions.get_repository_def(), resources=pipeline.resources
    ) as context:
        data = definitions.resolve_schedule_def(schedule).evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message


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
    pipeline.run("2023-01-01", "2023-01-31")
    requests, message = tick(pipeline, instance)
    assert requests == []
    assert "2023-01 is the newest published month" in str(message)
    kept.rename(february)
    requests, _ = tick(pipeline, instance)
    assert days_of_requests(requests) == [("2023-02-01", "2023-02-28")]


def test_a_month_published_anew_is_run_again_until_it_is_loaded(
    make_pipeline: MakePipeline, own_mirror: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = make_pipeline(own_mirror)
    pipeline.run("2023-01-01", "2023-02-28")
    assert tick(pipeline, instance)[0] == []
    january = own_mirror / "trip-data" / YELLOW.file_name(date(2023, 1, 1))
    january.write_bytes(january.read_bytes())  # the same trips, published another time
    first, second = tick(pipeline, instance)[0], tick(pipeline, instance)[0]
    assert days_of_requests(first) == [("2023-01-01", "2023-01-31")]
    assert [r.run_key for r in first] == [r.run_key for r in second], "two ticks launch one run"
    pipeline.run("2023-01-01", "2023-01-31")
    assert tick(pipeline, instance)[0] == []


def test_a_month_is_not_launched_while_it_runs_or_waits(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    """Run keys hold for the ticks of one time only; the next morning's has to look itself."""
    pipeline = make_pipeline(mirror)
    (request,), _ = tick(pipeline, instance)
    run = instance.create_run_for_job(
        build_definitions(settings=Settings.from_environment({})).resolve_job_def("daily_trips"),
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
    pipeline.run("2023-02-01", "2023-02-28")
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


def patient_pipeline(make_pipeline: MakePipeline, url: str) -> Pipeline:
    pipeline = make_pipeline(url)
    pipeline.tlc = pipeline.tlc.model_copy(update={"first_pause_seconds": 0.01, "refusal_pauses_seconds": [0.01]})
    return pipeline


def test_over_http_heads_are_asked_for_and_nothing_is_downloaded(
    make_pipeline: MakePipeline, server: FaultyServer, instance: dg.DagsterInstance
) -> None:
    newest = month_of(new_york_today() - timedelta(days=70))
    server.answers[f"/trip-data/{YELLOW.file_name(newest)}"] = [Answer(body=b"x", headers={"ETag": '"1"'})]
    (request,), _ = tick(patient_pipeline(make_pipeline, server.url), instance)
    ((first, _),) = days_of_requests([request])
    assert first == str(newest)
    assert {request.method for request in server.requests} == {"HEAD"}


def test_a_server_that_can_not_be_reached_fails_the_tick(
    make_pipeline: MakePipeline, server: FaultyServer, instance: dg.DagsterInstance
) -> None:
    month = new_york_today().replace(day=1)
    server.answers[f"/trip-data/{YELLOW.file_name(month)}"] = [Answer(500)]
    with pytest.raises(dg.DagsterError) as error:
        tick(patient_pipeline(make_pipeline, server.url), instance)
    assert isinstance(error.value.__cause__, NoAnswerError)
    assert "could not be fetched in 5 attempts" in str(error.value.__cause__)


@pytest.mark.parametrize(
    ("automation", "running"), [("off", set()), ("on", {"daily_refresh", "monthly_zones", "daily_freshness"})]
)
def test_automation_switches_all_on_but_the_one_that_would_do_the_work_twice(
    automation: str, running: set[str]
) -> None:
    definitions = build_definitions(settings=Settings.from_environment({"TAXI_AUTOMATION": automation}))
    schedules = {schedule.name: schedule for schedule in definitions.get_repository_def().schedule_defs}
    assert set(schedules) == {"daily_refresh", "daily_trips_by_partition", "monthly_zones", "daily_freshness"}
    assert {
        name for name, schedule in schedules.items() if schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    } == running
    assert all(schedule.description for schedule in schedules.values())
    assert all(sensor.description for sensor in definitions.get_repository_def().sensor_defs)
    assert {schedule.execution_timezone for schedule in schedules.values()} == {"America/New_York"}
    assert schedules["daily_refresh"].cron_schedule == "0 6 * * *"


def test_partitions_end_where_the_tlc_can_have_published() -> None:
    """Thirty days before today, whatever today is: over a leap day, a change of clocks, the end of a year."""
    assert SHORTEST_DELAY < LONGEST_DELAY
    for today in (date(2024, 3, 30), date(2024, 3, 31), date(2023, 12, 6), date(2024, 1, 30), date(2024, 11, 3)):
        with dg.partition_loading_context(effective_dt=datetime(today.year, today.month, today.day, 12, tzinfo=UTC)):
            last = days_from(date(2023, 1, 1)).get_last_partition_key()
        assert last == str(today - timedelta(days=30)), today
    assert daily_partitions.get_last_partition_key() == str(new_york_today() - SHORTEST_DELAY)
