"""Messages to people: a webhook for failed runs."""

import html
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

_MARKS = re.compile(r"@|://|\]")
MAX_ERROR = 500
"""Characters of a run's error that a message holds; the link leads to the rest."""


@dataclass(frozen=True)
class Alerts:
    """Sends a message when a run fails, to a webhook that takes JSON with a `text`, as Slack's do."""

    webhook_url: str = ""
    """A secret: whoever has it can send messages. Empty: no message is sent."""
    ui_url: str = "http://127.0.0.1:3000"
    limit_seconds: float = 20
    """For the whole call: a webhook that answers slowly must not stop the sensors."""

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
        # Slack reads <…> as a mention or a link, and has these three escapes. Others read @here, bare addresses and
        # [text](address); a space of no width ends each of them.
        broken = _MARKS.sub(lambda mark: f"{mark[0]}\u200b", f"Run of {job}{days} failed{at}: {shown}")
        sentence = html.escape(broken, quote=False)
        return {
            "text": f"{sentence}\n{link}",
            "job": job,
            "partitions": partitions,
            "step": step,
            "error": shown,
            "link": link,
        }

    def post(self, message: Mapping[str, str | None]) -> str | None:
        """Send a message. Never raises: a webhook that is down must break nothing.

        Returns:
            What went wrong, without the address; None when the message was taken, or there is no webhook.
        """
        if not self.webhook_url:
            return None
        problems: list[str] = []
        sending = threading.Thread(target=self._send, args=(message, problems), daemon=True)
        sending.start()
        sending.join(self.limit_seconds)
        if sending.is_alive():
            problems.append(f"no answer within {self.limit_seconds:g} s")
        if not problems:
            return None
        return f"The message about a failed run could not be sent to TAXI_ALERT_WEBHOOK_URL: {problems[0]}"

    def _send(self, message: Mapping[str, str | None], problems: list[str]) -> None:
        import requests

        try:
            # The body of the answer is not read, and a redirect would make a GET of the POST.
            with requests.post(
                self.webhook_url, json=dict(message), timeout=(5, 10), stream=True, allow_redirects=False
            ) as answer:
                if answer.status_code >= 300:
                    problems.append(f"the server answers {answer.status_code}")
        except (requests.RequestException, ValueError) as error:  # its text holds the address
            problems.append(type(error).__name__)
