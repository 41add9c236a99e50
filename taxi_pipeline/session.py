"""An open connection to the warehouse, as SQL sees it. When it is opened, and for how long, is said by `resources`.

Here is what of DuckDB is not SQL: reading Parquet, Python functions in queries, the catalogue. No Dagster.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tables import Table

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray


def placeholders(values: Sequence[Any]) -> str:
    """As many question marks as there are values, for IN."""
    return ", ".join("?" for _ in values)


class Session:
    """An open connection to the warehouse. Values are always bound, never formatted into SQL."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection
        self._functions: set[str] = set()

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
        values = [value for row in rows for value in row]
        if values:
            # A statement for all rows: one for each costs a millisecond a row.
            self.execute(table.insert_values_sql(len(values) // len(table.columns)), values)

    def view_parquet(self, view: str, path: Path) -> dict[str, str]:
        """Make a Parquet file readable under the view's name as long as the session lasts.

        Returns:
            Its columns, in lower case → their SQL types.
        """
        # Parquet statistics leave NaN out, and DuckDB would conclude from them that there is none.
        relation = self._connection.sql("FROM read_parquet(?, can_have_nan = true)", params=[str(path)])
        self._connection.register(view, relation)
        return {name.lower(): str(type_) for name, type_ in zip(relation.columns, relation.types, strict=True)}

    def offer_function(
        self, name: str, function: "Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]", result: str
    ) -> None:
        """Make a function of two numbers callable from SQL, as long as the session lasts.

        Args:
            name: in SQL.
            function: gets the numbers as two arrays of doubles, a bounded number of rows at a time (2,048), possibly in
                several threads; NULL comes as NaN. Gives an array of the same length.
            result: SQL type of what it gives.
        """
        import pyarrow as pa

        def on_arrow(first, second):  # without annotations, because DuckDB would evaluate them
            return pa.array(function(first.to_numpy(), second.to_numpy()))

        options: dict[str, Any] = {"type": "arrow", "null_handling": "special"}  # the stubs want the enums' members
        self._connection.create_function(name, on_arrow, ["DOUBLE", "DOUBLE"], result, **options)
        self._functions.add(name)

    def offers(self, name: str) -> bool:
        """Whether a function of that name was made callable already."""
        return name in self._functions

    def column_types(self, table: str) -> dict[str, str]:
        """Column name → SQL type, as the table really is, in order; empty when there is no such table."""
        import duckdb

        try:
            found = self._connection.table(table)  # a tenth of what asking the catalogue costs
        except duckdb.CatalogException:
            return {}
        return {
            name: re.sub(r",(?! )", ", ", str(type_)) for name, type_ in zip(found.columns, found.types, strict=True)
        }
