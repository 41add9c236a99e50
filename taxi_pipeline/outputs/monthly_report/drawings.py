"""The charts and the map of the report as positions, shades and words; `page.html.jinja` makes SVG of them."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any

from taxi_pipeline.outputs.geometry import BOROUGH_LABELS, Plane, on_plane
from taxi_pipeline.outputs.monthly_report.figures import YEARS_OF_HISTORY, MonthFigures, ZoneTrips
from taxi_pipeline.outputs.monthly_report.measures import count, share_words
from taxi_pipeline.outputs.palette import NUM_SHADES, round_classes
from taxi_pipeline.outputs.places import NO_ZONES
from taxi_pipeline.outputs.style import WEEKDAYS
from taxi_pipeline.outputs.text import percent, short
from taxi_pipeline.quality.drift import Counts, Drift
from taxi_pipeline.tlc.codes import REQUEST_SOURCES
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, previous_month
from taxi_pipeline.tlc.zones import BOROUGH_TITLES, BOROUGHS
from taxi_pipeline.warehouse.companies import OTHER_BASES
from taxi_pipeline.warehouse.histograms import MEASURES, NO_VALUE, Measure, median_bin

BUSIEST_ZONES = 10

_CHART_WIDTH, _CHART_HEIGHT = 720, 200


def bars_of(figures: MonthFigures) -> dict[str, Any]:
    """Place the trips per day as bars in a drawing of 720 × 200; a day that is not loaded has no bar."""
    days = list(figures.days)
    ticks = round_ticks(max(figures.trips_per_day.values(), default=0))
    step = _CHART_WIDTH / len(days)

    def y(trips: float) -> float:
        return round(_CHART_HEIGHT * (1 - trips / ticks[-1]), 1)

    return {
        "width": _CHART_WIDTH,
        "height": _CHART_HEIGHT,
        "lines": [(y(tick), short(tick)) for tick in ticks],
        "days": [_bar(day, figures.trips_per_day.get(day), n * step, step, y) for n, day in enumerate(days)],
    }


def _bar(day: date, trips: int | None, left: float, step: float, y: Callable[[float], float]) -> dict[str, Any]:
    return {
        "day": day,
        "number": day.day,
        "weekday": f"{day:%a}"[:2],
        "middle": round(left + step / 2, 1),
        "x": round(left + 0.1 * step, 1),
        "width": round(0.8 * step, 1),
        "y": y(trips or 0),
        "height": round(_CHART_HEIGHT - y(trips or 0), 1),
        "is_weekend": day.isoweekday() >= 6,
        "words": f"{day:%A}, {day.day} {day:%B}: {'not loaded' if trips is None else f'{count(trips)} trips'}",
    }


def round_ticks(most: float) -> list[int]:
    """Three to six round numbers from 0 to the next above the most: steps of 1, 2 or 5 times a power of ten."""
    power = 10 ** max(0, math.floor(math.log10(max(most, 1))) - 1)
    step = next(factor * power for factor in (1, 2, 5, 10, 20, 50) if most <= 5 * factor * power)
    return [step * n for n in range(max(2, math.ceil(most / step)) + 1)]


_SMALL_WIDTH, _SMALL_HEIGHT = 260, 80


def distributions_of(figures: MonthFigures) -> list[dict[str, Any]]:
    """Draw for each fleet the distribution of each measure, with that of a year before where it is loaded.

    A bar is the share of the trips in a range, in a drawing of 260 × 80; trips without the measure come last. The
    outline is that of the year before.
    """
    drifts = {(each.fleet, each.measure.name): each for each in figures.drifts}
    return [
        {
            "fleet": fleet,
            "title": FLEETS[fleet].title,
            "measures": [
                _distribution(MEASURES[name], bins, drifts.get((fleet, name))) for name, bins in histograms.items()
            ],
        }
        for fleet, histograms in figures.histograms.items()
        if histograms
    ]


def _distribution(measure: Measure, now: Counts, drift: Drift | None) -> dict[str, Any]:
    bins = [*range(len(measure.bounds) + 1), NO_VALUE]
    shares, before = _shares(now, bins), _shares(drift.then, bins) if drift else []
    most = max(*shares, *before)
    step = _SMALL_WIDTH / len(bins)

    def y(share: float) -> float:
        return round(_SMALL_HEIGHT * (1 - share / most), 1)

    outline = [(round(x * step, 1), y(share)) for n, share in enumerate(before) for x in (n, n + 1)]
    every = 2 if len(measure.bounds) > 7 else 1
    return {
        "key": measure.name,
        "title": measure.title,
        "unit": measure.unit,
        "bars": [
            {
                "bin": bin_,
                "x": round(n * step + 1, 1),
                "y": y(share),
                "width": round(step - 2, 1),
                "height": round(_SMALL_HEIGHT - y(share), 1),
                "words": f"{measure.words(bin_)}: {share:.1%}" + (f", a year before {before[n]:.1%}" if before else ""),
            }
            for n, (bin_, share) in enumerate(zip(bins, shares, strict=True))
        ],
        "outline": " ".join(f"{x},{top}" for x, top in outline),
        "bounds": [
            {"x": round((n + (0.5 if measure.is_whole else 0) + 1) * step, 1), "words": f"{bound:g}"}
            for n, bound in enumerate(measure.bounds)
            if n % every == 0
        ],
        "unknown": round((len(bins) - 0.5) * step, 1),
        "median": None if (middle := median_bin(now)) is None else measure.words(middle),
        "index": f"{drift.index:.3f}" if drift else None,
        "has_changed": drift is not None and drift.has_changed,
        "words": drift.words if drift else "",
    }


def _shares(counts: Counts, bins: Sequence[int]) -> list[float]:
    num_trips = sum(counts.values())
    return [counts.get(bin_, 0) / num_trips for bin_ in bins]


_LINE_HEIGHT = 44


def history_of(figures: MonthFigures) -> list[dict[str, Any]]:
    """Draw for each fleet the trips a day of the twelve months before, and of five years, as lines of 260 × 44.

    A span in which fewer than two months are wholly loaded has no line, nor has one that shows no more than a shorter.
    """
    lines, now = [], figures.days.first
    for fleet, months in figures.history.items():
        shown = 1
        for years, span in ((1, "12 months"), (YEARS_OF_HISTORY, f"{YEARS_OF_HISTORY} years")):
            within = [part.first for part in Days(now.replace(year=now.year - years), now).by_month()]
            known = {month: months[month] for month in within if month in months}
            if len(known) > shown:
                lines.append({"key": f"{fleet}.{12 * years}", "title": FLEETS[fleet].title, "span": span})
                lines[-1] |= _history_line(within, known)
            shown = max(shown, len(known))
    return lines


def _history_line(within: Sequence[date], known: Mapping[date, float]) -> dict[str, Any]:
    """A line from 0 at the bottom to the most at the top, with a gap for each month that is not known."""
    step, most = _SMALL_WIDTH / (len(within) - 1), max(known.values()) or 1
    points = {
        month: (round(n * step, 1), round(_LINE_HEIGHT * (1 - known[month] / most), 1))
        for n, month in enumerate(within)
        if month in known
    }
    # A month between two gaps is a line of no length, which round ends make a dot.
    path = [f"L{x} {y}" if previous_month(month) in points else f"M{x} {y}h0" for month, (x, y) in points.items()]
    least, most_month = min(known, key=lambda each: known[each]), max(known, key=lambda each: known[each])
    return {
        "path": "".join(path),
        "end": points.get(within[-1]),
        "first": f"{within[0]:%b %Y}",
        "last": f"{within[-1]:%b %Y}",
        "words": f"{count(known[least])} ({least:%b %Y}) to {count(known[most_month])} ({most_month:%b %Y})",
    }


def hours_of(trips_per_hour: Mapping[tuple[int, int], float]) -> list[dict[str, Any]]:
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
    """Give a value a shade from 1 for the least to 8 for the most; 0 for no trips."""
    return math.ceil(NUM_SHADES * value / most) if value else 0


def map_of(zones: Sequence[ZoneTrips]) -> dict[str, Any]:
    """Draw the zones as paths, those of Manhattan also apart, with the frame of Manhattan and the named zones."""
    import shapely

    placed = [zone for zone in zones if zone.geometry]
    plane, shapes = on_plane({zone.zone_id: zone.geometry or "" for zone in placed})
    classes = round_classes(zone.num_trips for zone in placed)
    paths = [
        {
            "zone_id": zone.zone_id,
            "in_manhattan": zone.borough == "Manhattan",
            "d": plane.path(shapes[zone.zone_id]),
            "shade": classes.of(zone.num_trips),
            "words": f"{zone.zone}, {_borough(zone.borough)}: {count(zone.num_trips)} trips",
        }
        for zone in placed
    ]
    manhattan = [shapes[zone.zone_id] for zone in placed if zone.borough == "Manhattan"]
    west, south, east, north = shapely.total_bounds(manhattan).tolist()
    margin = 0.03 * plane.width
    numbered = [
        {"rank": rank, "x": round(plane.x(point.x)), "y": round(plane.y(point.y)), "in_manhattan": in_manhattan}
        for rank, zone in enumerate(_first(zones), start=1)
        if zone.zone_id in shapes
        for point, in_manhattan in [(shapes[zone.zone_id].representative_point(), zone.borough == "Manhattan")]
    ]
    return {
        "manhattan": [path for path in paths if path["in_manhattan"]],
        "others": [path for path in paths if not path["in_manhattan"]],
        # Names are wider than the land on the left, and than Queens on the right.
        "view": f"{-5 * margin:.0f} {-margin:.0f} {plane.width + 7 * margin:.0f} {plane.height + 2 * margin:.0f}",
        "manhattan_view": f"{plane.x(west) - 9:.0f} {plane.y(north) - 9:.0f} {plane.x(east) - plane.x(west) + 18:.0f} "
        f"{plane.y(south) - plane.y(north) + 18:.0f}",
        "numbered": numbered,
        "boroughs": _borough_names(plane, {zone.borough for zone in placed}),
        "classes": [(shade, count(start)) for shade, start in zip(classes.shades, classes.starts, strict=True)],
    }


def _borough_names(plane: Plane, boroughs: Collection[str]) -> list[dict[str, Any]]:
    anchors = {"left": "start", "center": "middle", "right": "end"}
    return [
        {"name": _borough(name), "x": round(plane.x(x)), "y": round(plane.y(y)), "anchor": anchors[align]}
        for name, (x, y, align) in BOROUGH_LABELS.items()
        if name in boroughs
    ]


def _borough(borough: str) -> str:
    return BOROUGH_TITLES.get(borough, borough)


def _first(zones: Sequence[ZoneTrips]) -> list[ZoneTrips]:
    """The busiest zones, sorted by trips in descending order."""
    placed = [zone for zone in zones if zone.num_trips and zone.zone_id not in NO_ZONES]
    return sorted(placed, key=lambda zone: -zone.num_trips)[:BUSIEST_ZONES]


def busiest_zones(zones: Sequence[ZoneTrips], num_placed: int) -> list[dict[str, Any]]:
    """The busiest zones with their share of the pickups in known zones."""
    first = _first(zones)
    return [
        {
            "rank": rank,
            "zone_id": zone.zone_id,
            "zone": zone.zone,
            "borough": _borough(zone.borough),
            "trips": count(zone.num_trips),
            "share": share_words(zone.num_trips / num_placed),
            "width": round(100 * zone.num_trips / first[0].num_trips, 1),
        }
        for rank, zone in enumerate(first, start=1)
    ]


def companies_of(figures: MonthFigures) -> list[dict[str, Any]]:
    """List the taxis' fleets, and the companies of for-hire vehicles, with trips a day; empty with a single one."""
    if len(figures.by_company) < 2:
        return []
    most = figures.by_company[0][2]
    return [
        {
            "key": f"{fleet} {company}" if company else fleet,
            "name": company.replace(OTHER_BASES, "Other bases") if company else FLEETS[fleet].title,
            "fleet": FLEETS[fleet].title,
            "per_day": count(trips / figures.totals.num_days),
            "share": percent(trips / figures.totals.num_trips),
            "width": round(100 * trips / most, 1),
        }
        for fleet, company, trips in figures.by_company
    ]


