"""What the warehouse has to export: the parts, the version of each of their days, and their rows in batches.

All of it is read from one state of the warehouse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from taxi_pipeline.exports.sums import (
    ROWS,
    Dialect,
    Sums,
    SumsByDay,
    no_rows,
    read_sums,
    select_sums,
    version_of_day,
    version_of_rows,
)
from taxi_pipeline.exports.target import Recorded
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders
from taxi_pipeline.warehouse.tables import Column, Table

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 20_000
"""Rows in memory at a time; with all columns of `trips` about 10 MB."""


@dataclass(frozen=True)
class Part:
    """A fleet's month, or some days of it: what is written in one transaction."""

    fleet: str
    days: Days
    """From the first to the last day that is exported, within one month."""
    files: Mapping[date, str]
    """Loaded day → SHA-256 of its published file."""


@dataclass(frozen=True)
class Change:
    """Rows of a table that a target replaces: some days of a fleet, or all of a small table."""

    session: DuckDBSession
    table: Table
    fleet: str | None
    """None for a small table."""
    versions: Mapping[date | None, Recorded]
    """Day, None for a small table → what the log will say of it."""

    @property
    def days(self) -> list[date]:
        """The days, in order; none for a small table."""
        return sorted(day for day in self.versions if day is not None)

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return sum(recorded.num_rows for recorded in self.versions.values())

    def batches(self, spelled: Mapping[str, str], *, num_rows: int = BATCH_ROWS) -> "pa.RecordBatchReader":
        """The rows, in the order of the declared columns.

        Args:
            spelled: type → SQL with {} for the column, where a target wants the values of a type in another form.
            num_rows: the most rows of a batch.
        """
        listed = ", ".join(_spelled(column, spelled) for column in self.table.columns)
        sql, values = f"SELECT {listed} FROM {self.table.name}", []
        if self.fleet is not None:
            days = self.days
            sql += f" WHERE {_of_days(self.table)} AND {self.table.day} IN ({placeholders(days)})"
            values = [*_bounds(self.fleet, Days(days[0], days[-1])), *days]
        return self.session.batches(sql, values, num_rows=num_rows)


def _spelled(column: Column, spelled: Mapping[str, str]) -> str:
    return spelled.get(column.type, "{}").format(column.name)


def parts_of(session: Session, fleets: Sequence[str], first: date | None, last: date | None) -> list[Part]:
    """The loaded days of these fleets, by month, oldest first.

    Args:
        session: of the warehouse.
        fleets: their names.
        first: None for the first day that is loaded.
        last: None for the last day that is loaded.
    """
    rows = session.rows(
        "SELECT fleet, pickup_date, file_version FROM loaded_days "
        f"WHERE fleet IN ({placeholders(fleets)}) AND pickup_date BETWEEN ? AND ? ORDER BY pickup_date, fleet",
        [*fleets, first or date.min, last or date.max],
    )
    found: dict[tuple[date, str], dict[date, str]] = {}
    for fleet, day, file_version in rows:
        found.setdefault((month_of(day), fleet), {})[day] = file_version
    return [Part(fleet, Days(min(files), max(files)), files) for (_, fleet), files in sorted(found.items())]


def contents_by_day(session: Session, table: Table, part: Part) -> dict[date | None, Recorded]:
    """The version and the number of rows of each loaded day of the part."""
    sums = sums_by_day(session, table, part.fleet, part.days)
    empty = no_rows(table)
    return {
        day: _recorded(table, sums.get(day, empty), file_version) for day, file_version in sorted(part.files.items())
    }


def contents_of(session: Session, table: Table) -> Recorded:
    """The version and the number of rows of a small table."""
    rows = session.rows(f"SELECT {', '.join(table.column_names)} FROM {table.name}")
    return Recorded(version_of_rows(table, rows), len(rows))


def _recorded(table: Table, sums: Sums, file_version: str) -> Recorded:
    return Recorded(version_of_day(table, sums, file_version), int(sums[ROWS] or 0))


def sums_by_day(session: Session, table: Table, fleet: str, days: Days) -> SumsByDay:
    """Count and add up what the warehouse has of these days, which lie in one month."""
    rows = session.rows(
        f"SELECT {table.day} AS day, {select_sums(table, Dialect.WAREHOUSE)} FROM {table.name} "
        f"WHERE {_of_days(table)} GROUP BY {table.day}",
        _bounds(fleet, days),
    )
    return {day: read_sums(table, values) for day, *values in rows}


def sums_of(session: Session, table: Table) -> SumsByDay:
    """Count and add up a small table."""
    return {None: read_sums(table, session.row(f"SELECT {select_sums(table, Dialect.WAREHOUSE)} FROM {table.name}"))}


def _of_days(table: Table) -> str:
    return f"fleet = ? AND {table.month} BETWEEN ? AND ? AND {table.day} BETWEEN ? AND ?"


def _bounds(fleet: str, days: Days) -> list[str | date]:
    """The values of `_of_days`: rows of a month lie together, so engines read no others."""
    return [fleet, month_of(days.first), days.last, days.first, days.last]
