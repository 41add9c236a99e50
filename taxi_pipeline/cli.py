"""The console script `taxi-pipeline`: sample data, materializing days without the UI, status, copies to query.

What the commands do is done elsewhere; here are options, progress and the closing table.
"""

import logging
import os
import sys
import uuid
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column as ConsoleColumn
from rich.table import Table as ConsoleTable

from taxi_pipeline.settings import Settings, SettingsError, project_root
from taxi_pipeline.tlc.fleets import FIRST_DAY, FLEETS
from taxi_pipeline.tlc.months import Days

if TYPE_CHECKING:
    import dagster as dg

    from taxi_pipeline.resources import Resources, TlcSource

SNAPSHOT_FILE = "outputs/warehouse.duckdb"

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config of a run whose events go into Dagster's history alone, and not to the console."""

console = Console(highlight=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="taxi-pipeline")
def main() -> None:
    """New York's taxi trips: verified tables, maps and reports."""


def _days(command: Any) -> Any:
    """The options --start and --end, both inclusive."""
    day = click.DateTime(formats=["%Y-%m-%d"])
    command = click.option("--end", type=day, required=True, help="Last day, inclusive.")(command)
    return click.option("--start", type=day, required=True, help="First day.")(command)


@main.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the mirror; TLC_URL=file://FOLDER then names it.",
)
@_days
@click.option(
    "--fleet",
    "fleets",
    type=click.Choice(list(FLEETS)),
    default=["yellow"],
    multiple=True,
    help="Whose trips; can be given several times.",
)
@click.option("--trips-per-day", type=click.IntRange(min=1), default=10_000, help="Trips on an average day.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Another seed gives other trips.")
def sample(
    folder: Path, start: datetime, end: datetime, fleets: tuple[str, ...], trips_per_day: int, seed: int
) -> None:
    """Write a mirror of the TLC's server with synthetic trips and schematic zones."""
    from taxi_pipeline.sample.mirror import write_mirror

    days = _range(start, end)
    written: dict[Path, None] = {}  # each writes the zones, the same
    with _progress("Drawing trips", total=len(list(days)) * len(set(fleets))) as bar:
        try:
            for fleet in dict.fromkeys(fleets):
                files = write_mirror(
                    folder.absolute(),
                    days,
                    fleet=fleet,
                    trips_per_day=trips_per_day,
                    seed=seed,
                    on_day=lambda _: bar.advance(),
                )
                written |= dict.fromkeys(files)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--start") from error
    _print_files("file", written, title=f"Synthetic {' and '.join(dict.fromkeys(fleets))} trips, {days}")
    console.print(f"Use it with TLC_URL={folder.absolute().as_uri()}", soft_wrap=True)


@main.command()
@click.option(
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: outputs/warehouse.duckdb in the data folder]",
)
def snapshot(target: Path | None) -> None:
    """Copy the warehouse, to query the copy while the pipeline works.

    DuckDB lets nobody read while one process writes, and keeps the writer out while somebody reads. The copy is made
    without opening the warehouse, so no run ever waits for it, and it shows all of a run or nothing of it.
    """
    from taxi_pipeline.files import StorageError
    from taxi_pipeline.resources import WarehouseUnavailableError, build_resources

    resources = build_resources(_settings())
    target = target.absolute() if target else resources["files"].path(SNAPSHOT_FILE)
    try:
        resources["warehouse"].snapshot(target)
    except (WarehouseUnavailableError, StorageError) as error:
        raise click.ClickException(str(error)) from error
    _print_files("written", [target])


