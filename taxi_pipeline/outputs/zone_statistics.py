"""Pickups and charges by zone: the GeoJSON of Manhattan's zones, and the data of the maps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from taxi_pipeline.outputs.places import NO_ZONES
from taxi_pipeline.warehouse.coverage import Coverage, coverage_of
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders


@dataclass(frozen=True)
class ZonePickups:
    """Pickups in a zone and their charges."""

    zone_id: int
    zone: str
    borough: str
    geometry: str
    """Shape of the zone, as WKT in degrees (EPSG:4326)."""
    num_trips: int
    total_amount: Decimal
    """Sum of the charges, in US dollars."""


@dataclass(frozen=True)
class ZoneStatistics:
    """The zones of an area, sorted by id, including those without trips."""

    zones: Sequence[ZonePickups]
    coverage: Coverage
    num_unplaced: int | None = None
    """Pickups in no known zone; None where an area is counted, and not the city."""

    @property
    def num_trips(self) -> int:
        """Pickups in all zones together."""
        return sum(zone.num_trips for zone in self.zones)

    def busiest(self, num_zones: int) -> list[ZonePickups]:
        """The zones with most pickups, most first."""
        return sorted(self.zones, key=lambda zone: -zone.num_trips)[:num_zones]

    def feature_collection(self) -> dict[str, Any]:
        """A GeoJSON FeatureCollection (RFC 7946) with a member `coverage`, and `num_unplaced` where it is counted."""
        return {
            "type": "FeatureCollection",
            "coverage": self.coverage.as_json(),
            **({} if self.num_unplaced is None else {"num_unplaced": self.num_unplaced}),
            "features": [_feature(zone) for zone in self.zones],
        }


def manhattan_statistics(session: Session, fleets: Sequence[str]) -> ZoneStatistics:
    """Count pickups and charges of the 69 zones of Manhattan, on all loaded days of these fleets."""
    return _statistics(session, fleets, "borough = 'Manhattan'")


def city_statistics(session: Session, fleets: Sequence[str]) -> ZoneStatistics:
    """Count pickups and charges of all zones that have a shape, and pickups in none, on all days of these fleets."""
    counted = _statistics(session, fleets, "geometry IS NOT NULL")
    (num_unplaced,) = session.row(_UNPLACED_SQL.format(fleets=placeholders(fleets)), [*fleets, *NO_ZONES])
    return replace(counted, num_unplaced=num_unplaced)


def geojson_text(statistics: ZoneStatistics) -> str:
    """Write the statistics as the text of a GeoJSON file."""
    return json.dumps(statistics.feature_collection(), separators=(",", ":")) + "\n"


def _statistics(session: Session, fleets: Sequence[str], condition: str) -> ZoneStatistics:
    rows = session.rows(_PICKUPS_SQL.format(fleets=placeholders(fleets), condition=condition), fleets)
    return ZoneStatistics([ZonePickups(*row) for row in rows], coverage_of(session, fleets))


def _feature(zone: ZonePickups) -> dict[str, Any]:
    import shapely

    # RFC 7946 wants outer rings counterclockwise; shapefiles have them clockwise.
    shape = shapely.orient_polygons(shapely.from_wkt(zone.geometry))
    return {
        "type": "Feature",
        "id": zone.zone_id,
        "properties": {
            "zone_id": zone.zone_id,
            "zone": zone.zone,
            "borough": zone.borough,
            "num_trips": zone.num_trips,
            "total_amount": float(zone.total_amount),
        },
        "geometry": json.loads(shapely.to_geojson(shape)),
    }


_UNPLACED_SQL = f"""
SELECT CAST(coalesce(sum(num_trips), 0) AS BIGINT)
FROM zone_hourly_trips
WHERE fleet IN ({{fleets}}) AND pickup_zone_id IN ({placeholders(NO_ZONES)})
"""

_PICKUPS_SQL = """
SELECT zone_id, zone, borough, geometry, CAST(coalesce(num_trips, 0) AS BIGINT), coalesce(total_amount, 0)
FROM zones
LEFT JOIN (
    SELECT pickup_zone_id, sum(num_trips) AS num_trips, sum(total_amount) AS total_amount
    FROM zone_hourly_trips
    WHERE fleet IN ({fleets})
    GROUP BY pickup_zone_id
) AS pickups ON pickups.pickup_zone_id = zones.zone_id
WHERE {condition}
ORDER BY zone_id
"""
