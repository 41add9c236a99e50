"""The IO manager of the datasets: where the data frame that an asset returns is kept, and how it is loaded again.

The files lie in the storage, which writes them whole or not at all. How a data frame becomes bytes is in `datasets`.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.datasets.encoding import decoded, encoded
from taxi_pipeline.datasets.tables import DATASETS, dataset_file
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, file_metadata, table
from taxi_pipeline.defs.partitions import fleet_and_month
from taxi_pipeline.storage import MissingFileError, Storage
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    from upath import UPath


def _is_data_frame(context: dg.TypeCheckContext, value: object) -> bool:  # noqa: ARG001
    import pandas as pd

    return isinstance(value, pd.DataFrame)


DATA_FRAME = dg.DagsterType(_is_data_frame, "DataFrame", description="A pandas data frame with the declared columns")
"""Of the assets that return a value; without it Dagster takes `MaterializeResult` for "no value"."""

_TABLES = {declared.name: declared for declared in DATASETS}


class DatasetIOManager(dg.UPathIOManager):
    """Keeps each partition, a fleet's month, as a file of the storage.

    A downstream asset gets a data frame for one partition, and a dictionary of partition key → data frame for several.
    The paths of `UPathIOManager` are in memory and stand for names in the storage, which alone opens files.
    """

    def __init__(self, files: Storage, extension: str) -> None:
        """Nothing is read or written yet.

        Args:
            files: the storage.
            extension: `parquet` or `csv`.
        """
        from upath import UPath

        self.extension = f".{extension}"
        self._extension = extension
        self._files = files
        self._root = UPath("memory:///datasets")
        super().__init__(self._root)

    def get_path_for_partition(
        self,
        context: dg.InputContext | dg.OutputContext,  # noqa: ARG002
        path: "UPath",
        partition: str,
    ) -> "UPath":
        """The path of a fleet's month; the base adds the extension."""
        fleet, month = fleet_and_month(partition)
        name = dataset_file(path.name, fleet, month, self._extension)
        return self._root.joinpath(*name.removesuffix(f".{self._extension}").split("/")[1:])

    def make_directory(self, path: "UPath") -> None:
        """The storage makes folders itself."""

    def path_exists(self, path: "UPath") -> bool:
        """Whether the storage has the file."""
        return self._files.exists(_name(path))

    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: "UPath") -> None:
        """Write a data frame, and show how many rows it has, and the first of them.

        Raises:
            WrongColumnsError: it has other columns than its dataset declares.
        """
        declared = _table_of(path)
        file = self._files.write(_name(path), encoded(obj, declared, self._extension))
        shown = obj.head(PREVIEW_ROWS).astype(object)
        rows = shown.where(shown.notna(), None).itertuples(index=False)
        context.add_output_metadata(
            {
                **file_metadata(file),
                "dagster/partition_row_count": len(obj),
                "preview": table(declared.column_names, rows),
            }
        )

    def load_from_path(self, context: dg.InputContext, path: "UPath") -> Any:  # noqa: ARG002
        """Read a data frame.

        Raises:
            FileNotFoundError: the partition was not materialized; says so.
            WrongColumnsError: another version wrote the file.
        """
        name = _name(path)
        try:
            content = self._files.read(name)
        except MissingFileError as error:
            raise FileNotFoundError(f"{error}: materialize {_table_of(path).name} for this partition first") from error
        fleet = path.parent.name.removeprefix("fleet=")
        return decoded(content, _table_of(path), fleet, self._extension)

    def get_loading_input_partition_log_message(self, path: "UPath", partition_key: str) -> str:
        """Where the partition really is."""
        return f"Loading {partition_key} from {self._files.uri(_name(path))}"

    def get_writing_output_log_message(self, path: "UPath") -> str:
        """Where the file really will be."""
        return f"Writing {self._files.uri(_name(path))}"

    def get_metadata(self, context: dg.OutputContext, obj: Any) -> dict[str, Any]:  # noqa: ARG002
        """Where the file lies, in the place of the path in memory."""
        fleet, month = fleet_and_month(context.partition_key)
        name = dataset_file(context.asset_key.path[-1], fleet, month, self._extension)
        return {"path": dg.MetadataValue.path(self._files.uri(name))}


def _name(path: "UPath") -> str:
    return path.path.lstrip("/")


def _table_of(path: "UPath") -> Table:
    return _TABLES[_name(path).split("/")[1]]


def build_datasets_io_manager(extension: str) -> dg.IOManagerDefinition:
    """The IO manager over the resource `files`.

    Args:
        extension: of the files, `parquet` or `csv`.
    """

    @dg.io_manager(required_resource_keys={"files"})
    def datasets(context: dg.InitResourceContext) -> DatasetIOManager:
        return DatasetIOManager(context.resources.files, extension)

    return datasets
