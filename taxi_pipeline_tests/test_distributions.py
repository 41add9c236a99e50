"""Distributions: the histograms that a load counts, their drift from year to year, changes of like days.

Of real months each figure is computed once more with SQL of its own over the published files.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from taxi_pipeline.defs.table_checks import histograms_match
from taxi_pipeline.outputs.monthly_report.like_for_like import change_of
from taxi_pipeline.quality.drift import MAX_INDEX, Drift, drifts, histograms_of
from taxi_pipeline.quality.evaluation import evaluate_loaded
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.histograms import MEASURES, NO_VALUE
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline_tests.void_rows import FEBRUARY, MIDNIGHT, load_trips, trip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path_factory.mktemp("distributions") / "data.duckdb")


def bins_of(warehouse: DuckDBWarehouse, measure: str, *trips: dict[str, Any]) -> list[str]:
    """Load these trips as all that there is; the ranges in which they are counted, each as often as it has trips."""
    warehouse.change(load_trips, trips)
    with warehouse.read() as session:
        rows = session.rows(
            "SELECT bin, sum(num_trips) FROM trip_histograms WHERE measure = ? GROUP BY bin ORDER BY bin", [measure]
        )
        assert histograms_match(session, None).passed
    return [MEASURES[measure].words(bin_) for bin_, num_trips in rows for _ in range(num_trips)]


def minutes(number: float) -> dict[str, Any]:
    return {"dropoff_datetime": MIDNIGHT + timedelta(minutes=number)}


@pytest.mark.parametrize(
    ("measure", "changes", "expected"),
    [
        ("fare_amount", {"fare_amount": Decimal("-0.01")}, "below 0"),
        ("fare_amount", {"fare_amount": Decimal(0)}, "0 to 5"),
        ("fare_amount", {"fare_amount": Decimal("4.99")}, "0 to 5"),
        ("fare_amount", {"fare_amount": Decimal(5)}, "5 to 7.5"),
        ("fare_amount", {"fare_amount": Decimal(100)}, "100 and more"),
        ("fare_amount", {"fare_amount": None}, "not known"),
        ("trip_distance", {"trip_distance": Decimal(0)}, "below 0.01"),
        ("trip_distance", {"trip_distance": Decimal("0.01")}, "0.01 to 0.5"),
        ("trip_distance", {"trip_distance": Decimal(360068)}, "50 and more"),
        ("duration_minutes", minutes(-1), "below 0"),
        ("duration_minutes", minutes(7.5), "7.5 to 10"),
        ("duration_minutes", {"dropoff_datetime": None}, "not known"),
        ("miles_per_hour", minutes(15), "10 to 12.5"),
        ("miles_per_hour", minutes(12), "12.5 to 15"),
        ("miles_per_hour", minutes(0), "not known"),
        ("miles_per_hour", {"trip_distance": Decimal(0)}, "not known"),
        ("tip_percent", {"payment_type": 1, "tip_amount": Decimal(0)}, "below 0.01"),
        ("tip_percent", {"payment_type": 1, "tip_amount": Decimal("2.50")}, "25 to 27.5"),
        ("tip_percent", {"payment_type": 2, "tip_amount": Decimal("2.50")}, "not known"),
        ("tip_percent", {"payment_type": 1, "fare_amount": Decimal(0)}, "not known"),
        ("tip_percent", {"fleet": "fhvhv", "payment_type": None, "tip_amount": Decimal(1)}, "10 to 15"),
        ("passenger_count", {"passenger_count": 0}, "below 1"),
        ("passenger_count", {"passenger_count": 3}, "3"),
        ("passenger_count", {"passenger_count": 9}, "6 and more"),
        ("wait_minutes", {"fleet": "fhvhv"}, "not known"),
    ],
)
def test_a_trip_is_in_one_bin_of_each_measure(
    warehouse: DuckDBWarehouse, measure: str, changes: dict[str, Any], expected: str
) -> None:
    assert bins_of(warehouse, measure, trip(**changes)) == [expected]


def test_times_and_fares_that_are_known_to_be_wrong_are_not_known(warehouse: DuckDBWarehouse) -> None:
    assert bins_of(warehouse, "duration_minutes", trip(vendor_id=6), trip()) == ["not known", "10 to 15"]


def test_a_fleet_has_the_measures_of_its_files(warehouse: DuckDBWarehouse) -> None:
    warehouse.change(load_trips, [trip(fleet=fleet) for fleet in FLEETS])
    with warehouse.read() as session:
        found = session.rows("SELECT DISTINCT fleet, measure FROM trip_histograms")
    assert {measure for fleet, measure in found if fleet == "fhv"} == {"duration_minutes"}
    assert {measure for fleet, measure in found if fleet == "fhvhv"} == set(MEASURES) - {"passenger_count"}
    assert {measure for fleet, measure in found if fleet == "yellow"} == set(MEASURES) - {"wait_minutes"}
    for measure in MEASURES.values():
        sources = {"tip_percent": "tip_amount", "miles_per_hour": "trip_distance", "wait_minutes": "request_datetime"}
        column = sources.get(measure.name, measure.name.replace("duration_minutes", "dropoff_datetime"))
        has_column = {name for name, fleet in FLEETS.items() if fleet.first_month_of(column)}
        assert set(measure.fleets) == has_column, measure.name


def test_a_day_without_trips_has_no_bins_and_is_right(warehouse: DuckDBWarehouse) -> None:
    assert bins_of(warehouse, "fare_amount") == []


def test_days_that_an_older_version_counted_only_warn(warehouse: DuckDBWarehouse) -> None:
    warehouse.change(load_trips, [trip()])
    with warehouse.write() as session:
        session.execute("DELETE FROM trip_histograms")  # type: ignore[attr-defined]
    result = warehouse.query(histograms_match, None)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "materialize zone_hourly_trips" in (result.description or "")
    warehouse.change(count_again, FEBRUARY, ["zone_hourly_trips"])
    assert warehouse.query(histograms_match, None).passed
    with warehouse.write() as session:
        session.execute("UPDATE trip_histograms SET num_trips = 2 WHERE measure = 'fare_amount'")  # type: ignore[attr-defined]
    result = warehouse.query(histograms_match, None)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)


def test_a_warehouse_of_an_older_version_gets_the_table(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    warehouse.change(load_trips, [trip()])
    with warehouse.write() as session:
        session.execute("DROP TABLE trip_histograms")  # type: ignore[attr-defined]
    with warehouse.read() as session:
        assert session.rows("SELECT * FROM trip_histograms") == []
    warehouse.change(count_again, FEBRUARY, ["zone_hourly_trips"])
    assert warehouse.query(histograms_match, None).passed


def drift(now: dict[int, int], then: dict[int, int]) -> Drift:
    return Drift("green", date(2023, 2, 1), MEASURES["fare_amount"], now, then)


def test_the_index_is_the_sum_over_the_bins() -> None:
    """Shares of 50 % and 50 % after 60 % and 40 %: (-0.1) ln(5/6) + 0.1 ln(5/4)."""
    expected = -0.1 * math.log(5 / 6) + 0.1 * math.log(5 / 4)
    assert drift({1: 500, 2: 500}, {1: 600, 2: 400}).index == pytest.approx(expected)
    assert drift({1: 5, 2: 5}, {1: 500, 2: 500}).index == 0
    assert drift({1: 1}, {1: 500}).index == 0, "a single bin"


def test_a_bin_that_one_month_lacks_counts_as_a_ten_thousandth() -> None:
    found = drift({1: 900, 2: 100}, {1: 1000})
    assert found.index == pytest.approx(-0.1 * math.log(0.9) + (0.1 - 0.0001) * math.log(0.1 / 0.0001))
    assert found.has_changed
    assert found.words == "0 to 5: 100.0% before, 90.0% now"


def test_what_small_samples_differ_by_is_no_change() -> None:
    """A hundred trips against a hundred: the index is 0.3, of which most is chance."""
    few = drift(dict.fromkeys(range(14), 7) | {0: 14, 1: 2}, dict.fromkeys(range(14), 7) | {0: 2, 1: 14})
    assert few.index > MAX_INDEX
    assert not few.has_changed
    many = drift({bin_: 100 * n for bin_, n in few.now.items()}, {bin_: 100 * n for bin_, n in few.then.items()})
    assert many.index == pytest.approx(few.index)
    assert many.has_changed


def test_by_chance_about_one_sample_in_forty_is_above_the_allowance() -> None:
    """Samples of one distribution: the index less what is allowed for chance is seldom above the limit of nothing."""
    import numpy as np

    random = np.random.default_rng(28)
    shares = np.full(12, 1 / 12)
    above = 0
    for _ in range(400):
        now, then = (dict(enumerate(map(int, random.multinomial(2000, shares)))) for _ in range(2))
        found = drift(now, then)
        above += found.index > found.limit - MAX_INDEX
    assert 0 <= above <= 30


def load(session: Session, fleet: str, month: date, fares: Sequence[float | str], *, last: int = 0) -> None:
    """Load a month of trips with these fares, one after the other; the last days may be left out."""
    from taxi_pipeline.warehouse.rollups import replace_counts
    from taxi_pipeline.warehouse.tables import LOADED_DAYS, TRIPS

    days = Days.of_month(month)
    days = Days(days.first, days.last - timedelta(days=last))
    values = ", ".join(f"('{fleet}', DATE '{days.first}', TIMESTAMP '{days.first}', 74, 74, {fare})" for fare in fares)
    columns = ("fleet", "pickup_date", "pickup_datetime", "pickup_zone_id", "dropoff_zone_id", "fare_amount")
    session.replace_days(
        TRIPS, fleet, days, f"SELECT * FROM (VALUES {values}) AS rows({', '.join(columns)})", [], columns
    )
    num_trips = len(fares)
    session.replace(
        LOADED_DAYS,
        [(fleet, day, num_trips if day == days.first else 0, 0, "v", num_trips, False, 1, 0, None) for day in days],
    )
    replace_counts(session, fleet, days)


def test_whole_months_are_compared_with_whole_months_a_year_before(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    cheap, dear = [6.0] * 500, [6.0] * 250 + [16.0] * 250
    warehouse.change(load, "green", date(2022, 2, 1), cheap)
    warehouse.change(load, "green", date(2022, 3, 1), cheap, last=1)
    warehouse.change(load, "yellow", date(2022, 2, 1), cheap)
    for fleet, month, fares in (
        ("green", date(2023, 2, 1), dear),
        ("green", date(2023, 3, 1), dear),
        ("green", date(2023, 4, 1), dear),
        ("yellow", date(2023, 2, 1), cheap),
    ):
        warehouse.change(load, fleet, month, fares)
    with warehouse.read() as session:
        found = {(each.fleet, each.month, each.measure.name): each for each in drifts(session, FEBRUARY)}
        assert set(found) == {(fleet, date(2023, 2, 1), "fare_amount") for fleet in ("green", "yellow")}, (
            "measures that no trip has are not compared, nor are months of which a day is missing"
        )
        assert found["green", date(2023, 2, 1), "fare_amount"].has_changed
        assert found["yellow", date(2023, 2, 1), "fare_amount"].index == 0
        assert len(drifts(session, Days(date(2022, 1, 1), date(2023, 12, 31)))) == 2
        assert drifts(session, Days(date(2023, 2, 3), date(2023, 2, 3))) == drifts(session, FEBRUARY)
        assert drifts(session, Days(date(2022, 2, 1), date(2022, 2, 28))) == []
        verdict = evaluate_loaded(session, FEBRUARY)["distributions_hold"]
    assert not verdict.passed
    assert verdict.description == (
        "other distributions than a year before: fare_amount of green 2023-02 (5 to 7.5: 100.0% before, 50.0% now)"
    )
    assert (verdict.numbers["num_compared"], verdict.numbers["num_changed"]) == (2, 1)


def test_a_measure_that_vanishes_is_the_largest_drift(tmp_path: Path) -> None:
    """Regression: a measure that one of the months does not have was left out, so that nobody saw that it went."""
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    warehouse.change(load, "green", date(2022, 2, 1), [6.0] * 500)
    warehouse.change(load, "green", date(2023, 2, 1), ["NULL"] * 500)
    with warehouse.read() as session:
        (found,) = drifts(session, FEBRUARY)
        assert evaluate_loaded(session, FEBRUARY)["distributions_hold"].numbers["num_changed"] == 1
    assert found.index > 10
    assert found.words == "not known: 0.0% before, 100.0% now"


def test_without_anything_loaded_nothing_is_judged(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with warehouse.write() as session:
        verdict = evaluate_loaded(session, None)["distributions_hold"]
    assert verdict.passed
    assert verdict.description.startswith("skipped: no whole month")


def test_histograms_leave_out_what_nearly_no_trip_has(warehouse: DuckDBWarehouse) -> None:
    bins_of(warehouse, "fare_amount", *[trip(passenger_count=None)] * 100, trip())
    with warehouse.read() as session:
        found = histograms_of(session, FEBRUARY.first, ["green", "yellow"])
    assert found["yellow"] == {}
    assert set(found["green"]) == {"fare_amount", "trip_distance", "duration_minutes", "miles_per_hour"}
    assert found["green"]["fare_amount"] == {4: 101}


# Changes of like days


def month_of_weekdays(month: date, *levels: float) -> dict[date, float]:
    """A month in which each weekday, from Monday on, has a level; odd days have one more, even days one less."""
    return {day: levels[day.weekday()] + (1 if day.day % 2 else -1) for day in Days.of_month(month)}


WEEK = (100, 110, 120, 130, 140, 70, 50)


def test_a_month_with_other_weekdays_has_not_changed() -> None:
    """Regression: May 2023 has one Monday more than October, and was 0.9 % "fewer"."""
    now, then = (month_of_weekdays(month, *WEEK) for month in (date(2023, 1, 1), date(2023, 3, 1)))
    plain = sum(now.values()) / len(now) / (sum(then.values()) / len(then)) - 1
    change = change_of(now, then)
    assert change
    assert abs(plain) > 0.02 > abs(change.share)
    assert not change.is_unusual


def test_a_change_beyond_the_variation_of_like_days_is_one() -> None:
    now = {day: 1.1 * number for day, number in month_of_weekdays(date(2023, 1, 1), *WEEK).items()}
    change = change_of(now, month_of_weekdays(date(2023, 3, 1), *WEEK))
    assert change
    assert change.share == pytest.approx(0.1, abs=0.01)
    assert change.is_unusual


@pytest.mark.parametrize("num_days", [0, 6, 13])
def test_too_few_days_are_not_compared(num_days: int) -> None:
    whole = month_of_weekdays(date(2023, 3, 1), *WEEK)
    part = dict(list(whole.items())[:num_days])
    assert change_of(part, whole) is change_of(whole, part) is None
    assert change_of(dict(list(whole.items())[:14]), whole)


def test_a_month_without_trips_is_not_compared() -> None:
    none = dict.fromkeys(Days.of_month(date(2023, 3, 1)), 0)
    assert change_of(month_of_weekdays(date(2023, 3, 1), *WEEK), none) is None


# Real months


def pickups(fleet: str) -> str:
    return {"green": "lpep", "yellow": "tpep"}[fleet]


def month_in(path: Path) -> tuple[str, str]:
    fleet, _, month = path.stem.split("_")
    return fleet, month


OWN_BINS = {
    "trip_distance": ("trip_distance", [0.01, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 50]),
    "passenger_count": ("passenger_count", [1, 2, 3, 4, 5, 6]),
    "fare_amount": ("fare_amount", [0, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 40, 50, 70, 100]),
    "tip_percent": (
        "CASE WHEN payment_type = 1 AND fare_amount > 0 THEN 100 * tip_amount / fare_amount END",
        [0.01, 5, 10, 15, 20, 22.5, 25, 27.5, 30, 35, 40, 60],
    ),
    "duration_minutes": (
        "CASE WHEN vendorid <> 6 THEN date_diff('second', {p}_pickup_datetime, {p}_dropoff_datetime) / 60 END",
        [0, 2, 5, 7.5, 10, 15, 20, 25, 30, 40, 60, 90, 360],
    ),
}


def own_histogram(path: Path, measure: str) -> Counter[int]:
    """Bin → trips of the file's month, counted from the published file."""
    fleet, month = month_in(path)
    value, bounds = OWN_BINS[measure]
    bin_ = " + ".join(f"CAST(number >= {bound} AS INTEGER)" for bound in bounds)
    return Counter(
        dict(
            duckdb.execute(
                f"SELECT coalesce({bin_}, -1), count(*) FROM (SELECT {value.format(p=pickups(fleet))} AS number "
                f"FROM '{path}' WHERE strftime({pickups(fleet)}_pickup_datetime, '%Y-%m') = '{month}') GROUP BY 1"
            ).fetchall()
        )
    )


