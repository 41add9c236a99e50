"""A session on the cluster: statements about the declared tables become queries of Iceberg tables and staged parts.

In a statement stands, in the place of each declared table, a query of one version of it; in a session that writes, with
the parts that the session has replaced. Those are snapshots that no other session sees until `publishing` makes them
current.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.fleets import Source
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.warehouse.interface import PublishedFile, Session, UnfinishedLoad
from taxi_pipeline.warehouse.spark.connection import staging
from taxi_pipeline.warehouse.spark.dialect import arguments, parse, parse_spark, schema, spark_type, to_spark
from taxi_pipeline.warehouse.spark.file_reader import typed_rows
from taxi_pipeline.warehouse.spark.layout import ICEBERG_TABLES, Part, day_of
from taxi_pipeline.warehouse.spark.state import Versions, collect, newest_snapshot, unseen_snapshots
from taxi_pipeline.warehouse.tables import TABLES, TRIPS, WAREHOUSE_VERSION, Kind, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession
    from sqlglot import exp

_TABLES = {table.name: table for table in TABLES}


class IcebergSession(Session):
    """One state of the tables. With a load it can write; no other session sees that before `publishing.publish`."""

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
        self.staged: dict[Part, str] = {}
        """The parts that the session has replaced, with the `wap.id` of their newest rows."""
        self.recorded: dict[Part, Sequence[Sequence[Any]]] = {}
        """The parts of `loaded_days` among them → their rows."""
        self._num_staged = 0
        self._snapshots: dict[str, int | None] = {}
        self._id = secrets.token_hex(4)
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
        """Stage the month: the rows of the SELECT, and those of its other days as they are."""
        names = columns or table.column_names
        typed = [
            f"CAST({column.name if column.name in names else 'NULL'} AS {spark_type(column.type)}) AS {column.name}"
            for column in table.columns
        ]
        rows = self._query(parse(select), values).toDF(*names).selectExpr(*typed)
        part = Part.of_month(table, fleet, days.first)
        if days != Days.of_month(days.first):
            others = f"{part.sql} AND NOT {day_of(table)} BETWEEN DATE '{days.first}' AND DATE '{days.last}'"
            rows = self.ask(self._select_of(table)).where(others).unionAll(rows)
        self._stage(part, rows)

    def replace(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Stage the table; of `loaded_days` the months of the rows, with their other days as they are."""
        if table.kind is not Kind.RECORD:
            self._stage(Part.whole(table), self._frame(table, rows))
            return
        months: dict[Part, list[Sequence[Any]]] = {}
        for row in rows:
            months.setdefault(Part.of_month(table, row[0], row[1]), []).append(row)
        for part, of_month in months.items():
            days = {row[1] for row in of_month}
            if days != {*Days.of_month(min(days))}:
                of_part = collect(self.ask(f"SELECT * FROM ({self._select_of(table)}) WHERE {part.sql}"))
                of_month += [row for row in of_part if row[1] not in days]
            self._stage(part, self._frame(table, of_month))
            self.recorded[part] = of_month

    def _stage(self, part: Part, rows: "DataFrame") -> None:
        """Write a part's rows where nobody sees them."""
        if self.load is None:
            raise ValueError(f"the session only reads, so {part.table.name} can't be changed")
        self._num_staged += 1
        wap_id = f"{self.load}-{self._num_staged}"
        with staging(self.spark, wap_id):
            # One task writes the part, into one file: to distribute its rows would be a job more, of as many rows.
            writer = rows.coalesce(1).writeTo(self.name_of(part.table)).option("distribution-mode", "none")
            writer.option("snapshot-property.scope", part.scope).overwritePartitions()
        self.staged[part] = wap_id

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
        self._kept[name].createOrReplaceTempView(self._own(name))

    def close(self) -> None:
        """Drop the views that the cluster holds for the session."""
        from pyspark.errors import PySparkException

        with suppress(PySparkException):  # a cluster that is gone holds nothing
            for name in list(self._kept):
                self._forget(name)

    def _own(self, name: str) -> str:
        """The name of a view that no other session's view has."""
        return f"{name}_{self._id}"

    def _forget(self, name: str) -> None:
        found = self._kept.pop(name, None)
        if found is not None:
            found.unpersist()
            self.spark.catalog.dropTempView(self._own(name))

    def name_of(self, table: Table) -> str:
        """The name of the Iceberg table, with catalogue and namespace."""
        return f"{self.namespace}.{table.name}"

    def all_versions(self) -> dict[Table, int]:
        """Each Iceberg table that holds rows → the snapshot of it that the session sees."""
        return {table: found for table in ICEBERG_TABLES if (found := self._version_of(table)) is not None}

    def _version_of(self, table: Table) -> int | None:
        """The snapshot of a table that the session sees; of a small table it is the newest when first wanted."""
        snapshots = self.versions.snapshots
        if table.name not in snapshots:
            snapshots[table.name] = newest_snapshot(self.spark, self.name_of(table))
        return snapshots[table.name]

    def unfinished(self) -> list[UnfinishedLoad]:
        """Trips that runs have staged now, or that killed runs left; of each month what was staged last."""
        unseen = unseen_snapshots(self.spark, self.namespace, {TRIPS: self._version_of(TRIPS)})[TRIPS]
        newest = {each.scope or "": each.num_rows for each in unseen}
        return [
            UnfinishedLoad(fleet, date.fromisoformat(f"{month}-01"), num_trips)
            for (fleet, _, month), num_trips in sorted((scope.partition(" "), found) for scope, found in newest.items())
        ]

    def ask(self, sql: str, values: Mapping[str, Any] | None = None) -> "DataFrame":
        """Run a query in Spark's own SQL, with values by name."""
        return self.spark.sql(sql, args=dict(values or {}))

    def _query(self, tree: "exp.Expr", values: Sequence[Any]) -> "DataFrame":
        """The data frame of a SELECT about the declared tables."""
        from sqlglot import exp

        own = tree.copy()
        for found in list(own.find_all(exp.Table)):
            alias = found.alias or found.name
            if found.name in _TABLES:
                found.replace(parse_spark(self._select_of(_TABLES[found.name])).subquery(alias))
            elif found.name in self._kept:
                found.replace(exp.alias_(exp.to_table(self._own(found.name)), alias, table=True))
        return self.ask(to_spark(own), arguments(values))

    def _select_of(self, table: Table) -> str:
        """Spark's SQL for the rows of a table that statements see now."""
        if table is WAREHOUSE_VERSION:
            return f"SELECT version FROM VALUES (CAST({self.versions.version} AS BIGINT)) AS versions(version)"
        listed = ", ".join(table.column_names)
        name = self.name_of(table)
        parts = [part for part in self.staged if part.table is table]
        others = f" WHERE NOT ({' OR '.join(part.sql for part in parts)})" if parts else ""
        selects = []
        if (snapshot := self._version_of(table)) is not None:
            selects.append(f"SELECT {listed} FROM {name} VERSION AS OF {snapshot}{others}")
        for part in parts:
            if (staged := self._snapshot_of(part)) is not None:
                selects.append(f"SELECT {listed} FROM {name} VERSION AS OF {staged} WHERE {part.sql}")
        return " UNION ALL ".join(selects) or f"SELECT {listed} FROM {name} WHERE FALSE"

    def _snapshot_of(self, part: Part) -> int | None:
        """The snapshot that holds the rows of a part that the session has staged; None where it has none."""
        wap_id = self.staged[part]
        if wap_id not in self._snapshots:
            found = self.ask(
                f"SELECT snapshot_id FROM {self.name_of(part.table)}.snapshots WHERE summary['wap.id'] = :wap_id",
                {"wap_id": wap_id},
            )
            self._snapshots[wap_id] = next((snapshot for (snapshot,) in collect(found)), None)
        return self._snapshots[wap_id]

    def _frame(self, table: Table, rows: Sequence[Sequence[Any]]) -> "DataFrame":
        """Rows of this process as a data frame."""
        return self.spark.createDataFrame([tuple(row) for row in rows], schema(table.column_types))
