"""Processor time of a look of the automation at what is due, when nothing is; prints the seconds.

`python -m benchmarks.tick loaded` first records every partition of the graph as made, by events and without any work.
The settings come from the environment.
"""

import sys
import time

import dagster as dg

from taxi_pipeline.defs.code_location import build_definitions

LOOKED_AT = dg.AssetSelection.groups("reports", "datasets")
"""What the sensor looks at, without marts."""

MADE = ("warehouse", "reports", "datasets", "indicators")
"""Groups whose assets are recorded as made."""


def idle_seconds(*, loaded: bool) -> float:
    """Look twice, and return the processor time of the second look, in seconds.

    Raises:
        RuntimeError: the second look found something to do.
    """
    definitions = build_definitions()
    with dg.DagsterInstance.ephemeral() as instance:
        if loaded:
            _record_all(definitions, instance)
        cursor = dg.evaluate_automation_conditions(definitions, instance, LOOKED_AT).cursor
        begun = time.process_time()
        result = dg.evaluate_automation_conditions(definitions, instance, LOOKED_AT, cursor=cursor)
        seconds = time.process_time() - begun
    if result.total_requested:
        raise RuntimeError(f"{result.total_requested} partitions were due")
    return seconds


def _record_all(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    for spec in definitions.resolve_all_asset_specs():
        if spec.group_name not in MADE:
            continue
        for key in spec.partitions_def.get_partition_keys() if spec.partitions_def else [None]:
            instance.report_runless_asset_event(dg.AssetMaterialization(spec.key, partition=key))


if __name__ == "__main__":
    print(idle_seconds(loaded="loaded" in sys.argv[1:]))  # noqa: T201 - its result
