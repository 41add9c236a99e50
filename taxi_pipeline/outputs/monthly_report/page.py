"""The monthly report as one HTML file: numbers as words, charts as positions; how they look is in `page.html.jinja`.

The page is well-formed XML, needs nothing but itself, and is the same bytes for the same figures. What is counted is
decided in `figures`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from taxi_pipeline.outputs.geometry import on_plane
from taxi_pipeline.outputs.monthly_report.figures import MonthFigures, Totals, ZoneTrips
from taxi_pipeline.outputs.style import WEEKDAYS
from taxi_pipeline.outputs.templates import render
from taxi_pipeline.quality.plausibility import MAX_PLAUSIBLE_HOURS, MAX_PLAUSIBLE_MILES
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import previous_month, year_before
from taxi_pipeline.tlc.zones import BOROUGH_TITLES, BOROUGHS

NO_DATA = "no data"
NUM_SHADES = 9
BUSIEST_ZONES = 10

_CHART_WIDTH, _CHART_HEIGHT = 720, 220


@dataclass(frozen=True)
class _Measure:
    """One of the numbers of a month: its name, its words, and what can be compared between months."""

    key: str
    title: str
    words: Callable[[Totals], str]
    value: Callable[[Totals], float | None] = lambda _: None
    is_share: bool = False
    """Then a change is shown in points, not in percent of a percentage."""


def page_of(figures: MonthFigures) -> str:
    """The report's HTML."""
    month = figures.days.first
    return render(
        Path(__file__).with_name("page.html.jinja"),
        title=f"{month:%B %Y}",
        fleets=" and ".join(FLEETS[fleet].title for fleet in figures.fleets),
        figures=figures,
        measures=[_compared(measure, figures) for measure in _MEASURES],
        left_out=_left_out(figures.totals),
        bars=_bars(figures),
        hours=_hours(figures.trips_per_hour),
        map=_map(figures.zones),
        busiest=_busiest(figures.zones, figures.totals.num_trips),
        flows=_flows(figures.flows),
        quality=figures.quality,
        warnings=[(name, verdict.description) for name, verdict in figures.verdicts.items() if not verdict.passed],
        num_checks=len(figures.verdicts),
        by_fleet=_by_fleet(figures.by_fleet) if figures.by_fleet else [],
        fleet_title=lambda fleet: FLEETS[fleet].title,
    )


def numbers_of(figures: MonthFigures) -> tuple[list[str], list[list[str]]]:
    """The month in numbers as a table: the header, and a row for each number with those it is compared with."""
    measures = [_compared(measure, figures) for measure in _MEASURES]
    header = ["number", f"{figures.days.first:%b %Y}", *(other["month"] for other in measures[0]["others"])]
    return header, [
        [measure["title"], measure["words"], *(other["words"] for other in measure["others"])] for measure in measures
    ]


def count(number: float) -> str:
    """A number of things, with thousands separators."""
    return f"{number:,.0f}"


def _dollars(amount: Any) -> str:
    return NO_DATA if amount is None else f"${amount:,.2f}"


def _whole_dollars(amount: Any) -> str:
    return NO_DATA if amount is None else f"${amount:,.0f}"


def _with_unit(number: float | None, unit: str) -> str:
    return NO_DATA if number is None else f"{number:,.2f} {unit}"


def _share(share: float | None) -> str:
    return NO_DATA if share is None else f"{share:.2%}"


def _busiest_day(totals: Totals) -> str:
    if totals.busiest_day is None:
        return NO_DATA
    day, trips = totals.busiest_day
    return f"{day:%A}, {day.day} {day:%B}: {count(trips)} trips"


def _busiest_hour(totals: Totals) -> str:
    if totals.busiest_hour is None:
        return NO_DATA
    hour, trips = totals.busiest_hour
    return f"{hour:02}:00 to {(hour + 1) % 24:02}:00: {count(trips)} trips a day"


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


