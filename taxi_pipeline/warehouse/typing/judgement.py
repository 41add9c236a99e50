"""Whether a published file as a whole can be its month: judged before it takes the place of the good copy.

Rows are judged one by one when they are loaded. But a file whose pickups can't be read, or are another month's, would
reject them all and empty the month. Each threshold lies far above what real months show, and has these beside it; who
knows better accepts the file by name, with the setting `TAXI_ACCEPT`.

The file is decoded once: its batches pass through one query, with the casts by which it is loaded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline.storage import MissingFileError, Storage
from taxi_pipeline.tlc.fetch_note import read_note
from taxi_pipeline.tlc.fleets import NEEDED, Code, Fleet, Source, Value
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.tlc.trip_files import (
    Decoding,
    TripFile,
    UnusableFileError,
    decoding,
    read_trip_file,
    verify_trip_file,
)
from taxi_pipeline.warehouse.tables import Column
from taxi_pipeline.warehouse.typing.casts import PUBLISHED, PublishedColumn, TypedColumn, typed_columns
from taxi_pipeline.warehouse.typing.column_names import columns_of, positions_of
from taxi_pipeline.warehouse.typing.published_view import view_parquet

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MAX_SHARE_OUTSIDE = 0.01
"""Of the pickups, outside the file's month. Of the real months at hand green 2025-01 has most: 43 of 48,326, 0.09 %."""

MAX_SHARE_UNREADABLE = 0.01
"""Of the rows, with a pickup time or a zone that is none, or without a pickup time. No real month at hand (green
2020-03 to 2025-01, yellow 2019-01 to 2019-03) has one."""

MAX_SHARE_WITHOUT_ZONE = 0.5
"""Of the rows, without a zone or coordinates. No real month at hand has one. `fhv` is not judged: bases leave zones
out."""

MAX_SHARE_UNFIT = 0.1
"""Of the values of another column that every month has. No real month at hand has one. Below it the values are NULL in
`trips`, and counted."""

MAX_SHARE_LOST = 1 / 3
"""Of the rows that the version before had. Green 2024-01 published again has the same 56,551 rows; a correction that
dropped all trips of up to a mile would lose 30 % (yellow 2019-01) at most of the real months at hand."""

FEW = 10
"""Odd rows that any file may have, so that a small one is not refused for a few, unless all its rows are odd."""

_FLEETS_WITHOUT_ZONES = ("fhv",)
_MAX_REASON = 300
"""Characters of an error of a library in a message."""


class UnlikelyFileError(UnusableFileError):
    """A published file can be read, but as a whole it can't be the month that it should be."""

    def __init__(self, fleet: Fleet, month: date, reason: str) -> None:
        """Tell how the file is accepted all the same.

        Args:
            fleet: whose trips it should hold.
            month: first day of the month that it should hold.
            reason: what speaks against it.
        """
        super().__init__(
            f"it can't be the {fleet.name} trips of {month:%Y-%m}: {reason}. If it is right all the same, set "
            f"TAXI_ACCEPT={fleet.month_name(month)} and run again"
        )


def judge_download(path: Path, fleet: Fleet, month: date, files: Storage, *, accepted: bool = False) -> None:
    """Make sure that a downloaded file can be the fleet's month, and is not much smaller than the copy in the storage.

    Args:
        path: the downloaded file.
        fleet: whose trips.
        month: its first day.
        files: the storage, which still has the version before, if there was one.
        accepted: whether the file is accepted when it can be read but is unlikely.

    Raises:
        UnusableFileError: it can't be read.
        UnlikelyFileError: it can't be the month; says why.
        MissingColumnsError: it lacks a column that every month must have.
    """
    before = _copy_before(files, trips_file(fleet, month))
    comparable = before and before.synthetic == read_trip_file(path).synthetic
    rows_before = before.num_rows if before and comparable else None
    judge_trip_file(path, fleet, month, rows_before=rows_before, accepted=accepted)


def _copy_before(files: Storage, name: str) -> TripFile | None:
    """The copy of a file in the storage, if it is what was verified when it was fetched."""
    note = read_note(files, name)
    try:
        if note is None or files.describe(name).sha256 != note.sha256:
            return None
        with files.local_copy(name) as path:
            return read_trip_file(path)
    except (MissingFileError, UnusableFileError, OSError):
        return None


