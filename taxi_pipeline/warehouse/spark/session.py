"""A session on the cluster: statements about the declared tables become queries of Iceberg tables and changes of them.

Statements read temporary views of the declared tables. A view shows one version of its table, and of a daily table
only the rows whose load `loaded_days` names; in a session that writes, less the rows that the session deleted, and with
those that it wrote. `commits` makes these changes everyone's.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.fleets import Place, Source
from taxi_pipeline.warehouse.duckdb.published_trips import columns_fed_by
from taxi_pipeline.warehouse.interface import MissingZonesError, PublishedFile, Session, UnfinishedLoad
from taxi_pipeline.warehouse.spark.dialect import arguments, as_condition, parse, schema, spark_type, to_spark
from taxi_pipeline.warehouse.spark.published import typed_rows
from taxi_pipeline.warehouse.spark.tables import (
    DAILY_TABLES,
    ICEBERG_TABLES,
    LOAD,
    WHOLE_TABLES,
    counted_sql,
    load_column,
)
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TABLES, TRIPS, WAREHOUSE_VERSION, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession
    from sqlglot import exp

_TABLES = {table.name: table for table in TABLES}
_PUBLISHED = "published_trips"


@dataclass(frozen=True)
class Versions:
    """Which version of the tables a session sees."""

    snapshots: Mapping[str, int]
    """`loaded_days` and daily table → id of its snapshot; without the tables that nothing was written to."""
    version: int
    """The pipeline's own: how often the warehouse was written to."""


@dataclass
class Changes:
    """What a session has done to a table."""

    deleted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Conditions in Spark's SQL with their values, for rows of the version that the session sees."""
    appended: bool = False
    """Whether rows of the session's load are in the Iceberg table; of daily tables."""
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    """Of `loaded_days` what was inserted, of a small table all that it holds now."""


