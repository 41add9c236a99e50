"""What was delivered to whom: each version of a document at most once, whatever is stopped, repeated or run twice.

The record is a file for each document, in `staging/deliveries/`: version → recipient, in small letters → whether it
arrived, and when. It is written before a message is handed over and after it. So a process that is killed in between
leaves a mark, and nobody is sent the same twice.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from taxi_pipeline.delivery.errors import DeliveryError, DeliveryUnknownError
from taxi_pipeline.storage import Storage

FOLDER = "staging/deliveries"

_SENT, _HANDING_OVER = "sent", "handing over"

Handover = Callable[[Sequence[str]], None]
"""Called with the recipients that are accepted, before the first byte of a message is sent."""

Send = Callable[[Sequence[str], Handover], Mapping[str, str]]
"""Sends something to recipients; returns recipient → why, of those that are refused for good. See `smtp`."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of a version of a document."""

    sent: Sequence[str] = ()
    """Recipients to which it was sent now."""
    had_it: Sequence[str] = ()
    """Recipients to which it was sent before."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Recipient → why nothing can be sent there."""


class Record:
    """The record of one document."""

    def __init__(self, files: Storage, document: str) -> None:
        """Args: the storage, and a name such as `monthly_report_mail/2025-01`."""
        self._files = files
        self._file = f"{FOLDER}/{document}.json"

    def deliver(self, version: str, recipients: Sequence[str], send: Send, *, again: bool = False) -> Delivery:
        """Send a version of the document to those recipients who have not had it.

        Args:
            version: of what is sent, such as a SHA-256.
            recipients: names or addresses; capital letters make no others of them. They stand in the record, so
                secrets are none.
            send: sends it.
            again: send it also to those who had it, or may have had it.

        Raises:
            DeliveryError: it was sent to nobody; the record is as it was.
            DeliveryUnknownError: it may have arrived, now or at an earlier try; nothing is sent until somebody asks
                for it with `again`.
            FileInUseError: another process sends it, and has not ended.
        """
        with self._files.lock(self._file):
            record = self._read()
            before = dict(record.get(version, {}))
            self._refuse_unknown(version, before, recipients, again=again)
            waiting = [recipient for recipient in recipients if again or recipient.lower() not in before]
            had_it = [recipient for recipient in recipients if recipient not in waiting]
            if not waiting:
                return Delivery(had_it=had_it)

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
            return Delivery(sent=sent, had_it=had_it, refused=refused)

    def had_another(self, version: str) -> bool:
        """Whether anybody was sent another version before."""
        return any(states for other, states in self._read().items() if other != version)

    def _refuse_unknown(
        self, version: str, states: Mapping[str, Mapping[str, str]], recipients: Sequence[str], *, again: bool
    ) -> None:
        lost = [each for each in recipients if states.get(each.lower(), {}).get("state") == _HANDING_OVER]
        if lost and not again:
            at = states[lost[0].lower()]["at"]
            raise DeliveryUnknownError(
                f"Nobody knows whether version {version[:12]} has reached {', '.join(lost)}: what sent it at {at} was "
                "stopped before the server said that it has it. Ask the recipients; to send it again, materialize with "
                "again: true"
            )

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