@main.command()
def status() -> None:
    """What is loaded, and what is published. Can be asked at any time, also while runs go on.

    "missing" are days between the first and the last, "file" is the version of the newest day's file (the beginning of
    its SHA-256), "published" the newest month that the TLC has published.
    """
    from taxi_pipeline.resources import NothingLoadedError, WarehouseUnavailableError, build_resources

    settings = _settings()
    resources = build_resources(settings)
    rows = {}
    try:
        with resources["warehouse"].read_anyhow() as session:
            rows = {fleet: rest for fleet, *rest in session.rows(_STATUS_SQL)}
    except NothingLoadedError:
        console.print(f"Nothing is loaded in {resources['warehouse'].database} yet.")
    except WarehouseUnavailableError as error:
        raise click.ClickException(str(error)) from error
    # Narrow enough for 80 columns.
    table = ConsoleTable("fleet", "first day", "last day", "missing", "trips", "file", "published", box=SIMPLE)
    for fleet in sorted({*settings.fleets, *rows}, key=list(FLEETS).index):
        first, last, days, trips, version = rows.get(fleet, (None, None, 0, 0, None))
        missing = f"{(last - first).days + 1 - days:,}" if first else ""
        published = _newest_published(resources["tlc"], fleet) if fleet in settings.fleets else ""
        table.add_row(fleet, str(first or ""), str(last or ""), missing, f"{trips:,}", (version or "")[:8], published)
    console.print(table)


def _newest_published(tlc: "TlcSource", fleet: str) -> str:
    from taxi_pipeline.tlc.download import newest_published_month
    from taxi_pipeline.tlc.months import new_york_today
    from taxi_pipeline.tlc.transfer import FetchError

    try:
        # Who asks does not want to wait for a server that fails.
        month = newest_published_month(
            tlc.url, FLEETS[fleet], new_york_today(), patience=replace(tlc.patience, attempts=1)
        )
    except FetchError:
        return "can't be asked"
    return f"{month:%Y-%m}" if month else "none"


_STATUS_SQL = """
SELECT fleet, min(pickup_date), max(pickup_date), count(*), CAST(sum(num_trips) AS BIGINT),
    max_by(file_version, pickup_date)
FROM loaded_days
GROUP BY fleet
"""


@main.command()
@_days
def materialize(start: datetime, end: datetime) -> None:
    """Run the whole graph for these days in the current Dagster instance.

    Each month is a run of its own; the last one also rebuilds the weekly table, the statistics and the map. What is
    wrong with one fleet's month is told at the end, when all the others are loaded. The instance is that of
    DAGSTER_HOME; if that is not set, the one of `make dev`.
    """
    from taxi_pipeline.partitions import daily_partitions

    settings = _settings()
    os.environ.setdefault("DAGSTER_HOME", str(project_root()))
    days = _range(start, end)
    if days.first < FIRST_DAY:
        raise click.BadParameter(
            f"{days.first} can't be loaded: the TLC publishes trips from {FIRST_DAY} on", param_hint="--start"
        )
    if str(days.last) > (last_day := str(daily_partitions.get_last_partition_key())):
        raise click.BadParameter(
            f"{days.last} can't be published yet; the last day that can is {last_day}", param_hint="--end"
        )
    if days.first < settings.start_date:
        console.print(
            f"Note: {days.first} is before TAXI_START_DATE ({settings.start_date}). The days are loaded, but the UI "
            f"lists partitions only from TAXI_START_DATE on; set TAXI_START_DATE={days.first} to see them there.",
            style="yellow",
        )
        settings = replace(settings, start_date=days.first)
    _run(settings, days)


