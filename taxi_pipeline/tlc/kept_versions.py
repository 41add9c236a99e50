"""Older versions of months: what was in `raw/` before a newer version took its place, kept by its SHA-256.

`raw/versions/green_tripdata_2024-01.<sha256>.parquet` is a version of `raw/green_tripdata_2024-01.parquet`, with its
note beside it; `raw/versions/green_tripdata_2024-01.json` lists which version replaced which, and when. How two
versions differ is in `warehouse.month_changes`; that a version in its place stays there until somebody asks for another
is said in `held_months`.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from taxi_pipeline.errors import LoadError
from taxi_pipeline.storage import MissingFileError, Storage
from taxi_pipeline.storage.whole_files import sha256_of
from taxi_pipeline.tlc.fetch_note import FetchNote, note_name, read_note, write_note

ALL_VERSIONS = 1_000_000
"""How many versions of a month are kept where all are."""

_FOLDER = "raw/versions"


class NoSuchVersionError(LoadError):
    """No kept version, or more than one, is what was asked for."""


@dataclass(frozen=True, kw_only=True)
class KeptVersion:
    """A version of a month's file that another has replaced."""

    name: str
    """The name of the month's file in the storage, not of the kept one."""
    sha256: str
    note: FetchNote

    @property
    def kept_name(self) -> str:
        """The name of the kept file in the storage."""
        return _kept_name(self.name, self.sha256)


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """That one version of a month's file took the place of another."""

    name: str
    """The name of the month's file in the storage."""
    earlier: str
    """SHA-256 of the version that was replaced."""
    later: str
    """SHA-256 of the one that took its place."""
    replaced_at: str
    """When, in UTC."""


def keep_version(files: Storage, name: str, newer: Path, *, num_kept: int) -> None:
    """Keep the verified file that is in its place, before another takes it. The name must be locked.

    A file that is not what was verified is not kept, and neither is one with the same bytes as the newer one.

    Args:
        files: the storage.
        name: of the month's file.
        newer: local path of what takes its place.
        num_kept: how many replaced versions of the month are kept; those that were replaced first are deleted.

    Raises:
        StorageError: the storage does not take the copy; nothing is replaced.
    """
    note = read_note(files, name)
    if not num_kept or note is None or not note.sha256 or not files.exists(name):
        return
    later = sha256_of(newer)  # only where there is something to keep: a month that is new is not read once more
    if later == note.sha256 or (replaced_at := keep_copy(files, name, note)) is None:
        return
    _record(files, Replacement(name=name, earlier=note.sha256, later=later, replaced_at=replaced_at))
    for old in kept_versions(files, name)[:-num_kept]:
        files.delete(old.kept_name)
        files.delete(note_name(old.kept_name))


def keep_copy(files: Storage, name: str, note: FetchNote) -> str | None:
    """Copy the file that is in its place to the kept versions. The name must be locked.

    Args:
        files: the storage.
        name: of the month's file.
        note: of the file; names the version that was verified.

    Returns:
        When, in UTC; None, and nothing is kept, when the file is not the version that was verified.
    """
    if not note.sha256 or files.describe(name).sha256 != note.sha256:
        return None
    kept, now = _kept_name(name, note.sha256), datetime.now(UTC).isoformat()
    if not (files.exists(kept) and files.describe(kept).sha256 == note.sha256):
        with files.local_copy(name) as current, files.draft(kept) as draft:
            shutil.copyfile(current, draft.path)
    write_note(files, kept, replace(note, failure=None, pinned=False, replaced_at=now))
    return now


def kept_versions(files: Storage, name: str | None = None) -> Sequence[KeptVersion]:
    """The kept versions of a month, or of all, by month and in the order in which they were replaced.

    Args:
        files: the storage.
        name: of the month's file; None for all months.
    """
    month = "*" if name is None else _stem(name)
    found = (_read(files, kept_name) for kept_name in files.list(f"{_FOLDER}/{month}.*.parquet"))
    return sorted((kept for kept in found if kept), key=lambda kept: (kept.name, kept.note.replaced_at or ""))


def replacements(files: Storage) -> Sequence[Replacement]:
    """Which version replaced which, by month and in the order of time, since versions are kept."""
    return [found for name in files.list(f"{_FOLDER}/*_tripdata_????-??.json") for found in _history(files, name)]


