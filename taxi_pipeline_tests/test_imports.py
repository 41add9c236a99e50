"""Files of somebody's own: told by their content, converted to the published form, refused with a reason."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.imports import originals
from taxi_pipeline.imports.headers import columns_of, squeezed
from taxi_pipeline.imports.importing import ImportedMonth, RefusedFileError, import_file
from taxi_pipeline.refresh_plan import plan_refresh
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.storage.row_groups import write_row_groups
from taxi_pipeline.storage.scratch import Scratch
from taxi_pipeline.tlc.download import published_version, trips_url
from taxi_pipeline.tlc.fetch_note import read_note
from taxi_pipeline.tlc.file_schemas import published_schema
from taxi_pipeline.tlc.fleets import FLEETS, GREEN, YELLOW
from taxi_pipeline.tlc.held_months import forget_imported
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import TlcSource, trips_file
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline_tests.csv_forms import FORMS, Form, zipped
from taxi_pipeline_tests.era_files import PUBLISHED, Published
from taxi_pipeline_tests.real_months import load_month

JANUARY = date(2023, 1, 1)
FILE = trips_file(GREEN, JANUARY)


class Imports:
    """A storage of its own, into which files are imported."""

    def __init__(self, folder: Path, fleets: Sequence[str] = tuple(FLEETS), url: str = "file:///nowhere") -> None:
        self.folder = folder
        self.files = LocalFolder(folder / "data")
        self.tlc = TlcSource(url=url, zones_url=f"{url}/misc/taxi_zones.zip", fleets=fleets)
        folder.mkdir(exist_ok=True)

    def take(self, content: bytes, name: str = "my trips.csv", **options: Any) -> ImportedMonth:
        """Import a file with this content."""
        path = self.folder / name
        path.write_bytes(content)
        return import_file(path, self.files, self.tlc, Scratch(self.folder / "scratch"), **options)

    def raw(self) -> list[str]:
        """What lies in `raw/`, but for locks."""
        return sorted(path.name for path in (self.folder / "data" / "raw").glob("*") if path.name != ".locks")

    def stored(self, fleet: str = "green", month: str = "2023-01") -> Path:
        """The file of a month."""
        return self.folder / "data" / "raw" / f"{fleet}_tripdata_{month}.parquet"


@pytest.fixture
def imports(tmp_path: Path) -> Imports:
    return Imports(tmp_path / "imports")


@pytest.fixture(scope="session")
def green_month(mirror: Path) -> pa.Table:
    """A whole month of few synthetic trips, in the published form."""
    table = pq.read_table(mirror / "trip-data" / "green_tripdata_2023-01.parquet")
    return table.replace_schema_metadata(None)


def differences(one: Path | pa.Table, other: Path | pa.Table) -> int:
    """Rows that only one of two tables has, of the columns of the first."""
    first, second = (pq.read_table(found) if isinstance(found, Path) else found for found in (one, other))
    names = ", ".join(f'"{name}"' for name in first.column_names)
    with duckdb.connect() as connection:
        connection.register("first", first)
        connection.register("second", second)
        sides = (("first", "second"), ("second", "first"))
        only_here = "SELECT count(*) FROM (SELECT {0} FROM {1} EXCEPT ALL SELECT {0} FROM {2})"
        return sum(connection.execute(only_here.format(names, *both)).fetchall()[0][0] for both in sides)


def types_of(schema: pa.Schema) -> dict[str, str]:
    """Name → type. A text is one, whether its offsets have 32 or 64 bits."""
    return {field.name: str(field.type).removeprefix("large_") for field in schema}


# Forms


@pytest.mark.parametrize("name", list(FORMS))
def test_every_form_becomes_the_published_file(imports: Imports, green_month: pa.Table, name: str) -> None:
    """Fleet and month are told by the content, and the file says nothing of the form that it came in."""
    found = imports.take(FORMS[name].write(green_month), "export (1).dat")
    assert (found.fleet, found.month, found.num_rows) == ("green", JANUARY, green_month.num_rows)
    assert differences(green_month, imports.stored()) == 0
    expected = types_of(published_schema("green", JANUARY))
    written = types_of(pq.read_schema(imports.stored()))
    assert {column: written[column] for column in expected} == expected
    assert found.unknown_columns == (("my note",) if name == "a column of somebody's" else ())
    assert list(written)[: len(expected)] == list(expected)


def test_there_are_two_dozen_forms() -> None:
    assert len(FORMS) >= 24


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: f"{one.fleet} {one.month} {len(one.columns)}")
def test_every_era_survives_csv(imports: Imports, published: Published, tmp_path: Path) -> None:
    """The columns of each era, with types as they were published; a CSV of the TLC's own has its own names."""
    original = pq.read_table(published.write(tmp_path))
    found = imports.take(Form().write(original))
    assert (found.fleet, found.month) == (published.fleet, published.first_day)
    written = pq.read_table(imports.stored(published.fleet, published.month))
    names = {squeezed(name): name for name in written.column_names}
    for column in original.column_names:
        if column == "__index_level_0__":
            continue  # the numbers of a data frame's rows
        values, again = original[column].to_pylist(), written[names[squeezed(column)]].to_pylist()
        assert [plain(value) for value in values] == [plain(value) for value in again], column
    if not published.of_csv and not published.unknown and len(written.column_names) == len(original.column_names):
        assert types_of(written.schema) == types_of(original.schema)


