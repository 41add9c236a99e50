"""Maintenance of Dagster's history and of the warehouse: jobs and their schedules.

`superseded_runs` decides which runs are deleted, each engine what is done with its tables (`Warehouse.maintain`).
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from taxi_pipeline.defs.resources import WarehouseParam
from taxi_pipeline.defs.superseded_runs import delete_runs, superseded_runs
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.months import NEW_YORK


class OldRuns(dg.Config):
    """Which runs `history_maintenance` may delete."""

    ended_days_ago: int = Field(ge=0, le=99_999)
    """Runs that ended later are kept, whatever came after them."""


@dg.op
def delete_superseded_runs(context: dg.OpExecutionContext, config: OldRuns) -> None:
    """Delete old runs of which the UI and automation need nothing any more."""
    ended_before = datetime.now(UTC) - timedelta(days=config.ended_days_ago)
    number = delete_runs(context.instance, superseded_runs(context.instance, ended_before=ended_before))
    context.log.info(f"{number:,} runs that ended before {ended_before:%Y-%m-%d} were superseded, and are deleted")
    context.add_output_metadata({"deleted_runs": number, "ended_before": str(ended_before.date())})


@dg.op
def maintain_warehouse(context: dg.OpExecutionContext, warehouse: WarehouseParam) -> None:
    """Compact files, delete rows of killed loads and expire old snapshots."""
    done = warehouse.maintain()
    for table, what in done.items():
        context.log.info(f"{table}: {what}")
    context.add_output_metadata({table: dg.MetadataValue.text(what) for table, what in done.items()})


def build_maintenance(settings: Settings) -> tuple[list[dg.JobDefinition], list[dg.ScheduleDefinition]]:
    """Jobs and schedules; DuckDB's file needs no maintenance, so there is none of the warehouse with DuckDB."""
    old_runs = OldRuns(ended_days_ago=settings.history_days)

    @dg.job(
        description="Deletes old runs with their events when newer ones have made the same partitions and checks. The "
        "status of partitions, the latest materializations and checks stay as they are.",
        config=dg.RunConfig(ops={"delete_superseded_runs": old_runs}),
    )
    def history_maintenance() -> None:
        delete_superseded_runs()

    monthly_history = _monthly(
        "monthly_history", history_maintenance, 3, "Deletes runs of Dagster's history that are superseded.", settings
    )
    if settings.engine == "duckdb":
        return [history_maintenance], [monthly_history]

    @dg.job(description="Compacts files, deletes rows of killed loads and expires snapshots. Safe while loads run.")
    def warehouse_maintenance() -> None:
        maintain_warehouse()

    monthly_maintenance = _monthly(
        "monthly_maintenance",
        warehouse_maintenance,
        2,
        "Compacts the Iceberg tables and expires their old snapshots once a month.",
        settings,
    )
    return [history_maintenance, warehouse_maintenance], [monthly_history, monthly_maintenance]


def _monthly(name: str, job: dg.JobDefinition, day: int, description: str, settings: Settings) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=f"0 4 {day} * *",
        execution_timezone=NEW_YORK,
        default_status=dg.DefaultScheduleStatus.RUNNING if settings.automation else dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )
