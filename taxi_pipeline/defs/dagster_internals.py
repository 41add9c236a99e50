"""The classes of Dagster that are not public, each with its reason and the public way that was looked for (1.13.27).

They are imported when they are used: with them come SQLAlchemy and gRPC. Names of tags are in `dagster_names`.
"""

# A run of `execute_in_process` is listed under its job by its origin, as `dagster run migrate-repository` sets it. The
# public ways to launch a run (`dagster job launch`, GraphQL) need a running code server and one more process.
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME

# A launcher reports a run's health to `run_monitoring`, and asks the code server for it. `DefaultRunLauncher` is
# public, but says that it can't check the health of runs.
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

# The base classes of the storages that `dagster.yaml` names. Public is only how Dagster's own are configured.
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage, SqlRunStorage
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

# The type of what `from_config_value` of such a class gets; no public module has it.
from dagster._serdes import ConfigurableClassData

__all__ = [
    "SINGLETON_REPOSITORY_NAME",
    "CanCancelExecutionRequest",
    "CanCancelExecutionResult",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "DagsterUserCodeUnreachableError",
    "LoadableTargetOrigin",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "SqlEventLogStorage",
    "SqlRunStorage",
    "SqliteEventLogStorage",
    "SqliteRunStorage",
    "WorkerStatus",
]
