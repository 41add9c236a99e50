"""Benchmarks compare the pipeline with something else that does the same work: here that it does."""

from datetime import date
from pathlib import Path

import pytest

from benchmarks.cases import OUTPUTS
from benchmarks.floor import main as floor
from benchmarks.load import Month, limit, ours
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline_tests.pipelines import EVERYTHING, pipeline_in


@pytest.mark.slow
def test_the_floor_makes_the_same_bytes(mirror: Path, tmp_path: Path) -> None:
    """Regression: when tables were added, the script made none of them and failed."""
    pipeline = pipeline_in(tmp_path / "pipeline", mirror)
    pipeline.run("2023-02-01", "2023-02-28", select=EVERYTHING)
    floor(mirror, tmp_path / "floor", date(2023, 2, 1))
    for name in OUTPUTS:
        assert (tmp_path / "floor" / name).read_bytes() == pipeline.files.read(name), name


@pytest.mark.parametrize("fleet", ["yellow", "green"])
def test_the_limit_of_a_load_inserts_the_same_trips(mirror: Path, tmp_path: Path, fleet: str) -> None:
    month = Month(mirror, FLEETS[fleet], date(2023, 2, 1), tmp_path)
    assert ours(month)() == limit(month)() > 1_000
