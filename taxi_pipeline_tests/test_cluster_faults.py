"""What kills can do to a warehouse on a cluster: nothing lost, nothing counted twice, and the next run repairs it.

The processes are real: those that load months, and a cluster's executor, worker and Connect server, which is also the
driver. Several months are loaded at once.
"""

import os
import random
import signal
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.tlc.zones import Zone
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.interface import Session, Warehouse
from taxi_pipeline.warehouse.reference import replace_zones
from taxi_pipeline.warehouse.spark import SparkWarehouse
from taxi_pipeline.warehouse.sql import month_start
from taxi_pipeline_tests.pipelines import contents
from taxi_pipeline_tests.processes import process, wait_for_file
from taxi_pipeline_tests.services import spark
from taxi_pipeline_tests.services.fixtures import service
from taxi_pipeline_tests.services.servers import SparkCluster
from taxi_pipeline_tests.services.warehouses import leftovers, spark_warehouse

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

MONTHS = tuple(Days.of_month(date(2023, month, 1)) for month in (2, 3, 4, 5))
KILLS = 20
SEED = 20230201
ZONES = [Zone(zone_id, f"Zone {zone_id}", "Queens" if zone_id % 2 else "Bronx", None) for zone_id in range(1, 266)]


@pytest.fixture(scope="module")
def editions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two mirrors: of four months as they were first published, and of the same published anew with more trips."""
    made = [tmp_path_factory.mktemp(f"edition{number}") for number in range(2)]
    for folder, trips_per_day in zip(made, (15, 20), strict=True):
        write_mirror(folder, Days(MONTHS[0].first, MONTHS[-1].last), fleet="green", trips_per_day=trips_per_day)
    return made


@dataclass(frozen=True)
class Loader:
    """The arguments of a process that loads a month."""

    folder: Path
    namespace: str
    remote: str | None = None

    @property
    def warehouse(self) -> SparkWarehouse:
        return spark_warehouse(self.folder, self.namespace, self.remote)

    def start(self, edition: Path, month: Days) -> Any:
        """A process that loads the month, which has begun."""
        begun = self.folder / f"begun-{uuid.uuid4().hex}"
        child = process(_load, self, edition, month, begun)
        wait_for_file(begun, child)
        return child


def _load(loader: Loader, edition: Path, month: Days, begun: Path) -> None:
    files = _files(loader.folder, edition, month)
    begun.touch()
    loader.warehouse.change(load_days, GREEN, [month], files)


def _files(folder: Path, edition: Path, month: Days) -> LocalFolder:
    files = LocalFolder(folder / edition.name)
    name = trips_file(GREEN, month.first)
    source = edition / "trip-data" / name.rpartition("/")[2]
    fetch(source.as_uri(), files, name, verify=lambda _: None)
    return files


def _expected(folder: Path, edition: Path, months: Sequence[Days] = MONTHS) -> DuckDBWarehouse:
    warehouse = DuckDBWarehouse(folder / f"{edition.name}.duckdb")
    warehouse.change(replace_zones, ZONES, "zones", synthetic=True)
    for month in months:
        warehouse.change(load_days, GREEN, [month], _files(folder, edition, month))
    return warehouse


def _counts(session: Session) -> dict[date, tuple[int, ...]]:
    """Month → its trips, as the four tables count them."""
    counts: dict[date, tuple[int, ...]] = {}
    for table, trips in (
        ("loaded_days", "sum(num_trips)"),
        ("trips", "count(*)"),
        ("zone_hourly_trips", "sum(num_trips)"),
        ("borough_flows", "sum(num_trips)"),
    ):
        month = month_start("pickup_date")
        for first, found in session.rows(f"SELECT {month}, {trips} FROM {table} GROUP BY {month}"):
            counts[first] = (*counts.get(first, ()), int(found))
    return counts


def _whole(warehouse: Warehouse, editions: Sequence[dict[date, tuple[int, ...]]]) -> bool:
    """True if each month is one edition's in every table."""
    return all(found in [edition[month] for edition in editions] for month, found in warehouse.query(_counts).items())


def test_killed_loads_are_as_if_they_had_never_been_or_as_if_they_were_done(
    editions: list[Path], tmp_path: Path
) -> None:
    """Twenty SIGKILLs at moments drawn from a seed, while four months are replaced at the same time."""
    draw = random.Random(SEED)  # noqa: S311 - only moments
    loader = Loader(tmp_path, f"t{uuid.uuid4().hex[:12]}")
    loader.warehouse.change(replace_zones, ZONES, "zones", synthetic=True)
    expected = [_expected(tmp_path, edition) for edition in editions]
    counts = [warehouse.query(_counts) for warehouse in expected]
    began = time.monotonic()
    for child in [loader.start(editions[0], month) for month in MONTHS]:
        child.join()
    duration = time.monotonic() - began
    assert contents(loader.warehouse) == contents(expected[0])
    killed, number = 0, 0
    while killed < KILLS:
        number += 1
        children = [loader.start(editions[number % 2], month) for month in MONTHS]
        for child in children:
            child.join(draw.uniform(0, duration / len(MONTHS)))
            if child.exitcode is None:
                os.kill(child.pid, signal.SIGKILL)
                child.join()
                killed += 1
            else:
                assert child.exitcode == 0
        assert _whole(loader.warehouse, counts)
    _load_undisturbed(loader, editions[1], MONTHS)
    assert contents(loader.warehouse) == contents(expected[1])
    # Four loads at once can be in each other's way when they delete what was staged; the next load deletes the rest.
    for month in MONTHS:
        _load_undisturbed(loader, editions[0], [month])
    assert contents(loader.warehouse) == contents(expected[0])
    assert leftovers(loader.warehouse) == {}


def _load_undisturbed(loader: Loader, edition: Path, months: Sequence[Days]) -> None:
    children = [loader.start(edition, month) for month in months]
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * len(months)


def test_parts_of_the_cluster_are_killed_while_two_months_load(editions: list[Path], tmp_path: Path) -> None:
    """An executor, which Spark replaces; a worker with its executor; the Connect server, which is the driver, too."""
    service("TAXI_TEST_SPARK_REMOTE", started_by="make test-cluster")
    home = spark.spark_home()
    assert home is not None
    (tmp_path / "cluster").mkdir()
    months = MONTHS[:2]
    expected = [_expected(tmp_path, edition, months) for edition in editions]
    counts = [warehouse.query(_counts) for warehouse in expected]
    with SparkCluster(tmp_path / "cluster", home, {}).running() as cluster:
        loader = Loader(tmp_path, f"t{uuid.uuid4().hex[:12]}", cluster.url)
        loader.warehouse.change(replace_zones, ZONES, "zones", synthetic=True)
        for number, victim in enumerate(["executor", "worker0", "connect"]):
            children = [loader.start(editions[number % 2], month) for month in months]
            time.sleep(4)
            cluster.kill(victim)
            for child in children:
                child.join()
            if victim != "connect":
                assert [child.exitcode for child in children] == [0, 0], "Spark runs the tasks again elsewhere"
            if victim != "executor":
                cluster.start(victim)
            assert _whole(loader.warehouse, counts), victim
        _load_undisturbed(loader, editions[1], months)
        assert contents(loader.warehouse) == contents(expected[1])
        assert leftovers(loader.warehouse) == {}
