"""The errors that users see: one root, a tree that is written down, and a console without tracebacks."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import taxi_pipeline
from taxi_pipeline import errors
from taxi_pipeline.errors import TaxiPipelineError

OUTCOMES = {
    "ChangedError",
    "NoSampleError",
    "_NotFoundError",
    "_NotModified",
    "_RefusedError",
    "_StoppedError",
    "_TryAgainError",
}
"""Exceptions by which two functions of a module talk to each other. None reaches a user."""


def _import_all() -> None:
    for module in pkgutil.walk_packages(taxi_pipeline.__path__, "taxi_pipeline."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _tree(root: type, depth: int = 0) -> list[str]:
    lines: list[str] = []
    for child in sorted(root.__subclasses__(), key=lambda error: error.__name__):
        lines += [f"{'  ' * (depth + 1)}{'-' if depth else 'x'} {child.__name__}", *_tree(child, depth + 1)]
    return lines


@pytest.mark.filterwarnings("ignore")
def test_the_tree_of_errors_is_that_of_the_classes() -> None:
    _import_all()
    written = [line for line in (errors.__doc__ or "").splitlines() if re.match(r" +[x-] ", line)]
    assert written == _tree(TaxiPipelineError)


@pytest.mark.filterwarnings("ignore")
def test_every_exception_of_the_package_has_the_root() -> None:
    _import_all()
    others = {
        name
        for module in list(sys.modules.values())
        if module.__name__.startswith("taxi_pipeline.")
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, Exception) and found.__module__.startswith("taxi_pipeline.")
        if not issubclass(found, TaxiPipelineError)
    }
    assert others == OUTCOMES


SAMPLE = ("sample", "--start", "2023-01-01", "--end", "2023-01-01")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((*SAMPLE, "--output", "file/below"), "name a folder that does not lie below a file"),
        (("status",), "TAXI_FLEETS"),
        (("snapshot",), "TAXI_FLEETS"),
    ],
)
def test_the_console_prints_an_error_without_a_traceback(tmp_path: Path, command: tuple[str, ...], said: str) -> None:
    """Regression: a folder that can't be written gave a traceback, and advice to set a variable that does not help."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "dagster.yaml").touch()  # a project: an installed wheel refuses outside of one
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "taxi_pipeline", *command],
        cwd=tmp_path,
        env={**os.environ, "TAXI_FLEETS": "red"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert "TAXI_DATA_DIR" not in result.stderr
