"""The web server of the outputs, from a folder and from an object store, asked over a real socket."""

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taxi_pipeline.pages.links import Pages
from taxi_pipeline.pages.listening import PagesError, listening_socket
from taxi_pipeline.pages.listing import NUM_SHOWN, OTHERS, sections_of
from taxi_pipeline.pages.server import hosts_served
from taxi_pipeline.storage import LocalFolder, Storage, StoredFile
from taxi_pipeline_tests.browsers import barriers_in_any_look, browser_or_skip, open_explorer, wait_for_explorer
from taxi_pipeline_tests.object_stores import STORAGES, storage_at, storage_url
from taxi_pipeline_tests.pipelines import EVERYTHING, Pipeline, materializations_of
from taxi_pipeline_tests.served_pages import served


@pytest.fixture(params=STORAGES)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    return storage_at(storage_url(request.param, tmp_path), tmp_path)


def test_outputs_are_shown_and_nothing_else(files: Storage) -> None:
    files.write("outputs/zone_explorer.html", "<p>ü</p>")
    files.write("outputs/reports/2023-03.html", "<p>March</p>")
    files.write("outputs/requests/a <b>&#.png", b"png")
    for hidden in ("raw/secret.csv", "outputs/warehouse.duckdb", "requests/a.json", "staging/made_from/x.json"):
        files.write(hidden, "hidden")
    with served(files) as get:
        status, headers, body = get("/zone_explorer.html")
        assert (status, body.decode()) == (200, "<p>ü</p>")
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        index = get("/")[2].decode()
        assert 'href="reports/2023-03.html"' in index
        assert "a &lt;b&gt;&amp;#</span>" in index, "a name is text"
        assert 'href="requests/a%20%3Cb%3E%26%23.png"' in index
        assert get("/requests/a%20%3Cb%3E%26%23.png")[2] == b"png"
        assert "warehouse.duckdb" not in index
        for path in (
            "warehouse.duckdb",
            "../raw/secret.csv",
            "%2e%2e/raw/secret.csv",
            "..%2fraw%2fsecret.csv",
            "x.html",
        ):
            status, _, body = get(f"/{path}")
            assert status == 404, path
            assert b"hidden" not in body
        assert get("/zone_explorer.html", method="POST")[0] == 405


def test_a_page_is_sent_again_only_when_it_changed(files: Storage) -> None:
    files.write("outputs/x.csv", "1")
    with served(files) as get:
        tag = get("/x.csv")[1]["ETag"]
        assert get("/x.csv", If_None_Match=tag)[0] == 304
        files.write("outputs/x.csv", "2")
        assert get("/x.csv", If_None_Match=tag)[2] == b"2"


def test_an_answer_without_a_body_reads_no_file(tmp_path: Path) -> None:
    """Regression: each request read the whole file and hashed it, HEAD and 304 too. This one is 1 TB, of nothing."""
    files = LocalFolder(tmp_path)
    files.write("outputs/x.csv", "0123456789")
    os.truncate(tmp_path / "outputs" / "x.csv", 10**12)
    with served(files) as get:
        status, headers, body = get("/x.csv", method="HEAD")
        assert (status, headers["Content-Length"], body) == (200, "1000000000000", b"")
        assert get("/x.csv", If_None_Match=f'"other", W/{headers["ETag"]}')[0] == 304
        status, headers, body = get("/x.csv", Range="bytes=2-4")
        assert (status, headers["Content-Range"], body) == (206, "bytes 2-4/1000000000000", b"234")


class Remote(LocalFolder):
    """A storage whose files lie on no disk of this machine, and which counts the copies that it gives."""

    copies = 0
    open_copies = 0

    def uri(self, name: str) -> str:
        return f"s3://bucket/{name}"

    def describe(self, name: str) -> StoredFile:
        content = super().read(name)
        return StoredFile(name=name, uri=self.uri(name), size_bytes=len(content), sha256=f"sha256 of {content!r}")

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        self.copies += 1
        self.open_copies += 1
        with super().local_copy(name) as path:
            yield path
        self.open_copies -= 1


def test_a_file_of_an_object_store_is_copied_when_it_is_sent_and_only_then(tmp_path: Path) -> None:
    files = Remote(tmp_path)
    files.write("outputs/x.csv", "0123456789")
    with served(files) as get:
        status, headers, body = get("/x.csv", method="HEAD")
        assert (status, headers["Content-Length"], body) == (200, "10", b"")
        assert headers["Content-Type"] == "text/csv; charset=utf-8"
        assert get("/x.csv", If_None_Match=headers["ETag"])[0] == 304
        assert files.copies == 0
        assert get("/x.csv")[2] == b"0123456789"
        assert get("/x.csv", Range="bytes=8-")[2] == b"89"
    assert (files.copies, files.open_copies) == (2, 0)


def test_a_replaced_file_has_another_tag_within_the_same_tick(tmp_path: Path) -> None:
    """Its size and its time of change are the same."""
    files = LocalFolder(tmp_path)
    path = tmp_path / "outputs" / "x.csv"
    with served(files) as get:
        tags = set()
        for content in "1234":
            files.write("outputs/x.csv", content)
            os.utime(path, ns=(0, 10**18))
            tags.add(get("/x.csv")[1]["ETag"])
    assert len(tags) > 1


def test_a_link_that_leads_out_of_the_outputs_is_not_followed(tmp_path: Path) -> None:
    """Regression: `/etc/passwd` was served."""
    files = LocalFolder(tmp_path)
    for name in ("raw/secret.csv", "outputs/.hidden.csv", "outputs/warehouse.duckdb"):
        files.write(name, "secret content")
    files.write("outputs/reports/2023-03.html", "seen")
    outputs = tmp_path / "outputs"
    for name, target in (
        ("out.csv", "../raw/secret.csv"),
        ("passwd.csv", "/etc/passwd"),
        ("another_name.csv", ".hidden.csv"),
        ("warehouse.csv", "warehouse.duckdb"),
        ("loop.csv", "loop.csv"),
        ("nothing.csv", "missing.csv"),
        ("folder.csv", "reports"),
    ):
        (outputs / name).symlink_to(target)
    (outputs / "raw").symlink_to("../raw")
    (outputs / "inside.html").symlink_to("reports/2023-03.html")
    os.mkfifo(outputs / "fifo.csv")
    with served(files) as get:
        for name in (*(path.name for path in outputs.glob("*.csv")), "raw/secret.csv", ".hidden.csv"):
            status, _, body = get(f"/{name}")
            assert (status, b"content" in body, b"root:" in body) == (404, False, False), name
        assert get("/inside.html")[2] == b"seen", "it stays inside"
        index = get("/")[2].decode()
    assert re.findall('<a href="(.*?)"', index) == ["reports/2023-03.html", "inside.html"]


@pytest.mark.parametrize(
    "path",
    [
        "x" * 300 + ".html",
        "folder/" * 200 + "x.html",
        "%C3%BC" * 130 + ".html",
        "%00.html",
        ".x.html.abc.tmp.html",
        ".hidden/x.html",
        "reports/.locks/x.html",
        "x.html/y.html",
        "a%5Cb.html",
        "%FF%FE.html",
        "...html",
    ],
)
def test_a_name_that_can_be_no_page_is_not_found(files: Storage, path: str) -> None:
    """Regression: a long name was a 500 with a traceback, and hidden and temporary files were served by name."""
    for name in ("x.html", ".x.html.abc.tmp.html", ".hidden/x.html", "reports/.locks/x.html"):
        files.write(f"outputs/{name}", "hidden")
    with served(files) as get:
        status, _, body = get(f"/{path}")
        assert (status, body == b"hidden") == (404, False)
        assert len(body) < 600


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads all files")
def test_a_file_that_can_not_be_read_is_not_found(tmp_path: Path) -> None:
    files = LocalFolder(tmp_path)
    files.write("outputs/x.html", "x")
    (tmp_path / "outputs" / "x.html").chmod(0)
    with served(files) as get:
        assert get("/x.html")[0] == 404


def test_other_hosts_are_refused(tmp_path: Path) -> None:
    """Regression: any name that leads to this machine was served, so a stranger's page could read these (rebinding)."""
    files = LocalFolder(tmp_path)
    files.write("outputs/x.html", "x")
    hosts = hosts_served("0.0.0.0", "https://Taxi.example.com:8443/pages", ["*.example.org"])  # noqa: S104
    assert [*hosts[:4], hosts[-1]] == ["localhost", "127.0.0.1", "[::1]", "*.example.org", "taxi.example.com"]
    with served(files, hosts=hosts) as get:
        for host in ("localhost", "127.0.0.1:3001", "[::1]:3001", "taxi.example.com", "TAXI.example.com:443"):
            assert get("/x.html", Host=host)[0] == 200, host
        assert get("/x.html", Host="a.example.org")[0] == 200
        for host in ("evil.example", "taxi.example.com.evil.example", "example.org", "0.0.0.0", "", "a b"):  # noqa: S104
            for path in ("/x.html", "/", "/health"):
                status, _, body = get(path, Host=host)
                assert (status, body) == (400, b"Invalid host header"), host


def test_the_servers_own_address_is_a_host() -> None:
    assert hosts_served("192.0.2.7", None)[-1] == "192.0.2.7"
    assert socket.gethostname().lower() in hosts_served("0.0.0.0", None)  # noqa: S104
    assert hosts_served("2001:db8::7", "http://[2001:db8::8]:3001")[-2:] == ["[2001:db8::7]", "[2001:db8::8]"]


def test_no_answer_can_be_framed_or_loads_anything(tmp_path: Path) -> None:
    files = LocalFolder(tmp_path)
    files.write("outputs/x.html", "x")
    with served(files) as get:
        tag = get("/x.html")[1]["ETag"]
        for answer in (
            get("/x.html"),
            get("/x.html", method="HEAD"),
            get("/x.html", If_None_Match=tag),
            get("/"),
            get("/missing.html"),
            get("/x.html", Host="evil.example"),
        ):
            policy = answer[1]["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert answer[1]["X-Content-Type-Options"] == "nosniff"


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with listening_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PagesError, match=f"port {port}: Address already in use.*another port: --port 3011"):
            listening_socket("127.0.0.1", port)
    with pytest.raises(PagesError, match="port 99999: ports end at 65535"):
        listening_socket("127.0.0.1", 99999)
    with pytest.raises(PagesError, match=r"at 192\.0\.2\.1, port 1: [^(]*\. Stop"):
        listening_socket("192.0.2.1", 1)


def test_the_explorer_works_as_it_is_served(mirror: Path, make_pipeline: Callable[..., Pipeline]) -> None:
    """The Content-Security-Policy stops nothing that the page needs."""
    pipeline = make_pipeline(mirror)
    assert pipeline.run("2023-01-05", select=EVERYTHING).success
    with browser_or_skip() as browser, served(pipeline.files) as get:
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        open_explorer(page, f"{get.url}/zone_explorer.html")
        assert page.locator("#map path[aria-label]").count() == 263, said
        assert page.locator("#map path.s8").count() + page.locator("#map path.s1").count() > 0
        page.goto(get.url)
        titles = page.locator("h3").all_inner_texts()
        assert {"Zone explorer", "Manhattan", "New York", "Trips by week"} <= set(titles)
        assert OTHERS not in page.locator("h2").all_inner_texts(), "each output of the project has a title"
        page.get_by_role("link", name="Zone explorer: page").click()
        wait_for_explorer(page)
        page.close()
        assert barriers_in_any_look(browser, get.url, lambda opened: opened.wait_for_selector("h3")) == {}
    assert said == []


def test_the_index_has_every_output_the_newest_first() -> None:
    sections = sections_of(
        [
            "month_changes.html",
            "month_changes/2023-02.json",
            "month_changes/2023-10.json",
            "demand_errors/yellow-2023-01.png",
            "demand_errors/green-2023-02.png",
            "own/table.csv",
            "trips_by_week.csv",
            "reports/2023-01.pdf",
            "reports/2023-01.html",
        ]
    )
    assert list(sections) == ["Months and weeks", "Charts", "Tables", "Records of what was loaded", OTHERS]
    (changes,) = sections["Records of what was loaded"]
    assert [row.name for row in changes.rows] == ["", "2023-10", "2023-02"]
    (errors,) = sections["Charts"]
    assert [row.name for row in errors.rows] == ["green-2023-02", "yellow-2023-01"]
    assert errors.picture == "demand_errors/green-2023-02.png"
    (report,) = sections["Months and weeks"]
    assert report.rows[0].links == [("page", "reports/2023-01.html"), ("PDF", "reports/2023-01.pdf")]
    (own,) = sections[OTHERS]
    assert (own.title, own.rows[0].name, own.rows[0].links) == ("own", "table", [("CSV", "own/table.csv")])


def test_older_months_follow_where_they_are_asked_for(files: Storage) -> None:
    for n in range(NUM_SHOWN + 1):
        files.write(f"outputs/month_manifest/{2010 + n}-01.json", json.dumps({"synthetic": n == NUM_SHOWN}))
    with served(files) as get:
        index = get("/")[2].decode()
    assert f"Loaded: 2010-01 to {2010 + NUM_SHOWN}-01, {NUM_SHOWN + 1} months" in index
    assert "Synthetic data" in index
    assert "<summary>1 more</summary>" in index
    assert index.index("<summary>") < index.index('href="month_manifest/2010-01.json"')


def test_files_that_no_link_can_name_are_not_in_the_index(tmp_path: Path) -> None:
    files = LocalFolder(tmp_path)
    for name in ("new\nline.csv", "bell\a.csv", "month_manifest/zzz.json"):
        files.write(f"outputs/{name}", "{}")
    with served(files) as get:
        index = get("/")[2].decode()
    assert re.findall('<a href="(.*?)"', index) == ["month_manifest/zzz.json"]
    assert "Loaded:" not in index, "it is of no month"


@pytest.mark.parametrize("content", ["", "[]", "{}", "\xff"])
def test_a_manifest_that_is_none_says_nothing(tmp_path: Path, content: str) -> None:
    files = LocalFolder(tmp_path)
    files.write("outputs/month_manifest/2023-01.json", content.encode("latin-1"))
    with served(files) as get:
        status, _, body = get("/")
    assert status == 200
    assert b"Loaded:" not in body


def test_what_else_is_served_is_on_the_index(files: Storage) -> None:
    def nothing(_: Request) -> Response:
        return Response()

    with served(files) as get:
        assert b"For programs" not in get("/")[2]
    with served(files, others=[Route("/metrics", nothing)]) as get:
        index = get("/")[2].decode()
    assert 'href="metrics"' in index
    assert "openapi" not in index


def test_without_outputs_the_index_says_so(files: Storage) -> None:
    with served(files) as get:
        assert b"materialize days first" in get("/")[2]


def test_a_name_that_is_no_utf_8_is_not_in_the_index(tmp_path: Path) -> None:
    """Regression: one such file made the index a 500."""
    files = LocalFolder(tmp_path)
    files.write("outputs/reports/2023-01.html", "<p>")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/outputs/reports/\xff.html")).touch()
    with served(files) as get:
        status, _, body = get("/")
    assert status == 200
    assert b"2023-01.html" in body


def test_a_link_opens_the_page(mirror: Path, make_pipeline: Callable[..., Pipeline]) -> None:
    """Regression: links were `file://`, which browsers refuse."""
    pipeline = make_pipeline(mirror)
    pipeline.pages = Pages("http://127.0.0.1:3001")
    result = pipeline.run("2023-01-05")
    (made,) = materializations_of(result, "manhattan_map")
    assert made.metadata["open"].value == "http://127.0.0.1:3001/manhattan_map.png"
    with served(pipeline.files) as get:
        assert get("/manhattan_map.png")[2] == pipeline.files.read("outputs/manhattan_map.png")
    (stats,) = materializations_of(result, "manhattan_stats")
    assert "open" not in stats.metadata, "it is not below outputs/"
