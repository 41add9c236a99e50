"""Whether a published file as a whole can be its month: judged before it takes the place of the good copy.

Rows are judged one by one when they are loaded. But a file whose pickups can't be read, or are another month's, would
reject them all and empty the month. Each threshold lies far above what real months show, and has these beside it; who
knows better accepts the file by name, with the setting `TAXI_ACCEPT`.

The file is decoded twice: once to verify every page, then by one query, with the casts by which it is loaded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline.storage import MissingFileError, Storage
from taxi_pipeline.tlc.fetch_note import read_note
from taxi_pipeline.tlc.fleets import NEEDED, Code, Fleet, Source, Value
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.tlc.trip_files import TripFile, UnusableFileError, read_trip_file, verify_trip_file
from taxi_pipeline.warehouse.tables import Column
from taxi_pipeline.warehouse.typing.casts import PublishedColumn, TypedColumn, stepwise, typed_columns
from taxi_pipeline.warehouse.typing.column_names import columns_of, positions_of
from taxi_pipeline.warehouse.typing.published_view import view_parquet

if TYPE_CHECKING:
    import duckdb

MAX_SHARE_OUTSIDE = 0.01
"""Of the pickups, outside the file's month. Of the real months at hand green 2025-01 has most: 43 of 48,326, 0.09 %."""

MAX_SHARE_UNREADABLE = 0.01
"""Of the rows, with a pickup time or a zone that is none, or without a pickup time. No real month at hand (green
2020-03 to 2025-01, yellow 2019-01 to 2019-03) has one."""

MAX_SHARE_EMPTY = 0.5
"""Of the rows, without a value that every trip has: zones or coordinates, drop-off time, distance, fare, total, where
the file has their column. No real month at hand lacks one. `fhv` is not judged: bases leave out what they like."""

MAX_SHARE_AT_MIDNIGHT = 0.5
"""Of the pickups, to the second; more are dates without their times. Green 2020-04 has most: 9 of 35,644, 0.03 %."""

MAX_SHARE_REPEATED = 0.2
"""Of the rows, equal to another one in all loaded columns. No real month at hand has one; the share is estimated, with
an error of up to 7 hundredths on these months."""

MAX_SHARE_OF_DAYS_WITHOUT_TRIPS = 0.5
"""Of the month's days, in a file of `MANY` rows or more. Every day of the real months at hand has trips."""

MANY = 1_000
"""Rows of a file that has trips on most of its days."""

MAX_SHARE_UNFIT = 0.1
"""Of the values of another column that every month has. No real month at hand has one. Below it the values are NULL in
`trips`, and counted."""

MAX_SHARE_LOST = 1 / 3
"""Of the rows that the version before had. Green 2024-01 published again has the same 56,551 rows; a correction that
dropped all trips of up to a mile would lose 30 % (yellow 2019-01) at most of the real months at hand."""

MAX_GROWTH = 2
"""Times the rows that the version before had. A month that more than doubles holds other trips, or its own twice."""

FEW = 10
"""Odd rows that any file may have, so that a small one is not refused for a few, unless all its rows are odd."""

_FLEETS_OF_BASES = ("fhv",)
_ALWAYS_GIVEN = (*NEEDED, "dropoff_datetime", "trip_distance", "fare_amount", "total_amount")
"""The columns that every trip has a value of."""

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
    before = None if accepted else _copy_before(files, fleet, month)
    comparable = before and before[0].synthetic == read_trip_file(path).synthetic
    judge_trip_file(path, fleet, month, before=before[1] if before and comparable else None, accepted=accepted)


def _copy_before(files: Storage, fleet: Fleet, month: date) -> tuple[TripFile, "Before"] | None:
    """The copy of a file in the storage, if it is what was verified when it was fetched."""
    name = trips_file(fleet, month)
    note = read_note(files, name)
    try:
        if note is None or files.describe(name).sha256 != note.sha256:
            return None
        with files.local_copy(name) as path:
            content = read_trip_file(path)
            sources = fleet.sources_in(content.columns)
            return content, Before(content.num_rows, _num_days(path, sources, Days.of_month(month)))
    except (MissingFileError, UnusableFileError, OSError):
        return None


