"""The check of how old the newest loaded day is.

`FreshnessPolicy` looks at when an asset was last materialized, so that a backfill of 2019 makes all look fresh; this
looks at the trips. It stands with what the TLC publishes and not with a table: Dagster runs a table's checks with every
run of it, and one of old days would fail for being old. A schedule of its own runs it.
"""

from datetime import date

import dagster as dg

from taxi_pipeline.assets.raw_files import tlc_trip_records
from taxi_pipeline.assets.warehouse import POOL
from taxi_pipeline.metadata import markdown_table
from taxi_pipeline.resources import NothingLoadedError, TlcSource, Warehouse
from taxi_pipeline.tlc.months import new_york_today

LATE_DAYS = 31 + 47
"""Before a month is published, the newest day is 31 days older than the TLC's delay after a month's end. That was 47 to
105 days, lately about 32: beyond this age something may be stuck."""

TOO_LATE_DAYS = 31 + 105
"""The TLC has never been so late."""


@dg.asset_check(asset=tlc_trip_records.key, pool=POOL)
def newest_day_is_recent(warehouse: Warehouse, tlc: TlcSource) -> dg.AssetCheckResult:
    """The newest loaded day of each fleet is at most 78 days old; beyond 136 it is an error.

    The TLC publishes a month 47 to 105 days after its end, lately after about 32.
    """
    try:
        with warehouse.read() as session:
            newest = dict(session.rows("SELECT fleet, max(pickup_date) FROM loaded_days GROUP BY fleet"))
    except NothingLoadedError:
        newest = {}
    ages = {fleet: age_of(newest.get(fleet), new_york_today()) for fleet in tlc.fleets}
    oldest = max(ages.values())
    return dg.AssetCheckResult(
        passed=oldest <= LATE_DAYS,
        severity=dg.AssetCheckSeverity.ERROR if oldest > TOO_LATE_DAYS else dg.AssetCheckSeverity.WARN,
        description=", ".join(f"{fleet}: {newest.get(fleet, 'nothing loaded')}" for fleet in tlc.fleets),
        metadata={
            "newest_days": markdown_table(
                ("fleet", "newest day", "age in days"),
                [(fleet, newest.get(fleet), None if fleet not in newest else age) for fleet, age in ages.items()],
            )
        },
    )


def age_of(newest: date | None, today: date) -> int:
    """Days since the newest loaded one; very many when nothing is loaded."""
    return (today - newest).days if newest else TOO_LATE_DAYS * 1000
