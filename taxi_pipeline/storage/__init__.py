"""Named files: the boundary behind which published files, outputs and requests lie.

A file has a name relative to the storage (`outputs/trips_by_week.csv`). Only this package knows where it lies and how
it gets there whole: in a folder (`local_folder`) or in an object store (`object_store`). The code that writes a file
decides its name and content. No Dagster.
"""

from taxi_pipeline.storage.interface import Draft, Entry, MissingFileError, Storage, StoredFile
from taxi_pipeline.storage.local_folder import LocalFolder
from taxi_pipeline.storage.opening import open_storage
from taxi_pipeline.storage.whole_files import FileInUseError, StorageError

__all__ = [
    "Draft",
    "Entry",
    "FileInUseError",
    "LocalFolder",
    "MissingFileError",
    "Storage",
    "StorageError",
    "StoredFile",
    "open_storage",
]
