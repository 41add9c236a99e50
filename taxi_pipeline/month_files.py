"""Fetching the files of a month with the judgement of what is in them: when they are needed, or ahead of that.

What a fetch does is in `tlc`, the judgement in `warehouse.typing.judgement`; here the two come together.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.download import FetchedFile, Log
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.typing.judgement import judge_download


def fetch_month(tlc: TlcSource, fleet: Fleet, month: date, files: Storage, *, log: Log = lambda _: None) -> FetchedFile:
    """Fetch the file of a fleet's month into the storage, if it can be that month.

    Args:
        tlc: where it is published.
        fleet: whose trips.
        month: its first day.
        files: the storage.
        log: gets a sentence about progress and before each wait.

    Raises:
        FetchError: the month is not published, the server does not answer, or what it sent can't be the month.
    """

    def judge(path: Path, fleet: Fleet, month: date) -> None:
        judge_download(path, fleet, month, files, accepted=tlc.accepts(fleet, month))

    return tlc.fetch_trips(fleet, month, files, judge=judge, log=log)


class _StoppedError(Exception):
    """The block that is fetched beside has ended by an error."""


@contextmanager
def fetching_ahead(tlc: TlcSource, files: Storage, days: Days | None) -> Iterator[None]:
    """Fetch the files of days of one month while the block runs, so that the run that needs them finds them there.

    Waits for the end of the fetch, unless the block raises or the wait is interrupted: then the download is given up.
    What can't be fetched at the first attempt is left to the run that needs it, which waits and says for what.

    Args:
        tlc: where they are published.
        files: the storage.
        days: None to fetch nothing.
    """
    if days is None:
        yield
        return
    stopped = threading.Event()

    def go_on(_done: int, _total: int | None) -> None:
        if stopped.is_set():
            raise _StoppedError

    def fetch() -> None:
        impatient = replace(tlc.patience, attempts=1, refusal_pauses_seconds=())
        source = replace(tlc, on_progress=go_on, patience=impatient)
        with suppress(_StoppedError):
            for fleet, _ in tlc.months_by_fleet(days):
                with suppress(TaxiPipelineError, OSError):
                    fetch_month(source, fleet, month_of(days.first), files)

    thread = threading.Thread(target=fetch, name="fetching ahead", daemon=True)
    thread.start()
    try:
        yield
        thread.join()
    except BaseException:
        stopped.set()
        raise
