"""The schedules: the runs that start at a time of day. `taxi_pipeline.refresh_plan` decides what a refresh loads.

All are off until they are switched on in the UI; `TAXI_AUTOMATION=on` switches them on from the start, except the one
that makes a run per day, which would do the same work a second time.

A tick has 60 seconds, and a server that refuses takes minutes. So a tick asks no server and opens no warehouse: it
reads the latest observation of `tlc_trip_records`, which `daily_observation` makes an hour before.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from taxi_pipeline.defs.assets.tlc_records import latest_plan
from taxi_pipeline.defs.jobs import daily_trips, freshness, indicators, tlc_observation, zones
from taxi_pipeline.defs.partitions import range_tags
from taxi_pipeline.refresh_plan import Chunk
from taxi_pipeline.tlc.months import NEW_YORK

CHUNK_TAG = "taxi/chunk"
"""Tag of a run: the key of the chunk that it loads."""

MAX_AGE_OF_OBSERVATION = timedelta(hours=23)
"""Largest age of the observation that a tick uses, so that yesterday's never stands in for today's."""

_IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    # Dagster's own list of runs in progress leaves it out; such a run may still commit its days.
    dg.DagsterRunStatus.CANCELING,
]


def build_schedules(*, running: bool) -> list[dg.ScheduleDefinition]:
    """Build the schedules of the code location.

    Args:
        running: true if they are on from the start; otherwise they are switched on in the UI.
    """
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
    every_morning = {"cron_schedule": "0 6 * * *", "execution_timezone": NEW_YORK, "job": daily_trips}

    def runs(job: Any, name: str, cron: str, description: str) -> dg.ScheduleDefinition:
        return dg.ScheduleDefinition(
            name=name,
            job=job,
            cron_schedule=cron,
            execution_timezone=NEW_YORK,
            default_status=status,
            description=description,
        )

    return [
        runs(
            tlc_observation,
            "daily_observation",
            "0 5 * * *",
            "Asks the TLC's server every morning which months are new; daily_refresh loads them.",
        ),
        dg.schedule(**every_morning, default_status=status, description=daily_refresh.__doc__)(daily_refresh),
        dg.schedule(**every_morning, description=daily_trips_by_partition.__doc__)(daily_trips_by_partition),
        runs(zones, "monthly_zones", "0 5 1 * *", "Fetches the taxi zones once a month, in case the TLC changed them."),
        runs(indicators, "weekly_indicators", "30 5 * * 1", "Loads the TLC's monthly report every Monday."),
        runs(freshness, "daily_freshness", "0 7 * * *", "Checks every morning how old the newest loaded day is."),
    ]


def daily_refresh(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """Keeps up with the TLC: a run for each month that is new, or that was published again."""
    chunks = _chunks(context)
    if isinstance(chunks, dg.SkipReason):
        return chunks
    return [dg.RunRequest(run_key=chunk.key, tags={**range_tags(chunk.days), CHUNK_TAG: chunk.key}) for chunk in chunks]


def daily_trips_by_partition(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """The same as daily_refresh, with a run per day: slower, and each day succeeds or fails by itself."""
    chunks = _chunks(context)
    if isinstance(chunks, dg.SkipReason):
        return chunks
    return [
        dg.RunRequest(run_key=f"{chunk.key} {day}", partition_key=str(day), tags={CHUNK_TAG: chunk.key})
        for chunk in chunks
        for day in chunk.days
    ]


def _chunks(context: dg.ScheduleEvaluationContext) -> Sequence[Chunk] | dg.SkipReason:
    """The chunks to load, or the reason why nothing is loaded."""
    found = latest_plan(context.instance)
    if found is None:
        return dg.SkipReason(
            "tlc_trip_records was never observed: switch on the schedule daily_observation, or run the job "
            "tlc_observation"
        )
    plan, observed_at = found
    if datetime.now().astimezone() - observed_at > MAX_AGE_OF_OBSERVATION:
        return dg.SkipReason(
            f"tlc_trip_records was last observed at {observed_at:%Y-%m-%d %H:%M}, too long ago: see why the latest run "
            "of tlc_observation failed, or whether the schedule daily_observation is on"
        )
    if plan.newest is None:
        return dg.SkipReason("The TLC's server has no month of the configured fleets")
    runs = [*context.instance.get_runs(dg.RunsFilter(statuses=_IN_PROGRESS))]
    runs += context.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], created_after=observed_at))
    chunks = plan.without({run.tags[CHUNK_TAG] for run in runs if CHUNK_TAG in run.tags})
    if not chunks:
        return dg.SkipReason(
            f"Nothing new: {plan.newest:%Y-%m} is the newest published month, and it is loaded or being loaded"
        )
    return chunks
