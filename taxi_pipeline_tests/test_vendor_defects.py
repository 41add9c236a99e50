"""Vendors whose records are known to be wrong: which rows, and that means leave out what the defect spoils."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.vendor_defects import DURATION_SECONDS, FARE


@pytest.mark.parametrize(
    ("fleet", "vendor", "day", "has_duration", "has_fare"),
    [
        ("green", 6, date(2020, 2, 29), True, True),
        ("green", 6, date(2020, 3, 1), False, True),
        ("yellow", 6, date(2024, 12, 31), False, True),
        ("yellow", 6, date(2025, 1, 1), False, False),
        ("yellow", 6, date(2025, 5, 31), False, False),
        ("yellow", 6, date(2025, 6, 1), True, False),
        ("yellow", 2, date(2025, 1, 1), True, True),
        ("yellow", None, date(2025, 1, 1), True, True),
        ("fhvhv", 6, date(2025, 1, 1), True, True),
    ],
)
def test_what_a_defect_spoils_is_no_value(
    tmp_path: Path, fleet: str, vendor: int | None, day: date, has_duration: bool, has_fare: bool
) -> None:
    pickup = datetime(day.year, day.month, day.day, 8)
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with warehouse.write() as session:
        session.execute(
            "INSERT INTO trips BY NAME SELECT ? AS fleet, ? AS vendor_id, ? AS pickup_date, ? AS pickup_datetime, "
            "? AS dropoff_datetime, 1 AS pickup_zone_id, 1 AS dropoff_zone_id, 2.90 AS fare_amount",
            [fleet, vendor, day, pickup, pickup + timedelta(minutes=10)],
        )
    with warehouse.read() as session:
        found = session.row(f"SELECT {DURATION_SECONDS}, {FARE} FROM trips")
    assert found == (600 if has_duration else None, Decimal("2.90") if has_fare else None)


@pytest.mark.real_data
def test_the_evidence_is_that_of_the_months_at_hand(real_tlc: Path) -> None:
    """Vendor 6 has 161 rows, all of 2020-03 and -04; the minutes of both times are the month, and 48 run backwards."""
    files = str(real_tlc / "trip-data" / "green_tripdata_*.parquet")
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE minute(lpep_pickup_datetime) = month(lpep_pickup_datetime) "
            "AND minute(lpep_dropoff_datetime) = month(lpep_dropoff_datetime)), "
            "count(*) FILTER (WHERE lpep_dropoff_datetime < lpep_pickup_datetime), "
            "min(lpep_pickup_datetime)::DATE >= '2020-03-01', max(lpep_pickup_datetime)::DATE < '2020-05-01' "
            "FROM read_parquet(?, union_by_name = true) WHERE VendorID = 6",
            [files],
        ).fetchall()
    assert found == [(161, 161, 48, True, True)]


@pytest.mark.real_data
def test_which_codes_occur_in_the_months_at_hand(real_tlc: Path) -> None:
    """Vendor 4 occurs in yellow of 2019, vendor 6 in green of 2020; vendors 5 and 7 and payment type 0 in none."""
    with duckdb.connect() as connection:
        vendors, payments = (
            set(
                connection.execute(
                    f"SELECT DISTINCT split_part(parse_filename(filename), '_', 1), "
                    "CAST(left(split_part(parse_filename(filename), '_', 3), 4) AS INTEGER), "
                    f"CAST({column} AS INTEGER) FROM read_parquet(?, union_by_name = true, filename = true)",
                    [str(real_tlc / "trip-data" / "*.parquet")],
                ).fetchall()
            )
            for column in ("VendorID", "payment_type")
        )
    assert {(fleet, year) for fleet, year, code in vendors if code == 4} == {("yellow", 2019)}
    assert {(fleet, year) for fleet, year, code in vendors if code == 6} == {("green", 2020)}
    assert {code for *_, code in vendors} == {1, 2, 4, 6}
    assert {code for *_, code in payments} == {1, 2, 3, 4, 5, None}
