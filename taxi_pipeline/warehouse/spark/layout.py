"""The layout of the declared tables in Iceberg: types, partitions, order, and the parts that are replaced at once.

A daily table has a partition for each fleet and month. Sessions write whole partitions, each as a snapshot that nobody
sees, and `publishing` makes them current. So the tables alone are right for every reader.
"""

from dataclasses import dataclass
from datetime import date

from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.spark.dialect import parse, spark_type, to_spark
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TABLES, Column, Kind, Table
from taxi_pipeline.warehouse.views import View

DAILY_TABLES = tuple(table for table in TABLES if table.kind is Kind.DAILY)
WHOLE_TABLES = tuple(table for table in TABLES if table.kind is Kind.WHOLE)
TABLES_BY_MONTH = (LOADED_DAYS, *DAILY_TABLES)
ICEBERG_TABLES = (*TABLES_BY_MONTH, *WHOLE_TABLES)

PUBLICATIONS = Table(
    "publications",
    "The newest decisions to publish what sessions have written: a row for each part of a table. A session adds its "
    "rows in one commit; from then on its parts are published, by whoever finds the rows if the session is killed.",
    (
        Column("scope", "VARCHAR", "What is replaced: fleet and month, or the name of a small table", nullable=False),
        Column("load", "VARCHAR", "Name of the session's load", nullable=False),
        Column("table_name", "VARCHAR", "Table that the part belongs to", nullable=False),
        Column("wap_id", "VARCHAR", "`wap.id` under which the part was written", nullable=False),
        Column("snapshot_id", "BIGINT", "Snapshot that holds the part; NULL where the part has no rows"),
    ),
    order="table_name",
)
"""Of this engine only; its number of commits is the warehouse's version."""

FILE_BYTES = 256 << 20
"""Wanted size of a data file, in bytes."""


@dataclass(frozen=True)
class Part:
    """What a session replaces at once: a fleet's month in a table of days, or a small table."""

    table: Table
    scope: str
    """Fleet and month, `green 2023-02`; for a small table its name."""

    @classmethod
    def of_month(cls, table: Table, fleet: str, day: date) -> "Part":
        """The part of a table of days that holds a day of a fleet."""
        return cls(table, f"{fleet} {day:%Y-%m}")

    @classmethod
    def whole(cls, table: Table) -> "Part":
        """A small table."""
        return cls(table, table.name)

    @property
    def of_days(self) -> bool:
        """True for a fleet's month."""
        return " " in self.scope

    @property
    def sql(self) -> str:
        """Spark's SQL that is true for the table's rows of the part. Fleets are names of our own."""
        if not self.of_days:
            return "TRUE"
        fleet, _, month = self.scope.partition(" ")
        days = Days.of_month(date.fromisoformat(f"{month}-01"))
        column = self.table.month
        return f"(fleet = '{fleet}' AND {column} >= DATE '{days.first}' AND {column} <= DATE '{days.last}')"

    @property
    def order(self) -> tuple[bool, str, str]:
        """Its place among the parts of a load: `loaded_days` is published last, for it says what is loaded."""
        return self.table is LOADED_DAYS, self.table.name, self.scope


def declared_view_sql(view: View, namespace: str) -> str:
    """The statement that makes a declared view.

    Args:
        view: the declared view.
        namespace: catalogue and namespace of the tables.
    """
    from sqlglot import exp

    tree = parse(view.select).copy()
    for found in tree.find_all(exp.Table):
        found.replace(exp.to_table(f"{namespace}.{found.name}", alias=found.alias or found.name))
    return f"CREATE OR REPLACE VIEW {namespace}.{view.name} AS {to_spark(tree)}"


def call_sql(procedure: str, namespace: str, table: Table, arguments: str) -> str:
    """The call of a procedure of Iceberg on a table.

    Args:
        procedure: its name.
        namespace: catalogue and namespace of the tables.
        table: the declared table.
        arguments: beside the table, as SQL.
    """
    catalog, _, database = namespace.partition(".")
    return f"CALL {catalog}.system.{procedure}(table => '{database}.{table.name}', {arguments})"


def day_of(table: Table) -> str:
    """Spark's SQL for the day to which a row of the table belongs."""
    return to_spark(parse(table.day))


def create_sql(table: Table, name: str) -> list[str]:
    """The statements that make an Iceberg table where it does not exist.

    Args:
        table: the declared table.
        name: name with catalogue and namespace.
    """
    columns = [
        f"{column.name} {spark_type(column.type)}{'' if column.nullable else ' NOT NULL'}" for column in table.columns
    ]
    by_month = table in TABLES_BY_MONTH
    partitions = f"(fleet, months({table.month}))" if by_month else "(scope)" if table is PUBLICATIONS else ""
    properties = {
        "format-version": "2",
        "write.parquet.compression-codec": "zstd",
        "write.target-file-size-bytes": str(FILE_BYTES),
        # One task writes a partition, so that a month becomes one file.
        "write.distribution-mode": "hash" if partitions else "none",
        "write.wap.enabled": "true",
        "commit.retry.num-retries": "20",
    }
    set_properties = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    statements = [
        f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)}) USING iceberg "
        f"{f'PARTITIONED BY {partitions} ' if partitions else ''}TBLPROPERTIES ({set_properties})"
    ]
    if by_month:
        statements.append(f"ALTER TABLE {name} WRITE DISTRIBUTED BY PARTITION LOCALLY ORDERED BY {table.order}")
    return statements
