"""DuckDB and Spark: the same rows out of the same published files, of all kinds and eras.

What one engine is tested for elsewhere holds for the other, because both are given the same files here and compared.
"""

import math
import tempfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.sample.zones import write_zones_zip
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import FLEETS as FLEETS_BY_NAME
from taxi_pipeline.tlc.fleets import GREEN, YELLOW, Fleet
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.tlc.zones import Zone, read_zones
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_days, load_trips
from taxi_pipeline.warehouse.interface import MissingZonesError, Warehouse
from taxi_pipeline.warehouse.reference import replace_zones
from taxi_pipeline_tests.era_files import PUBLISHED
from taxi_pipeline_tests.odd_files import DROPOFF, PICKUP, chunkings, good_row, odd_files, published
from taxi_pipeline_tests.pipelines import Pipeline, contents, pipeline_in
from taxi_pipeline_tests.services.warehouses import spark_warehouse

pytestmark = pytest.mark.cluster

FEBRUARY = Days(date(2023, 2, 1), date(2023, 2, 28))


@pytest.fixture
def both(tmp_path: Path) -> tuple[Warehouse, Warehouse]:
    """Two empty warehouses, one of each engine."""
    return DuckDBWarehouse(tmp_path / "data.duckdb"), spark_warehouse(tmp_path)


def load(warehouses: Sequence[Warehouse], fleet: Fleet, files: LocalFolder, *months: Days) -> None:
    """Load days of one or several months, in one transaction."""
    for warehouse in warehouses:
        warehouse.change(load_days, fleet, months, files)


# Published rows


ODD_ROWS: list[dict[str, Any]] = [
    {"fare_amount": value}
    for value in ("1.005", "2.675", "-0.005", "12.345", "1e15", "nan", "-inf", "ten", "", " 7 ", None)
] + [{"passenger_count": value} for value in (2.5, 3.5, -1.5, 40_000.0, math.nan, 0.49, None)]
"""Half cents, text of doubles, NaN, numbers that are not whole: where casts of the engines differ."""


def test_published_values_of_every_kind_become_the_same_rows(both: tuple[Warehouse, Warehouse], tmp_path: Path) -> None:
    others: list[dict[str, Any]] = [
        {PICKUP: datetime(2041, 1, 1), "total_amount": 1e20},
        {PICKUP: None},
        {PICKUP: datetime(2023, 2, 28, 23, 59, 59, 999_999)},
        {"PULocationID": 0.0},
        {"DOLocationID": 266.0},
        {"trip_distance": 0.0005},
        {"total_amount": -1e-3},
    ]
    rows = [{**good_row(number), **change} for number, change in enumerate([*ODD_ROWS, *others])]
    for row in rows:
        row["fare_amount"] = None if row["fare_amount"] is None else str(row["fare_amount"])
    files = published(tmp_path, rows, {"fare_amount": pa.string()})
    load(both, GREEN, files, FEBRUARY)
    duckdb, spark = map(contents, both)
    assert duckdb == spark
    assert sum(duckdb["trips"].values()) + sum(duckdb["rejected_trips"].values()) == len(rows)
    assert duckdb["rejected_trips"].total() == 2, "without a pickup time, and outside the month"


def test_text_and_times_of_every_kind_become_the_same_rows(both: tuple[Warehouse, Warehouse], tmp_path: Path) -> None:
    times = ["2023-02-07 08:00:00", "2023-02-07T08:00:00.123456", " 2023-02-07 ", "yesterday", "", "10000-01-01", None]
    rows = [{**good_row(number), PICKUP: text, DROPOFF: text} for number, text in enumerate(times)]
    load(both, GREEN, published(tmp_path, rows, {PICKUP: pa.string(), DROPOFF: pa.string()}), FEBRUARY)
    duckdb, spark = map(contents, both)
    assert duckdb == spark


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(file=odd_files(), chunks=chunkings())
def test_arbitrary_rows_in_arbitrary_chunks_become_the_same_tables(
    file: tuple[list[dict[str, Any]], dict[str, pa.DataType]], chunks: list[Days]
) -> None:
    """One transaction also replaces days that it has loaded itself."""
    with tempfile.TemporaryDirectory() as folder:
        both = DuckDBWarehouse(Path(folder) / "data.duckdb"), spark_warehouse(Path(folder))
        load(both, GREEN, published(Path(folder), *file), *chunks)
        duckdb, spark = map(contents, both)
    assert duckdb == spark


def test_coordinates_are_placed_by_the_executors_in_the_same_zones(
    both: tuple[Warehouse, Warehouse], tmp_path: Path
) -> None:
    days = Days(date(2009, 1, 1), date(2009, 1, 2))
    pipeline = _published_by_sample(tmp_path, days, "yellow")
    with pytest.raises(MissingZonesError, match="materialize taxi_zones first"):
        both[1].change(load_days, YELLOW, [days], pipeline.files)
    pipeline.run(str(days.first), str(days.last), select=["taxi_zones_file", "taxi_zones"])
    spark = Pipeline(pipeline.folder, pipeline.tlc, both[1], pipeline.files)
    spark.run(str(days.first), str(days.last), select=["taxi_zones"])
    for one in (pipeline, spark):
        one.run(str(days.first), str(days.last), select=["taxi_trips"])
    found = contents(spark.warehouse)
    assert found["trips"] == contents(pipeline.warehouse)["trips"]
    placed = spark.rows("SELECT count(*) FROM trips WHERE pickup_zone_id <> 264")[0][0]
    assert placed > 0.9 * found["trips"].total() > 0


def _published_by_sample(folder: Path, days: Days, fleet: str) -> Pipeline:
    mirror = folder / "mirror"
    write_mirror(mirror, days, fleet=fleet, trips_per_day=200)
    pipeline = pipeline_in(folder, mirror, [fleet])
    pipeline.run(str(days.first), str(days.last), select=["taxi_trips_file"])
    return pipeline


ERAS = (
    "yellow_tripdata_2009-01",
    "yellow_tripdata_2010-02",
    "yellow_tripdata_2011-01",
    "yellow_tripdata_2026-06",
    "green_tripdata_2013-08",
    "green_tripdata_2025-01",
    "fhv_tripdata_2015-01",
    "fhv_tripdata_2023-02",
    "fhvhv_tripdata_2019-02",
    "fhvhv_tripdata_2025-01",
)


@pytest.fixture
def zones(tmp_path: Path) -> list[Zone]:
    path = tmp_path / "taxi_zones.zip"
    write_zones_zip(path)
    return read_zones(path)


def test_files_of_every_era_become_the_same_trips(
    both: tuple[Warehouse, Warehouse], zones: list[Zone], tmp_path: Path
) -> None:
    files = LocalFolder(tmp_path / "files")
    eras = [era for era in PUBLISHED if era.name.removesuffix(".parquet") in ERAS]
    for warehouse in both:
        warehouse.change(replace_zones, zones, "zones", synthetic=False)
    for era in eras:
        name = trips_file(FLEETS_BY_NAME[era.fleet], era.first_day)
        fetch(era.write(tmp_path / "mirror", [{}, {}]).as_uri(), files, name, verify=lambda _: None)
        for warehouse in both:
            warehouse.change(load_trips, FLEETS_BY_NAME[era.fleet], Days.of_month(era.first_day), files)
    duckdb, spark = map(contents, both)
    assert duckdb == spark
    assert duckdb["trips"].total() == 2 * len(ERAS)
