"""A file as a whole: one that can't be its month never takes the place of the good copy, nor of loaded days."""

import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import FHV, FLEETS, GREEN, Fleet
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import TlcSource, trips_file
from taxi_pipeline.tlc.trip_files import MAX_TEXT_BYTES, UnusableFileError, first_rows, verify_trip_file
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.interface import PublishedFile
from taxi_pipeline.warehouse.typing.column_names import positions_of
from taxi_pipeline.warehouse.typing.judgement import Before, UnlikelyFileError, judge_download, judge_trip_file
from taxi_pipeline_tests.odd_files import DROPOFF, MONTH, PICKUP, good_row

FEBRUARY = MONTH.first
FILE = trips_file(GREEN, FEBRUARY)


def month_of_rows(num_rows: int = 200, /, **columns: Any) -> pa.Table:
    """A good month of green taxis with some columns of its own."""
    rows = [good_row(n) | {PICKUP: datetime(2023, 2, 1 + n % 28, 8)} for n in range(num_rows)]
    return pa.table({name: pa.array([row[name] for row in rows]) for name in good_row()} | columns)


def judged(path: Path, table: pa.Table, **options: Any) -> None:
    """Judge the table as green's February."""
    pq.write_table(table, path / "file.parquet")
    judge_trip_file(path / "file.parquet", GREEN, FEBRUARY, **options)


