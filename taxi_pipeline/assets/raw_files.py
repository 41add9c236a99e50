"""Group `raw_files`: the published files, as they are, in `raw/`. What is in them is loaded by group `warehouse`."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import cast

import dagster as dg

from taxi_pipeline.metadata import OWNERS, PREVIEW_ROWS, fetched_metadata, markdown_table, per_partition
from taxi_pipeline.partitions import backfill_policy, daily_partitions, days_of
from taxi_pipeline.resources import FileStore, TlcSource
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.transfer import FetchError
from taxi_pipeline.tlc.trip_files import first_rows, read_trip_file
from taxi_pipeline.tlc.zones import zones_are_synthetic

tlc_trip_records = dg.AssetSpec(
    "tlc_trip_records",
    group_name="tlc",
    owners=OWNERS,
    kinds={"parquet"},
    description=(
        "What New York's Taxi and Limousine Commission publishes: a Parquet file per fleet and month, one to three "
        "and a half months after the month's end, and the taxi zones. Described at "
        "https://www.nyc.gov/site/tlc/about/tlc-trip-record-data.page"
    ),
)


@dg.asset(
    group_name="raw_files",
    partitions_def=daily_partitions,
    backfill_policy=backfill_policy,
    deps=[tlc_trip_records],
    kinds={"python", "parquet"},
    owners=OWNERS,
    tags={"output": "raw-file"},
)
def taxi_trips_file(context: dg.AssetExecutionContext, tlc: TlcSource, files: FileStore) -> dg.MaterializeResult:
    """The published file that holds the day's trips: `raw/{fleet}_tripdata_YYYY-MM.parquet`.

    Fetched once per month however many days ask for it, and verified before it takes the place of an older one;
    afterwards the server is only asked whether it changed. The data version is the file's SHA-256. With several
    fleets, what fails of one is told and left out; `taxi_trips` loads the others, and then fails with its name.
    """
    fleets = tlc.months_by_fleet(days_of(context))
    fetched: list[FetchedFile] = []
    failed: dict[str, str] = {}
    for fleet, months in fleets:
        try:
            fetched += [_fetch(context, fleet, days, tlc, files) for days in months]
        except FetchError as error:
            if len(fleets) == 1:
                raise
            failed[fleet.name] = str(error)
            context.log.error(f"{fleet.name}: {error}")
    if failed and not fetched:
        raise FleetsFailedError(failed, loaded=())
    contents = [read_trip_file(file.path) for file in fetched]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(content.num_rows for content in contents),
            "synthetic": any(content.synthetic for content in contents),
            **fetched_metadata(fetched),
            **({"preview": markdown_table(*first_rows(fetched[0].path, PREVIEW_ROWS))} if fetched else {}),
            **({FAILED_FLEETS: failed} if failed else {}),
        },
        data_version=_version(fetched),
    )


def _fetch(
    context: dg.AssetExecutionContext, fleet: Fleet, days: Days, tlc: TlcSource, files: FileStore
) -> FetchedFile:
    file = tlc.fetch_trips(fleet, month_of(days.first), files, tell=context.log.info)
    _tell(context, file)
    per_partition(context, {str(day): {f"{fleet.name}_version": file.sha256} for day in days})
    return file


FAILED_FLEETS = "failed_fleets"
"""Metadata: fleet → why its files could not be fetched."""


class FleetsFailedError(RuntimeError):
    """Of some fleets the files could not be fetched or loaded; the others are loaded."""

    def __init__(self, failed: Mapping[str, str], loaded: Sequence[str]) -> None:
        reasons = "; ".join(f"{fleet}: {reason}" for fleet, reason in failed.items())
        super().__init__(f"{reasons}. Loaded all the same: {', '.join(loaded) or 'nothing'}")


def failed_to_fetch(context: dg.AssetExecutionContext) -> dict[str, str]:
    """Fleet → why its files could not be fetched, as `taxi_trips_file` found in this run.

    Empty when it was not part of the run: who loads without fetching loads what is there.
    """
    events = context.instance.get_records_for_run(
        context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    for event in events:
        made = event.event_log_entry.asset_materialization
        if made and made.asset_key == taxi_trips_file.key and FAILED_FLEETS in made.metadata:
            return dict(cast("Mapping[str, str]", made.metadata[FAILED_FLEETS].value))
    return {}


@dg.asset(
    group_name="raw_files",
    deps=[tlc_trip_records],
    kinds={"python"},
    owners=OWNERS,
    tags={"output": "raw-file"},
)
def taxi_zones_file(context: dg.AssetExecutionContext, tlc: TlcSource, files: FileStore) -> dg.MaterializeResult:
    """The TLC's taxi zones with their shapes: `raw/taxi_zones.zip` (or `.csv`, `.geojson`, as configured)."""
    file = tlc.fetch_zones(files, tell=context.log.info)
    _tell(context, file)
    return dg.MaterializeResult(
        metadata={**fetched_metadata([file]), "synthetic": zones_are_synthetic(file.path)},
        data_version=_version([file]),
    )


def _tell(context: dg.AssetExecutionContext, file: FetchedFile) -> None:
    if file.warning:
        context.log.warning(file.warning)
    verb = "Downloaded" if file.downloaded else "Still current:"
    published_anew = f", published anew, before {file.replaced[:12]}" if file.replaced else ""
    context.log.info(f"{verb} {file.url}, {file.size_bytes:,} bytes, version {file.sha256[:12]}{published_anew}")


def _version(files: Sequence[FetchedFile]) -> dg.DataVersion:
    """One file's SHA-256; for several the SHA-256 over theirs."""
    if len(files) == 1:
        return dg.DataVersion(files[0].sha256)
    return dg.DataVersion(hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest())
