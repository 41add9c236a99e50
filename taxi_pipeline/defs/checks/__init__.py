"""The asset checks: `integrity` fails as an error, `data_quality` warns, `freshness` and `versions` do both.

A check in a run of days looks at these days; a run of the check alone looks at all loaded days. Checks are not
partitioned: Dagster would lose the partition in range runs.
"""

from taxi_pipeline.defs.checks.data_quality import columns_known, quality_checks, trips_match_tlc_report
from taxi_pipeline.defs.checks.integrity import (
    borough_flows_match_trips,
    columns_as_declared,
    histograms_match_trips,
    hourly_trips_match_trips,
    manhattan_stats_match_trips,
    published_is_net_and_voids,
    trips_conserved,
    weekly_totals_match_trips,
    zone_ids_unique,
)
from taxi_pipeline.defs.checks.versions import version_checks

CHECKS = [
    columns_known,
    trips_conserved,
    quality_checks,
    trips_match_tlc_report,
    histograms_match_trips,
    hourly_trips_match_trips,
    published_is_net_and_voids,
    borough_flows_match_trips,
    zone_ids_unique,
    weekly_totals_match_trips,
    manhattan_stats_match_trips,
    columns_as_declared,
    version_checks,
]
"""The checks of a run of days."""

__all__ = ["CHECKS"]
