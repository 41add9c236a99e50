"""Local files that are never half written: a temporary name, a move into place, and locks between processes.

For local paths only: `local_folder` builds on it, and so does what writes outside the storage (a copy of the DuckDB
file, sample data).
"""

import errno
import fcntl
import glob
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taxi_pipeline.errors import TaxiPipelineError

LOCK_TIMEOUT_SECONDS = 900
"""How long to wait for a file that another process has locked: longer than the longest wait for a server."""

LOCKS = ".locks"
"""Name of the folder in which the locks of a folder's files lie."""

_ADVICE_BY_ERRNO = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "free some space, or raise the limit on a file's size",
    errno.EROFS: "make the folder writable, or name another one",
    errno.EACCES: "make the folder writable, or name another one",
    errno.EPERM: "make the folder writable, or name another one",
    errno.ENOTDIR: "name a folder that does not lie below a file",
    errno.EEXIST: "name a folder that is no file",
    errno.ENAMETOOLONG: "name a folder with a shorter path",
    errno.EIO: "check the disk",
}


class StorageError(TaxiPipelineError):
    """The disk or the object store refuses what is asked of it; the message says why and what to do."""


class FileInUseError(TaxiPipelineError):
    """Another process holds the lock on a file for longer than the timeout."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary path in the target's folder; what is written there takes the target's place at the end.

    A reader sees the old file or the new one, never a part. If the block raises, the temporary file is removed and
    the target stays as it was. What a killed process left behind is removed by the next call for the target.

    Raises:
        StorageError: the disk is full, the folder is read-only, or the like.
    """
    with explaining_disk_errors(target):
        if target.exists() and not target.is_file():
            raise StorageError(f"{target} can't be written: there is something else than a file, which stays as it is")
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        with _temporary_beside(target) as temporary:
            yield temporary
            _flush_to_disk(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
            _flush_to_disk(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they don't exist.

    Raises:
        StorageError: they can't be made.
    """
    with explaining_disk_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # /proc takes no folders
            raise StorageError(f"the folder {folder} can't be made: {folder.parent} takes none") from error


@contextmanager
def locked(target: Path, *, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold a lock on a file, which other processes that lock it wait for; the lock ends with the process, too.

    Raises:
        FileInUseError: another process holds it for longer than the timeout; names its process id.
        StorageError: the lock's own file can't be made.
    """
    from filelock import FileLock, Timeout

    lock_file = target.parent / LOCKS / f"{target.name}.lock"
    make_folder(lock_file.parent)
    lock = FileLock(
        lock_file, timeout=timeout_seconds, on_acquired=lambda handle: write_whole(handle, f"{os.getpid()}\n")
    )
    try:
        with explaining_disk_errors(lock_file):
            lock.acquire()
    except Timeout as error:
        holder = lock_file.read_text().strip() or "unknown"
        raise FileInUseError(
            f"process {holder} has locked {target} for more than {timeout_seconds:g} s. "
            "Nothing was changed; wait until it is done or stop it, then run again"
        ) from error
    try:
        yield
    finally:
        lock.release()


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_draft(name: str) -> bool:
    """Whether a file of this name, without folders, is one that is being written, or was by a killed process."""
    return re.fullmatch(r"\..*\.\w{8}\.tmp(\.\w+)*", name, re.DOTALL) is not None


def write_whole(handle: int, text: str) -> None:
    """Make an open file hold this text alone."""
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


@contextmanager
def explaining_disk_errors(path: Path) -> Iterator[None]:
    """Turn an error of the disk into a StorageError that says what it means for the path, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ADVICE_BY_ERRNO:
            raise
        raise StorageError(
            f"{path} can't be written: {os.strerror(error.errno)}. "
            f"What was there is untouched; {_ADVICE_BY_ERRNO[error.errno]}, then run again"
        ) from error


@contextmanager
def _temporary_beside(target: Path) -> Iterator[Path]:
    """A new file in the target's folder, locked as long as it is being written, so that no other removes it."""
    while True:
        # mkstemp makes names that no other process has; the suffix stays, because writers look at it.
        try:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}.", suffix=f".tmp{target.suffix}")
        except FileNotFoundError as error:  # the folder was there a moment ago: /proc takes no files
            raise StorageError(f"{target} can't be written: no file can be made in {target.parent}") from error
        temporary = Path(name)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if temporary.exists():
            break
        os.close(handle)  # another process took it for a leftover before it was locked
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _remove_leftovers(target: Path) -> None:
    """Remove the target's temporary files that no living process has locked, and what libraries wrote beside them."""
    for path in target.parent.glob(f".{glob.escape(target.stem)}.*.tmp{glob.escape(target.suffix)}"):
        with suppress(FileNotFoundError, BlockingIOError, PermissionError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for beside in target.parent.glob(f"{glob.escape(path.name)}.*"):
                beside.unlink(missing_ok=True)
            path.unlink()


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # The mask can only be read by setting it; mkstemp's 0600 would hide outputs from the owner's group.
    mask = os.umask(0)
    os.umask(mask)
    return mask
