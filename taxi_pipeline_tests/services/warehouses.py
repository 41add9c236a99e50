"""Warehouses for tests that run on each engine; those on the Spark cluster have tables of their own."""

import os
import uuid
from pathlib import Path

import pytest

from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Warehouse
from taxi_pipeline.warehouse.spark import SparkWarehouse
from taxi_pipeline.warehouse.spark.layout import ICEBERG_TABLES
from taxi_pipeline_tests.services.fixtures import service

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
    """Table → the numbers of rows of snapshots that were staged and are neither published nor deleted."""
    found: dict[str, list[int]] = {}
    with warehouse.read() as session:
        for table in ICEBERG_TABLES:
            name = session.name_of(table)
            current = {row.snapshot_id for row in session.ask(f"SELECT snapshot_id FROM {name}.history").collect()}
            snapshots = session.ask(f"SELECT snapshot_id, summary FROM {name}.snapshots").collect()
            published = {row.summary.get("published-wap-id") for row in snapshots}
            left = [
                int(row.summary.get("added-records", 0))
                for row in snapshots
                if row.snapshot_id not in current and row.summary.get("wap.id") not in published
            ]
            found |= {table.name: left} if left else {}
    return found
