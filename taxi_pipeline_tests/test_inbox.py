"""The inbox: what is imported when, what is said of a refused file, and that no tick is ever stopped."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.defs.dagster_names import RANGE_END, RANGE_START
from taxi_pipeline.defs.inbox import INBOX_TAG, inbox_imports, inbox_load_sensor, inbox_sensor
from taxi_pipeline.defs.sensors import build_sensors
from taxi_pipeline.imports.inbox import MAX_AT_A_TIME, MAX_ATTEMPTS, Inbox, decide
from taxi_pipeline.opening import inbox_of
from taxi_pipeline.storage import LocalFolder, StorageError
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline_tests.csv_forms import FORMS
from taxi_pipeline_tests.pipelines import settings_of

MONTH = "raw/green_tripdata_2023-01.parquet"


class Ticks:
    """An inbox, a storage and an instance; ticks of the sensor, one after the other."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.inbox = Inbox(folder=folder / "inbox", scratch_dir=folder / ".scratch", first_day=date(2023, 1, 1))
        self.files = LocalFolder(folder)
        self.tlc = TlcSource(url="file:///nowhere", zones_url="file:///nowhere/z.zip", fleets=("green",))
        self.instance = instance
        self.cursor: str | None = None
        self.cursor_of_loads: str | None = None

    def tick(self) -> list[dg.RunRequest]:
        """What a tick of both sensors requests; the cursors are kept for the next one."""
        imports = list(self.result().run_requests or [])
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor_of_loads)
        found = inbox_load_sensor(context, inbox=self.inbox, tlc=self.tlc)
        assert isinstance(found, dg.SensorResult)
        self.cursor_of_loads = found.cursor
        return [*imports, *(found.run_requests or [])]

    def result(self) -> dg.SensorResult:
        """The result of a tick of the sensor that imports."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        found = inbox_sensor(context, inbox=self.inbox)
        assert isinstance(found, dg.SensorResult)
        self.cursor = found.cursor
        return found

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Do what a tick requests of the job of imports."""
        assert "ops" in request.run_config, "it is no load"
        return inbox_imports.execute_in_process(
            run_config=request.run_config,
            tags=request.tags,
            instance=self.instance,
            resources={"inbox": self.inbox, "files": self.files, "tlc": self.tlc},
            raise_on_error=False,
        )

    def put(self, name: str, content: bytes) -> Path:
        """Put a file into the inbox."""
        self.inbox.folder.mkdir(parents=True, exist_ok=True)
        path = self.inbox.folder / name
        path.write_bytes(content)
        return path

    def answer(self, name: str) -> str:
        """What stands beside a file."""
        return (self.inbox.folder / f"{name}.error.txt").read_text()


@pytest.fixture
def ticks(tmp_path: Path) -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(tmp_path / "data", instance)


@pytest.fixture(scope="module")
def csv(mirror: Path) -> bytes:
    return FORMS["NYC Open Data"].write(pq.read_table(mirror / "trip-data" / "green_tripdata_2023-01.parquet"))


def test_a_file_is_imported_and_its_month_is_loaded(ticks: Ticks, csv: bytes) -> None:
    """A tick that sees it, one that imports it, and one that loads its month; then there is nothing to do."""
    ticks.put("export.csv", csv)
    assert ticks.tick() == [], "it may still be written"
    (request,) = ticks.tick()
    assert ticks.run(request).success
    assert ticks.files.exists(MONTH)
    assert [path.name for path in ticks.inbox.folder.iterdir() if path.is_file()] == []
    assert (ticks.inbox.folder / "imported" / "export.csv").read_bytes() == csv
    receipt = json.loads((ticks.inbox.folder / "imported" / "export.csv.import.json").read_text())
    assert (receipt["fleet"], receipt["month"]) == ("green", "2023-01")
    assert receipt["stored_sha256"] == ticks.files.describe(MONTH).sha256
    (load,) = ticks.tick()
    assert (load.tags[RANGE_START], load.tags[RANGE_END]) == ("2023-01-01", "2023-01-31")
    assert load.run_key == f"import green 2023-01 {receipt['stored_sha256'][:12]}"
    found = ticks.result()
    assert not found.run_requests
    assert found.skip_reason
    assert found.skip_reason.skip_message == "No new file in the inbox"


