"""What was delivered to whom: each version of a document at most once, whatever is stopped, repeated or run twice.

The record is a file for each document, in `staging/deliveries/`: version → recipient, in small letters → whether it
arrived, and when. It is written before a message is handed over and after it. So a process that is killed in between
leaves a mark, and nobody is sent the same twice.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from taxi_pipeline.delivery.errors import DeliveryError
from taxi_pipeline.storage import Storage

FOLDER = "staging/deliveries"

_SENT, _HANDING_OVER = "sent", "handing over"

Handover = Callable[[Sequence[str]], None]
"""Called with the recipients that are accepted, before the first byte of a message is sent."""


@dataclass(frozen=True)
class Refusal:
    """Why a recipient does not get what the others get."""

    why: str
    """What the server answers."""
    for_now: bool = False
    """Whether it may take it later."""

    def __str__(self) -> str:
        return self.why


Send = Callable[[Sequence[str], Handover], Mapping[str, Refusal]]
"""Sends something to recipients; returns recipient → why, of those that are refused. See `smtp`."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of a version of a document."""

    sent: Sequence[str] = ()
    """Recipients to which it was sent now."""
    had_it: Sequence[str] = ()
    """Recipients to which it was sent before."""
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    """Recipient → why nothing was sent there."""
    unknown: str = ""
    """Who may have had it before, in words; empty for nobody. Nothing is sent to them until somebody asks for it."""


class Record:
    """The record of one document."""

    def __init__(self, files: Storage, document: str) -> None:
        """Args: the storage, and a name such as `monthly_report_mail/2025-01`."""
        self._files = files
        self._file = f"{FOLDER}/{document}.json"

    def deliver(
        self,
        version: str,
        recipients: Sequence[str],
        send: Send,
        *,
        again: bool = False,
        unknown_again: bool = False,
    ) -> Delivery:
        """Send a version of the document to those recipients who have not had it.

        Args:
            version: of what is sent, such as a SHA-256.
            recipients: names or addresses; capital letters make no others of them. They stand in the record, so
                secrets are none.
            send: sends it.
            again: send it also to those who had it, or may have had it.
            unknown_again: send it also to those who may have had it.

        Raises:
            DeliveryError: it was sent to nobody; the record is as it was.
            DeliveryUnknownError: it may have arrived now; nothing is sent to those recipients until somebody asks for
                it with `again` or `unknown_again`.
            FileInUseError: another process sends it, and has not ended.
        """
        with self._files.lock(self._file):
            record = self._read()
            before = dict(record.get(version, {}))
            states = {each: before.get(each.lower(), {}).get("state") for each in recipients}
            lost = [each for each, state in states.items() if state == _HANDING_OVER and not (again or unknown_again)]
            had_it = [each for each, state in states.items() if state == _SENT and not again]
            waiting = [each for each in recipients if each not in (*lost, *had_it)]
            unknown = _in_words(version, lost, before) if lost else ""
            if not waiting:
                return Delivery(had_it=had_it, unknown=unknown)

            def note(state: str, of: Sequence[str]) -> None:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                record[version] = {**before, **{each.lower(): {"state": state, "at": at} for each in of}}
                self._files.write(self._file, json.dumps(record, indent=1) + "\n")

            try:
                refused = send(waiting, lambda accepted: note(_HANDING_OVER, accepted))
            except DeliveryError:
                if record.get(version, {}) != before:
                    note(_SENT, [])
                raise
            sent = [recipient for recipient in waiting if recipient not in refused]
            note(_SENT, sent)
            return Delivery(sent=sent, had_it=had_it, refused=refused, unknown=unknown)

    def had_another(self, version: str) -> bool:
        """Whether anybody was sent another version before."""
        return any(states for other, states in self._read().items() if other != version)

    def _read(self) -> dict[str, dict[str, dict[str, str]]]:
        if not self._files.exists(self._file):
            return {}
        try:
            record = json.loads(self._files.read_text(self._file))
            if all(_is_state(state) for states in record.values() for state in states.values()):
                return {
                    version: {each.lower(): state for each, state in states.items()}
                    for version, states in record.items()
                }
        except (ValueError, AttributeError):
            pass
        raise DeliveryError(
            f"{self._files.uri(self._file)} is no record of deliveries: nobody knows what was sent. Put it back from a "
            "backup, or delete it to send everything anew"
        )


def _is_state(state: object) -> bool:
    return isinstance(state, dict) and state.get("state") in (_SENT, _HANDING_OVER) and isinstance(state.get("at"), str)


def _in_words(version: str, lost: Sequence[str], states: Mapping[str, Mapping[str, str]]) -> str:
    return (
        f"Nobody knows whether version {version[:12]} has reached {', '.join(lost)}: what sent it at "
        f"{states[lost[0].lower()]['at']} was stopped before the server said that it has it. Ask the recipients; to "
        "send it to them again, materialize with unknown_again: true"
    )
