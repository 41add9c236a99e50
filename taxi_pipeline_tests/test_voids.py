"""Voids: which rows cancel each other, what is counted of them, and what is left.

The expected pairs are found by Python, row by row; of real months they are counted with SQL of its own over the
published files.
"""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxi_pipeline.defs.table_checks import net_match
from taxi_pipeline.quality.reconciliation import net_days
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.rollups import count_again, replace_counts
from taxi_pipeline.warehouse.tables import TRIPS, ZONE_HOURLY_VOIDS
from taxi_pipeline.warehouse.voids import NET_TRIPS_SQL
from taxi_pipeline_tests.real_months import load_month
from taxi_pipeline_tests.void_rows import COLUMNS, FEBRUARY, MIDNIGHT, VOIDED, counts_of, load_trips, net_counts, trip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path_factory.mktemp("voids") / "data.duckdb")


def halves(warehouse: DuckDBWarehouse, *trips: dict[str, Any]) -> int:
    """Load these trips as all that there is, and return how many of them are one half of a void."""
    warehouse.change(load_trips, trips)
    with warehouse.read() as session:
        counted = session.row("SELECT coalesce(sum(num_trips), 0) FROM zone_hourly_voids")[0]
        assert session.row("SELECT count(*) FROM net_trips") == (len(trips) - counted,)
    return counted


