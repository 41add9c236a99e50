"""The warehouse's tables, each declared once.

The DDL, Dagster's column metadata, the schema checks and the data dictionary come from these declarations. The SQL that
fills them is in `ingest` and `rollups`.
"""

from collections.abc import Container
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial

from taxi_pipeline.warehouse.histograms import bounds_in_words
from taxi_pipeline.warehouse.plausibility import MAX_PLAUSIBLE_HOURS, MAX_PLAUSIBLE_MILES
from taxi_pipeline.warehouse.sql import month_start

MONEY = "DECIMAL(12, 2)"
"""SQL type of US dollars. Exact, so that sums do not depend on the order in which threads add."""

MILES = "DECIMAL(12, 3)"
"""SQL type of miles, exact for the same reason; the TLC publishes two decimals, real values reach 305,189.98
miles (green 2022-10)."""


@dataclass(frozen=True)
class Column:
    """A column: its SQL type as DuckDB spells it, what it means, the unit or kind of its values."""

    name: str
    type: str
    description: str
    unit: str = ""
    nullable: bool = True
    made_from: tuple[str, ...] = ()
    """Columns that the values come from, as `table.column`; those of `trips` are declared in `tlc.fleets`."""

    @property
    def comment(self) -> str:
        """What it means, with its unit."""
        return f"{self.description} ({self.unit})" if self.unit else self.description


class Kind(Enum):
    """The way in which a table of the warehouse is written."""

    DAILY = auto()
    """Its rows belong to days of fleets, and are replaced by days."""
    RECORD = auto()
    """It has one row for each day of a fleet that is loaded, and says which file the day came from."""
    WHOLE = auto()
    """It is small, and replaced as a whole."""
    VERSION = auto()
    """The engine itself writes it, with each transaction."""


