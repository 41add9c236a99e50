"""Checks of what the TLC published: whether a day or a month looks as it usually does.

They warn and never block, because the pipeline loads what was published. What the pipeline itself promises is in
`promises`.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.assets.raw_files import taxi_trips_file
from taxi_pipeline.assets.warehouse import POOL, taxi_trips
from taxi_pipeline.checks.days import days_of_check
from taxi_pipeline.loaded import loaded_months
from taxi_pipeline.metadata import markdown_table
from taxi_pipeline.partitions import days_of_run
from taxi_pipeline.questions import QUESTIONS, Verdict, ask_all, skipped
from taxi_pipeline.resources import FileStore, TlcSource, Warehouse
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.transfer import FetchError
from taxi_pipeline.tlc.trip_files import read_trip_file

MAX_DIFFERENCE_FROM_REPORT = 0.01
"""Of the TLC's figure. Real months differ by 0.05 % (green 2020-03) and 0.16 % (2020-04)."""


@dg.asset_check(asset=taxi_trips_file)
def columns_known(context: dg.AssetCheckExecutionContext, tlc: TlcSource, files: FileStore) -> dg.AssetCheckResult:
    """The published files have no column that the pipeline does not know; a new one is left out of `trips`."""
    days = days_of_run(context)
    if days:
        expected = [
            (fleet, files.path(tlc.trips_file(fleet, month_of(part.first))))
            for fleet, months in tlc.months_by_fleet(days)
            for part in months
        ]
        # A fleet whose file could not be fetched is told of by the asset.
        trip_files = [(fleet, path) for fleet, path in expected if path.is_file()]
    else:
        trip_files = [
            (FLEETS[name], path)
            for name in tlc.fleets
            for path in sorted(files.path("raw").glob(FLEETS[name].file_pattern))
        ]
    unknown = [
        (path.name, column)
        for fleet, path in trip_files
        for column in fleet.unknown_columns(read_trip_file(path).columns)
    ]
    names = ", ".join(sorted({column for _, column in unknown}))
    return _result(
        Verdict(
            not unknown,
            f"{names} not known, left out" if unknown else f"{len(trip_files)} files looked at",
            {"num_unknown": len(unknown)},
            ("unknown_columns", ("file", "column"), unknown),
        )
    )


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec(name, asset=taxi_trips, description=asked) for name, asked in QUESTIONS.items()],
    pool=POOL,
)
def published_trips(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
    """What is odd in the published trips: one step and one session for all questions, because each has its cost."""
    with warehouse.read() as session:
        verdicts = ask_all(session, days_of_check(context, session) or _NO_DAYS)
    for name, verdict in verdicts.items():
        yield _result(verdict)._replace(check_name=name, asset_key=taxi_trips.key)


_NO_DAYS = Days(date(1, 1, 1), date(1, 1, 1))
"""For a warehouse in which nothing is loaded."""


@dg.asset_check(asset=taxi_trips, pool=POOL)
def trips_match_tlc_report(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, tlc: TlcSource, files: FileStore
) -> dg.AssetCheckResult:
    """Trips per day of each whole month are those of the TLC's own monthly report, give or take 1 %.

    Passes with a reason where there is nothing to compare: no whole month, synthetic trips, no report, no figure in it.
    """
    with warehouse.read() as session:
        days = days_of_check(context, session)
        months = [month for month in loaded_months(session, days) if month.is_whole] if days else []
        synthetic = session.row("SELECT bool_or(synthetic) FROM loaded_days")[0]
    if synthetic or not months:
        return _result(skipped("the trips are synthetic" if synthetic else "no month is wholly loaded"))
    try:
        published = tlc.trips_per_day(files, tell=context.log.info)
    except FetchError as error:
        return _result(skipped(f"there is no report to compare with: {error}"))
    compared = [
        (month.fleet, f"{month.first:%Y-%m}", round(month.trips_per_day), figure, month.trips_per_day / figure - 1)
        for month in months
        if (figure := published.get((month.fleet, month.first)))
    ]
    if not compared:
        return _result(
            skipped(f"the report has no figure for {', '.join(f'{m.fleet} {m.first:%Y-%m}' for m in months)}")
        )
    off = [row for row in compared if abs(row[-1]) > MAX_DIFFERENCE_FROM_REPORT]
    return _result(
        Verdict(
            not off,
            f"{len(off)} of {len(compared)} months differ by more than {MAX_DIFFERENCE_FROM_REPORT:.0%}",
            {"num_compared": len(compared)},
            (
                "months",
                ("fleet", "month", "trips per day", "in the report", "difference"),
                [(*row[:-1], f"{row[-1]:+.2%}") for row in compared],
            ),
        )
    )


def _result(verdict: Verdict) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = dict(verdict.numbers)
    if verdict.table:
        name, header, rows = verdict.table
        metadata[name] = markdown_table(header, rows)
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.description,
        metadata=metadata,
    )
