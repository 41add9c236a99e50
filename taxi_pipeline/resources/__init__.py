"""The boundaries to the world, one module each: the DuckDB warehouse, the data folder, the TLC's server, a webhook.

Nothing else opens a connection, knows a path or makes a request.
"""

from typing import TypedDict

from taxi_pipeline.resources.alerts import Alerts
from taxi_pipeline.resources.file_store import FileStore, MissingFileError
from taxi_pipeline.resources.tlc_source import TlcSource
from taxi_pipeline.resources.warehouse import NothingLoadedError, Warehouse, WarehouseUnavailableError
from taxi_pipeline.settings import Settings


class Resources(TypedDict):
    """The resources under the keys by which assets ask for them."""

    warehouse: Warehouse
    files: FileStore
    tlc: TlcSource
    alerts: Alerts


def build_resources(settings: Settings) -> Resources:
    """The resources for these settings."""
    return Resources(
        warehouse=Warehouse(database=str(settings.duckdb_database)),
        files=FileStore(root=str(settings.data_dir)),
        tlc=TlcSource(url=settings.tlc_url, zones_url=settings.zones_url, fleets=list(settings.fleets)),
        alerts=Alerts(webhook_url=settings.alert_webhook_url or ""),
    )


__all__ = [
    "Alerts",
    "FileStore",
    "MissingFileError",
    "NothingLoadedError",
    "Resources",
    "TlcSource",
    "Warehouse",
    "WarehouseUnavailableError",
    "build_resources",
]
