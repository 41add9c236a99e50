"""The copy of the warehouse that is asked, made again when the warehouse was written to.

A copy, and not the warehouse itself: DuckDB keeps a writer out as long as anybody reads, so questions that come all the
time would keep runs waiting, and a question would wait for a run. What it costs is the disk for one copy, and its time
once after a write: 1 s for 1 GB. Who asks, and what, is not decided here.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from taxi_pipeline.storage import StorageError
from taxi_pipeline.storage.whole_files import FileInUseError, locked, replacing
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import NothingLoadedError, Session, WarehouseUnavailableError

_LONGEST_WAIT_SECONDS = 120
"""For another process that makes the same copy."""
_ATTEMPTS = 3
"""A copy that was found can be removed before it is opened, because a newer one was made."""


class KeptCopy:
    """A copy of the warehouse in a folder of this machine, which several processes share."""

    def __init__(self, warehouse: DuckDBWarehouse, folder: Path, *, rest: float = 10) -> None:
        """Nothing is copied yet.

        Args:
            warehouse: what is copied.
            folder: holds the copy and nothing else.
            rest: how many times as long as copying took this process then answers from the copy, however often the
                warehouse is written to meanwhile.
        """
        self._warehouse = warehouse
        self._folder = folder
        self._rest = rest
        self._rests_until = 0.0

    def current(self) -> Path:
        """The file to read, which nobody writes to.

        It is as new as the warehouse, or of a moment before: while a run writes all the time, and while it rests.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the warehouse was written to all the time, and there is no older copy.
            StorageError: the disk refuses the copy, and there is no older one.
            FileInUseError: another process copies for minutes, and there is no older copy.
        """
        state = self._warehouse.state()
        if state is None:
            raise NothingLoadedError(self._warehouse.location)
        path = self._folder / f"{sha256(state.encode()).hexdigest()[:16]}.duckdb"
        if path.is_file():
            return path
        older = self._newest()
        if older and time.monotonic() < self._rests_until:
            return older
        try:
            self._make(path)
        except NothingLoadedError:
            raise
        except (WarehouseUnavailableError, StorageError, FileInUseError):
            if older is None or not older.is_file():
                raise
            return older
        return path

    def written_at(self) -> float | None:
        """When the warehouse itself was last written to, in seconds since 1970; None where there is none."""
        return self._warehouse.written_at()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session on the copy, for questions of our own; it must be short.

        Raises: see `current`.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            path = self.current()
            try:
                with DuckDBWarehouse(path, threads=2).read() as session:
                    yield session
                    return
            except WarehouseUnavailableError:
                if path.is_file() or attempt == _ATTEMPTS:
                    raise

    def _newest(self) -> Path | None:
        """The newest copy that is whole; None where there is none."""
        found: list[tuple[float, Path]] = []
        for path in self._folder.glob("[!.]*.duckdb"):
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime, path))
        return max(found)[1] if found else None

    def _make(self, path: Path) -> None:
        with locked(self._folder / "copy", timeout_seconds=_LONGEST_WAIT_SECONDS):
            if path.is_file():  # by now
                return
            began = time.monotonic()
            with replacing(path) as draft:
                self._warehouse.copy_to(draft)
                # One of an older version gets its missing tables now, while nobody else reads the copy.
                with DuckDBWarehouse(draft).read():
                    pass
            for other in self._folder.iterdir():
                if other.is_file() and other != path:  # who has it open keeps reading it
                    other.unlink(missing_ok=True)
            self._rests_until = time.monotonic() + self._rest * (time.monotonic() - began)
