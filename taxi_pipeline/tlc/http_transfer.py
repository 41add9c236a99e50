"""Downloads over HTTP from a server that breaks off, refuses, or is slow: retries and resumption, within bounds.

`download` decides what the bytes are, and where they are stored.
"""

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from taxi_pipeline.errors import TaxiPipelineError

if TYPE_CHECKING:
    import requests

SETTING_OF_URL = "the setting of this URL (TLC_URL for the TLC's files)"
"""What a message asks the user to check: sources beside the TLC have settings of their own."""
BLOCK_BYTES = 1 << 20
"""Bytes held in memory at a time, and the least that counts as progress between two breaks."""

_TEMPORARY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

Validators = Mapping[str, str]
"""The headers by which a server identifies a version: `etag`, `last_modified` and `length` (bytes), where sent."""

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Limits on waiting for a server. All times in seconds."""

    connect_seconds: float = 10
    read_seconds: float = 60
    """Longest time without a byte; also the time over which the slowest speed is measured."""
    slowest_bytes_per_second: int = 1000
    attempts: int = 5
    """Number of attempts in a row that may fail without a new byte."""
    first_pause_seconds: float = 1
    """Pause before the first retry; doubled before each later one, give or take a half."""
    refusal_pauses_seconds: tuple[float, ...] = (30, 90, 270)
    """Pauses after each 403 for a file that must exist: the TLC's CDN throttles with it."""
    pause_seconds: float = 0
    """Pause before each download, so that a long backfill does not get throttled."""
    longest_pause_seconds: float = 300
    """Longest pause that a server may ask for with `Retry-After`."""
    largest_bytes: int = 8 << 30
    """The largest file that is taken. A month of high-volume trips has about 0.5 GB."""


class FetchError(TaxiPipelineError):
    """A file could not be fetched; whatever lay at the target is untouched."""


class NotFoundError(FetchError):
    """The server has no such file, or will not give it (the TLC's CDN answers 403 for files that don't exist)."""

    def __init__(self, url: str, answer: str, *, refused: bool = False) -> None:
        super().__init__(f"{url} can't be fetched: {answer}")
        self.answer = answer
        self.refused = refused
        """True for the answer 403, by which a server may also mean that it gets too many requests."""


class NoAnswerError(FetchError):
    """The server could not be reached, failed or refused, also after retries."""

    def __init__(self, url: str, what: str, advice: str, *, may_pass: bool = True) -> None:
        super().__init__(f"{url} could not be fetched {what}. {advice}")
        self.may_pass = may_pass
        """False where another request in some seconds has no better chance: a refusal that was waited out for minutes,
        a server that names a later time, a redirect or a folder that is wrong."""


@dataclass
class _Part:
    """The part of a file that has arrived: its first bytes, and the version and the full length of the file."""

    path: Path
    size: int = 0
    furthest: int = 0
    """The largest size so far, also of parts that were thrown away: only what goes beyond it is progress."""
    length: int | None = None
    validators: dict[str, str] = field(default_factory=dict)

    def start_anew(self, validators: Validators) -> None:
        self.path.write_bytes(b"")
        self.size = 0
        self.validators = dict(validators)
        self.length = int(validators["length"]) if "length" in validators else None

    @property
    def mark(self) -> str | None:
        """The value of `If-Range` for this version; None when nothing distinguishes two versions."""
        etag = self.validators.get("etag", "W/")
        return self.validators.get("last_modified") if etag.startswith("W/") else etag


def download(
    url: str,
    path: Path,
    *,
    known: Validators,
    patience: Patience,
    must_exist: bool = False,
    log: Callable[[str], object] = lambda _: None,
    on_progress: Callable[[int, int | None], object] = lambda _done, _total: None,
) -> dict[str, str] | None:
    """Download the URL to the path, unless it has the version that is known.

    Args:
        url: `http://` or `https://`.
        path: is overwritten; holds the whole file afterwards, or rubbish after an error.
        known: the validators of the version that the caller has, as an earlier call returned them; empty for none.
        patience: how long to wait for the server.
        must_exist: if true, 403 means that the server refuses for now; otherwise it means that there is no such file.
        log: gets a sentence before each wait.
        on_progress: gets the number of bytes that have arrived and, where announced, of all bytes.

    Returns:
        The validators of the version that was written; None when it is the known one, and nothing was.

    Raises:
        NotFoundError: the server has no such file.
        NoAnswerError: the server can't be reached, fails or refuses, within the bounds of `patience`.
        FetchError: the server gives an answer that a retry does not change.
        OSError: the path can't be written.
    """
    part = _Part(path)
    with _session() as session:
        if _unchanged_by_its_head(session, url, known, patience):
            return None
        if patience.pause_seconds:
            log(f"Waiting {patience.pause_seconds:g} s before {url} is downloaded")
            time.sleep(patience.pause_seconds)
        return _patiently(
            lambda: _attempt(session, url, part, known, patience, on_progress),
            url=url,
            patience=patience,
            must_exist=must_exist,
            log=log,
        )


