"""Group `raw_files`: the published files, as they are, in `raw/`. Group `warehouse` loads what is in them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.defs.failures import FAILED_FLEETS, FleetsFailed
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, fetched_metadata, per_partition, table
from taxi_pipeline.defs.partitions import backfill_policy, daily_partitions, days_of
from taxi_pipeline.defs.resources import FilesParam, TlcParam
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.months import month_of
from taxi_pipeline.tlc.trip_files import first_rows, read_trip_file
from taxi_pipeline.tlc.zones import zones_are_synthetic

DATA_VERSION = "dagster/data_version"
"""Tag of a materialization with its data version, as Dagster's documentation of external assets has it."""


@dg.asset(
    group_name="raw_files",
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    deps=["tlc_trip_records"],
    kinds={"python", "parquet"},
    tags={"output": "raw-file"},
)
def taxi_trips_file(
    context: dg.AssetExecutionContext, tlc: TlcParam, files: FilesParam
) -> Iterator[dg.MaterializeResult]:
    """The published file that holds the day's trips: `raw/{fleet}_tripdata_YYYY-MM.parquet`.

    Fetched once per month however many days need it, and verified before it takes the place of an older one; after that
    a conditional request asks the server whether it changed. The data version of a day is its file's SHA-256. With
    several fleets, a fleet whose file can't be fetched is left out and noted beside the file; `taxi_trips` loads the
    others, and then fails with its name.
    """
    days = days_of(context)
    fleets = tlc.months_by_fleet(days)
    fetched: dict[date, list[FetchedFile]] = {month.first: [] for month in days.by_month()}
    failed: dict[str, str] = {}
    for fleet, months in fleets:
        try:
            for month in months:
                file = tlc.fetch_trips(fleet, month_of(month.first), files, log=context.log.info)
                _log(context, file)
                fetched[month.first].append(file)
                per_partition(context, {str(day): {f"{fleet.name}_version": file.sha256} for day in month})
        except FetchError as error:
            if len(fleets) == 1:
                raise
            failed[fleet.name] = str(error)
            context.log.error(f"{fleet.name}: {error}")
    all_fetched = [file for month in fetched.values() for file in month]
    if failed and not all_fetched:
        raise FleetsFailed(failed, loaded=())
    versions = {day: _version(fetched[month.first]) for month in days.by_month() for day in month}
    metadata = {**_contents(files, all_fetched), **fetched_metadata(all_fetched)}
    per_partition(context, {str(days.last): _preview(files, all_fetched)})
    yield dg.MaterializeResult(
        metadata=metadata | ({FAILED_FLEETS: failed} if failed else {}), data_version=versions[days.last]
    )
    _correct_versions(context, versions, days.last, metadata)


def _correct_versions(
    context: dg.AssetExecutionContext,
    versions: Mapping[date, dg.DataVersion],
    last: date,
    metadata: Mapping[str, Any],
) -> None:
    """Record the days of earlier months again, each with the version of its own file.

    Dagster stamps all partitions of a run with one version. A run of several months is rare: only a backfill makes one.
    """
    for day, version in versions.items():
        if version != versions[last]:
            context.log_event(
                dg.AssetMaterialization(
                    context.asset_key,
                    partition=str(day),
                    metadata=dict(metadata),
                    tags={DATA_VERSION: version.value, f"{DATA_VERSION}_is_user_provided": "true"},
                )
            )


def _contents(files: Storage, fetched: Sequence[FetchedFile]) -> dict[str, Any]:
    """How many rows the files have, and whether they are generated."""
    contents = []
    for file in fetched:
        with files.local_copy(file.name) as path:
            contents.append(read_trip_file(path))
    return {
        "dagster/row_count": sum(content.num_rows for content in contents),
        "synthetic": any(content.synthetic for content in contents),
    }


def _preview(files: Storage, fetched: Sequence[FetchedFile]) -> dict[str, dg.MetadataValue]:
    """The first rows of the first file."""
    if not fetched:
        return {}
    with files.local_copy(fetched[0].name) as path:
        return {"preview": table(*first_rows(path, PREVIEW_ROWS))}


@dg.asset(
    group_name="raw_files",
    deps=["tlc_trip_records"],
    kinds={"python"},
    tags={"output": "raw-file"},
)
def taxi_zones_file(context: dg.AssetExecutionContext, tlc: TlcParam, files: FilesParam) -> dg.MaterializeResult:
    """The TLC's taxi zones with their shapes: `raw/taxi_zones.zip` (or `.csv`, `.geojson`, as configured)."""
    file = tlc.fetch_zones(files, log=context.log.info)
    _log(context, file)
    with files.local_copy(file.name) as path:
        synthetic = zones_are_synthetic(path)
    return dg.MaterializeResult(
        metadata={**fetched_metadata([file]), "synthetic": synthetic}, data_version=_version([file])
    )


def _log(context: dg.AssetExecutionContext, file: FetchedFile) -> None:
    if file.warning:
        context.log.warning(file.warning)
    verb = "Downloaded" if file.downloaded else "Still current:"
    republished = f", published again, before {file.replaced[:12]}" if file.replaced else ""
    context.log.info(f"{verb} {file.url}, {file.size_bytes:,} bytes, version {file.sha256[:12]}{republished}")


def _version(files: Sequence[FetchedFile]) -> dg.DataVersion:
    """One file's SHA-256; for several the SHA-256 over theirs."""
    if len(files) == 1:
        return dg.DataVersion(files[0].sha256)
    return dg.DataVersion(hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest())
