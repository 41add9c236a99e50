"""The command `dev`: the UI of a project and the pages to which its links lead."""

import os
import sys
from pathlib import Path

import click

from taxi_pipeline.cli.terminal import console
from taxi_pipeline.project.files import INSTANCE, SETTINGS_FILE, WORKSPACE, ProjectError
from taxi_pipeline.settings import find_project

_PORT, _PAGES_PORT = 3000, 3001
_PATIENCE_SECONDS = 45
"""Dagster ends within seconds when no run goes on."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--port", type=click.IntRange(1, 65535), default=_PORT, help="Port of the UI.")
@click.option(
    "--pages-port",
    type=click.IntRange(1, 65535),
    help="Port of the pages, to which the links in the UI lead.  [default: that of TAXI_PAGES_URL where it is one of "
    f"this machine, else {_PAGES_PORT}]",
)
def dev(folder: Path | None, port: int, pages_port: int | None) -> None:
    """Open the Dagster UI of the project in FOLDER, and serve its reports and maps, until Ctrl-C.

    FOLDER is a project that `taxi-pipeline init` wrote, a demo, or a clone; by default the project that the current
    folder is in. The Dagster instance is that of the folder, and its .env counts more than variables of the shell.
    """
    from taxi_pipeline.project.servers import refuse_taken_port, run_together

    root = _project(folder)
    environment = _environment(root)
    recorded = _own_port(environment.get("TAXI_PAGES_URL", ""))
    pages_port = pages_port or recorded or _PAGES_PORT
    if pages_port == port:
        raise click.BadParameter(f"the UI and the pages can't both have port {port}", param_hint="--pages-port")
    refuse_taken_port(port, "the UI", "--port 3010 (PORT=3010 with make)")
    refuse_taken_port(pages_port, "the pages", "--pages-port 3011 (PAGES_PORT=3011 with make)")
    if recorded and recorded != pages_port:
        console.print(
            f"The links in the runs so far lead to port {recorded}. To record links to port {pages_port}, set "
            f"TAXI_PAGES_URL in {SETTINGS_FILE}; for a demo: taxi-pipeline demo {root} --pages-port {pages_port} "
            f"(make demo PAGES_PORT={pages_port})",
            soft_wrap=True,
        )
    environment["TAXI_PAGES_URL"] = environment.get("TAXI_PAGES_URL") or f"http://127.0.0.1:{pages_port}"
    pages = [sys.executable, "-m", "taxi_pipeline", "pages", "--port", str(pages_port)]
    console.print(f"The UI:    http://127.0.0.1:{port}\nThe pages: http://127.0.0.1:{pages_port}\nCtrl-C ends both.")
    code = run_together([pages, [*_ui(), "--port", str(port)]], environment, root, _PATIENCE_SECONDS)
    if code:
        raise click.ClickException(f"One of the two servers ended by itself, with exit code {code}; see above.")


def _project(folder: Path | None) -> Path:
    """The folder of the project.

    Raises:
        ProjectError: there is none.
    """
    # Resolved: Dagster compares DAGSTER_HOME with the current folder as text.
    root = folder.resolve() if folder else find_project()
    if root is None or not all((root / name).is_file() for name in (INSTANCE, WORKSPACE)):
        raise ProjectError(
            f"{root or Path.cwd()} is no project: it has no {INSTANCE} and {WORKSPACE}. Make one with `taxi-pipeline "
            "init FOLDER`, or a demo with `taxi-pipeline demo FOLDER`"
        )
    return root


def _environment(root: Path) -> dict[str, str]:
    """The environment of the servers: the shell's, then `.env`, which counts more in Dagster's own commands, too."""
    from dotenv import dotenv_values

    of_the_project = {name: value or "" for name, value in dotenv_values(root / SETTINGS_FILE).items()}
    return {**os.environ, **of_the_project, "DAGSTER_HOME": str(root)}


def _own_port(url: str) -> int | None:
    """The port of a URL of this machine; None for another machine's, and for none."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return parts.port if parts.hostname in ("127.0.0.1", "localhost") else None
    except ValueError:  # what is wrong with it says the code location
        return None


def _ui() -> list[str]:
    """Dagster's program: `dg dev`, which takes the place of `dagster dev`, where the extra `ui` is installed."""
    dg = Path(sys.executable).with_name("dg")
    # `-W` finds no class of a library: FutureWarning is what Dagster's SupersessionWarning is derived from.
    quiet = ("-W", "ignore:Function `dev_command` is superseded:FutureWarning")  # `dg dev` is not at hand
    program = [str(dg)] if dg.is_file() else [sys.executable, *quiet, "-m", "dagster"]
    return [*program, "dev", "--workspace", WORKSPACE]