def own_index(now: Counter[int], then: Counter[int]) -> float:
    shares = [tuple(max(counts[bin_] / counts.total(), 0.0001) for counts in (now, then)) for bin_ in {*now, *then}]
    return sum((p - q) * math.log(p / q) for p, q in shares)


@pytest.mark.real_data
@pytest.mark.parametrize("measure", OWN_BINS)
def test_histograms_of_real_months(real_tlc: Path, real_warehouse: DuckDBWarehouse, measure: str) -> None:
    for path in sorted((real_tlc / "trip-data").glob("*.parquet")):
        fleet, month = month_in(path)
        with real_warehouse.read() as session:
            rows = session.rows(
                "SELECT bin, CAST(sum(num_trips) AS BIGINT) FROM trip_histograms "
                "WHERE fleet = ? AND measure = ? AND strftime(pickup_date, '%Y-%m') = ? GROUP BY bin",
                [fleet, measure, month],
            )
        expected = own_histogram(path, measure)
        assert dict(rows) == expected, path.name
        assert set(expected) <= {NO_VALUE, *range(14)}


@pytest.mark.real_data
def test_drift_of_real_months(real_tlc: Path, real_warehouse: DuckDBWarehouse) -> None:
    """Two pairs of a month and its year before are at hand: both are steady. A month of the pandemic is not."""
    with real_warehouse.read() as session:
        assert histograms_match(session, None).passed
        found = {
            (each.month, each.measure.name): each for each in drifts(session, Days(date(2019, 1, 1), date(2025, 1, 31)))
        }
        assert evaluate_loaded(session, None)["distributions_hold"].passed
    assert {month for month, _ in found} == {date(2024, 1, 1), date(2025, 1, 1)}
    for (month, measure), each in found.items():
        if measure in OWN_BINS:
            now, then = (
                own_histogram(real_tlc / f"trip-data/green_tripdata_{year}-01.parquet", measure)
                for year in (month.year, month.year - 1)
            )
            assert each.index == pytest.approx(own_index(now, then)), (month, measure)
    assert round(max(each.index for each in found.values()), 3) == 0.023
    files = [real_tlc / f"trip-data/green_tripdata_{year}-04.parquet" for year in (2020, 2023)]
    pandemic = {measure: own_index(*(own_histogram(path, measure) for path in files)) for measure in OWN_BINS}
    assert {measure for measure, index in pandemic.items() if index > MAX_INDEX} == {
        "trip_distance",
        "passenger_count",
        "fare_amount",
        "tip_percent",
    }


