"""The partitions: days, weeks, months, and the number of days in one run.

This module decides what a partition is and which days a run has; the assets decide what is loaded for a day.
"""

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.defs.dagster_names import PARTITION, RANGE_END, RANGE_START
from taxi_pipeline.tlc.fleets import FIRST_DAY, FLEETS
from taxi_pipeline.tlc.months import NEW_YORK, Days, month_of, next_month, previous_month
from taxi_pipeline.tlc.publication_delay import SHORTEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_DAY = timedelta(days=1)


def _end(end: date | None, offset: int) -> dict[str, Any]:
    """Arguments for the end of partitions: before a day, or with an offset from today."""
    return {"end_date": end.isoformat()} if end else {"end_offset": offset}


def _sunday_before(day: date) -> date:
    """The last Sunday up to a day; the day itself when it is a Sunday."""
    return day - timedelta(days=day.isoweekday() % 7)


def days_from(first_day: date, last_day: date | None = None) -> dg.DailyPartitionsDefinition:
    """Daily partitions from a day to another, or to 30 days ago. A day is New York's, as in the TLC's timestamps.

    Later days can't be published yet, and would only fill the partition bar.
    """
    end = _end(last_day and last_day + _DAY, 1 - SHORTEST_DELAY.days)
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone=NEW_YORK, **end)


daily_partitions = days_from(FIRST_DAY)
"""Days for the assets' declarations; `between` narrows them to the configured days."""


def weeks_from(first_day: date, last_day: date | None = None) -> dg.WeeklyPartitionsDefinition:
    """Weeks from Sunday to Saturday, all of whose days are among the daily partitions."""
    end = _end(last_day and _sunday_before(last_day + _DAY), -math.ceil(SHORTEST_DELAY.days / 7))
    first_sunday = _sunday_before(first_day + timedelta(days=6))
    return dg.WeeklyPartitionsDefinition(start_date=first_sunday.isoformat(), timezone=NEW_YORK, **end)


weekly_partitions = weeks_from(FIRST_DAY)
"""Weeks for the assets' declarations; `between` narrows them to the configured days."""


def months_from(first_day: date, last_day: date | None = None) -> dg.MonthlyPartitionsDefinition:
    """Months all of whose days are among the daily partitions, but for January on the 1st of March.

    Then its last day is not among them yet; a report made on that day names the missing day.
    """
    end = _end(last_day and month_of(last_day + _DAY), -1)
    # Dagster gives a month too many when the end is the first month's start, unless the start is that, too.
    first_month = next_month(first_day - _DAY)
    return dg.MonthlyPartitionsDefinition(start_date=first_month.isoformat(), timezone=NEW_YORK, **end)


monthly_partitions = months_from(FIRST_DAY)
"""Months for the assets' declarations; `between` narrows them to the configured days."""


def fleet_months_from(
    fleets: "Sequence[str]", first_day: date, last_day: date | None = None
) -> dg.MultiPartitionsDefinition:
    """Each of these fleets with each of the months of `months_from`.

    Every fleet has all these months, also those before it existed: their files have no rows.
    """
    return dg.MultiPartitionsDefinition(
        {"fleet": dg.StaticPartitionsDefinition(list(fleets)), "month": months_from(first_day, last_day)}
    )


fleet_month_partitions = fleet_months_from(list(FLEETS), FIRST_DAY)
"""Fleets and months for the assets' declarations; `between` narrows them to the configured fleets and days."""


def forecast_months_from(
    fleets: "Sequence[str]", first_day: date, last_day: date | None = None
) -> dg.MultiPartitionsDefinition:
    """Each of these fleets with the month after each of the months of `months_from`.

    The first month has no month before it to learn from; the month after the last one is not published yet.
    """
    end = _end(last_day and next_month(month_of(last_day + _DAY)), 0)
    first_month = next_month(next_month(first_day - _DAY))
    months = dg.MonthlyPartitionsDefinition(start_date=first_month.isoformat(), timezone=NEW_YORK, **end)
    return dg.MultiPartitionsDefinition({"fleet": dg.StaticPartitionsDefinition(list(fleets)), "month": months})


