"""Group `datasets`: a fleet's month as a data frame, which the IO manager keeps as a file.

`taxi_pipeline.datasets` computes the frames; `defs.io_managers` decides where the files lie.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.datasets.columns import DEMAND_ERRORS, DEMAND_MODEL, MARKET_SHARES, ZONE_HOURS
from taxi_pipeline.datasets.contents import market_shares_of, missing_days, zone_hours_of
from taxi_pipeline.datasets.encoding import together
from taxi_pipeline.defs.automation import window_complete
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.io_managers import DATA_FRAME, FramesByPartition
from taxi_pipeline.defs.metadata import link, per_partition, picture, table, table_schema
from taxi_pipeline.defs.partitions import (
    fleet_and_month,
    fleet_month_partitions,
    forecast_partitions,
    months_before,
    windows_policy,
)
from taxi_pipeline.defs.resources import DATASETS, POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    from taxi_pipeline.datasets.judgement import Judgement


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
    deps=["loaded_months", "taxi_zones"],
    backfill_policy=windows_policy,
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

    def made(key: str) -> Any:
        spent = Cost()
        fleet, month = fleet_and_month(key)
        with warehouse.read() as session:
            frame, coverage = zone_hours_of(session, fleet, month), _coverage(session, fleet, month)
        found = {"trips": int(frame["num_trips"].sum()), **coverage, **spent.so_far(rows=len(frame))}
        per_partition(context, {key: found})
        return frame

    return dg.MaterializeResult(value=_of_each(context, made))


@dg.asset(
    group_name="datasets",
    partitions_def=fleet_month_partitions,
    deps=["loaded_months"],
    backfill_policy=windows_policy,
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

    def made(key: str) -> Any:
        spent = Cost()
        fleet, month = fleet_and_month(key)
        with warehouse.read() as session:
            frame, coverage = market_shares_of(session, fleet, month, tlc.fleets), _coverage(session, fleet, month)
        per_partition(context, {key: {**coverage, **spent.so_far(rows=len(frame))}})
        return frame

    return dg.MaterializeResult(value=_of_each(context, made))


def _of_each(context: dg.AssetExecutionContext, make: Callable[[str], Any]) -> Any:
    """What the asset returns: the frame of the run's only partition, or those of several, made one after the other."""
    first, *more = context.partition_keys
    return FramesByPartition([first, *more], make) if more else make(first)


def _coverage(session: Session, fleet: str, month: date) -> dict[str, Any]:
    """Metadata of a dataset's partition: the days that it lacks, and whether the trips are generated."""
    missing = missing_days(session, fleet, month)
    return {"missing_days": ", ".join(map(str, missing)) or "none", "synthetic": is_synthetic(session)}


@dg.asset(
    group_name="datasets",
    partitions_def=forecast_partitions,
    ins={"zone_hours": dg.AssetIn(partition_mapping=_same_fleet(-12, -1), metadata=_AS_FAR_AS_MADE)},
    backfill_policy=windows_policy,
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
    from taxi_pipeline.datasets.demand import demand_model_of
    from taxi_pipeline.outputs.demand_chart import draw_demand

    synthetic = warehouse.query(is_synthetic)

    def made(key: str) -> Any:
        spent = Cost()
        fleet, month = fleet_and_month(key)
        past = together(ZONE_HOURS, [zone_hours[before] for before in months_before(key, 12) if before in zone_hours])
        model = demand_model_of(past, month)
        chart = draw_demand(model, None, f"{FLEETS[fleet].title} pickups, {month:%B %Y}", synthetic=synthetic)
        drawn = _chart(files, pages, f"outputs/demand_model/{fleet}-{month:%Y-%m}.png", chart, "Expected pickups")
        learned = {"days_learned_from": int(past["pickup_date"].nunique()), "synthetic": synthetic}
        per_partition(context, {key: {**spent.so_far(rows=len(model)), **learned, **drawn}})
        return model

    return dg.MaterializeResult(value=_of_each(context, made))


@dg.asset(
    group_name="datasets",
    partitions_def=fleet_month_partitions,
    ins={
        "demand_model": dg.AssetIn(partition_mapping=_same_fleet(0, 0), metadata=_AS_FAR_AS_MADE),
        "zone_hours": dg.AssetIn(partition_mapping=_same_fleet(0, 0)),
    },
    backfill_policy=windows_policy,
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
    from taxi_pipeline.datasets.judgement import demand_errors_of, judgement_of
    from taxi_pipeline.outputs.demand_chart import draw_demand

    synthetic = warehouse.query(is_synthetic)
    judgements: dict[str, Judgement | None] = {}

    def made(key: str) -> Any:
        spent = Cost()
        fleet, month = fleet_and_month(key)
        model = together(DEMAND_MODEL, [demand_model[key]] if key in demand_model else [])
        counted = zone_hours[key] if isinstance(zone_hours, Mapping) else zone_hours
        errors = demand_errors_of(model, counted, month)
        judgements[key] = judgement_of(errors)
        chart = draw_demand(model, counted, f"{FLEETS[fleet].title} pickups, {month:%B %Y}", synthetic=synthetic)
        words = "Expected and counted pickups"
        drawn = _chart(files, pages, f"outputs/demand_errors/{fleet}-{month:%Y-%m}.png", chart, words)
        per_partition(context, {key: {**spent.so_far(rows=len(errors)), "synthetic": synthetic, **drawn}})
        return errors

    first, *more = [(key, made(key)) for key in context.partition_keys]  # a few rows each, and the check needs them all
    return dg.MaterializeResult(value=dict([first, *more]) if more else first[1], check_results=[_check_of(judgements)])


def _chart(files: Storage, pages: Pages, name: str, chart: bytes, words: str) -> dict[str, Any]:
    """Write a chart under this name; returns the metadata that shows it."""
    file = files.write(name, chart)
    return {"chart": picture(chart, words), "chart_file": dg.MetadataValue.path(file.uri), **link(file, pages)}


def _check_of(judgements: "Mapping[str, Judgement | None]") -> dg.AssetCheckResult:
    """The result of the check for the months of a run: partition key → the month's judgement."""
    known = {key: judgement for key, judgement in judgements.items() if judgement}
    if not known:
        return dg.AssetCheckResult(passed=True, description="nothing to compare: no forecast of the month, or no trips")
    failed = [key for key, judgement in known.items() if not _is_good(judgement)]
    header = next(iter(known.values())).model.names()
    rows = [
        (key, *errors.row) for key, judgement in known.items() for errors in (judgement.model, *judgement.opponents)
    ]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(map(_in_words, known.values()))
        if len(known) == 1
        else f"{len(known) - len(failed)} of {len(known)} months pass"
        + (f"; these do not: {', '.join(failed)}" if failed else ""),
        metadata={"errors": table(("partition", *header), rows)},
    )


def _is_good(judgement: "Judgement") -> bool:
    inside = judgement.model.share_inside
    return judgement.is_better and (inside is None or inside >= MIN_SHARE_INSIDE)


def _in_words(judgement: "Judgement") -> str:
    all_methods, inside = (judgement.model, *judgement.opponents), judgement.model.share_inside
    return (
        "root mean squared error, in pickups an hour: "
        + ", ".join(f"{errors.method.replace('_', ' ')} {errors.rmse:.3f}" for errors in all_methods)
        + ("" if inside is None else f"; {inside:.0%} of the busy hours lie in the interval")
    )
