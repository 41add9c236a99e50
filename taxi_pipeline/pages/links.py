"""Where browsers find what `server` serves."""

from dataclasses import dataclass
from urllib.parse import quote

PAGES_FOLDER = "outputs/"
"""What is below it in the storage is served; nothing else is."""


@dataclass(frozen=True)
class Pages:
    """The address at which browsers reach `taxi-pipeline pages`."""

    url: str | None = None
    """Without a slash at the end; None where no server of pages is known."""

    def link(self, name: str) -> str | None:
        """The URL that opens a file of the storage; None without a server, and for a file that it does not serve."""
        if self.url is None or not name.startswith(PAGES_FOLDER):
            return None
        return f"{self.url}/{quote(name.removeprefix(PAGES_FOLDER))}"
