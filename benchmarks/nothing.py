"""The same graph without any work: what Dagster alone takes to plan, run and record a month.

    python -m benchmarks.nothing YYYY-MM-DD YYYY-MM-DD

The assets and checks have the names, dependencies, partitions and steps of the pipeline's, and bodies that do nothing.
They run as `taxi-pipeline materialize` runs them, in the instance of DAGSTER_HOME.
"""

import sys
from collections.abc import Iterator
from datetime import date

import dagster as dg

from taxi_pipeline.defs.assets import ASSETS
from taxi_pipeline.defs.checks import CHECKS
from taxi_pipeline.defs.console_runs import QUIET, current_instance
from taxi_pipeline.defs.jobs import daily_trips
from taxi_pipeline.defs.partitions import between, range_tags
from taxi_pipeline.tlc.months import Days


def main(days: Days) -> None:
    """Run it for these days."""
    definitions = dg.Definitions(
        assets=between(days.first, None, ["yellow"], [_idle_asset(asset) for asset in ASSETS]),
        asset_checks=[_idle_check(check) for check in CHECKS],
        jobs=[daily_trips],
        executor=dg.in_process_executor,
    )
    with current_instance() as instance:
        definitions.resolve_job_def("daily_trips").execute_in_process(
            instance=instance, tags=range_tags(days), run_config=QUIET
        )


def _idle_asset(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=asset.op.name,
        specs=[
            dg.AssetSpec(spec.key, deps=spec.deps, group_name=spec.group_name, partitions_def=spec.partitions_def)
            for spec in asset.specs
        ],
        backfill_policy=asset.backfill_policy,
    )
    def idle() -> Iterator[dg.MaterializeResult]:
        for spec in asset.specs:
            yield dg.MaterializeResult(asset_key=spec.key)

    return idle


def _idle_check(check: dg.AssetChecksDefinition) -> dg.AssetChecksDefinition:
    specs = list(check.check_specs)

    @dg.multi_asset_check(name=check.op.name, specs=specs)
    def idle() -> Iterator[dg.AssetCheckResult]:
        for spec in specs:
            yield dg.AssetCheckResult(passed=True, asset_key=spec.asset_key, check_name=spec.name)

    return idle


if __name__ == "__main__":
    main(Days(date.fromisoformat(sys.argv[1]), date.fromisoformat(sys.argv[2])))
