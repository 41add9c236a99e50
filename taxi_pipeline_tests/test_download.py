"""Fetching from servers that lie, over real sockets on loopback."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from taxi_pipeline.resources import FileStore, TlcSource
from taxi_pipeline.tlc import download
from taxi_pipeline.tlc.download import FetchError, NotFoundError, fetch, newest_published_month
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.trip_files import UnusableFileError


@dataclass
class Answer:
    """What the server says to a GET or HEAD of a path."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announced_length: int | None = None


@dataclass
class Server:
    """An HTTP server whose answers a test sets; it keeps what it was asked."""

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def next_answer(self, path: str) -> Answer:
        answers = self.answers.get(path, [Answer(404, b"not found")])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server("")

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            state.requests.append((self.command, self.path, dict(self.headers)))
            answer = state.next_answer(self.path)
            etag = answer.headers.get("ETag")
            unchanged = etag is not None and self.headers.get("If-None-Match") == etag
            self.send_response(304 if unchanged else answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            body = b"" if unchanged else answer.body
            length = len(body) if answer.announced_length is None else answer.announced_length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_GET = do_HEAD = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the test's output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "RETRIES", 2)
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def accept(path: Path) -> None:
    """Accept the file."""


def refuse(path: Path) -> None:
    raise UnusableFileError("it is an HTML page")


def test_a_file_is_fetched_once_and_asked_for_conditionally_afterwards(server: Server, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=b"one", headers={"ETag": '"1"'})]
    target = tmp_path / "raw" / "f"
    first = fetch(f"{server.url}/f", target, verify=accept)
    again = fetch(f"{server.url}/f", target, verify=refuse)
    assert target.read_bytes() == b"one"
    assert (first.downloaded, again.downloaded) == (True, False)
    assert first.sha256 == again.sha256
    assert again.warning is None
    assert server.requests[1][2]["If-None-Match"] == '"1"'


def test_a_file_published_anew_is_fetched(server: Server, tmp_path: Path) -> None:
    server.answers["/f"] = [
        Answer(body=b"one", headers={"ETag": '"1"'}),
        Answer(body=b"two", headers={"ETag": '"2"'}),
    ]
    first = fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    second = fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    assert (tmp_path / "f").read_bytes() == b"two"
    assert second.downloaded
    assert first.sha256 != second.sha256


def test_a_file_damaged_on_disk_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=b"one", headers={"ETag": '"1"'})]
    fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    (tmp_path / "f").write_bytes(b"onX")
    assert fetch(f"{server.url}/f", tmp_path / "f", verify=accept).downloaded
    assert (tmp_path / "f").read_bytes() == b"one"


def test_a_copy_from_another_server_is_not_trusted(server: Server, tmp_path: Path) -> None:
    """Regression: a real month must not be taken for current because a synthetic one of that name is there."""
    server.answers |= {"/a": [Answer(body=b"a", headers={"ETag": '"1"'})], "/b": [Answer(body=b"b")]}
    fetch(f"{server.url}/a", tmp_path / "f", verify=accept)
    assert fetch(f"{server.url}/b", tmp_path / "f", verify=accept).downloaded
    assert (tmp_path / "f").read_bytes() == b"b"


def test_what_fails_verification_never_takes_the_place_of_the_good_copy(server: Server, tmp_path: Path) -> None:
    """Regression: a 403 page saved as Parquet overwrote the good file before the failure showed."""
    server.answers["/f"] = [Answer(body=b"good"), Answer(body=b"<html>")]
    fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    with pytest.raises(FetchError, match="is unusable: it is an HTML page"):
        fetch(f"{server.url}/f", tmp_path / "f", verify=refuse)
    assert (tmp_path / "f").read_bytes() == b"good"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "f.source.json"]


def test_a_body_shorter_than_announced_is_refused(server: Server, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(body=b"half", announced_length=8)]
    with pytest.raises(FetchError, match="could not be fetched"):
        fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404])
def test_refused_without_a_copy_is_an_error_with_one_a_warning(server: Server, tmp_path: Path, status: int) -> None:
    server.answers["/f"] = [Answer(status)]
    with pytest.raises(NotFoundError, match=f"answered {status}"):
        fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    server.answers["/f"] = [Answer(body=b"good"), Answer(status)]
    fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    kept = fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    assert not kept.downloaded
    assert kept.warning is not None
    assert f"answered {status}" in kept.warning
    assert (tmp_path / "f").read_bytes() == b"good"


def test_a_server_error_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(503), Answer(429, headers={"Retry-After": "0"}), Answer(body=b"one")]
    assert fetch(f"{server.url}/f", tmp_path / "f", verify=accept).downloaded
    assert len(server.requests) == 3


def test_a_server_that_keeps_failing_is_given_up(server: Server, tmp_path: Path) -> None:
    server.answers["/f"] = [Answer(500)]
    with pytest.raises(FetchError, match=r"could not be fetched after 3 attempts.*500.*Check the network"):
        fetch(f"{server.url}/f", tmp_path / "f", verify=accept)
    assert len(server.requests) == 3


def test_a_mirror_folder_is_copied_once(tmp_path: Path) -> None:
    source, target = tmp_path / "mirror" / "a file", tmp_path / "raw" / "f"
    source.parent.mkdir()
    source.write_bytes(b"one")
    assert fetch(source.as_uri(), target, verify=accept).downloaded
    assert not fetch(source.as_uri(), target, verify=refuse).downloaded
    source.write_bytes(b"another")
    assert fetch(source.as_uri(), target, verify=accept).downloaded
    assert target.read_bytes() == b"another"
    source.unlink()
    assert "no such file in the mirror" in str(fetch(source.as_uri(), target, verify=accept).warning)


def test_newest_published_month(server: Server, tmp_path: Path) -> None:
    server.answers["/trip-data/green_tripdata_2023-02.parquet"] = [Answer()]
    assert newest_published_month(server.url, GREEN, date(2023, 5, 20)) == date(2023, 2, 1)
    assert [request[0] for request in server.requests] == ["HEAD"] * 4
    (tmp_path / "trip-data").mkdir()
    assert newest_published_month(tmp_path.as_uri(), GREEN, date(2023, 5, 20)) is None
    for month in ("2022-12", "2023-01"):
        (tmp_path / "trip-data" / f"green_tripdata_{month}.parquet").touch()
    assert newest_published_month(tmp_path.as_uri(), GREEN, date(2023, 5, 20)) == date(2023, 1, 1)


def test_a_month_not_published_names_the_newest(mirror: Path, tmp_path: Path) -> None:
    tlc = TlcSource(url=mirror.as_uri(), zones_url="", fleets=["green"])
    with pytest.raises(FetchError, match=r"green trips of 2023-03 are not published .* published month is 2023-02"):
        tlc.fetch_trips(GREEN, date(2023, 3, 1), FileStore(root=str(tmp_path)))
    with pytest.raises(FetchError, match=r"newer months are published \(newest: 2023-02\)"):
        tlc.fetch_trips(GREEN, date(2022, 3, 1), FileStore(root=str(tmp_path)))
    assert not list(tmp_path.rglob("*.parquet"))
