"""What commands show on the terminal: tables of files, and a progress bar."""

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

console = Console(highlight=False, markup=False)
"""What is printed comes from files, servers and settings, too: it is text, and no markup."""

_WIDE = 120
"""Characters."""


def print_whole(table: Table) -> None:
    """Print a table without cutting a value, also where the window is narrower than the table."""
    Console(highlight=False, markup=False, width=max(console.width, _WIDE)).print(table)


def print_files(heading: str, files: Iterable[tuple[str, int]], *, title: str | None = None) -> None:
    """A table of files and their sizes.

    Args:
        heading: of the column of files.
        files: where each lies, and its size in bytes.
        title: of the table.
    """
    table = Table(Column(heading, overflow="fold"), "bytes", title=title)
    for place, size_bytes in files:
        table.add_row(place, f"{size_bytes:,}")
    console.print(table)


def local_file(path: Path) -> tuple[str, int]:
    """A file for `print_files`, with its path as the user would type it."""
    return as_typed(path.as_uri()), path.stat().st_size


def as_typed(uri: str) -> str:
    """A URI as the user would type it: the path of a local file, relative to the current folder where possible."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return uri
    path = Path(unquote(parts.path))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def program() -> str:
    """This program as the user would type it: its name where the PATH has it, else its path."""
    called, name = Path(sys.argv[0]), "taxi-pipeline"
    if called.name != name or shutil.which(name) == str(called):
        return name
    return as_typed(called.absolute().as_uri())


def duration(seconds: float) -> str:
    """So many seconds in the unit in which people say it: `9 s`, `12 min`, `3.5 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"


class ProgressBar:
    """A progress bar on a terminal, and a second one while a file arrives. Elsewhere only lines are printed."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self._download: TaskID | None = None
        self._warnings: list[str] = []
        self._num_months, self._months_done = 0, 0
        self._begun = self._last_month_at = time.monotonic()

    def expects(self, num_materializations: int, num_months: int) -> None:
        """Set the number of steps, and of months."""
        self._progress.update(self._task, total=num_materializations)
        self._num_months = num_months
        self._begun = self._last_month_at = time.monotonic()

    def expects_steps(self, num_steps: int) -> None:
        """Set the number of steps."""
        self._progress.update(self._task, total=num_steps)

    def shows(self, step: str) -> None:
        """Show which step is running."""
        self._progress.update(self._task, description=step)

    def month_loaded(self, month: str, num_trips: int | None) -> None:
        """Print a line about a month of several, with how long the others take if they take as long as those so far."""
        if self._num_months == 1:
            return
        now = time.monotonic()
        took, self._last_month_at = now - self._last_month_at, now
        self._months_done += 1
        num_left = self._num_months - self._months_done
        left = num_left * (now - self._begun) / self._months_done
        ends = f"; about {duration(left)} left" if num_left else ""
        what = "failed for some fleets, the others are loaded" if num_trips is None else f"{num_trips:,} trips"
        self._progress.console.print(
            f"{month}: {what} in {duration(took)}, month {self._months_done} of {self._num_months}{ends}",
            soft_wrap=True,
        )

    def materialized(self) -> None:
        """One step forward."""
        self._progress.advance(self._task)

    def stop(self) -> None:
        """Remove the bar before the end, for a message."""
        self._progress.stop()

    def step_started(self, month: str, step: str) -> None:
        """Show which step of which month is running."""
        self._end_download()
        self._progress.update(self._task, description=f"{month} {step}")

    def warned(self, message: str) -> None:
        """Show a warning, each once."""
        if message not in self._warnings:
            self._warnings.append(message)
            self._progress.console.print(f"WARN: {message}", style="yellow", soft_wrap=True)

    def show_download(self, bytes_done: int, bytes_total: int | None) -> None:
        """Show the bytes that have arrived; without an announced length the bar only moves."""
        if self._download is None:
            self._download = self._progress.add_task("", total=bytes_total)
        of = f" of {bytes_total / 1e6:,.1f}" if bytes_total else ""
        self._progress.update(
            self._download, completed=bytes_done, total=bytes_total, description=f"{bytes_done / 1e6:,.1f}{of} MB"
        )
        if bytes_done == bytes_total:
            self._end_download()

    def _end_download(self) -> None:
        if self._download is not None:
            self._progress.remove_task(self._download)
            self._download = None


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[ProgressBar]:
    """A progress bar as long as the block runs.

    Args:
        description: what is going on.
        total: number of steps; None when `ProgressBar.expects` will be told it.
    """
    columns = (
        SpinnerColumn(),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with ExitStack() as stack:
        terminal = console
        if console.is_terminal:
            # Dagster redirects standard output into the run's log; a descriptor of its own keeps the bar out of it.
            terminal = Console(markup=False, file=stack.enter_context(os.fdopen(os.dup(sys.stdout.fileno()), "w")))
        progress = Progress(*columns, console=terminal, disable=not console.is_terminal, transient=True)
        stack.enter_context(progress)
        yield ProgressBar(progress, progress.add_task(description, total=total))
