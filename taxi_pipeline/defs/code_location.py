"""The factory of the code location: it puts together what the other modules of `defs` define."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components.definitions import LazyDefinitions

from taxi_pipeline import defs
from taxi_pipeline.defs.assets import pickup_image, single_trips
from taxi_pipeline.defs.automation import (
    MADE_MONTHLY,
    MESSAGE,
    NOT_MADE_REGULARLY,
    PUBLICATION,
    build_automation_sensor,
)
from taxi_pipeline.defs.code_links import with_code_links
from taxi_pipeline.defs.code_versions import with_code_version
from taxi_pipeline.defs.deliveries import without_automation_where_nobody_is_told
from taxi_pipeline.defs.maintenance import build_maintenance
from taxi_pipeline.defs.marts import build_marts
from taxi_pipeline.defs.notebooks import build_notebooks
from taxi_pipeline.defs.optional_groups import with_optional_groups
from taxi_pipeline.defs.partitions import between
from taxi_pipeline.defs.resources import build_resources
from taxi_pipeline.defs.schedules import build_schedules
from taxi_pipeline.defs.sensors import build_sensors
from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.outputs.pickup_cells import LAST_DAY_WITH_COORDINATES
from taxi_pipeline.settings import Settings

OWNERS = ["team:taxi-pipeline"]

OF_THE_INSTANCE = {"dagster_internals", "event_storage", "postgres_storage", "run_launcher"}
"""The modules of `defs` that `dagster.yaml` names. They define nothing, and one needs an extra."""


class NotLoadedError(TaxiPipelineError):
    """A file in `defs` holds definitions that would silently be missing."""


def build_definitions(
    *, settings: Settings | None = None, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Build the code location for these settings.

    Assets, checks, jobs, schedules and sensors are loaded from all modules of `defs`, also from those that `dg scaffold
    defs` adds. What depends on the settings is built here.

    Args:
        settings: None to read them from the environment.
        resources: replace those made from the settings, by key (`warehouse`, `files`, `tlc`, `alerts`).

    Raises:
        SettingsError: the environment holds a value that can't be used.
        NotLoadedError: a file in the folder holds definitions of a kind that is not loaded.
    """
    settings = settings or Settings.from_environment()
    marts = build_marts(settings)
    notebooks, notebook_resources = build_notebooks(settings, marts.assets)
    upkeep_jobs, upkeep_schedules = build_maintenance(settings)
    found = _in_the_folder()
    once = {id(asset): asset for asset in found.assets or ()}.values()  # Dagster's loader gives a spec twice
    own, optional_jobs = with_optional_groups(once, marts.assets, _switched_off(settings))
    own = without_automation_where_nobody_is_told(settings, own)
    assets = [*own, *marts.assets, *notebooks]
    assets = between(settings.start_date, settings.end_date, settings.fleets, assets)
    running = settings.automation
    return dg.Definitions(
        assets=with_code_links(
            dg.map_asset_specs(with_code_version, _with_code_references(_as_shown(assets, settings.engine)))
        ),
        asset_checks=found.asset_checks,
        jobs=[*(found.jobs or ()), *marts.jobs, *optional_jobs, *upkeep_jobs],
        schedules=[*(found.schedules or ()), *build_schedules(running=running), *upkeep_schedules],
        sensors=[*(found.sensors or ()), *build_sensors(running=running), build_automation_sensor(running=running)],
        resources={**build_resources(settings), **marts.resources, **notebook_resources, **(resources or {})},
        # A process per step would cost more than the step.
        executor=dg.in_process_executor,
    )


def _switched_off(settings: Settings) -> list[dg.AssetKey]:
    """The assets that these settings do not ask for, or that would have nothing to show for any of these days."""
    asked_for = {
        single_trips.KEY: settings.trips_dataset,
        pickup_image.KEY: settings.start_date <= LAST_DAY_WITH_COORDINATES,
    }
    return [key for key, is_asked_for in asked_for.items() if not is_asked_for]


def _in_the_folder() -> dg.Definitions:
    """Load the definitions at the top level of all modules of `defs`.

    `dg.load_from_defs_folder` does not do: it needs `pyproject.toml`, which an installed package does not have.

    Raises:
        NotLoadedError: a file holds definitions of a kind that only `dg.load_from_defs_folder` loads.
    """
    (folder,) = map(Path, defs.__path__)
    components = sorted(path for name in ("defs.yaml", "component.yaml") for path in folder.rglob(name))
    not_loaded = [folder / f"{name}.py" for name in OF_THE_INSTANCE]
    # `pkgutil` does not see folders without `__init__.py`, as `dg scaffold defs` makes them. So files are listed.
    files = [path for path in sorted(folder.rglob("*.py")) if path not in not_loaded]
    names = [".".join((defs.__name__, *path.relative_to(folder).with_suffix("").parts)) for path in files]
    modules = [import_module(name.removesuffix(".__init__")) for name in names]
    of_other_kinds = [
        f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, dg.Definitions | LazyDefinitions)
    ]
    if orphans := [*map(str, components), *of_other_kinds]:
        raise NotLoadedError(
            f"Not loaded: {', '.join(orphans)}. Modules of {folder} may define assets, checks, jobs, schedules and "
            "sensors; resources belong into `defs/resources`, components and other Definitions into `build_definitions`"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.load_definitions_from_modules(modules)


def _as_shown(found: Iterable[Any], engine: str) -> Sequence[Any]:
    """Complete the assets for the UI.

    Those that name no owner belong to the team, and those that name no freshness policy are made monthly. The
    warehouse's kind is that of its engine.
    """

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(
            owners=spec.owners or OWNERS,
            freshness_policy=spec.freshness_policy or (MADE_MONTHLY if _is_made_regularly(spec) else None),
            kinds={engine if kind == "duckdb" else kind for kind in spec.kinds},
        )

    return dg.map_asset_specs(shown, found)


def _is_made_regularly(spec: dg.AssetSpec) -> bool:
    return spec.group_name not in NOT_MADE_REGULARLY and spec.tags.get("output") not in (PUBLICATION, MESSAGE)


def _with_code_references(found: Iterable[Any]) -> Sequence[Any]:
    """Add to each asset a reference to the file and line of its definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # should it go away, only the link is missing
        return dg.with_source_code_references(list(found))
