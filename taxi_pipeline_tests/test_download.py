"""Fetching from servers that break off, lie and refuse, over real sockets on loopback."""

import os
import random
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.storage.whole_files import sha256_of
from taxi_pipeline.tlc.download import FetchedFile, fetch, must_be_published, newest_published_month
from taxi_pipeline.tlc.fetch_note import DamagedFileError, verified_copy
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.http_transfer import FetchError, NoAnswerError, NotFoundError, Patience
from taxi_pipeline.tlc.months import month_of, new_york_today, previous_month
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline.tlc.trip_files import UnusableFileError, verify_trip_file
from taxi_pipeline_tests.faulty_server import Answer, FaultyServer, raw_server
from taxi_pipeline_tests.processes import process

BODY = random.Random(0).randbytes(3_000_000)  # noqa: S311 - any bytes will do
ETAG = {"ETag": '"1"'}
SHORT = Patience(
    connect_seconds=2, read_seconds=2, attempts=3, first_pause_seconds=0.01, refusal_pauses_seconds=(0.01, 0.02)
)


def fetch_to(url: str, target: Path, **options: Any) -> FetchedFile:
    """Fetch into the folder of a path, under the path's name."""
    return fetch(url, LocalFolder(target.parent), target.name, **options)


def verified_version(target: Path) -> str:
    """The SHA-256 of a fetched file, after making sure that it is what was verified."""
    with verified_copy(LocalFolder(target.parent), target.name, written_by="an asset") as (_, version):
        return version


def accept(path: Path) -> None:
    """Accept the file."""


def refuse(path: Path) -> None:
    raise UnusableFileError("it is an HTML page")


def get(server: FaultyServer, target: Path, verify: Callable[[Path], object] = accept, **options: Any) -> Any:
    """Fetch `/f` from the server, patiently for a test."""
    return fetch_to(f"{server.url}/f", target, verify=verify, **{"patience": SHORT, **options})