CHANGES: dict[str, tuple[dict[str, Any], int]] = {
    "another pickup second": ({"pickup_datetime": MIDNIGHT + timedelta(seconds=1)}, 0),
    "another drop-off second": ({"dropoff_datetime": MIDNIGHT + timedelta(minutes=9)}, 0),
    "no drop-off": ({"dropoff_datetime": None}, 0),
    "another pickup zone": ({"pickup_zone_id": 75}, 0),
    "another drop-off zone": ({"dropoff_zone_id": 74}, 0),
    "another distance": ({"trip_distance": Decimal("2.510")}, 0),
    "no distance": ({"trip_distance": None}, 0),
    "another fleet": ({"fleet": "yellow"}, 0),
    "another total": ({"total_amount": Decimal("-12.01")}, 0),
    "no total": ({"total_amount": None}, 0),
    "the same total": ({"total_amount": Decimal("12.00")}, 0),
    "other passengers, payment and vendor": ({"passenger_count": None, "payment_type": 4, "vendor_id": 1}, 2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_both_halves_agree_in_what_names_a_trip(warehouse: DuckDBWarehouse, name: str) -> None:
    change, expected = CHANGES[name]
    assert halves(warehouse, VOIDED[0], VOIDED[1] | change) == expected


@pytest.mark.parametrize("name", ["dropoff_datetime", "trip_distance"])
def test_unknown_equals_unknown(warehouse: DuckDBWarehouse, name: str) -> None:
    assert halves(warehouse, *(row | {name: None} for row in VOIDED)) == 2


def test_a_trip_past_midnight_is_voided_on_its_pickup_day(warehouse: DuckDBWarehouse) -> None:
    late = {"pickup_datetime": MIDNIGHT - timedelta(minutes=5), "pickup_date": MIDNIGHT.date() - timedelta(days=1)}
    assert halves(warehouse, *(row | late for row in VOIDED)) == 2
    with warehouse.read() as session:
        assert session.rows("SELECT pickup_date, pickup_hour FROM zone_hourly_voids") == [(late["pickup_date"], 23)]


@pytest.mark.parametrize("fleet", ["fhv", "fhvhv"])
def test_other_fleets_have_no_voids(warehouse: DuckDBWarehouse, fleet: str) -> None:
    assert halves(warehouse, *(row | {"fleet": fleet} for row in VOIDED)) == 0


def test_a_total_of_nothing_is_no_void(warehouse: DuckDBWarehouse) -> None:
    assert halves(warehouse, *(row | {"total_amount": Decimal(0)} for row in VOIDED)) == 0


@pytest.mark.parametrize(("positive", "negative", "expected"), [(3, 1, 2), (1, 3, 2), (2, 2, 4), (0, 2, 0), (2, 0, 0)])
def test_there_are_as_many_voids_as_the_rarer_half_has_rows(
    warehouse: DuckDBWarehouse, positive: int, negative: int, expected: int
) -> None:
    assert halves(warehouse, *[VOIDED[0]] * positive, *[VOIDED[1]] * negative) == expected


totals = st.sampled_from([None, *map(Decimal, ("-12.00", "-7.50", "0.00", "7.50", "12.00"))])
some_trips = st.builds(
    trip,
    fleet=st.sampled_from(["green", "yellow", "fhvhv"]),
    pickup_zone_id=st.sampled_from([74, 75]),
    pickup_datetime=st.sampled_from([MIDNIGHT, MIDNIGHT - timedelta(seconds=1)]),
    dropoff_datetime=st.sampled_from([None, MIDNIGHT + timedelta(minutes=10)]),
    trip_distance=st.sampled_from([None, Decimal("0.000"), Decimal("2.500")]),
    passenger_count=st.sampled_from([None, 1, 2]),
    total_amount=totals,
)
one_trip = st.builds(
    trip, passenger_count=st.sampled_from([None, 1, 2]), total_amount=st.sampled_from([Decimal(-12), Decimal(12)])
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trips=st.lists(st.one_of(one_trip, some_trips), min_size=1, max_size=14), random=st.randoms())
def test_what_is_paired_does_not_depend_on_the_order(
    warehouse: DuckDBWarehouse, trips: list[dict[str, Any]], random: Any
) -> None:
    """Rows in any order, with duplicates: as many of each key and total stay as Python leaves over."""
    with warehouse.write() as session:  # one for both: to open a warehouse takes as long as to load these
        net, voids = _counted(session, trips)
        random.shuffle(trips)
        assert _counted(session, trips) == (net, voids)
    assert counts_of(net.elements()) == net_counts(trips)
    assert not net - Counter(tuple(row[name] for name in COLUMNS) for row in trips)


def _counted(session: Session, trips: list[dict[str, Any]]) -> tuple[Counter[Any], list[Any]]:
    """The net trips, as they are counted, and the rows of voids."""
    load_trips(session, trips)
    _is_published_less_voids(session)
    assert all(day.is_right for day in net_days(session, None))
    net = session.rows(f"SELECT {', '.join(COLUMNS)} FROM net_trips")
    return Counter(net), session.rows(f"SELECT * FROM zone_hourly_voids ORDER BY {ZONE_HOURLY_VOIDS.order}, fleet")


_SUMS = ("trip_distance", "passenger_count", "fare_amount", "tip_amount", "total_amount")
_NET_BY_HOUR_SQL = (
    "SELECT fleet, pickup_date, CAST(EXTRACT(HOUR FROM pickup_datetime) AS SMALLINT), pickup_zone_id, count(*), "
    f"{', '.join(f'coalesce(sum({name}), 0)' for name in _SUMS)} FROM ({NET_TRIPS_SQL}) AS net "
    "GROUP BY fleet, pickup_date, EXTRACT(HOUR FROM pickup_datetime), pickup_zone_id"
)


def _is_published_less_voids(session: Session) -> None:
    """Published rows and sums less those of voids are those of the net trips, by hour and zone."""

    def by_hour(sql: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        return {tuple(row[:4]): tuple(row[4:]) for row in session.rows(sql)}

    names = f"fleet, pickup_date, pickup_hour, pickup_zone_id, num_trips, {', '.join(_SUMS)}"
    published, voids = (by_hour(f"SELECT {names} FROM {table}") for table in ("zone_hourly_trips", "zone_hourly_voids"))
    net, nothing = by_hour(_NET_BY_HOUR_SQL), (0,) * (1 + len(_SUMS))
    for key, totals in published.items():
        left = tuple(total - void for total, void in zip(totals, voids.get(key, nothing), strict=True))
        assert left == net.get(key, nothing), key


def test_days_and_fleets_beside_those_that_are_counted_stay(warehouse: DuckDBWarehouse) -> None:
    warehouse.change(load_trips, [*VOIDED, *(row | {"fleet": "yellow"} for row in VOIDED)])
    with warehouse.write() as session:
        session.replace_days(TRIPS, "green", FEBRUARY, "SELECT * FROM trips WHERE FALSE")
        replace_counts(session, "green", FEBRUARY)
        replace_counts(session, "yellow", Days(date(2023, 2, 10), FEBRUARY.last))
    with warehouse.read() as session:
        assert session.rows("SELECT fleet, num_trips FROM zone_hourly_voids") == [("yellow", 2)]


def test_a_warehouse_of_an_older_version_gets_the_table_when_it_is_read(tmp_path: Path) -> None:
    """Its days have no voids until zone_hourly_trips is materialized again; the view knows them at once."""
    import duckdb

    older = DuckDBWarehouse(tmp_path / "data.duckdb")
    older.change(load_trips, VOIDED)
    with duckdb.connect(str(older.database)) as connection:
        connection.execute("DROP VIEW net_trips")
        connection.execute("DROP TABLE zone_hourly_voids")
    with older.read() as session:
        assert session.row("SELECT count(*) FROM zone_hourly_voids") == (0,)
        assert session.row("SELECT count(*) FROM net_trips") == (0,)


LONE = trip(total_amount=Decimal("-3.00"))


def test_the_account_names_voids_and_single_refunds(warehouse: DuckDBWarehouse) -> None:
    warehouse.change(load_trips, [*VOIDED, *VOIDED, trip(), LONE])
    result = warehouse.query(net_match, None)
    assert result.passed
    assert result.description == "6 published: 2 net (1 of them refunds without their trip) and twice 2 voids"
    assert {name: result.metadata[name].value for name in ("published", "net", "voids", "single_refunds")} == {
        "published": 6, "net": 2, "voids": 2, "single_refunds": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        ("DELETE FROM zone_hourly_voids", dg.AssetCheckSeverity.WARN),  # as of an older version
        ("UPDATE zone_hourly_voids SET num_trips = 1", dg.AssetCheckSeverity.ERROR),
        ("UPDATE zone_hourly_voids SET trip_distance = 2.5", dg.AssetCheckSeverity.ERROR),
        ("INSERT INTO zone_hourly_voids FROM zone_hourly_voids", dg.AssetCheckSeverity.ERROR),
        ("UPDATE trips SET total_amount = 11 WHERE total_amount = 12", dg.AssetCheckSeverity.ERROR),
    ],
)
def test_wrong_voids_are_noticed(warehouse: DuckDBWarehouse, change: str, severity: dg.AssetCheckSeverity) -> None:
    warehouse.change(load_trips, [*VOIDED, LONE])
    with warehouse.write() as session:
        session.execute(change)
    result = warehouse.query(net_match, FEBRUARY)
    assert (result.passed, result.severity) == (False, severity)
    assert result.description == "1 days differ; materialize zone_hourly_trips to count them again"
    warehouse.change(count_again, FEBRUARY, ["zone_hourly_trips"])
    assert warehouse.query(net_match, FEBRUARY).passed


_PAIRS_OF_A_FILE = """
WITH rows AS (
    SELECT lpep_pickup_datetime, lpep_dropoff_datetime, "PULocationID", "DOLocationID",
        CAST(trip_distance AS DECIMAL(12, 3)) AS miles, CAST(total_amount AS DECIMAL(12, 2)) AS total
    FROM read_parquet(?)
), kinds AS (
    SELECT count(*) FILTER (WHERE total < 0) AS refunds, count(*) FILTER (WHERE total > 0) AS charges
    FROM rows
    GROUP BY lpep_pickup_datetime, lpep_dropoff_datetime, "PULocationID", "DOLocationID", miles, abs(total)
)
SELECT CAST(sum(refunds) AS BIGINT), CAST(sum(least(refunds, charges)) AS BIGINT) FROM kinds
"""


@pytest.mark.real_data
@pytest.mark.slow
def test_voids_of_real_months(real_tlc: Path, tmp_path: Path) -> None:
    """Of fourteen green months nearly each negative total has its twin; the yellow samples have none."""
    import duckdb

    refunds, pairs, single = 0, 0, 0
    for path in sorted((real_tlc / "trip-data").glob("*.parquet")):
        if path.name.startswith("green"):
            found = duckdb.execute(_PAIRS_OF_A_FILE, [str(path)]).fetchall()[0]
        else:
            found = (None, 0)
        warehouse = load_month(path, tmp_path / path.stem)
        with warehouse.write() as session:
            replace_counts(session, path.stem.split("_")[0], Days.of_month(date.fromisoformat(f"{path.stem[-7:]}-01")))
        with warehouse.read() as session:
            _is_published_less_voids(session)
            days = net_days(session, None)
            assert all(day.is_right for day in days), path.name
            single += sum(day.num_refunds for day in days)
            counted, total = session.row("SELECT coalesce(sum(num_trips), 0), sum(total_amount) FROM zone_hourly_voids")
            outside = session.row("SELECT count(*) FROM rejected_trips WHERE total_amount < 0")[0]
        assert 0 <= 2 * found[1] - counted <= 2 * outside, path.name
        assert not total, "the dollars of voids cancel"
        refunds, pairs = refunds + (found[0] or 0), pairs + found[1]
    assert (refunds, pairs, single) == (2934, 2878, 2934 - 2878 + 35)
