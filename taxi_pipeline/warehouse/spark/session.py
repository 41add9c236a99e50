"""A session on the cluster: statements about the declared tables become queries of Iceberg tables and changes of them.

Statements read temporary views of the declared tables. A view shows one version of its table, and of a daily table
only the rows whose load `loaded_days` names; in a session that writes, less the rows that the session deleted, and with
those that it wrote. `commits` makes these changes everyone's.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.fleets import Source
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.warehouse.interface import PublishedFile, Session, UnfinishedLoad
from taxi_pipeline.warehouse.spark.dialect import arguments, parse, schema, spark_type, to_spark
from taxi_pipeline.warehouse.spark.file_reader import typed_rows
from taxi_pipeline.warehouse.spark.layout import (
    ICEBERG_TABLES,
    LOAD,
    WHOLE_TABLES,
    counted_sql,
    day_of,
    load_column,
)
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TABLES, TRIPS, WAREHOUSE_VERSION, Kind, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession
    from sqlglot import exp

_TABLES = {table.name: table for table in TABLES}


@dataclass(frozen=True)
class Versions:
    """The version of each table that a session sees."""

    snapshots: Mapping[str, int]
    """`loaded_days` and daily table → id of its snapshot; tables without any commit are missing."""
    version: int
    """The pipeline's own version: the number of writes to the warehouse."""


@dataclass
class Changes:
    """The changes that a session has made to a table."""

    replaced: list[tuple[str, Days]] = field(default_factory=list)
    """Fleets and days that the session has replaced, for tables of days."""
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    """For `loaded_days`: the written rows. For a small table: its whole new content."""


