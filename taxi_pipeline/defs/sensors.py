"""The sensors: charts for request files, imports of the inbox, and a message when a run fails.

`outputs.requests.request_files` decides which files are new. The sensor of automation conditions is in `automation`,
that of the inbox in `inbox`.
"""

import inspect

import dagster as dg

from taxi_pipeline.defs.failures import message_of
from taxi_pipeline.defs.inbox import build_inbox_sensors
from taxi_pipeline.defs.jobs import trip_requests
from taxi_pipeline.defs.partitions import partitions_in
from taxi_pipeline.defs.resources import AlertsParam, FilesParam
from taxi_pipeline.outputs.requests.request_files import Decision, NewRequest, decide, read_requests, write_errors

MAX_SKIP_REASON = 1_000
"""Characters that the UI shows of refused requests; the rest is beside the files."""


def build_sensors(*, running: bool) -> list[dg.SensorDefinition]:
    """Build the sensors of the code location.

    Args:
        running: true if they are on from the start; otherwise they are switched on in the UI.
    """
    status = dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
    return [
        dg.sensor(
            job_name=trip_requests.name,
            minimum_interval_seconds=30,
            default_status=status,
            description=inspect.getdoc(trip_request_sensor),
        )(trip_request_sensor),
        dg.run_failure_sensor(
            name="run_failure_alert", default_status=status, description=inspect.getdoc(run_failure_alert)
        )(run_failure_alert),
        *build_inbox_sensors(running=running),
    ]


def trip_request_sensor(context: dg.SensorEvaluationContext, files: FilesParam) -> dg.SensorResult:
    """Each JSON file in requests/ becomes a chart in outputs/requests/; one that is edited is drawn again.

    A file that is not a request is logged once and gets a text beside it, <name>.error.txt. The others go on.
    """
    decision = decide(read_requests(files), context.cursor)
    for name, error in decision.new_errors.items():
        context.log.error(f"{name}: {error}")
    write_errors(files, decision.errors)
    return dg.SensorResult(
        run_requests=[_run_request(new) for new in decision.requests],
        skip_reason=None if decision.requests else dg.SkipReason(_nothing_to_draw(decision)),
        cursor=decision.cursor,
    )


def run_failure_alert(context: dg.RunFailureSensorContext, alerts: AlertsParam) -> None:
    """Sends a message to TAXI_ALERT_WEBHOOK_URL and TAXI_CHAT_URLS when a run fails; what is down is logged.

    A run that somebody cancelled sends none, also when it ended with an error because of that.
    """
    run = context.dagster_run
    if context.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.PIPELINE_CANCELING):
        context.log.info(f"No message: somebody cancelled the run {run.run_id}")
        return
    steps = context.get_step_failure_events()
    text = message_of(steps[0]) if steps else context.failure_event.message or ""
    message = alerts.message(
        job=run.job_name,
        partitions=partitions_in(run.tags),
        step=steps[0].step_key if steps else None,
        error=text.strip().partition("\n")[0],
        run_id=run.run_id,
    )
    for problem in alerts.post(message):
        context.log.warning(problem)


def _nothing_to_draw(decision: Decision) -> str:
    """Why no chart is drawn: what is newly refused, and how many files were refused before."""
    if decision.new_errors:
        return "; ".join(f"{name}: {error}" for name, error in decision.new_errors.items())[:MAX_SKIP_REASON]
    refused = len(decision.errors)
    return f"No new request; refused: {refused:,}, each with the reason beside it" if refused else "No new request"


def _run_request(new: NewRequest) -> dg.RunRequest:
    config = {"name": new.name, "request": new.request.model_dump_json()}
    return dg.RunRequest(
        run_key=new.run_key,
        run_config={"ops": {"trip_request": {"config": config}}},
        tags={"taxi/request": new.name},
    )