@dataclass(frozen=True)
class Table:
    """A declared table: of the warehouse when it has a kind, otherwise of a file."""

    name: str
    description: str
    columns: tuple[Column, ...]
    kind: Kind | None = None
    day: str = "pickup_date"
    """SQL for the day to which a row belongs, in tables with days."""
    month: str = "pickup_date"
    """Column with a date in the month of that day. Engines prune by it."""
    order: str = ""
    """SQL for the order of the rows of a day, where an engine keeps one."""
    key: tuple[str, ...] = ()
    """Columns whose values together no two rows share; none of them is NULL. Empty where rows may be alike."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def column_types(self) -> dict[str, str]:
        """Column name → SQL type."""
        return {column.name: column.type for column in self.columns}

    @property
    def comments(self) -> dict[str, str]:
        """Column name → what it means, with its unit."""
        return {column.name: column.comment for column in self.columns}

    def create_sql(self) -> str:
        """The statement that makes the table where it does not exist."""
        columns = ", ".join(
            f"{column.name} {column.type}{'' if column.nullable else ' NOT NULL'}" for column in self.columns
        )
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({columns})"


_DOLLARS = "US dollars"
_WALL_TIME = "New York wall time"

_FLEET = Column("fleet", "VARCHAR", "Fleet of the trip: yellow, green, fhv or fhvhv", nullable=False)
_PICKUP_DATE = Column("pickup_date", "DATE", "Day of the pickup", _WALL_TIME, nullable=False)

_TRIP_COLUMNS = (
    Column("vendor_id", "SMALLINT", "Who provided the record", "code, see vendors"),
    Column("pickup_zone_id", "SMALLINT", "Zone of the pickup; 264 when not known", "id, see zones", nullable=False),
    Column("dropoff_zone_id", "SMALLINT", "Zone of the drop-off; 264 when not known", "id, see zones", nullable=False),
    Column("rate_code_id", "SMALLINT", "Rate at the end of the trip", "code, see rate_codes"),
    Column("payment_type", "SMALLINT", "How the passenger paid", "code, see payment_types"),
    Column("pickup_datetime", "TIMESTAMP", "When the meter was engaged, or the passenger picked up", _WALL_TIME),
    Column("dropoff_datetime", "TIMESTAMP", "When the meter was disengaged, or the passenger dropped off", _WALL_TIME),
    Column("trip_distance", MILES, "Distance by the taximeter; of fhvhv as the company reports it", "miles"),
    Column("passenger_count", "SMALLINT", "Passengers, entered by the driver"),
    Column(
        "fare_amount",
        MONEY,
        "Time-and-distance fare; of fhvhv the base fare before tolls, tips, taxes and fees",
        _DOLLARS,
    ),
    Column(
        "tip_amount",
        MONEY,
        "Tip paid by card (taxis) or in the app (fhvhv); cash tips are not recorded",
        _DOLLARS,
    ),
    Column("tolls_amount", MONEY, "Tolls of bridges and tunnels", _DOLLARS),
    Column("congestion_surcharge", MONEY, "New York State congestion surcharge", _DOLLARS),
    Column("airport_fee", MONEY, "Fee for pickups at LaGuardia and JFK; of fhvhv also drop-offs, and Newark", _DOLLARS),
    Column("cbd_congestion_fee", MONEY, "MTA congestion relief zone fee", _DOLLARS),
    Column(
        "total_amount",
        MONEY,
        "All that the passenger was charged, without cash tips. Of fhvhv, whose files have no total, what the "
        "passenger paid: base fare, tolls, Black Car Fund, sales tax, congestion surcharge, airport fee, CBD fee and "
        "tip added up; a part that is missing counts as nothing, without a base fare there is no total",
        _DOLLARS,
    ),
    Column("licensee", "VARCHAR", "High-volume company: Uber, Lyft, Via or Juno; else its licence number"),
    Column("dispatching_base_num", "VARCHAR", "Licence number of the base that sent the car"),
    Column("request_datetime", "TIMESTAMP", "When the passenger asked for the trip", _WALL_TIME),
    Column(
        "on_scene_datetime",
        "TIMESTAMP",
        "When the driver arrived at the pickup; by the dictionary for accessible vehicles only",
        _WALL_TIME,
    ),
    Column("driver_pay", MONEY, "What the driver got, without tolls and tips, net of commission and taxes", _DOLLARS),
    Column("shared_request", "BOOLEAN", "Whether the passenger agreed to a shared ride, matched or not"),
    Column(
        "shared_match",
        "BOOLEAN",
        "Whether the passenger shared the car with another one who booked separately. Of fhv the flag SR_Flag: only "
        "true or NULL, and Lyft's bases set it for requests without a match, too",
    ),
    Column("access_a_ride", "BOOLEAN", "Whether the trip was made for the MTA's Access-A-Ride"),
    Column("wheelchair_request", "BOOLEAN", "Whether a wheelchair-accessible vehicle was asked for"),
    Column("wheelchair_match", "BOOLEAN", "Whether the vehicle was wheelchair-accessible"),
)
_LATER_TRIP_COLUMNS = (
    Column("extra", MONEY, "Extras and surcharges: rush hour and overnight charges; before 2011 `surcharge`", _DOLLARS),
    Column("mta_tax", MONEY, "Tax of the MTA, by the metered rate", _DOLLARS),
    Column("improvement_surcharge", MONEY, "Improvement surcharge, due since 2015", _DOLLARS),
    Column(
        "store_and_fwd_flag",
        "VARCHAR",
        "Whether the record was held in the vehicle before it was sent",
        "code, see store_and_fwd_flags",
    ),
    Column("trip_type", "SMALLINT", "Hailed in the street or dispatched", "code, see trip_types"),
    Column("ehail_fee", MONEY, "Fee for an electronic hail", _DOLLARS),
    Column("black_car_fund", MONEY, "Collected for the Black Car Fund, `bcf`", _DOLLARS),
    Column("sales_tax", MONEY, "New York State sales tax", _DOLLARS),
    Column("trip_time", "INTEGER", "Time in the car with the passenger, as the company reports it", "seconds"),
    Column("originating_base_num", "VARCHAR", "Licence number of the base that got the request"),
    Column("affiliated_base_number", "VARCHAR", "Licence number of the base with which the car is affiliated"),
    Column("request_source", "VARCHAR", "Who sent the trip, as published", "code, see request_sources"),
    Column(
        "pickup_longitude",
        "DOUBLE",
        "Where the meter was engaged, as published at first, until June 2016",
        "degrees, WGS 84",
    ),
    Column(
        "pickup_latitude",
        "DOUBLE",
        "Where the meter was engaged, as published at first, until June 2016",
        "degrees, WGS 84",
    ),
    Column(
        "dropoff_longitude",
        "DOUBLE",
        "Where it was disengaged, as published at first, until June 2016",
        "degrees, WGS 84",
    ),
    Column(
        "dropoff_latitude",
        "DOUBLE",
        "Where it was disengaged, as published at first, until June 2016",
        "degrees, WGS 84",
    ),
)

PUBLISHED_COLUMNS = (*_TRIP_COLUMNS, *_LATER_TRIP_COLUMNS)
"""The columns of `trips` that come from the file; the fleet is known, the pickup date follows from the pickup time."""
NUM_PUBLISHED_COLUMNS = len(PUBLISHED_COLUMNS)


def columns_fed_by(sources: Container[str]) -> list[str]:
    """The names of those columns of `trips` that have a source, in their order."""
    return [column.name for column in PUBLISHED_COLUMNS if column.name in sources]


TRIPS = Table(
    "trips",
    "One row per trip, as published: refunds, zero distances and odd dates inside the day stay.",
    (_FLEET, _PICKUP_DATE, *PUBLISHED_COLUMNS),
    Kind.DAILY,
    order="pickup_datetime",
)

REJECTED_TRIPS = Table(
    "rejected_trips",
    "Published rows that are no trips: outside their file's month (kept with its first day), or with a pickup time or "
    "a zone that is none (kept with their day).",
    (
        _FLEET,
        Column("month", "DATE", "First day of the month whose file holds the row", nullable=False),
        Column("reason", "VARCHAR", "Why the row is no trip; a value that does not fit is quoted", nullable=False),
        Column("pickup_date", "DATE", "Day of the pickup, as published", _WALL_TIME),
        *_TRIP_COLUMNS,
        Column(
            "misfit_columns",
            "VARCHAR",
            "Columns that the row's values do not fit, separated by commas; NULL when all fit",
        ),
        *_LATER_TRIP_COLUMNS,
    ),
    Kind.DAILY,
    day=f"CASE WHEN {month_start('pickup_date')} = month THEN pickup_date ELSE month END",
    month="month",
    order="pickup_datetime",
)

LOADED_DAYS = Table(
    "loaded_days",
    "One row for each loaded day of a fleet, with the file that it came from; also for days without trips.",
    (
        _FLEET,
        _PICKUP_DATE,
        Column("num_trips", "BIGINT", "Trips that the published file has for the day", nullable=False),
        Column("num_rejected", "BIGINT", "Rows of the file that are rejected with the day", nullable=False),
        Column("file_version", "VARCHAR", "SHA-256 of the published file", nullable=False),
        Column("file_rows", "BIGINT", "Rows of the published file, all days", nullable=False),
        Column("synthetic", "BOOLEAN", "Whether the file was generated", nullable=False),
        Column(
            "num_columns",
            "SMALLINT",
            "Published columns that `trips` had when the day was loaded. With fewer than today, or NULL, the month has "
            "to be loaded again to fill the others: `taxi-pipeline status` names it",
        ),
        Column(
            "num_unfit",
            "BIGINT",
            "Values of the day's trips that fit no column and are NULL in `trips`; NULL where an older version loaded "
            "the day, which rejected such rows",
        ),
        Column("unfit_values", "VARCHAR", "How many trips have which of these values, with an example each"),
    ),
    Kind.RECORD,
    order="fleet, pickup_date",
    key=("fleet", "pickup_date"),
)

ZONES = Table(
    "zones",
    "The TLC's taxi zones, one row per id from 1 to 265.",
    (
        Column(
            "zone_id",
            "SMALLINT",
            "Id of the zone: OBJECTID of the zone file",
            nullable=False,
            made_from=("taxi_zones_file.OBJECTID",),
        ),
        Column("zone", "VARCHAR", "Name of the zone", nullable=False, made_from=("taxi_zones_file.zone",)),
        Column(
            "borough",
            "VARCHAR",
            "Borough, EWR for Newark Airport",
            nullable=False,
            made_from=("taxi_zones_file.borough",),
        ),
        Column(
            "geometry",
            "VARCHAR",
            "Shape; NULL for 264 and 265",
            "WKT, degrees (EPSG:4326)",
            made_from=("taxi_zones_file.geometry",),
        ),
    ),
    Kind.WHOLE,
    key=("zone_id",),
)


def _counted(name: str, type_: str, description: str, unit: str = "", *, of: str) -> Column:
    """Declare a column of a rollup, computed from these columns of `trips`."""
    made_from = tuple(f"trips.{column}" for column in of.split())
    return Column(name, type_, description, unit, nullable=False, made_from=made_from)


_DAY_OF_FLEET = (
    replace(_FLEET, made_from=("trips.fleet",)),
    replace(_PICKUP_DATE, made_from=("trips.pickup_date",)),
)

ZONE_HOURLY_TRIPS = Table(
    "zone_hourly_trips",
    "Trips by fleet, pickup date, hour and pickup zone; rollups by pickup read this table.",
    (
        *_DAY_OF_FLEET,
        _counted("pickup_hour", "SMALLINT", "Hour of the pickup, 0 to 23", _WALL_TIME, of="pickup_datetime"),
        _counted("pickup_zone_id", "SMALLINT", "Zone of the pickup", "id, see zones", of="pickup_zone_id"),
        _counted("num_trips", "BIGINT", "Number of trips", of=""),
        _counted("passenger_count", "BIGINT", "Sum of passengers, where known", of="passenger_count"),
        _counted("trip_distance", "DECIMAL(18, 3)", "Sum of distances, as published", "miles", of="trip_distance"),
        _counted("fare_amount", "DECIMAL(18, 2)", "Sum of fares", _DOLLARS, of="fare_amount"),
        _counted("tip_amount", "DECIMAL(18, 2)", "Sum of recorded tips", _DOLLARS, of="tip_amount"),
        _counted("total_amount", "DECIMAL(18, 2)", "Sum of totals", _DOLLARS, of="total_amount"),
    ),
    Kind.DAILY,
    order="pickup_date, pickup_hour, pickup_zone_id",
    key=("fleet", "pickup_date", "pickup_hour", "pickup_zone_id"),
)

ZONE_HOURLY_VOIDS = Table(
    "zone_hourly_voids",
    "Rows that are one half of a void, by fleet, pickup date, hour and pickup zone: `zone_hourly_trips` less these are "
    "the net trips, as in the view `net_trips`. A void is a trip of a taxi and its row once more with the opposite "
    "total: same pickup and drop-off second, zones and distance. Both are in `trips`.",
    (
        *ZONE_HOURLY_TRIPS.columns[:4],
        _counted("num_trips", "BIGINT", "Number of rows, two for each void", of="total_amount"),
        *(replace(column, description=f"{column.description}, of these") for column in ZONE_HOURLY_TRIPS.columns[5:]),
    ),
    Kind.DAILY,
    order=ZONE_HOURLY_TRIPS.order,
    key=ZONE_HOURLY_TRIPS.key,
)

ZONE_HOURLY_DROPOFFS = Table(
    "zone_hourly_dropoffs",
    "Trips by fleet, pickup date, hour of the drop-off and drop-off zone.",
    (
        *_DAY_OF_FLEET,
        Column(
            "dropoff_hour",
            "SMALLINT",
            "Hour of the drop-off, 0 to 23; NULL when not published",
            _WALL_TIME,
            made_from=("trips.dropoff_datetime",),
        ),
        _counted("dropoff_zone_id", "SMALLINT", "Zone of the drop-off", "id, see zones", of="dropoff_zone_id"),
        _counted("num_trips", "BIGINT", "Number of trips", of=""),
    ),
    Kind.DAILY,
    order="pickup_date, dropoff_hour, dropoff_zone_id",
)

_MEASURED = (
    "fare_amount trip_distance pickup_datetime dropoff_datetime tip_amount passenger_count request_datetime "
    "payment_type vendor_id"
)

TRIP_HISTOGRAMS = Table(
    "trip_histograms",
    "Trips by fleet, pickup date and the size of a measure: how fares, distances, durations, speeds, tips, passengers "
    "and waits are distributed. Each measure that the fleet's files have holds all trips of the day; those without the "
    "number are in bin -1. The upper bound of bin 0, and the lower bounds of bins 1, 2, …, are: "
    + bounds_in_words()
    + ".",
    (
        *_DAY_OF_FLEET,
        _counted(
            "measure",
            "VARCHAR",
            "fare_amount (US dollars), trip_distance (miles), duration_minutes, miles_per_hour, tip_percent (of the "
            "fare, of taxis' trips by card and of fhvhv), passenger_count, wait_minutes (from request to pickup)",
            of=_MEASURED,
        ),
        _counted("bin", "SMALLINT", "Range of the measure; -1 where the trip does not have it", of=_MEASURED),
        _counted("num_trips", "BIGINT", "Number of trips, as published", of=""),
    ),
    Kind.DAILY,
    order="pickup_date, measure, bin",
    key=("fleet", "pickup_date", "measure", "bin"),
)

_TIMES = "pickup_datetime dropoff_datetime"
_PLAUSIBLE = f"plausible trips: at most {MAX_PLAUSIBLE_MILES} miles and {MAX_PLAUSIBLE_HOURS} hours, and not backwards"

BOROUGH_FLOWS = Table(
    "borough_flows",
    "Trips by fleet, pickup date, and boroughs of pickup and drop-off, with the sums from which means are computed.",
    (
        *_DAY_OF_FLEET,
        Column(
            "pickup_borough",
            "VARCHAR",
            "Borough of the pickup zone, as in zones",
            nullable=False,
            made_from=("trips.pickup_zone_id", "zones.borough"),
        ),
        Column(
            "dropoff_borough",
            "VARCHAR",
            "Borough of the drop-off zone, as in zones",
            nullable=False,
            made_from=("trips.dropoff_zone_id", "zones.borough"),
        ),
        _counted("num_trips", "BIGINT", "Number of trips", of=""),
        _counted(
            "num_too_long",
            "BIGINT",
            f"Trips of more than {MAX_PLAUSIBLE_MILES} miles or {MAX_PLAUSIBLE_HOURS} hours",
            of=f"trip_distance {_TIMES}",
        ),
        _counted("num_backwards", "BIGINT", "Other trips that end before they begin", of=_TIMES),
        _counted(
            "num_fares",
            "BIGINT",
            f"Trips with a fare, of {_PLAUSIBLE}; without those of vendors whose fares are known to be wrong",
            of=f"fare_amount vendor_id trip_distance {_TIMES}",
        ),
        _counted(
            "fare_amount",
            "DECIMAL(18, 2)",
            "Sum of their fares",
            _DOLLARS,
            of=f"fare_amount vendor_id trip_distance {_TIMES}",
        ),
        _counted("num_distances", "BIGINT", f"Trips with a distance, of {_PLAUSIBLE}", of=f"trip_distance {_TIMES}"),
        _counted("trip_distance", "DECIMAL(18, 3)", "Sum of their distances", "miles", of=f"trip_distance {_TIMES}"),
        _counted(
            "num_durations",
            "BIGINT",
            f"Trips with both times, of {_PLAUSIBLE}; without those of vendors whose times are known to be wrong",
            of=f"vendor_id trip_distance {_TIMES}",
        ),
        _counted(
            "duration_seconds",
            "BIGINT",
            "Sum of their durations by the clock",
            "seconds",
            of=f"vendor_id trip_distance {_TIMES}",
        ),
        _counted("num_card_trips", "BIGINT", "Trips paid by credit card, all of them", of="payment_type"),
        _counted("card_tip_amount", "DECIMAL(18, 2)", "Sum of their tips", _DOLLARS, of="payment_type tip_amount"),
    ),
    Kind.DAILY,
    order="pickup_date, pickup_borough, dropoff_borough",
    key=("fleet", "pickup_date", "pickup_borough", "dropoff_borough"),
)

_HOURLY = "zone_hourly_trips"

TRIPS_BY_WEEK = Table(
    "trips_by_week",
    "The weeks of `outputs/trips_by_week.csv`: no table of the warehouse.",
    (
        Column(
            "period", "DATE", "Sunday on which the week starts", nullable=False, made_from=(f"{_HOURLY}.pickup_date",)
        ),
        Column("num_trips", "BIGINT", "Trips whose pickup lies in the week", made_from=(f"{_HOURLY}.num_trips",)),
        Column("total_amount", "DECIMAL", "Sum of all charges", _DOLLARS, made_from=(f"{_HOURLY}.total_amount",)),
        Column(
            "trip_distance",
            "DECIMAL",
            "Sum of distances, as published",
            "miles",
            made_from=(f"{_HOURLY}.trip_distance",),
        ),
        Column(
            "passenger_count", "BIGINT", "Sum of passengers, where known", made_from=(f"{_HOURLY}.passenger_count",)
        ),
    ),
)


def _code_table(name: str, description: str, *columns: Column) -> Table:
    """Declare a table with the meaning of codes, and the date of the TLC's dictionary that has it."""
    as_of = Column("as_of", "DATE", "Date of the TLC's dictionary; NULL for what none of them has")
    return Table(name, description, (*columns, as_of), Kind.WHOLE)


