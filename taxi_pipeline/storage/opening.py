"""Which storage a URL names."""

import importlib.util
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_pipeline.storage.interface import Storage
from taxi_pipeline.storage.local_folder import LocalFolder
from taxi_pipeline.storage.whole_files import StorageError

OBJECT_STORE_SCHEMES = ("s3", "gs", "az")


def open_storage(url: str, *, scratch: Path, postgres_url: str | None = None, pages_url: str | None = None) -> Storage:
    """The storage at a URL. Nothing is requested or written yet.

    Args:
        url: `file://`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
        scratch: a local folder for copies of the files of an object store, as long as they are used.
        postgres_url: a Postgres database whose locks keep processes out of each other's files in an object store.
        pages_url: where `taxi-pipeline pages` serves the outputs of this storage.

    Raises:
        StorageError: the libraries for object stores are not installed.
    """
    storage = _storage_at(url, scratch, postgres_url)
    storage.pages_url = pages_url
    return storage


def _storage_at(url: str, scratch: Path, postgres_url: str | None) -> Storage:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalFolder(Path(unquote(parts.path)))
    if importlib.util.find_spec("obstore") is None:
        raise StorageError(f"{url} needs the extra s3: pip install 'taxi-pipeline[s3]'")
    from taxi_pipeline.storage.bucket import Bucket
    from taxi_pipeline.storage.locks import LeaseLocks, PostgresLocks
    from taxi_pipeline.storage.object_store import ObjectStore

    bucket = Bucket(url)
    locks = PostgresLocks(postgres_url, space=url) if postgres_url else LeaseLocks(bucket, machine=scratch)
    return ObjectStore(bucket, locks=locks, scratch=scratch)
