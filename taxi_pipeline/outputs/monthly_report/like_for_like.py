"""Changes from month to month, like for like: weekday for weekday, and beside the usual variation.

A month with five Sundays has other trips than one with four, without any change in New York. Here is the arithmetic;
`figures` has the days, `measures` the words.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

_STANDARD_ERRORS = 2
"""A change is called one from so many standard errors on: by chance one of twenty is."""


@dataclass(frozen=True)
class Change:
    """The change of a sum over days from another month to this one, both shares of what was to be expected."""

    share: float
    """The sum over the month's days, by what the other month's days of the same weekdays give, less 1."""
    usual: float
    """Two standard errors of the share, from how far days of one weekday are apart within each of the months."""

    @property
    def is_unusual(self) -> bool:
        """True if the change is larger than days of the same weekday vary."""
        return abs(self.share) > self.usual


def change_of(now: Mapping[date, float], then: Mapping[date, float]) -> Change | None:
    """Compare the days of a month with those of another, weekday for weekday.

    What is expected of a day is the mean of the other month's days of its weekday. The days of one weekday are taken as
    independent of each other; a holiday is a day of its weekday, and makes the variation larger.

    Args:
        now: day → number, of the month.
        then: day → number, of the other month.

    Returns:
        The change; None when a weekday has fewer than two days in one of the months, or nothing was to be expected.
    """
    by_weekday_now, by_weekday_then = _by_weekday(now), _by_weekday(then)
    if any(len(days.get(weekday, ())) < 2 for days in (by_weekday_now, by_weekday_then) for weekday in range(7)):
        return None
    expected = sum(len(by_weekday_now[weekday]) * _mean(numbers) for weekday, numbers in by_weekday_then.items())
    if expected <= 0:
        return None
    variance_of_sum = len(now) * _variance(by_weekday_now)
    variance_of_expected = _variance(by_weekday_then) * sum(
        len(by_weekday_now[weekday]) ** 2 / len(numbers) for weekday, numbers in by_weekday_then.items()
    )
    error = math.sqrt(variance_of_sum + variance_of_expected) / expected
    return Change(share=math.fsum(now.values()) / expected - 1, usual=_STANDARD_ERRORS * error)


def _by_weekday(days: Mapping[date, float]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for day, number in sorted(days.items()):
        found.setdefault(day.weekday(), []).append(number)
    return found


def _mean(numbers: list[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def _variance(by_weekday: Mapping[int, list[float]]) -> float:
    """The variance of days around the mean of their weekday, pooled over the weekdays."""
    squares = [(number - _mean(numbers)) ** 2 for numbers in by_weekday.values() for number in numbers]
    return math.fsum(squares) / (len(squares) - len(by_weekday))
