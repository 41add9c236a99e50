"""Which storage a URL names."""

import importlib.util
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_pipeline.storage.interface import Storage
from taxi_pipeline.storage.local_folder import LocalFolder
from taxi_pipeline.storage.whole_files import StorageError

OBJECT_STORE_SCHEMES = ("s3", "gs", "az")


def open_storage(url: str, *, scratch: Path, postgres_url: str | None = None) -> Storage:
    """The storage at a URL. Nothing is requested or written yet.

    Args:
        url: `file://`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
        scratch: a local folder for copies of the files of an object store, as long as they are used.
        postgres_url: a Postgres database whose locks keep the processes of several machines out of each other's files
            in an object store; None for locks of this machine.

    Raises:
        StorageError: the libraries for object stores are not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalFolder(Path(unquote(parts.path)))
    if importlib.util.find_spec("obstore") is None:
        raise StorageError(f"{url} needs the extra s3: pip install 'taxi-pipeline[s3]'")
    from taxi_pipeline.storage.bucket import Bucket
    from taxi_pipeline.storage.locks import MachineLocks, PostgresLocks
    from taxi_pipeline.storage.object_store import ObjectStore

    locks = PostgresLocks(postgres_url, space=url) if postgres_url else MachineLocks(scratch)
    return ObjectStore(Bucket(url), locks=locks, scratch=scratch)
