"""The jobs: which assets run together. When they run belongs to schedules and sensors."""

import dagster as dg

from taxi_pipeline.defs.assets.requests import draw_requests
from taxi_pipeline.defs.checks.freshness import newest_day_is_recent
from taxi_pipeline.defs.retries import RETRIES

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
    description="Makes summaries of weeks. Automation makes each when its days are loaded; this job makes any of them.",
)

monthly_reports = dg.define_asset_job(
    "monthly_reports",
    selection=dg.AssetSelection.groups("reports") - dg.AssetSelection.assets("week_summary"),
    description="Makes manifests and reports of months, and images of pickups where there are coordinates. Automation "
    "makes each when its days are loaded; this job any.",
)

datasets = dg.define_asset_job(
    "datasets",
    selection=dg.AssetSelection.groups("datasets") - dg.AssetSelection.assets("demand_model"),
    description="Makes datasets of fleets' months. Automation makes each when its days are loaded; this job makes any.",
)

demand_forecasts = dg.define_asset_job(
    "demand_forecasts",
    selection=dg.AssetSelection.assets("demand_model"),
    description="Forecasts fleets' months. Automation forecasts each when the month before is loaded; this job makes "
    "any. A job of its own: its last month is the one after the last of the other datasets.",
)

zones = dg.define_asset_job(
    "zones",
    selection=dg.AssetSelection.assets("taxi_zones_file", "taxi_zones"),
    description="Fetches and loads the taxi zones alone. When they changed, the assets made with them show as stale.",
)

indicators = dg.define_asset_job(
    "indicators",
    selection=dg.AssetSelection.groups("indicators"),
    description="Fetches the TLC's monthly report and loads it. It loads no trips, and no run of days depends on it.",
)

sources = dg.define_asset_job(
    "sources",
    selection=dg.AssetSelection.groups("sources", "weather").materializable(),
    description="Fetches and loads what trips are joined with (bases, weather, days, places), and makes what is made "
    "of weather and trips. A source that is down fails nothing else. With automation each is asked every morning.",
)

tlc_observation = dg.define_asset_job(
    "tlc_observation",
    selection=dg.AssetSelection.assets("tlc_trip_records").without_checks(),
    description="Asks what the TLC has published since the last load. daily_refresh reads the result.",
    op_retry_policy=RETRIES,  # an observation takes no policy of its own
)

freshness = dg.define_asset_job(
    "freshness",
    selection=dg.AssetSelection.checks(newest_day_is_recent),
    description="Compares the age of the newest loaded day with the TLC's usual delay.",
)


@dg.job(description="Draws the chart of a request file; trip_request_sensor launches it for each new file.")
def trip_requests() -> None:
    """Draw the chart of a request file."""
    draw_requests()
