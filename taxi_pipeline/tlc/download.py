"""Fetches a file from the TLC's server, or from a mirror folder, so that only a verified file is ever in place.

To fetch is the whole act: lock the name, compare versions, download a draft, verify it, replace the old file. A note
beside the file (`fetch_note`) keeps what the server said of it and its SHA-256, so that the next fetch downloads
nothing when nothing changed, and a copy that was damaged in the storage is noticed. To download is one step of it:
`http_transfer` writes the bytes of a URL to a path.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_pipeline.storage import MissingFileError, Storage, StoredFile
from taxi_pipeline.tlc.fetch_note import FetchNote, note_name, read_note, write_note
from taxi_pipeline.tlc.fleets import Fleet, MissingColumnsError
from taxi_pipeline.tlc.http_transfer import (
    SETTING_OF_URL,
    FetchError,
    NoAnswerError,
    NotFoundError,
    Patience,
    Validators,
    download,
    head,
)
from taxi_pipeline.tlc.months import month_of, previous_month
from taxi_pipeline.tlc.publication_delay import must_be_published
from taxi_pipeline.tlc.trip_files import UnusableFileError

TLC_SERVER = "https://d37ci6vzurychx.cloudfront.net"
"""URL of the server where the TLC publishes trip records and zones."""

MONTHS_TO_LOOK_BACK = 24
"""Number of months in which an HTTP server is asked for the newest one; the TLC has never been so late."""

Log = Callable[[str], object]
"""A function that takes a sentence about progress or waiting."""

Progress = Callable[[int, int | None], object]
"""A function that takes the number of bytes that have arrived and, where announced, of all bytes."""


@dataclass(frozen=True, kw_only=True)
class FetchedFile(StoredFile):
    """A verified file in the storage and where it came from."""

    url: str
    downloaded: bool
    """False when the copy in the storage was still current."""
    replaced: str | None = None
    """SHA-256 of the version that was there before, when it was another."""
    warning: str | None = None
    """Why the copy in the storage was used although the server did not confirm it."""


def trips_url(tlc_url: str, fleet: Fleet, month: date) -> str:
    """The URL of the file with the month's trips."""
    return f"{tlc_url}/trip-data/{fleet.file_name(month)}"


def fetch(
    url: str,
    files: Storage,
    name: str,
    *,
    verify: Callable[[Path], object],
    patience: Patience | None = None,
    must_exist: bool = False,
    before_replacing: Callable[[Path], object] = lambda _: None,
    log: Log = lambda _: None,
    on_progress: Progress = lambda _done, _total: None,
) -> FetchedFile:
    """Fetch the file at the URL into the storage, unless the verified copy there is current.

    When the server does not answer, or does not have the file, a verified copy in the storage is used, with a warning.
    If several processes fetch the same file at once, one downloads it, and the others wait for it.

    Args:
        url: `http(s)://` or `file://`.
        files: the storage.
        name: name of the file in the storage.
        verify: called with a local path of the downloaded file; raises when the file is not what it should be.
        patience: how long to wait for a server.
        must_exist: if true, 403 means that the server refuses for now; otherwise it means that there is no such file.
        before_replacing: called with a local path of the verified file, before it takes the place of the copy in the
            storage. The name is locked meanwhile.
        log: gets a sentence before each wait, and now and then while a large file arrives.
        on_progress: gets the number of bytes that have arrived and, where announced, of all bytes.

    Returns:
        The file in the storage, whether it was downloaded now, and a warning when the server did not confirm it.

    Raises:
        NotFoundError: the server does not have the file, and there is no copy.
        FetchError: the server can't be reached or fails, and there is no copy; or what it sent is not the file.
        StorageError: the storage can't be written.
        FileInUseError: another process is fetching the file for too long.
    """
    patience = patience or Patience()
    with files.lock(name):
        current = _verified_file(url, files, name)

        def download_to(draft: Path) -> Validators | None:
            known = current[1].validators if current else {}
            if source := _mirror_path(url):
                return _copy(url, source, draft, known)
            return download(
                url,
                draft,
                known=known,
                # If a copy is in the storage, there is no need to wait for a server that throttles.
                patience=replace(patience, refusal_pauses_seconds=()) if current else patience,
                must_exist=must_exist,
                log=log,
                on_progress=_logging_progress(log, on_progress, name.rpartition("/")[2]),
            )

        try:
            fetched = _store_verified(url, files, name, download_to, verify, before_replacing)
            if current and current[0].sha256 != fetched.sha256:
                return replace(fetched, replaced=current[0].sha256)
            return fetched
        except (_NotModified, NoAnswerError, NotFoundError) as reason:
            if current is None:
                raise
            stored, note = current
            if note.failure:
                write_note(files, name, replace(note, failure=None))
            warning = None if isinstance(reason, _NotModified) else f"the copy in the storage is used, because {reason}"
            return FetchedFile(**vars(stored), url=url, downloaded=False, warning=warning)


