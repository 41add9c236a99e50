"""The fleets: which files the TLC publishes for each, and which published column feeds which of ours in which era.

A fleet is declared once, here; a new fleet or a new era is one more declaration. Published names are compared without
regard to case: the TLC renamed `airport_fee` to `Airport_fee` in February 2023. Types changed as well (integers,
doubles, text, null-typed columns), so each column is cast when it is read. The SQL for each kind of source is in the
engine's folder.

Sources: the TLC's data dictionaries for yellow, green, FHV and high-volume FHV trip records, and the schemas of the
files themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from taxi_pipeline.errors import LoadError
from taxi_pipeline.tlc.codes import LICENSEES


class MissingColumnsError(LoadError):
    """A published file lacks columns without which its trips can't be loaded."""


@dataclass(frozen=True)
class Value:
    """A column whose values are taken as they are."""

    name: str
    since: date | None = None
    """First month with values, where that is later than the era's; files of before may have or lack the column."""
    optional: bool = False
    """Whether trips can be loaded from a file without it; the column is NULL then."""

    @property
    def names(self) -> tuple[str, ...]:
        """The published columns."""
        return (self.name,)

    @property
    def needed(self) -> tuple[str, ...]:
        """Those that every file of the era has."""
        return () if self.since or self.optional else self.names


@dataclass(frozen=True)
class Code:
    """A column whose texts stand for values of ours; a text that is not among them is taken as it is."""

    name: str
    meanings: Mapping[str, int | str | bool]
    """Text in upper case, without blanks around it → value."""
    optional: bool = False
    """Whether trips can be loaded from a file without it; the column is NULL then."""

    @property
    def names(self) -> tuple[str, ...]:
        """The published columns."""
        return (self.name,)

    @property
    def needed(self) -> tuple[str, ...]:
        """Those that every file of the era has."""
        return () if self.optional else self.names


