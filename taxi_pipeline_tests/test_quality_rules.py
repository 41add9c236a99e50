"""The rules of unusual days and trips, as plain functions."""

from datetime import date, timedelta

import pytest

from taxi_pipeline.quality.rules import DEFECTS, level, too_many

DAY = date(2023, 3, 7)


def weeks_before(*counts: int) -> dict[tuple[str, date], int]:
    """Make a history with so many trips one week before the day, two weeks before, and so on."""
    return {("green", DAY - timedelta(weeks=n)): count for n, count in enumerate(counts, start=1)}


@pytest.mark.parametrize(
    ("num", "num_trips", "expected"),
    [
        (0, 0, False),
        (1, 30, False),  # one of thirty is random variation
        (2_000, 100_000, False),
        (2_100, 100_000, False),  # within random variation of 2 %
        (2_200, 100_000, True),
        (30, 100, True),
    ],
)
def test_small_days_are_not_reported_for_random_variation(num: int, num_trips: int, expected: bool) -> None:
    assert too_many(num, num_trips, 0.02) is expected


@pytest.mark.parametrize(
    ("name", "most"),
    [
        # Of 100,000 trips: the share, and four standard deviations of a count of that size.
        ("negative_totals_are_few", 2_000 + 178),
        ("passengers_are_counted", 50_000 + 894),
        ("zones_are_known", 4_000 + 252),
        ("dropoffs_follow_pickups", 50 + 28),
        ("distances_are_plausible", 400 + 80),
    ],
)
def test_a_day_of_each_defect_is_judged_at_its_limit(name: str, most: int) -> None:
    (defect,) = (defect for defect in DEFECTS if defect.name == name)
    assert not too_many(most, 100_000, defect.max_share)
    assert too_many(most + 1, 100_000, defect.max_share)


@pytest.mark.parametrize(("num_trips", "far"), [(1526, False), (1527, True), (474, False), (473, True)])
def test_a_day_is_far_from_its_weekday_beyond_forty_percent_and_random_variation(num_trips: int, far: bool) -> None:
    """For a usual number of 1,000 the limit is 400 and four standard deviations, which are 126."""
    found = level({**weeks_before(1000, 1000, 1000, 1000), ("green", DAY): num_trips}, "green", DAY)
    assert found is not None
    assert found.is_far is far


@pytest.mark.parametrize(
    ("num_trips", "far"), [(1000, False), (1350, False), (1600, True), (650, False), (400, True), (0, True)]
)
def test_a_day_is_compared_with_its_weekday(num_trips: int, far: bool) -> None:
    counts = weeks_before(1000, 980, 1020, 5, 1000, 990, 1010, 1000)  # a blizzard three weeks ago moves nothing
    found = level({**counts, ("green", DAY): num_trips}, "green", DAY)
    assert found is not None
    assert found.usual == 1000
    assert found.is_far is far


def test_other_weekdays_other_fleets_and_long_ago_do_not_count() -> None:
    counts = weeks_before(1000, 1000, 1000) | {("yellow", DAY - timedelta(weeks=4)): 1000}
    counts |= {("green", DAY - timedelta(days=1)): 1000, ("green", DAY - timedelta(weeks=9)): 1000}
    assert level({**counts, ("green", DAY): 1}, "green", DAY) is None, "three Tuesdays are too few"


def test_defects_are_declared_once_each() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) == 5
    assert all(0 < defect.max_share < 1 for defect in DEFECTS)