def plain(value: Any) -> Any:
    """A value whatever its type: a former CSV has as text what the published file has as number."""
    text = str(value or "")
    return float(text) if text.replace(".", "", 1).isdigit() else text


OWN_CSVS = {
    "yellow 2009": (
        "yellow",
        "2009-06",
        "vendor_name,Trip_Pickup_DateTime,Trip_Dropoff_DateTime,Passenger_Count,Trip_Distance,Start_Lon,Start_Lat,"
        "Rate_Code,store_and_forward,End_Lon,End_Lat,Payment_Type,Fare_Amt,surcharge,mta_tax,Tip_Amt,Tolls_Amt,Total_Amt",
        "VTS,2009-06-14 23:23:00,2009-06-14 23:48:00,1,17.52,-73.787442,40.641525,,,-73.980072,40.742963,Credit,45,0,,"
        "9,4.15,58.15",
    ),
    "yellow 2013, blanks and a blank line": (
        "yellow",
        "2013-04",
        "vendor_id, pickup_datetime, dropoff_datetime, passenger_count, trip_distance, pickup_longitude,"
        " pickup_latitude, rate_code, store_and_fwd_flag, dropoff_longitude, dropoff_latitude, payment_type,"
        " fare_amount, surcharge, mta_tax, tip_amount, tolls_amount, total_amount\r\n",
        "CMT,2013-04-04 18:47:45,2013-04-04 19:00:25,1,2.5,-73.957855,40.76532,1,N,-73.976274,40.785647,CRD,11,1,0.5,"
        "2.5,0,15",
    ),
    "yellow 2015, coordinates": (
        "yellow",
        "2015-01",
        "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,pickup_longitude,"
        "pickup_latitude,RateCodeID,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,extra,"
        "mta_tax,tip_amount,tolls_amount,improvement_surcharge,total_amount",
        "2,2015-01-15 19:05:39,2015-01-15 19:23:42,1,1.59,-73.993896484375,40.750110626220703,1,N,-73.974784851074219,"
        "40.750617980957031,1,12,1,0.5,3.25,0,0.3,17.05",
    ),
    "yellow 2016, NYC Open Data": (
        "yellow",
        "2016-08",
        "vendorid,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,ratecodeid,"
        "store_and_fwd_flag,pulocationid,dolocationid,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
        "imp_surcharge,total_amount",
        "1,08/01/2016 12:00:08 AM,08/01/2016 12:10:30 AM,1,2.1,1,N,230,238,1,9.5,0.5,0.5,2.15,0,0.3,12.95",
    ),
    "green 2014, with more commas than names": (
        "green",
        "2014-03",
        "VendorID,lpep_pickup_datetime,Lpep_dropoff_datetime,Store_and_fwd_flag,RateCodeID,Pickup_longitude,"
        "Pickup_latitude,Dropoff_longitude,Dropoff_latitude,Passenger_count,Trip_distance,Fare_amount,Extra,MTA_tax,"
        "Tip_amount,Tolls_amount,Ehail_fee,Total_amount,Payment_type,Trip_type \r\n",
        "2,2014-03-01 00:05:00,2014-03-01 20:06:00,N,1,-73.9,40.8,-73.95,40.79,1,3.58,14.5,0.5,0.5,0,0,,15.5,2,,,",
    ),
    "fhv 2015, pickups only": (
        "fhv",
        "2015-02",
        "Dispatching_base_num,Pickup_date,locationID",
        "B00013,2015-02-01 00:30:00,132",
    ),
    "fhv 2017": (
        "fhv",
        "2017-05",
        '"Dispatching_base_num","Pickup_DateTime","DropOff_datetime","PUlocationID","DOlocationID"',
        '"B00013","2017-05-01 00:02:00","2017-05-01 00:20:00","132","48"',
    ),
    "fhv 2018": (
        "fhv",
        "2018-03",
        '"Pickup_DateTime","DropOff_datetime","PUlocationID","DOlocationID","SR_Flag","Dispatching_base_number",'
        "Dispatching_base_num",
        '"2018-03-01 00:02:00","2018-03-01 00:20:00","132","48",,"","B00013"',
    ),
    "fhvhv 2019": (
        "fhvhv",
        "2019-06",
        "hvfhs_license_num,dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag",
        "HV0003,B02867,2019-06-01 00:05:18,2019-06-01 00:14:50,245,251,1",
    ),
}
"""Name → fleet, month, header and row, as the TLC's and NYC Open Data's CSVs have them."""


