"""The pipeline's figures for Prometheus: `GET /metrics` beside the pages.

They are what the pages' server can see: the kept copy of the warehouse, as the HTTP API asks it, and the notes beside
the fetched files. Dagster's runs are not here, because the pages have no access to its history; what a run achieved is
the last write and the newest day.

A scrape never fails because the warehouse is locked or away, and never waits for a copy of it longer than some seconds:
one thread reads, a scrape gives what is known. Labels are names of our own, so there are few series.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taxi_pipeline.questions.snapshots import KeptCopy
from taxi_pipeline.storage import Storage, StorageError
from taxi_pipeline.storage.whole_files import FileInUseError
from taxi_pipeline.tlc.fetch_note import note_name, read_note
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import NEW_YORK
from taxi_pipeline.warehouse.coverage import FleetCoverage, coverage_by_fleet
from taxi_pipeline.warehouse.interface import Session, WarehouseUnavailableError

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PATH = "/metrics"
REST_SECONDS = 15
"""How old the warehouse's figures may be before they are read again."""
NOTES_REST_SECONDS = 300
"""The same of the notes: each is a file, and in an object store a request."""
PATIENCE_SECONDS = 5
"""How long a scrape waits for figures that are being read; Prometheus itself waits for 10 s."""
NEWEST_MONTHS = 60
"""Of each fleet, the months whose notes are read."""

_OUTSIDE_MONTH, _NO_PICKUP_TIME, _MISFIT = "outside_month", "no_pickup_time", "misfit"
"""Reasons of rejected rows. The texts in the table quote values, so there would be a series for each of them."""


@dataclass(frozen=True)
class Figures:
    """What the warehouse holds."""

    coverage: Mapping[str, FleetCoverage]
    """Fleet → its loaded days and trips."""
    rejected: Mapping[tuple[str, str], int]
    """Fleet and kind of reason → rows."""
    read_at: float
    """When, in seconds since 1970."""


@dataclass(frozen=True)
class Known:
    """What is known at a moment."""

    is_up: bool = False
    """Whether the warehouse could be read at the last attempt."""
    figures: Figures | None = None
    """Those of the last attempt that succeeded."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Fleet → months whose file could not be fetched or was refused at the last attempt."""
    notes_read_at: float | None = None
    """Reading of the steady clock; None when they never were."""


def figures_of(session: Session) -> Figures:
    """Read the figures of the warehouse."""
    rejected = {(fleet, reason): num_rows for fleet, reason, num_rows in session.rows(_REJECTED_SQL)}
    return Figures(coverage_by_fleet(session), rejected, time.time())


_REJECTED_SQL = f"""
SELECT fleet, reason, count(*)
FROM (
    SELECT fleet, CASE
        WHEN misfit_columns IS NOT NULL THEN '{_MISFIT}'
        WHEN pickup_datetime IS NULL THEN '{_NO_PICKUP_TIME}'
        ELSE '{_OUTSIDE_MONTH}'
    END AS reason
    FROM rejected_trips
) AS rejected
GROUP BY fleet, reason
"""


def refused_files(files: Storage, fleets: Sequence[str]) -> dict[str, int]:
    """Fleet → how many of its newest months could not be fetched, or were refused, at the last attempt.

    Raises:
        StorageError: the storage can't be read.
    """
    return {fleet: sum(_is_refused(files, name) for name in _newest_notes(files, fleet)) for fleet in fleets}


def _newest_notes(files: Storage, fleet: str) -> Sequence[str]:
    """The names of the files that have a note; a month that never could be fetched has nothing else."""
    notes = files.list(f"raw/{note_name(FLEETS[fleet].file_pattern)}")[-NEWEST_MONTHS:]
    return [name.removesuffix(note_name("")) for name in notes]


def _is_refused(files: Storage, name: str) -> bool:
    note = read_note(files, name)
    return bool(note and note.failure)


