"""The state of the tables: which snapshot of each is current, and what was decided to be published.

Nothing is changed here. `publishing` decides and publishes; `session` reads the versions that it was given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taxi_pipeline.warehouse.spark.layout import ICEBERG_TABLES, PUBLICATIONS, Part
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

_TABLES = {table.name: table for table in ICEBERG_TABLES}

WAP_OF_SNAPSHOT = "coalesce(summary['published-wap-id'], summary['wap.id'])"
"""Spark's SQL for the `wap.id` of what a row of a table's `snapshots` has published, or staged."""


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

    snapshots: Mapping[str, int]
    """`loaded_days` and daily table → id of its snapshot; tables without any commit are missing."""
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


def unpublished_loads(spark: "SparkSession", namespace: str, decisions: Decisions) -> list[str]:
    """The decided loads whose last part is not current yet: their sessions are at it, or were killed.

    A part of which there is no snapshot any more was published long ago.
    """
    last = {load: list(parts.items())[-1] for load, parts in decisions.loads.items()}
    wanted: dict[Table, list[str]] = {}
    for part, staged in last.values():
        wanted.setdefault(part.table, []).append(staged.wap_id)
    queries = []
    for table, wap_ids in wanted.items():
        name = f"{namespace}.{table.name}"
        see_commits_of_others(spark, name)
        queries.append(
            f"SELECT snapshots.snapshot_id, {WAP_OF_SNAPSHOT}, history.snapshot_id IS NOT NULL "
            f"FROM {name}.snapshots AS snapshots LEFT JOIN {name}.history AS history "
            "ON snapshots.snapshot_id = history.snapshot_id "
            f"WHERE {WAP_OF_SNAPSHOT} IN ({quoted(wap_ids)})"
        )
    found = collect(spark.sql(" UNION ALL ".join(queries))) if queries else []
    published = {wap_id for _, wap_id, was_current in found if was_current}
    there = {snapshot for snapshot, *_ in found}
    return [
        load
        for load, (_, staged) in last.items()
        if staged.wap_id not in published and (staged.snapshot is None or staged.snapshot in there)
    ]


@dataclass(frozen=True)
class Unseen:
    """A snapshot that a session has staged, and that is no reader's."""

    snapshot: int
    scope: str
    wap_id: str
    num_rows: int


def unseen_snapshots(spark: "SparkSession", namespace: str, *tables: Table) -> dict[Table, list[Unseen]]:
    """Table → what sessions have staged and what is not published, the oldest first. Only Iceberg's notes are read."""
    queries = []
    for table in tables:
        name = f"{namespace}.{table.name}"
        queries += [
            f"SELECT '{table.name}', snapshot_id, committed_at, summary['scope'], {WAP_OF_SNAPSHOT}, "
            "CAST(coalesce(summary['added-records'], '0') AS BIGINT), summary['published-wap-id'] IS NOT NULL "
            f"FROM {name}.snapshots WHERE summary['scope'] IS NOT NULL OR summary['published-wap-id'] IS NOT NULL",
            f"SELECT '{table.name}', snapshot_id, NULL, NULL, NULL, NULL, TRUE FROM {name}.history",
        ]
    rows = collect(spark.sql(" UNION ALL ".join(queries))) if queries else []
    public = {(name, key) for name, snapshot, _, _, wap_id, _, seen in rows if seen for key in (snapshot, wap_id)}
    staged = sorted((row for row in rows if not row[-1]), key=lambda row: row[2])
    return {
        table: [
            Unseen(snapshot, scope, wap_id, num_rows)
            for name, snapshot, _, scope, wap_id, num_rows, _ in staged
            if name == table.name and not {(name, snapshot), (name, wap_id)} & public
        ]
        for table in tables
    }


def current_versions(spark: "SparkSession", namespace: str, *tables: Table) -> dict[str, int]:
    """Table → id of its newest snapshot; without tables that nothing was written to."""
    found = {table.name: newest_snapshot(spark, f"{namespace}.{table.name}") for table in tables}
    return {name: snapshot for name, snapshot in found.items() if snapshot is not None}


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
    return list(zip(*(column.to_pylist() for column in frame.toArrow().columns), strict=True))
