"""The warehouse's tables, each declared once.

The DDL, Dagster's column metadata and the schema checks come from these declarations. SQL that fills a table stands
with the asset that owns it.
"""

from dataclasses import dataclass

MONEY = "DECIMAL(12, 2)"
"""US dollars. Exact, so that sums do not depend on the order in which threads add."""

MILES = "DECIMAL(12, 3)"
"""Decimal for the same reason as money; the TLC publishes two decimals, real values reach 360,068 miles."""


@dataclass(frozen=True)
class Column:
    """A column: its SQL type as DuckDB spells it, and what it means, with its unit."""

    name: str
    type: str
    description: str
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """A table of the warehouse."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def column_types(self) -> dict[str, str]:
        """Column name → SQL type."""
        return {column.name: column.type for column in self.columns}

    def create_sql(self) -> str:
        """The statement that makes the table where it does not exist."""
        columns = ", ".join(
            f"{column.name} {column.type}{'' if column.nullable else ' NOT NULL'}" for column in self.columns
        )
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({columns})"

    def insert_sql(self, select: str) -> str:
        """The statement that appends the rows of a SELECT that lists the columns in order."""
        return f"INSERT INTO {self.name} ({', '.join(self.column_names)}) {select}"

    def insert_values_sql(self) -> str:
        """The statement that appends one row of bound values."""
        return self.insert_sql(f"VALUES ({', '.join('?' for _ in self.columns)})")


_FLEET = Column("fleet", "VARCHAR", "Licence class: yellow or green", nullable=False)
_PICKUP_DATE = Column("pickup_date", "DATE", "Day of the pickup, New York wall time", nullable=False)

_TRIP_COLUMNS = (
    Column("vendor_id", "SMALLINT", "Who provided the record (TLC code)"),
    Column("pickup_zone_id", "SMALLINT", "Zone of the pickup; 264 when not known", nullable=False),
    Column("dropoff_zone_id", "SMALLINT", "Zone of the drop-off; 264 when not known", nullable=False),
    Column("rate_code_id", "SMALLINT", "Rate at the end of the trip (TLC code; 99 is unknown)"),
    Column("payment_type", "SMALLINT", "How the passenger paid (TLC code)"),
    Column("pickup_datetime", "TIMESTAMP", "When the meter was engaged, New York wall time"),
    Column("dropoff_datetime", "TIMESTAMP", "When the meter was disengaged, New York wall time"),
    Column("trip_distance", MILES, "Miles by the taximeter"),
    Column("passenger_count", "SMALLINT", "Passengers, entered by the driver"),
    Column("fare_amount", MONEY, "Time-and-distance fare, US dollars"),
    Column("tip_amount", MONEY, "Tip paid by card, US dollars; cash tips are not recorded"),
    Column("tolls_amount", MONEY, "Tolls, US dollars"),
    Column("congestion_surcharge", MONEY, "New York State congestion surcharge, US dollars"),
    Column("airport_fee", MONEY, "Fee for pickups at LaGuardia and JFK, US dollars; yellow only"),
    Column("cbd_congestion_fee", MONEY, "MTA congestion relief zone fee, US dollars; from 2025-01"),
    Column("total_amount", MONEY, "All that the passenger was charged, US dollars; no cash tips"),
)

TRIPS = Table(
    "trips",
    "One row per trip, as published: refunds, zero distances and odd dates inside the day stay.",
    (_FLEET, _PICKUP_DATE, *_TRIP_COLUMNS),
)

REJECTED_TRIPS = Table(
    "rejected_trips",
    "Published rows that are no trips: outside their file's month (kept with its first day), or with a value that "
    "fits no column (kept with their day).",
    (
        _FLEET,
        Column("month", "DATE", "First day of the month whose file holds the row", nullable=False),
        Column("reason", "VARCHAR", "Why the row is no trip; a value that does not fit is quoted", nullable=False),
        Column("pickup_date", "DATE", "Day of the pickup, as published"),
        *_TRIP_COLUMNS,
    ),
)

LOADED_DAYS = Table(
    "loaded_days",
    "One row per fleet and day that was loaded, also when it had no trips: which file it came from.",
    (
        _FLEET,
        _PICKUP_DATE,
        Column("num_trips", "BIGINT", "Trips that the published file has for the day", nullable=False),
        Column("num_rejected", "BIGINT", "Rows of the file that are rejected with the day", nullable=False),
        Column("file_version", "VARCHAR", "SHA-256 of the published file", nullable=False),
        Column("file_rows", "BIGINT", "Rows of the published file, all days", nullable=False),
        Column("synthetic", "BOOLEAN", "Whether the file was generated", nullable=False),
    ),
)

ZONES = Table(
    "zones",
    "The TLC's taxi zones, one row per id from 1 to 265.",
    (
        Column("zone_id", "SMALLINT", "Id of the zone: OBJECTID of the zone file", nullable=False),
        Column("zone", "VARCHAR", "Name of the zone", nullable=False),
        Column("borough", "VARCHAR", "Borough, EWR for Newark Airport", nullable=False),
        Column("geometry", "VARCHAR", "Shape as WKT, EPSG:4326 (degrees); NULL for 264 and 265"),
    ),
)

ZONE_HOURLY_TRIPS = Table(
    "zone_hourly_trips",
    "Trips by fleet, pickup date, hour and pickup zone; every rollup reads it.",
    (
        _FLEET,
        _PICKUP_DATE,
        Column("pickup_hour", "SMALLINT", "Hour of the pickup, 0 to 23, New York wall time", nullable=False),
        Column("pickup_zone_id", "SMALLINT", "Zone of the pickup", nullable=False),
        Column("num_trips", "BIGINT", "Number of trips", nullable=False),
        Column("passenger_count", "BIGINT", "Sum of passengers, where known", nullable=False),
        Column("trip_distance", "DECIMAL(18, 3)", "Sum of miles, as published", nullable=False),
        Column("fare_amount", "DECIMAL(18, 2)", "Sum of fares, US dollars", nullable=False),
        Column("tip_amount", "DECIMAL(18, 2)", "Sum of card tips, US dollars", nullable=False),
        Column("total_amount", "DECIMAL(18, 2)", "Sum of totals, US dollars", nullable=False),
    ),
)

TABLES = (TRIPS, REJECTED_TRIPS, LOADED_DAYS, ZONES, ZONE_HOURLY_TRIPS)
