"""Files are whole or not there."""

import stat
from pathlib import Path

import pytest

from taxi_pipeline.files import replacing, sha256_of
from taxi_pipeline.resources import FileStore, MissingFileError


def test_the_target_appears_at_the_end_and_only_then(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with replacing(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.parent == target.parent, "a move is atomic only within one file system"
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), replacing(target) as temporary:
        temporary.write_text("ha")
        raise RuntimeError("half way")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_outputs_are_readable_as_the_umask_says(tmp_path: Path) -> None:
    """Regression: a temporary file of mkstemp is readable by its owner alone."""
    reference = tmp_path / "reference"
    reference.touch()
    path = FileStore(root=str(tmp_path)).write_text("outputs/x.csv", "a\n")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(reference.stat().st_mode)


def test_a_missing_input_names_the_asset_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"raw/x\.parquet is not there: materialize taxi_trips_file first"):
        FileStore(root=str(tmp_path)).written_by("taxi_trips_file", "raw/x.parquet")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
