"""Named files: the boundary behind which published files, outputs and requests lie.

A file has a name relative to the storage (`outputs/trips_by_week.csv`). Only this package knows where it lies and how
it gets there whole. The code that writes it decides its name and content. No Dagster.
"""

from taxi_pipeline.storage.interface import Draft, MissingFileError, Storage, StoredFile
from taxi_pipeline.storage.local_folder import LocalFolder
from taxi_pipeline.storage.whole_files import FileInUseError, StorageError

__all__ = ["Draft", "FileInUseError", "LocalFolder", "MissingFileError", "Storage", "StorageError", "StoredFile"]
