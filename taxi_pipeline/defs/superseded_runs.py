"""Which runs of Dagster's history nothing needs any more, and their deletion.

`dagster.yaml` has the retention of ticks; Dagster has none for runs and their events. The job that deletes them belongs
to `maintenance`. Only methods of `dagster.DagsterInstance` are used, so that it holds for every storage.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterEventType

from taxi_pipeline.defs.dagster_names import BACKFILL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_PAGE = 500
"""Runs that are read at once."""

_SHOWN = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_OBSERVATION,
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}
"""Events of which the UI and automation look at the latest one of each asset, partition and check.

Planned ones are among them, because a partition shows as failed when the last run that planned it failed."""


def superseded_runs(instance: dg.DagsterInstance, *, ended_before: datetime) -> list[str]:
    """Find the runs that can be deleted without any change of what the UI shows of assets, partitions, checks and jobs.

    A run is kept when it

    - has not ended, or ended later than `ended_before`;
    - has the latest materialization, observation or planned materialization of an asset or of one of its partitions, or
      the latest evaluation of a check;
    - is the latest run of its job;
    - belongs to a backfill with a run that has not ended, or ended later than `ended_before`;
    - was repeated by a run that is kept.

    Args:
        instance: the instance whose runs are looked at.
        ended_before: a time with a time zone.

    Returns:
        The ids of the runs, the newest first.
    """
    records = list(_all_runs(instance))
    recent = [record.dagster_run for record in records if not _ended_before(record, ended_before)]
    backfills = {run.tags[BACKFILL] for run in recent if BACKFILL in run.tags}
    kept = {run.run_id for run in recent} | _runs_with_the_latest(instance, records)
    kept |= {run.run_id for run in _runs(records) if run.tags.get(BACKFILL) in backfills}
    for run in _runs(records):  # the newest first, so a run comes before the one that it repeats
        if run.run_id in kept:
            kept |= {repeated for repeated in (run.root_run_id, run.parent_run_id) if repeated}
    return [run.run_id for run in _runs(records) if run.run_id not in kept]


def delete_runs(instance: dg.DagsterInstance, run_ids: "Collection[str]") -> int:
    """Delete runs with their events and what their steps wrote to standard output; returns their number."""
    for run_id in run_ids:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
    return len(run_ids)


def _all_runs(instance: dg.DagsterInstance) -> "Iterator[dg.RunRecord]":
    """All runs, the newest first."""
    cursor = None
    while page := instance.get_run_records(limit=_PAGE, cursor=cursor):
        yield from page
        cursor = page[-1].dagster_run.run_id


def _runs(records: "Sequence[dg.RunRecord]") -> "Iterator[dg.DagsterRun]":
    return (record.dagster_run for record in records)


def _ended_before(record: "dg.RunRecord", time: datetime) -> bool:
    return record.dagster_run.is_finished and record.update_timestamp < time


def _runs_with_the_latest(instance: dg.DagsterInstance, records: "Sequence[dg.RunRecord]") -> set[str]:
    """The runs with the latest event of each kind, asset, partition and check, and the latest run of each job."""
    latest: dict[tuple[str | None, ...], tuple[float, str]] = {}
    for record in records:
        run = record.dagster_run
        begun = record.create_timestamp.timestamp()
        for what, timestamp in ((("job", run.job_name), begun), *_shown_events(instance, run.run_id)):
            latest[what] = max(latest.get(what, (0.0, "")), (timestamp, run.run_id))
    return {run_id for _, run_id in latest.values()}


def _shown_events(instance: dg.DagsterInstance, run_id: str) -> "Iterator[tuple[tuple[str | None, ...], float]]":
    """What a run has events of (kind, asset, partition, check), each with its time in seconds since the epoch."""
    for record in instance.get_records_for_run(run_id, of_type=_SHOWN).records:
        event = record.event_log_entry.get_dagster_event()
        for asset, partition, check in _subjects(event):
            yield (event.event_type_value, asset, partition, check), record.timestamp


def _subjects(event: dg.DagsterEvent) -> "Iterator[tuple[str, str | None, str | None]]":
    """Asset, partition and check that an event is of; several when it plans several partitions."""
    if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        yield check.asset_key.to_user_string(), check.partition, check.check_name
    elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        planned = event.asset_check_planned_data
        yield planned.asset_key.to_user_string(), None, planned.check_name
    elif event.asset_key:
        partitions = event.partitions_subset
        for partition in partitions.get_partition_keys() if partitions else [event.partition]:
            yield event.asset_key.to_user_string(), partition, None
