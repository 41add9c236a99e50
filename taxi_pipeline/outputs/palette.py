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

_ROUND = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)
"""What a round number is, times a power of ten. With fewer of them a fifth can't be kept."""

_LEAST_POWER = -3
"""Of a round number; what is less is rounded up to it."""

_BUSY_CLASSES = 7
"""Of the busy half; one is left for the other half."""

_MOST_OF_THE_BUSY = 5
"""At most one in so many of the busy half is in the same class, where their counts allow it."""


@dataclass(frozen=True)
class Classes:
    """Ranges of counts, each with a shade of its own."""

    starts: Sequence[float]
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
        counts: counts of trips, or trips a day; those of zero get no class.

    Returns:
        Up to eight classes: one for the half with fewer trips, the others for the busy half. There each border is about
        as many times the one before it, as far as no class has more than a fifth of the busy half: so the picture tells
        the busiest apart.
    """
    ranked = sorted(count for count in counts if count > 0)
    if not ranked:
        return Classes([])
    busy = _busy_starts(ranked[len(ranked) // 2 :])
    least = _rounded_down(ranked[0])
    return Classes([least, *busy] if least < busy[0] else busy)


def _busy_starts(ranked: Sequence[float]) -> list[float]:
    """Choose borders among these ascending counts.

    Returns:
        Those with the fewest counts beyond a fifth in a class, and of them those with the smallest factor from border
        to border.
    """
    borders = sorted({_rounded_down(count) for count in ranked})
    before = [0, *(bisect.bisect_left(ranked, border) for border in borders[1:])]
    most = len(ranked) // _MOST_OF_THE_BUSY

    def beyond(num_counts: int) -> int:
        return max(0, num_counts - most)

    # For each border as the start of the last so many classes: what is the worst of them, and where the next begins.
    best = [[(beyond(len(ranked) - before[n]), ranked[-1] / border, n) for n, border in enumerate(borders)]]
    for _ in range(1, min(_BUSY_CLASSES, len(borders))):
        last = best[-1]
        best.append(
            [
                min(
                    (
                        max(beyond(before[after] - before[n]), last[after][0]),
                        max(borders[after] / border, last[after][1]),
                        after,
                    )
                    for after in range(n + 1, len(borders) - len(best) + 1)
                )
                for n, border in enumerate(borders[: len(borders) - len(best)])
            ]
        )
    starts, n = [borders[0]], 0
    for later in reversed(best[1:]):
        n = later[n][2]
        starts.append(borders[n])
    return starts


def _rounded_down(count: float) -> float:
    """The largest round number that is not more than the count."""
    power = _LEAST_POWER
    while _times_ten_to(1, power + 1) <= count:
        power += 1
    return max((number for factor in _ROUND if (number := _times_ten_to(factor, power)) <= count), default=0.001)


def _times_ten_to(factor: float, power: int) -> float:
    """A factor times a power of ten, as JavaScript computes it, too: tenths are divided, so that 3 tenths are 0.3."""
    number = factor * 10**power if power >= 0 else factor / 10**-power
    return int(number) if number == int(number) else number


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
