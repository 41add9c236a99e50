"""Requests dropped into a folder, and telling of failed runs."""

import errno
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_pipeline.defs.assets.requests import chart_file, title_of
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.jobs import trip_requests
from taxi_pipeline.defs.resources.alerts import MAX_ERROR, Alerts
from taxi_pipeline.defs.sensors import run_failure_alert
from taxi_pipeline.outputs.requests.chart import chart_data
from taxi_pipeline.outputs.requests.request_files import (
    MAX_BYTES,
    MAX_NAME_BYTES,
    BadRequestError,
    TripRequest,
    decide,
    parse_request,
    read_requests,
    write_errors,
)
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline_tests.faulty_server import faulty_server, raw_server
from taxi_pipeline_tests.pipelines import Pipeline, error_of, materializations_of, pipeline_in, settings_of

MakePipeline = Callable[..., Pipeline]

GOOD: dict[str, Any] = {"borough": "Manhattan", "start_date": "2023-02-05", "end_date": "2023-02-11"}


def as_bytes(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


# What a request may say


def test_a_request_is_understood() -> None:
    request = parse_request(as_bytes(zone_ids=[41, 42], fleet="green"))
    assert (request.borough, str(request.end_date), request.zone_ids) == ("Manhattan", "2023-02-11", (41, 42))
    assert title_of(request) == "Green taxi pickups in Manhattan, 2023-02-05 to 2023-02-11\nzones 41, 42"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "the file: Invalid JSON"),
        (b'{"borough": "Manhattan"', "the file: Invalid JSON"),
        (b"[]", "the file: .*object"),
        (b"\xff\xfe", "the file: Invalid JSON"),
        (b"{}", "borough: Field required; start_date: Field required; end_date: Field required"),
        (as_bytes(borough="Manhatten"), "borough: it must be one of Manhattan, .*not 'Manhatten'"),
        (as_bytes(borough="x'; DROP TABLE trips; --"), "borough: "),
        (as_bytes(start_date=1675555200), "start_date: .*not 1675555200"),
        (as_bytes(start_date="2023-02-30"), "start_date: .*not '2023-02-30'"),
        (as_bytes(end_date="2023-02-04"), "end_date 2023-02-04 is before start_date 2023-02-05"),
        (as_bytes(zone_ids=[0]), "zone_ids.0: .*not 0"),
        (as_bytes(zone_ids="41"), "zone_ids: "),
        (as_bytes(zone_ids=[41, 132]), "zone_ids must lie in the borough Manhattan, but 132 is in Queens"),
        (as_bytes(zone_ids=[264, 265]), "but 264 is in Unknown, 265 is in N/A"),
        (as_bytes(zone_ids=[]), "zone_ids is empty: leave it out for the whole borough"),
        (
            as_bytes(fleet="fhvhv", start_date="2019-01-01", end_date="2019-01-31"),
            "end_date 2019-01-31 is before the first trips of fhvhv, 2019-02-01",
        ),
        (as_bytes(fleet="blue"), "fleet: .*not 'blue'"),
        (as_bytes(filename="../../x"), "filename: Extra inputs are not permitted"),
    ],
)
def test_errors_in_a_request_are_named_by_field(content: bytes, named: str) -> None:
    """Regression: a request could name its own output file, and a borough with a quote dropped a table."""
    with pytest.raises(BadRequestError, match=named) as error:
        parse_request(content)
    assert "data/requests/README.md" in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_editors_of_windows_write_is_read(encoding: str) -> None:
    """Regression: a mark before the first brace was "Invalid JSON"."""
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    assert parse_request(mark + as_bytes().decode().encode(encoding)) == parse_request(as_bytes())


