"""From settings to the objects that they describe: the warehouse, the storage, the TLC's server, the pages' address.

The runs, the console and the notebook open them here, so all of them lock, read and write in the same places. No
Dagster.
"""

import logging
from collections.abc import Callable

from taxi_pipeline.delivery.chat import Chats
from taxi_pipeline.delivery.smtp import Postbox
from taxi_pipeline.imports.inbox import Inbox
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.questions.bounded import Questions
from taxi_pipeline.questions.snapshots import KeptCopy
from taxi_pipeline.settings import Settings
from taxi_pipeline.sources.source import SourceServers
from taxi_pipeline.storage import Storage, open_storage
from taxi_pipeline.tlc.http_transfer import Patience
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.spark import SparkWarehouse

_log = logging.getLogger(__name__).info


def warehouse_of(settings: Settings, *, log: Callable[[str], object] = _log) -> DuckDBWarehouse | SparkWarehouse:
    """The warehouse. Nothing is opened yet.

    Args:
        settings: name the engine and where it is.
        log: gets a sentence before DuckDB waits; Python's logging by default.

    Raises:
        WarehouseUnavailableError: the libraries for Spark are not installed.
    """
    if settings.engine == "duckdb":
        return DuckDBWarehouse(settings.duckdb_database, log=log)
    return SparkWarehouse(
        remote=settings.spark_remote,
        catalog_url=settings.catalog_url,
        storage_url=settings.storage_url,
        s3_endpoint=settings.s3_endpoint,
        namespace=settings.catalog_namespace,
    )


def questions_of(settings: Settings) -> Questions | None:
    """Questions of others in SQL, asked of a copy of the warehouse. None with Spark. Nothing is copied yet."""
    if settings.engine != "duckdb":
        return None
    # Somebody waits for the answer, so an older copy does where the warehouse is written to all the time.
    warehouse = DuckDBWarehouse(settings.duckdb_database, lock_timeout_seconds=5)
    return Questions(KeptCopy(warehouse, settings.scratch_dir / "questions"))


def files_of(settings: Settings) -> Storage:
    """The storage. Nothing is requested yet.

    Raises:
        StorageError: the libraries for object stores are not installed.
    """
    return open_storage(settings.storage_url, scratch=settings.scratch_dir, postgres_url=settings.locks_url)


def tlc_of(settings: Settings) -> TlcSource:
    """The TLC's server, or a mirror of it, and the fleets that are taken from it. Nothing is requested yet."""
    return TlcSource(
        url=settings.tlc_url,
        zones_url=settings.zones_url,
        fleets=settings.fleets,
        accepted=settings.accepted,
        last_day=settings.end_date,
        num_kept=settings.num_kept_versions,
        patience=Patience(pause_seconds=settings.tlc_pause_seconds),
    )


def inbox_of(settings: Settings) -> Inbox:
    """The folder into which files are dropped to be imported. Nothing is made or read yet."""
    return Inbox(folder=settings.inbox_dir, scratch_dir=settings.scratch_dir, first_day=settings.start_date)


def sources_of(settings: Settings) -> SourceServers:
    """The servers of the sources beside the TLC. Nothing is requested yet."""
    return SourceServers(tlc_url=settings.tlc_url, urls=settings.source_urls)


def pages_of(settings: Settings) -> Pages:
    """The address of the pages."""
    return Pages(settings.pages_url)


def postbox_of(settings: Settings) -> Postbox:
    """Who gets mail, and the server that takes it. Nothing is connected yet."""
    return Postbox(server=settings.smtp, sender=settings.mail_from, recipients=settings.mail_to)


def chats_of(settings: Settings) -> Chats:
    """The chats that get messages."""
    return Chats(settings.chat_urls)