def test_a_file_that_is_being_written_waits(ticks: Ticks, csv: bytes) -> None:
    path = ticks.put("export.csv", csv[:1000])
    assert ticks.tick() == []
    path.write_bytes(csv[:50_000])
    assert ticks.tick() == []
    os.utime(path, ns=(1, 1))
    assert ticks.tick() == [], "the same size, and written to"
    (request,) = ticks.tick()
    assert request.run_config["ops"]["import_file"]["config"] == {"name": "export.csv"}


def test_a_refused_file_stays_with_the_reason_beside_it(ticks: Ticks, csv: bytes) -> None:
    """It is tried once; an edited file is tried again, and the reason goes when the file does."""
    ticks.put("bad.csv", csv[:-40])
    ticks.put("empty.csv", b"")
    ticks.put("good.csv", csv)
    ticks.tick()
    requests = ticks.tick()
    assert [ticks.run(request).success for request in requests] == [True] * 3
    assert ticks.answer("bad.csv").startswith("bad.csv was not imported: a row has another number of values")
    assert ticks.answer("empty.csv") == "empty.csv was not imported: it is empty\n"
    assert [request.tags[RANGE_START] for request in ticks.tick()] == ["2023-01-01"]
    found = ticks.result()
    assert found.skip_reason
    assert found.skip_reason.skip_message == "refused: 2, each with the reason beside it"
    ticks.put("empty.csv", csv)
    assert ticks.tick() == []
    (again,) = ticks.tick()
    assert ticks.run(again).success
    assert "it was imported already, as good.csv" in ticks.answer("empty.csv")
    (ticks.inbox.folder / "empty.csv").unlink()
    ticks.tick()
    assert not (ticks.inbox.folder / "empty.csv.error.txt").exists()
    assert (ticks.inbox.folder / "bad.csv.error.txt").exists()


def test_a_file_whose_run_was_killed_is_tried_again_and_given_up(ticks: Ticks, csv: bytes) -> None:
    ticks.put("export.csv", csv)
    ticks.tick()
    keys = []
    for _ in range(MAX_ATTEMPTS):
        (request,) = ticks.tick()
        keys.append(request.run_key)
    assert len(set(keys)) == MAX_ATTEMPTS
    assert ticks.tick() == []
    assert "ended without an answer" in ticks.answer("export.csv")
    assert ticks.tick() == []


def test_a_file_that_is_being_imported_is_not_asked_for_again(ticks: Ticks, csv: bytes) -> None:
    ticks.put("export.csv", csv)
    ticks.tick()
    (request,) = ticks.tick()
    run = ticks.instance.create_run_for_job(
        inbox_imports, run_config=request.run_config, tags=request.tags, status=dg.DagsterRunStatus.STARTED
    )
    assert run.tags[INBOX_TAG] == request.run_key
    assert [ticks.tick(), ticks.tick()] == [[], []]
    ticks.instance.report_run_failed(run)
    assert len(ticks.tick()) == 1


def test_what_is_no_file_to_import_is_left_alone(ticks: Ticks) -> None:
    """Folders, hidden files, pipes, unfinished downloads, and the answers themselves."""
    for name in (".hidden.csv", "a.csv.part", "a.csv.crdownload", "b.error.txt"):
        ticks.put(name, b"x")
    (ticks.inbox.folder / "folder.csv").mkdir()
    os.mkfifo(ticks.inbox.folder / "pipe.csv")
    (ticks.inbox.folder / "nowhere.csv").symlink_to("gone")
    assert [ticks.tick(), ticks.tick(), ticks.tick()] == [[], [], []]


