"""Dagster's history of runs and events in SQLite, as the UI shows it right; `dagster.yaml` names these classes.

What they change, and what is seen of it (measured with Dagster 1.13.27; look at each again with a new minor version):

- `DistinctMilliseconds`: the UI shows all events of an asset; without it, it skips those that share a millisecond.
- `PartitionsByTags`: a check of a month's run is one check; without it, the UI shows 31, 30 of them as skipped.
- `SettledRuns`: a run whose process died is retried; without it, it is not when the daemon looks too soon.
- `OneDaemon`: a second daemon on the same instance ends; without it, both launch the same run.
- `EventStorage` keeps its database engines, and with them connections and compiled statements. Dagster makes an engine
  for every event; a month of the graph then takes 10 % more CPU time, and 3 s longer of 17.
- A deleted run leaves neither its file nor its tags; without it, 2 MB of a loaded month stay.

What is written, and where, is Dagster's own, so either class can read what the other wrote. They override methods that
Dagster calls internal; when those are not what they were, Dagster's own class is used instead, with a warning.
"""

import logging
import os
import threading
import time
import warnings
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import EventLogEntry

from taxi_pipeline.defs.dagster_internals import (
    SqlEventLogStorage,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqlRunStorage,
)
from taxi_pipeline.storage.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import dagster as dg
    from filelock import FileLock
    from sqlalchemy.engine import Connection, Engine

_log = logging.getLogger("dagster.daemon")

LOCK_TIMEOUT_SECONDS = 60
"""Seconds that SQLite waits for another process that writes."""

SETTLING_SECONDS = 10
"""Seconds after which the status of a run that failed is stored, however busy the database is."""

_INDEX = "index"
"""The database of all runs; each run has one of its own beside it."""


def history_folder() -> Path:
    """The default folder of Dagster's history: under DAGSTER_HOME, or under the current folder without it."""
    return Path(os.environ.get("DAGSTER_HOME") or Path.cwd()) / "history"