def head(url: str, *, patience: Patience, must_exist: bool = False) -> dict[str, str] | None:
    """Ask for the validators of a file without downloading it.

    Args:
        url: `http://` or `https://`.
        patience: how long to wait for the server.
        must_exist: if true, 403 means that the server refuses for now; otherwise it means that there is no such file.

    Returns:
        The validators; None when the server does not have the file.

    Raises:
        NoAnswerError: the server can't be reached, fails, or refuses a file that must exist.
    """

    def ask() -> dict[str, str]:
        with _session() as session, _answer(session, "HEAD", url, {}, patience) as response:
            return _validators(response)

    try:
        return _patiently(ask, url=url, patience=patience, must_exist=must_exist, log=lambda _: None)
    except NotFoundError:
        return None


class _TryAgainError(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, reason: str, *, retry_after: float | None = None, progress: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.progress = progress


class _RefusedError(_TryAgainError):
    """The server answered 403."""


def _patiently(
    attempt: Callable[[], Result],
    *,
    url: str,
    patience: Patience,
    must_exist: bool,
    log: Callable[[str], object],
) -> Result:
    """Retry the attempt until it succeeds or the patience ends."""
    failures = refusals = 0
    while True:
        try:
            return attempt()
        except _RefusedError as error:
            if not must_exist:
                raise NotFoundError(url, str(error), refused=True) from None
            if refusals == len(patience.refusal_pauses_seconds):
                raise NoAnswerError(
                    url,
                    f"in {refusals + 1} attempts: {error}, although the file must exist: the server refuses, as the "
                    "TLC's does after too many requests",
                    "Wait some minutes, then run again",
                    may_pass=False,
                ) from None
            pause = patience.refusal_pauses_seconds[refusals]
            refusals += 1
            reason = error
        except _TryAgainError as error:
            failures = 1 if error.progress else failures + 1
            if failures >= patience.attempts:
                raise NoAnswerError(
                    url,
                    f"in {failures} attempts: {error}",
                    "Check the network and the URL, which is a setting, then run again",
                ) from error
            # The jitter keeps runs that broke off together from coming back together.
            pause = patience.first_pause_seconds * 2 ** (failures - 1) * random.uniform(0.5, 1.5)  # noqa: S311
            reason = error
        if reason.retry_after is not None:
            if reason.retry_after > patience.longest_pause_seconds:
                raise NoAnswerError(
                    url,
                    f"now: {reason}, and the server asks to wait for {reason.retry_after:,.0f} s, more than "
                    f"{patience.longest_pause_seconds:,.0f} s",
                    "Run again then",
                    may_pass=False,
                ) from None
            pause = reason.retry_after
        log(f"{url}: {reason}; next attempt in {pause:.0f} s")
        time.sleep(pause)


def _attempt(
    session: "requests.Session",
    url: str,
    part: _Part,
    known: Validators,
    patience: Patience,
    on_progress: Callable[[int, int | None], object],
) -> dict[str, str] | None:
    """Request the file, or the rest of it, and write the answer to the part."""
    headers = {}
    if part.size and part.mark:
        headers = {"Range": f"bytes={part.size}-", "If-Range": part.mark}
    elif "etag" in known:
        headers = {"If-None-Match": known["etag"]}
    with _answer(session, "GET", url, headers, patience) as response:
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            if "If-None-Match" in headers:
                return None
            part.start_anew({})
            raise _TryAgainError("the server answered 304 Not Modified to a request without a condition")
        if not _continues(response, part):
            if response.status_code != HTTPStatus.OK:
                part.start_anew({})
                raise _TryAgainError(
                    f"the server answered {response.status_code} {_shown(response.reason)}, not with the file"
                )
            validators = _validators(response)
            if _same_version(validators, known):
                return None
            part.start_anew(validators)
            if part.length is not None and part.length > patience.largest_bytes:
                raise _too_large(url, part.length, patience)
        _receive(response, part, patience, on_progress)
    return part.validators


def _answer(
    session: "requests.Session", method: str, url: str, headers: Mapping[str, str], patience: Patience
) -> "requests.Response":
    """Send a request and return the answer, its body not yet read; raise for statuses that are no file."""
    import requests
    import urllib3

    try:
        response = session.request(
            method,
            url,
            # The announced length is the file's only without compression.
            headers={"Accept-Encoding": "identity", **headers},
            stream=True,
            timeout=(patience.connect_seconds, patience.read_seconds),
            allow_redirects=True,
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _TryAgainError(f"the server can't be reached ({_innermost(error)})") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        # A redirect to what is no address is a ValueError of the standard library.
        raise NoAnswerError(
            url, f"now: {_shown(error)}", f"Check where it redirects, and {SETTING_OF_URL}", may_pass=False
        ) from error
    answer = f"the server answered {response.status_code} {_shown(response.reason)}"
    if response.ok or response.status_code in (HTTPStatus.NOT_MODIFIED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        return response
    response.close()
    if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise NotFoundError(url, answer)
    if response.status_code == HTTPStatus.FORBIDDEN:
        raise _RefusedError(answer, retry_after=_retry_after(response))
    if response.status_code in _TEMPORARY_STATUS:
        raise _TryAgainError(answer, retry_after=_retry_after(response))
    raise FetchError(f"{url} can't be fetched: {answer}. Check {SETTING_OF_URL}")


def _continues(response: "requests.Response", part: _Part) -> bool:
    """True if the answer continues the bytes that are there."""
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return False
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    etag = part.validators.get("etag")
    return (
        span.partition("-")[0] == str(part.size)
        and total in ("*", str(part.length))
        and response.headers.get("ETag", etag) == etag
    )


def _receive(
    response: "requests.Response",
    part: _Part,
    patience: Patience,
    on_progress: Callable[[int, int | None], object],
) -> None:
    """Append the body to the part; raise when it ends too early, stalls or crawls."""
    import urllib3

    reason = "the connection ended"
    deadline, enough = 0.0, part.size
    with part.path.open("ab") as file:
        try:
            # read1 gives what has arrived, so that a server that trickles is noticed before a block is full.
            while block := response.raw.read1(BLOCK_BYTES, decode_content=False):
                file.write(block)
                part.size += len(block)
                if part.size > patience.largest_bytes:
                    raise _too_large(response.url, part.size, patience)
                on_progress(part.size, part.length)
                now = time.monotonic()
                if now > deadline:
                    if part.size < enough:
                        reason = f"the server sends less than {patience.slowest_bytes_per_second:,} bytes a second"
                        break
                    deadline = now + patience.read_seconds
                    enough = part.size + int(patience.slowest_bytes_per_second * patience.read_seconds)
            else:
                if part.length is None:
                    return
        except urllib3.exceptions.HTTPError as error:
            reason = f"the connection broke ({_innermost(error)})"
    if part.size == part.length:
        return
    progress = part.size - part.furthest >= BLOCK_BYTES
    part.furthest = max(part.furthest, part.size)
    came = f"{part.size:,} bytes came" + (f" of {part.length:,} announced" if part.length is not None else "")
    raise _TryAgainError(f"{reason}: {came}", progress=progress)


def _too_large(url: str, num_bytes: int, patience: Patience) -> NoAnswerError:
    return NoAnswerError(
        url,
        f"now: the server sends {num_bytes:,} bytes or more, and a file may have {patience.largest_bytes:,}",
        f"Check {SETTING_OF_URL}",
    )


def _unchanged_by_its_head(session: "requests.Session", url: str, known: Validators, patience: Patience) -> bool:
    """True if a server that gives no ETags still has the known version.

    `If-Modified-Since` would miss a file of an older date or another length, so both are compared.
    """
    if "etag" in known or not {"last_modified", "length"} <= set(known):
        return False
    try:
        with _answer(session, "HEAD", url, {}, patience) as response:
            return _same_version(_validators(response), known)
    except (_TryAgainError, FetchError):
        return False  # the request for the file itself will show the problem


def _same_version(found: Validators, known: Validators) -> bool:
    """True if two versions are surely one: by ETag where there is one, else by date and length."""
    if "etag" in known:
        return found.get("etag") == known["etag"]
    return {"last_modified", "length"} <= set(known) and dict(found) == dict(known)


def _validators(response: "requests.Response") -> dict[str, str]:
    names = {"etag": "ETag", "last_modified": "Last-Modified", "length": "Content-Length"}
    found = {key: response.headers[name] for key, name in names.items() if name in response.headers}
    if not re.fullmatch("[0-9]{1,18}", found.get("length", "0")):
        del found["length"]  # then the end of the connection is the end of the file
    return found


def _retry_after(response: "requests.Response") -> float | None:
    """Seconds that the server asks to wait; None when it does not, or in an unknown form."""
    import urllib3

    value = response.headers.get("Retry-After")
    try:
        return None if value is None else urllib3.Retry(retry_after_max=10**9).parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):  # a year or a number without end
        return None


def _shown(text: object) -> str:
    """Text of a server or of a library as an error may hold it: one line, bounded."""
    return " ".join(str(text).split())[:200]


def _innermost(error: BaseException) -> str:
    """Describe the innermost cause: requests and urllib3 wrap it several times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return _shown(error) or type(error).__name__


def _session() -> "requests.Session":
    import requests

    return requests.Session()
