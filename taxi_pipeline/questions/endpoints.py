"""What the HTTP API has: each endpoint declared once, with its parameters, limits, columns and SQL.

The handlers (`http_api`) and the OpenAPI document (`openapi`) come from these declarations.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import coverage_by_fleet
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, week_start
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TRIPS_BY_WEEK, ZONE_HOURLY_TRIPS, ZONES, Column

MAX_DAYS = 366
"""Of an answer by days."""
MAX_WEEKS = 530
"""Of an answer by weeks: ten years."""
MAX_ZONE_DAYS = 1000
"""Days times zones of an answer by zone and hour, which has at most 24 rows for each: 5 MB."""
LAST_ZONE_ID = 265
YEARS = range(2000, 3000)
"""A day can be asked whose week begins before the TLC's first day; none by whose week a date overflows."""


class BadRequestedValueError(TaxiPipelineError):
    """A parameter is missing, unknown, or has a value that is not accepted; the message says which."""


@dataclass(frozen=True)
class Parameter:
    """A parameter in the URL's query."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """Of one value, as in OpenAPI."""
    read: Callable[[str], Any]
    """From text to value; raises ValueError."""
    required: bool = False
    many: bool = False
    """True if it can be given several times, and is a list."""


@dataclass(frozen=True)
class Endpoint:
    """A resource of the API: rows with columns."""

    path: str
    summary: str
    description: str
    columns: tuple[Column, ...]
    rows: Callable[[Session, Mapping[str, Any]], Sequence[Sequence[Any]]]
    """The rows for the values of the parameters: None or an empty list for one that was left out."""
    parameters: tuple[Parameter, ...] = ()
    check: Callable[[Mapping[str, Any]], None] = lambda _: None
    """Raises BadRequestedValueError for values that don't go together."""


def _fleet(text: str) -> str:
    if text not in FLEETS:
        raise ValueError(text)
    return text


def _day(text: str) -> date:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):  # fromisoformat takes weeks, too
        raise ValueError(text)
    day = date.fromisoformat(text)
    if day.year not in YEARS:
        raise ValueError(text)
    return day


def _zone(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,2}", text) or int(text) > LAST_ZONE_ID:
        raise ValueError(text)
    return int(text)


_A_FLEET = {"type": "string", "enum": list(FLEETS)}
_A_DAY = {"type": "string", "format": "date"}
_A_ZONE = {"type": "integer", "minimum": 1, "maximum": LAST_ZONE_ID}

FLEETS_ASKED = Parameter("fleet", "A fleet; several times for several; without it all.", _A_FLEET, _fleet, many=True)
ONE_FLEET = Parameter("fleet", "The fleet.", _A_FLEET, _fleet, required=True)
FROM = Parameter("from", "First day, as 2025-01-31.", _A_DAY, _day, required=True)
TO = Parameter("to", "Last day, inclusive.", _A_DAY, _day, required=True)
ZONES_ASKED = Parameter("zone", "A pickup zone; several times for several; without it all.", _A_ZONE, _zone, many=True)


def days_asked(values: Mapping[str, Any]) -> Days:
    """The days from `from` to `to`.

    Raises:
        BadRequestedValueError: the end is before the start.
    """
    if values["to"] < values["from"]:
        raise BadRequestedValueError(f"to={values['to']} is before from={values['from']}")
    return Days(values["from"], values["to"])


def _at_most_days(values: Mapping[str, Any]) -> None:
    days = days_asked(values)
    if days.num_days > MAX_DAYS:
        raise BadRequestedValueError(f"{days} are {days.num_days:,} days: ask for at most {MAX_DAYS} at a time")


def _at_most_weeks(values: Mapping[str, Any]) -> None:
    days = days_asked(values)
    if days.num_days > 7 * MAX_WEEKS:
        raise BadRequestedValueError(f"{days} are {days.num_days:,} days: ask for at most {7 * MAX_WEEKS:,} at a time")


def _at_most_zone_days(values: Mapping[str, Any]) -> None:
    days, num_zones = days_asked(values), len(set(values["zone"])) or LAST_ZONE_ID
    if days.num_days * num_zones > MAX_ZONE_DAYS:
        raise BadRequestedValueError(
            f"{days.num_days:,} days of {num_zones} zones are too many: ask for at most {MAX_ZONE_DAYS // num_zones} "
            f"days of these zones, or for fewer zones (days × zones ≤ {MAX_ZONE_DAYS:,})"
        )


def _loaded(session: Session, _: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (fleet, found.first_day, found.last_day, found.num_days, found.num_trips)
        for fleet, found in sorted(coverage_by_fleet(session).items())
    ]


