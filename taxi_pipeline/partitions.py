"""The partitions: days, and how many of them one run takes.

Here belongs what a partition is and which days a run is about; what is loaded for a day belongs to the assets.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from taxi_pipeline.settings import FIRST_SUPPORTED_DAY
from taxi_pipeline.tlc.months import Days

if TYPE_CHECKING:
    from collections.abc import Iterable


def days_from(first_day: date) -> dg.DailyPartitionsDefinition:
    """Daily partitions from this day to yesterday. A day is one of New York's, as in the TLC's timestamps."""
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone="America/New_York")


daily_partitions = days_from(FIRST_SUPPORTED_DAY)
"""As the assets declare them; `starting` narrows them to the configured first day."""

backfill_policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)
"""A month's days in one run: one process to start and one pass over one file, not 31."""


def starting(
    first_day: date, assets: "Iterable[dg.AssetsDefinition | dg.AssetSpec]"
) -> "list[dg.AssetsDefinition | dg.AssetSpec]":
    """The same assets, the daily ones among them with this day as their first partition."""
    days = days_from(first_day)

    def narrowed(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(partitions_def=days) if spec.partitions_def == daily_partitions else spec

    return list(dg.map_asset_specs(narrowed, assets))


def days_of(context: dg.AssetExecutionContext) -> Days:
    """The days that a run of a daily asset is about: one partition or a range."""
    window = context.partition_time_window
    return Days(window.start.date(), window.end.date() - timedelta(days=1))


def days_of_run(context: dg.AssetCheckExecutionContext) -> Days | None:
    """The days of the run that a check is part of; None when it runs without partitions, so for all days."""
    run = context.op_execution_context
    if run.has_partition_key_range:
        keys = run.partition_key_range
        return Days(date.fromisoformat(keys.start), date.fromisoformat(keys.end))
    if run.has_partition_key:
        day = date.fromisoformat(run.partition_key)
        return Days(day, day)
    return None
