"""The command `sample`: a mirror of the TLC's server with synthetic trips."""

from datetime import datetime
from pathlib import Path

import click

from taxi_pipeline.cli.options import day_range, days_between
from taxi_pipeline.cli.terminal import console, local_file, print_files, progress_bar
from taxi_pipeline.tlc.fleets import FLEETS


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the mirror; TLC_URL=file://FOLDER then names it.",
)
@day_range
@click.option(
    "--fleet",
    "fleets",
    type=click.Choice(list(FLEETS)),
    default=["yellow"],
    multiple=True,
    help="Whose trips; can be given several times.",
)
@click.option("--trips-per-day", type=click.IntRange(min=1), default=10_000, help="Trips on an average day.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Another seed gives other trips.")
def sample(
    folder: Path, start: datetime, end: datetime, fleets: tuple[str, ...], trips_per_day: int, seed: int
) -> None:
    """Write a mirror of the TLC's server with synthetic trips, schematic zones, weather and bases."""
    from taxi_pipeline.sample.mirror import SampleError, refuse_days_before, write_mirror

    days = days_between(start, end)
    try:
        for fleet in fleets:  # before anything is written
            refuse_days_before(fleet, days)
    except SampleError as error:
        raise click.BadParameter(str(error), param_hint="--start") from error
    written: dict[Path, None] = {}  # each fleet writes the zones, the same
    with progress_bar("Generating trips", total=days.num_days * len(set(fleets))) as bar:
        for fleet in dict.fromkeys(fleets):
            files = write_mirror(
                folder.absolute(),
                days,
                fleet=fleet,
                trips_per_day=trips_per_day,
                seed=seed,
                on_day=lambda _: bar.materialized(),
            )
            written |= dict.fromkeys(files)
    title = f"Synthetic {' and '.join(dict.fromkeys(fleets))} trips, {days}"
    print_files("file", map(local_file, written), title=title)
    console.print(f"Use it with TLC_URL={folder.absolute().as_uri()}", soft_wrap=True)
