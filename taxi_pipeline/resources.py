"""The boundaries to the world: the DuckDB warehouse, the file store and the TLC's server.

Nothing else opens a connection, knows a path or makes a request. What DuckDB alone can do stays in here; SQL of an
asset stands with the asset and keeps to what other engines speak too.
"""

import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import dagster as dg

from taxi_pipeline.files import StorageError, locked, make_folder, replacing
from taxi_pipeline.settings import Settings
from taxi_pipeline.tables import TABLES, Table
from taxi_pipeline.tlc.download import (
    FetchedFile,
    fetch,
    fetched_version,
    must_be_published,
    newest_published_month,
    published_version,
    trips_url,
)
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.monthly_report import read_trips_per_day, report_url
from taxi_pipeline.tlc.months import Days, month_of, new_york_today
from taxi_pipeline.tlc.transfer import FetchError, NotFoundError, Patience
from taxi_pipeline.tlc.trip_files import verify_trip_file
from taxi_pipeline.tlc.zones import read_zones

if TYPE_CHECKING:
    import duckdb


class WarehouseUnavailableError(RuntimeError):
    """The DuckDB file can't be opened; the message says what to do."""


class NothingLoadedError(WarehouseUnavailableError):
    """There is no DuckDB file yet, or none with tables."""


class MissingFileError(RuntimeError):
    """A file that another asset writes is not there."""


class Session:
    """An open connection to the warehouse. Values are always bound, never formatted into SQL."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement that gives no rows."""
        self._connection.execute(sql, list(values)).fetchall()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(sql, list(values)).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The row of a query that gives exactly one."""
        (row,) = self.rows(sql, values)
        return row

    def insert(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows; meant for hundreds, not for trips."""
        self._connection.executemany(table.insert_values_sql(), [list(row) for row in rows])

    def view_parquet(self, view: str, path: Path) -> dict[str, str]:
        """Make a Parquet file readable under the view's name as long as the session lasts.

        Returns:
            Its columns, in lower case → their SQL types.
        """
        # Parquet statistics leave NaN out, and DuckDB would conclude from them that there is none.
        relation = self._connection.sql("FROM read_parquet(?, can_have_nan = true)", params=[str(path)])
        self._connection.register(view, relation)
        return {name.lower(): str(type_) for name, type_ in zip(relation.columns, relation.types, strict=True)}

    def column_types(self, table: Table) -> dict[str, str]:
        """Column name → SQL type, as the table really is, in order."""
        return {
            name: re.sub(r",(?! )", ", ", data_type)
            for name, data_type in self.rows(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_name = ? ORDER BY ordinal_position",
                [table.name],
            )
        }


