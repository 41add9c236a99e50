"""The fleets: which files the TLC publishes for each, and which published column feeds which of ours in which era.

A fleet is declared once, here; a new fleet or a new era is one more declaration. Published names are compared without
regard to case and to blanks around them: the TLC renamed `airport_fee` to `Airport_fee` in February 2023. Types changed
as well (integers, doubles, text, null-typed columns), so each column is cast when it is read. The SQL for each kind of
source is in `warehouse/typing`.

Sources: the TLC's data dictionaries for yellow, green, FHV and high-volume FHV trip records, and the schemas of the
files themselves.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from taxi_pipeline.errors import LoadError
from taxi_pipeline.tlc.codes import LICENSEES


class MissingColumnsError(LoadError):
    """A published file lacks columns without which its trips can't be loaded."""


def plain_name(name: str) -> str:
    """A published column's name as names are compared: without blanks around it, in lower case.

    The TLC has published `airport_fee` and `Airport_fee`, `Trip_type ` and ` pickup_datetime`; a file of text that was
    made on Windows has a byte order mark before its first name.
    """
    return name.strip().removeprefix("\ufeff").strip().lower()


@dataclass(frozen=True)
class Value:
    """A column whose values are taken as they are."""

    name: str
    since: date | None = None
    """First month with values, where that is later than the era's; files of before may have or lack the column."""
    optional: bool = False
    """Whether any number of values may not fit our column; else a file in which many do not fit is refused."""
    also: str | None = None
    """Another name that the TLC has used."""

    @property
    def names(self) -> tuple[str, ...]:
        """The published columns."""
        return (self.name,)


@dataclass(frozen=True)
class Code:
    """A column whose texts stand for values of ours; a text that is not among them is taken as it is."""

    name: str
    meanings: Mapping[str, int | str | bool]
    """Text in upper case, without blanks around it → value."""
    optional: bool = False
    """Whether any number of values may not fit our column; else a file in which many do not fit is refused."""

    @property
    def names(self) -> tuple[str, ...]:
        """The published columns."""
        return (self.name,)


@dataclass(frozen=True)
class Total:
    """Columns that are added up. Without the first there is no sum; the others count as nothing where they lack."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Longitude and latitude in degrees (WGS 84), from which the zone is derived; both are kept, too."""

    longitude: str
    latitude: str

    @property
    def names(self) -> tuple[str, ...]:
        """The published columns."""
        return (self.longitude, self.latitude)


Source = Value | Code | Total | Place


NEEDED = ("pickup_datetime", "pickup_zone_id", "dropoff_zone_id")
"""The columns of `trips` without which a row is no trip: a file must have what feeds them."""


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
        have = {plain_name(name) for name in published}
        needed = dict.fromkeys(name for column in NEEDED for name in self.sources[column].names)
        return [name for name in needed if plain_name(name) not in have]

    def absent(self, published: Iterable[str], month: date) -> list[str]:
        """The columns that a file of the month should have beside the needed ones, and that are not published."""
        have = {plain_name(name) for name in published}
        expected = dict.fromkeys(
            source.names[0]
            for column, source in self.sources.items()
            if column not in NEEDED and not _came_later(source, month) and have.isdisjoint(spellings(source))
        )
        return [name for name in expected if plain_name(name) not in have]

    def unknown(self, published: Iterable[str]) -> list[str]:
        """The published columns that are neither used nor known, in the file's order."""
        return [name for name in published if plain_name(name) not in self._known]

    def num_known(self, published: Iterable[str]) -> int:
        """How many of the published columns are used or known."""
        return sum(plain_name(name) in self._known for name in published)

    @cached_property
    def _known(self) -> frozenset[str]:
        # Kept: it is asked for with each column of each file, of all fleets' eras.
        return self.no_values_of_trips.union(*map(spellings, self.sources.values()))


def _came_later(source: Source, month: date) -> bool:
    return isinstance(source, Value) and source.since is not None and month < source.since


