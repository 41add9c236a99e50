"""The TLC's server, or a mirror of it: which files are taken from it, under which names, and how long to wait for it.

How a file is fetched is in `download`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePosixPath

from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.aggregated_report import MonthlyReport, read_report, report_url
from taxi_pipeline.tlc.download import (
    FetchedFile,
    Log,
    Progress,
    fetch,
    fetched_version,
    newest_published_month,
    published_version,
    trips_url,
)
from taxi_pipeline.tlc.fetch_note import noting_failure
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.held_months import held_copy, held_version
from taxi_pipeline.tlc.http_transfer import FetchError, NotFoundError, Patience
from taxi_pipeline.tlc.kept_versions import ALL_VERSIONS, keep_version
from taxi_pipeline.tlc.months import Days, month_of, new_york_today
from taxi_pipeline.tlc.publication_delay import must_be_published
from taxi_pipeline.tlc.trip_files import verify_trip_file
from taxi_pipeline.tlc.zones import read_zones

REPORT_FILE = "raw/data_reports_monthly.csv"


def trips_file(fleet: Fleet, month: date) -> str:
    """The name of the file with the month's trips in the storage."""
    return f"raw/{fleet.file_name(month)}"


def month_of_file(name: str) -> tuple[Fleet, date]:
    """The fleet and the first day of the month of a file in the storage that `trips_file` names."""
    fleet, _, month = name.rpartition("/")[2].removesuffix(".parquet").partition("_tripdata_")
    return FLEETS[fleet], date.fromisoformat(f"{month}-01")


Judge = Callable[[Path, Fleet, date], object]
"""Takes a local path of a downloaded file, and the fleet and the first day of the month whose trips it should hold.
Raises `UnusableFileError` or `MissingColumnsError` when it can't be."""


def _can_be_read(path: Path, fleet: Fleet, month: date) -> None:  # noqa: ARG001 - a `Judge`
    verify_trip_file(path, fleet)


