"""Upkeep of the Iceberg tables: few files, no rows of killed loads, no snapshots beyond their time.

It may run while months are loaded. Iceberg refuses its commit where a load has changed the same files; then that table
is left for the next time.
"""

import time
from datetime import UTC, date, datetime, timedelta

from taxi_pipeline.warehouse.interface import UnfinishedLoad
from taxi_pipeline.warehouse.spark.session import IcebergSession, fetch
from taxi_pipeline.warehouse.spark.tables import DAILY_TABLES, ICEBERG_TABLES, LOAD, load_at, load_column
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TRIPS, Table

KEPT = timedelta(days=7)
"""How long a snapshot can be queried, unless it has a name. A query that takes longer may fail."""
ABANDONED_AFTER = timedelta(days=1)
"""No load takes that long: its rows were never committed."""
_UNKNOWN_FILES_AFTER = timedelta(days=3)
"""Iceberg's own default; younger files may belong to a commit that is being made."""


def tidy(session: IcebergSession) -> dict[str, str]:
    """Tidy each table; gives what was done, or why it was not."""
    from pyspark.errors import PySparkException

    done: dict[str, str] = {}
    for table in ICEBERG_TABLES:
        try:
            done[table.name] = _tidy_table(session, table)
        except PySparkException as error:
            done[table.name] = f"left for the next time: {str(error).splitlines()[0]}"
    return done


def unfinished(session: IcebergSession) -> list[UnfinishedLoad]:
    """Trips of loads that no day names.

    Only what Iceberg notes of the files is read: each holds the rows of one load, but for those that upkeep has put
    together, which are left out.
    """
    named = session.ask(f"SELECT DISTINCT {load_column(TRIPS)} FROM {session.as_seen(LOADED_DAYS)}")
    counted = {load for (load,) in fetch(named)}
    bounds = f"readable_metrics.{LOAD}"
    files = session.ask(
        f"SELECT partition.fleet, partition.pickup_date_month, {bounds}.lower_bound AS of_load, "
        f"CAST(sum(record_count) AS BIGINT) FROM {session.name_of(TRIPS)}.files "
        f"WHERE {bounds}.lower_bound = {bounds}.upper_bound GROUP BY ALL ORDER BY ALL"
    )
    return [
        UnfinishedLoad(fleet, date(1970 + months // 12, 1 + months % 12, 1), num_trips)
        for fleet, months, load, num_trips in fetch(files)
        if load not in counted
    ]


def _tidy_table(session: IcebergSession, table: Table) -> str:
    deleted = _delete_abandoned(session, table) if table in DAILY_TABLES else 0
    catalog, _, namespace = session.namespace.partition(".")
    call = f"CALL {catalog}.system."
    named = f"table => '{namespace}.{table.name}'"
    # A month that was loaded day by day has as many files; of trips each file is in the order of the pickups.
    sort = ", strategy => 'sort'" if table is TRIPS else ""
    rewritten = fetch(session.ask(f"{call}rewrite_data_files({named}{sort}, options => map('min-input-files', '2'))"))
    session.ask(f"{call}expire_snapshots({named}, older_than => {_ago(KEPT)}, retain_last => 1)")
    session.ask(
        f"{call}remove_orphan_files({named}, older_than => {_ago(_UNKNOWN_FILES_AFTER)}, prefix_listing => true)"
    )
    files, into = rewritten[0][:2]
    return f"{deleted} abandoned loads deleted, {files} files made {into}"


def _delete_abandoned(session: IcebergSession, table: Table) -> int:
    """Delete the rows of loads that no day names and that are too old to be at work; gives how many loads."""
    counted = session.ask(f"SELECT DISTINCT {load_column(table)} FROM {session.as_seen(LOADED_DAYS)}")
    found = session.ask(f"SELECT DISTINCT {LOAD} FROM {session.as_seen(table)}")
    newest = load_at(time.time() - ABANDONED_AFTER.total_seconds())
    stale = sorted({load for (load,) in fetch(found)} - {load for (load,) in fetch(counted)})
    abandoned = [load for load in stale if load < newest]
    if abandoned:
        listed = ", ".join(f"'{load}'" for load in abandoned)
        session.ask(f"DELETE FROM {session.name_of(table)} WHERE {LOAD} IN ({listed})")
    return len(abandoned)


def _ago(span: timedelta) -> str:
    """SQL for a moment in the past; sessions are in UTC, and Iceberg wants a time with a zone."""
    return f"TIMESTAMP_LTZ '{datetime.now(UTC) - span:%Y-%m-%d %H:%M:%S}'"
