"""The inbox: the job that imports a file, and the sensors that ask for it and for the load of its month.

A tick has 60 seconds, and a large file takes longer; so a tick looks at names, sizes and times alone, and each file is
imported by a run. What is decided, and what an import does, is in `imports.inbox`.
"""

import inspect

import dagster as dg

from taxi_pipeline.defs.jobs import daily_trips
from taxi_pipeline.defs.partitions import days_from, days_of_definition, range_tags
from taxi_pipeline.defs.resources import FilesParam, InboxParam, TlcParam
from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.imports.inbox import Decision, Inbox, decide, new_receipts, shown_name
from taxi_pipeline.imports.originals import RefusedFileError
from taxi_pipeline.tlc.months import Days

INBOX_TAG = "taxi/inbox"
"""Tag of a run: the version of the file that it imports."""

_MAX_SKIP_REASON = 1_000
_GIVEN_UP = (
    "it was not imported: the runs of the job inbox_imports that began with it ended without an answer; see why in the "
    "UI, then put the file here again"
)


class InboxFileConfig(dg.Config):
    """The file to import."""

    name: str
    """Its name in `inbox/`."""


@dg.op(name="import_file")
def import_from_inbox(
    context: dg.OpExecutionContext, config: InboxFileConfig, inbox: InboxParam, files: FilesParam, tlc: TlcParam
) -> None:
    """Import a file of the inbox. A file that is refused is no failure of the run: the reason stands beside it."""
    try:
        found = inbox.take(config.name, files, tlc)
    except RefusedFileError as error:
        context.log.error(f"{config.name} was not imported: {error}")
        return
    context.log.info(
        f"{config.name} is the {found.fleet} trips of {found.month:%Y-%m}: {found.num_rows:,} rows at {found.uri}"
    )


@dg.job(description="Imports a file of inbox/; inbox_sensor launches it for each new file.")
def inbox_imports() -> None:
    """Import a file of the inbox."""
    import_from_inbox()


def build_inbox_sensors(*, running: bool) -> list[dg.SensorDefinition]:
    """Build the sensors of the inbox.

    Args:
        running: true if they are on from the start; otherwise they are switched on in the UI.
    """
    status = dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
    # Two sensors: one with two jobs warns of a beta feature of Dagster whenever the code location is loaded.
    return [
        dg.sensor(
            job_name=job,
            minimum_interval_seconds=30,
            default_status=status,
            description=inspect.getdoc(evaluated),
        )(evaluated)
        for job, evaluated in ((inbox_imports.name, inbox_sensor), (daily_trips.name, inbox_load_sensor))
    ]


def inbox_sensor(context: dg.SensorEvaluationContext, inbox: InboxParam) -> dg.SensorResult:
    """Each file in inbox/ is imported when it has not changed between two ticks; inbox_load_sensor loads its month.

    An imported file moves to inbox/imported/. Beside one that is refused stands the reason, <name>.error.txt.
    """
    try:
        found = inbox.files()
        answered = inbox.answered()
        decision = decide(found, answered, context.cursor, lambda key: _is_running(context, key))
        _write_answers(context, inbox, decision, answered - set(map(shown_name, found)))
    except (TaxiPipelineError, OSError) as error:
        reason = f"The inbox can't be read: {error}"[:_MAX_SKIP_REASON]
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)
    imports = [
        dg.RunRequest(
            job_name=inbox_imports.name,
            run_key=new.key,
            run_config={"ops": {"import_file": {"config": {"name": new.name}}}},
            tags={INBOX_TAG: new.key},
        )
        for new in decision.imports
    ]
    return dg.SensorResult(
        run_requests=imports,
        skip_reason=None if imports else dg.SkipReason(_nothing_to_do(decision, found, answered)),
        cursor=decision.cursor,
    )


def inbox_load_sensor(context: dg.SensorEvaluationContext, inbox: InboxParam, tlc: TlcParam) -> dg.SensorResult:
    """Loads the months that were imported from inbox/, each once for each version."""
    names, cursor = new_receipts(inbox.receipts(), context.cursor)
    partitions = days_of_definition(days_from(inbox.first_day, tlc.last_day)) if names else None
    requests: list[dg.RunRequest] = []
    for receipt in filter(None, map(inbox.receipt, names)):
        month = Days.of_month(receipt.month)
        days = Days(max(month.first, partitions.first), min(month.last, partitions.last)) if partitions else month
        if days.first <= days.last:
            requests.append(dg.RunRequest(run_key=receipt.key, tags=range_tags(days)))
        else:
            context.log.warning(
                f"{receipt.fleet} {receipt.month:%Y-%m} was imported and is not loaded: it lies outside of "
                f"TAXI_START_DATE and TAXI_END_DATE ({partitions})"
            )
    reason = None if requests else dg.SkipReason("No month was imported from the inbox that is to be loaded")
    return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=cursor)


def _is_running(context: dg.SensorEvaluationContext, key: str) -> bool:
    runs = context.instance.get_runs(dg.RunsFilter(tags={INBOX_TAG: key}), limit=1)
    return any(not run.is_finished for run in runs)


def _write_answers(context: dg.SensorEvaluationContext, inbox: Inbox, decision: Decision, gone: set[str]) -> None:
    """Write what a tick itself says of files, and remove what is said of files that are gone."""
    inbox.forget_answers(gone)
    for name in decision.given_up:
        context.log.error(f"{name}: {_GIVEN_UP}")
        inbox.refuse(name, f"{name}: {_GIVEN_UP}")
    for name, reason in decision.unusable.items():
        context.log.error(f"{name!a:.300}: {reason}")
        inbox.refuse(shown_name(name), reason)


def _nothing_to_do(decision: Decision, found: dict[str, str], answered: set[str]) -> str:
    """Why nothing is imported: what is waited for, and how many files were refused before."""
    waiting, refused = len(decision.waiting), len(answered & set(map(shown_name, found)))
    told = [
        *([f"{waiting:,} files are new or still being written"] if waiting else []),
        *([f"refused: {refused:,}, each with the reason beside it"] if refused else []),
    ]
    return "; ".join(told) or "No new file in the inbox"
