"""From which version of the warehouse an output was made: kept beside the outputs, because their bytes must not change.

An output that differs from the trips is wrong, unless the warehouse was written to after the output was made.
"""

import json

from taxi_pipeline.storage import MissingFileError, Storage, StoredFile


def write_output(files: Storage, name: str, content: bytes | str, *, version: int) -> StoredFile:
    """Write an output, and note the version of the warehouse it was made from.

    A process that is killed in between leaves the older version in the note, so the output counts as older than it is.
    """
    stored = files.write(name, content)
    files.write(_note_name(name), json.dumps({"warehouse_version": version}) + "\n")
    return stored


def made_from(files: Storage, name: str) -> int:
    """The version of the warehouse that an output was made from; 0 when it is not known."""
    try:
        return int(json.loads(files.read(_note_name(name)))["warehouse_version"])
    except (MissingFileError, ValueError, KeyError, TypeError):
        return 0


def _note_name(name: str) -> str:
    return f"staging/made_from/{name.rpartition('/')[2]}.json"
