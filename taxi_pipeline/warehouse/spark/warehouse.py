"""The warehouse on a cluster: its address, its tables, and sessions that see one version of them."""

import importlib.util
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from taxi_pipeline.warehouse.interface import (
    NothingLoadedError,
    Result,
    Warehouse,
    WarehouseUnavailableError,
)
from taxi_pipeline.warehouse.spark import carrying_over, maintenance
from taxi_pipeline.warehouse.spark.connection import connect, giving_up_when_gone, wait_for_server
from taxi_pipeline.warehouse.spark.dialect import spark_type
from taxi_pipeline.warehouse.spark.layout import (
    ICEBERG_TABLES,
    PUBLICATIONS,
    TABLES_BY_MONTH,
    create_sql,
    declared_view_sql,
)
from taxi_pipeline.warehouse.spark.publishing import publish, roll_back, settled_versions
from taxi_pipeline.warehouse.spark.session import IcebergSession
from taxi_pipeline.warehouse.spark.state import Decisions, Versions, collect
from taxi_pipeline.warehouse.tables import LOADED_DAYS, Table
from taxi_pipeline.warehouse.views import VIEWS

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

CATALOG = "taxi"
"""Name of the catalogue in Spark, and of its rows in the database: readers must use the same."""

_KNOWN_SECONDS = 600
"""How long a process relies on the versions that it knows, while nothing is decided: maintenance replaces snapshots."""
_POSTGRES_PORT = 5432
_FILE_IO = {"s3": "org.apache.iceberg.aws.s3.S3FileIO", "gs": "org.apache.iceberg.gcp.gcs.GCSFileIO"}


class SparkWarehouse(Warehouse):
    """Iceberg tables in the storage, through Spark Connect. As many sessions as the cluster has room for."""

    def __init__(
        self,
        *,
        remote: str,
        catalog_url: str,
        storage_url: str,
        namespace: str,
        s3_endpoint: str | None = None,
        patience_seconds: float = 10,
    ) -> None:
        """Describe the warehouse; nothing is opened yet.

        Args:
            remote: URL of Spark Connect, `sc://host:15002`.
            catalog_url: the Postgres database with the Iceberg catalogue, `postgresql://user:password@host/database`;
                parameters, such as `?sslmode=verify-full`, are for Postgres' JDBC driver.
            storage_url: URL of the files, `file://`, `s3://` or `gs://`; the tables are below `warehouse/`.
            s3_endpoint: URL of an S3 server that is not Amazon's.
            namespace: namespace of the tables in the catalogue.
            patience_seconds: how long to wait for a cluster that does not listen.

        Raises:
            WarehouseUnavailableError: the libraries are not installed.
        """
        if importlib.util.find_spec("pyspark") is None or importlib.util.find_spec("sqlglot") is None:
            raise WarehouseUnavailableError(
                "TAXI_ENGINE=spark needs the extra spark: pip install 'taxi-pipeline[spark]'"
            )
        self._remote = remote
        self._patience_seconds = patience_seconds
        self._catalog_url = catalog_url
        self._storage_url = storage_url
        self._s3_endpoint = s3_endpoint
        self.name = f"{CATALOG}.{namespace}"
        self._published: set[str] = set()
        """Loads of which this process knows that they are published."""
        self._is_as_declared = False
        """Whether this process has seen that the tables have all columns, and that there are all views."""
        self._known: Versions | None = None
        self._known_until = 0.0

    @property
    def location(self) -> str:
        """The URL below which the tables lie."""
        return f"{self._storage_url}/{self.name.replace('.', '/')}"

    @contextmanager
    def read(self) -> Iterator[IcebergSession]:
        """A session that sees the tables as they are now, however long it lasts.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the cluster does not answer.
        """
        spark = self._connect()
        versions = self._versions(spark)
        if versions is None or not versions.version:
            raise NothingLoadedError(self.location)
        with closing(IcebergSession(spark, self.name, versions)) as session, giving_up_when_gone(spark):
            yield session

    @contextmanager
    def write(self) -> Iterator[IcebergSession]:
        """Open a session whose changes become visible together when the block ends; if it raises, none does.

        Raises:
            ConflictError: another session has changed the same months meanwhile.
            WarehouseUnavailableError: the cluster does not answer.
        """
        from pyspark.errors import PySparkException

        spark = self._connect()
        versions = self._versions(spark)
        if versions is None:
            self._make_tables(spark)
            versions = Versions(dict.fromkeys(table.name for table in TABLES_BY_MONTH), Decisions(None, 0, {}))
        elif not self._is_as_declared:
            self._add_new_columns(spark)
        self._is_as_declared = True
        with closing(IcebergSession(spark, self.name, versions, secrets.token_hex(8))) as session:
            try:
                with giving_up_when_gone(spark):
                    yield session
            except BaseException:
                with suppress(PySparkException):  # the next session of the months deletes them
                    roll_back(session)
                raise
            with giving_up_when_gone(spark):
                publish(session)
            self._published.add(session.load or "")

    def read_without_waiting(self) -> AbstractContextManager[IcebergSession]:
        """Open a session like `read`, which waits for nobody here."""
        return self.read()

    def snapshot(self) -> str:
        """Name the tables' current snapshots, for queries `VERSION AS OF` the returned name.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the cluster does not answer.
        """
        with self.read() as session:
            name = f"v{session.versions.version}"
            for table, snapshot in session.all_versions().items():
                session.ask(
                    f"ALTER TABLE {session.name_of(table)} CREATE OR REPLACE TAG `{name}` AS OF VERSION {snapshot}"
                )
        return name

    def maintain(self) -> dict[str, str]:
        """Compact files, delete rows of killed loads and expire old snapshots. Safe while loads run.

        Raises:
            NothingLoadedError: nothing was loaded yet.
            WarehouseUnavailableError: the cluster does not answer.
        """
        with self.read() as session:
            return maintenance.maintain(session)

    def upgrade(self) -> dict[str, str]:
        """Carry tables of an older version over, which held rows that did not count. Nothing else may run meanwhile.

        Raises:
            NothingLoadedError: there are no tables.
            WarehouseUnavailableError: the cluster does not answer.
        """
        spark = self._connect()
        if not self._has_tables(spark):
            raise NothingLoadedError(self.location)
        if spark.catalog.tableExists(self._name(PUBLICATIONS)):  # it is made last
            return {}
        done = carrying_over.carry_over(spark, self.name)
        self._make_declared_views(spark)
        self._make(spark, [PUBLICATIONS])
        return done

    def _has_tables(self, spark: "SparkSession") -> bool:
        """Whether the catalogue has all tables: `loaded_days` is made last.

        The catalogue's own tables in Postgres are made by this, where they don't exist.

        Raises:
            WarehouseUnavailableError: Postgres refuses the connection.
        """
        from pyspark.errors import PySparkException

        try:
            return _despite_others(lambda: spark.catalog.tableExists(self._name(LOADED_DAYS)))
        except PySparkException as error:
            if "Failed to connect" not in str(error):
                raise
            url = urlsplit(self._catalog_url)
            raise WarehouseUnavailableError(
                f"the cluster can't connect with the catalogue at {url.hostname}:{url.port or _POSTGRES_PORT}, which "
                "listens: user, password, database or TLS (sslmode) are not what Postgres takes. Correct "
                "TAXI_CATALOG_URL; nothing was changed"
            ) from error

    def _connect(self) -> "SparkSession":
        spark = connect(self._remote, self._catalog_settings(), patience_seconds=self._patience_seconds)
        wait_for_server(
            self._catalog_url, _POSTGRES_PORT, self._patience_seconds, what="Postgres", variable="TAXI_CATALOG_URL"
        )
        return spark

    def _catalog_settings(self) -> Mapping[str, str]:
        url = urlsplit(self._catalog_url)
        settings = {
            "": "org.apache.iceberg.spark.SparkCatalog",
            ".type": "jdbc",
            ".uri": f"jdbc:postgresql://{url.hostname}:{url.port or _POSTGRES_PORT}{url.path}"
            + (f"?{url.query}" if url.query else ""),
            ".jdbc.user": unquote(url.username or ""),
            ".jdbc.password": unquote(url.password or ""),
            ".jdbc.schema-version": "V1",
            ".warehouse": f"{self._storage_url}/{CATALOG}",
            # Manifests never change, and each question reads those of its months.
            ".io.manifest.cache-enabled": "true",
        }
        if file_io := _FILE_IO.get(urlsplit(self._storage_url).scheme):
            settings[".io-impl"] = file_io
        if self._s3_endpoint:
            settings |= {".s3.endpoint": self._s3_endpoint, ".s3.path-style-access": "true"}
        return {f"spark.sql.catalog.{CATALOG}{name}": value for name, value in settings.items()}

    def _make_tables(self, spark: "SparkSession") -> None:
        _despite_others(lambda: spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {self.name}"))
        self._make(spark, [PUBLICATIONS, *reversed(ICEBERG_TABLES)])
        self._make_declared_views(spark)

    def _make_missing_tables(self, spark: "SparkSession") -> None:
        """Make the tables that were declared since the catalogue was made.

        Raises:
            WarehouseUnavailableError: the tables are of a version that marked the rows that count.
        """
        found = {name for _, name, *_ in collect(spark.sql(f"SHOW TABLES IN {self.name}"))}
        if PUBLICATIONS.name not in found:
            raise WarehouseUnavailableError(
                f"{self.name} was made by an older version, whose tables hold rows that do not count. Stop all runs, "
                "then carry it over once: taxi-pipeline upgrade"
            )
        self._make(spark, [table for table in ICEBERG_TABLES if table.name not in found])

    def _make(self, spark: "SparkSession", tables: Sequence[Table]) -> None:
        for table in tables:
            for statement in create_sql(table, self._name(table)):
                _despite_others(lambda statement=statement: spark.sql(statement))

    def _make_declared_views(self, spark: "SparkSession") -> None:
        for view in VIEWS:
            _despite_others(lambda view=view: spark.sql(declared_view_sql(view, self.name)))

    def _add_new_columns(self, spark: "SparkSession") -> None:
        """Give tables of an older version the columns that were declared since.

        Raises:
            WarehouseUnavailableError: a table differs in another way.
        """
        for table in TABLES_BY_MONTH:
            found = spark.table(self._name(table)).columns
            missing = [column for column in table.columns if column.name not in found]
            unknown = sorted({*found} - {*table.column_names})
            if unknown or not all(column.nullable for column in missing):
                raise WarehouseUnavailableError(
                    f"{self._name(table)} was made by another version: it has the columns {', '.join(found)}, where "
                    f"{', '.join(table.column_names)} are expected. Set another TAXI_CATALOG_NAMESPACE and materialize "
                    "the days again: the published files are still in raw/"
                )
            for column in missing:
                spark.sql(f"ALTER TABLE {self._name(table)} ADD COLUMN {column.name} {spark_type(column.type)}")
        # `tableExists` is false for a view of Iceberg's.
        found_views = {name for _, name, *_ in collect(spark.sql(f"SHOW VIEWS IN {self.name}"))}
        if not {view.name for view in VIEWS} <= found_views:
            self._make_declared_views(spark)

    def _versions(self, spark: "SparkSession") -> Versions | None:
        """The tables' versions; None where `loaded_days`, which is made last, does not exist."""
        if time.monotonic() > self._known_until:
            if not self._has_tables(spark):
                return None
            self._make_missing_tables(spark)
            self._known, self._known_until = None, time.monotonic() + _KNOWN_SECONDS
        self._known = settled_versions(spark, self.name, self._known, self._published)
        self._published = set(self._known.decisions.loads)
        return self._known

    def _name(self, table: Table) -> str:
        return f"{self.name}.{table.name}"


def _despite_others(action: Callable[[], Result]) -> Result:
    """Run an action that makes something in the catalogue, while other sessions may be making the same.

    If several do so at the same moment, Iceberg 1.12 fails all but one, and a retry finds what that one has made.
    """
    from pyspark.errors import PySparkException

    for pause_seconds in (0.5, 1, 2, 4):
        try:
            return action()
        except PySparkException as error:
            if not any(name in str(error) for name in ("UncheckedSQLException", "AlreadyExistsException")):
                raise
        time.sleep(pause_seconds)
    return action()
