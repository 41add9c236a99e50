"""The result of the check that compares trips with the TLC's monthly report.

Apart from `table_checks`, because it needs the report. What is compared, and what is known to differ, is in
`quality.tlc_report`.
"""

from collections.abc import Callable, Sequence

import dagster as dg

from taxi_pipeline.defs.metadata import PREVIEW_ROWS, table
from taxi_pipeline.defs.table_checks import warning
from taxi_pipeline.differences import signed
from taxi_pipeline.quality.evaluation import skipped
from taxi_pipeline.quality.tlc_report import (
    ComparedMinutes,
    ComparedTrips,
    Minutes,
    compare_minutes,
    compare_trips,
    mean_minutes,
)
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.coverage import LoadedMonth, is_synthetic, loaded_months, loaded_span
from taxi_pipeline.warehouse.interface import Session, Warehouse

REPORT_CHECK = ("taxi_trips", "trips_match_tlc_report")
"""The asset and the name of the check."""


def result_of_report(
    warehouse: Warehouse, tlc: TlcSource, files: Storage, days: Days | None, log: Callable[[str], object]
) -> dg.AssetCheckResult:
    """Compare the whole months of these days (None: all) with the TLC's report.

    Passes with a reason where there is nothing to compare.
    """
    months, minutes, synthetic = warehouse.query(_whole_months, days)
    if synthetic or not months:
        return warning(skipped("the trips are synthetic" if synthetic else "no month is wholly loaded"))
    try:
        report = tlc.monthly_report(files, log=log)
    except FetchError as error:
        return warning(skipped(f"there is no report to compare with: {error}"))
    trips = compare_trips(months, report)
    if not trips:
        named = ", ".join(f"{month.fleet} {month.first:%Y-%m}" for month in months)
        return warning(skipped(f"the report has no figure for {named}"))
    return _compared_with_report(trips, compare_minutes(minutes, report))


def _compared_with_report(trips: Sequence[ComparedTrips], minutes: Sequence[ComparedMinutes]) -> dg.AssetCheckResult:
    off = [each.words for each in (*trips, *minutes) if each.is_off]
    known = [each for each in trips if each.known]
    within = [each.words for each in known if not each.is_off]
    sentences = [f"{len(off)} of {len(trips) + len(minutes)} figures differ by more than is known"]
    sentences += [", ".join(off[:PREVIEW_ROWS])] * bool(off)
    sentences += [f"not more than known: {', '.join(within[:PREVIEW_ROWS])}"] * bool(within)
    return dg.AssetCheckResult(
        passed=not off,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(sentences),
        metadata={
            "num_compared": len(trips),
            "num_off": len(off),
            "months": table(
                ("fleet", "month", "trips per day", "in the report", "difference"),
                [
                    (each.fleet, f"{each.month:%Y-%m}", round(each.ours), each.reported, signed(each.difference, ".2%"))
                    for each in trips
                ],
            ),
            "minutes": table(
                ("fleet", "month", "minutes per trip", "in the report", "difference"),
                [
                    (
                        each.fleet,
                        f"{each.month:%Y-%m}",
                        round(each.ours, 2),
                        each.reported,
                        signed(each.difference, ".2f"),
                    )
                    for each in minutes
                ],
            ),
            "known_deviations": table(
                ("fleet", "month", "difference", "known", "evidence"),
                [
                    (
                        each.fleet,
                        f"{each.month:%Y-%m}",
                        signed(each.difference, ".2%"),
                        each.known.words,
                        each.known.evidence,
                    )
                    for each in known
                    if each.known
                ],
            ),
        },
    )


def _whole_months(session: Session, days: Days | None) -> tuple[list[LoadedMonth], Minutes, bool]:
    """The months of these days (None: all) whose days are all loaded, their mean durations, whether it is synthetic."""
    days = days or loaded_span(session)
    months = [month for month in loaded_months(session, days) if month.is_whole] if days else []
    synthetic = is_synthetic(session)
    return months, {} if synthetic else mean_minutes(session, months), synthetic
