"""Group `metrics`: tables, maps and the explorer. Each asset rebuilds its whole file from the hourly table.

That takes milliseconds; the explorer packs for seconds, and counts pairs of zones in the trips. Rebuilding the whole
file makes it the same whatever the order and the chunks in which days were loaded. A file is locked while it is made,
so if several runs make it at once, the one that writes last has also read last.
"""

import json

import dagster as dg

from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import (
    PREVIEW_ROWS,
    column_lineage,
    link,
    picture,
    table,
    table_facts,
    table_schema,
    written,
)
from taxi_pipeline.defs.resources import POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.outputs.made_from import write_output
from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.outputs.weekly_table import FLEET_WEEK_HEADER, WEEK_DAYS_HEADER, WEEK_HEADER, weekly_totals
from taxi_pipeline.outputs.zone_statistics import city_statistics, geojson_text, manhattan_statistics
from taxi_pipeline.required_files import require_file
from taxi_pipeline.warehouse.tables import TRIPS_BY_WEEK

TRIPS_BY_WEEK_FILE = "outputs/trips_by_week.csv"
TRIPS_BY_WEEK_BY_FLEET_FILE = "outputs/trips_by_week_by_fleet.csv"
TRIPS_BY_WEEK_NET_FILE = "outputs/trips_by_week_net.csv"
TRIPS_BY_WEEK_DAYS_FILE = "outputs/trips_by_week_days.csv"
MANHATTAN_STATS_FILE = "staging/manhattan_stats.geojson"
MANHATTAN_MAP_FILE = "outputs/manhattan_map.png"
CITY_MAP_FILE = "outputs/city_map.png"
ZONE_EXPLORER_FILE = "outputs/zone_explorer.html"

FILES = (
    TRIPS_BY_WEEK_FILE,
    TRIPS_BY_WEEK_BY_FLEET_FILE,
    TRIPS_BY_WEEK_NET_FILE,
    TRIPS_BY_WEEK_DAYS_FILE,
    MANHATTAN_STATS_FILE,
    MANHATTAN_MAP_FILE,
    CITY_MAP_FILE,
    ZONE_EXPLORER_FILE,
)
"""The files that the group writes."""


