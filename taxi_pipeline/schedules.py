"""The schedules: when something runs by itself. What a refresh has to run is decided in `refresh`, without Dagster.

All are off until they are switched on in the UI; `TAXI_AUTOMATION=on` switches them on from the start, but for the one
that makes a run per day, which would do the same work a second time.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.jobs import daily_trips, freshness, zones
from taxi_pipeline.loaded import LoadedMonth, loaded_months, loaded_span
from taxi_pipeline.partitions import days_of_definition, range_tags
from taxi_pipeline.refresh import Chunk, Loaded, chunks_to_run, months_to_ask
from taxi_pipeline.resources import FileStore, NothingLoadedError, TlcSource, Warehouse
from taxi_pipeline.tlc.months import NEW_YORK

CHUNK_TAG = "taxi/chunk"
"""Tag of a run: the key of the chunk that it loads."""

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_schedules(*, running: bool) -> list[dg.ScheduleDefinition]:
    """The schedules of the code location.

    Args:
        running: whether they are on until somebody switches them off, instead of the other way round.
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
        dg.schedule(**every_morning, default_status=status, description=daily_refresh.__doc__)(daily_refresh),
        dg.schedule(**every_morning, description=daily_trips_by_partition.__doc__)(daily_trips_by_partition),
        runs(zones, "monthly_zones", "0 5 1 * *", "Asks once a month whether the TLC changed its taxi zones."),
        runs(freshness, "daily_freshness", "0 7 * * *", "Looks every morning how old the newest loaded day is."),
    ]


def daily_refresh(
    context: dg.ScheduleEvaluationContext, warehouse: Warehouse, files: FileStore, tlc: TlcSource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Keeps up with the TLC: a run for each month that is newly published, or published anew."""
    chunks, newest = _chunks(context, warehouse, files, tlc)
    if not chunks:
        return _nothing_to_do(newest)
    return [dg.RunRequest(run_key=chunk.key, tags={**range_tags(chunk.days), CHUNK_TAG: chunk.key}) for chunk in chunks]


def daily_trips_by_partition(
    context: dg.ScheduleEvaluationContext, warehouse: Warehouse, files: FileStore, tlc: TlcSource
) -> list[dg.RunRequest] | dg.SkipReason:
    """The same as `daily_refresh`, with a run per day: slower, and each day succeeds or fails by itself."""
    chunks, newest = _chunks(context, warehouse, files, tlc)
    if not chunks:
        return _nothing_to_do(newest)
    return [
        dg.RunRequest(run_key=f"{chunk.key} {day}", partition_key=str(day), tags={CHUNK_TAG: chunk.key})
        for chunk in chunks
        for day in chunk.days
    ]


def _chunks(
    context: dg.ScheduleEvaluationContext, warehouse: Warehouse, files: FileStore, tlc: TlcSource
) -> tuple[Sequence[Chunk], date | None]:
    """What has to run, and the newest published month. Asks the server; an unreachable one fails the tick."""
    loaded = _loaded(warehouse, files, tlc)
    newest = tlc.newest_published_month()
    versions = {month: tlc.published_version(month) for month in months_to_ask(loaded, newest)}
    runs = context.instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY))
    chunks = chunks_to_run(
        loaded,
        {month: version for month, version in versions.items() if version},
        days_of_definition(context.repository_def.get_job("daily_trips").partitions_def),
        under_way={run.tags[CHUNK_TAG] for run in runs if CHUNK_TAG in run.tags},
    )
    return chunks, newest


def _loaded(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dict[date, Loaded]:
    """First day of each month → what is loaded of it, of the configured fleets together."""
    try:
        with warehouse.read() as session:
            span = loaded_span(session)
            rows = loaded_months(session, span) if span else []
    except NothingLoadedError:
        rows = []
    found: dict[date, dict[str, LoadedMonth]] = {}
    for row in rows:
        if row.fleet in tlc.fleets:
            found.setdefault(row.first, {})[row.fleet] = row
    return {month: _of_all_fleets(month, fleets, files, tlc) for month, fleets in found.items()}


def _of_all_fleets(month: date, fleets: Mapping[str, LoadedMonth], files: FileStore, tlc: TlcSource) -> Loaded:
    known = all(loaded.num_versions == 1 for loaded in fleets.values())
    versions = {name: loaded.file_version for name, loaded in fleets.items()}
    return Loaded(
        version=tlc.loaded_version(month, versions, files) if known else None,
        whole=all(loaded.is_whole for loaded in fleets.values()),
    )


def _nothing_to_do(newest: date | None) -> dg.SkipReason:
    if newest is None:
        return dg.SkipReason("The TLC's server has no month of the configured fleets")
    return dg.SkipReason(f"Nothing new: {newest:%Y-%m} is the newest published month, and it is loaded or being loaded")
