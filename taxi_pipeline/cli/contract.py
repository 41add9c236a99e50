"""The command `contract`: the data contracts as files."""

from pathlib import Path

import click

from taxi_pipeline.cli.terminal import local_file, print_files
from taxi_pipeline.storage.whole_files import replacing


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="Folder of this machine to write to.",
)
def contract(folder: Path) -> None:
    """Write the data contracts: datasets.odcs.yaml and warehouse.odcs.yaml, as ODCS 3.1 has them.

    They say what users of the files and tables may rely on: columns with types, units and meanings, keys, quality rules
    and freshness. They are of this version, and need no project and no data.
    """
    from taxi_pipeline.contract.odcs import as_yaml, contracts

    written = []
    for name, content in contracts().items():
        target = folder.absolute() / f"{name}.odcs.yaml"
        with replacing(target) as temporary:
            temporary.write_text(as_yaml(content), encoding="utf-8")
        written.append(local_file(target))
    print_files("written", written)
