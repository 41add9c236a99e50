"""The view `published_trips` on a DuckDB connection: the rows of a Parquet file with the types of `trips`."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.fleets import Source
from taxi_pipeline.tlc.zone_finder import ZoneFinder
from taxi_pipeline.warehouse.interface import PUBLISHED_TRIPS
from taxi_pipeline.warehouse.typing.casts import PUBLISHED, ZONE_FUNCTION, typed_sql
from taxi_pipeline.warehouse.typing.column_names import columns_of, positions_of

if TYPE_CHECKING:
    import duckdb


def view_published_trips(
    connection: "duckdb.DuckDBPyConnection",
    file: Path,
    sources: Mapping[str, Source],
    shapes: Mapping[int, str],
    rows: range | None = None,
    *,
    name: str = PUBLISHED_TRIPS,
) -> None:
    """Make a published file readable as the view `published_trips`, or another, as long as the connection is open.

    Args:
        connection: on which the view is made.
        file: a Parquet file of trips.
        sources: column of `trips` → what feeds it.
        shapes: zone id → WKT in degrees, where the file holds coordinates.
        rows: only these, counted from 0; None for all.
        name: of the view.

    Raises:
        UnusableFileError: two columns of the file have the same name, and hold different values.
    """
    if shapes:
        make_zone_function(connection, shapes)
    positions = positions_of(file, sources)
    file_view = f"file_of_{name}"
    published = columns_of(view_parquet(connection, file, rows, name=file_view), positions)
    typed = typed_sql(sources, published, relation=f"{file_view} AS {PUBLISHED}")
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {typed}")


def view_parquet(
    connection: "duckdb.DuckDBPyConnection", file: Path, rows: range | None = None, *, name: str = PUBLISHED
) -> "duckdb.DuckDBPyRelation":
    """Make a Parquet file readable as the view `published`, as long as the connection is open.

    Args:
        connection: on which the view is made.
        file: the Parquet file.
        rows: only these, counted from 0; None for all.
        name: of the view.

    Returns:
        The view's rows.
    """
    # Parquet statistics leave NaN out, and DuckDB would conclude from them that there is none.
    relation = connection.sql(
        "FROM read_parquet(?, can_have_nan = true, file_row_number = ?)", params=[str(file), rows is not None]
    )
    if rows is not None:
        relation = relation.filter(f"file_row_number BETWEEN {rows.start} AND {rows.stop - 1}")
    connection.register(name, relation)
    return relation


def make_zone_function(connection: "duckdb.DuckDBPyConnection", shapes: Mapping[int, str]) -> None:
    """Make the SQL function for the zone of a place: of 2,048 rows at a time, possibly in several threads.

    Args:
        connection: on which the function is made; one that is there is replaced.
        shapes: zone id → WKT in degrees.
    """
    import duckdb
    import pyarrow as pa

    zones_of = ZoneFinder(shapes).zones_of

    def on_arrow(longitudes, latitudes):  # without annotations, because DuckDB would evaluate them
        return pa.array(zones_of(longitudes.to_numpy(), latitudes.to_numpy()))

    with suppress(duckdb.InvalidInputException):  # there is none yet
        connection.remove_function(ZONE_FUNCTION)
    options: dict[str, Any] = {"type": "arrow", "null_handling": "special"}  # the stubs want the enums' members
    connection.create_function(ZONE_FUNCTION, on_arrow, ["DOUBLE", "DOUBLE"], "SMALLINT", **options)
