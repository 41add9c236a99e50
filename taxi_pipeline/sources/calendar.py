"""The days of New York: weekday, holiday, school day, hours and known events.

Events are in `events.csv`, days of school in `school_years.csv`, both beside this module, each with its source. What
no source was found for is not in them: a day without an event is a day on which none is known.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

EVENTS_FILE = Path(__file__).with_name("events.csv")
SCHOOL_YEARS_FILE = Path(__file__).with_name("school_years.csv")

TIME_ZONE = "America/New_York"
"""The zone of the trips' times."""

_NO_HOLIDAY = "Susan B. Anthony Day"
"""The package counts it as a public holiday of the state. By New York's Executive Law § 168-a it is a day of
commemoration, which "shall not constitute a holiday", and nothing closes."""

_KNOWN, _CLOSED = "known", "closed"
"""Kinds of spans in `school_years.csv`: days of which all closings are known, and closings."""

_BETWEEN_NAMES = "; "


@dataclass(frozen=True)
class CalendarDay:
    """A day in New York.

    Attributes:
        day: the day, from midnight to midnight in New York.
        weekday: 0 for Sunday to 6 for Saturday, as `warehouse.sql.weekday` counts.
        holiday: name of the public holiday of the federal government or of New York State, in English, by the package
            `holidays`; None on other days. A holiday that is observed on another weekday is there twice: on its own
            day, and with " (observed)" after its name on the Monday after a Sunday, or the Friday before a Saturday.
            Names of several holidays are joined by "; ".
        school_day: True if pupils of New York City's public schools were expected in their buildings, also if only
            some grades were; False if none were: weekend, recess, holiday, snow day, or instruction from home. None if
            it is not known. Sources are calendars of the Department of Education and news of closings; a closing that
            no source tells is missing.
        hours: length of the day in hours: 23 and 25 when daylight saving time begins and ends, else 24.
        event: short text of a known event that trips show; None if none is known. Of what begins and stays, such as a
            surcharge, only the first day has the event. Several are joined by "; ".
        event_source: addresses of the pages that tell of the event and its days, joined by "; ".
    """

    day: date
    weekday: int
    holiday: str | None
    school_day: bool | None
    hours: int
    event: str | None
    event_source: str | None


def calendar_days(first: date, last: date) -> list[CalendarDay]:
    """The days from the first to the last, both included, in order; none if the last is before the first."""
    holidays = _holidays(first, last)
    days = []
    for day in _days(first, last):
        happened = _events().get(day, {})
        days.append(
            CalendarDay(
                day=day,
                weekday=day.isoweekday() % 7,
                holiday=holidays.get(day),
                school_day=_school_day(day),
                hours=_hours(day),
                event=_BETWEEN_NAMES.join(happened) or None,
                event_source=_BETWEEN_NAMES.join(dict.fromkeys(happened.values())) or None,
            )
        )
    return days


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _holidays(first: date, last: date) -> dict[date, str]:
    # Loading the package takes about 0.2 s, and 40 MB with the holidays of all years.
    from holidays import country_holidays

    # The names are asked for in English, because the package would follow the machine's language.
    found = country_holidays("US", subdiv="NY", years=range(first.year, last.year + 1), language="en_US")
    named = {day: [name for name in names.split(_BETWEEN_NAMES) if name != _NO_HOLIDAY] for day, names in found.items()}
    return {day: _BETWEEN_NAMES.join(names) for day, names in named.items() if names}


def _hours(day: date) -> int:
    midnights = [
        datetime.combine(midnight, time(), ZoneInfo(TIME_ZONE)).astimezone(UTC)
        for midnight in (day, day + timedelta(days=1))
    ]
    return round((midnights[1] - midnights[0]) / timedelta(hours=1))


def _school_day(day: date) -> bool | None:
    if day in _days_of_schools(_CLOSED):
        return False
    return day.weekday() < 5 if day in _days_of_schools(_KNOWN) else None


@dataclass(frozen=True, kw_only=True)
class KnownEvent:
    """An event that trips show."""

    first: date
    last: date
    """The same day for what begins and stays."""
    event: str
    """Short text."""


def known_events() -> list[KnownEvent]:
    """All known events by their first days, as `calendar_days` has them day by day."""
    events = [
        KnownEvent(
            first=date.fromisoformat(row["first_day"]), last=date.fromisoformat(row["last_day"]), event=row["event"]
        )
        for row in _rows(EVENTS_FILE)
    ]
    return sorted(events, key=lambda each: (each.first, each.last))


@cache
def _events() -> dict[date, dict[str, str]]:
    """Day → its events and their sources."""
    events: dict[date, dict[str, str]] = {}
    for row in _rows(EVENTS_FILE):
        for day in _span(row):
            events.setdefault(day, {})[row["event"]] = row["source"]
    return events


@cache
def _days_of_schools(kind: str) -> frozenset[date]:
    return frozenset(day for row in _rows(SCHOOL_YEARS_FILE) if row["kind"] == kind for day in _span(row))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _span(row: dict[str, str]) -> Iterator[date]:
    return _days(date.fromisoformat(row["first_day"]), date.fromisoformat(row["last_day"]))