def senders_of(senders: Sequence[tuple[str | None, int]]) -> list[dict[str, Any]]:
    """List who sent the taxis' trips, with trips and their share, most first."""
    meanings = {meaning.code: meaning.text for meaning in REQUEST_SOURCES} | {None: "Nobody is named"}
    num_trips = sum(trips for _, trips in senders)
    return [
        {
            "key": source or "none",
            "name": meanings.get(source, "not known"),
            "trips": count(trips),
            "share": percent(trips / num_trips),
            "width": round(100 * trips / senders[0][1], 1),
        }
        for source, trips in senders
    ]


def flows_of(flows: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """Arrange the trips from borough to borough as a matrix of the boroughs with trips, with totals."""
    there = {name for pair in flows for name in pair}
    known = [name for name in BOROUGHS if name in there] + sorted(there - set(BOROUGHS))
    classes = round_classes(flows.values())
    rows = [
        {
            "key": pickup,
            "pickup": _borough(pickup),
            "cells": [
                {"key": dropoff, "trips": count(trips), "shade": classes.of(trips)}
                for dropoff in known
                for trips in [flows.get((pickup, dropoff), 0)]
            ],
            "total": count(sum(trips for (start, _), trips in flows.items() if start == pickup)),
        }
        for pickup in known
    ]
    return {"dropoffs": [_borough(name) for name in known], "rows": rows}
