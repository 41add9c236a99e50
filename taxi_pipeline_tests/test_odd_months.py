"""Months that no one expects: no trips, one trip, nothing but NULL, times without end. No row makes a run fail.

Whatever is published, the graph succeeds, each row is in one place once, and only a file that can't be trusted is
refused, with its column and its number of rows.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxi_pipeline.defs.assets import monthly_report, week_summary
from taxi_pipeline.outputs.explorer.data import explorer_data
from taxi_pipeline.outputs.explorer.page import page_of as explorer_page
from taxi_pipeline.outputs.maps import draw_manhattan_map
from taxi_pipeline.outputs.monthly_report.figures import figures_of
from taxi_pipeline.outputs.monthly_report.page import Links
from taxi_pipeline.outputs.monthly_report.page import page_of as report_page
from taxi_pipeline.outputs.requests.chart import chart_data, draw_trip_request, title_of
from taxi_pipeline.outputs.requests.request_files import TripRequest
from taxi_pipeline.outputs.week_summary import summary_of_week
from taxi_pipeline.outputs.weekly_table import weekly_totals
from taxi_pipeline.outputs.zone_statistics import geojson_text, manhattan_statistics
from taxi_pipeline.quality.evaluation import evaluate_all
from taxi_pipeline.quality.rules import Level
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.sample.zones import write_zones_zip
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import UnusableFileError, first_rows, verify_trip_file
from taxi_pipeline.tlc.zones import Zone, read_zones
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.tables import ZONES
from taxi_pipeline.warehouse.typing.judgement import UnlikelyFileError, judge_trip_file
from taxi_pipeline_tests.era_files import PUBLISHED, Published
from taxi_pipeline_tests.pipelines import EVERYTHING, check_of, error_of, pipeline_in

JANUARY, FEBRUARY = "2023-01", "2023-02"
MICROSECONDS_A_YEAR = int(365.2425 * 86_400 * 1_000_000)
INFINITY = 2**63 - 1
"""The time without end in microseconds, as DuckDB writes it to a file."""

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


UNLIKELY = ("no rows", "no rows in both months", "all NULL", "all outside the month", "all rejected")
"""Refused as a whole; who accepts them gets what is in them."""

ALSO_DRAWN = ("no rows in both months", "all NULL", "all zones unknown", "sparse")
"""Months that are also drawn as the city's map and the explorer, which take a while."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_no_row_makes_a_run_fail(name: str, all_fleets: Path, tmp_path: Path) -> None:
    """Regression: a month whose usual level is zero failed its run, and so did a drop-off without end.

    What can't be the month as a whole is refused first; it is loaded, as any other, when it is accepted.
    """
    mirror = Path(shutil.copytree(all_fleets, tmp_path / "mirror"))
    num_rows: dict[str, int] = {}
    for month, change in zip((JANUARY, FEBRUARY), CHANGES[name], strict=True):
        for fleet in FLEETS:
            path = mirror / "trip-data" / f"{fleet}_tripdata_{month}.parquet"
            table = pq.read_table(path)
            if change:
                table = change(table).replace_schema_metadata(table.schema.metadata)
                pq.write_table(table, path)
            if change and name in UNLIKELY:
                with pytest.raises(UnlikelyFileError, match=f"TAXI_ACCEPT={fleet}/{month} "):
                    judge_trip_file(path, FLEETS[fleet], date.fromisoformat(f"{month}-01"))
            num_rows[fleet] = num_rows.get(fleet, 0) + len(table)
    accepted = [f"{fleet}/{month}" for fleet in FLEETS for month in (JANUARY, FEBRUARY) if name in UNLIKELY]
    pipeline = pipeline_in(tmp_path / "data", mirror, list(FLEETS), accepted=accepted)
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
        (unfit,) = pipeline.rows("SELECT sum(num_unfit) FROM loaded_days")
        assert rejected[0] + unfit[0] >= 4, "the four that no library has an object for"
        assert (rejected[0] > 0) is (name == "pickups without end"), "without another time a trip is one"


def test_a_day_is_compared_with_weeks_without_trips() -> None:
    """Regression: "published_trips failed: float division by zero"."""
    assert Level("green", date(2023, 2, 1), num_trips=0, usual=0).share == "-"
    assert not Level("green", date(2023, 2, 1), num_trips=3, usual=0).is_far
    assert Level("green", date(2023, 2, 1), num_trips=30, usual=0).is_far
    assert Level("green", date(2023, 2, 1), num_trips=50, usual=100).share == "50%"


