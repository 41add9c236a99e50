"""The command `load`: a month from an older version of its file, and back to the newest one."""

import re
from dataclasses import replace
from datetime import date

import click

from taxi_pipeline.cli.materialize import materialize_days
from taxi_pipeline.cli.options import FleetMonth, read_settings
from taxi_pipeline.cli.terminal import console
from taxi_pipeline.opening import files_of
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.held_months import note_of_copy
from taxi_pipeline.tlc.kept_versions import find_version, pin, put_in_place, unpin
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
    months = [_pin(settings, sha256) for sha256 in versions] + [_unpin(settings, *month) for month in newest]
    # Whoever asks for a version wants it, also where it has far more or fewer rows than the one that is loaded.
    asked = replace(settings, accepted=(*settings.accepted, *(fleet.month_name(month) for fleet, month in months)))
    for month in sorted({month for _, month in months}):
        materialize_days(asked, Days.of_month(month))


def _pin(settings: Settings, sha256: str) -> tuple[Fleet, date]:
    """Put a version in its place."""
    files = files_of(settings)
    if (in_place := _in_place(settings, sha256)) is not None:
        fleet, month = in_place
        pin(files, trips_file(fleet, month))
        console.print(f"{fleet.month_name(month)} is pinned to the version that is in its place", soft_wrap=True)
        return in_place
    kept = find_version(files, sha256)
    fleet, month = month_of_file(kept.name)
    _refuse_other_fleets(settings, fleet, month)
    put_in_place(files, kept, num_kept=settings.num_kept_versions)
    console.print(f"{fleet.month_name(month)} is pinned to version {kept.sha256}", soft_wrap=True)
    return fleet, month


def _in_place(settings: Settings, sha256: str) -> tuple[Fleet, date] | None:
    """The fleet's month whose file has this SHA-256 now."""
    files = files_of(settings)
    for fleet in (FLEETS[name] for name in settings.fleets):
        for name in files.list(f"raw/{fleet.file_pattern}"):
            note = note_of_copy(files, name)
            if note and note.sha256 and note.sha256.startswith(sha256):
                return month_of_file(name)
    return None


def _unpin(settings: Settings, fleet: Fleet, month: date) -> tuple[Fleet, date]:
    _refuse_other_fleets(settings, fleet, month)
    if not unpin(files_of(settings), trips_file(fleet, month)):
        console.print(f"{fleet.month_name(month)} was not pinned; it is loaded all the same", soft_wrap=True)
    return fleet, month


def _refuse_other_fleets(settings: Settings, fleet: Fleet, month: date) -> None:
    if fleet.name not in settings.fleets:
        raise click.ClickException(
            f"{fleet.month_name(month)} can't be loaded: TAXI_FLEETS is {','.join(settings.fleets)}; add {fleet.name}"
        )
