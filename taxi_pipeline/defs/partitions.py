"""The partitions: days, and how many of them one run takes.

Here is what a partition is and which days a run has; what is loaded for a day is decided in the assets.
"""

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.tlc.fleets import FIRST_DAY
from taxi_pipeline.tlc.months import NEW_YORK, Days
from taxi_pipeline.tlc.publication import SHORTEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"


def days_from(first_day: date) -> dg.DailyPartitionsDefinition:
    """Daily partitions from this day to 30 days ago. A day is one of New York's, as in the TLC's timestamps.

    Later days can't be published yet, and would only fill the partition bar.
    """
    return dg.DailyPartitionsDefinition(
        start_date=first_day.isoformat(), timezone=NEW_YORK, end_offset=1 - SHORTEST_DELAY.days
    )


daily_partitions = days_from(FIRST_DAY)
"""As the assets declare them; `starting` narrows them to the configured first day."""


def weeks_from(first_day: date) -> dg.WeeklyPartitionsDefinition:
    """Weeks from Sunday to Saturday, all of whose days are among the daily partitions."""
    return dg.WeeklyPartitionsDefinition(
        start_date=first_day.isoformat(), timezone=NEW_YORK, end_offset=-math.ceil(SHORTEST_DELAY.days / 7)
    )


weekly_partitions = weeks_from(FIRST_DAY)
"""As the assets declare them; `starting` narrows them to the configured first day."""


def months_from(first_day: date) -> dg.MonthlyPartitionsDefinition:
    """Months all of whose days are among the daily partitions, but for January on the 1st of March.

    Then its last day is not among them yet; a report made on that day names the missing day.
    """
    return dg.MonthlyPartitionsDefinition(start_date=first_day.isoformat(), timezone=NEW_YORK, end_offset=-1)


monthly_partitions = months_from(FIRST_DAY)
"""As the assets declare them; `starting` narrows them to the configured first day."""

backfill_policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)
"""A month's days in one run: one process to start and one pass over one file, not 31."""


def starting(first_day: date, assets: "Iterable[Any]") -> "list[Any]":
    """The same assets, those with daily, weekly or monthly partitions beginning with this day."""
    narrower = {
        daily_partitions: days_from(first_day),
        weekly_partitions: weeks_from(first_day),
        monthly_partitions: months_from(first_day),
    }

    def narrowed(spec: dg.AssetSpec) -> dg.AssetSpec:
        for declared, partitions in narrower.items():
            if spec.partitions_def == declared:
                return spec.replace_attributes(partitions_def=partitions)
        return spec

    return list(dg.map_asset_specs(narrowed, assets))


def days_of_definition(partitions: dg.PartitionsDefinition | None) -> Days:
    """The first to the last day of daily partitions."""
    if not isinstance(partitions, dg.DailyPartitionsDefinition):
        raise TypeError(f"daily partitions are expected, not {partitions}")
    first, last = partitions.get_first_partition_key(), partitions.get_last_partition_key()
    return Days(date.fromisoformat(str(first)), date.fromisoformat(str(last)))


def range_tags(days: Days) -> dict[str, str]:
    """The tags by which Dagster runs a range of partitions in one run."""
    return {_RANGE_START: str(days.first), _RANGE_END: str(days.last)}


def partitions_in(tags: "Mapping[str, str]") -> str | None:
    """What a run's tags say of its partitions, in words; None when it has none."""
    if _RANGE_START in tags:
        return f"{tags[_RANGE_START]} to {tags[_RANGE_END]}"
    return tags.get("dagster/partition")


def days_of(context: dg.AssetExecutionContext) -> Days:
    """The days of a run of daily assets: one partition or a range."""
    window = context.partition_time_window
    return Days(window.start.date(), window.end.date() - timedelta(days=1))


def days_of_run(context: dg.AssetCheckExecutionContext) -> Days | None:
    """The days of a check's run; None when the run has no partitions, so the check looks at all loaded days."""
    run = context.op_execution_context
    if run.has_partition_key_range:
        keys = run.partition_key_range
        return Days(date.fromisoformat(keys.start), date.fromisoformat(keys.end))
    if run.has_partition_key:
        day = date.fromisoformat(run.partition_key)
        return Days(day, day)
    return None
