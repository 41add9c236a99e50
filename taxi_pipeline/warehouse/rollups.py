"""The rollups: trips counted by day, hour, zone and borough, so that outputs cost the same however many trips.

Here is the SQL that fills `zone_hourly_trips`, `zone_hourly_dropoffs` and `borough_flows`, whose rows of a day are
replaced whole. Queries of the rollups stand with the outputs that make them.
"""

from collections.abc import Sequence

from taxi_pipeline.quality.plausibility import BACKWARDS, TOO_LONG
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, seconds_between
from taxi_pipeline.warehouse.tables import BOROUGH_FLOWS, ZONE_HOURLY_DROPOFFS, ZONE_HOURLY_TRIPS, Table

CREDIT_CARD = 1
"""Among the TLC's payment types."""


def replace_hourly(session: Session, days: Days, fleets: Sequence[str]) -> None:
    """Replace these days and fleets in `zone_hourly_trips` and `zone_hourly_dropoffs` by what the trips add up to."""
    _replace(session, ZONE_HOURLY_TRIPS, _PICKUPS_SQL, days, fleets)
    _replace(session, ZONE_HOURLY_DROPOFFS, _DROPOFFS_SQL, days, fleets)


def replace_flows(session: Session, days: Days, fleets: Sequence[str]) -> None:
    """Replace these days and fleets in `borough_flows` by what the trips add up to, by the boroughs of the zones.

    Without zones there are no flows; they are counted when `borough_flows` is materialized.
    """
    _replace(session, BOROUGH_FLOWS, _FLOWS_SQL, days, fleets)


ROLLUPS = {"zone_hourly_trips": replace_hourly, "borough_flows": replace_flows}
"""Table → what counts the loaded trips of some days into it."""


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
    count(*) FILTER (WHERE too_long),
    count(*) FILTER (WHERE backwards AND NOT too_long),
    count(fare_amount) FILTER (WHERE plausible),
    coalesce(sum(fare_amount) FILTER (WHERE plausible), 0),
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
            {seconds_between("pickup_datetime", "dropoff_datetime")} AS duration_seconds,
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
