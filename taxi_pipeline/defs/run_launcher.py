"""Runs as processes of the code server, which are looked after; `deploy/dagster.yaml` names the class.

Dagster's own launcher starts a run and asks no more. When the code server ends, so do its runs, and without this class
they stay "started" for good, hold the pool of the warehouse, and the runs behind them wait for ever.

Who would miss it: servers whose runs share one machine with the warehouse's DuckDB file, by `deploy/compose.yaml` or
without containers, and clusters that are fed from such a server. On Kubernetes (`deploy/helm-values.yaml`) Dagster's
`K8sRunLauncher` checks the health of runs itself. `DockerRunLauncher` does, too, but takes the Docker socket, which is
root on the host, into the daemon's and the webserver's container, and gives each run a container of its own, where the
containers of Compose have no capabilities and a file system that is read-only. Look again when Dagster's
`DefaultRunLauncher` says that it supports `check_run_worker_health` (it does not in 1.13.27).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from taxi_pipeline.defs.dagster_internals import (
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CheckRunHealthResult,
    ConfigurableClassData,
    DagsterUserCodeUnreachableError,
    WorkerStatus,
)


class CodeServerRunLauncher(dg.DefaultRunLauncher):
    """Starts runs like `DefaultRunLauncher`; `run_monitoring` watches them."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "CodeServerRunLauncher":
        """The launcher."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: `run_monitoring` asks this launcher."""
        return True

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
