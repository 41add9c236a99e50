"""A note of the warehouse's version that each output was made from.

The note is a file of its own, because equal trips must give equal bytes of the output. An output that differs from the
trips is wrong, unless the warehouse was written to after the output was made.
"""

import json

from taxi_pipeline.storage import MissingFileError, Storage, StoredFile


def write_output(files: Storage, name: str, content: bytes | str, *, version: int) -> StoredFile:
    """Write an output, and note the version of the warehouse it was made from.

    A process that is killed in between leaves the older version in the note, so the output counts as older than it is.

    Args:
        files: the storage.
        name: name of the output in the storage.
        content: the output's content; text is stored as UTF-8.
        version: `warehouse_version` when the output's query ran.
    """
    stored = files.write(name, content)
    files.write(_note_name(name), json.dumps({"warehouse_version": version}) + "\n")
    return stored


def made_from(files: Storage, name: str) -> int:
    """Read the version of the warehouse that an output was made from; 0 when it is not known."""
    try:
        return int(json.loads(files.read(_note_name(name)))["warehouse_version"])
    except (MissingFileError, ValueError, KeyError, TypeError):
        return 0


def _note_name(name: str) -> str:
    return f"staging/made_from/{name.rpartition('/')[2]}.json"
