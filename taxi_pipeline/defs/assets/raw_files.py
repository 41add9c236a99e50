"""Group `raw_files`: the published files, unchanged, in `raw/`. Group `warehouse` loads them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.dagster_names import DATA_VERSION, DATA_VERSION_IS_OURS
from taxi_pipeline.defs.failures import FAILED_FLEETS, FleetsFailed
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, fetched_metadata, per_partition, table
from taxi_pipeline.defs.partitions import backfill_policy, daily_partitions, days_of
from taxi_pipeline.defs.resources import FilesParam, TlcParam
from taxi_pipeline.defs.retries import RETRIES, is_retried, retrying_unanswered
from taxi_pipeline.month_files import fetch_month
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.tlc.trip_files import first_rows, read_trip_file
from taxi_pipeline.tlc.zones import zones_are_synthetic


@dg.asset(
    group_name="raw_files",
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    deps=["tlc_trip_records"],
    kinds={"python", "parquet"},
    tags={"output": "raw-file"},
    retry_policy=RETRIES,
)
def taxi_trips_file(
    context: dg.AssetExecutionContext, tlc: TlcParam, files: FilesParam
) -> Iterator[dg.MaterializeResult]:
    """The published file that holds the day's trips: raw/{fleet}_tripdata_YYYY-MM.parquet.

    Fetched once per month however many days need it, and verified before it takes the place of an older one: it can be
    read, and as a whole it can be the month. After that a conditional request asks the server whether it changed. The
    data version of a day is its file's SHA-256. With several fleets, a fleet whose file can't be fetched is left out
    and noted beside the file; taxi_trips loads the others, and then fails with its name. While a server does not
    answer, the step is attempted three times before that.
    """
    with retrying_unanswered():
        yield from _trips_file(context, days_of(context), tlc, files)


def _trips_file(
    context: dg.AssetExecutionContext, days: Days, tlc: TlcSource, files: Storage
) -> Iterator[dg.MaterializeResult]:
    spent = Cost(days.num_days)
    months, failed = _fetch_by_month(context, days, tlc, files)
    fetched = [file for by_fleet in months.values() for file in by_fleet.values()]
    if failed and not fetched:
        raise FleetsFailed(failed, loaded=())
    downloaded = sum(file.size_bytes for file in fetched if file.downloaded)
    metadata = {**_contents(files, fetched), **fetched_metadata(fetched), **spent.so_far(bytes_written=downloaded)}
    for month, by_fleet in months.items():
        per_partition(context, dict.fromkeys(map(str, month), _versions(by_fleet)))
    per_partition(context, {str(days.last): _preview(files, fetched)})
    *earlier_months, last_month = months
    yield dg.MaterializeResult(
        metadata=metadata | ({FAILED_FLEETS: failed} if failed else {}),
        data_version=_version([*months[last_month].values()]),
    )
    for month in earlier_months:
        _record_again(context, month, months[month], metadata)


def _fetch_by_month(
    context: dg.AssetExecutionContext, days: Days, tlc: TlcSource, files: Storage
) -> tuple[dict[Days, dict[str, FetchedFile]], dict[str, str]]:
    """Fetch the files of the days.

    Returns:
        The days of each month → fleet → its file; and fleet → why its files could not be fetched.

    Raises:
        FetchError: the file of the only fleet could not be fetched.
        NoAnswerError: the server did not answer for some fleet, and the step is attempted again.
    """
    fleets = tlc.months_by_fleet(days)
    months: dict[Days, dict[str, FetchedFile]] = {month: {} for month in days.by_month()}
    failed: dict[str, str] = {}
    for fleet, published in fleets:
        try:
            for month in published:
                months[month][fleet.name] = fetch_and_log(context, fleet, month_of(month.first), tlc, files)
        except FetchError as error:
            if len(fleets) == 1 or is_retried(context, error):
                raise
            failed[fleet.name] = str(error)
            context.log.error(f"{fleet.name}: {error}")
    return months, failed


def fetch_and_log(
    context: dg.AssetExecutionContext, fleet: Fleet, month: date, tlc: TlcSource, files: Storage
) -> FetchedFile:
    """Fetch the file of a fleet's month, unless it is still current. The run's log says what was fetched.

    Raises:
        FetchError: the file could not be fetched.
    """
    file = fetch_month(tlc, fleet, month, files, log=context.log.info)
    log_fetched(context, file)
    return file


def _record_again(
    context: dg.AssetExecutionContext,
    month: Days,
    by_fleet: Mapping[str, FetchedFile],
    metadata: Mapping[str, Any],
) -> None:
    """Record the days of an earlier month once more, with the version of their own file.

    Dagster stamps all partitions of a run with one version. A run of several months is rare: only a backfill makes one.
    """
    version = _version([*by_fleet.values()]).value
    for day in month:
        context.log_event(
            dg.AssetMaterialization(
                context.asset_key,
                partition=str(day),
                metadata={**metadata, **_versions(by_fleet)},
                tags={DATA_VERSION: version, DATA_VERSION_IS_OURS: "true"},
            )
        )


def _versions(by_fleet: Mapping[str, FetchedFile]) -> dict[str, str]:
    """Metadata of a partition: the version of each fleet's file."""
    return {f"{fleet}_version": file.sha256 for fleet, file in by_fleet.items()}


