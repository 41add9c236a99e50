"""Which versions of months are compared, and the file in which the answer is kept.

Each version that another replaced is compared with that other one, once: the answer is a JSON file, which stays when
the older version is no longer kept. Its numbers are counted in `warehouse.month_changes`.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.storage import Storage
from taxi_pipeline.storage.whole_files import sha256_of
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.held_months import note_of_copy
from taxi_pipeline.tlc.kept_versions import KeptVersion, kept_versions
from taxi_pipeline.tlc.source import month_of_file
from taxi_pipeline.tlc.trip_files import UnusableFileError, read_trip_file
from taxi_pipeline.warehouse.interface import PublishedFile, Session, Warehouse
from taxi_pipeline.warehouse.month_changes import NAMED_BY, Version, month_changes

FOLDER = "outputs/month_changes"
ROWS_HEADER = (*NAMED_BY, "kind", "rows", "column", "before", "after")
"""Of the CSV with the differing rows: a line for each changed column, and for each row that was added or removed."""
_SHORT = 12
"""Digits of a SHA-256 in names of files and in words."""


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """A version of a month's file, and the one that took its place."""

    fleet: Fleet
    month: date
    earlier: KeptVersion
    later_name: str
    """Name of the later version in the storage."""
    later_sha256: str

    @property
    def stem(self) -> str:
        """Name of the files about it, without their suffix."""
        versions = f"{self.earlier.sha256[:_SHORT]}-{self.later_sha256[:_SHORT]}"
        return f"{FOLDER}/{self.fleet.name}_{self.month:%Y-%m}.{versions}"


def replacements(files: Storage, fleets: Collection[str]) -> Iterator[Replacement]:
    """The versions of these fleets' months that were replaced, and what replaced each, in the order of time."""
    for name, found in groupby(kept_versions(files), key=lambda kept: kept.name):
        fleet, month = month_of_file(name)
        if fleet.name not in fleets:
            continue
        kept, now = list(found), note_of_copy(files, name)
        later = [(version.kept_name, version.sha256) for version in kept[1:]]
        later += [(name, now.sha256)] if now and now.sha256 else []
        for earlier, (later_name, later_sha256) in zip(kept, later, strict=False):
            if earlier.sha256 != later_sha256:
                yield Replacement(
                    fleet=fleet,
                    month=month,
                    earlier=earlier,
                    later_name=later_name,
                    later_sha256=later_sha256,
                )


def write_comparison(warehouse: Warehouse, files: Storage, replacement: Replacement) -> dict[str, Any]:
    """Compare two versions, and write the answer as JSON, and the first differing rows as CSV.

    Returns:
        What the JSON file holds.

    Raises:
        UnusableFileError: one of the files is damaged, or the engine can't read it.
        MissingZonesError: a file holds coordinates, and the zones are not loaded.
    """
    earlier, later = replacement.earlier, replacement.later_name
    with files.lock(earlier.name), ExitStack() as stack:
        before = stack.enter_context(_version(files, replacement.fleet, earlier.kept_name, earlier.sha256))
        after = stack.enter_context(_version(files, replacement.fleet, later, replacement.later_sha256))
        with warehouse.read() as session:
            found, rows = _compared(session, before, after)
        schema = _changed_schema(before.file.path, after.file.path)
        synthetic = read_trip_file(after.file.path).synthetic
    answer = {
        "fleet": replacement.fleet.name,
        "month": f"{replacement.month:%Y-%m}",
        "replaced_at": earlier.note.replaced_at,
        "earlier_sha256": earlier.sha256,
        "later_sha256": replacement.later_sha256,
        "synthetic": synthetic,
        **found,
        "schema": schema,
    }
    files.write(f"{replacement.stem}.csv", csv_text(ROWS_HEADER, rows))
    files.write(f"{replacement.stem}.json", json.dumps(answer, indent=2) + "\n")  # last: it says that all is there
    return answer


def comparisons(files: Storage) -> list[dict[str, Any]]:
    """All answers, the newest replacement first."""
    found = [json.loads(files.read(name)) | {"stem": name.removesuffix(".json")} for name in _answers(files)]
    return sorted(found, key=lambda answer: (answer["replaced_at"], answer["stem"]), reverse=True)


def not_compared(files: Storage, fleets: Collection[str]) -> list[Replacement]:
    """The replacements without an answer."""
    done = set(_answers(files))
    return [found for found in replacements(files, fleets) if f"{found.stem}.json" not in done]


def _answers(files: Storage) -> Sequence[str]:
    return files.list(f"{FOLDER}/*.json")


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
