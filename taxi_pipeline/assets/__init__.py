"""The assets, one module per group: raw files, the warehouse's tables, what people look at, reports of a week or month.

An asset says which partitions it is about, calls plain functions, and returns metadata.
"""

from taxi_pipeline.assets.metrics import city_map, manhattan_map, manhattan_stats, trips_by_week, zone_explorer
from taxi_pipeline.assets.raw_files import taxi_trips_file, taxi_zones_file, tlc_trip_records
from taxi_pipeline.assets.reports import monthly_report, week_summary
from taxi_pipeline.assets.requests import trip_request
from taxi_pipeline.assets.warehouse import borough_flows, code_tables, taxi_trips, taxi_zones, zone_hourly_trips

ASSETS = [
    tlc_trip_records,
    taxi_trips_file,
    taxi_zones_file,
    taxi_zones,
    code_tables,
    taxi_trips,
    zone_hourly_trips,
    borough_flows,
    trips_by_week,
    manhattan_stats,
    manhattan_map,
    city_map,
    zone_explorer,
]
"""The graph that one run of days carries: what is daily, and what has no partitions."""

REPORTS = [week_summary, monthly_report]
"""What has other partitions, and runs of its own."""

REQUESTS = [trip_request]
"""What runs only when somebody asks for it, with a configuration."""

__all__ = [
    "ASSETS",
    "REPORTS",
    "REQUESTS",
    "borough_flows",
    "city_map",
    "code_tables",
    "manhattan_map",
    "manhattan_stats",
    "monthly_report",
    "taxi_trips",
    "taxi_trips_file",
    "taxi_zones",
    "taxi_zones_file",
    "tlc_trip_records",
    "trip_request",
    "trips_by_week",
    "week_summary",
    "zone_explorer",
    "zone_hourly_trips",
]
