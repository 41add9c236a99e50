"""The history of `taxi-pipeline materialize`: Dagster's own files, written in less time."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_pipeline.history import KeptConnections, RunsWithoutSubset, adapt_history
from taxi_pipeline.partitions import range_tags
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.conftest import REPOSITORY

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
    """Without partitions; its name comes before the other's."""
    return dg.MaterializeResult(metadata={"total": 3}, data_version=dg.DataVersion("2"))


@dg.asset_check(asset=counted)
def is_counted() -> dg.AssetCheckResult:
    """Without partitions."""
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
    """One with the adapted history, that stores together what Dagster hands over together."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with dg.DagsterInstance.get() as instance:
        adapt_history(instance)
        yield instance


def _engines(storage: object) -> set[str]:
    assert isinstance(storage, KeptConnections)
    return set(storage._engines)


def _types(instance: dg.DagsterInstance, run: str) -> Counter[str]:
    return Counter(entry.dagster_event_type.value for entry in instance.all_logs(run) if entry.dagster_event_type)


def test_what_is_written_with_kept_connections_dagster_reads(instance: dg.DagsterInstance) -> None:
    """Several runs, one after the other, read while the connections are still kept and after they are closed."""
    runs = [_run(instance) for _ in range(3)]
    storage = instance.event_log_storage
    assert _engines(storage) == {"index", runs[-1]}, "those of runs that are over are closed"
    with dg.DagsterInstance.get() as another:
        records = another.fetch_materializations(counted.key, limit=10).records
        assert Counter(record.partition_key for record in records) == dict.fromkeys(KEYS, 3)
        made = records[0].asset_materialization
        assert made
        assert made.metadata["days"].value == ", ".join(KEYS)
        events = [_types(another, run) for run in runs]
    instance.dispose()
    assert not _engines(storage)
    with dg.DagsterInstance.get() as later:
        assert type(later.event_log_storage) is not KeptConnections
        assert [_types(later, run) for run in runs] == events


def _rows(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "history" / "runs" / "index.db")) as index:
        return index.execute(sql).fetchall()


def test_it_writes_what_dagster_writes(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same events, in the same order, with the same keys, tags and checks, but for what has no partitions."""
    plain_home = tmp_path / "plain"
    plain_home.mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", plain_home)
    adapted_run = _run(instance)
    monkeypatch.setenv("DAGSTER_HOME", str(plain_home))
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE")
    with dg.DagsterInstance.get() as plain:
        plain_run = _run(plain)
        theirs, ours = _types(plain, plain_run), _types(instance, adapted_run)
        planned = theirs.pop("ASSET_MATERIALIZATION_PLANNED"), ours.pop("ASSET_MATERIALIZATION_PLANNED")
        assert planned == (6, 4), "once Dagster plans no days of what has none, RunsWithoutSubset can go"
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
        assert sorted(map(str, found)) == sorted(map(str, _rows(plain_home, sql))), sql


def test_nothing_without_partitions_is_planned_by_partition(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Dagster plans a run's days for its checks and for assets without days; the UI calls them skipped for ever."""
    assert isinstance(instance.run_storage, RunsWithoutSubset)
    run = _run(instance)
    planned = _rows(
        tmp_path,
        "SELECT asset_key, partition FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'",
    )
    assert sorted(map(str, planned)) == sorted(
        map(str, [('["a_total"]', None), *(('["counted"]', day) for day in KEYS)])
    )
    assert _rows(tmp_path, "SELECT run_id, partition, execution_status FROM asset_check_executions") == [
        (run, None, "SUCCEEDED")
    ]


def test_days_of_a_failed_run_show_as_failed(instance: dg.DagsterInstance) -> None:
    _run(instance, fail="yes")
    status = instance.get_status_by_partition(counted.key, KEYS, DAYS)
    assert status
    assert {day: str(found) for day, found in status.items()} == dict.fromkeys(KEYS, "AssetPartitionStatus.FAILED")


def test_a_batch_that_fails_leaves_nothing_and_is_stored_one_by_one(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What of the batch was written is rolled back, so no event is there twice."""
    stored = KeptConnections.store_event
    calls = 0

    def fails_at_the_third(self: KeptConnections, event: dg.EventLogEntry) -> None:
        nonlocal calls
        calls += 1
        stored(self, event)
        if calls == 3:
            raise OSError("disk full")

    monkeypatch.setattr(KeptConnections, "store_event", fails_at_the_third)
    run = _run(instance)
    assert "disk full" in capsys.readouterr().err
    assert _types(instance, run)["ASSET_MATERIALIZATION_PLANNED"] == 4
    assert _types(instance, run)["ASSET_MATERIALIZATION"] == 4
    assert calls > 10


def test_another_history_is_left_alone() -> None:
    """In memory, or on PostgreSQL."""
    with dg.DagsterInstance.ephemeral() as instance:
        before = instance.event_log_storage, instance.run_storage
        adapt_history(instance)
        assert (instance.event_log_storage, instance.run_storage) == before
