"""The web server of the outputs on a free port of loopback."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from taxi_pipeline.pages.listening import listening_socket
from taxi_pipeline.pages.server import build_app
from taxi_pipeline.storage import Storage


@dataclass(frozen=True)
class ServedPages:
    """A server that is running; call it to send a request."""

    port: int

    @property
    def url(self) -> str:
        """Address of the index, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __call__(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a request; returns status, headers and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body


@contextmanager
def served(files: Storage, **options: Any) -> Iterator[ServedPages]:
    """Serve a storage, with the options of `build_app`."""
    server = uvicorn.Server(uvicorn.Config(build_app(files, **options), log_level="warning", lifespan="off"))
    with listening_socket("127.0.0.1", 0) as listening:
        running = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        running.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield ServedPages(listening.getsockname()[1])
        finally:
            server.should_exit = True
            running.join()
