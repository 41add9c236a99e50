"""Deletion of superseded runs: what the UI shows and automation looks at stays the same."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.dagster_names import BACKFILL
from taxi_pipeline.defs.partitions import range_tags
from taxi_pipeline.defs.superseded_runs import delete_runs, superseded_runs
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.pipelines import settings_of
from taxi_pipeline_tests.services.fixtures import fresh_database

DAYS = dg.DailyPartitionsDefinition("2023-01-01", end_date="2023-01-05")
FIRST_THREE, LAST_THREE = ("2023-01-01", "2023-01-03"), ("2023-01-02", "2023-01-04")


@dg.op
def observe(context: dg.OpExecutionContext) -> None:
    """Observe what is never made."""
    tags = {"dagster/data_version": context.run.tags.get("version", "1")}
    context.log_event(dg.AssetObservation("published", tags=tags))


@dg.job
def observation() -> None:
    """Observe what is never made."""
    observe()


@dg.asset(partitions_def=DAYS, deps=["published"], backfill_policy=dg.BackfillPolicy.single_run())
def trips(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Days. It fails when the run is told to."""
    if "fail" in context.run.tags:
        raise ValueError("as it was told to")
    version = dg.DataVersion(context.run.tags.get("version", "1"))
    return dg.MaterializeResult(metadata={"run": context.run.run_id}, data_version=version)


@dg.asset(
    partitions_def=DAYS,
    deps=[trips],
    backfill_policy=dg.BackfillPolicy.single_run(),
    automation_condition=dg.AutomationCondition.any_deps_updated() & ~dg.AutomationCondition.any_deps_missing(),
)
def report() -> None:
    """What automation makes of the days."""


