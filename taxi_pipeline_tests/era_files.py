"""Files as the TLC published them in each era: names and types written down by hand, apart from the pipeline's own.

Sources: the schemas of real files (yellow of 2009, 2010, 2019, green), and the list of changes between the footers of
consecutive months from January 2019 to August 2026. Neither the fleets' declaration nor the sample's writer is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TYPES = {
    "text": pa.string(),
    "large": pa.large_string(),
    "time": pa.timestamp("us"),
    "i32": pa.int32(),
    "i64": pa.int64(),
    "f64": pa.float64(),
    "null": pa.null(),
}

YELLOW_2009 = (
    "vendor_name:text Trip_Pickup_DateTime:text Trip_Dropoff_DateTime:text Passenger_Count:i64 Trip_Distance:f64 "
    "Start_Lon:f64 Start_Lat:f64 Rate_Code:f64 store_and_forward:f64 End_Lon:f64 End_Lat:f64 Payment_Type:text "
    "Fare_Amt:f64 surcharge:f64 mta_tax:f64 Tip_Amt:f64 Tolls_Amt:f64 Total_Amt:f64"
)
YELLOW_2010 = (
    "vendor_id:text pickup_datetime:text dropoff_datetime:text passenger_count:i64 trip_distance:f64 "
    "pickup_longitude:f64 pickup_latitude:f64 rate_code:text store_and_fwd_flag:text dropoff_longitude:f64 "
    "dropoff_latitude:f64 payment_type:text fare_amount:f64 surcharge:f64 mta_tax:f64 tip_amount:f64 "
    "tolls_amount:f64 total_amount:f64"
)
YELLOW_2011 = (
    "VendorID:i64 tpep_pickup_datetime:time tpep_dropoff_datetime:time passenger_count:i64 trip_distance:f64 "
    "RatecodeID:i64 store_and_fwd_flag:text PULocationID:i64 DOLocationID:i64 payment_type:i64 fare_amount:f64 "
    "extra:f64 mta_tax:f64 tip_amount:f64 tolls_amount:f64 improvement_surcharge:f64 total_amount:f64 "
    "congestion_surcharge:null airport_fee:null"
)
# As the months until 2016-06 were published at first, and circulate.
YELLOW_2015 = (
    "VendorID:i64 tpep_pickup_datetime:time tpep_dropoff_datetime:time passenger_count:i64 trip_distance:f64 "
    "pickup_longitude:f64 pickup_latitude:f64 RatecodeID:i64 store_and_fwd_flag:text dropoff_longitude:f64 "
    "dropoff_latitude:f64 payment_type:i64 fare_amount:f64 extra:f64 mta_tax:f64 tip_amount:f64 tolls_amount:f64 "
    "improvement_surcharge:f64 total_amount:f64"
)
YELLOW_2019 = (
    YELLOW_2011.replace("passenger_count:i64", "passenger_count:f64")
    .replace("RatecodeID:i64", "RatecodeID:f64")
    .replace("congestion_surcharge:null", "congestion_surcharge:f64")
)
YELLOW_2021 = YELLOW_2019.replace("airport_fee:null", "airport_fee:f64")
YELLOW_2023 = (
    YELLOW_2021.replace("VendorID:i64", "VendorID:i32")
    .replace("LocationID:i64", "LocationID:i32")
    .replace("passenger_count:f64", "passenger_count:i64")
    .replace("RatecodeID:f64", "RatecodeID:i64")
    .replace("flag:text", "flag:large")
    .replace("airport_fee", "Airport_fee")
)
YELLOW_2025 = f"{YELLOW_2023} cbd_congestion_fee:f64"
YELLOW_2026 = f"{YELLOW_2025} request_source:large"

GREEN_2013 = (
    "VendorID:i64 lpep_pickup_datetime:time lpep_dropoff_datetime:time store_and_fwd_flag:text RatecodeID:i64 "
    "PULocationID:i64 DOLocationID:i64 passenger_count:i64 trip_distance:f64 fare_amount:f64 extra:f64 mta_tax:f64 "
    "tip_amount:f64 tolls_amount:f64 ehail_fee:f64 improvement_surcharge:f64 total_amount:f64 payment_type:i64 "
    "trip_type:f64 congestion_surcharge:null"
)
# Of the CSVs until 2014.
GREEN_2014 = (
    "VendorID:i64 Lpep_pickup_datetime:time Lpep_dropoff_datetime:time Store_and_fwd_flag:text RateCodeID:i64 "
    "Pickup_longitude:f64 Pickup_latitude:f64 Dropoff_longitude:f64 Dropoff_latitude:f64 Passenger_count:i64 "
    "Trip_distance:f64 Fare_amount:f64 Extra:f64 MTA_tax:f64 Tip_amount:f64 Tolls_amount:f64 Ehail_fee:f64 "
    "Total_amount:f64 Payment_type:i64 Trip_type:i64"
)
GREEN_2020 = (
    GREEN_2013.replace("RatecodeID:i64", "RatecodeID:f64")
    .replace("passenger_count:i64", "passenger_count:f64")
    .replace("payment_type:i64", "payment_type:f64")
    .replace("ehail_fee:f64", "ehail_fee:null")
    .replace("congestion_surcharge:null", "congestion_surcharge:f64")
)
GREEN_2025 = (
    GREEN_2013.replace("VendorID:i64", "VendorID:i32")
    .replace("LocationID:i64", "LocationID:i32")
    .replace("flag:text", "flag:large")
    .replace("trip_type:f64", "trip_type:i64")
    .replace("congestion_surcharge:null", "congestion_surcharge:f64 cbd_congestion_fee:f64")
)

FHV_2015 = (
    "dispatching_base_num:text pickup_datetime:time dropOff_datetime:time PUlocationID:f64 DOlocationID:f64 "
    "SR_Flag:f64 Affiliated_base_number:text"
)
# Of the CSVs.
FHV_2017 = "Dispatching_base_num:text Pickup_DateTime:time DropOff_datetime:time PUlocationID:f64 DOlocationID:f64"
FHV_2019_03 = FHV_2015.replace("SR_Flag:f64", "SR_Flag:null")
FHV_2019_05 = FHV_2019_03.replace("locationID:f64", "locationID:i64")
FHV_2020_07 = FHV_2019_03.replace("DOlocationID:f64", "DOlocationID:i64")
FHV_2023 = (
    FHV_2015.replace("num:text", "num:large")
    .replace("number:text", "number:large")
    .replace("locationID:f64", "locationID:i64")
    .replace("SR_Flag:f64", "SR_Flag:i64")
)

FHVHV_2019 = (
    "hvfhs_license_num:text dispatching_base_num:text originating_base_num:text request_datetime:time "
    "on_scene_datetime:time pickup_datetime:time dropoff_datetime:time PULocationID:i64 DOLocationID:i64 "
    "trip_miles:f64 trip_time:i64 base_passenger_fare:f64 tolls:f64 bcf:f64 sales_tax:f64 congestion_surcharge:f64 "
    "airport_fee:null tips:f64 driver_pay:f64 shared_request_flag:text shared_match_flag:text "
    "access_a_ride_flag:text wav_request_flag:text wav_match_flag:null"
)
FHVHV_2021 = FHVHV_2019.replace("airport_fee:null", "airport_fee:f64").replace(
    "wav_match_flag:null", "wav_match_flag:text"
)
FHVHV_2025 = FHVHV_2021.replace("text", "large").replace("LocationID:i64", "LocationID:i32") + " cbd_congestion_fee:f64"


@dataclass(frozen=True)
class Published:
    """A month's file: its columns with their types, a row, and what `trips` holds of that row."""

    fleet: str
    month: str
    columns: str
    row: Mapping[str, Any]
    expected: Mapping[str, Any]
    unknown: Sequence[str] = field(default=())
    """Columns that the pipeline has to warn of."""
    of_csv: bool = False
    """True for a layout of the TLC's former CSV files, which circulate; its Parquet files of the month have another."""

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{self.fleet}_tripdata_{self.month}.parquet"

    @property
    def first_day(self) -> date:
        """First day of the month."""
        return date.fromisoformat(f"{self.month}-01")

    def write(self, folder: Path, rows: Sequence[Mapping[str, Any]] = ({},)) -> Path:
        """Write the file: its row once for each of these changes to it."""
        arrays = {}
        for column in self.columns.split():
            name, _, kind = column.partition(":")
            values = [{**self.row, **change}.get(name) for change in rows]
            arrays[name] = (
                pa.array(None if kind == "null" else values, TYPES[kind]) if kind != "null" else pa.nulls(len(values))
            )
        path = folder / "trip-data" / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(arrays), path)
        return path


