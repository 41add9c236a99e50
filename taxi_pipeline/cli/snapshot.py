"""The command `snapshot`: a copy of the warehouse to query."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taxi_pipeline.cli.options import read_settings
from taxi_pipeline.cli.terminal import as_typed, console, local_file, print_files
from taxi_pipeline.opening import files_of, warehouse_of
from taxi_pipeline.settings import Settings

if TYPE_CHECKING:
    from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse

SNAPSHOT_FILE = "outputs/warehouse.duckdb"


@click.command()
@click.option(
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of this machine to write.  [default: outputs/warehouse.duckdb in the storage]",
)
def snapshot(target: Path | None) -> None:
    """Copy the warehouse, to query the copy while the pipeline works.

    DuckDB lets no other process read while one writes, and keeps the writer out while others read. The copy is made
    without opening the warehouse, so no run ever waits for it, and it shows all of a run or nothing of it.

    With TAXI_ENGINE=spark nothing is copied: the tables as they are now get a name, and are kept for queries
    VERSION AS OF that name.
    """
    from taxi_pipeline.warehouse.spark import SparkWarehouse

    if target and re.match("[A-Za-z][A-Za-z0-9+.-]+:/", str(target)):  # a Path has one slash of two
        raise click.BadParameter(f"{target} is no file of this machine", param_hint="--output")
    settings = read_settings()
    warehouse = warehouse_of(settings)
    if not isinstance(warehouse, SparkWarehouse):
        print_files("written", [_copy(warehouse, settings, target)])
        return
    if target:
        raise click.BadParameter("there is no file to write with TAXI_ENGINE=spark", param_hint="--output")
    name = warehouse.snapshot()
    console.print(f"kept as {name}: SELECT … FROM {warehouse.name}.trips VERSION AS OF '{name}'")


def _copy(warehouse: "DuckDBWarehouse", settings: Settings, target: Path | None) -> tuple[str, int]:
    """Copy the DuckDB file; gives where to, and how many bytes."""
    if target:
        warehouse.snapshot(target.absolute())
        return local_file(target.absolute())
    with files_of(settings).draft(SNAPSHOT_FILE) as draft:
        warehouse.copy_to(draft.path)
    return as_typed(draft.stored.uri), draft.stored.size_bytes
