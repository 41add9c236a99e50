"""Files that an asset, a check or a load needs and another asset writes. No Dagster."""

from taxi_pipeline.storage import MissingFileError, Storage


def require_file(files: Storage, name: str, *, written_by: str) -> None:
    """Make sure that a file exists before it is read.

    Args:
        files: the storage.
        name: of the file.
        written_by: the asset that writes it.

    Raises:
        MissingFileError: it does not exist; says which asset to materialize.
    """
    if not files.exists(name):
        raise MissingFileError(f"{files.uri(name)} does not exist: materialize {written_by} first")
