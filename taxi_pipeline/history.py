"""Dagster's event log on SQLite, for a process that writes many events: `taxi-pipeline materialize`.

Dagster makes an engine for every event that it stores, and with it a connection and a compiler without memory: 8 to
12 ms an event, and a month of the graph has 500 of them. Here they are kept as long as they are used. What is written,
and where, is Dagster's own; nothing else of this project knows how Dagster stores its events.
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dagster as dg
    from sqlalchemy.engine import Connection, Engine


class KeptConnections(SqliteEventLogStorage):
    """The files of `SqliteEventLogStorage`, with an engine for the index and one for the latest run."""

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir)

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
            for run in [other for other in self._engines if INDEX_SHARD_NAME not in (other, shard)]:
                self._engines.pop(run).dispose()
            self._engines[shard] = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                # Dagster's lock keeps threads from using one at the same time.
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
        return self._engines[shard]

    def dispose(self) -> None:
        """Close what is kept."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()


def keep_connections(instance: "dg.DagsterInstance") -> None:
    """Let the instance keep the connections to its event log, if that is Dagster's own on SQLite."""
    storage: Any = instance.event_log_storage
    if type(storage) is SqliteEventLogStorage:
        kept = KeptConnections(storage._base_dir)
        kept.register_instance(instance)
        instance._event_storage = kept
