"""The demand model: its forecast of a month, and how it is judged when the month has come."""

import gc
import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from taxi_pipeline.datasets.columns import DEMAND_ERRORS, DEMAND_MODEL, ZONE_HOURS, dataset_file
from taxi_pipeline.datasets.demand import demand_model_of, kinds_of, pickups_of
from taxi_pipeline.datasets.encoding import decoded, encoded, frame_of, together
from taxi_pipeline.datasets.judgement import METHODS, demand_errors_of
from taxi_pipeline.defs.assets import demand_errors, demand_model, zone_hours
from taxi_pipeline.defs.console_runs import run_months
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.pipelines import (
    LOADING,
    Pipeline,
    check_of,
    error_of,
    materializations_of,
    pipeline_in,
    settings_of,
    table_of,
)

ALL_HOURS = 24 * 263


def hours(counts: Mapping[str, int], *, hour: int = 8, zone: int = 4) -> pd.DataFrame:
    """A frame of `zone_hours`: day → trips in that hour of the zone."""
    rows = [
        (date.fromisoformat(day), hour, zone, f"Zone {zone}", "Manhattan", trips, 0, *(Decimal(0),) * 4)
        for day, trips in counts.items()
    ]
    return frame_of(ZONE_HOURS, "yellow", rows)


def every_day(first: str, last: str, trips: Mapping[int, int], zone: int = 4) -> pd.DataFrame:
    """The same trips at 8 o'clock on each weekday (0 for Monday) from the first to the last day."""
    days = Days(date.fromisoformat(first), date.fromisoformat(last))
    return hours({str(day): trips[day.weekday()] for day in days if trips.get(day.weekday())}, zone=zone)


def of_hour(model: pd.DataFrame, day: str, hour: int = 8, zone: int = 4) -> tuple[float, float, float]:
    """Expected pickups, lower and upper end."""
    these = (model["pickup_date"] == day) & (model["pickup_hour"] == hour) & (model["zone_id"] == zone)
    ((expected, low, high),) = model.loc[these, ["expected", "low", "high"]].to_numpy().tolist()
    return expected, low, high


def of_method(errors: pd.DataFrame, method: str) -> dict[str, float]:
    ((row),) = errors[errors["method"] == method].to_dict("records")
    return {str(name): value for name, value in row.items()}


def usual_hours(mean: float, worth: float) -> tuple[float, float]:
    """What one hour with trips is drawn to, and each of the two hours beside it, which have none; in plain numbers."""
    course = (worth * mean + 100) / (worth + 100 / (mean / 2))
    beside = 100 / (worth + 100 / (mean / 4))
    scale = mean / (course + 2 * beside)
    return (worth * mean + 200) / (worth + 200 / (course * scale)), 200 / (worth + 200 / (beside * scale))


def test_what_is_expected_is_a_mean_drawn_to_the_course_of_the_day_at_the_level_of_the_last_weeks() -> None:
    """Nine Sundays at 8 o'clock: all steps by hand."""
    sundays = [str(date(2023, 2, 5) + timedelta(weeks=week)) for week in range(9)]
    trips = [10, 0, 12, 9, 11, 8, 10, 14, 20]
    past = hours(dict(zip(sundays, trips, strict=True)))
    past = pd.concat([past, hours(dict.fromkeys(sundays, 1), zone=5)])  # so that each day is loaded
    weights = [0.5 ** (weeks / 8) for weeks in range(8, -1, -1)]
    worth = sum(weights) ** 2 / sum(w * w for w in weights)
    mean = sum(w * n for w, n in zip(weights, trips, strict=True)) / sum(weights)
    at_eight, beside = usual_hours(mean, worth)
    of_other, beside_other = usual_hours(1, worth)
    recent = [0.5 ** (weeks / 2) for weeks in range(8, -1, -1)]
    counted, usual = sum(w * n for w, n in zip(recent, trips, strict=True)), (at_eight + 2 * beside) * sum(recent)
    usual_of_other = (of_other + 2 * beside_other) * sum(recent)
    of_fleet = (counted + sum(recent)) / (usual + usual_of_other)
    level = (counted + 20 * of_fleet) / (usual + 20)
    assert level > 1.05
    model = demand_model_of(past, date(2023, 5, 1))
    assert of_hour(model, "2023-05-07", 8)[0] == pytest.approx(at_eight * level, abs=1e-4)
    assert of_hour(model, "2023-05-07", 9)[0] == pytest.approx(beside * level, abs=1e-4)
    assert of_hour(model, "2023-05-07", 7)[0] == pytest.approx(beside * level, abs=1e-4)
    assert of_hour(model, "2023-05-07", 10) == (0, 0, 0)
    of_other *= (sum(recent) + 20 * of_fleet) / (usual_of_other + 20)
    assert of_hour(model, "2023-05-07", 8, zone=5)[0] == pytest.approx(of_other, abs=1e-4)
    assert model["num_days"].unique().tolist() == [9]


