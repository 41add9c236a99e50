"""What it takes to compare two versions of a month, beside the load of it.

    python -m benchmarks.versions few|all MIRROR FLEET YYYY-MM FOLDER

Loads the month, then compares its file with one in which a row of a thousand, or each row, has another fare. Prints the
seconds of the load and those of the comparison.
"""

import sys
import time
from datetime import date
from pathlib import Path

import click

from benchmarks.load import Month, ours
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.warehouse.duckdb.database import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import PublishedFile
from taxi_pipeline.warehouse.month_changes import Version, month_changes

ROWS_FOR_ONE = {"few": 1_000, "all": 1}
"""Which rows differ → one out of how many."""


def main(which: str, mirror: str, fleet: str, month: str, folder: str) -> None:
    """Measure the load, and the comparison."""
    import duckdb

    loaded = Month(Path(mirror), FLEETS[fleet], date.fromisoformat(f"{month}-01"), Path(folder))
    file = loaded.mirror / "trip-data" / loaded.fleet.file_name(loaded.first)
    other = loaded.folder / "other.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * EXCLUDE (file_row_number) REPLACE (CASE WHEN file_row_number % {ROWS_FOR_ONE[which]} = 0 "
            "THEN fare_amount + 1 ELSE fare_amount END AS fare_amount) FROM read_parquet(?, file_row_number = true)) "
            f"TO '{other}'",
            [str(file)],
        )
    load = ours(loaded)
    begun = time.perf_counter()
    load()
    done = time.perf_counter()
    versions = [_version(loaded, path) for path in (file, other)]
    with DuckDBWarehouse(loaded.folder / "ours.duckdb").read() as session:
        found = month_changes(session, *versions)
    click.echo(f"{done - begun} {time.perf_counter() - done} {found.num_changed}")


def _version(month: Month, path: Path) -> Version:
    content = read_trip_file(path)
    sha256 = LocalFolder(path.parent).describe(path.name).sha256
    file = PublishedFile(path=path, uri=path.as_uri(), sha256=sha256, num_rows=content.num_rows)
    return Version.of(month.fleet, file, content.columns)


if __name__ == "__main__":
    main(*sys.argv[1:])
