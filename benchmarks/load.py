"""What it takes to verify and load a month, and DuckDB's limit: the file's columns typed, sorted and written, no more.

    python -m benchmarks.load ours|limit MIRROR FLEET YYYY-MM FOLDER

Prints seconds by the clock, seconds of processor time, and trips. The limit has casts of its own, without any check:
it inserts into the declared table, sorted by pickup, in one statement.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taxi_pipeline.storage import open_storage
from taxi_pipeline.tlc.download import fetch, trips_url
from taxi_pipeline.tlc.fleets import FLEETS, Code, Fleet, Place, Source, Total
from taxi_pipeline.tlc.months import Days, next_month
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.tlc.zones import UNKNOWN_ZONE_ID, read_zones
from taxi_pipeline.warehouse.duckdb.database import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.reference import replace_zones
from taxi_pipeline.warehouse.tables import TRIPS
from taxi_pipeline.warehouse.typing.judgement import judge_download

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Month:
    """A published month, and a folder for what is made of it."""

    mirror: Path
    fleet: Fleet
    first: date
    folder: Path

    @property
    def zones(self) -> Path:
        """The zones' archive of the mirror."""
        return self.mirror / "misc" / "taxi_zones.zip"


def ours(month: Month) -> Callable[[], int]:
    """Fetch the file from the mirror, judge it, load it and count its rollups."""
    files = open_storage((month.folder / "files").as_uri(), scratch=month.folder / "scratch")
    warehouse = DuckDBWarehouse(month.folder / "ours.duckdb")
    warehouse.change(replace_zones, read_zones(month.zones), "raw/taxi_zones.zip", synthetic=True)
    fleet, first = month.fleet, month.first

    def load() -> int:
        fetch(
            trips_url(month.mirror.as_uri(), fleet, first),
            files,
            trips_file(fleet, first),
            verify=lambda path: judge_download(path, fleet, first, files),
        )
        warehouse.change(load_days, fleet, [Days.of_month(first)], files)
        return warehouse.query(lambda session: session.row("SELECT count(*) FROM trips")[0])

    return load


def limit(month: Month) -> Callable[[], int]:
    """Insert the typed columns of the file, sorted by pickup."""
    import duckdb

    file = month.mirror / "trip-data" / month.fleet.file_name(month.first)
    sources = month.fleet.sources_in(read_trip_file(file).columns)
    connection = duckdb.connect(str(month.folder / "limit.duckdb"), config={"memory_limit": "1GB"})
    connection.execute(TRIPS.create_sql())
    if any(isinstance(source, Place) for source in sources.values()):
        _place_by_coordinates(connection, month.zones)
    typed = ", ".join(f"{_typed(name, source)} AS {name}" for name, source in sources.items())

    def load() -> int:
        connection.execute(
            f"INSERT INTO trips (fleet, pickup_date, {', '.join(sources)}) "
            f"SELECT ?, CAST(pickup_datetime AS DATE), * FROM (SELECT {typed} FROM read_parquet(?)) AS typed "
            "WHERE pickup_datetime >= ? AND pickup_datetime < ? ORDER BY pickup_datetime",
            [month.fleet.name, str(file), month.first, next_month(month.first)],
        )
        connection.execute("CHECKPOINT")
        return connection.execute("SELECT count(*) FROM trips").fetchall()[0][0]

    return load


def _typed(column: str, source: Source) -> str:
    type_, names = TRIPS.column_types[column], [f'"{name}"' for name in source.names]
    if isinstance(source, Place):
        return f"zone_of({names[0]}, {names[1]})"
    if column.endswith("zone_id"):
        return f"coalesce(TRY_CAST({names[0]} AS {type_}), {UNKNOWN_ZONE_ID})"
    if isinstance(source, Total):
        return f"CAST({' + '.join(f'coalesce(CAST({name} AS DECIMAL(12, 2)), 0)' for name in names)} AS {type_})"
    if isinstance(source, Code):
        cases = " ".join(f"WHEN '{text}' THEN {meaning!r}" for text, meaning in source.meanings.items())
        return f"TRY_CAST(CASE upper(CAST({names[0]} AS VARCHAR)) {cases} END AS {type_})"
    return f"TRY_CAST({names[0]} AS {type_})"


def _place_by_coordinates(connection: "duckdb.DuckDBPyConnection", zones: Path) -> None:
    from taxi_pipeline.warehouse.typing.published_view import make_zone_function

    make_zone_function(connection, {zone.zone_id: zone.geometry for zone in read_zones(zones) if zone.geometry})


def main(which: str, mirror: str, fleet: str, month: str, folder: str) -> None:
    """Measure one of the two."""
    import duckdb  # noqa: F401 - what is imported is not measured
    import pyarrow.parquet  # noqa: F401

    load = {"ours": ours, "limit": limit}[which](
        Month(Path(mirror), FLEETS[fleet], date.fromisoformat(f"{month}-01"), Path(folder))
    )
    wall, processor = time.perf_counter(), time.process_time()
    num_trips = load()
    click.echo(f"{time.perf_counter() - wall} {time.process_time() - processor} {num_trips}")


if __name__ == "__main__":
    main(*sys.argv[1:])
