"""The dataset of single trips: what its files hold, for which readers, and when they are made."""

from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.datasets.single_trips import ROW_GROUP_ROWS, write_trips
from taxi_pipeline.defs.assets.single_trips import single_trips
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.quality import trip_totals
from taxi_pipeline.quality.trip_totals import TripsDifferError, require_every_trip
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.tables import TRIPS
from taxi_pipeline_tests.pipelines import (
    Pipeline,
    error_of,
    loaded_sample,
    materializations_of,
    pipeline_in,
    settings_of,
)

FLEETS = ("yellow", "green", "fhv", "fhvhv")
JANUARY = date(2023, 1, 1)
NAME = "datasets/trips/fleet={}/month=2023-01.parquet"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A month of all fleets, but the last day of green. Read it, never write to it."""
    trips_per_day = {"yellow": 400, "green": 60, "fhv": 60, "fhvhv": 200}
    return loaded_sample(tmp_path_factory.mktemp("loaded"), Days.of_month(JANUARY), trips_per_day)


@pytest.fixture(scope="module")
def made(loaded: Pipeline) -> Pipeline:
    """The same with the dataset."""
    for fleet in FLEETS:
        result = loaded.dataset(fleet, "2023-01", single_trips)
        assert result.success, error_of(result)
    return loaded


def rows_of(query: str, **tables: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        for name, found in tables.items():
            connection.register(name, found)
        return connection.sql(query).fetchall()


def test_the_files_have_each_trip_once_with_every_column(made: Pipeline) -> None:
    columns = ", ".join(TRIPS.column_names)
    files = f"SELECT {columns} FROM read_parquet('{made.folder}/datasets/trips/*/*.parquet', hive_partitioning = true)"
    table = f"SELECT {columns} FROM trips"
    with duckdb.connect(str(made.folder / "staging" / "data.duckdb"), read_only=True) as connection:
        assert (
            connection.sql(f"SELECT count(*) FROM ({files})").fetchall()
            == connection.sql("SELECT count(*) FROM trips").fetchall()
        )
        for one, other in ((files, table), (table, files)):
            assert connection.sql(f"({one}) EXCEPT ALL ({other})").fetchall() == []
        types = {name: kind for name, kind, *_ in connection.sql(f"DESCRIBE {files}").fetchall()}
    assert types == {name: kind.replace(", ", ",") for name, kind in TRIPS.column_types.items()}


def test_pandas_and_polars_read_the_folder(made: Pipeline) -> None:
    folder = made.folder / "datasets" / "trips"
    expected = dict(made.rows("SELECT fleet, sum(total_amount) FROM trips GROUP BY fleet"))
    with_pandas = pd.read_parquet(folder).groupby("fleet", observed=True)["total_amount"].sum()
    with_polars = pl.read_parquet(folder / "**" / "*.parquet", hive_partitioning=True)
    for fleet in ("yellow", "green", "fhvhv"):
        assert with_pandas[fleet] == expected[fleet]
        assert with_polars.filter(fleet=fleet)["total_amount"].sum() == expected[fleet]
    assert len(with_polars) == made.rows("SELECT count(*) FROM trips")[0][0]


def test_columns_say_what_they_mean(made: Pipeline) -> None:
    schema = pq.read_schema(made.folder / NAME.format("green"))
    assert schema.field("trip_distance").metadata[b"comment"].endswith(b"(miles)")
    assert all(field.metadata[b"comment"] for field in schema)


def test_the_materialization_says_what_the_file_is(made: Pipeline, tmp_path: Path) -> None:
    own = pipeline_in(tmp_path, made.tlc.url, FLEETS)
    pipeline = Pipeline(folder=tmp_path, tlc=made.tlc, warehouse=made.warehouse, files=own.files)
    result = pipeline.dataset("yellow", "2023-01", single_trips, until="2023-02")
    first, second = sorted(materializations_of(result, "trips"), key=lambda each: str(each.partition))
    assert (first.partition, second.partition) == ("yellow|2023-01-01", "yellow|2023-02-01")
    (num_trips,) = made.rows("SELECT count(*) FROM trips WHERE fleet = 'yellow'")[0]
    assert first.metadata["dagster/partition_row_count"].value == num_trips
    assert first.metadata["missing_days"].value == "none"
    assert first.metadata["synthetic"].value is True
    assert first.metadata["dagster/uri"].value == pipeline.files.uri(NAME.format("yellow"))
    assert second.metadata["dagster/partition_row_count"].value == 0
    assert second.metadata["missing_days"].value == "2023-02-01 to 2023-02-28"
    assert pipeline.files.read(NAME.format("yellow")) == made.files.read(NAME.format("yellow"))


@pytest.mark.parametrize("rows", [1, 119, 120, 121, ROW_GROUP_ROWS])
def test_row_groups_are_full_but_the_last_and_follow_each_other_in_time(
    loaded: Pipeline, tmp_path: Path, rows: int
) -> None:
    path = tmp_path / "trips.parquet"
    num_trips = loaded.warehouse.query(write_trips, "green", JANUARY, path, row_group_rows=rows)
    file = pq.ParquetFile(path).metadata
    groups = [file.row_group(number) for number in range(file.num_row_groups)]
    assert [group.num_rows for group in groups[:-1]] == [rows] * (len(groups) - 1)
    assert sum(group.num_rows for group in groups) == file.num_rows == num_trips
    assert num_trips == loaded.rows("SELECT count(*) FROM trips WHERE fleet = 'green'")[0][0]
    column = file.schema.names.index("pickup_datetime")
    spans = [(found.min, found.max) for found in (group.column(column).statistics for group in groups)]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_the_order_in_the_warehouse_changes_no_byte(loaded: Pipeline, tmp_path: Path) -> None:
    """Trips of the same second lie in no order that a load promises."""
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    copy = tmp_path / "copy"
    loaded.warehouse.query(write_trips, "fhvhv", JANUARY, first)
    other = pipeline_in(copy, loaded.tlc.url, FLEETS)
    other.load("2023-01-01", "2023-01-31")
    other.execute(
        "CREATE TABLE mixed AS SELECT * FROM trips ORDER BY hash(pickup_zone_id, trip_distance, total_amount)"
    )
    other.execute("DELETE FROM trips")
    other.execute("INSERT INTO trips SELECT * FROM mixed")
    other.warehouse.query(write_trips, "fhvhv", JANUARY, second)
    assert second.read_bytes() == first.read_bytes()


def test_a_file_that_lacks_a_trip_never_takes_the_place_of_the_old_one(
    made: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pipeline_in(tmp_path, made.tlc.url, FLEETS)
    pipeline = Pipeline(folder=tmp_path, tlc=made.tlc, warehouse=made.warehouse, files=own.files)
    pipeline.files.write(NAME.format("green"), b"the old one")

    def without_the_last(session: Any, fleet: str, month: date, path: Path) -> int:
        num_trips = write_trips(session, fleet, month, path)
        pq.write_table(pq.read_table(path).slice(0, num_trips - 1), path)
        return num_trips

    monkeypatch.setattr("taxi_pipeline.defs.assets.single_trips.write_trips", without_the_last)
    said = error_of(pipeline.dataset("green", "2023-01", single_trips))
    assert "The trips of green 2023-01 differ from those that were counted: 2023-01-31 has" in said
    assert "No file was changed" in said
    assert pipeline.files.read(NAME.format("green")) == b"the old one"


@pytest.mark.parametrize(("num_days", "said"), [(1, "2023-01-01 has no trips in the file and"), (5, "and 2 more days")])
def test_the_days_that_differ_are_named(loaded: Pipeline, tmp_path: Path, num_days: int, said: str) -> None:
    path = tmp_path / "trips.parquet"
    loaded.warehouse.query(write_trips, "green", JANUARY, path)
    loaded.warehouse.query(require_every_trip, "green", JANUARY, path)
    found = pq.read_table(path).to_pandas()
    kept = found[found["pickup_date"] >= date(2023, 1, 1 + num_days)]
    pq.write_table(pq.read_table(path).take(kept.index.to_numpy()), path)
    with pytest.raises(TripsDifferError, match=said):
        loaded.warehouse.query(require_every_trip, "green", JANUARY, path)


def test_a_sum_that_differs_is_found(loaded: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "trips.parquet"
    loaded.warehouse.query(write_trips, "green", JANUARY, path)
    spoilt = tmp_path / "spoilt.parquet"
    rows_of(
        f"COPY (SELECT * REPLACE (CASE WHEN row_number() OVER () = 7 THEN total_amount + 0.01 ELSE total_amount END "
        f"AS total_amount) FROM read_parquet('{path}')) TO '{spoilt}'"
    )
    with pytest.raises(TripsDifferError, match=r"2023-01-01 has .* dollars in the file"):
        loaded.warehouse.query(trip_totals.require_every_trip, "green", JANUARY, spoilt)


@pytest.mark.parametrize(("switch", "is_there"), [("on", True), ("off", False)])
def test_it_is_in_the_graph_where_the_setting_asks_for_it(switch: str, is_there: bool) -> None:
    definitions = build_definitions(settings=settings_of({"TAXI_TRIPS_DATASET": switch}))
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().materializable_asset_keys}
    assert ("trips" in keys) is is_there
    job = definitions.resolve_job_def("datasets")
    assert ("trips" in {key.to_user_string() for key in job.asset_layer.selected_asset_keys}) is is_there


@pytest.mark.real_data
def test_real_months_have_every_trip(real_tlc: Path, tmp_path: Path) -> None:
    """Green 2020-04, with rows of other years in its file, and 2024-12."""
    pipeline = pipeline_in(tmp_path, real_tlc, ["green"])
    for month in (date(2020, 4, 1), date(2024, 12, 1)):
        days = Days.of_month(month)
        pipeline.load(str(days.first), str(days.last))
        path = tmp_path / f"{month}.parquet"
        pipeline.warehouse.query(write_trips, "green", month, path)
        pipeline.warehouse.query(require_every_trip, "green", month, path)
        (counted,) = rows_of(f"SELECT count(*), count(DISTINCT pickup_date) FROM read_parquet('{path}')")
        assert (
            counted
            == pipeline.rows(
                f"SELECT count(*), count(DISTINCT pickup_date) FROM trips WHERE pickup_date BETWEEN '{days.first}' "
                f"AND '{days.last}'"
            )[0]
        )
