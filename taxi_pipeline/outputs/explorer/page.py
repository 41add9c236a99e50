"""The explorer as one HTML file without external files. The scripts beside this module decide how it behaves."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxi_pipeline.outputs.geometry import svg_path
from taxi_pipeline.outputs.origin import origin_of
from taxi_pipeline.outputs.palette import palette_css, round_classes
from taxi_pipeline.outputs.previews import map_preview
from taxi_pipeline.outputs.templates import render

SCRIPTS = (
    "d3.min.js",
    "cube.js",
    "counts.js",
    "flows.js",
    "address.js",
    "map.js",
    "charts.js",
    "heatmap.js",
    "tables.js",
    "years.js",
    "picture.js",
    "explorer.js",
)
"""The page's scripts, each after those that it uses."""

_FOLDER = Path(__file__).parent


def page_of(data: Mapping[str, Any], *, schematic_zones: bool | None = None) -> str:
    """Make the page's HTML.

    Args:
        data: what `explorer_data` returns.
        schematic_zones: true if the zones are generated; None when that is not known.
    """
    blocks = data["blocks"]
    in_page = {
        **{key: value for key, value in data.items() if key not in ("blocks", "pickups")},
        "zones": [_with_path(zone) for zone in data["zones"]],
        "blocks": [block.header for block in blocks],
    }
    return render(
        _FOLDER / "page.html.jinja",
        synthetic=data["synthetic"],
        origin=origin_of(synthetic=data["synthetic"], schematic_zones=schematic_zones),
        data=in_page,
        blocks=[base64.b64encode(block.packed).decode("ascii") for block in blocks],
        palette=palette_css(),
        scripts=[(_FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS],
    )


def _with_path(zone: Mapping[str, Any]) -> dict[str, Any]:
    """Replace a zone's rings by the path of an SVG; None without a shape."""
    named = {key: value for key, value in zone.items() if key != "rings"}
    return {**named, "path": svg_path(zone["rings"]) or None}


def preview_of(data: Mapping[str, Any]) -> bytes:
    """A PNG of the map as the page shows it first: all pickups of all weeks."""
    pickups = data["pickups"]
    placed = [zone for zone in data["zones"] if zone["rings"]]
    counts = [pickups.get(zone["id"], 0) for zone in placed]
    classes = round_classes(counts)
    shapes = [(zone["rings"], classes.of(count)) for zone, count in zip(placed, counts, strict=True)]
    return map_preview(shapes, data["map"])
