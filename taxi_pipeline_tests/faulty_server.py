"""An HTTP server on loopback that does what servers do to people: it breaks off, lies, refuses and trickles."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """The server's answer to a request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announced_length: int | None = None
    """Content-Length, where it is not the truth."""
    cut_at: int | None = None
    """The connection is closed after so many bytes of the body."""
    chunked: bool = False
    """The length is not announced."""
    ranges: bool = True
    """True if Range is honoured; If-Range always is with it."""
    trickle: tuple[int, float] | None = None
    """Bytes sent at a time, and the seconds between them."""


@dataclass
class Request:
    """A request that the server got."""

    method: str
    path: str
    headers: dict[str, str]
    bytes_sent: int = 0


@dataclass
class FaultyServer:
    """The server: a test sets its answers by path; the last one of a path stays."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    posted: list[bytes] = field(default_factory=list)
    """Bodies of the POST requests that the server got."""
    folder: Path | None = None
    """Folder in which paths without answers are looked up; its files have a date and a length, and no ETag."""

    def next_answer(self, path: str) -> Answer:
        if path in self.answers:
            answers = self.answers[path]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        file = self.folder / path.lstrip("/") if self.folder else None
        if file is None or not file.is_file():
            return Answer(404, b"not found")
        return Answer(body=file.read_bytes(), headers={"Last-Modified": _http_date(file.stat().st_mtime)})

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        """The requests for a path so far."""
        return [request for request in self.requests if (request.method, request.path) == (method, path)]


def _http_date(seconds: float) -> str:
    from email.utils import formatdate

    return formatdate(seconds, usegmt=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    state: FaultyServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        assert isinstance(self.server, _Server)
        state = self.server.state
        request = Request(self.command, self.path, dict(self.headers))
        state.requests.append(request)
        answer = state.next_answer(self.path)
        etag = answer.headers.get("ETag")
        if answer.status == 200 and etag and self.headers.get("If-None-Match") == etag:
            self.send_response(304)
            self.end_headers()
            return
        body = self._send_head(answer)
        if self.command == "GET":
            with suppress(BrokenPipeError, ConnectionResetError):  # the client may hang up
                self._send(body[: answer.cut_at], answer, request)
        self.close_connection = answer.cut_at is not None or answer.announced_length is not None

    do_GET = do_HEAD = _answer  # noqa: N815

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        state = self.server.state
        state.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = state.next_answer(self.path) if self.path in state.answers else Answer()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_head(self, answer: Answer) -> bytes:
        """Send status and headers; give the body, or what of it was asked for."""
        first = self._first_byte(answer)
        body = answer.body[first:]
        self.send_response(206 if first else answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(answer.body) - 1}/{len(answer.body)}")
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            length = len(body) if answer.announced_length is None else answer.announced_length
            self.send_header("Content-Length", str(length))
        self.end_headers()
        return body

    def _first_byte(self, answer: Answer) -> int:
        wanted, mark = self.headers.get("Range"), self.headers.get("If-Range")
        if not wanted or not answer.ranges or answer.status != 200:
            return 0
        if mark not in (answer.headers.get("ETag"), answer.headers.get("Last-Modified")):
            return 0  # the file is another than the one of which the client has a part
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _send(self, body: bytes, answer: Answer, request: Request) -> None:
        step, pause = answer.trickle or (len(body) or 1, 0)
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
            self.wfile.flush()
            request.bytes_sent += len(piece)
            time.sleep(pause)
        if answer.chunked and answer.cut_at is None:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the test's output clean."""


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """Run the server on a free port."""
    state = FaultyServer()
    http = _Server(("127.0.0.1", 0), _Handler)
    http.state = state
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield state
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@contextmanager
def raw_server(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """Run a server that reads each request and then does to its connection what it is told; gives the server's URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65_536)
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join(1)  # an answer that takes longer ends with the process
