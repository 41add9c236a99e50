"""Calendar months and the days in them: the TLC packages days into months."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

NEW_YORK = "America/New_York"


def new_york_today() -> date:
    """The current day in New York."""
    return datetime.now(ZoneInfo(NEW_YORK)).date()


def month_of(day: date) -> date:
    """The first day of the day's month; it represents the month."""
    return day.replace(day=1)


def next_month(month: date) -> date:
    """The first day of the month after that of a day."""
    return month_of(month_of(month) + timedelta(days=31))


def previous_month(month: date) -> date:
    """The first day of the month before that of a day."""
    return month_of(month_of(month) - timedelta(days=1))


def year_before(month: date) -> date:
    """The same month of the year before."""
    return month.replace(year=month.year - 1)


@dataclass(frozen=True)
class Days:
    """Consecutive days, both ends inclusive."""

    first: date
    last: date

    @classmethod
    def of_month(cls, month: date) -> "Days":
        """All days of the month in which a day lies."""
        first = month_of(month)
        return cls(first, next_month(first) - timedelta(days=1))

    def __iter__(self) -> Iterator[date]:
        """Each day in turn."""
        return (self.first + timedelta(days=n) for n in range(self.num_days))

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def num_days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    def by_month(self) -> list["Days"]:
        """The same days, cut where a month ends."""
        parts: list[Days] = []
        first = self.first
        while first <= self.last:
            month_end = Days.of_month(first).last
            parts.append(Days(first, min(self.last, month_end)))
            first = month_end + timedelta(days=1)
        return parts

    def in_parts(self, num_parts: int) -> list["Days"]:
        """Divide the days into so many parts of about equal length; into fewer when there are fewer days."""
        num_parts = min(num_parts, self.num_days)
        cuts = [self.first + timedelta(days=self.num_days * n // num_parts) for n in range(num_parts + 1)]
        return [Days(first, cut - timedelta(days=1)) for first, cut in pairwise(cuts)]

    def in_weeks(self) -> "Days":
        """These days and all others of their weeks, Sunday to Saturday."""
        return Days(
            self.first - timedelta(days=self.first.isoweekday() % 7),
            self.last + timedelta(days=6 - self.last.isoweekday() % 7),
        )


def spans_of(days: Sequence[date]) -> list[Days]:
    """Days in order, as spans without gaps."""
    spans: list[Days] = []
    for day in days:
        if spans and day == spans[-1].last + timedelta(days=1):
            spans[-1] = Days(spans[-1].first, day)
        else:
            spans.append(Days(day, day))
    return spans
