"""The definitions as a text that is under version control, so that the graph can't change unnoticed.

`pytest taxi_pipeline_tests/test_definitions_snapshot.py --renew-baselines` writes it anew.
"""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline_tests.conftest import SPARK
from taxi_pipeline_tests.pipelines import settings_of

SNAPSHOT = Path(__file__).parent / "baselines" / "definitions.json"
SETTINGS = {"TAXI_FLEETS": "yellow,green", "TAXI_END_DATE": "2024-12-31"}


def snapshot_of(definitions: dg.Definitions) -> dict[str, Any]:
    """The part of the definitions that people and other programs rely on.

    It has no texts, no code versions, and nothing that depends on the day.
    """
    graph, repository = definitions.resolve_asset_graph(), definitions.get_repository_def()
    found: dict[str, Any] = {"assets": {}, "checks": {}, "jobs": {}, "schedules": {}, "sensors": {}}
    for spec in definitions.resolve_all_asset_specs():
        node = graph.get(spec.key)
        found["assets"][spec.key.to_user_string()] = _without_empty(
            {
                "group": spec.group_name,
                "deps": _mappings(spec),
                "partitions": str(spec.partitions_def) if spec.partitions_def else None,
                "kinds": sorted(spec.kinds),
                "tags": {key: value for key, value in spec.tags.items() if not key.startswith("dagster/kind")},
                "owners": list(spec.owners),
                "pools": sorted(node.pools or ()),
                "backfill": str(node.backfill_policy) if node.backfill_policy else None,
                "automation": spec.automation_condition.get_label() if spec.automation_condition else None,
                "freshness": str(spec.freshness_policy) if spec.freshness_policy else None,
                "columns": _columns(spec),
                "has_code_version": spec.code_version is not None,
            }
        )
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        found["checks"][key.to_user_string()] = "blocking" if spec.blocking else "not blocking"
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            layer = job.asset_layer
            found["jobs"][job.name] = {
                "assets": sorted(key.to_user_string() for key in layer.selected_asset_keys),
                "num_checks": len(layer.asset_graph.asset_check_keys),
                "partitions": str(job.partitions_def) if job.partitions_def else None,
            }
    for schedule in repository.schedule_defs:
        found["schedules"][schedule.name] = {
            "cron": f"{schedule.cron_schedule} {schedule.execution_timezone}",
            "job": schedule.job_name,
            "status": schedule.default_status.value,
        }
    for sensor in repository.sensor_defs:
        found["sensors"][sensor.name] = {
            "type": sensor.sensor_type.value,
            "jobs": [target.job_name for target in sensor.targets],
            "status": sensor.default_status.value,
        }
    found["resources"] = {key: type(value).__name__ for key, value in (definitions.resources or {}).items()}
    return {kind: dict(sorted(named.items())) for kind, named in found.items()}


def _mappings(spec: dg.AssetSpec) -> dict[str, str]:
    """Asset → mapping, by name: the order of an asset's inputs is not the same in each process."""
    deps = {dep.asset_key.to_user_string(): _mapping(dep.partition_mapping) for dep in spec.deps}
    return dict(sorted(deps.items()))


def _mapping(mapping: dg.PartitionMapping | None) -> str:
    return str(mapping) if mapping else "as they are"


def _columns(spec: dg.AssetSpec) -> int:
    schema = spec.metadata.get("dagster/column_schema")
    return len(schema.columns) if isinstance(schema, dg.TableSchema) else 0


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def test_the_definitions_are_as_they_were(request: pytest.FixtureRequest) -> None:
    """To accept a change on purpose, look at its diff: run this file with `--renew-baselines`."""
    found = json.dumps(snapshot_of(build_definitions(settings=settings_of(SETTINGS))), indent=1) + "\n"
    if request.config.getoption("--renew-baselines"):
        SNAPSHOT.write_text(found, encoding="utf-8")
    assert found == SNAPSHOT.read_text(encoding="utf-8")


def test_a_cluster_has_the_same_definitions_and_upkeep() -> None:
    laptop = snapshot_of(build_definitions(settings=settings_of(SETTINGS)))
    cluster = snapshot_of(build_definitions(settings=settings_of({**SETTINGS, **SPARK})))
    assert cluster["jobs"].pop("warehouse_maintenance")
    assert cluster["schedules"].pop("monthly_maintenance")
    for kind in ("checks", "jobs", "schedules", "sensors"):
        assert laptop[kind] == cluster[kind], kind
    assert [*laptop["assets"]] == [*cluster["assets"]]
