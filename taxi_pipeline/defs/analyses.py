"""Group `analysis`: questions of cause and of kind, in the graph when the extra `analysis` is installed.

The assets are in `assets/`, as others are; here is when they are left out, the job that makes them, and when automation
does. One that is made of a mart is also left out where there is no such mart.
"""

import importlib.util
from collections.abc import Iterable
from typing import Any

import dagster as dg

from taxi_pipeline.defs.automation import inputs_updated
from taxi_pipeline.defs.marts import MARTS

GROUP = "analysis"

ANALYSES_JOB = "analyses"

_LIBRARY = "pyfixest"
"""What the extra installs."""

trips_or_weather_updated = inputs_updated.with_label("trips_or_weather_updated")
"""True when trips or weather were loaded since the asset was last made, and nothing of it is being loaded.

Nothing has to be there: what is missing is said in the output. Days far from the fee make it again, too, with the same
bytes: to ask which days changed would cost each look of the automation more than that.
"""


mart_updated = inputs_updated.with_label("mart_updated")
"""True when a month of the mart was made since the asset was, and none is being made."""


def with_analyses(found: Iterable[Any], marts: Iterable[dg.AssetsDefinition] = ()) -> tuple[list[Any], list[Any]]:
    """Leave the assets of the group out without the extra, and those that are made of a mart that is not there.

    Args:
        found: assets of the code location.
        marts: the assets of the marts.

    Returns:
        The assets that can be made, and the jobs of those of the group.
    """
    if importlib.util.find_spec(_LIBRARY) is None:
        return [asset for asset in found if not _is_analysis(asset)], []
    there = {key for mart in marts for key in mart.keys}
    made = [asset for asset in found if not _is_analysis(asset) or _marts_of(asset) <= there]
    job = dg.define_asset_job(
        ANALYSES_JOB,
        selection=dg.AssetSelection.groups(GROUP),
        description="Estimates what the congestion fee changed, and divides the zones into segments. Automation does "
        "it when trips are loaded; this job at any time.",
    )
    return made, [job]


def _is_analysis(asset: Any) -> bool:
    return any(spec.group_name == GROUP for spec in _specs(asset))


def _marts_of(asset: Any) -> set[dg.AssetKey]:
    """The marts that an asset is made of."""
    return {dep.asset_key for spec in _specs(asset) for dep in spec.deps if dep.asset_key.path[0] == MARTS}


def _specs(asset: Any) -> list[dg.AssetSpec]:
    specs = asset.specs if isinstance(asset, dg.AssetsDefinition) else [asset]
    return [spec for spec in specs if isinstance(spec, dg.AssetSpec)]
