"""The fleets: which files the TLC publishes for each, and which published column feeds which of ours.

A fleet is declared once, here. Published names are compared without regard to case: the TLC renamed `airport_fee` to
`Airport_fee` in February 2023. Types changed as well (integers, doubles, null-typed columns), so whoever reads a
column casts it.

Sources: the TLC's data dictionaries for yellow and green trip records, and the schemas of the files themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date


class MissingColumnsError(ValueError):
    """A published file lacks columns without which its trips can't be loaded."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """One licence class of vehicles and the files of its trips."""

    name: str
    first_month: date
    """First day of the first month that can be loaded."""
    columns: Mapping[str, str]
    """Column of `trips` → published column. Of these only `LATER_COLUMNS` may be missing from a file."""
    unused_columns: frozenset[str]
    """Published columns that are known and left out, in lower case."""

    def file_name(self, month: date) -> str:
        """The name of the file with the month's trips, for example `yellow_tripdata_2023-03.parquet`."""
        return f"{self.name}_tripdata_{month:%Y-%m}.parquet"

    @property
    def file_pattern(self) -> str:
        """Glob pattern of the names of all months' files."""
        return f"{self.name}_tripdata_????-??.parquet"

    def present_columns(self, published: Iterable[str]) -> dict[str, str]:
        """Column of `trips` → published column, for a file that has these columns.

        Raises:
            MissingColumnsError: a column that every month must have is not among them; names it.
        """
        have = {name.lower() for name in published}
        missing = [
            source
            for column, source in self.columns.items()
            if column not in LATER_COLUMNS and source.lower() not in have
        ]
        if missing:
            raise MissingColumnsError(
                f"the {self.name} file lacks the column(s) {', '.join(missing)}; it has {', '.join(published)}. "
                f"Either this is no file of {self.name} trips, or the TLC renamed a column: "
                "then its new name belongs into taxi_pipeline/tlc/fleets.py"
            )
        return {column: source for column, source in self.columns.items() if source.lower() in have}

    def unknown_columns(self, published: Iterable[str]) -> list[str]:
        """The published columns that this declaration does not know, in the file's order."""
        known = {source.lower() for source in self.columns.values()} | self.unused_columns
        return [name for name in published if name.lower() not in known]


LATER_COLUMNS = frozenset({"congestion_surcharge", "airport_fee", "cbd_congestion_fee"})
"""Charges that did not always exist; where a month lacks the column, the value is NULL."""

_COLUMNS_OF_BOTH = {
    "vendor_id": "VendorID",
    "pickup_zone_id": "PULocationID",
    "dropoff_zone_id": "DOLocationID",
    "rate_code_id": "RatecodeID",
    "payment_type": "payment_type",
    "trip_distance": "trip_distance",
    "passenger_count": "passenger_count",
    "fare_amount": "fare_amount",
    "tip_amount": "tip_amount",
    "tolls_amount": "tolls_amount",
    "congestion_surcharge": "congestion_surcharge",
    "cbd_congestion_fee": "cbd_congestion_fee",
    "total_amount": "total_amount",
}
_UNUSED_OF_BOTH = frozenset({"store_and_fwd_flag", "extra", "mta_tax", "improvement_surcharge"})

YELLOW = Fleet(
    name="yellow",
    first_month=date(2011, 1, 1),
    columns=_COLUMNS_OF_BOTH
    | {
        "pickup_datetime": "tpep_pickup_datetime",
        "dropoff_datetime": "tpep_dropoff_datetime",
        "airport_fee": "airport_fee",
    },
    unused_columns=_UNUSED_OF_BOTH,
)
GREEN = Fleet(
    name="green",
    first_month=date(2013, 8, 1),
    columns=_COLUMNS_OF_BOTH
    | {
        "pickup_datetime": "lpep_pickup_datetime",
        "dropoff_datetime": "lpep_dropoff_datetime",
    },
    unused_columns=_UNUSED_OF_BOTH | {"ehail_fee", "trip_type"},
)

FLEETS: Mapping[str, Fleet] = {fleet.name: fleet for fleet in (YELLOW, GREEN)}
