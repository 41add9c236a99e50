"""The rows of a published file as Arrow batches, for engines whose workers are other machines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from taxi_pipeline.tlc.fleets import Source
from taxi_pipeline.warehouse.interface import PublishedFile
from taxi_pipeline.warehouse.typing.published_view import view_published_trips

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 100_000


def typed_batches(
    file: PublishedFile,
    sources: Mapping[str, Source],
    shapes: Mapping[int, str],
    columns: Sequence[str],
    rows: range,
) -> "Iterator[pa.RecordBatch]":
    """Rows of a published file with these columns of the view `published_trips`, in the order of the file.

    Args:
        file: its copy on this machine is read.
        sources: column of `trips` → what feeds it.
        shapes: zone id → WKT in degrees, where the file holds coordinates.
        columns: of the view.
        rows: which of them, counted from 0.
    """
    import duckdb

    with duckdb.connect(config={"threads": 1, "memory_limit": "1GB"}) as connection:
        view_published_trips(connection, file.path, sources, shapes, rows)
        rows_typed = connection.sql(f"SELECT {', '.join(columns)} FROM published_trips")
        yield from rows_typed.to_arrow_reader(_BATCH_ROWS)
