"""The tags of Dagster that have no public name, each with its reason and the public way that was looked for (1.13.27).

No other module of `taxi_pipeline` writes a tag of Dagster by hand, and none but `dagster_internals` imports from a
module of Dagster whose name begins with an underscore. A test compares all of them with the installed version.
"""

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
"""Tags of a run over a range of partitions. `RunRequest`, `execute_in_process` and `materialize` take one key alone."""

PARTITION = "dagster/partition"
"""Tag of a run with its only partition. The context of a failure sensor has no `partition_key`, and that of a check has
it without a public way to ask for a range."""

DATA_VERSION = "dagster/data_version"
"""Tag of a materialization with its data version, as Dagster's documentation of external assets has it.
`MaterializeResult` takes a `DataVersion`; `AssetMaterialization`, which records a second partition, does not."""

DATA_VERSION_IS_OURS = "dagster/data_version_is_user_provided"
"""Beside `DATA_VERSION`: Dagster did not compute it."""

REPOSITORY_LABEL = ".dagster/repository"
"""Hidden tag by which the UI finds the code location of a run. `execute_in_process` sets none and takes no location."""

BACKFILL = "dagster/backfill"
"""Tag of a run with the id of its backfill. `DagsterRun` has no property for it."""
