"""The command `pages`: a web server for the outputs."""

import click

from taxi_pipeline.cli.options import read_settings
from taxi_pipeline.opening import files_of


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3001, show_default=True, help="Port to listen on.")
def pages(host: str, port: int) -> None:
    """Serve the reports, maps and tables to browsers; the `open` links of the Dagster UI lead here.

    It only reads, and only what is below outputs/. It has no login: on a server, put it behind the proxy that has one.
    """
    import uvicorn

    from taxi_pipeline.pages.server import build_app

    settings = read_settings()
    files = files_of(settings)
    uvicorn.run(build_app(files), host=host, port=port, log_level="warning")