def file_of_version(files: Storage, name: str, sha256: str) -> str | None:
    """The name of the file that has a version of a month, kept or in its place; None when it is not there any more."""
    note = read_note(files, name)
    if note and note.sha256 == sha256 and files.exists(name):
        return name
    return _kept_name(name, sha256) if files.exists(_kept_name(name, sha256)) else None


def find_version(files: Storage, sha256: str) -> KeptVersion:
    """The kept version whose SHA-256 begins with these digits.

    Raises:
        NoSuchVersionError: there is none, or there are several.
    """
    found = [kept for kept in kept_versions(files) if kept.sha256.startswith(sha256)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoSuchVersionError(
            f"no version with the SHA-256 {sha256} is kept: `taxi-pipeline versions` lists those that are"
        )
    named = ", ".join(f"{_stem(kept.name)} {kept.sha256[:16]}" for kept in found[:5])
    raise NoSuchVersionError(
        f"{len(found)} versions have a SHA-256 that begins with {sha256}: {named}. Give more digits"
    )


def put_in_place(files: Storage, kept: KeptVersion, *, num_kept: int) -> None:
    """Make a kept version the month's file, pinned: no other takes its place before `unpin`.

    What is in its place is kept in turn.

    Args:
        files: the storage.
        kept: the version.
        num_kept: how many replaced versions of the month are kept.

    Raises:
        NoSuchVersionError: the kept file is damaged.
    """
    with files.lock(kept.name), files.local_copy(kept.kept_name) as path:
        if (found := sha256_of(path)) != kept.sha256:
            raise NoSuchVersionError(
                f"{files.uri(kept.kept_name)} is damaged: its SHA-256 is {found}. Nothing was changed; delete it"
            )
        with files.draft(kept.name) as draft:
            shutil.copyfile(path, draft.path)
            keep_version(files, kept.name, draft.path, num_kept=max(1, num_kept))
            files.delete(note_name(kept.name))
        write_note(files, kept.name, replace(kept.note, pinned=True, replaced_at=None))


def pin(files: Storage, name: str) -> None:
    """Keep the version that is in its place there, until `unpin`."""
    with files.lock(name):
        note = read_note(files, name)
        if note and note.sha256:
            write_note(files, name, replace(note, pinned=True))


def unpin(files: Storage, name: str) -> bool:
    """Let the next fetch ask the server again. The file stays until the server gives another.

    Returns:
        Whether the month was pinned.
    """
    with files.lock(name):
        note = read_note(files, name)
        if note is None or not note.pinned:
            return False
        write_note(files, name, replace(note, pinned=False))
        return True


def _record(files: Storage, replacement: Replacement) -> None:
    """Add a replacement to the history of a month, unless it is the last one there: of a process that was killed."""
    history = f"{_FOLDER}/{_stem(replacement.name)}.json"
    found = _history(files, history)
    if found and (found[-1].earlier, found[-1].later) == (replacement.earlier, replacement.later):
        return
    entries = [
        {"earlier": each.earlier, "later": each.later, "replaced_at": each.replaced_at}
        for each in (*found, replacement)
    ]
    files.write(history, json.dumps(entries, indent=2) + "\n")


def _history(files: Storage, history: str) -> list[Replacement]:
    """The replacements of a month; empty when there are none, or the file is damaged."""
    stem = history.rpartition("/")[2].removesuffix(".json")
    try:
        return [Replacement(name=f"raw/{stem}.parquet", **entry) for entry in json.loads(files.read(history))]
    except (MissingFileError, ValueError, TypeError):
        return []


def _read(files: Storage, kept_name: str) -> KeptVersion | None:
    """A kept version; None for a file that is none.

    Where its note is missing or damaged, as when a process is killed before it writes one, its name says which it is.
    """
    stem, _, sha256 = kept_name.rpartition("/")[2].removesuffix(".parquet").rpartition(".")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        return None
    note = read_note(files, kept_name)
    if note is None or note.sha256 != sha256:
        note = FetchNote(url="", sha256=sha256)
    return KeptVersion(name=f"raw/{stem}.parquet", sha256=sha256, note=note)


def _kept_name(name: str, sha256: str) -> str:
    return f"{_FOLDER}/{_stem(name)}.{sha256}.parquet"


def _stem(name: str) -> str:
    """`green_tripdata_2024-01`, of the month's file."""
    return name.rpartition("/")[2].removesuffix(".parquet")
