"""Apache Spark on loopback, out of the package pyspark: a standalone master, two workers, and a Connect server.

`python -m taxi_pipeline_tests.services.spark` fetches its jars, so that a cluster starts without the network.

Real processes, as on a cluster: what passes on a look-alike in one process says little about Spark.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
HOME = REPOSITORY / ".venv-cluster"
"""The environment that Spark is installed in, by `make`; its jars are there, too."""

NUM_WORKERS = 2
_CLASSES = "org.apache.spark.deploy"
_CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"

JARS = (
    "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0",
    "org.apache.iceberg:iceberg-aws-bundle:1.12.0",
    "org.postgresql:postgresql:42.7.14",
)
"""Iceberg, its access to S3, and what its catalogue in Postgres is read with; Spark fetches them from Maven."""

_SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=512m"
"""Options of Java for all of Spark's processes, which work on few rows: Java's second compiler takes half of their CPU
time. Without it Java keeps only 48 MB of compiled code, which a driver fills in minutes; from then on it throws code
away and compiles it again."""

SETTINGS = {
    "spark.jars.packages": ",".join(JARS),
    "spark.jars.ivy": str(HOME / "ivy"),
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    # Two cores: the default of 200 parts makes a second of each question.
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": _SHORT_LIVED,
    "spark.executor.memory": "1g",
    "spark.executor.extraJavaOptions": _SHORT_LIVED,
    "spark.ui.enabled": "false",
    "spark.log.level": "WARN",
    # Tests count jobs by it.
    "spark.eventLog.enabled": "true",
    "spark.eventLog.rolling.enabled": "false",
    "spark.eventLog.compress": "false",
    "spark.connect.grpc.binding.address": "127.0.0.1",
}


def spark_home() -> Path | None:
    """The folder of the package; None when it is not installed."""
    found = sorted(HOME.glob("lib/python3*/site-packages/pyspark"))
    return found[0] if found else None


def events_of(folder: Path) -> Path:
    """The folder in which a cluster logs its jobs.

    Args:
        folder: holds what the cluster writes.
    """
    return folder / "events"


def logged_events(logs: Path, kind: str) -> list[dict[str, Any]]:
    """The events of a kind that a cluster has logged, in order.

    Args:
        logs: the folder in which it logs them.
        kind: Spark's name of the event.
    """
    lines = [line for log in logs.glob("app-*") for line in log.read_text().splitlines(keepends=True)]
    # The last line may be half written.
    return [json.loads(line) for line in lines if f'"Event":"{kind}"' in line and line.endswith("\n")]


def commands(home: Path, folder: Path, ports: Mapping[str, int], settings: Mapping[str, str]) -> dict[str, list[str]]:
    """Name of the process → its command, in the order in which they start.

    Args:
        home: of Spark.
        folder: holds what the workers write.
        ports: of `master` and `connect`.
        settings: of Spark, beside `SETTINGS`.
    """
    master = f"spark://127.0.0.1:{ports['master']}"
    events = {"spark.eventLog.dir": events_of(folder).as_uri()}
    options = [
        option for name, value in {**SETTINGS, **events, **settings}.items() for option in ("--conf", f"{name}={value}")
    ]
    run = str(home / "bin" / "spark-class")
    return {
        "master": [
            run, f"{_CLASSES}.master.Master", "--host", "127.0.0.1", "--port", str(ports["master"]),
            "--webui-port", "0",
        ],
        **{
            f"worker{number}": [
                run, f"{_CLASSES}.worker.Worker", master, "--host", "127.0.0.1", "--cores", "1", "--memory", "1500m",
                "--webui-port", "0", "--work-dir", str(folder / f"worker{number}"),
            ]
            for number in range(NUM_WORKERS)
        },
        "connect": [
            str(home / "bin" / "spark-submit"), "--class", _CONNECT, "--master", master, *options,
            "--conf", f"spark.connect.grpc.binding.port={ports['connect']}", "spark-internal",
        ],
    }  # fmt: skip


def environment(home: Path, credentials: Mapping[str, str], token: str) -> dict[str, str]:
    """The environment of each of the processes.

    Args:
        home: Spark's folder.
        credentials: variables of the object store; executors read published files, and Iceberg its tables.
        token: that the clients of Spark Connect must send.
    """
    return {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_JAVA_OPTS": _SHORT_LIVED,
        # The executors run functions of this package.
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": token,
        **credentials,
    }


def fetch_jars() -> None:
    """Let Spark fetch its jars from Maven, by a program that does nothing.

    Raises:
        subprocess.CalledProcessError: they can't be fetched; Spark has said why.
    """
    home = spark_home()
    assert home is not None
    names = ("spark.jars.packages", "spark.jars.ivy")
    options = [option for name in names for option in ("--conf", f"{name}={SETTINGS[name]}")]
    with tempfile.NamedTemporaryFile(suffix=".py") as nothing:
        command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", *options, nothing.name]
        subprocess.run(command, env={**os.environ, **environment(home, {}, "")}, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    fetch_jars()
