"""Mail by SMTP: one message to some recipients, handed over once, with what each failure means.

A message is handed over when the server has answered to its last byte. Before the first byte nothing can have arrived,
so a failure is safe to repeat; between the two nobody knows (RFC 5321, 4.2.5 and 6.1), and the error says so.
"""

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from threading import Lock, Thread

from taxi_pipeline.delivery.errors import DeliveryDelayedError, DeliveryError, DeliveryUnknownError
from taxi_pipeline.delivery.record import Handover, Refusal
from taxi_pipeline.errors import TaxiPipelineError

PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""How the connection is encrypted → the usual port. `starttls` and `tls` never fall back to one in the clear."""

_GOES_AWAY = 421
"""Code with which a server ends a conversation, whatever was asked."""
_LONGEST_ANSWER = 200
"""Characters of a server's answer that an error shows."""


@dataclass(frozen=True)
class SmtpServer:
    """A server that takes mail."""

    host: str
    port: int
    tls: str = "starttls"
    """One of `PORTS`."""
    user: str = ""
    """Empty: no login."""
    password: str = field(default="", repr=False)
    password_file: Path | None = None
    """A file with the password, read when mail is sent; it has precedence over `password`."""
    answer_seconds: float = 60
    """For each answer of the server but the last one."""
    whole_seconds: float = 660
    """For the whole conversation. A server may take ten minutes to answer to the last byte (RFC 5321, 4.5.3.2.6); one
    that sends a byte at a time must not hold a run longer than that."""

    def send(
        self,
        message: EmailMessage,
        sender: str,
        recipients: Sequence[str],
        *,
        before_handover: Handover,
    ) -> Mapping[str, Refusal]:
        """Send a message.

        Args:
            message: with its headers.
            sender: address to which the server sends what can't be delivered.
            recipients: addresses.
            before_handover: called with the recipients that the server accepts, before the first byte of the message.

        Returns:
            Address → the server's answer, of the recipients that it refuses, for good or for now. The others have the
            message.

        Raises:
            DeliveryError: it is delivered to nobody, and asking again would not help.
            DeliveryDelayedError: it is delivered to nobody, and asking again may help.
            DeliveryUnknownError: the connection ended after `before_handover`.
        """
        conversation = _Conversation(before_handover)
        content = message.as_bytes(policy=SMTP)
        talking = Thread(target=self._talk, args=(content, sender, recipients, conversation), daemon=True)
        talking.start()
        talking.join(self.whole_seconds)
        error = conversation.end(TimeoutError(f"it was not over within {self.whole_seconds:g} s"))
        if error is None:
            return conversation.refused
        if conversation.began and not _is_refusal(error):
            raise DeliveryUnknownError(
                f"{self._name} was given the message and did not say that it has it: {_named(error)}. Nobody knows "
                "whether it was delivered"
            )
        raise error if isinstance(error, TaxiPipelineError) else self._explained(error) from None

    def _talk(self, content: bytes, sender: str, recipients: Sequence[str], conversation: "_Conversation") -> None:
        """Hold the whole conversation, in a thread of its own: what it ends with is left in the conversation."""
        try:
            with self._connected(sender) as connection:
                refused = _announce(connection, sender, recipients, len(content))
                accepted = [address for address in recipients if address not in refused]
                if not accepted:
                    kind = DeliveryDelayedError if any(each.for_now for each in refused.values()) else DeliveryError
                    raise kind(f"{self._name} refuses all recipients: {_listed(refused)}")
                conversation.begin(accepted)
                if connection.sock:
                    connection.sock.settimeout(self.whole_seconds)
                _expect(*connection.data(content), "the message")
                conversation.refused = refused
                conversation.end(None)
        except Exception as error:  # `send` raises it, in the thread that waits
            conversation.end(error)

    def _explained(self, error: Exception) -> DeliveryError:
        """What a failure means after which nothing was delivered, in words."""
        kind: type[DeliveryError] = DeliveryError
        match error:
            case smtplib.SMTPResponseException():
                kind = DeliveryDelayedError if error.smtp_code // 100 == 4 else DeliveryError
                what = f"answers {_shown(error.smtp_code, error.smtp_error)}"
            case ssl.SSLError():
                what = (
                    f"can't be spoken to by TLS: {_named(error)}. TAXI_SMTP_TLS is {self.tls}; a certificate of your "
                    "own is trusted when SSL_CERT_FILE names it"
                )
            case UnicodeError():  # smtplib encodes what it logs in with as ASCII
                return DeliveryError(
                    "TAXI_SMTP_USER or the password has characters beyond ASCII, with which no login is tried. Give "
                    "the account a password of letters, digits and signs of ASCII"
                )
            case smtplib.SMTPException() if not isinstance(error, smtplib.SMTPServerDisconnected):
                what = f"lacks what is needed: {_named(error)}. TAXI_SMTP_TLS is {self.tls}"
            case _:
                kind, what = DeliveryDelayedError, f"can't be reached: {_named(error)}"
        return kind(f"{self._name} {what}")

    @property
    def _name(self) -> str:
        return f"The mail server {self.host}:{self.port}"

    @contextmanager
    def _connected(self, sender: str) -> Iterator[smtplib.SMTP]:
        """A connection, encrypted and logged in."""
        password = self._password() if self.user else ""
        name = sender.rpartition("@")[2]  # smtplib's own choice asks a name server
        how = {"local_hostname": name, "timeout": self.answer_seconds}
        if self.tls == "tls":
            connection = smtplib.SMTP_SSL(self.host, self.port, context=ssl.create_default_context(), **how)
        else:
            connection = smtplib.SMTP(self.host, self.port, **how)
        try:
            connection.ehlo_or_helo_if_needed()
            if self.tls == "starttls":
                connection.starttls(context=ssl.create_default_context())
                connection.ehlo()
            if self.user:
                connection.login(self.user, password)
            yield connection
        finally:
            _say_goodbye(connection)

    def _password(self) -> str:
        if self.password_file is None:
            return self.password
        try:
            text = self.password_file.read_text(encoding="utf-8-sig")  # with or without the mark that Windows writes
        except (OSError, UnicodeDecodeError) as error:
            raise self._no_password(f"can't be read: {_named(error)}") from None
        if len(text.splitlines()) > 1:
            raise self._no_password(f"has {len(text.splitlines())} lines, but must have one, the password")
        if not text.strip():
            raise self._no_password("is empty, but must hold the password")
        return text.rstrip("\r\n")

    def _no_password(self, why: str) -> DeliveryError:
        return DeliveryError(f"{self.password_file} (TAXI_SMTP_PASSWORD_FILE) {why}")