VENDORS = _code_table(
    "vendors",
    "Providers of the records of taxi trips.",
    Column("vendor_id", "SMALLINT", "As in trips", nullable=False),
    Column("vendor", "VARCHAR", "Company", nullable=False),
)
RATE_CODES = _code_table(
    "rate_codes",
    "Rates of taxi trips.",
    Column("rate_code_id", "SMALLINT", "As in trips", nullable=False),
    Column("rate_code", "VARCHAR", "Rate", nullable=False),
)
PAYMENT_TYPES = _code_table(
    "payment_types",
    "Ways to pay taxi trips.",
    Column("payment_type", "SMALLINT", "As in trips", nullable=False),
    Column("payment", "VARCHAR", "Way of paying", nullable=False),
)
TRIP_TYPES = _code_table(
    "trip_types",
    "Ways to hire green taxis.",
    Column("trip_type", "SMALLINT", "As in trips", nullable=False),
    Column("hired", "VARCHAR", "Way of hiring", nullable=False),
)
STORE_AND_FWD_FLAGS = _code_table(
    "store_and_fwd_flags",
    "Whether records of taxi trips were sent at once.",
    Column("store_and_fwd_flag", "VARCHAR", "As in trips", nullable=False),
    Column("sent", "VARCHAR", "When the record was sent", nullable=False),
)
LICENSEES = _code_table(
    "licensees",
    "Companies with a high-volume licence (10,000 trips a day and more).",
    Column("license_num", "VARCHAR", "As published, hvfhs_license_num", nullable=False),
    Column("licensee", "VARCHAR", "As in trips", nullable=False),
)

