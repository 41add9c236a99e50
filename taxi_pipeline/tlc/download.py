"""Fetching a file from the TLC's server, or from a mirror folder, so that only a good file is ever in place.

A file is written under a temporary name beside its target, verified, and moved into place. What the server said of it
and its SHA-256 stand beside it in `<name>.source.json`, so that the next call downloads nothing when nothing changed,
and a copy that was damaged on disk is noticed. How the bytes come over the network is in `transfer`.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_pipeline.files import locked, replacing, sha256_of
from taxi_pipeline.tlc.fleets import Fleet, MissingColumnsError
from taxi_pipeline.tlc.months import month_of, next_month, previous_month
from taxi_pipeline.tlc.transfer import (
    FetchError,
    NoAnswerError,
    NotFoundError,
    Patience,
    Validators,
    download,
    head,
)
from taxi_pipeline.tlc.trip_files import UnusableFileError

TLC_SERVER = "https://d37ci6vzurychx.cloudfront.net"
"""Where the TLC publishes trip records and zones."""

MONTHS_TO_LOOK_BACK = 24
"""How far back the newest published month is looked for on an HTTP server; the TLC has never been so late."""

SHORTEST_DELAY = timedelta(days=30)
"""The TLC has never published a month sooner after its end."""

LONGEST_DELAY = timedelta(days=120)
"""After so many days past its end a month is published for sure: it took the TLC 47 to 105, lately about 32."""

Progress = Callable[[int, int | None], object]
"""Gets the bytes that have arrived and, where announced, those that will."""


class DamagedFileError(RuntimeError):
    """A fetched file is not what it was when it was verified."""


@dataclass(frozen=True, kw_only=True)
class FetchedFile:
    """A verified file on disk and where it came from."""

    path: Path
    url: str
    sha256: str
    size_bytes: int
    downloaded: bool
    """False when the copy at hand was still current."""
    replaced: str | None = None
    """SHA-256 of the version that lay there before, when it was another."""
    warning: str | None = None
    """Why the copy at hand was used although the server could not confirm it."""


def trips_url(tlc_url: str, fleet: Fleet, month: date) -> str:
    """Where the file with the month's trips lies."""
    return f"{tlc_url}/trip-data/{fleet.file_name(month)}"


def must_be_published(month: date, today: date) -> bool:
    """Whether the month ended so long ago that its file exists for sure."""
    return today - next_month(month) >= LONGEST_DELAY


def fetch(
    url: str,
    target: Path,
    *,
    verify: Callable[[Path], object],
    patience: Patience | None = None,
    must_exist: bool = False,
    tell: Callable[[str], object] = lambda _: None,
    on_progress: Progress = lambda _done, _total: None,
) -> FetchedFile:
    """Bring the file at the URL to the target, unless the verified copy there is current.

    When the server can't be asked, or does not give the file, a verified copy at hand is used, with a warning. Of
    several processes that want the same file at once one fetches it, and the others wait for it.

    Args:
        url: `http(s)://` or `file://`.
        target: where the file shall lie; its folder is made when absent.
        verify: called with the downloaded file's temporary path; raises when it is not what it should be.
        patience: how long a server is waited for.
        must_exist: whether 403 means that the server refuses for now; otherwise it means that there is no such file.
        tell: gets a sentence when the server is waited for, and now and then while a large file comes.
        on_progress: gets the bytes that have arrived and that will.

    Raises:
        NotFoundError: the server doesn't have the file, and there is no copy.
        FetchError: the server can't be reached or fails, and there is no copy; or what it sent is not the file.
        StorageError: the target can't be written.
        FileInUseError: another process is fetching the file for too long.
    """
    patience = patience or Patience()
    with locked(target):
        at_hand = _verified_copy(url, target)

        def get(temporary: Path) -> Validators | None:
            known = at_hand.validators if at_hand else {}
            if source := _folder(url):
                return _copy(url, source, temporary, known)
            return download(
                url,
                temporary,
                known=known,
                # With a copy at hand nobody has to wait for a server that throttles.
                patience=replace(patience, refusal_pauses_seconds=()) if at_hand else patience,
                must_exist=must_exist,
                tell=tell,
                on_progress=_telling(tell, on_progress, target.name),
            )

        try:
            fetched = _bring(url, target, get, verify)
            if at_hand and at_hand.sha256 != fetched.sha256:
                return replace(fetched, replaced=at_hand.sha256)
            return fetched
        except (_NotModified, NoAnswerError, NotFoundError) as reason:
            if at_hand is None:
                raise
            return FetchedFile(
                path=target,
                url=url,
                sha256=at_hand.sha256,
                size_bytes=target.stat().st_size,
                downloaded=False,
                warning=None if isinstance(reason, _NotModified) else f"the copy at hand is used, because {reason}",
            )