def spellings(source: Source) -> set[str]:
    """All plain names of the published columns."""
    also = [source.also] if isinstance(source, Value) and source.also else []
    return {plain_name(name) for name in (*source.names, *also)}


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """One licence class of vehicles and the files of its trips."""

    name: str
    title: str
    """For people, as in "Yellow taxi pickups"."""
    eras: tuple[Era, ...]
    """The first one is the oldest. Of several that fit a file the last one counts."""

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

    def month_name(self, month: date) -> str:
        """The name of a month of the fleet in settings, for example `yellow/2023-03`."""
        return f"{self.name}/{month:%Y-%m}"

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
        for era in reversed(self.eras):
            if not era.lacking(published):
                return era
        nearest = self._nearest_era(published)
        raise MissingColumnsError(
            f"the {self.name} file lacks the column(s) {', '.join(nearest.lacking(published))}; "
            f"it has {_listed(published)}. The nearest known files are those since {nearest.first_month:%Y-%m}. "
            f"Either this is no file of {self.name} trips, or the TLC renamed a column: "
            "then its new name belongs into taxi_pipeline/tlc/fleets.py"
        )

    def likelier_fleet(self, published: Sequence[str]) -> "Fleet | None":
        """Another fleet that knows more of the columns than this one; None when there is none.

        The files of `fhv` and `fhvhv` share the columns that are needed.
        """

        def num_known(fleet: Fleet) -> int:
            return max(era.num_known(published) for era in fleet.eras)

        likeliest = max(FLEETS.values(), key=num_known)
        return likeliest if num_known(likeliest) > num_known(self) else None

    def _nearest_era(self, published: Sequence[str]) -> Era:
        """The era with which the columns have most in common, of those that place trips in the same way."""
        names = [plain_name(name) for name in published]
        has_zones = any("location" in name for name in names)
        has_coordinates = not has_zones and any(name.endswith(("lon", "longitude")) for name in names)
        alike = [era for era in self.eras if era.has_coordinates is has_coordinates] or self.eras
        return max(reversed(alike), key=lambda era: (era.num_known(published), -len(era.lacking(published))))

    def sources_in(self, published: Sequence[str]) -> dict[str, Source]:
        """Column of `trips` → what feeds it, for a file that has these columns.

        Raises:
            MissingColumnsError: a column that every month must have is not among them; names it.
        """
        have = {plain_name(name) for name in published}
        found = {column: _among(have, source) for column, source in self.era_with(published).sources.items()}
        return {column: source for column, source in found.items() if source}

    def unknown_columns(self, published: Sequence[str]) -> list[str]:
        """The published columns that this declaration does not know, in the file's order."""
        return self.era_with(published).unknown(published)

    def absent_columns(self, published: Sequence[str], month: date) -> list[str]:
        """The columns that a file of the month should have, and that are not published; they are NULL in `trips`."""
        return self.era_with(published).absent(published, month)

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


def _among(have: Set[str], source: Source) -> Source | None:
    """The source as a file feeds it that has these plain names; None when it does not."""
    if isinstance(source, Total):
        names = tuple(name for name in source.names if plain_name(name) in have)
        return Total(names) if source.names[0] in names else None
    if have >= set(map(plain_name, source.names)):
        return source
    if isinstance(source, Value) and source.also and plain_name(source.also) in have:
        return replace(source, name=source.also)
    return None


_MAX_LISTED = 60
"""Columns of a file in a message; no month has had more than 25."""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(name[:60] for name in names[:_MAX_LISTED]) + more


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

_METERED_PLACES = _coordinates(
    pickup=Place("pickup_longitude", "pickup_latitude"), dropoff=Place("dropoff_longitude", "dropoff_latitude")
)

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
                **_METERED_PLACES,
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
        # As the TLC published the months until 2016-06 before it replaced coordinates by zones; such files circulate.
        Era(
            first_month=date(2015, 1, 1),
            sources=_TAXI
            | _METERED_PLACES
            | {
                "pickup_datetime": Value("tpep_pickup_datetime"),
                "dropoff_datetime": Value("tpep_dropoff_datetime"),
                "airport_fee": _AIRPORT_FEE,
            },
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

_GREEN = _TAXI | {
    "pickup_datetime": Value("lpep_pickup_datetime"),
    "dropoff_datetime": Value("lpep_dropoff_datetime"),
    "trip_type": Value("trip_type", optional=True),
    "ehail_fee": Value("ehail_fee", optional=True),
}

GREEN = Fleet(
    name="green",
    title="Green taxi",
    eras=(
        # As the months until 2016-06 were published at first.
        Era(first_month=date(2013, 8, 1), sources=_GREEN | _METERED_PLACES),
        Era(first_month=date(2013, 8, 1), sources=_GREEN),
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
                # The CSVs of 2018 have both names.
                "dispatching_base_num": Value("dispatching_base_num", also="Dispatching_base_number"),
                # Only ever 1 or NULL, and a column of NULLs from March 2019 to January 2023.
                "shared_match": Value("SR_Flag", optional=True),
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
