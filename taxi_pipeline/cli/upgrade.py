"""The command `upgrade`: tables of an older version, carried over."""

import click

from taxi_pipeline.cli.options import read_settings
from taxi_pipeline.cli.terminal import console
from taxi_pipeline.opening import warehouse_of


@click.command()
def upgrade() -> None:
    """Carry the tables of a cluster over that an older version has made; stop all runs before.

    Those tables hold rows that do not count, beside a mark on each row. Both are deleted; what counts stays. It can be
    run again, also after it was killed.

    DuckDB's tables need it never: they get new columns and tables when they are next written to.
    """
    warehouse = warehouse_of(read_settings())
    done = warehouse.upgrade()
    for table, what in done.items():
        console.print(f"{table}: {what}")
    if not done:
        console.print(f"Nothing to do in {warehouse.location}.")
