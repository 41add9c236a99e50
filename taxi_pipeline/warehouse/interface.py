"""The interface of every engine of the warehouse. Each engine has a folder of its own.

An asset asks for an operation: `warehouse.query(weekly_totals, fleets)` or `warehouse.change(load_days, …)`. The
operation is a plain function whose first argument is a `Session`, and all its statements see one state of the tables. A
session reads with SQL, and writes with two verbs: `replace_days` for the tables of days, `replace` for the others.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from taxi_pipeline.errors import LoadError, TaxiPipelineError
from taxi_pipeline.tlc.fleets import Place, Source
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.tables import Table, columns_fed_by

if TYPE_CHECKING:
    import pyarrow as pa

PUBLISHED_TRIPS, EARLIER_TRIPS = "published_trips", "earlier_trips"
"""Names of the views of a published file's rows, and of those of an earlier version of it."""

P = ParamSpec("P")
Result = TypeVar("Result")


class WarehouseUnavailableError(TaxiPipelineError):
    """The warehouse can't be opened; the message says what to do."""


class NothingLoadedError(WarehouseUnavailableError):
    """There is no warehouse yet, or none with tables."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"there is no warehouse at {location} yet: "
            "materialize taxi_zones and a day of taxi_trips and zone_hourly_trips first"
        )


class ConflictError(LoadError):
    """Another session has changed the same days at the same time; this one changed nothing."""


class MissingZonesError(LoadError):
    """Coordinates can't be placed, because the zones are not loaded."""

    def __init__(self) -> None:
        super().__init__(
            "files of before 2011 hold coordinates, and there are no zones yet to place them in: "
            "materialize taxi_zones first"
        )


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A published file that was verified."""

    path: Path
    """Path of a copy on this machine, as long as the file is loaded."""
    uri: str
    """URI of the file in the storage, for engines that read it from other machines."""
    sha256: str
    num_rows: int


@dataclass(frozen=True)
class UnfinishedLoad:
    """A month's trips that nobody sees yet: a run is loading them, or was killed."""

    fleet: str
    month: date
    num_trips: int


class Session(ABC):
    """One state of the warehouse's tables, to query or to change.

    Values are bound, never formatted into SQL. The SQL is of the kind that translates to other engines without
    changing its meaning; `sql` has helpers for what they spell differently, and a test translates every statement.
    """

    @abstractmethod
    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return all its rows.

        Args:
            sql: a SELECT; question marks stand for the values.
            values: for the question marks, in their order.
        """

    def row(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        """Run a query that has exactly one row, and return the row.

        Args:
            sql: a SELECT; question marks stand for the values.
            values: for the question marks, in their order.
        """
        (row,) = self.rows(sql, values)
        return row

    @abstractmethod
    def table(self, sql: str, values: Sequence[Any] = ()) -> "pa.Table":
        """Run a query with many rows, and return them as an Arrow table, with types as the engine has them.

        Args:
            sql: a SELECT; question marks stand for the values.
            values: for the question marks, in their order.
        """

    @abstractmethod
    def keep(self, name: str, sql: str) -> None:
        """Compute the rows of a SELECT once, and make them readable under a name as long as the session is open.

        Args:
            name: of a view that is none of the warehouse's tables.
            sql: a SELECT; may read the views of published files.
        """

    @abstractmethod
    def replace_days(
        self,
        table: Table,
        fleet: str,
        days: Days,
        select: str,
        values: Sequence[Any] = (),
        columns: Sequence[str] | None = None,
    ) -> None:
        """Make these days of this fleet hold exactly the rows of a SELECT.

        The session sees the new rows from then on. Each engine keeps them in the order that the table declares, so the
        SELECT needs none.

        Args:
            table: a table of days.
            fleet: name of the fleet.
            days: days within one month.
            select: a SELECT with rows of this fleet and these days only; may read `published_trips`.
            values: for the question marks of the SELECT.
            columns: columns of the SELECT, in its order; None for all of the table. The others become NULL.
        """

    @abstractmethod
    def replace(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Make a small table hold exactly these rows; in `loaded_days`, replace only the fleets and days of the rows.

        Args:
            table: a table that is replaced as a whole, or `loaded_days`.
            rows: hundreds, not millions; each with all columns of the table.
        """

    @abstractmethod
    def column_types(self, table: str) -> dict[str, str]:
        """Column name → SQL type, as the table really is, in order; empty when there is no such table."""

    def unfinished(self) -> Sequence[UnfinishedLoad]:
        """Trips that runs are loading now, or that killed runs left; none where an engine hides them."""
        return ()

    def view_published_trips(
        self, file: PublishedFile, sources: Mapping[str, Source], name: str = PUBLISHED_TRIPS
    ) -> Sequence[str]:
        """Make a published file readable as the view `published_trips`, with the types of `trips`.

        The view has `pickup_date`, those columns of `trips` that the file feeds, `misfits` (the published values that
        fit no column and without which the row is no trip, as text) and `misfit_columns` (their columns, separated by
        commas), and the same of the other columns as `unfit_values` and `unfit_columns`; these four are NULL in a row
        whose values all fit.

        Args:
            file: a Parquet file of trips.
            sources: column of `trips` → what feeds it.
            name: of the view: `published_trips`, or `EARLIER_TRIPS` for an earlier version of the same month.

        Returns:
            The columns of `trips` that the view has, in their order, without `fleet` and `pickup_date`.

        Raises:
            MissingZonesError: the file holds coordinates, and the zones are not loaded.
            UnusableFileError: two columns of the file have the same name, and hold different values.
        """
        shapes: dict[int, str] = {}
        if any(isinstance(source, Place) for source in sources.values()):
            shapes = dict(self.rows("SELECT zone_id, geometry FROM zones WHERE geometry IS NOT NULL"))
            if not shapes:
                raise MissingZonesError
        self.view_typed(file, sources, shapes, name)
        return columns_fed_by(sources)

    @abstractmethod
    def reading(self, name: str) -> AbstractContextManager[None]:
        """Make the engine's errors about a published file's contents that file's failure.

        Args:
            name: of the file, for the message.

        Raises:
            UnusableFileError: when the block ends, the engine could not read the file.
        """

    @abstractmethod
    def view_typed(
        self, file: PublishedFile, sources: Mapping[str, Source], shapes: Mapping[int, str], name: str
    ) -> None:
        """Make the view that `view_published_trips` describes.

        Args:
            file: a Parquet file of trips.
            sources: column of `trips` → what feeds it.
            shapes: zone id → WKT in degrees, where the file holds coordinates.
            name: of the view.
        """