COMPANY_BASES = _code_table(
    "company_bases",
    "The bases of Uber, Lyft, Via and Juno (as of 2024), by which the trips of fhv until 2019-01 are told apart.",
    Column("base_number", "VARCHAR", "As in trips, dispatching_base_num", nullable=False),
    Column("company", "VARCHAR", "Uber, Lyft, Via or Juno", nullable=False),
)

REQUEST_SOURCES = _code_table(
    "request_sources",
    "Who sent a taxi trip, since 2026-06; what is inferred says so.",
    Column("request_source", "VARCHAR", "As in trips", nullable=False),
    Column("sender", "VARCHAR", "Company", nullable=False),
)

ZONE_AREAS = Table(
    "zone_areas",
    "Groups of zones.",
    (
        Column("area", "VARCHAR", "airport or congestion zone", nullable=False),
        Column("zone_id", "SMALLINT", "Zone in the area", "id, see zones", nullable=False),
    ),
    Kind.WHOLE,
    key=("area", "zone_id"),
)


def _published(
    name: str, type_: str, description: str, unit: str = "", *, of: str, file: str = "tlc_report_file"
) -> Column:
    """Declare a column that comes from this column of a published file: of the TLC's monthly report, or another."""
    return Column(name, type_, description, unit, made_from=(f"{file}.{of}",))


