"""The explorer as one HTML file that needs nothing but itself; how it behaves is in `explorer.js`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def page_of(data: Mapping[str, Any]) -> str:
    """The page's HTML, for what `explorer_data` found."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        synthetic=data["synthetic"],
        # Inside a script element, nothing may look like its end.
        data=json.dumps(data, separators=(",", ":")).replace("</", "<\\/"),
        vega=(_FOLDER / "vega.min.js").read_text(encoding="utf-8"),
        script=(_FOLDER / "explorer.js").read_text(encoding="utf-8"),
    )
