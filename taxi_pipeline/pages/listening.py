"""The port on which the pages are served: a port that can't be had is refused in words."""

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from taxi_pipeline.errors import TaxiPipelineError

if TYPE_CHECKING:
    from starlette.applications import Starlette


_LAST_PORT = 65535


class PagesError(TaxiPipelineError):
    """The pages can't be served."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Open a socket that listens.

    Args:
        host: name or address of this machine.
        port: 0 for any that is free.

    Raises:
        PagesError: another program listens there, or the address is none of this machine's.
    """
    if not 0 <= port <= _LAST_PORT:
        raise PagesError(_refusal(host, port, f"ports end at {_LAST_PORT}"))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # Python adds the address, which the message has already.
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise PagesError(_refusal(host, port, reason)) from error


def _refusal(host: str, port: int, reason: str) -> str:
    return (
        f"The pages can't be served at {host}, port {port}: {reason}. Stop the program that listens there, or take "
        "another port: --port 3011"
    )


def serve(app: "Starlette", listening: socket.socket) -> None:
    """Serve the application on a socket until the process is told to end."""
    import uvicorn

    with suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
