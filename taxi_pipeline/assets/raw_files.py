"""Group `raw_files`: the published files, as they are, in `raw/`. What is in them is loaded by group `warehouse`."""

import hashlib
from collections.abc import Sequence

import dagster as dg

from taxi_pipeline.metadata import OWNERS, fetched_metadata, per_partition
from taxi_pipeline.partitions import backfill_policy, daily_partitions, days_of
from taxi_pipeline.resources import FileStore, TlcSource
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.months import month_of
from taxi_pipeline.tlc.trip_files import read_trip_file
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
)
def taxi_trips_file(context: dg.AssetExecutionContext, tlc: TlcSource, files: FileStore) -> dg.MaterializeResult:
    """The published file that holds the day's trips: `raw/{fleet}_tripdata_YYYY-MM.parquet`.

    Fetched once per month however many days ask for it, and verified before it takes the place of an older one;
    afterwards the server is only asked whether it changed. The data version is the file's SHA-256.
    """
    fetched = []
    for fleet, days in tlc.months(days_of(context)):
        file = tlc.fetch_trips(fleet, month_of(days.first), files, tell=context.log.info)
        _tell(context, file)
        fetched.append(file)
        per_partition(context, {str(day): {f"{fleet.name}_version": file.sha256} for day in days})
    contents = [read_trip_file(file.path) for file in fetched]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(content.num_rows for content in contents),
            "synthetic": any(content.synthetic for content in contents),
            **fetched_metadata(fetched),
        },
        data_version=_version(fetched),
    )


@dg.asset(group_name="raw_files", deps=[tlc_trip_records], kinds={"python"}, owners=OWNERS)
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