@dg.asset_check(asset=trips)
def is_counted(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """A check; a run decides whether it passes."""
    return dg.AssetCheckResult(passed="wrong" not in context.run.tags)


DEFINITIONS = dg.Definitions(
    assets=[dg.AssetSpec("published"), trips, report],
    asset_checks=[is_counted],
    jobs=[
        dg.define_asset_job("days", dg.AssetSelection.assets("trips"), executor_def=dg.in_process_executor),
        observation,
        dg.define_asset_job("check", dg.AssetSelection.checks(is_counted), executor_def=dg.in_process_executor),
    ],
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The instance that `dagster.yaml` configures, and that of `deploy/dagster.yaml`."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    if request.param == "sqlite":
        shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
        with dg.DagsterInstance.get() as instance:
            yield instance
        return
    shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", tmp_path)
    with fresh_database() as url:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
        with dg.DagsterInstance.get() as instance:
            yield instance
            instance.dispose()


def run(instance: dg.DagsterInstance, job: str = "days", days: tuple[str, str] | None = None, **tags: str) -> str:
    """Run a job; returns the run's id."""
    of_days = range_tags(Days(*map(date.fromisoformat, days))) if days else {}
    result = DEFINITIONS.resolve_job_def(job).execute_in_process(
        instance=instance, tags={**of_days, **tags}, raise_on_error=False
    )
    assert result.success is ("fail" not in tags), [event.message for event in result.all_events if event.is_failure]
    return result.run_id


def in_the_future() -> datetime:
    """A time at which every run of the test has ended long ago."""
    return datetime.now(UTC) + timedelta(days=1)


def superseded(instance: dg.DagsterInstance) -> set[str]:
    """The runs that can be deleted, all of them being old."""
    return set(superseded_runs(instance, ended_before=in_the_future()))


def shown(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the UI shows of assets, partitions and checks, by the storage's ids of the events."""
    found: dict[str, Any] = {}
    for key in (dg.AssetKey("published"), dg.AssetKey("trips"), dg.AssetKey("report")):
        (record,) = instance.get_asset_records([key]) or [None]
        entry = record and record.asset_entry
        found[key.to_user_string()] = entry and (entry.last_materialization_storage_id, entry.last_run_id)
        observed = instance.fetch_observations(key, limit=1).records
        found[f"{key.to_user_string()} observed"] = [(one.storage_id, one.run_id) for one in observed]
        statuses = instance.get_status_by_partition(key, DAYS.get_partition_keys(), DAYS) or {}
        for partition in DAYS.get_partition_keys():
            latest = dg.AssetRecordsFilter(key, asset_partitions=[partition])
            made = instance.fetch_materializations(latest, limit=1).records
            tags = made[0].asset_materialization.tags if made and made[0].asset_materialization else None
            found[f"{key.to_user_string()} {partition}"] = (
                statuses.get(partition),
                [one.storage_id for one in made],
                tags,
                instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED).get(
                    partition
                ),
            )
    checks = instance.event_log_storage.get_latest_asset_check_execution_by_key([*is_counted.check_keys])
    found["checks"] = {
        key: (execution.id, execution.status, execution.run_id, instance.has_run(execution.run_id))
        for key, execution in checks.items()
    }
    return found


def due(instance: dg.DagsterInstance, cursor: Any = None) -> tuple[int, Any]:
    """How many partitions automation asks for, and its cursor."""
    reports = dg.AssetSelection.assets("report")
    result = dg.evaluate_automation_conditions(DEFINITIONS, instance, reports, cursor=cursor)
    return result.total_requested, result.cursor


def test_only_what_newer_runs_have_made_again_is_deleted(instance: dg.DagsterInstance) -> None:
    first = run(instance, days=FIRST_THREE)
    made_again = run(instance, days=LAST_THREE, version="2")
    assert superseded(instance) == set(), "the first day and three others each have one run"
    third = run(instance, days=FIRST_THREE, version="3")
    assert superseded(instance) == {first}
    latest = run(instance, days=LAST_THREE, version="4", wrong="yes")
    assert superseded(instance) == {first, made_again}
    before, (_, cursor) = shown(instance), due(instance)
    assert delete_runs(instance, superseded(instance)) == 2
    assert shown(instance) == before
    assert [record.dagster_run.run_id for record in instance.get_run_records()] == [latest, third]
    assert due(instance, cursor)[0] == 0, "what is deleted is no change"
    assert superseded(instance) == set()


def test_a_failure_that_was_not_made_good_is_kept(instance: dg.DagsterInstance) -> None:
    """The partition shows as failed for as long as the run is there."""
    run(instance, days=FIRST_THREE)
    failed_before = run(instance, days=LAST_THREE, fail="yes")
    failed = run(instance, days=LAST_THREE, fail="yes")
    assert superseded(instance) == {failed_before}
    before = shown(instance)
    delete_runs(instance, [failed_before])
    assert shown(instance) == before
    made_good = run(instance, days=LAST_THREE)
    assert superseded(instance) == {failed}
    before = shown(instance)
    delete_runs(instance, [failed])
    assert shown(instance) == before
    assert instance.has_run(made_good)


def test_the_latest_observation_check_and_run_of_a_job_are_kept(instance: dg.DagsterInstance) -> None:
    observed, checked = run(instance, "observation"), run(instance, "check")
    made = run(instance, days=FIRST_THREE)
    assert superseded(instance) == set(), "each is the latest run of its job"
    observed_again, checked_again = run(instance, "observation", version="2"), run(instance, "check", wrong="yes")
    assert superseded(instance) == {observed, checked}
    before = shown(instance)
    delete_runs(instance, superseded(instance))
    assert shown(instance) == before
    kept = {record.dagster_run.run_id for record in instance.get_run_records()}
    assert kept == {made, observed_again, checked_again}


def test_young_runs_and_those_that_belong_to_kept_ones_stay(instance: dg.DagsterInstance) -> None:
    for _ in range(2):
        run(instance, days=FIRST_THREE)
    assert superseded_runs(instance, ended_before=datetime.now(UTC) - timedelta(days=90)) == []
    repeated = run(instance, days=FIRST_THREE, fail="yes")
    again = dg.DagsterRun("days", status=dg.DagsterRunStatus.STARTED, root_run_id=repeated, parent_run_id=repeated)
    instance.add_run(again)
    run(instance, days=FIRST_THREE)
    assert repeated not in superseded(instance), "the UI shows the runs of a repetition together"
    of_backfill = run(instance, days=FIRST_THREE, **{BACKFILL: "abcdefgh"})
    boundary = datetime.now(UTC)
    run(instance, days=FIRST_THREE, **{BACKFILL: "abcdefgh"})
    assert of_backfill not in superseded_runs(instance, ended_before=boundary), "the backfill may go on"
    assert of_backfill in superseded(instance)


def test_an_unfinished_run_is_never_deleted(instance: dg.DagsterInstance) -> None:
    waiting = instance.add_run(dg.DagsterRun("days", status=dg.DagsterRunStatus.STARTED)).run_id
    for _ in range(2):
        run(instance, days=FIRST_THREE)
    assert waiting not in superseded(instance)


def test_a_deleted_run_leaves_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the file of its events, 2 MB of a loaded month, its tags, and the folder of its output stayed."""
    import sqlite3

    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        deleted, kept = run(instance, days=FIRST_THREE), run(instance, days=FIRST_THREE)
        instance.all_logs(deleted)  # keeps a connection to the file
        assert list(tmp_path.rglob(f"*{deleted}*"))
        delete_runs(instance, [deleted])
        assert list(tmp_path.rglob(f"*{deleted}*")) == []
        assert list(tmp_path.rglob(f"*{kept}*"))
        assert instance.all_logs(kept)
    connection = sqlite3.connect(tmp_path / "history" / "runs.db")
    assert {run_id for (run_id,) in connection.execute("SELECT run_id FROM run_tags")} == {kept}
    connection.close()


def test_the_job_deletes_what_is_older_than_the_setting(instance: dg.DagsterInstance) -> None:
    """Its own earlier runs are superseded, too, and all runs of the test are younger than 90 days."""
    first = run(instance, days=FIRST_THREE)
    run(instance, days=FIRST_THREE)
    definitions = build_definitions(settings=settings_of({"TAXI_HISTORY_DAYS": "45"}))
    job = definitions.resolve_job_def("history_maintenance")
    result = job.execute_in_process(instance=instance)
    assert (result.success, instance.has_run(first)) == (True, True)
    (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
    assert output.metadata["ended_before"].value == str((datetime.now(UTC) - timedelta(days=45)).date())
    config = dg.RunConfig(ops={"delete_superseded_runs": {"config": {"ended_days_ago": 0}}})
    assert job.execute_in_process(instance=instance, run_config=config).success
    assert not instance.has_run(first)
    assert not instance.has_run(result.run_id)
    for days in (-1, 100_000):
        config = dg.RunConfig(ops={"delete_superseded_runs": {"config": {"ended_days_ago": days}}})
        assert not job.execute_in_process(instance=instance, run_config=config, raise_on_error=False).success