def _contents(files: Storage, fetched: Sequence[FetchedFile]) -> dict[str, Any]:
    """Metadata of the files: the number of rows, and whether they are generated."""
    contents = []
    for file in fetched:
        with files.local_copy(file.name) as path:
            contents.append(read_trip_file(path))
    return {
        "dagster/row_count": sum(content.num_rows for content in contents),
        "synthetic": any(content.synthetic for content in contents),
    }


def _preview(files: Storage, fetched: Sequence[FetchedFile]) -> dict[str, dg.MetadataValue]:
    """Metadata with the first rows of the first file."""
    if not fetched:
        return {}
    with files.local_copy(fetched[0].name) as path:
        return {"preview": table(*first_rows(path, PREVIEW_ROWS))}


@dg.asset(
    group_name="raw_files",
    deps=["tlc_trip_records"],
    kinds={"python"},
    tags={"output": "raw-file"},
    retry_policy=RETRIES,
)
def taxi_zones_file(context: dg.AssetExecutionContext, tlc: TlcParam, files: FilesParam) -> dg.MaterializeResult:
    """The TLC's taxi zones with their shapes: raw/taxi_zones.zip (or .csv, .geojson, as configured)."""
    spent = Cost()
    with retrying_unanswered():
        file = tlc.fetch_zones(files, log=context.log.info)
    log_fetched(context, file)
    with files.local_copy(file.name) as path:
        synthetic = zones_are_synthetic(path)
    return dg.MaterializeResult(
        metadata={
            **fetched_metadata([file]),
            **spent.so_far(bytes_written=file.size_bytes if file.downloaded else 0),
            "synthetic": synthetic,
        },
        data_version=_version([file]),
    )


def log_fetched(context: dg.AssetExecutionContext, file: FetchedFile) -> None:
    """Write into the run's log where a file came from, whether it was downloaded, and a warning if there is one."""
    if file.warning:
        context.log.warning(file.warning)
    verb = "Downloaded" if file.downloaded else "Still current:"
    republished = f", published again, before {file.replaced[:12]}" if file.replaced else ""
    context.log.info(f"{verb} {file.url}, {file.size_bytes:,} bytes, version {file.sha256[:12]}{republished}")


def _version(files: Sequence[FetchedFile]) -> dg.DataVersion:
    """The data version: one file's SHA-256; for several files the SHA-256 over theirs."""
    if len(files) == 1:
        return dg.DataVersion(files[0].sha256)
    return dg.DataVersion(hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest())