def at(text: str) -> datetime:
    """A moment, New York wall time."""
    return datetime.fromisoformat(text)


TIMES_SQUARE = (-73.9855, 40.758)
JFK_AIRPORT = (-73.7781, 40.6413)


def _taxi(month: str, prefix: str) -> dict[str, Any]:
    return {
        "VendorID": 2,
        f"{prefix}_pickup_datetime": at(f"{month}-10T08:15:00"),
        f"{prefix}_dropoff_datetime": at(f"{month}-10T08:45:30"),
        "passenger_count": 3,
        "trip_distance": 16.93,
        "RatecodeID": 2,
        "store_and_fwd_flag": "N",
        "PULocationID": 230,
        "DOLocationID": 132,
        "payment_type": 1,
        "fare_amount": 45.0,
        "extra": 0.5,
        "mta_tax": 0.5,
        "tip_amount": 9.15,
        "tolls_amount": 5.33,
        "improvement_surcharge": 0.3,
        "total_amount": 60.78,
        "congestion_surcharge": 2.5,
        "airport_fee": 1.25,
        "Airport_fee": 1.25,
        "cbd_congestion_fee": 0.75,
        "request_source": "app",
        "trip_type": 1,
        "ehail_fee": 0.25,
    }


TAXI = {
    "vendor_id": 2,
    "pickup_zone_id": 230,
    "dropoff_zone_id": 132,
    "rate_code_id": 2,
    "payment_type": 1,
    "trip_distance": Decimal("16.930"),
    "passenger_count": 3,
    "fare_amount": Decimal("45.00"),
    "tip_amount": Decimal("9.15"),
    "tolls_amount": Decimal("5.33"),
    "total_amount": Decimal("60.78"),
}
PARTS = {
    "extra": Decimal("0.50"),
    "mta_tax": Decimal("0.50"),
    "improvement_surcharge": Decimal("0.30"),
    "store_and_fwd_flag": "N",
}
PARTS_OF_CSV = {name: value for name, value in PARTS.items() if name != "improvement_surcharge"}
EHAIL = {"ehail_fee": Decimal("0.25")}
COORDINATES = {
    "pickup_longitude": TIMES_SQUARE[0],
    "pickup_latitude": TIMES_SQUARE[1],
    "dropoff_longitude": JFK_AIRPORT[0],
    "dropoff_latitude": JFK_AIRPORT[1],
    "extra": Decimal("1.00"),
    "mta_tax": Decimal("0.50"),
}
PLACES = {
    "pickup_longitude": TIMES_SQUARE[0],
    "pickup_latitude": TIMES_SQUARE[1],
    "dropoff_longitude": JFK_AIRPORT[0],
    "dropoff_latitude": JFK_AIRPORT[1],
}
SURCHARGE = {"congestion_surcharge": Decimal("2.50")}
AIRPORT = {"airport_fee": Decimal("1.25")}
CBD = {"cbd_congestion_fee": Decimal("0.75")}


