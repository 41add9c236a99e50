"""`python -m taxi_pipeline_tests.services`: the servers in the foreground, in the background, or around a command."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from taxi_pipeline_tests.services.servers import REPOSITORY, Addresses, NotInstalledError, running_servers

FOLDER = REPOSITORY / "data" / "services"
S3_PORT = 19000
POSTGRES_PORT = 15432
SPARK_PORT = 15002


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m taxi_pipeline_tests.services", description=__doc__)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--detach", action="store_true", help="start them in the background, and return when they answer")
    how.add_argument("--stop", action="store_true", help="stop those in the background")
    parser.add_argument("--cluster", action="store_true", help="Spark, too")
    parser.add_argument("command", nargs="*", help="runs with servers of its own on free ports, which end with it")
    arguments = parser.parse_args()
    try:
        if arguments.command:
            return _around(arguments.command, cluster=arguments.cluster)
        if arguments.stop:
            return _stop()
        return _detached(cluster=arguments.cluster) if arguments.detach else _foreground(cluster=arguments.cluster)
    except NotInstalledError as error:
        sys.exit(str(error))


def _around(command: list[str], *, cluster: bool) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="taxi-services-") as folder,
        running_servers(Path(folder), cluster=cluster) as addresses,
    ):
        return subprocess.run(command, env={**os.environ, **addresses.environment()}, check=False).returncode


def _foreground(*, cluster: bool) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with running_servers(
        FOLDER, s3_port=S3_PORT, postgres_port=POSTGRES_PORT, spark_port=SPARK_PORT, cluster=cluster
    ) as addresses:
        _tell(addresses)
        (FOLDER / "pid").write_text(f"{os.getpid()}\n")
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            (FOLDER / "pid").unlink()
    return 0


def _detached(*, cluster: bool) -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    output = FOLDER / "services.log"
    if _are_running():
        print(output.read_text(), end="")  # noqa: T201 - a command
        return 0
    with output.open("w") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, *(["--cluster"] if cluster else [])],
            stdout=log,
            stderr=log,
            cwd=REPOSITORY,
            start_new_session=True,
        )
    while not (FOLDER / "pid").is_file() and started.poll() is None:
        time.sleep(0.1)
    failed = started.poll() is not None
    print(output.read_text(), end="", file=sys.stderr if failed else sys.stdout)
    return 1 if failed else 0


def _are_running() -> bool:
    try:
        os.kill(int((FOLDER / "pid").read_text()), 0)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        (FOLDER / "pid").unlink(missing_ok=True)  # of a machine that was switched off
        return False
    return True


def _stop() -> int:
    try:
        os.kill(int((FOLDER / "pid").read_text()), signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        sys.exit("No services run in the background.")
    while (FOLDER / "pid").is_file():
        time.sleep(0.1)
    return 0


def _tell(addresses: Addresses) -> None:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in addresses.for_pipeline().items()]
    print("\n".join(lines), flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