class Warehouse(dg.ConfigurableResource):
    """The DuckDB file. Connections are short: open late, close early, never across a download or a drawing.

    While one process writes, no other can read, and readers keep a writer out. Whoever comes second waits for
    `lock_timeout_seconds`, then fails with the process id of the holder.
    """

    database: str
    memory_limit: str = "1GB"
    threads: int | None = None
    """None: one per core."""
    lock_timeout_seconds: float = 60

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read-only session; several processes can have one at the same time.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: another process holds the file.
        """
        if not Path(self.database).is_file():
            raise self._nothing_loaded()
        with closing(self._connect(read_only=True)) as connection:
            session = Session(connection)
            # A process killed in the very first transaction leaves a file without tables.
            if not session.rows("SELECT table_name FROM information_schema.tables LIMIT 1"):
                raise self._nothing_loaded()
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is one transaction: all of it is kept when the block ends, nothing when it raises.

        The tables exist in it.

        Raises:
            WarehouseUnavailableError: another process holds the file, or it can't be made.
            StorageError: the disk does not take what is written.
        """
        import duckdb

        make_folder(Path(self.database).parent)
        with closing(self._connect(read_only=False)) as connection:
            try:
                connection.begin()
                session = Session(connection)
                for table in TABLES:
                    session.execute(table.create_sql())
                yield session
                connection.commit()
            except duckdb.Error as error:
                if "Could not write" not in str(error):  # of several classes, inside the block or at the commit
                    raise
                raise StorageError(
                    f"{self.database} can't be written: {error}. The tables are as they were before; "
                    "free some space, then run again"
                ) from error

    @contextmanager
    def read_anyhow(self) -> Iterator[Session]:
        """As `read`, but out of a copy when another process keeps holding the file: for a look that must not wait.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the file was written to all the time.
        """
        try:
            with Warehouse(database=self.database, lock_timeout_seconds=1).read() as session:
                yield session
                return
        except NothingLoadedError:
            raise
        except WarehouseUnavailableError:
            pass
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy.duckdb"
            self.snapshot(copy)
            with Warehouse(database=str(copy)).read() as session:
                yield session

    def snapshot(self, target: Path) -> None:
        """Copy the database into a file of its own, as it is between two writes, without opening it.

        So nobody waits for anybody: runs go on while it is copied, and the copy can be kept open for as long as one
        likes. The file counts as copied when nothing was written to it meanwhile; otherwise it is copied again.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: it was written to all the time.
            StorageError: the target can't be written.
        """
        if target.resolve() == Path(self.database).resolve():
            raise WarehouseUnavailableError(f"{target} is the warehouse itself: name another file for its copy")
        deadline = time.monotonic() + self.lock_timeout_seconds
        while not self._copy_undisturbed(target):
            if time.monotonic() > deadline:
                raise WarehouseUnavailableError(
                    f"{self.database} was written to all the time, for {self.lock_timeout_seconds:g} s. "
                    "Nothing was copied; try again when less is going on"
                )
            time.sleep(0.1)

    def written_since(self, time_ns: int) -> bool:
        """Whether the database was written to after that time, in nanoseconds since the epoch."""
        written = filter(None, _state_of(Path(self.database), Path(f"{self.database}.wal")))
        return any(written_ns > time_ns for _, written_ns in written)

    def _copy_undisturbed(self, target: Path) -> bool:
        """Copy the database and what a killed process left in its log; give up when it changes meanwhile."""
        import duckdb

        database, log = Path(self.database), Path(f"{self.database}.wal")
        before = _state_of(database, log)
        if before[0] is None:
            raise self._nothing_loaded()
        # A write in the same tick of the clock as the last one would not show.
        if abs(time.time_ns() - max(written for _, written in filter(None, before))) < 100_000_000:
            return False
        with suppress(_ChangedError), replacing(target) as copy:
            copy_of_log = Path(f"{copy}.wal")
            try:
                shutil.copyfile(database, copy)
                if before[1] is not None:
                    shutil.copyfile(log, copy_of_log)
                if _state_of(database, log) != before:
                    raise _ChangedError
                duckdb.connect(str(copy), config=self._config()).close()  # takes the log in
                return True
            except FileNotFoundError:
                raise _ChangedError from None
            except duckdb.IOException as error:
                raise self._unusable(error) from error
            finally:
                copy_of_log.unlink(missing_ok=True)
        return False

    def _unusable(self, error: Exception) -> WarehouseUnavailableError:
        return WarehouseUnavailableError(
            f"{self.database} can't be opened: {error}. If it is a DuckDB file, make it and its folder readable and "
            "writable; nothing was changed"
        )

    def _nothing_loaded(self) -> NothingLoadedError:
        return NothingLoadedError(
            f"there is no warehouse at {self.database} yet: "
            "materialize taxi_zones and a day of taxi_trips and zone_hourly_trips first"
        )

    def _connect(self, *, read_only: bool) -> "duckdb.DuckDBPyConnection":
        import duckdb

        deadline = time.monotonic() + self.lock_timeout_seconds
        pause_seconds = 0.05
        told = False
        while True:
            try:
                return duckdb.connect(self.database, read_only=read_only, config=self._config())
            except duckdb.IOException as error:
                holder = re.search(r"lock is held in (.*?) ?\(PID (\d+)\)", str(error))
                if "Could not set lock" not in str(error):
                    raise self._unusable(error) from error
                who = f"process {holder[2]} ({holder[1]})" if holder else "another process"
                if time.monotonic() > deadline:
                    raise WarehouseUnavailableError(
                        f"{self.database} is held by {who} for more than {self.lock_timeout_seconds:g} s. "
                        "Close what has it open (a DuckDB shell, a notebook, another run), then run again; "
                        "nothing was changed"
                    ) from error
            except duckdb.ConnectionException as error:
                raise WarehouseUnavailableError(
                    f"this very process has {self.database} open already: close that connection first"
                ) from error
            if not told:
                dg.get_dagster_logger().info(f"Waiting for {self.database}, which {who} holds")
                told = True
            time.sleep(pause_seconds * random.uniform(0.5, 1.5))  # noqa: S311 - so that many don't come at once
            pause_seconds = min(2 * pause_seconds, 0.5)

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "memory_limit": self.memory_limit,
            # Nothing is downloaded behind the user's back.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        return config if self.threads is None else config | {"threads": self.threads}


class _ChangedError(Exception):
    """The database was written to while it was copied."""


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