def judge_trip_file(
    path: Path, fleet: Fleet, month: date, *, before: "Before | None" = None, accepted: bool = False
) -> None:
    """Make sure that a file holds the fleet's trips of the month. Reads it twice, in bounded memory.

    Args:
        path: the file.
        fleet: whose trips.
        month: its first day.
        before: what the version before has; None when there is none to compare with.
        accepted: whether the file is accepted when it can be read but is unlikely.

    Raises:
        UnusableFileError: it can't be read, as `verify_trip_file` says; or two of its columns have the same name.
        UnlikelyFileError: it can't be the month; says why, with an example and what was expected.
        MissingColumnsError: it lacks a column that every month must have.
    """
    content = read_trip_file(path)
    sources = fleet.sources_in(content.columns)
    positions = positions_of(path, sources)
    if not accepted and (other := fleet.likelier_fleet(content.columns)):
        raise UnlikelyFileError(fleet, month, f"its columns are those of {other.name} trips")
    verify_trip_file(path, fleet)
    if accepted:
        return
    days = Days.of_month(month)
    counts = _counts(path, sources, positions, days)
    doubts = _doubts(counts, fleet, sources)
    of_shape = _doubts_of_shape(counts, sources["pickup_datetime"].names[0], days, may_be_part=content.synthetic)
    if doubt := next(chain(doubts, of_shape), None):
        example = _example(doubt, path, sources, positions, days)
        raise UnlikelyFileError(fleet, month, doubt.in_words(example))
    if before and (reason := reason_of_change(counts.num_rows, counts.num_days, before)):
        raise UnlikelyFileError(fleet, month, reason)


@dataclass(frozen=True)
class Before:
    """The version of a month before the one that is judged."""

    num_rows: int
    num_days: int
    """Days of the month that have pickups."""


def reason_of_change(num_rows: int, num_days: int, before: Before) -> str | None:
    """Why a version of a month has too few or too many rows, or too few days, beside the one before; None otherwise.

    Args:
        num_rows: of the version that is judged.
        num_days: days of the month on which it has pickups.
        before: the version before.
    """
    rows_before = before.num_rows
    if rows_before >= MANY and num_days < before.num_days:
        return f"it has pickups on {num_days} days of the month, where the version before has {before.num_days}"
    found = f"it has {num_rows:,} rows, where the version before has {rows_before:,}"
    if _too_many(rows_before - num_rows, rows_before, MAX_SHARE_LOST):
        return f"{found}; at least {1 - MAX_SHARE_LOST:.0%} of these were expected"
    if num_rows > MAX_GROWTH * rows_before + FEW:
        return f"{found}; at most {MAX_GROWTH} times as many were expected"
    return None


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
    num_at_midnight: int
    """Pickups that are dates without a time."""
    num_days: int
    """Days of the month that have pickups."""
    num_different: int
    """Different rows; estimated."""
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
    pickup = sources["pickup_datetime"].names[0]
    if _too_many(counts.num_outside, num_rows, MAX_SHARE_OUTSIDE):
        yield _Doubt(
            f"{pickup} lies outside of the month in {_share(counts.num_outside, num_rows)} of the rows",
            f"at most {MAX_SHARE_OUTSIDE:.0%} of them",
            outside=True,
        )


def _doubts_of_shape(counts: _Counts, pickup: str, month: Days, *, may_be_part: bool) -> Iterator[_Doubt]:
    """What speaks against a file whose values are sound one by one.

    Args:
        counts: what was counted in it.
        pickup: name of the column with the pickups' times.
        month: its days.
        may_be_part: whether it may hold a few days of the month, as generated files do.
    """
    num_rows, num_without = counts.num_rows, month.num_days - counts.num_days
    if _too_many(counts.num_at_midnight, num_rows, MAX_SHARE_AT_MIDNIGHT):
        yield _Doubt(f"{pickup} is midnight in {_share(counts.num_at_midnight, num_rows)} of the rows", "times of day")
    if num_rows >= MANY and not may_be_part and num_without > MAX_SHARE_OF_DAYS_WITHOUT_TRIPS * month.num_days:
        yield _Doubt(
            f"{num_without} of the month's {month.num_days} days have no pickup", "trips on nearly all of them"
        )
    if num_rows >= MANY and _too_many(num_rows - counts.num_different, num_rows, MAX_SHARE_REPEATED):
        share = f"{(num_rows - counts.num_different) / num_rows:.0%}"
        yield _Doubt(f"about {share} of its rows are repetitions of others", "rows that differ")


def _example(
    doubt: _Doubt, path: Path, sources: Mapping[str, Source], positions: Mapping[str, int], month: Days
) -> str | None:
    """A published value that is an example of the doubt; reads the file once more, up to the first one."""
    if not doubt.outside and doubt.misfits_of is None:
        return None
    try:
        with _published(path, sources, positions, threads=1) as (connection, typed, _):
            column = _pickup(typed) if doubt.outside else next(t for t in typed if t.column is doubt.misfits_of)
            condition = _outside_sql(column, month) if doubt.outside else column.misfit
            sql = f"SELECT {column.example} FROM {stepwise([column])} WHERE {condition} LIMIT 1"
            return next((text for (text,) in connection.execute(sql).fetchall()), None)
    except UnusableFileError:
        return None  # the reason is known without it


def _share(num: int, of: int) -> str:
    return f"{num:,} of {of:,} ({num / of:.1%})"


