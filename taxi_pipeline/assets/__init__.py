"""The assets, one module per group: raw files, the warehouse's tables, and what people look at.

An asset says which partitions it is about, calls plain functions, and returns metadata.
"""

from taxi_pipeline.assets.metrics import manhattan_map, manhattan_stats, trips_by_week
from taxi_pipeline.assets.raw_files import taxi_trips_file, taxi_zones_file, tlc_trip_records
from taxi_pipeline.assets.warehouse import taxi_trips, taxi_zones, zone_hourly_trips

ASSETS = [
    tlc_trip_records,
    taxi_trips_file,
    taxi_zones_file,
    taxi_zones,
    taxi_trips,
    zone_hourly_trips,
    trips_by_week,
    manhattan_stats,
    manhattan_map,
]

__all__ = [
    "ASSETS",
    "manhattan_map",
    "manhattan_stats",
    "taxi_trips",
    "taxi_trips_file",
    "taxi_zones",
    "taxi_zones_file",
    "tlc_trip_records",
    "trips_by_week",
    "zone_hourly_trips",
]
