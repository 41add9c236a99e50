"""The command `demo`: two months of synthetic trips through the whole graph, in a folder of their own."""

import os
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taxi_pipeline.cli.materialize import materialize
from taxi_pipeline.cli.sample import sample
from taxi_pipeline.cli.terminal import console, program
from taxi_pipeline.project.demo import DAYS, YELLOW_TRIPS_PER_DAY, Demo

if TYPE_CHECKING:
    from collections.abc import Mapping

_START, _END = (datetime.combine(day, time()) for day in (DAYS.first, DAYS.last))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="taxi-demo")
@click.option(
    "--trips-per-day",
    type=click.IntRange(min=1),
    default=YELLOW_TRIPS_PER_DAY,
    help="Trips of yellow taxis on an average day; green and high-volume trips are a twelfth of them together.",
)
@click.option("--pages-port", default=3001, help="Port to which the links in the UI lead; see `taxi-pipeline dev`.")
@click.option(
    "--instance",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A dagster.yaml for the demo's instance.  [default: one that keeps the history in the folder]",
)
@click.pass_context
def demo(ctx: click.Context, folder: Path, trips_per_day: int, pages_port: int, instance: Path | None) -> None:
    """Make two months of synthetic trips, and run the whole graph on them, in FOLDER.

    It needs no network. All that it makes is in the folder, by default ./taxi-demo: sample, tables, outputs, and the
    Dagster instance with its runs. Made again, it keeps the sample if the same version made it. Settings of the shell
    and of other projects don't count. With TAXI_STORAGE_URL the files go to its folder demo/, and TAXI_ENGINE and what
    it needs count, too.
    """
    made = _demo_of(folder, trips_per_day, pages_port, os.environ)
    made.write_files(instance)
    os.environ.update(made.environment())
    if not made.sample_is_made():
        made.clear_sample()
        for fleet, trips in made.trips_of_fleets().items():
            ctx.invoke(sample, folder=made.mirror, start=_START, end=_END, fleets=(fleet,), trips_per_day=trips, seed=0)
        made.note_sample()
    console.print("Materializing December 2024 and January 2025 through Dagster ...")
    ctx.invoke(materialize, start=_START, end=_END, reports=True)
    _say_where_to_look(folder, made)


def _demo_of(folder: Path, trips_per_day: int, pages_port: int, environment: "Mapping[str, str]") -> Demo:
    storage_url = environment.get("TAXI_STORAGE_URL", "").rstrip("/")
    return Demo(
        folder=folder.resolve(),
        trips_per_day=trips_per_day,
        pages_url=f"http://127.0.0.1:{pages_port}",
        storage_url=f"{storage_url}/demo" if storage_url else "",
        engine=environment.get("TAXI_ENGINE", ""),
    )


def _say_where_to_look(folder: Path, made: Demo) -> None:
    """Print the weeks, and the places of what was made, as a user would type them."""
    outputs = f"{made.storage_url or folder}/outputs"
    weeks = made.folder / "outputs" / "trips_by_week.csv"
    if not made.storage_url:
        console.print(f"\nThe weeks ({outputs}/{weeks.name}):\n{weeks.read_text(encoding='utf-8')}", soft_wrap=True)
    console.print(
        f"Look at the map:                   {outputs}/manhattan_map.png, {outputs}/city_map.png\n"
        f"Read about the month:              {outputs}/reports/2025-01.html\n"
        f"Explore the zones:                 {outputs}/zone_explorer.html\n"
        f"Open the UI on exactly these runs: {program()} dev {folder}",
        soft_wrap=True,
    )
