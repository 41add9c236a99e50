"""Group `reports`: a file for each week or month, made when all its days are loaded."""

import json
from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.defs.assets.loaded_months import record_whole_months
from taxi_pipeline.defs.assets.metrics import ZONE_EXPLORER_FILE
from taxi_pipeline.defs.automation import window_complete
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import file_metadata, link, per_partition, picture, table
from taxi_pipeline.defs.partitions import monthly_partitions, weekly_partitions, windows_of, windows_policy
from taxi_pipeline.defs.resources import POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.outputs.month_manifest import manifest_of_month
from taxi_pipeline.outputs.week_summary import WEEK, preview_rows, summary_of_week
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.months import next_month, previous_month
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.interface import Warehouse

if TYPE_CHECKING:
    from taxi_pipeline.outputs.monthly_report.page import Links

_WINDOW = dg.TimeWindowPartitionMapping()


@dg.asset(
    group_name="reports",
    partitions_def=weekly_partitions,
    backfill_policy=windows_policy,
    deps=[dg.AssetDep("zone_hourly_trips", partition_mapping=_WINDOW), "taxi_zones"],
    automation_condition=window_complete,
    pool=POOL,
    kinds={"duckdb", "json"},
    tags={"output": "data-file"},
)
def week_summary(
    context: dg.AssetExecutionContext, warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/week_summary/YYYY-MM-DD.json: a week's totals by fleet and borough, and those of the week before.

    The name is the Sunday on which the week starts. Automation makes it when all seven days are loaded; made
    earlier, it has the loaded days, and missing_days names the others. week_before is null until that week is
    complete.
    """
    weeks = windows_of(context)
    # The week after compares itself with this one.
    also = [week + WEEK for week in weeks if files.exists(summary_file(week + WEEK))]
    for week in sorted({*weeks, *also}):
        spent = Cost()
        with files.lock(summary_file(week)):
            summary = warehouse.query(summary_of_week, week, tlc.fleets)
            file = files.write(summary_file(week), json.dumps(summary, indent=1) + "\n")
        if week in weeks:
            totals = {"trips": summary["totals"]["num_trips"], "synthetic": summary["synthetic"]}
            preview = table(("fleet", "trips", "week before"), preview_rows(summary))
            per_partition(
                context,
                {
                    str(week): {
                        **file_metadata(file),
                        **link(file, pages),
                        **spent.so_far(bytes_written=file.size_bytes),
                        "preview": preview,
                        **totals,
                    }
                },
            )
    return dg.MaterializeResult(metadata={"weeks": len(weeks)})


@dg.asset(
    group_name="reports",
    partitions_def=monthly_partitions,
    backfill_policy=windows_policy,
    deps=[dg.AssetDep("zone_hourly_trips", partition_mapping=_WINDOW)],
    automation_condition=window_complete,
    pool=POOL,
    kinds={"duckdb", "json"},
    tags={"output": "data-file"},
)
def month_manifest(
    context: dg.AssetExecutionContext, warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/month_manifest/YYYY-MM.json: what is loaded of a month, by fleet.

    Days, trips, rejected rows, and the published file that they come from. Automation makes it when all days of the
    month are loaded, and again when one is loaded again. It records each fleet of which all days are loaded in
    loaded_months; datasets wait for that, and so look at months and not at days.
    Made earlier, it has the loaded days, and missing_days names the others.
    """
    months = windows_of(context)
    for month in months:
        spent = Cost()
        with files.lock(manifest_file(month)):
            manifest = warehouse.query(manifest_of_month, month, tlc.fleets)
            file = files.write(manifest_file(month), json.dumps(manifest, indent=1) + "\n")
        metadata = {
            **file_metadata(file),
            **link(file, pages),
            **spent.so_far(bytes_written=file.size_bytes),
            "trips": sum(fleet.get("num_trips", 0) for fleet in manifest["fleets"].values()),
            "missing_days": sum(len(fleet["missing_days"]) for fleet in manifest["fleets"].values()),
            "synthetic": manifest["synthetic"],
        }
        per_partition(context, {str(month): metadata})
        record_whole_months(context, month, manifest)
    return dg.MaterializeResult(metadata={"months": len(months)})


@dg.asset(
    group_name="reports",
    partitions_def=monthly_partitions,
    backfill_policy=windows_policy,
    deps=[
        dg.AssetDep("zone_hourly_trips", partition_mapping=_WINDOW),
        dg.AssetDep("borough_flows", partition_mapping=_WINDOW),
        "taxi_zones",
        "tlc_indicators",
    ],
    automation_condition=window_complete,
    pool=POOL,
    kinds={"duckdb", "html"},
    tags={"output": "page"},
)
def monthly_report(
    context: dg.AssetExecutionContext, warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/reports/YYYY-MM.html: how New York moved in a month. One file, which opens without a network.

    A finding in words, numbers beside those of the month before and the year before, trips by day, hour, zone, borough
    and company, what the TLC itself counts (where tlc_indicators has the month), and how good the data is. YYYY-MM.csv
    beside it has the numbers. Automation makes it when all days are loaded; made earlier, it has the loaded days, and
    the page names the others.
    """
    from taxi_pipeline.outputs.monthly_report.figures import UnreportableMonthError

    months = windows_of(context)
    for month in months:
        per_partition(context, {str(month): _write_report(month, warehouse, files, tlc, pages, beside=months)})
    naming_them = {other for month in months for other in _that_name(month) if files.exists(report_file(other))}
    for month in sorted(naming_them - set(months)):
        try:
            metadata = _write_report(month, warehouse, files, tlc, pages)
        except UnreportableMonthError as error:
            context.log.warning(f"The report of {month:%Y-%m} stays as it is: {error}")
        else:  # so that what is made of it is made again
            made = dg.AssetMaterialization("monthly_report", partition=str(month), metadata=metadata)
            context.log_event(made)
    return dg.MaterializeResult(metadata={"months": len(months)})


def _write_report(
    month: date, warehouse: Warehouse, files: Storage, tlc: TlcSource, pages: Pages, *, beside: Collection[date] = ()
) -> dict[str, Any]:
    """Write a month's page and its numbers, and return the metadata that the UI shows.

    Args:
        month: first day of the month.
        warehouse: the warehouse to query.
        files: the storage.
        tlc: names the fleets to count.
        pages: the address at which the report is opened.
        beside: months whose reports are written in the same run; the page may link to them.
    """
    from taxi_pipeline.outputs.monthly_report.figures import figures_of
    from taxi_pipeline.outputs.monthly_report.measures import numbers_of
    from taxi_pipeline.outputs.monthly_report.page import csv_of, page_of, preview_of
    from taxi_pipeline.outputs.origin import zones_are_schematic

    spent = Cost()
    with files.lock(report_file(month)):
        figures = warehouse.query(figures_of, month, tlc.fleets)
        files.write(numbers_file(month), csv_of(figures))
        page = page_of(
            figures, _links(files, month, beside), schematic_zones=zones_are_schematic(files, tlc.zones_file)
        )
        file = files.write(report_file(month), page)
    warned = [name for name, verdict in figures.verdicts.items() if not verdict.passed]
    return {
        **file_metadata(file),
        **link(file, pages),
        **spent.so_far(bytes_written=file.size_bytes),
        "preview": picture(preview_of(figures), f"Trips per day, {month:%B %Y}"),
        "numbers": table(*numbers_of(figures)),
        "trips": figures.totals.num_trips,
        "revenue": float(figures.totals.revenue or 0),
        "missing_days": len(figures.missing),
        "checks_that_warn": ", ".join(warned) or "none",
        "synthetic": figures.synthetic,
    }


def report_file(month: date) -> str:
    """The name of the month's report in the storage."""
    return f"outputs/reports/{month:%Y-%m}.html"


def numbers_file(month: date) -> str:
    """The name of the CSV with the report's numbers."""
    return f"outputs/reports/{month:%Y-%m}.csv"


def pdf_file(month: date) -> str:
    """The name of the report's PDF in the storage."""
    return f"outputs/reports/{month:%Y-%m}.pdf"


def _that_name(month: date) -> tuple[date, date, date]:
    """The months whose reports name this one: the one before links to it, the next and a year later compare with it."""
    return previous_month(month), next_month(month), month.replace(year=month.year + 1)


def _links(files: Storage, month: date, written: Collection[date]) -> "Links":
    """The links of a report: to months beside it that have a report or get one in this run, and to the explorer."""
    from taxi_pipeline.outputs.monthly_report.page import Links

    def report(other: date) -> str | None:
        name = report_file(other)
        return name.rpartition("/")[2] if other in written or files.exists(name) else None

    return Links(
        csv=numbers_file(month).rpartition("/")[2],
        previous=report(previous_month(month)),
        following=report(next_month(month)),
        explorer="../zone_explorer.html" if files.exists(ZONE_EXPLORER_FILE) else None,
    )


def manifest_file(month: date) -> str:
    """The name of the month's manifest in the storage."""
    return f"outputs/month_manifest/{month:%Y-%m}.json"


def summary_file(week: date) -> str:
    """The name of the week's file in the storage."""
    return f"outputs/week_summary/{week}.json"
