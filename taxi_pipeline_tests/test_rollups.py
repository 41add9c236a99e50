"""The rollups: what `trips` adds up to by hour, zone and borough, compared with sums that Python makes."""

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.rollups import replace_counts, replace_flows
from taxi_pipeline.warehouse.tables import TRIPS, ZONES

FEBRUARY = Days(date(2023, 2, 1), date(2023, 2, 28))
BOROUGHS = {1: "EWR", 74: "Manhattan", 75: "Manhattan", 132: "Queens"}
COLUMNS = (
    "fleet", "pickup_date", "pickup_zone_id", "dropoff_zone_id", "payment_type", "pickup_datetime",
    "dropoff_datetime", "trip_distance", "passenger_count", "fare_amount", "tip_amount", "total_amount",
)  # fmt: skip
MIDNIGHT = datetime(2023, 2, 7)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    made = DuckDBWarehouse(tmp_path_factory.mktemp("rollups") / "data.duckdb")
    with made.write() as session:
        session.replace(ZONES, [(zone_id, f"Zone {zone_id}", borough, None) for zone_id, borough in BOROUGHS.items()])
    return made


def counted(warehouse: DuckDBWarehouse, trips: list[dict[str, Any]]) -> Session:
    """Load trips of a February and count them; the session can be asked."""
    marks = f"({', '.join('?' for _ in COLUMNS)})"
    types = ", ".join(f"CAST(c{number} AS {TRIPS.column_types[name]})" for number, name in enumerate(COLUMNS))
    names = ", ".join(f"c{number}" for number in range(len(COLUMNS)))
    values = [value for trip in trips for value in (trip[name] for name in COLUMNS)]
    select = f"SELECT {types} FROM (VALUES {', '.join([marks] * len(trips))}) AS given ({names})"
    with warehouse.write() as session:
        session.replace_days(TRIPS, "green", FEBRUARY, select, values, COLUMNS)
        replace_counts(session, "green", FEBRUARY)
        replace_flows(session, "green", FEBRUARY)
    return session


def trip(**changes: Any) -> dict[str, Any]:
    made = {
        "fleet": "green",
        "pickup_zone_id": 74,
        "dropoff_zone_id": 132,
        "payment_type": 1,
        "pickup_datetime": MIDNIGHT,
        "dropoff_datetime": MIDNIGHT + timedelta(minutes=10),
        "trip_distance": Decimal("2.500"),
        "passenger_count": 1,
        "fare_amount": Decimal("10.00"),
        "tip_amount": Decimal("1.50"),
        "total_amount": Decimal("12.00"),
        **changes,
    }
    return {**made, "pickup_date": made["pickup_datetime"].date()}


money = st.one_of(st.none(), st.decimals(-500, 500, places=2))
moments = st.datetimes(datetime(2023, 2, 1), datetime(2023, 2, 28, 23, 59, 59))
some_trips = st.builds(
    trip,
    pickup_zone_id=st.sampled_from(list(BOROUGHS)),
    dropoff_zone_id=st.sampled_from(list(BOROUGHS)),
    payment_type=st.sampled_from([None, 0, 1, 2]),
    pickup_datetime=moments,
    dropoff_datetime=st.one_of(st.none(), moments),
    trip_distance=st.one_of(st.none(), st.decimals(0, 200, places=3)),
    passenger_count=st.sampled_from([None, 0, 1, 6]),
    fare_amount=money,
    tip_amount=money,
    total_amount=money,
)


def summed(trips: list[dict[str, Any]], name: str) -> Any:
    return sum(trip[name] for trip in trips if trip[name] is not None)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trips=st.lists(some_trips, min_size=1, max_size=12))