def _times(month: str, day: str = "10") -> dict[str, Any]:
    return {
        "pickup_datetime": at(f"{month}-{day}T08:15:00"),
        "dropoff_datetime": at(f"{month}-{day}T08:45:30"),
    }


ROW_2009 = {
    "vendor_name": "VTS",
    "Trip_Pickup_DateTime": "2009-01-10 08:15:00",
    "Trip_Dropoff_DateTime": "2009-01-10 08:45:30",
    "Passenger_Count": 3,
    "Trip_Distance": 16.93,
    "Start_Lon": TIMES_SQUARE[0],
    "Start_Lat": TIMES_SQUARE[1],
    "End_Lon": JFK_AIRPORT[0],
    "End_Lat": JFK_AIRPORT[1],
    "Payment_Type": "Credit",
    "Rate_Code": 2.0,
    "store_and_forward": 1.0,
    "Fare_Amt": 45.0,
    "surcharge": 1.0,
    "mta_tax": 0.5,
    "Tip_Amt": 9.15,
    "Tolls_Amt": 5.33,
    "Total_Amt": 60.78,
}
ROW_2010 = {
    "vendor_id": "CMT",
    "pickup_datetime": "2010-02-10 08:15:00",
    "dropoff_datetime": "2010-02-10 08:45:30",
    "passenger_count": 3,
    "trip_distance": 16.93,
    "pickup_longitude": TIMES_SQUARE[0],
    "pickup_latitude": TIMES_SQUARE[1],
    "rate_code": "2",
    "store_and_fwd_flag": "0",
    "dropoff_longitude": JFK_AIRPORT[0],
    "dropoff_latitude": JFK_AIRPORT[1],
    "payment_type": "CRE",
    "fare_amount": 45.0,
    "surcharge": 1.0,
    "mta_tax": 0.5,
    "tip_amount": 9.15,
    "tolls_amount": 5.33,
    "total_amount": 60.78,
    "__index_level_0__": 17,
}


