"""The delay with which the TLC publishes a month: the one place that says so, for partitions, downloads and freshness.

The TLC took 47 to 105 days after a month's end in most years, and lately about five weeks: 2026-08 was published by
early October.
"""

from datetime import date, timedelta

from taxi_pipeline.tlc.months import next_month

SHORTEST_DELAY = timedelta(days=30)
"""Shortest delay after a month's end; the TLC has never published a month sooner."""

USUAL_DELAY = timedelta(days=47)
"""The shortest delay of most years; a month that takes longer is late."""

LONGEST_DELAY = timedelta(days=105)
"""Longest delay after a month's end; the TLC has never published a month later."""

SURE_DELAY = timedelta(days=120)
"""Delay after which a month is published for sure: the longest one and two weeks."""

LONGEST_MONTH = timedelta(days=31)

LATE_DAYS = (LONGEST_MONTH + USUAL_DELAY).days
"""Age of the newest loaded day, in days, above which it is late. Just before a month is published, that day is as old
as a month and the TLC's usual delay."""

TOO_LATE_DAYS = (LONGEST_MONTH + LONGEST_DELAY).days
"""Age of the newest loaded day, in days, above which it is an error: the TLC has never been so late."""


def must_be_published(month: date, today: date) -> bool:
    """True if the month ended so long ago that its file exists for sure."""
    return today - next_month(month) >= SURE_DELAY
