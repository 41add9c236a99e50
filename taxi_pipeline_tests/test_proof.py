"""Manifests and what is found with them: changed, missing and added files, signatures, outputs that are made again."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from taxi_pipeline.datasets.listing import list_datasets
from taxi_pipeline.defs.assets import month_manifest, week_summary, zone_hours
from taxi_pipeline.defs.assets.single_trips import single_trips
from taxi_pipeline.proof.comparison import differences_from, untrue_sums
from taxi_pipeline.proof.manifest import Manifest, ManifestError, manifest_of, read_manifest
from taxi_pipeline.proof.rebuilding import RebuildError, reasons_of, rebuild_day, rebuild_month
from taxi_pipeline.proof.signatures import KeyFileError, is_signed, sign
from taxi_pipeline.storage import LocalFolder, Storage
from taxi_pipeline.storage.bucket import Bucket
from taxi_pipeline.tlc.fetch_note import FetchNote, Origin, write_note
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.object_stores import S3, STORAGES, storage_at, storage_url
from taxi_pipeline_tests.pipelines import Pipeline, error_of, pipeline_in

SETTINGS = {"TAXI_FLEETS": "yellow,green", "TAXI_ACCEPT": ""}
KINDS = {
    "raw/green_tripdata_2023-01.parquet": bytes(range(256)) * 40,
    "raw/green_tripdata_2023-01.parquet.source.json": b'{"url": "https://example.com/green"}',
    "datasets/zone_hours/fleet=green/month=2023-01.parquet": b"PAR1",
    "datasets/SHA256SUMS": b"sums\n",
    "outputs/weeks.csv": b"a,b\n1,2\n",
    "outputs/reports/2023-01.html": b"<html/>",
    "outputs/Größe 大.csv": "ä\n".encode(),
    "outputs/empty": b"",
}
"""A file of each kind."""


@pytest.fixture(params=STORAGES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty storage of each kind."""
    return storage_url(request.param, tmp_path)


@pytest.fixture
def filled(url: str, tmp_path: Path) -> Storage:
    """A storage of each kind, with a file of each kind."""
    storage = storage_at(url, tmp_path)
    for name, content in KINDS.items():
        storage.write(name, content)
    return storage


def local(folder: Path) -> LocalFolder:
    files = LocalFolder(folder)
    for name, content in KINDS.items():
        files.write(name, content)
    return files


def found(manifest: Manifest, files: Storage) -> dict[str, str]:
    return {finding.name: finding.what for finding in differences_from(manifest, files)}


def test_a_manifest_lists_every_file_with_its_sha256(filled: Storage) -> None:
    filled.write("staging/data.duckdb", b"not listed")
    made = manifest_of(filled, SETTINGS)
    assert {file.name: file.sha256 for file in made.files} == {
        name: sha256(content).hexdigest() for name, content in KINDS.items()
    }
    assert {file.name: file.size_bytes for file in made.files} == {name: len(text) for name, text in KINDS.items()}
    (month,) = [file for file in made.files if file.name.endswith("2023-01.parquet") and file.is_input]
    assert month.origin == "https://example.com/green"
    assert manifest_of(filled, SETTINGS).text() == made.text(), "equal files give equal bytes"
    assert read_manifest(made.text().encode(), "x").text() == made.text()
    assert found(made, filled) == {}


@pytest.mark.parametrize("name", KINDS)
def test_a_changed_byte_is_found_in_each_kind_of_file(filled: Storage, name: str) -> None:
    made = manifest_of(filled, SETTINGS)
    content = KINDS[name]
    filled.write(name, content[:-1] + bytes([content[-1] ^ 1]) if content else b"x")
    ((changed, what),) = found(made, filled).items()
    assert changed == name
    assert what.startswith("was changed: its SHA-256 is" if content else "was changed: it has 1 bytes")


def test_what_is_truncated_missing_or_added_is_found(filled: Storage) -> None:
    made = manifest_of(filled, SETTINGS)
    filled.write("raw/green_tripdata_2023-01.parquet", KINDS["raw/green_tripdata_2023-01.parquet"][:-1])
    filled.delete("outputs/Größe 大.csv")
    for name in ("datasets/.hidden", "outputs/deep/er/é.csv", "raw/.locks/x.parquet"):
        filled.write(name, b"added")
    assert found(made, filled) == {
        "raw/green_tripdata_2023-01.parquet": "was changed: it has 10,239 bytes, in the manifest 10,240",
        "outputs/Größe 大.csv": "is missing",
        "datasets/.hidden": "was added: the manifest lacks it",
        "outputs/deep/er/é.csv": "was added: the manifest lacks it",
        "raw/.locks/x.parquet": "was added: the manifest lacks it",
    }


