"""Fleets' columns, and telling files of trips from everything else that servers send."""

import struct
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.tlc.file_schemas import published_schema
from taxi_pipeline.tlc.fleets import FHV, FHVHV, GREEN, YELLOW, Fleet, MissingColumnsError
from taxi_pipeline.tlc.trip_files import (
    UnusableFileError,
    describe_content,
    first_rows,
    read_trip_file,
    verify_trip_file,
)

YELLOW_2023 = (
    "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance RatecodeID "
    "store_and_fwd_flag PULocationID DOLocationID payment_type fare_amount extra mta_tax tip_amount tolls_amount "
    "improvement_surcharge total_amount congestion_surcharge Airport_fee"
).split()


def test_the_preview_leaves_out_a_column_that_unfolds_to_gigabytes(tmp_path: Path) -> None:
    """Regression: one text of 150 MB in a column that is not loaded took 2.5 GB, after the file was accepted."""
    note = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int32()), pa.array(["x" * 20_000_000]))
    pq.write_table(pa.table({"note": note, "n": list(range(100))}), tmp_path / "f.parquet", compression="zstd")
    assert (tmp_path / "f.parquet").stat().st_size < 100_000
    assert first_rows(tmp_path / "f.parquet", 2) == (["n"], [[0], [1]])


def test_columns_are_found_whatever_their_case() -> None:
    sources = YELLOW.sources_in(YELLOW_2023)
    assert sources["airport_fee"].names == ("airport_fee",)
    assert set(YELLOW.eras[-1].sources) - set(sources) == {"cbd_congestion_fee", "request_source"}
    assert YELLOW.unknown_columns(YELLOW_2023) == []


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MissingColumnsError, match=r"lacks the column\(s\) PULocationID; it has VendorID"):
        YELLOW.sources_in([name for name in YELLOW_2023 if name not in ("PULocationID", "total_amount")])


def test_only_the_time_and_the_places_of_a_trip_are_needed() -> None:
    """Regression: fhv without SR_Flag, as in the CSVs of 2017, was refused, and fhvhv for 13 columns."""
    places = ["PULocationID", "DOLocationID"]
    for fleet, pickup in ((YELLOW, "tpep_pickup_datetime"), (FHV, "pickup_datetime"), (FHVHV, "pickup_datetime")):
        assert set(fleet.sources_in([pickup, *places])) == {"pickup_datetime", "pickup_zone_id", "dropoff_zone_id"}
    of_2017 = ["Dispatching_base_num", "Pickup_DateTime", "DropOff_datetime", *places]
    assert FHV.absent_columns(of_2017, date(2017, 3, 1)) == ["SR_Flag", "Affiliated_base_number"]
    lacking = [name for name in YELLOW_2023 if name not in ("total_amount", "Airport_fee")]
    assert YELLOW.absent_columns(lacking, date(2021, 3, 1)) == ["total_amount"], "the fee began in April 2021"
    assert YELLOW.absent_columns(lacking, date(2021, 4, 1)) == ["total_amount", "airport_fee"]


BIGQUERY = (
    "vendor_id pickup_datetime dropoff_datetime passenger_count trip_distance rate_code store_and_fwd_flag "
    "payment_type fare_amount extra mta_tax tip_amount tolls_amount imp_surcharge airport_fee total_amount "
    "pickup_location_id dropoff_location_id data_file_year data_file_month"
).split()


def test_the_nearest_era_is_that_of_what_is_there() -> None:
    """Regression: a file with pickup_location_id was told that it lacks pickup_longitude."""
    lacks = r"lacks the column\(s\) tpep_pickup_datetime, PULocationID, DOLocationID; .* those since 2011-01"
    with pytest.raises(MissingColumnsError, match=lacks):
        YELLOW.sources_in(BIGQUERY)


def test_the_columns_of_a_file_in_a_message_are_bounded() -> None:
    with pytest.raises(MissingColumnsError, match=r"and 9,941 more\.") as raised:
        YELLOW.sources_in(["x" * 1000, *(f"column_{n}" for n in range(10_000))])
    assert len(str(raised.value)) < 3000


def test_blanks_around_names_are_ignored() -> None:
    """The TLC's own headers have `Trip_type ` and ` pickup_datetime`."""
    names = ["lpep_pickup_datetime ", " PULocationID", "\tDOLocationID", "Trip_type "]
    assert {"pickup_datetime", "pickup_zone_id", "trip_type"} <= set(GREEN.sources_in(names))
    assert GREEN.unknown_columns(names) == []


def test_a_file_of_another_fleet_is_refused() -> None:
    with pytest.raises(MissingColumnsError, match="lpep_pickup_datetime"):
        GREEN.sources_in(YELLOW_2023)


def test_an_unknown_column_is_named() -> None:
    assert YELLOW.unknown_columns([*YELLOW_2023, "a_new_column"]) == ["a_new_column"]


def test_a_page_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    """The page still decodes, to another number: only its checksum tells."""
    path = tmp_path / "file.parquet"
    schema = published_schema("green", date(2023, 2, 1))
    columns = {field.name: pa.nulls(1000, field.type) for field in schema}
    columns["fare_amount"] = pa.array([1234.5] * 1000)
    pq.write_table(
        pa.table(columns),
        path,
        use_dictionary=False,
        compression="none",
        write_page_checksum=True,
        write_statistics=False,
    )
    verify_trip_file(path, GREEN)
    content = bytearray(path.read_bytes())
    position = content.index(struct.pack("<d", 1234.5))
    content[position] ^= 1
    path.write_bytes(content)
    assert pq.read_table(path, columns=["fare_amount"])["fare_amount"][0].as_py() not in (None, 1234.5)
    with pytest.raises(UnusableFileError, match="its data can't be read"):
        verify_trip_file(path, GREEN)