@pytest.mark.parametrize("name", list(OWN_CSVS))
def test_csvs_as_they_were_published(imports: Imports, name: str) -> None:
    """Their columns are kept, and the file can be loaded as it is."""
    fleet, month, header, row = OWN_CSVS[name]
    found = imports.take(f"{header}\r\n{row}\r\n".encode())
    assert (found.fleet, f"{found.month:%Y-%m}", found.num_rows) == (fleet, month, 1)
    written = imports.stored(fleet, month)
    sources = FLEETS[fleet].sources_in(pq.read_schema(written).names)
    assert {"pickup_datetime", "pickup_zone_id", "dropoff_zone_id"} <= set(sources)
    (values,) = pq.read_table(written).to_pylist()
    pickup = values[FLEETS[fleet].sources_in(list(values))["pickup_datetime"].names[0]]
    assert str(pickup).startswith(month)
    if fleet != "fhvhv":
        assert found.unknown_columns == ()


def test_times_of_2009_stay_text_in_the_form_of_then(imports: Imports) -> None:
    fleet, month, header, row = OWN_CSVS["yellow 2009"]
    american = row.replace("2009-06-14 23:23:00", "06/14/2009 11:23:00 PM")
    imports.take(f"{header}\n{american}\n".encode())
    schema = pq.read_schema(imports.stored(fleet, month))
    assert types_of(schema)["Trip_Pickup_DateTime"] == "string"
    assert pq.read_table(imports.stored(fleet, month))["Trip_Pickup_DateTime"].to_pylist() == ["2009-06-14 23:23:00"]


def test_a_value_that_fits_no_type_is_kept_as_it_was(imports: Imports, green_month: pa.Table) -> None:
    """Nothing is guessed and nothing lost: the column stays text, and the load counts the value."""
    rows = Form().write(green_month).decode().splitlines()
    names = rows[0].split(",")
    first = rows[1].split(",")
    first[names.index("tip_amount")] = "$3.00"
    first[names.index("VendorID")] = "1.5"
    imports.take("\n".join([rows[0], ",".join(first), *rows[2:]]).encode())
    table = pq.read_table(imports.stored())
    assert str(table.schema.field("tip_amount").type) == "string"
    assert table["tip_amount"][0].as_py() == "$3.00"
    assert table["VendorID"][0].as_py() == 1.5
    warehouse = DuckDBWarehouse(imports.folder / "data.duckdb")
    warehouse.change(load_days, GREEN, [Days.of_month(JANUARY)], imports.files)
    with warehouse.read() as session:
        ((num, trips),) = session.rows("SELECT sum(num_unfit), sum(num_trips) FROM loaded_days")
    assert (num, trips) == (2, green_month.num_rows)


@pytest.mark.parametrize(
    "form", ["%m/%d/%y %H:%M:%S", "%m/%d/%y %H:%M", "%m/%d/%y %I:%M %p", "%m/%d/%y %I:%M:%S %p", "%m/%d/%Y %I:%M %p"]
)
def test_years_of_two_digits_are_of_this_century(imports: Imports, form: str) -> None:
    """Regression: DuckDB reads 23 as the year 23 where four digits are asked for, so trips ended in the year 23."""
    times = [datetime(2023, 1, 5, n % 24, n % 60) for n in range(120)]
    written = [time.strftime(form) for time in times]
    imports.take(csv_of(trips(120, lpep_pickup_datetime=written, lpep_dropoff_datetime=written)))
    found = pq.read_table(imports.stored())
    for name in ("lpep_pickup_datetime", "lpep_dropoff_datetime"):
        assert found[name].to_pylist() == times


