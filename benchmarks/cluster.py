"""Loading on a Spark cluster on loopback: the time of the daemon's runs, and the cost of a month."""

import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.daemon import Backfill, backfill
from benchmarks.measure import run
from taxi_pipeline.opening import warehouse_of
from taxi_pipeline.settings import Settings
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.spark.layout import TABLES_BY_MONTH
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.faulty_proxy import FaultyProxy
from taxi_pipeline_tests.pipelines import LOADING
from taxi_pipeline_tests.running_dagster import dagster_dev
from taxi_pipeline_tests.services.servers import Addresses, SparkCluster
from taxi_pipeline_tests.services.spark import events_of, logged_events, spark_home

Contents = dict[str, tuple[Any, ...]]
"""Table → number of rows, and the sum of their hashes."""


def load(environment: Mapping[str, str], days: list[str], *, runs_at_once: int) -> tuple[Backfill, Contents]:
    """Backfill the days, a run for each month of them.

    Args:
        environment: environment of the pipeline, with zones in its warehouse.
        days: days of whole months.
        runs_at_once: the largest number of runs at a time.

    Returns:
        The times of the backfill, and the content of the tables after it.
    """
    instance = (REPOSITORY / "deploy" / "cluster" / "dagster.yaml").read_text(encoding="utf-8")
    limited, found = re.subn(r"max_concurrent_runs: \d+", f"max_concurrent_runs: {runs_at_once}", instance)
    assert found == 1
    Path(environment["DAGSTER_HOME"], "dagster.yaml").write_text(limited, encoding="utf-8")
    with dagster_dev(environment, Path(environment["TAXI_DATA_DIR"], "dagster_dev.log")) as url:
        took = backfill(url, list(LOADING), days)
    return took, warehouse_of(Settings.from_environment(environment)).query(_contents)


def _contents(session: Session) -> Contents:
    return {
        table.name: session.row(
            f"SELECT count(*), sum(CAST(xxhash64({', '.join(table.column_names)}) AS DECIMAL(38, 0))) FROM {table.name}"
        )
        for table in TABLES_BY_MONTH
    }


@dataclass(frozen=True)
class Cost:
    """The cost of loading a month."""

    num_trips: float
    seconds: float
    """Seconds of the load, without the fetch of the file."""
    executor_seconds: float
    """Seconds in which executors ran tasks, summed over all of them."""
    shuffled_bytes: float
    written_bytes: float
    """Bytes written to the store, with the file."""
    num_requests: Mapping[str, int]
    """Method → number of requests to the store, from pipeline, executors and driver."""

    @property
    def in_words(self) -> str:
        """Write all but the trips in words."""
        requests = ", ".join(f"{count} {method}" for method, count in sorted(self.num_requests.items()))
        return (
            f"{self.seconds:.1f} s, executors {self.executor_seconds:.1f} s, "
            f"{self.shuffled_bytes / 1e6:.0f} MB shuffled, {self.written_bytes / 1e6:.0f} MB written"
            + (f" by {requests}" if requests else "")
        )

    def of_million_more_than(self, other: "Cost") -> "Cost":
        """The cost of a million trips more, from the difference of two loads; without the requests."""
        millions = (self.num_trips - other.num_trips) / 1e6
        return Cost(
            1e6,
            (self.seconds - other.seconds) / millions,
            (self.executor_seconds - other.executor_seconds) / millions,
            (self.shuffled_bytes - other.shuffled_bytes) / millions,
            (self.written_bytes - other.written_bytes) / millions,
            {},
        )


class MeasuredCluster:
    """A cluster that reports what its tasks did, and a store behind a proxy that counts requests."""

    def __init__(self, folder: Path, servers: Addresses, proxy: FaultyProxy) -> None:
        """Describe the cluster; nothing is started yet.

        Args:
            folder: holds what Spark writes.
            servers: addresses of the other servers.
            proxy: the proxy in front of the store.
        """
        home = spark_home()
        assert home is not None
        self._folder = folder
        self._proxy = proxy
        counted = replace(servers, s3=proxy.url)
        self.cluster = SparkCluster(folder, home, counted.credentials())
        self.variables = replace(counted, spark=self.cluster.url).for_pipeline()

    def load(self, environment: Mapping[str, str], month: date) -> Cost:
        """Fetch and load a month of yellow taxis, in a process of its own."""
        first_event, first_request = len(self._tasks()), len(self._proxy.requests)
        output = run([sys.executable, "-W", "ignore", "-c", LOAD, str(month)], environment).output.split()
        metrics = [task["Task Metrics"] for task in self._tasks()[first_event:] if "Task Metrics" in task]
        requests = self._proxy.requests[first_request:]
        return Cost(
            num_trips=int(output[0]),
            seconds=float(output[1]),
            executor_seconds=sum(metric["Executor Run Time"] for metric in metrics) / 1000,
            shuffled_bytes=sum(metric["Shuffle Write Metrics"]["Shuffle Bytes Written"] for metric in metrics),
            written_bytes=sum(request.size_bytes for request in requests),
            num_requests=Counter(request.method for request in requests),
        )

    def _tasks(self) -> list[dict[str, Any]]:
        return logged_events(events_of(self._folder), "SparkListenerTaskEnd")


LOAD = """
import sys, time
from datetime import date
from taxi_pipeline.opening import files_of, warehouse_of
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import YELLOW
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.warehouse.coverage import loaded_totals
from taxi_pipeline.warehouse.ingest import load_days
settings = Settings.from_environment()
files, warehouse = files_of(settings), warehouse_of(settings)
month = Days.of_month(date.fromisoformat(sys.argv[1]))
name = trips_file(YELLOW, month.first)
fetch(f"{settings.tlc_url}/trip-data/{name.rpartition('/')[2]}", files, name, verify=lambda _: None)
begun = time.perf_counter()
warehouse.change(load_days, YELLOW, [month], files)
seconds = time.perf_counter() - begun
((_, _, num_trips, _),) = warehouse.query(loaded_totals, month)
print(num_trips, seconds)
"""