def test_a_busy_hour_follows_its_own_past() -> None:
    """Mondays have twice as many trips at 8 o'clock as the other weekdays; few trips would not show it."""
    weekdays = {0: 400, 1: 200, 2: 200, 3: 200, 4: 200}
    busy = demand_model_of(every_day("2023-03-01", "2023-04-30", weekdays), date(2023, 5, 1))
    assert of_hour(busy, "2023-05-08")[0] == pytest.approx(400, rel=0.03)
    assert of_hour(busy, "2023-05-09")[0] == pytest.approx(200, rel=0.03)


def test_a_forecast_has_each_hour_of_each_day_that_it_can_know() -> None:
    """Of Sundays alone: the month's Sundays, and Memorial Day; no other weekday was ever seen."""
    model = demand_model_of(every_day("2023-03-05", "2023-04-30", {6: 5}), date(2023, 5, 1))
    days = ["2023-05-07", "2023-05-14", "2023-05-21", "2023-05-28", "2023-05-29"]
    assert model["pickup_date"].dt.strftime("%Y-%m-%d").unique().tolist() == days
    assert len(model) == len(days) * 24
    assert model["zone_id"].unique().tolist() == [4], "no zone without any past pickup"
    assert model["pickup_hour"].tolist() == list(range(24)) * len(days)
    assert encoded(model, DEMAND_MODEL, "parquet") == encoded(
        demand_model_of(every_day("2023-03-05", "2023-04-30", {6: 5}), date(2023, 5, 1)), DEMAND_MODEL, "parquet"
    )


def test_a_holiday_is_expected_to_be_a_sunday() -> None:
    """A holiday in the past is left out: Presidents' Day makes no Monday smaller, and no Sunday larger."""
    weekdays = {0: 60, 1: 60, 2: 60, 3: 60, 4: 60, 5: 40, 6: 20}
    past = every_day("2023-02-01", "2023-04-30", weekdays)
    past.loc[past["pickup_date"] == "2023-02-20", "num_trips"] = 35
    model = demand_model_of(past, date(2023, 5, 1))
    memorial_day, sunday = of_hour(model, "2023-05-29"), of_hour(model, "2023-05-28")
    assert memorial_day == sunday
    assert of_hour(model, "2023-05-22") == pytest.approx(of_hour(model, "2023-05-23"), rel=0.01), "as a Tuesday"
    assert sunday[0] < 21
    at_29 = model.loc[model["pickup_date"] == "2023-05-29"]
    assert at_29["num_days"].unique().tolist() == [13], "thirteen Sundays"
    assert at_29.loc[at_29["pickup_hour"] == 8, "mean_of_8_weeks"].tolist() == [60], "the opponents know no holidays"


def test_holidays_are_those_of_the_federal_government_but_for_veterans_day() -> None:
    days = pd.DatetimeIndex(
        ["2022-11-11", "2022-11-24", "2022-12-25", "2022-12-26", "2023-01-02", "2023-06-19", "2023-07-04", "2023-07-05"]
    )
    assert kinds_of(days).tolist() == [4, 6, 6, 6, 6, 6, 6, 2]
    assert kinds_of(days[:0]).tolist() == []


def test_an_hour_without_trips_is_none_and_a_day_that_is_not_loaded_is_unknown() -> None:
    """The second Monday has trips at another hour alone: its 8 o'clock counts as 0."""
    past = pd.concat([hours({"2023-01-09": 6}), hours({"2023-01-23": 1}, hour=20)])
    assert pickups_of(past).counts[:, 8, 3].tolist() == [6, 0]
    expected, low, high = of_hour(demand_model_of(past, date(2023, 2, 1)), "2023-02-06")
    assert 0 < expected < 3
    assert (low, high > 6) == (0, True)
    alone = demand_model_of(hours({"2023-01-09": 6}), date(2023, 2, 1))
    assert alone["num_days"].unique().tolist() == [1]
    assert alone.loc[alone["pickup_hour"] == 8, "median_of_8_weeks"].unique().tolist() == [6]


