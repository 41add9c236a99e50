"""Group `datasets`: a fleet's month as a data frame, which the IO manager keeps as a file.

`taxi_pipeline.datasets` computes the frames; `defs.io_managers` decides where the files lie.
"""

from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.datasets.columns import DEMAND_ERRORS, DEMAND_MODEL, MARKET_SHARES, ZONE_HOURS
from taxi_pipeline.datasets.contents import market_shares_of, missing_days, zone_hours_of
from taxi_pipeline.datasets.encoding import together
from taxi_pipeline.defs.automation import window_complete
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.io_managers import DATA_FRAME
from taxi_pipeline.defs.metadata import link, picture, table, table_schema
from taxi_pipeline.defs.partitions import fleet_and_month, fleet_month_partitions, forecast_partitions
from taxi_pipeline.defs.resources import DATASETS, POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    from taxi_pipeline.datasets.judgement import Judgement

_OF_THE_MONTH = dg.AssetDep("month_manifest", partition_mapping=dg.MultiToSingleDimensionPartitionMapping("month"))
"""The days of a fleet's month, by way of the manifest: to find the days of each fleet's month again for every look at
what is due costs Dagster ten times as much as all the rest."""


def _same_fleet(first_offset: int, last_offset: int) -> dg.MultiPartitionMapping:
    """The fleet's months from the first to the last offset, of those that exist.

    `demand_errors` has it for its own month, too. With Dagster's mapping of equal partitions automation would put it
    into the run of `zone_hours`, in which the month's forecast is not made.
    """
    months = dg.TimeWindowPartitionMapping(
        start_offset=first_offset, end_offset=last_offset, allow_nonexistent_upstream_partitions=True
    )
    return dg.MultiPartitionMapping(
        {
            "fleet": dg.DimensionPartitionMapping("fleet", dg.IdentityPartitionMapping()),
            "month": dg.DimensionPartitionMapping("month", months),
        }
    )


_AS_FAR_AS_MADE = {"allow_missing_partitions": True}

_EXPECTS_THE_MONTH = dg.AssetCheckSpec(
    "expects_the_month",
    asset="demand_errors",
    description="The root mean squared error of the forecast is below those of two opponents: the mean and the median "
    "of the same hour on the eight same weekdays before the month. At least 80 % of the busy hours (one pickup or "
    "more is expected) lie in its interval.",
)

MIN_SHARE_INSIDE = 0.8
"""Least share of busy hours inside the interval. The model aims at 90 %."""


def _of_dataset(declared: Table) -> dict[str, Any]:
    return {"dagster/column_schema": table_schema(declared)}


@dg.asset(
    group_name="datasets",
    partitions_def=fleet_month_partitions,
    deps=[_OF_THE_MONTH, "taxi_zones"],
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
    deps=[_OF_THE_MONTH],
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
    partitions_def=forecast_partitions,
    ins={"zone_hours": dg.AssetIn(partition_mapping=_same_fleet(-12, -1), metadata=_AS_FAR_AS_MADE)},
    automation_condition=window_complete,
    io_manager_key=DATASETS,
    dagster_type=DATA_FRAME,
    pool=POOL,
    kinds={"pandas"},
    tags={"output": "data-file"},
    metadata=_of_dataset(DEMAND_MODEL),
)
def demand_model(
    context: dg.AssetExecutionContext,
    zone_hours: Any,
    warehouse: WarehouseParam,
    files: FilesParam,
    pages: PagesParam,
) -> dg.MaterializeResult:
    """datasets/demand_model/…: pickups to expect by zone, day and hour of the month, from the twelve months before it.

    An interval says where nine hours of ten lie. The newest forecast is of the month after the newest loaded one, whose
    trips nobody has. outputs/demand_model/FLEET-YYYY-MM.png shows the three busiest zones; demand_errors says how good
    the forecast was.
    """
    spent = Cost()
    from taxi_pipeline.datasets.demand import demand_model_of
    from taxi_pipeline.outputs.demand_chart import draw_demand

    fleet, month = fleet_and_month(context.partition_key)
    past = together(ZONE_HOURS, zone_hours.values())
    model = demand_model_of(past, month)
    synthetic = warehouse.query(is_synthetic)
    chart = draw_demand(model, None, f"{FLEETS[fleet].title} pickups, {month:%B %Y}", synthetic=synthetic)
    drawn = _chart(files, pages, f"outputs/demand_model/{fleet}-{month:%Y-%m}.png", chart, "Expected pickups")
    return dg.MaterializeResult(
        value=model,
        metadata={
            **spent.so_far(rows=len(model)),
            "days_learned_from": int(past["pickup_date"].nunique()),
            "synthetic": synthetic,
            **drawn,
        },
    )