def as_american(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.call_function("strftime", [column], pc.StrftimeOptions("%m/%d/%Y %I:%M:%S %p"))


GOOD = month_of_rows()
UNLIKELY: dict[str, tuple[pa.Table, str]] = {
    "times of an export": (
        month_of_rows(**{name: as_american(GOOD[name]) for name in (PICKUP, DROPOFF)}),
        r"lpep_pickup_datetime is not readable in 200 of 200 \(100\.0%\) of its values, for example "
        r"'02/01/2023 08:00:00.000000 AM'; expected was a time such as 2023-01-31 08:15:00",
    ),
    "times as integers": (
        month_of_rows(**{name: GOOD[name].cast(pa.int64()) for name in (PICKUP, DROPOFF)}),
        "lpep_pickup_datetime is not readable in 200 of 200 .* for example '1675238400000000'",
    ),
    "totals with a dollar sign": (
        month_of_rows(total_amount=["$14.6"] * 200),
        r"total_amount is not readable in 200 of 200 .* '\$14.6'; expected was a number that fits DECIMAL\(12, 2\)",
    ),
    "fares that are all NaN": (
        month_of_rows(fare_amount=[float("nan")] * 200),
        "fare_amount is not readable in 200 of 200 .* 'nan'",
    ),
    "times of twelve hours": (
        month_of_rows(**{PICKUP: ["2023-02-03 08:21:27 PM"] * 200}),
        "lpep_pickup_datetime is not readable in 200 of 200 .* '2023-02-03 08:21:27 PM'",
    ),
    "times with an offset": (
        month_of_rows(**{PICKUP: ["2023-02-03 08:21:27-05:00"] * 200}),
        "lpep_pickup_datetime is not readable in 200 of 200 .* '2023-02-03 08:21:27-05:00'",
    ),
    "a twentieth of the pickups is text": (
        month_of_rows(**{PICKUP: ["then" if n % 10 == 0 else "2023-02-03 08:00:00" for n in range(200)]}),
        r"lpep_pickup_datetime is not readable in 20 of 200 \(10\.0%\) .* 'then'",
    ),
    "pickups that are all NULL": (
        month_of_rows(**{PICKUP: pa.nulls(200, pa.timestamp("us"))}),
        "lpep_pickup_datetime is empty in 200 of 200",
    ),
    "zones that are all NULL": (
        month_of_rows(PULocationID=pa.nulls(200, pa.int64())),
        "PULocationID is empty in 200 of 200 .* expected was the number of a zone",
    ),
    "zones by name": (
        month_of_rows(DOLocationID=["Harlem"] * 200),
        "DOLocationID is not readable in 200 of 200 .* 'Harlem'; expected was the number of a zone",
    ),
    "totals that are all NULL": (
        month_of_rows(total_amount=pa.nulls(200)),
        r"total_amount is empty in 200 of 200 \(100\.0%\) of the rows; expected was a number that fits",
    ),
    "drop-offs that are mostly NULL": (
        month_of_rows(**{DROPOFF: [*GOOD[DROPOFF].to_pylist()[:80], *[None] * 120]}),
        "lpep_dropoff_datetime is empty in 120 of 200",
    ),
    "dates without their times": (
        month_of_rows(**{PICKUP: GOOD[PICKUP].cast(pa.date32())}),
        "lpep_pickup_datetime is midnight in 200 of 200 .*; expected was times of day",
    ),
    "half of the days": (
        month_of_rows(1000, **{PICKUP: [datetime(2023, 2, 1 + n % 13, 8) for n in range(1000)]}),
        "15 of the month's 28 days have no pickup; expected was trips on nearly all of them",
    ),
    "each trip twice": (
        pa.concat_tables([month_of_rows(500)] * 2),
        "about 5[0-9]% of its rows are repetitions of others; expected was rows that differ",
    ),
    "no rows": (GOOD.slice(0, 0), "it has no rows at all"),
    "another month": (
        month_of_rows(**{PICKUP: [datetime(2023, 3, 5, 8)] * 200}),
        r"lpep_pickup_datetime lies outside of the month in 200 of 200 \(100\.0%\) of the rows, for example "
        r"'2023-03-05 08:00:00'; expected was at most 1% of them",
    ),
    "pickups without end": (
        month_of_rows(**{PICKUP: pa.array([2**63 - 1] * 200).cast(pa.timestamp("us"))}),
        "lpep_pickup_datetime is not readable in 200 of 200",
    ),
}


@pytest.mark.parametrize("name", UNLIKELY)
def test_a_file_that_can_not_be_the_month_is_refused_with_column_share_and_example(tmp_path: Path, name: str) -> None:
    """Regression: each emptied the month, with exit code 0."""
    table, message = UNLIKELY[name]
    with pytest.raises(UnlikelyFileError, match=message) as raised:
        judged(tmp_path, table)
    assert str(raised.value).startswith("it can't be the green trips of 2023-02: ")
    assert str(raised.value).endswith("set TAXI_ACCEPT=green/2023-02 and run again")
    judged(tmp_path, table, accepted=True)


def test_an_example_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(UnlikelyFileError) as raised:
        judged(tmp_path, month_of_rows(total_amount=["x" * MAX_TEXT_BYTES] * 200))
    assert "'" + "x" * 100 + "'" in str(raised.value)


def test_a_few_odd_rows_are_no_reason(tmp_path: Path) -> None:
    """They are rejected, or NULL, one by one."""
    judged(tmp_path, GOOD)
    judged(tmp_path, month_of_rows(**{PICKUP: [*GOOD[PICKUP].to_pylist()[:-5], *[datetime(2009, 1, 1)] * 5]}))
    judged(tmp_path, month_of_rows(total_amount=[*["12.5"] * 170, *["$14.6"] * 30]))
    judged(tmp_path, month_of_rows(ehail_fee=["n/a"] * 200))
    judged(tmp_path, month_of_rows(1))
    # At the limits: half of the drop-offs, half at midnight, half of the days, a tenth repeated.
    judged(tmp_path, month_of_rows(**{DROPOFF: [*GOOD[DROPOFF].to_pylist()[:100], *[None] * 100]}))
    judged(tmp_path, month_of_rows(**{PICKUP: [datetime(2023, 2, 1 + n % 28, 8 * (n % 2)) for n in range(200)]}))
    judged(tmp_path, month_of_rows(1000, **{PICKUP: [datetime(2023, 2, 1 + n % 14, 8) for n in range(1000)]}))
    judged(tmp_path, pa.concat_tables([month_of_rows(1000), month_of_rows(100)]))


@pytest.mark.parametrize("as_bytes", [pa.binary(), pa.large_binary()])
def test_text_may_be_bytes_and_nan_no_code(tmp_path: Path, as_bytes: pa.DataType) -> None:
    """Old writers leave text as bytes, data frames NaN where a whole number is not known."""
    columns = {
        PICKUP: pa.array(GOOD[PICKUP].cast(pa.string()).to_pylist()).cast(as_bytes),
        "total_amount": pa.array(["12.5"] * 200).cast(as_bytes),
        "payment_type": pa.array([1.0, float("nan")] * 100),
    }
    pq.write_table(month_of_rows(**columns), tmp_path / "mirror.parquet")
    judge_trip_file(tmp_path / "mirror.parquet", GREEN, FEBRUARY)
    files = LocalFolder(tmp_path)
    fetch((tmp_path / "mirror.parquet").as_uri(), files, FILE, verify=lambda _: None)
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with warehouse.write() as session:
        load_days(session, GREEN, [MONTH], files)
    with warehouse.read() as session:
        found = session.rows(
            "SELECT count(*), sum(total_amount), count(payment_type), count(DISTINCT pickup_date) FROM trips"
        )
        assert found == [(200, 2500, 100, 28)]
        assert session.row("SELECT sum(num_unfit), sum(num_rejected) FROM loaded_days") == (0, 0)


def test_bases_may_leave_zones_out(tmp_path: Path) -> None:
    times = [datetime(2023, 2, 1 + n % 28, 8) for n in range(200)]
    nothing = pa.nulls(200, pa.float64())
    pq.write_table(
        pa.table({"pickup_datetime": times, "PUlocationID": nothing, "DOlocationID": nothing}), tmp_path / "f.parquet"
    )
    judge_trip_file(tmp_path / "f.parquet", FHV, FEBRUARY)


def test_a_version_with_far_fewer_rows_is_refused(tmp_path: Path) -> None:
    judged(tmp_path, GOOD, before=Before(215, 28))
    judged(tmp_path, GOOD, before=Before(95, 28))
    with pytest.raises(UnlikelyFileError, match="it has 200 rows, where the version before has 400; at least 67% of"):
        judged(tmp_path, GOOD, before=Before(400, 28))
    judged(tmp_path, GOOD, before=Before(400, 28), accepted=True)


def test_a_version_with_far_more_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UnlikelyFileError, match="has 200 rows, where the version before has 94; at most 2 times as many"
    ):
        judged(tmp_path, GOOD, before=Before(94, 28))
    judged(tmp_path, GOOD, before=Before(94, 28), accepted=True)


