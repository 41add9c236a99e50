"""Requests for a chart, dropped as JSON files into a folder: what one may say, and which of them are new. Plain Python.

`trip_request_sensor` reads the folder, the asset `trip_request` draws; `data/requests/README.md` tells the format.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from taxi_pipeline.tlc.zones import LAST_ZONE_ID

REQUESTS_FOLDER = "requests"
"""In the file store."""

SUFFIX = ".json"


class TripRequest(BaseModel):
    """Pickups in a borough, or in some of its zones, on some days."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)

    borough: Literal["Manhattan", "Brooklyn", "Queens", "Bronx", "Staten Island", "EWR", "Unknown", "N/A"]
    start_date: date
    end_date: date
    """Inclusive."""
    zone_ids: tuple[Annotated[int, Field(ge=1, le=LAST_ZONE_ID)], ...] | None = None
    fleet: Literal["yellow", "green", "fhv", "fhvhv"] | None = None

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> "TripRequest":
        if self.end_date < self.start_date:
            raise ValueError(f"end_date {self.end_date} is before start_date {self.start_date}")
        return self


class BadRequestError(ValueError):
    """A file is no request; the message says what is wrong with each field."""


def parse_request(content: bytes) -> TripRequest:
    """The request in a file.

    Raises:
        BadRequestError: the file is no JSON, or a field is missing, unknown or has a value that can't be used.
    """
    try:
        return TripRequest.model_validate_json(content)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}"
            + (f", not {e['input']!r:.80}" if e["loc"] and e["type"] != "missing" else "")
            for e in error.errors()
        )
        raise BadRequestError(f"{wrong}. The format is described in data/requests/README.md") from error


def read_requests(folder: Path) -> dict[str, bytes]:
    """Name → content of the request files in a folder; one that vanishes meanwhile is left out."""
    found = {}
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError, IsADirectoryError):
            if not path.name.startswith("."):
                found[path.name] = path.read_bytes()
    return found


@dataclass(frozen=True)
class NewRequest:
    """A file to be drawn."""

    name: str
    """Of the file, without its suffix: so is the chart called."""
    request: TripRequest
    run_key: str
    """Another for each version of the file."""


@dataclass(frozen=True)
class Decision:
    """What is new in the folder."""

    requests: list[NewRequest]
    errors: dict[str, str]
    """Name of each file that is no request → what is wrong; also of those that were wrong before."""
    cursor: str


def decide(files: Mapping[str, bytes], cursor: str | None) -> Decision:
    """Which files are new or were edited since the cursor was written.

    The cursor holds what was in each file, not when: neither clocks nor the order of names matter.

    Args:
        files: name → content of the files in the folder.
        cursor: of the decision before.
    """
    seen = _seen(cursor)
    now: dict[str, tuple[str, int]] = {}
    requests, errors = [], {}
    for name, content in sorted(files.items()):
        digest = hashlib.sha256(content).hexdigest()[:16]
        before, edits = seen.get(name, ("", 0))
        now[name] = (digest, edits + (digest != before))
        try:
            request = parse_request(content)
        except BadRequestError as error:
            errors[name] = str(error)
            continue
        if digest != before:
            # The number tells apart a file that was edited and edited back.
            requests.append(NewRequest(name.removesuffix(SUFFIX), request, f"{name} {digest} {now[name][1]}"))
    return Decision(requests, errors, json.dumps(now))


def _seen(cursor: str | None) -> dict[str, tuple[str, int]]:
    """The cursor's content; nothing when there is none, or one that somebody wrote by hand."""
    try:
        return {str(name): (str(digest), int(edits)) for name, (digest, edits) in json.loads(cursor or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
