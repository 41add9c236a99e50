"""Named files: whole or not there, locked between processes, and the same for every storage."""

import errno
import hashlib
import stat
import time
from pathlib import Path

import pytest

from taxi_pipeline.storage import LocalFolder, MissingFileError, Storage, StorageError
from taxi_pipeline.storage.whole_files import FileInUseError, locked, replacing, sha256_of
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


def test_a_lock_keeps_other_processes_out_and_names_its_holder(tmp_path: Path) -> None:
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


# The boundary: what every storage of named files does


@pytest.fixture(params=["folder"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    return {"folder": lambda: LocalFolder(tmp_path / "store")}[request.param]()


def test_what_is_written_is_read(storage: Storage) -> None:
    stored = storage.write("outputs/weeks.csv", "a,b\r\nä,1\n")
    assert storage.read("outputs/weeks.csv") == "a,b\r\nä,1\n".encode()
    assert storage.read_text("outputs/weeks.csv") == "a,b\r\nä,1\n", "line ends stay"
    assert stored == storage.describe("outputs/weeks.csv")
    assert (stored.size_bytes, stored.sha256) == (10, hashlib.sha256(storage.read("outputs/weeks.csv")).hexdigest())
    assert stored.uri == storage.uri("outputs/weeks.csv")
    assert storage.write("outputs/weeks.csv", b"\x00\xff").size_bytes == 2
    assert storage.read("outputs/weeks.csv") == b"\x00\xff"


def test_a_file_that_does_not_exist(storage: Storage) -> None:
    assert not storage.exists("raw/x.parquet")
    storage.delete("raw/x.parquet")
    for reading in (storage.read, storage.describe, lambda name: storage.local_copy(name).__enter__()):
        with pytest.raises(MissingFileError, match=r"raw/x\.parquet does not exist"):
            reading("raw/x.parquet")
    storage.write("raw/x.parquet", b"1")
    storage.require("raw/x.parquet", written_by="taxi_trips_file")
    storage.delete("raw/x.parquet")
    assert not storage.exists("raw/x.parquet")


def test_a_draft_takes_the_files_place_when_it_is_finished(storage: Storage) -> None:
    storage.write("raw/f.bin", b"old")
    with storage.draft("raw/f.bin") as draft:
        draft.path.write_bytes(b"new")
        assert storage.read("raw/f.bin") == b"old"
        with pytest.raises(RuntimeError, match="not stored yet"):
            assert draft.stored
    assert draft.stored == storage.describe("raw/f.bin")
    with pytest.raises(ValueError, match="is bad"), storage.draft("raw/f.bin") as draft:
        draft.path.write_bytes(b"bad")
        raise ValueError("it is bad")
    assert storage.read("raw/f.bin") == b"new"
    assert storage.list("raw/*") == ["raw/f.bin"]


def test_a_local_copy_has_the_files_content(storage: Storage) -> None:
    storage.write("staging/stats.geojson", "{}")
    with storage.local_copy("staging/stats.geojson") as path:
        assert path.read_text() == "{}"
        assert path.suffix == ".geojson", "libraries look at it"


def test_files_are_listed_by_pattern(storage: Storage) -> None:
    assert storage.list("raw/*.parquet") == []
    for name in ("raw/yellow_tripdata_2023-02.parquet", "raw/yellow_tripdata_2023-01.parquet", "raw/taxi_zones.zip"):
        storage.write(name, b"x")
    storage.write("raw/.hidden.parquet", b"x")
    with storage.lock("raw/yellow_tripdata_2023-01.parquet"):
        assert storage.list("raw/yellow_tripdata_????-??.parquet") == [
            "raw/yellow_tripdata_2023-01.parquet",
            "raw/yellow_tripdata_2023-02.parquet",
        ]
        assert len(storage.list("raw/*")) == 3


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "raw/../../x", "a\\..\\b.json"])
def test_names_that_lead_out_are_refused(storage: Storage, name: str) -> None:
    for use in (storage.exists, storage.read, storage.uri, storage.delete, lambda n: storage.write(n, b"x")):
        with pytest.raises(ValueError, match="is not a name in the storage"):
            use(name)


def _lock_for_a_second(folder: Path, locked: Path) -> None:
    with LocalFolder(folder).lock("raw/a", "raw/b"):
        locked.touch()
        time.sleep(1)
        (locked.parent / "released").touch()


def test_a_lock_keeps_other_processes_waiting(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    holder = process(_lock_for_a_second, tmp_path / "store", locked)
    while not locked.exists():
        time.sleep(0.01)
    with LocalFolder(tmp_path / "store").lock("raw/b", "raw/a"):
        assert (tmp_path / "released").exists(), "the other had left its block"
    holder.join()
    assert holder.exitcode == 0