@pytest.mark.parametrize("word", ["NA", "N/A", "#N/A", "-", "nil"])
def test_words_for_nothing_are_no_value(imports: Imports, word: str) -> None:
    """Regression: the flag of 188 trips was NA, as R writes it."""
    flags = [word, "N"] * 10
    imports.take(csv_of(trips(store_and_fwd_flag=flags, ehail_fee=[word] * 20)))
    found = pq.read_table(imports.stored())
    assert found["store_and_fwd_flag"].to_pylist() == [None, "N"] * 10
    assert found["ehail_fee"].null_count == 20


def test_a_parquet_file_is_stored_byte_for_byte(imports: Imports, mirror: Path) -> None:
    content = (mirror / "trip-data" / "green_tripdata_2023-02.parquet").read_bytes()
    found = imports.take(content, "download")
    assert (found.fleet, found.month) == ("green", date(2023, 2, 1))
    assert imports.stored("green", "2023-02").read_bytes() == content
    assert found.sha256 == found.origin.sha256


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, green_month: pa.Table) -> None:
    one, two = (Imports(tmp_path / name).take(Form().write(green_month)) for name in ("one", "two"))
    assert one.sha256 == two.sha256


def test_where_batches_end_changes_no_byte(tmp_path: Path) -> None:
    """Regression: on a busy machine DuckDB's batches end elsewhere, and a large file got other bytes each time."""
    rows = pa.table({"number": list(range(1000)), "word": [f"w{number % 7}" for number in range(1000)]})
    files: list[bytes] = []
    for cut in (1, 130, 999):
        path = tmp_path / f"{cut}.parquet"
        parts = [rows.slice(0, cut), rows.slice(cut, 0), rows.slice(cut)]
        assert write_row_groups(path, rows.schema, parts, row_group_rows=300) == 1000
        files.append(path.read_bytes())
        groups = pq.read_metadata(path)
        assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [300, 300, 300, 100]
        assert pq.read_table(path).equals(rows)
    assert len(set(files)) == 1


# Refusals


def trips(n: int = 20, month: str = "2023-01", **columns: Sequence[Any]) -> pa.Table:
    """Green trips of a month, one every hour from its 5th on."""
    times = [datetime.fromisoformat(f"{month}-05T08:00:00") + timedelta(hours=number) for number in range(n)]
    table = {
        "VendorID": [2] * n,
        "lpep_pickup_datetime": times,
        "lpep_dropoff_datetime": [at + timedelta(minutes=9) for at in times],
        "PULocationID": [74] * n,
        "DOLocationID": [75] * n,
        "trip_distance": [1.5] * n,
        "fare_amount": [10.0] * n,
        "total_amount": [12.5] * n,
        **columns,
    }
    return pa.table(table)


def csv_of(table: pa.Table) -> bytes:
    return Form().write(table)