TLC_INDICATORS = Table(
    "tlc_indicators",
    "What the TLC itself counts, by month and licence class: its monthly report, as published. A value that the report "
    "does not have is NULL.",
    (
        Column("month", "DATE", "First day of the month", nullable=False, made_from=("tlc_report_file.Month/Year",)),
        Column(
            "license_class",
            "VARCHAR",
            "Yellow, Green, FHV - High Volume, FHV - Black Car, FHV - Livery, FHV - Lux Limo, as published",
            nullable=False,
            made_from=("tlc_report_file.License Class",),
        ),
        _published("trips_per_day", "BIGINT", "Trips on an average day", of="Trips Per Day"),
        _published(
            "farebox_dollars_per_day",
            "BIGINT",
            "What passengers paid on an average day, without tips paid by card; yellow and green only",
            _DOLLARS,
            of="Farebox Per Day",
        ),
        _published("unique_drivers", "BIGINT", "Drivers with a trip in the month", of="Unique Drivers"),
        _published("unique_vehicles", "BIGINT", "Vehicles with a trip in the month", of="Unique Vehicles"),
        _published("vehicles_per_day", "BIGINT", "Vehicles with a trip on an average day", of="Vehicles Per Day"),
        _published(
            "days_per_vehicle",
            "DECIMAL(6, 2)",
            "Days of the month on which a vehicle had a trip, on average",
            "days",
            of="Avg Days Vehicles on Road",
        ),
        _published(
            "hours_per_day_per_vehicle",
            "DECIMAL(6, 2)",
            "Hours of a day that a vehicle was on the road, on average",
            "hours",
            of="Avg Hours Per Day Per Vehicle",
        ),
        _published(
            "days_per_driver",
            "DECIMAL(6, 2)",
            "Days of the month on which a driver had a trip, on average",
            "days",
            of="Avg Days Drivers on Road",
        ),
        _published(
            "hours_per_day_per_driver",
            "DECIMAL(6, 2)",
            "Hours of a day that a driver was on the road, on average",
            "hours",
            of="Avg Hours Per Day Per Driver",
        ),
        _published("minutes_per_trip", "DECIMAL(6, 2)", "Mean duration", "minutes", of="Avg Minutes Per Trip"),
        _published(
            "card_share",
            "DECIMAL(5, 4)",
            "Share of the trips paid by credit card, published in whole percent",
            "share, 0 to 1",
            of="Percent of Trips Paid with Credit Card",
        ),
        _published(
            "shared_trips_per_day",
            "BIGINT",
            "Trips on an average day that were shared with another passenger",
            of="Trips Per Day Shared",
        ),
    ),
    Kind.WHOLE,
)

