"""Maintenance of the Iceberg tables: it compacts files and expires old snapshots, those of killed loads among them.

It may run while months are loaded. Iceberg refuses its commit where a load has changed the same files; then that table
is left for the next time.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from taxi_pipeline.warehouse.spark.layout import ICEBERG_TABLES, PUBLICATIONS, call_sql
from taxi_pipeline.warehouse.spark.session import IcebergSession
from taxi_pipeline.warehouse.spark.state import collect
from taxi_pipeline.warehouse.tables import TRIPS, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEPT = timedelta(days=7)
"""Age at which a snapshot without a name expires, also one of a killed load. A query that takes longer may fail."""
_UNKNOWN_FILES_AFTER = timedelta(days=3)
"""Age at which files that no table names are deleted. It is Iceberg's own default; younger files may belong to a commit
that is being made."""


def maintain(session: IcebergSession) -> dict[str, str]:
    """Maintain each table.

    Args:
        session: a session of the warehouse.

    Returns:
        Table → what was done, or why it was not.
    """
    from pyspark.errors import PySparkException

    done: dict[str, str] = {}
    for table in (*ICEBERG_TABLES, PUBLICATIONS):
        try:
            done[table.name] = _maintain_table(session, table)
        except PySparkException as error:
            done[table.name] = f"left for the next time: {str(error).splitlines()[0]}"
    return done


def _maintain_table(session: IcebergSession, table: Table) -> str:
    def call(procedure: str, arguments: str) -> "DataFrame":
        return session.ask(call_sql(procedure, session.namespace, table, arguments))

    # Of trips each file is in the order of the pickups.
    sort = "strategy => 'sort', " if table is TRIPS else ""
    rewritten = collect(call("rewrite_data_files", f"{sort}options => map('min-input-files', '2')"))
    call("expire_snapshots", f"older_than => {_ago(KEPT)}, retain_last => 1")
    call("remove_orphan_files", f"older_than => {_ago(_UNKNOWN_FILES_AFTER)}, prefix_listing => true")
    files, into = rewritten[0][:2]
    return f"{files} files made {into}"


def _ago(span: timedelta) -> str:
    """SQL for a moment in the past; sessions are in UTC, and Iceberg wants a time with a zone."""
    return f"TIMESTAMP_LTZ '{datetime.now(UTC) - span:%Y-%m-%d %H:%M:%S}'"
