"""Named files in an object store: S3, Google Cloud Storage, Azure."""

import hashlib
import mimetypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from taxi_pipeline.storage.bucket import Bucket, ChangedError, StoredObject
from taxi_pipeline.storage.interface import Draft, Entry, MissingFileError, Storage, StoredFile, checked_name, is_listed
from taxi_pipeline.storage.locks import Locks
from taxi_pipeline.storage.scratch import Scratch
from taxi_pipeline.storage.whole_files import StorageError, explaining_disk_errors, sha256_of

Result = TypeVar("Result")

_SHA256 = "sha256"
"""Name of the metadata that holds an object's SHA-256, so that describing a file does not mean reading it."""

_ATTEMPTS = 3
"""At reading an object that is replaced meanwhile."""


class ObjectStore(Storage):
    """The objects below a URL.

    A reader sees an old object or a new one, because the store makes an object visible when all of it has arrived. A
    local copy of what was read or written is kept as long as this object lives, and used while the store has the same
    version.
    """

    def __init__(self, bucket: Bucket, *, locks: Locks, scratch: Path) -> None:
        """Nothing is requested yet.

        Args:
            bucket: holds the objects.
            locks: keep other processes out.
            scratch: a local folder for the copies.
        """
        self._bucket = bucket
        self._locks = locks
        self._scratch = Scratch(scratch)
        self._copies: dict[str, tuple[StoredObject, Path]] = {}

    def uri(self, name: str) -> str:
        """The URL of the object, with the scheme of the store."""
        return self._bucket.uri(checked_name(name))

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""
        try:
            self._bucket.head(checked_name(name))
        except MissingFileError:
            return False
        return True

    def read(self, name: str) -> bytes:
        """The whole content of an object."""
        return self._bucket.read(checked_name(name))[0]

    def write(self, name: str, content: bytes | str) -> StoredFile:
        """Write a whole object."""
        name = checked_name(name)
        data = content.encode("utf-8") if isinstance(content, str) else content
        stored = self._stored_file(name, len(data), hashlib.sha256(data).hexdigest())
        self._upload(stored, data)
        return stored

    @contextmanager
    def draft(self, name: str) -> Iterator[Draft]:
        """A path in the scratch folder, which is uploaded at the end."""
        name = checked_name(name)
        path = self._scratch.new_path(name)
        try:
            with explaining_disk_errors(path):
                draft = Draft(path)
                yield draft
                stored = self._stored_file(name, path.stat().st_size, sha256_of(path))
            e_tag = self._upload(stored, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._keep(name, StoredObject(e_tag=e_tag, size_bytes=stored.size_bytes, attributes={}), path)
        draft.finish(stored)

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        """A copy in the scratch folder."""
        yield self._current_copy(checked_name(name))

    def describe(self, name: str) -> StoredFile:
        """URI, size and SHA-256 of an object; the SHA-256 from its metadata when the pipeline wrote it."""
        name = checked_name(name)
        found = self._bucket.head(name)
        if sha256 := found.attributes.get(_SHA256):
            return self._stored_file(name, found.size_bytes, sha256)
        with self.local_copy(name) as path:
            return self._stored_file(name, path.stat().st_size, sha256_of(path))

    def size_bytes(self, name: str) -> int:
        """The size of an object."""
        return self._bucket.head(checked_name(name)).size_bytes

    def list(self, pattern: str) -> Sequence[str]:
        """The names of the objects in one folder that match, sorted."""
        folder, _, wildcard = pattern.rpartition("/")
        return sorted(name for name in self._bucket.names(folder) if is_listed(name.rpartition("/")[2], wildcard))

    def entries_below(self, folder: str) -> Sequence[Entry]:
        """All objects whose names begin with that of the folder."""
        return [Entry(name=name) for name in sorted(self._bucket.names_below(checked_name(folder)))]

    def digest(self, name: str) -> StoredFile:
        """Read the object once, and keep no copy."""
        name = checked_name(name)

        def digested(found: StoredObject) -> StoredFile:
            sha256, size_bytes = hashlib.sha256(), 0
            for part in self._bucket.parts(name, e_tag=found.e_tag):
                sha256.update(part)
                size_bytes += len(part)
            return self._stored_file(name, size_bytes, sha256.hexdigest())

        return self._of_one_version(name, digested)

    def delete(self, name: str) -> None:
        """Remove an object, if it exists."""
        self._bucket.delete(checked_name(name))

    def lock(self, *names: str) -> AbstractContextManager[None]:
        """Lock by what the storage was made with: a Postgres database, or files of this machine."""
        return self._locks.holding([checked_name(name) for name in names])

    def _upload(self, stored: StoredFile, content: bytes | Path) -> str:
        """Write the object, and give its ETag."""
        kind, _ = mimetypes.guess_type(stored.name)
        attributes = {_SHA256: stored.sha256, "Content-Type": kind or "application/octet-stream"}
        return self._bucket.put(stored.name, content, attributes=attributes)

    def _current_copy(self, name: str) -> Path:
        def copy(found: StoredObject) -> Path:
            kept, path = self._copies.get(name, (None, None))
            if kept and path and kept.e_tag == found.e_tag and path.is_file():
                return path
            return self._download(name, found)

        return self._of_one_version(name, copy)

    def _of_one_version(self, name: str, use: Callable[[StoredObject], Result]) -> Result:
        """What is made of an object's current version; again when it is replaced meanwhile."""
        for _ in range(_ATTEMPTS):
            with suppress(ChangedError):
                return use(self._bucket.head(name))
        raise StorageError(
            f"{self.uri(name)} was replaced each of {_ATTEMPTS} times that it was read. Run again when less is going on"
        )

    def _download(self, name: str, found: StoredObject) -> Path:
        """A copy of this version; ChangedError when it is no longer the current one."""
        path = self._scratch.new_path(name)
        try:
            with explaining_disk_errors(path), path.open("wb") as file:
                for part in self._bucket.parts(name, e_tag=found.e_tag):
                    file.write(part)
            if path.stat().st_size != found.size_bytes:
                raise StorageError(
                    f"{self.uri(name)}: {path.stat().st_size:,} bytes came where {found.size_bytes:,} were announced. "
                    "Run again"
                )
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._keep(name, found, path)
        return path

    def _keep(self, name: str, found: StoredObject, path: Path) -> None:
        """Use the path as the copy of this version, and no longer that of an older one."""
        _, old = self._copies.pop(name, (None, None))
        if old:
            old.unlink(missing_ok=True)  # who is reading it goes on reading it
        self._copies[name] = (found, path)

    def _stored_file(self, name: str, size_bytes: int, sha256: str) -> StoredFile:
        return StoredFile(name=name, uri=self._bucket.uri(name), size_bytes=size_bytes, sha256=sha256)