_MEASURES = (
    _Measure("num_trips", "Trips", lambda t: count(t.num_trips), lambda t: t.num_trips),
    _Measure("revenue", "Charged in all", lambda t: _whole_dollars(t.revenue), lambda t: _float(t.revenue)),
    _Measure("mean_fare", "Mean fare", lambda t: _dollars(t.mean_fare), lambda t: t.mean_fare),
    _Measure(
        "mean_distance", "Mean distance", lambda t: _with_unit(t.mean_distance, "miles"), lambda t: t.mean_distance
    ),
    _Measure(
        "mean_minutes", "Mean duration", lambda t: _with_unit(t.mean_minutes, "minutes"), lambda t: t.mean_minutes
    ),
    _Measure("busiest_day", "Busiest day", _busiest_day),
    _Measure("busiest_hour", "Busiest hour", _busiest_hour),
    _Measure(
        "airport_share",
        "Picked up at an airport",
        lambda t: _share(t.airport_share),
        lambda t: t.airport_share,
        is_share=True,
    ),
    _Measure(
        "tips_per_card_trip",
        "Tip per trip paid by card",
        lambda t: _dollars(t.tips_per_card_trip),
        lambda t: t.tips_per_card_trip,
    ),
)


def _compared(measure: _Measure, figures: MonthFigures) -> dict[str, Any]:
    """The number of the month, that of the month before and that of a year before."""
    month = figures.days.first
    others = {
        "previous": (previous_month(month), figures.previous),
        "year_before": (year_before(month), figures.year_before),
    }
    return {
        "key": measure.key,
        "title": measure.title,
        "words": measure.words(figures.totals),
        "others": [
            {
                "key": key,
                "month": f"{other:%b %Y}",
                "words": measure.words(totals) if totals else NO_DATA,
                "change": _change(measure, figures.totals, totals) if totals else "",
            }
            for key, (other, totals) in others.items()
        ],
    }


def _change(measure: _Measure, now: Totals, then: Totals) -> str:
    new, old = measure.value(now), measure.value(then)
    if new is None or old is None:
        return ""
    if measure.is_share:
        return f"{100 * (new - old):+.2f} points"
    return f"{new / old - 1:+.1%}" if old else ""


def _left_out(totals: Totals) -> dict[str, Any]:
    return {
        "num_too_long": count(totals.num_too_long),
        "num_backwards": count(totals.num_backwards),
        "max_miles": MAX_PLAUSIBLE_MILES,
        "max_hours": MAX_PLAUSIBLE_HOURS,
    }


def _bars(figures: MonthFigures) -> dict[str, Any]:
    """Trips per day as bars of a drawing of 720 × 220; a day that is not loaded has none."""
    days = list(figures.days)
    most = max(figures.trips_per_day.values(), default=0)
    top = _round_up(most)
    step = _CHART_WIDTH / len(days)

    def y(trips: float) -> float:
        return round(_CHART_HEIGHT * (1 - trips / top), 1)

    return {
        "width": _CHART_WIDTH,
        "height": _CHART_HEIGHT,
        "lines": [(y(top * part / 4), count(top * part / 4)) for part in range(5)],
        "days": [_bar(day, figures.trips_per_day.get(day), n * step, step, y) for n, day in enumerate(days)],
    }


def _bar(day: date, trips: int | None, left: float, step: float, y: Callable[[float], float]) -> dict[str, Any]:
    return {
        "day": day,
        "number": day.day,
        "middle": round(left + step / 2, 1),
        "x": round(left + 0.1 * step, 1),
        "width": round(0.8 * step, 1),
        "y": y(trips or 0),
        "height": round(_CHART_HEIGHT - y(trips or 0), 1),
        "is_weekend": day.isoweekday() >= 6,
        "words": f"{day:%A}, {day.day} {day:%B}: {'not loaded' if trips is None else f'{count(trips)} trips'}",
    }


def _round_up(most: float) -> float:
    """The next number of the kind 1, 2, 4 or 8 times a power of ten, and four at least."""
    if most <= 4:
        return 4
    power = 10 ** math.floor(math.log10(most))
    return next(factor * power for factor in (1, 2, 4, 8, 10) if factor * power >= most)


def _hours(trips_per_hour: Mapping[tuple[int, int], float]) -> list[dict[str, Any]]:
    """A row for each weekday, with the trips and the shade of each hour."""
    most = max(trips_per_hour.values(), default=0)
    return [
        {
            "weekday": name,
            "hours": [
                {
                    "hour": hour,
                    "trips": count(trips),
                    "shade": _linear_shade(trips, most),
                    "words": f"{name}, {hour:02}:00: {count(trips)} trips on average",
                }
                for hour in range(24)
                for trips in [trips_per_hour.get((weekday, hour), 0)]
            ],
        }
        for weekday, (name, _) in enumerate(WEEKDAYS)
    ]


