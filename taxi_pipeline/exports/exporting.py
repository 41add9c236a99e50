"""An export: what differs from the target's log is written, month by month, then all is compared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from taxi_pipeline.exports import contents
from taxi_pipeline.exports.contents import Change, Part, contents_by_day, contents_of, parts_of
from taxi_pipeline.exports.sums import SumsByDay, differences, no_rows
from taxi_pipeline.exports.target import BY_DAYS, EXPORTED, ExportDiffersError, ExportError, Recorded, Target
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.tables import Table

_MOST_NAMED = 10
"""Differences that a message names."""


@dataclass
class Exported:
    """What happened to a table."""

    rows_written: int = 0
    days_written: int = 0
    days_unchanged: int = 0
    """Of a small table the numbers of days are 0 and 1."""


@dataclass
class Progress:
    """What an export tells while it goes on; by default nothing."""

    expects: Callable[[int], object] = lambda _: None
    """Gets the number of steps, before the first one."""
    step: Callable[[str], object] = lambda _: None
    """Gets the name of the step that begins."""
    done: Callable[[], object] = lambda: None
    """Is called after each step."""

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Tell about a step."""
        self.step(step)
        yield
        self.done()


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is exported."""

    tables: Sequence[Table] = EXPORTED
    fleets: Sequence[str]
    first: date | None = None
    """None for the first day that is loaded."""
    last: date | None = None
    """None for the last day that is loaded."""

    @property
    def by_days(self) -> list[Table]:
        """The tables whose rows belong to days of fleets."""
        return [table for table in self.tables if table.kind in BY_DAYS]

    @property
    def small(self) -> list[Table]:
        """The tables that are replaced as a whole."""
        return [table for table in self.tables if table.kind not in BY_DAYS]


@dataclass
class _Export:
    session: DuckDBSession
    target: Target
    exported: dict[str, Exported]

    def write_part(self, part: Part, tables: Sequence[Table]) -> None:
        """Write those days of all tables that the target does not have, in one transaction."""
        changes = [self._changed_days(part, table) for table in tables]
        if wanted := [change for change in changes if change.versions]:
            self.target.write(wanted)
            self._count(wanted)

    def _changed_days(self, part: Part, table: Table) -> Change:
        there = self.target.recorded_days(table, part.fleet, part.days)
        here = contents_by_day(self.session, table, part)
        changed: dict[date | None, Recorded] = {
            day: found for day, found in here.items() if day and there.get(day) != found
        }
        if changed and self.target.whole_months:
            changed = here
        self.exported[table.name].days_unchanged += len(here) - len(changed)
        return Change(self.session, table, part.fleet, changed)

    def write_small(self, table: Table) -> None:
        """Write a small table, unless the target has it."""
        here = contents_of(self.session, table)
        if self.target.recorded_table(table) == here:
            self.exported[table.name].days_unchanged = 1
            return
        change = Change(self.session, table, None, {None: here})
        self.target.write([change])
        self._count([change])

    def _count(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self.exported[change.table.name].rows_written += change.num_rows
            self.exported[change.table.name].days_written += len(change.days)

    def compare_part(self, part: Part, table: Table) -> list[str]:
        """Compare the part's days of a table; what differs will be written again."""
        return self._compare(
            table,
            part.fleet,
            list(part.files),
            contents.sums_by_day(self.session, table, part.fleet, part.days),
            self.target.sums_by_day(table, part.fleet, part.days),
        )

    def compare_small(self, table: Table) -> list[str]:
        """Compare a small table; if it differs, it will be written again."""
        return self._compare(table, None, [None], contents.sums_of(self.session, table), self.target.sums_of(table))

    def _compare(
        self, table: Table, fleet: str | None, days: Sequence[date | None], expected: SumsByDay, found: SumsByDay
    ) -> list[str]:
        empty = no_rows(table)
        wrong: dict[date | None, list[str]] = {}
        for day in days:
            if differing := differences(expected.get(day, empty), found.get(day, empty)):
                wrong[day] = differing
        if wrong:
            self.target.forget(table, fleet, [day for day in wrong if day is not None])
        where = "" if fleet is None else f" {fleet}"
        return [
            f"{table.name}{where}{'' if day is None else f' {day}'}: {differing[0]}{_more(len(differing) - 1)}"
            for day, differing in wrong.items()
        ]


def _more(num: int) -> str:
    return f" (and {num} more of the day's counts and sums)" if num else ""


def export(
    session: DuckDBSession, target: Target, selection: Selection, progress: Progress | None = None
) -> Mapping[str, Exported]:
    """Bring the target to what the warehouse has, and compare all of it.

    Args:
        session: one state of the warehouse; it may last as long as the export.
        target: is open, and so locked for other exports.
        selection: which tables, fleets and days. Days that are not loaded stay in the target as they are.
        progress: what to tell meanwhile.

    Returns:
        Name of the table → what was written.

    Raises:
        ExportError: nothing of the selection is loaded; the target refuses, or is gone. What was written stays.
        ExportDiffersError: counts or sums differ afterwards.
    """
    if target.whole_months:
        _refuse_parts_of_months(selection)
    progress = progress or Progress()
    running = _Export(session, target, {table.name: Exported() for table in selection.tables})
    parts = _parts(session, selection)
    target.prepare(selection.tables)
    progress.expects(2 * (len(parts) + len(selection.small)))
    for part in parts:
        with progress.of(f"{part.fleet} {part.days.first:%Y-%m}"):
            running.write_part(part, selection.by_days)
    for table in selection.small:
        with progress.of(table.name):
            running.write_small(table)
    wrong: list[str] = []
    for part in parts:
        with progress.of(f"comparing {part.fleet} {part.days.first:%Y-%m}"):
            wrong += [sentence for table in selection.by_days for sentence in running.compare_part(part, table)]
    for table in selection.small:
        with progress.of(f"comparing {table.name}"):
            wrong += running.compare_small(table)
    if wrong:
        raise _differing(wrong, target)
    return running.exported


def _parts(session: DuckDBSession, selection: Selection) -> list[Part]:
    """The parts of the tables of days.

    Raises:
        ExportError: no day of the selection is loaded.
    """
    if not selection.by_days:
        return []
    parts = parts_of(session, selection.fleets, selection.first, selection.last)
    if not parts:
        span = f" from {selection.first or 'the first day'} to {selection.last or 'the last day'}"
        raise ExportError(
            f"no day of {', '.join(selection.fleets)}{span if selection.first or selection.last else ''} is loaded, so "
            "nothing was exported. taxi-pipeline status shows what is"
        )
    return parts


def _refuse_parts_of_months(selection: Selection) -> None:
    first, last = selection.first, selection.last
    if (first and first.day != 1) or (last and last != Days.of_month(last).last):
        raise ExportError(
            "Parquet files hold whole months: --start must be the first day of a month, and --end the last of one. "
            "Nothing was exported"
        )


def _differing(wrong: Sequence[str], target: Target) -> ExportDiffersError:
    named = "\n".join(wrong[:_MOST_NAMED])
    others = f"\nand {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
    return ExportDiffersError(
        f"{target.name} does not hold what was exported:\n{named}{others}\n"
        "Somebody else may write there. Export again: what differs is written anew"
    )
