"""The explorer as one HTML file that needs nothing but itself; how it behaves is in `explorer.js`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxi_pipeline.outputs.templates import render

_FOLDER = Path(__file__).parent


def page_of(data: Mapping[str, Any]) -> str:
    """The page's HTML, for what `explorer_data` found."""
    return render(
        _FOLDER / "page.html.jinja",
        synthetic=data["synthetic"],
        data=data,
        vega=(_FOLDER / "vega.min.js").read_text(encoding="utf-8"),
        script=(_FOLDER / "explorer.js").read_text(encoding="utf-8"),
    )
