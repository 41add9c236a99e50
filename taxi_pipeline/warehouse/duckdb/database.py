"""The DuckDB file: sessions, transactions, waiting for other processes, copies."""

import logging
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.storage import StorageError
from taxi_pipeline.storage.whole_files import explaining_disk_errors, make_folder, replacing
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.interface import NothingLoadedError, Warehouse, WarehouseUnavailableError
from taxi_pipeline.warehouse.tables import (
    LOADED_DAYS,
    MONTH_COLUMN_CHANGES,
    TABLES,
    TLC_INDICATORS,
    TRIP_HISTOGRAMS,
    TRIPS,
    WAREHOUSE_VERSION,
    ZONE_HOURLY_VOIDS,
    ZONE_NEIGHBORS,
    Table,
)
from taxi_pipeline.warehouse.views import VIEWS

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__).info


class DuckDBWarehouse(Warehouse):
    """The tables in a DuckDB file.

    While one process writes, no other can read, and readers keep a writer out. A process that finds the file locked
    waits, then fails with the process id of the holder.
    """

    def __init__(
        self,
        database: Path,
        *,
        memory_limit: str = "1GB",
        threads: int | None = None,
        lock_timeout_seconds: float = 60,
        log: Callable[[str], object] = _log,
    ) -> None:
        """Nothing is opened yet.

        Args:
            database: the DuckDB file.
            memory_limit: as DuckDB spells it.
            threads: None for one per core.
            lock_timeout_seconds: how long to wait for a file that another process holds.
            log: gets a sentence before a wait.
        """
        self.database = database
        self._memory_limit = memory_limit
        self._threads = threads
        self._lock_timeout_seconds = lock_timeout_seconds
        self._log = log

    @property
    def location(self) -> str:
        """The path of the file."""
        return str(self.database)

    @contextmanager
    def read(self) -> Iterator[DuckDBSession]:
        """A read-only session; several processes can have one at the same time.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: another process holds the file.
        """
        if not self.database.is_file():
            raise NothingLoadedError(self.location)
        with closing(self._connect(read_only=True)) as connection:
            session = DuckDBSession(connection)
            # A process killed in the very first transaction leaves a file without tables.
            if not session.column_types(TRIPS.name):
                raise NothingLoadedError(self.location)
            if not _is_older(session):
                yield session
                return
        with self.write():
            pass  # of an older version: it gets the tables and columns that were declared since
        with closing(self._connect(read_only=True)) as connection:
            yield DuckDBSession(connection)

    @contextmanager
    def write(self) -> Iterator[DuckDBSession]:
        """A session that is one transaction: all of it is kept when the block ends, nothing when it raises.

        The tables exist in it. `warehouse_version` is one higher afterwards.

        Raises:
            WarehouseUnavailableError: another process holds the file, or it can't be made.
            StorageError: the disk does not take what is written.
        """
        import duckdb

        make_folder(self.database.parent)
        with closing(self._connect(read_only=False)) as connection:
            try:
                connection.begin()
                session = DuckDBSession(connection)
                self._make_tables(session)
                yield session
                session.execute("UPDATE warehouse_version SET version = version + 1")
                connection.commit()
            except duckdb.Error as error:
                if "Could not write" not in str(error):  # of several classes, inside the block or at the commit
                    raise
                raise StorageError(
                    f"{self.database} can't be written: {error}. The tables are as they were before; "
                    "free some space, then run again"
                ) from error

    def _make_tables(self, session: DuckDBSession) -> None:
        """Make the views and missing tables, and give tables of an older version the columns that were declared since.

        Raises:
            WarehouseUnavailableError: a table differs in another way.
        """
        for table in TABLES:
            found = session.column_types(table.name)
            if not found:
                session.execute(table.create_sql())
                if table is WAREHOUSE_VERSION:
                    session.replace(table, [(0,)])
            elif found != table.column_types:
                self._add_new_columns(session, table, found)
        for view in VIEWS:
            session.execute(view.create_sql())

    def _add_new_columns(self, session: DuckDBSession, table: Table, found: Mapping[str, str]) -> None:
        new = table.columns[len(found) :]
        if not _begins(table, found) or not all(column.nullable for column in new):
            raise WarehouseUnavailableError(
                f"{self.database} was made by another version: its table {table.name} has the columns "
                f"{', '.join(found)}, where {', '.join(table.column_names)} are expected. Move the file away and "
                "materialize the days again: the published files are still in raw/"
            )
        for column in new:
            session.execute(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type}")

    @contextmanager
    def read_without_waiting(self) -> Iterator[DuckDBSession]:
        """Open a session like `read`; if another process keeps holding the file, on a copy of it.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the file was written to all the time.
        """
        try:
            with DuckDBWarehouse(self.database, lock_timeout_seconds=1).read() as session:
                yield session
                return
        except NothingLoadedError:
            raise
        except WarehouseUnavailableError:
            pass
        with tempfile.TemporaryDirectory() as folder, self.read_copy(Path(folder) / "copy.duckdb") as session:
            yield session

    @contextmanager
    def read_copy(self, path: Path) -> Iterator[DuckDBSession]:
        """Open a session on a copy of the database: it lasts as long as it needs, and no run waits for it.

        Args:
            path: of the copy, which the caller removes.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the database was written to all the time.
            StorageError: the disk refuses the copy.
        """
        with explaining_disk_errors(path):
            self.copy_to(path)
        with DuckDBWarehouse(path, memory_limit=self._memory_limit, threads=self._threads).read() as session:
            yield session

    def state(self) -> str | None:
        """A text that is another one after each write, without opening the database; None where there is none."""
        database, wal = _state_of(self.database, Path(f"{self.database}.wal"))
        return None if database is None else f"{self.database.resolve()} {database} {wal}"

    def written_at(self) -> float | None:
        """When it was last written to, in seconds since 1970, without opening it; None where there is none."""
        database, wal = _state_of(self.database, Path(f"{self.database}.wal"))
        return max(written for _, written in filter(None, (database, wal))) / 1e9 if database else None

    def snapshot(self, target: Path) -> None:
        """Copy the database into a file of its own, which takes the place of an older copy when it is whole.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: it was written to all the time, or the target is the database itself.
            StorageError: the target can't be written.
        """
        if target.resolve() == self.database.resolve():
            raise WarehouseUnavailableError(f"{target} is the warehouse itself: name another file for its copy")
        with replacing(target) as copy:
            self.copy_to(copy)

    def copy_to(self, path: Path) -> None:
        """Copy the database to a temporary path, as it is between two writes, without opening it.

        So no process waits for another: runs go on while it is copied, and the copy can be kept open for any time. The
        file counts as copied when nothing was written to it meanwhile; otherwise it is copied again.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: it was written to all the time.
        """
        deadline = time.monotonic() + self._lock_timeout_seconds
        while not self._copy_undisturbed(path):
            if time.monotonic() > deadline:
                raise WarehouseUnavailableError(
                    f"{self.database} was written to all the time, for {self._lock_timeout_seconds:g} s. "
                    "Nothing was copied; try again when less is going on"
                )
            time.sleep(0.1)

    def _copy_undisturbed(self, path: Path) -> bool:
        """Copy the database and its write-ahead log; whether neither changed meanwhile."""
        import duckdb

        database, wal = self.database, Path(f"{self.database}.wal")
        before = _state_of(database, wal)
        if before[0] is None:
            raise NothingLoadedError(self.location)
        # A write in the same tick of the clock as the last one would not show.
        if abs(time.time_ns() - max(written for _, written in filter(None, before))) < 100_000_000:
            return False
        copy_of_wal = Path(f"{path}.wal")
        try:
            shutil.copyfile(database, path)
            if before[1] is not None:
                shutil.copyfile(wal, copy_of_wal)
            if _state_of(database, wal) != before:
                return False
            duckdb.connect(str(path), config=self._config()).close()  # takes the write-ahead log in
        except FileNotFoundError:
            return False
        except duckdb.IOException as error:
            raise self._unusable(error) from error
        finally:
            copy_of_wal.unlink(missing_ok=True)
        return True

    def _unusable(self, error: Exception) -> WarehouseUnavailableError:
        return WarehouseUnavailableError(
            f"{self.database} can't be opened: {error}. If it is a DuckDB file, make it and its folder readable and "
            "writable; nothing was changed"
        )

    def _connect(self, *, read_only: bool) -> "duckdb.DuckDBPyConnection":
        import duckdb

        deadline = time.monotonic() + self._lock_timeout_seconds
        pause_seconds = 0.05
        logged = False
        while True:
            try:
                return duckdb.connect(str(self.database), read_only=read_only, config=self._config())
            except duckdb.IOException as error:
                holder = re.search(r"lock is held in (.*?) ?\(PID (\d+)\)", str(error))
                if "Could not set lock" not in str(error):
                    raise self._unusable(error) from error
                who = f"process {holder[2]} ({holder[1]})" if holder else "another process"
                if time.monotonic() > deadline:
                    raise WarehouseUnavailableError(
                        f"{self.database} is held by {who} for more than {self._lock_timeout_seconds:g} s. "
                        "Close what has it open (a DuckDB shell, a notebook, another run), then run again; "
                        "nothing was changed"
                    ) from error
            except duckdb.ConnectionException as error:
                raise WarehouseUnavailableError(
                    f"this very process has {self.database} open already: close that connection first"
                ) from error
            if not logged:
                self._log(f"Waiting for {self.database}, which {who} holds")
                logged = True
            time.sleep(pause_seconds * random.uniform(0.5, 1.5))  # noqa: S311 - so that many don't come at once
            pause_seconds = min(2 * pause_seconds, 0.5)

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "memory_limit": self._memory_limit,
            # Nothing is downloaded behind the user's back.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        return config if self._threads is None else config | {"threads": self._threads}


def _state_of(*paths: Path) -> list[tuple[int, int] | None]:
    """Size in bytes and time of the last write in nanoseconds of each file; None where there is none."""
    states: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
            states.append((status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            states.append(None)
    return states


def _is_older(session: DuckDBSession) -> bool:
    """True if an older version made the warehouse: a table, the last columns of one, or a view are missing."""
    for table in (
        WAREHOUSE_VERSION,
        MONTH_COLUMN_CHANGES,
        ZONE_NEIGHBORS,
        TLC_INDICATORS,
        ZONE_HOURLY_VOIDS,
        TRIP_HISTOGRAMS,
        LOADED_DAYS,
        TRIPS,
    ):
        found = session.column_types(table.name)
        if len(found) < len(table.columns) and _begins(table, found):
            return True
    return not all(session.column_types(view.name) for view in VIEWS)


def _begins(table: Table, found: Mapping[str, str]) -> bool:
    """True if the columns found are the first that are declared, in their order."""
    return list(found.items()) == list(table.column_types.items())[: len(found)]
