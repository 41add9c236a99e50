"""Launchers whose runs `run_monitoring` looks after; `dagster.yaml` and `deploy/dagster.yaml` name the classes.

Dagster's own launcher starts a run and asks no more. When the process of a run ends without a word (killed, out of
memory, power loss), the run stays "started" for good, holds the pool of the warehouse, and the runs behind it wait for
ever. On one machine `LocalRunLauncher` looks whether the process lives. On a server the daemon sees no processes of the
code server's container, so `CodeServerRunLauncher` asks the code server.

Who would miss the second: servers whose runs share one machine with the warehouse's DuckDB file, by
`deploy/compose.yaml` or without containers, and clusters that are fed from such a server. On Kubernetes
(`deploy/helm-values.yaml`) Dagster's `K8sRunLauncher` checks the health of runs itself. `DockerRunLauncher` does, too,
but takes the Docker socket, which is root on the host, into the daemon's and the webserver's container, and gives each
run a container of its own, where the containers of Compose have no capabilities and a file system that is read-only.
Look again when Dagster's `DefaultRunLauncher` says that it supports `check_run_worker_health` (it does not in 1.13.27).
"""

import os
import subprocess
import time
from collections.abc import Mapping
from typing import Any, Self

import dagster as dg

from taxi_pipeline.defs.dagster_internals import (
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CheckRunHealthResult,
    ConfigurableClassData,
    DagsterUserCodeUnreachableError,
    WorkerStatus,
)


class _WatchedRunLauncher(dg.DefaultRunLauncher):
    """Starts runs like `DefaultRunLauncher`; `run_monitoring` asks it for their health."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The launcher."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: `run_monitoring` asks this launcher."""
        return True


class LocalRunLauncher(_WatchedRunLauncher):
    """Starts runs like `DefaultRunLauncher`, on the machine on which all runs are; `run_monitoring` watches them.

    The console's runs are watched as well: each run notes the id of its process in its own log.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Look whether the process that the run noted last is there. A run that has noted none is left alone."""
        noted = [
            (int(str(pid.value)), entry.timestamp)
            for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
            if entry.dagster_event and (pid := entry.dagster_event.engine_event_data.metadata.get("pid"))
        ]
        if not noted or process_lives(*noted[-1]):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        pid, _ = noted[-1]
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"process {pid} of the run is gone: it was killed, or the machine was switched off"
        )


def process_lives(pid: int, seen_at: float) -> bool:
    """True if a process of this machine is still the one that had the id.

    Args:
        pid: id of the process.
        seen_at: when the process had it, in seconds since 1970. After a restart of the machine another may have it.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    try:
        command = ["ps", "-o", "stat=", "-o", "etime=", "-p", str(pid)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - a number
        state, _, age = shown.partition(" ")
    except (OSError, subprocess.CalledProcessError):
        return True  # a system without `ps`; or it has just ended, which the next look shows
    return not state.startswith("Z") and time.time() - _seconds_of(age) <= seen_at + _CLOCK_SECONDS


_CLOCK_SECONDS = 5
"""How far the clock may have been moved between the start of a process and the look at it."""


def _seconds_of(age: str) -> int:
    """Seconds of an elapsed time as `ps` writes it: `[[days-]hours:]minutes:seconds`."""
    days, _, clock = age.strip().rpartition("-")
    hours, minutes, seconds = ([0, 0] + [int(part) for part in clock.split(":")])[-3:]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


class CodeServerRunLauncher(_WatchedRunLauncher):
    """Starts runs like `DefaultRunLauncher`; `run_monitoring` watches them."""

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the code server whether it has the run; one that can't be reached is asked again the next time."""
        # None of a run that has ended meanwhile.
        if (server := self._get_grpc_client_for_termination(run.run_id)) is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            answer = server.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code server can't be reached")
        if dg.deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code server was restarted while the run was going on")
