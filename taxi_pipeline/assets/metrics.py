"""Group `metrics`: what people look at. Each asset rebuilds its whole file from the hourly table, in milliseconds.

Rebuilding whole is what makes the files the same whatever the order and the chunks in which days were loaded. A file is
locked while it is made, so of several runs at once the last to write has read last, too. What is quickly written is
written before the warehouse is let go: such a file is known to lack something when it is older than the warehouse.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_pipeline.assets.warehouse import POOL, taxi_zones, zone_hourly_trips
from taxi_pipeline.files import sha256_of
from taxi_pipeline.metadata import (
    OWNERS,
    PREVIEW_ROWS,
    column_lineage,
    file_metadata,
    markdown_table,
    picture,
    table_schema,
)
from taxi_pipeline.resources import FileStore, TlcSource, Warehouse
from taxi_pipeline.session import Session, placeholders
from taxi_pipeline.tables import TRIPS_BY_WEEK, WEEK_START_SQL

REBUILT_MONTHLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=62), warn_window=timedelta(days=45))
"""Every published month rebuilds these, so about every 30 days."""

TRIPS_BY_WEEK_FILE = "outputs/trips_by_week.csv"
TRIPS_BY_WEEK_BY_FLEET_FILE = "outputs/trips_by_week_by_fleet.csv"
MANHATTAN_STATS_FILE = "staging/manhattan_stats.geojson"
MANHATTAN_MAP_FILE = "outputs/manhattan_map.png"
CITY_MAP_FILE = "outputs/city_map.png"
ZONE_EXPLORER_FILE = "outputs/zone_explorer.html"

FILES = (
    TRIPS_BY_WEEK_FILE,
    TRIPS_BY_WEEK_BY_FLEET_FILE,
    MANHATTAN_STATS_FILE,
    MANHATTAN_MAP_FILE,
    CITY_MAP_FILE,
    ZONE_EXPLORER_FILE,
)
"""All that the group writes."""

WEEK_HEADER = TRIPS_BY_WEEK.column_names
FLEET_WEEK_HEADER = ("period", "fleet", *WEEK_HEADER[1:])


@dg.asset(
    group_name="metrics",
    deps=[zone_hourly_trips],
    pool=POOL,
    kinds={"duckdb", "csv"},
    owners=OWNERS,
    tags={"output": "data-file"},
    freshness_policy=REBUILT_MONTHLY,
    metadata={"dagster/column_schema": table_schema(TRIPS_BY_WEEK)},
)
def trips_by_week(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dg.MaterializeResult:
    """`outputs/trips_by_week.csv`: one row per week that has trips, all configured fleets together.

    `period` is the Sunday on which the week starts. Distances are summed as published, outliers included. With several
    fleets `outputs/trips_by_week_by_fleet.csv` has the same for each of them.
    """
    with files.locked(TRIPS_BY_WEEK_FILE), warehouse.read() as session:
        weeks = _weeks(session, "period", tlc.fleets)
        coverage = loaded_coverage(session, tlc.fleets)
        path = files.write_text(TRIPS_BY_WEEK_FILE, _csv(WEEK_HEADER, weeks))
        if len(tlc.fleets) > 1:
            by_fleet = _weeks(session, "period, fleet", tlc.fleets)
            files.write_text(TRIPS_BY_WEEK_BY_FLEET_FILE, _csv(FLEET_WEEK_HEADER, by_fleet))
        else:
            files.remove(TRIPS_BY_WEEK_BY_FLEET_FILE)  # of a time with more fleets
    return _written(
        path,
        {
            "dagster/row_count": len(weeks),
            **column_lineage(TRIPS_BY_WEEK),
            "synthetic": coverage["synthetic"],
            "preview": markdown_table(WEEK_HEADER, weeks[-PREVIEW_ROWS:]),
        },
    )


@dg.asset(
    group_name="metrics",
    deps=[zone_hourly_trips, taxi_zones],
    pool=POOL,
    kinds={"duckdb", "geojson"},
    owners=OWNERS,
    tags={"output": "data-file"},
    freshness_policy=REBUILT_MONTHLY,
)
def manhattan_stats(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dg.MaterializeResult:
    """`staging/manhattan_stats.geojson`: pickups and charges of each of the 69 Manhattan zones, also without trips.

    A GeoJSON FeatureCollection (RFC 7946), features sorted by zone id; beside them `coverage` says which days and
    fleets are counted, and whether the trips are synthetic.
    """
    with files.locked(MANHATTAN_STATS_FILE), warehouse.read() as session:
        zones = _pickups(session, tlc.fleets, "borough = 'Manhattan'")
        coverage = loaded_coverage(session, tlc.fleets)
        collection = _collection(zones, coverage)
        path = files.write_text(MANHATTAN_STATS_FILE, json.dumps(collection, separators=(",", ":")) + "\n")
    busiest = sorted(zones, key=lambda zone: -zone[4])[:PREVIEW_ROWS]
    return _written(
        path,
        {
            "dagster/row_count": len(zones),
            "trips": sum(zone[4] for zone in zones),
            "synthetic": coverage["synthetic"],
            "busiest_zones": markdown_table(
                ("zone_id", "zone", "num_trips", "total_amount"), [(z[0], z[1], z[4], z[5]) for z in busiest]
            ),
        },
    )


@dg.asset(
    group_name="metrics",
    deps=[manhattan_stats],
    kinds={"matplotlib", "png"},
    owners=OWNERS,
    tags={"output": "picture"},
    freshness_policy=REBUILT_MONTHLY,
)
def manhattan_map(files: FileStore) -> dg.MaterializeResult:
    """`outputs/manhattan_map.png`: pickups by taxi zone, the whole of Manhattan, the five busiest zones named.

    The brighter a zone, the more pickups, on a logarithmic scale; hatched zones have none. All loaded days are counted.
    """
    from taxi_pipeline.drawing import draw_manhattan_map

    with files.locked(MANHATTAN_MAP_FILE):
        stats = json.loads(files.written_by("manhattan_stats", MANHATTAN_STATS_FILE).read_text(encoding="utf-8"))
        with files.replacing(MANHATTAN_MAP_FILE) as temporary:
            draw_manhattan_map(stats, temporary)
    path = files.path(MANHATTAN_MAP_FILE)
    return _written(
        path,
        {
            "preview": picture(path),
            "synthetic": stats["coverage"]["synthetic"],
        },
    )


@dg.asset(
    group_name="metrics",
    deps=[zone_hourly_trips, taxi_zones],
    pool=POOL,
    kinds={"duckdb", "matplotlib", "png"},
    owners=OWNERS,
    tags={"output": "picture"},
    freshness_policy=REBUILT_MONTHLY,
)
def city_map(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dg.MaterializeResult:
    """`outputs/city_map.png`: pickups by taxi zone in all five boroughs and Newark Airport, Manhattan enlarged.

    Each borough has its share of all pickups that are on the map. Colours as on `manhattan_map`.
    """
    from taxi_pipeline.drawing import draw_city_map

    with files.locked(CITY_MAP_FILE):
        with warehouse.read() as session:
            zones = _pickups(session, tlc.fleets, "geometry IS NOT NULL")
            coverage = loaded_coverage(session, tlc.fleets)
        with files.replacing(CITY_MAP_FILE) as temporary:
            draw_city_map(_collection(zones, coverage), temporary)
    path = files.path(CITY_MAP_FILE)
    return _written(
        path,
        {
            "preview": picture(path),
            "trips": sum(zone[4] for zone in zones),
            "synthetic": coverage["synthetic"],
        },
    )


@dg.asset(
    group_name="metrics",
    deps=[zone_hourly_trips, taxi_zones],
    pool=POOL,
    kinds={"duckdb", "vega", "html"},
    owners=OWNERS,
    tags={"output": "page"},
    freshness_policy=REBUILT_MONTHLY,
)
def zone_explorer(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dg.MaterializeResult:
    """`outputs/zone_explorer.html`: an interactive map of the zones by week. One file, opens without a network.

    Choose pickups or drop-offs, a fleet and the weeks; point at a zone for its numbers, click it (or find it by its
    name) for its hours and weeks. All loaded days of the configured fleets are in it.
    """
    from taxi_pipeline.explorer.data import explorer_data
    from taxi_pipeline.explorer.page import page_of

    with files.locked(ZONE_EXPLORER_FILE):
        with warehouse.read() as session:
            data = explorer_data(session, tlc.fleets)
        path = files.write_text(ZONE_EXPLORER_FILE, page_of(data))
    return _written(
        path,
        {
            "open": dg.MetadataValue.url(path.absolute().as_uri()),
            "weeks": len(data["weeks"]),
            "trips": sum(sum(map(sum, zones.values())) for zones in data["weekly"]["pickups"].values()),
            "synthetic": data["synthetic"],
        },
    )


def _written(path: Path, metadata: Mapping[str, Any]) -> dg.MaterializeResult:
    """A file was made: where it lies, its version, and what is said of it."""
    return dg.MaterializeResult(
        metadata={**file_metadata(path), **metadata}, data_version=dg.DataVersion(sha256_of(path))
    )


_WEEKS_SQL = f"""
SELECT {{keys}}, sum(num_trips), sum(total_amount), sum(trip_distance), sum(passenger_count)
FROM (SELECT *, {WEEK_START_SQL} AS period FROM zone_hourly_trips) AS hourly
WHERE fleet IN ({{fleets}})
GROUP BY {{keys}}
ORDER BY {{keys}}
"""

_PICKUPS_SQL = """
SELECT zone_id, zone, borough, geometry, coalesce(num_trips, 0), coalesce(total_amount, 0)
FROM zones
LEFT JOIN (
    SELECT pickup_zone_id, sum(num_trips) AS num_trips, sum(total_amount) AS total_amount
    FROM zone_hourly_trips
    WHERE fleet IN ({fleets})
    GROUP BY pickup_zone_id
) AS pickups ON pickups.pickup_zone_id = zones.zone_id
WHERE {condition}
ORDER BY zone_id
"""


def _pickups(session: Session, fleets: Sequence[str], condition: str) -> list[tuple[Any, ...]]:
    """Zone id, zone, borough, shape (WKT), trips and dollars of the zones for which the SQL holds, by id."""
    return session.rows(_PICKUPS_SQL.format(fleets=placeholders(fleets), condition=condition), fleets)


def _collection(zones: Sequence[tuple[Any, ...]], coverage: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "coverage": coverage, "features": [_feature(*zone) for zone in zones]}


def _weeks(session: Session, keys: str, fleets: Sequence[str]) -> list[list[str]]:
    return [week_row(*week) for week in session.rows(_WEEKS_SQL.format(keys=keys, fleets=placeholders(fleets)), fleets)]


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def week_row(*week: Any) -> list[str]:
    """A week as the CSV spells it: counts whole, dollars and miles with two decimals.

    Args:
        week: its Sunday, the fleet in the file by fleet, trips, dollars, miles, passengers.
    """
    *keys, num_trips, total_amount, trip_distance, passenger_count = week
    return [
        *map(str, keys),
        str(int(num_trips)),
        f"{total_amount:.2f}",
        f"{trip_distance:.2f}",
        str(int(passenger_count)),
    ]


def loaded_coverage(session: Session, fleets: Sequence[str]) -> dict[str, Any]:
    """Which days of these fleets are loaded: first and last day (ISO text, None without any), how many, synthetic."""
    first, last, days, synthetic = session.row(
        "SELECT min(pickup_date), max(pickup_date), count(DISTINCT pickup_date), bool_or(synthetic) "
        f"FROM loaded_days WHERE fleet IN ({placeholders(fleets)})",
        fleets,
    )
    return {
        "fleets": list(fleets),
        "first_day": first and str(first),
        "last_day": last and str(last),
        "num_days": days,
        "synthetic": bool(synthetic),
    }


def _feature(zone_id: int, zone: str, borough: str, geometry: str, num_trips: int, total_amount: Any) -> dict[str, Any]:
    import shapely

    # RFC 7946 wants outer rings counterclockwise; shapefiles have them clockwise.
    shape = shapely.orient_polygons(shapely.from_wkt(geometry))
    return {
        "type": "Feature",
        "id": zone_id,
        "properties": {
            "zone_id": zone_id,
            "zone": zone,
            "borough": borough,
            "num_trips": int(num_trips),
            "total_amount": float(total_amount),
        },
        "geometry": json.loads(shapely.to_geojson(shape)),
    }