class DistinctMilliseconds(SqlEventLogStorage):
    """Gives each event of a process a millisecond of its own, whatever database the events go to.

    The UI pages an asset's events by millisecond: of those that share one it shows some and skips the others.
    """

    _latest_milliseconds = 0

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, a millisecond after the one before if they would share one."""
        milliseconds = max(int(event.timestamp * 1000), self._latest_milliseconds + 1)
        if milliseconds > int(event.timestamp * 1000):
            event = event._replace(timestamp=milliseconds / 1000)
        self._latest_milliseconds = milliseconds
        super().store_event(event)


class SettledRuns(SqlEventLogStorage):
    """Gives the daemon the end of a run only when all that follows from it is stored, too.

    Dagster stores the failure of a run first, then the run's status, then whether it is retried. The daemon reads each
    failure once. When it reads one between the first and the last, the run is not retried, and its backfill waits for
    the retry for good. On a busy server it does so often: what finds dead runs and what retries them look at the same
    seconds.
    """

    def get_logs_for_all_runs_by_log_id(
        self, after_cursor: int = -1, dagster_event_type: Any = None, limit: int | None = None
    ) -> dict[int, EventLogEntry]:
        """Id → event, up to the first one that is younger than `SETTLING_SECONDS`."""
        found = super().get_logs_for_all_runs_by_log_id(after_cursor, dagster_event_type, limit)
        settled_at = time.time() - SETTLING_SECONDS
        return dict(takewhile(lambda item: item[1].timestamp <= settled_at, found.items()))


class PartitionsByTags(SqlRunStorage):
    """Stores runs without their `partitions_subset`, so that only the tags of a run name its partitions.

    From a run's `partitions_subset` Dagster plans these partitions for everything in the run, also for assets and
    checks without partitions: with a month's 24 checks that is 744 evaluations that never come, and that the UI calls
    skipped. From the tags it plans them for the assets that have them.
    """

    def add_run(self, dagster_run: "dg.DagsterRun") -> "dg.DagsterRun":
        """Store the run, and return it as it is stored."""
        return super().add_run(dagster_run._replace(partitions_subset=None))


class EventStorage(DistinctMilliseconds, SqliteEventLogStorage):
    """Keeps `SqliteEventLogStorage`'s files with one engine for the index and one for the latest run."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """No configuration: the files lie where Dagster keeps them by default."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> SqliteEventLogStorage:  # noqa: ARG003
        """This storage; Dagster's own when this one does not work with it."""
        folder = str(history_folder() / "runs")

        def ours() -> EventStorage:
            storage = cls(folder, inst_data)
            with storage.index_connection():
                return storage

        return or_dagsters_own(ours, lambda: SqliteEventLogStorage(folder, inst_data))

    @contextmanager
    def _connect(self, shard: str) -> "Iterator[Connection]":
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> "Engine":
        from sqlalchemy import create_engine
        from sqlalchemy.pool import QueuePool

        if shard not in self._engines:
            for run in [other for other in self._engines if _INDEX not in (other, shard)]:
                self._engines.pop(run).dispose()
            self._engines[shard] = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                # Dagster's lock keeps threads from using one connection at the same time.
                connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False},
            )
        return self._engines[shard]

    def delete_events(self, run_id: str) -> None:
        """Delete the events of a run, and the file that holds nothing else."""
        super().delete_events(run_id)
        with self._db_lock:
            if run_id in self._engines:
                self._engines.pop(run_id).dispose()
            self._initialized_dbs.discard(run_id)
            path = Path(self.path_for_shard(run_id))
            for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                file.unlink(missing_ok=True)

    def dispose(self) -> None:
        """Close what is kept open."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()


class OneDaemon(SqliteRunStorage):
    """Lets one daemon at a time work on the instance of a machine: two `dg dev` would launch each run twice.

    Each thread of a daemon gives a sign of life before it does anything else. The first sign takes a lock, which ends
    with the process; without it the thread ends, and with its threads the daemon.
    """

    _threads = threading.Lock()
    _lock: "FileLock | None" = None
    _is_the_one: bool | None = None

    def add_daemon_heartbeat(self, daemon_heartbeat: Any) -> None:
        """Store a sign of life.

        Raises:
            SystemExit: another daemon works on the instance.
        """
        with self._threads:
            if self._is_the_one is None:
                self._is_the_one = self._take_the_lock()
        if not self._is_the_one:
            raise SystemExit(1)
        super().add_daemon_heartbeat(daemon_heartbeat)

    def _take_the_lock(self) -> bool:
        from filelock import FileLock, Timeout

        file = history_folder() / "daemon.lock"
        self._lock = FileLock(
            file, timeout=0, thread_local=False, on_acquired=lambda handle: write_whole(handle, f"{os.getpid()}\n")
        )
        try:
            self._lock.acquire()
        except Timeout:
            _log.error(
                "Process %s is the daemon of the instance %s; a second one would launch each run twice, so this one "
                "ends. The other one launches the runs of this UI. For a daemon of its own, set another DAGSTER_HOME",
                file.read_text().strip() or "?",
                history_folder().parent,
            )
            return False
        return True


class RunStorage(PartitionsByTags, OneDaemon, SqliteRunStorage):
    """Keeps `SqliteRunStorage`'s files, where only the tags of a run name its partitions, and one daemon works."""

    @classmethod
    def config_type(cls) -> Any:
        """No configuration: the files lie where Dagster keeps them by default."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> SqliteRunStorage:  # noqa: ARG003
        """This storage; Dagster's own when this one does not work with it."""
        folder = str(history_folder())
        return or_dagsters_own(
            lambda: cls.from_local(folder, inst_data), lambda: SqliteRunStorage.from_local(folder, inst_data)
        )

    def delete_run(self, run_id: str) -> None:
        """Delete a run with its tags: SQLite does not follow the reference between the two tables by itself."""
        from sqlalchemy import text

        with self.connect() as connection:
            connection.execute(text("DELETE FROM run_tags WHERE run_id = :run_id"), {"run_id": run_id})
        super().delete_run(run_id)


def or_dagsters_own(ours: "Callable[[], Any]", dagsters_own: "Callable[[], Any]", module: str = __name__) -> Any:
    """Make our storage; Dagster's own, with a warning, when ours does not fit this version of Dagster.

    Args:
        ours: makes our storage, and uses it.
        dagsters_own: makes Dagster's storage.
        module: module of our storage, for the warning.
    """
    try:
        return ours()
    except (AttributeError, TypeError) as error:
        warnings.warn(
            f"{module} does not fit this version of Dagster ({error}). Dagster's own storage "
            "is used: runs take longer. Replace the blocks run_storage and event_log_storage in dagster.yaml",
            stacklevel=2,
        )
        return dagsters_own()
