"""The commit of a session's changes, and the deletion of rows that count no longer.

`loaded_days` is the commit record, and each session commits it once, at the end: the rows of the months that were
changed are replaced in one commit of Iceberg, which is refused when another session has changed these months since this
one began. Until then nobody counts the session's rows; afterwards nobody counts those that they replaced, and those are
deleted. A session that is killed leaves rows that no day names. The next one of the same months deletes them, too.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.warehouse.interface import ConflictError
from taxi_pipeline.warehouse.spark.dialect import schema
from taxi_pipeline.warehouse.spark.layout import DAILY_TABLES, LOAD, WHOLE_TABLES, extra_columns, load_column
from taxi_pipeline.warehouse.spark.session import IcebergSession, collect, within_sql
from taxi_pipeline.warehouse.tables import LOADED_DAYS

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

    for table in WHOLE_TABLES:
        if table in session.changes:
            rows = session.frame(table, session.changes[table].rows)
            rows.writeTo(session.name_of(table)).overwrite(lit(True))
    months = _changed_months(session)
    records = _records(session, months)
    _record(session, months, records)
    with suppress(PySparkException):  # all is committed, and the next session of the months deletes them
        _delete_uncounted(session, months, records)


def roll_back(session: IcebergSession) -> None:
    """Delete the rows that a session wrote, of which nothing was committed."""
    for table in session.changes:
        if table in DAILY_TABLES and session.load:
            session.delete_loads(table, [session.load])


def _changed_months(session: IcebergSession) -> _Months:
    """The months of the days that the session replaced, and of those that it recorded."""
    spans = [span for table in DAILY_TABLES for span in session.changes_of(table).replaced]
    spans += [(fleet, Days(day, day)) for fleet, day, *_ in session.changes_of(LOADED_DAYS).rows]
    months: dict[str, Days] = {}
    for fleet, days in spans:
        known = months.get(fleet, days)
        months[fleet] = Days(month_of(min(known.first, days.first)), Days.of_month(max(known.last, days.last)).last)
    return months


def _records(session: IcebergSession, months: _Months) -> list[_Record]:
    """The new rows of `loaded_days` for the months: each day's file, and the loads that count."""
    columns = [*LOADED_DAYS.column_names, *extra_columns(LOADED_DAYS)]
    records: dict[tuple[Any, ...], _Record] = {}
    if months:
        within = within_sql("pickup_date", months.items())
        rows = session.ask(f"SELECT {', '.join(columns)} FROM {session.as_seen(LOADED_DAYS)} WHERE {within}")
        records = {row[:2]: dict(zip(columns, row, strict=True)) for row in collect(rows)}
    for row in session.changes_of(LOADED_DAYS).rows:
        written = dict(zip(LOADED_DAYS.column_names, row, strict=True))
        records[row[:2]] = records.get(row[:2], dict.fromkeys(columns)) | written
    for table in DAILY_TABLES:
        for fleet, days in session.changes_of(table).replaced:
            for day in days:
                if (fleet, day) in records:
                    records[fleet, day][load_column(table)] = session.load
    return [records[day] for day in sorted(records)]


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
        writer.overwrite(expr(within_sql("pickup_date", months.items())))
    except PySparkException as error:
        if "conflicting files" not in str(error):
            raise
        roll_back(session)
        spans = ", ".join(f"{fleet} {span}" for fleet, span in months.items())
        raise ConflictError(
            f"another run has changed {spans} since this one began to load them. This one changed nothing: run it again"
        ) from error


def _delete_uncounted(session: IcebergSession, months: _Months, records: Sequence[_Record]) -> None:
    """Delete rows that were there when the session began and count for no day now.

    So rows of a session that is at work are never deleted: if it wrote before this one began, it can't commit any more.
    """
    if not months:
        return
    queries = [
        f"SELECT '{table.name}' AS daily, {LOAD} FROM {session.as_seen(table)} "
        f"WHERE {within_sql(table.month, months.items())}"
        for table in DAILY_TABLES
    ]
    found = collect(session.ask(" UNION ".join(queries)))
    for table in DAILY_TABLES:
        counted = {record[load_column(table)] for record in records}
        if stale := sorted({load for name, load in found if name == table.name} - counted):
            session.delete_loads(table, stale, months)
