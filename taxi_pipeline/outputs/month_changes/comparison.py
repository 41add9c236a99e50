"""Which versions of months are compared, and the file in which the answer is kept.

Each version that another replaced is compared with that other one, once: the answer is a JSON file, which stays when
the older version is no longer kept. Its numbers are counted in `warehouse.month_changes`.
"""

import json
from collections.abc import Collection, Iterator
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
        versions = f"{self.replacement.earlier[:_SHORT]}-{self.replacement.later[:_SHORT]}"
        return f"{FOLDER}/{self.fleet.name}_{self.month:%Y-%m}.{versions}"


def comparable(files: Storage, fleets: Collection[str]) -> Iterator[Comparable]:
    """What can be compared of these fleets' months, in the order of time; a pair of versions once."""
    seen: set[str] = set()
    for replacement in replacements(files):
        fleet, month = month_of_file(replacement.name)
        earlier = file_of_version(files, replacement.name, replacement.earlier)
        later = file_of_version(files, replacement.name, replacement.later)
        if fleet.name not in fleets or earlier is None or later is None:
            continue
        found = Comparable(fleet=fleet, month=month, replacement=replacement, earlier_name=earlier, later_name=later)
        if found.stem not in seen:
            seen.add(found.stem)
            yield found


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
    return sorted(_answers(files).values(), key=lambda answer: (answer["replaced_at"], answer["stem"]), reverse=True)


def not_compared(files: Storage, fleets: Collection[str]) -> list[Comparable]:
    """What can be compared, and has no answer yet, or one that is damaged."""
    done = _answers(files)
    return [found for found in comparable(files, fleets) if found.stem not in done]


def never_compared(files: Storage) -> list[str]:
    """The replacements that have no answer, and get none since one of the versions is not kept any more, in words."""
    done = {(answer["earlier_sha256"], answer["later_sha256"]) for answer in _answers(files).values()}
    return [
        f"{month_of_file(each.name)[0].month_name(month_of_file(each.name)[1])}: {each.earlier[:_SHORT]}, replaced by "
        f"{each.later[:_SHORT]} at {each.replaced_at}"
        for each in replacements(files)
        if (each.earlier, each.later) not in done
        and None in (file_of_version(files, each.name, sha256) for sha256 in (each.earlier, each.later))
    ]


def _answers(files: Storage) -> dict[str, dict[str, Any]]:
    """Name of the files about it, without their suffix → the answer; without those that are damaged."""
    found = {}
    for name in files.list(f"{FOLDER}/*.json"):
        stem = name.removesuffix(".json")
        try:
            answer = json.loads(files.read(name)) | {"stem": stem}
        except (ValueError, TypeError):
            continue
        if answer.keys() >= _ENTRIES:
            found[stem] = answer
    return found


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