@pytest.mark.parametrize("url", [S3], indirect=True)
def test_an_object_is_read_and_its_metadata_are_not_believed(filled: Storage, url: str) -> None:
    """The metadata name the SHA-256 of what the pipeline wrote; others can write other bytes with the same metadata."""
    made = manifest_of(filled, SETTINGS)
    name = "outputs/weeks.csv"
    before = filled.describe(name)
    Bucket(url).put(name, b"a,b\n1,3\n", attributes={"sha256": before.sha256})
    assert filled.describe(name).sha256 == before.sha256
    assert filled.digest(name).sha256 == sha256(b"a,b\n1,3\n").hexdigest()
    assert set(found(made, filled)) == {name}


def test_locks_and_drafts_of_the_storage_are_not_listed(tmp_path: Path) -> None:
    files = local(tmp_path)
    with files.lock("outputs/weeks.csv"), files.draft("outputs/weeks.csv") as draft:
        draft.path.write_bytes(b"half")
        assert found(manifest_of(files, SETTINGS), files) == {}
        assert len(manifest_of(files, SETTINGS).files) == len(KINDS)
        draft.path.write_bytes(KINDS["outputs/weeks.csv"])


def test_a_link_in_the_place_of_a_file_is_found(tmp_path: Path) -> None:
    files = local(tmp_path / "a")
    made = manifest_of(files, SETTINGS)
    path, elsewhere = tmp_path / "a" / "outputs" / "weeks.csv", tmp_path / "elsewhere.csv"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    (tmp_path / "a" / "datasets" / "linked").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "a" / "raw" / "pipe")
    assert found(made, files) == {
        "outputs/weeks.csv": "is a symbolic link, and no file",
        "datasets/linked": "was added: the manifest lacks it, and it is a symbolic link",
        "raw/pipe": "was added: the manifest lacks it, and it is a pipe",
    }
    with pytest.raises(ManifestError, match=r"datasets/linked and 2 more can't be listed: it is a symbolic link"):
        manifest_of(files, SETTINGS)


def test_names_that_are_no_text_are_found_and_shown(tmp_path: Path) -> None:
    files = local(tmp_path)
    made = manifest_of(files, SETTINGS)
    odd = os.fsdecode(b"raw/\xff\n.csv")
    (tmp_path / odd).write_bytes(b"x")
    (tmp_path / "raw" / "a\\b").write_bytes(b"x")
    assert set(found(made, files)) == {odd, "raw/a\\b"}
    (tmp_path / "raw" / "a\\b").unlink()
    again = manifest_of(files, SETTINGS)
    assert found(read_manifest(again.text().encode(), "x"), files) == {}


def test_a_file_that_cannot_be_read_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = local(tmp_path)
    made = manifest_of(files, SETTINGS)

    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("taxi_pipeline.storage.local_folder.sha256_of", refuse)
    assert all("can't be read: " in what and "Make it readable" in what for what in found(made, files).values())


def test_without_files_there_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="there are no files to list in raw, datasets, outputs"):
        manifest_of(LocalFolder(tmp_path), SETTINGS)


Change = Callable[[dict], object]
BROKEN: dict[str, Change] = {
    "its format is None": lambda it: it.pop("format"),
    "'outputs'": lambda it: it.pop("outputs"),
    "lists a file twice": lambda it: it["outputs"].append(it["outputs"][0]),
    "is none of the inputs": lambda it: it["inputs"].append(it["outputs"].pop()),
    "the entry of .* is none": lambda it: it["outputs"][0].update(sha256="00"),
    "none of the outputs": lambda it: it["outputs"][0].update(name="../outputs/x"),
    "must be relative": lambda it: it["outputs"][0].update(name="outputs/../../x"),
    "unexpected keyword": lambda it: it["outputs"][0].update(more=1),
    "must be texts": lambda it: it["settings"].update(TAXI_FLEETS=1),
    "the entry of": lambda it: it["outputs"][0].update(size_bytes=True),
}


