"""How the declared tables are laid out in Iceberg: their types, partitions, order, and the loads of their rows.

Iceberg commits one table at a time. So each row of a table that is loaded by days carries the load that wrote it, and
`loaded_days` names for each day the load that counts in each of these tables. It is written last: one commit of it
makes all that a session wrote visible.
"""

import secrets
import time

from taxi_pipeline.warehouse.ingest import REJECTED_WITH_DAY
from taxi_pipeline.warehouse.spark.dialect import parse, spark_type, to_spark
from taxi_pipeline.warehouse.tables import (
    BOROUGH_FLOWS,
    CODE_TABLES,
    LOADED_DAYS,
    REJECTED_TRIPS,
    TRIPS,
    ZONE_HOURLY_DROPOFFS,
    ZONE_HOURLY_TRIPS,
    ZONES,
    Table,
)

LOAD = "load"
"""Column of the daily tables: which session wrote the row. In Iceberg only; no statement of the pipeline sees it."""

DAILY_TABLES = (TRIPS, REJECTED_TRIPS, ZONE_HOURLY_TRIPS, ZONE_HOURLY_DROPOFFS, BOROUGH_FLOWS)
"""Their rows belong to days of fleets."""

WHOLE_TABLES = (ZONES, *CODE_TABLES)
"""Small; replaced as a whole."""

ICEBERG_TABLES = (LOADED_DAYS, *DAILY_TABLES, *WHOLE_TABLES)

FILE_BYTES = 256 << 20
"""Wanted size of a data file."""

_ORDER = {TRIPS: "pickup_datetime", LOADED_DAYS: "fleet, pickup_date"}


def new_load() -> str:
    """A name for what a session writes, later ones after earlier ones.

    Iceberg keeps sixteen characters of a text's bounds, and needs them all to delete a load without reading it: so
    eleven hexadecimal digits of the time, and five by chance.
    """
    return f"{load_at(time.time())}{secrets.token_hex(3)[:5]}"


def load_at(seconds: float) -> str:
    """With what the names of loads of a moment begin.

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
        table: its declaration.
        rows: where its rows are.
        loaded_days: where those of `loaded_days` are.
    """
    day = to_spark(parse(REJECTED_WITH_DAY)) if table is REJECTED_TRIPS else "pickup_date"
    return (
        f"SELECT {', '.join(table.column_names)} FROM {rows} AS found LEFT SEMI JOIN "
        f"(SELECT fleet AS of_fleet, pickup_date AS of_day, {load_column(table)} AS counts FROM {loaded_days}) AS days "
        f"ON fleet = of_fleet AND {day} = of_day AND {LOAD} = counts"
    )


def view_sql(table: Table, namespace: str) -> str:
    """The statement that makes the view `counted_…` of a daily table, for whoever asks without the pipeline.

    Args:
        table: its declaration.
        namespace: catalogue and namespace of the tables.
    """
    counted = counted_sql(table, f"{namespace}.{table.name}", f"{namespace}.{LOADED_DAYS.name}")
    return f"CREATE OR REPLACE VIEW {namespace}.counted_{table.name} AS {counted}"


def month_column(table: Table) -> str:
    """The column by whose month a daily table is partitioned."""
    return "month" if table is REJECTED_TRIPS else "pickup_date"


def extra_columns(table: Table) -> dict[str, str]:
    """Columns that the Iceberg table has beside those declared → Spark's type."""
    if table is LOADED_DAYS:
        return {load_column(daily): "STRING" for daily in DAILY_TABLES}
    return {LOAD: "STRING"} if table in DAILY_TABLES else {}


def create_sql(table: Table, name: str) -> list[str]:
    """The statements that make an Iceberg table where it does not exist.

    Args:
        table: its declaration.
        name: with catalogue and namespace.
    """
    columns = [
        f"{column.name} {spark_type(column.type)}{'' if column.nullable else ' NOT NULL'}" for column in table.columns
    ]
    columns += [f"{column} {type_}" for column, type_ in extra_columns(table).items()]
    by_month = table is LOADED_DAYS or table in DAILY_TABLES
    partitions = f"PARTITIONED BY (fleet, months({month_column(table)}))" if by_month else ""
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
    if table in _ORDER:
        statements.append(f"ALTER TABLE {name} WRITE DISTRIBUTED BY PARTITION LOCALLY ORDERED BY {_ORDER[table]}")
    return statements
