"""Parts of the week with names, and names for kinds of weeks made of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SUNDAY, _FRIDAY, _SATURDAY = 0, 5, 6
_WEEKDAYS = range(1, 6)

AS_EVERYWHERE = "as in the whole city"
"""Name of a week that has no part that is more than the city's."""

MIN_RATIO = 1.1
"""How many times the city's share of a part a week needs to be named by it: a tenth more."""

_AS_WELL = 0.5
"""Least excess of a second and third part that are named, too, as a share of the first one's."""

_MAX_NAMED = 3
"""Most parts in a name."""


@dataclass(frozen=True)
class Part:
    """A part of the week: its name, and its hours, 0 from 00:00 to 00:59 on Sundays."""

    name: str
    hours: frozenset[int]


def _hours(days: Sequence[int], first: int, end: int) -> set[int]:
    return {24 * day + hour for day in days for hour in range(first, end)}


PARTS = (
    Part("weekday mornings", frozenset(_hours(_WEEKDAYS, 6, 10))),
    Part("weekday middays", frozenset(_hours(_WEEKDAYS, 10, 16))),
    Part("weekday evenings", frozenset(_hours(_WEEKDAYS, 16, 20))),
    Part("weekday late evenings", frozenset(_hours(range(_FRIDAY), 20, 24))),
    Part("weekday nights", frozenset(_hours(_WEEKDAYS, 0, 6))),
    Part("weekend days", frozenset(_hours((_SUNDAY, _SATURDAY), 6, 20))),
    Part(
        "weekend nights",
        frozenset(_hours((_FRIDAY, _SATURDAY), 20, 24) | _hours((_SUNDAY, _SATURDAY), 0, 6)),
    ),
)
"""Parts that make up the week. A night belongs to the day on which it begins, and ends at six: that from Sunday to
Monday is one of weekdays, that from Friday to Saturday is one of weekends."""

_TOGETHER = {
    ("weekday nights", "weekend nights"): "nights",
    ("weekday late evenings", "weekday nights", "weekend nights"): "late evenings and nights",
    ("weekday mornings", "weekday middays"): "weekday mornings and middays",
    ("weekday mornings", "weekday evenings"): "weekday mornings and evenings",
    ("weekday middays", "weekday evenings"): "weekday middays and evenings",
    ("weekday mornings", "weekday middays", "weekday evenings"): "weekday days",
}
"""Parts, in their order → what they are together, where that is shorter."""


@cache
def _membership() -> "NDArray[np.float64]":
    import numpy as np

    return np.array([[float(hour in part.hours) for hour in range(168)] for part in PARTS])


@dataclass(frozen=True)
class Comparison:
    """The parts of a week beside those of the city.

    Attributes:
        shares: share of the pickups in each of `PARTS`, 0 to 1.
        city: the same of the city, each more than 0 or equal to that of the week.
        order: positions of the parts, that with the largest excess first.
        excess: for each part the root of its share less that of the city's. Roots, as in the distances between zones:
            a part counts by its share and by how many times the city's it is.
    """

    shares: Sequence[float]
    city: Sequence[float]
    order: Sequence[int]
    excess: Sequence[float]

    def ratio(self, part: int) -> float:
        """How many times the city's the share of a part is; 1 where neither has any."""
        return self.shares[part] / self.city[part] if self.city[part] else 1.0

    @property
    def main(self) -> int:
        """The part with the largest excess."""
        return self.order[0]


def compare(week: "NDArray[np.float64]", city: "NDArray[np.float64]") -> Comparison:
    """Compare the parts of two weeks.

    Args:
        week: share of the pickups in each of 168 hours.
        city: the same of the whole city.
    """
    import numpy as np

    shares, of_city = _membership() @ week, _membership() @ city
    excess = np.round(np.sqrt(shares) - np.sqrt(of_city), 12)
    order = np.argsort(-excess, kind="stable")
    return Comparison(shares.tolist(), of_city.tolist(), order.tolist(), excess.tolist())


def names_of(weeks: Sequence[Comparison]) -> list[str]:
    """Name weeks by the parts in which they have more than the city; no two names are equal.

    Weeks with the same name are told apart by the part in which each is most beyond the others of that name; if that is
    the same, too, by a number.
    """
    names = [_name(week) for week in weeks]
    alike = [[other for other, same in zip(weeks, names, strict=True) if same == name] for name in names]
    names = [
        f"{name}{_beyond(week, others)}" if len(others) > 1 else name
        for week, name, others in zip(weeks, names, alike, strict=True)
    ]
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name} ({seen[name]})" if names.count(name) > 1 else name)
    return numbered


def _name(week: Comparison) -> str:
    """The parts with more than in the city, in the order of the week, so that near ties change no name."""
    least = _AS_WELL * week.excess[week.main]
    named = [part for part in week.order[:_MAX_NAMED] if week.ratio(part) >= MIN_RATIO and week.excess[part] >= least]
    parts = tuple(PARTS[part].name for part in sorted(named))
    if not parts:
        return AS_EVERYWHERE
    return _TOGETHER.get(parts) or " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _beyond(week: Comparison, weeks: Sequence[Comparison]) -> str:
    """What to add to a name: the part in which the week is most beyond the mean of weeks, of which it is one."""
    ahead = [week.excess[part] - sum(each.excess[part] for each in weeks) / len(weeks) for part in range(len(PARTS))]
    part = max(range(len(PARTS)), key=lambda part: (ahead[part], -part))
    return f", with more {PARTS[part].name}" if ahead[part] > 0 else ""
