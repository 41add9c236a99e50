"""What a daily refresh has to run: decided from what is loaded, what is published, and which runs are under way.

Plain Python, so that every case can be tested. Asking the server, and launching what comes out, belongs to `schedules`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from taxi_pipeline.tlc.months import Days, next_month

MONTHS_WATCHED = 6
"""So many of the last loaded months are asked whether they were published anew."""


@dataclass(frozen=True)
class Loaded:
    """A month of which days are loaded."""

    version: str | None
    """Name of the published version that all its days come from; None when it is not known, or there are several."""
    whole: bool
    """Whether all its days are loaded."""


@dataclass(frozen=True)
class Chunk:
    """Days of one month to be loaded in one run."""

    days: Days
    version: str

    @property
    def key(self) -> str:
        """Names month and version: a run of the same key would load the same."""
        return f"{self.days.first:%Y-%m} {self.version}"


def months_to_ask(loaded: Collection[date], newest_published: date | None) -> list[date]:
    """The months of whose published version the decision depends, in order.

    Args:
        loaded: first days of the months of which something is loaded.
        newest_published: the newest month that the TLC has published, if any.
    """
    if newest_published is None:
        return []
    if not loaded:
        return [newest_published]
    months = list(_watched(loaded))
    month = next_month(max(loaded))
    while month <= newest_published:
        months.append(month)
        month = next_month(month)
    return months


def chunks_to_run(
    loaded: Mapping[date, Loaded],
    published: Mapping[date, str],
    partitions: Days,
    under_way: Collection[str],
) -> list[Chunk]:
    """The months that a refresh loads, oldest first.

    With an empty warehouse that is the newest published month; history is a backfill. Otherwise: every published month
    after the newest loaded one, the rest of that one, and of the last six loaded ones those published anew.

    Args:
        loaded: first day of the month → what is loaded of it.
        published: first day of the month → name of the version that is published of it.
        partitions: the days that can be loaded at all.
        under_way: keys of chunks that runs are loading, or wait to.
    """
    if not loaded:
        wanted: Sequence[date] = sorted(published)[-1:]
    else:
        newest = max(loaded)
        watched = _watched(loaded)
        wanted = [
            month
            for month in sorted(published)
            if month > newest
            or (month == newest and not loaded[month].whole)
            or (month in watched and loaded[month].version != published[month])
        ]
    chunks = [Chunk(days, published[month]) for month in wanted if (days := _days_of_month(month, partitions))]
    return [chunk for chunk in chunks if chunk.key not in under_way]


def _watched(loaded: Collection[date]) -> list[date]:
    return sorted(loaded)[-MONTHS_WATCHED:]


def _days_of_month(month: date, partitions: Days) -> Days | None:
    """The month's days that are partitions; None when there are none."""
    first = max(month, partitions.first)
    last = min(Days.of_month(month).last, partitions.last)
    return Days(first, last) if first <= last else None
