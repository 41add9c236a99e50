"""The sensors: requests that people drop into a folder, and telling of runs that failed.

Which files are new is decided in `trip_requests`, without Dagster. The sensor of conditions is in `automation`.
"""

import inspect
from contextlib import suppress
from pathlib import Path

import dagster as dg

from taxi_pipeline.jobs import trip_requests
from taxi_pipeline.partitions import partitions_in
from taxi_pipeline.resources import Alerts, FileStore
from taxi_pipeline.trip_requests import REQUESTS_FOLDER, SUFFIX, Decision, NewRequest, decide, read_requests


def build_sensors(*, running: bool) -> list[dg.SensorDefinition]:
    """The sensors of the code location.

    Args:
        running: whether they are on until somebody switches them off, instead of the other way round.
    """
    status = dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
    return [
        dg.sensor(
            job=trip_requests,
            minimum_interval_seconds=30,
            default_status=status,
            description=inspect.getdoc(trip_request_sensor),
        )(trip_request_sensor),
        dg.run_failure_sensor(
            name="run_failure_alert", default_status=status, description=inspect.getdoc(run_failure_alert)
        )(run_failure_alert),
    ]


def trip_request_sensor(context: dg.SensorEvaluationContext, files: FileStore) -> dg.SensorResult:
    """Each JSON file in `requests/` becomes a chart in `outputs/requests/`; one that is edited is drawn again.

    A file that is no request is told here and in `<name>.error.txt` beside it, and keeps no other waiting.
    """
    folder = files.path(REQUESTS_FOLDER)
    decision = decide(read_requests(folder), context.cursor)
    for name, error in decision.errors.items():
        context.log.error(f"{name}: {error}")
    _tell_beside(folder, decision)
    skipped = "; ".join(f"{name}: {error}" for name, error in decision.errors.items()) or "No new request"
    return dg.SensorResult(
        run_requests=[_run_request(new) for new in decision.requests],
        skip_reason=None if decision.requests else dg.SkipReason(skipped),
        cursor=decision.cursor,
    )


def run_failure_alert(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
    """Tells `TAXI_ALERT_WEBHOOK_URL` of a failed run; when that can't be reached, it says so and goes on."""
    run = context.dagster_run
    steps = context.get_step_failure_events()
    data = steps[0].step_failure_data if steps else None
    error = data.error if data else None
    raised = error.cause or error if error else None
    message = alerts.message(
        job=run.job_name,
        partitions=partitions_in(run.tags),
        step=steps[0].step_key if steps else None,
        error=(raised.message if raised else context.failure_event.message or "").strip().partition("\n")[0],
        run_id=run.run_id,
    )
    if problem := alerts.post(message):
        context.log.warning(problem)


def _tell_beside(folder: Path, decision: Decision) -> None:
    """Keep a text beside each bad file, and none beside a good one."""
    texts = {f"{name}.error.txt": error for name, error in decision.errors.items()}
    with suppress(OSError):  # the folder may be read-only; the tick's log has it, too
        for path in folder.glob(f"*{SUFFIX}.error.txt"):
            if path.name not in texts:
                path.unlink(missing_ok=True)
        for name, text in texts.items():
            path = folder / name
            if not path.is_file() or path.read_text(encoding="utf-8") != f"{text}\n":
                path.write_text(f"{text}\n", encoding="utf-8")


def _run_request(new: NewRequest) -> dg.RunRequest:
    config = {"name": new.name, "request": new.request.model_dump_json()}
    return dg.RunRequest(
        run_key=new.run_key,
        run_config={"ops": {"trip_request": {"config": config}}},
        tags={"taxi/request": new.name},
    )
