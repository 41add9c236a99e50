"""Tables of an older version become tables that are right by themselves.

That version marked each row with its load, and `loaded_days` named the loads that count. Rows that do not count are
deleted here, and the marks with them. Each step can be repeated: a process that is killed leaves a warehouse that is
carried over by the next try, and in which the same rows count.
"""

from typing import TYPE_CHECKING

from taxi_pipeline.warehouse.spark.layout import DAILY_TABLES, ICEBERG_TABLES, day_of
from taxi_pipeline.warehouse.tables import LOADED_DAYS

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

_LOAD = "load"


def carry_over(spark: "SparkSession", namespace: str) -> dict[str, str]:
    """Delete the rows that do not count, and what marked those that do.

    Args:
        spark: the connection.
        namespace: catalogue and namespace of the tables.

    Returns:
        Table → what was done; without tables that had no marks.
    """
    done = {}
    recorded = f"{namespace}.{LOADED_DAYS.name}"
    for table in DAILY_TABLES:
        name = f"{namespace}.{table.name}"
        if not spark.catalog.tableExists(name) or _LOAD not in spark.table(name).columns:
            continue
        named = f"SELECT fleet AS of_fleet, pickup_date AS of_day, {table.name}_load AS counts FROM {recorded}"
        counts = (
            f"SELECT 1 FROM ({named}) AS days WHERE of_fleet = fleet AND of_day = {day_of(table)} AND counts = {_LOAD}"
        )
        spark.sql(f"DELETE FROM {name} WHERE NOT EXISTS ({counts})")
        spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES ('write.metadata.metrics.column.{_LOAD}')")
        spark.sql(f"ALTER TABLE {name} DROP COLUMN {_LOAD}")
        spark.sql(f"DROP VIEW IF EXISTS {namespace}.counted_{table.name}")
        done[table.name] = "rows that do not count were deleted"
    marks = [column for column in spark.table(recorded).columns if column.endswith("_load")]
    if marks:
        spark.sql(f"ALTER TABLE {recorded} DROP COLUMNS ({', '.join(marks)})")
        done[LOADED_DAYS.name] = "names of loads were dropped"
    for table in ICEBERG_TABLES:
        if spark.catalog.tableExists(f"{namespace}.{table.name}"):
            spark.sql(f"ALTER TABLE {namespace}.{table.name} SET TBLPROPERTIES ('write.wap.enabled' = 'true')")
    return done