@dg.asset(
    group_name="datasets",
    partitions_def=fleet_month_partitions,
    ins={
        "demand_model": dg.AssetIn(partition_mapping=_same_fleet(0, 0), metadata=_AS_FAR_AS_MADE),
        "zone_hours": dg.AssetIn(partition_mapping=_same_fleet(0, 0)),
    },
    automation_condition=window_complete,
    io_manager_key=DATASETS,
    dagster_type=DATA_FRAME,
    pool=POOL,
    kinds={"pandas"},
    tags={"output": "data-file"},
    metadata=_of_dataset(DEMAND_ERRORS),
    check_specs=[_EXPECTS_THE_MONTH],
)
def demand_errors(
    context: dg.AssetExecutionContext,
    demand_model: Any,
    zone_hours: Any,
    warehouse: WarehouseParam,
    files: FilesParam,
    pages: PagesParam,
) -> dg.MaterializeResult:
    """datasets/demand_errors/…: how far the month's forecast, and two simple opponents, were from the counted pickups.

    outputs/demand_errors/FLEET-YYYY-MM.png shows expected and counted pickups of the three busiest zones. A month
    without a forecast, as the first one, has no rows.
    """
    spent = Cost()
    from taxi_pipeline.datasets.judgement import demand_errors_of, judgement_of
    from taxi_pipeline.outputs.demand_chart import draw_demand

    fleet, month = fleet_and_month(context.partition_key)
    model = together(DEMAND_MODEL, demand_model.values())
    errors = demand_errors_of(model, zone_hours, month)
    synthetic = warehouse.query(is_synthetic)
    chart = draw_demand(model, zone_hours, f"{FLEETS[fleet].title} pickups, {month:%B %Y}", synthetic=synthetic)
    words = "Expected and counted pickups"
    drawn = _chart(files, pages, f"outputs/demand_errors/{fleet}-{month:%Y-%m}.png", chart, words)
    return dg.MaterializeResult(
        value=errors,
        metadata={
            **spent.so_far(rows=len(errors)),
            "synthetic": synthetic,
            **drawn,
        },
        check_results=[_check_of(judgement_of(errors))],
    )


def _chart(files: Storage, pages: Pages, name: str, chart: bytes, words: str) -> dict[str, Any]:
    """Write a chart under this name; returns the metadata that shows it."""
    file = files.write(name, chart)
    return {"chart": picture(chart, words), "chart_file": dg.MetadataValue.path(file.uri), **link(file, pages)}


def _check_of(judgement: "Judgement | None") -> dg.AssetCheckResult:
    if judgement is None:
        return dg.AssetCheckResult(passed=True, description="nothing to compare: no forecast of the month, or no trips")
    model, all_methods = judgement.model, (judgement.model, *judgement.opponents)
    inside = model.share_inside
    return dg.AssetCheckResult(
        passed=judgement.is_better and (inside is None or inside >= MIN_SHARE_INSIDE),
        severity=dg.AssetCheckSeverity.WARN,
        description="root mean squared error, in pickups an hour: "
        + ", ".join(f"{errors.method.replace('_', ' ')} {errors.rmse:.3f}" for errors in all_methods)
        + ("" if inside is None else f"; {inside:.0%} of the busy hours lie in the interval"),
        metadata={"errors": table(model.names(), [errors.row for errors in all_methods])},
    )
