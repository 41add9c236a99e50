"""`python -m taxi_pipeline_tests.services.cluster -- COMMAND`: a command with a Spark cluster of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from taxi_pipeline_tests.services import spark
from taxi_pipeline_tests.services.servers import NotInstalledError, free_ports, running, wait_for_port


@contextmanager
def running_cluster(folder: Path) -> Iterator[str]:
    """A cluster as long as the block runs; gives the URL of its Connect server.

    Args:
        folder: holds what it writes and logs.

    Raises:
        NotInstalledError: Spark is not installed.
    """
    home = spark.spark_home()
    if home is None:
        raise NotInstalledError("not installed: Spark (make test-cluster installs it)")
    master, connect = free_ports(2)
    ports = {"master": master, "connect": connect}
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for name, command in spark.commands(home, folder, ports).items():
            stack.enter_context(running(name, command, logs / f"{name}.log", spark.environment(home)))
            if name in ports:
                wait_for_port(name, ports[name], logs)
        yield f"sc://127.0.0.1:{connect}"


def main() -> int:
    """Run the command that follows `--`."""
    command = [argument for argument in sys.argv[1:] if argument != "--"]
    with tempfile.TemporaryDirectory(prefix="taxi-cluster-") as folder, running_cluster(Path(folder)) as url:
        return subprocess.run(command, env={**os.environ, "TAXI_TEST_SPARK_REMOTE": url}, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotInstalledError as error:
        sys.exit(str(error))