def _settings() -> Settings:
    from dotenv import load_dotenv

    # Unlike Dagster's own commands, what is exported for this very command wins over .env.
    load_dotenv(project_root() / ".env", override=False)
    try:
        return Settings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _run(settings: Settings, days: Days) -> None:
    """Launch the runs month by month and report; stop at the first that fails, unless it loaded the other fleets."""
    import dagster as dg

    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    from taxi_pipeline.assets import ASSETS
    from taxi_pipeline.code_location import build_definitions
    from taxi_pipeline.partitions import daily_partitions, range_tags
    from taxi_pipeline.resources import build_resources

    resources = build_resources(settings)
    assets = [asset for asset in ASSETS if isinstance(asset, dg.AssetsDefinition)]
    daily = [asset.key for asset in assets if asset.partitions_def == daily_partitions]
    rollups = [asset.key for asset in assets if next(iter(asset.specs)).group_name == "metrics"]
    once = [asset.key for asset in assets if asset.key not in daily and asset.key not in rollups]
    failed_checks: list[dg.AssetCheckEvaluation] = []
    failed_fleets: list[str] = []
    months = days.by_month()
    total = len(list(days)) * len(daily) + len(once) + len(rollups)
    with current_instance() as instance, _progress("Starting", total=total) as bar:
        shown = {**resources, "tlc": _with_bar(resources["tlc"], bar)}
        job = build_definitions(settings=settings, resources=shown).resolve_job_def("daily_trips")

        def launch(month: Days, selection: list[dg.AssetKey]) -> dg.ExecuteInProcessResult:
            run_id = str(uuid.uuid4())
            instance.add_event_listener(run_id, lambda entry: bar.show(entry, f"{month.first:%Y-%m}"))
            result = job.execute_in_process(
                instance=instance,
                run_id=run_id,
                asset_selection=selection,
                tags=range_tags(month),
                run_config=QUIET,
                raise_on_error=False,
            )
            bar.print_warnings()
            failed_checks.extend(check for check in result.get_asset_check_evaluations() if not check.passed)
            return result

        for month in months:
            first, last = month is months[0], month is months[-1]
            # Coordinates need the zones; the rollups need all months.
            result = launch(month, daily + (once if first else []) + (rollups if last else []))
            if result.success:
                continue
            if not _others_are_loaded(result):
                bar.stop()
                _report_failed_checks(failed_checks)
                raise click.ClickException(
                    f"{_cause(result)}\nOnce that is mended, go on with --start {month.first} --end {days.last}"
                )
            failed_fleets.append(_cause(result))
            if last:
                launch(month, rollups)
    _report_failed_checks(failed_checks)
    _report(resources, days)
    if failed_fleets:
        raise click.ClickException("\n".join([*failed_fleets, "Once that is mended, run the same again."]))
    if any(check.severity == dg.AssetCheckSeverity.ERROR for check in failed_checks):
        raise click.ClickException("Checks failed; see above.")


def _others_are_loaded(result: "dg.ExecuteInProcessResult") -> bool:
    """Whether all that failed are some fleets' parts: what the others have is loaded."""
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    causes = {error.cause.cls_name if error and error.cause else None for error in failures}
    return causes == {"FleetsFailedError"} and bool(result.asset_materializations_for_node("taxi_trips_file"))


def _with_bar(tlc: "TlcSource", bar: "_Bar") -> "TlcSource":
    """The same server, whose downloads the bar shows."""
    from taxi_pipeline.resources import TlcSource

    class TlcSourceWithBar(TlcSource):
        # Dagster makes a new instance of the class for each run; so the bar is the class's, not an attribute's.
        def on_progress(self, bytes_done: int, bytes_total: int | None) -> None:
            bar.show_download(bytes_done, bytes_total)

    return TlcSourceWithBar(url=tlc.url, zones_url=tlc.zones_url, fleets=tlc.fleets)


def current_instance() -> "dg.DagsterInstance":
    """The instance of DAGSTER_HOME."""
    import dagster as dg

    from taxi_pipeline.files import locked
    from taxi_pipeline.history import adapt_history

    home = Path(os.environ["DAGSTER_HOME"])
    try:
        # Several processes that make a new instance's SQLite files at once fail on each other.
        with locked(home / "history" / "instance") if home.is_dir() else nullcontext():
            instance = dg.DagsterInstance.get()
    except dg.DagsterInvariantViolationError as error:  # DAGSTER_HOME is relative or not there
        raise click.ClickException(" ".join(str(error).split())) from error
    adapt_history(instance)
    return instance


