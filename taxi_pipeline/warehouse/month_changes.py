"""The rows in which two versions of a published month differ: added, removed, or changed in some columns.

Rows are compared as the pipeline types them, with every column of `trips`, and with the published values that fit none.
Which rows differ is exact: equal rows count as often as they are there. Trips have no number, so which removed row
became which added one is concluded from `KEYS`; what a pair rests on is counted with it. Which versions are compared,
and what is written about them, is in `outputs.month_changes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from taxi_pipeline.tlc.fleets import Fleet, Source
from taxi_pipeline.warehouse.interface import EARLIER_TRIPS, PUBLISHED_TRIPS, PublishedFile, Session
from taxi_pipeline.warehouse.tables import TRIPS, columns_fed_by

KEYS: Sequence[tuple[str, ...]] = (
    (
        "pickup_datetime",
        "dropoff_datetime",
        "pickup_zone_id",
        "dropoff_zone_id",
        "vendor_id",
        "licensee",
        "dispatching_base_num",
    ),
    ("pickup_datetime", "dropoff_datetime"),
    ("pickup_datetime", "pickup_zone_id"),
    ("dropoff_datetime", "pickup_zone_id", "dropoff_zone_id"),
)
"""Columns by which a removed row and an added one are a pair, those that most hold for first. A column that one of the
versions lacks is left out; a pair of an earlier key is none of a later one."""

UNFIT = ("misfits", "unfit_values")
"""What of a row fits no column of `trips`, as text; compared as the columns are."""

LARGE_SHARE = 0.01
"""Share of a month's rows that differ above which people are told. The one real republication at hand, green 2024-01,
has other types of columns, and no other row."""

MAX_EXAMPLES = 1_000
"""Differing rows that are listed one by one."""


@dataclass(frozen=True)
class ColumnChange:
    """The pairs of rows that differ in a column."""

    num_rows: int
    num_filled: int
    """Of these, how many had no value before."""
    num_emptied: int
    """Of these, how many have no value now."""


@dataclass(frozen=True)
class KeyPairs:
    """The pairs of rows by a key."""

    columns: tuple[str, ...]
    num_pairs: int
    num_ambiguous: int
    """Of these, how many could have been paired otherwise, because several rows share the values of the key."""


@dataclass(frozen=True, kw_only=True)
class MonthChanges:
    """The difference of two versions of a fleet's month."""

    num_earlier: int
    """Rows of the earlier file."""
    num_later: int
    num_changed: int
    """Rows of the earlier file that are in the later one with other values."""
    num_added: int
    num_removed: int
    total_amount: Decimal
    """By how many US dollars the sum of `total_amount` became larger, over all rows of the files."""
    trip_distance: Decimal
    """By how many miles the sum of `trip_distance` became larger."""
    columns: Mapping[str, ColumnChange]
    """Column → the changed rows that differ in it; without columns in which none differs."""
    pairs: Sequence[KeyPairs]
    examples: Sequence[tuple[Any, ...]]
    """The first `MAX_EXAMPLES` differing rows, in the order of their pickups: the values of `NAMED_BY`, the kind
    (`changed`, `added`, `removed`), how many equal rows that is, and `{column: (before, after)}` of changed rows."""

    @property
    def num_unchanged(self) -> int:
        """Rows that are in both files."""
        return self.num_later - self.num_added - self.num_changed

    @property
    def share(self) -> float:
        """Changed, added and removed rows as a share of the rows that are in either file; 0 where both are empty."""
        return differing_share(self.num_unchanged, self.num_changed + self.num_added + self.num_removed)


def differing_share(num_unchanged: int, num_differing: int) -> float:
    """Changed, added and removed rows as a share of the rows that are in either of two files; 0 without rows."""
    return num_differing / max(num_differing + num_unchanged, 1)


@dataclass(frozen=True)
class Version:
    """A version of a month's file, and what of it feeds the columns of `trips`."""

    file: PublishedFile
    sources: Mapping[str, Source]

    @classmethod
    def of(cls, fleet: Fleet, file: PublishedFile, columns: Sequence[str]) -> "Version":
        """The version out of a file and the names of its columns."""
        return cls(file, fleet.sources_in(columns))