@pytest.mark.parametrize("said", BROKEN)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, said: str) -> None:
    content = json.loads(manifest_of(local(tmp_path), SETTINGS).text())
    BROKEN[said](content)
    with pytest.raises(ManifestError, match=said):
        read_manifest(json.dumps(content).encode(), "manifest.json")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"format": 1}', b"null"])
def test_bytes_that_are_no_manifest_are_refused(content: bytes) -> None:
    with pytest.raises(ManifestError, match=r"manifest\.json is no manifest"):
        read_manifest(content, "manifest.json")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with key.pem and public.pem, those of somebody else, and keys of another kind and with a password."""
    folder = tmp_path / "keys"
    folder.mkdir()
    plain = serialization.NoEncryption()
    pkcs8, pem = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    for name in ("key", "other"):
        private = ed25519.Ed25519PrivateKey.generate()
        (folder / f"{name}.pem").write_bytes(private.private_bytes(pem, pkcs8, plain))
        public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}-public.pem").write_bytes(public)
    locked = private.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"secret"))
    (folder / "locked.pem").write_bytes(locked)
    (folder / "rsa.pem").write_bytes(rsa.generate_private_key(65537, 2048).private_bytes(pem, pkcs8, plain))
    (folder / "none.pem").write_text("no key")
    return folder


def test_a_signature_is_of_these_bytes_and_this_key(keys: Path) -> None:
    signature = sign(b"manifest", keys / "key.pem")
    assert len(signature) == 64
    assert is_signed(b"manifest", signature, keys / "key-public.pem")
    assert not is_signed(b"manifesT", signature, keys / "key-public.pem")
    assert not is_signed(b"manifest", signature, keys / "other-public.pem")
    for damaged in (signature[:-1], b"", signature[:-1] + bytes([signature[-1] ^ 1]), signature + b"\n"):
        assert not is_signed(b"manifest", damaged, keys / "key-public.pem")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_openssl_checks_the_signature(keys: Path) -> None:
    (keys / "m").write_bytes(b"manifest")
    (keys / "m.sig").write_bytes(sign(b"manifest", keys / "key.pem"))
    command = "openssl pkeyutl -verify -pubin -inkey key-public.pem -rawin -in m -sigfile m.sig".split()
    checked = subprocess.run(command, cwd=keys, capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in checked.stdout, checked.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.pem", "can't be read: No such file"),
        ("none.pem", "is no ed25519 private key"),
        ("rsa.pem", "is no ed25519 private key"),
        ("key-public.pem", "is no ed25519 private key"),
        ("locked.pem", "has a password"),
    ],
)
def test_a_key_that_is_none_is_named(keys: Path, name: str, said: str) -> None:
    with pytest.raises(KeyFileError, match=said):
        sign(b"", keys / name)


def test_a_private_key_is_no_public_one(keys: Path) -> None:
    with pytest.raises(KeyFileError, match="is no ed25519 public key"):
        is_signed(b"", b"", keys / "key.pem")


JANUARY, FEBRUARY = date(2023, 1, 1), date(2023, 2, 1)


@pytest.fixture(scope="module")
def made(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Two months of two fleets, without the last day of February, and the outputs of both. Read it, never write."""
    pipeline = pipeline_in(tmp_path_factory.mktemp("made"), mirror, ["yellow", "green"])
    pipeline.run("2023-01-01", "2023-01-31", select=["taxi_zones_file", "taxi_zones", "taxi_trips_file", "taxi_trips"])
    pipeline.run("2023-02-01", "2023-02-27", select=["taxi_trips_file", "taxi_trips"])
    for fleet in ("yellow", "green"):
        assert pipeline.dataset(fleet, "2023-01", until="2023-02").success
        assert pipeline.dataset(fleet, "2023-01", single_trips, until="2023-02").success
    assert pipeline.report(month_manifest, "2023-01-01", "2023-02-01").success
    weeks = pipeline.report(week_summary, "2023-01-01", "2023-02-19")
    assert weeks.success, error_of(weeks)
    return pipeline


def manifest_after(files: Storage, change: Callable[[], object] = lambda: None) -> Manifest:
    change()
    return manifest_of(files, SETTINGS)


def copy_of(pipeline: Pipeline, folder: Path) -> LocalFolder:
    for name in ("raw", "datasets", "outputs"):
        shutil.copytree(pipeline.folder / name, folder / name)
    return LocalFolder(folder)


