"""The hottest, coldest, wettest and snowiest loaded days, and what each fleet did on them beside what is usual.

Trips are net of voids; means are over plausible trips, as in the monthly report. The chart of the highs is drawn in
`highs_chart`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from taxi_pipeline.outputs.style import WEEKDAYS
from taxi_pipeline.warehouse.coverage import Coverage, coverage_of
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders

WEEKS_AROUND = 4
"""Weeks before and after a day whose same weekdays say what is usual."""

MIN_DAYS = 4
"""Smallest number of such days; with fewer nothing is called usual."""

HEADER = (
    "kind",
    "rank",
    "day",
    "weekday",
    "value",
    "unit",
    "fleet",
    "num_net_trips",
    "usual_trips",
    "mean_fare",
    "usual_fare",
    "miles_per_hour",
    "usual_miles_per_hour",
)
"""Columns of `outputs/extreme_days.csv`; dollars and miles with two decimals, what is not known is empty."""


@dataclass(frozen=True)
class Weather:
    """The weather of a day; None for what was not measured."""

    high_f: Decimal | None
    low_f: Decimal | None
    precipitation_in: Decimal | None
    snowfall_in: Decimal | None


@dataclass(frozen=True)
class FleetDay:
    """What a fleet did on a day."""

    num_net_trips: int
    mean_fare: float | None
    """US dollars."""
    miles_per_hour: float | None


@dataclass(frozen=True)
class WeatherOfTrips:
    """The loaded days with their weather and their trips."""

    weather: Mapping[date, Weather]
    """Only days that are loaded for a fleet."""
    trips: Mapping[tuple[str, date], FleetDay]
    """(Fleet, day) → what it did; only loaded days."""
    coverage: Coverage

    @property
    def fleets(self) -> list[str]:
        """The fleets that are loaded, sorted."""
        return sorted({fleet for fleet, _ in self.trips})


@dataclass(frozen=True)
class _Kind:
    """A kind of extreme day."""

    name: str
    unit: str
    num_days: int
    value: Callable[[Weather], Decimal | None]
    is_lowest: bool = False


_KINDS = (
    _Kind("hottest", "high, °F", 10, lambda weather: weather.high_f),
    _Kind("coldest", "low, °F", 3, lambda weather: weather.low_f, is_lowest=True),
    _Kind("wettest", "rain and melted snow, inches", 3, lambda weather: weather.precipitation_in or None),
    _Kind("snowiest", "fresh snow, inches", 3, lambda weather: weather.snowfall_in or None),
)


def weather_of_trips(session: Session, fleets: Sequence[str]) -> WeatherOfTrips:
    """Ask for the weather of the loaded days, and for what each fleet did on them.

    Args:
        session: the warehouse.
        fleets: names of the fleets to count.
    """
    named = placeholders(fleets)
    weather = {day: Weather(*values) for day, *values in session.rows(_WEATHER_SQL.format(fleets=named), fleets)}
    trips = {
        (fleet, day): FleetDay(num_trips, _ratio(fares, num_fares), _speed(miles, num_miles, seconds, num_durations))
        for fleet, day, num_trips, fares, num_fares, miles, num_miles, seconds, num_durations in session.rows(
            _TRIPS_SQL.format(fleets=named), fleets
        )
    }
    return WeatherOfTrips(weather, trips, coverage_of(session, fleets))


def extreme_rows(found: WeatherOfTrips) -> list[tuple[Any, ...]]:
    """List the extreme days with the columns of `HEADER`: ten hottest, three coldest, wettest and snowiest ones.

    Of days with the same value the earlier one comes first. A day without rain or snow is none of the wettest or
    snowiest. A row for each fleet of which the day is loaded.
    """
    return [
        (
            kind.name,
            rank,
            str(day),
            WEEKDAYS[day.isoweekday() % 7][0],
            str(value),
            kind.unit,
            fleet,
            found.trips[fleet, day].num_net_trips,
            *_beside_usual(found, fleet, day),
        )
        for kind in _KINDS
        for rank, (value, day) in enumerate(_extremes(found, kind), start=1)
        for fleet in found.fleets
        if (fleet, day) in found.trips
    ]


def usual_days(found: WeatherOfTrips, fleet: str, day: date) -> list[FleetDay]:
    """The fleet's loaded days with the same weekday, from four weeks before to four weeks after, without the day."""
    around = [day + timedelta(weeks=weeks) for weeks in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if weeks]
    return [found.trips[fleet, other] for other in around if (fleet, other) in found.trips]


def _extremes(found: WeatherOfTrips, kind: _Kind) -> list[tuple[Decimal, date]]:
    sign = 1 if kind.is_lowest else -1
    values = [(value, day) for day, weather in found.weather.items() if (value := kind.value(weather)) is not None]
    return sorted(values, key=lambda each: (sign * each[0], each[1]))[: kind.num_days]


def _beside_usual(found: WeatherOfTrips, fleet: str, day: date) -> tuple[str, ...]:
    """The cells from `usual_trips` on."""
    of_day, usual = found.trips[fleet, day], usual_days(found, fleet, day)
    return (
        _text(_median([each.num_net_trips for each in usual]), decimals=0),
        _text(of_day.mean_fare),
        _text(_median([each.mean_fare for each in usual])),
        _text(of_day.miles_per_hour),
        _text(_median([each.miles_per_hour for each in usual])),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if len(known) >= MIN_DAYS else None


def _text(value: float | None, decimals: int = 2) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if part is not None and whole else None


def _speed(miles: Any, num_miles: Any, seconds: Any, num_durations: Any) -> float | None:
    """Mean distance over mean duration, in miles per hour."""
    distance, duration = _ratio(miles, num_miles), _ratio(seconds, num_durations)
    return distance / duration * 3600 if distance and duration else None


_WEATHER_SQL = """
SELECT day, high_f, low_f, precipitation_in, snowfall_in
FROM weather_days
WHERE day IN (SELECT pickup_date FROM loaded_days WHERE fleet IN ({fleets}))
ORDER BY day
"""

_TRIPS_SQL = """
SELECT loaded.fleet, loaded.pickup_date,
    CAST(loaded.num_trips - coalesce(num_void_rows, 0) AS BIGINT),
    fare_amount, num_fares, trip_distance, num_distances, duration_seconds, num_durations
FROM loaded_days AS loaded
LEFT JOIN (
    SELECT fleet, pickup_date, sum(num_trips) AS num_void_rows FROM zone_hourly_voids GROUP BY fleet, pickup_date
) AS voids ON voids.fleet = loaded.fleet AND voids.pickup_date = loaded.pickup_date
LEFT JOIN (
    SELECT fleet, pickup_date, sum(fare_amount) AS fare_amount, sum(num_fares) AS num_fares,
        sum(trip_distance) AS trip_distance, sum(num_distances) AS num_distances,
        sum(duration_seconds) AS duration_seconds, sum(num_durations) AS num_durations
    FROM borough_flows GROUP BY fleet, pickup_date
) AS flows ON flows.fleet = loaded.fleet AND flows.pickup_date = loaded.pickup_date
WHERE loaded.fleet IN ({fleets})
ORDER BY loaded.fleet, loaded.pickup_date
"""
