"""The assets, one module per group: raw files, the warehouse's tables, what people look at, reports of a week or month.

An asset says which partitions it is about, calls plain functions, and returns metadata.
"""

from taxi_pipeline.assets.metrics import manhattan_map, manhattan_stats, trips_by_week
from taxi_pipeline.assets.raw_files import taxi_trips_file, taxi_zones_file, tlc_trip_records
from taxi_pipeline.assets.reports import week_summary
from taxi_pipeline.assets.requests import trip_request
from taxi_pipeline.assets.warehouse import code_tables, taxi_trips, taxi_zones, zone_hourly_trips

ASSETS = [
    tlc_trip_records,
    taxi_trips_file,
    taxi_zones_file,
    taxi_zones,
    code_tables,
    taxi_trips,
    zone_hourly_trips,
    trips_by_week,
    manhattan_stats,
    manhattan_map,
]
"""The graph that one run of days carries: what is daily, and what has no partitions."""

REPORTS = [week_summary]
"""What has other partitions, and runs of its own."""

REQUESTS = [trip_request]
"""What runs only when somebody asks for it, with a configuration."""

__all__ = [
    "ASSETS",
    "REPORTS",
    "REQUESTS",
    "code_tables",
    "manhattan_map",
    "manhattan_stats",
    "taxi_trips",
    "taxi_trips_file",
    "taxi_zones",
    "taxi_zones_file",
    "tlc_trip_records",
    "trip_request",
    "trips_by_week",
    "week_summary",
    "zone_hourly_trips",
]
