"""How the changes of a session become everyone's, and what becomes of rows that count no longer.

`loaded_days` is the commit record, and each session commits it once, at the end: the rows of the months that were
changed are replaced in one commit of Iceberg, which is refused when another session has changed these months since this
one began. Until then nobody counts the session's rows; afterwards nobody counts those that they replaced, and those are
deleted. A session that is killed leaves rows that no day names. The next one of the same months deletes them, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from taxi_pipeline.tlc.months import Days, next_month
from taxi_pipeline.warehouse.interface import ConflictError
from taxi_pipeline.warehouse.spark.dialect import schema
from taxi_pipeline.warehouse.spark.session import Changes, IcebergSession, fetch
from taxi_pipeline.warehouse.spark.tables import (
    DAILY_TABLES,
    LOAD,
    WHOLE_TABLES,
    extra_columns,
    load_column,
    month_column,
)
from taxi_pipeline.warehouse.tables import LOADED_DAYS, Table

_Day = tuple[str, date]
"""A fleet and a day."""
_Months = Mapping[str, Days]
"""Fleet → whole months, from the first that was changed to the last."""
_Record = dict[str, Any]
"""A row of `loaded_days` with the loads that count."""


def commit(session: IcebergSession) -> None:
    """Make all that a session changed visible.

    When the cluster fails in the middle of this, the commit may still be made, or have been made. So the session's rows
    are left alone; if they count for no day, the next session of the months deletes them.

    Raises:
        ConflictError: another session has changed the same months since this one began; nothing was changed.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.functions import lit

    if not session.changes:
        return
    for table in WHOLE_TABLES:
        if table in session.changes:
            session.frame(table, session.changes[table].rows).writeTo(session.name_of(table)).overwrite(lit(True))
    replaced = _replaced_days(session)
    inserted = {row[:2]: row for row in session.changes.get(LOADED_DAYS, Changes()).rows}
    months = _months_of([*replaced, *inserted])
    records = _records(session, months, replaced, inserted)
    _record(session, months, records)
    with suppress(PySparkException):  # all is committed, and the next session of the months deletes them
        _delete_uncounted(session, months, records)


def roll_back(session: IcebergSession) -> None:
    """Delete the rows that a session wrote, of which nothing was committed."""
    for table, changes in session.changes.items():
        if changes.appended and session.load:
            session.delete_loads(table, [session.load])


def _replaced_days(session: IcebergSession) -> dict[_Day, set[Table]]:
    """Loaded or inserted day → the tables whose rows of it the session deleted."""
    tables = [table for table in (LOADED_DAYS, *DAILY_TABLES) if session.changes.get(table, Changes()).deleted]
    if not tables:
        return {}
    values: dict[str, Any] = {}
    flags: list[str] = []
    for table in tables:
        deletions = session.changes[table].deleted
        flags.append(f"coalesce({' OR '.join(f'({condition})' for condition, _ in deletions)}, FALSE)")
        for _, bound in deletions:
            values |= bound
    inserted = session.view("inserted", session.frame(LOADED_DAYS, session.changes.get(LOADED_DAYS, Changes()).rows))
    days = (
        f"SELECT fleet, pickup_date FROM {session.as_seen(LOADED_DAYS)} UNION SELECT fleet, pickup_date FROM {inserted}"
    )
    rows = session.ask(
        f"SELECT fleet, pickup_date, {', '.join(flags)} "
        f"FROM (SELECT *, CAST(date_trunc('MONTH', pickup_date) AS DATE) AS month FROM ({days})) AS days",
        values,
    )
    found = {
        (fleet, day): {table for table, flag in zip(tables, flagged, strict=True) if flag}
        for fleet, day, *flagged in fetch(rows)
    }
    return {day: tables for day, tables in found.items() if tables}


def _months_of(days: Iterable[_Day]) -> _Months:
    spans: dict[str, Days] = {}
    for fleet, day in days:
        span = spans.get(fleet, Days(day, day))
        spans[fleet] = Days(min(span.first, day), max(span.last, day))
    return {
        fleet: Days(Days.of_month(span.first).first, Days.of_month(span.last).last) for fleet, span in spans.items()
    }


def _records(
    session: IcebergSession,
    months: _Months,
    replaced: Mapping[_Day, set[Table]],
    inserted: Mapping[_Day, Sequence[Any]],
) -> list[_Record]:
    """What `loaded_days` shall hold for the months."""
    columns = [*LOADED_DAYS.column_names, *extra_columns(LOADED_DAYS)]
    before: dict[_Day, _Record] = {}
    if months:
        rows = session.ask(f"SELECT {', '.join(columns)} FROM {session.as_seen(LOADED_DAYS)} WHERE {_within(months)}")
        before = {row[:2]: dict(zip(columns, row, strict=True)) for row in fetch(rows)}
    after = {day: record for day, record in before.items() if LOADED_DAYS not in replaced.get(day, ())}
    after |= {day: dict(zip(LOADED_DAYS.column_names, row, strict=True)) for day, row in inserted.items()}
    return [
        record
        | {
            load_column(table): session.load
            if table in replaced.get(day, ())
            else before.get(day, {}).get(load_column(table))
            for table in DAILY_TABLES
        }
        for day, record in sorted(after.items())
    ]


def _record(session: IcebergSession, months: _Months, records: Sequence[_Record]) -> None:
    """Write `loaded_days`: one commit, with which all of the session is visible.

    Raises:
        ConflictError: another session has changed the same months since this one began.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.functions import expr

    types = {**LOADED_DAYS.column_types, **extra_columns(LOADED_DAYS)}
    frame = session.spark.createDataFrame([tuple(record[name] for name in types) for record in records], schema(types))
    writer = frame.writeTo(session.name_of(LOADED_DAYS))
    if not months:
        writer.append()  # of nothing, so that the version is higher
        return
    writer.option("isolation-level", "serializable")
    if snapshot := session.versions.snapshots.get(LOADED_DAYS.name):
        writer.option("validate-from-snapshot-id", str(snapshot))
    try:
        writer.overwrite(expr(_within(months)))
    except PySparkException as error:
        if "conflicting files" not in str(error):
            raise
        roll_back(session)
        spans = ", ".join(f"{fleet} {span}" for fleet, span in months.items())
        raise ConflictError(
            f"another run has changed {spans} since this one began to load them. This one changed nothing: run it again"
        ) from error


def _delete_uncounted(session: IcebergSession, months: _Months, records: Sequence[_Record]) -> None:
    """Delete what was there when the session began and counts for no day now.

    So rows of a session that is at work are never deleted: if it wrote before this one began, it can't commit any more.
    """
    if not months:
        return
    parts = {table: _within(months, month_column(table)) for table in DAILY_TABLES}
    queries = [
        f"SELECT '{table.name}' AS daily, {LOAD} FROM {session.as_seen(table)} WHERE {where}"
        for table, where in parts.items()
    ]
    found = fetch(session.ask(" UNION ".join(queries)))
    for table, where in parts.items():
        counted = {record[load_column(table)] for record in records}
        if stale := sorted({load for name, load in found if name == table.name} - counted):
            session.delete_loads(table, stale, where)


def _within(months: _Months, column: str = "pickup_date") -> str:
    """SQL for the rows of the months; exactly partitions."""
    return " OR ".join(
        f"(fleet = '{fleet}' AND {column} >= DATE '{span.first}' AND {column} < DATE '{next_month(span.last)}')"
        for fleet, span in months.items()
    )
