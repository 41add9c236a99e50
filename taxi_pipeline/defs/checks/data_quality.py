"""Checks of what the TLC published: whether a day or a month looks as it usually does.

They warn and never block, because the pipeline loads what was published. `integrity` checks the pipeline itself.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.defs.metadata import table
from taxi_pipeline.defs.partitions import days_of_run
from taxi_pipeline.defs.resources import POOL, FilesParam, TlcParam, WarehouseParam
from taxi_pipeline.differences import signed
from taxi_pipeline.quality.evaluation import QUALITY_CHECKS, Verdict, evaluate_loaded, skipped
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.source import TlcSource, trips_file
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.warehouse.coverage import LoadedMonth, is_synthetic, loaded_months, loaded_span
from taxi_pipeline.warehouse.interface import Session

MAX_DIFFERENCE_FROM_REPORT = 0.01
"""Largest difference from the TLC's figure, as a share of it. Real months differ by 0.05 % (green 2020-03) and 0.16 %
(2020-04)."""


@dg.asset_check(asset="taxi_trips_file")
def columns_known(context: dg.AssetCheckExecutionContext, tlc: TlcParam, files: FilesParam) -> dg.AssetCheckResult:
    """The published files have no column that the pipeline does not know, and lack none that their month should have.

    A new column is left out of trips; one that lacks is NULL there.
    """
    trip_files = _trip_files(tlc, files, days_of_run(context))
    unknown: list[tuple[str, str, str]] = []
    absent: list[tuple[str, str, str]] = []
    for fleet, month, name in trip_files:
        with files.local_copy(name) as path:
            columns = read_trip_file(path).columns
        file = name.rpartition("/")[2]
        unknown += [(file, column, "not known, left out") for column in fleet.unknown_columns(columns)]
        absent += [(file, column, "lacks, NULL in trips") for column in fleet.absent_columns(columns, month)]
    found = [f"{_names(unknown)} not known, left out"] * bool(unknown) + [
        f"{_names(absent)} not there, NULL in trips"
    ] * bool(absent)
    return _result(
        Verdict(
            not found,
            "; ".join(found) or f"{len(trip_files)} files compared",
            {"num_unknown": len(unknown), "num_absent": len(absent)},
            ("unknown_columns", ("file", "column", "what of it"), [*unknown, *absent]),
        )
    )


def _names(columns: Sequence[tuple[str, str, str]]) -> str:
    return ", ".join(sorted({column for _, column, _ in columns}))


def _trip_files(tlc: TlcSource, files: Storage, days: Days | None) -> list[tuple[Fleet, date, str]]:
    """Fleet, month and name of the fetched files of these days; of all months when there are none."""
    if days is None:
        return [
            (fleet, date.fromisoformat(f"{name.removesuffix('.parquet')[-7:]}-01"), name)
            for fleet in (FLEETS[name] for name in tlc.fleets)
            for name in files.list(f"raw/{fleet.file_pattern}")
        ]
    expected = [
        (fleet, month_of(days.first), trips_file(fleet, month_of(days.first)))
        for fleet, months in tlc.months_by_fleet(days)
        for days in months
    ]
    # The asset itself reports a fleet whose file could not be fetched.
    return [(fleet, month, name) for fleet, month, name in expected if files.exists(name)]


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec(name, asset="taxi_trips", description=text) for name, text in QUALITY_CHECKS.items()],
    pool=POOL,
)
def quality_checks(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the quality checks of the published trips, in one step and session, because each step has its cost."""
    for name, verdict in warehouse.query(evaluate_loaded, days_of_run(context)).items():
        yield _result(verdict)._replace(check_name=name, asset_key=dg.AssetKey("taxi_trips"))


@dg.asset_check(asset="taxi_trips", pool=POOL)
def trips_match_tlc_report(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam, tlc: TlcParam, files: FilesParam
) -> dg.AssetCheckResult:
    """Trips per day of each whole month are those of the TLC's own monthly report, give or take 1 %.

    Passes with a reason where there is nothing to compare: no whole month, synthetic trips, no report, no figure in it.
    """
    months, synthetic = warehouse.query(_whole_months, days_of_run(context))
    if synthetic or not months:
        return _result(skipped("the trips are synthetic" if synthetic else "no month is wholly loaded"))
    try:
        published = tlc.trips_per_day(files, log=context.log.info)
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
                [(*row[:-1], signed(row[-1], ".2%")) for row in compared],
            ),
        )
    )


def _whole_months(session: Session, days: Days | None) -> tuple[list[LoadedMonth], bool]:
    """The months of these days (None: all) whose days are all loaded, and whether the trips are synthetic."""
    days = days or loaded_span(session)
    months = [month for month in loaded_months(session, days) if month.is_whole] if days else []
    return months, is_synthetic(session)


def _result(verdict: Verdict) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = dict(verdict.numbers)
    if verdict.table:
        name, header, rows = verdict.table
        metadata[name] = table(header, rows)
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.description,
        metadata=metadata,
    )
