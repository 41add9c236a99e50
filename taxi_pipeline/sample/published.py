"""The schemas of the TLC's files of trips, name by name and type by type, as published for a month.

Written down from published files, so that sample data has the flips of the real data. Yellow: January 2019, February
2023; green: March 2020 to January 2025.
"""

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_YELLOW = [
    "VendorID",
    "tpep_pickup_datetime",
    "tpep_dropoff_datetime",
    "passenger_count",
    "trip_distance",
    "RatecodeID",
    "store_and_fwd_flag",
    "PULocationID",
    "DOLocationID",
    "payment_type",
    "fare_amount",
    "extra",
    "mta_tax",
    "tip_amount",
    "tolls_amount",
    "improvement_surcharge",
    "total_amount",
    "congestion_surcharge",
    "airport_fee",
]
_GREEN = [
    "VendorID",
    "lpep_pickup_datetime",
    "lpep_dropoff_datetime",
    "store_and_fwd_flag",
    "RatecodeID",
    "PULocationID",
    "DOLocationID",
    "passenger_count",
    "trip_distance",
    "fare_amount",
    "extra",
    "mta_tax",
    "tip_amount",
    "tolls_amount",
    "ehail_fee",
    "improvement_surcharge",
    "total_amount",
    "payment_type",
    "trip_type",
    "congestion_surcharge",
]

_INTEGERS = {"VendorID", "PULocationID", "DOLocationID"}
_CODES = {"passenger_count", "RatecodeID", "payment_type", "trip_type"}
"""Doubles before February 2023 (yellow's `payment_type`: an integer always), integers since."""


def published_schema(fleet: str, month: date) -> "pa.Schema":
    """Column names and types of the fleet's file for a month (its first day)."""
    import pyarrow as pa

    names = list(_YELLOW if fleet == "yellow" else _GREEN)
    recent = month >= date(2023, 2, 1)
    if recent and fleet == "yellow":
        names[names.index("airport_fee")] = "Airport_fee"
    if month >= date(2025, 1, 1):
        names.append("cbd_congestion_fee")

    def type_of(name: str) -> pa.DataType:  # noqa: PLR0911 - a table in words
        if name.endswith("datetime"):
            return pa.timestamp("us")
        if name == "store_and_fwd_flag":
            return pa.string()
        if name in _INTEGERS:
            return pa.int32() if recent else pa.int64()
        if name in _CODES:
            always_integer = fleet == "yellow" and name == "payment_type"
            return pa.int64() if recent or always_integer else pa.float64()
        if name == "ehail_fee" and not recent:
            return pa.null()
        if name == "airport_fee" and month <= date(2020, 10, 1):
            return pa.null()
        return pa.float64()

    return pa.schema([(name, type_of(name)) for name in names])
