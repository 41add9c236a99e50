"""The IO manager of the datasets: it stores the data frame that an asset returns, and loads it again.

The files lie in the storage, which writes them whole or not at all. How a data frame becomes bytes is in `datasets`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.datasets.columns import DATASETS, dataset_file
from taxi_pipeline.datasets.encoding import decoded, encoded
from taxi_pipeline.datasets.listing import list_datasets
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, file_metadata, table, table_schema
from taxi_pipeline.defs.partitions import fleet_and_month
from taxi_pipeline.storage import MissingFileError, Storage, StoredFile
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    import pandas as pd


class FramesByPartition(Mapping[str, "pd.DataFrame"]):
    """The data frames of several partitions. Each is made when it is asked for, so that a run holds few at a time.

    Args:
        keys: the partition keys.
        make: makes the frame of a partition.
    """

    def __init__(self, keys: Sequence[str], make: "Callable[[str], pd.DataFrame]") -> None:
        self._make = dict.fromkeys(keys, make)

    def __getitem__(self, key: str) -> "pd.DataFrame":
        return self._make[key](key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)


def _is_of_frames(context: dg.TypeCheckContext, value: object) -> bool:  # noqa: ARG001
    import pandas as pd

    return isinstance(value, pd.DataFrame | Mapping)


DATA_FRAME = dg.DagsterType(
    _is_of_frames,
    "DataFrame",
    description="A pandas data frame with the declared columns; in a run of several partitions, one for each of them",
)
"""Dagster type of the assets that return a frame; without it Dagster takes `MaterializeResult` for "no value"."""

_TABLES = {declared.name: declared for declared in DATASETS}


class DatasetIOManager(dg.IOManager):
    """Keeps each partition, a fleet's month, as a file of the storage.

    A downstream asset gets a data frame for one partition, and `FramesByPartition` for several. With the metadata
    `allow_missing_partitions` of its input it always gets the latter, which lacks the partitions that were not
    materialized.

    Args:
        files: the storage.
        extension: `parquet` or `csv`.
    """

    def __init__(self, files: Storage, extension: str) -> None:
        self._files = files
        self._extension = extension

    def handle_output(self, context: dg.OutputContext, obj: "pd.DataFrame | Mapping[str, pd.DataFrame]") -> None:
        """Write the data frame of each partition, and show how many rows it has, and the first of them.

        Args:
            context: of the output.
            obj: the frame of the run's only partition, or partition key → frame.

        Raises:
            WrongColumnsError: a frame has other columns than its dataset declares.
        """
        frames = obj if isinstance(obj, Mapping) else {context.asset_partition_key: obj}
        written: list[StoredFile] = []
        try:
            for key, frame in frames.items():
                shown = self._write(_TABLES[context.asset_key.path[-1]], key, frame, written)
                # `context.add_output_metadata` knows no partitions.
                dg.AssetExecutionContext.get().add_asset_metadata(shown, context.asset_key, partition_key=key)
        finally:  # also of the partitions before one that fails
            list_datasets(self._files, written)

    def _write(
        self, declared: Table, partition_key: str, frame: "pd.DataFrame", written: list[StoredFile]
    ) -> dict[str, Any]:
        """Write a partition's frame, and add the file to those written; returns its metadata."""
        name, _ = self._file(declared, partition_key)
        file = self._files.write(name, encoded(frame, declared, self._extension))
        written.append(file)
        shown = frame.head(PREVIEW_ROWS).astype(object)
        rows = shown.where(shown.notna(), None).itertuples(index=False)
        return {
            **file_metadata(file),
            "path": dg.MetadataValue.path(file.uri),
            "dagster/column_schema": table_schema(declared),
            "dagster/partition_row_count": len(frame),
            "preview": table(declared.column_names, rows),
        }

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame | Mapping[str, pd.DataFrame]":
        """Read the data frame of the input's partition; those of several are read when they are asked for.

        Raises:
            FileNotFoundError: a partition was not materialized; says so.
            WrongColumnsError: another version wrote a file.
        """
        declared = _TABLES[context.asset_key.path[-1]]
        keys = context.asset_partition_keys
        if (context.definition_metadata or {}).get("allow_missing_partitions"):
            keys = [key for key in keys if self._files.exists(self._file(declared, key)[0])]
        elif len(keys) == 1:
            return self._frame(declared, keys[0])
        return FramesByPartition(keys, lambda key: self._frame(declared, key))

    def _frame(self, declared: Table, partition_key: str) -> "pd.DataFrame":
        name, fleet = self._file(declared, partition_key)
        try:
            content = self._files.read(name)
        except MissingFileError as error:
            raise FileNotFoundError(f"{error}: materialize {declared.name} for this partition first") from error
        return decoded(content, declared, fleet, self._extension)

    def _file(self, declared: Table, partition_key: str) -> tuple[str, str]:
        """The name of a partition's file in the storage, and its fleet."""
        fleet, month = fleet_and_month(partition_key)
        return dataset_file(declared.name, fleet, month, self._extension), fleet


def build_datasets_io_manager(extension: str) -> dg.IOManagerDefinition:
    """Build the IO manager over the resource `files`.

    Args:
        extension: suffix of the files, `parquet` or `csv`.
    """

    @dg.io_manager(required_resource_keys={"files"})
    def datasets(context: dg.InitResourceContext) -> DatasetIOManager:
        return DatasetIOManager(context.resources.files, extension)

    return datasets
