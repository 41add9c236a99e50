"""What a laptop does to a pipeline: killed processes, full disks, read-only folders, several runs at once.

Each fault is a real one. Afterwards the tables are those of before or those of after, and the next run brings what an
undisturbed one brings. What servers do is in `test_download`, what the faults promise in `docs/faults.md`.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.fleets import YELLOW
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.object_stores import STORAGES, storage_url
from taxi_pipeline_tests.pipelines import EVERYTHING, Pipeline, error_of, leftovers_in, pipeline_in, tables_of
from taxi_pipeline_tests.processes import process, wait_for_file

pytestmark = pytest.mark.slow

KILLS = 50
SEED = 20230201
MONTH = ("2023-02-01", "2023-02-28")
LOADING = ("taxi_zones_file", "taxi_zones", "taxi_trips_file", "taxi_trips", "zone_hourly_trips", "trips_by_week")
FILE = "yellow_tripdata_2023-02.parquet"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two mirrors: a month as it was first published, and published anew with fewer trips and a value that misfits."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    write_mirror(first, Days(date(2023, 2, 1), date(2023, 2, 28)), trips_per_day=150)
    shutil.copytree(first, second, dirs_exist_ok=True)
    table = pq.read_table(first / "trip-data" / FILE).filter(pc.field("trip_distance") > 1.0)
    fares = [*table["fare_amount"].to_pylist()[:-1], 1e15]
    column = table.schema.get_field_index("fare_amount")
    pq.write_table(table.set_column(column, "fare_amount", pa.array(fares)), second / "trip-data" / FILE)
    return first, second


@pytest.fixture(scope="module")
def undisturbed(versions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Pipeline]:
    """Each version loaded without a fault."""
    pipelines = [pipeline_in(tmp_path_factory.mktemp("undisturbed"), mirror) for mirror in versions]
    for pipeline in pipelines:
        pipeline.run(*MONTH)
    return pipelines


@pytest.fixture
def loaded(undisturbed: list[Pipeline], tmp_path: Path) -> Path:
    """A folder with the first version, loaded."""
    return Path(shutil.copytree(undisturbed[0].folder, tmp_path / "data"))


def weeks_of(pipeline: Pipeline) -> bytes:
    return pipeline.files.read("outputs/trips_by_week.csv")


# Killed processes


def _load(folder: Path, mirror: Path, storage: str, started: Path | None = None) -> None:
    pipeline = pipeline_in(folder, mirror, storage_url=storage)
    if started:
        started.touch()
    pipeline.run(*MONTH, select=LOADING)


def _started(started: Path, folder: Path, mirror: Path, storage: str) -> tuple[Any, float]:
    """A process that loads a month, and the moment at which it began to."""
    child = process(_load, folder, mirror, storage, started)
    wait_for_file(started, child)
    return child, time.monotonic()


@pytest.mark.parametrize("kind", STORAGES)
def test_a_killed_run_is_as_if_it_had_never_been_or_as_if_it_were_done(
    versions: tuple[Path, Path], undisturbed: list[Pipeline], tmp_path: Path, kind: str
) -> None:
    """Fifty SIGKILLs at moments drawn from a seed, each while one version of a month takes the place of the other."""
    draw = random.Random(SEED)  # noqa: S311 - only moments
    folder, storage = tmp_path / "data", storage_url(kind, tmp_path / "data")
    pipeline = pipeline_in(folder, versions[0], storage_url=storage)
    pipeline.run(*MONTH)
    expected = [tables_of(one) for one in undisturbed]
    weeks = [weeks_of(one) for one in undisturbed]
    published = [(mirror / "trip-data" / FILE).read_bytes() for mirror in versions]
    child, start = _started(tmp_path / "started", folder, versions[1], storage)
    child.join()
    duration = time.monotonic() - start  # of a process, which has more to import than this one
    loaded, killed, outcomes = 1, 0, []
    for number in range(KILLS):
        target = 1 - loaded
        child, _ = _started(tmp_path / f"started-{number}", folder, versions[target], storage)
        began = time.monotonic()
        child.join(draw.uniform(0, duration))
        if child.exitcode is not None:  # it was faster than the first, which other tests may have slowed down
            duration = min(duration, time.monotonic() - began)
        child.kill()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        found = tables_of(pipeline)
        assert found in expected, f"neither version, after kill {number} of seed {SEED}"
        loaded = expected.index(found)
        outcomes.append(loaded == target)
        assert pipeline.files.read(f"raw/{FILE}") in published
        assert weeks_of(pipeline) in weeks
    assert killed > KILLS * 0.6, "most were killed at work"
    assert {True, False} == set(outcomes), "some before their transaction ended, some after"
    for version, mirror in enumerate(versions):
        again = pipeline_in(folder, mirror, storage_url=storage)
        again.run(*MONTH)
        assert tables_of(again) == expected[version]
        assert again.bytes_of_outputs() == undisturbed[version].bytes_of_outputs()
    assert leftovers_in(folder) == []


def _load_and_die_before(statement: int, folder: Path) -> None:
    """Load a month, and send oneself SIGKILL before the given statement; `exit 0` says that there are not so many."""
    count = 0

    def counted(method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments)

        return call

    for name in ("execute", "rows", "view_typed"):  # the others call these
        setattr(DuckDBSession, name, counted(getattr(DuckDBSession, name)))
    days = Days(date(2023, 2, 1), date(2023, 2, 28))
    pipeline = pipeline_in(folder, folder)
    pipeline.warehouse.change(load_days, YELLOW, [days], pipeline.files)


def test_killed_at_each_statement_the_tables_are_as_they_were(
    versions: tuple[Path, Path], undisturbed: list[Pipeline], loaded: Path
) -> None:
    pipeline = pipeline_in(loaded, versions[0])
    before = tables_of(pipeline)
    assert before == tables_of(undisturbed[0])
    pipeline_in(loaded, versions[1]).run(*MONTH, select=["taxi_trips_file"])
    statement = 0
    while True:
        statement += 1
        child = process(_load_and_die_before, statement, loaded)
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        assert tables_of(pipeline) == before, f"killed before statement {statement}"
    assert statement > 15
    assert tables_of(pipeline) == tables_of(undisturbed[1])


# Disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB, on which a month fits and its replacement does not."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a small file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_changes_nothing_and_says_so(
    versions: tuple[Path, Path], undisturbed: list[Pipeline], small_disk: Path
) -> None:
    """Each amount of free space from none to enough is tried: the run fails with the reason, or it succeeds."""
    shutil.copytree(undisturbed[0].folder, small_disk / "data")
    pipeline = pipeline_in(small_disk / "data", versions[1])
    expected = [tables_of(one) for one in undisturbed]
    failures = []
    for free in (0, 20_000, 60_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000):
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - free))
        error = _error_or_none(pipeline)
        ballast.unlink()
        assert tables_of(pipeline) in expected
        assert not [name for name in leftovers_in(small_disk / "data") if not name.endswith(".wal")]
        if error:
            failures.append(error)
            assert "can't be written" in error
            assert "No space left on device" in error
            assert "free some space" in error
    assert len(failures) >= 3
    pipeline.run(*MONTH)
    assert tables_of(pipeline) == expected[1]
    assert pipeline.bytes_of_outputs() == undisturbed[1].bytes_of_outputs()


def _error_or_none(pipeline: Pipeline) -> str | None:
    """Run the month; the error's text when it fails."""
    result = pipeline.try_run(*MONTH)
    return None if result.success else error_of(result)


