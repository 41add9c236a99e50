"""The console script `taxi-pipeline`: one module per command, and what they share on the terminal.

What a command does is done elsewhere; here are its options and its output. Heavy libraries are imported where they are
used, because each command is a new process.
"""

from typing import Any

import click

from taxi_pipeline.cli.contract import contract
from taxi_pipeline.cli.demo import demo
from taxi_pipeline.cli.dev import dev
from taxi_pipeline.cli.export import export
from taxi_pipeline.cli.importing import import_files
from taxi_pipeline.cli.init import init
from taxi_pipeline.cli.load import load
from taxi_pipeline.cli.manifest import manifest
from taxi_pipeline.cli.materialize import materialize
from taxi_pipeline.cli.mcp import mcp
from taxi_pipeline.cli.pages import pages
from taxi_pipeline.cli.sample import sample
from taxi_pipeline.cli.snapshot import snapshot
from taxi_pipeline.cli.status import status
from taxi_pipeline.cli.upgrade import upgrade
from taxi_pipeline.cli.verify import verify
from taxi_pipeline.cli.versions import versions
from taxi_pipeline.errors import TaxiPipelineError


class Commands(click.Group):
    """A group of commands that tells a user an error of ours in its own words, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exits with 1 when it raises a `TaxiPipelineError`."""
        try:
            return super().invoke(ctx)
        except TaxiPipelineError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="taxi-pipeline")
def main() -> None:
    """New York's taxi trips: verified tables, maps and reports."""


for command in (
    init,
    demo,
    dev,
    sample,
    snapshot,
    status,
    materialize,
    load,
    versions,
    import_files,
    export,
    pages,
    mcp,
    upgrade,
    manifest,
    verify,
    contract,
):
    main.add_command(command)