def verified_version(path: Path) -> str:
    """The SHA-256 of a fetched file, after making sure that it is what was verified when it came.

    Raises:
        DamagedFileError: the file has changed since, or was not fetched by `fetch`.
    """
    found = sha256_of(path)
    note = _note_beside(path)
    expected = note.sha256 if note else "not known"
    if found != expected:
        raise DamagedFileError(
            f"{path} is not what was fetched: its SHA-256 is {found}, that of the verified file {expected}. "
            "Nothing was changed; materialize the asset that fetches it, which brings a good copy"
        )
    return found


def newest_published_month(tlc_url: str, fleet: Fleet, today: date, *, patience: Patience | None = None) -> date | None:
    """The newest month of which the server has the fleet's trips; None when none is found.

    Raises:
        NoAnswerError: the server can't be reached, or refuses even a month that must exist.
    """
    if folder := _folder(tlc_url):
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
    """A name for the version that is published at the URL, without fetching it; None when there is none.

    Raises:
        NoAnswerError: the server can't be reached, fails, or refuses a file that must exist.
    """
    source = _folder(url)
    if source is None:
        validators = head(url, patience=patience, must_exist=must_exist)
    else:
        validators = _version_of(source.stat()) if source.is_file() else None
    return None if validators is None else _name_of(validators)


def fetched_version(url: str, path: Path) -> tuple[str, str] | None:
    """SHA-256 and name (as `published_version` gives it) of the version of the URL that was fetched last, if any."""
    note = _note_beside(path)
    return (note.sha256, _name_of(note.validators)) if note and note.url == url else None


def _name_of(validators: Validators) -> str:
    """Short, and different for different versions: the ETag alone where there is one, as servers compare it."""
    told = validators["etag"] if "etag" in validators else json.dumps(dict(validators), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


class _NotModified(Exception):  # noqa: N818 - an outcome, not an error
    """The server says that the copy at hand is current."""


@dataclass(frozen=True)
class _Note:
    """What stands beside a fetched file: where it came from, and which version it was when it was verified."""

    url: str
    sha256: str
    validators: Validators


def _source_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.source.json")


def _note_beside(target: Path) -> _Note | None:
    """The note beside a file; None when there is none, or none that can be understood."""
    try:
        return _Note(**json.loads(_source_file(target).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _verified_copy(url: str, target: Path) -> _Note | None:
    """What is known of the file at the target, if it came from this URL and is as it was."""
    note = _note_beside(target)
    try:
        return note if note and note.url == url and note.sha256 == sha256_of(target) else None
    except OSError:
        return None  # no copy, or none that can be read: it is fetched again


def _bring(
    url: str, target: Path, get: Callable[[Path], Validators | None], verify: Callable[[Path], object]
) -> FetchedFile:
    """Get the file, verify it, move it into place, and note what it is."""
    with replacing(target) as temporary:
        validators = get(temporary)
        if validators is None:
            raise _NotModified
        try:
            verify(temporary)
        except (UnusableFileError, MissingColumnsError) as error:
            raise FetchError(f"what {url} sent is unusable: {error}. It was thrown away; nothing changed") from error
        sha256 = sha256_of(temporary)
        size = temporary.stat().st_size
        _source_file(target).unlink(missing_ok=True)  # from here to the end the file in place is not trusted
    with replacing(_source_file(target)) as temporary:
        temporary.write_text(json.dumps(asdict(_Note(url, sha256, validators)), indent=2))
    return FetchedFile(path=target, url=url, sha256=sha256, size_bytes=size, downloaded=True)


def _folder(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _copy(url: str, source: Path, temporary: Path, known: Validators) -> dict[str, str] | None:
    try:
        file = source.open("rb")
    except FileNotFoundError:
        raise NotFoundError(url, "there is no such file in the mirror") from None
    except OSError as error:
        raise NoAnswerError(url, f"from the mirror: {error.strerror}", "Check TLC_URL and the folder") from error
    with file, temporary.open("wb") as target:
        found = _version_of(os.fstat(file.fileno()))
        if found == known:
            return None
        shutil.copyfileobj(file, target, 1 << 20)
        if _version_of(os.fstat(file.fileno())) != found:
            raise NoAnswerError(url, "from the mirror: it was changed meanwhile", "Run again")
    return found


def _version_of(status: os.stat_result) -> dict[str, str]:
    return {"size": str(status.st_size), "mtime_ns": str(status.st_mtime_ns)}


def _telling(tell: Callable[[str], object], on_progress: Progress, name: str) -> Progress:
    """A callback for progress that also tells it in words: every twentieth part at most, and every few seconds."""
    told_at, told_bytes = time.monotonic(), 0

    def progress(done: int, total: int | None) -> None:
        nonlocal told_at, told_bytes
        on_progress(done, total)
        now = time.monotonic()
        if now - told_at < 2 or (now - told_at < 30 and done - told_bytes < (total or 0) / 20):
            return
        told_at, told_bytes = now, done
        of = f" of {total / 1e6:,.1f} MB ({done / total:.0%})" if total else " MB"
        tell(f"{name}: {done / 1e6:,.1f}{of}")

    return progress
