"""The schemas of the TLC's files of trips, name by name and type by type, as published for a month.

Written down from what is published, so that sample data and imported months have the flips of the real data. Sources:
the schemas of real files (yellow of 2009, 2010 and 2019, green of 2020 to 2025), and for all fleets the list of changes
from January 2019 to August 2026 between the footers of consecutive months.
"""

from datetime import date
from typing import TYPE_CHECKING

from taxi_pipeline.tlc.fleets import FHV, YELLOW

if TYPE_CHECKING:
    import pyarrow as pa

_YELLOW_2009 = (
    "vendor_name Trip_Pickup_DateTime Trip_Dropoff_DateTime Passenger_Count Trip_Distance Start_Lon Start_Lat "
    "Rate_Code store_and_forward End_Lon End_Lat Payment_Type Fare_Amt surcharge mta_tax Tip_Amt Tolls_Amt Total_Amt"
)
_YELLOW_2010 = (
    "vendor_id pickup_datetime dropoff_datetime passenger_count trip_distance pickup_longitude pickup_latitude "
    "rate_code store_and_fwd_flag dropoff_longitude dropoff_latitude payment_type fare_amount surcharge mta_tax "
    "tip_amount tolls_amount total_amount"
)
_YELLOW = (
    "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance RatecodeID store_and_fwd_flag "
    "PULocationID DOLocationID payment_type fare_amount extra mta_tax tip_amount tolls_amount improvement_surcharge "
    "total_amount congestion_surcharge airport_fee"
)
_GREEN = (
    "VendorID lpep_pickup_datetime lpep_dropoff_datetime store_and_fwd_flag RatecodeID PULocationID DOLocationID "
    "passenger_count trip_distance fare_amount extra mta_tax tip_amount tolls_amount ehail_fee improvement_surcharge "
    "total_amount payment_type trip_type congestion_surcharge"
)
_FHV = "dispatching_base_num pickup_datetime dropOff_datetime PUlocationID DOlocationID SR_Flag Affiliated_base_number"
_FHVHV = (
    "hvfhs_license_num dispatching_base_num originating_base_num request_datetime on_scene_datetime pickup_datetime "
    "dropoff_datetime PULocationID DOLocationID trip_miles trip_time base_passenger_fare tolls bcf sales_tax "
    "congestion_surcharge airport_fee tips driver_pay shared_request_flag shared_match_flag access_a_ride_flag "
    "wav_request_flag wav_match_flag"
)

_NAMES: dict[str, str] = {"yellow": _YELLOW, "green": _GREEN, "fhv": _FHV, "fhvhv": _FHVHV}

_TEXTS = frozenset(
    "vendor_name vendor_id rate_code store_and_fwd_flag hvfhs_license_num dispatching_base_num originating_base_num "
    "Affiliated_base_number shared_request_flag shared_match_flag access_a_ride_flag wav_request_flag wav_match_flag "
    "Payment_Type request_source".split()
)
_NULL_TYPED = {
    ("yellow", "airport_fee"): (
        (date(2011, 1, 1), date(2020, 8, 1)),
        (date(2020, 10, 1), date(2020, 11, 1)),
    ),
    ("yellow", "congestion_surcharge"): ((date(2011, 1, 1), date(2019, 1, 1)),),
    ("green", "congestion_surcharge"): ((date(2013, 8, 1), date(2019, 1, 1)),),
    ("green", "ehail_fee"): ((date(2019, 9, 1), date(2023, 2, 1)),),
    ("fhv", "SR_Flag"): ((date(2019, 3, 1), date(2023, 2, 1)),),
    ("fhvhv", "airport_fee"): (
        (date(2019, 2, 1), date(2019, 7, 1)),
        (date(2020, 4, 1), date(2020, 5, 1)),
        (date(2020, 10, 1), date(2020, 11, 1)),
    ),
    ("fhvhv", "wav_match_flag"): ((date(2019, 2, 1), date(2019, 4, 1)),),
}
"""(Fleet, column) → the spans of months in which the column's type is NULL, because it has no values."""

_TIMES_AS_TEXT = date(2011, 1, 1)
_COUNTS_AS_DOUBLES = date(2018, 7, 1)
_NEW_TYPES = date(2023, 2, 1)
_CBD_FEE = date(2025, 1, 1)
_REQUEST_SOURCE = date(2026, 6, 1)


def published_names(fleet: str, month: date) -> list[str]:
    """The column names of the fleet's file for a month (its first day), in order."""
    if fleet == YELLOW.name and month < _TIMES_AS_TEXT:
        # Two months of 2010 carry along the index of the data frame that they were written from.
        index = ["__index_level_0__"] if month in (date(2010, 2, 1), date(2010, 3, 1)) else []
        return [*(_YELLOW_2009 if month < date(2010, 1, 1) else _YELLOW_2010).split(), *index]
    names = _NAMES[fleet].split()
    if month >= _NEW_TYPES and fleet == YELLOW.name:
        names[names.index("airport_fee")] = "Airport_fee"
    if month >= _CBD_FEE and fleet != FHV.name:
        names.append("cbd_congestion_fee")
    if month >= _REQUEST_SOURCE and fleet in ("yellow", "green"):
        names.append("request_source")
    return names


def published_schema(fleet: str, month: date) -> "pa.Schema":
    """Column names and types of the fleet's file for a month (its first day)."""
    import pyarrow as pa

    types = {
        "null": pa.null(),
        "text": pa.string(),
        "time": pa.timestamp("us"),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "double": pa.float64(),
    }
    return pa.schema([(name, types[_kind(fleet, month, name)]) for name in published_names(fleet, month)])


def _kind(fleet: str, month: date, name: str) -> str:
    if _is_null_typed(fleet, month, name):
        return "null"
    old = fleet == YELLOW.name and month < _TIMES_AS_TEXT
    if name in _TEXTS or (old and (name == "payment_type" or name.lower().endswith("datetime"))):
        return "text"
    if name.lower().endswith("datetime"):
        return "time"
    if name in ("trip_time", "__index_level_0__"):
        return "int64"
    return _kind_of_number(fleet, month, name, old=old)


def _kind_of_number(fleet: str, month: date, name: str, *, old: bool) -> str:
    recent = month >= _NEW_TYPES
    if name in ("VendorID", "PULocationID", "DOLocationID"):
        return "int32" if recent else "int64"
    if name == "SR_Flag":
        return "int64" if recent else "double"
    if fleet == FHV.name:  # its zones
        whole = recent or date(2019, 5, 1) <= month < date(2019, 7, 1)
        return "int64" if whole or (name == "DOlocationID" and month == date(2020, 7, 1)) else "double"
    if name.lower() == "passenger_count" and old:
        return "int64"
    if name in ("passenger_count", "RatecodeID", "payment_type", "trip_type"):
        whole = recent or (name == "payment_type" and fleet == YELLOW.name)
        return "int64" if whole or (month < _COUNTS_AS_DOUBLES and name != "trip_type") else "double"
    return "double"


def _is_null_typed(fleet: str, month: date, name: str) -> bool:
    return any(first <= month < until for first, until in _NULL_TYPED.get((fleet, name), ()))
