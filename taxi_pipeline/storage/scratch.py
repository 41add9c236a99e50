"""Local copies of an object store's files, as long as a process uses them."""

import fcntl
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from taxi_pipeline.storage.whole_files import explaining_disk_errors


class Scratch:
    """A folder below another, which is removed with this object; that of a killed process by the next one."""

    def __init__(self, parent: Path) -> None:
        """Nothing is made yet.

        Args:
            parent: the folder that holds those of all processes.
        """
        self._parent = parent
        self._folder: Path | None = None
        self._num_paths = 0

    def new_path(self, name: str) -> Path:
        """A path that nothing has yet, with the last part of the name: libraries look at its suffix.

        Raises:
            StorageError: the folder can't be made.
        """
        with explaining_disk_errors(self._parent):
            if self._folder is None:
                self._folder = self._made()
            self._num_paths += 1
            path = self._folder / str(self._num_paths) / name.rpartition("/")[2]
            path.parent.mkdir()
            return path

    def _made(self) -> Path:
        self._parent.mkdir(parents=True, exist_ok=True)
        for other in self._parent.glob("process-*"):
            _remove_if_abandoned(other)
        while True:
            folder = Path(tempfile.mkdtemp(dir=self._parent, prefix=f"process-{os.getpid()}-"))
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the process
            if folder.exists():
                break
            os.close(lock)  # another process took it for an abandoned one before it was locked
        weakref.finalize(self, _remove, folder, os.getpid(), lock)
        return folder


def _remove(folder: Path, process_id: int, lock: int) -> None:
    if os.getpid() == process_id:  # a process that was forked from it leaves it alone
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