def encrypted(content: bytes) -> bytes:
    """A zip whose entry is marked as encrypted, in its own head and in the list."""
    packed = bytearray(zipped(content))
    packed[6] |= 1
    packed[packed.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(packed)


def two_months() -> bytes:
    return csv_of(pa.concat_tables([trips(20), trips(40, "2023-02")]))


GOOD = csv_of(trips())
REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "blank": (b"\n \n\n", "it is empty"),
    "header only": (GOOD.splitlines()[0] + b"\n", "it has no rows: there is a header only"),
    "header and blank lines": (GOOD.splitlines()[0] + b"\n\n\n", "it has no rows"),
    "header and commas": (GOOD.splitlines()[0] + b"\n,,,,,,,\n", "it has no rows"),
    "no header": (b"\n".join(GOOD.splitlines()[1:]), "no fleet's trips have its columns"),
    "prose": (b"Dear Sir or Madam\nplease find enclosed\n", "it is no CSV with a header"),
    "a page": (b"<!DOCTYPE html><html><body>403</body></html>", "an HTML or XML page"),
    "JSON": (b'{"Message": "Not Found"}', "JSON"),
    "a git-LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a git-LFS pointer"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00" * 40, "neither a CSV nor a Parquet file"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "text in UTF-16: write it as UTF-8"),
    "Latin-1 in the header": ("Größe,a\n1,2\n".encode("latin-1"), "it is not in UTF-8"),
    "Latin-1 in a row": (csv_of(trips(note=["Größe"] * 20)).decode().encode("latin-1"), "it is not in UTF-8"),
    "half a row at the end": (GOOD.rstrip()[:-30], r"a row has another number of values .* \(8\).*Line: 21"),
    "half a value in quotes at the end": (Form(quoting=1).write(trips()).rstrip()[:-2], "Line: 21"),
    "a row that is too long": (GOOD + b"1,2,3,4,5,6,7,8,9,10\n", "a row has another number of values"),
    "rows longer than the header": (
        GOOD.replace(b"\n", b",9,8\n").replace(b"total_amount,9,8", b"total_amount"),
        "have a value in column 9, which has no name",
    ),
    "cut off gzip": (gzip.compress(GOOD)[:-20], "it is a damaged gzip file"),
    "gzip with a wrong sum": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "it is a damaged gzip file"),
    "gzip of nothing": (gzip.compress(b""), "it is empty"),
    "gzip in gzip": (gzip.compress(gzip.compress(GOOD)), "neither a CSV nor a Parquet file but a gzip file"),
    "gzip that unpacks to too much": (gzip.compress(b"0" * (64 << 20)), "it unpacks to more than"),
    "zip that unpacks to too much": (zipped(b"0" * (64 << 20)), "it unpacks to more than"),
    "cut off zip": (zipped(GOOD)[:-30], "it is a zip that can't be unpacked"),
    "empty zip": (zipped(b"", "a/"), "it is a zip with 0 files"),
    "encrypted zip": (encrypted(GOOD), "it is an encrypted zip"),
    "zip of several months": (zipped(GOOD, "2023-01.csv", "2023-02.csv"), "a zip with 2 files .*'2023-01.csv'"),
    "zip in a zip": (zipped(zipped(GOOD), "a.zip"), "neither a CSV nor a Parquet file but a zip archive"),
    "several months": (two_months(), "trips of several months .pickups: 40 in 2023-02, 20 in 2023-01"),
    "a year": (
        csv_of(pa.concat_tables([trips(20, f"2023-{number:02}") for number in range(1, 13)])),
        "of several months .* and others in 8 more months",
    ),
    "unknown columns": (b"a,b,c\n1,2,3\n", r"no fleet's trips have its columns \(a, b, c\)"),
    "without drop-off zones": (csv_of(trips().drop_columns("DOLocationID")), "no fleet's trips have its columns"),
    "a fleet that can't be told": (
        b"pickup_datetime,PULocationID,DOLocationID\n2020-01-05 08:00:00,1,2\n",
        "its fleet can't be told: .* fhv and fhvhv",
    ),
    "before the fleet": (csv_of(trips(month="2012-01")), "the TLC has green trips from 2013-08 on"),
    "to come": (csv_of(trips(month="2099-01")), "2099-01, which has not begun"),
    "the header again": (GOOD + GOOD, r"a header stands among its rows \(1 times\)"),
    "no times": (csv_of(trips(lpep_pickup_datetime=["soon"] * 20)), "no pickup time in it can be read"),
    "day before month": (csv_of(trips(lpep_pickup_datetime=["31/01/2023 08:00:00"] * 20)), "no pickup time"),
    "times with a zone": (csv_of(trips(lpep_pickup_datetime=["2023-01-05T08:00:00Z"] * 20)), "no pickup time"),
    "totals as text": (
        csv_of(trips(total_amount=["$12.50"] * 20)),
        "none of the 20 values of its column total_amount can be",
    ),
    "decimal commas": (
        Form(delimiter=";", value=lambda text: text.replace(".", ",")).write(trips()),
        "none of the 20 values of its column .* as a decimal comma",
    ),
    "decimal commas in a fee": (csv_of(trips(mta_tax=["0,5"] * 20)), "none of the 20 values of its column mta_tax"),
    "dropoffs in another form": (
        csv_of(trips(lpep_dropoff_datetime=["05.01.2023 08:00"] * 20)),
        "none of the 20 values of its column lpep_dropoff_datetime",
    ),
    "hours without AM and PM": (
        csv_of(trips(240, lpep_pickup_datetime=[f"2023-01-05 {1 + n % 12:02}:00:00" for n in range(240)])),
        "AM and PM are lost",
    ),
    "a first column that lost its name": (GOOD.replace(b"VendorID", b"", 1), "has no name of its own"),
    "a column that a data frame named": (
        GOOD.replace(b"total_amount", b"Unnamed: 7", 1),
        "has no name of its own .Unnamed: 7. and does not count the rows",
    ),
    "two columns of a name that differ": (
        csv_of(trips(pulocationid=[1] * 20)),
        "are the same column but for case and blanks",
    ),
    "damaged Parquet": (b"PAR1" + b"\0" * 100, "damaged Parquet file"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_refused_says_why_and_changes_nothing(imports: Imports, name: str) -> None:
    content, reason = REFUSED[name]
    with pytest.raises(RefusedFileError, match=reason) as refused:
        imports.take(content)
    assert imports.raw() == []
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 900
    assert str(imports.folder) not in str(refused.value)
    assert [path for path in (imports.folder / "scratch").rglob("*") if path.is_file()] == []


def test_a_fleet_that_is_not_configured(tmp_path: Path) -> None:
    imports = Imports(tmp_path / "imports", fleets=("yellow", "fhv"))
    with pytest.raises(RefusedFileError, match="has green trips of 2023-01, and TAXI_FLEETS is yellow,fhv: add green"):
        imports.take(GOOD)


def test_a_month_is_imported_once(imports: Imports) -> None:
    """The same bytes are told by their SHA-256; other bytes of the month need to be told to replace it."""
    imports.take(GOOD, "first.csv")
    with pytest.raises(RefusedFileError, match=r"it was imported already, as first\.csv on 20.*green trips of 2023-01"):
        imports.take(GOOD, "second.csv")
    other = csv_of(trips(21))
    with pytest.raises(RefusedFileError, match=r"are there, imported from first\.csv.* with the path of third\.csv"):
        imports.take(other, "third.csv")
    found = imports.take(other, "third.csv", replace=True)
    assert (found.num_rows, found.replaced) == (21, "imported from first.csv")


def test_what_would_shrink_a_month_is_refused_as_a_download_is(imports: Imports) -> None:
    imports.take(csv_of(trips(400)))
    before = imports.stored().read_bytes()
    with pytest.raises(RefusedFileError, match="it has 20 rows, where the version before has 400"):
        imports.take(GOOD, replace=True)
    assert imports.stored().read_bytes() == before
    accepting = replace(imports.tlc, accepted=("green/2023-01",))
    imports.tlc = accepting
    assert imports.take(GOOD, replace=True).num_rows == 20


def test_a_file_without_a_note_is_no_month(imports: Imports) -> None:
    """A process was killed between the file and its note: the pipeline does not trust the file, and takes another."""
    imports.take(GOOD)
    (imports.folder / "data" / f"{FILE}.source.json").unlink()
    assert imports.take(GOOD).replaced is None


def test_unpacking_is_bounded_by_what_arrives(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(RefusedFileError, match="it unpacks to more than 1,000 bytes"):
        imports.take(zipped(GOOD))


def test_short_names_of_amounts_are_those_of_the_columns() -> None:
    """Regression: a column `total` was left out with a warning, and the month had no dollars."""
    needed = ["VendorID", "lpep_pickup_datetime", "lpep_dropoff_datetime", "PULocationID", "DOLocationID"]
    found = columns_of([*needed, "trip_distance", "Fare", "tip", "TOTAL"])
    assert found.published[-3:] == ("fare_amount", "tip_amount", "total_amount")
    assert found.unknown == ()


def test_names_of_columns_are_shown_as_text() -> None:
    with pytest.raises(RefusedFileError) as refused:
        columns_of(["\x1b[31mred", "x" * 1000, *("y" * 50 for _ in range(100))])
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 700


# Beside fetched months


@pytest.fixture
def beside(own_mirror: Path, tmp_path: Path) -> Imports:
    """Imports beside a mirror that has the month."""
    return Imports(tmp_path / "imports", fleets=("green",), url=own_mirror.as_uri())


def test_a_fetched_month_is_replaced_only_when_told_to(beside: Imports, green_month: pa.Table) -> None:
    fetched = beside.tlc.fetch_trips(GREEN, JANUARY, beside.files)
    content = Form().write(green_month)
    with pytest.raises(RefusedFileError, match=r"fetched from file://.*import --replace. with the path of mine\.csv"):
        beside.take(content, "mine.csv")
    assert beside.files.describe(FILE).sha256 == fetched.sha256
    found = beside.take(content, "mine.csv", replace=True)
    assert found.replaced == f"fetched from {fetched.url}"


def test_the_server_is_not_asked_for_an_imported_month(beside: Imports, green_month: pa.Table) -> None:
    """The mirror has the month, and its file does not take the place of the imported one."""
    found = beside.take(Form().write(green_month), "mine.csv")
    again = beside.tlc.fetch_trips(GREEN, JANUARY, beside.files)
    assert (again.sha256, again.downloaded) == (found.sha256, False)
    assert again.warning
    assert "was imported from mine.csv on" in again.warning
    note = read_note(beside.files, FILE)
    assert note
    assert note.origin == found.origin


def test_a_forgotten_month_is_fetched_again(beside: Imports, green_month: pa.Table) -> None:
    found = beside.take(Form().write(green_month), "mine.csv")
    assert forget_imported(beside.files, FILE) == found.origin
    assert not beside.files.exists(FILE)
    fetched = beside.tlc.fetch_trips(GREEN, JANUARY, beside.files)
    assert fetched.downloaded
    assert forget_imported(beside.files, FILE) is None
    assert beside.files.exists(FILE), "a fetched month is not forgotten"


def test_an_imported_file_that_was_deleted_is_fetched(beside: Imports, green_month: pa.Table) -> None:
    beside.take(Form().write(green_month))
    beside.stored().unlink()
    assert beside.tlc.fetch_trips(GREEN, JANUARY, beside.files).downloaded


def test_a_damaged_import_is_not_replaced_by_something_else(beside: Imports, green_month: pa.Table) -> None:
    beside.take(Form().write(green_month), "mine.csv")
    beside.stored().write_bytes(b"PAR1")
    with pytest.raises(FetchError, match=r"is not what was imported from mine\.csv.*--forget"):
        beside.tlc.fetch_trips(GREEN, JANUARY, beside.files)


def test_a_refresh_loads_an_imported_month_once(beside: Imports, green_month: pa.Table, own_mirror: Path) -> None:
    """Its version stands for what is published: otherwise every morning would load the month again."""
    for path in (own_mirror / "trip-data").glob("green_*.parquet"):
        pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)  # a CSV can't say that it is generated
    warehouse = DuckDBWarehouse(beside.folder / "data.duckdb")
    days = Days(date(2023, 1, 1), date(2023, 2, 28))
    for month in (JANUARY, date(2023, 2, 1)):
        beside.tlc.fetch_trips(GREEN, month, beside.files)
        warehouse.change(load_days, GREEN, [Days.of_month(month)], beside.files)
    assert plan_refresh(beside.tlc, warehouse, beside.files, days).chunks == []
    beside.take(Form().write(green_month), replace=True)
    (chunk,) = plan_refresh(beside.tlc, warehouse, beside.files, days).chunks
    assert chunk.days == Days.of_month(JANUARY)
    warehouse.change(load_days, GREEN, [Days.of_month(JANUARY)], beside.files)
    assert plan_refresh(beside.tlc, warehouse, beside.files, days).chunks == []
    # Published again: the import stays. Forgotten: what is published counts again.
    published = own_mirror / "trip-data" / "green_tripdata_2023-01.parquet"
    os.utime(published, ns=(0, 0))
    assert plan_refresh(beside.tlc, warehouse, beside.files, days).chunks == []
    forget_imported(beside.files, FILE)
    (chunk,) = plan_refresh(beside.tlc, warehouse, beside.files, days).chunks
    assert chunk.version == published_version(trips_url(beside.tlc.url, GREEN, JANUARY), patience=beside.tlc.patience)


# Round trips of real months


@pytest.fixture(scope="module")
def rows_of_january(real_warehouse: DuckDBWarehouse) -> list[tuple[Any, ...]]:
    """What the published file of green trips of January 2024 becomes."""
    return rows_of_month(real_warehouse)


REAL_FORMS = ("plain", "NYC Open Data", "green of 2013", "mark and quotes", "gzip", "whole numbers with a point")


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL_FORMS)
def test_a_real_month_gives_the_same_trips_as_csv(
    real_tlc: Path, rows_of_january: list[tuple[Any, ...]], imports: Imports, name: str
) -> None:
    """All columns of `trips`, both ways, and the days' counts."""
    original = real_tlc / "trip-data" / "green_tripdata_2024-01.parquet"
    imports.take(FORMS[name].write(pq.read_table(original)))
    imported = DuckDBWarehouse(imports.folder / "data.duckdb")
    imported.change(load_days, GREEN, [Days.of_month(date(2024, 1, 1))], imports.files)
    assert rows_of_month(imported) == rows_of_january


