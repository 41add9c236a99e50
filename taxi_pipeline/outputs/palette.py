"""Classes of counts with round borders, and one palette for them: on the PNG maps, in the report and in the explorer.

`explorer/counts.js` has the same rule for what its readers choose. Nothing is drawn here.
"""

import bisect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHADES = ("#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58")
"""Shades from few to many, on light paper. Lightness falls throughout, so that greyscale print and colour-blind readers
can tell them apart.

Source: ColorBrewer's YlGnBu, without its palest.
"""
SHADES_ON_DARK = ("#1c2a5e", "#253f94", "#225ea8", "#1d91c0", "#41b6c4", "#7fcdbb", "#c7e9b4", "#f3fbc8")
"""The same shades on a dark screen, where many is light."""
NUM_SHADES = len(SHADES)

EMPTY = "#ececf0"
"""Colour of a zone without trips, on light paper."""

DIFFERENCES = ("#8c510a", "#bf812d", "#dfc27d", "#f1f1f1", "#80cdc1", "#35978f", "#01665e")
"""Shades from much less to much more, on light paper (ColorBrewer's BrBG)."""
DIFFERENCES_ON_DARK = ("#dfa050", "#bf812d", "#7d5a2a", "#33373f", "#2d6b64", "#35978f", "#80cdc1")

WEEKDAY, WEEKEND = "#225ea8", "#c4561b"
"""Bars of Monday to Friday, and of Saturdays and Sundays, on light paper."""

KINDS = ("#0072b2", "#e69f00", "#009e73", "#56b4e9", "#d55e00", "#f0e442", "#1c1c28", "#cc79a7")
"""Colours of kinds that have no order, on light paper, the first for the largest. Colour-blind readers can tell them
apart; the last is the one that is nearest to another for readers without red cones.

Source: Okabe and Ito, Color Universal Design, 2008.
"""

_ROUND = (1, 2, 3, 5, 7)
"""First digits of a round number; a power of ten follows."""


@dataclass(frozen=True)
class Classes:
    """Ranges of counts, each with a shade of its own."""

    starts: Sequence[int]
    """The least count of each class, ascending; empty when no count is above zero."""

    def of(self, count: float) -> int:
        """The shade of a count: 1 for few to `NUM_SHADES` for many; 0 for no trips."""
        return self._shade(bisect.bisect_right(self.starts, count) - 1) if count and self.starts else 0

    @property
    def shades(self) -> list[int]:
        """The shade of each class."""
        return [self._shade(n) for n in range(len(self.starts))]

    def _shade(self, position: int) -> int:
        last = max(1, len(self.starts) - 1)
        return 1 + math.floor((NUM_SHADES - 1) * max(0, position) / last + 0.5)


def round_classes(counts: Iterable[float]) -> Classes:
    """Divide counts into classes with round borders.

    Args:
        counts: counts of trips; those of zero get no class.

    Returns:
        Up to eight classes, with about as many counts in each.
    """
    ranked = sorted(count for count in counts if count > 0)
    if not ranked:
        return Classes([])
    quantiles = (ranked[len(ranked) * n // NUM_SHADES] for n in range(NUM_SHADES))
    return Classes(sorted({_rounded_down(count) for count in quantiles}))


def _rounded_down(count: float) -> int:
    """The largest round number that is not more than the count; one at least."""
    power = 1
    while 10 * power <= count:
        power *= 10
    return max((factor * power for factor in _ROUND if factor * power <= count), default=1)


def palette_css() -> str:
    """The palette as CSS variables `--s1` … `--s8`, `--d1` … `--d7` and `--none`: for light, dark and paper.

    `--on-s1` … are the colours of text on the shades.
    """
    light = _variables(SHADES, DIFFERENCES, EMPTY)
    dark = _variables(SHADES_ON_DARK, DIFFERENCES_ON_DARK, "#2a2d37")
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        f"@media print {{ :root {{ {light} }} }}"
    )


def _variables(shades: Sequence[str], differences: Sequence[str], empty: str) -> str:
    named = [(f"s{n}", color) for n, color in enumerate(shades, start=1)]
    named += [(f"on-s{n}", _readable_on(color)) for n, color in enumerate(shades, start=1)]
    named += [(f"d{n}", color) for n, color in enumerate(differences, start=1)]
    return " ".join(f"--{name}: {color};" for name, color in [*named, ("none", empty)])


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`, from 0 for black to 1 for white, as WCAG 2 defines it."""
    channels = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _readable_on(color: str) -> str:
    """Choose black or white, whichever has more contrast."""
    return "#000000" if luminance(color) > 0.179 else "#ffffff"
