"""The web server of the outputs on a free port of loopback."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from taxi_pipeline.pages.server import build_app
from taxi_pipeline.storage import Storage

Get = Callable[..., tuple[int, http.client.HTTPMessage, bytes]]


@contextmanager
def served(files: Storage) -> Iterator[Get]:
    """The server of a storage; gives a function that asks it."""
    server = uvicorn.Server(uvicorn.Config(build_app(files), log_level="warning", lifespan="off"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        running = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        running.start()
        while not server.started:
            time.sleep(0.01)

        def get(path: str, *, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, answer.headers, body

        try:
            yield get
        finally:
            server.should_exit = True
            running.join()
