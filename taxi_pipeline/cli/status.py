"""The command `status`: what is loaded, and what is published."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE
from rich.table import Table

from taxi_pipeline.cli.options import read_settings
from taxi_pipeline.cli.terminal import console, print_whole
from taxi_pipeline.opening import warehouse_of
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import next_month

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from taxi_pipeline.warehouse.coverage import FleetCoverage
    from taxi_pipeline.warehouse.interface import UnfinishedLoad


@click.command()
def status() -> None:
    """Show what is loaded and what is published, at any time, also while runs go on.

    "missing" are days between the first and the last, "file" is the version of the newest day's file (the beginning of
    its SHA-256), "published" the newest month that the TLC has published.
    """
    from taxi_pipeline.warehouse.coverage import coverage_by_fleet, outdated_months
    from taxi_pipeline.warehouse.interface import NothingLoadedError

    settings = read_settings()
    loaded: dict[str, FleetCoverage] = {}
    outdated: dict[str, list[date]] = {}
    unfinished: Sequence[UnfinishedLoad] = ()
    warehouse = warehouse_of(settings)
    try:
        with warehouse.read_without_waiting() as session:
            loaded = coverage_by_fleet(session)
            outdated = outdated_months(session)
            unfinished = session.unfinished()
    except NothingLoadedError:
        console.print(f"Nothing is loaded in {warehouse.location} yet.")
    # Narrow enough for 80 columns, but for very many trips.
    table = Table("fleet", "first day", "last day", "missing", "trips", "file", "published", box=SIMPLE)
    for fleet in sorted({*settings.fleets, *loaded}, key=list(FLEETS).index):
        published = _newest_published(settings.tlc_url, fleet) if fleet in settings.fleets else ""
        table.add_row(fleet, *_cells(loaded.get(fleet)), published)
    print_whole(table)
    for fleet, months in outdated.items():
        console.print(
            f"Load again: {fleet} {_spans(months)}. Columns were added to trips since; they are NULL there.",
            style="yellow",
        )
    for load in unfinished:
        console.print(
            f"Not published: {load.fleet} {load.month:%Y-%m} with {load.num_trips:,} trips. A run is loading the "
            "month, or was killed; then the next run of the month deletes them.",
            style="yellow",
        )


def _spans(months: "Sequence[date]") -> str:
    """Months as spans: 2019-01 to 2019-03, 2020-05."""
    spans: list[tuple[date, date]] = []
    for month in months:
        if spans and next_month(spans[-1][1]) == month:
            spans[-1] = (spans[-1][0], month)
        else:
            spans.append((month, month))
    return ", ".join(f"{first:%Y-%m}" if first == last else f"{first:%Y-%m} to {last:%Y-%m}" for first, last in spans)


def _cells(coverage: "FleetCoverage | None") -> tuple[str, ...]:
    if coverage is None:
        return "", "", "", "0", ""
    return (
        str(coverage.first_day),
        str(coverage.last_day),
        f"{coverage.num_missing:,}",
        f"{coverage.num_trips:,}",
        coverage.file_version[:8],
    )


def _newest_published(tlc_url: str, fleet: str) -> str:
    from taxi_pipeline.tlc.download import newest_published_month
    from taxi_pipeline.tlc.http_transfer import FetchError, Patience
    from taxi_pipeline.tlc.months import new_york_today

    try:
        # Somebody waits at the terminal, so a server that fails is not tried again.
        month = newest_published_month(
            tlc_url, FLEETS[fleet], new_york_today(), patience=replace(Patience(), attempts=1)
        )
    except FetchError:
        return "no answer"
    return f"{month:%Y-%m}" if month else "none"
