"""Group `datasets`: a fleet's month as a data frame, which the IO manager keeps as a file.

`taxi_pipeline.datasets` computes the frames; `defs.io_managers` decides where the files lie.
"""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.datasets.columns import DEMAND_MODEL, MARKET_SHARES, ZONE_HOURS
from taxi_pipeline.datasets.contents import market_shares_of, missing_days, zone_hours_of
from taxi_pipeline.defs.automation import window_complete
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.io_managers import DATA_FRAME
from taxi_pipeline.defs.metadata import link, picture, table_schema
from taxi_pipeline.defs.partitions import fleet_and_month, fleet_month_partitions
from taxi_pipeline.defs.resources import DATASETS, POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    from taxi_pipeline.datasets.demand import Judgement

_DAYS_OF_THE_MONTH = dg.MultiToSingleDimensionPartitionMapping("month")

_YEAR_BEFORE = dg.MultiPartitionMapping(
    {
        "fleet": dg.DimensionPartitionMapping("fleet", dg.IdentityPartitionMapping()),
        "month": dg.DimensionPartitionMapping(
            "month", dg.TimeWindowPartitionMapping(start_offset=-12, allow_nonexistent_upstream_partitions=True)
        ),
    }
)
"""The partitions that `demand_model` reads: its own month, and those of the twelve months before that exist."""

_EXPECTS_THE_MONTH = dg.AssetCheckSpec(
    "expects_the_month",
    asset="demand_model",
    description="The model's error over its month, on which it was not trained, is smaller than that of the forecast "
    "'as many as in the same hour of the week before'; and at least 80 % of the hours lie in its interval.",
)

MIN_SHARE_INSIDE = 0.8
"""Least share of hours inside the interval. The model aims at 90 %."""


def _of_dataset(declared: Table) -> dict[str, Any]:
    return {"dagster/column_schema": table_schema(declared)}


@dg.asset(
    group_name="datasets",
    partitions_def=fleet_month_partitions,
    deps=[dg.AssetDep("zone_hourly_trips", partition_mapping=_DAYS_OF_THE_MONTH), "taxi_zones"],
    automation_condition=window_complete,
    io_manager_key=DATASETS,
    dagster_type=DATA_FRAME,
    pool=POOL,
    kinds={"duckdb", "pandas"},
    tags={"output": "data-file"},
    metadata=_of_dataset(ZONE_HOURS),
)
def zone_hours(context: dg.AssetExecutionContext, warehouse: WarehouseParam) -> dg.MaterializeResult:
    """datasets/zone_hours/fleet=FLEET/month=YYYY-MM.parquet: trips by day, hour and pickup zone, with zone names.

    Automation makes it when all days of the month are loaded; made earlier, it has the loaded days, and missing_days
    names the others. A month in which the fleet did not exist yet has no rows.
    """
    spent = Cost()
    fleet, month = fleet_and_month(context.partition_key)
    with warehouse.read() as session:
        frame, coverage = zone_hours_of(session, fleet, month), _coverage(session, fleet, month)
    return dg.MaterializeResult(
        value=frame, metadata={"trips": int(frame["num_trips"].sum()), **coverage, **spent.so_far(rows=len(frame))}
    )


@dg.asset(
    group_name="datasets",
    partitions_def=fleet_month_partitions,
    deps=[dg.AssetDep("taxi_trips", partition_mapping=_DAYS_OF_THE_MONTH)],
    automation_condition=window_complete,
    io_manager_key=DATASETS,
    dagster_type=DATA_FRAME,
    pool=POOL,
    kinds={"duckdb", "pandas"},
    tags={"output": "data-file"},
    metadata=_of_dataset(MARKET_SHARES),
)
def market_shares(context: dg.AssetExecutionContext, warehouse: WarehouseParam, tlc: TlcParam) -> dg.MaterializeResult:
    """datasets/market_shares/fleet=FLEET/month=YYYY-MM.parquet: trips by company, and their shares.

    The shares are of the fleet's trips, and of the trips of all configured fleets.
    """
    spent = Cost()
    fleet, month = fleet_and_month(context.partition_key)
    with warehouse.read() as session:
        frame, coverage = market_shares_of(session, fleet, month, tlc.fleets), _coverage(session, fleet, month)
    return dg.MaterializeResult(value=frame, metadata={**coverage, **spent.so_far(rows=len(frame))})


def _coverage(session: Session, fleet: str, month: date) -> dict[str, Any]:
    """Metadata of a dataset's partition: the days that it lacks, and whether the trips are generated."""
    missing = missing_days(session, fleet, month)
    return {"missing_days": ", ".join(map(str, missing)) or "none", "synthetic": is_synthetic(session)}


@dg.asset(
    group_name="datasets",
    partitions_def=fleet_month_partitions,
    ins={"zone_hours": dg.AssetIn(partition_mapping=_YEAR_BEFORE, metadata={"allow_missing_partitions": True})},
    automation_condition=window_complete,
    io_manager_key=DATASETS,
    dagster_type=DATA_FRAME,
    pool=POOL,
    kinds={"pandas"},
    tags={"output": "data-file"},
    metadata=_of_dataset(DEMAND_MODEL),
    check_specs=[_EXPECTS_THE_MONTH],
)
def demand_model(
    context: dg.AssetExecutionContext, zone_hours: Any, warehouse: WarehouseParam, files: FilesParam, pages: PagesParam
) -> dg.MaterializeResult:
    """datasets/demand_model/…: pickups to expect by zone, weekday and hour, with an interval for nine hours of ten.

    The model is trained on the year before the month, as far as zone_hours has it, and compared with the month itself.
    outputs/demand_model/FLEET-YYYY-MM.png shows the three busiest zones.
    """
    spent = Cost()
    from taxi_pipeline.datasets.demand import before_and_in, demand_model_of, judged
    from taxi_pipeline.outputs.demand_chart import draw_demand

    fleet, month = fleet_and_month(context.partition_key)
    months = zone_hours if isinstance(zone_hours, Mapping) else {context.partition_key: zone_hours}
    past, held_out = before_and_in(context.partition_key, months)
    model = demand_model_of(past)
    judgement = judged(model, past, held_out)
    synthetic = warehouse.query(is_synthetic)
    chart = draw_demand(model, held_out, f"{FLEETS[fleet].title} pickups, {month:%B %Y}", synthetic=synthetic)
    file = files.write(f"outputs/demand_model/{fleet}-{month:%Y-%m}.png", chart)
    return dg.MaterializeResult(
        value=model,
        metadata={
            **spent.so_far(rows=len(model)),
            "days_learned_from": int(past["pickup_date"].nunique()),
            "synthetic": synthetic,
            "chart": picture(chart, "Expected and counted pickups"),
            "chart_file": dg.MetadataValue.path(file.uri),
            **link(file, pages),
        },
        check_results=[_check_of(judgement)],
    )


def _check_of(judgement: "Judgement | None") -> dg.AssetCheckResult:
    if judgement is None:
        return dg.AssetCheckResult(passed=True, description="nothing to compare: no month before, or no trips")
    inside = judgement.share_inside
    return dg.AssetCheckResult(
        passed=judgement.is_better and (inside is None or inside >= MIN_SHARE_INSIDE),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{judgement.mean_error / judgement.last_weeks_mean_error:.0%} of the error of the week before"
        if judgement.last_weeks_mean_error
        else "every hour is as in the week before",
        metadata={
            "num_hours": judgement.num_hours,
            "mean_error": judgement.mean_error,
            "mean_error_of_last_week": judgement.last_weeks_mean_error,
            **({"share_inside": inside} if inside is not None else {}),
        },
    )
