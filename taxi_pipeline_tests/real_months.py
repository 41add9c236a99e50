"""Published months of trips in a warehouse of their own, for tests of what they hold."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_days


def load_month(path: Path, folder: Path) -> DuckDBWarehouse:
    """A warehouse with a month of real trips."""
    return load_months([path], folder)


def load_months(paths: Iterable[Path], folder: Path) -> DuckDBWarehouse:
    """A warehouse with the trips of these published files, each of a whole month."""
    files, warehouse = LocalFolder(folder), DuckDBWarehouse(folder / "data.duckdb")
    for path in paths:
        fleet, _, month = path.stem.split("_")
        days = Days.of_month(date.fromisoformat(f"{month}-01"))
        fetch(path.as_uri(), files, trips_file(FLEETS[fleet], days.first), verify=lambda _: None)
        warehouse.change(load_days, FLEETS[fleet], [days], files)
    return warehouse
