"""Group `indicators`: what the TLC itself counts, from its monthly report. No trip is read here.

It has runs of its own, so that a report that is missing or broken fails nothing else.
"""

from typing import Any

import dagster as dg

from taxi_pipeline.defs.assets.raw_files import log_fetched
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import (
    PREVIEW_ROWS,
    column_lineage,
    fetched_metadata,
    table,
    table_facts,
    table_metadata,
)
from taxi_pipeline.defs.resources import POOL, FilesParam, TlcParam, WarehouseParam
from taxi_pipeline.defs.retries import RETRIES, retrying_unanswered
from taxi_pipeline.defs.table_checks import all_readable
from taxi_pipeline.required_files import require_file
from taxi_pipeline.tlc.aggregated_report import MonthlyReport, read_report
from taxi_pipeline.tlc.source import REPORT_FILE
from taxi_pipeline.warehouse.reference import replace_indicators
from taxi_pipeline.warehouse.tables import TLC_INDICATORS

REPORT_IS_READABLE = "report_is_readable"


@dg.asset(
    group_name="indicators",
    deps=["tlc_trip_records"],
    kinds={"python"},
    tags={"output": "raw-file"},
    retry_policy=RETRIES,
)
def tlc_report_file(context: dg.AssetExecutionContext, tlc: TlcParam, files: FilesParam) -> dg.MaterializeResult:
    """The TLC's monthly report: raw/data_reports_monthly.csv.

    Of a mirror it is misc/data_reports_monthly.csv; else it is fetched from the TLC's web site. Whatever is not the
    report never takes the place of a good copy.
    """
    spent = Cost()
    with retrying_unanswered():
        file = tlc.fetch_report(files, log=context.log.info)
    log_fetched(context, file)
    downloaded = file.size_bytes if file.downloaded else 0
    return dg.MaterializeResult(
        metadata={**fetched_metadata([file]), **spent.so_far(bytes_written=downloaded)},
        data_version=dg.DataVersion(file.sha256),
    )


@dg.asset(
    group_name="indicators",
    deps=["tlc_report_file"],
    pool=POOL,
    kinds={"duckdb"},
    tags={"output": "table"},
    metadata=table_metadata(TLC_INDICATORS),
    check_specs=[
        dg.AssetCheckSpec(
            REPORT_IS_READABLE,
            asset="tlc_indicators",
            description="All values of the report can be read, and its columns are those that are known.",
        )
    ],
)
def tlc_indicators(
    context: dg.AssetExecutionContext, warehouse: WarehouseParam, files: FilesParam
) -> dg.MaterializeResult:
    """Table tlc_indicators: the TLC's monthly report, a row for each licence class and month.

    Trips and farebox per day, drivers, vehicles, days and hours on the road, minutes per trip, shares of cards and of
    shared trips, as the TLC publishes them. A value that can't be read is NULL, and a check names it.
    """
    spent = Cost()
    require_file(files, REPORT_FILE, written_by="tlc_report_file")
    with files.local_copy(REPORT_FILE) as path:
        report = read_report(path)
    warehouse.change(replace_indicators, report.indicators)
    if report.problems:
        context.log.warning(f"{len(report.problems)} values or rows of the report can't be read: {report.problems[0]}")
    num_rows = len(report.indicators)
    return dg.MaterializeResult(
        metadata={
            **table_facts(TLC_INDICATORS, num_rows),
            **spent.so_far(rows=num_rows),
            **column_lineage(TLC_INDICATORS),
            **_contents(report),
        },
        data_version=dg.DataVersion(files.describe(REPORT_FILE).sha256),
        check_results=[all_readable(REPORT_IS_READABLE, report.problems, "values, rows or columns")],
    )


def _contents(report: MonthlyReport) -> dict[str, Any]:
    """Metadata: the months, the values that the TLC left out, and the newest rows."""
    newest = [tuple(vars(row).values()) for row in report.indicators[: -PREVIEW_ROWS - 1 : -1]]
    return {
        "first_month": f"{report.indicators[0].month:%Y-%m}",
        "last_month": f"{report.indicators[-1].month:%Y-%m}",
        "num_not_published": report.num_not_published,
        "preview": table(TLC_INDICATORS.column_names, newest),
    }
