"""The runs of `taxi-pipeline materialize`, in this process: days month by month, reports and datasets.

The runs are those of the current instance, so the UI shows them. How their progress and outcome look on a terminal is
decided in `cli`.
"""

import gc
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

import dagster as dg

from taxi_pipeline.datasets.columns import DEMAND_MODEL
from taxi_pipeline.defs.analyses import GROUP as ANALYSIS
from taxi_pipeline.defs.assets import ASSETS
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.dagster_names import REPOSITORY_LABEL
from taxi_pipeline.defs.failures import failed_fleets, message_of
from taxi_pipeline.defs.marts import MARTS
from taxi_pipeline.defs.partitions import (
    daily_partitions,
    fleet_month_key,
    monthly_partitions,
    range_tags,
    weekly_partitions,
)
from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.month_files import fetching_ahead
from taxi_pipeline.opening import files_of, tlc_of
from taxi_pipeline.settings import Settings
from taxi_pipeline.storage.whole_files import locked
from taxi_pipeline.tlc.months import Days, next_month

CODE_LOCATION_NAME = "taxi_pipeline"
"""Name of the code location, as in `pyproject.toml` and in `deploy/workspace.yaml`."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config of a run whose events go into Dagster's history alone, and not to the console."""

SOURCES_JOB, ANALYSES_JOB, PDFS_JOB = "sources", "analyses", "report_pdfs"
NEEDED_BY_NONE = (SOURCES_JOB, PDFS_JOB)
"""Jobs whose failure stops no other: a source is down, or a library for PDFs is missing."""

_FORECAST = dg.AssetKey(DEMAND_MODEL.name)
_PDF = dg.AssetKey("monthly_report_pdf")
_RECORDED = dg.AssetKey("loaded_months")
"""Not made by these runs: a manifest records it, for as many fleets as are whole."""


class InstanceError(TaxiPipelineError):
    """The Dagster instance can't be opened."""


class Follower(Protocol):
    """Gets called while the runs go on."""

    def expects(self, num_materializations: int, num_months: int) -> None:
        """Announce what comes, once, before the first run.

        Args:
            num_materializations: how often `materialized` is called when nothing fails.
            num_months: the months whose days are loaded.
        """

    def step_started(self, month: str, step: str) -> None:
        """A step of the run of the month (YYYY-MM) has started."""

    def materialized(self) -> None:
        """A partition, or an asset without partitions, was materialized."""

    def warned(self, message: str) -> None:
        """The run's log has a warning."""

    def month_loaded(self, month: str, num_trips: int | None) -> None:
        """The days of a month (YYYY-MM) are loaded.

        Args:
            month: the month.
            num_trips: trips of the days, of all fleets; None when the month failed for some of them.
        """


@dataclass(frozen=True)
class FailedCheck:
    """An asset check that did not pass."""

    name: str
    """Name of the asset and the check."""
    description: str
    is_error: bool
    """True for an error; false for a warning."""


@dataclass
class Outcome:
    """The outcome of the runs."""

    failed_checks: list[FailedCheck] = field(default_factory=list)
    failed_fleets: list[str] = field(default_factory=list)
    """One sentence for each month that failed for some fleets alone: the step and why. The others are loaded."""
    left_out: list[str] = field(default_factory=list)
    """Why a source beside the TLC could not be had, or a PDF be made. What there was of it stays, and nothing else
    fails."""
    stopped: str | None = None
    """The step that failed and why, when it ended all runs; else None."""
    stopped_in: Days | None = None
    """The days of the run that ended all runs; else None."""


def last_day_that_can_be_published() -> str:
    """The last daily partition."""
    return str(daily_partitions.get_last_partition_key())


