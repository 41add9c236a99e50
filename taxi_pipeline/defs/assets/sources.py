"""Group `sources`: what trips are joined with. Group `weather`: outputs that are made of trips and weather.

What a source is, and how its assets come about, is in `sources.source` and `defs.sources`. An asset of one's own source
goes into a module of its own beside this one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, link, picture, table, table_facts, table_metadata, written
from taxi_pipeline.defs.resources import POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.defs.sources import GROUP, build_source, monthly_or_missing, weather_or_trips_updated
from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.outputs.weather.extreme_days import HEADER, extreme_rows, weather_of_trips
from taxi_pipeline.sources.bases import BASES_SOURCE
from taxi_pipeline.sources.facts import day_rows, place_rows
from taxi_pipeline.sources.weather import WEATHER_SOURCE
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline.warehouse.interface import Warehouse
from taxi_pipeline.warehouse.reference import replace_tables
from taxi_pipeline.warehouse.tables import CALENDAR_DAYS, ZONE_PLACES, Table

bases_assets = build_source(BASES_SOURCE)
weather_assets = build_source(WEATHER_SOURCE)


@dg.asset(
    group_name=GROUP,
    pool=POOL,
    kinds={"duckdb"},
    tags={"output": "table"},
    metadata=table_metadata(CALENDAR_DAYS),
    automation_condition=monthly_or_missing,
)
def calendar_days(warehouse: WarehouseParam) -> dg.MaterializeResult:
    """Table calendar_days: weekday, holiday, school day, hours and known events of each day since 2009-01-01.

    It ends with this year. The view days has the weather beside it. Holidays are by the package holidays, the others
    carry their sources.
    """
    return _replaced(warehouse, day_rows(new_york_today()))


@dg.asset(
    group_name=GROUP,
    pool=POOL,
    kinds={"duckdb"},
    tags={"output": "table"},
    metadata=table_metadata(ZONE_PLACES),
    automation_condition=monthly_or_missing,
)
def zone_places(warehouse: WarehouseParam) -> dg.MaterializeResult:
    """Tables zone_places and zone_neighbors: neighborhood, district and service zone of each zone, and its neighbors.

    With them any table with a zone id can be grouped by places: JOIN zone_places ON zone_id = pickup_zone_id.
    """
    return _replaced(warehouse, place_rows())


def _replaced(warehouse: Warehouse, tables: Mapping[Table, Sequence[Sequence[Any]]]) -> dg.MaterializeResult:
    """Replace the tables; the first is the one that the asset's page shows."""
    spent = Cost()
    warehouse.change(replace_tables, tables)
    declared, rows = next(iter(tables.items()))
    return dg.MaterializeResult(
        metadata={
            **table_facts(declared, len(rows)),
            **spent.so_far(rows=sum(map(len, tables.values()))),
            "preview": table(declared.column_names, rows[-PREVIEW_ROWS:]),
        },
        data_version=dg.DataVersion(hashlib.sha256(repr(list(tables.values())).encode()).hexdigest()),
    )


WEATHER_GROUP = "weather"
EXTREME_DAYS_FILE = "outputs/extreme_days.csv"
DAILY_HIGHS_FILE = "outputs/daily_highs.png"
DAILY_HIGHS_DATA_FILE = "outputs/daily_highs.csv"


@dg.asset(
    group_name=WEATHER_GROUP,
    deps=["weather_days", "zone_hourly_trips", "borough_flows"],
    automation_condition=weather_or_trips_updated,
    pool=POOL,
    kinds={"duckdb", "csv"},
    tags={"output": "data-file"},
)
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


@dg.asset(
    group_name=WEATHER_GROUP,
    deps=["weather_days", "zone_hourly_trips", "borough_flows"],
    automation_condition=weather_or_trips_updated,
    pool=POOL,
    kinds={"duckdb", "matplotlib", "png"},
    tags={"output": "picture"},
)
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
