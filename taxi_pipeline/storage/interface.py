"""What every storage of named files can do. Each implementation has a module of its own."""

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taxi_pipeline.errors import LoadError


class MissingFileError(LoadError):
    """A named file does not exist."""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file in the storage."""

    name: str
    """Relative to the storage, with forward slashes."""
    uri: str
    size_bytes: int
    sha256: str
    """SHA-256 of the bytes, hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What lies in the storage under a name."""

    name: str
    """Relative to the storage, with forward slashes."""
    oddity: str = ""
    """What it is where it is no regular file, for example `a symbolic link`; empty for a file."""


class Draft:
    """A file that is being written: a local path now, the named file when its block ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stored: StoredFile | None = None

    @property
    def stored(self) -> StoredFile:
        """The file as it was stored; known when the block has ended.

        Raises:
            RuntimeError: the block has not ended, or it raised.
        """
        if self._stored is None:
            raise RuntimeError(f"{self.path.name} is not stored yet: the draft's block has not ended")
        return self._stored

    def finish(self, stored: StoredFile) -> None:
        """Called by the storage when the file is in place."""
        self._stored = stored


class Storage(ABC):
    """Named files. A reader sees the old content of a file or the new one, never a part.

    Names are relative, with forward slashes: `raw/taxi_zones.zip`. A name that is absolute, empty, or that holds `..`
    or a backslash is refused with a ValueError by every method.
    """

    @abstractmethod
    def uri(self, name: str) -> str:
        """Where the file of that name lies, whether it exists or not."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The whole content of a file.

        Raises:
            MissingFileError: there is no such file.
        """

    @abstractmethod
    def write(self, name: str, content: bytes | str) -> StoredFile:
        """Write a whole file; text is stored as UTF-8, with its line ends as they are.

        Raises:
            StorageError: the storage does not take it; what was there before stays.
        """

    @abstractmethod
    def draft(self, name: str) -> AbstractContextManager[Draft]:
        """A local path to write to; what is there when the block ends becomes the named file.

        For what is too large for memory, or must be verified before it takes the place of the old file. If the block
        raises, the named file stays as it was.

        Raises:
            StorageError: the storage does not take it; what was there before stays.
        """

    @abstractmethod
    def local_copy(self, name: str) -> AbstractContextManager[Path]:
        """A local path with the file's content, for libraries that need one. Only to read, and only in the block.

        Raises:
            MissingFileError: there is no such file.
        """

    @abstractmethod
    def describe(self, name: str) -> StoredFile:
        """URI, size and SHA-256 of a file as it is now.

        Raises:
            MissingFileError: there is no such file.
        """

    @abstractmethod
    def size_bytes(self, name: str) -> int:
        """The size of a file, without reading it.

        Raises:
            MissingFileError: there is no such file.
        """

    @abstractmethod
    def list(self, pattern: str) -> Sequence[str]:
        """The names of the files in one folder that match, sorted: `raw/yellow_tripdata_????-??.parquet`.

        Wildcards stand after the last slash only. Files whose own name begins with a dot are left out.
        """

    @abstractmethod
    def entries_below(self, folder: str) -> Sequence[Entry]:
        """All that lies below a folder, at any depth, sorted by name; hidden files, too, and what is no file.

        Left out are what the storage itself puts there: locks, and drafts that are not finished. Symbolic links are
        listed, and not followed.

        Raises:
            StorageError: a folder can't be listed.
        """

    @abstractmethod
    def digest(self, name: str) -> StoredFile:
        """URI, size and SHA-256 of a file, from reading all of its bytes now; `describe` may know them by a note.

        Raises:
            MissingFileError: there is no such file.
            StorageError: it can't be read.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file, if it exists."""

    @abstractmethod
    def lock(self, *names: str) -> AbstractContextManager[None]:
        """Keep other processes that lock one of these names waiting until the block ends, or the process.

        Raises:
            FileInUseError: another process holds one of them for too long; names the process.
        """

    def read_text(self, name: str) -> str:
        """The whole content of a UTF-8 text file.

        Raises:
            MissingFileError: there is no such file.
        """
        return self.read(name).decode("utf-8")


def is_listed(last_part: str, wildcard: str) -> bool:
    """Whether a listing by this wildcard shows a file whose name ends with this part."""
    return not last_part.startswith(".") and fnmatch.fnmatchcase(last_part, wildcard)


def checked_name(name: str) -> str:
    """The name as storages use it, without empty parts.

    Raises:
        ValueError: it is no name in a storage.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name:
        raise ValueError(f"{name!r} is not a name in the storage: it must be relative, without .. and backslashes")
    return "/".join(parts)
