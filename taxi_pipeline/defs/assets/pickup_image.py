"""The asset `pickup_image` of group `reports`. It is in the graph where days until June 2016 are asked for.

What is counted and how it is drawn stands in `outputs.pickup_cells`.
"""

from datetime import date
from typing import Any

import dagster as dg

from taxi_pipeline.defs.automation import window_complete
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import file_metadata, link, per_partition, picture, table
from taxi_pipeline.defs.partitions import monthly_partitions, windows_of, windows_policy
from taxi_pipeline.defs.resources import POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.outputs.pickup_cells import PickupCells, draw_pickups, pickup_cells, picture_file
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.storage import Storage, StoredFile
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.interface import Warehouse

KEY = dg.AssetKey("pickup_image")
_PREVIEW_WIDTH = 480


@dg.asset(
    key=KEY,
    group_name="reports",
    partitions_def=monthly_partitions,
    backfill_policy=windows_policy,
    deps=[dg.AssetDep("taxi_trips", partition_mapping=dg.TimeWindowPartitionMapping())],
    automation_condition=window_complete,
    pool=POOL,
    kinds={"duckdb", "matplotlib", "png"},
    tags={"output": "picture"},
)
def pickup_image(
    context: dg.AssetExecutionContext, warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/pickup_image/YYYY-MM.png: all pickups of a month by their coordinates, light on black.

    Each pixel is a cell of about 20 × 20 metres; its colour is the logarithm of its pickups, with the same key for all
    months. Published files hold coordinates until June 2016, unless the TLC has replaced them by zones: of a month
    without coordinates there is no picture, and the metadata says so.
    """
    months = windows_of(context)
    for month in months:
        per_partition(context, {str(month): _make(month, warehouse, files, tlc, pages, context)})
    return dg.MaterializeResult(metadata={"months": len(months)})


def _make(
    month: date,
    warehouse: Warehouse,
    files: Storage,
    tlc: TlcSource,
    pages: Pages,
    context: dg.AssetExecutionContext,
) -> dict[str, Any]:
    """Write the month's picture, or remove it where there is nothing to draw, and return the metadata."""
    spent = Cost()
    name = picture_file(month)
    with files.lock(name):
        cells = warehouse.query(pickup_cells, month, tlc.fleets)
        if not cells.num_drawn:
            files.delete(name)  # of a time when the month had coordinates
            why = f"no trip of {month:%Y-%m} has coordinates in the city; most files hold zones instead"
            context.log.info(f"No picture: {why}")
            return {**_counts(cells), **spent.so_far(bytes_written=0), "not_drawn": why}
        png = draw_pickups(cells)
        file = files.write(name, png)
    return {**_of_picture(file, png, pages, month), **_counts(cells), **spent.so_far(bytes_written=file.size_bytes)}


def _of_picture(file: StoredFile, png: bytes, pages: Pages, month: date) -> dict[str, Any]:
    return {
        **file_metadata(file),
        **link(file, pages),
        "preview": picture(png, f"Pickups in {month:%B %Y}", _PREVIEW_WIDTH),
    }


def _counts(cells: PickupCells) -> dict[str, Any]:
    """Metadata that accounts for each trip of the month."""
    fleets = cells.fleets.items()
    header = ("fleet", "drawn", "without coordinates", "outside of the frame")
    rows = [(name, each.num_drawn, each.num_without_coordinates, each.num_outside) for name, each in fleets]
    return {
        "trips_drawn": cells.num_drawn,
        "trips_without_coordinates": sum(each.num_without_coordinates for _, each in fleets),
        "trips_outside_of_the_frame": sum(each.num_outside for _, each in fleets),
        "by_fleet": table(header, rows),
        "missing_days": len(cells.missing_days),
        "synthetic": cells.synthetic,
    }
