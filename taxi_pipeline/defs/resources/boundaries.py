"""The resources that build the plain objects behind which files, tables and the TLC's server lie."""

from datetime import date
from pathlib import Path

import dagster as dg

from taxi_pipeline.storage import Storage, open_storage
from taxi_pipeline.tlc.http_transfer import Patience
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Warehouse
from taxi_pipeline.warehouse.spark import SparkWarehouse


class WarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The DuckDB warehouse."""

    database: str
    """Path of the DuckDB file."""
    memory_limit: str = "1GB"
    threads: int | None = None
    """None: one per core."""
    lock_timeout_seconds: float = 60

    def create_resource(self, context: dg.InitResourceContext) -> Warehouse:  # noqa: ARG002
        """The warehouse; nothing is opened yet."""
        return DuckDBWarehouse(
            Path(self.database),
            memory_limit=self.memory_limit,
            threads=self.threads,
            lock_timeout_seconds=self.lock_timeout_seconds,
            log=dg.get_dagster_logger().info,
        )


class SparkWarehouseResource(dg.ConfigurableResource[Warehouse]):
    """The warehouse on a Spark cluster."""

    remote: str
    """Of Spark Connect, `sc://host:15002`."""
    catalog_url: str
    """The Postgres database with the Iceberg catalogue, with the password; so give it as an `EnvVar`."""
    storage_url: str
    """`file://`, `s3://` or `gs://`."""
    s3_endpoint: str = ""
    """URL of an S3 server that is not Amazon's."""
    namespace: str
    """Of the tables in the catalogue."""

    def create_resource(self, context: dg.InitResourceContext) -> Warehouse:  # noqa: ARG002
        """The warehouse; nothing is opened yet."""
        return SparkWarehouse(
            remote=self.remote,
            catalog_url=self.catalog_url,
            storage_url=self.storage_url,
            s3_endpoint=self.s3_endpoint or None,
            namespace=self.namespace,
        )


class FilesResource(dg.ConfigurableResource[Storage]):
    """The named files, in a folder of this machine or in an object store."""

    url: str
    """`file://`, `s3://`, `gs://` or `az://`."""
    scratch: str
    """A folder of this machine for copies of the files of an object store."""
    pages_url: str = ""
    """Where `taxi-pipeline pages` serves the outputs. Empty: no links."""

    def create_resource(self, context: dg.InitResourceContext) -> Storage:
        """The storage; nothing is requested yet."""
        return open_storage(
            self.url,
            scratch=Path(self.scratch),
            postgres_url=_postgres_of(context.instance),
            pages_url=self.pages_url or None,
        )


def _postgres_of(instance: dg.DagsterInstance | None) -> str | None:
    """The database of Dagster's history, where that is Postgres: several machines then share its locks, too."""
    return getattr(instance.event_log_storage, "postgres_url", None) if instance else None


class TlcResource(dg.ConfigurableResource[TlcSource]):
    """The TLC's file server, or a mirror of it, and the fleets that are taken from it."""

    url: str
    zones_url: str
    fleets: list[str]
    accepted: list[str] = []  # noqa: RUF012 - pydantic copies it
    """Months of fleets, for example `green/2023-01`, whose files are taken although they are judged unlikely."""
    last_day: str = ""
    """ISO date; what is published of later days is left alone. Empty: everything is taken."""
    read_timeout_seconds: float = 60
    first_pause_seconds: float = 1
    """Before the second attempt at a server that failed; doubled before each other."""
    refusal_pauses_seconds: list[float] = [30, 90, 270]  # noqa: RUF012 - pydantic copies it
    """After each 403 for a file that must exist: the TLC's CDN throttles with it."""

    def create_resource(self, context: dg.InitResourceContext) -> TlcSource:  # noqa: ARG002
        """The source; nothing is requested yet."""
        return TlcSource(
            url=self.url,
            zones_url=self.zones_url,
            fleets=tuple(self.fleets),
            accepted=tuple(self.accepted),
            last_day=date.fromisoformat(self.last_day) if self.last_day else None,
            patience=Patience(
                read_seconds=self.read_timeout_seconds,
                first_pause_seconds=self.first_pause_seconds,
                refusal_pauses_seconds=tuple(self.refusal_pauses_seconds),
            ),
        )