def test_a_gap_in_the_past_is_left_out() -> None:
    """February and March are not loaded. The forecast has eight Wednesdays, the opponents have four weeks of eight."""
    trips = dict.fromkeys(range(7), 30)
    past = pd.concat([every_day("2023-01-01", "2023-01-31", trips), every_day("2023-04-01", "2023-04-30", trips)])
    model = demand_model_of(past, date(2023, 5, 1))
    assert model.loc[model["pickup_date"] == "2023-05-10", "num_days"].unique().tolist() == [4 + 4]
    assert model.loc[model["pickup_date"] == "2023-05-10", "expected"].sum() == pytest.approx(30, rel=0.02)
    assert model.loc[model["pickup_hour"] == 8, "mean_of_8_weeks"].unique().tolist() == [30]
    long_ago = demand_model_of(every_day("2023-01-01", "2023-01-31", trips), date(2023, 5, 1))
    assert long_ago["mean_of_8_weeks"].isna().all(), "no day of the last eight weeks"
    assert long_ago["expected"].notna().all()
    assert demand_errors_of(long_ago, every_day("2023-05-01", "2023-05-31", trips), date(2023, 5, 1)).empty


def test_the_opponents_take_the_eight_same_weekdays_before_the_month() -> None:
    """The ninth Wednesday before May is not among them; eight Wednesdays end on 26 April."""
    wednesdays = [str(date(2023, 3, 1) + timedelta(weeks=week)) for week in range(9)]
    assert wednesdays[-1] == "2023-04-26"
    trips = [1000, 2, 4, 6, 8, 10, 12, 14, 40]
    past = hours(dict(zip(wednesdays, trips, strict=True)))
    model = demand_model_of(past, date(2023, 5, 1))
    at_eight = model[(model["pickup_hour"] == 8) & (model["pickup_date"] == "2023-05-31")]
    assert at_eight["mean_of_8_weeks"].tolist() == [np.mean(trips[1:])] == [12]
    assert at_eight["median_of_8_weeks"].tolist() == [np.median(trips[1:])] == [9]


def test_the_interval_is_learned_over_all_weekdays() -> None:
    """Mondays that scatter make that of the Tuesdays wide, too, in proportion to the root of what is expected."""
    mondays = {"2023-03-06": 50, "2023-03-13": 150, "2023-03-20": 50, "2023-03-27": 150}
    tuesdays = {"2023-03-07": 100, "2023-03-14": 100, "2023-03-21": 100, "2023-03-28": 100}
    model = demand_model_of(hours({**mondays, **tuesdays}), date(2023, 4, 1))
    monday, tuesday = of_hour(model, "2023-04-03"), of_hour(model, "2023-04-04")
    spread_of = [(high - expected) / expected**0.5 for expected, _, high in (monday, tuesday)]
    assert spread_of[0] == pytest.approx(spread_of[1], rel=1e-3)
    assert tuesday[2] > 140


def test_nine_hours_of_ten_lie_in_the_interval_and_the_model_beats_its_opponents() -> None:
    """Counts that scatter as pickups do (Poisson), learned from eight weeks, over a month that follows."""
    random = np.random.default_rng(0)
    course = np.outer(12 + 10 * np.sin(np.arange(24) / 24 * 2 * np.pi), random.uniform(0.2, 2, size=8))
    weekdays = random.uniform(0.6, 1.4, size=7)

    def drawn(first: date, num_days: int) -> pd.DataFrame:
        rows = []
        for day in Days(first, first + timedelta(days=num_days - 1)):
            counts = random.poisson(course * weekdays[day.weekday()])
            rows += [
                (day, hour, zone + 1, f"Zone {zone + 1}", "Queens", int(counts[hour, zone]), 0, *(Decimal(0),) * 4)
                for hour in range(24)
                for zone in range(8)
                if counts[hour, zone]
            ]
        return frame_of(ZONE_HOURS, "green", rows)

    model = demand_model_of(drawn(date(2023, 3, 6), 56), date(2023, 5, 1))
    # Without Memorial Day, which these trips do not know.
    errors = demand_errors_of(model, drawn(date(2023, 5, 1), 28), date(2023, 5, 1))
    ours, mean, median = (of_method(errors, method) for method in METHODS)
    assert ours["share_inside"] == pytest.approx(0.9, abs=0.04)
    assert ours["rmse"] < mean["rmse"] < median["rmse"]
    assert ours["busy_rmse"] < mean["busy_rmse"]


