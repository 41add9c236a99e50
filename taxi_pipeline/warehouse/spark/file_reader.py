"""The published file on the cluster: each task reads a part of it from the storage, and types its rows.

The rows are typed by the same SQL and placed by the same `ZoneFinder` as in the DuckDB engine, in an Arrow function.
How a cast rounds, which number a text becomes and which zone covers a place is then the same by construction. The
Python of the workers needs this package, of the same version, and the libraries that read the storage.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline.tlc.fleets import Source
from taxi_pipeline.warehouse.interface import PublishedFile
from taxi_pipeline.warehouse.spark.dialect import schema
from taxi_pipeline.warehouse.tables import TRIPS, columns_fed_by

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

ROWS_PER_TASK = 5_000_000
"""Each task copies the whole file to its machine, so there should be few; a month of taxis is one."""


def typed_rows(
    spark: "SparkSession",
    file: PublishedFile,
    sources: Mapping[str, Source],
    shapes: Mapping[int, str],
) -> "DataFrame":
    """Give the rows of a published file the columns of the view `published_trips`; nothing is read yet.

    Args:
        spark: the session.
        file: the published file; it is read from the storage, not from its copy on this machine.
        sources: column of `trips` → what feeds it.
        shapes: zone id → WKT in degrees, where the file holds coordinates.
    """
    types = {name: TRIPS.column_types[name] for name in ("pickup_date", *columns_fed_by(sources))}
    types |= dict.fromkeys(("misfits", "misfit_columns", "unfit_values", "unfit_columns"), "VARCHAR")
    num_tasks = max(1, -(-file.num_rows // ROWS_PER_TASK))
    tasks = spark.range(0, num_tasks, 1, num_tasks)
    return tasks.mapInArrow(_reader(file, dict(sources), dict(shapes), tuple(types)), schema(types))


def _reader(
    file: PublishedFile, sources: Mapping[str, Source], shapes: Mapping[int, str], columns: Sequence[str]
) -> "Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """The function that a worker runs: from numbers of tasks to their rows."""

    def read(tasks: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        for batch in tasks:
            for task in batch.column(0).to_pylist():
                yield from _rows_of_task(file, sources, shapes, columns, task)

    return read


def _rows_of_task(
    file: PublishedFile, sources: Mapping[str, Source], shapes: Mapping[int, str], columns: Sequence[str], task: int
) -> "Iterator[pa.RecordBatch]":
    from taxi_pipeline.storage import open_storage
    from taxi_pipeline.storage.whole_files import sha256_of
    from taxi_pipeline.warehouse.typing.arrow_batches import typed_batches

    folder, _, name = file.uri.rpartition("/")
    storage = open_storage(folder, scratch=Path(tempfile.gettempdir()) / "taxi-pipeline")
    rows = range(task * ROWS_PER_TASK, min(file.num_rows, (task + 1) * ROWS_PER_TASK))
    with storage.local_copy(name) as path:
        if (found := sha256_of(path)) != file.sha256:
            raise RuntimeError(f"{file.uri} was changed while it was loaded: its SHA-256 is {found}, not {file.sha256}")
        yield from typed_batches(replace(file, path=path), sources, shapes, columns, rows)
