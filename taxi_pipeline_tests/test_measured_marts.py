"""The marts of quartiles, speeds, waits and flagged rides: their values, computed otherwise.

Of real months SQL of its own over the published files gives them, of generated ones pandas over the files.
"""

import shutil
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import TRIPS
from taxi_pipeline_tests.dbt_builds import build_marts
from taxi_pipeline_tests.real_months import load_months

pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
pytestmark = pytest.mark.slow

MODELS = [
    "stg_trips", "stg_measured_trips", "trip_quartiles", "hourly_speeds", "waiting_times", "shared_and_accessible_rides"
]  # fmt: skip
WAITS = {
    "request_to_pickup": ("request_datetime", "pickup_datetime"),
    "request_to_scene": ("request_datetime", "on_scene_datetime"),
    "scene_to_pickup": ("on_scene_datetime", "pickup_datetime"),
}


def rows_of(warehouse: DuckDBWarehouse, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with warehouse.read() as session:
        return session.rows(sql, values)


# Real months

_TRIPS_OF_A_FILE = """
CREATE OR REPLACE TEMP TABLE counted AS
WITH published AS (
    SELECT
        {meter}_pickup_datetime AS began, {meter}_dropoff_datetime AS ended,
        CAST(trip_distance AS DECIMAL(12, 3)) AS miles, CAST(fare_amount AS DECIMAL(12, 2)) AS fare,
        CAST(tip_amount AS DECIMAL(12, 2)) AS tip, CAST(total_amount AS DECIMAL(12, 2)) AS total,
        "PULocationID" AS pickup, "DOLocationID" AS dropoff, payment_type AS payment, "VendorID" AS vendor,
        "RatecodeID" AS rate, passenger_count AS passengers
    FROM read_parquet(?)
    WHERE strftime({meter}_pickup_datetime, '%Y-%m') = ?
),
numbered AS (
    SELECT *,
        row_number() OVER (
            PARTITION BY began, ended, pickup, dropoff, miles, total ORDER BY vendor, rate, payment, passengers, fare
        ) AS number,
        least(count(*) FILTER (total < 0) OVER twins, count(*) FILTER (total > 0) OVER twins) AS pairs
    FROM published
    WINDOW twins AS (PARTITION BY began, ended, pickup, dropoff, miles, abs(total))
)
SELECT *, epoch(ended) - epoch(began) AS seconds,
    began BETWEEN '2020-03-01' AND '2025-06-01' AND vendor IS NOT DISTINCT FROM 6 AS odd_clock,
    began >= '2025-01-01' AND vendor IS NOT DISTINCT FROM 6 AS odd_fare
FROM numbered
WHERE number > pairs AND miles <= 100 AND ended >= began AND ended - began <= INTERVAL 6 HOUR
"""
"""The trips of a file that count: without both rows of what was paid back, and plausible. Each of these files has all
distances and times."""

_MEASURES_OF_A_FILE = {
    "fare_amount": ("fare", "avg(fare::DOUBLE)", "NOT odd_fare", 0.0),
    "trip_distance": ("miles", "avg(miles::DOUBLE)", "miles > 0", 0.0),
    "duration_minutes": ("seconds / 60", "avg(seconds) / 60", "NOT odd_clock", 0.0),
    "miles_per_hour": (
        "3600 * miles::DOUBLE / seconds",
        "3600 * sum(miles)::DOUBLE / sum(seconds)",
        "miles > 0 AND seconds > 0 AND NOT odd_clock",
        0.005,
    ),
    "tip_percent": (
        "100 * tip::DOUBLE / fare::DOUBLE",
        "100 * sum(tip)::DOUBLE / sum(fare)::DOUBLE",
        "payment = 1 AND fare > 0 AND tip IS NOT NULL AND NOT odd_fare",
        0.005,
    ),
}
"""Measure → its value, its mean, the trips that have it, and the most by which rounding changes it."""


@pytest.fixture(scope="module")
def real_months(
    real_tlc: Path, real_warehouse: DuckDBWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> tuple[DuckDBWarehouse, list[Path]]:
    """All real months at hand with their marts, and their files."""
    paths = sorted((real_tlc / "trip-data").glob("*.parquet"))
    warehouse = DuckDBWarehouse(tmp_path_factory.mktemp("real_months") / "data.duckdb")
    shutil.copy(real_warehouse.location, warehouse.location)
    build_marts(warehouse, MODELS, tmp_path_factory.mktemp("dbt"))
    return warehouse, paths


def connection_with(path: Path) -> Any:
    """A connection whose table `counted` has the trips of the file that count."""
    import duckdb

    meter = "tpep" if path.name.startswith("yellow") else "lpep"
    connection = duckdb.connect()
    connection.execute(_TRIPS_OF_A_FILE.format(meter=meter), [str(path), path.stem[-7:]])
    return connection


@pytest.mark.real_data
def test_quartiles_of_real_months(real_months: tuple[DuckDBWarehouse, list[Path]]) -> None:
    """They are those of `quantile_disc` over the published files. Interpolated ones differ by a step of the values."""
    warehouse, paths = real_months
    most = dict.fromkeys(_MEASURES_OF_A_FILE, 0.0)
    for path in paths:
        connection = connection_with(path)
        found = rows_of(
            warehouse,
            "SELECT measure, num_trips, mean, first_quartile, median, third_quartile FROM marts.trip_quartiles "
            "WHERE fleet = ? AND month = CAST(? AS DATE)",
            [path.name.split("_")[0], f"{path.stem[-7:]}-01"],
        )
        assert {row[0] for row in found} == {*_MEASURES_OF_A_FILE}
        for measure, num_trips, mean, *quartiles in found:
            value, mean_sql, which, rounding = _MEASURES_OF_A_FILE[measure]
            ((expected_number, expected_mean, exact, interpolated),) = connection.execute(
                f"SELECT count(*), {mean_sql}, quantile_disc(({value})::DOUBLE, [0.25, 0.5, 0.75]), "
                f"quantile_cont(({value})::DOUBLE, [0.25, 0.5, 0.75]) FROM counted WHERE {which}"
            ).fetchall()
            assert num_trips == expected_number, (path.name, measure)
            assert mean == pytest.approx(expected_mean), (path.name, measure)
            assert quartiles == pytest.approx(exact, rel=1e-12, abs=rounding + 1e-9), (path.name, measure)
            most[measure] = max(most[measure], *(abs(a - b) for a, b in zip(quartiles, interpolated, strict=True)))
    # Half a cent and half a second lie between two values; a hundredth of speeds and shares is the rounding.
    steps = {"fare_amount": 0.005, "trip_distance": 0, "duration_minutes": 0.5 / 60, "miles_per_hour": 0.01}
    for measure, step in (steps | {"tip_percent": 0.015}).items():
        assert most[measure] <= step + 1e-9, measure


@pytest.mark.real_data
def test_medians_and_means_of_a_real_month(real_months: tuple[DuckDBWarehouse, list[Path]]) -> None:
    """The values that the documentation names. A few trips of seconds hardly move them."""
    warehouse, paths = real_months
    found = rows_of(
        warehouse,
        "SELECT measure, num_trips, round(mean, 2), first_quartile, median, third_quartile "
        "FROM marts.trip_quartiles WHERE fleet = 'green' AND month = '2023-03-01' ORDER BY measure",
    )
    assert found == [
        ("duration_minutes", 71371, 14.62, 7.35, pytest.approx(697 / 60), 18.0),
        ("fare_amount", 71371, 17.09, 9.3, 13.5, 20.02),
        ("miles_per_hour", 68113, 11.94, 8.42, 10.51, 13.47),
        ("tip_percent", 42910, 19.34, 13.27, 23.2, 27.78),
        ("trip_distance", 68120, 2.88, 1.21, 1.93, 3.42),
    ]
    (path,) = (path for path in paths if path.name == "green_tripdata_2023-03.parquet")
    speed = "3600 * miles::DOUBLE / seconds"
    (without_fast_trips,) = connection_with(path).execute(
        f"SELECT count(*) FILTER ({speed} > 100), round(avg({speed}), 2), "
        f"round(avg({speed}) FILTER ({speed} <= 100), 2), "
        f"round(3600 * sum(miles) FILTER ({speed} <= 100)::DOUBLE / sum(seconds) FILTER ({speed} <= 100), 2), "
        f"round(quantile_disc({speed}, 0.5) FILTER ({speed} <= 100), 2) FROM counted WHERE miles > 0 AND seconds > 0"
    ).fetchall()  # fmt: skip
    assert without_fast_trips == (144, 14.1, 11.7, 11.91, 10.5), "144 trips would make the mean of all speeds 14.10"
    hours = [row[1:] for row in rows_of(
        warehouse,
        "SELECT pickup_hour, day_kind, num_trips, round(miles_per_hour, 2), median_miles_per_hour "
        "FROM marts.hourly_speeds WHERE fleet = 'green' AND month = '2023-03-01' AND pickup_hour IN (4, 16) "
        "ORDER BY day_kind, pickup_hour",
    )]  # fmt: skip
    assert hours == [
        ("weekday", 234, 18.82, 15.53),
        ("weekday", 4198, 9.94, 9.05),
        ("weekend", 191, 16.36, 14.0),
        ("weekend", 1102, 11.96, 10.4),
    ]


@pytest.mark.real_data
def test_speeds_of_real_months(real_months: tuple[DuckDBWarehouse, list[Path]]) -> None:
    warehouse, paths = real_months
    for path in paths:
        found = rows_of(
            warehouse,
            "SELECT day_kind, pickup_hour, num_trips, trip_distance::DOUBLE, duration_hours, miles_per_hour, "
            "median_miles_per_hour FROM marts.hourly_speeds WHERE fleet = ? AND month = CAST(? AS DATE) ORDER BY ALL",
            [path.name.split("_")[0], f"{path.stem[-7:]}-01"],
        )
        expected = connection_with(path).execute(
            "SELECT if(strftime(began, '%a') IN ('Sat', 'Sun'), 'weekend', 'weekday'), hour(began), count(*), "
            "sum(miles)::DOUBLE, sum(seconds) / 3600, sum(miles)::DOUBLE / (sum(seconds) / 3600), "
            "quantile_disc(3600 * miles::DOUBLE / seconds, 0.5) "
            f"FROM counted WHERE {_MEASURES_OF_A_FILE['miles_per_hour'][2]} GROUP BY ALL ORDER BY ALL"
        )
        of_the_file = expected.fetchall()
        assert [row[:3] for row in found] == [row[:3] for row in of_the_file], path.name
        for row, of_file in zip(found, of_the_file, strict=True):
            assert row[3:6] == pytest.approx(of_file[3:6])
            assert row[6] == pytest.approx(of_file[6], abs=0.005 + 1e-9)
        assert len(found) >= 47


# Generated months


GENERATED = (
    ("fhvhv", Days(date(2019, 2, 10), date(2019, 2, 16))),
    ("fhvhv", Days(date(2025, 1, 12), date(2025, 1, 18))),
    ("fhv", Days(date(2019, 2, 10), date(2019, 2, 16))),
    ("fhv", Days(date(2019, 6, 10), date(2019, 6, 16))),
)
COMPANIES = {"HV0002": "Juno", "HV0003": "Uber", "HV0004": "Via", "HV0005": "Lyft"}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[DuckDBWarehouse, Path]:
    """Weeks of for-hire vehicles, and the folder with their files."""
    mirror = tmp_path_factory.mktemp("mirror_of_hired")
    paths = []
    for fleet, days in GENERATED:
        paths.append(write_mirror(mirror, days, fleet=fleet, trips_per_day=600)[0])
    warehouse = load_months(paths, tmp_path_factory.mktemp("hired"))
    build_marts(warehouse, MODELS, tmp_path_factory.mktemp("dbt_of_hired"))
    return warehouse, mirror / "trip-data"


def file_of(folder: Path, month: str, fleet: str = "fhvhv") -> pd.DataFrame:
    """The trips of a file whose pickup lies in its month, with the names of the companies."""
    trips = pd.read_parquet(folder / f"{fleet}_tripdata_{month}.parquet")
    trips = trips[trips["pickup_datetime"].dt.strftime("%Y-%m") == month]
    return trips.assign(licensee=trips["hvfhs_license_num"].map(COMPANIES)) if fleet == "fhvhv" else trips


def least_value(values: pd.Series, share: float) -> float:
    """The least of the values that this share of them does not exceed."""
    return min(value for value in values.unique() if (values <= value).mean() >= share)


@pytest.mark.parametrize("month", ["2019-02", "2025-01"])
def test_waiting_times(generated: tuple[DuckDBWarehouse, Path], month: str) -> None:
    warehouse, folder = generated
    trips = file_of(folder, month)
    found = rows_of(
        warehouse,
        "SELECT licensee, wait, num_trips, num_with_times, num_accessible, num_backwards, num_too_long, num_waits, "
        "mean_minutes, first_quartile_minutes, median_minutes, third_quartile_minutes FROM marts.waiting_times "
        "WHERE month = CAST(? AS DATE)",
        [f"{month}-01"],
    )
    assert len(found) == 3 * trips["licensee"].nunique()
    for licensee, wait, num_trips, num_with_times, num_accessible, num_backwards, num_too_long, *waits in found:
        of_company = trips[trips["licensee"] == licensee]
        start, end = (of_company[name] for name in WAITS[wait])
        minutes = (end - start).dt.total_seconds() / 60
        assert (num_trips, num_with_times) == (len(of_company), minutes.notna().sum())
        assert num_accessible == (minutes.notna() & (of_company["wav_match_flag"] == "Y")).sum()
        assert (num_backwards, num_too_long) == ((minutes < 0).sum(), (minutes > 120).sum())
        kept = minutes[(minutes >= 0) & (minutes <= 120)]
        assert waits[0] == len(kept)
        if len(kept):
            assert waits[1:] == pytest.approx([kept.mean(), *(least_value(kept, q) for q in (0.25, 0.5, 0.75))])
        else:
            assert waits[1:] == [None] * 4
    with_scene = {row[0]: row[3] for row in found if row[1] == "scene_to_pickup"}
    assert with_scene["Uber"] > 100
    assert with_scene["Lyft"] == 0


@pytest.mark.parametrize("month", ["2019-02", "2025-01"])
def test_shared_and_accessible_rides(generated: tuple[DuckDBWarehouse, Path], month: str) -> None:
    """In February 2019 nobody says which vehicles are accessible; Uber never says what is for Access-A-Ride."""
    warehouse, folder = generated
    trips = file_of(folder, month)
    expected = []
    for licensee, of_company in trips.groupby("licensee"):
        requests, matches = of_company["shared_request_flag"] == "Y", of_company["shared_match_flag"] == "Y"
        wheelchair, accessible = of_company["wav_request_flag"] == "Y", of_company["wav_match_flag"] == "Y"
        expected.append(
            (
                licensee,
                len(of_company),
                requests.sum(),
                matches.sum(),
                pytest.approx((requests & matches).sum() / requests.sum()),
                wheelchair.sum(),
                None if month == "2019-02" else (wheelchair & accessible).sum(),
                None if month == "2019-02" else accessible.sum(),
                None if licensee == "Uber" else 0,
            )
        )
    found = rows_of(
        warehouse,
        "SELECT licensee, num_trips, num_shared_requests, num_shared_matches, share_of_requests_matched, "
        "num_wheelchair_requests, num_wheelchair_requests_met, num_in_accessible_vehicles, num_access_a_ride "
        "FROM marts.shared_and_accessible_rides WHERE fleet = 'fhvhv' AND month = CAST(? AS DATE) ORDER BY licensee",
        [f"{month}-01"],
    )
    assert found == expected
    assert sum(row[2] for row in found) > 20, "shared rides are compared"


def test_other_bases_have_a_row_where_their_flag_says_something(generated: tuple[DuckDBWarehouse, Path]) -> None:
    """Of fhv 2019-06 the column is empty: nobody knows whether there were none."""
    warehouse, folder = generated
    trips = file_of(folder, "2019-02", "fhv")
    names = {name.lower(): name for name in trips.columns}
    shared = int((trips[names["sr_flag"]] == 1).sum())
    assert shared > 0
    assert rows_of(warehouse, "SELECT * FROM marts.shared_and_accessible_rides WHERE fleet = 'fhv'") == [
        (date(2019, 2, 1), "fhv", "other bases", len(trips), None, shared, None, None, None, None, None)
    ]


def test_measures_of_other_fleets(generated: tuple[DuckDBWarehouse, Path]) -> None:
    """High-volume trips have a tip in the app, or a tip of 0; other bases publish durations alone."""
    warehouse, folder = generated
    trips = file_of(folder, "2025-01")
    seconds = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds()
    kept = trips[(trips["trip_miles"] <= 100) & seconds.between(0, 6 * 3600)]
    fares, miles = kept["base_passenger_fare"], kept["trip_miles"][kept["trip_miles"] > 0]
    shares = (100 * kept["tips"] / fares).round(2)
    found = rows_of(
        warehouse,
        "SELECT num_trips, mean, first_quartile, median, third_quartile FROM marts.trip_quartiles "
        "WHERE fleet = 'fhvhv' AND month = '2025-01-01' AND measure IN ('tip_percent', 'trip_distance') "
        "ORDER BY measure",
    )
    means = (100 * kept["tips"].sum() / fares.sum(), miles.mean())
    for row, values, mean in zip(found, (shares, miles), means, strict=True):
        assert row == pytest.approx((len(values), mean, *(least_value(values, q) for q in (0.25, 0.5, 0.75))))
    assert 0 < (shares > 0).mean() < 0.25, "most do not tip, so that all quartiles are 0"
    of_bases = rows_of(warehouse, "SELECT DISTINCT measure FROM marts.trip_quartiles WHERE fleet = 'fhv'")
    assert of_bases == [("duration_minutes",)]
    assert rows_of(warehouse, "SELECT count(*) FROM marts.hourly_speeds WHERE fleet = 'fhv'") == [(0,)]


# Months that are hardly there


def hired(day: date, wait: timedelta | None, **changes: Any) -> dict[str, Any]:
    """A trip of Lyft on a day, which was asked for so long before its pickup."""
    pickup = datetime(day.year, day.month, day.day, 9)
    return {
        "fleet": "fhvhv",
        "pickup_zone_id": 74,
        "dropoff_zone_id": 75,
        "pickup_datetime": pickup,
        "dropoff_datetime": pickup + timedelta(minutes=30),
        "trip_distance": 6.125,
        "fare_amount": 20,
        "licensee": "Lyft",
        "request_datetime": None if wait is None else pickup - wait,
        **changes,
        "pickup_date": day,
    }


def load(session: Session, trips: list[dict[str, Any]]) -> None:
    """Make these trips all that their fleets have in their years."""
    for fleet in {trip["fleet"] for trip in trips}:
        rows = [trip for trip in trips if trip["fleet"] == fleet]
        names = sorted({name for row in rows for name in row} - {"fleet"})
        columns = ("fleet", *names)
        one = f"SELECT {', '.join(f'CAST(? AS {TRIPS.column_types[name]})' for name in columns)}"
        values = [row.get(name) for row in rows for name in columns]
        days = Days(date(2024, 1, 1), date(2025, 12, 31))
        session.replace_days(TRIPS, fleet, days, " UNION ALL ".join([one] * len(rows)), values, columns)


def test_months_that_are_hardly_there(tmp_path: Path) -> None:
    """A month of one trip, without tips, without any wait that can be; and then a month that is gone."""
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    backwards, minute = timedelta(minutes=-5), timedelta(minutes=1)
    january = [hired(date(2024, 1, 6), minute)]
    february = [hired(date(2024, 2, 5), backwards), hired(date(2024, 2, 6), backwards)]
    march = [hired(date(2024, 3, day), 121 * minute, dropoff_datetime=None, fare_amount=None) for day in (1, 2)]
    march += [hired(date(2024, 3, 3), 120 * minute, shared_request=False), hired(date(2024, 3, 4), None)]
    warehouse.change(load, [*january, *february, *march])
    build_marts(warehouse, MODELS, tmp_path)
    quartiles = "SELECT measure, num_trips, mean, first_quartile, median, third_quartile FROM marts.trip_quartiles "
    assert rows_of(warehouse, f"{quartiles} WHERE month = '2024-01-01' ORDER BY measure") == [
        ("duration_minutes", 1, 30, 30, 30, 30),
        ("fare_amount", 1, 20, 20, 20, 20),
        ("miles_per_hour", 1, 12.25, 12.25, 12.25, 12.25),
        ("trip_distance", 1, 6.125, 6.125, 6.125, 6.125),
    ], "and no row for tips"
    assert rows_of(warehouse, "SELECT * FROM marts.hourly_speeds WHERE month = '2024-01-01'") == [
        (date(2024, 1, 1), "fhvhv", "weekend", 9, 1, 6.125, 0.5, 12.25, 12.25)
    ]
    waits = (
        "SELECT num_trips, num_with_times, num_backwards, num_too_long, num_waits, mean_minutes, median_minutes "
        "FROM marts.waiting_times WHERE wait = 'request_to_pickup' ORDER BY month"
    )
    assert rows_of(warehouse, waits) == [
        (1, 1, 0, 0, 1, 1, 1),
        (2, 2, 2, 0, 0, None, None),
        (4, 3, 0, 2, 1, 120, 120),
    ]
    rides = "SELECT month, num_trips, num_shared_requests, share_of_requests_matched, num_shared_matches "
    rides += "FROM marts.shared_and_accessible_rides"
    assert rows_of(warehouse, rides) == [(date(2024, 3, 1), 4, 0, None, None)], "no request is 0, no flag is NULL"
    warehouse.change(load, [*january, *march])
    build_marts(warehouse, MODELS, tmp_path, Days(date(2024, 2, 1), date(2024, 2, 29)))
    months = [(date(2024, 1, 1),), (date(2024, 3, 1),)]
    for mart in ("trip_quartiles", "hourly_speeds", "waiting_times"):
        assert rows_of(warehouse, f"SELECT DISTINCT month FROM marts.{mart} ORDER BY month") == months, mart


def test_vendors_whose_records_are_wrong(tmp_path: Path) -> None:
    """Their trips have no duration, or no fare; the rest of them counts. A void counts not at all."""
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")

    def taxi(day: date, **changes: Any) -> dict[str, Any]:
        paid = {"fleet": "green", "licensee": None, "vendor_id": 2, "payment_type": 1, "tip_amount": 5}
        return hired(day, None, **paid | {"total_amount": 27} | changes)

    trips = [taxi(date(2024, 5, 1), vendor_id=vendor) for vendor in (2, 6)]
    trips += [taxi(date(2025, 6, 1), vendor_id=vendor) for vendor in (2, 6)]
    trips += [taxi(date(2025, 7, day), total_amount=total) for day in (4, 5) for total in (27, -27)]
    trips += [taxi(date(2025, 7, 6), payment_type=payment) for payment in (1, 2, None)]
    warehouse.change(load, trips)
    build_marts(warehouse, MODELS, tmp_path)
    counts: dict[date, dict[str, int]] = {}
    for month, measure, num_trips in rows_of(warehouse, "SELECT month, measure, num_trips FROM marts.trip_quartiles"):
        counts.setdefault(month, {})[measure] = num_trips
    of_all = dict.fromkeys(_MEASURES_OF_A_FILE, 2)
    assert counts == {
        date(2024, 5, 1): of_all | {"duration_minutes": 1, "miles_per_hour": 1},
        date(2025, 6, 1): of_all | {"fare_amount": 1, "tip_percent": 1},
        date(2025, 7, 1): dict.fromkeys(of_all, 3) | {"tip_percent": 1},
    }
