"""Rows of a published file become trips or rejected rows: each once, whatever is in them."""

import math
import tempfile
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fetch_note import DamagedFileError
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import verify_trip_file
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_trips
from taxi_pipeline_tests.odd_files import (
    DROPOFF,
    FILE,
    MONTH,
    NUMBERS,
    PICKUP,
    chunkings,
    good_row,
    odd_files,
    published,
)


def loaded(folder: Path, files: LocalFolder, *chunks: Days) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Load chunks of days one after the other; trips and rejected rows by drop-off."""
    warehouse = DuckDBWarehouse(folder / "data.duckdb")
    for days in chunks or [MONTH]:
        with warehouse.write() as session:
            load_trips(session, GREEN, days, files)
    with warehouse.read() as session:
        trips = session.rows("SELECT * FROM trips ORDER BY dropoff_datetime")
        rejected = session.rows("SELECT reason, * EXCLUDE (reason) FROM rejected_trips ORDER BY dropoff_datetime")
    return trips, rejected


SEVENTH = Days(date(2023, 2, 7), date(2023, 2, 7))


def with_one(folder: Path, name: str, value: Any, type_: pa.DataType) -> LocalFolder:
    """A file of two rows, of which the second has a value in a column of a type."""
    fine = str(good_row()[name]) if type_ == pa.string() else good_row()[name]
    return published(folder, [{**good_row(0), name: fine}, {**good_row(1), name: value}], {name: type_})


@pytest.mark.parametrize(
    ("change", "type_", "reason"),
    [
        ({"PULocationID": "Harlem"}, pa.string(), "pickup_zone_id does not fit SMALLINT: Harlem"),
        ({"DOLocationID": 74.5}, pa.float64(), "dropoff_zone_id does not fit SMALLINT: 74.5"),
        ({PICKUP: "later"}, pa.string(), "pickup_datetime does not fit TIMESTAMP: later"),
    ],
)
def test_a_value_without_which_a_row_is_no_trip_rejects_it_with_the_reason(
    tmp_path: Path, change: dict[str, Any], type_: pa.DataType, reason: str
) -> None:
    """Regression: one such value failed the whole month, or became NULL, or was rounded to a whole number."""
    ((name, value),) = change.items()
    trips, rejected = loaded(tmp_path, with_one(tmp_path, name, value, type_))
    assert len(trips) == 1
    day = None if name == PICKUP else date(2023, 2, 7)
    assert [(row[0], row[3]) for row in rejected] == [(reason, day)], "with its day, not the month's first"


@pytest.mark.parametrize(
    ("column", "change", "type_", "note"),
    [
        ("fare_amount", {"fare_amount": 1e15}, pa.float64(), "DECIMAL(12, 2): 1000000000000000.0"),
        ("fare_amount", {"fare_amount": math.nan}, pa.float64(), "DECIMAL(12, 2): nan"),
        ("fare_amount", {"fare_amount": -math.inf}, pa.float64(), "DECIMAL(12, 2): -inf"),
        ("fare_amount", {"fare_amount": "ten"}, pa.string(), "DECIMAL(12, 2): ten"),
        ("passenger_count", {"passenger_count": 40_000}, pa.int64(), "SMALLINT: 40000"),
        ("passenger_count", {"passenger_count": 1.5}, pa.float64(), "SMALLINT: 1.5"),
        ("payment_type", {"payment_type": "cash"}, pa.string(), "SMALLINT: cash"),
        ("trip_distance", {"trip_distance": 1e12}, pa.float64(), "DECIMAL(12, 3): 1000000000000.0"),
        ("dropoff_datetime", {DROPOFF: "later"}, pa.string(), "TIMESTAMP: later"),
    ],
)
def test_another_value_that_does_not_fit_is_null_and_counted(
    tmp_path: Path, column: str, change: dict[str, Any], type_: pa.DataType, note: str
) -> None:
    """Regression: such a value cost its trip, though it says nothing of time and place."""
    ((name, value),) = change.items()
    trips, rejected = loaded(tmp_path, with_one(tmp_path, name, value, type_), SEVENTH)
    assert (len(trips), rejected) == (2, [])
    with DuckDBWarehouse(tmp_path / "data.duckdb").read() as session:
        assert session.row(f"SELECT count(*) FROM trips WHERE {column} IS NULL") == (1,)
        assert session.rows("SELECT num_trips, num_rejected, num_unfit, unfit_values FROM loaded_days") == [
            (2, 0, 1, f"1 × {column} does not fit {note}")
        ]


@pytest.mark.parametrize("name", list(good_row()))
@pytest.mark.parametrize("blank", ["", " ", "\t", "\u00a0"])
def test_blank_text_is_no_value_in_every_column(tmp_path: Path, name: str, blank: str) -> None:
    """Regression: of real rows held as text, 34 of 41 were rejected for an empty code, flag or fee."""
    trips, rejected = loaded(tmp_path, with_one(tmp_path, name, blank, pa.string()), SEVENTH)
    with DuckDBWarehouse(tmp_path / "data.duckdb").read() as session:
        assert session.row("SELECT num_unfit, unfit_values FROM loaded_days") == (0, None)
    if name == PICKUP:
        assert [row[0] for row in rejected] == [], "it belongs to the month's first day"
        return
    assert (len(trips), rejected) == (2, [])
    column = next(column for column, source in GREEN.eras[-1].sources.items() if source.names == (name,))
    expected = 264 if column.endswith("zone_id") else None
    with DuckDBWarehouse(tmp_path / "data.duckdb").read() as session:
        assert session.row(f"SELECT count(*) FROM trips WHERE {column} IS NOT DISTINCT FROM ?", [expected]) == (1,)


def test_a_blank_pickup_time_is_none(tmp_path: Path) -> None:
    _, rejected = loaded(tmp_path, with_one(tmp_path, PICKUP, " ", pa.string()))
    assert [row[0] for row in rejected] == ["no pickup time"]


def test_a_flag_of_true_and_false_is_y_and_n(tmp_path: Path) -> None:
    files = published(tmp_path, [good_row(0), good_row(1), good_row(2)])
    table = pq.read_table(tmp_path / FILE).append_column("store_and_fwd_flag", pa.array([True, False, None]))
    pq.write_table(table, tmp_path / "mirror.parquet")
    fetch((tmp_path / "mirror.parquet").as_uri(), files, FILE, verify=lambda _: None)
    loaded(tmp_path, files)
    with DuckDBWarehouse(tmp_path / "data.duckdb").read() as session:
        flags = session.rows("SELECT store_and_fwd_flag FROM trips ORDER BY dropoff_datetime")
    assert flags == [("Y",), ("N",), (None,)]


@pytest.mark.parametrize("microseconds", [-(2**63), -(2**63) + 2])
def test_a_time_that_cannot_be_written_as_text_is_unfit(tmp_path: Path, microseconds: int) -> None:
    """Regression: one NaT of numpy made a month unloadable, with an internal error of DuckDB."""
    files = published(tmp_path, [good_row(0), good_row(1), good_row(2)])
    table = pq.read_table(tmp_path / FILE)
    for row, name in enumerate((PICKUP, "lpep_dropoff_datetime")):
        times = table[name].cast(pa.int64()).to_pylist()
        times[row] = microseconds
        column = pa.array(times, pa.int64()).cast(pa.timestamp("us"))
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, tmp_path / "mirror.parquet")
    fetch((tmp_path / "mirror.parquet").as_uri(), files, FILE, verify=lambda path: verify_trip_file(path, GREEN))
    trips, rejected = loaded(tmp_path, files)
    assert len(trips) == 2
    assert [row[0] for row in rejected] == ["pickup_datetime does not fit TIMESTAMP: a time too early"]
    with DuckDBWarehouse(tmp_path / "data.duckdb").read() as session:
        assert session.rows("SELECT num_unfit, unfit_values FROM loaded_days WHERE num_unfit > 0") == [
            (1, "1 × dropoff_datetime does not fit TIMESTAMP: a time too early")
        ]


def test_all_reasons_are_given(tmp_path: Path) -> None:
    row = {**good_row(), PICKUP: datetime(2041, 1, 1), "fare_amount": 1e15, "DOLocationID": 74.5}
    _, ((reason, *_),) = loaded(tmp_path, published(tmp_path, [row]))
    assert reason == (
        "pickup outside the month; dropoff_zone_id does not fit SMALLINT: 74.5; "
        "fare_amount does not fit DECIMAL(12, 2): 1000000000000000.0"
    )
    with DuckDBWarehouse(tmp_path / "data.duckdb").read() as session:
        assert session.row("SELECT misfit_columns FROM rejected_trips") == ("dropoff_zone_id,fare_amount",)


def test_a_pickup_time_that_is_not_a_time_is_quoted(tmp_path: Path) -> None:
    rows = [{**good_row(n), PICKUP: text} for n, text in enumerate(["2023-02-07 08:00:00", "yesterday", None])]
    trips, rejected = loaded(tmp_path, published(tmp_path, rows, {PICKUP: pa.string()}))
    assert [row[1] for row in trips] == [date(2023, 2, 7)]
    assert [row[0] for row in rejected] == ["pickup_datetime does not fit TIMESTAMP: yesterday", "no pickup time"]


@pytest.mark.parametrize("zone", [None, 0, 266, 99_999, -1, math.nan])
def test_unknown_zone_ids_become_264(tmp_path: Path, zone: float | None) -> None:
    trips, rejected = loaded(tmp_path, published(tmp_path, [{**good_row(), "PULocationID": zone}]))
    assert [row[3] for row in trips] == [264]
    assert rejected == []


def test_numbers_in_text_and_nulls_are_no_misfits(tmp_path: Path) -> None:
    row: dict[str, Any] = {**good_row(), "fare_amount": "12.345", "passenger_count": None, "RatecodeID": "99"}
    types = {"fare_amount": pa.string(), "passenger_count": pa.null(), "RatecodeID": pa.string()}
    (trip,), rejected = loaded(tmp_path, published(tmp_path, [row], types))
    assert (trip[5], trip[10], trip[11]) == (99, None, Decimal("12.35"))
    assert rejected == []


def test_rejected_rows_are_replaced_with_their_days_and_no_others(tmp_path: Path) -> None:
    """Regression: the two tables must not disagree when some days of a month published anew are loaded."""
    days = [datetime(2023, 2, 1, 5), datetime(2023, 2, 7, 5), datetime(2023, 2, 8, 5), datetime(2009, 1, 1)]
    bad = [{**good_row(n), PICKUP: pickup, "PULocationID": 74.5} for n, pickup in enumerate(days)]
    _, rejected = loaded(tmp_path, published(tmp_path, bad))
    assert len(rejected) == 4
    good = [{**row, "PULocationID": 74.0} for row in bad]
    files = published(tmp_path, good)
    trips, rejected = loaded(tmp_path, files, SEVENTH)
    assert ([row[1] for row in trips], len(rejected)) == ([SEVENTH.first], 3)
    trips, rejected = loaded(tmp_path, files, Days(date(2023, 2, 1), date(2023, 2, 6)))
    assert [row[0] for row in rejected if row[3] != date(2023, 2, 8)] == ["pickup outside the month"]
    assert (len(trips), len(rejected)) == (2, 2)


@pytest.mark.parametrize("at_once", [1_000_000, 10])
def test_trips_lie_in_the_order_of_their_pickups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Sorted at once or in parts: later reads skip what lies elsewhere, and a month has the same order both times."""
    monkeypatch.setattr("taxi_pipeline.warehouse.duckdb.session.ROWS_SORTED_AT_ONCE", at_once)
    pickups = [datetime(2023, 2, 1 + 5 * n % 28, 7 * n % 24) for n in range(60)]
    loaded(tmp_path, published(tmp_path, [{**good_row(n), PICKUP: pickup} for n, pickup in enumerate(pickups)]))
    with DuckDBWarehouse(tmp_path / "data.duckdb").read() as session:
        assert [pickup for (pickup,) in session.rows("SELECT pickup_datetime FROM trips ORDER BY rowid")] == sorted(
            pickups
        )