def _fhv(month: str) -> dict[str, Any]:
    return {
        "dispatching_base_num": "B00254          ",
        "pickup_datetime": at(f"{month}-10T08:15:00"),
        "dropOff_datetime": at(f"{month}-10T08:45:30"),
        "PUlocationID": 230,
        "DOlocationID": 132,
        "SR_Flag": 1,
        "Affiliated_base_number": "B00255",
    }


FHV = {
    "pickup_zone_id": 230,
    "dropoff_zone_id": 132,
    "dispatching_base_num": "B00254",
    "affiliated_base_number": "B00255",
}


def _fhv_of_csv(month: str, **more: str) -> dict[str, Any]:
    return {
        "Pickup_DateTime": at(f"{month}-10T08:15:00"),
        "DropOff_datetime": at(f"{month}-10T08:45:30"),
        "PUlocationID": 230,
        "DOlocationID": 132,
        **more,
    }


FHV_OF_CSV = {name: value for name, value in FHV.items() if name != "affiliated_base_number"}


def _fhvhv(month: str, licence: str) -> dict[str, Any]:
    return {
        "hvfhs_license_num": licence,
        "dispatching_base_num": "B02764",
        "originating_base_num": "B02765",
        "request_datetime": at(f"{month}-10T08:09:00"),
        "on_scene_datetime": at(f"{month}-10T08:14:00"),
        "pickup_datetime": at(f"{month}-10T08:15:00"),
        "dropoff_datetime": at(f"{month}-10T08:45:30"),
        "PULocationID": 230,
        "DOLocationID": 132,
        "trip_miles": 16.93,
        "trip_time": 1830,
        "base_passenger_fare": 60.0,
        "tolls": 6.94,
        "bcf": 1.8,
        "sales_tax": 5.33,
        "congestion_surcharge": 2.75,
        "airport_fee": 2.5,
        "tips": 10.0,
        "driver_pay": 44.11,
        "shared_request_flag": "Y",
        "shared_match_flag": "N",
        "access_a_ride_flag": " ",
        "wav_request_flag": "N",
        "wav_match_flag": "Y",
        "cbd_congestion_fee": 1.5,
    }


FHVHV = {
    "pickup_zone_id": 230,
    "dropoff_zone_id": 132,
    "trip_distance": Decimal("16.930"),
    "fare_amount": Decimal("60.00"),
    "tip_amount": Decimal("10.00"),
    "tolls_amount": Decimal("6.94"),
    "congestion_surcharge": Decimal("2.75"),
    "dispatching_base_num": "B02764",
    "driver_pay": Decimal("44.11"),
    "black_car_fund": Decimal("1.80"),
    "sales_tax": Decimal("5.33"),
    "trip_time": 1830,
    "originating_base_num": "B02765",
    "shared_request": True,
    "shared_match": False,
    "wheelchair_request": False,
}


def _fhvhv_expected(month: str, licensee: str, total: str, **more: Any) -> dict[str, Any]:
    return {
        **FHVHV,
        **_times(month),
        "request_datetime": at(f"{month}-10T08:09:00"),
        "on_scene_datetime": at(f"{month}-10T08:14:00"),
        "licensee": licensee,
        "total_amount": Decimal(total),
        **more,
    }


def _yellow(month: str, columns: str, *charges: Mapping[str, Any], unknown: Sequence[str] = ()) -> Published:
    expected = {**TAXI, **PARTS, **_times(month)}
    for charge in charges:
        expected |= charge
    return Published("yellow", month, columns, _taxi(month, "tpep"), expected, unknown)


def _green(month: str, columns: str, *charges: Mapping[str, Any]) -> Published:
    expected = {**TAXI, **PARTS, "trip_type": 1, **_times(month)}
    for charge in charges:
        expected |= charge
    return Published("green", month, columns, _taxi(month, "lpep"), expected)


def _fhv_file(month: str, columns: str, **more: Any) -> Published:
    return Published("fhv", month, columns, _fhv(month), {**FHV, **_times(month), **more})


