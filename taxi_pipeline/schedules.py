"""The schedules: when something runs by itself. What a refresh has to run is decided in `refresh`, without Dagster.

All are off until they are switched on in the UI; `TAXI_AUTOMATION=on` switches them on from the start, but for the one
that makes a run per day, which would do the same work a second time.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from taxi_pipeline.jobs import daily_trips, freshness, zones
from taxi_pipeline.partitions import days_of_definition, range_tags
from taxi_pipeline.refresh import Chunk, Loaded, chunks_to_run, months_to_ask
from taxi_pipeline.resources import FileStore, NothingLoadedError, TlcSource, Warehouse
from taxi_pipeline.tlc.months import NEW_YORK, next_month

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
    return [
        dg.schedule(**every_morning, default_status=status, description=daily_refresh.__doc__)(daily_refresh),
        dg.schedule(**every_morning, description=daily_trips_by_partition.__doc__)(daily_trips_by_partition),
        dg.ScheduleDefinition(
            name="monthly_zones",
            job=zones,
            cron_schedule="0 5 1 * *",
            execution_timezone=NEW_YORK,
            default_status=status,
            description="Asks once a month whether the TLC changed its taxi zones.",
        ),
        dg.ScheduleDefinition(
            name="daily_freshness",
            job=freshness,
            cron_schedule="0 7 * * *",
            execution_timezone=NEW_YORK,
            default_status=status,
            description="Looks every morning how old the newest loaded day is.",
        ),
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
    loaded = loaded_months(warehouse, files, tlc)
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


def loaded_months(warehouse: Warehouse, files: FileStore, tlc: TlcSource) -> dict[date, Loaded]:
    """First day of each month → what is loaded of it, of all configured fleets together."""
    found: dict[date, dict[str, tuple[int, str | None]]] = {}
    try:
        with warehouse.read() as session:
            rows = session.rows(_LOADED_SQL)
    except NothingLoadedError:
        rows = []
    for month, fleet, num_days, version in rows:
        if fleet in tlc.fleets:
            found.setdefault(month, {})[fleet] = (num_days, version)
    return {month: _loaded(month, fleets, files, tlc) for month, fleets in found.items()}


def _loaded(month: date, fleets: dict[str, tuple[int, str | None]], files: FileStore, tlc: TlcSource) -> Loaded:
    days_in_month = (next_month(month) - month).days
    versions = {fleet: version for fleet, (_, version) in fleets.items() if version}
    return Loaded(
        version=tlc.loaded_version(month, versions, files),
        whole=all(fleets.get(fleet.name, (0, None))[0] == days_in_month for fleet in tlc.fleets_in(month)),
    )


_LOADED_SQL = """
SELECT month, fleet, count(*), CASE WHEN count(DISTINCT file_version) = 1 THEN min(file_version) END
FROM (SELECT *, CAST(date_trunc('month', pickup_date) AS DATE) AS month FROM loaded_days) AS days
GROUP BY month, fleet
ORDER BY month, fleet
"""


def _nothing_to_do(newest: date | None) -> dg.SkipReason:
    if newest is None:
        return dg.SkipReason("The TLC's server has no month of all configured fleets")
    return dg.SkipReason(f"Nothing new: {newest:%Y-%m} is the newest published month, and it is loaded or being loaded")
