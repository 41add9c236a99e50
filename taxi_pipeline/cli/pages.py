"""The command `pages`: a web server for the outputs."""

import click

from taxi_pipeline.cli.options import read_settings
from taxi_pipeline.opening import files_of, questions_of


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3001, show_default=True, help="Port to listen on.")
def pages(host: str, port: int) -> None:
    """Serve the reports, maps and tables to browsers; the `open` links of the Dagster UI lead here.

    It only reads, and only what is below outputs/. Below /api/v1/ it answers programs out of the rollups, as
    /api/v1/openapi.json describes; not with TAXI_ENGINE=spark. At /metrics it has figures for Prometheus. It has no
    login: on a server, put it behind the proxy that has one. It serves under localhost, the address that it listens on
    (all names of this machine with 0.0.0.0) and the host of TAXI_PAGES_URL; TAXI_PAGES_HOSTS adds others.
    """
    from taxi_pipeline.pages.listening import listening_socket, serve
    from taxi_pipeline.pages.server import LOOPBACK_HOSTS, build_app, hosts_served
    from taxi_pipeline.questions.http_api import api_routes
    from taxi_pipeline.questions.metrics import MetricsReader, metrics_route

    settings = read_settings()
    files = files_of(settings)
    hosts = hosts_served(host, settings.pages_url, settings.pages_hosts)
    with listening_socket(host, port) as listening:
        if host not in LOOPBACK_HOSTS:
            click.echo(
                f"Serving under {', '.join(hosts)}. Set TAXI_PAGES_URL or TAXI_PAGES_HOSTS to add others.", err=True
            )
        questions = questions_of(settings)
        api = api_routes(questions.copy, settings.pages_url) if questions else ()
        metrics = metrics_route(MetricsReader(questions.copy if questions else None, files, settings.fleets))
        serve(build_app(files, hosts, [metrics, *api]), listening)
