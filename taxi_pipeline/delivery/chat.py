"""Messages to chats and phones (Slack, Teams, Discord and a hundred more), by the addresses of the package apprise."""

import hashlib
import html
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from taxi_pipeline.delivery.errors import DeliveryError

_ANSWER_SECONDS = 60.0
"""For a chat's answer. apprise has 4, and does not tell a server that is slow from one that refuses."""
_MARKS = re.compile(r"@|://|\]")


def as_plain_text(text: str) -> str:
    """Text from outside for a chat, so that it mentions nobody and makes no link."""
    # Slack reads <…> as a mention or a link, and has these three escapes. Others read @here, bare addresses and
    # [text](address); a space of no width ends each of them.
    return html.escape(_MARKS.sub(lambda mark: f"{mark[0]}\u200b", text), quote=False)


@dataclass(frozen=True)
class Chats:
    """Where messages are sent to."""

    urls: Sequence[str] = field(default=(), repr=False)
    """Addresses as apprise has them: `slack://…`, `msteams://…`, `discord://…`. Secrets: they hold the tokens."""

    @property
    def names(self) -> dict[str, str]:
        """A name that may be shown → the address: `slack-1a2b3c4d`, the kind and a hash of the address."""
        return {f"{url.partition(':')[0]}-{hashlib.sha256(url.encode()).hexdigest()[:8]}": url for url in self.urls}

    def post(self, name: str, title: str, text: str) -> None:
        """Send a message to one of the addresses.

        Raises:
            DeliveryError: it was not sent; without the address.
        """
        try:
            import apprise
        except ImportError:
            raise DeliveryError(
                "TAXI_CHAT_URLS needs the package apprise: pip install 'taxi-pipeline[delivery]'"
            ) from None
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its log has addresses
        # A redirect would make a GET of the POST, and the chat would count as told.
        own = apprise.AppriseAsset(app_id="taxi-pipeline", http_redirects=False)
        service = apprise.Apprise.instantiate(self.names[name], asset=own)
        if service is None:
            raise DeliveryError(f"{name} is no address that apprise knows: correct TAXI_CHAT_URLS")
        service.socket_read_timeout = _ANSWER_SECONDS
        if not service.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT):
            raise DeliveryError(f"{name} has not taken the message: try its address in TAXI_CHAT_URLS with apprise -vv")
