"""The lists beside the datasets: `datapackage.json` and `SHA256SUMS`, as programs of others read them."""

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.datasets.columns import DATASETS
from taxi_pipeline.datasets.encoding import arrow_schema
from taxi_pipeline.datasets.listing import PUBLISHED, list_datasets, table_schema
from taxi_pipeline.defs.assets import demand_errors, demand_model, market_shares, zone_hours
from taxi_pipeline.defs.assets.single_trips import single_trips
from taxi_pipeline.storage import LocalFolder, Storage
from taxi_pipeline_tests.object_stores import STORAGES, storage_at, storage_url
from taxi_pipeline_tests.pipelines import Pipeline, pipeline_in

PACKAGE, SUMS = "datasets/datapackage.json", "datasets/SHA256SUMS"
JANUARY = "datasets/zone_hours/fleet=green/month=2023-01.parquet"
FEBRUARY = "datasets/zone_hours/fleet=green/month=2023-02.parquet"
TRIPS_FILE = "datasets/trips/fleet=fhvhv/month=2023-01.parquet"


@pytest.fixture(params=STORAGES)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    return storage_at(storage_url(request.param, tmp_path), tmp_path)


def sums_of(files: Storage) -> dict[str, str]:
    lines = files.read_text(SUMS).splitlines()
    return {f"datasets/{line[66:]}": line[:64] for line in lines}


def test_the_lists_have_every_file_with_its_sum(files: Storage) -> None:
    contents = {JANUARY: b"january", FEBRUARY: b"february", TRIPS_FILE: b"trips"}
    for name, content in contents.items():
        list_datasets(files, [files.write(name, content)])
    sums = sums_of(files)
    beside = {PACKAGE, "datasets/schemas/zone_hours.json", "datasets/schemas/trips.json"}
    assert set(sums) == {*contents, *beside}
    assert sums == {name: sha256(files.read(name)).hexdigest() for name in sums}
    resources = json.loads(files.read(PACKAGE))["resources"]
    assert [(one["path"], one["bytes"], one["hash"], one["fleet"], one["month"]) for one in resources] == [
        (name.removeprefix("datasets/"), len(text), f"sha256:{sha256(text).hexdigest()}", fleet, month)
        for name, text, fleet, month in (
            (TRIPS_FILE, b"trips", "fhvhv", "2023-01"),
            (JANUARY, b"january", "green", "2023-01"),
            (FEBRUARY, b"february", "green", "2023-02"),
        )
    ]
    assert {one["schema"] for one in resources} == {"schemas/zone_hours.json", "schemas/trips.json"}


def test_equal_files_give_equal_bytes_in_whatever_order(files: Storage, tmp_path: Path) -> None:
    other = LocalFolder(tmp_path / "other")
    for storage, names in ((files, (JANUARY, FEBRUARY)), (other, (FEBRUARY, JANUARY))):
        for name in names:
            list_datasets(storage, [storage.write(name, name)])
    assert files.read(PACKAGE) == other.read(PACKAGE)
    assert files.read(SUMS) == other.read(SUMS)


def test_what_is_known_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = LocalFolder(tmp_path)
    list_datasets(files, [files.write(JANUARY, b"january")])
    written = files.write(FEBRUARY, b"february")

    def refuse(*_: Any) -> None:
        raise AssertionError("a file was read or written again")

    monkeypatch.setattr(LocalFolder, "describe", refuse)
    list_datasets(files, [written])
    assert {JANUARY, FEBRUARY} <= set(sums_of(files))
    monkeypatch.setattr(LocalFolder, "write", refuse)
    list_datasets(files, [written])


def test_files_of_older_versions_and_lists_that_were_changed_are_made_good(files: Storage) -> None:
    files.write(JANUARY, b"made by a version without lists")
    for damage in ("", "{", '{"resources": [{"path": 1}]}', "[]"):
        files.write(PACKAGE, damage)
        files.write(SUMS, "0  x\n")
        list_datasets(files, [files.write(FEBRUARY, b"february")])
        assert sums_of(files) == {name: sha256(files.read(name)).hexdigest() for name in sums_of(files)}
        assert {JANUARY, FEBRUARY} <= set(sums_of(files))
    files.delete(JANUARY)
    files.write("datasets/notes.txt", "somebody's own")
    list_datasets(files, [files.write(FEBRUARY, b"again")])
    assert set(sums_of(files)) == {FEBRUARY, PACKAGE, "datasets/schemas/zone_hours.json"}


def test_each_declared_type_is_that_of_the_file() -> None:
    kinds = {
        "string": pa.types.is_string,
        "date": pa.types.is_date,
        "datetime": pa.types.is_timestamp,
        "boolean": pa.types.is_boolean,
        "integer": pa.types.is_integer,
        "number": lambda kind: pa.types.is_decimal(kind) or pa.types.is_floating(kind),
    }
    for table in PUBLISHED:
        fields = table_schema(table)["fields"]
        columns = list(arrow_schema(table))
        assert [one["name"] for one in fields] == [column.name for column in columns]
        assert all(kinds[one["type"]](column.type) for one, column in zip(fields, columns, strict=True))
        required = [one.get("constraints", {}).get("required", False) for one in fields]
        assert required == [not column.nullable for column in columns]


@pytest.fixture(scope="module")
def made(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """All datasets of green taxis. Read it, never write to it."""
    pipeline = pipeline_in(tmp_path_factory.mktemp("made"), mirror, ["green"])
    pipeline.load("2023-01-01", "2023-02-28")
    for assets in ((zone_hours, market_shares, single_trips), (demand_model,), (demand_errors,)):
        first = "2023-02" if demand_model in assets else "2023-01"
        assert pipeline.dataset("green", first, *assets, until="2023-02").success
    return pipeline


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_checks_what_the_assets_wrote(made: Pipeline) -> None:
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    checked = subprocess.run(command, cwd=made.folder / "datasets", capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    names = {line.removesuffix(": OK") for line in checked.stdout.splitlines()}
    on_disk = {path.relative_to(made.folder / "datasets") for path in (made.folder / "datasets").rglob("*")}
    assert names | {"SHA256SUMS"} == {
        path.as_posix() for path in on_disk if path.suffix and ".locks" not in path.parts
    } | {"SHA256SUMS"}


def test_the_keys_hold(made: Pipeline) -> None:
    """Of each dataset no two rows of a file have the same values in the columns of its key, and none is NULL."""
    for table in DATASETS:
        paths = sorted((made.folder / "datasets" / table.name).rglob("*.parquet"))
        assert paths
        key = [name for name in table.key if name != "fleet"]
        for path in paths:
            rows = pq.ParquetFile(path).read(key).to_pylist()
            values = [tuple(row.values()) for row in rows]
            assert len(set(values)) == len(values), path
            assert not any(value is None for row in values for value in row)


def test_the_partitions_before_one_that_fails_are_listed(
    made: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pipeline_in(tmp_path, made.tlc.url, ["green"])
    own.load("2023-01-01", "2023-02-28")
    real = LocalFolder.write

    def fails_in_february(self: LocalFolder, name: str, content: bytes | str) -> Any:
        if name == FEBRUARY:
            raise RuntimeError("no room")
        return real(self, name, content)

    monkeypatch.setattr(LocalFolder, "write", fails_in_february)
    assert not own.dataset("green", "2023-01", zone_hours, until="2023-02").success
    assert JANUARY in sums_of(own.files)
    assert FEBRUARY not in sums_of(own.files)
