"""Group `history`: which months of which fleets are loaded. Materializing one of them loads the days that it lacks.

A partition of the daily assets says that a run loaded the day, for the fleets that were configured then. Here each
fleet has partitions of its own, so that those of a fleet that is added, and of months before a start date that is
moved, are missing until they are loaded.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.datasets.contents import missing_days
from taxi_pipeline.defs.assets.raw_files import fetch_and_log
from taxi_pipeline.defs.assets.warehouse_tables import TABLES
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import per_partition
from taxi_pipeline.defs.partitions import (
    fleet_and_month,
    fleet_month_key,
    fleet_month_partitions,
    of_the_month,
    windows_policy,
)
from taxi_pipeline.defs.resources import POOL, FilesParam, TlcParam, WarehouseParam
from taxi_pipeline.defs.retries import RETRIES, is_retried, retrying_unanswered
from taxi_pipeline.defs.table_checks import as_evaluation, results_of_load
from taxi_pipeline.errors import LoadError, TaxiPipelineError
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.months import Days, spans_of
from taxi_pipeline.tlc.source import TlcSource, trips_file
from taxi_pipeline.warehouse.coverage import loaded_totals
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.interface import NothingLoadedError, Session, Warehouse


class MonthsFailed(dg.Failure, TaxiPipelineError):  # noqa: N818 - named as Dagster's own
    """Some months could not be loaded; the others of the run are."""


class NoTripsYetError(LoadError):
    """The month is before the fleet's first one."""


@dg.asset(
    group_name="history",
    partitions_def=fleet_month_partitions,
    backfill_policy=windows_policy,
    deps=[of_the_month("month_manifest"), "taxi_zones"],
    pool=POOL,
    kinds={"duckdb"},
    tags={"output": "table"},
    retry_policy=RETRIES,
)
def loaded_months(
    context: dg.AssetExecutionContext, warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam
) -> Iterator[dg.MaterializeResult | dg.AssetCheckEvaluation | dg.AssetMaterialization]:
    """The months of each fleet of which all days are loaded. Datasets wait for them.

    Materialize it to load the days that are missing, and no others: of a fleet that was added, or after the start date
    was moved. month_manifest records the months that runs of days have completed. A month that fails does not stop the
    others; the run fails at its end and names it. All files are fetched before anything is loaded: while a server does
    not answer, the step is attempted again, and loads nothing twice.
    """
    with retrying_unanswered():
        yield from _loaded_months(context, warehouse, files, tlc)


def _loaded_months(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: Storage, tlc: TlcSource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckEvaluation | dg.AssetMaterialization]:
    needed, failed = _fetch_missing(context, warehouse, files, tlc)
    for key, fetched in needed.items():
        spent = Cost()
        fleet, month = fleet_and_month(key)
        try:
            loaded = _load_missing(context, FLEETS[fleet], month, fetched, warehouse, files, tlc)
        except LoadError as error:
            failed[key] = str(error)
            context.log.error(f"{key}: {error}")
            continue
        results = [result for days in loaded for result in warehouse.query(_results, days)]
        yield from map(as_evaluation, results)
        if wrong := {result.check_name for result in results if _is_wrong(result)}:
            failed[key] = f"the checks {', '.join(sorted(map(str, wrong)))} fail for {key}"
        trips = warehouse.query(_num_trips, fleet, month)
        in_words = ", ".join(map(str, loaded)) or "none: all days were loaded"
        per_partition(context, {key: {"trips": trips, "days_loaded_now": in_words, **spent.so_far(rows=trips)}})
    if failed:
        for key in (key for key in context.partition_keys if key not in failed):
            yield dg.AssetMaterialization(context.asset_key, partition=key)  # an event that is logged would be lost
        raise MonthsFailed("; ".join(failed.values()), metadata={"failed_months": failed}, allow_retries=False)
    yield dg.MaterializeResult()


