"""The floor: a month's files made by a straight-line script with DuckDB, geopandas and matplotlib, and nothing else.

    python -m benchmarks.floor MIRROR OUTPUT YYYY-MM

It copies the published files, loads trips and zones into a DuckDB file, counts them, and writes the weekly table, the
GeoJSON, the maps and the explorer: the same bytes as the pipeline's. What is counted and drawn is the
pipeline's own code; it verifies nothing, keeps no history, and can't be interrupted or run twice.
"""

import csv
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import shapely

from taxi_pipeline.outputs.explorer.data import explorer_data
from taxi_pipeline.outputs.explorer.page import page_of
from taxi_pipeline.outputs.maps import draw_city_map, draw_manhattan_map
from taxi_pipeline.tlc.months import Days, next_month
from taxi_pipeline.tlc.zones import read_zones
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.reference import replace_zones
from taxi_pipeline.warehouse.rollups import replace_counts, replace_flows
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TABLES, TRIPS
from taxi_pipeline.warehouse.views import VIEWS


def main(mirror: Path, output: Path, month: date) -> None:
    """Make all files of the month."""
    for folder in ("raw", "staging", "outputs"):
        (output / folder).mkdir(parents=True)
    trips = shutil.copy(mirror / "trip-data" / f"yellow_tripdata_{month:%Y-%m}.parquet", output / "raw")
    zones = shutil.copy(mirror / "misc" / "taxi_zones.zip", output / "raw")
    connection = duckdb.connect(str(output / "staging" / "data.duckdb"))
    session = DuckDBSession(connection)
    connection.begin()
    for table in TABLES:
        connection.execute(table.create_sql())
    for view in VIEWS:
        connection.execute(view.create_sql())
    replace_zones(session, read_zones(Path(zones)), f"raw/{Path(zones).name}", synthetic=True)
    connection.execute(LOAD, [str(trips), month, next_month(month)])
    days = Days.of_month(month)
    for fleet in FLEETS:
        replace_counts(session, fleet, days)
        replace_flows(session, fleet, days)
    session.replace(LOADED_DAYS, [("yellow", day, 0, 0, "", 0, True, 0, 0, None) for day in days])
    connection.commit()
    weeks = connection.execute(WEEKS).fetchall()
    zones_of_city = connection.execute(CITY).fetchall()
    ((num_unplaced,),) = connection.execute(UNPLACED).fetchall()
    explorer = explorer_data(session, FLEETS)
    connection.close()
    (output / "outputs" / "zone_explorer.html").write_text(page_of(explorer, schematic_zones=True))
    with (output / "outputs" / "trips_by_week.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["period", "num_trips", "total_amount", "trip_distance", "passenger_count"])
        writer.writerows(
            [period, trips, f"{total:.2f}", f"{miles:.2f}", passengers]
            for period, trips, total, miles, passengers in weeks
        )
    manhattan = _collection([zone for zone in zones_of_city if zone[2] == "Manhattan"], days)
    text = json.dumps(manhattan, separators=(",", ":")) + "\n"
    (output / "staging" / "manhattan_stats.geojson").write_text(text)
    (output / "outputs" / "manhattan_map.png").write_bytes(draw_manhattan_map(manhattan))
    city = {**_collection(zones_of_city, days), "num_unplaced": num_unplaced}
    (output / "outputs" / "city_map.png").write_bytes(draw_city_map(city))


def _collection(zones: Sequence[tuple[Any, ...]], days: Days) -> dict[str, Any]:
    return {
        "type": "FeatureCollection",
        "coverage": {
            "fleets": FLEETS,
            "first_day": str(days.first),
            "last_day": str(days.last),
            "num_days": len(list(days)),
            "synthetic": True,
        },
        "features": [
            {
                "type": "Feature",
                "id": zone_id,
                "properties": {
                    "zone_id": zone_id,
                    "zone": zone,
                    "borough": borough,
                    "num_trips": num_trips,
                    "total_amount": float(total_amount),
                },
                "geometry": json.loads(shapely.to_geojson(shapely.orient_polygons(shapely.from_wkt(geometry)))),
            }
            for zone_id, zone, borough, geometry, num_trips, total_amount in zones
        ],
    }


FLEETS = ["yellow"]

_EXTRA = ("extra", "mta_tax", "improvement_surcharge", "store_and_fwd_flag")

LOAD = f"""
INSERT INTO trips ({", ".join([*TRIPS.column_names[:18], *_EXTRA])})
SELECT 'yellow', CAST(tpep_pickup_datetime AS DATE), VendorID, PULocationID, DOLocationID, RatecodeID, payment_type,
    tpep_pickup_datetime, tpep_dropoff_datetime, trip_distance, passenger_count, fare_amount, tip_amount, tolls_amount,
    congestion_surcharge, Airport_fee, NULL, total_amount, {", ".join(_EXTRA)}
FROM read_parquet(?)
WHERE tpep_pickup_datetime >= ? AND tpep_pickup_datetime < ?
ORDER BY tpep_pickup_datetime
"""

WEEKS = """
SELECT pickup_date - CAST(dayofweek(pickup_date) AS INTEGER) AS period, CAST(sum(num_trips) AS BIGINT),
    sum(total_amount), sum(trip_distance), CAST(sum(passenger_count) AS BIGINT)
FROM zone_hourly_trips
GROUP BY period
ORDER BY period
"""

UNPLACED = """
SELECT CAST(coalesce(sum(num_trips), 0) AS BIGINT) FROM zone_hourly_trips WHERE pickup_zone_id > 263
"""

CITY = """
SELECT zone_id, zone, borough, geometry, CAST(coalesce(sum(num_trips), 0) AS BIGINT), coalesce(sum(total_amount), 0)
FROM zones LEFT JOIN zone_hourly_trips ON pickup_zone_id = zone_id
WHERE geometry IS NOT NULL
GROUP BY ALL
ORDER BY zone_id
"""

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(f"{sys.argv[3]}-01"))
