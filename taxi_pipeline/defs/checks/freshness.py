"""The check of the newest loaded day's age.

`FreshnessPolicy` looks at when an asset was last materialized, so a backfill of 2019 makes everything look fresh; this
check looks at the trips. It belongs to `tlc_trip_records` and not to a table: Dagster runs a table's checks with every
run of it, and a run of old days would fail for being old. A schedule of its own runs it.
"""

from datetime import date

import dagster as dg

from taxi_pipeline.defs.assets.tlc_records import TLC_TRIP_RECORDS
from taxi_pipeline.defs.metadata import table
from taxi_pipeline.defs.resources import POOL, TlcParam, WarehouseParam
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline.tlc.publication_delay import LATE_DAYS, TOO_LATE_DAYS
from taxi_pipeline.warehouse.coverage import newest_days
from taxi_pipeline.warehouse.interface import NothingLoadedError


@dg.asset_check(asset=TLC_TRIP_RECORDS, pool=POOL)
def newest_day_is_recent(warehouse: WarehouseParam, tlc: TlcParam) -> dg.AssetCheckResult:
    """The newest loaded day of each fleet is at most 78 days old; beyond 136 it is an error.

    The TLC publishes a month 47 to 105 days after its end, lately after about 32.
    """
    try:
        newest = warehouse.query(newest_days)
    except NothingLoadedError:
        newest = {}
    ages = {fleet: age_of(newest.get(fleet), new_york_today()) for fleet in tlc.fleets}
    oldest = max(ages.values())
    return dg.AssetCheckResult(
        passed=oldest <= LATE_DAYS,
        severity=dg.AssetCheckSeverity.ERROR if oldest > TOO_LATE_DAYS else dg.AssetCheckSeverity.WARN,
        description=", ".join(f"{fleet}: {newest.get(fleet, 'nothing loaded')}" for fleet in tlc.fleets),
        metadata={
            "newest_days": table(
                ("fleet", "newest day", "age in days"),
                [(fleet, newest.get(fleet), None if fleet not in newest else age) for fleet, age in ages.items()],
            )
        },
    )


def age_of(newest: date | None, today: date) -> int:
    """Age of the newest loaded day in days; very large when nothing is loaded."""
    return (today - newest).days if newest else TOO_LATE_DAYS * 1000