def judge_trip_file(
    path: Path, fleet: Fleet, month: date, *, rows_before: int | None = None, accepted: bool = False
) -> None:
    """Make sure that a file holds the fleet's trips of the month. Reads it once, in bounded memory.

    Args:
        path: the file.
        fleet: whose trips.
        month: its first day.
        rows_before: how many rows the version before has; None when there is none to compare with.
        accepted: whether the file is accepted when it can be read but is unlikely.

    Raises:
        UnusableFileError: it can't be read, as `decoding` says; or two of its columns have the same name.
        UnlikelyFileError: it can't be the month; says why, with an example and what was expected.
        MissingColumnsError: it lacks a column that every month must have.
    """
    sources = fleet.sources_in(read_trip_file(path).columns)
    positions = positions_of(path, (name for source in sources.values() for name in source.names))
    if accepted:
        verify_trip_file(path, fleet)
        return
    days = Days.of_month(month)
    with decoding(path, fleet) as decoded:
        counts = _counts(decoded, sources, positions, days)
    if doubt := next(_doubts(counts, fleet, sources), None):
        example = _example(doubt, path, sources, positions, days)
        raise UnlikelyFileError(fleet, month, doubt.in_words(example))
    if rows_before is not None and (reason := reason_of_loss(counts.num_rows, rows_before)):
        raise UnlikelyFileError(fleet, month, reason)


def reason_of_loss(num_rows: int, rows_before: int) -> str | None:
    """Why a version of a month has too few rows beside the one before; None when it has enough."""
    if not _too_many(rows_before - num_rows, rows_before, MAX_SHARE_LOST):
        return None
    return (
        f"it has {num_rows:,} rows, where the version before has {rows_before:,}; at least "
        f"{1 - MAX_SHARE_LOST:.0%} of these were expected"
    )


def _too_many(num: int, of: int, max_share: float) -> bool:
    return num > 0 and max_share < 1 and (num >= of or num > max_share * of + FEW)


@dataclass(frozen=True)
class _ColumnCounts:
    """What a file has for one column of ours."""

    column: Column
    given: int
    unfit: int


@dataclass(frozen=True)
class _Counts:
    """What was counted in a file."""

    num_rows: int
    num_outside: int
    """Pickups outside the month."""
    columns: Sequence[_ColumnCounts]


@dataclass(frozen=True)
class _Doubt:
    """What speaks against a file."""

    reason: str
    expected: str = ""
    misfits_of: Column | None = None
    """The column of ours whose misfits are examples."""
    outside: bool = False
    """Whether pickups outside the month are examples."""

    def in_words(self, example: str | None) -> str:
        """One sentence, with an example where there is one."""
        shown = "" if example is None else f", for example {example!r}"
        return f"{self.reason}{shown}" + (f"; expected was {self.expected}" if self.expected else "")


def _doubts(counts: _Counts, fleet: Fleet, sources: Mapping[str, Source]) -> Iterator[_Doubt]:
    """What speaks against a file, the worst first."""
    num_rows = counts.num_rows
    if not num_rows:
        yield _Doubt("it has no rows at all")
    for of in counts.columns:
        name, expected = " and ".join(sources[of.column.name].names), _expected(of.column)
        max_share = MAX_SHARE_UNREADABLE if of.column.name in NEEDED else MAX_SHARE_UNFIT
        if _too_many(of.unfit, of.given, max_share):
            share = _share(of.unfit, of.given)
            yield _Doubt(f"{name} is not readable in {share} of its values", expected, misfits_of=of.column)
        if _too_many(num_rows - of.given, num_rows, _max_share_empty(of.column, fleet)):
            yield _Doubt(f"{name} is empty in {_share(num_rows - of.given, num_rows)} of the rows", expected)
    if _too_many(counts.num_outside, num_rows, MAX_SHARE_OUTSIDE):
        name, share = sources["pickup_datetime"].names[0], _share(counts.num_outside, num_rows)
        yield _Doubt(
            f"{name} lies outside of the month in {share} of the rows",
            f"at most {MAX_SHARE_OUTSIDE:.0%} of them",
            outside=True,
        )