def test_errors_are_those_of_each_method_in_the_same_hours() -> None:
    """Tuesdays at 8 o'clock, computed by hand; a day that is not loaded and one never seen do not count."""
    tuesdays = [str(date(2023, 3, 7) + timedelta(weeks=week)) for week in range(8)]
    past = hours(dict(zip(tuesdays, [0, 1, 2, 3, 4, 5, 6, 27], strict=True)))
    past = pd.concat([past, hours({tuesdays[0]: 4}, zone=9)])
    model = demand_model_of(past, date(2023, 5, 1))
    unknown_zone, unknown_day = hours({"2023-05-02": 3}, zone=200), hours({"2023-05-03": 50})
    counted = pd.concat([hours({"2023-05-02": 8, "2023-05-16": 2}), unknown_zone, unknown_day])
    errors = demand_errors_of(model, counted, date(2023, 5, 1))
    assert errors["method"].tolist() == list(METHODS)
    assert errors["month"].unique().tolist() == [pd.Timestamp("2023-05-01")]
    assert errors["fleet"].unique().tolist() == ["yellow"]
    two_days = 2 * ALL_HOURS
    assert errors["num_hours"].unique().tolist() == [two_days]
    # Zone 4 at 8 o'clock is expected to have 6 by the mean and 3.5 by the median; zone 9 half a trip by the mean.
    squares, distances = 2**2 + 4**2 + 3**2 + 2 * 0.5**2, 2 + 4 + 3 + 2 * 0.5
    mean = of_method(errors, "mean_of_8_weeks")
    assert mean["rmse"] == pytest.approx((squares / two_days) ** 0.5, abs=1e-6)
    assert mean["mae"] == pytest.approx(distances / two_days, abs=1e-6)
    median = of_method(errors, "median_of_8_weeks")
    assert median["rmse"] == pytest.approx(((4.5**2 + 1.5**2 + 3**2) / two_days) ** 0.5, abs=1e-6)
    assert median["mae"] == pytest.approx((4.5 + 1.5 + 3) / two_days, abs=1e-6)
    of_days = model[model["pickup_date"].isin(pd.to_datetime(["2023-05-02", "2023-05-16"]))]
    busy = of_days[of_days["expected"] >= 1]
    assert errors["num_busy_hours"].unique().tolist() == [len(busy)]
    assert {(4, 8)} <= set(zip(busy["zone_id"], busy["pickup_hour"], strict=True))
    expected, low, high = of_hour(model, "2023-05-02")
    ours = of_method(errors, "expected")
    others = of_days.loc[(of_days["pickup_hour"] != 8) | (of_days["zone_id"] != 4), "expected"]
    squares = (expected - 8) ** 2 + (expected - 2) ** 2 + 3**2 + float((others**2).sum())
    assert ours["rmse"] == pytest.approx((squares / two_days) ** 0.5, abs=1e-5)
    actual = np.where(
        (busy["pickup_hour"] == 8) & (busy["zone_id"] == 4), busy["pickup_date"].dt.day.map({2: 8, 16: 2}), 0
    )
    assert ours["busy_mae"] == pytest.approx(float(np.abs(busy["expected"] - actual).mean()), abs=1e-6)
    inside = (busy["low"] <= actual) & (actual <= busy["high"])
    assert ours["share_inside"] == pytest.approx(float(inside.mean()))
    assert low <= 8 <= high
    assert np.isnan(mean["share_inside"])
    assert np.isnan(median["share_inside"])


