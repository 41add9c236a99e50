"""The weather of Central Park is read in each form and unit in which NOAA publishes it, and nothing else is."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from taxi_pipeline.sources.source import Contents
from taxi_pipeline.sources.weather import (
    DAYS_OF_A_UNIT,
    MAX_DIFFERENCE,
    MEAN_HIGHS,
    MIN_DAYS,
    STATION,
    USUAL_SPREAD,
    read_weather,
)
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.warehouse.tables import WEATHER_DAYS
from taxi_pipeline_tests.conftest import TLC_MIRROR
from taxi_pipeline_tests.source_files import HEADER, by_day, by_station, celsius, days_from, write_lines

JULY = days_from(date(2024, 7, 1), 31)
REAL = TLC_MIRROR.parent / "noaa" / "central_park_weather.csv"


def read(tmp_path: Path, *lines: str, header: str = HEADER) -> Contents:
    return read_weather(write_lines(tmp_path / "weather.csv", [header, *lines]))


def of(contents: Contents, day: date) -> dict[str, Any]:
    """The row of a day, by column."""
    return next(dict(zip(WEATHER_DAYS.column_names, row, strict=True)) for row in contents.rows if row[0] == day)


@pytest.mark.parametrize("unit", ["standard", "metric", "tenths"])
@pytest.mark.parametrize("month", range(1, 13))
def test_the_unit_is_found_out_in_every_month(tmp_path: Path, unit: str, month: int) -> None:
    days = days_from(date(2023, month, 1), 28)
    contents = read(tmp_path, *by_day(days, unit))
    assert {row[-1] for row in contents.rows} == {unit}
    for day in days:
        high = float(of(contents, day)["high_c"])
        assert high == pytest.approx(celsius(day), abs=0.35), "°F are published in whole degrees"


def test_a_day_in_american_and_si_units(tmp_path: Path) -> None:
    found = of(read(tmp_path, *by_day(JULY[1:]), f"{STATION},NY,2024-07-01,10.00,2.00,0.0,1.2,86,68"), JULY[0])
    assert found == {
        "day": JULY[0],
        "high_f": 86,
        "low_f": 68,
        "precipitation_in": 2,
        "snowfall_in": 0,
        "snow_depth_in": Decimal("1.2"),
        "wind_mph": 10,
        "high_c": 30,
        "low_c": 20,
        "precipitation_mm": Decimal("50.8"),
        "snowfall_mm": 0,
        "snow_depth_mm": 30,
        "wind_m_s": Decimal("4.5"),
        "published_units": "standard",
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_the_file_by_station_is_in_tenths(tmp_path: Path, *, compressed: bool) -> None:
    """It begins in 1869, has other elements, and ends lines with the time of the observation."""
    lines = [f"{STATION},18690101,TMAX,-17,,,Z,", *by_station(JULY)]
    contents = read_weather(write_lines(tmp_path / "weather.csv.gz", lines, compressed=compressed))
    assert len(contents.rows) == 31
    assert not contents.problems
    found = of(contents, JULY[0])
    assert found["published_units"] == "tenths"
    assert found["high_c"] == round(Decimal(str(celsius(JULY[0]))), 1)
    assert (found["precipitation_in"], found["precipitation_mm"]) == (Decimal("0.50"), Decimal("12.7"))
    assert (found["snowfall_in"], found["snowfall_mm"], found["wind_mph"]) == (1, 25, Decimal("6.71"))


def test_amazons_copy_has_a_header(tmp_path: Path) -> None:
    """Regression: it was taken for a file by day, and refused."""
    lines = ["ID,DATE,ELEMENT,DATA_VALUE,M_FLAG,Q_FLAG,S_FLAG,OBS_TIME", *by_station(JULY)]
    assert len(read_weather(write_lines(tmp_path / "weather.csv", lines)).rows) == 31


def test_days_to_come_are_left_out_and_told(tmp_path: Path) -> None:
    """Regression: a day of 9999 was taken, and all before it counted as missing."""
    contents = read(tmp_path, *by_day(JULY), *by_day([date(9999, 12, 31)]))
    assert len(contents.rows) == 31
    assert {each.outcome for each in contents.problems} == {"a day that is still to come, left out"}


def test_both_forms_give_the_same_weather(tmp_path: Path) -> None:
    one = read(tmp_path, *by_day(JULY, "metric"))
    other = read_weather(write_lines(tmp_path / "station.csv", by_station(JULY)))
    assert [row[:-1] for row in one.rows] == [row[:-1] for row in other.rows]


@pytest.mark.parametrize(
    ("line", "column", "outcome"),
    [
        ("USW00094728,NY,2024-07-01,x,0.50,0.0,0.0,86,68", "AWND", "no number, NULL"),
        ("USW00094728,NY,2024-07-01,1.0,0.50,0.0,0.0,186,68", "TMAX", "can't be in New York, NULL"),
        ("USW00094728,NY,2024-07-01,1.0,-0.50,0.0,0.0,86,68", "PRCP", "can't be in New York, NULL"),
        ("USW00094728,NY,2024-07-01,1.0,0.50,0.0,0.0,86,88", "TMIN", "more than the high of 2024-07-01, both NULL"),
        ("USW00094728,NY,2024-07-02,1.0,0.50,0.0,0.0,99,68", "TMAX", "a second value of 2024-07-02, left out"),
        ("USW00094728,NY,07/01/2024,1.0,0.50,0.0,0.0,86,68", "DATE", "no day, row left out"),
        ("USW00094728,NY,2024-02-30,1.0,0.50,0.0,0.0,86,68", "DATE", "no day, row left out"),
        ("USW00094728,NY,2024-07-01,1.0,0.50,0.0,0.0,8.6e1,68", "TMAX", "no number, NULL"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, line: str, column: str, outcome: str) -> None:
    contents = read(tmp_path, *by_day(JULY[1:]), line)
    assert any((each.line, each.column, each.outcome) == (32, column, outcome) for each in contents.problems)
    # The other values of the line count.
    if "2024-07-01," in line:
        assert of(contents, JULY[0])["snowfall_in"] == 0


def test_what_was_not_measured_is_null_and_no_problem(tmp_path: Path) -> None:
    """Nothing, -9999 and NOAA's T, for a trace, which is 0."""
    contents = read(tmp_path, f"{STATION},NY,2024-07-01,,T,-9999,,86,68", *by_day(JULY[1:]))
    found = of(contents, JULY[0])
    assert (found["wind_mph"], found["precipitation_in"], found["snowfall_in"]) == (None, 0, None)
    assert list(contents.problems) == []


def test_a_value_that_failed_noaas_checks_is_null(tmp_path: Path) -> None:
    """In both forms: the flag of quality is the second one."""
    header = f'{HEADER},"TMAX_ATTRIBUTES"'
    with_flags = [f'{line},",,W"' for line in by_day(JULY)]
    with_flags[0] = with_flags[0].replace(",,W", ",I,W")
    contents = read(tmp_path, *with_flags, header=header)
    assert of(contents, JULY[0])["high_f"] is None
    assert [each.outcome for each in contents.problems] == ["failed NOAA's check of quality (I), NULL"]
    lines = by_station(JULY)
    number = next(number for number, line in enumerate(lines) if ",TMAX," in line)
    lines[number] = lines[number].replace(",,,W", ",,D,W")
    contents = read_weather(write_lines(tmp_path / "station.csv", lines))
    assert of(contents, JULY[0])["high_f"] is None
    assert [each.line for each in contents.problems] == [number + 1]


def test_other_stations_and_days_before_the_first_trips_are_left_out(tmp_path: Path) -> None:
    lines = [*by_day(days_from(date(2008, 12, 1), 62)), "USW00014732,LGA,2009-01-05,1,1,1,1,20,10"]
    contents = read(tmp_path, *lines)
    assert (contents.rows[0][0], len(contents.rows)) == (date(2009, 1, 1), 31)


def test_days_that_are_missing_between_are_told(tmp_path: Path) -> None:
    kept = [day for day in days_from(date(2024, 7, 1), 40) if day.day not in (10, 20, 21)]
    contents = read(tmp_path, *by_day([day for day in kept if day.month == 7 or day.day < 10]))
    assert [each.value for each in contents.problems] == ["2024-07-10", "2024-07-20 to 2024-07-21"]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "<html><body>Service Unavailable</body></html>",
        lambda _: '{"errorMessage": "Please wait"}',
        lambda text: text.replace("TMAX", "TOBS"),
        lambda text: text.replace(STATION, "USW00014732"),
        lambda text: "\n".join(text.splitlines()[:MIN_DAYS]),
        lambda text: text.encode("utf-16").decode("latin-1"),
        lambda text: text.replace('"2024', '"1999'),
        lambda text: text + '"' + "x" * 200_000,
        lambda text: text.splitlines()[0],
    ],
    ids=["empty", "html", "json", "no-highs", "other-station", "few", "utf-16", "too-early", "long-field", "header"],
)
def test_anything_else_is_refused_with_what_it_is(tmp_path: Path, change: Callable[[str], str]) -> None:
    text = change("\n".join([HEADER, *by_day(JULY)]))
    path = tmp_path / "weather.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UnusableFileError, match="it is not the daily weather of station USW00094728"):
        read_weather(path)


def test_the_weather_of_another_place_is_refused(tmp_path: Path) -> None:
    """Under the right station: 12 °C warmer, and so warm in each unit."""
    shift = 12
    lines = [f"{STATION},NY,{day},,,,,{celsius(day) + shift:.1f},{celsius(day):.1f}" for day in JULY]
    with pytest.raises(UnusableFileError, match=r"its highs are 1[12]\.\d °C away from New York's"):
        read(tmp_path, *lines)
    near = [f"{STATION},NY,{day},,,,,{celsius(day) + MAX_DIFFERENCE - 5:.1f},{celsius(day):.1f}" for day in JULY]
    assert len(read(tmp_path, *near).rows) == 31


@pytest.mark.parametrize(("most", "others"), [("standard", "metric"), ("metric", "standard"), ("metric", "tenths")])
def test_a_file_in_several_units_is_refused(tmp_path: Path, most: str, others: str) -> None:
    """Regression: the last 300 days of a file in °F were metric, and a day of 43 °F became one of 6 °F."""
    days = days_from(date(2022, 1, 1), 8 * DAYS_OF_A_UNIT)
    cut = 6 * DAYS_OF_A_UNIT
    with pytest.raises(UnusableFileError, match=r"in several units: together they look|°C away from New York's"):
        read(tmp_path, *by_day(days[:cut], most), *by_day(days[cut:], others))


@pytest.mark.parametrize("high", ["9998", "-9998"])
def test_highs_that_can_be_in_no_unit_are_refused(tmp_path: Path, high: str) -> None:
    lines = [f"{STATION},NY,{day},10.00,2.00,0.0,1.2,{high},40" for day in days_from(date(2022, 1, 1), MIN_DAYS)]
    with pytest.raises(UnusableFileError, match="inf °C away from New York's"):
        read(tmp_path, *lines)


def test_a_wrong_number_is_no_other_unit(tmp_path: Path) -> None:
    days = days_from(date(2022, 1, 1), 2 * DAYS_OF_A_UNIT)
    wrong = f"{STATION},NY,{days[7]},10.00,2.00,0.0,1.2,999,40"
    contents = read(tmp_path, *by_day([day for day in days if day != days[7]]), wrong)
    assert of(contents, days[7])["high_f"] is None
    assert {row[-1] for row in contents.rows} == {"standard"}


def test_a_truncated_compressed_file_is_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "weather.csv.gz", by_station(days_from(date(2023, 1, 1), 400)), compressed=True)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnusableFileError, match="but a gzip file"):
        read_weather(path)


@pytest.fixture
def real_days() -> list[tuple[date, int]]:
    if not REAL.is_file():
        pytest.skip(f"no real data: {REAL} does not exist")
    rows = [line.replace('"', "").split(",") for line in REAL.read_text().splitlines()[1:]]
    return [(date.fromisoformat(row[-7]), int(row[-2])) for row in rows]


@pytest.mark.real_data
def test_the_means_are_those_of_the_real_days(real_days: list[tuple[date, int]]) -> None:
    """What the unit is found by: the mean of each month's highs, their spread, and how far 28 days are away."""
    by_month: dict[tuple[int, int], list[float]] = {}
    for day, high in real_days:
        by_month.setdefault((day.year, day.month), []).append((high - 32) / 1.8)
    for month, mean in enumerate(MEAN_HIGHS, start=1):
        highs = [high for (_, other), found in by_month.items() if other == month for high in found]
        assert round(sum(highs) / len(highs), 1) == mean
    squares = [(high - sum(found) / len(found)) ** 2 for found in by_month.values() for high in found]
    assert round((sum(squares) / len(squares)) ** 0.5, 1) == 4.4, "as USUAL_SPREAD says"
    assert pytest.approx(4.4, abs=0.5) == USUAL_SPREAD


@pytest.mark.real_data
@pytest.mark.parametrize("unit", ["standard", "metric", "tenths"])
def test_the_unit_of_real_days_is_found_out(real_days: list[tuple[date, int]], unit: str, tmp_path: Path) -> None:
    """Each 28 days in a row from 2009-01 to 2024-02, five days apart, written in each unit."""
    write = {
        "standard": str,
        "metric": lambda high: f"{(high - 32) / 1.8:.1f}",
        "tenths": lambda high: f"{(high - 32) / 0.18:.0f}",
    }[unit]
    path = tmp_path / "weather.csv"
    for start in range(0, len(real_days) - 28, 5):
        window = real_days[start : start + 28]
        write_lines(path, ["STATION,DATE,TMAX,TMIN", *(f"{STATION},{day},{write(high)}," for day, high in window)])
        assert {row[-1] for row in read_weather(path).rows} == {unit}, window[0]


@pytest.mark.real_data
def test_the_real_file_has_all_days_and_its_records() -> None:
    if not REAL.is_file():
        pytest.skip(f"no real data: {REAL} does not exist")
    contents = read_weather(REAL)
    assert list(contents.problems) == []
    assert len(contents.rows) == 5538
    assert contents.rows[-1][0] - contents.rows[0][0] == timedelta(days=5537)
    snow = WEATHER_DAYS.column_names.index("snowfall_in")
    most = max(contents.rows, key=lambda row: row[snow] or 0)
    assert (most[0], most[snow]) == (date(2016, 1, 23), Decimal("27.3")), "the blizzard of January 2016"
