"""An export to a folder of Parquet files: `TABLE/fleet=FLEET/month=YYYY-MM-01/TABLE.parquet`, `TABLE/TABLE.parquet`.

Each file is written whole, then renamed. Fleet and month are in the path alone, as Hive has them. What the log of a
database says is in each file's footer.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.exports.addresses import ParquetAddress
from taxi_pipeline.exports.sums import Dialect, SumsByDay, read_sums, select_sums
from taxi_pipeline.exports.target import BY_DAYS, ExportError, Recorded, Target
from taxi_pipeline.storage.row_groups import write_row_groups
from taxi_pipeline.storage.whole_files import FileInUseError, locked, replacing
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from taxi_pipeline.exports.contents import Change

LOG_KEY = b"taxi_pipeline_export"
"""Key of a file's footer: JSON of day, or nothing for a small table → version and number of rows."""

IN_THE_PATH = ("fleet", "month")
"""Columns that the files of days do not have."""

_ROW_GROUP_ROWS = 200_000
_HIVE = "hive_partitioning = true, hive_types = {'fleet': VARCHAR, 'month': DATE}"


@contextmanager
def open_parquet(address: ParquetAddress) -> "Iterator[ParquetTarget]":
    """Lock the folder for other exports as long as the block runs.

    Raises:
        ExportError: another export writes there.
        StorageError: the folder can't be made.
    """
    try:
        with locked(address.folder / "export", timeout_seconds=0):
            yield ParquetTarget(address.folder)
    except FileInUseError as error:
        raise ExportError(
            f"another export writes into {address.folder}. Nothing was changed; run again when it is done"
        ) from error


class ParquetTarget(Target):
    """A folder on this machine."""

    whole_months = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The path of the folder."""
        return str(self._folder)

    def prepare(self, tables: Sequence[Table]) -> None:
        """Nothing is made ahead; files that no export has written are refused.

        One of ours that can't be read any more, cut off or copied in part, is written again with its month.
        """
        for table in tables:
            for path in sorted((self._folder / table.name).rglob("*.parquet")):
                if path.name.startswith(".") or (path.name == f"{table.name}.parquet" and not _is_whole(path)):
                    continue
                if _log_of(path) is None:
                    raise ExportError(f"{path} was written by no export. Nothing was changed; name another folder")

    def recorded_days(self, table: Table, fleet: str, days: Days) -> Mapping[date, Recorded]:
        """What the footer of the month's file says."""
        log = _log_of(self._file(table, fleet, days.first)) or {}
        return {date.fromisoformat(day): Recorded(*found) for day, found in log.items()}

    def recorded_table(self, table: Table) -> Recorded | None:
        """What the footer of the table's file says."""
        log = _log_of(self._file(table))
        return Recorded(*log[""]) if log else None

    def write(self, changes: "Sequence[Change]") -> None:
        """Write each file whole, then rename it: a reader sees the old file or the new one."""
        import pyarrow as pa

        for change in changes:
            path = self._file(change.table, change.fleet, change.days[0] if change.days else None)
            log = {str(day or ""): [found.version, found.num_rows] for day, found in change.versions.items()}
            reader = change.batches({}, num_rows=_ROW_GROUP_ROWS)
            kept = [column.name for column in change.table.columns if not _is_in_the_path(change.table, column.name)]
            schema = _described(reader.schema, change.table, kept).with_metadata({LOG_KEY: json.dumps(log).encode()})
            tables = (pa.table(batch).select(kept).cast(schema) for batch in reader)
            with replacing(path) as temporary:
                write_row_groups(temporary, schema, tables, row_group_rows=_ROW_GROUP_ROWS)

    def sums_by_day(self, table: Table, fleet: str, days: Days) -> SumsByDay:
        """Count and add up what the month's file holds."""
        rows = _ask(
            f"SELECT {table.day}, {select_sums(table, Dialect.WAREHOUSE)} FROM read_parquet(?, {_HIVE}) "
            f"GROUP BY {table.day}",
            self._file(table, fleet, days.first),
        )
        return {day: read_sums(table, values) for day, *values in rows}

    def sums_of(self, table: Table) -> SumsByDay:
        """Count and add up what a small table's file holds."""
        (row,) = _ask(f"SELECT {select_sums(table, Dialect.WAREHOUSE)} FROM read_parquet(?)", self._file(table))
        return {None: read_sums(table, row)}

    def forget(self, table: Table, fleet: str | None, days: Sequence[date]) -> None:
        """Delete the file, which is wrong, so that the next export writes it again."""
        self._file(table, fleet, days[0] if days else None).unlink(missing_ok=True)

    def _file(self, table: Table, fleet: str | None = None, day: date | None = None) -> Path:
        folder = self._folder / table.name
        if fleet is not None and day is not None:
            folder = folder / f"fleet={fleet}" / f"month={month_of(day)}"
        return folder / f"{table.name}.parquet"


def _is_in_the_path(table: Table, column: str) -> bool:
    return table.kind in BY_DAYS and column in IN_THE_PATH


def _described(schema: "pa.Schema", table: Table, kept: Sequence[str]) -> "pa.Schema":
    """The columns of a file, each with its comment."""
    import pyarrow as pa

    comments = table.comments
    return pa.schema([schema.field(name).with_metadata({"comment": comments[name]}) for name in kept])


def _log_of(path: Path) -> dict[str, Any] | None:
    """What the footer says; None when there is no such file, or one that an export did not write whole."""
    metadata = _metadata_of(path) or {}
    return json.loads(metadata[LOG_KEY]) if LOG_KEY in metadata else None


def _is_whole(path: Path) -> bool:
    return _metadata_of(path) is not None


def _metadata_of(path: Path) -> dict[bytes, bytes] | None:
    """What stands in the footer beside the columns; None when there is no file, or none that Parquet readers can read.

    Raises:
        ExportError: the disk does not let it be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return dict(pq.read_metadata(path).metadata or {})
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    except OSError as error:
        if error.errno is None:  # Arrow's own, of a damaged footer
            return None
        raise ExportError(
            f"{path} can't be read: {error.strerror}. Nothing was changed; make it readable, or name another folder"
        ) from error


def _ask(sql: str, path: Path) -> list[tuple[Any, ...]]:
    import duckdb

    try:
        with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
            return connection.execute(sql, [str(path)]).fetchall()
    except duckdb.Error as error:
        path.unlink(missing_ok=True)
        raise ExportError(
            f"{path} can't be read again, and was deleted: {error}. Export again: it is written anew"
        ) from error
