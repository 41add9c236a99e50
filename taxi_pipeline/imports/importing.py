"""Importing a file of somebody's own: tell fleet and month by its content, convert, verify, store, note the origin.

Nothing of a refused file is left, and what lay in `raw/` stays as it was. The whole work is done beside `raw/`, so that
a process that is killed leaves nothing there.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from taxi_pipeline.imports.conversion import MAX_MONTHS_NAMED, surveyed, write_published
from taxi_pipeline.imports.headers import columns_of
from taxi_pipeline.imports.originals import RefusedFileError, content_of, is_parquet
from taxi_pipeline.storage import Storage
from taxi_pipeline.storage.scratch import Scratch
from taxi_pipeline.storage.whole_files import sha256_of
from taxi_pipeline.tlc.fetch_note import Origin
from taxi_pipeline.tlc.fleets import Fleet, MissingColumnsError
from taxi_pipeline.tlc.held_months import note_of_copy, store_imported
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline.tlc.source import TlcSource, trips_file
from taxi_pipeline.tlc.trip_files import UnusableFileError, read_trip_file
from taxi_pipeline.warehouse.typing.judgement import FEW, MAX_SHARE_OUTSIDE, judge_download
from taxi_pipeline.warehouse.typing.pickup_months import pickup_months


@dataclass(frozen=True, kw_only=True)
class ImportedMonth:
    """A month that was imported."""

    fleet: str
    month: date
    """Its first day."""
    num_rows: int
    uri: str
    sha256: str
    """Of the stored file."""
    origin: Origin
    replaced: str | None
    """What lay there before, in words; None when nothing did."""
    unknown_columns: tuple[str, ...]
    """Columns that nobody publishes; they are kept in the file, and not loaded."""


def import_file(
    path: Path, files: Storage, tlc: TlcSource, scratch: Scratch, *, replace: bool = False
) -> ImportedMonth:
    """Import a file of trips as the month that it holds.

    Args:
        path: the file: Parquet, CSV, a gzipped CSV, or a zip with one of these. It is only read.
        files: the storage.
        tlc: the configured fleets, and the months that are accepted although they are unlikely.
        scratch: where the file is unpacked and converted.
        replace: whether it takes the place of a month that was fetched or imported before.

    Raises:
        RefusedFileError: it can't be imported; says what it is and what to do.
        StorageError: the storage can't be written.
        FileInUseError: another process is fetching or importing the same month for too long.
    """
    origin = Origin(
        name=path.name, sha256=_sha256_of(path), imported_at=datetime.now(UTC).isoformat(timespec="seconds")
    )
    with content_of(path, scratch) as content:
        if is_parquet(content):
            return _import_parquet(content, origin, files, tlc, replace=replace)
        return _import_csv(content, origin, files, tlc, scratch, replace=replace)


def _import_parquet(content: Path, origin: Origin, files: Storage, tlc: TlcSource, *, replace: bool) -> ImportedMonth:
    """A Parquet file is stored byte for byte: what can be loaded of a published one can be of this one."""
    with _refusing(content):
        names = read_trip_file(content).columns
        columns = columns_of(names)
        sources = columns.fleet.sources_in(names)
        month = _month_of(pickup_months(content, sources), read_trip_file(content).num_rows, columns.fleet)
    return _store(
        content, columns.fleet, month, origin, files, tlc, columns.fleet.unknown_columns(names), replace=replace
    )


def _import_csv(
    content: Path, origin: Origin, files: Storage, tlc: TlcSource, scratch: Scratch, *, replace: bool
) -> ImportedMonth:
    converted = scratch.new_path("converted.parquet")
    try:
        with surveyed(content, scratch) as (csv, survey):
            fleet = survey.columns.fleet
            month = _month_of(survey.months, survey.num_rows, fleet)
            _refuse_what_is_there(fleet, month, origin, files, tlc, replace=replace)  # before the work of converting
            write_published(csv, survey, month, converted)
        return _store(converted, fleet, month, origin, files, tlc, survey.columns.unknown, replace=replace)
    finally:
        converted.unlink(missing_ok=True)


def _store(
    content: Path,
    fleet: Fleet,
    month: date,
    origin: Origin,
    files: Storage,
    tlc: TlcSource,
    unknown_columns: Sequence[str],
    *,
    replace: bool,
) -> ImportedMonth:
    """Verify the month as a download is, and put it in its place."""
    name = trips_file(fleet, month)
    with files.lock(name):
        before = _refuse_what_is_there(fleet, month, origin, files, tlc, replace=replace)
        with _refusing(content):
            judge_download(content, fleet, month, files, accepted=tlc.accepts(fleet, month))
            num_rows = read_trip_file(content).num_rows
        stored, _ = store_imported(
            files, name, origin, lambda draft: shutil.copyfile(content, draft), num_kept=tlc.num_kept
        )
    return ImportedMonth(
        fleet=fleet.name,
        month=month,
        num_rows=num_rows,
        uri=stored.uri,
        sha256=stored.sha256,
        origin=origin,
        replaced=before,
        unknown_columns=tuple(unknown_columns),
    )


def _refuse_what_is_there(
    fleet: Fleet, month: date, origin: Origin, files: Storage, tlc: TlcSource, *, replace: bool
) -> str | None:
    """Refuse a fleet that is not wanted, a file that was imported already, and a month that is not to be replaced.

    Returns:
        What lies there, in words; None when nothing does.
    """
    if fleet.name not in tlc.fleets:
        raise RefusedFileError(
            f"it has {fleet.name} trips of {month:%Y-%m}, and TAXI_FLEETS is {','.join(tlc.fleets)}: add {fleet.name} "
            "to it"
        )
    note = note_of_copy(files, trips_file(fleet, month))
    if note is None:
        return None
    if note.origin and note.origin.sha256 == origin.sha256:
        raise RefusedFileError(
            f"it was imported already, as {note.origin.name} on {note.origin.imported_at[:10]}: it is the {fleet.name} "
            f"trips of {month:%Y-%m}"
        )
    there = f"imported from {note.origin.name}" if note.origin else f"fetched from {note.url}"
    if not replace:
        raise RefusedFileError(
            f"it has the {fleet.name} trips of {month:%Y-%m}, which are there, {there}. To replace them, run "
            f"`taxi-pipeline import --replace` with the path of {origin.name}"
        )
    return there


def _month_of(months: Mapping[date, int], num_rows: int, fleet: Fleet) -> date:
    """The month in which nearly all pickups lie.

    Raises:
        RefusedFileError: there is no such month, or the fleet has no trips in it.
    """
    if not num_rows:
        raise RefusedFileError("it has no rows")
    if not months:
        raise RefusedFileError(
            "no pickup time in it can be read; expected are times such as 2023-01-31 08:15:00 or 01/31/2023 08:15:00 AM"
        )
    month = max(months, key=lambda one: (months[one], one))
    num_outside = sum(months.values()) - months[month]
    if num_outside > MAX_SHARE_OUTSIDE * num_rows + FEW or 2 * num_outside > sum(months.values()):
        most = sorted(months, key=lambda one: -months[one])[:MAX_MONTHS_NAMED]
        named = ", ".join(f"{months[one]:,} in {one:%Y-%m}" for one in most)
        more = f" and others in {len(months) - len(most)} more months" if len(months) > len(most) else ""
        raise RefusedFileError(
            f"it holds {fleet.name} trips of several months (pickups: {named}{more}): a file has one month, so divide "
            "it. Dates with the day first are read as if the month were: write them as 2023-01-31"
        )
    if month < fleet.first_month:
        raise RefusedFileError(
            f"its pickups lie in {month:%Y-%m}, and the TLC has {fleet.name} trips from {fleet.first_month:%Y-%m} on"
        )
    if month > new_york_today():
        raise RefusedFileError(f"its pickups lie in {month:%Y-%m}, which has not begun")
    return month


def _sha256_of(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise RefusedFileError(f"it can't be read: {error.strerror}") from error


@contextmanager
def _refusing(content: Path) -> Iterator[None]:
    """What is said of a published file that can't be used is said of this one."""
    try:
        yield
    except (UnusableFileError, MissingColumnsError) as error:
        raise RefusedFileError(str(error).replace(str(content), "it")) from error
