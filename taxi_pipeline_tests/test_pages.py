"""The web server of the outputs, from a folder and from an object store, asked over a real socket."""

from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_pipeline.pages.links import Pages
from taxi_pipeline.storage import Storage
from taxi_pipeline_tests.object_stores import STORAGES, storage_at, storage_url
from taxi_pipeline_tests.pipelines import Pipeline, materializations_of
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
        assert "a &lt;b&gt;&amp;#.png" in index, "a name is text"
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


def test_without_outputs_the_index_says_so(files: Storage) -> None:
    with served(files) as get:
        assert b"materialize days first" in get("/")[2]


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
