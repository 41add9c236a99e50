"""Locks between processes, of one machine or of several, on the files of an object store.

Nothing is lost without them: an object is replaced whole, and a fetched file is loaded only if it is the one that was
verified. They keep two runs from doing the same work, and an older result from replacing a newer one.
"""

import hashlib
import json
import os
import socket
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxi_pipeline.storage.bucket import Bucket, ChangedError, ConditionsUnknownError, ExistsError
from taxi_pipeline.storage.interface import MissingFileError
from taxi_pipeline.storage.whole_files import LOCK_TIMEOUT_SECONDS, FileInUseError, StorageError, locked, replacing


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
                raise _in_use(name, self._timeout_seconds, holder[0] if holder else "another process") from None


_HOLDER = """
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid::bigint = (%s & 4294967295) AND objid::bigint = %s
"""


class LeaseLocks(Locks):
    """For a storage without Postgres: a lock of this machine, and a lease in the store for the other machines.

    A lease is an object that its holder renews. When it has not changed for some time, by the clock of who waits, its
    holder is dead. One of this machine is dead at once, because the lock of the machine ended with it. Between machines
    this rests on the conditional writes of the store; S3, Google Cloud Storage and Azure have them.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        machine: Path,
        lease_seconds: float = 60,
        timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        """Nothing is requested yet.

        Args:
            bucket: holds the leases.
            machine: a folder that the processes of this machine share.
            lease_seconds: how long a lease lasts that nobody renews.
            timeout_seconds: how long to wait for another process.
        """
        self._bucket = bucket
        self._machine = machine
        self._lease_seconds = lease_seconds
        self._timeout_seconds = timeout_seconds

    @contextmanager
    def holding(self, names: Sequence[str]) -> Iterator[None]:
        """The locks of this machine first, so that its processes do not rest on the store."""
        with ExitStack() as stack:
            for name in sorted(set(names)):
                stack.enter_context(locked(self._machine / name, timeout_seconds=self._timeout_seconds))
                stack.enter_context(self._leased(name))
            yield

    @contextmanager
    def _leased(self, name: str) -> Iterator[None]:
        lease = _Lease(self._bucket, name, machine=_identity_of(self._machine))
        self._acquire(lease, name)
        stopped = threading.Event()
        renewing = threading.Thread(
            target=_renew, args=(lease, stopped, self._lease_seconds / 4), name=f"lease on {name}", daemon=True
        )
        renewing.start()
        try:
            yield
        finally:
            stopped.set()
            renewing.join()
            lease.release()

    def _acquire(self, lease: "_Lease", name: str) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        seen, seen_at = None, time.monotonic()
        while not lease.create():
            current = lease.current()
            if current != seen:
                seen, seen_at = current, time.monotonic()
            is_dead = current and (current.machine == lease.machine or time.monotonic() - seen_at > self._lease_seconds)
            if current and is_dead and lease.take_over(current):
                return
            if time.monotonic() > deadline:
                raise _in_use(name, self._timeout_seconds, current.holder if current else "another process")
            if not is_dead:
                time.sleep(min(0.5, self._lease_seconds / 10))


@dataclass(frozen=True)
class _Held:
    """A version of a lease."""

    version: str
    """Its ETag."""
    holder: str
    machine: str


class _Lease:
    """The object by which a process shows the others that it holds a lock."""

    def __init__(self, bucket: Bucket, name: str, *, machine: str) -> None:
        folder, _, last = name.rpartition("/")
        self.machine = machine
        self._bucket = bucket
        self._name = f"{folder}/.{last}.lease" if folder else f".{last}.lease"
        self._token = str(uuid.uuid4())
        self._version: str | None = None

    def create(self) -> bool:
        """Whether there was none, so that it is ours now."""
        try:
            self._version = self._bucket.put(self._name, self._content(), create=True)
        except (ChangedError, ExistsError):
            return False
        return self._is_ours()

    def take_over(self, dead: _Held) -> bool:
        """Whether it was still this version, and is ours now."""
        try:
            self._version = self._replace(dead.version)
        except (ChangedError, MissingFileError):
            return False
        return self._is_ours()

    def current(self) -> _Held | None:
        """The current version; None when there is none."""
        try:
            content, version = self._bucket.read(self._name)
        except MissingFileError:
            return None
        try:
            found = json.loads(content)
            return _Held(version, str(found["holder"]), str(found["machine"]))
        except (ValueError, TypeError, KeyError):
            return _Held(version, "another process", "")

    def renew(self) -> bool:
        """Write it anew; whether it was still ours."""
        try:
            self._version = self._replace(self._version or "")
        except ChangedError:
            current = self.current()  # when the answer to the last write was lost, its version is not known
            if current is None or (current.holder, current.machine) != (_this_process(), self.machine):
                return False
            self._version = current.version
        except MissingFileError:
            return False
        return True

    def release(self) -> None:
        """Remove it, if it is ours; otherwise it is another's, or it is not there."""
        with suppress(StorageError):  # then it ends by itself
            if self._is_ours():
                self._bucket.delete(self._name)

    def _is_ours(self) -> bool:
        """A store whose conditions are not atomic lets several write; the last one has the lease."""
        current = self.current()
        return current is not None and current.version == self._version

    def _replace(self, version: str) -> str:
        try:
            return self._bucket.put(self._name, self._content(), replaces=version)
        except ConditionsUnknownError:  # the next best
            current = self.current()
            if current is None or current.version != version:
                raise ChangedError(self._name) from None
            return self._bucket.put(self._name, self._content())

    def _content(self) -> bytes:
        content = {
            "holder": _this_process(),
            "machine": self.machine,
            # These make each version another one.
            "token": self._token,
            "written_at": time.time(),
        }
        return json.dumps(content).encode()


def _identity_of(machine: Path) -> str:
    """What tells this machine from others: kept in its folder, because names of machines are not unique."""
    file = machine / "identity"
    with locked(file):
        if not file.is_file():
            with replacing(file) as new:
                new.write_text(str(uuid.uuid4()))
        return file.read_text()


def _renew(lease: _Lease, stopped: threading.Event, seconds: float) -> None:
    while not stopped.wait(seconds):
        with suppress(StorageError):  # a store that fails for now is asked again
            if not lease.renew():
                return


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _in_use(name: str, seconds: float, holder: str) -> FileInUseError:
    return FileInUseError(
        f"{holder} has locked {name} for more than {seconds:g} s. "
        "Nothing was changed; wait until it is done or stop it, then run again"
    )
