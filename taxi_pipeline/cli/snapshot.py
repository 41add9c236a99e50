"""The command `snapshot`: a copy of the warehouse to query."""

from pathlib import Path

import click

from taxi_pipeline.cli.options import open_files, read_settings
from taxi_pipeline.cli.terminal import as_typed, local_file, print_files

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
    """
    from taxi_pipeline.storage import StorageError
    from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
    from taxi_pipeline.warehouse.interface import WarehouseUnavailableError

    settings = read_settings()
    warehouse = DuckDBWarehouse(settings.duckdb_database)
    try:
        if target:
            warehouse.snapshot(target.absolute())
            written = local_file(target.absolute())
        else:
            with open_files(settings).draft(SNAPSHOT_FILE) as draft:
                warehouse.snapshot(draft.path)
            written = as_typed(draft.stored.uri), draft.stored.size_bytes
    except (WarehouseUnavailableError, StorageError) as error:
        raise click.ClickException(str(error)) from error
    print_files("written", [written])
