"""The state of the tables: which snapshot of each is current, and what was decided to be published.

Nothing is changed here. `publishing` decides and publishes; `session` reads the versions that it was given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from taxi_pipeline.warehouse.spark.layout import ICEBERG_TABLES, PUBLICATIONS, Part
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

_TABLES = {table.name: table for table in ICEBERG_TABLES}


@dataclass(frozen=True)
class Staged:
    """A part as a session has written it."""

    wap_id: str
    snapshot: int | None
    """Its snapshot; None where the part has no rows."""


@dataclass(frozen=True)
class Decisions:
    """What was decided last, by whom."""

    snapshot: int | None
    """The newest snapshot of `publications`."""
    version: int
    """The number of decisions ever made: the warehouse's version."""
    loads: Mapping[str, Mapping[Part, Staged]]
    """Load → the parts that it publishes, in the order in which they are published."""


@dataclass(frozen=True)
class Versions:
    """The version of each table that a session sees."""

    snapshots: dict[str, int | None]
    """Table → id of its snapshot, None without any commit. Small tables are added when they are first wanted."""
    decisions: Decisions

    @property
    def version(self) -> int:
        """The pipeline's own version: the number of writes to the warehouse."""
        return self.decisions.version


def read_decisions(spark: "SparkSession", namespace: str) -> Decisions:
    """The decisions that `publications` holds now."""
    name = f"{namespace}.{PUBLICATIONS.name}"
    see_commits_of_others(spark, name)
    # The entry of the newest commit has the highest number: nothing is ever staged in this table.
    rows = collect(
        spark.sql(
            "SELECT latest_sequence_number, latest_snapshot_id, NULL AS load, NULL AS table_name, NULL AS scope, "
            f"NULL AS wap_id FROM {name}.metadata_log_entries "
            f"UNION ALL SELECT NULL, snapshot_id, load, table_name, scope, wap_id FROM {name}"
        )
    )
    found: dict[str, dict[Part, Staged]] = {}
    version, newest = 0, None
    for sequence_number, snapshot, load, table, scope, wap_id in rows:
        if load is not None:
            found.setdefault(load, {})[Part(_TABLES[table], scope)] = Staged(wap_id, snapshot)
        elif (sequence_number or 0) > version:
            version, newest = sequence_number, snapshot
    return Decisions(newest, version, {load: in_order(parts) for load, parts in sorted(found.items())})


def in_order(parts: Mapping[Part, Staged]) -> dict[Part, Staged]:
    """The parts of a load in the order in which they are published."""
    return dict(sorted(parts.items(), key=lambda item: item[0].order))


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a table as Iceberg notes it."""

    id: int
    parent: int | None
    committed_at: datetime
    scope: str | None
    """The part that it holds."""
    wap_id: str | None
    """The `wap.id` under which it was staged."""
    publishes: str | None
    """The `wap.id` of what it published, where that was staged on another snapshot than the one before it."""
    num_rows: int
    """Rows that were added."""


def snapshots_of(spark: "SparkSession", namespace: str, tables: Iterable[Table]) -> dict[Table, list[Snapshot]]:
    """Table → its snapshots, published or not, the oldest first. Only Iceberg's notes are read."""
    found: dict[Table, list[Snapshot]] = {table: [] for table in tables}
    for table in found:
        see_commits_of_others(spark, f"{namespace}.{table.name}")
    queries = [
        f"SELECT '{table.name}', snapshot_id, parent_id, committed_at, summary['scope'], summary['wap.id'], "
        "summary['published-wap-id'], CAST(coalesce(summary['added-records'], '0') AS BIGINT) "
        f"FROM {namespace}.{table.name}.snapshots"
        for table in found
    ]
    for name, *noted in collect(spark.sql(" UNION ALL ".join(queries))) if queries else []:
        found[_TABLES[name]].append(Snapshot(*noted))
    return {table: sorted(snapshots, key=lambda each: each.committed_at) for table, snapshots in found.items()}


def made_public(snapshots: Iterable[Snapshot], newest: int | None) -> tuple[set[int], set[str | None]]:
    """The snapshots of a table that were current up to the newest one, and the `wap.id` of all that was published."""
    parents = {each.id: each for each in snapshots}
    current, wap_ids = set[int](), {each.publishes for each in snapshots}
    while newest in parents:
        current.add(newest)
        wap_ids.add(parents[newest].wap_id)
        newest = parents[newest].parent
    return current, wap_ids


def unpublished_loads(spark: "SparkSession", namespace: str, decisions: Decisions) -> list[str]:
    """The decided loads whose last part is not current yet: their sessions are at it, or were killed.

    A part of which there is no snapshot any more was published long ago.
    """
    last = {load: list(parts.items())[-1] for load, parts in decisions.loads.items()}
    newest = current_versions(spark, namespace, *{part.table for part, _ in last.values()})
    unclear = {
        load: (part.table, staged)
        for load, (part, staged) in last.items()
        if staged.snapshot is None or staged.snapshot != newest[part.table.name]
    }
    found = snapshots_of(spark, namespace, {table for table, _ in unclear.values()})
    public = {table: made_public(snapshots, newest[table.name])[1] for table, snapshots in found.items()}
    return [
        load
        for load, (table, staged) in unclear.items()
        if staged.wap_id not in public[table]
        and (staged.snapshot is None or any(each.id == staged.snapshot for each in found[table]))
    ]


def unseen_snapshots(
    spark: "SparkSession", namespace: str, seen: Mapping[Table, int | None]
) -> dict[Table, list[Snapshot]]:
    """Table → what sessions have staged and what was not published before a version of it, the oldest first.

    Args:
        spark: the connection.
        namespace: catalogue and namespace of the tables.
        seen: table → the snapshot that is its version.
    """
    unseen: dict[Table, list[Snapshot]] = {}
    for table, snapshots in snapshots_of(spark, namespace, seen).items():
        current, wap_ids = made_public(snapshots, seen[table])
        staged = [each for each in snapshots if each.scope and each.id not in current and not each.publishes]
        unseen[table] = [each for each in staged if each.wap_id not in wap_ids]
    return unseen


def current_versions(spark: "SparkSession", namespace: str, *tables: Table) -> dict[str, int | None]:
    """Table → id of its newest snapshot; None where nothing was written to it."""
    return {table.name: newest_snapshot(spark, f"{namespace}.{table.name}") for table in tables}


def newest_snapshot(spark: "SparkSession", name: str) -> int | None:
    """The id of an Iceberg table's newest snapshot; None where nothing was written to it.

    The driver knows it by itself. A question of the tables `refs` or `snapshots` is a job with tasks for the executors.
    """
    see_commits_of_others(spark, name)
    ((_, snapshot),) = collect(spark.sql(f"SHOW TBLPROPERTIES {name} ('current-snapshot-id')"))
    return None if snapshot == "none" else int(snapshot)


def see_commits_of_others(spark: "SparkSession", name: str) -> None:
    """Make the connection's catalogue forget its copy of an Iceberg table's metadata.

    The copy saves several requests to the store in each statement. The catalogue updates it with the connection's own
    commits; it learns of other connections' commits here, or half a minute after its last question.
    """
    spark.catalog.refreshTable(name)


def quoted(names: Iterable[str]) -> str:
    """Names of our own as a list of texts in SQL."""
    return ", ".join(f"'{name}'" for name in names)


def collect(frame: "DataFrame") -> list[tuple[Any, ...]]:
    """The rows of a data frame as Python's own values."""
    return [tuple(row) for row in frame.collect()]
