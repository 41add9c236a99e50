"""The dataset of single trips: a fleet's month of the table `trips` as a Parquet file, for programs that read files.

The other datasets are data frames; a month of these may have 25 million rows, so it is written day by day.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline.datasets.encoding import arrow_schema
from taxi_pipeline.storage.row_groups import write_row_groups
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import TRIPS

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_ROWS = 100_000
"""Rows of a row group. Each is a span of time, so a reader that asks for a day of a busy fleet skips most of them."""

_COLUMNS = TRIPS.column_names[1:]
"""All but the fleet, which is in the file's path."""

# Trips may begin in the same second, so all columns decide on their order: equal trips give equal bytes on each engine.
_ORDER = ", ".join(
    f"{name} NULLS LAST" for name in (TRIPS.order, *(column for column in _COLUMNS if column != TRIPS.order))
)
_SQL = f"SELECT {', '.join(_COLUMNS)} FROM trips WHERE fleet = ? AND pickup_date = ? ORDER BY {_ORDER}"


def write_trips(session: Session, fleet: str, month: date, path: Path, *, row_group_rows: int = ROW_GROUP_ROWS) -> int:
    """Write a fleet's month of trips as Parquet, in the order of their pickups; one day is in memory at a time.

    Args:
        session: the warehouse.
        fleet: name of the fleet.
        month: first day of the month. Days that are not loaded have no rows.
        path: of the file.
        row_group_rows: rows of each row group but the last.

    Returns:
        The number of trips.
    """
    schema = _schema()
    by_day = (session.table(_SQL, [fleet, day]).cast(schema) for day in Days.of_month(month))
    return write_row_groups(path, schema, by_day, row_group_rows=row_group_rows)


def _schema() -> "pa.Schema":
    """The columns of the file, each with what it means."""
    import pyarrow as pa

    comments = TRIPS.comments
    return pa.schema([field.with_metadata({"comment": comments[field.name]}) for field in arrow_schema(TRIPS)])
