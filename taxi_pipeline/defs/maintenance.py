"""Maintenance of the warehouse: a job and its schedule. Each engine decides what is done (`Warehouse.maintain`)."""

import dagster as dg

from taxi_pipeline.defs.resources import WarehouseParam
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.months import NEW_YORK


@dg.op
def maintain_warehouse(context: dg.OpExecutionContext, warehouse: WarehouseParam) -> None:
    """Compact files, delete rows of killed loads and expire old snapshots."""
    done = warehouse.maintain()
    for table, what in done.items():
        context.log.info(f"{table}: {what}")
    context.add_output_metadata({table: dg.MetadataValue.text(what) for table, what in done.items()})


def build_maintenance(settings: Settings) -> tuple[list[dg.JobDefinition], list[dg.ScheduleDefinition]]:
    """Job and schedule; none with DuckDB, whose file needs no maintenance."""
    if settings.engine == "duckdb":
        return [], []

    @dg.job(description="Compacts files, deletes rows of killed loads and expires snapshots. Safe while loads run.")
    def warehouse_maintenance() -> None:
        maintain_warehouse()

    monthly = dg.ScheduleDefinition(
        name="monthly_maintenance",
        job=warehouse_maintenance,
        cron_schedule="0 4 2 * *",
        execution_timezone=NEW_YORK,
        default_status=dg.DefaultScheduleStatus.RUNNING if settings.automation else dg.DefaultScheduleStatus.STOPPED,
        description="Compacts the Iceberg tables and expires their old snapshots once a month.",
    )
    return [warehouse_maintenance], [monthly]
