"""Group `sources`: what trips are joined with, by companies, weather, days and places.

What a source is, and how its assets come about, is in `sources.source` and `defs.sources`. An asset of one's own source
goes into a module of its own beside this one.
"""

from typing import Any

import dagster as dg

from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import link, picture, table, written
from taxi_pipeline.defs.resources import POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.defs.sources import GROUP, build_source, weather_or_trips_updated
from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.outputs.weather.extreme_days import HEADER, extreme_rows, weather_of_trips
from taxi_pipeline.sources.bases import BASES_SOURCE
from taxi_pipeline.sources.weather import WEATHER_SOURCE

bases_assets = build_source(BASES_SOURCE)
weather_assets = build_source(WEATHER_SOURCE)

EXTREME_DAYS_FILE = "outputs/extreme_days.csv"
DAILY_HIGHS_FILE = "outputs/daily_highs.png"
DAILY_HIGHS_DATA_FILE = "outputs/daily_highs.csv"

_OF_WEATHER: Any = {
    "group_name": GROUP,
    "deps": ["weather_days", "zone_hourly_trips", "borough_flows"],
    "automation_condition": weather_or_trips_updated,
    "pool": POOL,
}


@dg.asset(**_OF_WEATHER, kinds={"duckdb", "csv"}, tags={"output": "data-file"})
def extreme_days(
    warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/extreme_days.csv: the ten hottest, and the three coldest, wettest and snowiest loaded days.

    For each fleet the net trips, the mean fare and the speed of the day, beside the median of the same weekdays from
    four weeks before to four weeks after it. Weather is that of Central Park.
    """
    spent = Cost()
    with files.lock(EXTREME_DAYS_FILE):
        found = warehouse.query(weather_of_trips, tlc.fleets)
        rows = extreme_rows(found)
        file = files.write(EXTREME_DAYS_FILE, csv_text(HEADER, rows))
    return written(
        file,
        {
            **link(file, pages),
            **spent.so_far(bytes_written=file.size_bytes),
            "dagster/row_count": len(rows),
            "days_with_weather": len(found.weather),
            "synthetic": found.coverage.synthetic,
            "preview": table(HEADER, rows),
        },
    )


@dg.asset(**_OF_WEATHER, kinds={"duckdb", "matplotlib", "png"}, tags={"output": "picture"})
def daily_highs(warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam) -> dg.MaterializeResult:
    """outputs/daily_highs.png: the highs of the loaded days, above the trips a day of each fleet.

    outputs/daily_highs.csv has the highs. Weather is that of Central Park.
    """
    spent = Cost()
    from taxi_pipeline.outputs.weather import highs_chart

    with files.lock(DAILY_HIGHS_FILE):
        found = warehouse.query(weather_of_trips, tlc.fleets)
        png, rows = highs_chart.draw_highs(found), highs_chart.highs_rows(found)
        file = files.write(DAILY_HIGHS_FILE, png)
        files.write(DAILY_HIGHS_DATA_FILE, csv_text(highs_chart.HEADER, rows))
    return written(
        file,
        {
            **link(file, pages),
            **spent.so_far(bytes_written=file.size_bytes),
            "preview": picture(png, "Daily highs in Central Park"),
            "days_with_weather": len(found.weather),
            "synthetic": found.coverage.synthetic,
        },
    )
