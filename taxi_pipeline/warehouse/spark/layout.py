"""The layout of the declared tables in Iceberg: types, partitions, order, and the loads of their rows.

Iceberg commits one table at a time. So each row of a table that is loaded by days carries the load that wrote it, and
`loaded_days` names for each day the load that counts in each of these tables. It is written last: one commit of it
makes all that a session wrote visible.
"""

import secrets
import time

from taxi_pipeline.warehouse.spark.dialect import parse, spark_type, to_spark
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TABLES, Kind, Table
from taxi_pipeline.warehouse.views import View

LOAD = "load"
"""Column of the daily tables with the name of the load that wrote the row. In Iceberg only; no statement of the
pipeline sees it."""

DAILY_TABLES = tuple(table for table in TABLES if table.kind is Kind.DAILY)
WHOLE_TABLES = tuple(table for table in TABLES if table.kind is Kind.WHOLE)
ICEBERG_TABLES = (LOADED_DAYS, *DAILY_TABLES, *WHOLE_TABLES)

FILE_BYTES = 256 << 20
"""Wanted size of a data file, in bytes."""


def new_load() -> str:
    """Make a name for a session's load; later names sort after earlier ones.

    Iceberg keeps sixteen characters of a text's bounds, and needs them all to delete a load without reading it: so the
    name has eleven hexadecimal digits of the time, and five random ones.
    """
    return f"{load_at(time.time())}{secrets.token_hex(3)[:5]}"


def load_at(seconds: float) -> str:
    """The first characters of the names of loads that begin at a moment.

    Args:
        seconds: since 1970.
    """
    return f"{int(seconds * 1000):011x}"


def load_column(table: Table) -> str:
    """The column of `loaded_days` that names the load whose rows count in a daily table."""
    return f"{table.name}_load"


def counted_sql(table: Table, rows: str, loaded_days: str) -> str:
    """Spark's SQL for the rows of a daily table that count, without their load.

    Args:
        table: the declared table.
        rows: SQL of the relation with its rows.
        loaded_days: SQL of the relation with the rows of `loaded_days`.
    """
    return (
        f"SELECT {', '.join(table.column_names)} FROM {rows} AS found LEFT SEMI JOIN "
        f"(SELECT fleet AS of_fleet, pickup_date AS of_day, {load_column(table)} AS counts FROM {loaded_days}) AS days "
        f"ON fleet = of_fleet AND {day_of(table)} = of_day AND {LOAD} = counts"
    )


def view_sql(table: Table, namespace: str) -> str:
    """The statement that makes the view `counted_…` of a daily table, for queries without the pipeline.

    Args:
        table: the declared table.
        namespace: catalogue and namespace of the tables.
    """
    counted = counted_sql(table, f"{namespace}.{table.name}", f"{namespace}.{LOADED_DAYS.name}")
    return f"CREATE OR REPLACE VIEW {namespace}.counted_{table.name} AS {counted}"


def declared_view_sql(view: View, namespace: str) -> str:
    """The statement that makes a declared view, over the rows that count.

    Args:
        view: the declared view.
        namespace: catalogue and namespace of the tables.
    """
    from sqlglot import exp

    tree = parse(view.select).copy()
    names = {table.name: f"counted_{table.name}" for table in DAILY_TABLES}
    for found in tree.find_all(exp.Table):
        found.replace(exp.to_table(f"{namespace}.{names.get(found.name, found.name)}", alias=found.alias or found.name))
    return f"CREATE OR REPLACE VIEW {namespace}.{view.name} AS {to_spark(tree)}"


def day_of(table: Table) -> str:
    """Spark's SQL for the day to which a row of the table belongs."""
    return to_spark(parse(table.day))


def extra_columns(table: Table) -> dict[str, str]:
    """Columns that the Iceberg table has beside the declared ones → Spark's type."""
    if table is LOADED_DAYS:
        return {load_column(daily): "STRING" for daily in DAILY_TABLES}
    return {LOAD: "STRING"} if table in DAILY_TABLES else {}


def create_sql(table: Table, name: str) -> list[str]:
    """The statements that make an Iceberg table where it does not exist.

    Args:
        table: the declared table.
        name: name with catalogue and namespace.
    """
    columns = [
        f"{column.name} {spark_type(column.type)}{'' if column.nullable else ' NOT NULL'}" for column in table.columns
    ]
    columns += [f"{column} {type_}" for column, type_ in extra_columns(table).items()]
    by_month = table is LOADED_DAYS or table in DAILY_TABLES
    partitions = f"PARTITIONED BY (fleet, months({table.month}))" if by_month else ""
    properties = {
        "format-version": "2",
        "write.parquet.compression-codec": "zstd",
        "write.target-file-size-bytes": str(FILE_BYTES),
        # One task writes a partition, so that a month becomes one file.
        "write.distribution-mode": "hash" if by_month else "none",
        "commit.retry.num-retries": "20",
    }
    if table in DAILY_TABLES:
        # Without exact bounds of the load, a delete of a load would read and rewrite the files.
        properties[f"write.metadata.metrics.column.{LOAD}"] = "full"
    set_properties = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    statements = [
        f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)}) USING iceberg {partitions} "
        f"TBLPROPERTIES ({set_properties})"
    ]
    if by_month:
        statements.append(f"ALTER TABLE {name} WRITE DISTRIBUTED BY PARTITION LOCALLY ORDERED BY {table.order}")
    return statements
