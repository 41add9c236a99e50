"""The rollups: trips counted by day, hour, zone and borough, so that what is shown costs the same however many trips.

Here is the SQL of `zone_hourly_trips`, `zone_hourly_dropoffs` and `borough_flows`, a day's rows of which are replaced
whole; which days it is called for is said by the assets. No Dagster.
"""

from collections.abc import Sequence

from taxi_pipeline.quality import BACKWARDS, TOO_LONG
from taxi_pipeline.session import Session, placeholders
from taxi_pipeline.tables import BOROUGH_FLOWS, ZONE_HOURLY_DROPOFFS, ZONE_HOURLY_TRIPS, Table
from taxi_pipeline.tlc.months import Days

CREDIT_CARD = 1
"""Among the TLC's payment types."""


def replace_hourly(session: Session, days: Days, fleets: Sequence[str]) -> None:
    """Make `zone_hourly_trips` and `zone_hourly_dropoffs` of these days and fleets what the trips table says."""
    _replace(session, ZONE_HOURLY_TRIPS, _PICKUPS_SQL, days, fleets)
    _replace(session, ZONE_HOURLY_DROPOFFS, _DROPOFFS_SQL, days, fleets)


def replace_flows(session: Session, days: Days, fleets: Sequence[str]) -> None:
    """Make `borough_flows` of these days and fleets what the trips table says, by the boroughs of the zones.

    Without zones there are no flows; they are counted when `borough_flows` is materialized.
    """
    _replace(session, BOROUGH_FLOWS, _FLOWS_SQL, days, fleets)


def _replace(session: Session, table: Table, select: str, days: Days, fleets: Sequence[str]) -> None:
    which = [days.first, days.last, *fleets]
    named = placeholders(fleets)
    session.execute(f"DELETE FROM {table.name} WHERE pickup_date BETWEEN ? AND ? AND fleet IN ({named})", which)
    session.execute(table.insert_sql(select.format(fleets=named)), which)


_PICKUPS_SQL = """
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
FROM trips
WHERE pickup_date BETWEEN ? AND ? AND fleet IN ({fleets})
GROUP BY fleet, pickup_date, EXTRACT(HOUR FROM pickup_datetime), pickup_zone_id
ORDER BY fleet, pickup_date, pickup_hour, pickup_zone_id
"""

_DROPOFFS_SQL = """
SELECT
    fleet,
    pickup_date,
    CAST(EXTRACT(HOUR FROM dropoff_datetime) AS SMALLINT) AS dropoff_hour,
    dropoff_zone_id,
    count(*)
FROM trips
WHERE pickup_date BETWEEN ? AND ? AND fleet IN ({fleets})
GROUP BY fleet, pickup_date, EXTRACT(HOUR FROM dropoff_datetime), dropoff_zone_id
ORDER BY fleet, pickup_date, dropoff_hour, dropoff_zone_id
"""

_FLOWS_SQL = f"""
SELECT
    fleet,
    pickup_date,
    pickup.borough AS pickup_borough,
    dropoff.borough AS dropoff_borough,
    count(*),
    count(*) FILTER (too_long),
    count(*) FILTER (backwards AND NOT too_long),
    count(fare_amount) FILTER (plausible),
    coalesce(sum(fare_amount) FILTER (plausible), 0),
    count(trip_distance) FILTER (plausible),
    coalesce(sum(trip_distance) FILTER (plausible), 0),
    count(duration_seconds) FILTER (plausible),
    coalesce(sum(duration_seconds) FILTER (plausible), 0),
    count(*) FILTER (payment_type = {CREDIT_CARD}),
    coalesce(sum(tip_amount) FILTER (payment_type = {CREDIT_CARD}), 0)
FROM (
    SELECT *, NOT (too_long OR backwards) AS plausible
    FROM (
        SELECT *,
            CAST(EXTRACT(EPOCH FROM dropoff_datetime - pickup_datetime) AS BIGINT) AS duration_seconds,
            coalesce({TOO_LONG}, FALSE) AS too_long,
            coalesce({BACKWARDS}, FALSE) AS backwards
        FROM trips
        WHERE pickup_date BETWEEN ? AND ? AND fleet IN ({{fleets}})
    ) AS judged
) AS judged
JOIN zones AS pickup ON pickup.zone_id = pickup_zone_id
JOIN zones AS dropoff ON dropoff.zone_id = dropoff_zone_id
GROUP BY fleet, pickup_date, pickup_borough, dropoff_borough
ORDER BY fleet, pickup_date, pickup_borough, dropoff_borough
"""
