"""Group `metrics`: how published months changed, out of the versions that are kept.

Which rows differ is counted in `warehouse.month_changes`; the page and its files are in `outputs.month_changes`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, link, table, table_facts, table_metadata, written
from taxi_pipeline.defs.resources import POOL, Alerts, AlertsParam, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.outputs.month_changes.comparison import comparisons, never_compared, not_compared, write_comparison
from taxi_pipeline.outputs.month_changes.page import page_of, sentence_of, share_of, table_rows
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.interface import Warehouse
from taxi_pipeline.warehouse.month_changes import LARGE_SHARE
from taxi_pipeline.warehouse.reference import replace_tables, rows_of_tables
from taxi_pipeline.warehouse.tables import MONTH_CHANGES, MONTH_COLUMN_CHANGES

MONTH_CHANGES_FILE = "outputs/month_changes.html"


@dg.asset(
    group_name="metrics",
    deps=["taxi_trips", "taxi_zones"],
    pool=POOL,
    kinds={"duckdb", "html"},
    tags={"output": "page"},
    metadata=table_metadata(MONTH_CHANGES),
)
def month_changes(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseParam,
    files: FilesParam,
    tlc: TlcParam,
    alerts: AlertsParam,
    pages: PagesParam,
) -> dg.MaterializeResult:
    """outputs/month_changes.html: months that were published again, and the rows that changed, by column.

    Each version of a month's file that another replaced is compared with it, once, row by row. Beside the page,
    outputs/month_changes/ has each comparison as JSON and its first differing rows as CSV; the tables month_changes and
    month_column_changes have the numbers of all. Where nothing was published again, it only writes the page.
    """
    spent = Cost()
    with files.lock(MONTH_CHANGES_FILE):
        new, problems = _compare(context, warehouse, files, tlc.fleets)
        _tell(context, alerts, new)
        answers = comparisons(files)
        missed = never_compared(files, answers)
        rows = dict(zip((MONTH_CHANGES, MONTH_COLUMN_CHANGES), table_rows(answers), strict=True))
        if warehouse.query(rows_of_tables, list(rows)) != rows:  # each write makes all outputs count as older
            warehouse.change(replace_tables, rows)
        file = files.write(MONTH_CHANGES_FILE, page_of(answers))
    header = ("fleet", "month", "replaced_at", "rows_before", "rows_changed", "rows_added", "rows_removed")
    return written(
        file,
        {
            **link(file, pages),
            **table_facts(MONTH_CHANGES, len(answers)),
            **spent.so_far(rows=sum(answer["rows_after"] for answer in new), bytes_written=file.size_bytes),
            "synthetic": warehouse.query(is_synthetic),
            "compared_now": ", ".join(f"{answer['fleet']} {answer['month']}" for answer in new) or "none",
            "preview": table(header, [[answer[name] for name in header] for answer in answers[:PREVIEW_ROWS]]),
            **({"not_compared": "; ".join(problems)} if problems else {}),
            **({"never_compared": "; ".join(missed[:PREVIEW_ROWS])} if missed else {}),
        },
    )


def _compare(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: Storage, fleets: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Compare the versions that were not compared yet.

    Returns:
        The answers, and why others could not be compared: their files are damaged.
    """
    answers, problems = [], []
    for found in not_compared(files, fleets):
        try:
            answers.append(write_comparison(warehouse, files, found))
            context.log.info(sentence_of(answers[-1]))
        except UnusableFileError as error:
            problems.append(str(error))
            context.log.warning(str(error))
    return answers, problems


def _tell(context: dg.AssetExecutionContext, alerts: Alerts, new: Sequence[Mapping[str, Any]]) -> None:
    """Send a message about each month of which many rows changed."""
    for answer in new:
        if share_of(answer) > LARGE_SHARE:
            message = alerts.notice(sentence_of(answer), context.run.run_id)
            for problem in alerts.post(message, title="A published month changed"):
                context.log.warning(problem)
