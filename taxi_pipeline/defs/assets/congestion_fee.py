"""Group `analysis`: what the congestion fee changed, by fleet.

What is compared with what, and how, is in `taxi_pipeline.analysis`; the page, the picture and the table in
`outputs.congestion_fee`.
"""

import dagster as dg

from taxi_pipeline.defs.analyses import GROUP, trips_or_weather_updated
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import link, picture, table, written
from taxi_pipeline.defs.resources import POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.outputs.text import csv_text

CONGESTION_FEE_FILE = "outputs/congestion_fee.html"
CONGESTION_FEE_DATA_FILE = "outputs/congestion_fee.csv"
CONGESTION_FEE_PICTURE_FILE = "outputs/congestion_fee.png"


@dg.asset(
    group_name=GROUP,
    deps=["zone_hourly_trips", "taxi_trips", "weather_days"],
    automation_condition=trips_or_weather_updated,
    pool=POOL,
    kinds={"duckdb", "python", "html"},
    tags={"output": "page"},
)
def congestion_fee(
    warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/congestion_fee.html: what the fee for Manhattan south of 60th Street changed, for each fleet.

    Trips of zones inside beside control zones, weeks with the fee beside weeks before it, and an earlier winter, by
    Poisson regression; with placebo dates, random zones, and other choices. The answer is a paragraph, which says
    "can't tell" where it can't. outputs/congestion_fee.csv has all estimates, outputs/congestion_fee.png a picture.
    """
    spent = Cost()
    from taxi_pipeline.analysis.study import fee_panel, study_of
    from taxi_pipeline.outputs.congestion_fee.chart import draw_study
    from taxi_pipeline.outputs.congestion_fee.page import page_of
    from taxi_pipeline.outputs.congestion_fee.table import HEADER, summary_of, table_rows

    with files.lock(CONGESTION_FEE_FILE):
        asked = warehouse.query(fee_panel, tlc.fleets)
        studies = [study_of(panel, asked.facts) for panel in asked.panels]
        rows, png = table_rows(studies), draw_study(studies)
        names = (CONGESTION_FEE_DATA_FILE, CONGESTION_FEE_PICTURE_FILE)
        csv, png_file = (name.rpartition("/")[2] for name in names)
        file = files.write(CONGESTION_FEE_FILE, page_of(studies, csv=csv, png=png_file))
        files.write(CONGESTION_FEE_DATA_FILE, csv_text(HEADER, rows))
        files.write(CONGESTION_FEE_PICTURE_FILE, png)
    return written(
        file,
        {
            **link(file, pages),
            **spent.so_far(rows=len(rows), bytes_written=file.size_bytes),
            "preview": picture(png, "What the congestion fee changed"),
            **summary_of(studies),
            "estimates": table(HEADER, [row for row in rows if row[1] in ("estimate", "choice")]),
            "synthetic": asked.coverage.synthetic,
        },
    )
