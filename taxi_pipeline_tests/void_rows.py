"""Rows of trips that may void each other, and which of them do, found without SQL."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.rollups import replace_counts
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TRIPS

FEBRUARY = Days(date(2023, 2, 1), date(2023, 2, 28))
MIDNIGHT = datetime(2023, 2, 8)
COLUMNS = (
    "fleet", "pickup_date", "vendor_id", "pickup_zone_id", "dropoff_zone_id", "payment_type", "pickup_datetime",
    "dropoff_datetime", "trip_distance", "passenger_count", "fare_amount", "tip_amount", "total_amount",
)  # fmt: skip
FLEETS = ("yellow", "green", "fhv", "fhvhv")
_NO_ROWS = f"SELECT {', '.join(COLUMNS)} FROM trips WHERE FALSE"


def trip(**changes: Any) -> dict[str, Any]:
    """A trip of a green taxi with these changes; its pickup date is that of its pickup."""
    made = {
        "fleet": "green",
        "vendor_id": 2,
        "pickup_zone_id": 74,
        "dropoff_zone_id": 75,
        "payment_type": 3,
        "pickup_datetime": MIDNIGHT,
        "dropoff_datetime": MIDNIGHT + timedelta(minutes=10),
        "trip_distance": Decimal("2.500"),
        "passenger_count": 1,
        "fare_amount": Decimal("10.00"),
        "tip_amount": Decimal("0.00"),
        "total_amount": Decimal("12.00"),
        **changes,
    }
    return {**made, "pickup_date": made["pickup_datetime"].date()}


VOIDED = [trip(), trip(total_amount=Decimal("-12.00"), fare_amount=Decimal("-10.00"))]
"""A trip, and the row that voids it."""


def load_trips(session: Session, trips: Sequence[dict[str, Any]], fleets: Sequence[str] = FLEETS) -> None:
    """Make these trips of a February all that these fleets have, record its days, and count the trips by hour."""
    one = f"SELECT {', '.join(f'CAST(? AS {TRIPS.column_types[name]})' for name in COLUMNS)}"
    for fleet in fleets:
        rows = [row for row in trips if row["fleet"] == fleet]
        select = " UNION ALL ".join([one] * len(rows)) or _NO_ROWS
        session.replace_days(TRIPS, fleet, FEBRUARY, select, [row[c] for row in rows for c in COLUMNS], COLUMNS)
        by_day = Counter(row["pickup_date"] for row in rows)
        session.replace(LOADED_DAYS, [(fleet, day, by_day[day], 0, "v", 9, False, 1, 0, None) for day in FEBRUARY])
        replace_counts(session, fleet, FEBRUARY)


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """What both halves of a void have in common, but for the amount."""
    return tuple(
        row[name]
        for name in (
            "fleet", "pickup_datetime", "dropoff_datetime", "pickup_zone_id", "dropoff_zone_id", "trip_distance"
        )
    )  # fmt: skip


def net_counts(trips: Sequence[dict[str, Any]]) -> Counter[tuple[Any, Any]]:
    """Key and total → the rows that are left when each row with a negative total has taken one away."""
    left = Counter((key_of(row), row["total_amount"]) for row in trips)
    for key, total in list(left):
        if key[0] in ("yellow", "green") and total and total < 0:
            pairs = min(left[key, total], left[key, -total])
            left[key, total] -= pairs
            left[key, -total] -= pairs
    return +left


def counts_of(rows: Iterable[tuple[Any, ...]]) -> Counter[tuple[Any, Any]]:
    """Key and total → number of rows, of rows with the columns in their order."""
    trips: list[dict[str, Any]] = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return Counter((key_of(row), row["total_amount"]) for row in trips)
