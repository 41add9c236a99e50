"""Which fleet and era a file's columns belong to, and where in a CSV its columns are named.

Names that circulate differ from the published ones in case, blanks, underscores and quotes; a few are others. They are
compared by their letters and digits alone, within one era, because `vendor_id` and `VendorID` are different columns of
different eras.
"""

import csv
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from taxi_pipeline.imports.originals import RefusedFileError
from taxi_pipeline.tlc.fleets import FHV, FHVHV, FLEETS, Era, Fleet, spellings

OTHER_NAMES: Mapping[str, str] = {
    "imp_surcharge": "improvement_surcharge",  # NYC Open Data's exports of 2014 to 2016
    "pickup_date": "pickup_datetime",  # fhv of 2015 and 2016
    "locationid": "PULocationID",  # the same: they have pickups only
    "pickup_location_id": "PULocationID",
    "dropoff_location_id": "DOLocationID",
    "pu_location": "PULocationID",
    "do_location": "DOLocationID",
    "fare": "fare_amount",
    "tip": "tip_amount",
    "total": "total_amount",
}
"""Names under which columns circulate → the published name."""

PICKUPS_ONLY = "locationid"
"""The only place of `fhv` files of 2015 and 2016, as the TLC published them as CSV. Their Parquet files have a column
of drop-off zones without values."""

_MARKS: Mapping[str, tuple[str, ...]] = {
    FHVHV.name: ("hvfhslicensenum",),
    FHV.name: ("dispatchingbasenum", "dispatchingbasenumber"),
}
"""Fleets whose needed columns others have, too → columns of which each of their files has one. The first fleet whose
columns are there counts: files of `fhvhv` name bases as well."""
_NO_NAME = re.compile(r"(unnamed:? ?\d+|index|level_0|__index_level_0__)?", re.IGNORECASE)
"""Columns of row numbers, as data frames write them, and those that commas at the ends of lines make."""

_DELIMITERS = (",", ";", "\t", "|")
_HEAD_BYTES = 1 << 16
MAX_COLUMNS = 200
"""Of a file; no month has had more than 25."""
_MAX_SHOWN = 300


def squeezed(name: str) -> str:
    """A name as it is compared here: its letters and digits, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@dataclass(frozen=True)
class Header:
    """Where a CSV's columns are named, and how its values are separated."""

    names: tuple[str, ...]
    """As they stand in the file. A column without a name, which only the rows have, is an empty text."""
    num_lines: int
    """Lines up to the first row: the header, and what stands before it."""
    delimiter: str
    line_end: str


@dataclass(frozen=True)
class Columns:
    """What a file's columns are."""

    fleet: Fleet
    era: Era
    published: tuple[str | None, ...]
    """For each column of the file: the published name; its own, where nobody publishes it; None where it has none."""
    unknown: tuple[str, ...]
    """The names that nobody publishes."""
    pickups_only: bool
    """Whether the file has no drop-off zones, as `fhv` of 2015 and 2016."""


def columns_of(names: Sequence[str]) -> Columns:
    """Tell fleet and era by the columns: those that know most of the names, and miss none without which no trip is.

    Raises:
        RefusedFileError: no fleet has these columns, or several could have them.
    """
    fitting = [
        (sum(squeezed(name) in known for name in names), fleet, era, known)
        for fleet in FLEETS.values()
        for era in fleet.eras
        if not _lacking(fleet, era, names, known := _known_of(era))
    ]
    if not fitting:
        raise RefusedFileError(
            f"no fleet's trips have its columns ({shown(names)}): needed are the pickup's time, and zones or "
            "coordinates, under the names that the TLC has used (docs/import.md lists them)"
        )
    fleets = {fleet.name for _, fleet, *_ in fitting}
    fleet_name = _told_apart(fleets, set(map(squeezed, names)))
    if fleet_name is None:
        raise RefusedFileError(
            f"its fleet can't be told: its columns ({shown(names)}) can be those of {' and '.join(sorted(fleets))}. "
            "Import a file that has more of the published columns"
        )
    most = max(num for num, fleet, *_ in fitting if fleet.name == fleet_name)
    best = [found for found in fitting if found[0] == most and found[1].name == fleet_name]
    _, fleet, era, known = best[-1]  # of an era's forms the last one counts, as for published files
    published = _distinct([known.get(squeezed(name)) or _own_name(name) for name in names])
    unknown = tuple(name for name in published if name and squeezed(name) not in known)
    return Columns(fleet, era, published, unknown, _has_pickups_only(fleet, names))