def _fetch_missing(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: Storage, tlc: TlcSource
) -> tuple[dict[str, FetchedFile | None], dict[str, str]]:
    """Fetch the files of the run's months that lack days.

    Returns:
        Month of a fleet → its file, None where all days are loaded; and month of a fleet → why it has none.

    Raises:
        NoAnswerError: the server did not answer, and the step is attempted again.
    """
    needed: dict[str, FetchedFile | None] = {}
    failed: dict[str, str] = {}
    for key in context.partition_keys:
        name, month = fleet_and_month(key)
        fleet = FLEETS[name]
        try:
            if month < fleet.first_month:
                raise NoTripsYetError(f"{name} has trips from {fleet.first_month:%Y-%m} on, none of {month:%Y-%m}")
            lacks_days = bool(_missing_days(warehouse, name, month))
            needed[key] = fetch_and_log(context, fleet, month, tlc, files) if lacks_days else None
        except (FetchError, LoadError) as error:
            if is_retried(context, error):
                raise
            failed[key] = str(error)
            context.log.error(f"{key}: {error}")
    return needed, failed


def _load_missing(
    context: dg.AssetExecutionContext,
    fleet: Fleet,
    month: date,
    fetched: FetchedFile | None,
    warehouse: Warehouse,
    files: Storage,
    tlc: TlcSource,
) -> list[Days]:
    """Load the days of a fleet's month that are missing, and return them.

    Raises:
        LoadError: the file could not be loaded.
    """
    if fetched is None:
        return []
    missing = spans_of(_missing_days(warehouse, fleet.name, month))
    if missing:
        with files.lock(trips_file(fleet, month)):
            warehouse.change(load_days, fleet, missing, files, accepted=tlc.accepted)
        for days in missing:
            _record_days(context, days, {"fleet": fleet.name, f"{fleet.name}_version": fetched.sha256})
    return missing


def _is_wrong(result: dg.AssetCheckResult) -> bool:
    return not result.passed and result.severity is dg.AssetCheckSeverity.ERROR


def _missing_days(warehouse: Warehouse, fleet: str, month: date) -> Sequence[date]:
    try:
        return warehouse.query(missing_days, fleet, month)
    except NothingLoadedError:
        return list(Days.of_month(month))


def _record_days(context: dg.AssetExecutionContext, days: Days, metadata: Mapping[str, Any]) -> None:
    """Record the days of the daily assets, so that the UI shows them, and that their weeks and months are made."""
    for asset in ("taxi_trips_file", *TABLES):
        for day in days:
            context.log_event(dg.AssetMaterialization(asset, partition=str(day), metadata=metadata))


def _results(session: Session, days: Days) -> list[dg.AssetCheckResult]:
    return list(results_of_load(session, days))


def _num_trips(session: Session, fleet: str, month: date) -> int:
    totals = loaded_totals(session, Days.of_month(month))
    return sum(num_trips for name, _, num_trips, _ in totals if name == fleet)


def record_whole_months(context: dg.AssetExecutionContext, month: date, manifest: Mapping[str, Any]) -> None:
    """Record the fleets of which all days of a month are loaded.

    A fleet's month that was recorded after its days were loaded is left alone: its datasets would be made again.

    Args:
        context: of the run that made the manifest.
        month: its first day.
        manifest: the month's manifest.
    """
    whole = [name for name, part in manifest["fleets"].items() if part["num_days"] and not part["missing_days"]]
    last_load = _last_event(context.instance, "zone_hourly_trips", list(map(str, Days.of_month(month))))
    for fleet in whole:
        key = fleet_month_key(fleet, month)
        recorded = _last_event(context.instance, "loaded_months", [key])
        if not recorded or recorded < last_load:
            trips = manifest["fleets"][fleet]["num_trips"]
            context.log_event(dg.AssetMaterialization("loaded_months", partition=key, metadata={"trips": trips}))


def _last_event(instance: dg.DagsterInstance, asset: str, partitions: Sequence[str]) -> int:
    """The number of the last materialization of any of these partitions; 0 when there is none."""
    which = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=partitions)
    records = instance.fetch_materializations(which, limit=1).records
    return records[0].storage_id if records else 0
