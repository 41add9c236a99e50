"""Processes of their own that start in milliseconds: forked from a server that has loaded the heavy libraries.

What runs in one must be a function of a module; it can be killed, and its file descriptors and locks are its own.
"""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        *("taxi_pipeline_tests.conftest", "taxi_pipeline_tests.pipelines", "taxi_pipeline.defs.console_runs"),
        *("duckdb", "geopandas", "pyarrow.parquet", "pyogrio", "requests"),
        *("matplotlib.figure", "matplotlib.backends.backend_agg"),
        *("alembic", "dagster._core.storage.event_log", "dagster._core.storage.runs"),
        *("boto3", "obstore.store"),
    ]
)


def process(function: Callable[..., Any], *arguments: Any) -> Any:
    """A started process that calls the function."""
    started = _context.Process(target=function, args=arguments)
    started.start()
    return started


def wait_for_file(path: Path, process: Any) -> None:
    """Wait until the process has made the file."""
    while not path.exists():
        assert process.is_alive(), f"it ended with {process.exitcode} before it made {path.name}"
        time.sleep(0.002)


@contextmanager
def held_by_another_process(database: Path, *, read_only: bool, seconds: float = 60) -> Iterator[int]:
    """Another process has the file open for some seconds; gives its process id."""
    code = (
        "import duckdb, sys, time\n"
        "connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'True')\n"
        "print('open', flush=True)\n"
        "time.sleep(float(sys.argv[3]))\n"
    )
    command = [sys.executable, "-c", code, str(database), str(read_only), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process.pid
        finally:
            process.kill()