class MetricsReader:
    """Reads the figures in a thread of its own, one time after the other, and keeps them."""

    def __init__(
        self,
        copy: KeptCopy | None,
        files: Storage,
        fleets: Sequence[str],
        *,
        rest: float = REST_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Nothing is read yet.

        Args:
            copy: the copy of the warehouse that is asked; None where the warehouse has none, with Spark.
            files: the storage with the published files.
            fleets: names of the configured fleets.
            rest: seconds for which figures are kept.
            patience: seconds for which a scrape waits for figures that are being read.
        """
        self.copy = copy
        self._files = files
        self._fleets = fleets
        self._rest = rest
        self._patience = patience
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")
        self._lock = Lock()
        self._known = Known()
        self._reading: Future[Known] | None = None
        self._due = 0.0

    def known(self) -> Known:
        """What is known: read now, or kept for some seconds, or older while reading takes long."""
        with self._lock:
            if self._reading is None and time.monotonic() >= self._due:
                self._reading = self._worker.submit(self._read, self._known)
            reading = self._reading
        if reading is None:
            return self._known
        try:
            found = reading.result(timeout=self._patience)
        except TimeoutError:
            return self._known
        finally:
            with self._lock:
                if reading.done() and self._reading is reading:
                    self._reading, self._due = None, time.monotonic() + self._rest
        self._known = found
        return found

    def _read(self, before: Known) -> Known:
        found = before
        if self.copy is not None:
            try:
                with self.copy.session() as session:
                    found = replace(before, is_up=True, figures=figures_of(session))
            except (WarehouseUnavailableError, StorageError, FileInUseError):
                found = replace(before, is_up=False)
        now = time.monotonic()
        if before.notes_read_at is None or now >= before.notes_read_at + NOTES_REST_SECONDS:
            try:
                found = replace(found, refused=refused_files(self._files, self._fleets), notes_read_at=now)
            except StorageError:
                found = replace(found, refused={}, notes_read_at=now)
        return found


def metrics_route(reader: MetricsReader) -> Route:
    """The route that answers in Prometheus' text format."""

    def metrics(_: Request) -> Response:
        from prometheus_client import CONTENT_TYPE_LATEST

        written_at = reader.copy and reader.copy.written_at()
        body = exposition(reader.known(), written_at, time.time(), has_warehouse=reader.copy is not None)
        return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Route(PATH, metrics)


def exposition(known: Known, written_at: float | None, now: float, *, has_warehouse: bool) -> bytes:
    """Write the figures in Prometheus' text format.

    Args:
        known: what is known.
        written_at: when the warehouse was last written to, in seconds since 1970; None where that is not known.
        now: in seconds since 1970.
        has_warehouse: false where no warehouse is asked; then there is nothing of it, not even that it is down.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    families = [_build_info(), *_refused(known)]
    if has_warehouse:
        families += [*_warehouse(known, written_at), *_figures(known.figures, now)]
    registry = CollectorRegistry()  # of this answer: the library's own would be shared by all in the process
    registry.register(_Families(families))
    return generate_latest(registry)


class _Families:
    """What the library collects from."""

    def __init__(self, families: "Sequence[Metric]") -> None:
        self._families = families

    def collect(self) -> "Iterator[Metric]":
        yield from self._families

    def describe(self) -> "Sequence[Metric]":
        return self._families


def _gauge(name: str, documentation: str, values: Mapping[str, float] | float) -> "Metric":
    """A gauge with a value, or with one for each fleet."""
    from prometheus_client.metrics_core import GaugeMetricFamily

    if not isinstance(values, Mapping):
        return GaugeMetricFamily(f"taxi_pipeline_{name}", documentation, value=values)
    family = GaugeMetricFamily(f"taxi_pipeline_{name}", documentation, labels=["fleet"])
    for fleet, value in values.items():
        family.add_metric([fleet], value)
    return family


def _build_info() -> "Metric":
    from prometheus_client.metrics_core import InfoMetricFamily

    return InfoMetricFamily("taxi_pipeline_build", "The installed version.", {"version": version("taxi-pipeline")})


def _refused(known: Known) -> "Iterator[Metric]":
    what = f"Of the {NEWEST_MONTHS} newest months, those whose file was not fetched, or refused, at the last attempt."
    if known.refused:
        yield _gauge("refused_files", what, known.refused)


def _warehouse(known: Known, written_at: float | None) -> "Iterator[Metric]":
    yield _gauge("warehouse_up", "Whether the warehouse could be read at the last attempt.", float(known.is_up))
    if not known.figures:  # what never could be read may be no warehouse
        return
    if written_at is not None:
        name = "warehouse_last_write_timestamp_seconds"
        yield _gauge(name, "When the warehouse was last written to.", written_at)
    name = "warehouse_last_read_timestamp_seconds"
    yield _gauge(name, "When the figures of the warehouse were read.", known.figures.read_at)


def _figures(figures: Figures | None, now: float) -> "Iterator[Metric]":
    from prometheus_client.metrics_core import GaugeMetricFamily

    if figures is None:
        return
    coverage = {fleet: found for fleet, found in figures.coverage.items() if fleet in FLEETS}
    newest = {fleet: _begin_of(found.last_day) for fleet, found in coverage.items()}
    yield _gauge("newest_day_timestamp_seconds", "Begin of the newest loaded day in New York.", newest)
    ages = {fleet: now - begin for fleet, begin in newest.items()}
    yield _gauge("newest_day_age_seconds", "Time since the newest loaded day began.", ages)
    yield _gauge("loaded_days", "Loaded days.", {fleet: found.num_days for fleet, found in coverage.items()})
    missing = {fleet: found.num_missing for fleet, found in coverage.items()}
    yield _gauge("missing_days", "Days between the first and the newest loaded one that are not loaded.", missing)
    yield _gauge("trips", "Loaded trips.", {fleet: found.num_trips for fleet, found in coverage.items()})
    rejected = GaugeMetricFamily(
        "taxi_pipeline_rejected_rows", "Published rows that are no trips.", labels=["fleet", "reason"]
    )
    for fleet in coverage:
        for reason in (_OUTSIDE_MONTH, _NO_PICKUP_TIME, _MISFIT):
            rejected.add_metric([fleet, reason], figures.rejected.get((fleet, reason), 0))
    yield rejected


def _begin_of(day: date) -> float:
    """Seconds since 1970 at the begin of a day in New York."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(NEW_YORK)).timestamp()
