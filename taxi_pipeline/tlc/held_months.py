"""Months for which the TLC's server is not asked: imported from files of somebody's own, or pinned to a version.

Such a month is a file in `raw/` like a fetched one, whose note says why it is held. It is used as it is, and what is
published never takes its place by itself. How a file is read and converted is in `imports`, where older versions lie
in `kept_versions`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from taxi_pipeline.storage import Storage, StoredFile
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.fetch_note import FetchNote, Origin, note_name, read_note, write_note
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.kept_versions import ALL_VERSIONS, keep_copy, keep_version


def note_of_copy(files: Storage, name: str) -> FetchNote | None:
    """The note of a verified file, fetched or imported, that is there; None when it would have to be fetched."""
    note = read_note(files, name)
    return note if note and note.sha256 and files.exists(name) else None


def held_note(files: Storage, name: str) -> FetchNote | None:
    """The note of a file that is held; None when there is no such file, or the server is asked for it."""
    note = note_of_copy(files, name)
    return note if note and (note.origin or note.pinned) else None


def held_version(files: Storage, name: str) -> tuple[str, str] | None:
    """SHA-256 of a file that is held, and a name for this version; None when there is none.

    The name is twelve hexadecimal digits, as those of published versions.
    """
    note = held_note(files, name)
    return (note.sha256, note.sha256[:12]) if note and note.sha256 else None


def held_copy(files: Storage, name: str) -> FetchedFile | None:
    """A file that is held, as a fetch gives it, with a warning that says why; None when there is none.

    Raises:
        FetchError: it is not what was verified any more.
    """
    with files.lock(name):
        note = held_note(files, name)
        if note is None:
            return None
        stored = files.describe(name)
        if stored.sha256 != note.sha256:
            raise FetchError(_damaged(stored, note))
        if note.failure:
            write_note(files, name, replace(note, failure=None))
    return FetchedFile(**vars(stored), url=note.url, downloaded=False, warning=_why_held(name, note))


def _why_held(name: str, note: FetchNote) -> str:
    file = name.rpartition("/")[2]
    if note.pinned:
        return f"{file} is pinned to version {str(note.sha256)[:12]}; the TLC's server was not asked"
    assert note.origin  # noqa: S101 - a held file that is not pinned was imported
    return (
        f"{file} was imported from {note.origin.name} on {note.origin.imported_at[:10]}; the TLC's server was not asked"
    )


def _damaged(stored: StoredFile, note: FetchNote) -> str:
    found = f"its SHA-256 is {stored.sha256}, that of the verified file {note.sha256}"
    if note.origin:
        return (
            f"{stored.uri} is not what was imported from {note.origin.name}: {found}. Import it again with --replace, "
            "or remove it with `taxi-pipeline import --forget`, and the published month is fetched"
        )
    return (
        f"{stored.uri} is not the version to which it is pinned: {found}. Load the version again with `taxi-pipeline "
        "load --version`, or the newest with `taxi-pipeline load --newest`"
    )


def store_imported(
    files: Storage, name: str, origin: Origin, write: Callable[[Path], object], *, num_kept: int
) -> tuple[StoredFile, FetchNote]:
    """Put an imported month in its place, and note its origin. The name must be locked.

    Args:
        files: the storage.
        name: where the month lies.
        origin: of the file.
        write: writes the verified content to a path.
        num_kept: how many replaced versions of the month are kept.
    """
    with files.draft(name) as draft:
        write(draft.path)
        keep_version(files, name, draft.path, num_kept=num_kept)
        files.delete(note_name(name))  # until the new note is written, the file in place is not trusted
    note = FetchNote(url=f"import:{quote(origin.name)}", sha256=draft.stored.sha256, origin=origin)
    write_note(files, name, note)
    return draft.stored, note


def forget_imported(files: Storage, name: str, *, num_kept: int = ALL_VERSIONS) -> Origin | None:
    """Remove an imported month, so that the next run fetches the published one. It stays among the kept versions.

    Args:
        files: the storage.
        name: of the month's file.
        num_kept: how many replaced versions are kept; 0 to keep none.

    Returns:
        The origin of what was removed; None when there was no imported file, and nothing is changed.
    """
    with files.lock(name):
        note = held_note(files, name)
        if note is None or note.origin is None:
            return None
        if num_kept:
            keep_copy(files, name, note)
        files.delete(name)
        files.delete(note_name(name))
        return note.origin
