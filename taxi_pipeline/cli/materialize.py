"""The command `materialize`: days without the UI, in the current Dagster instance."""

import os
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import click
from rich.table import Table

from taxi_pipeline.cli.options import day_range, days_between, no_project, read_settings
from taxi_pipeline.cli.terminal import as_typed, console, local_file, print_files, progress_bar
from taxi_pipeline.opening import files_of, tlc_of, warehouse_of
from taxi_pipeline.project.files import ProjectError
from taxi_pipeline.settings import Settings, find_project
from taxi_pipeline.tlc.fleets import FIRST_DAY
from taxi_pipeline.tlc.months import Days

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taxi_pipeline.defs.console_runs import FailedCheck, Outcome


@click.command()
@day_range
@click.option(
    "--reports",
    is_flag=True,
    help="Also load bases and weather, make reports, their PDFs, datasets and marts of the weeks and months in these "
    "days, and the analyses. Nothing is sent.",
)
def materialize(start: datetime, end: datetime, reports: bool) -> None:
    """Run the whole graph for these days in the current Dagster instance.

    Each month is a run of its own, and meanwhile the files of the next one are fetched; the last one also rebuilds the
    weekly table, the statistics and the maps. A line for each of several months says what it has, how long it took, and
    how long the others will about take. Stopped, the command says how to go on. A fleet whose month fails is reported
    at the end, when all the others are loaded. The instance is that of DAGSTER_HOME; if that is not set, the
    project's.
    """
    days = days_between(start, end)
    if reports and (note := without_report(days)):
        console.print(note, style="yellow")
    materialize_days(read_settings(), days, reports=reports)


def materialize_days(settings: Settings, days: Days, *, reports: bool = False) -> None:
    """Run the whole graph for the days, and print what came of it.

    Args:
        settings: settings of the code location.
        days: both ends inclusive.
        reports: true to make reports, datasets and marts, too.

    Raises:
        ProjectError: there is no Dagster instance.
        click.BadParameter: a day can't be loaded.
        click.ClickException: a run or a check failed; says how to go on.
    """
    _use_own_instance()
    settings = _covering(settings, days)
    outcome = _run(settings, days, reports=reports)
    _print_failed_checks(outcome.failed_checks)
    for reason in outcome.left_out:
        console.print(f"WARN: {reason}", style="yellow")
    if outcome.stopped and outcome.stopped_in:
        raise click.ClickException(
            f"{outcome.stopped}\nWhen the cause is gone, continue with --start {outcome.stopped_in.first} "
            f"--end {days.last}"
        )
    _print_results(settings, days)
    if outcome.failed_fleets:
        raise click.ClickException("\n".join([*outcome.failed_fleets, "When the cause is gone, run the same again."]))
    if any(check.is_error for check in outcome.failed_checks):
        raise click.ClickException("Checks failed; see above.")


def _use_own_instance() -> None:
    """Where nothing names a Dagster instance, it is that of the project.

    Raises:
        ProjectError: there is none.
    """
    if os.environ.get("DAGSTER_HOME"):
        return
    project = find_project()
    if project is None:
        raise ProjectError(no_project("DAGSTER_HOME"))
    os.environ["DAGSTER_HOME"] = str(project)


def _covering(settings: Settings, days: Days) -> Settings:
    """Settings whose partitions hold the days.

    Raises:
        click.BadParameter: a day can't be loaded.
    """
    from taxi_pipeline.defs.console_runs import last_day_that_can_be_published

    if days.first < FIRST_DAY:
        raise click.BadParameter(
            f"{days.first} can't be loaded: the TLC publishes trips from {FIRST_DAY} on", param_hint="--start"
        )
    if str(days.last) > (last_day := last_day_that_can_be_published()):
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
    if settings.end_date and days.last > settings.end_date:
        console.print(
            f"Note: {days.last} is after TAXI_END_DATE ({settings.end_date}). The days are loaded, but the UI lists "
            f"partitions only up to TAXI_END_DATE; set TAXI_END_DATE={days.last} to see them there.",
            style="yellow",
        )
        settings = replace(settings, end_date=days.last)
    return settings


def without_report(days: Days) -> str:
    """Say of which months no report is made, since the days are only a part of them; empty where there is none."""
    parts = [part for part in days.by_month() if part != Days.of_month(part.first)]
    if not parts:
        return ""
    months = " and ".join(f"{part.first:%Y-%m}" for part in parts)
    return (
        f"Note: no monthly report is made of {months}, since only {' and '.join(map(str, parts))} was asked for. The "
        "UI makes one of the days that are loaded: materialize the month of monthly_report there."
    )


def _run(settings: Settings, days: Days, *, reports: bool) -> "Outcome":
    from taxi_pipeline.defs.console_runs import current_instance, run_months

    with current_instance() as instance, progress_bar("Starting") as bar:
        tlc = replace(tlc_of(settings), on_progress=bar.show_download)
        return run_months(settings, days, instance, bar, {"tlc": tlc}, reports=reports)


def _print_failed_checks(checks: "Sequence[FailedCheck]") -> None:
    for check in checks:
        severity, style = ("ERROR", "red") if check.is_error else ("WARN", "yellow")
        console.print(f"{severity}: check {check.name}: {check.description}", style=style)


def _print_results(settings: Settings, days: Days) -> None:
    """The closing tables: what the days hold, and which files were written."""
    from taxi_pipeline.defs.assets.metrics import FILES
    from taxi_pipeline.defs.assets.month_changes import MONTH_CHANGES_FILE
    from taxi_pipeline.defs.assets.reports import pdf_file, report_file
    from taxi_pipeline.warehouse.coverage import loaded_totals

    warehouse = warehouse_of(settings)
    files = files_of(settings)
    table = Table("fleet", "days", "trips", "rejected", title=f"Loaded, {days}")
    for fleet, num_days, trips, rejected in warehouse.query(loaded_totals, days):
        table.add_row(fleet, f"{num_days:,}", f"{trips:,}", f"{rejected:,}")
    console.print(table)
    reports = [name(month.first) for month in days.by_month() for name in (report_file, pdf_file)]
    outputs = [files.describe(name) for name in (*FILES, MONTH_CHANGES_FILE, *reports) if files.exists(name)]
    database = [local_file(settings.duckdb_database)] if settings.engine == "duckdb" else []
    print_files(
        "written",
        [*database, *((as_typed(file.uri), file.size_bytes) for file in outputs)],
    )
