"""Dagster's retries of the steps that ask the TLC's server: how often it is asked, and nothing counts twice."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_pipeline.defs import partitions
from taxi_pipeline.defs.assets import (
    loaded_months,
    taxi_trips_file,
    taxi_zones,
    taxi_zones_file,
    tlc_report_file,
    trip_tables,
)
from taxi_pipeline.defs.assets.tlc_records import tlc_trip_records
from taxi_pipeline.defs.failures import failed_fleets, message_of
from taxi_pipeline.defs.jobs import tlc_observation
from taxi_pipeline.defs.retries import RETRIES
from taxi_pipeline.storage import StorageError
from taxi_pipeline.tlc.http_transfer import Patience
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.faulty_server import Answer, FaultyServer
from taxi_pipeline_tests.pipelines import Pipeline, error_of, materializations_of, range_tags

MakePipeline = Callable[..., Pipeline]
TRIPS, GREEN = "/trip-data/yellow_tripdata_2023-02.parquet", "/trip-data/green_tripdata_2023-02.parquet"
DOWN, MISSING, REFUSED = Answer(503, b"down"), Answer(404, b"not found"), Answer(403, b"forbidden")
PAGE = Answer(body=b"<html><title>Request Rejected</title></html>")
LATER = Answer(503, b"busy", headers={"Retry-After": "3600"})
ATTEMPTS_IN_A_REQUEST = 2
SHORT = Patience(
    connect_seconds=2,
    read_seconds=2,
    attempts=ATTEMPTS_IN_A_REQUEST,
    first_pause_seconds=0.01,
    refusal_pauses_seconds=(0.01,),
)


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policies of the assets, without their pauses."""
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda *_: 0)


@pytest.fixture
def served(make_pipeline: MakePipeline, mirror: Path, server: FaultyServer) -> Callable[..., Pipeline]:
    """Makes a pipeline over a server that has the mirror's files, but for what a test sets."""
    server.folder = mirror

    def make(*fleets: str) -> Pipeline:
        pipeline = make_pipeline(server.url, fleets=fleets or ("yellow",))
        pipeline.tlc = replace(pipeline.tlc, patience=SHORT)
        return pipeline

    return make


def run(pipeline: Pipeline, *assets: Any, day: str | None = None) -> dg.ExecuteInProcessResult:
    if day:
        assets = tuple(partitions.between(date(2023, 2, 1), date(2023, 2, 28), pipeline.tlc.fleets, assets))
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            assets,
            resources=pipeline.resources,
            instance=instance,
            raise_on_error=False,
            tags=range_tags(day, day) if day else {},
        )


def num_retries(result: dg.ExecuteInProcessResult) -> int:
    return len([event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_RESTARTED])