def month_changes(session: Session, earlier: Version, later: Version) -> MonthChanges:
    """Compare two versions of a fleet's month.

    Args:
        session: a session; nothing is changed.
        earlier: the version that was replaced.
        later: the version that replaced it.

    Raises:
        MissingZonesError: a file holds coordinates, and the zones are not loaded.
        UnusableFileError: the engine can't read a file.
    """
    names, keys = _keep_differing(session, earlier, later)
    counts = [
        "coalesce(sum(CASE WHEN side = 'added' THEN num END), 0)",
        "coalesce(sum(CASE WHEN side = 'removed' THEN num END), 0)",
    ]
    for number in range(1, len(keys) + 1):
        counts.append(f"coalesce(sum(CASE WHEN paired_by = {number} THEN num END), 0)")
        counts.append(f"coalesce(sum(CASE WHEN paired_by = {number} AND is_ambiguous THEN num END), 0)")
    for name in names:
        before, after = f"earlier_{name}", f"later_{name}"
        differ = f"paired_by > 0 AND {before} IS DISTINCT FROM {after}"
        counts.append(f"coalesce(sum(CASE WHEN {differ} THEN num END), 0)")
        counts.append(f"coalesce(sum(CASE WHEN {differ} AND {before} IS NULL THEN num END), 0)")
        counts.append(f"coalesce(sum(CASE WHEN {differ} AND {after} IS NULL THEN num END), 0)")
    listed = ", ".join(f"CAST({count} AS BIGINT) AS count_{number}" for number, count in enumerate(counts))
    row = session.row(f"{_differences_sql(names, keys)} SELECT {listed} FROM differences")
    money, miles = (
        session.row(f"SELECT CAST(sum(num * {name}) AS DECIMAL(38, 3)) FROM {_DIFFERING}")[0] if name in names else None
        for name in ("total_amount", "trip_distance")
    )
    found = iter(map(int, row))
    num_added, num_removed = next(found), next(found)
    pairs = [KeyPairs(key, next(found), next(found)) for key in keys]
    columns = {name: ColumnChange(next(found), next(found), next(found)) for name in names}
    return MonthChanges(
        num_earlier=earlier.file.num_rows,
        num_later=later.file.num_rows,
        num_changed=sum(pair.num_pairs for pair in pairs),
        num_added=num_added,
        num_removed=num_removed,
        total_amount=money or Decimal(0),
        trip_distance=miles or Decimal(0),
        columns={name: column for name, column in columns.items() if column.num_rows},
        pairs=pairs,
        examples=_examples(session, names, keys) if any(row) else [],
    )


NAMED_BY = ("pickup_datetime", "dropoff_datetime", "pickup_zone_id", "dropoff_zone_id", "total_amount")
"""Columns of `trips` that name a listed row, as it was before, or is now where it was added."""


def _examples(session: Session, names: Sequence[str], keys: Sequence[Sequence[str]]) -> list[tuple[Any, ...]]:
    named = [name for name in NAMED_BY if name in names]
    order = ", ".join(f"coalesce(earlier_{name}, later_{name}) NULLS FIRST" for name in named)
    rest = ", ".join(f"{side}_{name} NULLS FIRST" for name in names for side in ("earlier", "later"))
    listed = ", ".join(f"{side}_{name}" for name in names for side in ("earlier", "later"))
    rows = session.rows(
        f"{_differences_sql(names, keys)} SELECT side, num, {listed} FROM differences "
        f"ORDER BY {order}, side, {rest} LIMIT {MAX_EXAMPLES}"
    )
    return [_example(side, num, names, values) for side, num, *values in rows]


def _example(side: str, num: int, names: Sequence[str], values: Sequence[Any]) -> tuple[Any, ...]:
    before, after = dict(zip(names, values[::2], strict=True)), dict(zip(names, values[1::2], strict=True))
    shown = after if side == "added" else before
    changed = {name: (before[name], after[name]) for name in names if _differ(before[name], after[name])}
    return (
        *(shown.get(name) for name in NAMED_BY),
        side,
        num,
        changed if side == "changed" else {},
    )


def _differ(before: Any, after: Any) -> bool:
    """Whether two values differ; NaN is the same as NaN, as it is in SQL."""
    return before != after and not (before != before and after != after)  # noqa: PLR0124


_DIFFERING = "differing_trips"
"""Name under which a session keeps the rows that are not equally often in both versions: the columns, and `num`, by how
many more there are in the later version."""


def _keep_differing(session: Session, earlier: Version, later: Version) -> tuple[list[str], list[tuple[str, ...]]]:
    """Find the rows that differ, and keep them in the session.

    Returns:
        The compared columns, and the keys, without columns that one of the versions lacks.
    """
    with session.reading(later.file.uri.rpartition("/")[2]):
        before = session.view_published_trips(earlier.file, earlier.sources, EARLIER_TRIPS)
        after = session.view_published_trips(later.file, later.sources, PUBLISHED_TRIPS)
        names = [*columns_fed_by({*before, *after}), *UNFIT]
        listed = ", ".join(names)
        session.keep(
            _DIFFERING,
            f"SELECT {listed}, CAST(sum(num) AS BIGINT) AS num FROM ("
            f"SELECT {_columns_of(names, after)}, 1 AS num FROM {PUBLISHED_TRIPS} UNION ALL "
            f"SELECT {_columns_of(names, before)}, -1 AS num FROM {EARLIER_TRIPS}"
            f") AS all_rows GROUP BY {listed} HAVING sum(num) <> 0",
        )
    both = set(before) & set(after)
    keys = [tuple(name for name in key if name in both) for key in KEYS]
    return names, list(dict.fromkeys(key for key in keys if key))


