"""The boundaries to the world as Dagster resources: the warehouse, the file storage, the TLC's server, a webhook.

Each builds a plain object out of its configuration; assets get that object. Nothing else opens a connection, knows a
path or makes a request.
"""

from typing import TypedDict

import dagster as dg

from taxi_pipeline.defs.io_managers import build_datasets_io_manager
from taxi_pipeline.defs.resources.alerts import Alerts
from taxi_pipeline.defs.resources.boundaries import (
    FilesResource,
    SparkWarehouseResource,
    TlcResource,
    WarehouseResource,
)
from taxi_pipeline.settings import Settings
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.interface import Warehouse

POOL = "duckdb"
"""Every asset and check that opens the warehouse is in this pool. With DuckDB its limit lets one run at a time do so;
on a cluster the instance sets no limit."""

DATASETS = "datasets"
"""Key of the IO manager that keeps data frames as files."""

WarehouseParam = dg.ResourceParam[Warehouse]
FilesParam = dg.ResourceParam[Storage]
TlcParam = dg.ResourceParam[TlcSource]


class Resources(TypedDict):
    """The resources under the keys by which assets name them."""

    warehouse: WarehouseResource | SparkWarehouseResource
    files: FilesResource
    tlc: TlcResource
    alerts: Alerts
    datasets: dg.IOManagerDefinition


def build_resources(settings: Settings) -> Resources:
    """The resources for these settings."""
    return Resources(
        warehouse=_warehouse(settings),
        files=FilesResource(
            url=settings.storage_url, scratch=str(settings.scratch_dir), pages_url=settings.pages_url or ""
        ),
        tlc=TlcResource(
            url=settings.tlc_url,
            zones_url=settings.zones_url,
            fleets=list(settings.fleets),
            accepted=list(settings.accepted),
            last_day=settings.end_date.isoformat() if settings.end_date else "",
        ),
        alerts=Alerts(webhook_url=settings.alert_webhook_url or ""),
        datasets=build_datasets_io_manager(settings.datasets_format),
    )


def _warehouse(settings: Settings) -> WarehouseResource | SparkWarehouseResource:
    if settings.engine == "duckdb":
        return WarehouseResource(database=str(settings.duckdb_database))
    return SparkWarehouseResource(
        remote=settings.spark_remote,
        catalog_url=dg.EnvVar("TAXI_CATALOG_URL"),
        storage_url=settings.storage_url,
        s3_endpoint=settings.s3_endpoint or "",
        namespace=settings.catalog_namespace,
    )


__all__ = [
    "DATASETS",
    "POOL",
    "Alerts",
    "FilesParam",
    "FilesResource",
    "Resources",
    "SparkWarehouseResource",
    "TlcParam",
    "TlcResource",
    "WarehouseParam",
    "WarehouseResource",
    "build_resources",
]
