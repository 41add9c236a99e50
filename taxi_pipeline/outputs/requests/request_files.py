"""Requests for a chart, put as JSON files into `requests/`: their format, and which of them are new.

`data/requests/README.md` describes the format for people.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.storage import MissingFileError, Storage, StorageError
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.zones import BOROUGHS, LAST_ZONE_ID, boroughs_of_zones

SUFFIX = ".json"
REQUESTS = f"requests/*{SUFFIX}"
"""The request files in the storage."""
ERRORS = f"requests/*{SUFFIX}.error.txt"
"""The texts beside refused requests that say what is wrong."""


def _one_of(names: Collection[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"it must be one of {', '.join(names)}")
        return value

    return AfterValidator(check)


class TripRequest(BaseModel):
    """A request for the pickups in a borough, or in some of its zones, on some days."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)

    borough: Annotated[str, _one_of(BOROUGHS)]
    start_date: date
    end_date: date
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
            named = ", ".join(f"{zone} is in {borough}" for zone, borough in elsewhere.items())
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
        return TripRequest.model_validate_json(content)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg'].removeprefix('Value error, ')}"
            + (f", not {e['input']!r:.80}" if e["loc"] and e["type"] != "missing" else "")
            for e in error.errors()
        )
        raise BadRequestError(f"{wrong}. The format is described in data/requests/README.md") from error


def read_requests(files: Storage) -> dict[str, bytes]:
    """Read all request files: file name → content. A file that vanishes meanwhile is left out.

    A file with a backslash in its name can't be read from the storage: its content is empty here, and `decide` refuses
    it.
    """
    found = {}
    for name in files.list(REQUESTS):
        with suppress(MissingFileError):
            found[name.rpartition("/")[2]] = b"" if "\\" in name else files.read(name)
    return found


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
    """Name of each refused file → what is wrong with it, including files that were refused before."""
    new_errors: dict[str, str]
    """Name of each refused file that is new or was edited → what is wrong with it."""
    cursor: str


def decide(files: Mapping[str, bytes], cursor: str | None) -> Decision:
    """Find the files that are new or were edited since the cursor was written.

    The cursor holds what was in each file, not when: neither clocks nor the order of names matter.

    Args:
        files: name → content of the files in the folder.
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
        digest = hashlib.sha256(content).hexdigest()[:16]
        before, edits = seen.get(name, ("", 0))
        now[name] = (digest, edits + (digest != before))
        try:
            if "\\" in name:
                raise BadRequestError("its name holds a backslash: rename the file")
            request = parse_request(content)
        except BadRequestError as error:
            errors[name] = str(error)
            if digest != before:
                new_errors[name] = str(error)
            continue
        if digest != before:
            # The number makes the key of a file that was edited and edited back a new one.
            requests.append(NewRequest(name.removesuffix(SUFFIX), request, f"{name} {digest} {now[name][1]}"))
    return Decision(requests, errors, new_errors, json.dumps(now))


def write_errors(files: Storage, errors: Mapping[str, str]) -> None:
    """Write a text beside each refused file, `<name>.error.txt`, and delete the texts of all other files.

    Args:
        files: the storage. A text that can't be written is skipped.
        errors: name of the refused file → what is wrong with it.
    """
    texts = {f"requests/{_without_backslash(name)}.error.txt": f"{error}\n" for name, error in errors.items()}
    with suppress(StorageError, OSError):
        for name in set(files.list(ERRORS)) - set(texts):
            files.delete(name)
        for name, text in texts.items():
            if not files.exists(name) or files.read_text(name) != text:
                files.write(name, text)


def _without_backslash(name: str) -> str:
    return name.replace("\\", "_")


def _seen(cursor: str | None) -> dict[str, tuple[str, int]]:
    """Parse the cursor; empty when there is none, or one of another form."""
    try:
        return {str(name): (str(digest), int(edits)) for name, (digest, edits) in json.loads(cursor or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