@dataclass(frozen=True, kw_only=True)
class TlcSource:
    """The TLC's file server, or a mirror of it, and the fleets that are taken from it."""

    url: str
    """`http(s)://` or `file://`, without a slash at the end."""
    zones_url: str
    """Of the zone file; ends in `.zip`, `.csv` or `.geojson`."""
    fleets: Sequence[str]
    """Names out of `FLEETS`."""
    last_day: date | None = None
    """What is published of later days is left alone; None to take everything."""
    accepted: Sequence[str] = ()
    """Months of fleets, for example `green/2023-01`, whose files are taken although they are judged unlikely."""
    num_kept: int = ALL_VERSIONS
    """How many replaced versions of each month are kept."""
    patience: Patience = field(default_factory=Patience)
    """How long to wait for the server."""
    on_progress: Progress = lambda _done, _total: None
    """Gets the bytes of a file that have arrived and that will."""

    def fleets_in(self, month: date) -> list[Fleet]:
        """The configured fleets that the TLC publishes for the month."""
        return [FLEETS[name] for name in self.fleets if FLEETS[name].first_month <= month]

    def months_by_fleet(self, days: Days) -> list[tuple[Fleet, list[Days]]]:
        """The days cut where a month ends, for each fleet that the TLC publishes in the last of these months."""
        return [
            (fleet, [part for part in days.by_month() if fleet.first_month <= part.first])
            for fleet in self.fleets_in(month_of(days.last))
        ]

    @property
    def zones_file(self) -> str:
        """The name of the zone file in the storage."""
        return f"raw/taxi_zones{PurePosixPath(self.zones_url).suffix.lower()}"

    def fetch_zones(self, files: Storage, *, log: Log = lambda _: None) -> FetchedFile:
        """Fetch the zone file into the storage.

        Args:
            files: the storage.
            log: gets a sentence about progress and before each wait.

        Raises:
            FetchError: the server does not give it, or what it gives is not a zone file.
        """
        return self._file_at(self.zones_url, files, self.zones_file, read_zones, must_exist=True, log=log)

    def accepts(self, fleet: Fleet, month: date) -> bool:
        """Whether the fleet's file of the month is taken although it is judged unlikely."""
        return fleet.month_name(month) in self.accepted

    def fetch_trips(
        self, fleet: Fleet, month: date, files: Storage, *, judge: Judge = _can_be_read, log: Log = lambda _: None
    ) -> FetchedFile:
        """Fetch the file with the month's trips into the storage. A failure is noted beside the file.

        A month that was imported or pinned counts as fetched: the server is not asked for it.

        Args:
            fleet: whose trips.
            month: its first day.
            files: the storage.
            judge: decides whether a downloaded file is taken; by default one is that can be read.
            log: gets a sentence about progress and before each wait.

        Raises:
            FetchError: the month is not published, the server does not answer, or what it sent is not such a file; or
                a held file is damaged.
        """
        url, name = trips_url(self.url, fleet, month), trips_file(fleet, month)
        if held := held_copy(files, name):
            return held
        with noting_failure(files, name, url):
            return self._published_month(fleet, month, url, files, name, judge, log)

    def _published_month(
        self, fleet: Fleet, month: date, url: str, files: Storage, name: str, judge: Judge, log: Log
    ) -> FetchedFile:
        today = new_york_today()

        def verify(path: Path) -> None:
            judge(path, fleet, month)

        def keep(newer: Path) -> None:
            keep_version(files, name, newer, num_kept=self.num_kept)

        def attempt(*, must_exist: bool) -> FetchedFile:
            return self._file_at(url, files, name, verify, must_exist=must_exist, before_replacing=keep, log=log)

        try:
            return attempt(must_exist=must_be_published(month, today))
        except NotFoundError as error:
            newest = newest_published_month(self.url, fleet, today, patience=self.patience)
            if error.refused and newest and newest > month:  # so the server has this month and only refuses for now
                return attempt(must_exist=True)
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

    def published_version(self, month: date, files: Storage) -> str | None:
        """A name for what is to be loaded of the month, for all fleets together; None when nothing is published.

        Args:
            month: its first day.
            files: the storage; what is held there takes the place of what is published.

        Raises:
            NoAnswerError: the server can't be reached.
        """
        must_exist = must_be_published(month, new_york_today())

        def name_of(fleet: Fleet) -> str | None:
            if held := held_version(files, trips_file(fleet, month)):
                return held[1]
            url = trips_url(self.url, fleet, month)
            return published_version(url, patience=self.patience, must_exist=must_exist)

        return _joined(map(name_of, self.fleets_in(month)))

    def loaded_version(self, month: date, versions: Mapping[str, str], files: Storage) -> str | None:
        """The name of the published version that is loaded of the month, as `published_version` has it.

        Args:
            month: its first day.
            versions: fleet → SHA-256 of the file from which the month's days were loaded; without those fleets of
                which nothing is loaded.
            files: the storage with the fetched files and their notes.

        Returns:
            The name, or None when it is not known.
        """

        def name_of(fleet: Fleet) -> str | None:
            name = trips_file(fleet, month)
            fetched = held_version(files, name) or fetched_version(trips_url(self.url, fleet, month), files, name)
            return fetched[1] if fetched and fetched[0] == versions[fleet.name] else None

        names = {fleet.name: name_of(fleet) for fleet in self.fleets_in(month) if fleet.name in versions}
        if not all(names.values()):
            return None
        return _joined(names.get(fleet.name) for fleet in self.fleets_in(month))

    def fetch_report(
        self, files: Storage, *, patience: Patience | None = None, log: Log = lambda _: None
    ) -> FetchedFile:
        """Fetch the TLC's monthly report into the storage.

        Args:
            files: the storage.
            patience: how long to wait for the server; None for the patience of all files.
            log: gets a sentence before each wait.

        Raises:
            FetchError: there is no report, or the file is something else.
        """
        url = report_url(self.url)
        return fetch(url, files, REPORT_FILE, verify=read_report, patience=patience or self.patience, log=log)

    def monthly_report(self, files: Storage, *, log: Log = lambda _: None) -> MonthlyReport:
        """Fetch the TLC's monthly report for a check, which does not wait long for it, and read it.

        Args:
            files: the storage.
            log: gets a sentence before each wait.

        Raises:
            FetchError: there is no report, or the file is something else.
        """
        self.fetch_report(files, patience=replace(self.patience, attempts=2), log=log)
        with files.local_copy(REPORT_FILE) as path:
            return read_report(path)

    def _file_at(
        self,
        url: str,
        files: Storage,
        name: str,
        verify: Callable[[Path], object],
        *,
        must_exist: bool,
        before_replacing: Callable[[Path], object] = lambda _: None,
        log: Log,
    ) -> FetchedFile:
        return fetch(
            url,
            files,
            name,
            verify=verify,
            patience=self.patience,
            must_exist=must_exist,
            before_replacing=before_replacing,
            log=log,
            on_progress=self.on_progress,
        )


def _joined(names: Iterable[str | None]) -> str | None:
    """The fleets' names as one, `none` where one is missing; None when all are."""
    found = list(names)
    return "-".join(name or "none" for name in found) if any(found) else None
