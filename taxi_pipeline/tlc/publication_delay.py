"""How late the TLC publishes a month: the one place that says so, for partitions, downloads and freshness.

The TLC took 47 to 105 days after a month's end, lately about 32.
"""

from datetime import date, timedelta

from taxi_pipeline.tlc.months import next_month

SHORTEST_DELAY = timedelta(days=30)
"""The TLC has never published a month sooner after its end."""

USUAL_DELAY = timedelta(days=47)
"""The shortest delay of most years; a month that takes longer is late."""

LONGEST_DELAY = timedelta(days=105)
"""The TLC has never published a month later after its end."""

SURE_DELAY = timedelta(days=120)
"""So many days after its end a month is published for sure: the longest delay and two weeks."""

LONGEST_MONTH = timedelta(days=31)


def must_be_published(month: date, today: date) -> bool:
    """Whether the month ended so long ago that its file exists for sure."""
    return today - next_month(month) >= SURE_DELAY