forecast_partitions = forecast_months_from(list(FLEETS), FIRST_DAY)
"""Fleets and months for the assets' declarations; `between` narrows them to the configured fleets and days."""

backfill_policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)
"""A month's days in one run: one process to start and one pass over one file, not 31."""

windows_policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=60)
"""Sixty weeks or months in one run: each is a file of about a second. Of fleets × months a run has up to five years of
one fleet. So the whole history is tens of runs, and a run that fails repeats about a minute of work."""


def between(first_day: date, last_day: date | None, fleets: "Sequence[str]", assets: "Iterable[Any]") -> "list[Any]":
    """Narrow the partitions of the assets to the days from the first to the last and to these fleets."""
    narrower = [
        (daily_partitions, days_from(first_day, last_day)),
        (weekly_partitions, weeks_from(first_day, last_day)),
        (monthly_partitions, months_from(first_day, last_day)),
        (fleet_month_partitions, fleet_months_from(fleets, first_day, last_day)),
        (forecast_partitions, forecast_months_from(fleets, first_day, last_day)),
    ]

    def narrowed(spec: dg.AssetSpec) -> dg.AssetSpec:
        for declared, partitions in narrower:
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


def fleet_month_key(fleet: str, month: date) -> str:
    """The key of a fleet's month in `fleet_month_partitions`.

    Args:
        fleet: name of the fleet.
        month: first day of the month.
    """
    return dg.MultiPartitionKey({"fleet": fleet, "month": str(month)})


def fleet_and_month(partition_key: str) -> tuple[str, date]:
    """The fleet and the first day of the month of a key of `fleet_month_partitions`.

    Args:
        partition_key: `yellow|2023-03-01`, or with a slash, as IO managers get it.
    """
    fleet, month = partition_key.replace("|", "/").split("/")
    return fleet, date.fromisoformat(month)


def of_the_month(asset: str) -> dg.AssetDep:
    """A dependency of fleets × months on the month of a monthly asset, whichever fleet it is."""
    return dg.AssetDep(asset, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("month"))


def months_before(partition_key: str, number: int) -> list[str]:
    """The keys of the same fleet's months before the month of a key, the newest first.

    Args:
        partition_key: a key of `fleet_month_partitions` or `forecast_partitions`.
        number: of months.
    """
    fleet, month = fleet_and_month(partition_key)
    keys: list[str] = []
    for _ in range(number):
        month = previous_month(month)
        keys.append(fleet_month_key(fleet, month))
    return keys


def range_tags(days: Days) -> dict[str, str]:
    """The tags by which Dagster runs a range of partitions in one run."""
    return {RANGE_START: str(days.first), RANGE_END: str(days.last)}


def partitions_in(tags: "Mapping[str, str]") -> str | None:
    """Describe the partitions of a run in words, from its tags; None when it has none."""
    if RANGE_START in tags:
        return f"{tags[RANGE_START]} to {tags[RANGE_END]}"
    return tags.get(PARTITION)


def windows_of(context: dg.AssetExecutionContext) -> list[date]:
    """The first days of the weeks or months of a run."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def days_of(context: dg.AssetExecutionContext) -> Days:
    """The days of a run of daily assets: one partition or a range."""
    window = context.partition_time_window
    return Days(window.start.date(), window.end.date() - timedelta(days=1))


def days_of_run(context: dg.AssetCheckExecutionContext) -> Days | None:
    """The days of a check's run; None when the run has no partitions, so the check looks at all loaded days."""
    tags = context.run.tags
    first, last = tags.get(RANGE_START) or tags.get(PARTITION), tags.get(RANGE_END) or tags.get(PARTITION)
    return Days(date.fromisoformat(first), date.fromisoformat(last)) if first and last else None
