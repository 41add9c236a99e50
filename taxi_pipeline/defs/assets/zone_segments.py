"""Group `analysis`: zones whose weeks are alike, out of a mart.

What they are, and how they are found, is in `taxi_pipeline.analysis`; the picture and the tables in
`outputs.zone_segments`.
"""

import dagster as dg

from taxi_pipeline.defs.analyses import GROUP, mart_updated
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.marts import MARTS
from taxi_pipeline.defs.metadata import PREVIEW_ROWS, link, picture, table, table_facts, table_metadata, written
from taxi_pipeline.defs.resources import POOL, FilesParam, PagesParam, TlcParam, WarehouseParam
from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.quality.reconciliation import segment_differences
from taxi_pipeline.warehouse.reference import replace_tables
from taxi_pipeline.warehouse.tables import ZONE_SEGMENTS

ZONE_SEGMENTS_FILE = "outputs/zone_segments.csv"
ZONE_SEGMENTS_PICTURE_FILE = "outputs/zone_segments.png"

_MATCH_MART = dg.AssetCheckSpec(
    "segments_match_mart",
    asset="zone_segments",
    description="The file has each zone with a shape once, and each zone with enough pickups in one segment; its "
    "pickups are those of the mart, which another query adds up.",
)


@dg.asset(
    group_name=GROUP,
    deps=[dg.AssetKey([MARTS, "zone_week_hours"]), "taxi_zones"],
    automation_condition=mart_updated,
    check_specs=[_MATCH_MART],
    pool=POOL,
    kinds={"duckdb", "python", "csv"},
    tags={"output": "data-file"},
    metadata=table_metadata(ZONE_SEGMENTS),
)
def zone_segments(
    warehouse: WarehouseParam, files: FilesParam, tlc: TlcParam, pages: PagesParam
) -> dg.MaterializeResult:
    """outputs/zone_segments.csv: zones whose pickups begin at the same hours of the week, by Ward's method.

    Out of the mart zone_week_hours, of the twelve months that end with its newest. Segments are named by the parts of
    the week of which they have more than the city. outputs/zone_segments.png is a map, with the week of each segment;
    the table zone_segments has the rows of the file. Where zones do not differ by more than chance, or are too few, it
    says so, and there are no segments.
    """
    spent = Cost()
    from taxi_pipeline.analysis.segments import MIN_PICKUPS, segments_of
    from taxi_pipeline.analysis.zone_profiles import zone_profiles
    from taxi_pipeline.outputs.zone_segments.chart import draw_segments
    from taxi_pipeline.outputs.zone_segments.table import HEADER, SEGMENT_HEADER, segment_rows, summary_of, zone_rows

    with files.lock(ZONE_SEGMENTS_FILE):
        found = segments_of(warehouse.query(zone_profiles, tlc.fleets))
        rows, png = zone_rows(found), draw_segments(found)
        file = files.write(ZONE_SEGMENTS_FILE, csv_text(HEADER, rows))
        files.write(ZONE_SEGMENTS_PICTURE_FILE, png)
        warehouse.change(replace_tables, {ZONE_SEGMENTS: rows})
        least = MIN_PICKUPS if found.segments else None
        different = warehouse.query(segment_differences, files.read_text(ZONE_SEGMENTS_FILE), tlc.fleets, least)
    result = written(
        file,
        {
            **link(file, pages),
            **table_facts(ZONE_SEGMENTS, len(rows)),
            **spent.so_far(rows=len(rows), bytes_written=file.size_bytes),
            "preview": picture(png, "Zones whose weeks are alike"),
            **summary_of(found),
            "by_segment": table(SEGMENT_HEADER, segment_rows(found)),
            "synthetic": found.profiles.synthetic,
        },
    )
    return result._replace(
        check_results=[
            dg.AssetCheckResult(
                check_name=_MATCH_MART.name,
                passed=not different,
                description=f"{len(different)} zones differ" if different else "equal",
                metadata={"different": table(("zone_id", "in the file", "expected"), different[:PREVIEW_ROWS])},
            )
        ]
    )