PUBLISHED = (
    Published(
        "yellow",
        "2009-01",
        YELLOW_2009,
        ROW_2009,
        {**TAXI, **COORDINATES, **_times("2009-01"), "store_and_fwd_flag": "Y"},
    ),
    Published(
        "yellow",
        "2010-01",
        YELLOW_2010,
        ROW_2010
        | {"pickup_datetime": "2010-01-10 08:15:00", "dropoff_datetime": "2010-01-10 08:45:30", "vendor_id": "DDS"},
        {**TAXI, **COORDINATES, **_times("2010-01"), "vendor_id": 3, "store_and_fwd_flag": "N"},
    ),
    Published(
        "yellow",
        "2010-02",
        f"{YELLOW_2010} __index_level_0__:i64",
        ROW_2010,
        {**TAXI, **COORDINATES, **_times("2010-02"), "vendor_id": 1, "store_and_fwd_flag": "N"},
    ),
    _yellow("2011-01", YELLOW_2011),
    Published(
        "yellow",
        "2015-01",
        YELLOW_2015,
        {**_taxi("2015-01", "tpep"), **PLACES},
        {**TAXI, **PARTS, **PLACES, **_times("2015-01")},
        of_csv=True,
    ),
    _yellow("2018-07", YELLOW_2019.replace("congestion_surcharge:f64", "congestion_surcharge:null")),
    _yellow("2019-03", YELLOW_2019, SURCHARGE),
    _yellow("2021-05", YELLOW_2021, SURCHARGE, AIRPORT),
    _yellow("2023-02", YELLOW_2023, SURCHARGE, AIRPORT),
    _yellow("2025-01", YELLOW_2025, SURCHARGE, AIRPORT, CBD),
    _yellow("2026-06", YELLOW_2026, SURCHARGE, AIRPORT, CBD, {"request_source": "app"}),
    _yellow(
        "2026-07",
        f"{YELLOW_2026} a_new_column:f64",
        SURCHARGE,
        AIRPORT,
        CBD,
        {"request_source": "app"},
        unknown=["a_new_column"],
    ),
    _green("2013-08", GREEN_2013, EHAIL),
    Published(
        "green",
        "2014-01",
        GREEN_2014,
        {name.capitalize(): value for name, value in {**_taxi("2014-01", "lpep"), **PLACES}.items()}
        | {"VendorID": 2, "RateCodeID": 2, "MTA_tax": 0.5, "Trip_type": 1},
        {**TAXI, **PARTS_OF_CSV, **PLACES, **_times("2014-01"), **EHAIL, "trip_type": 1},
        of_csv=True,
    ),
    _green("2020-03", GREEN_2020, SURCHARGE),
    _green("2025-01", GREEN_2025, SURCHARGE, CBD, EHAIL),
    _fhv_file("2015-01", FHV_2015, shared_match=True),
    Published(
        "fhv",
        "2017-03",
        FHV_2017,
        _fhv_of_csv("2017-03", Dispatching_base_num="B00254"),
        {**FHV_OF_CSV, **_times("2017-03")},
        of_csv=True,
    ),
    Published(
        "fhv",
        "2018-03",
        FHV_2017.replace("Dispatching_base_num", "SR_Flag:text Dispatching_base_number"),
        _fhv_of_csv("2018-03", Dispatching_base_number="B00254", SR_Flag="1"),
        {**FHV_OF_CSV, **_times("2018-03"), "shared_match": True},
        of_csv=True,
    ),
    _fhv_file("2019-03", FHV_2019_03),
    _fhv_file("2019-05", FHV_2019_05),
    _fhv_file("2020-07", FHV_2020_07),
    _fhv_file("2023-02", FHV_2023, shared_match=True),
    Published("fhvhv", "2019-02", FHVHV_2019, _fhvhv("2019-02", "HV0002"), _fhvhv_expected("2019-02", "Juno", "86.82")),
    Published(
        "fhvhv",
        "2021-05",
        FHVHV_2021,
        _fhvhv("2021-05", "HV0004"),
        _fhvhv_expected("2021-05", "Via", "89.32", airport_fee=Decimal("2.50"), wheelchair_match=True),
    ),
    Published(
        "fhvhv",
        "2025-01",
        FHVHV_2025,
        _fhvhv("2025-01", "HV0003"),
        _fhvhv_expected(
            "2025-01",
            "Uber",
            "90.82",
            airport_fee=Decimal("2.50"),
            wheelchair_match=True,
            cbd_congestion_fee=Decimal("1.50"),
        ),
    ),
)
"""One month of each fleet and era."""
