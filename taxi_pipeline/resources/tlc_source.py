"""The TLC's server, or a mirror of it: which files are taken from it, and how long it is waited for.

How a file is fetched is in `tlc.download`, without Dagster.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg

from taxi_pipeline.resources.file_store import FileStore
from taxi_pipeline.tlc.download import (
    FetchedFile,
    fetch,
    fetched_version,
    must_be_published,
    newest_published_month,
    published_version,
    trips_url,
)
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.monthly_report import read_trips_per_day, report_url
from taxi_pipeline.tlc.months import Days, month_of, new_york_today
from taxi_pipeline.tlc.transfer import FetchError, NotFoundError, Patience
from taxi_pipeline.tlc.trip_files import verify_trip_file
from taxi_pipeline.tlc.zones import read_zones


class TlcSource(dg.ConfigurableResource):
    """The TLC's file server, or a mirror of it, and the fleets that are taken from it."""

    url: str
    zones_url: str
    fleets: list[str]
    read_timeout_seconds: float = 60
    first_pause_seconds: float = 1
    """Before a server that failed is asked again; doubled each time."""
    refusal_pauses_seconds: list[float] = [30, 90, 270]  # noqa: RUF012 - pydantic copies it
    """After each 403 for a file that must exist: so the TLC's CDN throttles."""

    def fleets_in(self, month: date) -> list[Fleet]:
        """The configured fleets that the TLC publishes for the month."""
        return [FLEETS[name] for name in self.fleets if FLEETS[name].first_month <= month]

    def months_by_fleet(self, days: Days) -> list[tuple[Fleet, list[Days]]]:
        """For each fleet that is published then: the fleet, and the days, cut where a month ends."""
        return [
            (fleet, [part for part in days.by_month() if fleet.first_month <= part.first])
            for fleet in self.fleets_in(month_of(days.last))
        ]

    @property
    def zones_file(self) -> str:
        """Name of the zone file in the file store."""
        return f"raw/taxi_zones{Path(self.zones_url).suffix.lower()}"

    @staticmethod
    def trips_file(fleet: Fleet, month: date) -> str:
        """Name of the file with the month's trips in the file store."""
        return f"raw/{fleet.file_name(month)}"

    @property
    def patience(self) -> Patience:
        """How long the server is waited for."""
        return Patience(
            read_seconds=self.read_timeout_seconds,
            first_pause_seconds=self.first_pause_seconds,
            refusal_pauses_seconds=tuple(self.refusal_pauses_seconds),
        )

    def on_progress(self, bytes_done: int, bytes_total: int | None) -> None:
        """Is told while a file comes; does nothing, a subclass may show it."""

    def fetch_zones(self, files: FileStore, *, tell: Callable[[str], object] = lambda _: None) -> FetchedFile:
        """Bring the zone file into the file store; `tell` gets sentences about progress and waiting.

        Raises:
            FetchError: it can't be had, or isn't a zone file.
        """
        return self._fetch(self.zones_url, files.path(self.zones_file), read_zones, must_exist=True, tell=tell)

    def fetch_trips(
        self, fleet: Fleet, month: date, files: FileStore, *, tell: Callable[[str], object] = lambda _: None
    ) -> FetchedFile:
        """Bring the file with the month's trips into the file store; `tell` gets sentences about progress and waiting.

        Raises:
            FetchError: the month is not published, the server can't be asked, or what it sent is no such file.
        """
        today = new_york_today()
        url, target = trips_url(self.url, fleet, month), files.path(self.trips_file(fleet, month))

        def fetch(*, must_exist: bool) -> FetchedFile:
            return self._fetch(
                url, target, lambda path: verify_trip_file(path, fleet), must_exist=must_exist, tell=tell
            )

        try:
            return fetch(must_exist=must_be_published(month, today))
        except NotFoundError as error:
            newest = newest_published_month(self.url, fleet, today, patience=self.patience)
            if error.refused and newest and newest > month:  # so the server has this one and only refuses for now
                return fetch(must_exist=True)
            if newest is None or newest <= month:
                found = f"the newest published month is {newest:%Y-%m}" if newest else "no published month was found"
                raise FetchError(
                    f"{fleet.name} trips of {month:%Y-%m} are not published ({error.answer}); "
                    f"{found} at {self.url}. Nothing was changed"
                ) from error
            raise FetchError(
                f"{error}, although newer months are published (newest: {newest:%Y-%m}): {self.url} lacks the month. "
                "Nothing was changed"
            ) from error

    def newest_published_month(self) -> date | None:
        """The newest month of which the trips of a fleet are published.

        Raises:
            NoAnswerError: the server can't be reached.
        """
        months = [
            newest_published_month(self.url, FLEETS[name], new_york_today(), patience=self.patience)
            for name in self.fleets
        ]
        return max((month for month in months if month), default=None)

    def published_version(self, month: date) -> str | None:
        """A name for what is published of the month, for all fleets together; None when nothing is.

        Raises:
            NoAnswerError: the server can't be reached.
        """
        must_exist = must_be_published(month, new_york_today())
        return _joined(
            published_version(trips_url(self.url, fleet, month), patience=self.patience, must_exist=must_exist)
            for fleet in self.fleets_in(month)
        )

    def loaded_version(self, month: date, versions: Mapping[str, str], files: FileStore) -> str | None:
        """The name of the published version that is loaded of the month, as `published_version` has it.

        None when it is not known.

        Args:
            month: its first day.
            versions: fleet → SHA-256 of the file from which the month's days were loaded; without those of which
                nothing is loaded.
            files: where fetched files and the notes of their versions lie.
        """

        def name_of(fleet: Fleet) -> str | None:
            fetched = fetched_version(trips_url(self.url, fleet, month), files.path(self.trips_file(fleet, month)))
            return fetched[1] if fetched and fetched[0] == versions[fleet.name] else None

        names = {fleet.name: name_of(fleet) for fleet in self.fleets_in(month) if fleet.name in versions}
        if not all(names.values()):
            return None
        return _joined(names.get(fleet.name) for fleet in self.fleets_in(month))

    def trips_per_day(
        self, files: FileStore, *, tell: Callable[[str], object] = lambda _: None
    ) -> dict[tuple[str, date], int]:
        """What the TLC's monthly report says: (fleet, first day of the month) → trips per day.

        Raises:
            FetchError: there is no report, or what is there is something else.
        """
        report = fetch(
            report_url(self.url),
            files.path("raw/data_reports_monthly.csv"),
            verify=read_trips_per_day,
            patience=replace(self.patience, attempts=2),  # a check is not worth a long wait
            tell=tell,
        )
        return read_trips_per_day(report.path)

    def _fetch(
        self,
        url: str,
        target: Path,
        verify: Callable[[Path], object],
        *,
        must_exist: bool,
        tell: Callable[[str], object],
    ) -> FetchedFile:
        return fetch(
            url,
            target,
            verify=verify,
            patience=self.patience,
            must_exist=must_exist,
            tell=tell,
            on_progress=self.on_progress,
        )


def _joined(names: Iterable[str | None]) -> str | None:
    """The fleets' names as one, `none` where one is missing; None when all are."""
    found = list(names)
    return "-".join(name or "none" for name in found) if any(found) else None