def _zones(session: Session, _: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return session.rows("SELECT zone_id, zone, borough FROM zones ORDER BY zone_id")


_SUMS = ("passenger_count", "trip_distance", "fare_amount", "tip_amount", "total_amount")
_TYPES = ZONE_HOURLY_TRIPS.column_types
_COUNTS_SQL = f"""
SELECT {{keys}}, CAST(coalesce(sum(counted.num_trips), 0) AS BIGINT) AS num_trips,
    {", ".join(f"CAST(coalesce(sum({name}), 0) AS {_TYPES[name]}) AS {name}" for name in _SUMS)}
FROM loaded_days
LEFT JOIN (
    SELECT fleet, pickup_date, sum(num_trips) AS num_trips, {", ".join(f"sum({name}) AS {name}" for name in _SUMS)}
    FROM zone_hourly_trips
    WHERE pickup_date BETWEEN ? AND ?
    GROUP BY fleet, pickup_date
) AS counted ON counted.fleet = loaded_days.fleet AND counted.pickup_date = loaded_days.pickup_date
WHERE {{day}} BETWEEN ? AND ? AND loaded_days.fleet IN ({{fleets}})
GROUP BY {{groups}}
ORDER BY {{groups}}
"""


def _days(session: Session, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    days, fleets = days_asked(values), values["fleet"] or list(FLEETS)
    keys = "loaded_days.fleet, loaded_days.pickup_date"
    sql = _COUNTS_SQL.format(keys=keys, groups=keys, day="loaded_days.pickup_date", fleets=placeholders(fleets))
    return session.rows(sql, [days.first, days.last, days.first, days.last, *fleets])


def _weeks(session: Session, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    weeks, fleets = days_asked(values), values["fleet"] or list(FLEETS)
    sunday = week_start("loaded_days.pickup_date")
    keys = f"loaded_days.fleet, {sunday}"
    sql = _COUNTS_SQL.format(
        keys=f"{keys} AS period, CAST(count(*) AS BIGINT) AS num_days",
        groups=keys,
        day=sunday,
        fleets=placeholders(fleets),
    )
    last = weeks.in_weeks().last
    return session.rows(sql, [weeks.first, last, weeks.first, weeks.last, *fleets])


def _zone_hours(session: Session, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    days, zones = days_asked(values), sorted(set(values["zone"]))
    which = f" AND pickup_zone_id IN ({placeholders(zones)})" if zones else ""
    return session.rows(
        f"SELECT {', '.join(ZONE_HOURLY_TRIPS.column_names)} FROM zone_hourly_trips "
        f"WHERE fleet = ? AND pickup_date BETWEEN ? AND ?{which} "
        "ORDER BY pickup_date, pickup_hour, pickup_zone_id",
        [values["fleet"], days.first, days.last, *zones],
    )


_COUNTED = ZONE_HOURLY_TRIPS.columns[4:]
_DAYS_COUNTED = Column("num_days", "BIGINT", "Days of the week that are loaded: a whole week has 7", nullable=False)

ENDPOINTS = (
    Endpoint(
        "/api/v1/loaded",
        "What is loaded",
        "One row for each fleet of which any day is loaded.",
        (
            LOADED_DAYS.columns[0],
            Column("first_day", "DATE", "First loaded day", nullable=False),
            Column("last_day", "DATE", "Last loaded day", nullable=False),
            Column("num_days", "BIGINT", "Number of loaded days", nullable=False),
            Column("num_trips", "BIGINT", "Number of trips of these days", nullable=False),
        ),
        _loaded,
    ),
    Endpoint("/api/v1/zones", "The taxi zones", ZONES.description, ZONES.columns[:3], _zones),
    Endpoint(
        "/api/v1/days",
        "Trips by day",
        f"One row for each loaded day of a fleet, also for days without trips. At most {MAX_DAYS} days at a time.",
        (*ZONE_HOURLY_TRIPS.columns[:2], *_COUNTED),
        _days,
        (FROM, TO, FLEETS_ASKED),
        _at_most_days,
    ),
    Endpoint(
        "/api/v1/weeks",
        "Trips by week",
        "One row for each week of a fleet of which any day is loaded; weeks are chosen by the Sunday on which they "
        f"start. At most {MAX_WEEKS} weeks at a time.",
        (
            ZONE_HOURLY_TRIPS.columns[0],
            replace(TRIPS_BY_WEEK.columns[0], made_from=()),
            _DAYS_COUNTED,
            *_COUNTED,
        ),
        _weeks,
        (FROM, TO, FLEETS_ASKED),
        _at_most_weeks,
    ),
    Endpoint(
        "/api/v1/zone-hours",
        "Trips by hour and pickup zone",
        "One row for each hour and zone in which a trip began: the rollup zone_hourly_trips. At most "
        f"{MAX_ZONE_DAYS:,} days times zones at a time, where all zones are {LAST_ZONE_ID}.",
        ZONE_HOURLY_TRIPS.columns,
        _zone_hours,
        (ONE_FLEET, FROM, TO, ZONES_ASKED),
        _at_most_zone_days,
    ),
)


def values_of(endpoint: Endpoint, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Read the parameters.

    Args:
        endpoint: whose parameters they are.
        pairs: names and texts, as they are in the URL.

    Raises:
        BadRequestedValueError: one is missing, unknown, given twice or has a value that is not accepted, or the values
            don't go together.
    """
    known = {parameter.name: parameter for parameter in endpoint.parameters}
    found: dict[str, list[Any]] = {name: [] for name in known}
    for name, text in pairs:
        if name not in known:
            names = ", ".join(known) or "none"
            raise BadRequestedValueError(f"{_shown(name)} is no parameter here; there are: {names}")
        try:
            found[name].append(known[name].read(text))
        except ValueError:
            raise BadRequestedValueError(f"{name}={_shown(text)} is not accepted: {_accepted(known[name])}") from None
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        if parameter.required and not found[name]:
            raise BadRequestedValueError(f"{name} is missing: {parameter.description}")
        if len(found[name]) > 1 and not parameter.many:
            raise BadRequestedValueError(f"{name} is there {len(found[name])} times: give it once")
        values[name] = found[name] if parameter.many else next(iter(found[name]), None)
    endpoint.check(values)
    return values


def _accepted(parameter: Parameter) -> str:
    match parameter.schema:
        case {"enum": names}:
            return f"one of {', '.join(names)}"
        case {"format": "date"}:
            return f"a day as 2025-01-31, of the years {YEARS[0]} to {YEARS[-1]}"
    return f"a number from {parameter.schema['minimum']} to {parameter.schema['maximum']}"


def _shown(text: str) -> str:
    """Text from outside, bounded and as text."""
    return ascii(text if len(text) <= 50 else f"{text[:50]}…")
