"""A green taxi month of a few rows, good ones and odd ones: by hand, or drawn by Hypothesis."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import trips_file

MONTH = Days(date(2023, 2, 1), date(2023, 2, 28))
FILE = trips_file(GREEN, MONTH.first)
PICKUP, DROPOFF = "lpep_pickup_datetime", "lpep_dropoff_datetime"


def good_row(number: int = 0) -> dict[str, Any]:
    """A trip as the TLC publishes it; the drop-off tells one row from another."""
    return {
        "VendorID": 2,
        PICKUP: datetime(2023, 2, 7, 8),
        DROPOFF: datetime(2023, 2, 7, 9) + timedelta(seconds=number),
        "PULocationID": 74,
        "DOLocationID": 75,
        "RatecodeID": 1,
        "payment_type": 1,
        "trip_distance": 1.5,
        "passenger_count": 1,
        "fare_amount": 10.0,
        "tip_amount": 2.0,
        "tolls_amount": 0.0,
        "congestion_surcharge": 2.75,
        "total_amount": 15.0,
    }


def published(folder: Path, rows: Sequence[dict[str, Any]], types: dict[str, pa.DataType] | None = None) -> LocalFolder:
    """The storage with a file of these rows, fetched as the pipeline does; types where they matter."""
    names = list(good_row())
    defaults: dict[str, pa.DataType] = {PICKUP: pa.timestamp("us"), DROPOFF: pa.timestamp("us")}
    columns = {
        name: pa.array([row[name] for row in rows], (defaults | (types or {})).get(name, pa.float64()))
        for name in names
    }
    source = folder / "mirror.parquet"
    pq.write_table(pa.table(columns), source)
    files = LocalFolder(folder)
    fetch(source.as_uri(), files, FILE, verify=lambda _: None)
    return files


pickups = st.one_of(
    st.none(),
    st.datetimes(datetime(2023, 1, 31, 23, 59), datetime(2023, 3, 1, 0, 1)),
    st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1)),
    st.sampled_from([datetime(2023, 2, 1), datetime(2023, 2, 28, 23, 59, 59, 999_999), datetime(2023, 3, 1)]),
)
numbers = st.one_of(
    st.none(), st.floats(), st.integers(-40_000, 40_000).map(float), st.floats(-1000, 1000).map(lambda x: round(x, 2))
)
texts = st.one_of(st.none(), st.integers(-40_000, 40_000).map(str), st.sampled_from(["", " ", "ten", "1e99", "0.5"]))
NUMBERS = [name for name in good_row() if name not in (PICKUP, DROPOFF)]


@st.composite
def odd_files(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, pa.DataType]]:
    """Rows of a file, and the types of its columns: numbers, text, or nothing but NULL."""
    kinds = {name: draw(st.sampled_from(["number", "number", "text", "null"])) for name in NUMBERS}
    values = {"number": numbers, "text": texts, "null": st.none()}
    types = {"number": pa.float64(), "text": pa.string(), "null": pa.null()}
    rows = []
    for n in range(draw(st.integers(0, 12))):
        row = {**good_row(n), PICKUP: draw(pickups)}
        changed = draw(st.lists(st.sampled_from(NUMBERS), max_size=3))
        fine = {name: None if kinds[name] == "null" else row[name] for name in NUMBERS}
        fine |= {name: str(value) for name, value in fine.items() if kinds[name] == "text"}
        rows.append({**row, **fine, **{name: draw(values[kinds[name]]) for name in changed}})
    return rows, {name: types[kind] for name, kind in kinds.items()}


@st.composite
def chunkings(draw: st.DrawFn) -> list[Days]:
    """All days of the month in chunks, in any order, some of them more than once."""
    cuts = sorted(draw(st.sets(st.integers(1, 27), max_size=4)))
    chunks = [
        Days(MONTH.first + timedelta(days=first), MONTH.first + timedelta(days=end - 1))
        for first, end in zip([0, *cuts], [*cuts, 28], strict=True)
    ]
    return draw(st.permutations(chunks)) + draw(st.lists(st.sampled_from(chunks), max_size=2))