@dataclass(frozen=True)
class Total:
    """Columns that are added up. Without the first there is no sum; the others count as nothing where they lack."""

    names: tuple[str, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """Those that every file of the era has."""
        return self.names[:1]


@dataclass(frozen=True)
class Place:
    """Longitude and latitude in degrees (WGS 84), from which the zone is derived; both are kept, too."""

    longitude: str
    latitude: str

    @property
    def names(self) -> tuple[str, ...]:
        """The published columns."""
        return (self.longitude, self.latitude)

    @property
    def needed(self) -> tuple[str, ...]:
        """Those that every file of the era has."""
        return self.names


Source = Value | Code | Total | Place


@dataclass(frozen=True, kw_only=True)
class Era:
    """Months whose files have the same columns, but for some that came later."""

    first_month: date
    sources: Mapping[str, Source]
    """Column of `trips` → what feeds it. Columns that are not here are NULL."""
    no_values_of_trips: frozenset[str] = frozenset()
    """Published columns that say nothing of a trip, in lower case; they are known and left out."""

    @property
    def has_coordinates(self) -> bool:
        """Whether zones are derived from coordinates."""
        return any(isinstance(source, Place) for source in self.sources.values())

    def lacking(self, published: Iterable[str]) -> list[str]:
        """The needed columns that are not among the published ones."""
        have = {name.lower() for name in published}
        needed = dict.fromkeys(name for source in self.sources.values() for name in source.needed)
        return [name for name in needed if name.lower() not in have]

    def unknown(self, published: Iterable[str]) -> list[str]:
        """The published columns that are neither used nor known, in the file's order."""
        known = self.no_values_of_trips | {name.lower() for source in self.sources.values() for name in source.names}
        return [name for name in published if name.lower() not in known]


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """One licence class of vehicles and the files of its trips."""

    name: str
    title: str
    """For people, as in "Yellow taxi pickups"."""
    eras: tuple[Era, ...]
    """Oldest first."""

    @property
    def first_month(self) -> date:
        """First day of the first month that is published."""
        return self.eras[0].first_month

    @property
    def zones_since(self) -> date:
        """The first day of which files hold zones; those of before hold coordinates."""
        return next(era.first_month for era in self.eras if not era.has_coordinates)

    def file_name(self, month: date) -> str:
        """The name of the file with the month's trips, for example `yellow_tripdata_2023-03.parquet`."""
        return f"{self.name}_tripdata_{month:%Y-%m}.parquet"

    @property
    def file_pattern(self) -> str:
        """Glob pattern of the names of all months' files."""
        return f"{self.name}_tripdata_????-??.parquet"

    def era_with(self, published: Sequence[str]) -> Era:
        """The era to which a file with these columns belongs.

        The columns decide, not the month: the TLC has published old months again with the columns of later ones.

        Raises:
            MissingColumnsError: no era's needed columns are all among them; names what the nearest era lacks.
        """
        era = min(reversed(self.eras), key=lambda era: len(era.lacking(published)))
        if missing := era.lacking(published):
            raise MissingColumnsError(
                f"the {self.name} file lacks the column(s) {', '.join(missing)}; it has {', '.join(published)}. "
                f"Either this is no file of {self.name} trips, or the TLC renamed a column: "
                "then its new name belongs into taxi_pipeline/tlc/fleets.py"
            )
        return era

    def sources_in(self, published: Sequence[str]) -> dict[str, Source]:
        """Column of `trips` → what feeds it, for a file that has these columns.

        Raises:
            MissingColumnsError: a column that every month must have is not among them; names it.
        """
        have = {name.lower() for name in published}
        sources = {}
        for column, source in self.era_with(published).sources.items():
            if isinstance(source, Total):
                sources[column] = Total(tuple(name for name in source.names if name.lower() in have))
            elif have.issuperset(name.lower() for name in source.names):
                sources[column] = source
        return sources

    def unknown_columns(self, published: Sequence[str]) -> list[str]:
        """The published columns that this declaration does not know, in the file's order."""
        return self.era_with(published).unknown(published)

    def published_names(self, column: str) -> set[str]:
        """All published columns, of any era, that our column is read from."""
        return {name for era in self.eras if column in era.sources for name in era.sources[column].names}

    def first_month_of(self, column: str) -> date | None:
        """The first month in which the fleet has values for a column of `trips`; None when it never has."""
        months = [
            (source.since if isinstance(source, Value) else None) or era.first_month
            for era in self.eras
            if (source := era.sources.get(column))
        ]
        return min(months, default=None)


# The State's congestion surcharge is charged since 2019-02-02, the Port Authority's fee since 2021-04-05, the MTA's
# since 2025-01-05. High-volume services have an airport fee since 2021-04, too; before, files hold a zero now and then.
_SURCHARGE = Value("congestion_surcharge", since=date(2019, 2, 1))
_AIRPORT_FEE = Value("airport_fee", since=date(2021, 4, 1))
_CBD_FEE = Value("cbd_congestion_fee", since=date(2025, 1, 1))

_VENDORS_BY_NAME = {"CMT": 1, "VTS": 2, "DDS": 3}
_PAYMENTS_BY_NAME = {
    **dict.fromkeys(("CREDIT", "CRE", "CRD"), 1),
    **dict.fromkeys(("CASH", "CAS", "CSH"), 2),
    **dict.fromkeys(("NO CHARGE", "NOC", "NO"), 3),
    **dict.fromkeys(("DISPUTE", "DISPUT", "DIS"), 4),
    **dict.fromkeys(("UNKNOWN", "UNK", "NA"), 5),
    **dict.fromkeys(("VOIDED TRIP", "VOID", "VOI"), 6),
}
"""As 2009 and 2010 spell them (Cash, CASH, CAS, Cre, "No ", …); what later years number."""

_FLAG = {"Y": True, "N": False}
_STORED = {"0": "N", "0.0": "N", "1": "Y", "1.0": "Y"}
"""As 2009 and 2010 number what later years write as letters."""

_DATA_FRAMES_INDEX = frozenset({"__index_level_0__"})
"""The row numbers of a data frame from which two months of 2010 were written. They count on from row to row."""

_METER = {
    name: Value(name)
    for name in ("trip_distance", "passenger_count", "fare_amount", "tip_amount", "tolls_amount", "total_amount")
}
"""What has had the same name in taxi files since 2010."""

_BEFORE_2011 = {"extra": Value("surcharge", optional=True), "mta_tax": Value("mta_tax", optional=True)}


def _coordinates(*, pickup: Place, dropoff: Place) -> dict[str, Source]:
    """The zones at both ends, and the coordinates that they are derived from."""
    return {
        "pickup_zone_id": pickup,
        "dropoff_zone_id": dropoff,
        "pickup_longitude": Value(pickup.longitude),
        "pickup_latitude": Value(pickup.latitude),
        "dropoff_longitude": Value(dropoff.longitude),
        "dropoff_latitude": Value(dropoff.latitude),
    }


_TAXI = {
    "vendor_id": Value("VendorID"),
    "pickup_zone_id": Value("PULocationID"),
    "dropoff_zone_id": Value("DOLocationID"),
    "rate_code_id": Value("RatecodeID"),
    "payment_type": Value("payment_type"),
    **_METER,
    "congestion_surcharge": _SURCHARGE,
    "cbd_congestion_fee": _CBD_FEE,
    "extra": Value("extra", optional=True),
    "mta_tax": Value("mta_tax", optional=True),
    # Due since January 2015.
    "improvement_surcharge": Value("improvement_surcharge", since=date(2015, 1, 1)),
    "store_and_fwd_flag": Value("store_and_fwd_flag", optional=True),
    "request_source": Value("request_source", since=date(2026, 6, 1)),
}

YELLOW = Fleet(
    name="yellow",
    title="Yellow taxi",
    eras=(
        Era(
            first_month=date(2009, 1, 1),
            sources={
                "vendor_id": Code("vendor_name", _VENDORS_BY_NAME),
                **_coordinates(pickup=Place("Start_Lon", "Start_Lat"), dropoff=Place("End_Lon", "End_Lat")),
                "rate_code_id": Value("Rate_Code"),
                "payment_type": Code("Payment_Type", _PAYMENTS_BY_NAME),
                "pickup_datetime": Value("Trip_Pickup_DateTime"),
                "dropoff_datetime": Value("Trip_Dropoff_DateTime"),
                "trip_distance": Value("Trip_Distance"),
                "passenger_count": Value("Passenger_Count"),
                "fare_amount": Value("Fare_Amt"),
                "tip_amount": Value("Tip_Amt"),
                "tolls_amount": Value("Tolls_Amt"),
                "total_amount": Value("Total_Amt"),
                **_BEFORE_2011,
                "store_and_fwd_flag": Code("store_and_forward", _STORED, optional=True),
            },
            no_values_of_trips=_DATA_FRAMES_INDEX,
        ),
        Era(
            first_month=date(2010, 1, 1),
            sources={
                "vendor_id": Code("vendor_id", _VENDORS_BY_NAME),
                **_coordinates(
                    pickup=Place("pickup_longitude", "pickup_latitude"),
                    dropoff=Place("dropoff_longitude", "dropoff_latitude"),
                ),
                "rate_code_id": Value("rate_code"),
                "payment_type": Code("payment_type", _PAYMENTS_BY_NAME),
                "pickup_datetime": Value("pickup_datetime"),
                "dropoff_datetime": Value("dropoff_datetime"),
                **_METER,
                **_BEFORE_2011,
                "store_and_fwd_flag": Code("store_and_fwd_flag", _STORED, optional=True),
            },
            no_values_of_trips=_DATA_FRAMES_INDEX,
        ),
        Era(
            first_month=date(2011, 1, 1),
            sources=_TAXI
            | {
                "pickup_datetime": Value("tpep_pickup_datetime"),
                "dropoff_datetime": Value("tpep_dropoff_datetime"),
                "airport_fee": _AIRPORT_FEE,
            },
        ),
    ),
)

GREEN = Fleet(
    name="green",
    title="Green taxi",
    eras=(
        Era(
            first_month=date(2013, 8, 1),
            sources=_TAXI
            | {
                "pickup_datetime": Value("lpep_pickup_datetime"),
                "dropoff_datetime": Value("lpep_dropoff_datetime"),
                "trip_type": Value("trip_type", optional=True),
                "ehail_fee": Value("ehail_fee", optional=True),
            },
        ),
    ),
)

FHV = Fleet(
    name="fhv",
    title="For-hire vehicle",
    eras=(
        Era(
            first_month=date(2015, 1, 1),
            sources={
                "pickup_zone_id": Value("PUlocationID"),
                "dropoff_zone_id": Value("DOlocationID"),
                "pickup_datetime": Value("pickup_datetime"),
                "dropoff_datetime": Value("dropOff_datetime"),
                "dispatching_base_num": Value("dispatching_base_num"),
                # Only ever 1 or NULL, and a column of NULLs from March 2019 to January 2023.
                "shared_match": Value("SR_Flag"),
                "affiliated_base_number": Value("Affiliated_base_number", optional=True),
            },
        ),
    ),
)

FHVHV = Fleet(
    name="fhvhv",
    title="High-volume for-hire vehicle",
    eras=(
        Era(
            first_month=date(2019, 2, 1),
            sources={
                "pickup_zone_id": Value("PULocationID"),
                "dropoff_zone_id": Value("DOLocationID"),
                "pickup_datetime": Value("pickup_datetime"),
                "dropoff_datetime": Value("dropoff_datetime"),
                "trip_distance": Value("trip_miles"),
                "fare_amount": Value("base_passenger_fare"),
                "tip_amount": Value("tips"),
                "tolls_amount": Value("tolls"),
                "congestion_surcharge": Value("congestion_surcharge"),
                "airport_fee": _AIRPORT_FEE,
                "cbd_congestion_fee": _CBD_FEE,
                "total_amount": Total(
                    (
                        "base_passenger_fare",
                        "tolls",
                        "bcf",
                        "sales_tax",
                        "congestion_surcharge",
                        "airport_fee",
                        "cbd_congestion_fee",
                        "tips",
                    )
                ),
                "licensee": Code("hvfhs_license_num", {str(company.code): company.text for company in LICENSEES}),
                "dispatching_base_num": Value("dispatching_base_num"),
                "request_datetime": Value("request_datetime"),
                "on_scene_datetime": Value("on_scene_datetime"),
                "driver_pay": Value("driver_pay"),
                "shared_request": Code("shared_request_flag", _FLAG),
                "shared_match": Code("shared_match_flag", _FLAG),
                "access_a_ride": Code("access_a_ride_flag", _FLAG),
                "wheelchair_request": Code("wav_request_flag", _FLAG),
                "wheelchair_match": Code("wav_match_flag", _FLAG),
                "black_car_fund": Value("bcf", optional=True),
                "sales_tax": Value("sales_tax", optional=True),
                "trip_time": Value("trip_time", optional=True),
                "originating_base_num": Value("originating_base_num", optional=True),
            },
        ),
    ),
)

FLEETS: Mapping[str, Fleet] = {fleet.name: fleet for fleet in (YELLOW, GREEN, FHV, FHVHV)}
FIRST_DAY = min(fleet.first_month for fleet in FLEETS.values())
"""The first day of which the TLC publishes trips."""
