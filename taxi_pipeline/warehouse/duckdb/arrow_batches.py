"""The rows of a published file as Arrow batches, for engines whose workers type them by the same SQL as this one."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from taxi_pipeline.tlc.fleets import Source
from taxi_pipeline.warehouse.interface import PublishedFile
from taxi_pipeline.warehouse.tables import ZONES

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 100_000


def typed_batches(
    file: PublishedFile, sources: Mapping[str, Source], shapes: Mapping[int, str], rows: range
) -> "Iterator[pa.RecordBatch]":
    """Rows of a published file with the columns of the view `published_trips`, in the order of the file.

    Args:
        file: its copy on this machine is read.
        sources: column of `trips` → what feeds it.
        shapes: zone id → WKT in degrees; needed where the file holds coordinates.
        rows: which of them, counted from 0.

    Raises:
        MissingZonesError: the file holds coordinates, and there are no shapes.
    """
    import duckdb

    from taxi_pipeline.warehouse.duckdb.session import DuckDBSession

    with duckdb.connect(config={"threads": 1, "memory_limit": "1GB"}) as connection:
        session = DuckDBSession(connection)
        session.execute(ZONES.create_sql())
        session.insert(ZONES, [(zone_id, "", "", shape) for zone_id, shape in shapes.items()])
        columns = session.view_published_trips(file, sources, rows)
        listed = ", ".join(["pickup_date", *columns, "misfits", "misfit_columns"])
        rows_typed = connection.sql(f"SELECT {listed} FROM published_trips")
        yield from rows_typed.to_arrow_reader(_BATCH_ROWS)
