"""Messages to people about failed runs, and about what they would want to know: to a webhook, and to chats."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from taxi_pipeline.delivery.chat import Chats, as_plain_text
from taxi_pipeline.delivery.errors import DeliveryError

MAX_ERROR = 500
"""Characters of a run's error that a message holds; the link leads to the rest."""


@dataclass(frozen=True)
class Alerts:
    """Sends a message when a run fails: to a webhook that takes JSON with a `text`, as Slack's do, and to chats."""

    webhook_url: str = ""
    """A secret: whoever has it can send messages. Empty: no message is sent."""
    chats: Chats = field(default_factory=Chats)
    ui_url: str = "http://127.0.0.1:3000"
    limit_seconds: float = 20
    """For all calls together: a server that answers slowly must not stop the sensors."""

    def message(
        self, *, job: str, partitions: str | None, step: str | None, error: str, run_id: str
    ) -> dict[str, str | None]:
        """The message: a sentence, and its parts for programs.

        What comes from outside is text in the sentence: it mentions nobody and makes no link.
        """
        link = f"{self.ui_url}/runs/{run_id}"
        shown = error if len(error) <= MAX_ERROR else f"{error[: MAX_ERROR - 1]}…"
        days = f" for {partitions}" if partitions else ""
        at = f" at {step}" if step else ""
        sentence = as_plain_text(f"Run of {job}{days} failed{at}: {shown}")
        return {
            "text": f"{sentence}\n{link}",
            "job": job,
            "partitions": partitions,
            "step": step,
            "error": shown,
            "link": link,
        }

    def notice(self, sentence: str, run_id: str) -> dict[str, str | None]:
        """The message of a run that succeeded and has something to tell: a sentence, and a link to the run.

        What comes from outside is text in the sentence: it mentions nobody and makes no link.
        """
        link = f"{self.ui_url}/runs/{run_id}"
        return {"text": f"{as_plain_text(sentence)}\n{link}", "link": link}

    def post(self, message: Mapping[str, str | None], *, title: str = "A run failed") -> Sequence[str]:
        """Send a message to all. Never raises: a server that is down must break nothing.

        Args:
            message: with its words as `text`.
            title: of the message, where a chat shows one.

        Returns:
            What went wrong, without the addresses: a sentence for each place that did not take the message.
        """
        calls: dict[str, Callable[[], str | None]] = {}
        if self.webhook_url:
            calls["TAXI_ALERT_WEBHOOK_URL"] = partial(self._to_webhook, message)
        calls |= {name: partial(self._to_chat, name, title, message) for name in self.chats.names}
        problems: dict[str, str | None] = dict.fromkeys(calls, f"no answer within {self.limit_seconds:g} s")

        def send(place: str) -> None:
            problems[place] = calls[place]()

        sendings = [threading.Thread(target=send, args=[place], daemon=True) for place in calls]
        for sending in sendings:
            sending.start()
        end = time.monotonic() + self.limit_seconds
        for sending in sendings:
            sending.join(max(0, end - time.monotonic()))
        return [
            f"The message ({title}) could not be sent to {place}: {problem}"
            for place, problem in problems.items()
            if problem
        ]

    def _to_webhook(self, message: Mapping[str, str | None]) -> str | None:
        import requests

        try:
            # The body of the answer is not read, and a redirect would make a GET of the POST.
            with requests.post(
                self.webhook_url, json=dict(message), timeout=(5, 10), stream=True, allow_redirects=False
            ) as answer:
                return None if answer.status_code < 300 else f"the server answers {answer.status_code}"
        except (requests.RequestException, ValueError) as error:  # its text holds the address
            return type(error).__name__

    def _to_chat(self, name: str, title: str, message: Mapping[str, str | None]) -> str | None:
        try:
            self.chats.post(name, title, message["text"] or "")
        except DeliveryError as error:
            return str(error)
        return None
