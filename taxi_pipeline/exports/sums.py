"""What a target is compared with the warehouse by: counts and exact sums of every column, by day.

The SQL of both sides is made here, out of the declarations alone; what writes the rows is elsewhere and shares nothing
with it. Sums are exact in both, so they are compared without a tolerance.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from taxi_pipeline.warehouse.sql import seconds_between
from taxi_pipeline.warehouse.tables import Column, Table

Sums = Mapping[str, Decimal | float | None]
"""Name of a count or sum → its value; None for the sum of nothing."""

SumsByDay = Mapping[date | None, Sums]
"""Day, None for a small table → its counts and sums. A day without rows is missing."""

ROWS = "rows"


class Dialect(Enum):
    """Whose SQL."""

    WAREHOUSE = auto()
    POSTGRES = auto()


@dataclass(frozen=True)
class Measure:
    """A count or sum: its name in messages, and its SQL."""

    name: str
    sql: str


def measures_of(table: Table, dialect: Dialect) -> list[Measure]:
    """The number of rows, and counts and sums of each column, in the same order in each dialect."""
    return [
        Measure(ROWS, "count(*)"),
        *(measure for column in table.columns for measure in _measures_of(column, dialect)),
    ]


def select_sums(table: Table, dialect: Dialect) -> str:
    """The list of a SELECT with the measures of the table."""
    return ", ".join(measure.sql for measure in measures_of(table, dialect))


def read_sums(table: Table, values: Sequence[Any]) -> Sums:
    """The values of a row of such a SELECT, in a form that is the same for all sides."""
    names = [measure.name for measure in measures_of(table, Dialect.WAREHOUSE)]
    return {name: _exact(value) for name, value in zip(names, values, strict=True)}


def version_of_day(table: Table, sums: Sums, file_version: str) -> str:
    """Name what a day holds: another content has another name.

    Args:
        table: its columns count, too.
        sums: of the warehouse.
        file_version: SHA-256 of the published file, so that rows that moved between equal sums are noticed.
    """
    values = [(name, None if value is None else f"{value}") for name, value in sums.items()]
    return _digest(table, file_version, *values)


def version_of_rows(table: Table, rows: Sequence[tuple[Any, ...]]) -> str:
    """Name what a small table holds, by all of its rows, in whatever order."""
    return _digest(table, *sorted(map(repr, rows)))


def _digest(table: Table, *values: Any) -> str:
    columns = [(column.name, column.type) for column in table.columns]
    return hashlib.sha256(repr((columns, values)).encode()).hexdigest()


def differences(expected: Sums, found: Sums) -> list[str]:
    """Say what differs, with both values; the number of rows first."""
    return [
        f"{name}: {_shown(found[name])} in the target, {_shown(value)} in the warehouse"
        for name, value in expected.items()
        if not _same(found[name], value)
    ]


def no_rows(table: Table) -> Sums:
    """The counts and sums of a day without rows."""
    counts = {measure.name: measure.sql.startswith("count(") for measure in measures_of(table, Dialect.WAREHOUSE)}
    return {name: Decimal(0) if is_count else None for name, is_count in counts.items()}


def _same(one: Decimal | float | None, other: Decimal | float | None) -> bool:
    both_nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    return both_nan or one == other


def _shown(value: Decimal | float | None) -> str:
    return "nothing" if value is None else f"{value:,}"


def _exact(value: Any) -> Decimal | float | None:
    """Numbers as they compare equal whichever engine they come from: without zeros at the end."""
    if value is None:
        return None
    if isinstance(value, float):
        return value + 0.0  # -0.0 is 0.0
    number = Decimal(value)
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()


def _measures_of(column: Column, dialect: Dialect) -> Iterator[Measure]:
    name = column.name
    if column.nullable:
        yield Measure(f"{name} values", f"count({name})")
    kind = column.type.partition("(")[0]
    if kind == "DOUBLE":  # sums of these depend on their order
        yield Measure(f"smallest {name}", f"min({name})")
        yield Measure(f"largest {name}", f"max({name})")
    elif kind == "BOOLEAN":
        yield Measure(f"true {name}", f"count(CASE WHEN {name} THEN 1 END)")
    else:
        for what, sql in _SUMMED[kind].items():
            summed = (sql if isinstance(sql, str) else sql[dialect]).format(name)
            # The engines' types of a sum differ; this one holds all of them.
            total = f"sum({summed})" if kind == "DECIMAL" else f"CAST(sum({summed}) AS DECIMAL(38, 0))"
            yield Measure(f"{what} of {name}", total)


_DAY, _TIME = "DATE '2000-01-01'", "TIMESTAMP '2000-01-01 00:00:00'"
_SUMMED: Mapping[str, Mapping[str, str | Mapping[Dialect, str]]] = {
    **{kind: {"sum": "{}"} for kind in ("SMALLINT", "INTEGER", "BIGINT", "DECIMAL")},
    "VARCHAR": {
        "characters": "length({})",
        # By their code points: a text with another one of the same length shows by these.
        "first characters": "ascii({})",
        "last characters": "ascii(right({}, 1))",
    },
    "DATE": {
        "days since 2000": {
            Dialect.WAREHOUSE: f"date_diff('day', {_DAY}, {{}})",
            Dialect.POSTGRES: f"({{}} - {_DAY})",
        }
    },
    "TIMESTAMP": {
        "seconds since 2000": {
            Dialect.WAREHOUSE: seconds_between(_TIME, "{}"),
            Dialect.POSTGRES: f"floor(extract(epoch FROM date_trunc('second', {{}}) - {_TIME}))",
        }
    },
}
"""Type → what is added up → its SQL."""
