"""An export to a DuckDB file, each part in one transaction. DuckDB lets no other process read while it is open."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.exports.addresses import DuckDBAddress
from taxi_pipeline.exports.sums import Dialect, SumsByDay, read_sums, select_sums
from taxi_pipeline.exports.target import EXPORT_LOG, ExportError, Recorded, Target, columns_to_add
from taxi_pipeline.storage.whole_files import make_folder
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    import duckdb

    from taxi_pipeline.exports.contents import Change


_MAGIC, _MAGIC_AT = b"DUCK", 8
"""How a database file begins, after a checksum of eight bytes."""


@contextmanager
def open_duckdb(address: DuckDBAddress, *, warehouse: Path) -> "Iterator[DuckDBTarget]":
    """Open the file, which keeps others out as long as the block runs.

    Args:
        address: of the file, which is made where it does not exist.
        warehouse: the file that is exported, which is no target.

    Raises:
        ExportError: the file is the warehouse itself, no DuckDB file, or open in another process.
        StorageError: its folder can't be made.
    """
    import duckdb

    if address.file.resolve() == warehouse.resolve():
        raise ExportError(f"{address.file} is the warehouse itself: name another file")
    make_folder(address.file.parent)
    _refuse_other_data(address.file)
    config: dict[str, Any] = {
        "memory_limit": "1GB",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        connection = duckdb.connect(str(address.file), config=config)
    except duckdb.Error as error:
        raise ExportError(
            f"{address.file} can't be opened: {_first_line(error)}. Nothing was changed; close what has it open, or "
            "name another file"
        ) from error
    with closing(connection):
        yield DuckDBTarget(connection, address.file)


def _refuse_other_data(file: Path) -> None:
    """DuckDB 2.0 opens files of data, such as CSV and Parquet, as databases whose changes it keeps in memory alone."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_MAGIC_AT + len(_MAGIC))
    except OSError:
        return  # it is not there, or DuckDB says what is wrong
    if head and head[_MAGIC_AT:] != _MAGIC:
        raise ExportError(f"{file} is no DuckDB database file. Nothing was changed; name another file")