def test_no_name_stops_a_tick(ticks: Ticks, csv: bytes) -> None:
    """A name that can't be shown, or is too long for an answer, is refused with an answer of a name of its own."""
    ticks.put("a" * 240 + ".csv", csv)
    ticks.put("line\nbreak.csv", csv)
    ticks.inbox.folder.joinpath(os.fsdecode(b"latin\xe9.csv")).write_bytes(csv)
    ticks.put("'; DROP TABLE trips; -- ü.csv", csv)
    ticks.tick()
    (request,) = ticks.tick()
    assert ticks.run(request).success
    answers = sorted(path.name for path in ticks.inbox.folder.glob("*.error.txt"))
    assert [name.rsplit(".", 3)[0][:12] for name in answers] == ["a" * 12, "latin_.csv", "line_break.c"]
    assert len(ticks.tick()) == 1, "the load of the one that was imported"
    assert ticks.tick() == []
    assert sorted(path.name for path in ticks.inbox.folder.glob("*.error.txt")) == answers


def test_an_inbox_that_cannot_be_made_stops_no_tick(ticks: Ticks, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ticks.inbox = replace(ticks.inbox, folder=tmp_path / "file" / "inbox")
    ticks.cursor = "kept"
    found = ticks.result()
    assert "The inbox can't be read" in str(found.skip_reason)
    assert ticks.cursor == "kept"


@pytest.mark.parametrize("cursor", ["", "nonsense", "[]", "1", '{"a": 1}', '{"a": ["x", "y"]}'])
def test_a_cursor_of_another_form_begins_anew(ticks: Ticks, csv: bytes, cursor: str) -> None:
    ticks.put("export.csv", csv)
    ticks.cursor = ticks.cursor_of_loads = cursor
    assert ticks.tick() == []
    assert len(ticks.tick()) == 1


def test_a_receipt_that_is_none_loads_nothing(ticks: Ticks) -> None:
    folder = ticks.inbox.folder / "imported"
    folder.mkdir(parents=True)
    (folder / "a.csv.import.json").write_text("{}")
    assert ticks.tick() == []


def test_a_month_outside_of_the_partitions_is_imported_and_not_loaded(ticks: Ticks, csv: bytes) -> None:
    ticks.inbox = replace(ticks.inbox, first_day=date(2023, 2, 1))
    ticks.put("export.csv", csv)
    ticks.tick()
    (request,) = ticks.tick()
    ticks.run(request)
    assert ticks.files.exists(MONTH)
    assert ticks.tick() == []


def test_a_disk_that_is_full_fails_the_run_and_not_the_file(
    ticks: Ticks, csv: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no answer, so the next tick asks again."""

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    ticks.put("export.csv", csv)
    ticks.tick()
    (request,) = ticks.tick()
    with monkeypatch.context() as patched:
        patched.setattr("taxi_pipeline.imports.importing.store_imported", full)
        assert not ticks.run(request).success
    (again,) = ticks.tick()
    assert ticks.run(again).success


def test_many_files_are_asked_for_some_at_a_time() -> None:
    files = {f"{number:02}.csv": "1 1" for number in range(MAX_AT_A_TIME + 5)}
    cursor = decide(files, (), None, lambda _: True).cursor
    first = decide(files, (), cursor, lambda _: True)
    second = decide(files, (), first.cursor, lambda _: True)
    assert [len(first.imports), len(second.imports)] == [MAX_AT_A_TIME, 5]
    assert decide(files, (), second.cursor, lambda _: True).imports == []


def test_an_idle_tick_asks_nothing_of_the_history(ticks: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the history was asked")

    ticks.put("bad.csv", b"")
    ticks.tick()
    (request,) = ticks.tick()
    ticks.run(request)
    monkeypatch.setattr(type(ticks.instance), "get_runs", asked)
    assert ticks.tick() == []


def test_the_inbox_lies_below_the_data_folder_and_its_sensor_is_off(tmp_path: Path) -> None:
    settings = settings_of({"TAXI_DATA_DIR": str(tmp_path)})
    assert inbox_of(settings).folder == tmp_path / "inbox"
    sensors = {sensor.name: sensor for sensor in build_sensors(running=False)}
    jobs = {"inbox_sensor": "inbox_imports", "inbox_load_sensor": "daily_trips"}
    assert {name: sensors[name].job_name for name in jobs} == jobs
    assert {sensors[name].default_status for name in jobs} == {dg.DefaultSensorStatus.STOPPED}