def rows_of_month(warehouse: DuckDBWarehouse) -> list[tuple[Any, ...]]:
    month = "fleet = 'green' AND pickup_date BETWEEN DATE '2024-01-01' AND DATE '2024-01-31'"
    with warehouse.read() as session:
        found = session.rows(f"SELECT * FROM trips WHERE {month} ORDER BY ALL")
        days = session.rows(f"SELECT pickup_date, num_trips, num_rejected FROM loaded_days WHERE {month} ORDER BY ALL")
    return [*found, *days]


@pytest.mark.real_data
def test_a_real_month_with_its_first_schema_survives(real_tlc: Path, imports: Imports) -> None:
    for month in ("2020-04", "2022-10", "2025-01"):
        original = real_tlc / "trip-data" / f"green_tripdata_{month}.parquet"
        imports.take(csv_of(pq.read_table(original)))
        assert differences(original, imports.stored("green", month)) == 0
        assert types_of(pq.read_schema(imports.stored("green", month))) == types_of(pq.read_schema(original))


@pytest.mark.real_data
def test_a_real_month_of_yellow_survives(real_tlc: Path, imports: Imports, tmp_path: Path) -> None:
    original = real_tlc / "trip-data" / "yellow_tripdata_2019-01.parquet"
    imports.take(csv_of(pq.read_table(original)))
    assert differences(original, imports.stored("yellow", "2019-01")) == 0
    days = Days.of_month(date(2019, 1, 1))
    imported = DuckDBWarehouse(imports.folder / "data.duckdb")
    imported.change(load_days, YELLOW, [days], imports.files)
    sql = "SELECT * FROM trips ORDER BY ALL"
    with load_month(original, tmp_path / "fetched").read() as fetched, imported.read() as session:
        assert session.rows(sql) == fetched.rows(sql)


