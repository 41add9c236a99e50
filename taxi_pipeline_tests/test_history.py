"""The event log of `taxi-pipeline materialize`: Dagster's own files, written with connections that are kept."""

from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.event_log import KeptConnections, keep_connections


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2023-01-01", end_date="2023-01-04"))
def counted(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Something to store events of."""
    return dg.MaterializeResult(metadata={"day": context.partition_key})


def _days_seen_by(instance: dg.DagsterInstance) -> dict[str, str]:
    records = instance.fetch_materializations(counted.key, limit=10).records
    made = [(record.partition_key, record.asset_materialization) for record in records]
    return {str(day): str(materialization.metadata["day"].value) for day, materialization in made if materialization}


def _engines(storage: object) -> set[str]:
    assert isinstance(storage, KeptConnections)
    return set(storage._engines)


def test_what_is_written_with_kept_connections_dagster_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several runs, one after the other, read while the connections are still kept and after they are closed."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    days = ("2023-01-01", "2023-01-02", "2023-01-03")
    with dg.DagsterInstance.get() as instance:
        keep_connections(instance)
        storage = instance.event_log_storage
        runs = [dg.materialize([counted], instance=instance, partition_key=day).run_id for day in days]
        assert _engines(storage) == {"index", runs[-1]}, "those of runs that are over are closed"
        with dg.DagsterInstance.get() as another:
            assert _days_seen_by(another) == {day: day for day in days}
            events = [len(another.all_logs(run)) for run in runs]
    assert not _engines(storage)
    with dg.DagsterInstance.get() as later:
        assert type(later.event_log_storage) is not KeptConnections
        assert [len(later.all_logs(run)) for run in runs] == events
        plain = dg.materialize([counted], instance=later, partition_key=days[0])
        assert len(later.all_logs(plain.run_id)) == events[0]


def test_another_event_log_is_left_alone() -> None:
    """In memory, or on PostgreSQL."""
    with dg.DagsterInstance.ephemeral() as instance:
        before = instance.event_log_storage
        keep_connections(instance)
        assert instance.event_log_storage is before