def _max_share_empty(column: Column, fleet: Fleet) -> float:
    if column.name == "pickup_datetime":
        return MAX_SHARE_UNREADABLE
    return MAX_SHARE_EMPTY if column.name in _ALWAYS_GIVEN and fleet.name not in _FLEETS_OF_BASES else 1


def _expected(column: Column) -> str:
    if column.name in NEEDED[1:]:
        return "the number of a zone, or degrees"
    if column.type == "TIMESTAMP":
        return "a time such as 2023-01-31 08:15:00"
    return "Y or N" if column.type == "BOOLEAN" else f"a number that fits {column.type}"


@contextmanager
def _published(
    path: Path, sources: Mapping[str, Source], positions: Mapping[str, int], **config: int
) -> "Iterator[tuple[duckdb.DuckDBPyConnection, list[TypedColumn], list[PublishedColumn]]]":
    """A connection with the view `published`, and its columns: ours out of it, and those that feed them."""
    import duckdb

    try:
        with duckdb.connect(config={"memory_limit": "1GB", **config}) as connection:
            published = columns_of(view_parquet(connection, path), positions)
            yield connection, typed_columns(sources, published), list(published.values())
    except duckdb.Error as error:
        raise UnusableFileError(f"its values can't be read: {str(error)[:_MAX_REASON]}") from error


def _counts(path: Path, sources: Mapping[str, Source], positions: Mapping[str, int], month: Days) -> _Counts:
    """Count in one pass over the file; in a second one by column, only where a value is unfit."""
    with _published(path, sources, positions) as (connection, typed, published):
        judged = [column for column in typed if _is_judged(sources, column)]
        columns = [column for column in judged if column.column.name in _ALWAYS_GIVEN]
        ((has_unfit, *found),) = connection.execute(_counting_sql(columns, judged, published, month)).fetchall()
        if has_unfit and len(columns) < len(judged):
            columns = judged
            ((_, *found),) = connection.execute(_counting_sql(columns, judged, published, month)).fetchall()
    *_, of_columns = found
    each = zip(columns, of_columns[::2], of_columns[1::2], strict=True)
    return _Counts(*found[:-1], columns=[_ColumnCounts(sql.column, *numbers) for sql, *numbers in each])


def _num_days(path: Path, sources: Mapping[str, Source], month: Days) -> int:
    """Count the days of the month that have pickups."""
    with _published(path, sources, positions_of(path, sources)) as (connection, typed, _):
        pickup = _pickup(typed)
        ((num_days,),) = connection.execute(
            f"SELECT {_num_days_sql(pickup, month)} FROM {stepwise([pickup])}"
        ).fetchall()
    return num_days


def _is_judged(sources: Mapping[str, Source], typed: TypedColumn) -> bool:
    """Whether every trip has a value of the column, or every month has the column and it has a type to fit."""
    source = sources[typed.column.name]
    if typed.column.name in _ALWAYS_GIVEN:
        return True
    came_later = isinstance(source, Value) and source.since
    optional = isinstance(source, Value | Code) and source.optional
    return not came_later and not optional and typed.misfit != "FALSE"


def _pickup(columns: Sequence[TypedColumn]) -> TypedColumn:
    return next(sql for sql in columns if sql.column.name == "pickup_datetime")


def _outside_sql(pickup: TypedColumn, month: Days) -> str:
    """SQL for whether a pickup lies outside the month. The days are our own, so they may stand in it."""
    after = month.last + timedelta(days=1)
    return f"({pickup.value} < DATE '{month.first}' OR {pickup.value} >= DATE '{after}')"


def _num_days_sql(pickup: TypedColumn, month: Days) -> str:
    return f"count(DISTINCT CAST({pickup.value} AS DATE)) FILTER (WHERE NOT {_outside_sql(pickup, month)})"


def _counting_sql(
    columns: Sequence[TypedColumn], judged: Sequence[TypedColumn], published: Iterable[PublishedColumn], month: Days
) -> str:
    """The query over the published rows: whether a value is unfit, the counts of the whole, a list of those by column.

    Args:
        columns: those that are counted one by one, which takes half of the time when it is all of them.
        judged: all of them.
        published: the columns that are loaded.
        month: the days of the file.
    """
    pickup = _pickup(columns)
    whole = [
        f"coalesce(bool_or({' OR '.join(column.misfit for column in judged)}), FALSE)",
        "count(*)",
        f"count(*) FILTER (WHERE {_outside_sql(pickup, month)})",
        f"count(*) FILTER (WHERE {pickup.value} = CAST({pickup.value} AS DATE))",
        _num_days_sql(pickup, month),
        "approx_count_distinct(row_hash)",
    ]
    row_hash = f"hash({', '.join(column.sql for column in published)})"
    counts = (f"count(*) FILTER (WHERE {condition})" for sql in columns for condition in (sql.given, sql.misfit))
    return f"SELECT {', '.join(whole)}, [{', '.join(counts)}] FROM {stepwise(judged, {'row_hash': row_hash})}"
