"""Pieces of SQL that mean the same in every engine, where the engines' own spellings differ.

Statements outside the engines' folders use these, and plain SQL. What is known to differ: `EXTRACT(DOW …)` counts from
0 in DuckDB and from 1 in Spark, `EXTRACT(EPOCH …)` is missing in Spark, and `DATE - DATE` is an interval there.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any


def placeholders(values: Sequence[Any]) -> str:
    """Question marks for the values of an IN; NULL without values, so that the IN is never true."""
    return ", ".join("?" for _ in values) or "NULL"


def rows_of(fleets: Sequence[str], vendor_id: int | None, first: date, last: date | None = None) -> str:
    """SQL for the rows of `trips` of some fleets, a vendor (None: all) and some days; never NULL.

    Args:
        fleets: names of our own.
        vendor_id: a row without a vendor is none of its rows.
        first: day of the first pickups.
        last: day of the last pickups; None for no end.
    """
    named = ", ".join(f"'{fleet}'" for fleet in fleets)
    conditions = [f"fleet IN ({named})", f"pickup_date >= DATE '{first}'"]
    conditions += [] if vendor_id is None else [f"coalesce(vendor_id, 0) = {vendor_id}"]
    conditions += [] if last is None else [f"pickup_date <= DATE '{last}'"]
    return f"({' AND '.join(conditions)})"


def weekday(date: str) -> str:
    """SQL for the weekday of a date, as an integer: 0 for Sunday to 6 for Saturday.

    Args:
        date: SQL of type DATE, not before 1900.
    """
    return f"(date_diff('day', DATE '1899-12-31', {date}) % 7)"  # that was a Sunday


def week_start(date: str) -> str:
    """SQL for the Sunday on which the date's week starts; `date_trunc('week')` gives Mondays."""
    return f"CAST({date} - CAST({weekday(date)} AS INTEGER) AS DATE)"


def month_start(date: str) -> str:
    """SQL for the first day of the date's month."""
    return f"CAST(date_trunc('month', {date}) AS DATE)"


def seconds_between(start: str, end: str) -> str:
    """SQL for the whole seconds from one timestamp to another, as a BIGINT; fractions of a second are cut off."""
    return f"date_diff('second', date_trunc('second', {start}), date_trunc('second', {end}))"
