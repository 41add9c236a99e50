"""How long questions take on the warehouse, beside the same rows in a bare DuckDB table and in the published files.

    python -m benchmarks.queries WAREHOUSE MIRROR FOLDER [REPEAT]

Prints a line of JSON for each question: its name, and the median of its seconds on the warehouse, on the bare table and
on the files, or null where it is asked of the warehouse alone. The first four questions are those by which engines are
compared on these data (Mark Litwintschik's *1.1 billion taxi rides*); then come those of `docs/queries.md`, which ask
for columns that no single file has, and those that rollups answer.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import duckdb

from taxi_pipeline.outputs.weekly_table import weekly_totals
from taxi_pipeline.outputs.zone_statistics import city_statistics
from taxi_pipeline.sources.facts import day_rows, place_rows
from taxi_pipeline.sources.source import replace_contents
from taxi_pipeline.sources.weather import WEATHER_SOURCE, read_weather
from taxi_pipeline.tlc.codes import code_rows
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.reference import replace_code_tables, replace_tables

COMPARED: Mapping[str, str] = {
    "count by vendor": "SELECT vendor_id, count(*) FROM {rows} GROUP BY vendor_id",
    "mean total by passengers": "SELECT passenger_count, avg(total_amount) FROM {rows} GROUP BY passenger_count",
    "count by passengers and year": (
        "SELECT passenger_count, year(pickup_datetime) AS pickup_year, count(*) FROM {rows} "
        "GROUP BY passenger_count, pickup_year"
    ),
    "count by passengers, year and distance": (
        "SELECT passenger_count, year(pickup_datetime) AS pickup_year, round(trip_distance) AS miles, count(*) "
        "FROM {rows} GROUP BY passenger_count, pickup_year, miles ORDER BY pickup_year, count(*) DESC"
    ),
}
"""Name → the question, over a relation of trips."""

QUERIES_PAGE = Path(__file__).resolve().parents[1] / "docs" / "queries.md"

_PUBLISHED = (
    "(SELECT VendorID AS vendor_id, passenger_count, total_amount, tpep_pickup_datetime AS pickup_datetime, "
    "trip_distance FROM {rows})"
)
"""The published columns by the names of ours."""


@dataclass(frozen=True)
class Question:
    """A question, and how it is asked of each."""

    name: str
    ours: Callable[[], object]
    bare: Callable[[], object] | None = None
    files: Callable[[], object] | None = None


def questions(warehouse: Path, mirror: Path, folder: Path) -> Iterator[Question]:
    """All questions, on a warehouse of yellow trips.

    Args:
        warehouse: the DuckDB file.
        mirror: with the files from which it was loaded.
        folder: for the bare table.
    """
    DuckDBWarehouse(warehouse).change(_replace_what_trips_are_joined_with, mirror)
    ours = duckdb.connect(str(warehouse), read_only=True)
    bare = duckdb.connect(str(folder / "bare.duckdb"))
    files = f"read_parquet('{mirror / 'trip-data' / 'yellow_*.parquet'}', union_by_name = true)"
    bare.execute(f"CREATE TABLE IF NOT EXISTS trips AS FROM {files}")

    def asked(connection: duckdb.DuckDBPyConnection, sql: str) -> Callable[[], object]:
        return lambda: connection.execute(sql).fetchall()

    for name, sql in COMPARED.items():
        yield Question(
            name,
            asked(ours, sql.format(rows="trips")),
            asked(bare, sql.format(rows=_PUBLISHED.format(rows="trips"))),
            asked(bare, sql.format(rows=_PUBLISHED.format(rows=files))),
        )
    for section in QUERIES_PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, rest = section.partition("\n")
        yield Question(title.partition(":")[0], asked(ours, rest.partition("```sql")[2].partition("```")[0]))
    session = DuckDBSession(ours)
    yield Question("weeks, by rollup", lambda: weekly_totals(session, ["yellow"]))
    yield Question("zones, by rollup", lambda: city_statistics(session, ["yellow"]))


def _replace_what_trips_are_joined_with(session: Session, mirror: Path) -> None:
    """Fill the tables of codes, weather, days and places."""
    replace_code_tables(session, code_rows())
    replace_contents(session, WEATHER_SOURCE, read_weather(mirror / "misc" / WEATHER_SOURCE.file))
    replace_tables(session, {**day_rows(new_york_today()), **place_rows()})


def seconds_of(ask: Callable[[], object] | None, repeat: int) -> float | None:
    """The median time of a question in seconds, after one that does not count."""
    if ask is None:
        return None
    measured = []
    for _ in range(repeat + 1):
        begun = time.perf_counter()
        ask()
        measured.append(time.perf_counter() - begun)
    return median(measured[1:])


def main(warehouse: str, mirror: str, folder: str, repeat: str = "3") -> None:
    """Ask all questions."""
    for question in questions(Path(warehouse), Path(mirror), Path(folder)):
        of_each = [seconds_of(ask, int(repeat)) for ask in (question.ours, question.bare, question.files)]
        click.echo(json.dumps([question.name, *of_each]))


if __name__ == "__main__":
    main(*sys.argv[1:])
