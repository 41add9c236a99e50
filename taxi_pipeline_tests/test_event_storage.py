"""Dagster's history in its own SQLite files, stored by the classes that `dagster.yaml` names."""

import asyncio
import os
import re
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._daemon.types import DaemonHeartbeat

from taxi_pipeline.defs import event_storage
from taxi_pipeline.defs.event_storage import (
    SETTLING_SECONDS,
    EventStorage,
    PartitionsByTags,
    RunStorage,
    SettledRuns,
)
from taxi_pipeline.defs.partitions import range_tags
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.processes import process, wait_for_file
from taxi_pipeline_tests.services.fixtures import fresh_database

DAYS = dg.DailyPartitionsDefinition("2023-01-01", end_date="2023-01-04")
KEYS = ["2023-01-01", "2023-01-02", "2023-01-03"]


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def counted(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Something to store events of. It fails when the run is told to."""
    if "fail" in context.run.tags:
        raise ValueError("as it was told to")
    return dg.MaterializeResult(metadata={"days": ", ".join(context.partition_keys)}, data_version=dg.DataVersion("1"))


@dg.asset(deps=[counted])
def a_total() -> dg.MaterializeResult:
    """An asset without partitions; its name comes before the other's."""
    return dg.MaterializeResult(metadata={"total": 3}, data_version=dg.DataVersion("2"))


@dg.asset_check(asset=counted)
def is_counted() -> dg.AssetCheckResult:
    """A check without partitions."""
    return dg.AssetCheckResult(passed=True)


JOB = dg.Definitions(
    assets=[counted, a_total],
    asset_checks=[is_counted],
    jobs=[dg.define_asset_job("all_days", executor_def=dg.in_process_executor)],
).resolve_job_def("all_days")


def _run(instance: dg.DagsterInstance, **tags: str) -> str:
    tags |= range_tags(Days(date(2023, 1, 1), date(2023, 1, 3)))
    return JOB.execute_in_process(instance=instance, tags=tags, raise_on_error=False).run_id


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The instance that the project's `dagster.yaml` configures."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def any_instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The instance that the project's `dagster.yaml` configures, and that of `deploy/dagster.yaml`."""
    if request.param == "sqlite":
        yield request.getfixturevalue("instance")
        return
    shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", tmp_path)
    with fresh_database() as url:
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
        with dg.DagsterInstance.get() as instance:
            yield instance
            instance.dispose()


def plain_home(folder: Path) -> Path:
    """A Dagster home with Dagster's own storage and the rest of the project's configuration."""
    home = folder / "plain"
    home.mkdir()
    configuration = (REPOSITORY / "dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(re.sub(r"(?ms)^(run|event_log)_storage:.*?(?=^\S|\Z)", "", configuration))
    return home


def _engines(storage: object) -> set[str]:
    assert isinstance(storage, EventStorage)
    return set(storage._engines)


def _types(instance: dg.DagsterInstance, run: str) -> Counter[str]:
    return Counter(entry.dagster_event_type.value for entry in instance.all_logs(run) if entry.dagster_event_type)


def test_every_process_of_the_instance_uses_them(instance: dg.DagsterInstance) -> None:
    """Regression: one command alone swapped them in, and the runs of the UI, the daemon and the schedules did not."""
    assert type(instance.event_log_storage) is EventStorage
    assert type(instance.run_storage) is RunStorage
    with dg.DagsterInstance.from_ref(instance.get_ref()) as another:  # as run workers open it
        assert type(another.event_log_storage) is EventStorage
        assert type(another.run_storage) is RunStorage


def test_dagsters_own_storage_reads_what_is_written(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several runs, one after the other, read while the connections are still open and after they are closed."""
    runs = [_run(instance) for _ in range(3)]
    assert _engines(instance.event_log_storage) == {"index", runs[-1]}, "those of runs that are over are closed"
    home = plain_home(tmp_path)
    (home / "history").symlink_to(tmp_path / "history")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as another:
        assert type(another.event_log_storage) is not EventStorage
        records = another.fetch_materializations(counted.key, limit=10).records
        assert Counter(record.partition_key for record in records) == dict.fromkeys(KEYS, 3)
        made = records[0].asset_materialization
        assert made
        assert made.metadata["days"].value == ", ".join(KEYS)
        events = [_types(another, run) for run in runs]
    storage = instance.event_log_storage
    instance.dispose()
    assert not _engines(storage)
    with dg.DagsterInstance.get() as later:
        assert [_types(later, run) for run in runs] == events


def _rows(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "history" / "runs" / "index.db")) as index:
        return index.execute(sql).fetchall()