def _linear_shade(value: float, most: float) -> int:
    """A shade from 1 for the least to 9 for the most; 0 for nothing."""
    return math.ceil(NUM_SHADES * value / most) if value else 0


class _Shades:
    """Shades by the logarithm: of many zones the first few would else have all the colours."""

    def __init__(self, values: Sequence[int]) -> None:
        self.least = min((value for value in values if value), default=1)
        self.most = max([*values, 1])

    def of(self, value: int) -> int:
        """From 1 to 9; 0 for nothing."""
        if not value:
            return 0
        if self.most == self.least:
            return NUM_SHADES
        share = math.log(value / self.least) / math.log(self.most / self.least)
        return min(NUM_SHADES, 1 + math.floor(NUM_SHADES * share))

    @property
    def starts(self) -> list[int]:
        """The least value of each shade, rounded."""
        return [round(self.least * (self.most / self.least) ** (n / NUM_SHADES)) for n in range(NUM_SHADES)]


def _map(zones: Sequence[ZoneTrips]) -> dict[str, Any]:
    """The zones as paths of a drawing, those of Manhattan apart, and what part of it Manhattan takes."""
    import shapely

    placed = [zone for zone in zones if zone.geometry]
    plane, shapes = on_plane({zone.zone_id: zone.geometry or "" for zone in placed})
    shades = _Shades([zone.num_trips for zone in placed])
    paths = [
        {
            "zone_id": zone.zone_id,
            "in_manhattan": zone.borough == "Manhattan",
            "d": plane.path(shapes[zone.zone_id]),
            "shade": shades.of(zone.num_trips),
            "words": f"{zone.zone}, {_borough(zone.borough)}: {count(zone.num_trips)} trips",
        }
        for zone in placed
    ]
    manhattan = [shapes[zone.zone_id] for zone in placed if zone.borough == "Manhattan"]
    west, south, east, north = shapely.total_bounds(manhattan).tolist()
    return {
        "manhattan": [path for path in paths if path["in_manhattan"]],
        "others": [path for path in paths if not path["in_manhattan"]],
        "view": f"0 0 {plane.width:.0f} {plane.height:.0f}",
        "manhattan_view": f"{plane.x(west):.0f} {plane.y(north):.0f} {plane.x(east) - plane.x(west):.0f} "
        f"{plane.y(south) - plane.y(north):.0f}",
        "shades": [(shade + 1, count(start)) for shade, start in enumerate(shades.starts)],
        "most": count(shades.most),
    }


def _borough(borough: str) -> str:
    return BOROUGH_TITLES.get(borough, borough)


def _busiest(zones: Sequence[ZoneTrips], num_trips: int) -> list[dict[str, Any]]:
    first = [zone for zone in sorted(zones, key=lambda zone: -zone.num_trips)[:BUSIEST_ZONES] if zone.num_trips]
    return [
        {
            "zone_id": zone.zone_id,
            "zone": zone.zone,
            "borough": _borough(zone.borough),
            "trips": count(zone.num_trips),
            "share": _share(zone.num_trips / num_trips),
            "width": round(100 * zone.num_trips / first[0].num_trips, 1),
        }
        for zone in first
    ]


def _flows(flows: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """A matrix of the boroughs that have trips, with totals."""
    there = {name for pair in flows for name in pair}
    known = [name for name in BOROUGHS if name in there] + sorted(there - set(BOROUGHS))
    shades = _Shades(list(flows.values()))
    rows = [
        {
            "key": pickup,
            "pickup": _borough(pickup),
            "cells": [
                {"key": dropoff, "trips": count(trips), "shade": shades.of(trips)}
                for dropoff in known
                for trips in [flows.get((pickup, dropoff), 0)]
            ],
            "total": count(sum(trips for (start, _), trips in flows.items() if start == pickup)),
        }
        for pickup in known
    ]
    return {"dropoffs": [_borough(name) for name in known], "rows": rows}


def _by_fleet(by_fleet: Mapping[str, Totals]) -> list[dict[str, Any]]:
    return [
        {
            "key": measure.key,
            "title": measure.title,
            "fleets": [(fleet, measure.words(totals)) for fleet, totals in by_fleet.items()],
        }
        for measure in _MEASURES
    ]
