"""Files are whole or not there."""

import errno
import stat
import time
from pathlib import Path

import pytest

from taxi_pipeline.storage import LocalFolder, MissingFileError
from taxi_pipeline.storage.whole_files import FileInUseError, StorageError, locked, replacing, sha256_of
from taxi_pipeline_tests.processes import process


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


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    """Regression: a download that was killed left its megabytes for good."""
    target = tmp_path / "file.txt"
    killed = process(_write_and_wait, target)
    while not any(path.stat().st_size for path in tmp_path.iterdir()):
        time.sleep(0.01)
    killed.kill()
    killed.join()
    with replacing(target) as living:
        living.write_text("first")
        with replacing(target) as other:
            other.write_text("second")
            assert sorted(tmp_path.iterdir()) == sorted([living, other]), "the killed one's is gone"
    assert target.read_text() == "first", "the last to end wins, whole"
    assert list(tmp_path.iterdir()) == [target]


def _write_and_wait(target: Path) -> None:
    with replacing(target) as temporary:
        temporary.write_text("half")
        time.sleep(60)


def test_a_lock_keeps_others_out_and_names_who_has_it(tmp_path: Path) -> None:
    target = tmp_path / "raw" / "file"
    holder = process(_lock_and_wait, target)
    while not (tmp_path / "raw" / "locked").exists():
        time.sleep(0.01)
    with (
        pytest.raises(FileInUseError, match=f"process {holder.pid} has locked .* more than 0.2 s"),
        locked(target, timeout_seconds=0.2),
    ):
        pass
    holder.kill()
    with locked(target, timeout_seconds=5):
        pass  # it ended with the process


def _lock_and_wait(target: Path) -> None:
    with locked(target):
        (target.parent / "locked").touch()
        time.sleep(60)


def test_a_disk_that_refuses_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(StorageError, match="free some space, then run again"), replacing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (tmp_path / "file").read_text() == "old"
    with pytest.raises(ConnectionError), replacing(tmp_path / "file"):
        raise ConnectionError("of the network, not of the disk")


def test_outputs_are_readable_as_the_umask_says(tmp_path: Path) -> None:
    """Regression: a temporary file of mkstemp is readable by its owner alone."""
    reference = tmp_path / "reference"
    reference.touch()
    LocalFolder(tmp_path).write("outputs/x.csv", "a\n")
    path = tmp_path / "outputs" / "x.csv"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(reference.stat().st_mode)


def test_a_missing_input_names_the_asset_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"raw/x\.parquet does not exist: materialize taxi_trips_file first"):
        LocalFolder(tmp_path).require("raw/x.parquet", written_by="taxi_trips_file")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