def not_utf8(num_bad: int, num_rows: int, *, large: bool = False) -> pa.Array:
    """Text as a broken writer leaves it: the first values are not UTF-8."""
    values = [b"\xff\xfe" if number < num_bad else b"HV0003" for number in range(num_rows)]
    binary = pa.array(values, pa.large_binary() if large else pa.binary())
    return pa.Array.from_buffers(pa.large_string() if large else pa.string(), num_rows, binary.buffers())


@pytest.mark.parametrize("large", [False, True])
def test_text_that_is_not_utf8_is_named_with_its_rows(all_fleets: Path, tmp_path: Path, large: bool) -> None:
    """Regression: "'utf-8' codec can't decode byte 0xff", without file, column or row."""
    fleet = FLEETS["fhvhv"]
    table = pq.read_table(all_fleets / "trip-data" / f"fhvhv_tripdata_{FEBRUARY}.parquet")
    path = tmp_path / "file.parquet"
    position = table.schema.get_field_index("hvfhs_license_num")
    pq.write_table(table.set_column(position, "hvfhs_license_num", not_utf8(3, len(table), large=large)), path)
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


ODD = {
    "f64": [None, 0.0, -5.0, 0.5, 1e15, float("nan"), 264.0, 300.0],
    "i64": [None, 0, -1, 74, 264, 300, 2**40],
    "i32": [None, 0, -1, 74, 264, 300],
    "text": [None, "", "x", " 1 ", "0", "2009-01-10 08:15:00", "not a time"],
    "time": [None, datetime(2041, 1, 1), datetime(2009, 1, 1), datetime(1, 1, 1)],
}
ODD["large"] = ODD["text"]


@st.composite
def small_months(draw: st.DrawFn) -> tuple[Published, list[dict[str, Any]]]:
    """A file of any fleet and era, and what each of its few rows has otherwise than a usual row."""
    file = draw(st.sampled_from(PUBLISHED))
    columns = [column.partition(":")[::2] for column in file.columns.split() if not column.endswith(":null")]
    changes = st.lists(st.sampled_from(columns), max_size=6, unique=True)
    rows = [
        {name: draw(st.sampled_from(ODD[kind])) for name, kind in draw(changes)} for _ in range(draw(st.integers(0, 6)))
    ]
    return file, rows


@pytest.fixture(scope="module")
def some_zones(tmp_path_factory: pytest.TempPathFactory) -> list[Zone]:
    path = tmp_path_factory.mktemp("zones") / "taxi_zones.zip"
    write_zones_zip(path)
    return read_zones(path)


@pytest.mark.slow
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(month=small_months())
def test_whatever_is_in_a_few_rows_all_can_be_made_of_them(
    some_zones: list[Zone], month: tuple[Published, list[dict[str, Any]]]
) -> None:
    """Ingest, rollups, checks, tables, maps, report, explorer and charts, for every fleet and era."""
    file, changes = month
    fleet, days = FLEETS[file.fleet], Days.of_month(file.first_day)
    with tempfile.TemporaryDirectory() as folder:
        files, warehouse = LocalFolder(Path(folder)), DuckDBWarehouse(Path(folder) / "data.duckdb")
        source = file.write(Path(folder) / "mirror", changes)
        fetch(source.as_uri(), files, f"raw/{file.name}", verify=lambda path: verify_trip_file(path, fleet))
        with warehouse.write() as session:
            session.replace(ZONES, [(z.zone_id, z.zone, z.borough, z.geometry) for z in some_zones])
            load_days(session, fleet, [days], files)
        with warehouse.read() as session:
            rows = "SELECT fleet FROM trips UNION ALL SELECT fleet FROM rejected_trips"
            assert session.rows(f"SELECT count(*) FROM ({rows})") == [(len(changes),)]
            evaluate_all(session, days)
            weekly_totals(session, [file.fleet])
            summary_of_week(session, days.first - timedelta(days=days.first.isoweekday() % 7), [file.fleet])
            draw_manhattan_map(json.loads(geojson_text(manhattan_statistics(session, [file.fleet]))))
            report_page(figures_of(session, days.first, [file.fleet]), Links("x.csv"))
            explorer_page(explorer_data(session, [file.fleet]))
            request = TripRequest(borough="Queens", start_date=days.first, end_date=days.last)
            data = chart_data(session, request)
        draw_trip_request(data, title_of(request))
