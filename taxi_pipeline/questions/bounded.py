"""A SELECT of somebody's own on the copy of the warehouse: in a process of its own, with limits.

What may be asked is decided by `warehouse/duckdb/asking.py`, which is that process. Here it is started, fed, and ended
when it does not end by itself.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.questions.snapshots import KeptCopy
from taxi_pipeline.warehouse import duckdb as engine

_ASKING = Path(engine.__file__).with_name("asking.py")
_GRACE_SECONDS = 5
"""Time to start, and to hear an interrupt; then the process is killed."""
_ATTEMPTS = 3
"""The copy can be removed before the process opens it, because a newer one was made."""


class QuestionRefusedError(TaxiPipelineError):
    """A question has no answer: it is no SELECT, it is wrong, or it is beyond a limit. The message says which."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a question."""

    seconds: float = 10
    rows: int = 500
    characters: int = 50_000
    """Of the rows and the columns' names, as JSON."""
    longest_sql: int = 20_000
    """Characters of the question."""
    memory_mb: int = 1000
    """For DuckDB."""
    address_space_mb: int = 3000
    """For all of the process, with what DuckDB does not count."""
    threads: int = 2
    at_once: int = 2
    """Questions that run at the same time; others wait."""


@dataclass(frozen=True)
class AnswerColumn:
    """A column of an answer."""

    name: str
    type: str


@dataclass(frozen=True)
class Answer:
    """The rows that a SELECT has, as far as the limits let them through."""

    columns: list[AnswerColumn]
    rows: list[list[Any]]
    """Values in the order of the columns. Decimals, dates, times, NaN and integers beyond 2^53 are text, exactly."""
    cut: str | None
    """None when these are all rows; otherwise in words what was left out, and why."""
    seconds: float
    as_of: str
    """When the copy was made that was asked, as UTC."""


@dataclass(frozen=True)
class Questions:
    """Asks SELECTs of a copy of the warehouse."""

    copy: KeptCopy
    limits: Limits = field(default_factory=Limits)
    _running: BoundedSemaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_running", BoundedSemaphore(self.limits.at_once))

    def ask(self, sql: str) -> Answer:
        """Answer a SELECT, within the limits.

        Raises:
            QuestionRefusedError: it is no SELECT, it is wrong, or it is beyond a limit.
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: there is no copy of the warehouse, and none can be made now.
            StorageError: the disk refuses the copy.
        """
        if not sql.strip():
            raise QuestionRefusedError("The question is empty: ask a SELECT.")
        if len(sql) > self.limits.longest_sql:
            raise QuestionRefusedError(
                f"The question has {len(sql):,} characters, and at most {self.limits.longest_sql:,} are read."
            )
        if "\0" in sql:
            raise QuestionRefusedError("The question holds a NUL character: leave it out.")
        with self._running:
            answer = self._answer(sql)
        return Answer(
            columns=[AnswerColumn(**column) for column in answer["columns"]],
            rows=answer["rows"],
            cut=self._cut_in_words(answer["cut"]),
            seconds=answer["seconds"],
            as_of=answer["as_of"],
        )

    def _answer(self, sql: str) -> dict[str, Any]:
        for attempt in range(1, _ATTEMPTS + 1):
            path = self.copy.current()
            answer = self._in_a_process(sql, path)
            with suppress(FileNotFoundError):  # a newer copy was made
                copied = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if "refused" in answer:
                    raise QuestionRefusedError(answer["refused"])
                return {**answer, "as_of": f"{copied:%Y-%m-%d %H:%M:%S}"}
            if attempt == _ATTEMPTS:
                raise QuestionRefusedError("The tables are written to all the time: ask again.")
        raise AssertionError  # the last attempt has returned or raised

    def _in_a_process(self, sql: str, path: Path) -> dict[str, Any]:
        limits = self.limits
        question = {
            "sql": sql,
            "database": str(path),
            "seconds": limits.seconds,
            "rows": limits.rows,
            "characters": limits.characters,
            "memory_mb": limits.memory_mb,
            "address_space_bytes": limits.address_space_mb * 2**20,
            "threads": limits.threads,
        }
        try:
            done = subprocess.run(  # noqa: S603 - our own script, by our own Python
                [sys.executable, "-P", "-W", "ignore", str(_ASKING)],
                input=json.dumps(question).encode(),
                capture_output=True,
                env=_environment(),
                cwd=path.parent,
                timeout=limits.seconds + _GRACE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"refused": f"It took longer than {limits.seconds:g} s and was ended. Ask for less."}
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {
                "refused": f"It ended its process (code {done.returncode}), as what needs too much memory does: more "
                f"than {limits.address_space_mb} MB. Ask for less."
            }

    def _cut_in_words(self, cut: str | None) -> str | None:
        match cut:
            case None:
                return None
            case "rows":
                return f"There are more rows: only the first {self.limits.rows} are here."
        return f"There are more rows: {self.limits.characters:,} characters are the most of an answer."


def _environment() -> dict[str, str]:
    """What the process needs to find DuckDB; none of the settings, keys and passwords of this one."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "LANG", "TZ") if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