class FileStore(dg.ConfigurableResource):
    """The data folder. Files are named relative to it, with forward slashes (`outputs/trips_by_week.csv`)."""

    root: str

    def path(self, name: str) -> Path:
        """Where the file of that name lies."""
        return Path(self.root) / name

    def write_text(self, name: str, text: str) -> Path:
        """Write a whole text file; readers see the old or the new one, never a part."""
        with self.replacing(name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
        return self.path(name)

    def written_by(self, asset: str, name: str) -> Path:
        """Where the file of that name lies, which the asset writes.

        Raises:
            MissingFileError: it was not written yet.
        """
        path = self.path(name)
        if not path.is_file():
            raise MissingFileError(f"{path} is not there: materialize {asset} first")
        return path

    @contextmanager
    def locked(self, *names: str) -> Iterator[None]:
        """Keep other processes that lock the named files away from them until the block ends.

        Raises:
            FileInUseError: another process works on one of them for too long.
        """
        with ExitStack() as stack:
            for name in sorted(set(names)):  # in one order, so that two can't wait for each other
                stack.enter_context(locked(self.path(name)))
            yield

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A temporary path whose file takes the place of the named one at the end."""
        with replacing(self.path(name)) as temporary:
            yield temporary


class TlcSource(dg.ConfigurableResource):
    """The TLC's file server, or a mirror of it, and the fleets that are taken from it."""

    url: str
    zones_url: str
    fleets: list[str]
    read_timeout_seconds: float = 60
    first_pause_seconds: float = 1
    """Before a server that failed is asked again; doubled each time."""
    refusal_pauses_seconds: list[float] = [30, 90, 270]  # noqa: RUF012 - pydantic copies it
    """After each 403 for a file that must exist: so the TLC's CDN throttles."""

    def fleets_in(self, month: date) -> list[Fleet]:
        """The configured fleets that the TLC publishes for the month."""
        return [FLEETS[name] for name in self.fleets if FLEETS[name].first_month <= month]

    def months(self, days: Days) -> list[tuple[Fleet, Days]]:
        """For each month of these days and each fleet in it: the fleet, and the days that lie in the month."""
        return [(fleet, part) for part in days.by_month() for fleet in self.fleets_in(month_of(part.first))]

    @property
    def zones_file(self) -> str:
        """Name of the zone file in the file store."""
        return f"raw/taxi_zones{Path(self.zones_url).suffix.lower()}"

    @staticmethod
    def trips_file(fleet: Fleet, month: date) -> str:
        """Name of the file with the month's trips in the file store."""
        return f"raw/{fleet.file_name(month)}"

    @property
    def patience(self) -> Patience:
        """How long the server is waited for."""
        return Patience(
            read_seconds=self.read_timeout_seconds,
            first_pause_seconds=self.first_pause_seconds,
            refusal_pauses_seconds=tuple(self.refusal_pauses_seconds),
        )

    def on_progress(self, bytes_done: int, bytes_total: int | None) -> None:
        """Is told while a file comes; does nothing, a subclass may show it."""

    def fetch_zones(self, files: FileStore, *, tell: Callable[[str], object] = lambda _: None) -> FetchedFile:
        """Bring the zone file into the file store; `tell` gets sentences about progress and waiting.

        Raises:
            FetchError: it can't be had, or isn't a zone file.
        """
        return self._fetch(self.zones_url, files.path(self.zones_file), read_zones, must_exist=True, tell=tell)

    def fetch_trips(
        self, fleet: Fleet, month: date, files: FileStore, *, tell: Callable[[str], object] = lambda _: None
    ) -> FetchedFile:
        """Bring the file with the month's trips into the file store; `tell` gets sentences about progress and waiting.

        Raises:
            FetchError: the month is not published, the server can't be asked, or what it sent is no such file.
        """
        today = new_york_today()
        url, target = trips_url(self.url, fleet, month), files.path(self.trips_file(fleet, month))

        def fetch(*, must_exist: bool) -> FetchedFile:
            return self._fetch(
                url, target, lambda path: verify_trip_file(path, fleet), must_exist=must_exist, tell=tell
            )

        try:
            return fetch(must_exist=must_be_published(month, today))
        except NotFoundError as error:
            newest = newest_published_month(self.url, fleet, today, patience=self.patience)
            if error.refused and newest and newest > month:  # so the server has this one and only refuses for now
                return fetch(must_exist=True)
            if newest is None or newest <= month:
                found = f"the newest published month is {newest:%Y-%m}" if newest else "no published month was found"
                raise FetchError(
                    f"{fleet.name} trips of {month:%Y-%m} are not published ({error.answer}); "
                    f"{found} at {self.url}. Nothing was changed"
                ) from error
            raise FetchError(
                f"{error}, although newer months are published (newest: {newest:%Y-%m}): {self.url} lacks the month. "
                "Nothing was changed"
            ) from error

    def newest_published_month(self) -> date | None:
        """The newest month of which the trips of all fleets are published.

        Raises:
            NoAnswerError: the server can't be reached.
        """
        months = [
            newest_published_month(self.url, FLEETS[name], new_york_today(), patience=self.patience)
            for name in self.fleets
        ]
        return min(month for month in months if month) if all(months) else None

    def published_version(self, month: date) -> str | None:
        """A name for what is published of the month, for all fleets together; None unless all are.

        Raises:
            NoAnswerError: the server can't be reached.
        """
        must_exist = must_be_published(month, new_york_today())
        return _joined(
            published_version(trips_url(self.url, fleet, month), patience=self.patience, must_exist=must_exist)
            for fleet in self.fleets_in(month)
        )

    def loaded_version(self, month: date, versions: Mapping[str, str], files: FileStore) -> str | None:
        """The name of the published version that is loaded of the month; None when it is not known.

        Args:
            month: its first day.
            versions: fleet → SHA-256 of the file from which the month's days were loaded.
            files: where fetched files and the notes of their versions lie.
        """

        def name_of(fleet: Fleet) -> str | None:
            fetched = fetched_version(trips_url(self.url, fleet, month), files.path(self.trips_file(fleet, month)))
            return fetched[1] if fetched and fetched[0] == versions.get(fleet.name) else None

        return _joined(name_of(fleet) for fleet in self.fleets_in(month))

    def trips_per_day(
        self, files: FileStore, *, tell: Callable[[str], object] = lambda _: None
    ) -> dict[tuple[str, date], int]:
        """What the TLC's monthly report says: (fleet, first day of the month) → trips per day.

        Raises:
            FetchError: there is no report, or what is there is something else.
        """
        report = fetch(
            report_url(self.url),
            files.path("raw/data_reports_monthly.csv"),
            verify=read_trips_per_day,
            patience=replace(self.patience, attempts=2),  # a check is not worth a long wait
            tell=tell,
        )
        return read_trips_per_day(report.path)

    def _fetch(
        self,
        url: str,
        target: Path,
        verify: Callable[[Path], object],
        *,
        must_exist: bool,
        tell: Callable[[str], object],
    ) -> FetchedFile:
        return fetch(
            url,
            target,
            verify=verify,
            patience=self.patience,
            must_exist=must_exist,
            tell=tell,
            on_progress=self.on_progress,
        )


def _joined(names: Iterable[str | None]) -> str | None:
    """Several names as one; None when there are none, or one is missing."""
    found = list(names)
    return "-".join(name for name in found if name) if found and all(found) else None


class Alerts(dg.ConfigurableResource):
    """Where failed runs are told: a webhook that takes a JSON message with `text`, as Slack and its like do."""

    webhook_url: str = ""
    """Empty: nowhere."""
    ui_url: str = "http://127.0.0.1:3000"

    def message(
        self, *, job: str, partitions: str | None, step: str | None, error: str, run_id: str
    ) -> dict[str, str | None]:
        """What is posted: a sentence, and its parts for those who want to look at them by machine."""
        link = f"{self.ui_url}/runs/{run_id}"
        days = f" for {partitions}" if partitions else ""
        at = f" at {step}" if step else ""
        return {
            "text": f"Run of {job}{days} failed{at}: {error}\n{link}",
            "job": job,
            "partitions": partitions,
            "step": step,
            "error": error,
            "link": link,
        }

    def post(self, message: Mapping[str, str | None]) -> str | None:
        """Post a message; gives what went wrong, if anything. Never raises: telling must break nothing."""
        import requests

        if not self.webhook_url:
            return None
        try:
            requests.post(self.webhook_url, json=dict(message), timeout=(5, 10)).raise_for_status()
        except requests.RequestException as error:
            return f"TAXI_ALERT_WEBHOOK_URL could not be told of a failed run: {error}"
        return None


class Resources(TypedDict):
    """The resources under the keys by which assets ask for them."""

    warehouse: Warehouse
    files: FileStore
    tlc: TlcSource
    alerts: Alerts


def build_resources(settings: Settings) -> Resources:
    """The resources for these settings."""
    return Resources(
        warehouse=Warehouse(database=str(settings.duckdb_database)),
        files=FileStore(root=str(settings.data_dir)),
        tlc=TlcSource(url=settings.tlc_url, zones_url=settings.zones_url, fleets=list(settings.fleets)),
        alerts=Alerts(webhook_url=settings.alert_webhook_url or ""),
    )
