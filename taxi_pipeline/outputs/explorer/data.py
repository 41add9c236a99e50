"""The explorer's data for each fleet: trips by zone, week, weekday and hour, and from borough to borough.

Trips by zone are counted where they begin and where they end, as published. Beside them are the rows of voids, which
the page takes away for net pickups. Weeks and weekdays are those of the pickup, hours those of the end that is counted.
"""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from taxi_pipeline.outputs.explorer.cube import NUM_ZONES, WEEKDAYS, Entries, PairEntries, packed_pairs, packed_within
from taxi_pipeline.outputs.geometry import areas_km2, on_plane
from taxi_pipeline.sources.calendar import known_events
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.zones import BOROUGH_TITLES
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, week_start

MOST_BYTES = 8_000_000
"""The largest page. What does not fit is coarser in time."""

_PAIRS_SHARE = 0.2
"""What trips from zone to zone may take of the packed numbers."""

_REST_BYTES = 500_000
"""More than D3, the page's own scripts and its words take."""


def explorer_data(session: Session, fleets: Sequence[str], most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Collect the explorer's data.

    Args:
        session: the warehouse.
        fleets: names of the fleets to count.
        most_bytes: of the page.

    Returns:
        Values that `page_of` writes into the page as JSON, and `blocks` with the trips by zone, which it writes as they
        are packed. Weeks without trips between the first and the last have zeros.
    """
    period = week_start("pickup_date")
    first, last = session.row(
        f"SELECT min({period}), max({period}) FROM loaded_days WHERE fleet IN ({placeholders(fleets)})", fleets
    )
    weeks = [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)] if first else []
    entries = [each for fleet in fleets for each in entries_of(session, fleet, weeks)] if weeks else []
    pairs = [_pairs(session, fleet, weeks[0]) for fleet in fleets] if weeks else []
    return packed_data(session, fleets, weeks, entries, pairs, most_bytes)


def packed_data(
    session: Session,
    fleets: Sequence[str],
    weeks: Sequence[date],
    entries: Sequence[Entries],
    pairs: Sequence[PairEntries],
    most_bytes: int = MOST_BYTES,
) -> dict[str, Any]:
    """Put the counted trips beside what else the page needs, so that the page has at most so many bytes.

    Args:
        session: the warehouse, for zones, loaded days and flows.
        fleets: names of the fleets.
        weeks: the Sundays of all weeks.
        entries: the trips of these fleets and weeks.
        pairs: the same trips from zone to zone; months since that of the first week.
        most_bytes: of the page.

    Returns:
        As `explorer_data`.
    """
    map_size, zones = _zones(session)
    data = {
        "fleets": [{"key": fleet, "title": FLEETS[fleet].title} for fleet in fleets],
        "weeks": [str(week) for week in weeks],
        "days": _loaded_days(session, fleets, weeks),
        "synthetic": is_synthetic(session),
        "num_void_rows": session.row(_VOID_ROWS.format(fleets=placeholders(fleets)), fleets)[0],
        "map": map_size,
        "zones": zones,
        "borough_titles": BOROUGH_TITLES,
        "flows": _flows(session, fleets, weeks),
        "events": events_of(weeks),
    }
    # Base64 writes three bytes as four letters.
    room = (most_bytes - _REST_BYTES - len(json.dumps(data))) * 3 // 4
    num_months = 1 + max((int(each.months.max()) for each in pairs if len(each.months)), default=0)
    months_per_period, by_pair = packed_pairs(
        [each for each in pairs if len(each.months)], num_months, round(_PAIRS_SHARE * room)
    )
    room -= sum(len(block.packed) for block in by_pair)
    weeks_per_period, by_slot, by_week = packed_within(entries, len(weeks), room)
    return {
        **data,
        "weeks_per_period": weeks_per_period,
        "months_per_period": months_per_period,
        "num_months": num_months,
        "pickups": _totals(entries),
        "blocks": [*by_slot, *by_week, *by_pair],
    }


def entries_of(session: Session, fleet: str, weeks: Sequence[date]) -> list[Entries]:
    """Read the hourly tables of a fleet in these weeks; kinds without a trip are left out."""
    found = []
    for count, (table, end) in _COUNTED.items():
        rows = session.table(_BY_HOUR.format(table=table, end=end), [weeks[0], fleet, weeks[0]])
        zones, days, hours, trips = (rows.column(n).to_numpy() for n in range(4))
        inside = days < WEEKDAYS * len(weeks)
        if inside.any():
            found.append(Entries(fleet, count, zones[inside], days[inside], hours[inside], trips[inside]))
    return found


def _pairs(session: Session, fleet: str, first: date) -> PairEntries:
    """Count a fleet's trips of all loaded days from zone to zone, by month: the only question that reads the trips."""
    rows = session.table(_PAIRS, [12 * first.year + first.month, fleet])
    months, pickups, dropoffs, trips = (rows.column(n).to_numpy() for n in range(4))
    return PairEntries(fleet, pickups, dropoffs, months, trips)


def _totals(entries: Sequence[Entries]) -> dict[int, int]:
    """Zone id → its pickups, of all fleets and weeks."""
    import numpy as np

    totals = np.zeros(NUM_ZONES, np.int64)
    for each in entries:
        if each.count == "pickups":
            np.add.at(totals, each.zones, each.trips)
    return {zone_id: int(totals[zone_id]) for zone_id in np.flatnonzero(totals).tolist()}


def _loaded_days(session: Session, fleets: Sequence[str], weeks: Sequence[date]) -> dict[str, list[int]]:
    """Fleet → the loaded days of each week: 1 for its Sunday, 2 for Monday, 4 …, added up; `all` has those of any."""
    days: dict[str, list[int]] = {fleet: [0] * len(weeks) for fleet in (*fleets, "all")}
    for fleet, day in session.rows(_DAYS.format(fleets=placeholders(fleets)), fleets):
        week, weekday = divmod((day - weeks[0]).days, WEEKDAYS)
        if week >= len(weeks):
            continue
        for key in (fleet, "all"):
            days[key][week] |= 1 << weekday
    return days


def _zones(session: Session) -> tuple[list[int], list[dict[str, Any]]]:
    """Width and height of the map in pixels; id, name, borough, area and rings of each zone (none without a shape)."""
    rows = session.rows("SELECT zone_id, zone, borough, geometry FROM zones ORDER BY zone_id")
    placed = {zone_id: geometry for zone_id, _, _, geometry in rows if geometry}
    if not placed:
        return [1, 1], []
    plane, shapes = on_plane(placed)
    areas = areas_km2(placed)
    return [round(plane.width), round(plane.height)], [
        {
            "id": zone_id,
            "zone": zone,
            "borough": borough,
            "km2": round(areas[zone_id], 3) if zone_id in areas else None,
            "rings": plane.rings(shapes[zone_id]) if zone_id in shapes else [],
        }
        for zone_id, zone, borough, _ in rows
    ]


def events_of(weeks: Sequence[date]) -> list[dict[str, Any]]:
    """The known events of these weeks: positions of the first and the last week, and words with the days."""
    events = []
    for each in known_events():
        first, last = ((day - weeks[0]).days // WEEKDAYS if weeks else -1 for day in (each.first, each.last))
        if last >= 0 and first < len(weeks):
            days = str(each.first) if each.first == each.last else f"{each.first} to {each.last}"
            events.append({"from": max(0, first), "to": min(len(weeks) - 1, last), "words": f"{days}: {each.event}"})
    return events


def _flows(session: Session, fleets: Sequence[str], weeks: Sequence[date]) -> dict[str, list[list[Any]]]:
    """Fleet → borough of the pickup, borough of the drop-off, trips per week; for each pair with trips."""
    place = {week: n for n, week in enumerate(weeks)}
    flows: dict[str, dict[tuple[str, str], list[int]]] = {fleet: {} for fleet in fleets}
    for fleet, pickup, dropoff, period, trips in session.rows(_FLOWS.format(fleets=placeholders(fleets)), fleets):
        if period in place:
            flows[fleet].setdefault((pickup, dropoff), [0] * len(weeks))[place[period]] = trips
    return {fleet: [[*pair, trips] for pair, trips in pairs.items()] for fleet, pairs in flows.items()}


_VOID_ROWS = "SELECT CAST(coalesce(sum(num_trips), 0) AS BIGINT) FROM zone_hourly_voids WHERE fleet IN ({fleets})"

_DAYS = "SELECT fleet, pickup_date FROM loaded_days WHERE fleet IN ({fleets})"

_FLOWS = f"""
SELECT fleet, pickup_borough, dropoff_borough, {week_start("pickup_date")} AS period, CAST(sum(num_trips) AS BIGINT)
FROM borough_flows
WHERE fleet IN ({{fleets}})
GROUP BY fleet, pickup_borough, dropoff_borough, period
ORDER BY fleet, pickup_borough, dropoff_borough, period
"""

_PAIRS = """
SELECT
    CAST(12 * EXTRACT(YEAR FROM trips.pickup_date) + EXTRACT(MONTH FROM trips.pickup_date) - ? AS INTEGER) AS month,
    CAST(pickup_zone_id AS INTEGER) AS pickup_zone_id,
    CAST(dropoff_zone_id AS INTEGER) AS dropoff_zone_id,
    count(*) AS num_trips
FROM trips
JOIN loaded_days ON loaded_days.fleet = trips.fleet AND loaded_days.pickup_date = trips.pickup_date
WHERE trips.fleet = ?
GROUP BY EXTRACT(YEAR FROM trips.pickup_date), EXTRACT(MONTH FROM trips.pickup_date), pickup_zone_id, dropoff_zone_id
"""

_COUNTED = {
    "pickups": ("zone_hourly_trips", "pickup"),
    "voids": ("zone_hourly_voids", "pickup"),
    "dropoffs": ("zone_hourly_dropoffs", "dropoff"),
}
"""What is counted → its table, and the end of the trips whose zone and hour it has."""

_BY_HOUR = """
SELECT
    CAST({end}_zone_id AS INTEGER) AS zone_id,
    CAST(date_diff('day', CAST(? AS DATE), pickup_date) AS INTEGER) AS day,
    CAST(coalesce({end}_hour, 24) AS INTEGER) AS hour,
    CAST(num_trips AS BIGINT) AS num_trips
FROM {table}
WHERE fleet = ? AND pickup_date >= ?
"""
