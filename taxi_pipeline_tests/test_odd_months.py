"""Months that no one expects: no trips, one trip, nothing but NULL, times without end. No row makes a run fail.

Whatever is published, the graph succeeds, each row is in one place once, and only a file that can't be trusted is
refused, with its column and its number of rows.
"""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.defs.assets import monthly_report, week_summary
from taxi_pipeline.quality.rules import Level
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import UnusableFileError, first_rows, verify_trip_file
from taxi_pipeline_tests.conftest import EVERYTHING, check_of, error_of, pipeline_in

JANUARY, FEBRUARY = "2023-01", "2023-02"
MICROSECONDS_A_YEAR = int(365.2425 * 86_400 * 1_000_000)
INFINITY = 2**63 - 1
"""As DuckDB has it in a file's microseconds."""

Change = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def all_fleets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with two small months of every fleet."""
    folder = tmp_path_factory.mktemp("all_fleets")
    for fleet in FLEETS:
        write_mirror(folder, Days(date(2023, 1, 1), date(2023, 2, 28)), fleet=fleet, trips_per_day=12)
    return folder


def every(table: pa.Table, is_kind: Callable[[pa.DataType], bool], value: object) -> pa.Table:
    """The table with one value in all columns of a kind."""
    for position, field in enumerate(table.schema):
        if is_kind(field.type):
            table = table.set_column(position, field.name, pa.array([value] * len(table), field.type))
    return table


def with_times(table: pa.Table, names: set[str], moments: list[int]) -> pa.Table:
    """The table with these moments, in microseconds since 1970, in the first rows of some columns."""
    for position, field in enumerate(table.schema):
        if field.name.lower() in names and pa.types.is_timestamp(field.type):
            values = table[field.name].cast(pa.int64()).to_pylist()
            values[: len(moments)] = moments[: len(values)]
            table = table.set_column(position, field.name, pa.array(values, pa.int64()).cast(pa.timestamp("us")))
    return table


def times_of(role: str) -> set[str]:
    return {name.lower() for fleet in FLEETS.values() for name in fleet.published_names(role)}


def in_year(year: int) -> int:
    return (year - 1970) * MICROSECONDS_A_YEAR


WITHOUT_END = [INFINITY, -INFINITY, in_year(200_000), in_year(-290_000), in_year(2041), in_year(2009)]
PICKUPS, DROPOFFS = times_of("pickup_datetime"), times_of("dropoff_datetime")
OTHER_TIMES = times_of("request_datetime") | times_of("on_scene_datetime")


def zones_unknown(table: pa.Table) -> pa.Table:
    for position, field in enumerate(table.schema):
        if field.name.lower().endswith("locationid"):
            table = table.set_column(position, field.name, pa.array([264] * len(table), field.type))
    return table


CHANGES: dict[str, tuple[Change | None, Change]] = {
    "one trip": (None, lambda table: table.slice(0, 1)),
    "no rows": (None, lambda table: table.slice(0, 0)),
    "no rows in both months": (lambda table: table.slice(0, 0), lambda table: table.slice(0, 0)),
    "all NULL": (None, lambda table: pa.table({f.name: pa.nulls(len(table), f.type) for f in table.schema})),
    "all amounts and distances zero": (None, lambda table: every(table, pa.types.is_floating, 0.0)),
    "all amounts and distances negative": (None, lambda table: every(table, pa.types.is_floating, -1.0)),
    "all outside the month": (None, lambda table: with_times(table, PICKUPS, [in_year(2010)] * len(table))),
    "all zones unknown": (None, zones_unknown),
    "all rejected": (None, lambda table: with_times(table, PICKUPS, [INFINITY] * len(table))),
    # The median of the weeks before is zero.
    "sparse": (lambda table: table.slice(0, 1), lambda table: table.take(list(range(0, len(table), 40)))),
    "drop-offs without end": (None, lambda table: with_times(table, DROPOFFS, WITHOUT_END)),
    "pickups without end": (None, lambda table: with_times(table, PICKUPS, WITHOUT_END)),
    "other times without end": (None, lambda table: with_times(table, OTHER_TIMES, WITHOUT_END)),
}


ALSO_DRAWN = ("no rows in both months", "all NULL", "all zones unknown", "sparse")
"""Also as the city's map and the explorer, which take a while."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_no_row_makes_a_run_fail(name: str, all_fleets: Path, tmp_path: Path) -> None:
    """Regression: a month whose usual level is zero failed its run, and so did a drop-off without end."""
    mirror = Path(shutil.copytree(all_fleets, tmp_path / "mirror"))
    num_rows: dict[str, int] = {}
    for month, change in zip((JANUARY, FEBRUARY), CHANGES[name], strict=True):
        for fleet in FLEETS:
            path = mirror / "trip-data" / f"{fleet}_tripdata_{month}.parquet"
            table = pq.read_table(path)
            if change:
                table = change(table).replace_schema_metadata(table.schema.metadata)
                pq.write_table(table, path)
            num_rows[fleet] = num_rows.get(fleet, 0) + len(table)
    pipeline = pipeline_in(tmp_path / "data", mirror, list(FLEETS))
    result = pipeline.run("2023-01-01", "2023-02-28", select=EVERYTHING if name in ALSO_DRAWN else None)
    assert check_of(result, "trips_conserved").passed
    found = (
        "SELECT fleet, count(*) FROM (SELECT fleet FROM trips UNION ALL SELECT fleet FROM rejected_trips) GROUP BY 1"
    )
    assert dict.fromkeys(FLEETS, 0) | dict(pipeline.rows(found)) == num_rows
    for asset, window in ((monthly_report, "2023-02-01"), (week_summary, "2023-01-29")):
        report = pipeline.report(asset, window)
        assert report.success, error_of(report)
    if name.endswith("without end"):
        (rejected,) = pipeline.rows("SELECT count(*) FROM rejected_trips WHERE misfit_columns IS NOT NULL")
        assert rejected[0] >= 4, "the four that no library has an object for"