def test_it_writes_what_dagster_writes(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same events, in the same order, with the same keys, tags and checks, but for what has no partitions."""
    home = plain_home(tmp_path)
    adapted_run = _run(instance)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as plain:
        plain_run = _run(plain)
        theirs, ours = _types(plain, plain_run), _types(instance, adapted_run)
        planned = theirs.pop("ASSET_MATERIALIZATION_PLANNED"), ours.pop("ASSET_MATERIALIZATION_PLANNED")
        assert planned == (6, 4), "when Dagster plans no partitions for unpartitioned assets, RunStorage can go"
        assert ours == theirs
        steps = [
            [(e.step_key, e.dagster_event_type) for e in i.all_logs(run) if e.step_key and "PLANNED" not in str(e)]
            for i, run in ((instance, adapted_run), (plain, plain_run))
        ]
        assert steps[0] == steps[1]
    for sql in (
        "SELECT asset_key, partition FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'",
        "SELECT asset_key, key FROM asset_event_tags",
        "SELECT asset_key, value FROM asset_event_tags WHERE key = 'dagster/data_version'",
        "SELECT asset_key, last_materialization IS NULL, last_materialization_timestamp IS NULL FROM asset_keys",
        "SELECT asset_key, check_name FROM asset_check_executions WHERE execution_status = 'SUCCEEDED'",
    ):
        found = _rows(tmp_path, sql)
        assert found
        assert sorted(map(str, found)) == sorted(map(str, _rows(home, sql))), sql


def test_nothing_without_partitions_is_planned_by_partition(any_instance: dg.DagsterInstance) -> None:
    """Dagster plans a run's days for its checks and for assets without days; the UI calls them skipped for ever."""
    assert isinstance(any_instance.run_storage, PartitionsByTags)
    run = _run(any_instance)
    planned = [
        (entry.dagster_event.asset_key, entry.dagster_event.partition)
        for entry in any_instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        if entry.dagster_event
    ]
    assert sorted(planned, key=str) == [(a_total.key, None), *((counted.key, day) for day in KEYS)]
    checks = any_instance.event_log_storage.get_asset_check_execution_history(is_counted.check_key, limit=10)
    assert [(check.run_id, check.partition, check.status.value) for check in checks] == [(run, None, "SUCCEEDED")]


def test_days_of_a_failed_run_show_as_failed(any_instance: dg.DagsterInstance) -> None:
    _run(any_instance, fail="yes")
    status = any_instance.get_status_by_partition(counted.key, KEYS, DAYS)
    assert status
    assert {day: str(found) for day, found in status.items()} == dict.fromkeys(KEYS, "AssetPartitionStatus.FAILED")


PAGE = """
query Events($limit: Int!, $before: String) {
  assetOrError(assetKey: { path: ["counted"] }) {
    ... on Asset { assetMaterializations(limit: $limit, beforeTimestampMillis: $before) { timestamp partition } }
  }
}
"""
"""The query of the *Events* tab of an asset's page."""


def test_the_ui_pages_through_all_events(any_instance: dg.DagsterInstance) -> None:
    """Regression: events stored together had one timestamp, and of 31 days the tab showed 3."""
    for _ in range(3):
        _run(any_instance)
    found, before = [], None
    while True:
        page = _graphql(any_instance, PAGE, limit=2, before=before)["assetOrError"]["assetMaterializations"]
        if not page:
            break
        found += [event["partition"] for event in page]
        before = page[-1]["timestamp"]
    assert found == KEYS[::-1] * 3, "newest first, each day of each run"


def _graphql(instance: dg.DagsterInstance, query: str, **variables: Any) -> dict[str, Any]:
    """Run a query on the webserver's schema and return the answer."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster_graphql.schema import create_schema

    with WorkspaceProcessContext(instance, None) as process:
        context = process.create_request_context()
        answer = asyncio.run(create_schema().execute_async(query, variable_values=variables, context_value=context))
    assert not answer.errors, answer.errors
    assert answer.data
    return answer.data


@pytest.mark.parametrize("changed", [("_db_lock", "EventStorage"), ("add_run", "RunStorage")])
def test_another_version_of_dagster_gets_its_own_storage_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str]
) -> None:
    """Whatever a later Dagster renames, the history is written, by Dagster's own classes."""

    def fails(*_: Any) -> Any:
        raise AttributeError(f"no attribute {changed[0]}")

    if changed[1] == "EventStorage":
        monkeypatch.setattr(EventStorage, "_engine", fails)
    else:
        monkeypatch.setattr(event_storage.RunStorage, "from_local", fails)
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    expected = rf"no attribute {changed[0]}.*Dagster's own storage is used"
    with pytest.warns(UserWarning, match=expected), dg.DagsterInstance.get() as instance:  # noqa: PT031
        used = {type(storage).__name__ for storage in (instance.event_log_storage, instance.run_storage)}
        assert used in ({"SqliteEventLogStorage", "RunStorage"}, {"EventStorage", "SqliteRunStorage"})
        assert _types(instance, _run(instance))["ASSET_MATERIALIZATION"] == 4


# Postgres


@pytest.mark.services
def test_history_in_postgres_is_dagsters_own_and_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by our classes, read by Dagster's after everything was stopped; the same events either way."""
    from dagster_postgres import PostgresEventLogStorage

    from taxi_pipeline.defs.postgres_storage import PostgresEvents, PostgresRuns, PostgresSchedules

    shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with fresh_database() as url:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
        with dg.DagsterInstance.get() as instance:
            kinds = [type(kept) for kept in (instance.event_log_storage, instance.run_storage)]
            assert kinds == [PostgresEvents, PostgresRuns]
            assert type(instance.schedule_storage) is PostgresSchedules
            run = _run(instance)
            events = _types(instance, run)
            instance.dispose()
        plain = tmp_path / "plain"
        plain.mkdir()
        configuration = "storage: {postgres: {postgres_url: {env: DAGSTER_POSTGRES_URL}}}\n"
        (plain / "dagster.yaml").write_text(configuration)
        monkeypatch.setenv("DAGSTER_HOME", str(plain))
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url.replace("postgresql:", "postgresql+psycopg2:"))
        with dg.DagsterInstance.get() as plain_instance:
            assert type(plain_instance.event_log_storage) is PostgresEventLogStorage
            assert _types(plain_instance, run) == events
            theirs = _types(plain_instance, _run(plain_instance))
            assert {**theirs, "ASSET_MATERIALIZATION_PLANNED": 4} == events, "but for what has no partitions"


