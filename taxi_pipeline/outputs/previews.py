"""Thumbnails of the pages for the Dagster UI: the explorer's map, the report's days. They hold shapes and no text.

The pages themselves are HTML, which the UI does not show beside an asset.
"""

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from taxi_pipeline.outputs.palette import EMPTY, SHADES, WEEKDAY, WEEKEND

if TYPE_CHECKING:
    from PIL.Image import Image

_WIDTH = 640
_SMOOTH = 2
"""Scale at which a thumbnail is drawn before it is reduced, so that edges are smooth."""


def map_preview(zones: Iterable[tuple[Sequence[Sequence[tuple[int, int]]], int]], size: Sequence[int]) -> bytes:
    """Draw a thumbnail of zones as a PNG.

    Args:
        zones: rings in whole pixels, and shade (0 for no trips) of each zone.
        size: width and height in pixels of the plane on which the rings lie.
    """
    from PIL import Image, ImageDraw

    scale = _WIDTH * _SMOOTH / size[0]
    image = Image.new("RGB", (_WIDTH * _SMOOTH, round(size[1] * scale)), "white")
    draw = ImageDraw.Draw(image)
    for rings, shade in zones:
        for ring in rings:
            points = [(x * scale, y * scale) for x, y in ring[:-1]]
            if len(points) > 2:
                draw.polygon(points, fill=SHADES[shade - 1] if shade else EMPTY, outline="white", width=_SMOOTH)
    return _png(image)


def bars_preview(bars: Sequence[tuple[int, bool]]) -> bytes:
    """Draw a thumbnail of bars as a PNG.

    Args:
        bars: height in any unit, and whether the day is of a weekend.
    """
    from PIL import Image, ImageDraw

    width, height = _WIDTH * _SMOOTH, 180 * _SMOOTH
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    step = width / max(1, len(bars))
    most = max((value for value, _ in bars), default=0) or 1
    for n, (value, is_weekend) in enumerate(bars):
        top = height * (1 - 0.95 * value / most)
        color = WEEKEND if is_weekend else WEEKDAY
        draw.rectangle(((n + 0.1) * step, top, (n + 0.9) * step, height), fill=color)
    return _png(image)


def _png(image: "Image") -> bytes:
    from PIL.Image import Resampling

    png = io.BytesIO()
    image.resize((image.width // _SMOOTH, image.height // _SMOOTH), Resampling.BOX).save(png, format="PNG")
    return png.getvalue()
