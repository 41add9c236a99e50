"""Classes of counts: round borders, balanced, and one shade each, from pale to dark."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_pipeline.outputs.palette import (
    DIFFERENCES,
    DIFFERENCES_ON_DARK,
    NUM_SHADES,
    SHADES,
    SHADES_ON_DARK,
    luminance,
    round_classes,
)


@pytest.mark.parametrize(
    ("counts", "starts", "shades"),
    [
        ([], [], []),
        ([0, 0], [], []),
        ([0, 1], [1], [1]),
        ([999] * 9, [900], [1]),
        ([1, 1, 1, 1, 1000, 1000, 1000, 1000], [1, 1000], [1, 8]),
        (list(range(1, 801)), [1, 400, 450, 500, 600, 700, 800], [1, 2, 3, 5, 6, 7, 8]),
        ([0.02, 0.4, 3.3], [0.02, 0.4, 3], [1, 5, 8]),
    ],
)
def test_borders_are_round_and_shades_go_from_first_to_last(
    counts: list[float], starts: list[float], shades: list[int]
) -> None:
    classes = round_classes(counts)
    assert (classes.starts, classes.shades) == (starts, shades)


def test_at_most_a_fifth_of_the_busy_half_is_in_a_class() -> None:
    """Regression: a third of the busier zones, with most of the trips, had a map's darkest colour."""
    numbers = random.Random(0)  # noqa: S311 - no secrets
    for _ in range(50):
        spread = numbers.uniform(1.2, 2.5)
        counts = sorted(numbers.lognormvariate(5, spread) for _ in range(263))
        busy = counts[len(counts) // 2 :]
        shades = Counter(map(round_classes(counts).of, busy))
        assert max(shades.values()) <= len(busy) / 5
        assert len(shades) == NUM_SHADES - 1


@given(st.lists(st.integers(0, 10**9), max_size=300))
def test_each_count_has_a_shade_and_more_is_never_paler(counts: list[int]) -> None:
    classes = round_classes(counts)
    ranked = sorted(counts)
    shades = [classes.of(count) for count in ranked]
    assert shades == sorted(shades)
    assert all((shade == 0) == (count == 0) for count, shade in zip(ranked, shades, strict=True))
    assert set(shades) <= set(range(NUM_SHADES + 1))


def test_lightness_alone_tells_the_shades_apart() -> None:
    """Greyscale print and colour-blind readers can tell them apart."""
    assert len(SHADES) == len(SHADES_ON_DARK) == NUM_SHADES
    for one, other in pairwise(SHADES):
        assert luminance(one) > luminance(other)
    for one, other in pairwise(SHADES_ON_DARK):
        assert luminance(one) < luminance(other)
    for palette, sign in ((DIFFERENCES, 1), (DIFFERENCES_ON_DARK, -1)):
        middle = len(palette) // 2
        assert len(palette) == 2 * middle + 1
        for half in (palette[: middle + 1], palette[: middle - 1 : -1]):
            for one, other in pairwise(half):
                assert sign * luminance(one) < sign * luminance(other)