def run_months(
    settings: Settings,
    days: Days,
    instance: dg.DagsterInstance,
    follower: Follower,
    resources: Mapping[str, Any],
    *,
    reports: bool = False,
) -> Outcome:
    """Run the whole graph for these days, each month as a run of its own.

    The runs stop at the first that fails, unless it failed for some fleets alone: then the other months go on. The last
    run also makes the outputs. While a month is loaded, the files of the next one are fetched.

    Args:
        settings: settings of the code location.
        days: both ends inclusive.
        instance: records the runs.
        follower: is called while the runs go on.
        resources: replace those made from the settings.
        reports: true to make the reports, datasets and marts of the weeks and months that lie wholly in these days,
            when all is loaded, to load the sources beside the TLC, and to make the analyses.

    Returns:
        The outcome of all runs.
    """
    definitions = build_definitions(settings=settings, resources=resources)
    daily, once, outputs = _selections()
    outcome = Outcome()
    # All objects so far live as long as the process. The garbage collector does not look at them any more, which saves
    # 1.2 s of a month's 7.7 s, half of it at the end of the process (measured on two cores).
    gc.freeze()

    def launch(
        job: str, partitions: Days | str | None, selection: list[dg.AssetKey] | None = None, words: str = ""
    ) -> dg.ExecuteInProcessResult:
        run_id = str(uuid.uuid4())
        listed, list_under_job = _listing_under_job(instance, job)
        instance.add_event_listener(run_id, list_under_job)
        instance.add_event_listener(run_id, _following(follower, words))
        try:
            result = definitions.resolve_job_def(job).execute_in_process(
                instance=instance,
                run_id=run_id,
                asset_selection=selection,
                partition_key=partitions if isinstance(partitions, str) else None,
                tags={**(range_tags(partitions) if isinstance(partitions, Days) else {}), **listed},
                run_config=QUIET,
                raise_on_error=False,
            )
        except KeyboardInterrupt:
            _cancel_if_not_started(instance, run_id)
            raise
        outcome.failed_checks += _failed_checks(result)
        return result

    window_runs = list(_window_runs(definitions, days, settings.fleets)) if reports else []
    months = days.by_month()
    follower.expects(
        days.num_days * len(daily) + len(once) + len(outputs) + sum(run.num_materializations for run in window_runs),
        len(months),
    )
    tlc, files = resources.get("tlc", tlc_of(settings)), resources.get("files", files_of(settings))
    for month, next_one in zip_longest(months, months[1:]):
        first, last = month is months[0], month is months[-1]
        # Coordinates need the zones; the outputs need all months.
        selection = daily + (once if first else []) + (outputs if last else [])
        result = None
        try:
            with fetching_ahead(tlc, files, next_one):
                result = launch("daily_trips", month, selection, f"{month.first:%Y-%m}")
                _judge_month(result, month, outcome, follower)
        except KeyboardInterrupt:
            if result is None:
                raise
            outcome.stopped, outcome.stopped_in = outcome.stopped or "Interrupted", outcome.stopped_in or next_one
        if outcome.stopped:
            return outcome
        if last and not result.success:
            launch("daily_trips", month, outputs, f"{month.first:%Y-%m}")
    if not outcome.failed_fleets:
        results = ((run, launch(run.job, run.partitions, words=run.words)) for run in window_runs)
        _judge_windows(results, days, outcome)
    return outcome


def _judge_windows(
    results: "Iterator[tuple[_WindowRun, dg.ExecuteInProcessResult]]", days: Days, outcome: Outcome
) -> None:
    """Keep in the outcome what failed; the first failure ends the runs, unless nothing needs what the run makes."""
    for run, result in results:
        if result.success:
            continue
        if run.job not in NEEDED_BY_NONE:
            outcome.stopped, outcome.stopped_in = _cause(result), days
            return
        outcome.left_out += _reasons(result)


def _judge_month(result: dg.ExecuteInProcessResult, month: Days, outcome: Outcome, follower: Follower) -> None:
    """Tell the follower about a month that is loaded, and keep in the outcome what failed."""
    if not result.success and not _only_some_fleets_failed(result):
        outcome.stopped, outcome.stopped_in = _cause(result), month
        return
    if not result.success:
        outcome.failed_fleets.append(_cause(result))
    follower.month_loaded(f"{month.first:%Y-%m}", _num_trips(result) if result.success else None)


