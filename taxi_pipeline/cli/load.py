"""The command `load`: a month from an older version of its file, and back to the newest one."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import click

from taxi_pipeline.cli.materialize import materialize_days
from taxi_pipeline.cli.options import FleetMonth, read_settings
from taxi_pipeline.cli.terminal import console
from taxi_pipeline.opening import files_of
from taxi_pipeline.settings import Settings
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.held_months import held_note, note_of_copy
from taxi_pipeline.tlc.kept_versions import KeptVersion, find_version, pin, put_in_place, unpin
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import month_of_file, trips_file

_FEWEST_DIGITS = 8


class _Sha256(click.ParamType):
    """The SHA-256 of a version, or its first digits."""

    name = "sha"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The digits in small letters."""
        found = str(value).strip().lower()
        if not re.fullmatch(rf"[0-9a-f]{{{_FEWEST_DIGITS},64}}", found):
            self.fail(f"{str(value)[:80]!r} is not {_FEWEST_DIGITS} to 64 hexadecimal digits", param, ctx)
        return found


@click.command()
@click.option("--version", "versions", type=_Sha256(), multiple=True, metavar="SHA", help="Of the version to load.")
@click.option(
    "--newest",
    type=FleetMonth(),
    multiple=True,
    metavar="FLEET/YYYY-MM",
    help="Load the version that is published now, and no longer one that was asked for.",
)
def load(versions: tuple[str, ...], newest: tuple[tuple[Fleet, date], ...]) -> None:
    """Load months from older versions of their files, or from the newest again.

    `taxi-pipeline versions` lists the versions that are kept. A version that was asked for is pinned: schedules and
    other commands load the month from it, until --newest is given for the month. What it replaces is kept, too. Both
    options can be given several times. The month is loaded as `materialize` does it, of all fleets.
    """
    if not versions and not newest:
        raise click.UsageError("Give --version or --newest.")
    settings = read_settings()
    files = files_of(settings)
    found = [_find(files, settings.fleets, sha256) for sha256 in versions]
    months = [month_of_file(name) for name, _ in found]
    _refuse_twice([*months, *newest])
    for fleet, month in (*months, *newest):
        _refuse_other_fleets(settings, fleet, month)
    for name, kept in found:
        _pin(files, name, kept, num_kept=settings.num_kept_versions)
    for fleet, month in newest:
        _unpin(files, fleet, month)
    # Whoever asks for a version wants it, also where it has far more or fewer rows than the one that is loaded. What is
    # published now is judged as ever.
    asked = replace(settings, accepted=(*settings.accepted, *(fleet.month_name(month) for fleet, month in months)))
    for month in sorted({month for _, month in (*months, *newest)}):
        materialize_days(asked, Days.of_month(month))


def _find(files: Storage, fleets: Sequence[str], sha256: str) -> tuple[str, KeptVersion | None]:
    """The name of the month's file, and the kept version; None for one that is in its place.

    Raises:
        NoSuchVersionError: no version has this SHA-256, or several have.
    """
    for fleet in fleets:
        for name in files.list(f"raw/{FLEETS[fleet].file_pattern}"):
            note = note_of_copy(files, name)
            if note and note.sha256 and note.sha256.startswith(sha256):
                return name, None
    kept = find_version(files, sha256)
    return kept.name, kept


def _pin(files: Storage, name: str, kept: KeptVersion | None, *, num_kept: int) -> None:
    fleet, month = month_of_file(name)
    if kept is None:
        pin(files, name)
        console.print(f"{fleet.month_name(month)} is pinned to the version that is in its place", soft_wrap=True)
        return
    put_in_place(files, kept, num_kept=num_kept)
    console.print(f"{fleet.month_name(month)} is pinned to version {kept.sha256}", soft_wrap=True)


def _unpin(files: Storage, fleet: Fleet, month: date) -> None:
    name = trips_file(fleet, month)
    unpinned = unpin(files, name)
    if (note := held_note(files, name)) and note.origin:
        raise click.ClickException(
            f"{fleet.month_name(month)} was imported from {note.origin.name}, so nothing that is published takes its "
            f"place. Remove it first: taxi-pipeline import --forget {fleet.month_name(month)}"
        )
    if not unpinned:
        console.print(f"{fleet.month_name(month)} was not pinned; it is loaded all the same", soft_wrap=True)


def _refuse_twice(months: Sequence[tuple[Fleet, date]]) -> None:
    for fleet, month in months:
        if months.count((fleet, month)) > 1:
            raise click.UsageError(f"{fleet.month_name(month)} is asked for twice: a month has one version.")


def _refuse_other_fleets(settings: Settings, fleet: Fleet, month: date) -> None:
    if fleet.name not in settings.fleets:
        raise click.ClickException(
            f"{fleet.month_name(month)} can't be loaded: TAXI_FLEETS is {','.join(settings.fleets)}; add {fleet.name}"
        )
