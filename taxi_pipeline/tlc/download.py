"""Fetching a file from the TLC's server, or from a mirror folder, so that only a good file is ever in place.

A file is written under a temporary name beside its target, verified, and moved into place. What the server said of it
(ETag, Last-Modified) and its SHA-256 stand beside it in `<name>.source.json`, so that the next call downloads nothing
when nothing changed, and a copy that was damaged on disk is noticed.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_pipeline.files import replacing, sha256_of
from taxi_pipeline.tlc.fleets import Fleet, MissingColumnsError
from taxi_pipeline.tlc.months import month_of, previous_month
from taxi_pipeline.tlc.trip_files import UnusableFileError

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 60
RETRIES = 4
MONTHS_TO_LOOK_BACK = 24
"""How far back the newest published month is looked for on an HTTP server; the TLC has never been so late."""


class FetchError(RuntimeError):
    """A file could not be fetched; whatever lay at the target is untouched."""


class NotFoundError(FetchError):
    """The server has no such file, or will not give it (the TLC's CDN answers 403 for files that don't exist)."""

    def __init__(self, url: str, answer: str) -> None:
        super().__init__(f"{url} can't be had: {answer}")
        self.answer = answer


@dataclass(frozen=True, kw_only=True)
class FetchedFile:
    """A verified file on disk and where it came from."""

    path: Path
    url: str
    sha256: str
    size_bytes: int
    downloaded: bool
    """False when the copy at hand was still current."""
    warning: str | None = None
    """Why the copy at hand was used although the server could not confirm it."""


def trips_url(tlc_url: str, fleet: Fleet, month: date) -> str:
    """Where the file with the month's trips lies."""
    return f"{tlc_url}/trip-data/{fleet.file_name(month)}"


def fetch(url: str, target: Path, *, verify: Callable[[Path], object]) -> FetchedFile:
    """Bring the file at the URL to the target, unless the verified copy there is current.

    When the server can't be asked, or does not give the file, a verified copy at hand is used, with a warning.

    Args:
        url: `http(s)://` or `file://`.
        target: where the file shall lie; its folder is made when absent.
        verify: called with the downloaded file's temporary path; raises when it is not what it should be.

    Raises:
        NotFoundError: the server doesn't have the file, and there is no copy.
        FetchError: the server can't be reached or fails, and there is no copy; or what it sent is not the file.
    """
    at_hand = _verified_copy(url, target)
    validators = at_hand.validators if at_hand else {}
    try:
        with replacing(target) as temporary:
            new_validators = _get(url, temporary, validators)
            if new_validators is None:
                raise _NotModified
            _verify(url, temporary, verify)
            sha256 = sha256_of(temporary)
            size = temporary.stat().st_size
            _source_file(target).unlink(missing_ok=True)  # from here to the end the copy is not trusted
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
    with replacing(_source_file(target)) as temporary:
        temporary.write_text(json.dumps({"url": url, "sha256": sha256, "validators": new_validators}, indent=2))
    return FetchedFile(path=target, url=url, sha256=sha256, size_bytes=size, downloaded=True)


def newest_published_month(tlc_url: str, fleet: Fleet, today: date) -> date | None:
    """The newest month of which the server has the fleet's trips; None when none is found.

    Raises:
        FetchError: the server can't be reached.
    """
    if folder := _folder(tlc_url):
        names = sorted(path.name for path in (folder / "trip-data").glob(fleet.file_pattern))
        return date.fromisoformat(f"{names[-1].removesuffix('.parquet')[-7:]}-01") if names else None
    import requests

    month = month_of(today)
    with _session() as session:
        for _ in range(MONTHS_TO_LOOK_BACK):
            url = trips_url(tlc_url, fleet, month)
            try:
                if session.head(url, timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)).ok:
                    return month
            except requests.RequestException as error:
                raise NoAnswerError(url, error) from error
            month = previous_month(month)
    return None


class _NotModified(Exception):  # noqa: N818 - an outcome, not an error
    """The server says that the copy at hand is current."""


class NoAnswerError(FetchError):
    """The server could not be reached or failed, also when asked again."""

    def __init__(self, url: str, error: Exception) -> None:
        super().__init__(
            f"{url} could not be fetched after {RETRIES + 1} attempts: {error}. "
            "Check the network and TLC_URL, then run again"
        )


@dataclass(frozen=True)
class _Copy:
    sha256: str
    validators: Mapping[str, str]


def _source_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.source.json")


def _verified_copy(url: str, target: Path) -> _Copy | None:
    """What is known of the file at the target, if it came from this URL and is as it was."""
    try:
        source = json.loads(_source_file(target).read_text())
        if source["url"] == url and source["sha256"] == sha256_of(target):
            return _Copy(source["sha256"], source["validators"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no copy, or none that can be trusted: it is fetched again
    return None


def _verify(url: str, path: Path, verify: Callable[[Path], object]) -> None:
    try:
        verify(path)
    except (UnusableFileError, MissingColumnsError) as error:
        raise FetchError(f"what {url} sent is unusable: {error}. It was thrown away; nothing changed") from error


def _get(url: str, temporary: Path, validators: Mapping[str, str]) -> dict[str, str] | None:
    """Write what the URL holds to the path; give its new validators, or None when it is unchanged."""
    if source := _folder(url):
        return _copy(url, source, temporary, validators)
    return _download(url, temporary, validators)


def _folder(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _copy(url: str, source: Path, temporary: Path, validators: Mapping[str, str]) -> dict[str, str] | None:
    try:
        status = source.stat()
        found = {"size": str(status.st_size), "mtime_ns": str(status.st_mtime_ns)}
        if found == validators:
            return None
        shutil.copyfile(source, temporary)
    except FileNotFoundError:
        raise NotFoundError(url, "there is no such file in the mirror") from None
    return found


def _download(url: str, temporary: Path, validators: Mapping[str, str]) -> dict[str, str] | None:
    import requests

    headers = {"Accept-Encoding": "identity"}  # the length announced is then the file's
    if "etag" in validators:
        headers["If-None-Match"] = validators["etag"]
    elif "last_modified" in validators:
        headers["If-Modified-Since"] = validators["last_modified"]
    timeout = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
    try:
        with (
            _session() as session,
            session.get(url, headers=headers, stream=True, timeout=timeout) as response,
        ):
            if response.status_code == requests.codes.not_modified:
                return None
            if response.status_code in (requests.codes.forbidden, requests.codes.not_found):
                raise NotFoundError(url, f"the server answered {response.status_code} {response.reason}")
            response.raise_for_status()
            with temporary.open("wb") as file:
                for block in response.iter_content(1 << 20):
                    file.write(block)
    except requests.RequestException as error:
        raise NoAnswerError(url, error) from error
    received = temporary.stat().st_size
    announced = int(response.headers.get("Content-Length", received))
    if received != announced:
        raise NoAnswerError(url, OSError(f"{received:,} bytes came of {announced:,} announced"))
    wanted = {"etag": "ETag", "last_modified": "Last-Modified"}
    return {key: response.headers[name] for key, name in wanted.items() if name in response.headers}


def _session():
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    retry = Retry(
        total=RETRIES,
        backoff_factor=1,
        backoff_jitter=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session