def _load_with_small_files(limit: int, folder: Path, mirror: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    error = _error_or_none(pipeline_in(folder, mirror))
    os._exit(3 if error and "can't be written" in error and "File too large" in error else bool(error))


@pytest.mark.parametrize("limit", [1_000, 50_000, 500_000])
def test_a_limit_on_the_size_of_files_changes_nothing(
    versions: tuple[Path, Path], undisturbed: list[Pipeline], loaded: Path, limit: int
) -> None:
    """It stands in for a full disk, where nobody may mount one: the download meets the limit, or the database."""
    child = process(_load_with_small_files, limit, loaded, versions[1])
    child.join()
    assert child.exitcode == 3, "it fails, and says so"
    pipeline = pipeline_in(loaded, versions[1])
    assert tables_of(pipeline) == tables_of(undisturbed[0])
    pipeline.run(*MONTH, select=LOADING)
    assert tables_of(pipeline) == tables_of(undisturbed[1])


@pytest.mark.parametrize("folder", ["raw", "staging", "outputs"])
def test_a_folder_that_may_not_be_written_to_is_named(
    environment: Mapping[str, str], tmp_path: Path, folder: str
) -> None:
    command = [str(Path(sys.executable).with_name("taxi-pipeline")), "materialize"]
    if os.geteuid() == 0:  # who may write everywhere
        if not shutil.which("setpriv"):
            pytest.skip("root may write everywhere, and there is no setpriv to give that up")
        rights = "-dac_override,-dac_read_search,-fowner"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
    locked = tmp_path / "data" / folder
    locked.mkdir(parents=True)
    locked.chmod(0o555)
    result = subprocess.run(
        [*command, "--start", "2023-02-07", "--end", "2023-02-07"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    locked.chmod(0o755)
    assert result.returncode == 1
    assert str(locked) in result.stderr
    assert "ermission denied" in result.stderr
    assert "writable" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in locked.iterdir()] == []


# Several at once


def _materialize(environment: Mapping[str, str], first: str, last: str, log: Path) -> None:
    """The console script's command, in this process."""
    from taxi_pipeline.cli import main

    os.environ.clear()
    os.environ.update(environment)
    with log.open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        main(["materialize", "--start", first, "--end", last])


@pytest.mark.parametrize("kind", STORAGES)
@pytest.mark.parametrize("same", [False, True], ids=["different days", "the same days"])
def test_eight_at_once_lose_nothing_and_count_nothing_twice(
    environment: Mapping[str, str], mirror: Path, tmp_path: Path, same: bool, kind: str
) -> None:
    """Regression: two that write one CSV at the same time lost a week's row."""
    storage = storage_url(kind, tmp_path / "data")
    environment = {**environment, "TAXI_STORAGE_URL": storage}
    ranges = [("2023-02-01", "2023-02-08")] * 8 if same else [(f"2023-02-{n:02}",) * 2 for n in range(1, 9)]
    running = [
        process(_materialize, dict(environment), first, last, tmp_path / f"log-{number}")
        for number, (first, last) in enumerate(ranges)
    ]
    for one in running:
        one.join()
    logs = "\n".join((tmp_path / f"log-{number}").read_text() for number in range(8))
    assert [one.exitcode for one in running] == [0] * 8, logs
    pipeline = pipeline_in(tmp_path / "data", mirror, storage_url=storage)
    alone = pipeline_in(tmp_path / "alone", mirror)
    alone.run("2023-02-01", "2023-02-08", select=EVERYTHING)
    assert tables_of(pipeline) == tables_of(alone)
    assert pipeline.bytes_of_outputs() == alone.bytes_of_outputs()
    assert leftovers_in(tmp_path / "data") == []


def test_every_fault_in_the_docs_has_its_test() -> None:
    """`docs/faults.md` names a test for each promise; a name that is none would be a promise without proof."""
    import re

    text = (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)::(test_\w+)`", text)
    assert len(named) > 25
    for module, test in named:
        source = (REPOSITORY / "taxi_pipeline_tests" / f"{module}.py").read_text(encoding="utf-8")
        assert f"def {test}(" in source, f"{module}::{test}"