@pytest.mark.parametrize(
    ("content", "more"),
    [
        (as_bytes(zone_ids=[9999] * 10_000), "and 9,995 more"),
        (as_bytes(zone_ids=list(range(132, 265))), "more"),
        (json.dumps({**GOOD, **{f"key {n}": n for n in range(4000)}}).encode(), "and 3,995 more"),
        (json.dumps({**GOOD, "k" * 60_000: 1}).encode(), "kkk: Extra inputs"),
        (as_bytes(borough="x" * 60_000), "must be one of"),
    ],
)
def test_the_text_of_an_error_is_short_whatever_the_file_holds(content: bytes, more: str) -> None:
    """Regression: 2.5 MB of bad zone ids made 35 MB of text, in the log, in a file and in each tick."""
    with pytest.raises(BadRequestError, match=more) as error:
        parse_request(content)
    assert len(str(error.value)) < 2_000


# Which files are new


def names_of(files: Mapping[str, bytes], cursor: str | None) -> tuple[list[str], str]:
    decision = decide(files, cursor)
    return [new.name for new in decision.requests], decision.cursor


def test_an_untouched_file_runs_once_and_an_edited_one_again() -> None:
    files = {"a.json": as_bytes(), "b.json": as_bytes(fleet="green")}
    new, cursor = names_of(files, None)
    assert new == ["a", "b"]
    assert names_of(files, cursor)[0] == []
    new, cursor = names_of({**files, "a.json": as_bytes(fleet="yellow")}, cursor)
    assert new == ["a"]
    keys = {decide({"a.json": as_bytes(fleet=fleet)}, cursor).requests[0].run_key for fleet in ("green",)}
    edited_back = decide(files, cursor).requests
    assert [request.name for request in edited_back] == ["a"], "edited back is edited"
    first = decide(files, None).requests[0]
    assert edited_back[0].run_key not in {first.run_key, *keys}


def test_a_lost_cursor_launches_nothing_twice() -> None:
    """Dagster launches a run key once: the same files have the same ones."""
    files = {"a.json": as_bytes()}
    assert decide(files, None).requests[0].run_key == decide(files, "rubbish").requests[0].run_key
    assert decide(files, '{"a.json": 3}').requests[0].run_key == decide(files, "[]").requests[0].run_key


def test_a_bad_file_keeps_no_other_waiting() -> None:
    """Regression: one malformed file killed the whole tick."""
    decision = decide({"a.json": b"{", "b.json": as_bytes()}, None)
    assert [new.name for new in decision.requests] == ["b"]
    assert "Invalid JSON" in decision.errors["a.json"]
    mended = decide({"a.json": as_bytes(), "b.json": as_bytes()}, decision.cursor)
    assert [new.name for new in mended.requests] == ["a"]
    assert mended.errors == {}


def test_names_do_not_collide_and_renames_are_new_names() -> None:
    """Regression: `jan.2023.json` and `jan.2024.json` overwrote each other's chart."""
    files = {"jan.2023.json": as_bytes(), "jan.2024.json": as_bytes()}
    new, cursor = names_of(files, None)
    assert new == ["jan.2023", "jan.2024"]
    assert len({request.run_key for request in decide(files, None).requests}) == 2
    assert names_of({"feb.json": as_bytes(), "jan.2024.json": as_bytes()}, cursor)[0] == ["feb"]


@pytest.mark.parametrize("name", ["../x", "a/b", "..\\x", ".hidden"])
def test_a_chart_can_not_leave_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a file"):
        chart_file(name)


# The sensor's shell


def tick(pipeline: Pipeline, cursor: str | None = None) -> Any:
    definitions = build_definitions(settings=settings_of(), resources=pipeline.resources)
    sensor = definitions.resolve_sensor_def("trip_request_sensor")
    with (
        dg.instance_for_test() as instance,
        dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            repository_def=definitions.get_repository_def(),
            resources=pipeline.resources,
        ) as context,
    ):
        return sensor.evaluate_tick(context)


