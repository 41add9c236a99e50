"""An HTTP proxy on loopback in front of a real S3 server, which does to requests what networks and stores do."""

import http.client
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Fault:
    """A fault that the proxy brings into a request. Without any of these it passes the request on."""

    status: int | None = None
    """The proxy answers by itself, and the server never sees the request."""
    code: str = ""
    """The error's code in the body of such an answer, as S3 spells it."""
    drop_before: bool = False
    """The connection is closed, and the server never sees the request."""
    drop_after: bool = False
    """The server does what is asked, and the connection is closed before it answers."""
    cut_at: int | None = None
    """The connection is closed after so many bytes of the answer's body."""
    flip_a_bit: bool = False
    """Flip a bit of the answer's body."""
    flip_a_bit_sent: bool = False
    """Flip a bit of the request's body, before the server sees it."""


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    size_bytes: int


@dataclass
class FaultyProxy:
    """The proxy: a test decides by request what happens."""

    server: str
    url: str = ""
    decide: Callable[[Asked], Fault | None] = lambda _: None
    requests: list[Asked] = field(default_factory=list)

    def fail(self, times: int, fault: Fault, *, method: str, part: str = "") -> None:
        """The next requests with that method and that text in their path meet the fault."""
        left = [times]

        def decide(asked: Asked) -> Fault | None:
            if asked.method == method and part in asked.path and left[0] > 0:
                left[0] -= 1
                return fault
            return None

        self.decide = decide

    def sent(self, method: str, part: str = "") -> list[Asked]:
        """The requests so far with that method and that text in their path."""
        return [asked for asked in self.requests if asked.method == method and part in asked.path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    state: FaultyProxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client goes away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def _handle(self) -> None:
        state = self.server.state
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, len(body))
        state.requests.append(asked)
        fault = state.decide(asked) or Fault()
        if fault.drop_before:
            self.close_connection = True
            return
        if fault.status:
            text = (
                f"<?xml version='1.0'?>\n<Error><Code>{fault.code}</Code><Message>As the test wants.</Message></Error>"
            )
            self._answer(fault.status, [("Content-Type", "application/xml")], text.encode(), Fault())
            return
        connection = http.client.HTTPConnection(urlsplit(state.server).netloc, timeout=60)
        # The signature covers the header Host, so it is passed on as it came.
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(_flipped(body) if fault.flip_a_bit_sent else body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault.drop_after:
            self.close_connection = True
            return
        self._answer(answer.status, answer.getheaders(), content, fault)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, fault: Fault) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        # The length of what HEAD asks about is the object's.
        announced = {name.lower(): value for name, value in headers}.get("content-length", str(len(body)))
        self.send_header("Content-Length", announced if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if fault.flip_a_bit and body:
            body = _flipped(body)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body if fault.cut_at is None else body[: fault.cut_at])
        if fault.cut_at is not None:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - the names are the base class's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


def _flipped(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


@contextmanager
def faulty_proxy(server: str) -> Iterator[FaultyProxy]:
    """A proxy in front of the server at the URL."""
    with _Server(("127.0.0.1", 0), _Handler) as running:
        running.state = FaultyProxy(server, url=f"http://127.0.0.1:{running.server_port}")
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.state
        running.shutdown()
