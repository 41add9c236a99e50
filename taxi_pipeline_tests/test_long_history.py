"""An instance with a history that is written as events: what the UI counts on it, and what is deleted of it."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.history import PAGES, opened, reload_seconds, write_history
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.superseded_runs import superseded_runs
from taxi_pipeline_tests.browsers import browser_or_skip
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.pipelines import settings_of
from taxi_pipeline_tests.running_dagster import ask, dagster_dev, instance_of

pytestmark = pytest.mark.slow

SETTINGS = {
    "TAXI_FLEETS": "yellow,green,fhv,fhvhv",
    "TAXI_START_DATE": "2023-01-01",
    "TAXI_END_DATE": "2023-03-31",
    "TAXI_MARTS": "off",
    "TAXI_NOTEBOOKS": "off",
}
NUM_PARTITIONS = {"taxi_trips": 90, "week_summary": 12, "monthly_report": 3, "zone_hours": 12, "demand_model": 12}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster home with the history of three months of four fleets, twice."""
    folder = tmp_path_factory.mktemp("history")
    shutil.copy(REPOSITORY / "dagster.yaml", folder)
    definitions = build_definitions(settings=settings_of(SETTINGS))
    with instance_of(folder) as instance:
        for _ in range(2):
            write_history(definitions, instance)
    return folder


@pytest.fixture(scope="module")
def ui(home: Path) -> Iterator[str]:
    """The URL of the UI on that history."""
    environment = {**os.environ, **SETTINGS, "DAGSTER_HOME": str(home), "TAXI_DATA_DIR": str(home / "data")}
    with dagster_dev(environment | {"NO_PROXY": "127.0.0.1"}, home / "dagster_dev.log") as url:
        yield url


def test_every_partition_is_made_and_half_of_the_runs_are_superseded(home: Path) -> None:
    with instance_of(home) as instance:
        for name, number in NUM_PARTITIONS.items():
            assert len(instance.get_materialized_partitions(dg.AssetKey(name))) == number, name
        runs = instance.get_run_records()
        later = datetime.now(UTC) + timedelta(days=1)
        superseded = superseded_runs(instance, ended_before=later)
    assert len(superseded) == len(runs) / 2


def test_the_ui_counts_the_partitions_of_all_assets(ui: str) -> None:
    nodes = ask(ui, STATISTICS)["assetNodes"]
    found = {"/".join(node["assetKey"]["path"]): node["partitionStats"] for node in nodes}
    assert {name: found[name]["numMaterialized"] for name in NUM_PARTITIONS} == NUM_PARTITIONS
    assert {name: found[name]["numPartitions"] for name in NUM_PARTITIONS} == NUM_PARTITIONS
    assert {stats["numFailed"] for stats in found.values() if stats} == {0}
    assert reload_seconds(ui) > 0


def test_the_pages_that_the_benchmark_measures_ask_the_server(ui: str) -> None:
    """Regression: a page that shows an error asks little, and would be the fastest of all."""
    with browser_or_skip() as browser:
        asked = {what: set(opened(browser, ui, what).seconds) for what in PAGES}
    assert all(len(queries) > 1 for queries in asked.values()), asked
    assert any("Live" in query for query in asked["lineage"]), asked["lineage"]
    assert "PartitionHealthQuery" in asked["partitions of an asset"], asked["partitions of an asset"]


STATISTICS = """
query Statistics {
  assetNodes { assetKey { path } partitionStats { numMaterialized numFailed numPartitions } }
}
"""