# One daemon


def _a_daemon(home: str, sign: str, go_on: str) -> None:
    """Give signs of life as a daemon's threads do, write which of them ended, and wait until the test has looked."""
    os.environ["DAGSTER_HOME"] = home
    ended: list[str] = []
    with dg.DagsterInstance.get() as instance:

        def live(daemon_type: str) -> None:
            try:
                instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), daemon_type, str(os.getpid()), errors=[]))
            except SystemExit:
                ended.append(daemon_type)

        threads = [threading.Thread(target=live, args=(f"SENSOR {n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        Path(sign).write_text(str(len(ended)))
        while not Path(go_on).exists():
            time.sleep(0.01)


def test_a_second_daemon_on_an_instance_ends_before_it_does_anything(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Regression: a second `dg dev` launched each run once more, and sent an alert for a run that succeeded."""
    never = tmp_path / "never"
    first = process(_a_daemon, str(tmp_path), str(tmp_path / "first"), str(never))
    wait_for_file(tmp_path / "first", first)
    second = process(_a_daemon, str(tmp_path), str(tmp_path / "second"), str(tmp_path / "second"))
    second.join()
    assert [(tmp_path / name).read_text() for name in ("first", "second")] == ["0", "4"]
    assert {beat.daemon_id for beat in instance.get_daemon_heartbeats().values()} == {str(first.pid)}
    assert (tmp_path / "history" / "daemon.lock").read_text() == f"{first.pid}\n"
    first.kill()
    first.join()
    third = process(_a_daemon, str(tmp_path), str(tmp_path / "third"), str(tmp_path / "third"))
    third.join()
    assert (tmp_path / "third").read_text() == "0", "the lock ended with the process that was killed"


def test_the_second_daemon_says_who_is_the_first(
    tmp_path: Path, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    first = process(_a_daemon, str(tmp_path), str(tmp_path / "first"), str(tmp_path / "never"))
    wait_for_file(tmp_path / "first", first)
    with pytest.raises(SystemExit):
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "2", errors=[]))
    first.kill()
    assert f"Process {first.pid} is the daemon of the instance {tmp_path}" in caplog.text
    assert "set another DAGSTER_HOME" in caplog.text


class Settled(SettledRuns, SqliteEventLogStorage):
    """The storage of a server, in SQLite."""


def test_a_failure_is_read_when_the_status_of_its_run_is_stored(tmp_path: Path) -> None:
    """Regression: the daemon read it between the event and the status; the run was never retried.

    Its backfill then waited for the retry for good. Later failures wait, too: the daemon never looks back.
    """
    storage = Settled(str(tmp_path))
    for run, age in (("old", SETTLING_SECONDS + 5), ("young", 0), ("next", SETTLING_SECONDS + 1)):
        storage.store_event(_failure_of(run, time.time() - age))
    read = storage.get_logs_for_all_runs_by_log_id(dagster_event_type={dg.DagsterEventType.RUN_FAILURE})
    assert [event.run_id for event in read.values()] == ["old"]
    (cursor,) = read
    read = storage.get_logs_for_all_runs_by_log_id(cursor, {dg.DagsterEventType.RUN_FAILURE}, limit=1)
    assert not read
    dagsters = SqliteEventLogStorage(str(tmp_path)).get_logs_for_all_runs_by_log_id(cursor)
    assert [event.run_id for event in dagsters.values()] == ["young", "next"]


def _failure_of(run: str, timestamp: float) -> dg.EventLogEntry:
    event = dg.DagsterEvent(event_type_value="PIPELINE_FAILURE", job_name="all_days")
    return dg.EventLogEntry(None, "info", "", run, timestamp, job_name="all_days", dagster_event=event)
