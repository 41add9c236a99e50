"""The hook of MkDocs that draws diagrams while the site is built, so that no page needs a script to show them.

A diagram is a fenced block `mermaid` of the form `flowchart LR` whose lines are chains of names: `a --> b --> c`. Pages
of a repository show such a block as a drawing; here it becomes an SVG. Names stand in columns, each to the right of
all names that lead to it, and are sorted so that few arrows cross.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Any

_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LETTER, _HEIGHT, _PADDING = 6.1, 24, 4
_BETWEEN_COLUMNS, _BETWEEN_ROWS = 18, 10
"""Sizes in pixels; letters are those of `.diagram` in site.css."""

_SWEEPS = 12

_HEAD = ' class="head"'

Arrow = tuple[str, str]


class DiagramError(ValueError):
    """A diagram is not of the form that can be drawn."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each diagram of a page by its drawing."""
    return _DIAGRAM.sub(lambda block: svg_of(arrows_of(block.group(1))), markdown)


def arrows_of(diagram: str) -> list[Arrow]:
    """Read the arrows of a diagram, each once, in order.

    Raises:
        DiagramError: the diagram has anything but chains of names, or its arrows run in a circle.
    """
    first, *lines = [line.strip() for line in diagram.splitlines() if line.strip()]
    if first != "flowchart LR":
        raise DiagramError(f"a diagram begins with {first!r}; only 'flowchart LR' can be drawn")
    arrows: dict[Arrow, None] = {}
    for line in lines:
        names = line.split(" --> ")
        if len(names) < 2 or not all(re.fullmatch(r"\w+", name) for name in names):
            raise DiagramError(f"{line!r} is no chain of names: a --> b --> c")
        arrows.update(dict.fromkeys(pairwise(names)))
    return list(arrows)


def columns_of(arrows: Sequence[Arrow]) -> dict[str, int]:
    """Name → its column: one more than the rightmost of the names that lead to it."""
    columns = dict.fromkeys((name for arrow in arrows for name in arrow), 0)
    for _ in columns:
        moved = {end: columns[start] + 1 for start, end in arrows if columns[end] <= columns[start]}
        if not moved:
            return columns
        columns.update(moved)
    raise DiagramError("the arrows of a diagram run in a circle")


@dataclass(frozen=True)
class _Layout:
    """Columns of names from left to right, and the steps of arrows from a column to the next."""

    columns: Sequence[list[str]]
    steps: Sequence[Arrow]


def _layout_of(arrows: Sequence[Arrow]) -> _Layout:
    """Place the names, and a bend in each column that arrows of a name pass, so that steps cross few others."""
    place = columns_of(arrows)
    steps: dict[Arrow, None] = {}
    for start, end in arrows:
        bends = {f"{start}>{column}": column for column in range(place[start] + 1, place[end])}
        place |= bends
        steps.update(dict.fromkeys(pairwise([start, *bends, end])))
    columns = [[name for name, at in place.items() if at == column] for column in range(max(place.values()) + 1)]
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            _sort(column, columns, [(start, end) if forward else (end, start) for start, end in steps])
    return _Layout(columns, list(steps))


def _is_bend(name: str) -> bool:
    return ">" in name


def _sort(column: list[str], columns: Sequence[Sequence[str]], steps: Sequence[Arrow]) -> None:
    """Sort a column by the mean height of the names that lead to each."""
    height = {name: n / len(other) for other in columns for n, name in enumerate(other)}
    before = {name: [height[start] for start, end in steps if end == name] for name in column}
    column.sort(key=lambda name: mean(before[name]) if before[name] else height[name])


def svg_of(arrows: Sequence[Arrow]) -> str:
    """Draw the arrows as an SVG in the colours of the page."""
    layout = _layout_of(arrows)
    boxes, width, height = _boxes(layout)
    lines = [
        f'<path{"" if _is_bend(end) else _HEAD} d="{_curve(boxes[start], boxes[end])}" />'
        for start, end in layout.steps
    ]
    passed = [
        f'<path d="M{box.left:.0f} {box.middle:.0f}H{box.right:.0f}" />'
        for name, box in boxes.items()
        if _is_bend(name)
    ]
    names = [
        f'<g><rect x="{box.left:.0f}" y="{box.top:.0f}" width="{box.right - box.left:.0f}" height="{_HEIGHT}" rx="4" />'
        f'<text x="{(box.left + box.right) / 2:.0f}" y="{box.middle + 4:.0f}">{html.escape(name)}</text></g>'
        for name, box in boxes.items()
        if not _is_bend(name)
    ]
    listed = ", ".join(f"{start} to {end}" for start, end in arrows)
    return (
        f'<div class="diagram" tabindex="0"><svg role="img" aria-label="Arrows: {html.escape(listed)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8Z" /></marker></defs>'
        f"{''.join([*lines, *passed, *names])}</svg></div>"
    )


@dataclass(frozen=True)
class _Box:
    left: float
    right: float
    top: float

    @property
    def middle(self) -> float:
        return self.top + _HEIGHT / 2


def _boxes(layout: _Layout) -> tuple[Mapping[str, _Box], float, float]:
    """Name or bend → its place; and width and height of the drawing, in pixels."""
    boxes: dict[str, _Box] = {}
    rows = max(map(len, layout.columns))
    height = rows * (_HEIGHT + _BETWEEN_ROWS) + _BETWEEN_ROWS
    left = 1.0
    for column in layout.columns:
        width = max(_LETTER * len(name) for name in column if not _is_bend(name)) + 2 * _PADDING
        step = height / len(column)
        for row, name in enumerate(column):
            boxes[name] = _Box(left, left + width, (row + 0.5) * step - _HEIGHT / 2)
        left += width + _BETWEEN_COLUMNS
    return boxes, left - _BETWEEN_COLUMNS + 1, height


def _curve(start: _Box, end: _Box) -> str:
    """Draw a step as a curve that leaves and arrives level."""
    bend = (start.right + end.left) / 2
    return (
        f"M{start.right:.0f} {start.middle:.0f}C{bend:.0f} {start.middle:.0f} {bend:.0f} {end.middle:.0f} "
        f"{end.left:.0f} {end.middle:.0f}"
    )
