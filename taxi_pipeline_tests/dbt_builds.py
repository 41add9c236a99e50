"""Marts of a warehouse, made by dbt alone, as by hand: for tests of what marts hold."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

from taxi_pipeline.defs.marts import dbt_program
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline_tests.conftest import REPOSITORY


def build_marts(warehouse: DuckDBWarehouse, names: list[str], folder: Path, days: Days | None = None) -> None:
    """Make these marts and staging views, and test them; asserts that all tests pass.

    Args:
        warehouse: a warehouse with trips.
        names: models; tests that also read others are left out.
        folder: where dbt writes what it compiled.
        days: whole months; None for all.
    """
    end = days and days.last + timedelta(days=1)
    span = ["--event-time-start", str(days.first), "--event-time-end", str(end)] if days else []
    folders = {
        "--project-dir": REPOSITORY / "taxi_pipeline" / "marts",
        "--profiles-dir": REPOSITORY / "taxi_pipeline" / "marts",
        "--target-path": folder / "target",
        "--log-path": folder,
    }
    options = [str(part) for option in folders.items() for part in option]
    what = ["--select", *names, "--indirect-selection", "cautious", *span]
    what += ["--vars", json.dumps({"database": warehouse.location})]
    command = [dbt_program(), "--no-use-colors", "build", *options, *what]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
