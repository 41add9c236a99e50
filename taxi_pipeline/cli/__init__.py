"""The console script `taxi-pipeline`: one module per command, and what they share on the terminal.

What a command does is done elsewhere; here are its options and its output. Heavy libraries are imported where they are
used, because each command is a new process.
"""

import click

from taxi_pipeline.cli.materialize import materialize
from taxi_pipeline.cli.pages import pages
from taxi_pipeline.cli.sample import sample
from taxi_pipeline.cli.snapshot import snapshot
from taxi_pipeline.cli.status import status


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="taxi-pipeline")
def main() -> None:
    """New York's taxi trips: verified tables, maps and reports."""


for command in (sample, snapshot, status, materialize, pages):
    main.add_command(command)
