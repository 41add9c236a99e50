"""The assets, one module per group: raw files, tables, metrics, reports, datasets, requests, sources, analysis, ….

An asset resolves its partitions, calls plain functions, and returns metadata.
"""

from taxi_pipeline.defs.assets.datasets import demand_errors, demand_model, market_shares, zone_hours
from taxi_pipeline.defs.assets.indicators import tlc_indicators, tlc_report_file
from taxi_pipeline.defs.assets.loaded_months import loaded_months
from taxi_pipeline.defs.assets.metrics import city_map, manhattan_map, manhattan_stats, trips_by_week, zone_explorer
from taxi_pipeline.defs.assets.month_changes import month_changes
from taxi_pipeline.defs.assets.raw_files import taxi_trips_file, taxi_zones_file
from taxi_pipeline.defs.assets.reports import month_manifest, monthly_report, week_summary
from taxi_pipeline.defs.assets.requests import trip_request
from taxi_pipeline.defs.assets.sources import (
    bases_assets,
    calendar_days,
    daily_highs,
    extreme_days,
    weather_assets,
    zone_places,
)
from taxi_pipeline.defs.assets.tlc_records import tlc_trip_records
from taxi_pipeline.defs.assets.warehouse_tables import code_tables, taxi_zones, trip_tables

ASSETS = [
    taxi_trips_file,
    taxi_zones_file,
    taxi_zones,
    code_tables,
    trip_tables,
    trips_by_week,
    manhattan_stats,
    manhattan_map,
    city_map,
    zone_explorer,
    month_changes,
]
"""The assets that one run of days materializes: the daily ones, and those without partitions."""

__all__ = [
    "ASSETS",
    "bases_assets",
    "calendar_days",
    "city_map",
    "code_tables",
    "daily_highs",
    "demand_errors",
    "demand_model",
    "extreme_days",
    "loaded_months",
    "manhattan_map",
    "manhattan_stats",
    "market_shares",
    "month_changes",
    "month_manifest",
    "monthly_report",
    "taxi_trips_file",
    "taxi_zones",
    "taxi_zones_file",
    "tlc_indicators",
    "tlc_report_file",
    "tlc_trip_records",
    "trip_request",
    "trip_tables",
    "trips_by_week",
    "weather_assets",
    "week_summary",
    "zone_explorer",
    "zone_hours",
    "zone_places",
]