def _example(
    doubt: _Doubt, path: Path, sources: Mapping[str, Source], positions: Mapping[str, int], month: Days
) -> str | None:
    """A published value that is an example of the doubt; reads the file once more, up to the first one."""
    import duckdb

    if not doubt.outside and doubt.misfits_of is None:
        return None
    try:
        with duckdb.connect(config={"threads": 1, "memory_limit": "1GB"}) as connection:
            typed = typed_columns(sources, columns_of(view_parquet(connection, path), positions))
            column = _pickup(typed) if doubt.outside else next(t for t in typed if t.column is doubt.misfits_of)
            condition = _outside_sql(column, month) if doubt.outside else column.misfit
            sql = f"SELECT {column.example} FROM {PUBLISHED} WHERE {condition} LIMIT 1"
            return next((text for (text,) in connection.execute(sql).fetchall()), None)
    except duckdb.Error:
        return None  # the reason is known without it


def _share(num: int, of: int) -> str:
    return f"{num:,} of {of:,} ({num / of:.1%})"


def _max_share_empty(column: Column, fleet: Fleet) -> float:
    if column.name == "pickup_datetime":
        return MAX_SHARE_UNREADABLE
    return MAX_SHARE_WITHOUT_ZONE if column.name in NEEDED and fleet.name not in _FLEETS_WITHOUT_ZONES else 1


def _expected(column: Column) -> str:
    if column.name in NEEDED[1:]:
        return "the number of a zone, or degrees"
    if column.type == "TIMESTAMP":
        return "a time such as 2023-01-31 08:15:00"
    return "Y or N" if column.type == "BOOLEAN" else f"a number that fits {column.type}"


def _counts(decoded: Decoding, sources: Mapping[str, Source], positions: Mapping[str, int], month: Days) -> _Counts:
    """Count in one pass over the file."""
    import duckdb
    import pyarrow as pa

    # DuckDB renames columns of the same name; so these have names of their own.
    names = {position: f"column_{position}" for position in decoded.positions}
    schema = pa.schema([field.with_name(name) for field, name in zip(decoded.fields, names.values(), strict=True)])
    failures: list[Exception] = []

    def batches() -> "Iterator[pa.RecordBatch]":
        try:
            for batch in decoded.batches():
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        except Exception as error:
            failures.append(error)  # DuckDB makes another error of it
            raise

    try:
        with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
            types = _types(connection, schema)
            published = {name: PublishedColumn(names[at], types[names[at]]) for name, at in positions.items()}
            columns = [column for column in typed_columns(sources, published) if _is_judged(sources, column)]
            sql = _counting_sql(columns, _outside_sql(_pickup(columns), month))
            connection.register(PUBLISHED, pa.RecordBatchReader.from_batches(schema, batches()))
            ((num_rows, num_outside, *found),) = connection.execute(sql).fetchall()
    except duckdb.Error as error:
        if failures:
            raise failures[0] from None
        raise UnusableFileError(f"its values can't be read: {str(error)[:_MAX_REASON]}") from error
    each = zip(columns, found[::2], found[1::2], strict=True)
    return _Counts(num_rows, num_outside, [_ColumnCounts(sql.column, *numbers) for sql, *numbers in each])


def _types(connection: "duckdb.DuckDBPyConnection", schema: "pa.Schema") -> dict[str, str]:
    """Column → its type, as DuckDB reads it."""
    relation = connection.from_arrow(schema.empty_table())
    return {name: str(type_) for name, type_ in zip(relation.columns, relation.types, strict=True)}


def _is_judged(sources: Mapping[str, Source], typed: TypedColumn) -> bool:
    """Whether the column is needed, or one that every month has and that has a type to fit."""
    source = sources[typed.column.name]
    if typed.column.name in NEEDED:
        return True
    came_later = isinstance(source, Value) and source.since
    optional = isinstance(source, Value | Code) and source.optional
    return not came_later and not optional and typed.misfit != "FALSE"


def _pickup(columns: Sequence[TypedColumn]) -> TypedColumn:
    return next(sql for sql in columns if sql.column.name == "pickup_datetime")


def _outside_sql(pickup: TypedColumn, month: Days) -> str:
    """SQL for whether a pickup lies outside the month. The days are our own, so they may stand in it."""
    after = month.last + timedelta(days=1)
    return f"(({pickup.value}) < DATE '{month.first}' OR ({pickup.value}) >= DATE '{after}')"


def _counting_sql(columns: Sequence[TypedColumn], outside: str) -> str:
    """The query over the decoded rows."""
    counts = [f"count(*) FILTER (WHERE {condition})" for sql in columns for condition in (sql.given, sql.misfit)]
    return f"SELECT count(*), count(*) FILTER (WHERE {outside}), {', '.join(counts)} FROM {PUBLISHED}"