BASES = Table(
    "bases",
    "The bases of for-hire vehicles, with the names of the newest month of the published list.",
    (
        Column(
            "base_number",
            "VARCHAR",
            "Licence number, as in trips",
            nullable=False,
            made_from=("bases_file.Base License Number",),
        ),
        Column("base_name", "VARCHAR", "Name of the base", made_from=("bases_file.Base Name",)),
        Column("trade_name", "VARCHAR", "Name under which it does business", made_from=("bases_file.DBA",)),
        Column(
            "company",
            "VARCHAR",
            "Uber, Lyft, Via, Juno or other: as the list says, otherwise as in company_bases",
            nullable=False,
            made_from=("bases_file.Base License Number",),
        ),
        Column(
            "as_of",
            "DATE",
            "First day of the newest month in the list; NULL where it has no months",
            made_from=("bases_file.Year", "bases_file.Month"),
        ),
    ),
    Kind.WHOLE,
    key=("base_number",),
)


_weather = partial(_published, file="weather_file")

WEATHER_DAYS = Table(
    "weather_days",
    "The weather in Central Park by day, from 2009-01-01 on: station USW00094728 of NOAA. NULL is what was not "
    "measured, or failed NOAA's checks of quality.",
    (
        Column("day", "DATE", "Day", nullable=False, made_from=("weather_file.DATE",)),
        _weather("high_f", "DECIMAL(5, 1)", "Highest temperature", "degrees Fahrenheit", of="TMAX"),
        _weather("low_f", "DECIMAL(5, 1)", "Lowest temperature", "degrees Fahrenheit", of="TMIN"),
        _weather("precipitation_in", "DECIMAL(6, 2)", "Rain and melted snow", "inches", of="PRCP"),
        _weather("snowfall_in", "DECIMAL(5, 1)", "Fresh snow", "inches", of="SNOW"),
        _weather("snow_depth_in", "DECIMAL(5, 1)", "Snow on the ground", "inches", of="SNWD"),
        _weather("wind_mph", "DECIMAL(5, 2)", "Mean wind speed", "miles per hour", of="AWND"),
        _weather("high_c", "DECIMAL(4, 1)", "Highest temperature", "degrees Celsius", of="TMAX"),
        _weather("low_c", "DECIMAL(4, 1)", "Lowest temperature", "degrees Celsius", of="TMIN"),
        _weather("precipitation_mm", "DECIMAL(6, 1)", "Rain and melted snow", "millimetres", of="PRCP"),
        _weather("snowfall_mm", "INTEGER", "Fresh snow", "millimetres", of="SNOW"),
        _weather("snow_depth_mm", "INTEGER", "Snow on the ground", "millimetres", of="SNWD"),
        _weather("wind_m_s", "DECIMAL(4, 1)", "Mean wind speed", "metres per second", of="AWND"),
        Column(
            "published_units",
            "VARCHAR",
            "Units of the published file; the other columns are computed: standard (°F, inches, miles per hour), "
            "metric (°C, millimetres, metres per second), tenths (of °C, millimetres and metres per second)",
            nullable=False,
        ),
    ),
    Kind.WHOLE,
    key=("day",),
)

