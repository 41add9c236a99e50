"""The boundaries to the world as Dagster resources: warehouse, files, servers, pages, a webhook, data frames.

Assets get plain objects, which `taxi_pipeline.opening` makes out of the settings. Nothing else opens a connection,
knows a path or makes a request.
"""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from taxi_pipeline.defs.io_managers import build_datasets_io_manager
from taxi_pipeline.defs.resources.alerts import Alerts
from taxi_pipeline.delivery.chat import Chats
from taxi_pipeline.delivery.smtp import Postbox
from taxi_pipeline.imports.inbox import Inbox
from taxi_pipeline.opening import chats_of, files_of, inbox_of, pages_of, postbox_of, sources_of, tlc_of, warehouse_of
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.settings import Settings
from taxi_pipeline.sources.source import SourceServers
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
SourcesParam = dg.ResourceParam[SourceServers]
PagesParam = dg.ResourceParam[Pages]
AlertsParam = dg.ResourceParam[Alerts]
PostboxParam = dg.ResourceParam[Postbox]
ChatsParam = dg.ResourceParam[Chats]
InboxParam = dg.ResourceParam[Inbox]


def build_resources(settings: Settings) -> Mapping[str, Any]:
    """The resources under the keys by which assets name them."""
    return {
        "warehouse": _made_by(
            lambda: warehouse_of(settings, log=lambda message: dg.get_dagster_logger().info(message)),
            f"The tables: DuckDB at {settings.duckdb_database}."
            if settings.engine == "duckdb"
            else f"The tables: Iceberg tables of the namespace {settings.catalog_namespace}, by Spark.",
        ),
        "files": _made_by(lambda: files_of(settings), f"The named files, at {settings.storage_url}."),
        "tlc": _made_by(lambda: tlc_of(settings), f"The TLC's files: zones, trips of {', '.join(settings.fleets)}."),
        "sources": _made_by(lambda: sources_of(settings), "The files of bases and weather, and of sources of others."),
        "pages": _made_by(
            lambda: pages_of(settings), f"Where browsers open the outputs: {settings.pages_url or 'nowhere'}."
        ),
        "alerts": _made_by(
            lambda: Alerts(settings.alert_webhook_url or "", chats_of(settings)),
            "A webhook and chats that are told of failed runs, where they are set.",
        ),
        "postbox": _made_by(lambda: postbox_of(settings), "Who gets the monthly report by mail, and by which server."),
        "chats": _made_by(lambda: chats_of(settings), "The chats that get messages."),
        "inbox": _made_by(lambda: inbox_of(settings), f"Files of one's own to import, in {settings.inbox_dir}."),
        DATASETS: build_datasets_io_manager(settings.datasets_format),
    }


def _made_by(make: Callable[[], object], description: str) -> dg.ResourceDefinition:
    """A resource without configuration: the settings have all of it, and the UI shows where it leads."""
    return dg.ResourceDefinition(lambda _: make(), description=description)


__all__ = [
    "DATASETS",
    "POOL",
    "Alerts",
    "AlertsParam",
    "ChatsParam",
    "FilesParam",
    "InboxParam",
    "PagesParam",
    "PostboxParam",
    "SourcesParam",
    "TlcParam",
    "WarehouseParam",
    "build_resources",
]
