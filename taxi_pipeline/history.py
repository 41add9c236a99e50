"""Dagster's history of runs and events on SQLite, for a process that writes many events: `taxi-pipeline materialize`.

Dagster makes an engine for every event that it stores, and with it a connection and a compiler without memory, asks
which tables and columns there are, and waits until the disk has it: 8 to 12 ms an event, and a month of the graph has
hundreds of them. Here the engines are kept as long as they are used, and so is what they answered; and no partition is
planned for what has none. What is written, and where, is Dagster's own; nothing else of this project knows how Dagster
stores its history.
"""

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dagster as dg
    from sqlalchemy.engine import Connection, Engine


class KeptConnections(SqliteEventLogStorage):
    """The files of `SqliteEventLogStorage`, with an engine for the index and one for the latest run.

    A process that is killed leaves what it stored, as Dagster does. When the machine itself loses its power, the last
    events may be missing; the files are sound, and running the same again records it again.
    """

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, Engine] = {}
        self._has: dict[str, bool] = {}
        self._transactions: ExitStack | None = None
        self._begun: dict[str, Connection] = {}
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> "Iterator[Connection]":
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            if self._transactions is None:
                with engine.connect() as connection, connection.begin():
                    yield connection
                return
            if shard not in self._begun:
                connection = self._transactions.enter_context(engine.connect())
                self._transactions.enter_context(connection.begin())
                self._begun[shard] = connection
            yield self._begun[shard]

    def store_event_batch(self, events: "Sequence[dg.EventLogEntry]") -> None:
        """Store events in one transaction for each file.

        Dagster hands over together what is planned for a run, and the materializations of a step, when
        DAGSTER_EVENT_BATCH_SIZE is set.
        """
        self._transactions = ExitStack()
        try:
            with self._transactions:
                super().store_event_batch(events)
        finally:
            self._transactions, self._begun = None, {}

    def has_table(self, table_name: str) -> bool:
        """Whether the index has the table; asked once, because only `dagster instance migrate` adds one."""
        if table_name not in self._has:
            self._has[table_name] = super().has_table(table_name)
        return self._has[table_name]

    def _has_asset_key_col_on_connection(self, conn: "Connection", column_name: str) -> bool:
        key = f"asset_keys.{column_name}"
        if key not in self._has:
            self._has[key] = super()._has_asset_key_col_on_connection(conn, column_name)
        return self._has[key]

    def _engine(self, shard: str) -> "Engine":
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import QueuePool

        if shard not in self._engines:
            for run in [other for other in self._engines if INDEX_SHARD_NAME not in (other, shard)]:
                self._engines.pop(run).dispose()
            self._engines[shard] = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                # Dagster's lock keeps threads from using one at the same time.
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            # Sound with a write-ahead log, which Dagster's files have: https://www.sqlite.org/pragma.html#pragma_synchronous
            event.listen(
                self._engines[shard], "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL")
            )
        return self._engines[shard]

    def dispose(self) -> None:
        """Close what is kept."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()


class RunsWithoutSubset(SqliteRunStorage):
    """The files of `SqliteRunStorage`, where the partitions of a run stand in its tags alone.

    From a run's `partitions_subset` Dagster plans these partitions for everything in the run, also for assets and
    checks without partitions: with a month's 24 checks that is 744 evaluations that never come, and that the UI calls
    skipped. From the tags it plans them for the assets that have them.
    """

    def add_run(self, dagster_run: "dg.DagsterRun") -> "dg.DagsterRun":
        """Store the run, and give it back as it is stored."""
        return super().add_run(dagster_run._replace(partitions_subset=None))


def adapt_history(instance: "dg.DagsterInstance") -> None:
    """Let the instance write its history in the ways of this module, if it is Dagster's own on SQLite."""
    events: Any = instance.event_log_storage
    if type(events) is SqliteEventLogStorage:
        instance._event_storage = KeptConnections(events._base_dir)
        instance._event_storage.register_instance(instance)
    runs: Any = instance.run_storage
    if type(runs) is SqliteRunStorage:
        instance._run_storage = RunsWithoutSubset(runs._conn_string)
        instance._run_storage.register_instance(instance)