@dataclass(frozen=True)
class Postbox:
    """From whom mail goes to whom, and by which server."""

    server: SmtpServer
    sender: str = ""
    recipients: Sequence[str] = ()
    """Addresses; empty for no mail."""


class _Conversation:
    """What the thread that talks and the one that waits share: whether the message may have arrived, and the end."""

    def __init__(self, before: Handover) -> None:
        self.refused: Mapping[str, Refusal] = {}
        self.began = False
        self._before = before
        self._end: list[Exception | None] = []
        self._lock = Lock()

    def begin(self, accepted: Sequence[str]) -> None:
        """Called before the first byte.

        Raises:
            TimeoutError: nobody waits any more, so no byte may follow.
        """
        with self._lock:
            if self._end:
                raise TimeoutError("nobody waits any more")
            self._before(accepted)
            self.began = True

    def end(self, error: Exception | None) -> Exception | None:
        """Take an error, or None for success, as the end unless there is one already, and return the end."""
        with self._lock:
            if not self._end:
                self._end.append(error)
            return self._end[0]


def _announce(connection: smtplib.SMTP, sender: str, recipients: Sequence[str], size: int) -> dict[str, Refusal]:
    """Name the sender and the recipients; returns those that are refused.

    Raises:
        SMTPResponseException: the sender is refused, or the server ends the conversation.
    """
    options = [f"size={size}"] if connection.has_extn("size") else []
    _expect(*connection.mail(sender, options), "the sender")
    refused: dict[str, Refusal] = {}
    for address in recipients:
        code, answer = connection.rcpt(address)
        if code // 100 in (4, 5) and code != _GOES_AWAY:
            refused[address] = Refusal(_shown(code, answer), for_now=code // 100 == 4)
        else:
            _expect(code, answer, address)
    return refused


def _is_refusal(error: Exception) -> bool:
    """Whether the server has said that it does not take the message; other codes say nothing."""
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code // 100 in (4, 5)


def _expect(code: int, answer: bytes, what: str) -> None:
    if code // 100 != 2:
        raise smtplib.SMTPResponseException(code, f"{_text(answer)} (to {what})")


def _say_goodbye(connection: smtplib.SMTP) -> None:
    try:
        connection.quit()
    except (smtplib.SMTPException, OSError):
        connection.close()  # what the server says now changes nothing


def _listed(refused: Mapping[str, Refusal]) -> str:
    return "; ".join(f"{address}: {why}" for address, why in refused.items())


def _shown(code: int, answer: bytes | str) -> str:
    text = " ".join(_text(answer).split())
    return f"{code} {text if len(text) <= _LONGEST_ANSWER else text[: _LONGEST_ANSWER - 1] + '…'}"


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _named(error: Exception) -> str:
    text = " ".join(str(error).split())[:_LONGEST_ANSWER]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
