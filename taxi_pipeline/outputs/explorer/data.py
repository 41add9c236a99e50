"""The explorer's data for each fleet: trips by zone and week, by zone and hour, and from borough to borough.

Trips by zone are counted where they begin and where they end, as published. Beside them are the rows of voids, which
the page takes away for net pickups.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from taxi_pipeline.outputs.geometry import on_plane
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.zones import BOROUGH_TITLES
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, week_start

Counts = dict[str, dict[int, list[int]]]
"""Fleet → zone id → trips per week, or per hour of the day."""


def explorer_data(session: Session, fleets: Sequence[str]) -> dict[str, Any]:
    """Collect the explorer's data.

    Args:
        session: the warehouse.
        fleets: names of the fleets to count.

    Returns:
        Values that `page_of` writes into the page as JSON. Weeks without trips between the first and the last have
        zeros.
    """
    period = week_start("pickup_date")
    first, last = session.row(
        f"SELECT min({period}), max({period}) FROM loaded_days WHERE fleet IN ({placeholders(fleets)})", fleets
    )
    weeks = [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)] if first else []
    map_size, zones = _zones(session)
    return {
        "fleets": [{"key": fleet, "title": FLEETS[fleet].title} for fleet in fleets],
        "weeks": [str(week) for week in weeks],
        "days": _loaded_days(session, fleets, weeks),
        "synthetic": is_synthetic(session),
        "num_void_rows": session.row(_VOID_ROWS.format(fleets=placeholders(fleets)), fleets)[0],
        "map": map_size,
        "zones": zones,
        "borough_titles": BOROUGH_TITLES,
        "flows": _flows(session, fleets, weeks),
        "weekly": {
            "pickups": _counts(session, _BY_WEEK, "zone_hourly_trips", "pickup", fleets, weeks),
            "voids": _counts(session, _BY_WEEK, "zone_hourly_voids", "pickup", fleets, weeks),
            "dropoffs": _counts(session, _BY_WEEK, "zone_hourly_dropoffs", "dropoff", fleets, weeks),
        },
        "hourly": {
            "pickups": _counts(session, _BY_HOUR, "zone_hourly_trips", "pickup", fleets, range(24)),
            "voids": _counts(session, _BY_HOUR, "zone_hourly_voids", "pickup", fleets, range(24)),
            "dropoffs": _counts(session, _BY_HOUR, "zone_hourly_dropoffs", "dropoff", fleets, range(24)),
        },
    }


def _loaded_days(session: Session, fleets: Sequence[str], weeks: Sequence[date]) -> dict[str, list[int]]:
    """Fleet → number of loaded days in each week; `all` counts the days of which any fleet is loaded."""
    place = {week: n for n, week in enumerate(weeks)}
    days: dict[str, list[int]] = {fleet: [0] * len(weeks) for fleet in (*fleets, "all")}
    for fleet, period, num_days in session.rows(_DAYS.format(fleets=placeholders(fleets)), [*fleets, *fleets]):
        days[fleet][place[period]] = num_days
    return days


def _zones(session: Session) -> tuple[list[int], list[dict[str, Any]]]:
    """Width and height of the map in pixels; id, name, borough and rings of each zone (no rings without a shape)."""
    rows = session.rows("SELECT zone_id, zone, borough, geometry FROM zones ORDER BY zone_id")
    placed = {zone_id: geometry for zone_id, _, _, geometry in rows if geometry}
    if not placed:
        return [1, 1], []
    plane, shapes = on_plane(placed)
    return [round(plane.width), round(plane.height)], [
        {
            "id": zone_id,
            "zone": zone,
            "borough": borough,
            "rings": plane.rings(shapes[zone_id]) if zone_id in shapes else [],
        }
        for zone_id, zone, borough, _ in rows
    ]


def _flows(session: Session, fleets: Sequence[str], weeks: Sequence[date]) -> dict[str, list[list[Any]]]:
    """Fleet → borough of the pickup, borough of the drop-off, trips per week; for each pair with trips."""
    place = {week: n for n, week in enumerate(weeks)}
    flows: dict[str, dict[tuple[str, str], list[int]]] = {fleet: {} for fleet in fleets}
    for fleet, pickup, dropoff, period, trips in session.rows(_FLOWS.format(fleets=placeholders(fleets)), fleets):
        if period in place:
            flows[fleet].setdefault((pickup, dropoff), [0] * len(weeks))[place[period]] = trips
    return {fleet: [[*pair, trips] for pair, trips in pairs.items()] for fleet, pairs in flows.items()}


def _counts(
    session: Session, sql: str, table: str, end: str, fleets: Sequence[str], positions: Sequence[Any]
) -> Counts:
    counts: Counts = {fleet: {} for fleet in fleets}
    place = {position: n for n, position in enumerate(positions)}
    sql = sql.format(table=table, end=end, fleets=placeholders(fleets))
    for fleet, zone_id, position, trips in session.rows(sql, fleets):
        counts[fleet].setdefault(zone_id, [0] * len(positions))[place[position]] = trips
    return counts


_VOID_ROWS = "SELECT CAST(coalesce(sum(num_trips), 0) AS BIGINT) FROM zone_hourly_voids WHERE fleet IN ({fleets})"

_DAYS = f"""
SELECT fleet, {week_start("pickup_date")} AS period, count(*)
FROM loaded_days WHERE fleet IN ({{fleets}})
GROUP BY fleet, period
UNION ALL
SELECT 'all', {week_start("pickup_date")} AS period, count(DISTINCT pickup_date)
FROM loaded_days WHERE fleet IN ({{fleets}})
GROUP BY period
"""

_FLOWS = f"""
SELECT fleet, pickup_borough, dropoff_borough, {week_start("pickup_date")} AS period, CAST(sum(num_trips) AS BIGINT)
FROM borough_flows
WHERE fleet IN ({{fleets}})
GROUP BY fleet, pickup_borough, dropoff_borough, period
ORDER BY fleet, pickup_borough, dropoff_borough, period
"""

_BY_WEEK = f"""
SELECT fleet, {{end}}_zone_id, {week_start("pickup_date")} AS period, CAST(sum(num_trips) AS BIGINT)
FROM {{table}}
WHERE fleet IN ({{fleets}})
GROUP BY fleet, {{end}}_zone_id, period
ORDER BY fleet, {{end}}_zone_id, period
"""

_BY_HOUR = """
SELECT fleet, {end}_zone_id, {end}_hour, CAST(sum(num_trips) AS BIGINT)
FROM {table}
WHERE fleet IN ({fleets}) AND {end}_hour IS NOT NULL
GROUP BY fleet, {end}_zone_id, {end}_hour
ORDER BY fleet, {end}_zone_id, {end}_hour
"""
