"""Maintenance of the warehouse: a job and its schedule. Each engine decides what is done (`Warehouse.maintain`)."""

import dagster as dg

from taxi_pipeline.defs.resources import WarehouseParam
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.months import NEW_YORK


@dg.op
def tidy_warehouse(context: dg.OpExecutionContext, warehouse: WarehouseParam) -> None:
    """Rewrite small files, delete rows of killed loads, let go of old snapshots."""
    done = warehouse.maintain()
    for table, what in done.items():
        context.log.info(f"{table}: {what}")
    context.add_output_metadata({table: dg.MetadataValue.text(what) for table, what in done.items()})


def build_upkeep(settings: Settings) -> tuple[list[dg.JobDefinition], list[dg.ScheduleDefinition]]:
    """Job and schedule; none with DuckDB, whose file needs no upkeep."""
    if settings.engine == "duckdb":
        return [], []

    @dg.job(description="Few files, no rows of killed loads, no old snapshots. Runs while days are loaded.")
    def warehouse_upkeep() -> None:
        tidy_warehouse()

    monthly = dg.ScheduleDefinition(
        name="monthly_upkeep",
        job=warehouse_upkeep,
        cron_schedule="0 4 2 * *",
        execution_timezone=NEW_YORK,
        default_status=dg.DefaultScheduleStatus.RUNNING if settings.automation else dg.DefaultScheduleStatus.STOPPED,
        description="Tidies the Iceberg tables once a month.",
    )
    return [warehouse_upkeep], [monthly]
