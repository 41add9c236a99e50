"""The jobs: which assets run together. When they run belongs to schedules and sensors."""

import dagster as dg

daily_trips = dg.define_asset_job(
    "daily_trips",
    selection=dg.AssetSelection.groups("raw_files", "warehouse", "metrics"),
    description=(
        "The whole graph for one day or a range of days: fetch the published files, load the trips, rebuild the "
        "weekly table, the statistics and the map. All in one process."
    ),
    executor_def=dg.in_process_executor,
)

zones = dg.define_asset_job(
    "zones",
    selection=dg.AssetSelection.assets("taxi_zones_file", "taxi_zones"),
    description="The TLC's taxi zones alone. When they changed, what is made with them shows as stale.",
    executor_def=dg.in_process_executor,
)