def left_in(folder: Path) -> list[str]:
    """List the files in a folder, without the locks."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".locks")


# What is current is not downloaded


def test_a_file_is_fetched_once_and_requested_conditionally_afterwards(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=b"one", headers=ETAG)]
    target = tmp_path / "raw" / "f"
    first = get(server, target)
    again = get(server, target, verify=refuse)
    assert target.read_bytes() == b"one"
    assert (first.downloaded, again.downloaded) == (True, False)
    assert first.sha256 == again.sha256 == verified_version(target)
    assert again.warning is None
    assert [request.bytes_sent for request in server.requests] == [3, 0]
    assert server.requests[1].headers["If-None-Match"] == '"1"'


def test_a_pause_comes_before_each_download(server: FaultyServer, tmp_path: Path) -> None:
    """A CDN throttles who asks often."""
    server.answers["/f"] = [Answer(body=b"one", headers=ETAG)]
    said: list[str] = []
    started = time.monotonic()
    get(server, tmp_path / "f", patience=replace(SHORT, pause_seconds=0.3), log=said.append)
    assert time.monotonic() - started >= 0.3
    assert said == [f"Waiting 0.3 s before {server.url}/f is downloaded"]


def test_without_an_etag_date_and_length_decide(server: FaultyServer, tmp_path: Path) -> None:
    dated = {"Last-Modified": formatdate(1e9, usegmt=True)}
    server.answers["/f"] = [Answer(body=b"one", headers=dated)]
    assert get(server, tmp_path / "f").downloaded
    assert not get(server, tmp_path / "f", verify=refuse).downloaded
    assert len(server.asked("/f", "GET")) == 1, "only the head was asked for"
    server.answers["/f"] = [Answer(body=b"four", headers=dated)]
    assert get(server, tmp_path / "f").downloaded, "the same second, another length"
    older = {"Last-Modified": formatdate(9e8, usegmt=True)}
    server.answers["/f"] = [Answer(body=b"five", headers=older)]
    assert get(server, tmp_path / "f").downloaded, "If-Modified-Since would miss an older date"
    assert (tmp_path / "f").read_bytes() == b"five"


def test_a_server_that_ignores_conditions_is_not_read_again(server: FaultyServer, tmp_path: Path) -> None:
    dated = {"Last-Modified": formatdate(1e9, usegmt=True)}
    server.answers["/f"] = [
        Answer(body=BODY, headers=dated),
        Answer(405),  # no HEAD
        Answer(body=BODY, headers=dated, trickle=(1000, 0.05)),
    ]
    get(server, tmp_path / "f")
    assert not get(server, tmp_path / "f", verify=refuse).downloaded


def test_a_file_without_date_and_etag_is_fetched_each_time(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=b"one")]
    assert get(server, tmp_path / "f").downloaded
    assert get(server, tmp_path / "f").downloaded


def test_a_file_published_again_is_fetched(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=b"one", headers=ETAG), Answer(body=b"two", headers={"ETag": '"2"'})]
    first, second = get(server, tmp_path / "f"), get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"two"
    assert second.downloaded
    assert first.sha256 != second.sha256


def test_a_file_damaged_on_disk_is_fetched_again(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=b"one", headers=ETAG)]
    get(server, tmp_path / "f")
    (tmp_path / "f").write_bytes(b"onX")
    with pytest.raises(DamagedFileError, match="materialize an asset, which brings a good copy"):
        verified_version(tmp_path / "f")
    assert get(server, tmp_path / "f").downloaded
    assert (tmp_path / "f").read_bytes() == b"one"


def test_a_copy_from_another_server_is_not_trusted(server: FaultyServer, tmp_path: Path) -> None:
    """Regression: a real month must not be taken for current because a synthetic one of that name is there."""
    server.answers |= {"/a": [Answer(body=b"a", headers=ETAG)], "/b": [Answer(body=b"b")]}
    fetch_to(f"{server.url}/a", tmp_path / "f", verify=accept)
    assert fetch_to(f"{server.url}/b", tmp_path / "f", verify=accept).downloaded
    assert (tmp_path / "f").read_bytes() == b"b"


# What is broken never gets in


def test_what_fails_verification_never_takes_the_place_of_the_good_copy(server: FaultyServer, tmp_path: Path) -> None:
    """Regression: a 403 page saved as Parquet overwrote the good file before the failure showed."""
    server.answers["/f"] = [Answer(body=b"good"), Answer(body=b"<html>")]
    get(server, tmp_path / "f")
    with pytest.raises(FetchError, match="is unusable: it is an HTML page"):
        get(server, tmp_path / "f", verify=refuse)
    assert (tmp_path / "f").read_bytes() == b"good"
    assert left_in(tmp_path) == ["f", "f.source.json"]


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (
            Answer(body=b"<!DOCTYPE HTML><TITLE>ERROR: The request could not be satisfied</TITLE>"),
            "an HTML or XML page",
        ),
        (Answer(body=b'{"code": "not_found", "error": true}'), "JSON: .*not_found"),
        (Answer(body=b"version https://git-lfs.github.com/spec/v1\n"), "a git-LFS pointer"),
        (Answer(body=b""), "an empty file"),
        (Answer(body=b"PAR1" + BODY, announced_length=2_000_000), "truncated or damaged Parquet file of 2,000,000"),
        (Answer(204), "not with the file"),
    ],
)
def test_what_is_no_file_of_trips_is_named(server: FaultyServer, tmp_path: Path, answer: Answer, named: str) -> None:
    server.answers["/f"] = [answer]
    with pytest.raises(FetchError, match=named):
        get(server, tmp_path / "f", verify=lambda path: verify_trip_file(path, GREEN))
    assert left_in(tmp_path) == []


# A connection that breaks is taken up again


def test_after_a_break_only_the_rest_is_requested(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=BODY, headers=ETAG, cut_at=2_000_000), Answer(body=BODY, headers=ETAG)]
    told: list[str] = []
    fetched = get(server, tmp_path / "f", log=told.append)
    assert (tmp_path / "f").read_bytes() == BODY
    assert fetched.size_bytes == len(BODY)
    rest = server.requests[1]
    assert (rest.headers["Range"], rest.headers["If-Range"]) == ("bytes=2000000-", '"1"')
    assert rest.bytes_sent == 1_000_000
    assert "2,000,000 bytes came of 3,000,000 announced; next attempt in" in told[0]


def test_breaks_are_survived_as_long_as_each_attempt_brings_more(server: FaultyServer, tmp_path: Path) -> None:
    body = BODY * 3
    dated = {"Last-Modified": formatdate(1e9, usegmt=True)}
    server.answers["/f"] = [Answer(body=body, headers=dated, cut_at=1_100_000)]
    get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == body
    assert len(server.requests) == 9, "more than the attempts in a row that may bring nothing"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"ETag": '"1"'}, {"ETag": '"2"'}),
        ({"Last-Modified": formatdate(1e9, usegmt=True)}, {"Last-Modified": formatdate(2e9, usegmt=True)}),
        ({}, {}),
        ({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}),
    ],
    ids=["etag", "date", "neither", "weak"],
)
def test_parts_of_two_versions_are_never_put_together(
    server: FaultyServer, tmp_path: Path, first: dict[str, str], second: dict[str, str]
) -> None:
    other = BODY[::-1]
    server.answers["/f"] = [Answer(body=BODY, headers=first, cut_at=2_000_000), Answer(body=other, headers=second)]
    get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == other


def test_a_server_that_ignores_range_is_read_from_the_start(server: FaultyServer, tmp_path: Path) -> None:
    whole = Answer(body=BODY, headers=ETAG, ranges=False)
    server.answers["/f"] = [replace(whole, cut_at=2_000_000), whole]
    get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert server.requests[1].bytes_sent == len(BODY)


@pytest.mark.parametrize(
    "wrong",
    [
        Answer(206, BODY[5:], {**ETAG, "Content-Range": "bytes 5-2999999/3000000"}),
        Answer(206, BODY[2_000_000:], {**ETAG, "Content-Range": "bytes 2000000-2999999/4000000"}),
        Answer(206, BODY[2_000_000:], {"ETag": '"2"', "Content-Range": "bytes 2000000-2999999/3000000"}),
        Answer(206, BODY[2_000_000:], ETAG),
        Answer(416, b"", ETAG),
    ],
    ids=["start", "length", "version", "unnamed", "416"],
)
def test_a_part_that_does_not_fit_is_not_appended(server: FaultyServer, tmp_path: Path, wrong: Answer) -> None:
    server.answers["/f"] = [Answer(body=BODY, headers=ETAG, cut_at=2_000_000), wrong, Answer(body=BODY, headers=ETAG)]
    get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert "Range" not in server.requests[2].headers


@pytest.mark.parametrize("ranges", [True, False])
def test_a_body_shorter_than_announced_is_refused(server: FaultyServer, tmp_path: Path, ranges: bool) -> None:
    """Regression: megabytes that come again and again are no progress; it ended never."""
    server.answers["/f"] = [Answer(body=BODY, headers=ETAG, announced_length=len(BODY) + 8, ranges=ranges)]
    with pytest.raises(NoAnswerError, match="3,000,000 bytes came of 3,000,008 announced"):
        get(server, tmp_path / "f")
    assert left_in(tmp_path) == []
    assert len(server.requests) <= 5


def test_a_body_of_unannounced_length(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=BODY, chunked=True, cut_at=2_000_000), Answer(body=BODY, chunked=True)]
    told: list[str] = []
    get(server, tmp_path / "f", log=told.append)
    assert (tmp_path / "f").read_bytes() == BODY
    assert "the connection broke" in told[0]


def test_after_a_stall_the_rest_is_requested(server: FaultyServer, tmp_path: Path) -> None:
    stalls = Answer(body=BODY, headers=ETAG, trickle=(2_900_000, 3))
    server.answers["/f"] = [stalls, Answer(body=BODY, headers=ETAG)]
    get(server, tmp_path / "f", patience=replace(SHORT, read_seconds=0.5))
    assert (tmp_path / "f").read_bytes() == BODY
    assert server.requests[1].bytes_sent == 100_000


def test_a_server_that_trickles_is_given_up(server: FaultyServer, tmp_path: Path) -> None:
    """Regression: a byte now and then keeps a read timeout from ever ending a download."""
    server.answers["/f"] = [Answer(body=BODY, headers=ETAG, trickle=(10, 0.02))]
    with pytest.raises(NoAnswerError, match="sends less than 1,000,000 bytes a second"):
        get(server, tmp_path / "f", patience=replace(SHORT, read_seconds=0.2, slowest_bytes_per_second=1_000_000))
    assert left_in(tmp_path) == []


def test_a_slow_server_is_given_time_and_progress_is_logged(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=BODY, headers=ETAG, trickle=(100_000, 0.1))]
    told: list[str] = []
    seen: list[tuple[int, int | None]] = []
    get(server, tmp_path / "f", log=told.append, on_progress=lambda *bytes_: seen.append(bytes_))
    assert (tmp_path / "f").read_bytes() == BODY
    assert told
    assert all(re.fullmatch(r"f: [0-3]\.\d of 3\.0 MB \(\d+%\)", line) for line in told), told
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


# A server that fails or refuses


def test_a_server_error_is_tried_again(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(503), Answer(429), Answer(body=b"one")]
    assert get(server, tmp_path / "f").downloaded
    assert len(server.requests) == 3


@pytest.mark.parametrize("as_date", [False, True])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(server: FaultyServer, tmp_path: Path, status: int, as_date: bool) -> None:
    wait = formatdate(time.time() + 3, usegmt=True) if as_date else "1"
    server.answers["/f"] = [Answer(status, headers={"Retry-After": wait}), Answer(body=b"one")]
    start = time.monotonic()
    assert get(server, tmp_path / "f").downloaded
    assert time.monotonic() - start > 0.9


def test_a_wait_that_is_too_long_is_an_error(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(429, headers={"Retry-After": "3600"})]
    with pytest.raises(NoAnswerError, match=r"asks to wait for 3,600 s, more than 300 s\. Run again then"):
        get(server, tmp_path / "f")
    server.answers["/f"] = [Answer(429, headers={"Retry-After": "soon"}), Answer(body=b"one")]
    assert get(server, tmp_path / "f").downloaded


def test_a_server_that_keeps_failing_is_given_up(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(500)]
    with pytest.raises(FetchError, match=r"could not be fetched in 3 attempts: .*500.*Check the network"):
        get(server, tmp_path / "f")
    assert len(server.requests) == 3


def test_an_answer_that_a_retry_does_not_change_is_an_error_at_once(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(401)]
    with pytest.raises(FetchError, match=r"answered 401 .*Check the setting of this URL"):
        get(server, tmp_path / "f")
    with pytest.raises(FetchError, match="could not be fetched now: Invalid URL"):
        fetch_to("http://", tmp_path / "f", verify=accept)
    assert len(server.requests) == 1


def test_a_refused_connection_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/f"
    with pytest.raises(NoAnswerError, match=r"in 3 attempts: the server can't be reached \(.*refused"):
        fetch_to(url, tmp_path / "f", verify=accept, patience=SHORT)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refused_without_a_copy_is_an_error_with_one_a_warning(
    server: FaultyServer, tmp_path: Path, status: int
) -> None:
    server.answers["/f"] = [Answer(status)]
    with pytest.raises(NotFoundError, match=f"answered {status}"):
        get(server, tmp_path / "f")
    server.answers["/f"] = [Answer(body=b"good"), Answer(status)]
    get(server, tmp_path / "f")
    kept = get(server, tmp_path / "f")
    assert not kept.downloaded
    assert (
        f"the copy in the storage is used, because {server.url}/f can't be fetched: the server answered {status}"
        in str(kept.warning)
    )
    assert (tmp_path / "f").read_bytes() == b"good"


def test_a_refusal_of_what_must_exist_is_waited_out(server: FaultyServer, tmp_path: Path) -> None:
    """Regression: the CDN throttles with 403; it was taken for a month that is not published."""
    told: list[str] = []
    server.answers["/f"] = [Answer(403), Answer(403, headers={"Retry-After": "0"}), Answer(body=b"one")]
    assert get(server, tmp_path / "f", must_exist=True, log=told.append).downloaded
    assert len(told) == 2
    server.answers["/g"] = [Answer(403)]
    with pytest.raises(NoAnswerError, match=r"in 3 attempts: .* although the file must exist: the server refuses"):
        fetch_to(f"{server.url}/g", tmp_path / "g", verify=accept, patience=SHORT, must_exist=True)


def test_with_a_copy_in_the_storage_there_is_no_wait_for_a_refusal(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=b"good"), Answer(403)]
    get(server, tmp_path / "f", must_exist=True)
    kept = get(server, tmp_path / "f", must_exist=True, patience=replace(SHORT, refusal_pauses_seconds=(600,)))
    assert "the server refuses" in str(kept.warning)
    assert kept.sha256 == sha256_of(tmp_path / "f")


# Several at once, and killed ones


def _fetch_in_a_process(url: str, target: Path) -> None:
    os.environ["NO_PROXY"] = "127.0.0.1"
    fetched = fetch_to(url, target, verify=accept, patience=SHORT)
    os._exit(fetched.sha256 != sha256_of(target))


@pytest.mark.slow
def test_of_several_that_need_a_file_one_fetches_it(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=BODY, headers=ETAG, trickle=(500_000, 0.1))]
    running = [process(_fetch_in_a_process, f"{server.url}/f", tmp_path / "f") for _ in range(4)]
    for one in running:
        one.join(60)
    assert [one.exitcode for one in running] == [0] * 4
    assert sum(request.bytes_sent for request in server.requests) == len(BODY)
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.slow
def test_a_killed_download_leaves_nothing_behind_after_the_next(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/f"] = [
        Answer(body=BODY, headers=ETAG, trickle=(500_000, 0.2)),
        Answer(body=BODY, headers=ETAG),
    ]
    killed = process(_fetch_in_a_process, f"{server.url}/f", tmp_path / "f")
    while not server.requests or server.requests[0].bytes_sent < 1_000_000:
        time.sleep(0.01)
    killed.kill()
    killed.join()
    assert len(left_in(tmp_path)) == 1, "the temporary file"
    assert get(server, tmp_path / "f").downloaded
    assert left_in(tmp_path) == ["f", "f.source.json"]


# Mirror folders


def test_a_mirror_folder_is_copied_once(tmp_path: Path) -> None:
    source, target = tmp_path / "mirror" / "a file", tmp_path / "raw" / "f"
    source.parent.mkdir()
    source.write_bytes(b"one")
    assert fetch_to(source.as_uri(), target, verify=accept).downloaded
    assert not fetch_to(source.as_uri(), target, verify=refuse).downloaded
    source.write_bytes(b"another")
    assert fetch_to(source.as_uri(), target, verify=accept).downloaded
    assert target.read_bytes() == b"another"
    source.unlink()
    assert "no such file in the mirror" in str(fetch_to(source.as_uri(), target, verify=accept).warning)
    source.mkdir()
    assert "Is a directory" in str(fetch_to(source.as_uri(), target, verify=accept).warning)


# Months


@pytest.mark.parametrize(
    ("today", "expected"), [(date(2023, 7, 29), False), (date(2023, 7, 30), True), (date(2023, 3, 5), False)]
)
def test_a_month_must_be_published_once_the_longest_delay_is_over(today: date, expected: bool) -> None:
    assert must_be_published(date(2023, 3, 1), today) is expected


def test_newest_published_month(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/trip-data/green_tripdata_2023-02.parquet"] = [Answer()]
    assert newest_published_month(server.url, GREEN, date(2023, 5, 20), patience=SHORT) == date(2023, 2, 1)
    assert [request.method for request in server.requests] == ["HEAD"] * 4
    (tmp_path / "trip-data").mkdir()
    assert newest_published_month(tmp_path.as_uri(), GREEN, date(2023, 5, 20)) is None
    for month in ("2022-12", "2023-01"):
        (tmp_path / "trip-data" / f"green_tripdata_{month}.parquet").touch()
    assert newest_published_month(tmp_path.as_uri(), GREEN, date(2023, 5, 20)) == date(2023, 1, 1)


def test_a_month_not_published_names_the_newest(mirror: Path, tmp_path: Path) -> None:
    tlc = TlcSource(url=mirror.as_uri(), zones_url="", fleets=["green"])
    with pytest.raises(FetchError, match=r"green trips of 2023-03 are not published .* published month is 2023-02"):
        tlc.fetch_trips(GREEN, date(2023, 3, 1), LocalFolder(tmp_path))
    with pytest.raises(FetchError, match=r"newer months are published \(newest: 2023-02\)"):
        tlc.fetch_trips(GREEN, date(2022, 3, 1), LocalFolder(tmp_path))
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.fixture
def tlc(server: FaultyServer) -> TlcSource:
    """The server as the pipeline sees it."""
    patience = Patience(first_pause_seconds=0.01, refusal_pauses_seconds=(0.01, 0.01))
    return TlcSource(url=server.url, zones_url="", fleets=["green"], patience=patience)


def _path(month: date) -> str:
    return f"/trip-data/{GREEN.file_name(month)}"


def test_403_for_a_recent_month_means_not_published(server: FaultyServer, tlc: TlcSource, tmp_path: Path) -> None:
    this_month = month_of(new_york_today())
    newest = previous_month(previous_month(this_month))
    server.answers |= {_path(this_month): [Answer(403)], _path(newest): [Answer(body=b"x")]}
    with pytest.raises(FetchError, match=rf"are not published .*answered 403.*month is {newest:%Y-%m}"):
        tlc.fetch_trips(GREEN, this_month, LocalFolder(tmp_path))
    assert len(server.asked(_path(this_month), "GET")) == 1, "not asked again"


def test_403_for_a_month_that_must_exist_is_waited_out(
    server: FaultyServer, tlc: TlcSource, tmp_path: Path, mirror: Path
) -> None:
    body = (mirror / "trip-data" / "green_tripdata_2023-02.parquet").read_bytes()
    server.answers[_path(date(2023, 2, 1))] = [Answer(403), Answer(403), Answer(body=body)]
    assert tlc.fetch_trips(GREEN, date(2023, 2, 1), LocalFolder(tmp_path)).downloaded
    server.answers[_path(date(2023, 1, 1))] = [Answer(403)]
    with pytest.raises(FetchError, match=r"although the file must exist: the server refuses.*Wait some minutes"):
        tlc.fetch_trips(GREEN, date(2023, 1, 1), LocalFolder(tmp_path))


def test_403_for_a_recent_month_is_waited_out_where_a_newer_one_is_published(
    server: FaultyServer, tlc: TlcSource, tmp_path: Path, mirror: Path
) -> None:
    newest = month_of(new_york_today() - timedelta(days=31))
    refused = previous_month(newest)
    body = (mirror / "trip-data" / "green_tripdata_2023-02.parquet").read_bytes()
    server.answers |= {_path(newest): [Answer()], _path(refused): [Answer(403), Answer(403), Answer(body=body)]}
    assert tlc.fetch_trips(GREEN, refused, LocalFolder(tmp_path)).downloaded


def test_a_server_that_refuses_everything_is_not_taken_for_an_empty_one(
    server: FaultyServer, tlc: TlcSource, tmp_path: Path
) -> None:
    """Regression: it was said that no month is published."""
    this_month = month_of(new_york_today())
    month = this_month
    for _ in range(30):
        server.answers[_path(month)] = [Answer(403)]
        month = previous_month(month)
    with pytest.raises(FetchError, match="the server refuses"):
        tlc.fetch_trips(GREEN, this_month, LocalFolder(tmp_path))


def test_zones_that_are_refused_are_waited_for(server: FaultyServer, tmp_path: Path, mirror: Path) -> None:
    body = (mirror / "misc" / "taxi_zones.zip").read_bytes()
    server.answers["/misc/taxi_zones.zip"] = [Answer(403), Answer(body=body)]
    tlc = TlcSource(
        url=server.url,
        zones_url=f"{server.url}/misc/taxi_zones.zip",
        fleets=["green"],
        patience=Patience(refusal_pauses_seconds=(0.01,)),
    )
    assert tlc.fetch_zones(LocalFolder(tmp_path)).downloaded


# Whatever a server answers


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The URL of a file on a server that answers each request with these bytes and closes the connection."""
    with raw_server(lambda connection: connection.sendall(answer)) as url:
        yield f"{url}/f"