# The footer and the data


def with_footer(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the footer of a Parquet file."""
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    footer = change(content[-8 - length : -8])
    path.write_bytes(content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")


def thrift(number: int) -> bytes:
    """A number as Thrift's compact protocol has it in a footer."""
    number, parts = 2 * number, []
    while number > 127:
        parts.append(128 | number & 127)
        number >>= 7
    return bytes([*parts, number])


@pytest.mark.parametrize("said", [0, 7, 10**9])
def test_a_footer_that_says_another_number_of_rows_is_refused(tmp_path: Path, said: int) -> None:
    """Regression: files whose footer says a billion rows, or none, took the place of the good copy."""
    path = tmp_path / "file.parquet"
    pq.write_table(month_of_rows(2_500), path)
    of_file = b"\x16" + thrift(2_500) + b"\x19"  # the field num_rows, before the list of row groups
    with_footer(path, lambda footer: footer.replace(of_file, b"\x16" + thrift(said) + b"\x19", 1))
    assert pq.read_metadata(path).num_rows == said
    with pytest.raises(UnusableFileError, match=f"its Parquet footer says {said:,} rows"):
        verify_trip_file(path, GREEN)
    with pytest.raises(UnusableFileError, match=f"its Parquet footer says {said:,} rows"):
        judge_trip_file(path, GREEN, FEBRUARY, accepted=True)


def test_a_row_group_that_says_another_number_of_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    pq.write_table(month_of_rows(2_500), path)
    with_footer(path, lambda footer: footer.replace(b"\x16" + thrift(2_500), b"\x16" + thrift(2_000), 1))
    with_footer(path, lambda footer: footer)
    with pytest.raises(UnusableFileError, match=r"its Parquet footer says 2,\d00 rows, but "):
        verify_trip_file(path, GREEN)


def test_a_text_longer_than_any_real_one_is_refused_before_it_is_unfolded(tmp_path: Path) -> None:
    """Regression: a file of 226 KB, with a flag of a megabyte in each row, took 5 GB and 123 s, and was accepted."""
    path = tmp_path / "file.parquet"
    flag = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array(["Y" * 1_000_000]))
    pq.write_table(month_of_rows(100_000).append_column("store_and_fwd_flag", flag), path)
    assert path.stat().st_size < 3_000_000
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(UnusableFileError, match="store_and_fwd_flag has a text of 1,000,000 bytes; no month has one"):
        judge_trip_file(path, GREEN, FEBRUARY)
    assert pa.default_memory_pool().max_memory() - before < 300 << 20
    _, rows = first_rows(path, 3)
    assert len(rows[0][-1]) < 300, "the preview is bounded, too"


def test_a_file_that_would_unfold_to_more_than_any_month_is_refused_by_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    flags = pa.array([f"{n:02}" + "Y" * 400_000 for n in range(60)])
    table = month_of_rows(60).append_column("store_and_fwd_flag", flags)
    pq.write_table(table, path, use_dictionary=False, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(UnusableFileError, match=r"it would unfold to 2\d,\d+,\d+ bytes for 60 rows"):
        verify_trip_file(path, GREEN)


# Columns of the same name


def test_of_two_columns_with_one_name_the_one_with_values_is_taken(tmp_path: Path) -> None:
    """Regression: the first by position won, without a word, and all trips went to zone 1."""
    path = tmp_path / "file.parquet"
    empty = pa.nulls(200, pa.float64())
    both = GOOD.append_column("pulocationid", empty).append_column("Fare_amount ", empty)
    pq.write_table(both.select(["pulocationid", "Fare_amount ", *GOOD.column_names]), path)
    found = positions_of(path, GREEN.sources_in(pq.read_schema(path).names))
    assert (found["pulocationid"], found["fare_amount"], found["vendorid"]) == (5, 11, 2)
    as_text = pa.array([f"{fare:.3f}" for fare in GOOD["fare_amount"].to_pylist()])
    for same in (GOOD["fare_amount"], GOOD["fare_amount"].cast(pa.int64()), as_text):
        pq.write_table(GOOD.append_column("fare_Amount", same), path)
        assert positions_of(path, GREEN.sources_in(GOOD.column_names))["fare_amount"] == 9, "they hold the same"
    different = pa.array([1.0, *GOOD["fare_amount"].to_pylist()[1:]])
    for name in ("fare_Amount", "fare_amount"):
        columns = [*GOOD.columns, different]
        pq.write_table(pa.Table.from_arrays(columns, names=[*GOOD.column_names, name]), path)
        with pytest.raises(UnusableFileError, match=f"its columns 'fare_amount' and '{name}' are the same col"):
            judge_trip_file(path, GREEN, FEBRUARY)


def test_of_a_column_and_its_other_name_the_one_with_values_is_taken(tmp_path: Path) -> None:
    """Regression: the CSVs of fhv of 2018 have both names; the base numbers under the second were lost."""
    times = [datetime(2023, 2, 1 + n % 28, 8) for n in range(200)]
    table = pa.table(
        {
            "Pickup_DateTime": times,
            "PUlocationID": [1.0] * 200,
            "DOlocationID": [2.0] * 200,
            "Dispatching_base_number": ["B00254"] * 200,
            "Dispatching_base_num": [""] * 200,
        }
    )
    path = tmp_path / "file.parquet"
    pq.write_table(table, path)
    judge_trip_file(path, FHV, FEBRUARY)
    assert positions_of(path, FHV.sources_in(table.column_names))["dispatching_base_num"] == 3


def test_a_file_of_another_fleet_with_the_needed_columns_is_refused(tmp_path: Path) -> None:
    """Regression: a month of fhv under the name of fhvhv took the place of Uber's trips, with exit code 0."""
    for fleet, other in (("fhv", "fhvhv"), ("fhvhv", "fhv")):
        write_mirror(tmp_path, Days(FEBRUARY, FEBRUARY), fleet=fleet, trips_per_day=50)
        path = tmp_path / "trip-data" / FLEETS[fleet].file_name(FEBRUARY)
        with pytest.raises(
            UnlikelyFileError, match=f"it can't be the {other} trips .* its columns are those of {fleet}"
        ):
            judge_trip_file(path, FLEETS[other], FEBRUARY)
        judge_trip_file(path, FLEETS[other], FEBRUARY, accepted=True)


def test_a_byte_order_mark_and_words_for_nothing_are_nothing(tmp_path: Path) -> None:
    """As text of Windows, data frames and dumps of databases have them."""
    words = ["nan", "None", "NULL", "<NA>", "NaT", "\\N", " "]
    table = month_of_rows(passenger_count=[words[n % 7] if n % 2 else "1" for n in range(200)])
    table = table.rename_columns(["\ufeff" + name if name == "VendorID" else name for name in table.column_names])
    files = LocalFolder(tmp_path)
    pq.write_table(table, tmp_path / "mirror.parquet")
    judge_trip_file(tmp_path / "mirror.parquet", GREEN, FEBRUARY)
    fetch((tmp_path / "mirror.parquet").as_uri(), files, FILE, verify=lambda _: None)
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    warehouse.change(load_days, GREEN, [MONTH], files)
    with warehouse.read() as session:
        assert session.row("SELECT count(vendor_id), count(passenger_count), count(*) FROM trips") == (200, 100, 200)
        assert session.row("SELECT sum(num_unfit) FROM loaded_days") == (0,)


def test_a_version_without_days_that_had_trips_is_refused(tmp_path: Path) -> None:
    """Regression: green 2023-01 without its last ten days lost less than a third of its rows, and emptied them."""
    whole, part = (
        month_of_rows(1200, **{PICKUP: [datetime(2023, 2, 1 + n % days, 8) for n in range(1200)]}) for days in (28, 21)
    )
    mirror = tmp_path / "mirror" / "trip-data" / FLEETS["green"].file_name(FEBRUARY)
    mirror.parent.mkdir(parents=True)
    files, warehouse = LocalFolder(tmp_path / "data"), DuckDBWarehouse(tmp_path / "data.duckdb")
    pq.write_table(whole, mirror)
    fetched(tmp_path / "mirror", files)
    warehouse.change(load_days, GREEN, [MONTH], files)
    pq.write_table(part, mirror)
    lost = "it has pickups on 21 days of the month, where the version before has 28"
    with pytest.raises(FetchError, match=lost):
        fetched(tmp_path / "mirror", files)
    files.delete(FILE)
    fetched(tmp_path / "mirror", files)
    with pytest.raises(UnlikelyFileError, match=f"{lost}. The loaded days were left as they are"):
        warehouse.change(load_days, GREEN, [MONTH], files)
    warehouse.change(load_days, GREEN, [MONTH], files, accepted=["green/2023-02"])


# What is loaded stays


def fetched(mirror: Path, files: LocalFolder, *, accepted: bool = False) -> None:
    """Fetch green's February as the asset does."""
    tlc = TlcSource(url=mirror.as_uri(), zones_url="", fleets=["green"])

    def judge(path: Path, fleet: Fleet, month: date) -> None:
        judge_download(path, fleet, month, files, accepted=accepted)

    tlc.fetch_trips(GREEN, FEBRUARY, files, judge=judge)


def test_what_is_refused_leaves_the_copy_and_what_is_accepted_replaces_it(tmp_path: Path) -> None:
    mirror, files = tmp_path / "mirror", LocalFolder(tmp_path / "data")
    path = mirror / "trip-data" / "green_tripdata_2023-02.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(GOOD, path)
    fetched(mirror, files)
    copy = files.read(FILE)
    pq.write_table(GOOD.slice(0, 100), path)
    with pytest.raises(FetchError, match=r"it has 100 rows, where the version before has 200.*nothing changed"):
        fetched(mirror, files)
    assert files.read(FILE) == copy
    fetched(mirror, files, accepted=True)
    assert files.read(FILE) == path.read_bytes()


def test_loaded_days_do_not_shrink_when_the_copy_is_gone(tmp_path: Path) -> None:
    mirror, files = tmp_path / "mirror", LocalFolder(tmp_path / "data")
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    path = mirror / "trip-data" / "green_tripdata_2023-02.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(GOOD, path)
    fetched(mirror, files)
    warehouse.change(load_days, GREEN, [MONTH], files)
    shutil.rmtree(tmp_path / "data" / "raw")
    pq.write_table(GOOD.slice(0, 100), path)
    fetched(mirror, files)
    with pytest.raises(UnlikelyFileError, match=r"version before has 200.* TAXI_ACCEPT=green/2023-02"):
        warehouse.change(load_days, GREEN, [MONTH], files)
    assert warehouse.query(lambda session: session.row("SELECT count(*) FROM trips")) == (200,)
    warehouse.change(load_days, GREEN, [MONTH], files, accepted=["green/2023-02"])
    assert warehouse.query(lambda session: session.row("SELECT count(*) FROM trips")) == (100,)


def test_errors_of_the_engine_while_it_reads_are_that_files_failure(tmp_path: Path) -> None:
    """Regression: an InvalidInputException or OutOfMemoryException ended the run, and the other fleets with it."""
    path = tmp_path / "file.parquet"
    pq.write_table(month_of_rows(50_000), path, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-footer] = bytes(len(content) - 4 - footer)
    path.write_bytes(content)
    file = PublishedFile(path=path, uri=path.as_uri(), sha256="", num_rows=50_000)
    sources = GREEN.sources_in(list(good_row()))
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with (
        pytest.raises(UnusableFileError, match=r"file can't be loaded: .*Nothing was changed"),
        warehouse.write() as session,
        session.reading("file"),
    ):
        session.view_published_trips(file, sources)
        session.rows("SELECT sum(fare_amount), count(vendor_id), max(pickup_datetime) FROM published_trips")


# Real months


def _figures_beside_the_limits(path: Path, month: str) -> tuple[int, bool, int, bool]:
    """Repeated rows, whether few pickups are at midnight, days without pickups, whether each trip has all values."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW trips AS FROM '{path}'")
        columns = [name for (name, *_) in connection.execute("DESCRIBE trips").fetchall()]
        pickup, dropoff = columns[1:3]
        (found,) = connection.execute(
            f"SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT * FROM trips)), "
            f"avg(({pickup} = date_trunc('day', {pickup}))::INT) < 0.0003, "
            f"day(last_day(DATE '{month}-01')) "
            f"- count(DISTINCT {pickup}::DATE) FILTER (WHERE strftime({pickup}, '%Y-%m') = '{month}'), "
            f"bool_and({dropoff} IS NOT NULL AND trip_distance IS NOT NULL AND fare_amount IS NOT NULL "
            "AND total_amount IS NOT NULL AND PULocationID IS NOT NULL AND DOLocationID IS NOT NULL) FROM trips"
        ).fetchall()
    return found


@pytest.mark.real_data
def test_every_real_month_is_accepted_with_far_less_than_the_limits(real_tlc: Path) -> None:
    files = sorted((real_tlc / "trip-data").glob("*.parquet"))
    assert len(files) >= 17
    for path in files:
        fleet, _, month = path.stem.partition("_tripdata_")
        judge_trip_file(path, FLEETS[fleet], date.fromisoformat(f"{month}-01"))
        assert _figures_beside_the_limits(path, month) == (0, True, 0, True), path
    again = real_tlc / "republished" / "green_tripdata_2024-01.parquet"
    judge_trip_file(again, GREEN, date(2024, 1, 1), before=Before(56_551, 28))


@pytest.mark.real_data
def test_no_real_month_is_taken_for_the_month_after(real_tlc: Path) -> None:
    for path in sorted((real_tlc / "trip-data").glob("*.parquet")):
        fleet, _, month = path.stem.partition("_tripdata_")
        after = Days.of_month(date.fromisoformat(f"{month}-01")).last + timedelta(days=1)
        with pytest.raises(UnlikelyFileError, match="_pickup_datetime lies outside of the month in"):
            judge_trip_file(path, FLEETS[fleet], after)


@pytest.mark.real_data
def test_a_real_month_as_an_export_is_refused(real_tlc: Path, tmp_path: Path) -> None:
    """Green 2023-01 in the form of NYC Open Data's exports: 68,211 rows rejected, none loaded."""
    table = pq.read_table(real_tlc / "trip-data" / "green_tripdata_2023-01.parquet")
    for name in (PICKUP, DROPOFF):
        table = table.set_column(table.schema.get_field_index(name), name, as_american(table[name]))
    pq.write_table(table, tmp_path / "file.parquet")
    with pytest.raises(UnlikelyFileError, match="lpep_pickup_datetime is not readable in 68,211 of 68,211"):
        judge_trip_file(tmp_path / "file.parquet", GREEN, date(2023, 1, 1))
