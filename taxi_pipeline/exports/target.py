"""The interface of every target of an export, and its errors.

A target has the declared tables, with types and comments from their declarations, and the table `export_log`, which
says what of them it holds. It is written in units that readers see whole: a fleet's month of all tables, or one small
table.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.exports.sums import SumsByDay
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.tables import TABLES, Column, Kind, Table

if TYPE_CHECKING:
    from taxi_pipeline.exports.contents import Change

EXPORTED = tuple(table for table in TABLES if table.kind is not Kind.VERSION)
"""The tables that can be exported: all but `warehouse_version`, which counts writes to the warehouse."""

BY_DAYS = (Kind.DAILY, Kind.RECORD)
"""Kinds of tables whose rows belong to days of fleets."""

EXPORT_LOG = Table(
    "export_log",
    "What `taxi-pipeline export` has written: a row for each table, fleet and day, or for each small table. A day "
    "whose version is that of the warehouse is not written again.",
    (
        Column("table_name", "VARCHAR", "Name of the table", nullable=False),
        Column("fleet", "VARCHAR", "Fleet; NULL for a small table, which is replaced as a whole"),
        Column("day", "DATE", "Day to which the rows belong; NULL for a small table"),
        Column(
            "version",
            "VARCHAR",
            "SHA-256 over the version of the published file, the table's columns, and the day's counts and sums; of a "
            "small table over its columns and rows",
            nullable=False,
        ),
        Column("num_rows", "BIGINT", "Rows of the day, or of the small table", nullable=False),
        Column("exported_at", "TIMESTAMP", "When they were written", "UTC", nullable=False),
    ),
)


def columns_to_add(table: Table, found: Mapping[str, str], expected: Mapping[str, str]) -> Sequence[Column] | None:
    """The declared columns that a table of a target lacks: those that were declared since it was made.

    Args:
        table: its declaration.
        found: column → type in the target, in order; those of somebody else may stand behind ours.
        expected: the same as an export makes it.

    Returns:
        The columns; None when the table is of another kind, and nothing can be added to it.
    """
    there, ours = list(found.items()), list(expected.items())
    if there[: len(ours)] == ours:
        return ()
    new = table.columns[len(there) :]
    return new if there == ours[: len(there)] and all(column.nullable for column in new) else None


class ExportError(TaxiPipelineError):
    """Something can't be exported; the message says what is in the target now, and what to do. It has no password."""


class ExportDiffersError(ExportError):
    """The target does not have the counts and sums of the warehouse."""


@dataclass(frozen=True)
class Recorded:
    """What the log of the target says of a day, or of a small table."""

    version: str
    num_rows: int


class Target(ABC):
    """A place that holds the tables. It is locked as long as it is open: two exports never mix."""

    whole_months: bool = False
    """True where a fleet's month of a table can only be replaced as a whole."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For messages, without a password."""

    @abstractmethod
    def prepare(self, tables: Sequence[Table]) -> None:
        """Make what is missing: tables, columns that were declared since, comments, keys, indexes.

        Raises:
            ExportError: a table has other columns, or there is no right to make it. No table was changed.
        """

    @abstractmethod
    def recorded_days(self, table: Table, fleet: str, days: Days) -> Mapping[date, Recorded]:
        """What the log says of these days of a table of days; without those that it does not have."""

    @abstractmethod
    def recorded_table(self, table: Table) -> Recorded | None:
        """What the log says of a small table."""

    @abstractmethod
    def write(self, changes: "Sequence[Change]") -> None:
        """Replace the days, or the small tables, and record them: all in one transaction.

        Raises:
            ExportError: the target refuses, or is gone. What it had before is there.
        """

    @abstractmethod
    def sums_by_day(self, table: Table, fleet: str, days: Days) -> SumsByDay:
        """Count and add up what the target holds of these days, by SQL of its own."""

    @abstractmethod
    def sums_of(self, table: Table) -> SumsByDay:
        """The same of a small table, with the day None."""

    @abstractmethod
    def forget(self, table: Table, fleet: str | None, days: Sequence[date]) -> None:
        """Remove these days, or the small table, from the log, so that the next export writes them again."""