# The command


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "taxi_pipeline", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_imports_and_the_month_is_loaded(
    environment: dict[str, str], green_month: pa.Table, tmp_path: Path
) -> None:
    """One file is refused, the other is imported and loaded; the server is not asked for it."""
    environment |= {"TAXI_FLEETS": "green"}
    good, bad = tmp_path / "mine.csv.gz", tmp_path / "bad.csv"
    good.write_bytes(FORMS["gzip"].write(green_month))
    bad.write_bytes(b"")
    done = run(environment, "import", str(bad), str(good))
    assert done.returncode == 1
    assert "Error: bad.csv was refused: it is empty. Nothing was changed" in done.stderr
    assert f"{green_month.num_rows:,}" in done.stdout
    assert "Load it: taxi-pipeline materialize --start 2023-01-01 --end 2023-01-31" in done.stdout
    note = json.loads((tmp_path / "data" / f"{FILE}.source.json").read_text())
    assert note["origin"]["name"] == "mine.csv.gz"
    loaded = run(environment, "materialize", "--start", "2023-01-01", "--end", "2023-01-31")
    assert loaded.returncode == 0, loaded.stderr
    with duckdb.connect(str(tmp_path / "data" / "staging" / "data.duckdb"), read_only=True) as connection:
        ((trips_loaded, version),) = connection.execute(
            "SELECT sum(num_trips), any_value(file_version) FROM loaded_days"
        ).fetchall()
    assert (trips_loaded, version) == (green_month.num_rows, note["sha256"])
    forgotten = run(environment, "import", "--forget", "green/2023-01")
    assert (forgotten.returncode, "removed green/2023-01" in forgotten.stdout) == (0, True)
    assert run(environment, "import", "--forget", "green/2023-01").returncode == 1
    assert run(environment, "import", "--forget", "blue/2023-01").returncode == 2
    assert run(environment, "import").returncode == 2