def newest_published_month(tlc_url: str, fleet: Fleet, today: date, *, patience: Patience | None = None) -> date | None:
    """Find the newest month of which the server has the fleet's trips.

    Args:
        tlc_url: the server, or a mirror folder as `file://`.
        fleet: the fleet.
        today: the day in New York.
        patience: how long to wait for a server.

    Returns:
        The first day of the month; None when none of the last `MONTHS_TO_LOOK_BACK` is published.

    Raises:
        NoAnswerError: the server can't be reached, or refuses even a month that must exist.
    """
    if folder := _mirror_path(tlc_url):
        names = sorted(path.name for path in (folder / "trip-data").glob(fleet.file_pattern))
        return date.fromisoformat(f"{names[-1].removesuffix('.parquet')[-7:]}-01") if names else None
    month = month_of(today)
    patience = replace(patience or Patience(), refusal_pauses_seconds=())
    for _ in range(MONTHS_TO_LOOK_BACK):
        url = trips_url(tlc_url, fleet, month)
        if head(url, patience=patience, must_exist=must_be_published(month, today)) is not None:
            return month
        month = previous_month(month)
    return None


def published_version(url: str, *, patience: Patience, must_exist: bool = False) -> str | None:
    """Ask which version of a file is published, without fetching it.

    Args:
        url: `http(s)://` or `file://`.
        patience: how long to wait for a server.
        must_exist: if true, 403 means that the server refuses for now; otherwise it means that there is no such file.

    Returns:
        A name of the version, twelve hexadecimal digits; None when there is no such file.

    Raises:
        NoAnswerError: the server can't be reached, fails, or refuses a file that must exist.
    """
    source = _mirror_path(url)
    if source is None:
        validators = head(url, patience=patience, must_exist=must_exist)
    else:
        validators = _version_of(source.stat()) if source.is_file() else None
    return None if validators is None else _name_of(validators)


def fetched_version(url: str, files: Storage, name: str) -> tuple[str, str] | None:
    """SHA-256 and name (as `published_version` returns it) of the version that was fetched last; None if none was."""
    note = read_note(files, name)
    return (note.sha256, _name_of(note.validators)) if note and note.url == url and note.sha256 else None


def _name_of(validators: Validators) -> str:
    """Name a version in twelve digits, different for different versions: by the ETag alone where there is one."""
    name = validators["etag"] if "etag" in validators else json.dumps(dict(validators), sort_keys=True)
    return hashlib.sha256(name.encode()).hexdigest()[:12]


class _NotModified(Exception):  # noqa: N818 - an outcome, not an error
    """The server says that the copy in the storage is current."""


def _verified_file(url: str, files: Storage, name: str) -> tuple[StoredFile, FetchNote] | None:
    """The file in the storage and its note, if it came from this URL and is what was verified then."""
    note = read_note(files, name)
    if note is None or note.url != url or note.sha256 is None:
        return None
    try:
        stored = files.describe(name)
    except (MissingFileError, OSError):
        return None  # there is no copy, or one that can't be read: it is fetched again
    return (stored, note) if stored.sha256 == note.sha256 else None


def _store_verified(
    url: str,
    files: Storage,
    name: str,
    download_to: Callable[[Path], Validators | None],
    verify: Callable[[Path], object],
    before_replacing: Callable[[Path], object],
) -> FetchedFile:
    """Download a draft, verify it, store it under the name, and note which version it is."""
    with files.draft(name) as draft:
        validators = download_to(draft.path)
        if validators is None:
            raise _NotModified
        try:
            verify(draft.path)
        except (UnusableFileError, MissingColumnsError) as error:
            raise FetchError(f"what {url} sent is unusable: {error}. It was thrown away; nothing changed") from error
        before_replacing(draft.path)
        files.delete(note_name(name))  # until the new note is written, the file in place is not trusted
    write_note(files, name, FetchNote(url=url, sha256=draft.stored.sha256, validators=dict(validators)))
    return FetchedFile(**vars(draft.stored), url=url, downloaded=True)


def _mirror_path(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _copy(url: str, source: Path, draft: Path, known: Validators) -> dict[str, str] | None:
    try:
        file = source.open("rb")
    except FileNotFoundError:
        raise NotFoundError(url, "there is no such file in the mirror") from None
    except OSError as error:
        raise NoAnswerError(
            url, f"from the mirror: {error.strerror}", f"Check the folder, and {SETTING_OF_URL}", may_pass=False
        ) from error
    with file, draft.open("wb") as target:
        found = _version_of(os.fstat(file.fileno()))
        if found == known:
            return None
        shutil.copyfileobj(file, target, 1 << 20)
        if _version_of(os.fstat(file.fileno())) != found:
            raise NoAnswerError(url, "from the mirror: it was changed meanwhile", "Run again")
    return found


def _version_of(status: os.stat_result) -> dict[str, str]:
    return {"size": str(status.st_size), "mtime_ns": str(status.st_mtime_ns)}


def _logging_progress(log: Log, on_progress: Progress, name: str) -> Progress:
    """A callback for progress that also logs it: every twentieth part at most, and every few seconds."""
    logged_at, logged_bytes = time.monotonic(), 0

    def progress(done: int, total: int | None) -> None:
        nonlocal logged_at, logged_bytes
        on_progress(done, total)
        now = time.monotonic()
        if now - logged_at < 2 or (now - logged_at < 30 and done - logged_bytes < (total or 0) / 20):
            return
        logged_at, logged_bytes = now, done
        of = f" of {total / 1e6:,.1f} MB ({done / total:.0%})" if total else " MB"
        log(f"{name}: {done / 1e6:,.1f}{of}")

    return progress