def _num_trips(result: dg.ExecuteInProcessResult) -> int:
    """The trips of the run's days."""
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        if event.asset_key == dg.AssetKey("taxi_trips") and "trips_in_run" in metadata:
            return int(str(metadata["trips_in_run"].value))
    return 0


def _cancel_if_not_started(instance: dg.DagsterInstance, run_id: str) -> None:
    """Dagster ends a run that is interrupted while it goes on; one that was only planned would stay so for ever."""
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status is dg.DagsterRunStatus.NOT_STARTED:
        instance.report_run_canceled(run, message="Interrupted before it started")


@dataclass(frozen=True)
class _WindowRun:
    """A run for weeks or months, of the sources, or of the analyses."""

    job: str
    partitions: Days | str | None
    """A range, named by the first days of its first and last window; a single partition key; None without any."""
    num_materializations: int
    words: str
    """Name of the run for the follower."""


def _window_runs(definitions: dg.Definitions, days: Days, fleets: Sequence[str]) -> Iterator[_WindowRun]:
    """The runs of the sources, of the weeks and months that lie wholly in these days, and of the analyses."""
    yield _WindowRun(SOURCES_JOB, None, _num_assets(definitions, SOURCES_JOB), SOURCES_JOB)
    weeks, months = _whole_windows(weekly_partitions, days), _whole_windows(monthly_partitions, days)
    if weeks:
        yield _WindowRun("week_summaries", Days(weeks[0], weeks[-1]), len(weeks), "reports")
    specs = list(definitions.resolve_all_asset_specs())
    if months:
        num_monthly = sum(
            spec.group_name == "reports" and isinstance(spec.partitions_def, dg.MonthlyPartitionsDefinition)
            for spec in specs
        )
        yield _WindowRun("monthly_reports", Days(months[0], months[-1]), num_monthly * len(months), "reports")
    forecasts = {key for spec in specs if spec.key == _FORECAST for key in _keys_of(spec.partitions_def)}
    # A month is forecast out of those before it, then compared with its trips. The last forecast is of the month after.
    for month in [*months, next_month(months[-1])] if months else []:
        for key in (fleet_month_key(fleet, month) for fleet in fleets):
            if key in forecasts:
                yield _WindowRun("demand_forecasts", key, 1, "datasets")
            if month in months:
                yield _WindowRun("datasets", key, _num_assets(definitions, "datasets"), "datasets")
    marts = [spec for spec in specs if spec.group_name == MARTS]
    if months and marts:
        yield _WindowRun(MARTS, Days(months[0], months[-1]), len(months) * len(marts), MARTS)
    if months and any(spec.key == _PDF for spec in specs):
        yield _WindowRun(PDFS_JOB, Days(months[0], months[-1]), len(months), "reports")
    if any(spec.group_name == ANALYSIS for spec in specs):
        yield _WindowRun(ANALYSES_JOB, None, _num_assets(definitions, ANALYSES_JOB), ANALYSIS)


def _num_assets(definitions: dg.Definitions, job: str) -> int:
    return len(definitions.resolve_job_def(job).asset_layer.selected_asset_keys)


def _keys_of(partitions: dg.PartitionsDefinition | None) -> Sequence[str]:
    return partitions.get_partition_keys() if partitions else ()


def _whole_windows(partitions: dg.TimeWindowPartitionsDefinition, days: Days) -> list[date]:
    """The first days of the weeks or months that lie wholly in these days."""
    windows = [partitions.time_window_for_partition_key(key) for key in partitions.get_partition_keys()]
    return [
        window.start.date()
        for window in windows
        if days.first <= window.start.date() and window.end.date() <= days.last + timedelta(days=1)
    ]


