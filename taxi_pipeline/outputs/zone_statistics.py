"""Pickups and charges by zone: the GeoJSON of Manhattan's zones, and the data of the maps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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

    @property
    def num_trips(self) -> int:
        """Pickups in all zones together."""
        return sum(zone.num_trips for zone in self.zones)

    def busiest(self, num_zones: int) -> list[ZonePickups]:
        """The zones with most pickups, most first."""
        return sorted(self.zones, key=lambda zone: -zone.num_trips)[:num_zones]

    def feature_collection(self) -> dict[str, Any]:
        """A GeoJSON FeatureCollection (RFC 7946) with a member `coverage`."""
        return {
            "type": "FeatureCollection",
            "coverage": self.coverage.as_json(),
            "features": [_feature(zone) for zone in self.zones],
        }


def manhattan_statistics(session: Session, fleets: Sequence[str]) -> ZoneStatistics:
    """Count pickups and charges of the 69 zones of Manhattan, on all loaded days of these fleets."""
    return _statistics(session, fleets, "borough = 'Manhattan'")


def city_statistics(session: Session, fleets: Sequence[str]) -> ZoneStatistics:
    """Count pickups and charges of all zones that have a shape, on all loaded days of these fleets."""
    return _statistics(session, fleets, "geometry IS NOT NULL")


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
