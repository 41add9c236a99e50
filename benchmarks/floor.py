"""The floor: a month's files made by a straight-line script with DuckDB, geopandas and matplotlib, and nothing else.

    python -m benchmarks.floor MIRROR OUTPUT YYYY-MM

It copies the published files, loads trips and zones into a DuckDB file, and writes the weekly table, the GeoJSON and
the map: the same bytes as the pipeline's. It verifies nothing, keeps no history, and can't be interrupted or run twice.
"""

import csv
import json
import shutil
import sys
from datetime import date
from pathlib import Path

import duckdb
import shapely

from taxi_pipeline.drawing import draw_manhattan_map
from taxi_pipeline.tables import TRIPS, ZONE_HOURLY_TRIPS, ZONES
from taxi_pipeline.tlc.months import next_month
from taxi_pipeline.tlc.zones import read_zones


def main(mirror: Path, output: Path, month: date) -> None:
    """Make all files of the month."""
    for folder in ("raw", "staging", "outputs"):
        (output / folder).mkdir(parents=True)
    trips = shutil.copy(mirror / "trip-data" / f"yellow_tripdata_{month:%Y-%m}.parquet", output / "raw")
    zones = shutil.copy(mirror / "misc" / "taxi_zones.zip", output / "raw")
    connection = duckdb.connect(str(output / "staging" / "data.duckdb"))
    connection.begin()
    for table in (ZONES, TRIPS, ZONE_HOURLY_TRIPS):
        connection.execute(table.create_sql())
    connection.executemany(
        "INSERT INTO zones VALUES (?, ?, ?, ?)",
        [[zone.zone_id, zone.zone, zone.borough, zone.geometry] for zone in read_zones(Path(zones))],
    )
    connection.execute(LOAD, [str(trips), month, next_month(month)])
    connection.execute(HOURLY)
    connection.commit()
    weeks = connection.execute(WEEKS).fetchall()
    manhattan = connection.execute(MANHATTAN).fetchall()
    days = connection.execute("SELECT min(pickup_date), max(pickup_date), count(DISTINCT pickup_date) FROM trips")
    ((first, last, num_days),) = days.fetchall()
    connection.close()
    with (output / "outputs" / "trips_by_week.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["period", "num_trips", "total_amount", "trip_distance", "passenger_count"])
        writer.writerows(
            [period, trips, f"{total:.2f}", f"{miles:.2f}", passengers]
            for period, trips, total, miles, passengers in weeks
        )
    stats = {
        "type": "FeatureCollection",
        "coverage": {
            "fleets": ["yellow"],
            "first_day": str(first),
            "last_day": str(last),
            "num_days": num_days,
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
            for zone_id, zone, borough, geometry, num_trips, total_amount in manhattan
        ],
    }
    text = json.dumps(stats, separators=(",", ":")) + "\n"
    (output / "staging" / "manhattan_stats.geojson").write_text(text)
    draw_manhattan_map(stats, output / "outputs" / "manhattan_map.png")


LOAD = f"""
INSERT INTO trips ({", ".join(TRIPS.column_names[:18])})
SELECT 'yellow', CAST(tpep_pickup_datetime AS DATE), VendorID, PULocationID, DOLocationID, RatecodeID, payment_type,
    tpep_pickup_datetime, tpep_dropoff_datetime, trip_distance, passenger_count, fare_amount, tip_amount, tolls_amount,
    congestion_surcharge, Airport_fee, NULL, total_amount
FROM read_parquet(?)
WHERE tpep_pickup_datetime >= ? AND tpep_pickup_datetime < ?
ORDER BY tpep_pickup_datetime
"""

HOURLY = """
INSERT INTO zone_hourly_trips
SELECT fleet, pickup_date, hour(pickup_datetime), pickup_zone_id, count(*), coalesce(sum(passenger_count), 0),
    sum(trip_distance), sum(fare_amount), sum(tip_amount), sum(total_amount)
FROM trips
GROUP BY ALL
"""

WEEKS = """
SELECT pickup_date - CAST(dayofweek(pickup_date) AS INTEGER) AS period, CAST(sum(num_trips) AS BIGINT),
    sum(total_amount), sum(trip_distance), CAST(sum(passenger_count) AS BIGINT)
FROM zone_hourly_trips
GROUP BY period
ORDER BY period
"""

MANHATTAN = """
SELECT zone_id, zone, borough, geometry, CAST(coalesce(sum(num_trips), 0) AS BIGINT), coalesce(sum(total_amount), 0)
FROM zones LEFT JOIN zone_hourly_trips ON pickup_zone_id = zone_id
WHERE borough = 'Manhattan'
GROUP BY ALL
ORDER BY zone_id
"""

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(f"{sys.argv[3]}-01"))
