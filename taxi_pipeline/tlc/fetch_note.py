"""The note on a fetched file, kept beside it in `<name>.source.json`.

It says where the file came from, which version was verified, and why the last fetch failed, if it did. So a later step
knows it too: one in another run, in another process, or in a run that is executed again from a failure.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from taxi_pipeline.errors import LoadError
from taxi_pipeline.required_files import require_file
from taxi_pipeline.storage import MissingFileError, Storage
from taxi_pipeline.storage.whole_files import sha256_of
from taxi_pipeline.tlc.http_transfer import FetchError, Validators

_LEFT_OUT_WHEN_EMPTY = ("origin", "pinned", "replaced_at")
"""Entries of a note that most notes do not have."""


class DamagedFileError(LoadError):
    """A fetched file is not what it was when it was verified."""


class LastFetchFailedError(LoadError):
    """The last fetch of a file failed, so an older copy must not be loaded as if it were current."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The file of somebody's own that a month was imported from."""

    name: str
    """Its name, without folders."""
    sha256: str
    """SHA-256 of its bytes as they were given, packed or not."""
    imported_at: str
    """When, in UTC: `2026-11-30T08:15:00+00:00`."""


@dataclass(frozen=True, kw_only=True)
class FetchNote:
    """The note beside a fetched file, or beside one that was imported."""

    url: str
    sha256: str | None = None
    """SHA-256 of the version that was verified; None when none ever was."""
    validators: Validators = field(default_factory=dict)
    """Validators that the server sent with that version."""
    failure: str | None = None
    """The reason why the last fetch failed; None when it succeeded."""
    origin: Origin | None = None
    """Where an imported file came from; None for one that was fetched."""
    pinned: bool = False
    """True where somebody asked for this version: then no other takes its place by itself."""
    replaced_at: str | None = None
    """Of a version that is kept: when another took its place, in UTC. None for the file that is in its place."""


def note_name(name: str) -> str:
    """The name of the note beside a file."""
    return f"{name}.source.json"


def read_note(files: Storage, name: str) -> FetchNote | None:
    """Read the note beside a file; None when there is none, or one that is not a note."""
    try:
        found = json.loads(files.read(note_name(name)))
        origin = found.pop("origin", None)
        return FetchNote(**found, origin=Origin(**origin) if origin else None)
    except (MissingFileError, OSError, ValueError, TypeError, AttributeError):
        return None


def write_note(files: Storage, name: str, note: FetchNote) -> None:
    """Write the note beside a file."""
    content = {key: value for key, value in asdict(note).items() if value or key not in _LEFT_OUT_WHEN_EMPTY}
    files.write(note_name(name), json.dumps(content, indent=2))


@contextmanager
def verified_copy(files: Storage, name: str, *, written_by: str) -> Iterator[tuple[Path, str]]:
    """Give a local path to a fetched file, if it is the version that the last fetch verified.

    Args:
        files: the storage.
        name: name of the file in the storage.
        written_by: the asset that fetches it, for the messages.

    Yields:
        The path, to be read in the block only, and the file's SHA-256.

    Raises:
        LastFetchFailedError: the last fetch of the file failed.
        MissingFileError: there is no such file.
        DamagedFileError: the file has changed since it was verified, or was not fetched by the pipeline.
    """
    note = read_note(files, name)
    if note and note.failure:
        raise LastFetchFailedError(f"{note.failure}. Fetch it again: materialize {written_by}")
    require_file(files, name, written_by=written_by)
    with files.local_copy(name) as path:
        found = sha256_of(path)
        expected = (note.sha256 if note else None) or "not known"
        if found != expected:
            raise DamagedFileError(
                f"{files.uri(name)} is not what was fetched: its SHA-256 is {found}, that of the verified file "
                f"{expected}. Nothing was changed; materialize {written_by}, which brings a good copy"
            )
        yield path, found


@contextmanager
def noting_failure(files: Storage, name: str, url: str) -> Iterator[None]:
    """Keep beside the file why it could not be fetched, for the steps that load it; then raise the error on.

    The next fetch that succeeds removes the failure. What is known of the verified version stays. Nothing is noted when
    another process has fetched the file meanwhile.

    Args:
        files: the storage.
        name: name of the file in the storage.
        url: where the file was fetched from.
    """
    before = read_note(files, name)
    try:
        yield
    except FetchError as error:
        with files.lock(name):
            if read_note(files, name) == before:
                write_note(files, name, replace(before or FetchNote(url=url), failure=str(error)))
        raise
