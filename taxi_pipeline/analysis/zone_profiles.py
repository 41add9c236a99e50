"""The week of each zone: how many pickups begin there in which hour, out of the mart `zone_week_hours`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.months import previous_month
from taxi_pipeline.tlc.zones import Zone
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MART = "marts.zone_week_hours"

NUM_HOURS = 168
"""Hours of the week: 0 from 00:00 to 00:59 on Sundays, 167 the last one of Saturdays; New York wall time."""

NUM_MONTHS = 12
"""Months that are looked at, a year, so that each season counts once."""


@dataclass(frozen=True)
class FleetMonth:
    """A month of a fleet that the profiles count, with the number of its loaded days."""

    fleet: str
    month: date
    num_days: int


@dataclass(frozen=True)
class ZoneProfiles:
    """The weeks of all zones that have a shape.

    Attributes:
        places: the zones, sorted by id.
        counts: fleets × zones × 168: net pickups.
        days: fleets × 168: loaded days that have the hour, at least one.
        months: the months that are counted, by month and fleet.
        without_a_weekday: fleets that are left out, because of a weekday none of their days is loaded.
        synthetic: true if the trips are generated.
    """

    places: Sequence[Zone]
    counts: "NDArray[np.int64]"
    days: "NDArray[np.int64]"
    months: Sequence[FleetMonth]
    without_a_weekday: Sequence[str]
    synthetic: bool

    @property
    def pickups(self) -> "NDArray[np.int64]":
        """The net pickups of each zone."""
        return self.counts.sum(axis=(0, 2))

    @property
    def trips_per_hour(self) -> "NDArray[np.float64]":
        """Zones × 168: the mean net pickups of an hour; of all fleets, each over its own days."""
        return (self.counts / self.days[:, None, :]).sum(axis=0)

    @property
    def effective_pickups(self) -> "NDArray[np.float64]":
        """The pickups of one fleet whose shares of hours would vary as those of each zone do by chance.

        With one fleet these are the zone's pickups. A fleet with few days has few pickups that each count for many, so
        that chance weighs more.
        """
        import numpy as np

        pickups, weekly = self.counts.sum(axis=2), (self.counts / self.days[:, None, :]).sum(axis=2)
        variance = (weekly**2 / np.maximum(pickups, 1)).sum(axis=0)
        return weekly.sum(axis=0) ** 2 / np.where(variance > 0, variance, 1)


def zone_profiles(session: Session, fleets: Sequence[str]) -> ZoneProfiles:
    """Read the profiles of the twelve months that end with the newest one in the mart; no months without the mart.

    Args:
        session: the warehouse.
        fleets: the fleets whose pickups are counted.
    """
    import numpy as np

    places = [Zone(*row) for row in session.rows(_PLACES_SQL)]
    if not session.column_types(MART):
        none = np.zeros((0, NUM_HOURS), dtype=np.int64)
        return ZoneProfiles(places, none[:, None, :].repeat(len(places), 1), none, [], [], is_synthetic(session))
    months, days, trips = _counted(session, fleets)
    whole = [fleet for fleet in fleets if days[fleet].all()]
    rows = {place.zone_id: number for number, place in enumerate(places)}
    counts = np.zeros((len(whole), len(places), NUM_HOURS), dtype=np.int64)
    for fleet, zone_id, hour, num_trips in trips:
        if fleet in whole and zone_id in rows:
            counts[whole.index(fleet), rows[zone_id], hour] = num_trips
    return ZoneProfiles(
        places,
        counts,
        np.array([days[fleet] for fleet in whole], dtype=np.int64).reshape(-1, NUM_HOURS),
        [month for month in months if month.fleet in whole],
        [fleet for fleet in fleets if days[fleet].any() and fleet not in whole],
        is_synthetic(session),
    )


def _counted(
    session: Session, fleets: Sequence[str]
) -> "tuple[list[FleetMonth], dict[str, NDArray[np.int64]], list[tuple[Any, ...]]]":
    """The months, the loaded days of each hour by fleet, and rows of fleet, zone, hour and net pickups."""
    import numpy as np

    newest = session.row(f"SELECT max(month) FROM {MART} WHERE fleet IN ({placeholders(fleets)})", fleets)[0]
    values = [*fleets, _first_month(newest), newest]
    months, of_hours, trips = (
        session.rows(sql.format(fleets=placeholders(fleets)), values) for sql in (_MONTHS_SQL, _DAYS_SQL, _TRIPS_SQL)
    )
    days = {fleet: np.zeros(NUM_HOURS, dtype=np.int64) for fleet in fleets}
    for fleet, hour, num_days in of_hours:
        days[fleet][hour] = num_days
    return [FleetMonth(*month) for month in months], days, trips


def _first_month(newest: date | None) -> date | None:
    for _ in range(NUM_MONTHS - 1):
        newest = newest and previous_month(newest)
    return newest


_PLACES_SQL = "SELECT zone_id, zone, borough, geometry FROM zones WHERE geometry IS NOT NULL ORDER BY zone_id"

_MONTHS_SQL = f"""
SELECT fleet, month, CAST(sum(num_days) / (24 * count(DISTINCT zone_id)) AS INTEGER)
FROM {MART}
WHERE fleet IN ({{fleets}}) AND month BETWEEN ? AND ?
GROUP BY fleet, month
ORDER BY month, fleet
"""
"""Each zone of a fleet's month has all hours, and the same days in each."""

_DAYS_SQL = f"""
SELECT fleet, hour_of_week, CAST(sum(num_days) AS BIGINT)
FROM (
    SELECT DISTINCT fleet, month, hour_of_week, num_days
    FROM {MART}
    WHERE fleet IN ({{fleets}}) AND month BETWEEN ? AND ?
) AS days
GROUP BY fleet, hour_of_week
ORDER BY fleet, hour_of_week
"""

_TRIPS_SQL = f"""
SELECT fleet, zone_id, hour_of_week, CAST(sum(num_trips) AS BIGINT)
FROM {MART}
WHERE fleet IN ({{fleets}}) AND month BETWEEN ? AND ?
GROUP BY fleet, zone_id, hour_of_week
ORDER BY fleet, zone_id, hour_of_week
"""