STATUS_LINES = (
    b"HTTP/1.1 200 OK",
    *(b"HTTP/1.1 %d X" % status for status in (100, 101, 204, 206, 299, 301, 302, 303, 304, 307, 308, 399)),
    *(b"HTTP/1.1 %d X" % status for status in (400, 401, 403, 404, 407, 410, 416, 429, 451, 500, 503, 511, 999)),
    *(b"HTTP/1.1", b"HTTP/9.9 200 OK", b"ICY 200 OK", b"HTTP/1.1 99999 X", b"HTTP/1.1 two X", b"", b"\x16\x03\x01"),
    b"HTTP/1.1 500 " + b"x" * 60_000,
)
HEADERS = (
    *(b"Content-Length: %s" % value for value in (b"many", b"-1", b"3", b"2, 2", b"9" * 30, b"", b"0x2")),
    *(
        b"Location: %s" % value
        for value in (b"http://[::bad", b"ftp://x/y", b"", b"//", b"http:///", b"http://127.0.0.1:1/", b"?\xff")
    ),
    *(b"Transfer-Encoding: %s" % value for value in (b"chunked", b"gzip", b"x")),
    *(b"Content-Range: %s" % value for value in (b"bytes 0-1/2", b"bytes x-y/z", b"")),
    *(b"Content-Encoding: gzip", b"Retry-After: soon", b"Retry-After: 99999999", b"Retry-After: 0"),
    *(b"Retry-After: %s" % value for value in (b"9" * 5000, b"Fri, 31 Dec 99999 00:00:00 GMT")),
    *(b'ETag: "a"', b"ETag: W/", b"ETag: \xff", b"Last-Modified: yesterday", b"no colon", b"X: " + b"y" * 70_000),
)
AT_ONCE = Patience(
    connect_seconds=2,
    read_seconds=1,
    attempts=2,
    first_pause_seconds=0,
    refusal_pauses_seconds=(0,),
    longest_pause_seconds=0,
    largest_bytes=1000,
)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(
    status=st.sampled_from(STATUS_LINES),
    headers=st.lists(st.sampled_from(HEADERS), max_size=4),
    body=st.sampled_from((b"", b"ab", b"2\r\nab\r\n0\r\n\r\n", b"zz\r\n", b"x" * 5000)),
    has_copy=st.booleans(),
)
def test_whatever_a_server_answers_comes_out_as_an_error_of_ours_or_as_a_file(
    status: bytes, headers: list[bytes], body: bytes, has_copy: bool
) -> None:
    """Regression: `Content-Length: many`, a redirect to `http://[::bad` and a 304 without a copy were bare errors."""
    answer = b"\r\n".join((status, *headers, b"", body))
    with answering(answer) as url, tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "f"
        if has_copy:
            with answering(b'HTTP/1.1 200 OK\r\nETag: "b"\r\nContent-Length: 4\r\n\r\ncopy') as first:
                fetch_to(first, target, verify=accept, patience=AT_ONCE)
            note = target.with_name("f.source.json")
            note.write_text(note.read_text().replace(first, url))
        before = target.read_bytes() if has_copy else None
        message = None
        try:
            fetched = fetch_to(url, target, verify=accept, patience=AT_ONCE)
        except FetchError as error:
            message = str(error)
        else:
            assert len(target.read_bytes()) <= AT_ONCE.largest_bytes
            assert fetched.downloaded or has_copy
        if message is not None:
            assert 0 < len(message) < 1000
            assert "\n" not in message
            assert (target.read_bytes() if target.exists() else None) == before


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_without_end_is_given_up(tmp_path: Path, announced: bool) -> None:
    length = b"Content-Length: 1001\r\n" if announced else b""
    with (
        answering(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" + b"x" * 1001) as url,
        pytest.raises(NoAnswerError, match=r"sends 1,001 bytes or more, and a file may have 1,000"),
    ):
        fetch_to(url, tmp_path / "f", verify=accept, patience=AT_ONCE)
    with answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000) as url:
        assert fetch_to(url, tmp_path / "f", verify=accept, patience=AT_ONCE).size_bytes == 1000
