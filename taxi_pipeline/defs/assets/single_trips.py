"""The asset `trips` of group `datasets`: single trips as files. It is in the graph where TAXI_TRIPS_DATASET is on.

How a file is written is in `datasets.single_trips`, and what it is compared with in `quality.trip_totals`.
"""

import dagster as dg

from taxi_pipeline.datasets.columns import dataset_file
from taxi_pipeline.datasets.contents import missing_days
from taxi_pipeline.datasets.listing import list_datasets
from taxi_pipeline.datasets.single_trips import write_trips
from taxi_pipeline.defs.automation import window_complete
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import file_metadata, per_partition, table_schema
from taxi_pipeline.defs.partitions import fleet_and_month, fleet_month_partitions, windows_policy
from taxi_pipeline.defs.resources import POOL, FilesParam, WarehouseParam
from taxi_pipeline.quality.trip_totals import require_every_trip
from taxi_pipeline.tlc.months import spans_of
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.tables import TRIPS

KEY = dg.AssetKey(TRIPS.name)


@dg.asset(
    key=KEY,
    group_name="datasets",
    partitions_def=fleet_month_partitions,
    deps=["loaded_months"],
    backfill_policy=windows_policy,
    automation_condition=window_complete,
    pool=POOL,
    kinds={"duckdb", "parquet"},
    tags={"output": "data-file"},
    metadata={"dagster/column_schema": table_schema(TRIPS)},
)
def single_trips(
    context: dg.AssetExecutionContext, warehouse: WarehouseParam, files: FilesParam
) -> dg.MaterializeResult:
    """datasets/trips/fleet=FLEET/month=YYYY-MM.parquet: the single trips of a month, typed, in the order of pickups.

    Made before all days of the month are loaded, it has the loaded days, and missing_days names the others. The file is
    read again before it replaces the old one: it has each day's trips, miles and dollars as zone_hourly_trips.
    """
    for key in context.partition_keys:
        spent = Cost()
        fleet, month = fleet_and_month(key)
        name = dataset_file(TRIPS.name, fleet, month, "parquet")
        with files.lock(name), files.draft(name) as draft, warehouse.read() as session:
            num_trips = write_trips(session, fleet, month, draft.path)
            require_every_trip(session, fleet, month, draft.path)
            missing, synthetic = missing_days(session, fleet, month), is_synthetic(session)
        list_datasets(files, [draft.stored])
        facts = {
            "missing_days": ", ".join(map(str, spans_of(missing))) or "none",
            "synthetic": synthetic,
            "dagster/partition_row_count": num_trips,
            **file_metadata(draft.stored),
            **spent.so_far(rows=num_trips, bytes_written=draft.stored.size_bytes),
        }
        per_partition(context, {key: facts})
    return dg.MaterializeResult(metadata={"files": len(context.partition_keys)})
