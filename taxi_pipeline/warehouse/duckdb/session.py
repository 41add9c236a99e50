"""A session on an open DuckDB connection. When it is opened, and for how long, is decided in `database`."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.fleets import Place, Source
from taxi_pipeline.tlc.zone_finder import ZoneFinder
from taxi_pipeline.warehouse.duckdb.published_trips import PUBLISHED, ZONE_FUNCTION, columns_fed_by, typed_sql
from taxi_pipeline.warehouse.interface import MissingZonesError, PublishedFile, Session

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray


class DuckDBSession(Session):
    """One open connection, and what was made available on it."""

    rows_sorted_at_once = 600_000
    """Sorted rows are held in memory; sorted in parts, day after day, a month has the same order and a lower peak."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection
        self._has_zone_function = False

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement that gives no rows."""
        self._connection.execute(sql, list(values)).fetchall()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(sql, list(values)).fetchall()

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

    def view_published_trips(
        self, file: PublishedFile, sources: Mapping[str, Source], rows: range | None = None
    ) -> Sequence[str]:
        """Make a published file readable as the view `published_trips`, with the types of `trips`.

        Args:
            file: a Parquet file of trips.
            sources: column of `trips` → what feeds it.
            rows: only these, counted from 0; None for all.
        """
        if any(isinstance(source, Place) for source in sources.values()) and not self._has_zone_function:
            self._make_zone_function()
        types = self.view_parquet(PUBLISHED, file.path, rows)
        self.execute(f"CREATE OR REPLACE TEMP VIEW published_trips AS {typed_sql(sources, types)}")
        return columns_fed_by(sources)

    def view_parquet(self, view: str, file: Path, rows: range | None = None) -> dict[str, str]:
        """Make a Parquet file readable under the view's name as long as the session lasts.

        Args:
            view: its name.
            file: the Parquet file.
            rows: only these, counted from 0; None for all.

        Returns:
            Its columns, in lower case → their SQL types.
        """
        # Parquet statistics leave NaN out, and DuckDB would conclude from them that there is none.
        relation = self._connection.sql(
            "FROM read_parquet(?, can_have_nan = true, file_row_number = ?)", params=[str(file), rows is not None]
        )
        if rows is not None:
            relation = relation.filter(f"file_row_number BETWEEN {rows.start} AND {rows.stop - 1}")
        self._connection.register(view, relation)
        return {name.lower(): str(type_) for name, type_ in zip(relation.columns, relation.types, strict=True)}

    def make_function(
        self, name: str, function: "Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]", result: str
    ) -> None:
        """Make a function of two numbers callable from SQL, as long as the session lasts.

        Args:
            name: in SQL.
            function: takes the numbers as two arrays of doubles, a bounded number of rows at a time (2,048), possibly
                in several threads; NULL comes as NaN. Gives an array of the same length.
            result: SQL type of what it gives.
        """
        import pyarrow as pa

        def on_arrow(first, second):  # without annotations, because DuckDB would evaluate them
            return pa.array(function(first.to_numpy(), second.to_numpy()))

        options: dict[str, Any] = {"type": "arrow", "null_handling": "special"}  # the stubs want the enums' members
        self._connection.create_function(name, on_arrow, ["DOUBLE", "DOUBLE"], result, **options)

    def _make_zone_function(self) -> None:
        """Make the SQL function for the zone of a place, out of the zones' own shapes.

        Raises:
            MissingZonesError: the warehouse has no shapes yet.
        """
        shapes = dict(self.rows("SELECT zone_id, geometry FROM zones WHERE geometry IS NOT NULL"))
        if not shapes:
            raise MissingZonesError
        self.make_function(ZONE_FUNCTION, ZoneFinder(shapes).zones_of, "SMALLINT")
        self._has_zone_function = True
