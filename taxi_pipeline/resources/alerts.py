"""Telling people: a webhook for failed runs."""

from collections.abc import Mapping

import dagster as dg


class Alerts(dg.ConfigurableResource):
    """Where failed runs are told: a webhook that takes a JSON message with `text`, as Slack and its like do."""

    webhook_url: str = ""
    """Empty: nowhere."""
    ui_url: str = "http://127.0.0.1:3000"

    def message(
        self, *, job: str, partitions: str | None, step: str | None, error: str, run_id: str
    ) -> dict[str, str | None]:
        """What is posted: a sentence, and its parts for those who want to look at them by machine."""
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
        """Post a message; gives what went wrong, if anything. Never raises: telling must break nothing."""
        import requests

        if not self.webhook_url:
            return None
        try:
            requests.post(self.webhook_url, json=dict(message), timeout=(5, 10)).raise_for_status()
        except requests.RequestException as error:
            return f"TAXI_ALERT_WEBHOOK_URL could not be told of a failed run: {error}"
        return None
