"""The connection of this process with the cluster, through Spark Connect.

There is one for each cluster as long as the process lives. An object of PySpark 4.1.3 that the garbage collector finds
closes a pool of threads that all connections share; if that happens while one of them waits for the pool, the process
waits for ever. So connections are kept, and sessions of the warehouse share them.
"""

import atexit
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taxi_pipeline.warehouse.interface import WarehouseUnavailableError

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

DEFAULT_PORT = 15002
"""Port of Spark Connect."""

_SETTINGS = {
    # Times are New York's wall time, without a zone.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # With it each stage is a job of its own, and planned anew: as dear as the work for a month, whose parts are small.
    "spark.sql.adaptive.enabled": "false",
    # An error is a sentence, not the stack of the server.
    "spark.sql.connect.serverStacktrace.enabled": "false",
}


def connect(remote: str, settings: Mapping[str, str], *, patience_seconds: float) -> "SparkSession":
    """Return the connection of this process with a cluster; open it if there is none.

    Args:
        remote: URL of Spark Connect, `sc://host:15002`.
        settings: settings of the connection, beside those that the pipeline's statements need.
        patience_seconds: how long to wait for a cluster that does not listen.

    Raises:
        WarehouseUnavailableError: the cluster does not answer.
    """
    wait_for_server(remote, DEFAULT_PORT, patience_seconds, what="Spark Connect", variable="SPARK_REMOTE")
    return _kept(remote, tuple(sorted(settings.items()))).usable()


@contextmanager
def giving_up_when_gone(spark: "SparkSession") -> Iterator[None]:
    """If the block raises, and the connection's server is gone, whatever is asked of it from then on fails at once.

    Otherwise each question waits half a minute, and so does, one by one, each message with which PySpark releases
    results: a process took minutes to end.
    """
    from pyspark.errors import PySparkException

    try:
        yield
    except BaseException:
        spark.client.set_retry_policies([])
        with suppress(PySparkException):
            spark.conf.get("spark.sql.session.timeZone")
            _be_patient(spark)
        raise


def _be_patient(spark: "SparkSession") -> None:
    """Wait half a minute for an answer, instead of ten minutes: whoever waits should learn that the cluster is gone."""
    from pyspark.sql.connect.client.retries import DefaultPolicy

    spark.client.set_retry_policies([DefaultPolicy(max_retries=7, max_backoff=10_000)])


_STAGING = threading.Lock()
"""Threads of a process share its connection, which stages for one of them at a time."""


@contextmanager
def staging(spark: "SparkSession", wap_id: str) -> Iterator[None]:
    """What is written in the block becomes a snapshot that is no reader's, until it is published by its `wap.id`."""
    with _STAGING:
        spark.conf.set("spark.wap.id", wap_id)
        try:
            yield
        finally:
            spark.conf.unset("spark.wap.id")


class _Connection:
    """The connections of this process with one cluster."""

    def __init__(self, remote: str, settings: Mapping[str, str]) -> None:
        self._remote = remote
        self._settings = settings
        self._opened: list[SparkSession] = []
        """All opened connections. The last one is in use. The server has forgotten those before it; they are kept from
        the garbage collector."""

    def usable(self) -> "SparkSession":
        from pyspark.errors import PySparkException

        if self._opened:
            # After an hour without a question, or after a restart, the server knows the connection no more.
            with suppress(PySparkException):
                self._opened[-1].conf.get("spark.sql.session.timeZone")
                return self._opened[-1]
        self._opened.append(self._open())
        return self._opened[-1]

    def _open(self) -> "SparkSession":
        from pyspark.sql.connect.session import SparkSession

        builder = SparkSession.builder.remote(self._remote)
        for name, value in {**_SETTINGS, **self._settings}.items():
            builder = builder.config(name, value)
        spark = builder.create()
        _be_patient(spark)
        atexit.register(_leave, spark)
        return spark


def _leave(spark: "SparkSession") -> None:
    """Let the server forget the connection, if it is still there; a process that ends does not wait for it."""
    from pyspark.errors import PySparkException

    spark.client.set_retry_policies([])
    with suppress(PySparkException):
        spark.stop()


@cache
def _kept(remote: str, settings: tuple[tuple[str, str], ...]) -> _Connection:
    return _Connection(remote, dict(settings))


def wait_for_server(url: str, port: int, patience_seconds: float, *, what: str, variable: str) -> None:
    """Wait a bounded time until a server listens.

    Args:
        url: of the server; what may be secret in it is not shown.
        port: where the URL has none.
        patience_seconds: how long to wait.
        what: the server, for the message.
        variable: that names the URL.

    Raises:
        WarehouseUnavailableError: it does not listen in this time.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or port
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            with socket.create_connection((host, port), timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise WarehouseUnavailableError(
                    f"{what} does not answer at {host}:{port}: {error}. Start it, or correct {variable}; "
                    "nothing was changed"
                ) from error
        time.sleep(0.5)
