"""The asset checks: `promises` of the pipeline, which are errors when broken, and `published` data, which only warns.

A check that is part of a run of days looks at these days; one that runs by itself looks at all. Checks are not
partitioned: Dagster would lose the partition in range runs.
"""

from taxi_pipeline.checks.promises import (
    COLUMN_CHECKS,
    borough_flows_match_trips,
    hourly_trips_match_trips,
    manhattan_stats_match_trips,
    trips_conserved,
    weekly_totals_match_trips,
    zone_ids_unique,
)
from taxi_pipeline.checks.published import (
    columns_known,
    published_trips,
    trips_match_tlc_report,
)

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
    *COLUMN_CHECKS,
]

__all__ = ["CHECKS"]
