"""Locks between processes on the files of an object store: of several machines by Postgres, else of this one.

Nothing is lost without them: an object is replaced whole, and a fetched file is loaded only if it is the one that was
verified. They keep two runs from doing the same work, and an older result from replacing a newer one.
"""

import hashlib
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from taxi_pipeline.storage.whole_files import LOCK_TIMEOUT_SECONDS, FileInUseError, StorageError, locked


class Locks(ABC):
    """Locks by name, which end with the process that holds them."""

    @abstractmethod
    def holding(self, names: Sequence[str]) -> AbstractContextManager[None]:
        """Hold the locks on these names, in one order for all processes, until the block ends.

        Raises:
            FileInUseError: another process holds one of them for too long; names the process.
            StorageError: locks can't be had.
        """


class PostgresLocks(Locks):
    """Advisory locks of a Postgres database. The server ends them with the connection, so with the process."""

    def __init__(self, url: str, *, space: str, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> None:
        """Nothing is opened yet.

        Args:
            url: of the database.
            space: tells the names of one storage from those of another in the same database.
            timeout_seconds: how long to wait for another process.
        """
        self._url = url.replace("postgresql+psycopg2://", "postgresql://")
        self._space = space
        self._timeout_seconds = timeout_seconds

    @contextmanager
    def holding(self, names: Sequence[str]) -> Iterator[None]:
        """A session of the database for as long as the block runs."""
        with closing(self._connect()) as connection:
            for name in sorted(set(names)):
                self._acquire(connection, name)
            yield

    def _connect(self) -> Any:
        import psycopg2

        try:
            connection = psycopg2.connect(
                self._url,
                connect_timeout=10,
                keepalives_idle=30,
                application_name=f"taxi-pipeline {_this_process()}"[:63],
            )
        except psycopg2.OperationalError as error:
            reason = str(error).strip().partition("\n")[0]
            raise StorageError(
                f"the Postgres database that holds the locks can't be reached: {reason}. Start it, then run again"
            ) from None
        connection.autocommit = True
        return connection

    def _acquire(self, connection: Any, name: str) -> None:
        import psycopg2

        key = int.from_bytes(hashlib.sha256(f"{self._space} {name}".encode()).digest()[:8], signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{self._timeout_seconds * 1000:.0f}ms",))
            try:
                cursor.execute("SELECT pg_advisory_lock(%s)", (key,))
            except psycopg2.errors.LockNotAvailable:
                cursor.execute(_HOLDER, (key >> 32, key & 0xFFFFFFFF))
                holder = cursor.fetchone()
                raise FileInUseError(
                    f"{holder[0] if holder else 'another process'} has locked {name} for more than "
                    f"{self._timeout_seconds:g} s. "
                    "Nothing was changed; wait until it is done or stop it, then run again"
                ) from None


_HOLDER = """
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid::bigint = (%s & 4294967295) AND objid::bigint = %s
"""


class MachineLocks(Locks):
    """Locks of this machine: empty files in a folder that its processes share. Other machines are not kept out."""

    def __init__(self, folder: Path, *, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> None:
        """Nothing is opened yet.

        Args:
            folder: holds the lock files.
            timeout_seconds: how long to wait for another process.
        """
        self._folder = folder
        self._timeout_seconds = timeout_seconds

    @contextmanager
    def holding(self, names: Sequence[str]) -> Iterator[None]:
        """Lock one file per name as long as the block runs."""
        with ExitStack() as stack:
            for name in sorted(set(names)):
                stack.enter_context(locked(self._folder / name, timeout_seconds=self._timeout_seconds))
            yield


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
