"""Requests for a chart, put as JSON files into `requests/`: their format, and which of them are new.

`data/requests/README.md` describes the format for people.
"""

import codecs
import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.storage import MissingFileError, Storage, StorageError
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.zones import BOROUGHS, LAST_ZONE_ID, boroughs_of_zones

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SUFFIX = ".json"
REQUESTS = f"requests/*{SUFFIX}"
"""The request files in the storage."""
ERRORS = f"requests/*{SUFFIX}.error.txt"
"""The texts beside refused requests that say what is wrong."""
MAX_BYTES = 64 << 10
"""Largest request file. One that lists all 265 zones has less than 2,000 bytes."""
MAX_NAME_BYTES = 200
"""Longest name of a request file: file systems take 255 bytes, of which temporary names and `.error.txt` need some."""
_MAX_ERRORS = 5
"""Largest number of errors that are told of one file."""
_MAX_TEXTS = 100
"""Largest number of texts that are written at a time: a tick of the sensor has 60 s."""
_SHOWN = 80
"""Largest number of characters that are told of a value or of a field's name."""


def _one_of(names: Collection[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"it must be one of {', '.join(names)}")
        return value

    return AfterValidator(check)


def _no_number(value: object) -> object:
    if isinstance(value, int | float):  # pydantic would take it as seconds since 1970
        raise ValueError("it must be a date YYYY-MM-DD")
    return value


_Day = Annotated[date, BeforeValidator(_no_number)]


class TripRequest(BaseModel):
    """A request for the pickups in a borough, or in some of its zones, on some days."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)

    borough: Annotated[str, _one_of(BOROUGHS)]
    start_date: _Day
    end_date: _Day
    """Last day of the request, inclusive."""
    zone_ids: tuple[Annotated[int, Field(ge=1, le=LAST_ZONE_ID)], ...] | None = None
    fleet: Annotated[str, _one_of(FLEETS)] | None = None

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> "TripRequest":
        if self.end_date < self.start_date:
            raise ValueError(f"end_date {self.end_date} is before start_date {self.start_date}")
        return self

    @model_validator(mode="after")
    def _holds_together(self) -> "TripRequest":
        boroughs = boroughs_of_zones()
        elsewhere = {zone: boroughs[zone] for zone in self.zone_ids or () if boroughs[zone] != self.borough}
        if elsewhere:
            named = _first([f"{zone} is in {borough}" for zone, borough in elsewhere.items()], ", ")
            raise ValueError(f"zone_ids must lie in the borough {self.borough}, but {named}")
        if self.zone_ids == ():
            raise ValueError("zone_ids is empty: leave it out for the whole borough")
        if self.fleet and self.end_date < (first := FLEETS[self.fleet].first_month):
            raise ValueError(f"end_date {self.end_date} is before the first trips of {self.fleet}, {first}")
        return self


class BadRequestError(TaxiPipelineError):
    """A file does not hold a request; the message says what is wrong with each field."""


def parse_request(content: bytes) -> TripRequest:
    """Parse the content of a request file.

    Raises:
        BadRequestError: the content is no JSON, or a field is missing, unknown or has a value that can't be used.
    """
    try:
        return TripRequest.model_validate_json(_as_utf_8(content))
    except ValidationError as error:
        wrong = _first([_in_words(e) for e in error.errors(include_url=False, include_context=False)], "; ")
        raise BadRequestError(f"{wrong}. The format is described in data/requests/README.md") from error


def _as_utf_8(content: bytes) -> bytes:
    """The text as UTF-8 without a mark; editors of Windows write one, or UTF-16."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace").encode()
    return content.removeprefix(codecs.BOM_UTF8)


def _in_words(error: "ErrorDetails") -> str:
    field = ".".join(map(str, error["loc"])) or "the file"
    value = f", not {error['input']!r:.{_SHOWN}}" if error["loc"] and error["type"] != "missing" else ""
    return f"{field:.{_SHOWN}}: {error['msg'].removeprefix('Value error, ')}{value}"


def _first(texts: Sequence[str], separator: str) -> str:
    """The first texts, and how many more there are."""
    more = len(texts) - _MAX_ERRORS
    return separator.join(texts[:_MAX_ERRORS]) + (f" and {more:,} more" if more > 0 else "")


@dataclass(frozen=True)
class Unreadable:
    """A request file that is not read at all."""

    reason: str


def read_requests(files: Storage) -> dict[str, bytes | Unreadable]:
    """Read all request files: file name → content. A file that vanishes meanwhile is left out."""
    found: dict[str, bytes | Unreadable] = {}
    for path in files.list(REQUESTS):
        name = path.rpartition("/")[2]
        try:
            found[name] = _read(files, path, name)
        except MissingFileError:
            continue
        except OSError as error:
            found[name] = Unreadable(f"it can't be read: {error.strerror}")
    return found


