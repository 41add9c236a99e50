"""Warehouses on the Spark cluster that `make test-cluster` starts, each with tables of its own."""

import os
import uuid
from pathlib import Path

from taxi_pipeline.warehouse.spark import SparkWarehouse
from taxi_pipeline_tests.services.fixtures import service


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
