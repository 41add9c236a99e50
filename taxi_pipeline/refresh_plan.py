"""What a refresh loads: decided from what is loaded, what is published, and which runs are in progress.

The decision is a pure function of these; `plan_refresh` collects them. Launching the runs belongs to the schedules.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.months import Days, next_month
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.coverage import LoadedMonth, loaded_months, loaded_span
from taxi_pipeline.warehouse.interface import NothingLoadedError, Session, Warehouse

MONTHS_WATCHED = 6
"""How many of the last loaded months are checked for a new version."""


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


@dataclass(frozen=True)
class RefreshPlan:
    """What is published and not loaded."""

    newest: date | None
    """The newest published month; None when there is none."""
    chunks: Sequence[Chunk]
    """Oldest first."""
    published_version: str
    """A digest of the versions that are published of the months in question."""

    def as_json(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "newest": self.newest and self.newest.isoformat(),
            "chunks": [[str(chunk.days.first), str(chunk.days.last), chunk.version] for chunk in self.chunks],
            "published_version": self.published_version,
        }

    @classmethod
    def from_json(cls, value: Any) -> "RefreshPlan":
        """The plan out of plain values."""
        return cls(
            newest=value["newest"] and date.fromisoformat(value["newest"]),
            chunks=[
                Chunk(Days(date.fromisoformat(first), date.fromisoformat(last)), version)
                for first, last, version in value["chunks"]
            ],
            published_version=value["published_version"],
        )

    def without(self, taken: Collection[str]) -> list[Chunk]:
        """The chunks that are left.

        Args:
            taken: keys of the chunks that runs are loading, are queued to load, or have loaded since.
        """
        return [chunk for chunk in self.chunks if chunk.key not in taken]


def plan_refresh(tlc: TlcSource, warehouse: Warehouse, files: Storage, partitions: Days) -> RefreshPlan:
    """Compare what is published with what is loaded. Takes minutes when the server refuses.

    Args:
        tlc: the server and the fleets.
        warehouse: the warehouse; it may be held by a run.
        files: the storage with the fetched files and their notes.
        partitions: the days that can be loaded at all.

    Raises:
        NoAnswerError: the server can't be reached, fails, or refuses.
        WarehouseUnavailableError: the warehouse can't be opened.
    """
    loaded = _loaded(tlc, warehouse, files)
    newest = tlc.newest_published_month()
    versions = {month: tlc.published_version(month, files) for month in months_to_compare(loaded, newest)}
    published = {month: version for month, version in versions.items() if version}
    digest = hashlib.sha256(repr(sorted(published.items())).encode()).hexdigest()
    return RefreshPlan(newest, chunks_to_load(loaded, published, partitions), digest)


def _loaded(tlc: TlcSource, warehouse: Warehouse, files: Storage) -> dict[date, Loaded]:
    """First day of each month → what is loaded of it, of the configured fleets together."""
    try:
        with warehouse.read_without_waiting() as session:
            rows = _all_months(session)
    except NothingLoadedError:
        rows = []
    found: dict[date, dict[str, LoadedMonth]] = {}
    for row in rows:
        if row.fleet in tlc.fleets:
            found.setdefault(row.first, {})[row.fleet] = row
    return {month: _of_all_fleets(month, fleets, tlc, files) for month, fleets in found.items()}


def _all_months(session: Session) -> list[LoadedMonth]:
    span = loaded_span(session)
    return loaded_months(session, span) if span else []


def _of_all_fleets(month: date, fleets: Mapping[str, LoadedMonth], tlc: TlcSource, files: Storage) -> Loaded:
    known = all(loaded.num_versions == 1 for loaded in fleets.values())
    versions = {name: loaded.file_version for name, loaded in fleets.items()}
    return Loaded(
        version=tlc.loaded_version(month, versions, files) if known else None,
        whole=all(loaded.is_whole for loaded in fleets.values()),
    )


def months_to_compare(loaded: Collection[date], newest_published: date | None) -> list[date]:
    """The months whose published versions the decision depends on, in order.

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


def chunks_to_load(
    loaded: Mapping[date, Loaded],
    published: Mapping[date, str],
    partitions: Days,
) -> list[Chunk]:
    """The months that a refresh loads, oldest first.

    With an empty warehouse that is the newest published month; history is a backfill. Otherwise: every published month
    after the newest loaded one, the rest of that one, and those of the last six loaded ones that were published again.

    Args:
        loaded: first day of the month → what is loaded of it.
        published: first day of the month → name of the version that is published of it.
        partitions: the days that can be loaded at all.
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
    return [Chunk(days, published[month]) for month in wanted if (days := _days_of_month(month, partitions))]


def _watched(loaded: Collection[date]) -> list[date]:
    return sorted(loaded)[-MONTHS_WATCHED:]


def _days_of_month(month: date, partitions: Days) -> Days | None:
    """The month's days that are partitions; None when there are none."""
    first = max(month, partitions.first)
    last = min(Days.of_month(month).last, partitions.last)
    return Days(first, last) if first <= last else None