def _told_apart(fleets: Set[str], have: Set[str]) -> str | None:
    """The fleet among those that have the needed columns; None when several can be meant."""
    marked = [fleet for fleet, marks in _MARKS.items() if fleet in fleets and not have.isdisjoint(marks)]
    others = fleets - set(_MARKS)
    return marked[0] if marked and not others else next(iter(others)) if len(others) == 1 else None


def _known_of(era: Era) -> dict[str, str]:
    """Squeezed name → published name, of an era and the names that circulate."""
    published = [name for source in era.sources.values() for name in source.names]
    also = [name for source in era.sources.values() for name in spellings(source)]
    known = {squeezed(name): name for name in (*also, *published)}
    others = {squeezed(other): known.get(squeezed(name)) for other, name in OTHER_NAMES.items()}
    return {other: name for other, name in others.items() if name} | known


def _lacking(fleet: Fleet, era: Era, names: Sequence[str], known: Mapping[str, str]) -> list[str]:
    have = [known.get(squeezed(name), name) for name in names]
    lacking = era.lacking(have)
    return [name for name in lacking if not (_has_pickups_only(fleet, names) and squeezed(name) == "dolocationid")]


def _has_pickups_only(fleet: Fleet, names: Sequence[str]) -> bool:
    have = set(map(squeezed, names))
    return fleet is FHV and PICKUPS_ONLY in have and "dolocationid" not in have


def _own_name(name: str) -> str | None:
    own = name.strip().removeprefix("\ufeff").strip()
    return None if _NO_NAME.fullmatch(own) else own


def _distinct(names: Sequence[str | None]) -> tuple[str | None, ...]:
    """The names, of which a second one alike gets a blank: what both columns hold is compared when they are judged."""
    found: list[str | None] = []
    for name in names:
        found.append(None if name is None else name + " " * sum(one == name for one in map(_bare, found)))
    return tuple(found)


def _bare(name: str | None) -> str | None:
    return None if name is None else name.rstrip()


def shown(names: Sequence[str]) -> str:
    """Names for a message, bounded and as text."""
    text = ", ".join("".join(c if c.isprintable() else "?" for c in name.strip()[:60]) or "''" for name in names)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} …"


def read_header(content: Path) -> Header:
    """Find the header of a CSV: its first line that is not blank.

    Raises:
        RefusedFileError: it is no text in UTF-8, or has a header only.
    """
    with content.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    cut = head if len(head) < _HEAD_BYTES else head[: max(head.rfind(b"\n"), head.rfind(b"\r")) + 1]
    try:
        text = cut.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedFileError(
            f"it is not in UTF-8 (byte {error.start:,} is {cut[error.start : error.start + 1]!r}): write it as UTF-8"
        ) from error
    line_end = next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")
    lines = text.split(line_end)
    first = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("sep=")), None)
    if first is None:
        raise RefusedFileError("it is empty: it has no line but blank ones")
    delimiter = max(_DELIMITERS, key=lambda one: len(_values(lines[first], one)))
    names = _values(lines[first], delimiter)
    row = next((line for line in lines[first + 1 :] if line.strip()), None)
    if row is None:
        raise RefusedFileError("it has no rows: there is a header only" if len(names) > 1 else _no_csv(names))
    # The TLC's CSVs of green taxis have rows that end in more commas than the header has.
    num_columns = max(len(names), len(_values(row, delimiter)))
    if len(names) < 2 or num_columns > MAX_COLUMNS:
        raise RefusedFileError(_no_csv(names))
    names += [""] * (num_columns - len(names))
    return Header(tuple(names), first + 1, delimiter, line_end)


def _no_csv(names: Sequence[str]) -> str:
    return f"it is no CSV with a header: its first line is {shown(names)!r}"


def _values(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
