"""The command `import`: months of trips out of files of somebody's own."""

from datetime import date
from pathlib import Path

import click
from rich.table import Column, Table

from taxi_pipeline.cli.options import FleetMonth, read_settings
from taxi_pipeline.cli.terminal import as_typed, console, print_whole
from taxi_pipeline.opening import files_of, tlc_of
from taxi_pipeline.settings import Settings
from taxi_pipeline.storage.scratch import Scratch
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.held_months import forget_imported
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import trips_file


@click.command("import")
@click.argument("paths", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take the place of a month that was fetched or imported before.")
@click.option(
    "--forget",
    type=FleetMonth(),
    multiple=True,
    metavar="FLEET/YYYY-MM",
    help="Remove an imported month, so that the next run fetches the published one; can be given several times.",
)
def import_files(paths: tuple[Path, ...], replace: bool, forget: tuple[tuple[Fleet, date], ...]) -> None:
    """Import months of trips from files of your own: Parquet, CSV, CSV as gzip or alone in a zip.

    Fleet and month are found from the content, whatever the file is called. The file is verified as a download is,
    converted to the form that the TLC publishes, and put where the month's fetched file would lie, with a note of its
    origin. A run that needs the month uses it, and asks no server. The file itself stays as it is.

    A file that is refused is named with the reason; the others are imported, and the command ends with 1.
    """
    if not paths and not forget:
        raise click.UsageError("Name a file, or a month with --forget.")
    settings = read_settings()
    missing = _forget(settings, forget)
    refused = _import(settings, paths, replace=replace) if paths else []
    if missing or refused:
        raise click.ClickException("\n".join([*missing, *refused]))


def _forget(settings: Settings, months: tuple[tuple[Fleet, date], ...]) -> list[str]:
    """Remove imported months; gives those that are none."""
    files, missing = files_of(settings), []
    for fleet, month in months:
        if origin := forget_imported(files, trips_file(fleet, month), num_kept=settings.num_kept_versions):
            console.print(f"removed {fleet.month_name(month)}, which was imported from {origin.name}", soft_wrap=True)
        else:
            missing.append(f"{fleet.month_name(month)} was not imported. Nothing was changed")
    return missing


def _import(settings: Settings, paths: tuple[Path, ...], *, replace: bool) -> list[str]:
    """Import each file; gives the reasons for those that are refused."""
    from taxi_pipeline.imports.importing import RefusedFileError, import_file

    files, tlc, scratch = files_of(settings), tlc_of(settings), Scratch(settings.scratch_dir)
    done, refused = [], []
    for path in paths:
        try:
            done.append(import_file(path, files, tlc, scratch, replace=replace))
        except RefusedFileError as error:
            refused.append(f"{path.name} was refused: {error}. Nothing was changed")
    if not done:
        return refused
    table = Table("file", "fleet", "month", "rows", Column("written", overflow="fold"), title="Imported")
    for found in done:
        table.add_row(
            found.origin.name, found.fleet, f"{found.month:%Y-%m}", f"{found.num_rows:,}", as_typed(found.uri)
        )
    print_whole(table)
    for found in done:
        if found.replaced:
            console.print(f"{found.fleet} {found.month:%Y-%m} was replaced; it was {found.replaced}", soft_wrap=True)
        if found.unknown_columns:
            unknown = ", ".join(found.unknown_columns)[:200]
            console.print(
                f"WARN: {found.origin.name} has columns that nobody publishes, which are not loaded: {unknown}",
                style="yellow",
                soft_wrap=True,
            )
    for month in sorted({found.month for found in done}):
        days = Days.of_month(month)
        console.print(f"Load it: taxi-pipeline materialize --start {days.first} --end {days.last}", soft_wrap=True)
    return refused
