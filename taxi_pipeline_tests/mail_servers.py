"""Real SMTP servers on loopback: one that keeps what it is sent, with refusals, TLS and logins, and ones that lie."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

PASSWORD = "correct horse"  # noqa: S105 - of a server that lives for a test


@dataclass
class Letterbox:
    """Keeps the mail of a server; what it answers can be set."""

    port: int = 0
    recipients: list[list[str]] = field(default_factory=list)
    """Of each message, in the order in which they came."""
    messages: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """Address, `MAIL` or `DATA` → what the server answers instead of OK."""
    num_tries: int = 0
    """Conversations that named a sender."""
    before_answer: Callable[[], None] = lambda: None
    """Called when a message is there and kept, before the server says so."""

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        self.num_tries += 1
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        answer = self.answers.get("DATA", "250 OK")
        if answer.startswith("2"):
            self.recipients.append(list(envelope.rcpt_tos))
            self.messages.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
            self.before_answer()
        return answer


@contextmanager
def mail_server(tls: str = "none", certificate: Path | None = None, **options: Any) -> Iterator[Letterbox]:
    """A server on a free port of loopback.

    Args:
        tls: `none`, `starttls` or `tls`; users log in with `PASSWORD` unless it is `none`.
        certificate: a file with key and certificate, for TLS.
        options: further ones of aiosmtpd's server.
    """
    letterbox = Letterbox()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    if tls != "none":
        options |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": tls == "starttls"}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    letterbox.port = _free_port()
    controller = Controller(
        letterbox,
        hostname="127.0.0.1",
        port=letterbox.port,
        ssl_context=context if tls == "tls" else None,
        **options,
    )
    controller.start()
    try:
        yield letterbox
    finally:
        controller.stop(no_assert=True)


def _free_port() -> int:
    """A port that nobody listens on; the controller can't be told to choose one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=isinstance(data, LoginPassword) and data.password == PASSWORD.encode(), handled=False)


def certificate_in(folder: Path, name: str = "localhost") -> Path:
    """A self-signed certificate for a name, with its key, in one file."""
    path = folder / "server.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -addext".split()
    names = [f"subjectAltName=DNS:{name}", "-subj", f"/CN={name}", "-keyout", path, "-out", folder / "cert.pem"]
    subprocess.run([*command, *names], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (folder / "cert.pem").read_bytes())
    return path


@contextmanager
def scripted_server(*steps: bytes | float) -> Iterator[int]:
    """A server that says what it is told, whatever is said to it, and closes the connection at the end; gives its port.

    Args:
        steps: bytes are sent at once, a number is a pause in seconds; after each line of bytes that ends with CRLF it
            waits for the next command.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        _say(connection, steps)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def _say(connection: socket.socket, steps: tuple[bytes | float, ...]) -> None:
    for step in steps:
        if isinstance(step, bytes):
            connection.sendall(step)
            if step.endswith(b"\r\n"):
                end = b"\r\n.\r\n" if step.startswith(b"354") else b"\r\n"
                heard = b""
                while not heard.endswith(end):
                    heard += connection.recv(65_536)
        else:
            time.sleep(step)