class DuckDBTarget(Target):
    """A DuckDB file, over one connection. It has no keys and no indexes: DuckDB finds days by the order of the rows."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", file: Path) -> None:
        self._connection = connection
        self._file = file

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self._file)

    def prepare(self, tables: Sequence[Table]) -> None:
        """Make tables, new columns and comments, in one transaction."""
        with self._transaction("No table was changed"):
            for table in (*tables, EXPORT_LOG):
                found = (
                    {name: kind for name, kind, *_ in self._rows(f"DESCRIBE {table.name}")} if self._has(table) else {}
                )
                if found:
                    self._add_new_columns(table, found)
                self._execute(table.create_sql())
                self._comment(table)

    def _has(self, table: Table) -> bool:
        sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'main' AND table_name = ?"
        return self._rows(sql, [table.name])[0][0] > 0

    def _add_new_columns(self, table: Table, found: Mapping[str, str]) -> None:
        # As DuckDB describes them.
        expected = {name: kind.replace(", ", ",") for name, kind in table.column_types.items()}
        new = columns_to_add(table, found, expected)
        if new is None:
            raise ExportError(
                f"{self.name} has a table {table.name} of another kind: its columns are {', '.join(found)}, where "
                f"{', '.join(table.column_names)} with the types of the data dictionary are expected. No table was "
                "changed; name another file"
            )
        for column in new:
            self._execute(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type}")

    def _comment(self, table: Table) -> None:
        self._execute(f"COMMENT ON TABLE {table.name} IS {_literal(table.description)}")
        for name, comment in table.comments.items():
            self._execute(f"COMMENT ON COLUMN {table.name}.{name} IS {_literal(comment)}")

    def recorded_days(self, table: Table, fleet: str, days: Days) -> Mapping[date, Recorded]:
        """What the log says of these days."""
        rows = self._rows(
            "SELECT day, version, num_rows FROM export_log WHERE table_name = ? AND fleet = ? AND day BETWEEN ? AND ?",
            [table.name, fleet, days.first, days.last],
        )
        return {day: Recorded(version, num_rows) for day, version, num_rows in rows}

    def recorded_table(self, table: Table) -> Recorded | None:
        """What the log says of a small table."""
        sql = "SELECT version, num_rows FROM export_log WHERE table_name = ? AND fleet IS NULL"
        rows = self._rows(sql, [table.name])
        return Recorded(*rows[0]) if rows else None

    def write(self, changes: "Sequence[Change]") -> None:
        """Delete, insert and record, in one transaction."""
        with self._transaction("These days are as they were, earlier ones are written"):
            for change in changes:
                self._delete(change)
                self._insert(change)
                self._record(change)

    def _delete(self, change: "Change") -> None:
        table = change.table
        if change.fleet is None:
            self._execute(f"DELETE FROM {table.name}")
            return
        days = change.days
        self._execute(
            f"DELETE FROM {table.name} "
            f"WHERE fleet = ? AND {table.month} BETWEEN ? AND ? AND list_contains(?, {table.day})",
            [change.fleet, month_of(days[0]), days[-1], days],
        )

    def _insert(self, change: "Change") -> None:
        listed = ", ".join(change.table.column_names)
        self._connection.register("exported_rows", change.batches({}))
        try:
            self._execute(f"INSERT INTO {change.table.name} ({listed}) SELECT {listed} FROM exported_rows")
        finally:
            self._connection.unregister("exported_rows")

    def _record(self, change: "Change") -> None:
        self._forget(change.table, change.fleet, change.days)
        now = datetime.now(UTC).replace(tzinfo=None)
        for day, recorded in change.versions.items():
            self._execute(
                "INSERT INTO export_log VALUES (?, ?, ?, ?, ?, ?)",
                [change.table.name, change.fleet, day, recorded.version, recorded.num_rows, now],
            )

    def forget(self, table: Table, fleet: str | None, days: Sequence[date]) -> None:
        """Remove these days, or the small table, from the log."""
        with self._transaction("The log is as it was"):
            self._forget(table, fleet, days)

    def _forget(self, table: Table, fleet: str | None, days: Sequence[date]) -> None:
        sql = "DELETE FROM export_log WHERE table_name = ?"
        if fleet is None:
            self._execute(f"{sql} AND fleet IS NULL", [table.name])
        else:
            self._execute(f"{sql} AND fleet = ? AND list_contains(?, day)", [table.name, fleet, list(days)])

    def sums_by_day(self, table: Table, fleet: str, days: Days) -> SumsByDay:
        """Count and add up what is there of these days."""
        rows = self._rows(
            f"SELECT {table.day}, {select_sums(table, Dialect.WAREHOUSE)} FROM {table.name} "
            f"WHERE fleet = ? AND {table.month} BETWEEN ? AND ? AND {table.day} BETWEEN ? AND ? GROUP BY {table.day}",
            [fleet, month_of(days.first), days.last, days.first, days.last],
        )
        return {day: read_sums(table, values) for day, *values in rows}

    def sums_of(self, table: Table) -> SumsByDay:
        """Count and add up a small table."""
        (row,) = self._rows(f"SELECT {select_sums(table, Dialect.WAREHOUSE)} FROM {table.name}")
        return {None: read_sums(table, row)}

    @contextmanager
    def _transaction(self, afterwards: str) -> Iterator[None]:
        """A transaction; what is there after an error is told."""
        import duckdb

        try:
            self._connection.begin()
            yield
            self._connection.commit()
        except duckdb.Error as error:
            raise ExportError(
                f"{self.name} could not be written: {_first_line(error)}. {afterwards}; run again"
            ) from error

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        self._connection.execute(sql, list(values)).fetchall()

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, list(values)).fetchall()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
