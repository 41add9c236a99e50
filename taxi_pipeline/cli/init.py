"""The command `init`: a project of one's own."""

import shlex
from pathlib import Path

import click

from taxi_pipeline.cli.terminal import console


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write a project into FOLDER: settings, a Dagster instance, and marts to change.

    Settings are in .env, each with its default and what it means. The marts in marts/ take the place of those that are
    installed; without that folder the installed ones count. Nothing is overwritten.
    """
    from taxi_pipeline.project.files import new_project

    for name in new_project(folder.resolve()):
        console.print(f"written: {folder / name}{'/' if name.endswith('/') else ''}", soft_wrap=True)
    console.print("\nSettings are in .env: other fleets and years, another place for the data. Next:")
    if folder.resolve() != Path.cwd():
        console.print(f"  cd {shlex.quote(str(folder))}", soft_wrap=True)
    console.print("  taxi-pipeline dev       # the UI, for yellow taxis from January 2023")
    console.print("  taxi-pipeline --help    # the same from a terminal")
