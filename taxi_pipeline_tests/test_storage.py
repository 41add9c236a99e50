"""Named files: whole or not there, locked between processes, and the same for every storage."""

import errno
import hashlib
import os
import random
import stat
import time
from pathlib import Path

import pytest

from taxi_pipeline.required_files import require_file
from taxi_pipeline.storage import LocalFolder, MissingFileError, Storage, StorageError
from taxi_pipeline.storage.whole_files import FileInUseError, locked, replacing, sha256_of
from taxi_pipeline_tests.object_stores import STORAGES, storage_at, storage_url
from taxi_pipeline_tests.processes import process, wait_for_file


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


@pytest.mark.slow
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
        require_file(LocalFolder(tmp_path), "raw/x.parquet", written_by="taxi_trips_file")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# The boundary: what every storage of named files does


@pytest.fixture(params=STORAGES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty storage of each kind."""
    return storage_url(request.param, tmp_path)


@pytest.fixture
def storage(url: str, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    return storage_at(url, tmp_path)


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
    require_file(storage, "raw/x.parquet", written_by="taxi_trips_file")
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


@pytest.mark.parametrize(
    "name", ["a b.json", "éü.json", "100%.json", "a%20b.json", "a#b?c=d.json", "[x]*.json", "~'\"&.json"]
)
def test_any_name_of_a_file_will_do(storage: Storage, name: str) -> None:
    storage.write(f"requests/{name}", name)
    storage.write(f"requests/other {name}", "other")
    assert storage.read_text(f"requests/{name}") == name
    assert f"requests/{name}" in storage.list("requests/*.json")
    storage.delete(f"requests/{name}")
    assert storage.list("requests/*.json") == [f"requests/other {name}"]


def test_an_empty_file_and_a_large_one(storage: Storage) -> None:
    assert storage.write("staging/empty", b"").size_bytes == 0
    large = random.Random(0).randbytes(20_000_000)  # noqa: S311 - in two parts
    with storage.draft("raw/large.bin") as draft:
        draft.path.write_bytes(large)
    for name, content in (("staging/empty", b""), ("raw/large.bin", large)):
        assert storage.read(name) == content
        assert storage.describe(name).sha256 == hashlib.sha256(content).hexdigest()
        with storage.local_copy(name) as path:
            assert path.read_bytes() == content


def test_a_local_copy_is_of_the_current_version(storage: Storage, url: str, tmp_path: Path) -> None:
    elsewhere = storage_at(url, tmp_path / "elsewhere")
    with storage.draft("raw/f.bin") as draft:
        draft.path.write_bytes(b"first")
    with storage.local_copy("raw/f.bin") as path:
        assert path.read_bytes() == b"first"
    elsewhere.write("raw/f.bin", b"other")
    with storage.local_copy("raw/f.bin") as path:
        assert path.read_bytes() == b"other", "another process wrote it"


def _lock_for_a_second(url: str, folder: Path) -> None:
    with storage_at(url, folder).lock("raw/a", "raw/b"):
        (folder / "locked").touch()
        time.sleep(1)
        (folder / "released").touch()


def test_a_lock_keeps_other_processes_waiting(url: str, storage: Storage, tmp_path: Path) -> None:
    holder = process(_lock_for_a_second, url, tmp_path)
    wait_for_file(tmp_path / "locked", holder)
    with storage.lock("raw/b", "raw/a"):
        assert (tmp_path / "released").exists(), "the other had left its block"
    holder.join()
    assert holder.exitcode == 0


VERSIONS = [bytes([number]) * 18_000_000 for number in range(2)]
"""Contents that a process writes in turn; each is sent in two parts."""


def _write_in_turn(url: str, folder: Path, started: Path) -> None:
    storage = storage_at(url, folder)
    started.touch()
    for content in VERSIONS * 1000:
        if content == VERSIONS[0]:
            storage.write("raw/f.bin", content)
        else:
            with storage.draft("raw/f.bin") as draft:
                draft.path.write_bytes(content)


@pytest.mark.slow
def test_a_killed_write_leaves_an_old_file_or_a_new_one(url: str, tmp_path: Path) -> None:
    """Fifty SIGKILLs: what is there is whole, is what it is described as, and nothing else is there."""
    draw = random.Random(7)  # noqa: S311 - only moments
    storage = storage_at(url, tmp_path)
    began = time.monotonic()
    for content in VERSIONS:
        storage.write("raw/f.bin", content)
    # Half a second is too short for the second version on a slow machine.
    longest = max(0.5, 1.5 * (time.monotonic() - began))
    digests = {hashlib.sha256(content).hexdigest() for content in VERSIONS}
    seen = set()
    for number in range(50):
        started = tmp_path / f"started-{number}"
        writer = process(_write_in_turn, url, tmp_path, started)
        wait_for_file(started, writer)
        time.sleep(draw.uniform(0, longest))
        writer.kill()
        writer.join()
        content = storage.read("raw/f.bin")
        assert content in VERSIONS
        # The server may still be doing what the killed process had asked for.
        assert storage.describe("raw/f.bin").sha256 in digests
        assert storage.list("raw/*") == ["raw/f.bin"]
        seen.add(content)
    assert len(seen) == 2
    with storage.lock("raw/f.bin"), storage.draft("raw/f.bin") as draft:
        draft.path.write_bytes(b"at the end")
    left = [path for path in tmp_path.rglob("*") if path.is_file() and ".tmp" in path.name]
    assert left == [], "the next writer removes what the killed ones left"
    assert len(list((tmp_path / "scratch").glob("process-*"))) <= 1


def test_what_is_there_and_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    """Regression: a snapshot to /dev/null replaced the device by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(StorageError, match="something else than a file, which stays as it is"), replacing(pipe):
        pass
    assert pipe.is_fifo()