@pytest.mark.real_data
def test_every_real_file_has_the_declared_columns_and_no_others(real_tlc: Path) -> None:
    files = sorted((real_tlc / "trip-data").glob("*.parquet"))
    assert len(files) >= 17
    for path in files:
        fleet = YELLOW if path.name.startswith("yellow") else GREEN
        content = read_trip_file(path)
        lacking = set(fleet.eras[-1].sources) - set(fleet.sources_in(content.columns))
        later = {"congestion_surcharge", "airport_fee", "cbd_congestion_fee", "request_source"}
        assert lacking <= later, path.name
        assert fleet.unknown_columns(content.columns) == [], path.name
        assert not content.synthetic


@pytest.mark.real_data
def test_sample_schemas_are_those_of_the_real_files(real_tlc: Path) -> None:
    """The sample's eras are written down by hand; the real files say whether they are right."""
    for path in sorted((real_tlc / "trip-data").glob("*.parquet")):
        fleet, _, month = path.stem.partition("_tripdata_")
        real = pq.read_schema(path).remove_metadata()
        # Files of before 2023 carry large_string or string depending on the writer: it is text either way.
        as_text = [f.with_type(pa.string()) if pa.types.is_large_string(f.type) else f for f in real]
        expected = published_schema(fleet, date.fromisoformat(f"{month}-01"))
        assert [(f.name, f.type) for f in as_text] == [(f.name, f.type) for f in expected], path.name


def _trips(path: Path, fleet: Fleet = YELLOW, rows: int = 1000) -> Path:
    sources = fleet.eras[-1].sources
    columns = {source.names[0]: pa.array(range(rows), pa.int64()) for source in sources.values()}
    columns[sources["pickup_datetime"].names[0]] = pa.array(range(rows), pa.timestamp("us"))
    pq.write_table(pa.table(columns), path, compression="none", use_dictionary=False)
    return path


def test_a_sound_file_is_accepted(tmp_path: Path) -> None:
    path = _trips(tmp_path / "x.parquet")
    verify_trip_file(path, YELLOW)
    assert read_trip_file(path).num_rows == 1000


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE HTML><HTML><TITLE>ERROR</TITLE>403 ERROR", "HTML or XML page: <!DOCTYPE HTML>"),
        (b'{"code": "not_found", "error": true}', "JSON: .*not_found"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git-LFS pointer"),
        (b"\x00\x01garbage", "bytes that start with"),
        (b"\x1f\x8b\x08\0", "a gzip file"),
        (b"PK\x03\x04\x14\0", "a zip archive"),
        ("VendorID,total".encode("utf-16"), "text in UTF-16: write it as UTF-8"),
        ("VendorID;total\r\n1;2,5 €\r\n".encode(), "text: VendorID;total 1;2,5 €"),
    ],
)
def test_what_is_no_parquet_file_is_named_for_what_it_is(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=named):
        verify_trip_file(path, YELLOW)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "named"), [("blocked_by_cloudfront_403.html", "HTML"), ("retired_dataset_404.json", "JSON")]
)
def test_what_servers_really_sent_is_named(real_tlc: Path, name: str, named: str) -> None:
    assert named in describe_content(real_tlc / "broken" / name)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = _trips(tmp_path / "x.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnusableFileError, match="truncated or damaged Parquet file"):
        verify_trip_file(path, YELLOW)


def test_a_sound_footer_over_lost_data_is_noticed(tmp_path: Path) -> None:
    """Regression: such a file is in circulation; counting its rows succeeds, reading a column fails."""
    path = _trips(tmp_path / "x.parquet")
    content = bytearray(path.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-footer] = bytes(len(content) - 4 - footer)
    path.write_bytes(content)
    assert read_trip_file(path).num_rows == 1000
    with pytest.raises(UnusableFileError, match="data can't be read"):
        verify_trip_file(path, YELLOW)


def test_a_damaged_page_of_any_needed_column_is_noticed(tmp_path: Path) -> None:
    """Regression: only the pickup times were decoded, and the load failed on the rest for ever after."""
    path = _trips(tmp_path / "x.parquet")
    with pq.ParquetFile(path) as file:
        position = file.metadata.schema.names.index("total_amount")
        page = file.metadata.row_group(0).column(position).data_page_offset
    content = bytearray(path.read_bytes())
    content[page : page + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match="data can't be read"):
        verify_trip_file(path, YELLOW)


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("tpep_pickup_datetime", pa.timestamp("us", tz="UTC")),
        ("tpep_dropoff_datetime", pa.timestamp("us", tz="America/New_York")),
        ("fare_amount", pa.list_(pa.float64())),
    ],
)
def test_a_type_that_could_only_be_guessed_at_is_refused(tmp_path: Path, name: str, type_: pa.DataType) -> None:
    """Times with a time zone would be read as the machine's own wall time, another on each machine."""
    table = pq.read_table(_trips(tmp_path / "x.parquet"))
    column = table.schema.get_field_index(name)
    pq.write_table(table.set_column(column, name, pa.nulls(len(table), type_)), tmp_path / "x.parquet")
    with pytest.raises(UnusableFileError, match=f"its column {name} is of type .* without time zone is expected"):
        verify_trip_file(tmp_path / "x.parquet", YELLOW)