def test_hours_in_which_nobody_is_expected_are_no_busy_ones() -> None:
    quiet = demand_model_of(hours({"2023-01-03": 1, "2023-01-10": 1}, zone=4), date(2023, 2, 1))
    assert quiet["expected"].max() < 1
    errors = demand_errors_of(quiet, hours({"2023-02-07": 1}), date(2023, 2, 1))
    assert errors["num_busy_hours"].unique().tolist() == [0]
    assert errors[["busy_rmse", "busy_mae", "share_inside"]].isna().all(axis=None)
    assert errors["rmse"].notna().all()


def test_a_day_with_a_change_of_clocks_has_24_hours() -> None:
    """On 2023-03-12 there was no 2 o'clock. It is forecast and compared as an hour of any Sunday."""
    model = demand_model_of(every_day("2023-01-01", "2023-02-28", dict.fromkeys(range(7), 9)), date(2023, 3, 1))
    assert (model["pickup_date"] == "2023-03-12").sum() == 24
    errors = demand_errors_of(model, hours({"2023-03-12": 9}), date(2023, 3, 1))
    assert errors["num_hours"].tolist() == [ALL_HOURS] * 3


def test_nothing_to_learn_from_is_a_forecast_without_rows() -> None:
    empty = together(ZONE_HOURS, [])
    model = demand_model_of(empty, date(2023, 2, 1))
    assert (model.empty, tuple(model.columns)) == (True, DEMAND_MODEL.column_names)
    errors = demand_errors_of(model, hours({"2023-02-07": 1}), date(2023, 2, 1))
    assert (errors.empty, tuple(errors.columns)) == (True, DEMAND_ERRORS.column_names)
    assert demand_errors_of(demand_model_of(hours({"2023-01-03": 1}), date(2023, 2, 1)), empty, date(2023, 2, 1)).empty


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Three months of a fleet in a warehouse; nothing of the datasets is made."""
    mirror = tmp_path_factory.mktemp("mirror_of_demand")
    write_mirror(mirror, Days(date(2023, 1, 1), date(2023, 3, 31)), fleet="yellow", trips_per_day=600)
    pipeline = pipeline_in(tmp_path_factory.mktemp("demand"), mirror)
    pipeline.run("2023-01-01", "2023-03-31", select=("taxi_zones_file", "taxi_zones", *LOADING))
    return pipeline


def with_files_in(loaded: Pipeline, folder: Path) -> Pipeline:
    """The same warehouse, with files of its own."""
    own = pipeline_in(folder, loaded.tlc.url)
    return Pipeline(folder=folder, tlc=loaded.tlc, warehouse=loaded.warehouse, files=own.files)


def stored(pipeline: Pipeline, dataset: str, month: str) -> bytes:
    return pipeline.files.read(dataset_file(dataset, "yellow", date.fromisoformat(f"{month}-01"), "parquet"))


def test_a_month_is_forecast_before_its_trips_are_there(loaded: Pipeline, tmp_path: Path) -> None:
    """And its trips change nothing in the forecast: they are not read."""
    pipeline = with_files_in(loaded, tmp_path)
    assert pipeline.dataset("yellow", "2023-01", zone_hours).success
    result = pipeline.dataset("yellow", "2023-02", demand_model)
    assert result.success, error_of(result)
    (made,) = materializations_of(result, "demand_model")
    assert made.metadata["days_learned_from"].value == 31
    assert made.metadata["synthetic"].value is True
    assert "data:image/png" in str(made.metadata["chart"].value)
    model = result.output_for_node("demand_model")
    january = decoded(stored(pipeline, "zone_hours", "2023-01"), ZONE_HOURS, "yellow", "parquet")
    pd.testing.assert_frame_equal(model, demand_model_of(january, date(2023, 2, 1)))
    assert model["pickup_date"].nunique() == 28
    assert model["expected"].sum() == pytest.approx(january["num_trips"].sum() * 28 / 31, rel=0.05)
    forecast, chart = (
        stored(pipeline, "demand_model", "2023-02"),
        pipeline.files.read("outputs/demand_model/yellow-2023-02.png"),
    )
    assert chart.startswith(b"\x89PNG")
    for month in ("2023-02", "2023-03"):
        assert pipeline.dataset("yellow", month, zone_hours).success
    assert pipeline.dataset("yellow", "2023-02", demand_model).success
    assert stored(pipeline, "demand_model", "2023-02") == forecast
    assert pipeline.files.read("outputs/demand_model/yellow-2023-02.png") == chart
    following = pipeline.dataset("yellow", "2023-04", demand_model)
    assert following.success, error_of(following)
    (made,) = materializations_of(following, "demand_model")
    assert made.metadata["days_learned_from"].value == 31 + 28 + 31
    assert following.output_for_node("demand_model")["pickup_date"].max() == pd.Timestamp("2023-04-30")


def test_a_forecast_is_judged_when_its_month_arrives(loaded: Pipeline, tmp_path: Path) -> None:
    """The errors of all methods are in the check's metadata and in the file."""
    pipeline = with_files_in(loaded, tmp_path)
    for month in ("2023-01", "2023-02"):
        assert pipeline.dataset("yellow", month, zone_hours).success
    assert pipeline.dataset("yellow", "2023-03", demand_model).success
    result = pipeline.dataset("yellow", "2023-03", zone_hours, demand_errors)
    assert result.success, error_of(result)
    errors = result.output_for_node("demand_errors")
    assert errors["num_hours"].unique().tolist() == [31 * ALL_HOURS]
    check = check_of(result, "expects_the_month")
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert [row["method"] for row in table_of(check.metadata["errors"])] == list(METHODS)
    assert [row["rmse"] for row in table_of(check.metadata["errors"])] == errors["rmse"].tolist()
    assert [row["num_hours"] for row in table_of(check.metadata["errors"])] == [31 * ALL_HOURS] * 3
    ours, mean, median = errors["rmse"]
    assert check.passed, "synthetic weeks are alike, and March has no holiday"
    assert ours < min(mean, median)
    assert f"expected {ours:.3f}, mean of 8 weeks {mean:.3f}, median of 8 weeks {median:.3f}; " in str(
        check.description
    )
    chart = pipeline.files.read("outputs/demand_errors/yellow-2023-03.png")
    assert chart != pipeline.files.read("outputs/demand_model/yellow-2023-03.png"), "with what was counted"
    assert pipeline.dataset("yellow", "2023-03", demand_errors).success
    assert pipeline.files.read("outputs/demand_errors/yellow-2023-03.png") == chart


