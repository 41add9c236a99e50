"""The condition `window_complete` asks for the same partitions as a plainer one, whatever happens between two looks."""

import random
from typing import Any

import dagster as dg
import pytest
from dagster import AutomationCondition as When

from taxi_pipeline.defs.automation import window_complete

DAYS = dg.DailyPartitionsDefinition("2023-01-01", end_date="2023-01-22")
WEEKS = dg.WeeklyPartitionsDefinition("2023-01-01", end_date="2023-01-22")
FLEET_WEEKS = dg.MultiPartitionsDefinition({"fleet": dg.StaticPartitionsDefinition(["a", "b"]), "week": WEEKS})
MADE = ("weeks", "by_fleet")


def _plain() -> dg.AutomationCondition:
    """What the condition says, with every part of it written out where it counts; slow with long histories."""
    reference = dg.AssetSelection.assets("taxi_zones", "code_tables")
    complete = ~When.any_deps_missing()
    changed = (
        (When.missing() & complete).newly_true()
        | When.any_deps_updated().ignore(reference)
        | When.any_deps_match(When.data_version_changed()).allow(reference)
    )
    handled = When.newly_requested() | When.newly_updated()
    return (changed.since(handled) | changed) & complete & ~When.any_deps_in_progress() & ~When.in_progress()


class Graph:
    """Days and zones, weeks made of them, and weeks of fleets made of those, with one condition."""

    def __init__(self, condition: dg.AutomationCondition, instance: dg.DagsterInstance) -> None:
        week = dg.MultiToSingleDimensionPartitionMapping("week")
        specs = [
            dg.AssetSpec("days", partitions_def=DAYS),
            dg.AssetSpec("taxi_zones"),
            dg.AssetSpec("weeks", partitions_def=WEEKS, deps=["days", "taxi_zones"], automation_condition=condition),
            dg.AssetSpec(
                "by_fleet",
                partitions_def=FLEET_WEEKS,
                deps=[dg.AssetDep("weeks", partition_mapping=week), "taxi_zones"],
                automation_condition=condition,
            ),
        ]

        self._definitions = dg.Definitions(assets=[*specs[:2], *_as_assets(specs[2:])])
        self._instance = instance
        self._cursor: Any = None

    def record(self, asset: str, partition: str | None, version: str) -> None:
        """Record an asset, or one of its partitions, as made."""
        event = dg.AssetMaterialization(asset, partition=partition, tags={"dagster/data_version": version})
        self._instance.report_runless_asset_event(event)

    def wipe(self, asset: str) -> None:
        """Make all partitions of an asset missing."""
        self._instance.wipe_assets([dg.AssetKey(asset)])

    def requested(self) -> dict[str, list[str]]:
        """Asset → partitions that are asked for at this look."""
        result = dg.evaluate_automation_conditions(
            self._definitions, self._instance, dg.AssetSelection.assets(*MADE), cursor=self._cursor
        )
        self._cursor = result.cursor
        return {name: sorted(map(str, result.get_requested_partitions(dg.AssetKey(name)))) for name in MADE}


def _as_assets(specs: list[dg.AssetSpec]) -> list[dg.AssetsDefinition]:
    """Assets that can be made; each is a step of its own."""

    def asset_of(spec: dg.AssetSpec) -> dg.AssetsDefinition:
        @dg.multi_asset(name=f"make_{spec.key.to_user_string()}", specs=[spec])
        def made() -> None: ...

        return made

    return [asset_of(spec) for spec in specs]


@pytest.mark.filterwarnings("ignore:Class `MultiToSingleDimensionPartitionMapping`:dagster.BetaWarning")
@pytest.mark.parametrize("seed", range(4))
def test_it_asks_for_what_a_plainer_condition_asks_for(seed: int) -> None:
    """Days come, come again or are wiped, zones change, runs succeed, fail or wait, several of it between two looks."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    with dg.DagsterInstance.ephemeral() as ours, dg.DagsterInstance.ephemeral() as theirs:
        graphs = [Graph(window_complete, ours), Graph(_plain(), theirs)]
        asked_for = 0
        for step in range(25):
            for _ in range(chance.randint(0, 4)):
                _happens(graphs, chance, step)
            found, expected = (graph.requested() for graph in graphs)
            assert found == expected, f"look {step}"
            asked_for += sum(map(len, found.values()))
            for asset, partitions in found.items():
                for partition in partitions:
                    if chance.random() < 0.6:
                        _record(graphs, asset, partition, str(step))
    assert asked_for > 3, "the test can fail"


def _happens(graphs: list[Graph], chance: random.Random, step: int) -> None:
    """Something happens to all graphs."""
    what = chance.choices(["week", "day", "zones", "made", "wiped"], [5, 4, 2, 2, 1])[0]
    if what == "week":
        start = chance.choice(WEEKS.get_partition_keys())
        first = DAYS.get_partition_keys().index(start)
        for day in DAYS.get_partition_keys()[first : first + 7]:
            _record(graphs, "days", day, str(step))
    elif what == "day":
        _record(graphs, "days", chance.choice(DAYS.get_partition_keys()), str(step))
    elif what == "zones":
        _record(graphs, "taxi_zones", None, str(chance.randint(1, 2)))
    elif what == "made":
        _record(graphs, "weeks", chance.choice(WEEKS.get_partition_keys()), str(step))
    else:
        asset = chance.choice(["days", "weeks", "by_fleet"])
        for graph in graphs:
            graph.wipe(asset)


def _record(graphs: list[Graph], asset: str, partition: str | None, version: str) -> None:
    for graph in graphs:
        graph.record(asset, partition, version)
