"""A session on an open DuckDB connection. When it is opened, and for how long, is decided in `database`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.fleets import Source
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.warehouse.interface import PublishedFile, Session
from taxi_pipeline.warehouse.tables import TABLES, TRIPS, Kind, Table
from taxi_pipeline.warehouse.typing.published_view import view_published_trips

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROWS_SORTED_AT_ONCE = 900_000
"""Sorted rows are held in memory; sorted in parts, day after day, a month has the same order and a lower peak."""
MAX_PARTS = 8
"""Each part reads the whole file where its rows are not in the order of their pickups. DuckDB sorts on disk what is too
large for its memory."""


class DuckDBSession(Session):
    """One open connection and its views."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection
        self._rows_published = 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement that gives no rows."""
        self._connection.execute(sql, list(values)).fetchall()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(sql, list(values)).fetchall()

    def table(self, sql: str, values: Sequence[Any] = ()) -> "pa.Table":
        """All rows of a query, as an Arrow table."""
        return self._connection.sql(sql, params=list(values)).to_arrow_table()

    def batches(self, sql: str, values: Sequence[Any] = (), *, num_rows: int) -> "pa.RecordBatchReader":
        """Run a query whose rows do not fit into memory.

        Args:
            sql: a SELECT; question marks stand for the values.
            values: for the question marks, in their order.
            num_rows: the most rows of a batch.

        Returns:
            The rows, read as they are asked for; nothing else can be asked of the session until the last one.
        """
        return self._connection.sql(sql, params=list(values)).to_arrow_reader(num_rows)

    def keep(self, name: str, sql: str) -> None:
        """Keep the rows in a temporary table, which a session that only reads can have, too."""
        self.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")

    def replace_days(
        self,
        table: Table,
        fleet: str,
        days: Days,
        select: str,
        values: Sequence[Any] = (),
        columns: Sequence[str] | None = None,
    ) -> None:
        """Delete the days' rows, then insert those of the SELECT, in the order that the table declares."""
        self.execute(
            f"DELETE FROM {table.name} "
            f"WHERE fleet = ? AND {table.month} BETWEEN ? AND ? AND {table.day} BETWEEN ? AND ?",
            [fleet, Days.of_month(days.first).first, days.last, days.first, days.last],
        )
        listed = ", ".join(columns or table.column_names)
        insert = f"INSERT INTO {table.name} ({listed}) FROM ({select}) AS found ({listed})"
        parts = days.in_parts(self._num_parts(days)) if table is TRIPS else [days]
        if len(parts) == 1:
            self.execute(f"{insert} ORDER BY {table.order}", values)
            return
        for part in parts:
            self.execute(
                f"{insert} WHERE pickup_datetime >= ? AND pickup_datetime < ? ORDER BY {table.order}",
                [*values, part.first, part.last + timedelta(days=1)],
            )

    def replace(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Delete the rows that these replace, then insert these."""
        if table not in TABLES:  # of a source that is not ours
            self.execute(table.create_sql())
        if table.kind is not Kind.RECORD:
            self.execute(f"DELETE FROM {table.name}")
        elif rows:
            keys = ", ".join(["(?, ?)"] * len(rows))
            self.execute(
                f"DELETE FROM {table.name} WHERE (fleet, pickup_date) IN (VALUES {keys})",
                [value for fleet, day, *_ in rows for value in (fleet, day)],
            )
        if rows:
            # One statement for all rows: a statement for each costs a millisecond a row.
            marks = f"({', '.join('?' for _ in table.columns)})"
            self.execute(
                f"INSERT INTO {table.name} VALUES {', '.join([marks] * len(rows))}",
                [value for row in rows for value in row],
            )

    def column_types(self, table: str) -> dict[str, str]:
        """Column name → SQL type, in order; empty when there is no such table."""
        import duckdb

        try:
            found = self._connection.table(table)  # a tenth of what a query of the catalogue costs
        except duckdb.CatalogException:
            return {}
        return {
            name: re.sub(r",(?! )", ", ", str(type_)) for name, type_ in zip(found.columns, found.types, strict=True)
        }

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Make DuckDB's errors about a published file's contents that file's failure.

        Raises:
            UnusableFileError: DuckDB could not read the file, or its memory did not do.
        """
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            if "Could not write" in str(error):  # the disk's failure, which `database` names
                raise
            raise UnusableFileError(
                f"{name} can't be loaded: {str(error)[:500]}. Nothing was changed. Remove the file and its note "
                "from the storage and materialize taxi_trips_file, which verifies what it fetches"
            ) from error

    def view_typed(
        self, file: PublishedFile, sources: Mapping[str, Source], shapes: Mapping[int, str], name: str
    ) -> None:
        """Make the view on the connection."""
        view_published_trips(self._connection, file.path, sources, shapes, name=name)
        self._rows_published = file.num_rows

    def _num_parts(self, days: Days) -> int:
        """The number of parts in which the days' trips are sorted, from their share of the published file's rows."""
        share = days.num_days / Days.of_month(days.first).num_days
        return min(MAX_PARTS, 1 + int(self._rows_published * share) // ROWS_SORTED_AT_ONCE)