@pytest.mark.parametrize("month", ["2023-01", "2023-03"])
def test_a_month_without_a_forecast_is_not_judged(loaded: Pipeline, tmp_path: Path, month: str) -> None:
    """The first month has none; that of March was not made."""
    pipeline = with_files_in(loaded, tmp_path)
    result = pipeline.dataset("yellow", month)
    assert result.success, error_of(result)
    assert result.output_for_node("demand_errors").empty
    check = check_of(result, "expects_the_month")
    assert (check.passed, check.description) == (True, "nothing to compare: no forecast of the month, or no trips")
    assert pipeline.files.read(f"outputs/demand_errors/yellow-{month}.png").startswith(b"\x89PNG")


def test_a_forecast_without_any_month_before_has_no_rows(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = with_files_in(loaded, tmp_path)
    result = pipeline.dataset("yellow", "2023-02", demand_model)
    assert result.success, error_of(result)
    assert result.output_for_node("demand_model").empty
    assert pipeline.files.read("outputs/demand_model/yellow-2023-02.png").startswith(b"\x89PNG")


def test_a_forecast_that_is_worse_than_a_mean_warns(loaded: Pipeline, tmp_path: Path) -> None:
    """The file of the forecast is replaced by one that expects ten times as much."""
    pipeline = with_files_in(loaded, tmp_path)
    assert pipeline.dataset("yellow", "2023-01", zone_hours).success
    model = pipeline.dataset("yellow", "2023-02", demand_model).output_for_node("demand_model")
    wrong = model.assign(expected=model["expected"] * 10)
    pipeline.files.write(
        dataset_file("demand_model", "yellow", date(2023, 2, 1), "parquet"), encoded(wrong, DEMAND_MODEL, "parquet")
    )
    check = check_of(pipeline.dataset("yellow", "2023-02", zone_hours, demand_errors), "expects_the_month")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_a_forecast_whose_interval_is_too_narrow_warns(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = with_files_in(loaded, tmp_path)
    for month in ("2023-01", "2023-02"):
        assert pipeline.dataset("yellow", month, zone_hours).success
    model = pipeline.dataset("yellow", "2023-03", demand_model).output_for_node("demand_model")
    narrow = model.assign(low=model["expected"], high=model["expected"])
    pipeline.files.write(
        dataset_file("demand_model", "yellow", date(2023, 3, 1), "parquet"), encoded(narrow, DEMAND_MODEL, "parquet")
    )
    check = check_of(pipeline.dataset("yellow", "2023-03", zone_hours, demand_errors), "expects_the_month")
    assert not check.passed
    assert "; 0% of the busy hours lie in the interval" in str(check.description)


def counted_in(real_tlc: Path, fleet: str, month: date) -> pd.DataFrame:
    """The pickups of a published month by day, hour and zone, as DuckDB counts them in the file."""
    begins = "lpep_pickup_datetime" if fleet == "green" else "tpep_pickup_datetime"
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT {begins}::DATE, hour({begins}), PULocationID, 'Zone', 'Borough', count(*), 0, 0, 0, 0, 0 "
            f"FROM '{real_tlc}/trip-data/{fleet}_tripdata_{month:%Y-%m}.parquet' "
            f"WHERE date_trunc('month', {begins}) = ? AND PULocationID <= 263 GROUP BY ALL ORDER BY ALL",
            [month],
        ).fetchall()
    return frame_of(ZONE_HOURS, fleet, rows)


_ERRORS_SQL = """
WITH hours AS (SELECT hour, zone_id FROM range(24) AS h(hour), range(1, 264) AS z(zone_id)),
last_weeks AS (
    SELECT DISTINCT pickup_date FROM past
    WHERE pickup_date < $month::DATE AND pickup_date >= $month::DATE - INTERVAL 56 DAYS
),
opponents AS (
    SELECT dayofweek(pickup_date) AS weekday, hour, zone_id, avg(coalesce(num_trips, 0)) AS mean_of_8_weeks,
        median(coalesce(num_trips, 0)) AS median_of_8_weeks
    FROM last_weeks CROSS JOIN hours LEFT JOIN past USING (pickup_date, zone_id, hour)
    GROUP BY ALL
),
compared AS (
    SELECT coalesce(num_trips, 0) AS actual, coalesce(expected, 0) AS expected, mean_of_8_weeks, median_of_8_weeks,
        low, high
    FROM (SELECT DISTINCT pickup_date FROM counted) CROSS JOIN hours
    LEFT JOIN counted USING (pickup_date, zone_id, hour)
    LEFT JOIN forecast USING (pickup_date, zone_id, hour)
    JOIN opponents ON weekday = dayofweek(pickup_date) AND opponents.zone_id = hours.zone_id
        AND opponents.hour = hours.hour
)
SELECT sqrt(avg((expected - actual)**2)), sqrt(avg((mean_of_8_weeks - actual)**2)),
    sqrt(avg((median_of_8_weeks - actual)**2)),
    sqrt(avg((expected - actual)**2) FILTER (expected >= 1)),
    sqrt(avg((mean_of_8_weeks - actual)**2) FILTER (expected >= 1)),
    sqrt(avg((median_of_8_weeks - actual)**2) FILTER (expected >= 1)),
    avg(abs(expected - actual)), avg(abs(mean_of_8_weeks - actual)), avg(abs(median_of_8_weeks - actual)),
    avg((actual BETWEEN low AND high)::INT) FILTER (expected >= 1)
FROM compared
"""


_ROUNDING = (0.001, 0.6, 0.6, 0.01, 0.6, 0.6, 0.001, 0.6, 0.6, 0.6)
"""The figures of the documentation are rounded, and come from the pipeline, which loads some trips less."""


def documented() -> list[tuple[str, date, list[float]]]:
    """The table of docs/datasets.md: fleet, month, figures."""
    text = (REPOSITORY / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (green|yellow) (\d{4}-\d\d)\D*? \| (.+) \|$", text, re.MULTILINE)
    return [
        (fleet, date.fromisoformat(f"{month}-01"), [float(cell.rstrip(" %")) for cell in cells.split(" | ")])
        for fleet, month, cells in rows
    ]


@pytest.mark.real_data
def test_forecasts_of_real_months_are_as_good_as_the_documentation_says(real_tlc: Path) -> None:
    """The test computes both opponents by itself. The model's RMSE is below theirs in all of these months."""
    found = documented()
    green = [month for fleet, month, _ in found if fleet == "green"]
    assert green == [
        *(date(2022, 11, 1), date(2022, 12, 1)),
        *(date(2023, month, 1) for month in range(1, 7)),
        date(2025, 1, 1),
    ]
    better = []
    for fleet, month, figures in found:
        year_before = pd.date_range(end=month, periods=13, freq="MS")[:-1]
        files = [real_tlc / "trip-data" / f"{fleet}_tripdata_{day:%Y-%m}.parquet" for day in year_before]
        months = [day.date() for day, file in zip(year_before, files, strict=True) if file.exists()]
        past = together(ZONE_HOURS, [counted_in(real_tlc, fleet, day) for day in months])
        counted, model = counted_in(real_tlc, fleet, month), demand_model_of(past, month)
        with duckdb.connect() as connection:
            for name, frame in (
                ("past", past),
                ("counted", counted),
                ("forecast", model.drop(columns=list(METHODS[1:]))),
            ):
                connection.register(name, frame.rename(columns={"pickup_hour": "hour"}))
            (row,) = connection.execute(_ERRORS_SQL, {"month": month}).fetchall()
        errors = demand_errors_of(model, counted, month)
        assert list(row[:3]) == pytest.approx(errors["rmse"].tolist(), abs=2e-5)
        assert list(row[3:6]) == pytest.approx(errors["busy_rmse"].tolist(), abs=2e-5)
        assert list(row[6:9]) == pytest.approx(errors["mae"].tolist(), abs=2e-5)
        assert row[9] == pytest.approx(errors["share_inside"][0])
        of_opponents = [100 * row[first] / row[first + other] for first in (0, 3, 6) for other in (1, 2)]
        found_now = [row[0], *of_opponents[:2], row[3], *of_opponents[2:4], row[6], *of_opponents[4:], 100 * row[9]]
        for found_one, figure, rounding in zip(found_now, figures, _ROUNDING, strict=True):
            assert found_one == pytest.approx(figure, abs=rounding), f"{fleet} {month}"
        better.append(row[0] < min(row[1:3]) and row[3] < min(row[4:6]))
    assert better == [True] * len(found), "in all months, not only in five of the last six"


class Counting:
    """A follower that counts materializations."""

    def __init__(self) -> None:
        self.expected = 0
        self.made = 0
        self.months: list[tuple[str, bool]] = []

    def expects(self, num_materializations: int, num_months: int) -> None:
        self.expected = num_materializations
        self.num_months = num_months

    def step_started(self, month: str, step: str) -> None:
        """Nothing."""

    def materialized(self) -> None:
        self.made += 1

    def warned(self, message: str) -> None:
        """Nothing."""

    def month_loaded(self, month: str, num_trips: int | None) -> None:
        self.months.append((month, bool(num_trips)))


@pytest.mark.slow
def test_the_console_forecasts_each_month_before_it_is_judged_and_the_month_after_the_last(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)  # this process goes on
    environment = {
        "TAXI_DATA_DIR": str(tmp_path),
        "TLC_URL": mirror.as_uri(),
        "TAXI_FLEETS": "green",
        "TAXI_START_DATE": "2023-01-01",
        "TAXI_END_DATE": "2023-02-28",
    }
    follower = Counting()
    days = Days(date(2023, 1, 1), date(2023, 2, 28))
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_months(settings_of(environment), days, instance, follower, {}, reports=True)
        assert outcome.stopped is None
        assert (follower.num_months, follower.months) == (2, [("2023-01", True), ("2023-02", True)])
        made = {
            name: [
                str(record.partition_key)
                for record in reversed(instance.fetch_materializations(dg.AssetKey(name), limit=10).records)
            ]
            for name in ("zone_hours", "demand_model", "demand_errors")
        }
    assert made == {
        "zone_hours": ["green|2023-01-01", "green|2023-02-01"],
        "demand_model": ["green|2023-02-01", "green|2023-03-01"],
        "demand_errors": ["green|2023-01-01", "green|2023-02-01"],
    }
    assert follower.made == follower.expected
    files = tmp_path / "datasets"
    judged = pd.read_parquet(files / "demand_errors" / "fleet=green" / "month=2023-02.parquet")
    assert judged["num_hours"].tolist() == [28 * ALL_HOURS] * 3
    forecast = pd.read_parquet(files / "demand_model" / "fleet=green" / "month=2023-03.parquet")
    assert forecast["pickup_date"].nunique() == 31
