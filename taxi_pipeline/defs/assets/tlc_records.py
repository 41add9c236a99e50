"""Group `tlc`: the TLC's publications. An observation asks its server; the schedules read the result."""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from taxi_pipeline.defs.metadata import table
from taxi_pipeline.defs.partitions import days_from, days_of_definition
from taxi_pipeline.defs.resources import FilesParam, TlcParam, WarehouseParam
from taxi_pipeline.defs.retries import retrying_unanswered
from taxi_pipeline.refresh_plan import RefreshPlan, plan_refresh
from taxi_pipeline.tlc.fleets import FIRST_DAY

TLC_TRIP_RECORDS = dg.AssetKey("tlc_trip_records")
_PLAN = "refresh_plan"


@dg.multi_observable_source_asset(
    specs=[
        dg.AssetSpec(
            TLC_TRIP_RECORDS,
            kinds={"parquet"},
            group_name="tlc",
            description=(
                "The publications of New York's Taxi and Limousine Commission: a Parquet file per fleet and month, one "
                "to three and a half months after the month's end, and the taxi zones. Described at "
                "https://www.nyc.gov/site/tlc/about/tlc-trip-record-data.page\n"
                "\n"
                "An observation asks the server which months are new or were published again since they were loaded. "
                "It may take minutes when the server refuses; daily_refresh reads its result."
            ),
        )
    ]
)
def tlc_trip_records(tlc: TlcParam, warehouse: WarehouseParam, files: FilesParam) -> Iterator[dg.ObserveResult]:
    """Compare the published files with the loaded days."""
    with retrying_unanswered():
        plan = plan_refresh(tlc, warehouse, files, days_of_definition(days_from(FIRST_DAY, tlc.last_day)))
    yield dg.ObserveResult(
        asset_key=TLC_TRIP_RECORDS,
        data_version=dg.DataVersion(plan.published_version),
        metadata={
            "newest_published_month": f"{plan.newest:%Y-%m}" if plan.newest else "none",
            "months_to_load": table(("days", "version"), [(chunk.days, chunk.version) for chunk in plan.chunks]),
            _PLAN: dg.MetadataValue.json(plan.as_json()),
        },
    )


def latest_plan(instance: dg.DagsterInstance) -> tuple[RefreshPlan, datetime] | None:
    """The result of the latest observation, and its time; None when there was none yet."""
    records = instance.fetch_observations(TLC_TRIP_RECORDS, limit=1).records
    observation = records[0].asset_observation if records else None
    if observation is None or _PLAN not in observation.metadata:
        return None
    return RefreshPlan.from_json(observation.metadata[_PLAN].value), datetime.fromtimestamp(
        records[0].timestamp
    ).astimezone()
