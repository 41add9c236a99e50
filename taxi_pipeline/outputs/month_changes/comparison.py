"""Which versions of months are compared, and the file in which the answer is kept.

Each version that another replaced is compared with that other one, once: the answer is a JSON file, which stays when
the older version is no longer kept. Its numbers are counted in `warehouse.month_changes`.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.storage import Storage
from taxi_pipeline.storage.whole_files import sha256_of
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.kept_versions import Replacement, file_of_version, replacements
from taxi_pipeline.tlc.source import month_of_file
from taxi_pipeline.tlc.trip_files import UnusableFileError, read_trip_file
from taxi_pipeline.warehouse.interface import PublishedFile, Session, Warehouse
from taxi_pipeline.warehouse.month_changes import NAMED_BY, Version, month_changes

FOLDER = "outputs/month_changes"
ROWS_HEADER = (*NAMED_BY, "kind", "rows", "column", "before", "after")
"""Of the CSV with the differing rows: a line for each changed column, and for each row that was added or removed."""
_ENTRIES = {
    *("fleet", "month", "replaced_at", "earlier_sha256", "later_sha256", "synthetic", "schema", "columns"),
    *("rows_before", "rows_after", "rows_unchanged", "rows_changed", "rows_added", "rows_removed"),
    *("rows_paired_otherwise", "total_amount_change", "trip_distance_change"),
}
"""Of an answer."""
_SHORT = 12
"""Digits of a SHA-256 in names of files and in words."""


@dataclass(frozen=True, kw_only=True)
class Comparable:
    """A version of a month's file and the one that took its place, both of which are there."""

    fleet: Fleet
    month: date
    replacement: Replacement
    earlier_name: str
    """Name of the earlier version in the storage."""
    later_name: str

    @property
    def stem(self) -> str:
        """Name of the files about it, without their suffix."""
        return _stem_of(self.replacement)


def _stem_of(replacement: Replacement) -> str:
    fleet, month = month_of_file(replacement.name)
    versions = f"{replacement.earlier[:_SHORT]}-{replacement.later[:_SHORT]}"
    return f"{FOLDER}/{fleet.name}_{month:%Y-%m}.{versions}"


def comparable(files: Storage, fleets: Collection[str], done: Collection[str] = ()) -> Iterator[Comparable]:
    """What can be compared of these fleets' months, in the order of time; a pair of versions once.

    Args:
        files: the storage.
        fleets: names of the fleets.
        done: names of the files about pairs to leave out, without their suffix; the versions are not looked for.
    """
    seen = set(done)
    for replacement in replacements(files):
        fleet, month = month_of_file(replacement.name)
        stem = _stem_of(replacement)
        if fleet.name not in fleets or stem in seen:
            continue
        earlier, later = _files_of(files, replacement)
        if earlier is not None and later is not None:
            seen.add(stem)
            yield Comparable(fleet=fleet, month=month, replacement=replacement, earlier_name=earlier, later_name=later)


def _files_of(files: Storage, replacement: Replacement) -> list[str | None]:
    """The names of the files that have the earlier and the later version; None for one that is not there any more."""
    return [file_of_version(files, replacement.name, sha256) for sha256 in (replacement.earlier, replacement.later)]


def write_comparison(warehouse: Warehouse, files: Storage, found: Comparable) -> dict[str, Any]:
    """Compare two versions, and write the answer as JSON, and the first differing rows as CSV.

    Returns:
        What the JSON file holds.

    Raises:
        UnusableFileError: one of the files is damaged, or the engine can't read it.
        MissingZonesError: a file holds coordinates, and the zones are not loaded.
    """
    replacement = found.replacement
    with files.lock(replacement.name), ExitStack() as stack:
        before = stack.enter_context(_version(files, found.fleet, found.earlier_name, replacement.earlier))
        after = stack.enter_context(_version(files, found.fleet, found.later_name, replacement.later))
        with warehouse.read() as session:
            numbers, rows = _compared(session, before, after)
        schema = _changed_schema(before.file.path, after.file.path)
        synthetic = read_trip_file(after.file.path).synthetic
    answer = {
        "fleet": found.fleet.name,
        "month": f"{found.month:%Y-%m}",
        "replaced_at": replacement.replaced_at,
        "earlier_sha256": replacement.earlier,
        "later_sha256": replacement.later,
        "synthetic": synthetic,
        **numbers,
        "schema": schema,
    }
    files.write(f"{found.stem}.csv", csv_text(ROWS_HEADER, rows))
    files.write(f"{found.stem}.json", json.dumps(answer, indent=2) + "\n")  # last: it says that all is there
    return answer