def _differences_sql(names: Sequence[str], keys: Sequence[Sequence[str]]) -> str:
    """A WITH clause whose `differences` has a row for each pair, and for each row that has none.

    Its columns: `side` (`changed`, `added`, `removed`), `num` (how many equal ones), `paired_by` (number of the key, 0
    without a pair), `is_ambiguous`, and each column as `earlier_…` and `later_…`.

    A row that is there several times is one row with a number. Rows with the same values of a key are put in a line,
    each taking as many places as its number; where the lines of both sides overlap, they are paired.
    """
    listed = ", ".join(names)
    steps = [
        f"removed_0 AS (SELECT {listed}, -num AS num FROM {_DIFFERING} WHERE num < 0)",
        f"added_0 AS (SELECT {listed}, num FROM {_DIFFERING} WHERE num > 0)",
    ]
    for number, key in enumerate(keys, 1):
        steps += _pairing(listed, names, key, number)
    last = len(keys)
    none = ", ".join(f"CAST(NULL AS {_type(name)}) AS {{side}}_{name}" for name in names)
    empty = {side: none.format(side=side) for side in ("earlier", "later")}
    values = ", ".join(f"earlier_{name}, later_{name}" for name in names)
    removed = ", ".join(f"{name} AS earlier_{name}" for name in names)
    added = ", ".join(f"{name} AS later_{name}" for name in names)
    steps.append(
        "differences AS ("
        + " UNION ALL ".join(
            [
                *(
                    f"SELECT side, num, paired_by, is_ambiguous, {values} FROM pairs_{number}"
                    for number in range(1, last + 1)
                ),
                f"SELECT 'removed' AS side, num, 0 AS paired_by, FALSE AS is_ambiguous, {values} "
                f"FROM (SELECT num, {removed}, {empty['later']} FROM removed_{last}) AS removed",
                f"SELECT 'added' AS side, num, 0 AS paired_by, FALSE AS is_ambiguous, {values} "
                f"FROM (SELECT num, {empty['earlier']}, {added} FROM added_{last}) AS added",
            ]
        )
        + ")"
    )
    return f"WITH {', '.join(steps)}"


def _columns_of(names: Sequence[str], there: Sequence[str]) -> str:
    """SQL for the columns of a view; one that is not there is NULL."""
    return ", ".join(name if name in (*there, *UNFIT) else f"CAST(NULL AS {_type(name)}) AS {name}" for name in names)


def _type(name: str) -> str:
    return TRIPS.column_types.get(name, "VARCHAR")


def _pairing(listed: str, names: Sequence[str], key: Sequence[str], number: int) -> list[str]:
    """Steps that pair the rows that are left by a key: `pairs_N`, and `removed_N` and `added_N`, which are left."""
    keys = ", ".join(key)
    order = ", ".join(f"{name} NULLS FIRST" for name in names)
    same = " AND ".join(f"removed.{name} IS NOT DISTINCT FROM added.{name}" for name in key)
    values = ", ".join(f"removed.{name} AS earlier_{name}, added.{name} AS later_{name}" for name in names)
    steps = [
        f"{side}_line_{number} AS (SELECT {listed}, num, "
        f"CAST(sum(num) OVER (PARTITION BY {keys} ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) "
        f"AS BIGINT) AS upto, CAST(sum(num) OVER (PARTITION BY {keys}) AS BIGINT) AS of_key "
        f"FROM {side}_{number - 1})"
        for side in ("removed", "added")
    ]
    steps.append(
        f"pairs_{number} AS (SELECT 'changed' AS side, "
        "least(removed.upto, added.upto) - greatest(removed.upto - removed.num, added.upto - added.num) AS num, "
        f"{number} AS paired_by, removed.of_key > 1 OR added.of_key > 1 AS is_ambiguous, {values} "
        f"FROM removed_line_{number} AS removed JOIN added_line_{number} AS added ON {same} "
        "AND removed.upto - removed.num < added.upto AND added.upto - added.num < removed.upto)"
    )
    for side, other in (("removed", "added"), ("added", "removed")):
        joined = " AND ".join(f"rows_left.{name} IS NOT DISTINCT FROM others.{name}" for name in key)
        left = ", ".join(f"rows_left.{name}" for name in names)
        steps.append(
            f"{side}_{number} AS (SELECT {left}, "
            "least(rows_left.num, rows_left.upto - coalesce(others.of_key, 0)) AS num "
            f"FROM {side}_line_{number} AS rows_left LEFT JOIN "
            f"(SELECT DISTINCT {keys}, of_key FROM {other}_line_{number}) AS others ON {joined} "
            "WHERE rows_left.upto > coalesce(others.of_key, 0))"
        )
    return steps