def _cause(result: "dg.ExecuteInProcessResult") -> str:
    """What made the run fail: step and the message of the error that the asset raised."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            raised = error.cause or error if error else None  # Dagster wraps what the asset raised
            if error and error.cls_name == "DagsterExecutionInterruptedError":
                return f"Interrupted at {event.step_key}, in run {result.run_id}"
            # The message starts with the exception's class.
            text = raised.message.partition(": ")[2] or raised.message if raised else "unknown"
            return f"{event.step_key} failed in run {result.run_id}: {text.strip()}"
    return f"Run {result.run_id} failed; its log is in the Dagster UI."


def _report_failed_checks(checks: "list[dg.AssetCheckEvaluation]") -> None:
    for check in checks:
        console.print(
            f"{check.severity.value}: check {check.asset_check_key.to_user_string()}: {check.description}",
            style="red" if check.blocking or check.severity.value == "ERROR" else "yellow",
        )


def _report(resources: "Resources", days: Days) -> None:
    """The closing tables: what the days hold, and what was written where."""
    from taxi_pipeline.assets.metrics import FILES

    warehouse, files = resources["warehouse"], resources["files"]
    with warehouse.read() as session:
        loaded = session.rows(_LOADED_SQL, [days.first, days.last])
    table = ConsoleTable("fleet", "days", "trips", "rejected", title=f"Loaded, {days}")
    for fleet, num_days, trips, rejected in loaded:
        table.add_row(fleet, f"{num_days:,}", f"{trips:,}", f"{rejected:,}")
    console.print(table)
    outputs = [path for name in FILES if (path := files.path(name)).is_file()]
    _print_files("written", [Path(warehouse.database), *outputs])


_LOADED_SQL = """
SELECT fleet, count(*), CAST(sum(num_trips) AS BIGINT),
    (SELECT count(*) FROM rejected_trips WHERE rejected_trips.fleet = days.fleet AND month BETWEEN first AND last)
FROM loaded_days AS days, (SELECT CAST(? AS DATE) AS first, CAST(? AS DATE) AS last)
WHERE pickup_date BETWEEN first AND last
GROUP BY fleet, first, last
ORDER BY fleet
"""


def _print_files(heading: str, paths: Iterable[Path], *, title: str | None = None) -> None:
    """A table of files and their sizes; paths as the reader would type them."""
    table = ConsoleTable(ConsoleColumn(heading, overflow="fold"), "bytes", title=title)
    for path in paths:
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        table.add_row(str(shown), f"{path.stat().st_size:,}")
    console.print(table)


def _range(start: datetime, end: datetime) -> Days:
    if end < start:
        raise click.BadParameter(f"{end:%Y-%m-%d} is before {start:%Y-%m-%d}", param_hint="--end")
    return Days(start.date(), end.date())


class _Bar:
    """A progress bar on a terminal; elsewhere it prints nothing."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self._download: TaskID | None = None
        self._warnings: list[str] = []

    def advance(self) -> None:
        self._progress.advance(self._task)

    def stop(self) -> None:
        self._progress.stop()

    def show(self, entry: "dg.EventLogEntry", month: str) -> None:
        """Follow a run by its events: each materialized partition or asset is a step forward."""
        event = entry.dagster_event
        if event is None:
            if entry.level == logging.WARNING:
                self._warnings.append(entry.user_message)
            return
        if event.is_step_start:
            self._end_download()
            self._progress.update(self._task, description=f"{month} {event.step_key}")
        elif event.is_step_materialization:
            self.advance()

    def print_warnings(self) -> None:
        """What the run's log warned of since the last call, each once."""
        for warning in dict.fromkeys(self._warnings):
            self._progress.console.print(f"WARN: {warning}", style="yellow", soft_wrap=True)
        self._warnings.clear()

    def show_download(self, bytes_done: int, bytes_total: int | None) -> None:
        """A second bar as long as a file comes; without an announced length it only moves."""
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
def _progress(description: str, total: int) -> Iterator[_Bar]:
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
            # During a run Dagster leads standard output into the run's log; a descriptor of its own keeps the bar out.
            terminal = Console(file=stack.enter_context(os.fdopen(os.dup(sys.stdout.fileno()), "w")))
        progress = Progress(*columns, console=terminal, disable=not console.is_terminal, transient=True)
        stack.enter_context(progress)
        yield _Bar(progress, progress.add_task(description, total=total))
