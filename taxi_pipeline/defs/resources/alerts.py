"""Messages to people: a webhook for failed runs."""

from collections.abc import Mapping

import dagster as dg


class Alerts(dg.ConfigurableResource):
    """Sends a message when a run fails, to a webhook that takes JSON with a `text`, as Slack's do."""

    webhook_url: str = ""
    """Empty: no message is sent."""
    ui_url: str = "http://127.0.0.1:3000"

    def message(
        self, *, job: str, partitions: str | None, step: str | None, error: str, run_id: str
    ) -> dict[str, str | None]:
        """The message: a sentence, and its parts for programs."""
        link = f"{self.ui_url}/runs/{run_id}"
        days = f" for {partitions}" if partitions else ""
        at = f" at {step}" if step else ""
        return {
            "text": f"Run of {job}{days} failed{at}: {error}\n{link}",
            "job": job,
            "partitions": partitions,
            "step": step,
            "error": error,
            "link": link,
        }

    def post(self, message: Mapping[str, str | None]) -> str | None:
        """Send a message. Never raises: a webhook that is down must break nothing.

        Returns:
            What went wrong, or None.
        """
        import requests

        if not self.webhook_url:
            return None
        try:
            requests.post(self.webhook_url, json=dict(message), timeout=(5, 10)).raise_for_status()
        except requests.RequestException as error:
            return f"The message about a failed run could not be sent to TAXI_ALERT_WEBHOOK_URL: {error}"
        return None