def message(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    return message_of(failed)


def test_a_server_that_comes_back_is_told_by_the_runs_page(
    served: Callable[..., Pipeline], server: FaultyServer
) -> None:
    whole = Answer(body=server_file(server, TRIPS))
    server.answers[TRIPS] = [*[DOWN] * ATTEMPTS_IN_A_REQUEST, whole]
    pipeline = served()
    result = run(pipeline, taxi_zones_file, taxi_trips_file, day="2023-02-07")
    assert result.success, error_of(result)
    assert num_retries(result) == 1
    assert len(materializations_of(result, "taxi_trips_file")) == 1
    assert len(server.asked(TRIPS)) == ATTEMPTS_IN_A_REQUEST + 1


def server_file(server: FaultyServer, path: str) -> bytes:
    assert server.folder
    return (server.folder / path.lstrip("/")).read_bytes()


@pytest.mark.parametrize(
    ("answer", "requests", "retries"),
    [
        (DOWN, ATTEMPTS_IN_A_REQUEST * 3, 2),
        (MISSING, 1, 0),
        (PAGE, 1, 0),
        (LATER, 1, 0),
        (REFUSED, 3, 0),  # one that may mean "not published", then two for a month that must exist
    ],
    ids=["down", "not found", "a web page", "asks to wait for an hour", "refused"],
)
def test_only_a_server_that_does_not_answer_is_asked_again(
    served: Callable[..., Pipeline], server: FaultyServer, answer: Answer, requests: int, retries: int
) -> None:
    """A request's own attempts and the step's retries multiply; what another attempt does not change has none."""
    server.answers[TRIPS] = [answer]
    result = run(served(), taxi_trips_file, day="2023-02-07")
    assert not result.success
    assert num_retries(result) == retries
    asked = len(server.asked(TRIPS))
    assert asked == requests if answer is not REFUSED else 1 <= asked <= requests
    assert "yellow_tripdata_2023-02.parquet" in message(result) or "yellow trips of 2023-02" in message(result)


@pytest.mark.parametrize(
    ("asset", "path"),
    [(taxi_zones_file, "/misc/taxi_zones.zip"), (tlc_report_file, "/misc/data_reports_monthly.csv")],
    ids=["zones", "report"],
)
@pytest.mark.parametrize(("answer", "retries"), [(DOWN, 2), (MISSING, 0), (PAGE, 0)], ids=["down", "missing", "page"])
def test_zones_and_report_are_retried_alike(
    served: Callable[..., Pipeline], server: FaultyServer, asset: Any, path: str, answer: Answer, retries: int
) -> None:
    server.answers[path] = [answer]
    result = run(served(), asset)
    assert not result.success
    assert num_retries(result) == retries
    assert len(server.asked(path)) == (ATTEMPTS_IN_A_REQUEST * 3 if retries else 1)


def test_a_full_disk_and_a_defect_of_ours_are_not_retried(
    served: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (StorageError("no space left"), ZeroDivisionError("a defect")):

        def fails(*_args: Any, error: Exception = error, **_kwargs: Any) -> None:
            raise error

        monkeypatch.setattr("taxi_pipeline.defs.assets.raw_files.fetch_month", fails)
        result = run(served(), taxi_trips_file, day="2023-02-07")
        assert (message(result), num_retries(result)) == (str(error), 0)
        assert type(error).__name__ in error_of(result), "the cause is in the log"


def test_of_two_fleets_the_one_that_answers_is_loaded_after_the_retries(
    served: Callable[..., Pipeline], server: FaultyServer
) -> None:
    """Until then the step ends at the fleet that does not answer; afterwards each day is there once."""
    server.answers[GREEN] = [DOWN]
    pipeline = served("green", "yellow")
    assert run(pipeline, taxi_zones_file).success
    result = run(pipeline, taxi_trips_file, trip_tables, day="2023-02-07")
    assert num_retries(result) == 2
    assert len(server.asked(GREEN)) == ATTEMPTS_IN_A_REQUEST * 3
    assert len(server.asked(TRIPS)) == 1
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "trip_tables", "the files of the others are fetched"
    assert list(failed_fleets(failed) or ()) == ["green"]
    assert len(materializations_of(result, "taxi_trips_file")) == 1
    assert pipeline.rows("SELECT fleet, count(*) FROM loaded_days GROUP BY fleet") == [("yellow", 1)]
    trips = pipeline.rows("SELECT count(*) FROM trips")
    assert trips == pipeline.rows("SELECT CAST(sum(num_trips) AS BIGINT) FROM loaded_days")


def test_files_that_arrived_are_not_downloaded_again(served: Callable[..., Pipeline], server: FaultyServer) -> None:
    whole = Answer(body=server_file(server, TRIPS), headers={"ETag": '"1"'})
    server.answers[TRIPS] = [whole]
    server.answers[GREEN] = [*[DOWN] * ATTEMPTS_IN_A_REQUEST, Answer(body=server_file(server, GREEN))]
    result = run(served("yellow", "green"), taxi_trips_file, day="2023-02-07")
    assert result.success, error_of(result)
    assert num_retries(result) == 1
    assert [request.bytes_sent for request in server.asked(TRIPS)] == [len(whole.body), 0]


def test_a_step_that_fetches_and_loads_is_retried_before_it_loads(
    served: Callable[..., Pipeline], server: FaultyServer
) -> None:
    """Two months, the second of which comes at the second attempt: each day is loaded and recorded once."""
    january = "/trip-data/yellow_tripdata_2023-01.parquet"
    server.answers[TRIPS] = [*[DOWN] * ATTEMPTS_IN_A_REQUEST, Answer(body=server_file(server, TRIPS))]
    pipeline = served()
    assert run(pipeline, taxi_zones_file, taxi_zones).success
    made = partitions.between(date(2023, 1, 1), date(2023, 2, 28), pipeline.tlc.fleets, [loaded_months])
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            made,
            resources=pipeline.resources,
            instance=instance,
            raise_on_error=False,
            tags={
                "dagster/asset_partition_range_start": "yellow|2023-01-01",
                "dagster/asset_partition_range_end": "yellow|2023-02-01",
            },
        )
    assert result.success, error_of(result)
    assert num_retries(result) == 1
    assert server.asked(january)
    days = [made.partition for made in materializations_of(result, "taxi_trips")]
    assert sorted(filter(None, days)) == [str(day) for day in Days(date(2023, 1, 1), date(2023, 2, 28))]
    assert pipeline.rows("SELECT version FROM warehouse_version") == [(3,)], "the zones, and a load of each month"
    evaluated = Counter(check.asset_check_key for check in result.get_asset_check_evaluations())
    assert set(evaluated.values()) == {2}, "each check once a month"


def test_an_observation_is_retried_by_its_job(served: Callable[..., Pipeline], server: FaultyServer) -> None:
    server.folder = None  # 404 to all but these
    server.answers = {f"/trip-data/yellow_tripdata_{year}-{month:02}.parquet": [DOWN]
                      for year in range(2020, 2040) for month in range(1, 13)}  # fmt: skip
    definitions = dg.Definitions(assets=[tlc_trip_records], jobs=[tlc_observation], resources=served().resources)
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def("tlc_observation")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert num_retries(result) == RETRIES.max_retries
    assert len(server.requests) == ATTEMPTS_IN_A_REQUEST * 3
