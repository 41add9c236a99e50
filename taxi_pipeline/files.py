"""Files that are never half there: writing under a temporary name and moving into place.

Plain Python. What a file is called and what is in it belongs to whoever writes it.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path in the target's folder; what was written there takes the target's place at the end.

    A reader sees the old file or the new one, never a part. If the block raises, the temporary file is removed and
    the target stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes names that no other process has; the suffix stays, because writers look at it.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}.", suffix=f".tmp{target.suffix}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
        _flush_to_disk(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