def current_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME.

    Raises:
        InstanceError: DAGSTER_HOME is relative, or there is no such folder.
    """
    home = Path(os.environ["DAGSTER_HOME"])
    try:
        # Several processes that make a new instance's SQLite files at once fail on each other.
        with locked(home / "history" / "instance") if home.is_dir() else nullcontext():
            return dg.DagsterInstance.get()
    except dg.DagsterInvariantViolationError as error:
        raise InstanceError(" ".join(str(error).split())) from error


def _selections() -> tuple[list[dg.AssetKey], list[dg.AssetKey], list[dg.AssetKey]]:
    """The assets of a month's run: daily ones, those of the first run, and outputs, which the last run makes."""
    specs = [spec for asset in ASSETS for spec in asset.specs]
    daily = [spec.key for spec in specs if spec.partitions_def == daily_partitions]
    outputs = [spec.key for spec in specs if spec.group_name == "metrics"]
    return daily, [spec.key for spec in specs if spec.key not in (*daily, *outputs)], outputs


def _listing_under_job(
    instance: dg.DagsterInstance, job_name: str
) -> tuple[Mapping[str, str], Callable[[dg.EventLogEntry], None]]:
    """Tags of a run, and what follows its events, so that the UI shows it under its job and on the overview.

    A run that is executed in process names no code location, and the UI lists such runs on the page Runs alone. This
    is how `dagster run migrate-repository` gives runs to another location.
    """
    from taxi_pipeline.defs import dagster_internals as internals

    location = internals.ManagedGrpcPythonEnvCodeLocationOrigin(
        internals.LoadableTargetOrigin(module_name="taxi_pipeline.definitions"), location_name=CODE_LOCATION_NAME
    )
    repository = internals.RemoteRepositoryOrigin(location, internals.SINGLETON_REPOSITORY_NAME)

    def list_it(entry: dg.EventLogEntry) -> None:
        if entry.dagster_event is None or entry.dagster_event.event_type != dg.DagsterEventType.PIPELINE_START:
            return
        run = instance.get_run_by_id(entry.run_id)
        if run is not None:
            instance.run_storage.replace_job_origin(run, internals.RemoteJobOrigin(repository, job_name))

    return {REPOSITORY_LABEL: repository.get_label()}, list_it


def _following(follower: Follower, month: str) -> Callable[[dg.EventLogEntry], None]:
    def follow(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            if entry.level == logging.WARNING:
                follower.warned(entry.user_message)
        elif event.is_step_start:
            follower.step_started(month, str(event.step_key))
        elif event.is_step_materialization and event.asset_key != _RECORDED:
            follower.materialized()

    return follow


def _failed_checks(result: dg.ExecuteInProcessResult) -> list[FailedCheck]:
    return [
        FailedCheck(
            name=check.asset_check_key.to_user_string(),
            description=check.description or "",
            is_error=check.severity == dg.AssetCheckSeverity.ERROR,
        )
        for check in result.get_asset_check_evaluations()
        if not check.passed
    ]


def _only_some_fleets_failed(result: dg.ExecuteInProcessResult) -> bool:
    """True if each failed step failed for some fleets, and the files of the others were fetched."""
    failures = [event for event in result.all_events if event.is_step_failure]
    return all(failed_fleets(event) for event in failures) and bool(
        result.asset_materializations_for_node("taxi_trips_file")
    )


def _reasons(result: dg.ExecuteInProcessResult) -> list[str]:
    """Say of each step that failed why it did."""
    return [f"{event.step_key}: {message_of(event)}" for event in result.all_events if event.is_step_failure]


def _cause(result: dg.ExecuteInProcessResult) -> str:
    """Say which step failed, in which run, and why."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            if error and error.cls_name == "DagsterExecutionInterruptedError":
                return f"Interrupted at {event.step_key}, in run {result.run_id}"
            return f"{event.step_key} failed in run {result.run_id}: {message_of(event)}"
    return f"Run {result.run_id} failed; its log is in the Dagster UI."
