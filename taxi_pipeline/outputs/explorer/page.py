"""The explorer as one HTML file that needs nothing but itself; how it behaves is in the scripts beside this module."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxi_pipeline.outputs.classes import palette_css
from taxi_pipeline.outputs.templates import render

SCRIPTS = ("d3.min.js", "counts.js", "address.js", "map.js", "charts.js", "explorer.js")
"""In the order in which they build on each other."""

_FOLDER = Path(__file__).parent


def page_of(data: Mapping[str, Any]) -> str:
    """The page's HTML, for what `explorer_data` found."""
    return render(
        _FOLDER / "page.html.jinja",
        synthetic=data["synthetic"],
        data=data,
        palette=palette_css(),
        scripts=[(_FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS],
    )