def test_a_killed_import_leaves_nothing_in_raw(environment: dict[str, str], tmp_path: Path) -> None:
    """What it was unpacking and converting is removed by the next one."""
    environment |= {"TAXI_FLEETS": "green"}
    path = tmp_path / "large.csv.gz"
    header, *rows = csv_of(trips(400)).splitlines(keepends=True)
    path.write_bytes(gzip.compress(header + b"".join(rows) * 5000, compresslevel=9))
    command = [sys.executable, "-m", "taxi_pipeline", "import", str(path)]
    process = subprocess.Popen(command, env=environment)
    scratch = tmp_path / "data" / ".scratch"
    while process.poll() is None and not any(scratch.glob("process-*/*/*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list((tmp_path / "data").glob("raw/*")) == []
    assert any(scratch.glob("process-*"))
    path.write_bytes(GOOD)
    assert run(environment, "import", str(path)).returncode == 0
    assert list(scratch.glob("process-*")) == []


def test_a_zip_that_lies_about_its_size(imports: Imports) -> None:
    """The bytes that arrive are counted, not those that the zip says."""
    packed = bytearray(zipped(b"0" * (64 << 20)))
    at = packed.rindex(b"PK\x01\x02") + 24
    packed[at : at + 4] = (1000).to_bytes(4, "little")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.infolist()[0].file_size == 1000
    with pytest.raises(RefusedFileError):
        imports.take(bytes(packed))
    assert imports.raw() == []
