"""The explorer as one HTML file without external files. The scripts beside this module decide how it behaves."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxi_pipeline.outputs.geometry import svg_path
from taxi_pipeline.outputs.origin import origin_of
from taxi_pipeline.outputs.palette import palette_css, round_classes
from taxi_pipeline.outputs.previews import map_preview
from taxi_pipeline.outputs.templates import render

SCRIPTS = ("d3.min.js", "counts.js", "address.js", "map.js", "charts.js", "explorer.js")
"""The page's scripts, each after those that it uses."""

_FOLDER = Path(__file__).parent


def page_of(data: Mapping[str, Any], *, schematic_zones: bool | None = None) -> str:
    """Make the page's HTML.

    Args:
        data: what `explorer_data` returns.
        schematic_zones: true if the zones are generated; None when that is not known.
    """
    return render(
        _FOLDER / "page.html.jinja",
        synthetic=data["synthetic"],
        origin=origin_of(synthetic=data["synthetic"], schematic_zones=schematic_zones),
        data={**data, "zones": [_with_path(zone) for zone in data["zones"]]},
        palette=palette_css(),
        scripts=[(_FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS],
    )


def _with_path(zone: Mapping[str, Any]) -> dict[str, Any]:
    """Replace a zone's rings by the path of an SVG; None without a shape."""
    named = {key: value for key, value in zone.items() if key != "rings"}
    return {**named, "path": svg_path(zone["rings"]) or None}


def preview_of(data: Mapping[str, Any]) -> bytes:
    """A PNG of the map as the page shows it first: all pickups of all weeks."""
    pickups: Counter[int] = Counter()
    for zones in data["weekly"]["pickups"].values():
        for zone_id, trips in zones.items():
            pickups[zone_id] += sum(trips)
    placed = [zone for zone in data["zones"] if zone["rings"]]
    classes = round_classes(pickups[zone["id"]] for zone in placed)
    return map_preview([(zone["rings"], classes.of(pickups[zone["id"]])) for zone in placed], data["map"])