def _read(files: Storage, path: str, name: str) -> bytes | Unreadable:
    if "\\" in name:
        return Unreadable("its name holds a backslash: rename the file")
    if not name.isprintable():  # as Python shows bytes that are no UTF-8
        return Unreadable("its name holds characters that can't be shown: rename the file")
    if len(name.encode()) > MAX_NAME_BYTES:
        return Unreadable(f"its name has {len(name.encode())} bytes, and may have {MAX_NAME_BYTES}: rename the file")
    if (size := files.size_bytes(path)) > MAX_BYTES:
        return Unreadable(f"it has {size:,} bytes, and a request has at most {MAX_BYTES:,}")
    # What shows no bytes is not read: a link into /proc can block for ever.
    return files.read(path) if size else b""


def chart_file(name: str) -> str:
    """The name of a request's chart in the storage.

    Args:
        name: name of the request's file, without its suffix.

    Raises:
        ValueError: the name would lead out of the folder.
    """
    if "/" in name or "\\" in name or name.startswith("."):
        raise ValueError(f"{name!r} is no name of a file: it must hold no slash and not start with a dot")
    return f"outputs/requests/{name}.png"


@dataclass(frozen=True)
class NewRequest:
    """A request to draw."""

    name: str
    """Name of the request's file, without its suffix; the chart has the same name."""
    request: TripRequest
    run_key: str
    """Run key for Dagster; different for each version of the file."""


@dataclass(frozen=True)
class Decision:
    """The new requests and the refused files among the request files."""

    requests: list[NewRequest]
    errors: dict[str, str]
    """Shown name of each refused file → what is wrong with it, including files that were refused before."""
    new_errors: dict[str, str]
    """Name of each refused file that is new or was edited → what is wrong with it."""
    cursor: str


def decide(files: Mapping[str, bytes | Unreadable], cursor: str | None) -> Decision:
    """Find the files that are new or were edited since the cursor was written.

    The cursor holds what was in each file, not when: neither clocks nor the order of names matter.

    Args:
        files: name → content of the files in the folder, or why it is not read.
        cursor: cursor of the previous decision; None for the first.

    Returns:
        The new requests, the refused files, and the next cursor.
    """
    seen = _seen(cursor)
    now: dict[str, tuple[str, int]] = {}
    requests: list[NewRequest] = []
    errors: dict[str, str] = {}
    new_errors: dict[str, str] = {}
    for name, content in sorted(files.items()):
        digest = hashlib.sha256(content if isinstance(content, bytes) else content.reason.encode()).hexdigest()[:16]
        before, edits = seen.get(name, ("", 0))
        now[name] = (digest, edits + (digest != before))
        try:
            if isinstance(content, Unreadable):
                raise BadRequestError(content.reason)
            request = parse_request(content)
        except BadRequestError as error:
            errors[_shown(name)] = str(error)
            if digest != before:
                new_errors[_shown(name)] = str(error)
            continue
        if digest != before:
            # The number makes the key of a file that was edited and edited back a new one.
            requests.append(NewRequest(name.removesuffix(SUFFIX), request, f"{name} {digest} {now[name][1]}"))
    return Decision(requests, errors, new_errors, json.dumps(now))


def write_errors(files: Storage, errors: Mapping[str, str]) -> None:
    """Write a text beside each refused file, `<name>.error.txt`, and delete the texts of all other files.

    Args:
        files: the storage. A text that can't be written is skipped.
        errors: shown name of the refused file → what is wrong with it.
    """
    texts = {f"requests/{name}.error.txt": f"{error}\n" for name, error in errors.items()}
    for name in set(files.list(ERRORS)) - set(texts):
        with suppress(StorageError, OSError):
            files.delete(name)
    written = 0
    for name, text in texts.items():
        with suppress(StorageError, OSError):
            if not files.exists(name) or files.read_text(name) != text:
                files.write(name, text)
                written += 1
        if written >= _MAX_TEXTS:  # the next tick writes the others
            return


def _shown(name: str) -> str:
    """A file's name as logs and other files may hold it: one that needed a change, or is long, ends in a digest."""
    printable = "".join(letter if letter.isprintable() and letter != "\\" else "_" for letter in name)
    short = printable.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    if short == name:
        return name
    return f"{short.removesuffix(SUFFIX)}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}{SUFFIX}"


def _seen(cursor: str | None) -> dict[str, tuple[str, int]]:
    """Parse the cursor; empty when there is none, or one of another form."""
    try:
        return {str(name): (str(digest), int(edits)) for name, (digest, edits) in json.loads(cursor or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