class IcebergSession(Session):
    """One state of the tables. With a load it can write; nothing of that is seen by others before `commits.commit`."""

    def __init__(self, spark: "SparkSession", namespace: str, versions: Versions, load: str | None = None) -> None:
        """Make a session; it asks nothing yet.

        Args:
            spark: the connection with the cluster, which other sessions use, too.
            namespace: catalogue and namespace of the tables.
            versions: the versions that the session sees.
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
        self._kept: dict[str, DataFrame] = {}

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return collect(self._query(parse(sql), values))

    def table(self, sql: str, values: Sequence[Any] = ()) -> "pa.Table":
        """All rows of a query, as an Arrow table."""
        return self._query(parse(sql), values).toArrow()

    def replace_days(
        self,
        table: Table,
        fleet: str,
        days: Days,
        select: str,
        values: Sequence[Any] = (),
        columns: Sequence[str] | None = None,
    ) -> None:
        """Append the rows of the SELECT under the session's load; the days' older rows count no longer for it."""
        names = columns or table.column_names
        found = self.view("found", self._query(parse(select), values).toDF(*names))
        self._delete_own_days(table, fleet, days)
        self._changed(table).replaced.append((fleet, days))
        typed = [
            f"CAST({column.name if column.name in names else 'NULL'} AS {spark_type(column.type)}) AS {column.name}"
            for column in table.columns
        ]
        loaded = self.ask(f"SELECT {', '.join(typed)}, :load AS {LOAD} FROM {found}", {"load": self.load})
        loaded.writeTo(self.name_of(table)).append()

    def replace(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Keep the rows in this process until the session is committed."""
        changes = self._changed(table)
        new = [tuple(row) for row in rows]
        days = {row[:2] for row in new}
        kept = [row for row in changes.rows if row[:2] not in days] if table.kind is Kind.RECORD else []
        changes.rows = [*kept, *new]

    def column_types(self, table: str) -> dict[str, str]:
        """Column name → SQL type as declared, for the columns that the Iceberg table has."""
        declared = _TABLES[table]
        if declared is WAREHOUSE_VERSION:
            return declared.column_types
        found = self.spark.table(self.name_of(declared)).columns
        return {name: type_ for name, type_ in declared.column_types.items() if name in found}

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Make errors of DuckDB and Arrow, with which the workers read a published file, that file's failure.

        Raises:
            UnusableFileError: a worker could not read the file.
        """
        from pyspark.errors import PySparkException

        try:
            yield
        except PySparkException as error:
            found = re.search(r"^(?:duckdb\.|_duckdb\.|pyarrow\.|taxi_pipeline\.).*", str(error), re.MULTILINE)
            if found is None:  # not of the file: of the cluster, the store or the catalogue
                raise
            raise UnusableFileError(f"{name} can't be loaded: {found[0][:500]}. Nothing was changed") from error

    def view_typed(
        self, file: PublishedFile, sources: Mapping[str, Source], shapes: Mapping[int, str], name: str
    ) -> None:
        """Make the view, whose rows the cluster's workers read and type."""
        # Read and typed once, although it is counted, and its trips and its rejected rows are selected one by one.
        self._keep(name, typed_rows(self.spark, file, sources, shapes))

    def keep(self, name: str, sql: str) -> None:
        """Keep the rows on the disks of the cluster."""
        self._keep(name, self._query(parse(sql), ()))

    def _keep(self, name: str, frame: "DataFrame") -> None:
        from pyspark.storagelevel import StorageLevel

        self._forget(name)
        self._kept[name] = frame.persist(StorageLevel.DISK_ONLY)
        self.view(name, self._kept[name])

    def close(self) -> None:
        """Drop the views that the cluster holds for the session."""
        from pyspark.errors import PySparkException

        with suppress(PySparkException):  # a cluster that is gone holds nothing
            for name in list(self._kept):
                self._forget(name)
            for view in self._views:
                self.spark.catalog.dropTempView(view)

    def view(self, name: str, frame: "DataFrame") -> str:
        """Make a data frame readable in SQL; returns the view's name, which no other session's view has."""
        own = f"{name}_{self._id}"
        frame.createOrReplaceTempView(own)
        self._views.add(own)
        return own

    def _forget(self, name: str) -> None:
        found = self._kept.pop(name, None)
        if found is not None:
            found.unpersist()

    def name_of(self, table: Table) -> str:
        """The name of the Iceberg table, with catalogue and namespace."""
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
        return {load for (load,) in collect(named)}

    def delete_loads(self, table: Table, loads: Iterable[str], months: Mapping[str, Days] | None = None) -> None:
        """Delete the rows of loads from a table of days.

        Args:
            table: the declared table.
            loads: names of the loads.
            months: fleet → whole months; rows outside of them stay. None for all rows.
        """
        listed = ", ".join(f"'{load}'" for load in loads)
        within = f"({within_sql(table.month, months.items())}) AND " if months else ""
        self.ask(f"DELETE FROM {self.name_of(table)} WHERE {within}{LOAD} IN ({listed})")

    def unfinished(self) -> list[UnfinishedLoad]:
        """Trips that runs are loading now, or that killed runs left.

        Only Iceberg's notes on the files are read. Each file holds the rows of one load. Files that maintenance has
        compacted are left out.
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
            for fleet, months, load, num_trips in collect(files)
            if load not in counted
        ]

    def ask(self, sql: str, values: Mapping[str, Any] | None = None) -> "DataFrame":
        """Run a query in Spark's own SQL, with values by name."""
        return self.spark.sql(sql, args=dict(values or {}))

    def _query(self, tree: "exp.Expr", values: Sequence[Any]) -> "DataFrame":
        """The data frame of a SELECT about the declared tables."""
        from sqlglot import exp

        own = tree.copy()
        for found in list(own.find_all(exp.Table)):
            if found.name in _TABLES:
                self._make_view(_TABLES[found.name])
            if found.name in _TABLES or found.name in self._kept:
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
        changes = self.changes_of(table)
        match table.kind:
            case Kind.WHOLE if table in self.changes:
                return self.frame(table, changes.rows)
            case Kind.DAILY:
                return self._rows_of_days(table, changes.replaced)
        listed = f"SELECT {', '.join(table.column_names)} FROM {self.as_seen(table)}"
        if not changes.rows:
            return self.ask(listed)
        written = self.frame(table, changes.rows)
        return self.ask(listed).join(written, ["fleet", "pickup_date"], "left_anti").unionAll(written)

    def _rows_of_days(self, table: Table, replaced: Sequence[tuple[str, Days]]) -> "DataFrame":
        """The rows that count in a table of days, where the session's own take the place of those it replaced."""
        counted = counted_sql(table, self.as_seen(table), self.as_seen(LOADED_DAYS))
        if not replaced:
            return self.ask(counted)
        listed = ", ".join(table.column_names)
        return self.ask(
            f"{counted} WHERE ({within_sql(day_of(table), replaced)}) IS NOT TRUE "
            f"UNION ALL SELECT {listed} FROM {self.name_of(table)} WHERE {LOAD} = :load",
            {"load": self.load},
        )

    def frame(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> "DataFrame":
        """Rows of this process as a data frame."""
        return self.spark.createDataFrame(list(rows), schema(table.column_types))

    def changes_of(self, table: Table) -> Changes:
        """What the session did to a table; nothing where it did not touch it."""
        return self.changes.get(table, Changes())

    def _changed(self, table: Table) -> Changes:
        if self.load is None:
            raise ValueError(f"the session only reads, so {table.name} can't be changed")
        self._viewed.discard(table)
        return self.changes.setdefault(table, Changes())

    def _delete_own_days(self, table: Table, fleet: str, days: Days) -> None:
        """Delete the rows that this session itself has written of the days, where it replaces days twice."""
        earlier = self.changes_of(table).replaced
        if any(fleet == of and days.first <= span.last and span.first <= days.last for of, span in earlier):
            within = within_sql(day_of(table), [(fleet, days)])
            self.ask(f"DELETE FROM {self.name_of(table)} WHERE {LOAD} = :load AND ({within})", {"load": self.load})


def within_sql(day: str, spans: Iterable[tuple[str, Days]]) -> str:
    """SQL that is true for rows of these fleets and days.

    A BETWEEN would not do in a DELETE: Spark 4.1.3 turns an expression in it into a common one, which Iceberg 1.12 then
    does not find.

    Args:
        day: SQL for the row's day, or for a date in its month where the spans are whole months.
        spans: fleets, which are names of our own, and days of each.
    """
    return " OR ".join(
        f"(fleet = '{fleet}' AND {day} >= DATE '{days.first}' AND {day} <= DATE '{days.last}')" for fleet, days in spans
    )


def current_versions(spark: "SparkSession", namespace: str, *tables: Table) -> dict[str, int]:
    """Table → id of its newest snapshot; without tables that nothing was written to."""
    for table in tables:
        see_commits_of_others(spark, f"{namespace}.{table.name}")
    queries = [
        f"SELECT '{table.name}', snapshot_id FROM {namespace}.{table.name}.refs WHERE name = 'main'" for table in tables
    ]
    return dict(collect(spark.sql(" UNION ALL ".join(queries))))


def see_commits_of_others(spark: "SparkSession", name: str) -> None:
    """Make the connection's catalogue forget its copy of an Iceberg table's metadata.

    The copy saves several requests to the store in each statement. The catalogue updates it with the connection's own
    commits; it learns of other connections' commits here, or half a minute after its last question.
    """
    spark.catalog.refreshTable(name)


def collect(frame: "DataFrame") -> list[tuple[Any, ...]]:
    """The rows of a data frame as Python's own values."""
    return list(zip(*(column.to_pylist() for column in frame.toArrow().columns), strict=True))
