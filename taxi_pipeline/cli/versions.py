"""The command `versions`: the versions of published months that are kept, and which is in its place."""

from datetime import date, datetime

import click
from rich.table import Column, Table

from taxi_pipeline.cli.options import FleetMonth, read_settings
from taxi_pipeline.cli.terminal import console, print_whole
from taxi_pipeline.opening import files_of
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.fetch_note import FetchNote
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.held_months import note_of_copy
from taxi_pipeline.tlc.kept_versions import kept_versions
from taxi_pipeline.tlc.source import trips_file

_DIGITS = 16
"""Of a SHA-256: enough to name a version."""


@click.command()
@click.argument("months", metavar="[FLEET/YYYY-MM]...", nargs=-1, type=FleetMonth())
def versions(months: tuple[tuple[Fleet, date], ...]) -> None:
    """List the versions of months: what was replaced and is kept, and the one in its place.

    Without a month it lists all months of which a version was replaced. `taxi-pipeline load --version SHA` loads one of
    them; outputs/month_changes.html says how they differ.
    """
    files = files_of(read_settings())
    names = [trips_file(fleet, month) for fleet, month in months] or sorted(
        {kept.name for kept in kept_versions(files)}
    )
    table = Table("month", "SHA-256", Column("bytes", justify="right"), "state")
    for name in names:
        _add_rows(table, files, name)
    if table.row_count:
        print_whole(table)
    else:
        console.print("No version of a month was replaced by another." if not months else "Nothing is there of it.")


def _add_rows(table: Table, files: Storage, name: str) -> None:
    month = name.rpartition("/")[2].removesuffix(".parquet").replace("_tripdata_", " ")
    for kept in kept_versions(files, name):
        when = kept.note.replaced_at
        replaced = f"{datetime.fromisoformat(when):%Y-%m-%d %H:%M} UTC" if when else "at a time that is not known"
        size = f"{files.size_bytes(kept.kept_name):,}"
        table.add_row(month, kept.sha256[:_DIGITS], size, f"replaced {replaced}{_origin(kept.note)}")
    if note := note_of_copy(files, name):
        state = "in its place, pinned" if note.pinned else "in its place"
        table.add_row(month, str(note.sha256)[:_DIGITS], f"{files.size_bytes(name):,}", f"{state}{_origin(note)}")


def _origin(note: FetchNote) -> str:
    return f", imported from {note.origin.name}" if note.origin else ""
