"""What the explorer shows: for each fleet, trips by zone and week and by zone and hour, of pickups and of drop-offs."""

from collections.abc import Sequence
from datetime import timedelta
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
    """All of it, ready to be written as JSON; weeks without any trip between the first and the last have zeros."""
    period = week_start("pickup_date")
    first, last = session.row(
        f"SELECT min({period}), max({period}) FROM loaded_days WHERE fleet IN ({placeholders(fleets)})", fleets
    )
    weeks = [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)] if first else []
    return {
        "fleets": [{"key": fleet, "title": FLEETS[fleet].title} for fleet in fleets],
        "weeks": [str(week) for week in weeks],
        "synthetic": is_synthetic(session),
        "zones": _zones(session),
        "borough_titles": BOROUGH_TITLES,
        "weekly": {
            "pickups": _counts(session, _BY_WEEK, "zone_hourly_trips", "pickup", fleets, weeks),
            "dropoffs": _counts(session, _BY_WEEK, "zone_hourly_dropoffs", "dropoff", fleets, weeks),
        },
        "hourly": {
            "pickups": _counts(session, _BY_HOUR, "zone_hourly_trips", "pickup", fleets, range(24)),
            "dropoffs": _counts(session, _BY_HOUR, "zone_hourly_dropoffs", "dropoff", fleets, range(24)),
        },
    }


def _zones(session: Session) -> list[dict[str, Any]]:
    """Id, name, borough and outline (polygons of rings of whole coordinates, y down; None without a shape) by id."""
    rows = session.rows("SELECT zone_id, zone, borough, geometry FROM zones ORDER BY zone_id")
    placed = {zone_id: geometry for zone_id, _, _, geometry in rows if geometry}
    if not placed:
        return []
    plane, shapes = on_plane(placed)
    return [
        {
            "id": zone_id,
            "zone": zone,
            "borough": borough,
            "outline": plane.polygons(shapes[zone_id]) if zone_id in shapes else None,
        }
        for zone_id, zone, borough, _ in rows
    ]


def _counts(
    session: Session, sql: str, table: str, end: str, fleets: Sequence[str], positions: Sequence[Any]
) -> Counts:
    counts: Counts = {fleet: {} for fleet in fleets}
    place = {position: n for n, position in enumerate(positions)}
    sql = sql.format(table=table, end=end, fleets=placeholders(fleets))
    for fleet, zone_id, position, trips in session.rows(sql, fleets):
        counts[fleet].setdefault(zone_id, [0] * len(positions))[place[position]] = trips
    return counts


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
