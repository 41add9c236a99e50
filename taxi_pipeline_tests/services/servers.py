"""Starting the servers, waiting until they answer, and stopping them."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from taxi_pipeline_tests.services import postgres, spark, swift

REPOSITORY = Path(__file__).parents[2]
BIN = REPOSITORY / ".venv-services" / "bin"
"""Programs of the environment in which `make` installs Swift."""

BUCKET = "taxi"
SMALL_BUCKET = "small"
"""Holds no more than 100,000 bytes; on Swift."""
_PATIENCE_SECONDS = 120
"""Four Java processes take half a minute on a busy machine."""


class NotInstalledError(RuntimeError):
    """A server is not installed; the message says how to get it."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of the servers."""

    s3: str
    """URL of Swift, which has the bucket `taxi`."""
    postgres: str
    """URL of a database."""
    spark: str | None = None
    """URL of Spark Connect; None without a cluster."""
    spark_events: Path | None = None
    """Folder of Spark's log of jobs."""

    def environment(self) -> dict[str, str]:
        """The variables by which tests and the pipeline find the servers."""
        return {
            "TAXI_TEST_S3_URL": self.s3,
            "TAXI_TEST_POSTGRES_URL": self.postgres,
            **({"TAXI_TEST_SPARK_REMOTE": self.spark} if self.spark else {}),
            **({"TAXI_TEST_SPARK_EVENTS": str(self.spark_events)} if self.spark_events else {}),
            **self.for_pipeline(),
        }

    def for_pipeline(self) -> dict[str, str]:
        """The settings of a user who works with the servers."""
        return {
            "TAXI_STORAGE_URL": f"s3://{BUCKET}",
            **self.credentials(),
            "DAGSTER_POSTGRES_URL": self.postgres,
            **self._of_cluster(),
        }

    def credentials(self) -> dict[str, str]:
        """The variables with the object store's address and keys."""
        return {
            "AWS_ENDPOINT_URL": self.s3,
            "AWS_ACCESS_KEY_ID": swift.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": swift.SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def _of_cluster(self) -> dict[str, str]:
        if not self.spark:
            return {}
        return {"TAXI_ENGINE": "spark", "SPARK_REMOTE": self.spark, "TAXI_CATALOG_URL": self.postgres}


@contextmanager
def running_servers(
    folder: Path,
    *,
    s3_port: int | None = None,
    postgres_port: int | None = None,
    spark_port: int | None = None,
    cluster: bool = False,
) -> Iterator[Addresses]:
    """The servers, as long as the block runs.

    Args:
        folder: holds what they store and log.
        s3_port: of Swift; None for a free one.
        postgres_port: None for a free one.
        spark_port: of Spark Connect; None for a free one.
        cluster: whether Spark is one of them.

    Raises:
        NotInstalledError: one of them is not installed.
    """
    programs, spark_home = _installed(cluster=cluster)
    ports: dict[str, int] = dict(
        zip(("account", "container", "object", "proxy", "postgres"), free_ports(5), strict=True)
    )
    ports |= {"proxy": s3_port} if s3_port else {}
    ports |= {"postgres": postgres_port} if postgres_port else {}
    addresses = Addresses(
        s3=f"http://127.0.0.1:{ports['proxy']}",
        postgres=postgres.url(ports["postgres"]),
    )
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    postgres.make_cluster(folder / "postgres", programs, ports["postgres"])
    swift.write_configuration(folder / "swift", BIN, ports=ports, user=getpass.getuser())
    commands = {
        "postgres": postgres.command(folder / "postgres", programs),
        **swift.commands(folder / "swift", BIN),
    }
    with ExitStack() as stack:
        for name, command in commands.items():
            stack.enter_context(running(name, command, logs / f"{name}.log"))
        for name in ("account", "container", "object", "proxy", "postgres"):
            wait_for_port(name, ports[name], logs)
        _make_database(programs, ports["postgres"])
        for bucket in (BUCKET, SMALL_BUCKET):
            make_bucket(addresses.s3, bucket)
        swift.limit_bucket(folder / "swift", BIN, SMALL_BUCKET, 100_000)
        if spark_home:
            spark_cluster = SparkCluster(folder, spark_home, addresses.credentials(), connect_port=spark_port)
            stack.enter_context(spark_cluster.running())
            addresses = replace(addresses, spark=spark_cluster.url, spark_events=spark.events_of(folder))
        yield addresses


class SparkCluster:
    """A master, two workers and Spark Connect, whose processes can be killed."""

    def __init__(
        self,
        folder: Path,
        home: Path,
        credentials: Mapping[str, str],
        *,
        connect_port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: holds what they write and log.
            home: of Spark.
            credentials: of the object store.
            connect_port: None for a free one.
            settings: of Spark, beside those that all tests need.
        """
        free, master = free_ports(2)
        self._ports = {"master": master, "connect": connect_port or free}
        self._logs = folder / "logs"
        self._events = spark.events_of(folder)
        self._commands = spark.commands(home, folder, self._ports, settings or {})
        self._token = secrets.token_hex(16)
        self._variables = spark.environment(home, credentials, self._token)
        self._stack = ExitStack()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """URL of Spark Connect; to `localhost` the client sends the token without TLS."""
        return f"sc://localhost:{self._ports['connect']}/;token={self._token}"

    @contextmanager
    def running(self) -> "Iterator[SparkCluster]":
        """All of it, as long as the block runs."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._events.mkdir(exist_ok=True)
        with self._stack:
            for name in self._commands:
                self.start(name)
            yield self

    def start(self, name: str) -> None:
        """Start a process, also one that was killed, and wait until it listens."""
        started = running(name, self._commands[name], self._logs / f"{name}.log", self._variables)
        self.processes[name] = self._stack.enter_context(started)
        if name in self._ports:
            wait_for_port(name, self._ports[name], self._logs)

    def kill(self, name: str) -> None:
        """SIGKILL a process and its children, or with `executor` the executors of the first worker."""
        if name == "executor":
            worker = str(self.processes["worker0"].pid)
            subprocess.run(["pkill", "-KILL", "--parent", worker], check=True)
            return
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()


def make_bucket(endpoint: str, bucket: str) -> None:
    """Make a bucket, if there is none; the pipeline's own library has no call for it."""
    code = (
        "import sys, boto3\n"
        "client = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1',\n"
        "    aws_access_key_id=sys.argv[3], aws_secret_access_key=sys.argv[4])\n"
        "names = [found['Name'] for found in client.list_buckets()['Buckets']]\n"
        "sys.argv[2] in names or client.create_bucket(Bucket=sys.argv[2])\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [str(BIN / "python"), "-c", code, endpoint, bucket, swift.ACCESS_KEY, swift.SECRET_KEY]
    subprocess.run(command, check=True, env=environment)


def _make_database(programs: Path, port: int) -> None:
    psql = [str(programs / "psql"), postgres.url(port, "postgres"), "--no-psqlrc", "--quiet", "--tuples-only"]
    query = f"SELECT 1 FROM pg_database WHERE datname = '{postgres.DATABASE}'"
    found = subprocess.run([*psql, "-c", query], check=True, capture_output=True, text=True)
    if not found.stdout.strip():
        subprocess.run([*psql, "-c", f"CREATE DATABASE {postgres.DATABASE}"], check=True)


def _installed(*, cluster: bool) -> tuple[Path, Path | None]:
    """The folders of PostgreSQL and, for a cluster, of Spark.

    Raises:
        NotInstalledError: something is missing.
    """
    programs = postgres.programs_folder()
    spark_home = spark.spark_home() if cluster else None
    missing = [] if programs else ["PostgreSQL (Debian: apt install postgresql)"]
    missing += [] if (BIN / "swift-proxy-server").is_file() else ["Swift (make test-services installs them)"]
    missing += ["Spark (make test-cluster installs it)"] if cluster and not spark_home else []
    missing += ["Java 17 (Debian: apt install default-jre-headless)"] if cluster and not shutil.which("java") else []
    if missing or programs is None:
        raise NotInstalledError(f"not installed: {', '.join(missing)}")
    return programs, spark_home


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


@contextmanager
def running(
    name: str, command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server as long as the block runs.

    Args:
        name: of the server.
        command: that starts it.
        log: file that its output is appended to.
        environment: variables that it gets besides those of this process.
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TAXI_"))}
    clean |= environment or {}
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=clean, cwd="/", start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            # SIGINT makes PostgreSQL stop now, and close its connections.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_port(name: str, port: int, logs: Path) -> None:
    """Wait until a server listens, or end this process with the end of the server's log."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    log = (logs / f"{name}.log").read_text()[-2000:]
    sys.exit(f"{name} does not answer on port {port} after {_PATIENCE_SECONDS} s. The end of its log:\n{log}")
