"""Warehouses for tests that run on each engine; those on the Spark cluster have tables of their own."""

import json
import os
import time
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Warehouse
from taxi_pipeline.warehouse.spark import SparkWarehouse
from taxi_pipeline.warehouse.spark.layout import ICEBERG_TABLES
from taxi_pipeline_tests.services.fixtures import service
from taxi_pipeline_tests.services.spark import logged_events

SPARK = pytest.param("spark", marks=pytest.mark.cluster)
"""A parameter `spark`, which runs in `make test-cluster`."""
ENGINES = ("duckdb", SPARK)


def warehouse_of(engine: str, folder: Path) -> Warehouse:
    """A warehouse without tables: of the engine `duckdb` or `spark`."""
    return DuckDBWarehouse(folder / "data.duckdb") if engine == "duckdb" else spark_warehouse(folder)


def spark_warehouse(
    storage: Path | str, namespace: str | None = None, remote: str | None = None, catalog_url: str | None = None
) -> SparkWarehouse:
    """A warehouse without tables; or, with the namespace of an earlier one, the same.

    Args:
        storage: a folder or a URL.
        namespace: of the tables; None for one that nothing has.
        remote: of a cluster of the test's own; None for the one that all tests share.
        catalog_url: a database of the test's own; None for the one that all tests share.
    """
    return SparkWarehouse(
        remote=remote or service("TAXI_TEST_SPARK_REMOTE", started_by="make test-cluster"),
        catalog_url=catalog_url or service("TAXI_TEST_POSTGRES_URL", started_by="make test-cluster"),
        storage_url=storage.as_uri() if isinstance(storage, Path) else storage,
        s3_endpoint=os.environ.get("AWS_ENDPOINT_URL"),
        namespace=namespace or f"t{uuid.uuid4().hex[:12]}",
    )


def settings_of(warehouse: SparkWarehouse) -> dict[str, str]:
    """The variables of docs/cluster.md by which another process opens the warehouse."""
    return {
        "TAXI_ENGINE": "spark",
        "SPARK_REMOTE": service("TAXI_TEST_SPARK_REMOTE", started_by="make test-cluster"),
        "TAXI_CATALOG_URL": service("TAXI_TEST_POSTGRES_URL", started_by="make test-cluster"),
        "TAXI_CATALOG_NAMESPACE": warehouse.name.partition(".")[2],
    }


def leftovers(warehouse: SparkWarehouse) -> dict[str, list[int]]:
    """Table → the numbers of rows of snapshots that were staged and are neither published nor deleted.

    They are read out of the tables' metadata files in a folder, without Spark: to ask it would take seconds.
    """
    import psycopg2

    with warehouse.read():  # it publishes what was decided
        pass
    found: dict[str, list[int]] = {}
    with closing(psycopg2.connect(warehouse._catalog_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, metadata_location FROM iceberg_tables "
            "WHERE table_namespace = %s AND iceberg_type = 'TABLE'",
            [warehouse.name.partition(".")[2]],
        )
        for name, location in cursor.fetchall():
            metadata = json.loads(Path(urlsplit(location).path).read_text())
            current = {entry["snapshot-id"] for entry in metadata["snapshot-log"]}
            summaries = {each["snapshot-id"]: each["summary"] for each in metadata["snapshots"]}
            published = {summary.get("published-wap-id") for summary in summaries.values()}
            left = [
                int(summary.get("added-records", 0))
                for snapshot, summary in summaries.items()
                if snapshot not in current and summary.get("wap.id") not in published
            ]
            found |= {name: left} if left else {}
    assert cursor.rowcount > len(ICEBERG_TABLES), "publications is one of them"
    return found


def num_jobs(warehouse: SparkWarehouse) -> int:
    """The number of jobs that Spark has run for the connection of this process."""
    logged = Path(service("TAXI_TEST_SPARK_EVENTS", started_by="make test-cluster"))
    with warehouse.read() as session:
        spark, last = session.spark, f"last-{uuid.uuid4().hex}"
    spark.addTag(last)
    spark.range(1).collect()
    spark.removeTag(last)
    while True:
        started = [event["Properties"]["spark.job.tags"] for event in logged_events(logged, "SparkListenerJobStart")]
        jobs = [tags for tags in started if spark.session_id in tags]
        if any(last in tags for tags in jobs):
            return len([tags for tags in jobs if "last-" not in tags])
        time.sleep(0.1)
