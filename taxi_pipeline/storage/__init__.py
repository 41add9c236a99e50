"""Named files: the boundary behind which published files, outputs and requests lie.

A file has a name relative to the store (`outputs/trips_by_week.csv`). Where it lies, and how it gets there whole, is
known here and nowhere else. What a file is called and what is in it belongs to the code that writes it. No Dagster.
"""

from taxi_pipeline.storage.interface import Draft, MissingFileError, Storage, StoredFile
from taxi_pipeline.storage.local_folder import LocalFolder
from taxi_pipeline.storage.whole_files import FileInUseError, StorageError

__all__ = ["Draft", "FileInUseError", "LocalFolder", "MissingFileError", "Storage", "StorageError", "StoredFile"]
