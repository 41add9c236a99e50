"""Group `analysis`: questions of cause, in the graph when the extra `analysis` is installed.

The assets are in `assets/`, as others are; here is when they are left out, the job that makes them, and when automation
does.
"""

import importlib.util
from collections.abc import Iterable
from typing import Any

import dagster as dg

from taxi_pipeline.defs.automation import inputs_updated

GROUP = "analysis"

ANALYSES_JOB = "analyses"

_LIBRARY = "pyfixest"
"""What the extra installs."""

trips_or_weather_updated = inputs_updated.with_label("trips_or_weather_updated")
"""True when trips or weather were loaded since the asset was last made, and nothing of it is being loaded.

Nothing has to be there: what is missing is said in the output. Days far from the fee make it again, too, with the same
bytes: to ask which days changed would cost each look of the automation more than that.
"""


def with_analyses(found: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Leave the assets of the group out without the extra.

    Args:
        found: assets of the code location.

    Returns:
        The assets that can be made, and the jobs of those of the group.
    """
    if importlib.util.find_spec(_LIBRARY) is None:
        return [asset for asset in found if not _is_analysis(asset)], []
    job = dg.define_asset_job(
        ANALYSES_JOB,
        selection=dg.AssetSelection.groups(GROUP),
        description="Estimates what the congestion fee changed. Automation does it when trips are loaded; this job at "
        "any time.",
    )
    return list(found), [job]


def _is_analysis(asset: Any) -> bool:
    specs = asset.specs if isinstance(asset, dg.AssetsDefinition) else [asset]
    return any(isinstance(spec, dg.AssetSpec) and spec.group_name == GROUP for spec in specs)