class Warehouse(ABC):
    """The tables, in transactions. Sessions are short: opened late, closed early, never across a download."""

    @property
    @abstractmethod
    def location(self) -> str:
        """The place of the warehouse, for messages and metadata."""

    @abstractmethod
    def read(self) -> AbstractContextManager[Session]:
        """A session that only reads.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the warehouse can't be opened.
        """

    @abstractmethod
    def write(self) -> AbstractContextManager[Session]:
        """A session that is one transaction: all of it is kept when the block ends, nothing when it raises.

        The tables exist in it. `warehouse_version` is one higher afterwards.

        Raises:
            ConflictError: another session has changed the same days meanwhile; of engines where several can write.
            WarehouseUnavailableError: the warehouse can't be opened or made.
            StorageError: the disk refuses what is written.
        """

    @abstractmethod
    def read_without_waiting(self) -> AbstractContextManager[Session]:
        """Open a session that only reads and does not wait for runs, for a quick look while they go on.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the warehouse can't be opened.
        """

    def maintain(self) -> dict[str, str]:
        """Compact files and delete expired data. Safe while loads run. DuckDB needs no maintenance.

        Returns:
            Table → what was done.

        Raises:
            WarehouseUnavailableError: the warehouse can't be opened.
        """
        return {}

    def upgrade(self) -> dict[str, str]:
        """Carry tables of an older version over, where they can't be as they are next written to.

        Returns:
            Table → what was done; empty where there was nothing to do.

        Raises:
            NothingLoadedError: there are no tables.
            WarehouseUnavailableError: the warehouse can't be opened.
        """
        return {}

    def query(self, question: Callable[Concatenate[Session, P], Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a function that reads, on one state of the tables, and return its result.

        Args:
            question: takes a session and the arguments.
            *args: for the function.
            **kwargs: for the function.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the warehouse can't be opened.
        """
        with self.read() as session:
            return question(session, *args, **kwargs)

    def change(self, change: Callable[Concatenate[Session, P], Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Run a function that changes tables, in one transaction, and return its result.

        Args:
            change: takes a session and the arguments.
            *args: for the function.
            **kwargs: for the function.

        Raises:
            ConflictError: another session has changed the same days meanwhile; on engines where several can write.
            WarehouseUnavailableError: the warehouse can't be opened or made.
            StorageError: the disk refuses what is written.
        """
        with self.write() as session:
            return change(session, *args, **kwargs)