def test_the_folder_is_read_and_bad_files_get_a_text_beside_them(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    folder = pipeline.folder / "requests"
    assert tick(pipeline).skip_message == "No new request", "the folder need not exist"
    folder.mkdir(parents=True)
    (folder / "good.json").write_bytes(as_bytes())
    (folder / "bad.json").write_text("{")
    (folder / ".hidden.json").write_bytes(as_bytes())
    (folder / "notes.txt").write_text("no request")
    (folder / "folder.json").mkdir()
    data = tick(pipeline)
    ((request,),) = [data.run_requests]
    assert request.run_config["ops"]["trip_request"]["config"]["name"] == "good"
    assert "Invalid JSON" in (folder / "bad.json.error.txt").read_text()
    (folder / "bad.json").write_bytes(as_bytes())
    again = tick(pipeline, data.cursor)
    assert [r.run_config["ops"]["trip_request"]["config"]["name"] for r in again.run_requests] == ["bad"]
    assert not (folder / "bad.json.error.txt").exists(), "the text goes when the file is mended"
    os.utime(folder / "good.json", (0, 0))  # a clock that was wrong changes nothing
    assert tick(pipeline, again.cursor).skip_message == "No new request"


def test_a_name_with_a_backslash_is_refused_with_a_text(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Regression: it stands for a folder elsewhere, and one such file ended each tick, so that no request was drawn."""
    pipeline = make_pipeline(mirror)
    folder = pipeline.folder / "requests"
    folder.mkdir(parents=True)
    (folder / "a\\..\\win.json").write_bytes(as_bytes())
    (folder / "good.json").write_bytes(as_bytes())
    data = tick(pipeline)
    assert [r.run_config["ops"]["trip_request"]["config"]["name"] for r in data.run_requests] == ["good"]
    (text,) = folder.glob("a_.._win.*.json.error.txt")
    assert "name holds a backslash" in text.read_text()
    (folder / "a\\..\\win.json").rename(folder / "win.json")
    again = tick(pipeline, data.cursor)
    assert [r.run_config["ops"]["trip_request"]["config"]["name"] for r in again.run_requests] == ["win"]
    assert not text.exists()


def test_a_file_that_is_too_large_is_not_read(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Regression: 300 MB took longer than the tick's 60 s, so nobody's request was drawn any more."""
    pipeline = make_pipeline(mirror)
    folder = pipeline.folder / "requests"
    folder.mkdir(parents=True)
    (folder / "at-the-limit.json").write_bytes(as_bytes().ljust(MAX_BYTES))
    (folder / "beyond.json").write_bytes(as_bytes().ljust(MAX_BYTES + 1))
    with (folder / "a-huge.json").open("wb") as file:
        file.truncate(300_000_000_000)  # as no memory could hold
    data = tick(pipeline)
    assert [r.run_config["ops"]["trip_request"]["config"]["name"] for r in data.run_requests] == ["at-the-limit"]
    for name in ("beyond", "a-huge"):
        assert "a request has at most 65,536" in (folder / f"{name}.json.error.txt").read_text()
    assert tick(pipeline, data.cursor).skip_message == "No new request; refused: 2, each with the reason beside it"


def test_many_bad_files_get_their_texts_over_several_ticks(tmp_path: Path) -> None:
    """Regression: 4,000 bad files took most of a tick, so that its cursor came near to being lost."""
    files = LocalFolder(tmp_path)
    decision = decide({f"{number}.json": b"{" for number in range(150)}, None)
    for expected in (100, 150, 150):
        write_errors(files, decision.errors)
        assert len(files.list("requests/*.error.txt")) == expected
    write_errors(files, {})
    assert files.list("requests/*.error.txt") == []


def test_names_that_can_not_be_shown_keep_no_other_file_waiting(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Regression: a long name kept later files from their texts, one that is not UTF-8 ended the tick."""
    pipeline = make_pipeline(mirror)
    folder = pipeline.folder / "requests"
    folder.mkdir(parents=True)
    for name in ("good.json", f"{'n' * 240}.json", f"{'m' * (MAX_NAME_BYTES - 5)}.json", "ü" * 120 + ".json"):
        (folder / name).write_bytes(as_bytes())
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.json")).write_bytes(as_bytes())
    (folder / "z-last.json").write_text("{")
    data = tick(pipeline)
    drawn = [r.run_config["ops"]["trip_request"]["config"]["name"] for r in data.run_requests]
    assert drawn == ["good", "m" * (MAX_NAME_BYTES - 5)]
    texts = {path.name: path.read_text() for path in folder.glob("*.error.txt")}
    assert len(texts) == 4
    assert "Invalid JSON" in texts["z-last.json.error.txt"]
    assert sum("rename the file" in text for text in texts.values()) == 3
    again = tick(pipeline, data.cursor)
    assert again.skip_message == "No new request; refused: 4, each with the reason beside it"
    assert {path.name for path in folder.glob("*.error.txt")} == set(texts)


def test_a_link_to_what_blocks_is_not_read(tmp_path: Path) -> None:
    """Regression: reading the kernel's messages waits for the next one; the tick never ended."""
    files = LocalFolder(tmp_path)
    files.write("requests/b.json", as_bytes())
    (tmp_path / "requests" / "a.json").symlink_to("/proc/kmsg")
    decision = decide(read_requests(files), None)
    assert [new.name for new in decision.requests] == ["b"]
    assert "a.json" in decision.errors


def test_a_file_that_can_not_be_read_keeps_no_other_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = LocalFolder(tmp_path)
    files.write("requests/a.json", as_bytes())
    files.write("requests/b.json", as_bytes())
    read = files.read

    def refusing(name: str) -> bytes:
        if name == "requests/a.json":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(name)

    monkeypatch.setattr(files, "read", refusing)
    decision = decide(read_requests(files), None)
    assert [new.name for new in decision.requests] == ["b"]
    assert decision.errors == {"a.json": "it can't be read: Permission denied"}


# The chart


@pytest.fixture(scope="module")
def loaded_once(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    pipeline = pipeline_in(tmp_path_factory.mktemp("loaded"), mirror, ("yellow", "green"))
    pipeline.load("2023-02-05", "2023-02-11")
    return pipeline


def draw(pipeline: Pipeline, name: str, **changes: Any) -> dg.ExecuteInProcessResult:
    config = {"name": name, "request": as_bytes(**changes).decode()}
    with dg.DagsterInstance.ephemeral() as instance:
        return trip_requests.execute_in_process(
            resources=dict(pipeline.resources),
            run_config={**QUIET, "ops": {"trip_request": {"config": config}}},
            instance=instance,
        )


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({}, "borough = 'Manhattan'"),
        ({"borough": "Queens", "fleet": "green"}, "borough = 'Queens' AND fleet = 'green'"),
        ({"zone_ids": [161, 237, 74]}, "borough = 'Manhattan' AND zone_id IN (161, 237, 74)"),
        ({"end_date": "2023-02-06"}, "borough = 'Manhattan' AND pickup_date <= '2023-02-06'"),
        ({"start_date": "2022-01-01", "end_date": "2022-01-31"}, "FALSE"),
    ],
)
def test_the_chart_counts_the_requested_trips(loaded_once: Pipeline, changes: dict[str, Any], condition: str) -> None:
    result = draw(loaded_once, "x.y", **changes)
    metadata = materializations_of(result, "trip_request")[0].metadata
    ((expected,),) = loaded_once.rows(
        f"SELECT count(*) FROM trips JOIN zones ON zone_id = pickup_zone_id WHERE {condition}"
    )
    assert metadata["trips"].value == expected
    assert (expected > 0) is (condition != "FALSE")
    assert metadata["synthetic"].value is True
    path = loaded_once.folder / "outputs" / "requests" / "x.y.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    before = path.read_bytes()
    draw(loaded_once, "x.y", **changes)
    assert path.read_bytes() == before, "the same bytes for the same request"


def test_without_a_configuration_every_request_is_drawn(loaded_once: Pipeline) -> None:
    folder = loaded_once.folder / "requests"
    folder.mkdir()
    (folder / "one.json").write_bytes(as_bytes())
    (folder / "bad.json").write_text("{")
    with dg.DagsterInstance.ephemeral() as instance:
        result = trip_requests.execute_in_process(
            resources=dict(loaded_once.resources), run_config=QUIET, instance=instance
        )
    (made,) = materializations_of(result, "trip_request")
    ((trips,),) = loaded_once.rows(
        "SELECT count(*) FROM trips JOIN zones ON zone_id = pickup_zone_id WHERE borough = 'Manhattan'"
    )
    assert made.metadata["trips"].value == trips
    assert (loaded_once.folder / "outputs" / "requests" / "one.png").is_file()
    shutil.rmtree(folder)
    with dg.DagsterInstance.ephemeral() as instance:
        nothing = trip_requests.execute_in_process(
            resources=dict(loaded_once.resources), run_config=QUIET, instance=instance, raise_on_error=False
        )
    assert not materializations_of(nothing, "trip_request"), "no success without a chart"
    assert "put a JSON file into requests/" in error_of(nothing)


def test_materialize_all_leaves_the_requests_out() -> None:
    """Regression: a backfill of everything made `trip_request` green with two empty tables."""
    definitions = build_definitions(settings=settings_of())
    graph = definitions.resolve_asset_graph()
    assert "trip_request" in {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert "trip_request" not in {key.to_user_string() for key in graph.materializable_asset_keys}


@pytest.mark.parametrize(
    ("changes", "words", "trips"),
    [
        ({}, "All of these days are loaded", True),
        ({"start_date": "2023-02-05", "end_date": "2023-02-05"}, "The day is loaded", True),
        (
            {"start_date": "2022-05-01", "end_date": "2023-02-28"},
            "Only 7 of 304 days are loaded (2023-02-05 to 2023-02-11)",
            True,
        ),
        ({"start_date": "2022-05-01", "end_date": "2022-05-31"}, "None of these days is loaded", False),
    ],
)
def test_a_chart_says_which_of_its_days_are_loaded(
    loaded_once: Pipeline, changes: dict[str, Any], words: str, trips: bool
) -> None:
    """Regression: a chart over ten months of which one was loaded was drawn as if all were."""
    (made,) = materializations_of(draw(loaded_once, "days", **changes), "trip_request")
    request = TripRequest.model_validate_json(as_bytes(**changes))
    data = loaded_once.warehouse.query(chart_data, request)
    assert (data.coverage, bool(data.num_trips)) == (words, trips)
    assert made.metadata["loaded_days"].value == data.num_loaded_days
    assert made.metadata["requested_days"].value == data.num_days


def test_weekdays_are_in_calendar_order_and_hours_are_those_of_the_pickups(loaded_once: Pipeline) -> None:
    """Regression: weekdays sorted alphabetically."""
    from taxi_pipeline.outputs.requests.chart import pickups
    from taxi_pipeline.outputs.style import WEEKDAYS

    assert [name for name, _ in WEEKDAYS][:2] == ["Sunday", "Monday"]
    with loaded_once.warehouse.read() as session:
        counts = pickups(session, TripRequest.model_validate(GOOD))
        expected = session.rows(
            "SELECT dayname(pickup_date), CAST(hour(pickup_datetime) AS INTEGER), count(*) FROM trips "
            "JOIN zones ON zone_id = pickup_zone_id WHERE borough = 'Manhattan' GROUP BY ALL"
        )
    assert {(WEEKDAYS[day][0], hour): n for (day, hour), n in counts.items()} == {(d, h): n for d, h, n in expected}


# Telling of failed runs


def fail_and_alert(pipeline: Pipeline, alerts: Alerts, *, cancelled: bool = False) -> None:
    """A run that fails because its month is not published, and the sensor's look at it."""
    with dg.instance_for_test() as instance:
        definitions = build_definitions(settings=settings_of(), resources=pipeline.resources)
        job = definitions.resolve_job_def("daily_trips")
        result = job.execute_in_process(
            instance=instance, partition_key="2023-04-05", run_config=QUIET, raise_on_error=False
        )
        assert not result.success
        if cancelled:
            instance.report_run_canceling(result.dagster_run)
        (event,) = [e for e in result.all_events if e.event_type == dg.DagsterEventType.RUN_FAILURE]
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure_alert",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=event,
        ).for_run_failure()
        run_failure_alert(context, alerts)


def test_a_failed_run_sends_a_message(make_pipeline: MakePipeline, mirror: Path) -> None:
    with faulty_server() as server:
        fail_and_alert(make_pipeline(mirror), Alerts(webhook_url=f"{server.url}/hook"))
    (message,) = [json.loads(body) for body in server.posted]
    assert message["job"] == "daily_trips"
    assert message["partitions"] == "2023-04-05"
    assert message["step"] == "taxi_trips_file"
    assert "yellow trips of 2023-04 are not published" in message["error"]
    assert "\n" not in message["error"]
    assert message["link"].startswith("http://127.0.0.1:3000/runs/")
    assert all(part in message["text"] for part in ("daily_trips", "2023-04-05", "taxi_trips_file", message["link"]))


def test_a_run_that_somebody_cancelled_sends_no_message(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Regression: a step that is interrupted in a query fails with an error, and so does its run."""
    with faulty_server() as server:
        fail_and_alert(make_pipeline(mirror), Alerts(webhook_url=f"{server.url}/hook"), cancelled=True)
    assert server.posted == []


def test_a_webhook_that_can_not_be_reached_breaks_nothing(make_pipeline: MakePipeline, mirror: Path) -> None:
    fail_and_alert(make_pipeline(mirror), Alerts(webhook_url="http://127.0.0.1:9/hook"))
    problem = str(Alerts(webhook_url="http://127.0.0.1:9/a-secret").post({"text": "x"}))
    assert "could not be sent to TAXI_ALERT_WEBHOOK_URL: ConnectionError" in problem
    assert "a-secret" not in problem
    assert Alerts().post({"text": "x"}) == [], "without a webhook nobody is told"


def _drip(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"H")
        time.sleep(0.1)


def _answer_without_end(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000000\r\n\r\n" + b"x" * 1000)
    time.sleep(0.5)


def _refuse(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def _redirect(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (_drip, "no answer within 1 s"),
        (_answer_without_end, None),
        (_refuse, "the server answers 404"),
        (_redirect, "the server answers 302"),
    ],
)
def test_whatever_a_webhook_answers_the_call_ends_and_names_no_address(
    answer: Callable[[socket.socket], None], problem: str | None
) -> None:
    """Regression: an answer of 3 GB was read to its end, and a byte each nine seconds blocked the sensors for ever."""
    with raw_server(answer) as url:
        told = Alerts(webhook_url=f"{url}/a-secret", limit_seconds=1).post({"text": "x"})
    about = "The message (A run failed) could not be sent to TAXI_ALERT_WEBHOOK_URL: "
    assert told == ([f"{about}{problem}"] if problem else [])


def test_text_from_outside_mentions_nobody_and_has_a_bound() -> None:
    error = "<!channel> <http://x.example|click> @here [x](y) & " + "x" * 100_000
    message = Alerts().message(job="daily_trips", partitions=None, step=None, error=error, run_id="1")
    text = str(message["text"])
    assert "&lt;!channel&gt; &lt;http://\u200bx.example|click&gt; @\u200bhere [x]\u200b(y) &amp; x" in text
    assert "<" not in text
    assert len(text) < 1_000
    assert len(str(message["error"])) == MAX_ERROR