def test_a_month_is_made_again_byte_for_byte(made: Pipeline, tmp_path: Path) -> None:
    rebuilt = rebuild_month(manifest_after(made.files), made.files, JANUARY, tmp_path)
    assert rebuilt.findings == []
    assert set(rebuilt.equal) == {
        *(f"datasets/{name}/fleet={fleet}/month=2023-01.parquet" for fleet in ("yellow", "green") for name in FILES),
        "outputs/month_manifest/2023-01.json",
        *(f"outputs/week_summary/2023-01-{day:02}.json" for day in (8, 15, 22)),
    }
    assert {file.name for file in rebuilt.made_from} == {
        "raw/taxi_zones.zip",
        "raw/yellow_tripdata_2023-01.parquet",
        "raw/green_tripdata_2023-01.parquet",
    }
    left = {name for names in rebuilt.not_rebuilt.values() for name in names}
    outputs = {file.name for file in manifest_after(made.files).files if not file.is_input}
    assert left | set(rebuilt.equal) == outputs, "each output was made again, or it is said why not"
    assert left & set(rebuilt.equal) == set()
    assert "nothing here knows how it is made" not in rebuilt.not_rebuilt


FILES = ("zone_hours", "market_shares", "trips")


def test_a_month_that_is_loaded_in_part_is_made_again_with_its_days(made: Pipeline, tmp_path: Path) -> None:
    rebuilt = rebuild_month(manifest_after(made.files), made.files, FEBRUARY, tmp_path)
    assert rebuilt.findings == []
    assert "outputs/month_manifest/2023-02.json" in rebuilt.equal
    assert "datasets/trips/fleet=green/month=2023-02.parquet" in rebuilt.equal


def test_a_month_of_which_nothing_can_be_made_again_is_a_finding(made: Pipeline, tmp_path: Path) -> None:
    """Regression: without reports and datasets nothing was made again, and all was as it should be."""
    listed = manifest_after(made.files)
    only_inputs = replace(listed, files=[file for file in listed.files if file.is_input])
    with pytest.raises(RebuildError, match=r"no output that is made of 2023-01 alone: make some by .* --reports"):
        rebuild_month(only_inputs, made.files, date(2023, 1, 1), tmp_path)


def test_an_output_that_the_published_files_do_not_give_is_found(made: Pipeline, tmp_path: Path) -> None:
    """A manifest lists what is there, also where somebody changed it before the manifest was written."""
    files = copy_of(made, tmp_path / "copy")
    name = "datasets/zone_hours/fleet=green/month=2023-01.parquet"
    path = tmp_path / "copy" / name
    duckdb.sql(
        f"COPY (SELECT * REPLACE (num_trips + 1 AS num_trips) FROM read_parquet('{path}', hive_partitioning = false)) "
        f"TO '{path}.new' (FORMAT parquet)"
    )
    Path(f"{path}.new").replace(path)
    manifest = manifest_after(files)
    assert found(manifest, files) == {}
    rebuilt = rebuild_month(manifest, files, JANUARY, tmp_path / "bench")
    assert [finding.name for finding in rebuilt.findings] == [name]
    assert "is not what the files in raw/ give" in rebuilt.findings[0].what
    of_day = rebuild_day(manifest, files, date(2023, 1, 7), tmp_path / "day")
    assert [finding.name for finding in of_day.findings] == [name]


def test_inputs_are_compared_before_anything_is_made_of_them(made: Pipeline, tmp_path: Path) -> None:
    files = copy_of(made, tmp_path / "copy")
    manifest = manifest_after(files)
    files.write("raw/green_tripdata_2023-01.parquet", files.read("raw/green_tripdata_2023-02.parquet"))
    with pytest.raises(RebuildError, match=r"raw/green_tripdata_2023-01\.parquet is not what the manifest says"):
        rebuild_month(manifest, files, JANUARY, tmp_path / "bench")
    with pytest.raises(RebuildError, match=r"lists no raw/yellow_tripdata_2023-03\.parquet, raw/green"):
        rebuild_month(manifest, files, date(2023, 3, 1), tmp_path / "other")
    files.write("outputs/month_manifest/2023-01.json", "{}")
    with pytest.raises(RebuildError, match=r"month_manifest/2023-01\.json is not what the manifest says"):
        rebuild_month(manifest, files, JANUARY, tmp_path / "third")


