"""What networks and object stores do to requests, and locks between machines: on real servers, through a real proxy."""

import json
import random
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from taxi_pipeline.cli import main
from taxi_pipeline.storage import FileInUseError, MissingFileError, Storage, StorageError, object_store, open_storage
from taxi_pipeline.storage.bucket import PART_BYTES, Bucket
from taxi_pipeline.storage.locks import LeaseLocks, Locks, PostgresLocks
from taxi_pipeline.storage.object_store import ObjectStore
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fetch_note import DamagedFileError, read_note, verified_copy
from taxi_pipeline_tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from taxi_pipeline_tests.object_stores import storage_at
from taxi_pipeline_tests.pipelines import pipeline_in
from taxi_pipeline_tests.processes import process, wait_for_file
from taxi_pipeline_tests.services import swift
from taxi_pipeline_tests.services.fixtures import service
from taxi_pipeline_tests.services.servers import BUCKET, SMALL_BUCKET

pytestmark = pytest.mark.services

SHORT = {"max_retries": 3, "backoff": {"init_backoff": timedelta(seconds=0.01), "max_backoff": timedelta(seconds=0.05)}}
LARGE = random.Random(1).randbytes(20_000_000)  # noqa: S311 - any bytes will do; sent in two parts


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy in front of the S3 server, which the storage takes for the server."""
    with faulty_proxy(service("TAXI_TEST_S3_URL")) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


@pytest.fixture
def url() -> str:
    """An empty prefix."""
    service("TAXI_TEST_S3_URL")
    return f"s3://{BUCKET}/{uuid.uuid4()}"


@pytest.fixture
def storage(proxy: FaultyProxy, url: str, tmp_path: Path) -> Storage:
    """An empty storage behind the proxy, with little patience."""
    bucket = Bucket(url, patience=SHORT)
    return ObjectStore(bucket, locks=LeaseLocks(bucket, machine=tmp_path / "machine"), scratch=tmp_path / "scratch")


# Stores that fail


def test_a_store_that_throttles_for_a_while_is_asked_again(storage: Storage, proxy: FaultyProxy) -> None:
    for method, use in (("PUT", lambda: storage.write("raw/f", b"1")), ("GET", lambda: storage.read("raw/f"))):
        proxy.fail(2, Fault(status=503, code="SlowDown"), method=method)
        use()
        assert len(proxy.sent(method)) >= 3
    assert storage.read("raw/f") == b"1"


def test_a_store_that_goes_on_throttling_is_an_error_and_nothing_is_lost(storage: Storage, proxy: FaultyProxy) -> None:
    storage.write("raw/f", b"old")
    proxy.fail(99, Fault(status=503, code="SlowDown"), method="PUT")
    with pytest.raises(StorageError, match=r"throttles \(SlowDown: .*Run again later"):
        storage.write("raw/f", b"new")
    assert storage.read("raw/f") == b"old"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(status=400, code="ExpiredToken"), r"credentials have expired \(ExpiredToken.*Renew them"),
        (Fault(status=403, code="AccessDenied"), r"refuses \(AccessDenied.*Check the credentials"),
        (Fault(status=507, code="XMinioStorageFull"), r"is full \(XMinioStorageFull.*make room"),
        (Fault(status=403, code="QuotaExceeded"), r"is full \(QuotaExceeded.*raise the quota"),
        (Fault(status=500, code="InternalError"), r"fails \(InternalError"),
        (Fault(drop_before=True), r"fails .*Check the network and the endpoint"),
    ],
)
def test_an_error_says_what_happened_and_what_to_do(
    storage: Storage, proxy: FaultyProxy, fault: Fault, message: str
) -> None:
    storage.write("outputs/f.csv", b"old")
    proxy.fail(99, fault, method="PUT")
    with pytest.raises(StorageError, match=message):
        storage.write("outputs/f.csv", b"new")
    with pytest.raises(StorageError, match=message), storage.draft("outputs/f.csv") as draft:
        draft.path.write_bytes(LARGE)
    proxy.decide = lambda _: None
    assert storage.read("outputs/f.csv") == b"old"


def test_a_server_that_is_not_there_is_named(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    bucket = Bucket(url, patience=SHORT)
    with pytest.raises(StorageError, match=r"http://127.0.0.1:1/.*Check the network and the endpoint"):
        bucket.read("raw/f")


def test_a_missing_bucket_is_not_a_missing_file(tmp_path: Path) -> None:
    service("TAXI_TEST_S3_URL")
    for use in (
        lambda storage: storage.exists("raw/f"),
        lambda storage: storage.read("raw/f"),
        lambda storage: storage.list("raw/*"),
        lambda storage: storage.write("raw/f", b"1"),
    ):
        with pytest.raises(StorageError, match="s3://nowhere/x can't be used: there is no such bucket"):
            use(storage_at("s3://nowhere/x", tmp_path))


def test_a_full_bucket_keeps_what_it_has() -> None:
    service("TAXI_TEST_S3_URL")
    bucket = Bucket(f"s3://{SMALL_BUCKET}/{uuid.uuid4()}", patience=SHORT)
    bucket.put("f", b"old")
    with pytest.raises(StorageError, match=r"is full .*What was there stays"):
        bucket.put("f", LARGE[:1_000_000])
    assert bucket.read("f")[0] == b"old"


def test_nothing_secret_is_in_an_error(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The server's answer to a wrong signature repeats the key and what was signed."""
    service("TAXI_TEST_S3_URL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    storage = storage_at(url, tmp_path)
    for use in (storage.read, storage.describe, lambda name: storage.write(name, b"1")):
        with pytest.raises(StorageError, match="Check the credentials") as error:
            use("raw/f")
        shown = "".join(traceback_of(error.value))
        for secret in ("a-secret", swift.ACCESS_KEY, "Signature=", "StringToSign", "AWS4-HMAC"):
            assert secret not in shown
    assert swift.ACCESS_KEY not in capfd.readouterr().err


def traceback_of(error: BaseException) -> list[str]:
    import traceback

    return traceback.format_exception(error)


def test_without_credentials_the_error_says_how_to_give_some(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StorageError, match=r"without credentials \(there are none\). Set AWS_PROFILE"):
        storage_at(url, tmp_path).read("raw/f")


def test_credentials_of_a_profile_are_used(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service("TAXI_TEST_S3_URL")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(variable)
    (tmp_path / "credentials").write_text(
        f"[team]\naws_access_key_id = {swift.ACCESS_KEY}\naws_secret_access_key = {swift.SECRET_KEY}\n"
        "region = us-east-1\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "team")
    storage = storage_at(url, tmp_path)
    storage.write("raw/f", b"1")
    assert storage.read("raw/f") == b"1"


# Connections that break, and answers that are not what was sent


@pytest.mark.parametrize("cut_at", [0, 1, 3_000_000])
def test_a_download_that_breaks_off_is_completed(storage: Storage, proxy: FaultyProxy, cut_at: int) -> None:
    storage.write("raw/f.bin", LARGE)
    proxy.fail(2, Fault(cut_at=cut_at), method="GET", part="f.bin")
    with storage.local_copy("raw/f.bin") as path:
        assert path.read_bytes() == LARGE


def test_a_download_that_always_breaks_off_is_an_error(storage: Storage, proxy: FaultyProxy, tmp_path: Path) -> None:
    storage.write("raw/f.bin", LARGE)
    proxy.fail(99, Fault(cut_at=100), method="GET", part="f.bin")
    with pytest.raises(StorageError, match=r"raw/f\.bin: the object store fails"), storage.local_copy("raw/f.bin"):
        pass
    assert not list((tmp_path / "scratch").rglob("f.bin")), "and no part of it stays"


def test_an_answer_that_is_lost_does_no_harm(storage: Storage, proxy: FaultyProxy) -> None:
    """The store has the object, and the client does not know it: it sends it again."""
    proxy.fail(1, Fault(drop_after=True), method="PUT")
    storage.write("raw/f", b"1")
    assert storage.read("raw/f") == b"1"
    proxy.fail(1, Fault(drop_after=True), method="PUT", part="partNumber=2")
    with storage.draft("raw/f") as draft:
        draft.path.write_bytes(LARGE)
    assert storage.read("raw/f") == LARGE


def test_an_upload_whose_part_fails_leaves_the_old_file_and_no_part(storage: Storage, proxy: FaultyProxy) -> None:
    storage.write("raw/f", b"old")
    proxy.fail(99, Fault(status=500, code="InternalError"), method="PUT", part="partNumber=2")
    with pytest.raises(StorageError, match="InternalError"), storage.draft("raw/f") as draft:
        draft.path.write_bytes(LARGE)
    assert storage.read("raw/f") == b"old"
    assert proxy.sent("DELETE", "uploadId="), "the upload was aborted"


def _none_fits(_: object) -> str:
    """A checksum as of a store whose ETags are no MD5: Azure, or S3 that encrypts with a key of the customer."""
    return "none"


def test_what_the_store_gives_back_differently_is_not_trusted(
    storage: Storage, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The note that makes a fetched file count is written only after the object was read back."""
    published = tmp_path / "published.bin"
    published.write_bytes(LARGE)
    monkeypatch.setattr(object_store, "md5_e_tag", _none_fits)
    proxy.fail(99, Fault(flip_a_bit=True), method="GET", part="raw/f.bin")

    def fetching() -> object:
        return fetch(published.as_uri(), storage, "raw/f.bin", verify=lambda _: None)

    with pytest.raises(StorageError, match=r"gives back something else.*must not be used"):
        fetching()
    proxy.decide = lambda _: None
    assert read_note(storage, "raw/f.bin") is None
    with pytest.raises(DamagedFileError), verified_copy(storage, "raw/f.bin", written_by="an asset"):
        pass
    fetching()
    with verified_copy(storage, "raw/f.bin", written_by="an asset") as (path, _):
        assert path.read_bytes() == LARGE


@pytest.mark.parametrize("size_bytes", [0, 1, PART_BYTES, PART_BYTES + 1, 20_000_000])
def test_what_has_the_right_md5_is_not_read_back(
    storage: Storage, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    storage.write("raw/f.bin", LARGE[:size_bytes])
    assert proxy.sent("GET") == []
    monkeypatch.setattr(object_store, "md5_e_tag", _none_fits)
    storage.write("raw/f.bin", LARGE[:size_bytes])
    assert len(proxy.sent("GET")) == 1
    assert storage.read("raw/f.bin") == LARGE[:size_bytes]


def test_what_is_damaged_on_its_way_is_refused_by_the_store(storage: Storage, proxy: FaultyProxy) -> None:
    storage.write("raw/f.bin", b"old")
    proxy.fail(99, Fault(flip_a_bit_sent=True), method="PUT")
    for content in (b"new", LARGE):
        with pytest.raises(StorageError, match="the object store"):
            storage.write("raw/f.bin", content)
    assert storage.read("raw/f.bin") == b"old"


def test_a_file_that_another_tool_replaced_is_noticed(storage: Storage, url: str, tmp_path: Path) -> None:
    published = tmp_path / "published.bin"
    published.write_bytes(b"published")
    fetched = fetch(published.as_uri(), storage, "raw/f.bin", verify=lambda _: None)
    Bucket(url).put("raw/f.bin", b"by hand")
    assert storage.describe("raw/f.bin").sha256 != fetched.sha256, "without the metadata it is read"
    with pytest.raises(DamagedFileError), verified_copy(storage, "raw/f.bin", written_by="an asset"):
        pass


def test_a_month_that_was_fetched_is_not_read_again_by_the_same_run(
    storage: Storage, proxy: FaultyProxy, tmp_path: Path
) -> None:
    published = tmp_path / "published.bin"
    published.write_bytes(LARGE)
    fetch(published.as_uri(), storage, "raw/f.bin", verify=lambda _: None)
    before = len(proxy.sent("GET", "raw/f.bin"))
    for _ in range(3):
        with storage.local_copy("raw/f.bin") as path:
            assert path.read_bytes() == LARGE
    assert not fetch(published.as_uri(), storage, "raw/f.bin", verify=lambda _: None).downloaded
    sent = [asked for asked in proxy.sent("GET", "raw/f.bin")[before:] if "source.json" not in asked.path]
    assert sent == [], "HEAD is enough"


def test_a_full_disk_of_this_machine_is_named(storage: Storage, tmp_path: Path) -> None:
    storage.write("raw/f.bin", b"1")
    (tmp_path / "scratch").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="scratch"), storage.local_copy("raw/f.bin"):
        pass


# Several processes, of one machine and of several


def _fetch(published: Path, url: str, folder: Path, postgres_url: str | None) -> None:
    storage = open_storage(url, scratch=folder, postgres_url=postgres_url)
    fetch(published.as_uri(), storage, "raw/f.bin", verify=lambda _: time.sleep(0.3))


@pytest.mark.parametrize("with_postgres", [False, True], ids=["without Postgres", "with Postgres"])
def test_of_several_runs_that_fetch_a_month_one_uploads_it(url: str, tmp_path: Path, with_postgres: bool) -> None:
    published = tmp_path / "published.bin"
    published.write_bytes(LARGE)
    postgres_url = service("TAXI_TEST_POSTGRES_URL") if with_postgres else None
    running = [process(_fetch, published, url, tmp_path / "scratch", postgres_url) for _ in range(4)]
    for one in running:
        one.join(60)
    assert [one.exitcode for one in running] == [0] * 4
    storage = storage_at(url, tmp_path)
    note = json.loads(storage.read("raw/f.bin.source.json"))
    assert note["sha256"] == storage.describe("raw/f.bin").sha256
    assert Bucket(url).names("raw") == ["raw/f.bin", "raw/f.bin.source.json"], "and the locks are gone"


def locks_for_test(kind: str, url: str, folder: Path, timeout_seconds: float = 60) -> Locks:
    """Locks of one of several machines."""
    if kind == "postgres":
        return PostgresLocks(service("TAXI_TEST_POSTGRES_URL"), space=url, timeout_seconds=timeout_seconds)
    return LeaseLocks(Bucket(url), machine=folder, lease_seconds=2, timeout_seconds=timeout_seconds)


@pytest.fixture(params=["postgres", "leases"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kind of lock; leases on the server whose conditional writes are right."""
    service("TAXI_TEST_POSTGRES_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL", service("TAXI_TEST_MOTO_URL"))
    return request.param


def _count_up(kind: str, endpoint: str, url: str, folder: Path, machine: int) -> None:
    import os

    os.environ["AWS_ENDPOINT_URL"] = endpoint
    locks = locks_for_test(kind, url, folder / f"machine-{machine}")
    counter = folder / "counter"
    for _ in range(3):
        with locks.holding(["raw/f", "raw/g"]):
            before = int(counter.read_text())
            time.sleep(0.02)
            counter.write_text(str(before + 1))


@pytest.mark.slow
def test_one_of_many_machines_has_a_lock(kind: str, url: str, tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    running = [process(_count_up, kind, service("TAXI_TEST_MOTO_URL"), url, tmp_path, n) for n in range(8)]
    for one in running:
        one.join(90)
    assert [one.exitcode for one in running] == [0] * 8
    assert (tmp_path / "counter").read_text() == "24"


def _hold(kind: str, endpoint: str, url: str, folder: Path) -> None:
    import os

    os.environ["AWS_ENDPOINT_URL"] = endpoint
    with locks_for_test(kind, url, folder / "machine-1").holding(["raw/f"]):
        (folder / "held").touch()
        time.sleep(120)


def test_a_lock_is_kept_as_long_as_its_process_lives_and_no_longer(kind: str, url: str, tmp_path: Path) -> None:
    holder = process(_hold, kind, service("TAXI_TEST_MOTO_URL"), url, tmp_path)
    wait_for_file(tmp_path / "held", holder)
    waiting = locks_for_test(kind, url, tmp_path / "machine-2", timeout_seconds=5)
    with (
        pytest.raises(FileInUseError, match=rf"process {holder.pid} on .* has locked raw/f for more than 5 s"),
        waiting.holding(["raw/f"]),
    ):
        pass
    with waiting.holding(["raw/g"]):
        pass  # another name
    holder.kill()
    holder.join()
    with locks_for_test(kind, url, tmp_path / "machine-2", timeout_seconds=20).holding(["raw/f"]):
        pass


def test_a_postgres_that_is_not_there_is_named_without_its_password(url: str) -> None:
    locks = PostgresLocks("postgresql://taxi:a-secret@127.0.0.1:1/dagster", space=url)
    with (
        pytest.raises(StorageError, match="database that holds the locks can't be reached") as error,
        locks.holding(["f"]),
    ):
        pass
    assert "a-secret" not in "".join(traceback_of(error.value))


def test_a_file_that_vanishes_is_missing(storage: Storage, url: str) -> None:
    storage.write("raw/f", b"1")
    with storage.local_copy("raw/f"):
        Bucket(url).delete("raw/f")
    with pytest.raises(MissingFileError), storage.local_copy("raw/f"):
        pass
    assert not storage.exists("raw/f")


def test_a_snapshot_goes_into_the_store(
    url: str, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = pipeline_in(tmp_path / "data", mirror, storage_url=url)
    pipeline.run("2023-01-05", select=("taxi_zones_file", "taxi_zones", "taxi_trips_file", "taxi_trips"))
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TAXI_STORAGE_URL", url)
    result = CliRunner().invoke(main, ["snapshot"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "s3://" in result.output
    with (
        pipeline.files.local_copy("outputs/warehouse.duckdb") as path,
        duckdb.connect(str(path), read_only=True) as copy,
    ):
        assert copy.sql("SELECT count(*) FROM trips").fetchall() == pipeline.rows("SELECT count(*) FROM trips")


def test_a_lease_whose_renewal_lost_its_answer_is_still_held(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_proxy(service("TAXI_TEST_MOTO_URL")) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        locks = LeaseLocks(Bucket(url, patience=SHORT), machine=tmp_path / "machine-1", lease_seconds=1)
        with locks.holding(["raw/f"]):
            proxy.fail(1, Fault(drop_after=True), method="PUT", part=".lease")
            time.sleep(1.5)
            other = LeaseLocks(Bucket(url), machine=tmp_path / "machine-2", lease_seconds=1, timeout_seconds=2)
            with pytest.raises(FileInUseError, match="has locked raw/f"), other.holding(["raw/f"]):
                pass
        assert Bucket(url).names("raw") == []