CALENDAR_DAYS = Table(
    "calendar_days",
    "The days of New York since 2009-01-01, until the end of the year in which the table was made: weekday, holiday, "
    "school day, hours and known events, each with its source.",
    (
        Column("day", "DATE", "Day", nullable=False),
        Column("weekday", "SMALLINT", "0 for Sunday to 6 for Saturday", nullable=False),
        Column(
            "holiday",
            "VARCHAR",
            "Public holiday of the nation or of New York State, by the package holidays; one that is observed on "
            "another weekday is there on both days",
        ),
        Column(
            "school_day",
            "BOOLEAN",
            "Whether pupils of New York City's public schools were expected in their buildings; NULL where no source "
            "for the school year was found",
        ),
        Column("hours", "SMALLINT", "Length of the day: 23 or 25 when clocks change", "hours", nullable=False),
        Column("event", "VARCHAR", "Known events that trips show; of what begins and stays, the first day"),
        Column("event_source", "VARCHAR", "Addresses of the pages that tell of the events"),
    ),
    Kind.WHOLE,
    key=("day",),
)

ZONE_PLACES = Table(
    "zone_places",
    "Where the zones from 1 to 263 lie: neighborhoods (NTA of 2020), community districts, service zones. A zone has "
    "the place in which most of its area lies.",
    (
        Column("zone_id", "SMALLINT", "Id of the zone", "id, see zones", nullable=False),
        Column("service_zone", "VARCHAR", "The TLC's: Yellow Zone, Boro Zone, Airports or EWR", nullable=False),
        Column("neighborhood_code", "VARCHAR", "Code of the neighborhood, such as MN0303; NULL for Newark Airport"),
        Column("neighborhood", "VARCHAR", "Name of the neighborhood; parks, airports and cemeteries have their own"),
        Column("neighborhood_share", "DOUBLE", "Share of the zone's area in it", "0 to 1"),
        Column(
            "community_district",
            "SMALLINT",
            "Community district, such as 103 for Manhattan 3; NULL where more of the zone lies in none: Newark "
            "Airport, large parks and airports",
        ),
        Column("community_district_name", "VARCHAR", "Borough and number of the district, such as Manhattan 3"),
        Column("community_district_share", "DOUBLE", "Share of the zone's area in it", "0 to 1"),
        Column("longitude", "DOUBLE", "Of a point inside the zone", "degrees, WGS 84", nullable=False),
        Column("latitude", "DOUBLE", "Of the same point", "degrees, WGS 84", nullable=False),
        Column("area_km2", "DOUBLE", "Area of the zone", "square kilometres", nullable=False),
    ),
    Kind.WHOLE,
    key=("zone_id",),
)

ZONE_NEIGHBORS = Table(
    "zone_neighbors",
    "Zones that share a border of at least 50 metres; each pair is there in both directions.",
    (
        Column("zone_id", "SMALLINT", "Id of a zone", "id, see zones", nullable=False),
        Column("neighbor_id", "SMALLINT", "Id of a zone that borders on it", "id, see zones", nullable=False),
    ),
    Kind.WHOLE,
    key=("zone_id", "neighbor_id"),
)

