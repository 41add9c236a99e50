"""The factory of the code location: it puts together what the other modules of `defs` define."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from taxi_pipeline.defs import assets, checks
from taxi_pipeline.defs.automation import build_automation_sensor
from taxi_pipeline.defs.jobs import (
    daily_trips,
    datasets,
    freshness,
    monthly_reports,
    tlc_observation,
    trip_requests,
    week_summaries,
    zones,
)
from taxi_pipeline.defs.marts import build_marts
from taxi_pipeline.defs.notebooks import build_notebooks
from taxi_pipeline.defs.partitions import between
from taxi_pipeline.defs.resources import build_resources
from taxi_pipeline.defs.schedules import build_schedules
from taxi_pipeline.defs.sensors import build_sensors
from taxi_pipeline.defs.upkeep import build_upkeep
from taxi_pipeline.settings import Settings

OWNERS = ["team:taxi-pipeline"]


def build_definitions(
    *, settings: Settings | None = None, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """The code location for these settings.

    Assets and checks are loaded from all modules in `assets/` and `checks/`, also from those that `dg scaffold` adds.

    Args:
        settings: taken from the environment when not given.
        resources: take the place of those made from the settings, by key (`warehouse`, `files`, `tlc`, `alerts`).

    Raises:
        SettingsError: the environment holds a value that can't be used.
    """
    settings = settings or Settings.from_environment()
    marts = build_marts(settings)
    notebooks, notebook_resources = build_notebooks(settings, marts.assets)
    upkeep_jobs, upkeep_schedules = build_upkeep(settings)
    found = between(
        settings.start_date,
        settings.end_date,
        settings.fleets,
        [*dg.load_assets_from_package_module(assets, include_specs=True), *marts.assets, *notebooks],
    )
    return dg.Definitions(
        assets=_with_code_references(_as_shown(found, settings.engine)),
        asset_checks=dg.load_asset_checks_from_package_module(checks),
        jobs=[
            daily_trips,
            week_summaries,
            monthly_reports,
            datasets,
            zones,
            tlc_observation,
            freshness,
            trip_requests,
            *marts.jobs,
            *upkeep_jobs,
        ],
        schedules=[*build_schedules(running=settings.automation), *upkeep_schedules],
        sensors=[*build_sensors(running=settings.automation), build_automation_sensor(running=settings.automation)],
        resources={**build_resources(settings), **marts.resources, **notebook_resources, **(resources or {})},
        # A process per step would cost more than the step.
        executor=dg.in_process_executor,
    )


def _as_shown(found: Iterable[Any], engine: str) -> Sequence[Any]:
    """The same assets as the UI shows them.

    Those that name no owner belong to the team. Descriptions are plain text, because the asset catalogue and the graph
    do not render Markdown and show backticks as they are. The warehouse's kind is that of its engine.
    """

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(
            owners=spec.owners or OWNERS,
            description=(spec.description or "").replace("`", "") or None,
            kinds={engine if kind == "duckdb" else kind for kind in spec.kinds},
        )

    return dg.map_asset_specs(shown, found)


def _with_code_references(found: Iterable[Any]) -> Sequence[Any]:
    """The same assets, whose pages name the file and line of their definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # should it go away, only the link is missing
        return dg.with_source_code_references(list(found))