def test_the_rows_of_a_day_are_made_again(made: Pipeline, tmp_path: Path) -> None:
    rebuilt = rebuild_day(manifest_after(made.files), made.files, date(2023, 1, 7), tmp_path / "a")
    assert rebuilt.findings == []
    (counted,) = made.rows("SELECT count(*) FROM trips WHERE fleet = 'green' AND pickup_date = '2023-01-07'")
    assert f"{counted[0]:,} rows of 2023-01-07 in datasets/trips/fleet=green/month=2023-01.parquet" in rebuilt.equal
    assert len(rebuilt.equal) == 4
    missing = rebuild_day(manifest_after(made.files), made.files, date(2023, 2, 28), tmp_path / "b")
    assert len(missing.findings) == 4, "the day is published, and was not loaded"


@pytest.mark.parametrize("fleets", ["", "blue", "yellow,\x1b[31m"])
def test_fleets_that_are_none_are_named(made: Pipeline, tmp_path: Path, fleets: str) -> None:
    manifest = Manifest(code={}, settings={"TAXI_FLEETS": fleets}, files=manifest_after(made.files).files)
    with pytest.raises(RebuildError, match="which names no fleets") as raised:
        rebuild_month(manifest, made.files, JANUARY, tmp_path)
    assert "\x1b" not in str(raised.value)


def test_csv_is_made_again_as_well(mirror: Path, tmp_path: Path) -> None:
    pipeline = pipeline_in(tmp_path / "data", mirror, ["green"])
    pipeline.datasets_format = "csv"
    pipeline.load("2023-01-01", "2023-01-31")
    assert pipeline.dataset("green", "2023-01", zone_hours).success
    manifest = manifest_of(pipeline.files, {"TAXI_FLEETS": "green"})
    rebuilt = rebuild_month(manifest, pipeline.files, JANUARY, tmp_path / "bench")
    assert list(rebuilt.equal) == ["datasets/zone_hours/fleet=green/month=2023-01.csv"]
    assert len(rebuild_day(manifest, pipeline.files, JANUARY, tmp_path / "day").equal) == 1


def test_a_trip_that_differs_in_one_value_is_found(made: Pipeline, tmp_path: Path) -> None:
    """And a file that is no Parquet, or has other columns, has none of the rows."""
    files = copy_of(made, tmp_path / "copy")
    name = "datasets/trips/fleet=green/month=2023-01.parquet"
    good = pq.ParquetFile(tmp_path / "copy" / name).read()
    row = good["pickup_date"].to_pylist().index(date(2023, 1, 7))
    totals = good["total_amount"].to_pylist()
    totals[row] += 1
    position = good.column_names.index("total_amount")
    spoilt = good.set_column(position, good.schema.field(position), pa.array(totals, good["total_amount"].type))
    for number, content in enumerate((spoilt, good.drop_columns(["total_amount"]), None)):
        path = tmp_path / "copy" / name
        path.write_bytes(b"PAR1") if content is None else pq.write_table(content, path)
        found_by_day = rebuild_day(manifest_after(files), files, date(2023, 1, 7), tmp_path / f"bench-{number}")
        assert [finding.name for finding in found_by_day.findings] == [name]
        other = rebuild_day(manifest_after(files), files, date(2023, 1, 8), tmp_path / f"other-{number}")
        assert [finding.name for finding in other.findings] == ([] if content is spoilt else [name])


def test_a_list_beside_the_datasets_that_is_behind_is_found(tmp_path: Path) -> None:
    """As after a process that was killed between a file and the list."""
    files = LocalFolder(tmp_path)
    name, other = (f"datasets/zone_hours/fleet=green/month=2023-0{month}.parquet" for month in (1, 2))
    list_datasets(files, [files.write(name, b"first")])
    assert list(untrue_sums(manifest_of(files, SETTINGS), files)) == []
    files.write(name, b"again")
    files.write(other, b"new")
    assert [finding.what for finding in untrue_sums(manifest_of(files, SETTINGS), files)] == [
        f"has another SHA-256 than the manifest of {name}: materialize its month again",
        f"lacks {other}: materialize its month again",
    ]
    files.write("datasets/SHA256SUMS", b"\xff")
    assert len(list(untrue_sums(manifest_of(files, SETTINGS), files))) == 2
    files.delete("datasets/SHA256SUMS")
    assert list(untrue_sums(manifest_of(files, SETTINGS), files)) == [], "no list, no untruth"


