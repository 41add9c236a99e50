"""The command `mcp`: questions by a program that speaks the Model Context Protocol."""

import os
from pathlib import Path

import click

from taxi_pipeline.cli.options import read_settings
from taxi_pipeline.opening import files_of, pages_of, questions_of, warehouse_of


@click.command()
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the project, for clients that start their servers elsewhere.  [default: the project that the "
    "current folder is in]",
)
def mcp(project: Path | None) -> None:
    """Answer questions about the tables to a program that speaks MCP, over standard input and output.

    A client starts it by itself: see docs/questions.md. It only reads: the tables with what their columns mean, what is
    loaded, the outputs with links, the data dictionary, and one SELECT at a time on a copy of the warehouse, with
    limits of time, rows and memory. No run ever waits for it. It needs the extra mcp.
    """
    from taxi_pipeline.questions.mcp_server import Tools, build_server

    if project:
        os.chdir(project)
    settings = read_settings()
    questions = questions_of(settings)
    tools = Tools(
        questions=questions,
        session=questions.copy.session if questions else warehouse_of(settings).read,
        files=files_of(settings),
        pages=pages_of(settings),
    )
    try:
        server = build_server(tools)
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}: install the extra mcp, pip install 'taxi-pipeline[mcp]'") from error
    server.run("stdio")
