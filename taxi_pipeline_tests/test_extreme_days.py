"""The extreme days of the weather and what taxis did on them: counted by hand, and out of generated and real months."""

import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.defs.assets import sources as ours
from taxi_pipeline.outputs.weather.extreme_days import (
    HEADER,
    MIN_DAYS,
    FleetDay,
    Weather,
    WeatherOfTrips,
    extreme_rows,
    usual_days,
    weather_of_trips,
)
from taxi_pipeline.outputs.weather.highs_chart import draw_highs, highs_rows
from taxi_pipeline.sources.source import replace_contents
from taxi_pipeline.sources.weather import WEATHER_SOURCE, read_weather
from taxi_pipeline.warehouse.coverage import Coverage
from taxi_pipeline_tests.pipelines import LOADING, Pipeline, error_of, materializations_of
from taxi_pipeline_tests.real_months import load_months

MakePipeline = Callable[..., Pipeline]
FIRST = date(2024, 7, 1)
NOTHING = Coverage(fleets=(), first_day=None, last_day=None, num_days=0, synthetic=False, version=1)


def weather(high: float | None = 80, low: float | None = 60, rain: float = 0, snow: float | None = 0) -> Weather:
    return Weather(*(None if value is None else Decimal(str(value)) for value in (high, low, rain, snow)))


def found(days: dict[date, Weather], fleets: tuple[str, ...] = ("yellow",)) -> WeatherOfTrips:
    """Each day of each fleet has as many trips as the day of the year."""
    trips = {(fleet, day): FleetDay(day.timetuple().tm_yday, 10.0, 12.0) for fleet in fleets for day in days}
    return WeatherOfTrips(days, trips, NOTHING)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def test_ten_hottest_and_three_of_each_other_kind() -> None:
    """Of days with the same value the earlier one comes first; without rain or snow a day is none of these."""
    days = {day(number): weather(high=70 + number % 12, low=50 + number % 12) for number in range(24)}
    days[day(3)] = weather(rain=1.5)
    days[day(5)] = weather(rain=0.25, snow=2)
    rows = extreme_rows(found(days))
    by_kind = {kind: [row[2] for row in rows if row[0] == kind] for kind in dict.fromkeys(row[0] for row in rows)}
    assert {kind: len(days) for kind, days in by_kind.items()} == {
        "hottest": 10,
        "coldest": 3,
        "wettest": 2,
        "snowiest": 1,
    }
    assert by_kind["hottest"] == [str(day(number)) for number in (11, 23, 3, 5, 10, 22, 9, 21, 8, 20)]
    assert by_kind["coldest"] == [str(day(0)), str(day(12)), str(day(1))]
    assert by_kind["wettest"] == [str(day(3)), str(day(5))]
    assert [row[1] for row in rows if row[0] == "hottest"] == list(range(1, 11))


def test_what_was_not_measured_is_no_extreme() -> None:
    rows = extreme_rows(found({day(0): weather(high=None, low=None, snow=None), day(1): weather()}))
    assert [(row[0], row[2]) for row in rows] == [("hottest", str(day(1))), ("coldest", str(day(1)))]


def test_usual_are_the_same_weekdays_of_four_weeks_before_and_after() -> None:
    days = {day(number): weather() for number in range(70)}
    all_days = found(days)
    middle = day(35)
    assert [each.num_net_trips for each in usual_days(all_days, "yellow", middle)] == [
        (middle + timedelta(weeks=weeks)).timetuple().tm_yday for weeks in (-4, -3, -2, -1, 1, 2, 3, 4)
    ]
    assert len(usual_days(all_days, "yellow", day(0))) == 4
    assert usual_days(all_days, "green", middle) == []


@pytest.mark.parametrize(("num_others", "is_usual"), [(MIN_DAYS - 1, False), (MIN_DAYS, True)])
def test_with_few_days_nothing_is_called_usual(num_others: int, is_usual: bool) -> None:
    days = {day(7 * number): weather(high=90 - number) for number in range(num_others + 1)}
    first = dict(zip(HEADER, extreme_rows(found(days))[0], strict=True))
    assert bool(first["usual_trips"]) is is_usual
    assert (first["day"], first["weekday"], first["value"]) == ("2024-07-01", "Monday", "90")


