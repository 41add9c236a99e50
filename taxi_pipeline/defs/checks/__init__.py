"""The asset checks: `consistency` of the pipeline, which fails as an error, `published_data`, which warns, `freshness`.

A check in a run of days looks at these days; a run of the check alone looks at all loaded days. Checks are not
partitioned: Dagster would lose the partition in range runs.
"""

from taxi_pipeline.defs.checks.consistency import (
    borough_flows_match_trips,
    columns_as_declared,
    hourly_trips_match_trips,
    manhattan_stats_match_trips,
    trips_conserved,
    weekly_totals_match_trips,
    zone_ids_unique,
)
from taxi_pipeline.defs.checks.published_data import columns_known, published_trips, trips_match_tlc_report

CHECKS = [
    columns_known,
    trips_conserved,
    published_trips,
    trips_match_tlc_report,
    hourly_trips_match_trips,
    borough_flows_match_trips,
    zone_ids_unique,
    weekly_totals_match_trips,
    manhattan_stats_match_trips,
    columns_as_declared,
]
"""The checks of a run of days."""

__all__ = ["CHECKS"]
