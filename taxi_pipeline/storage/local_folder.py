"""Named files in a folder of this machine."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from taxi_pipeline.storage.interface import Draft, Entry, MissingFileError, Storage, StoredFile, checked_name, is_listed
from taxi_pipeline.storage.whole_files import LOCKS, StorageError, is_draft, locked, replacing, sha256_of


class LocalFolder(Storage):
    """The files below a folder. It is made when the first file is written."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def uri(self, name: str) -> str:
        """A `file://` URI."""
        return _uri_of(self._path(name))

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return self._path(name).is_file()

    def read(self, name: str) -> bytes:
        """The whole content of a file."""
        path = self._path(name)
        try:
            return path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise MissingFileError(f"{_uri_of(path)} does not exist") from None

    def write(self, name: str, content: bytes | str) -> StoredFile:
        """Write a whole file."""
        with self.draft(name) as draft:
            draft.path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return draft.stored

    @contextmanager
    def draft(self, name: str) -> Iterator[Draft]:
        """A temporary path in the file's own folder, which takes the file's place at the end."""
        path = self._path(name)
        with replacing(path) as temporary:
            draft = Draft(temporary)
            yield draft
            stored = self._describe(name, temporary)
        draft.finish(stored)

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        """The file itself."""
        path = self._path(name)
        if not path.is_file():
            raise MissingFileError(f"{_uri_of(path)} does not exist")
        yield path

    def describe(self, name: str) -> StoredFile:
        """URI, size and SHA-256 of a file as it is now."""
        with self.local_copy(name) as path:
            return self._describe(name, path)

    def size_bytes(self, name: str) -> int:
        """The size of a file."""
        with self.local_copy(name) as path:
            return path.stat().st_size

    def list(self, pattern: str) -> Sequence[str]:
        """The names of the files in one folder that match, sorted."""
        folder, _, wildcard = pattern.rpartition("/")
        parent = self._path(folder) if folder else self._root
        prefix = f"{folder}/" if folder else ""
        if not parent.is_dir():
            return []
        return sorted(
            f"{prefix}{path.name}" for path in parent.iterdir() if is_listed(path.name, wildcard) and path.is_file()
        )

    def entries_below(self, folder: str) -> Sequence[Entry]:
        """All that lies below a folder; symbolic links are not followed."""
        top = self._path(folder)
        found = []
        for parent, folders, names in os.walk(top, onerror=_refuse):
            paths = [Path(parent, name) for name in (*names, *folders)]
            found += [
                Entry(name=path.relative_to(self._root).as_posix(), oddity=_oddity_of(path))
                for path in paths
                if (path.name in names or path.is_symlink()) and not is_draft(path.name) and not _is_lock(path)
            ]
        return sorted(found, key=lambda entry: entry.name)

    def digest(self, name: str) -> StoredFile:
        """The same as `describe`, which reads the file."""
        try:
            return self.describe(name)
        except PermissionError as error:
            raise StorageError(f"{self.uri(name)} can't be read: {error.strerror}. Make it readable") from error

    def delete(self, name: str) -> None:
        """Remove a file, if it exists."""
        self._path(name).unlink(missing_ok=True)

    @contextmanager
    def lock(self, *names: str) -> Iterator[None]:
        """Lock by files in `.locks` folders, which the operating system releases when the process ends."""
        with ExitStack() as stack:
            for name in sorted(set(names)):  # in one order, so that two processes can't wait for each other
                stack.enter_context(locked(self._path(name)))
            yield

    def _path(self, name: str) -> Path:
        return self._root / checked_name(name)

    def _describe(self, name: str, path: Path) -> StoredFile:
        return StoredFile(name=name, uri=self.uri(name), size_bytes=path.stat().st_size, sha256=sha256_of(path))


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a folder that is not there has nothing below it
        raise StorageError(f"{error.filename} can't be listed: {error.strerror}. Make the folder readable") from error


def _is_lock(path: Path) -> bool:
    return path.parent.name == LOCKS and path.suffix == ".lock"


_ODDITIES = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _oddity_of(path: Path) -> str:
    """What the path is where it is no regular file of the storage."""
    if "\\" in path.name:
        return "a name with a backslash, which no storage takes"
    return _ODDITIES.get(stat.S_IFMT(path.lstat().st_mode), "")


def _uri_of(path: Path) -> str:
    """As `Path.as_uri`, but `=` stays as it is, which folders of datasets have in their names."""
    return path.as_uri().replace("%3D", "=")