def test_an_imported_month_is_told_from_a_fetched_one(tmp_path: Path) -> None:
    files = local(tmp_path)
    name = "raw/green_tripdata_2023-01.parquet"
    origin = Origin(name="my trips.csv", sha256="0" * 64, imported_at="2026-11-30T08:15:00+00:00")
    write_note(files, name, FetchNote(url="import:my%20trips.csv", sha256="0" * 64, origin=origin))
    made = read_manifest(manifest_of(files, SETTINGS).text().encode(), "x")
    assert {(file.name, file.origin) for file in made.files if file.imported} == {(name, "my trips.csv")}


def test_the_data_folders_page_names_no_output_without_a_reason_why_it_is_not_made_again() -> None:
    """Each output is made again or has a reason of its own; the last reason is for files of somebody else."""
    page = (REPOSITORY / "data" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:outputs|datasets)/[^`]+)`", page)
    examples = [name.replace("YYYY-MM-DD", "2025-01-05").replace("YYYY-MM", "2025-01") for name in named]
    assert len(examples) > 20
    for name in examples:
        (reason,) = reasons_of({f"{name}x.json" if name.endswith("/") else name})
        assert reason != "nothing here knows how it is made", name


@pytest.mark.slow
def test_the_commands_prove_and_find(made: Pipeline, keys: Path, tmp_path: Path) -> None:
    """As a user has it: written and signed, verified, then a byte is changed, a file removed, another put there."""
    copy_of(made, tmp_path / "data")
    environment = {**os.environ, "TAXI_DATA_DIR": str(tmp_path / "data"), "TAXI_FLEETS": "yellow,green"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("taxi-pipeline"), *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "does not exist: write it by taxi-pipeline manifest" in run("verify").stderr
    written = run("manifest", "--key", str(keys / "key.pem"))
    assert written.returncode == 0, written.stderr
    assert "signed" in written.stdout
    public = ("--key", str(keys / "key-public.pem"))
    good = run("verify", *public, "--rebuild", "2023-01")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Signature: good" in good.stdout
    assert "datasets/trips/fleet=green/month=2023-01.parquet: equal" in good.stdout
    assert "outputs/week_summary/*.json (5): a week is compared with the one before" in good.stdout
    assert "the forecast is learned from other months" in good.stdout
    wrong = run("verify", "--key", str(keys / "other-public.pem"))
    assert wrong.returncode == 1
    assert "the manifest was changed, or another key signed it" in wrong.stdout

    name = "datasets/market_shares/fleet=green/month=2023-01.parquet"
    path = tmp_path / "data" / name
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    (tmp_path / "data" / "outputs" / "month_manifest" / "2023-02.json").unlink()
    (tmp_path / "data" / "raw" / os.fsdecode(b"\xff\x1b[31m")).write_bytes(b"x")
    bad = run("verify", *public)
    assert bad.returncode == 1
    assert f"{name} was changed: its SHA-256 is" in bad.stdout
    assert "outputs/month_manifest/2023-02.json is missing" in bad.stdout
    assert r"'raw/\udcff\x1b[31m' was added" in bad.stdout
    assert "3 findings; see above" in bad.stderr

    manifest = tmp_path / "data" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"TAXI_FLEETS": "yellow,green"', '"TAXI_FLEETS": "green,yellow"'))
    assert "the manifest was changed" in run("verify", *public).stdout
    elsewhere = str(shutil.copy(manifest, tmp_path / "given.json"))
    assert "there is none beside it" in run("verify", elsewhere, *public).stdout
    assert run("manifest").returncode == 0
    assert not (tmp_path / "data" / "manifest.json.sig").exists(), "that of another manifest"
    assert "no day such as 2025-01-07" in run("verify", "--rebuild", "January").stderr
    assert "lists no raw/yellow_tripdata_2024-05.parquet" in run("verify", "--rebuild", "2024-05").stdout


@pytest.mark.real_data
def test_a_real_month_is_made_again(real_tlc: Path, tmp_path: Path) -> None:
    pipeline = pipeline_in(tmp_path / "data", real_tlc, ["green"])
    pipeline.load("2023-06-01", "2023-06-30")
    assert pipeline.dataset("green", "2023-06", zone_hours, single_trips).success
    manifest = manifest_of(pipeline.files, {"TAXI_FLEETS": "green"})
    rebuilt = rebuild_month(manifest, pipeline.files, date(2023, 6, 1), tmp_path / "bench")
    assert rebuilt.findings == []
    assert len(rebuilt.equal) == 2