ZONE_SEGMENTS = Table(
    "zone_segments",
    "The zones that have a shape, by the hours of the week at which their pickups begin, see zone-segments.md. It is "
    "made of a mart, so it is there where the marts are, once the asset `zone_segments` was made.",
    (
        Column("zone_id", "SMALLINT", "Id of the zone", "id, see zones", nullable=False),
        Column("zone", "VARCHAR", "Name of the zone", nullable=False),
        Column("borough", "VARCHAR", "Borough of the zone", nullable=False),
        Column("segment_id", "SMALLINT", "Segment, 1 for that with most pickups; NULL with too few pickups"),
        Column("segment", "VARCHAR", "Name of the segment: the parts of the week of which it has more than the city"),
        Column("num_pickups", "BIGINT", "Net pickups in the months that are counted", nullable=False),
        Column("distance", "DOUBLE", "Distance of the zone's week to the centre of its segment", "0 to 1"),
        Column("silhouette", "DOUBLE", "How well the zone belongs to its segment and to no other", "-1 to 1"),
    ),
    Kind.WHOLE,
)

_OF_VERSIONS = (
    Column("fleet", "VARCHAR", "Fleet of the month", nullable=False),
    Column("month", "DATE", "First day of the month", nullable=False),
    Column("earlier_sha256", "VARCHAR", "SHA-256 of the file that was replaced", nullable=False),
    Column("later_sha256", "VARCHAR", "SHA-256 of the file that replaced it", nullable=False),
)
MONTH_CHANGES = Table(
    "month_changes",
    "Each version of a published month that another replaced: the rows in which the two differ.",
    (
        *_OF_VERSIONS,
        Column("replaced_at", "TIMESTAMP", "When it was replaced here", "UTC", nullable=False),
        Column("rows_before", "BIGINT", "Rows of the earlier file", nullable=False),
        Column("rows_after", "BIGINT", "Rows of the later file", nullable=False),
        Column("rows_unchanged", "BIGINT", "Rows that are in both", nullable=False),
        Column("rows_changed", "BIGINT", "Rows that are in both with other values", nullable=False),
        Column("rows_added", "BIGINT", "Rows of the later file alone", nullable=False),
        Column("rows_removed", "BIGINT", "Rows of the earlier file alone", nullable=False),
        Column(
            "rows_paired_otherwise",
            "BIGINT",
            "Changed rows whose earlier row could be another, because several share times and zones",
            nullable=False,
        ),
        Column("total_amount_change", "DECIMAL(18, 2)", "Growth of the sum of totals", _DOLLARS, nullable=False),
        Column("trip_distance_change", "DECIMAL(18, 3)", "Growth of the sum of distances", "miles", nullable=False),
    ),
    Kind.WHOLE,
    key=("fleet", "month", "earlier_sha256", "later_sha256"),
)
MONTH_COLUMN_CHANGES = Table(
    "month_column_changes",
    "The columns in which the changed rows of two versions of a month differ.",
    (
        *_OF_VERSIONS,
        Column("column_name", "VARCHAR", "Column of trips; misfits and unfit_values fit none", nullable=False),
        Column("rows_changed", "BIGINT", "Changed rows that differ in the column", nullable=False),
        Column("rows_filled", "BIGINT", "Of these, rows without a value before", nullable=False),
        Column("rows_emptied", "BIGINT", "Of these, rows without a value now", nullable=False),
    ),
    Kind.WHOLE,
    key=("fleet", "month", "earlier_sha256", "later_sha256", "column_name"),
)

WAREHOUSE_VERSION = Table(
    "warehouse_version",
    "One row with the number of writes to the warehouse. An output that was made from an older version may lack days.",
    (Column("version", "BIGINT", "One higher after each transaction", nullable=False),),
    Kind.VERSION,
)

CODE_TABLES = (
    VENDORS,
    RATE_CODES,
    PAYMENT_TYPES,
    TRIP_TYPES,
    STORE_AND_FWD_FLAGS,
    LICENSEES,
    REQUEST_SOURCES,
    COMPANY_BASES,
    ZONE_AREAS,
)
"""Tables filled from the TLC's dictionaries, not from its files."""

SOURCE_TABLES = (BASES, WEATHER_DAYS, CALENDAR_DAYS, ZONE_PLACES, ZONE_NEIGHBORS)
"""Tables filled from what others publish, or from facts that the package carries; trips are joined with them."""

TABLES = (
    TRIPS,
    REJECTED_TRIPS,
    LOADED_DAYS,
    ZONES,
    ZONE_HOURLY_TRIPS,
    ZONE_HOURLY_VOIDS,
    TRIP_HISTOGRAMS,
    ZONE_HOURLY_DROPOFFS,
    BOROUGH_FLOWS,
    *CODE_TABLES,
    TLC_INDICATORS,
    *SOURCE_TABLES,
    MONTH_CHANGES,
    MONTH_COLUMN_CHANGES,
    WAREHOUSE_VERSION,
)