def test_a_day_is_compared_with_weeks_without_trips() -> None:
    """Regression: "published_trips failed: float division by zero"."""
    assert Level("green", date(2023, 2, 1), num_trips=0, usual=0).share == "-"
    assert not Level("green", date(2023, 2, 1), num_trips=3, usual=0).is_far
    assert Level("green", date(2023, 2, 1), num_trips=30, usual=0).is_far
    assert Level("green", date(2023, 2, 1), num_trips=50, usual=100).share == "50%"


def not_utf8(num_bad: int, num_rows: int) -> pa.Array:
    """Text as a broken writer leaves it: the first values are not UTF-8."""
    values = [b"\xff\xfe" if number < num_bad else b"HV0003" for number in range(num_rows)]
    binary = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), num_rows, binary.buffers())


def test_text_that_is_not_utf8_is_named_with_its_rows(all_fleets: Path, tmp_path: Path) -> None:
    """Regression: "'utf-8' codec can't decode byte 0xff", without file, column or row."""
    fleet = FLEETS["fhvhv"]
    table = pq.read_table(all_fleets / "trip-data" / f"fhvhv_tripdata_{FEBRUARY}.parquet")
    path = tmp_path / "file.parquet"
    position = table.schema.get_field_index("hvfhs_license_num")
    pq.write_table(table.set_column(position, "hvfhs_license_num", not_utf8(3, len(table))), path)
    with pytest.raises(UnusableFileError, match="not UTF-8, as Parquet demands: hvfhs_license_num in 3 rows"):
        verify_trip_file(path, fleet)
    pq.write_table(table.append_column("a_note", not_utf8(1, len(table))), path)
    verify_trip_file(path, fleet)  # in a column that is not loaded it does no harm
    names, rows = first_rows(path, 2)
    assert [row[names.index("a_note")] for row in rows] == ["\\xff\\xfe", "HV0003"]


def test_times_without_end_are_shown_as_text(all_fleets: Path, tmp_path: Path) -> None:
    """Regression: the preview of such a file failed with "date value out of range"."""
    path = tmp_path / "file.parquet"
    table = pq.read_table(all_fleets / "trip-data" / f"yellow_tripdata_{FEBRUARY}.parquet")
    pq.write_table(with_times(table, DROPOFFS, [in_year(200_000), in_year(-290_000)]), path)
    names, rows = first_rows(path, 3)
    shown = [row[names.index("tpep_dropoff_datetime")] for row in rows]
    assert shown[0].startswith(("200000-", "199999-"))
    assert shown[1].startswith("-2")
    assert shown[2].year == 2023