def comparisons(files: Storage) -> list[dict[str, Any]]:
    """All answers, the newest replacement first."""
    return sorted(_answers(files), key=lambda answer: (answer["replaced_at"], answer["stem"]), reverse=True)


def not_compared(files: Storage, fleets: Collection[str]) -> list[Comparable]:
    """What can be compared, and has no answer yet, or one that is damaged."""
    return list(comparable(files, fleets, {answer["stem"] for answer in _answers(files)}))


def never_compared(files: Storage, answers: Iterable[Mapping[str, Any]]) -> list[str]:
    """The replacements that have no answer, and get none since one of the versions is not kept any more, in words."""
    done = {answer["stem"] for answer in answers}
    return [
        _in_words(each) for each in replacements(files) if _stem_of(each) not in done and None in _files_of(files, each)
    ]


def _in_words(replacement: Replacement) -> str:
    fleet, month = month_of_file(replacement.name)
    earlier, later = replacement.earlier[:_SHORT], replacement.later[:_SHORT]
    return f"{fleet.month_name(month)}: {earlier}, replaced by {later} at {replacement.replaced_at}"


def _answers(files: Storage) -> Iterator[dict[str, Any]]:
    """The answers, each with the name of the files about it, without their suffix; without those that are damaged."""
    for name in files.list(f"{FOLDER}/*.json"):
        stem = name.removesuffix(".json")
        try:
            answer = json.loads(files.read(name)) | {"stem": stem}
        except (ValueError, TypeError):
            continue
        if answer.keys() >= _ENTRIES:
            yield answer


@contextmanager
def _version(files: Storage, fleet: Fleet, name: str, sha256: str) -> Iterator[Version]:
    with files.local_copy(name) as path:
        if (found := sha256_of(path)) != sha256:
            raise UnusableFileError(f"{files.uri(name)} is damaged: its SHA-256 is {found}, and was {sha256}")
        content = read_trip_file(path)
        file = PublishedFile(path=path, uri=files.uri(name), sha256=sha256, num_rows=content.num_rows)
        yield Version.of(fleet, file, content.columns)


def _compared(session: Session, before: Version, after: Version) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """The numbers of an answer, and the lines of its CSV."""
    found = month_changes(session, before, after)
    numbers = {
        "rows_before": found.num_earlier,
        "rows_after": found.num_later,
        "rows_unchanged": found.num_unchanged,
        "rows_changed": found.num_changed,
        "rows_added": found.num_added,
        "rows_removed": found.num_removed,
        "rows_paired_otherwise": sum(pair.num_ambiguous for pair in found.pairs),
        "total_amount_change": f"{found.total_amount:.2f}",
        "trip_distance_change": f"{found.trip_distance:.3f}",
        "columns": {
            name: {"rows": column.num_rows, "filled": column.num_filled, "emptied": column.num_emptied}
            for name, column in found.columns.items()
        },
        "paired_by": [asdict(pair) for pair in found.pairs if pair.num_pairs],
    }
    return numbers, [line for row in found.examples for line in _lines(row)]


def _lines(row: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    *named, changed = row
    if not changed:
        yield (*named, "", "", "")
    for column, (before, after) in changed.items():
        yield (*named, column, before, after)


def _changed_schema(earlier: Path, later: Path) -> dict[str, Any]:
    """The published columns that came, went, or have another type, in the files' own words."""
    before, after = _types(earlier), _types(later)
    return {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "types": {
            name: [before[name], after[name]] for name in before if name in after and before[name] != after[name]
        },
    }


def _types(path: Path) -> dict[str, str]:
    import pyarrow.parquet as pq

    return {field.name: str(field.type) for field in pq.read_schema(path)}
