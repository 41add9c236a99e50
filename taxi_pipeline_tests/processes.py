"""Processes of their own that start in milliseconds: forked from a server that has loaded the heavy libraries.

What runs in one must be a function of a module; it can be killed, and its file descriptors and locks are its own.
"""

import multiprocessing
from collections.abc import Callable
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["taxi_pipeline_tests.conftest", "duckdb", "pyarrow.parquet", "requests"])


def process(function: Callable[..., Any], *arguments: Any) -> Any:
    """A started process that calls the function."""
    started = _context.Process(target=function, args=arguments)
    started.start()
    return started
