"""Months that were imported from files of somebody's own: how they lie beside fetched ones, and how they leave again.

An imported month is a file in `raw/` like a fetched one, whose note names its origin. It is used as it is: the TLC's
server is not asked for it, and what is published never takes its place by itself. How a file is read and converted is
in `imports`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from taxi_pipeline.storage import Storage, StoredFile
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.fetch_note import FetchNote, Origin, note_name, read_note, write_note
from taxi_pipeline.tlc.http_transfer import FetchError


def note_of_import(files: Storage, name: str) -> FetchNote | None:
    """The note of an imported file; None when there is no such file, or it was fetched."""
    note = read_note(files, name)
    return note if note and note.origin and files.exists(name) else None


def note_of_copy(files: Storage, name: str) -> FetchNote | None:
    """The note of a file that was fetched or imported and is there; None when it would have to be fetched."""
    note = read_note(files, name)
    return note if note and note.sha256 and files.exists(name) else None


def imported_version(files: Storage, name: str) -> tuple[str, str] | None:
    """SHA-256 of an imported file, and a name for this version; None when there is none.

    The name is twelve hexadecimal digits, as those of published versions.
    """
    note = note_of_import(files, name)
    return (note.sha256, note.sha256[:12]) if note and note.sha256 else None


def imported_copy(files: Storage, name: str) -> FetchedFile | None:
    """An imported file as a fetch gives it, with a warning that it is no published one; None when there is none.

    Raises:
        FetchError: it is not what was imported any more.
    """
    with files.lock(name):
        note = note_of_import(files, name)
        if note is None or note.origin is None:
            return None
        stored = files.describe(name)
        if stored.sha256 != note.sha256:
            raise FetchError(
                f"{stored.uri} is not what was imported from {note.origin.name}: its SHA-256 is {stored.sha256}, that "
                f"of the verified file {note.sha256}. Import it again with --replace, or remove it with `taxi-pipeline "
                "import --forget`, and the published month is fetched"
            )
        if note.failure:
            write_note(files, name, replace(note, failure=None))
    warning = (
        f"{name.rpartition('/')[2]} was imported from {note.origin.name} on {note.origin.imported_at[:10]}; "
        "the TLC's server was not asked"
    )
    return FetchedFile(**vars(stored), url=note.url, downloaded=False, warning=warning)


def store_imported(
    files: Storage, name: str, origin: Origin, write: Callable[[Path], object]
) -> tuple[StoredFile, FetchNote]:
    """Put an imported month in its place, and note its origin. The name must be locked.

    Args:
        files: the storage.
        name: where the month lies.
        origin: of the file.
        write: writes the verified content to a path.
    """
    with files.draft(name) as draft:
        write(draft.path)
        files.delete(note_name(name))  # until the new note is written, the file in place is not trusted
    note = FetchNote(url=f"import:{quote(origin.name)}", sha256=draft.stored.sha256, origin=origin)
    write_note(files, name, note)
    return draft.stored, note


def forget_imported(files: Storage, name: str) -> Origin | None:
    """Remove an imported month, so that the next run fetches the published one.

    Returns:
        The origin of what was removed; None when there was no imported file, and nothing is changed.
    """
    with files.lock(name):
        note = note_of_import(files, name)
        if note is None:
            return None
        files.delete(name)
        files.delete(note_name(name))
        return note.origin