@dg.asset(
    group_name="metrics",
    deps=["zone_hourly_trips"],
    pool=POOL,
    kinds={"duckdb", "csv"},
    tags={"output": "data-file"},
    metadata={"dagster/column_schema": table_schema(TRIPS_BY_WEEK)},
)
def trips_by_week(
    warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/trips_by_week.csv: one row per week that has trips, all configured fleets together.

    period is the Sunday on which the week starts. Distances are summed as published, outliers included. With several
    fleets outputs/trips_by_week_by_fleet.csv has the same for each of them. outputs/trips_by_week_net.csv has the
    weeks by fleet, and of all together, without both rows of each void, which is a taxi's trip and its row once more
    with the opposite total.
    outputs/trips_by_week_days.csv says how many days of each week are loaded: the first and the last week are often
    partial.
    """
    spent = Cost()
    with files.lock(TRIPS_BY_WEEK_FILE):
        weeks = warehouse.query(weekly_totals, tlc.fleets)
        version = weeks.coverage.version
        file = write_output(files, TRIPS_BY_WEEK_FILE, csv_text(WEEK_HEADER, weeks.all_fleets), version=version)
        write_output(files, TRIPS_BY_WEEK_NET_FILE, csv_text(FLEET_WEEK_HEADER, weeks.net), version=version)
        write_output(files, TRIPS_BY_WEEK_DAYS_FILE, csv_text(WEEK_DAYS_HEADER, weeks.days), version=version)
        if weeks.by_fleet:
            by_fleet = csv_text(FLEET_WEEK_HEADER, weeks.by_fleet)
            write_output(files, TRIPS_BY_WEEK_BY_FLEET_FILE, by_fleet, version=version)
        else:
            files.delete(TRIPS_BY_WEEK_BY_FLEET_FILE)  # of a time with more fleets
    return written(
        file,
        {
            **link(file, pages),
            **spent.so_far(bytes_written=file.size_bytes),
            **table_facts(TRIPS_BY_WEEK, len(weeks.all_fleets)),
            **column_lineage(TRIPS_BY_WEEK),
            "synthetic": weeks.coverage.synthetic,
            "partial_weeks": ", ".join(weeks.partial) or "none",
            "preview": table(WEEK_HEADER, weeks.all_fleets[-PREVIEW_ROWS:]),
        },
    )


@dg.asset(
    group_name="metrics",
    deps=["zone_hourly_trips", "taxi_zones"],
    pool=POOL,
    kinds={"duckdb", "geojson"},
    tags={"output": "data-file"},
)
def manhattan_stats(warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam) -> dg.MaterializeResult:
    """staging/manhattan_stats.geojson: pickups and charges of each of the 69 Manhattan zones, also without trips.

    A GeoJSON FeatureCollection (RFC 7946), features sorted by zone id; beside them coverage says which days and
    fleets are counted, and whether the trips are synthetic.
    """
    spent = Cost()
    with files.lock(MANHATTAN_STATS_FILE):
        stats = warehouse.query(manhattan_statistics, tlc.fleets)
        file = write_output(files, MANHATTAN_STATS_FILE, geojson_text(stats), version=stats.coverage.version)
    busiest = [(z.zone_id, z.zone, z.num_trips, float(z.total_amount)) for z in stats.busiest(PREVIEW_ROWS)]
    return written(
        file,
        {
            **spent.so_far(bytes_written=file.size_bytes),
            "dagster/row_count": len(stats.zones),
            "trips": stats.num_trips,
            "synthetic": stats.coverage.synthetic,
            "busiest_zones": table(("zone_id", "zone", "num_trips", "total_amount"), busiest),
        },
    )


@dg.asset(
    group_name="metrics",
    deps=["manhattan_stats"],
    kinds={"matplotlib", "png"},
    tags={"output": "picture"},
)
def manhattan_map(files: FilesParam, pages: PagesParam) -> dg.MaterializeResult:
    """outputs/manhattan_map.png: pickups by taxi zone, the whole of Manhattan, the five busiest zones named.

    The darker a zone, the more pickups, in classes with round borders; hatched zones have none. All loaded days count.
    """
    spent = Cost()
    from taxi_pipeline.outputs.maps import draw_manhattan_map

    require_file(files, MANHATTAN_STATS_FILE, written_by="manhattan_stats")
    with files.lock(MANHATTAN_MAP_FILE):
        stats = json.loads(files.read(MANHATTAN_STATS_FILE))
        png = draw_manhattan_map(stats)
        file = files.write(MANHATTAN_MAP_FILE, png)
    return written(
        file,
        {
            **link(file, pages),
            **spent.so_far(bytes_written=file.size_bytes),
            "preview": picture(png, "Pickups in Manhattan"),
            "synthetic": stats["coverage"]["synthetic"],
        },
    )


@dg.asset(
    group_name="metrics",
    deps=["zone_hourly_trips", "taxi_zones"],
    pool=POOL,
    kinds={"duckdb", "matplotlib", "png"},
    tags={"output": "picture"},
)
def city_map(warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam) -> dg.MaterializeResult:
    """outputs/city_map.png: pickups by taxi zone in all five boroughs and Newark Airport, Manhattan enlarged.

    Each borough has its share of the pickups in known zones, which are all on the map; the picture names the number of
    the others. Colours as on manhattan_map.
    """
    spent = Cost()
    from taxi_pipeline.outputs.maps import draw_city_map

    with files.lock(CITY_MAP_FILE):
        stats = warehouse.query(city_statistics, tlc.fleets)
        png = draw_city_map(stats.feature_collection())
        file = files.write(CITY_MAP_FILE, png)
    return written(
        file,
        {
            **link(file, pages),
            **spent.so_far(bytes_written=file.size_bytes),
            "preview": picture(png, "Pickups in New York"),
            "trips": stats.num_trips,
            "trips_in_no_known_zone": stats.num_unplaced,
            "synthetic": stats.coverage.synthetic,
        },
    )


@dg.asset(
    group_name="metrics",
    deps=["zone_hourly_trips", "borough_flows", "taxi_zones"],
    pool=POOL,
    kinds={"duckdb", "html"},
    tags={"output": "page"},
)
def zone_explorer(
    warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/zone_explorer.html: an interactive map of the zones. One file, opens without a network.

    Choose pickups or drop-offs, a fleet, weeks, weekdays, hours and zones, in any combination: the numbers are exact.
    Two choices can be compared on the map, the weeks played, and the numbers saved as CSV. All loaded days of the
    configured fleets are in it.
    """
    spent = Cost()
    from taxi_pipeline.outputs.explorer.data import explorer_data
    from taxi_pipeline.outputs.explorer.page import page_of, preview_of
    from taxi_pipeline.outputs.origin import zones_are_schematic

    with files.lock(ZONE_EXPLORER_FILE):
        data = warehouse.query(explorer_data, tlc.fleets)
        page = page_of(data, schematic_zones=zones_are_schematic(files, tlc.zones_file))
        file = files.write(ZONE_EXPLORER_FILE, page)
    return written(
        file,
        {
            **link(file, pages),
            **spent.so_far(bytes_written=file.size_bytes),
            "preview": picture(preview_of(data), "Pickups in New York"),
            "weeks": len(data["weeks"]),
            "trips": sum(data["pickups"].values()),
            "synthetic": data["synthetic"],
        },
    )
