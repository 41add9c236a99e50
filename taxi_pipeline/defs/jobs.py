"""The jobs: which assets run together. When they run belongs to schedules and sensors."""

import dagster as dg

from taxi_pipeline.defs.assets.requests import draw_requests
from taxi_pipeline.defs.checks.freshness import newest_day_is_recent

daily_trips = dg.define_asset_job(
    "daily_trips",
    selection=dg.AssetSelection.groups("raw_files", "warehouse", "metrics"),
    description=(
        "The whole graph for one day or a range of days: fetch the published files, load the trips, rebuild the "
        "weekly table, the statistics and the maps. All in one process."
    ),
)

week_summaries = dg.define_asset_job(
    "week_summaries",
    selection=dg.AssetSelection.assets("week_summary"),
    description="The summaries of weeks. Automation makes each when its days are loaded; this makes any of them.",
)

monthly_reports = dg.define_asset_job(
    "monthly_reports",
    selection=dg.AssetSelection.assets("monthly_report"),
    description="The reports of months. Automation makes each when its days are loaded; this makes any of them.",
)

datasets = dg.define_asset_job(
    "datasets",
    selection=dg.AssetSelection.groups("datasets"),
    description="The files of fleets' months. Automation makes each when its days are loaded; this makes any of them.",
)

zones = dg.define_asset_job(
    "zones",
    selection=dg.AssetSelection.assets("taxi_zones_file", "taxi_zones"),
    description="The TLC's taxi zones alone. When they changed, what is made with them shows as stale.",
)

tlc_observation = dg.define_asset_job(
    "tlc_observation",
    selection=dg.AssetSelection.assets("tlc_trip_records").without_checks(),
    description="What the TLC has published since the last load, without loading it. daily_refresh reads the result.",
)

freshness = dg.define_asset_job(
    "freshness",
    selection=dg.AssetSelection.checks(newest_day_is_recent),
    description="How old the newest loaded day is, compared with how late the TLC usually is.",
)


@dg.job(description="The chart of a request file; trip_request_sensor launches it for each new file.")
def trip_requests() -> None:
    """The chart of a request file."""
    draw_requests()
