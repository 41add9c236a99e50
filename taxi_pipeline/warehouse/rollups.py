"""The rollups: trips counted by day, hour, zone and borough, so that outputs cost the same however many trips.

Here is the SQL that fills `zone_hourly_trips`, `zone_hourly_voids`, `zone_hourly_dropoffs`, `trip_histograms` and
`borough_flows`, whose rows of a day are replaced whole. Queries of the rollups stand with the outputs that make them.
"""

from collections.abc import Iterable
from itertools import product

from taxi_pipeline.tlc.codes import CREDIT_CARD
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import loaded_totals
from taxi_pipeline.warehouse.histograms import histograms_sql
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.plausibility import BACKWARDS, TOO_LONG
from taxi_pipeline.warehouse.tables import (
    BOROUGH_FLOWS,
    TRIP_HISTOGRAMS,
    ZONE_HOURLY_DROPOFFS,
    ZONE_HOURLY_TRIPS,
    ZONE_HOURLY_VOIDS,
)
from taxi_pipeline.warehouse.vendor_defects import DURATION_SECONDS, FARE
from taxi_pipeline.warehouse.voids import like_refunds_sql


def replace_counts(session: Session, fleet: str, days: Days) -> None:
    """Replace a fleet's days in the tables by hour, of pickups, voids and drop-offs, and in the histograms.

    Args:
        session: a session that writes.
        fleet: name of the fleet.
        days: days within one month.
    """
    which = [fleet, days.first, days.last]
    session.replace_days(ZONE_HOURLY_TRIPS, fleet, days, _PICKUPS_SQL, which)
    session.replace_days(ZONE_HOURLY_VOIDS, fleet, days, _VOIDS_SQL, [*which, *which])
    session.replace_days(ZONE_HOURLY_DROPOFFS, fleet, days, _DROPOFFS_SQL, which)
    session.replace_days(TRIP_HISTOGRAMS, fleet, days, histograms_sql(fleet, _WHICH), which)


def replace_flows(session: Session, fleet: str, days: Days) -> None:
    """Replace a fleet's days in `borough_flows` by the sums of the trips, by the boroughs of the zones.

    Without zones there are no flows; they are counted when `borough_flows` is materialized.

    Args:
        session: a session that writes.
        fleet: name of the fleet.
        days: days within one month.
    """
    session.replace_days(BOROUGH_FLOWS, fleet, days, _FLOWS_SQL, [fleet, days.first, days.last])


ROLLUPS = {"zone_hourly_trips": replace_counts, "borough_flows": replace_flows}
"""Table → the function that counts the loaded trips of some days into it."""


def count_again(session: Session, days: Days, tables: Iterable[str]) -> None:
    """Count the loaded trips of these days again, for all fleets that have such days.

    Args:
        session: a session that writes.
        days: any days.
        tables: names of rollups.
    """
    fleets = [fleet for fleet, *_ in loaded_totals(session, days)]
    for table, fleet, part in product(tables, fleets, days.by_month()):
        ROLLUPS[table](session, fleet, part)


_WHICH = "fleet = ? AND pickup_date BETWEEN ? AND ?"

_BY_PICKUP_SQL = """
SELECT
    fleet,
    pickup_date,
    CAST(EXTRACT(HOUR FROM pickup_datetime) AS SMALLINT) AS pickup_hour,
    pickup_zone_id,
    count(*),
    coalesce(sum(passenger_count), 0),
    coalesce(sum(trip_distance), 0),
    coalesce(sum(fare_amount), 0),
    coalesce(sum(tip_amount), 0),
    coalesce(sum(total_amount), 0)
FROM {rows}
WHERE {which}
GROUP BY fleet, pickup_date, EXTRACT(HOUR FROM pickup_datetime), pickup_zone_id
"""

_PICKUPS_SQL = _BY_PICKUP_SQL.format(rows="trips", which=_WHICH)
_VOIDS_SQL = _BY_PICKUP_SQL.format(rows=f"({like_refunds_sql(_WHICH)}) AS like_refunds", which="is_half")

_DROPOFFS_SQL = """
SELECT
    fleet,
    pickup_date,
    CAST(EXTRACT(HOUR FROM dropoff_datetime) AS SMALLINT) AS dropoff_hour,
    dropoff_zone_id,
    count(*)
FROM trips
WHERE fleet = ? AND pickup_date BETWEEN ? AND ?
GROUP BY fleet, pickup_date, EXTRACT(HOUR FROM dropoff_datetime), dropoff_zone_id
"""

_FLOWS_SQL = f"""
SELECT
    fleet,
    pickup_date,
    pickup.borough AS pickup_borough,
    dropoff.borough AS dropoff_borough,
    count(*),
    count(*) FILTER (WHERE too_long),
    count(*) FILTER (WHERE backwards AND NOT too_long),
    count(fare) FILTER (WHERE plausible),
    coalesce(sum(fare) FILTER (WHERE plausible), 0),
    count(trip_distance) FILTER (WHERE plausible),
    coalesce(sum(trip_distance) FILTER (WHERE plausible), 0),
    count(duration_seconds) FILTER (WHERE plausible),
    coalesce(sum(duration_seconds) FILTER (WHERE plausible), 0),
    count(*) FILTER (WHERE payment_type = {CREDIT_CARD}),
    coalesce(sum(tip_amount) FILTER (WHERE payment_type = {CREDIT_CARD}), 0)
FROM (
    SELECT *, NOT (too_long OR backwards) AS plausible
    FROM (
        SELECT *,
            {DURATION_SECONDS} AS duration_seconds,
            {FARE} AS fare,
            coalesce({TOO_LONG}, FALSE) AS too_long,
            coalesce({BACKWARDS}, FALSE) AS backwards
        FROM trips
        WHERE fleet = ? AND pickup_date BETWEEN ? AND ?
    ) AS judged
) AS judged
JOIN zones AS pickup ON pickup.zone_id = pickup_zone_id
JOIN zones AS dropoff ON dropoff.zone_id = dropoff_zone_id
GROUP BY fleet, pickup_date, pickup_borough, dropoff_borough
"""