def test_a_fleet_without_the_day_has_no_row() -> None:
    some = found({day(0): weather(), day(1): weather(high=90)}, ("yellow", "green"))
    fewer = WeatherOfTrips(
        some.weather, {key: some.trips[key] for key in some.trips if key != ("green", day(1))}, NOTHING
    )
    rows = [row for row in extreme_rows(fewer) if row[0] == "hottest"]
    assert [(row[2], row[6]) for row in rows] == [
        (str(day(1)), "yellow"),
        (str(day(0)), "green"),
        (str(day(0)), "yellow"),
    ]


def test_the_chart_is_the_same_bytes_for_the_same_days() -> None:
    days = {day(number): weather(high=None if number == 4 else 70 + number) for number in range(20) if number != 9}
    assert draw_highs(found(days)) == draw_highs(found(dict(reversed(days.items()))))
    assert highs_rows(found(days))[0] == ("2024-07-01", "70.0", "21.1")
    assert len(highs_rows(found(days))) == 18, "a day without a high has no row"
    assert draw_highs(WeatherOfTrips({}, {}, NOTHING))[:4] == b"\x89PNG"


def test_the_assets_agree_with_plain_sql(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror, fleets=("yellow", "green"))
    pipeline.run("2023-01-01", "2023-02-28", select=["taxi_zones_file", "taxi_zones", "code_tables", *LOADING])
    result = _made(pipeline)
    assert result.success, error_of(result)
    rows = list(csv.DictReader(io.StringIO(pipeline.files.read("outputs/extreme_days.csv").decode())))
    assert {row["kind"] for row in rows} == {"hottest", "coldest", "wettest", "snowiest"}
    hottest = [row["day"] for row in rows if row["kind"] == "hottest" and row["fleet"] == "yellow"]
    assert hottest == [
        str(found_day)
        for (found_day,) in pipeline.rows(
            "SELECT day FROM weather_days WHERE day BETWEEN '2023-01-01' AND '2023-02-28' "
            "ORDER BY high_f DESC, day LIMIT 10"
        )
    ]
    for row in rows:
        ((num_trips,),) = pipeline.rows(
            "SELECT count(*) FROM net_trips WHERE fleet = ? AND pickup_date = ?", [row["fleet"], row["day"]]
        )
        assert int(row["num_net_trips"]) == num_trips
    (made,) = materializations_of(result, "extreme_days")
    assert made.metadata["days_with_weather"].value == 59
    before = {name: pipeline.files.read(name) for name in ("outputs/extreme_days.csv", "outputs/daily_highs.png")}
    assert _made(pipeline).success
    assert {name: pipeline.files.read(name) for name in before} == before


def test_without_trips_or_weather_the_outputs_say_so(make_pipeline: MakePipeline, mirror: Path) -> None:
    """A morning on which no day is loaded yet is no failure."""
    pipeline = make_pipeline(mirror)
    result = _made(pipeline)
    assert result.success, error_of(result)
    assert pipeline.files.read("outputs/extreme_days.csv").decode() == ",".join(HEADER) + "\n"


def _made(pipeline: Pipeline) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [*ours.weather_assets[1:], ours.extreme_days, ours.daily_highs],
            resources=pipeline.resources,
            instance=instance,
            raise_on_error=False,
        )


@pytest.mark.real_data
def test_real_days(real_tlc: Path, tmp_path: Path) -> None:
    """Green of 2022-12 and 2023-01 with the weather in Central Park: the arctic front of Christmas 2022."""
    path = real_tlc.parent / "noaa" / "central_park_weather.csv"
    if not path.is_file():
        pytest.skip(f"no real data: {path} does not exist")
    months = [real_tlc / "trip-data" / f"green_tripdata_{month}.parquet" for month in ("2022-12", "2023-01")]
    warehouse = load_months(months, tmp_path)
    warehouse.change(replace_contents, WEATHER_SOURCE, read_weather(path))
    rows = extreme_rows(warehouse.query(weather_of_trips, ["green"]))
    coldest = [dict(zip(HEADER, row, strict=True)) for row in rows if row[0] == "coldest"]
    assert [(row["day"], row["value"]) for row in coldest[:2]] == [("2022-12-24", "7.0"), ("2022-12-23", "8.0")]
