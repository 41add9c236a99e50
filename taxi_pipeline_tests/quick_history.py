"""The history of an ephemeral instance, kept with less work: it took half of the CPU time of a run in the tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dagster._core.storage.event_log import InMemoryEventLogStorage


class QuickEvents(InMemoryEventLogStorage):
    """Dagster's own tables in memory, written over the connection that it keeps open anyway.

    Dagster opens several others for each event, and asks which columns a table has that was made a moment ago. What is
    written and read is the same. A run of 59 days and four fleets takes a fifth less (5.6 and 4.5 s).
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._thread = threading.get_ident()
        super().__init__(*arguments, **named)

    @contextmanager
    def _connect(self) -> Iterator[Any]:
        if threading.get_ident() != self._thread:  # SQLite's connections belong to a thread
            with super()._connect() as connection:
                yield connection
            return
        with self._db_lock, self._held_conn.begin():
            yield self._held_conn

    def _has_asset_key_col_on_connection(self, conn: Any, column_name: str) -> bool:  # noqa: ARG002
        return True


@contextmanager
def quick_history() -> Iterator[None]:
    """In this block `DagsterInstance.ephemeral()` keeps its events in `QuickEvents`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dagster._core.storage.event_log.InMemoryEventLogStorage", QuickEvents)
        yield