@pytest.mark.real_data
def test_changes_of_like_days_of_real_months(real_tlc: Path) -> None:
    """Of nine pairs of months in a row five have changed: November, December, February and April, and the pandemic."""
    months: dict[str, dict[date, float]] = {}
    for path in sorted((real_tlc / "trip-data").glob("green*.parquet")):
        _, month = month_in(path)
        months[month] = dict(
            duckdb.execute(
                f"SELECT CAST(lpep_pickup_datetime AS DATE), CAST(count(*) AS DOUBLE) FROM '{path}' "
                "WHERE strftime(lpep_pickup_datetime, '%Y-%m') = ? GROUP BY 1",
                [month],
            ).fetchall()
        )
    found = {}
    for then, now in pairwise(months):
        change = change_of(months[now], months[then])
        assert change
        found[then, now] = (round(100 * change.share, 1), round(100 * change.usual, 1))
    assert found == {
        ("2020-03", "2020-04"): (-83.8, 28.7),
        ("2020-04", "2022-10"): (93.2, 6.0),
        ("2022-10", "2022-11"): (-8.0, 4.1),
        ("2022-11", "2022-12"): (13.2, 6.5),
        ("2022-12", "2023-01"): (-4.5, 5.5),
        ("2023-01", "2023-02"): (4.0, 3.8),
        ("2023-02", "2023-03"): (-0.8, 3.0),
        ("2023-03", "2023-04"): (-4.4, 3.2),
        ("2023-04", "2023-05"): (1.0, 3.8),
        ("2023-05", "2023-06"): (-2.7, 4.1),
        ("2023-06", "2024-01"): (-16.1, 4.4),
        ("2024-01", "2024-12"): (-3.4, 8.5),
        ("2024-12", "2025-01"): (-12.1, 8.9),
    }
