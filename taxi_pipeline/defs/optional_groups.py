"""Assets that are in the graph where an extra is installed, with their jobs, or where a setting asks for them.

The assets are in `assets/`, as others are. Marts and notebooks, which are built out of files, have modules of their
own.
"""

import importlib.util
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from taxi_pipeline.defs import analyses, deliveries
from taxi_pipeline.defs.marts import MARTS


@dataclass(frozen=True)
class OptionalGroup:
    """A group that is left out without a library."""

    group: str
    library: str
    """What the extra of the group's name installs."""
    job: str
    """Name of the job."""
    assets: dg.AssetSelection
    """What the job makes."""
    description: str
    """Of the job."""

    @property
    def is_installed(self) -> bool:
        """Whether the library is there; it is not imported."""
        return importlib.util.find_spec(self.library) is not None


OPTIONAL_GROUPS = (
    OptionalGroup(
        group=analyses.GROUP,
        library="pyfixest",
        job="analyses",
        assets=dg.AssetSelection.groups(analyses.GROUP),
        description="Estimates what the congestion fee changed, and divides the zones into segments. Automation does "
        "it when trips are loaded; this job at any time.",
    ),
    OptionalGroup(
        group=deliveries.GROUP,
        library="weasyprint",
        job="report_pdfs",
        assets=dg.AssetSelection.assets("monthly_report_pdf"),
        description="Makes PDFs of monthly reports, and sends nothing. Automation makes each after its report; this "
        "job any of them.",
    ),
)


def with_optional_groups(
    found: Iterable[Any], marts: Iterable[dg.AssetsDefinition] = (), switched_off: Container[dg.AssetKey] = ()
) -> tuple[list[Any], list[Any]]:
    """Leave out the assets whose library is not installed, those made of a mart that is not there, and some more.

    Args:
        found: assets of the code location.
        marts: the assets of the marts.
        switched_off: assets that the settings do not ask for.

    Returns:
        The assets that can be made, and the jobs of those of these groups.
    """
    left_out = {each.group for each in OPTIONAL_GROUPS if not each.is_installed}
    jobs = [
        dg.define_asset_job(each.job, selection=each.assets, description=each.description)
        for each in OPTIONAL_GROUPS
        if each.is_installed
    ]
    there = {key for mart in marts for key in mart.keys}
    kept = [
        asset
        for asset in found
        if not _groups_of(asset) & left_out
        and _marts_of(asset) <= there
        and not any(spec.key in switched_off for spec in _specs(asset))
    ]
    return kept, jobs


def _groups_of(asset: Any) -> set[str]:
    return {spec.group_name or "" for spec in _specs(asset)}


def _marts_of(asset: Any) -> set[dg.AssetKey]:
    """The marts that an asset is made of."""
    return {dep.asset_key for spec in _specs(asset) for dep in spec.deps if dep.asset_key.path[0] == MARTS}


def _specs(asset: Any) -> list[dg.AssetSpec]:
    specs = asset.specs if isinstance(asset, dg.AssetsDefinition) else [asset]
    return [spec for spec in specs if isinstance(spec, dg.AssetSpec)]