def test_rollups_are_what_the_trips_add_up_to(warehouse: DuckDBWarehouse, trips: list[dict[str, Any]]) -> None:
    counted(warehouse, trips)
    with warehouse.read() as session:
        pickups = session.rows("SELECT * FROM zone_hourly_trips")
        dropoffs = session.rows(
            "SELECT pickup_date, dropoff_hour, dropoff_zone_id, num_trips FROM zone_hourly_dropoffs"
        )
        flows = session.rows("SELECT * FROM borough_flows")
    expected = []
    for key in {(t["pickup_date"], t["pickup_datetime"].hour, t["pickup_zone_id"]) for t in trips}:
        same = [t for t in trips if (t["pickup_date"], t["pickup_datetime"].hour, t["pickup_zone_id"]) == key]
        sums = ("passenger_count", "trip_distance", "fare_amount", "tip_amount", "total_amount")
        expected.append(("green", *key, len(same), *(summed(same, name) for name in sums)))
    assert Counter(pickups) == Counter(expected)
    hours = Counter(
        (t["pickup_date"], t["dropoff_datetime"] and t["dropoff_datetime"].hour, t["dropoff_zone_id"]) for t in trips
    )
    assert {row[:3]: row[3] for row in dropoffs} == hours
    assert sum(row[4] for row in flows) == len(trips)
    cards = [t for t in trips if t["payment_type"] == 1]
    assert (sum(row[-2] for row in flows), sum(row[-1] for row in flows)) == (len(cards), summed(cards, "tip_amount"))
    plausible = [t for t in trips if _is_plausible(t)]
    assert sum(row[8] for row in flows) == summed(plausible, "fare_amount")
    assert sum(row[10] for row in flows) == summed(plausible, "trip_distance")
    ended = [t for t in plausible if t["dropoff_datetime"]]
    seconds = [
        int(
            (t["dropoff_datetime"].replace(microsecond=0) - t["pickup_datetime"].replace(microsecond=0)).total_seconds()
        )
        for t in ended
    ]
    assert (sum(row[11] for row in flows), sum(row[12] for row in flows)) == (len(ended), sum(seconds))


def _is_plausible(trip: dict[str, Any]) -> bool:
    """The same question, answered without SQL."""
    if trip["trip_distance"] is not None and trip["trip_distance"] > 100:
        return False
    if trip["dropoff_datetime"] is None:
        return True
    return timedelta(0) <= trip["dropoff_datetime"] - trip["pickup_datetime"] <= timedelta(hours=6)


@pytest.mark.parametrize(
    ("change", "too_long", "backwards", "fares"),
    [
        ({}, 0, 0, 1),
        ({"trip_distance": Decimal("100.000")}, 0, 0, 1),
        ({"trip_distance": Decimal("100.001")}, 1, 0, 0),
        ({"dropoff_datetime": MIDNIGHT + timedelta(hours=6)}, 0, 0, 1),
        ({"dropoff_datetime": MIDNIGHT + timedelta(hours=6, microseconds=1)}, 1, 0, 0),
        ({"dropoff_datetime": MIDNIGHT}, 0, 0, 1),
        ({"dropoff_datetime": MIDNIGHT - timedelta(microseconds=1)}, 0, 1, 0),
        ({"dropoff_datetime": MIDNIGHT - timedelta(hours=1), "trip_distance": Decimal(101)}, 1, 0, 0),
        ({"fare_amount": None}, 0, 0, 0),
    ],
)
def test_what_is_implausible_at_the_edges(
    warehouse: DuckDBWarehouse, change: dict[str, Any], too_long: int, backwards: int, fares: int
) -> None:
    counted(warehouse, [trip(**change)])
    with warehouse.read() as session:
        assert session.rows("SELECT num_too_long, num_backwards, num_fares FROM borough_flows") == [
            (too_long, backwards, fares)
        ]


def test_days_and_fleets_beside_those_that_are_counted_stay(warehouse: DuckDBWarehouse) -> None:
    counted(warehouse, [trip(), trip(pickup_datetime=MIDNIGHT + timedelta(days=1, hours=23))])
    with warehouse.write() as session:
        session.replace_days(TRIPS, "green", FEBRUARY, "SELECT * FROM trips WHERE FALSE")
        replace_counts(session, "green", Days(MIDNIGHT.date(), MIDNIGHT.date()))
        replace_counts(session, "yellow", FEBRUARY)
    with warehouse.read() as session:
        assert session.rows("SELECT pickup_date, pickup_hour FROM zone_hourly_trips") == [(date(2023, 2, 8), 23)]


def test_without_zones_there_are_no_flows(tmp_path: Path) -> None:
    empty = DuckDBWarehouse(tmp_path / "data.duckdb")
    counted(empty, [trip()])
    with empty.read() as session:
        assert session.row("SELECT count(*) FROM borough_flows") == (0,)
        assert session.row("SELECT num_trips FROM zone_hourly_trips") == (1,)
