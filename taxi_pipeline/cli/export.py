"""The command `export`: the warehouse's tables in another database, or in files."""

from datetime import datetime
from typing import TYPE_CHECKING

import click
from rich.table import Table

from taxi_pipeline.cli.options import days_between, loaded_day_range, read_settings
from taxi_pipeline.cli.terminal import console, progress_bar
from taxi_pipeline.exports.target import EXPORTED
from taxi_pipeline.opening import warehouse_of
from taxi_pipeline.tlc.fleets import FLEETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taxi_pipeline.exports.exporting import Exported


@click.command()
@click.option(
    "--to",
    "url",
    required=True,
    help="postgresql://user@host:5432/database, duckdb:FILE or parquet:FOLDER. A password is better in PGPASSWORD or "
    "~/.pgpass than here.",
)
@click.option(
    "--table",
    "tables",
    type=click.Choice([table.name for table in EXPORTED]),
    metavar="NAME",
    multiple=True,
    help="Which table; can be given several times.  [default: all but warehouse_version]",
)
@loaded_day_range
@click.option(
    "--fleet",
    "fleets",
    type=click.Choice(list(FLEETS)),
    multiple=True,
    help="Whose days; can be given several times.  [default: all]",
)
@click.option("--schema", help="Of PostgreSQL: schema of the tables; is made where it does not exist.  [default: taxi]")
def export(
    url: str,
    tables: tuple[str, ...],
    start: datetime | None,
    end: datetime | None,
    fleets: tuple[str, ...],
    schema: str | None,
) -> None:
    """Bring tables into a PostgreSQL database, a DuckDB file or Parquet files, and compare counts and sums afterwards.

    A fleet's month is a transaction: readers see all of it or nothing, and a command that was stopped goes on where it
    was when it is run again. What the target already has is not written again; what changed is replaced. The warehouse
    is read from a copy, so no run waits. Exits with 1 when a count or sum differs, and names table, fleet and day.
    """
    from taxi_pipeline.exports.addresses import PostgresAddress, address_of
    from taxi_pipeline.exports.exporting import Progress, Selection
    from taxi_pipeline.exports.exporting import export as export_tables
    from taxi_pipeline.exports.opening import open_target
    from taxi_pipeline.storage.scratch import Scratch
    from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse

    if start and end:
        days_between(start, end)
    address = address_of(url)
    if schema is not None and not isinstance(address, PostgresAddress):
        raise click.BadParameter("of the targets only PostgreSQL has one", param_hint="--schema")
    if schema is not None and (not schema or schema.startswith("pg_") or schema == "information_schema"):
        raise click.BadParameter(f"{schema!r} is none of yours; name another schema", param_hint="--schema")
    selection = Selection(
        tables=[table for table in EXPORTED if not tables or table.name in tables],
        fleets=list(fleets or FLEETS),
        first=start.date() if start else None,
        last=end.date() if end else None,
    )
    settings = read_settings()
    warehouse = warehouse_of(settings)
    if not isinstance(warehouse, DuckDBWarehouse):
        raise click.UsageError(
            "export reads a DuckDB warehouse; with TAXI_ENGINE=spark ask the Iceberg tables themselves"
        )
    scratch = Scratch(settings.scratch_dir)
    with (
        open_target(address, schema=schema, warehouse=warehouse.database) as target,
        progress_bar("Copying the warehouse") as bar,
        warehouse.read_copy(scratch.new_path("warehouse.duckdb")) as session,
    ):
        exported = export_tables(session, target, selection, Progress(bar.expects_steps, bar.shows, bar.materialized))
    _print(exported, target.name)


def _print(exported: "Mapping[str, Exported]", name: str) -> None:
    table = Table("table", "rows written", "days written", "days unchanged", title=f"Exported to {name}, and compared")
    for table_name, found in exported.items():
        table.add_row(table_name, *(f"{number:,}" for number in vars(found).values()))
    console.print(table)
