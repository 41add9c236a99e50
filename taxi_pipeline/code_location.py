"""The factory of the code location: it puts together what the other modules define, and nothing else."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from taxi_pipeline.assets import ASSETS, REPORTS, REQUESTS
from taxi_pipeline.automation import build_automation_sensor
from taxi_pipeline.checks import CHECKS
from taxi_pipeline.checks.freshness import newest_day_is_recent
from taxi_pipeline.jobs import daily_trips, freshness, trip_requests, zones
from taxi_pipeline.partitions import starting
from taxi_pipeline.resources import build_resources
from taxi_pipeline.schedules import build_schedules
from taxi_pipeline.sensors import build_sensors
from taxi_pipeline.settings import Settings


def build_definitions(
    *, settings: Settings | None = None, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """The code location for these settings.

    Args:
        settings: taken from the environment when not given.
        resources: take the place of those made from the settings, by key (`warehouse`, `files`, `tlc`).

    Raises:
        SettingsError: the environment holds a value that can't be used.
    """
    settings = settings or Settings.from_environment()
    return dg.Definitions(
        assets=_with_code_references(starting(settings.start_date, [*ASSETS, *REPORTS, *REQUESTS])),
        asset_checks=[*CHECKS, newest_day_is_recent],
        jobs=[daily_trips, zones, freshness, trip_requests],
        schedules=build_schedules(running=settings.automation),
        sensors=[*build_sensors(running=settings.automation), build_automation_sensor(running=settings.automation)],
        resources={**build_resources(settings), **(resources or {})},
        # A process per step would cost more than the step.
        executor=dg.in_process_executor,
    )


def _with_code_references(assets: "list[dg.AssetsDefinition | dg.AssetSpec]") -> "Sequence[Any]":
    """The same assets, whose pages say in which file and line they are defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # should it go away, only the link is missing
        return dg.with_source_code_references(assets)