class IcebergSession(Session):
    """One state of the tables. With a load it can write; nothing of that is seen by others before `commits.commit`."""

    def __init__(self, spark: "SparkSession", namespace: str, versions: Versions, load: str | None = None) -> None:
        """Nothing is asked yet.

        Args:
            spark: the connection with the cluster, which other sessions use, too.
            namespace: catalogue and namespace of the tables.
            versions: what the session sees.
            load: name of what the session writes; None to read only.
        """
        self.spark = spark
        self.namespace = namespace
        self.versions = versions
        self.load = load
        self.changes: dict[Table, Changes] = {}
        self._id = secrets.token_hex(4)
        self._viewed: set[Table] = set()
        self._views: set[str] = set()
        self._num_deletions = 0
        self._published: DataFrame | None = None

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return fetch(self._query(parse(sql), values))

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run an INSERT of a SELECT into a daily table, or a DELETE of whole days or of a whole table."""
        from sqlglot import exp

        match parse(sql):
            case exp.Insert(this=exp.Schema() as target, expression=exp.Select() as select) if (
                _TABLES[target.this.name] in DAILY_TABLES
            ):
                columns = [column.name for column in target.expressions]
                # Each table has its own order, and takes the rows from tasks of its partitions.
                unordered = select.copy()
                unordered.set("order", None)
                self._append(_TABLES[target.this.name], self._query(unordered, values), columns)
            case exp.Delete(this=exp.Table() as target) as delete:
                where = delete.args.get("where")
                self._delete(_TABLES[target.name], where.this if where else None, values)
            case _:
                raise ValueError(f"the Spark engine runs DELETE, and INSERT … SELECT into tables of days, not {sql}")

    def insert(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows; meant for hundreds, not for trips."""
        found = [tuple(row) for row in rows]
        if not found:
            return
        if table in DAILY_TABLES:
            self._append(table, self.frame(table, found), table.column_names)
            return
        self._changed(table).rows.extend(found)

    def column_types(self, table: str) -> dict[str, str]:
        """Column name → SQL type as declared, of the columns that the Iceberg table has."""
        declared = _TABLES[table]
        if declared is WAREHOUSE_VERSION:
            return declared.column_types
        found = self.spark.table(self.name_of(declared)).columns
        return {name: type_ for name, type_ in declared.column_types.items() if name in found}

    def view_published_trips(self, file: PublishedFile, sources: Mapping[str, Source]) -> Sequence[str]:
        """Make a published file readable as the view `published_trips`, with the types of `trips`."""
        from pyspark.storagelevel import StorageLevel

        shapes: dict[int, str] = {}
        if any(isinstance(source, Place) for source in sources.values()):
            shapes = dict(self.rows("SELECT zone_id, geometry FROM zones WHERE geometry IS NOT NULL"))
            if not shapes:
                raise MissingZonesError
        self._forget_published()
        columns = columns_fed_by(sources)
        # Read and typed once, although it is counted, and its trips and its rejected rows are selected one by one.
        self._published = typed_rows(self.spark, file, sources, shapes, columns).persist(StorageLevel.DISK_ONLY)
        self.view(_PUBLISHED, self._published)
        return columns

    def close(self) -> None:
        """Give back what the cluster holds for the session."""
        from pyspark.errors import PySparkException

        with suppress(PySparkException):  # a cluster that is gone holds nothing
            self._forget_published()
            for view in self._views:
                self.spark.catalog.dropTempView(view)

    def view(self, name: str, frame: "DataFrame") -> str:
        """Make a data frame readable in SQL; gives the view's name, which no other session's view has."""
        own = f"{name}_{self._id}"
        frame.createOrReplaceTempView(own)
        self._views.add(own)
        return own

    def _forget_published(self) -> None:
        if self._published is not None:
            self._published.unpersist()
            self._published = None

    def name_of(self, table: Table) -> str:
        """The Iceberg table, with catalogue and namespace."""
        return f"{self.namespace}.{table.name}"

    def all_versions(self) -> dict[Table, int]:
        """Each Iceberg table that holds rows → the snapshot of it that the session sees."""
        snapshots = {**self.versions.snapshots, **self._whole_tables}
        return {table: found for table in ICEBERG_TABLES if (found := snapshots.get(table.name))}

    @cached_property
    def _whole_tables(self) -> Mapping[str, int]:
        """Small table → the snapshot that the session sees: the newest when it first wants one of them."""
        return current_versions(self.spark, self.namespace, *WHOLE_TABLES)

    def as_seen(self, table: Table) -> str:
        """SQL for the Iceberg table in the version that the session sees, with all its columns."""
        snapshots = self._whole_tables if table in WHOLE_TABLES else self.versions.snapshots
        snapshot = snapshots.get(table.name)
        name = self.name_of(table)
        return f"(SELECT * FROM {name} WHERE FALSE)" if snapshot is None else f"{name} VERSION AS OF {snapshot}"

    def counted_loads(self, table: Table) -> set[str | None]:
        """The loads whose rows count in a daily table."""
        named = self.ask(f"SELECT DISTINCT {load_column(table)} FROM {self.as_seen(LOADED_DAYS)}")
        return {load for (load,) in fetch(named)}

    def delete_loads(self, table: Table, loads: Iterable[str], where: str = "TRUE") -> None:
        """Delete the rows of loads from a daily table, of those for which the condition holds."""
        listed = ", ".join(f"'{load}'" for load in loads)
        self.ask(f"DELETE FROM {self.name_of(table)} WHERE ({where}) AND {LOAD} IN ({listed})")

    def unfinished(self) -> list[UnfinishedLoad]:
        """What runs are loading now, and what killed ones left.

        Only what Iceberg notes of the files is read: each holds the rows of one load, but for those that upkeep has put
        together, which are left out.
        """
        bounds = f"readable_metrics.{LOAD}"
        files = self.ask(
            f"SELECT partition.fleet, partition.pickup_date_month, {bounds}.lower_bound AS of_load, "
            f"CAST(sum(record_count) AS BIGINT) FROM {self.name_of(TRIPS)}.files "
            f"WHERE {bounds}.lower_bound = {bounds}.upper_bound GROUP BY ALL ORDER BY ALL"
        )
        counted = self.counted_loads(TRIPS)
        return [
            UnfinishedLoad(fleet, date(1970 + months // 12, 1 + months % 12, 1), num_trips)
            for fleet, months, load, num_trips in fetch(files)
            if load not in counted
        ]

    def ask(self, sql: str, values: Mapping[str, Any] | None = None) -> "DataFrame":
        """A query in Spark's own SQL, with values by name."""
        return self.spark.sql(sql, args=dict(values or {}))

    def _query(self, tree: "exp.Expr", values: Sequence[Any]) -> "DataFrame":
        """The data frame of a SELECT about the declared tables."""
        from sqlglot import exp

        own = tree.copy()
        for found in list(own.find_all(exp.Table)):
            if found.name in _TABLES:
                self._make_view(_TABLES[found.name])
            if found.name in _TABLES or found.name == _PUBLISHED:
                view = exp.to_table(f"{found.name}_{self._id}")
                found.replace(exp.alias_(view, found.alias or found.name, table=True))
        return self.ask(to_spark(own), arguments(values))

    def _make_view(self, table: Table) -> None:
        """Make the view of a table, unless it is there and shows what the session did."""
        if table not in self._viewed:
            self.view(table.name, self._rows_of(table))
            self._viewed.add(table)

    def _rows_of(self, table: Table) -> "DataFrame":
        """The rows of a table that statements see now."""
        if table is WAREHOUSE_VERSION:
            return self.ask(f"SELECT CAST({self.versions.version} AS BIGINT) AS version")
        changes = self.changes.get(table, Changes())
        if table in WHOLE_TABLES and table in self.changes:
            return self.frame(table, changes.rows)
        frame = self.ask(
            counted_sql(table, self.as_seen(table), self.as_seen(LOADED_DAYS))
            if table in DAILY_TABLES
            else self._seen_sql(table)
        )
        for condition, values in changes.deleted:
            remaining = self.view("remaining", frame)
            frame = self.ask(f"SELECT * FROM {remaining} WHERE ({condition}) IS NOT TRUE", values)
        if changes.appended:
            listed = ", ".join(table.column_names)
            own = self.ask(f"SELECT {listed} FROM {self.name_of(table)} WHERE {LOAD} = :load", {"load": self.load})
            frame = frame.unionAll(own)
        return frame.unionAll(self.frame(table, changes.rows)) if changes.rows else frame

    def _seen_sql(self, table: Table) -> str:
        return f"SELECT {', '.join(table.column_names)} FROM {self.as_seen(table)}"

    def frame(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> "DataFrame":
        """Rows of this process as a data frame."""
        return self.spark.createDataFrame(list(rows), schema(table.column_types))

    def _changed(self, table: Table) -> Changes:
        if self.load is None:
            raise ValueError(f"the session only reads, so {table.name} can't be changed")
        self._viewed.discard(table)
        if table not in self.changes:
            self.changes[table] = Changes(rows=self._all_rows(table) if table in WHOLE_TABLES else [])
        return self.changes[table]

    def _all_rows(self, table: Table) -> list[tuple[Any, ...]]:
        return fetch(self.ask(self._seen_sql(table)))

    def _append(self, table: Table, frame: "DataFrame", columns: Sequence[str]) -> None:
        self._changed(table).appended = True
        appended = self.view("appended", frame.toDF(*columns))
        values = [
            f"CAST({column.name if column.name in columns else 'NULL'} AS {spark_type(column.type)}) AS {column.name}"
            for column in table.columns
        ]
        loaded = self.ask(f"SELECT {', '.join(values)}, :load AS {LOAD} FROM {appended}", {"load": self.load})
        loaded.writeTo(self.name_of(table)).append()

    def _delete(self, table: Table, where: "exp.Expr | None", values: Sequence[Any]) -> None:
        changes = self._changed(table)
        if where is None:
            condition, bound = "TRUE", {}
        else:
            # Several conditions with their values come together in one statement, so each has names of its own.
            self._num_deletions += 1
            prefix = f"d{self._num_deletions}_"
            condition = to_spark(as_condition(where, prefix))
            bound = {f"{prefix}{name}": value for name, value in arguments(values).items()}
        if changes.appended:
            own = f"DELETE FROM {self.name_of(table)} WHERE {LOAD} = :load AND ({condition})"
            self.ask(own, {**bound, "load": self.load})
        if changes.rows:
            inserted = self.view("inserted", self.frame(table, changes.rows))
            changes.rows = fetch(self.ask(f"SELECT * FROM {inserted} WHERE ({condition}) IS NOT TRUE", bound))
        changes.deleted.append((condition, bound))


def current_versions(spark: "SparkSession", namespace: str, *tables: Table) -> dict[str, int]:
    """Table → id of its newest snapshot; without tables that nothing was written to."""
    for table in tables:
        see_commits_of_others(spark, f"{namespace}.{table.name}")
    queries = [
        f"SELECT '{table.name}', snapshot_id FROM {namespace}.{table.name}.refs WHERE name = 'main'" for table in tables
    ]
    return dict(fetch(spark.sql(" UNION ALL ".join(queries))))


def see_commits_of_others(spark: "SparkSession", name: str) -> None:
    """Let the connection's catalogue forget what it knows of an Iceberg table.

    It knows a table by its last metadata, which each statement would otherwise fetch from the store several times. What
    the connection itself commits it knows; what others commit it learns here, or half a minute after its last question.
    """
    spark.catalog.refreshTable(name)


def fetch(frame: "DataFrame") -> list[tuple[Any, ...]]:
    """The rows of a data frame as Python's own values."""
    return list(zip(*(column.to_pylist() for column in frame.toArrow().columns), strict=True))
