"""Copies of the project that a test may change, and commands that run in them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline_tests.conftest import REPOSITORY

if TYPE_CHECKING:
    import dagster as dg

PACKAGE = REPOSITORY / "taxi_pipeline"


def spec_of(definitions: "dg.Definitions") -> "dict[str, dg.AssetSpec]":
    """Name of the asset → its spec."""
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def copy_project(folder: Path) -> Path:
    """Copy what `dg` needs of the project into the folder; gives the folder."""
    for name in ("pyproject.toml", "dagster.yaml", "README.md"):
        shutil.copy(REPOSITORY / name, folder)
    shutil.copytree(PACKAGE, folder / "taxi_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def in_the_copy(copy: Path, *command: str | Path) -> str:
    """Run a command that uses the copy, and return what it prints; it must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "DAGSTER_HOME": "", "COLUMNS": "200"}
    result = subprocess.run(command, capture_output=True, text=True, cwd=copy, env=environment, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr
