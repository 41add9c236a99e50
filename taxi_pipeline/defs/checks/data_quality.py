"""Checks of what the TLC published: whether a day or a month looks as it usually does.

They warn and never block, because the pipeline loads what was published. `integrity` checks the pipeline itself.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from taxi_pipeline.defs.partitions import days_of_run
from taxi_pipeline.defs.report_check import result_of_report
from taxi_pipeline.defs.resources import POOL, FilesParam, TlcParam, WarehouseParam
from taxi_pipeline.defs.table_checks import warning
from taxi_pipeline.quality.evaluation import QUALITY_CHECKS, Verdict, evaluate_loaded
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.source import TlcSource, month_of_file, trips_file
from taxi_pipeline.tlc.trip_files import read_trip_file


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
    return warning(
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
            (*month_of_file(name), name)
            for fleet in tlc.fleets
            for name in files.list(f"raw/{FLEETS[fleet].file_pattern}")
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
        yield warning(verdict)._replace(check_name=name, asset_key=dg.AssetKey("taxi_trips"))


@dg.asset_check(asset="taxi_trips", pool=POOL)
def trips_match_tlc_report(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam, tlc: TlcParam, files: FilesParam
) -> dg.AssetCheckResult:
    """Trips per day of each whole month are those of the TLC's own monthly report, give or take 1 %.

    Of yellow and green taxis the mean duration is compared, too, give or take a quarter of a minute. A month whose file
    is known to differ from the report fails when it differs by more than that. Passes with a reason where there is
    nothing to compare: no whole month, synthetic trips, no report, no figure in it.
    """
    return result_of_report(warehouse, tlc, files, days_of_run(context), context.log.info)
