"""A green February of a few trips on a cluster, for tests of what Spark's tables promise."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import Zone
from taxi_pipeline.warehouse.coverage import LoadedMonth, loaded_months
from taxi_pipeline.warehouse.reference import replace_zones
from taxi_pipeline.warehouse.spark import SparkWarehouse
from taxi_pipeline_tests.odd_files import PICKUP, good_row, published
from taxi_pipeline_tests.services.warehouses import settings_of, spark_warehouse

FEBRUARY = Days(date(2023, 2, 1), date(2023, 2, 28))
ZONES = [Zone(74, "East Harlem North", "Manhattan", None), Zone(75, "East Harlem South", "Manhattan", None)]


def warehouse_with_zones(folder: Path) -> SparkWarehouse:
    """A warehouse with zones and nothing else."""
    made = spark_warehouse(folder)
    made.change(replace_zones, ZONES, "zones", synthetic=False)
    return made


def month_with(folder: Path, num_trips: int) -> LocalFolder:
    """The storage with a green February of so many trips, and a row that is rejected."""
    folder.mkdir(exist_ok=True)
    rows = [{**good_row(n), PICKUP: good_row()[PICKUP].replace(day=1 + n % 20)} for n in range(num_trips)]
    return published(folder, [*rows, {**good_row(), PICKUP: None}])


def months(warehouse: SparkWarehouse) -> list[LoadedMonth]:
    """What is loaded of it."""
    return warehouse.query(loaded_months, FEBRUARY)


def console(command: str, warehouse: SparkWarehouse, folder: Path) -> str:
    """The text that a command of the console script prints."""
    environment = {
        **os.environ,
        **settings_of(warehouse),
        "TAXI_STORAGE_URL": str(folder),
        "TAXI_DATA_DIR": str(folder),
        "TAXI_FLEETS": "green",
        "TLC_URL": (folder / "mirror").as_uri(),
        "COLUMNS": "200",
    }
    run = [sys.executable, "-W", "ignore", "-m", "taxi_pipeline", command]
    result = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout
