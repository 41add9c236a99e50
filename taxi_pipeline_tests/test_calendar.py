"""The calendar: what anyone can look up about a day in New York."""

import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import duckdb
import pytest

from taxi_pipeline.sources.calendar import (
    EVENTS_FILE,
    SCHOOL_YEARS_FILE,
    CalendarDay,
    _rows,
    calendar_days,
)
from taxi_pipeline.tlc.codes import CONGESTION_ZONE_SINCE
from taxi_pipeline.warehouse.sql import weekday

FIRST, LAST = date(2009, 1, 1), date(2026, 12, 31)


@pytest.fixture(scope="module")
def days() -> dict[date, CalendarDay]:
    return {day.day: day for day in calendar_days(FIRST, LAST)}


def test_there_is_each_day_once_in_order(days: dict[date, CalendarDay]) -> None:
    assert list(days) == [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    assert calendar_days(date(2023, 2, 2), date(2023, 2, 1)) == []
    assert [day.day for day in calendar_days(LAST, LAST)] == [LAST]


def test_weekdays_are_those_of_the_warehouse() -> None:
    week = calendar_days(date(2023, 1, 1), date(2023, 1, 7))
    with duckdb.connect() as connection:
        asked = [connection.execute(f"SELECT {weekday('CAST($1 AS DATE)')}", [day.day]).fetchall() for day in week]
    assert [day.weekday for day in week] == list(range(7))
    assert asked == [[(day.weekday,)] for day in week]


def test_days_are_short_or_long_when_the_clocks_change(days: dict[date, CalendarDay]) -> None:
    assert [day for day in days if days[day].hours == 23 and day.year == 2023] == [date(2023, 3, 12)]
    assert [day for day in days if days[day].hours == 25 and day.year == 2023] == [date(2023, 11, 5)]
    assert Counter(day.hours for day in days.values()) == {24: len(days) - 36, 23: 18, 25: 18}


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2023, 1, 1), "New Year's Day"),
        (date(2023, 1, 2), "New Year's Day (observed)"),
        (date(2021, 12, 31), "New Year's Day (observed)"),
        (date(2023, 2, 12), "Lincoln's Birthday"),
        (date(2021, 2, 15), "Washington's Birthday"),
        (date(2023, 2, 15), None),
        (date(2020, 6, 19), None),
        (date(2021, 6, 18), "Juneteenth National Independence Day (observed)"),
        (date(2023, 7, 4), "Independence Day"),
        (date(2023, 11, 7), "Election Day"),
        (date(2023, 11, 23), "Thanksgiving Day"),
        (date(2023, 11, 24), None),
    ],
)
def test_holidays_are_those_of_the_nation_and_the_state(
    days: dict[date, CalendarDay], day: date, name: str | None
) -> None:
    """Susan B. Anthony Day, February 15, is none by the state's law."""
    assert days[day].holiday == name


def test_names_of_holidays_do_not_follow_the_language_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "th")
    monkeypatch.setenv("LANG", "th_TH.UTF-8")
    assert calendar_days(date(2031, 7, 4), date(2031, 7, 4))[0].holiday == "Independence Day"


@pytest.mark.parametrize(
    ("day", "school_day"),
    [
        (date(2023, 9, 6), False),  # the day before the first
        (date(2023, 9, 7), True),
        (date(2023, 9, 9), False),  # a Saturday
        (date(2023, 9, 25), False),  # Yom Kippur
        (date(2023, 12, 22), True),
        (date(2023, 12, 27), False),
        (date(2024, 2, 12), True),  # Lincoln's Birthday
        (date(2024, 2, 13), False),  # remote for snow
        (date(2024, 6, 26), True),
        (date(2024, 6, 27), False),
        (date(2012, 10, 26), True),
        (date(2012, 11, 1), False),  # after Hurricane Sandy
        (date(2020, 3, 13), True),
        (date(2020, 3, 16), False),
        (date(2020, 10, 14), None),
        (date(2021, 11, 26), None),
        (date(2016, 1, 25), True),  # two days after the blizzard
        (date(2010, 2, 25), None),
        (date(2010, 2, 26), False),  # a snow day in a year that is not known
    ],
)
def test_school_days_are_known_or_said_not_to_be(
    days: dict[date, CalendarDay], day: date, school_day: bool | None
) -> None:
    assert days[day].school_day is school_day


def test_a_known_school_year_has_as_many_days_as_the_law_asks_for(days: dict[date, CalendarDay]) -> None:
    """The state asks for 180 days; up to four may be conferences of teachers, and closings in an emergency count."""
    for row in _rows(SCHOOL_YEARS_FILE):
        first, last = date.fromisoformat(row["first_day"]), date.fromisoformat(row["last_day"])
        if row["kind"] == "known" and (last - first).days > 280 and first.year != 2019:
            year = [days[first + timedelta(days=n)] for n in range((last - first).days + 1)]
            assert 174 <= sum(bool(day.school_day) for day in year) <= 184, row
            assert None not in {day.school_day for day in year}


def test_spans_name_their_source_and_closings_lie_on_weekdays() -> None:
    for path in (EVENTS_FILE, SCHOOL_YEARS_FILE):
        rows = _rows(path)
        assert rows == sorted(rows, key=lambda row: (row["first_day"], row.get("kind") != "known")), path
        for row in rows:
            first, last = date.fromisoformat(row["first_day"]), date.fromisoformat(row["last_day"])
            assert FIRST <= first <= last <= LAST, row
            assert row["source"].startswith(("http://", "https://")), row
            assert all(value and value == value.strip() for value in row.values()), row
            assert row.get("kind") != "closed" or row["reason"] == "Summer vacation" or first.weekday() < 5, row
    assert {row["kind"] for row in _rows(SCHOOL_YEARS_FILE)} == {"known", "closed"}


def test_known_spans_of_schools_do_not_overlap() -> None:
    """A closing that is told twice, or a year that is, was written down wrongly."""
    for kind in ("known", "closed"):
        spans = sorted((row["first_day"], row["last_day"]) for row in _rows(SCHOOL_YEARS_FILE) if row["kind"] == kind)
        assert all(before[1] < after[0] for before, after in pairwise(spans)), kind


@pytest.mark.parametrize(
    ("day", "event"),
    [
        (date(2012, 10, 27), None),
        (date(2012, 10, 28), "Hurricane Sandy and the days after it, subways shut down or limited"),
        (date(2012, 11, 3), None),
        (date(2020, 3, 21), None),
        (date(2020, 6, 6), "COVID-19 lockdown (New York State on PAUSE); Curfew at night"),
        (date(2020, 6, 7), "COVID-19 lockdown (New York State on PAUSE)"),
        (date(2019, 2, 2), "State congestion surcharge in Manhattan south of 96th Street begins"),
        (CONGESTION_ZONE_SINCE, "MTA congestion relief zone toll in Manhattan south of 60th Street begins"),
    ],
)
def test_events_are_on_their_days(days: dict[date, CalendarDay], day: date, event: str | None) -> None:
    assert days[day].event == event
    assert (days[day].event_source is None) == (event is None)


def test_an_event_has_as_many_sources_as_tell_of_it(days: dict[date, CalendarDay]) -> None:
    sources = days[date(2020, 6, 3)].event_source
    assert sources is not None
    assert [source.split("/")[2] for source in sources.split("; ")] == ["bklyner.com", "www.850wftl.com"]


def test_the_package_of_holidays_is_loaded_when_days_are_asked_for() -> None:
    code = "import sys, taxi_pipeline.sources.calendar; sys.exit('holidays' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