def test_a_file_damaged_on_disk_is_not_loaded(tmp_path: Path) -> None:
    files = published(tmp_path, [good_row()])
    loaded(tmp_path, files)
    path = tmp_path / FILE
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(DamagedFileError, match="is not what was fetched"):
        loaded(tmp_path, files)
    with DuckDBWarehouse(tmp_path / "data.duckdb").read() as session:
        assert session.row("SELECT count(*) FROM trips") == (1,)


# Whatever the rows are


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(file=odd_files(), chunks=chunkings())
def test_each_row_is_in_one_place_once(
    file: tuple[list[dict[str, Any]], dict[str, pa.DataType]], chunks: list[Days]
) -> None:
    """Conservation, for arbitrary rows, types, chunks, orders and repetitions."""
    rows, types = file
    with tempfile.TemporaryDirectory() as folder:
        files = published(Path(folder), rows, types)
        trips, rejected = loaded(Path(folder), files, *chunks)
        with DuckDBWarehouse(Path(folder) / "data.duckdb").read() as session:
            noted = session.rows("SELECT pickup_date, num_trips, num_rejected, file_rows FROM loaded_days ORDER BY ALL")
            (num_unfit,) = session.row("SELECT CAST(sum(num_unfit) AS BIGINT) FROM loaded_days")
    dropoff = 8
    found = Counter(row[dropoff] for row in trips) + Counter(row[dropoff + 2] for row in rejected)
    assert found == Counter(row[DROPOFF] for row in rows), "every row, and each once"
    for row in trips:
        pickup = next(r[PICKUP] for r in rows if r[DROPOFF] == row[dropoff])
        assert row[1] == pickup.date()
        assert MONTH.first <= row[1] <= MONTH.last
    assert all(reason for reason, *_ in rejected)
    assert [day for day, *_ in noted] == list(MONTH)
    assert sum(num_trips for _, num_trips, _, _ in noted) == len(trips)
    assert sum(num_rejected for _, _, num_rejected, _ in noted) == len(rejected)
    assert {file_rows for *_, file_rows in noted} == {len(rows)}
    of_trips = {trip[dropoff] for trip in trips}
    for row in rows:
        if row[DROPOFF] in of_trips:
            assert all(_fits(name, row[name]) for name in ZONES), row
        elif row[PICKUP] is not None and MONTH.first <= row[PICKUP].date() <= MONTH.last:
            assert not all(_fits(name, row[name]) for name in ZONES), row
    assert num_unfit == sum(not _fits(name, row[name]) for row in rows if row[DROPOFF] in of_trips for name in NUMBERS)


WHOLE = ("VendorID", "RatecodeID", "payment_type", "passenger_count")
ZONES = ("PULocationID", "DOLocationID")


def _fits(name: str, value: Any) -> bool:
    """The same question, answered without SQL."""
    if value is None or not str(value).strip():
        return True
    try:
        number = float(value)
    except ValueError:
        return False
    if name in ZONES:
        return not math.isfinite(number) or number == math.floor(number)
    if not math.isfinite(number):
        return False
    if name in WHOLE:
        return number == math.floor(number) and -32_768 <= number <= 32_767
    places, limit = (3, 10**9) if name == "trip_distance" else (2, 10**10)
    return abs(number) < limit and abs(round(Decimal(number), places)) < limit
