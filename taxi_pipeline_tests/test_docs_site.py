"""The documentation as a web site: opened from the disk without a network, it has its search and its diagram."""

import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from taxi_pipeline_tests.browsers import browser_or_skip
from taxi_pipeline_tests.conftest import REPOSITORY

pytest.importorskip("mkdocs", reason="the group docs is not installed")

from docs.site_diagrams import DiagramError, arrows_of, columns_of, svg_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

DIAGRAM = re.findall(r"```mermaid\n(.*?)```", (REPOSITORY / "docs" / "graph.md").read_text(encoding="utf-8"), re.DOTALL)


def build(folder: Path) -> Path:
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the group docs is not installed")
    return build(tmp_path_factory.mktemp("site"))


def test_no_page_asks_a_server_for_anything(site: Path) -> None:
    """Regression: the search's script came from a server, so a site on the disk had no search."""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        html = path.read_text(encoding="utf-8")
        assert not re.findall(r'(?:<script[^>]* src|<link rel="stylesheet"[^>]* href|<img[^>]* src)="https?:', html), (
            path
        )
        (own,) = re.findall(r'src="([^"]*worker_in_frame\.js)"', html)
        assert (path.parent / own).is_file(), path
        assert "mermaid" not in html, path


def test_the_same_pages_again(site: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "again")
    for name in ("graph.html", "worker_in_frame.js"):
        assert (again / name).read_bytes() == (site / name).read_bytes()


@pytest.fixture
def page(site: Path) -> "Iterator[Page]":
    """A page of a browser without a network; afterwards nothing was asked for and nothing failed."""
    with browser_or_skip() as browser:
        context = browser.new_context(offline=True, viewport={"width": 1400, "height": 900})
        page = context.new_page()
        page.set_default_timeout(20_000)
        troubles: list[str] = []
        page.on(
            "request", lambda asked: None if asked.url.startswith(("file:", "data:")) else troubles.append(asked.url)
        )
        page.on("pageerror", lambda error: troubles.append(str(error)))
        yield page
        assert troubles == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index.html", "graph.html", "project/index.html", "project/data/requests/index.html"])
def test_the_search_finds_a_page_from_the_disk(site: Path, page: "Page", name: str) -> None:
    page.goto((site / name).as_uri())
    page.locator("input.md-search__input").click()
    page.keyboard.type("snapshot")
    found = page.locator(".md-search-result__item", has_text="Command line")
    found.first.wait_for()
    found.first.locator("a").first.click()
    page.wait_for_url("**/command-line.html**")


@pytest.mark.slow
def test_the_diagram_is_drawn(site: Path, page: "Page") -> None:
    page.goto((site / "graph.html").as_uri())
    shown = page.locator(".diagram svg")
    (diagram,) = DIAGRAM
    assert sorted(shown.locator("text").all_text_contents()) == sorted(columns_of(arrows_of(diagram)))
    box, table = shown.bounding_box(), page.locator("article table").first.bounding_box()
    assert box
    assert table
    assert box["height"] > 200
    assert box["x"] + box["width"] <= 1400, "all of it is on the screen"
    assert box["y"] + box["height"] <= table["y"]


def test_each_arrow_leads_to_the_right_and_no_names_overlap() -> None:
    (diagram,) = DIAGRAM
    arrows = arrows_of(diagram)
    columns = columns_of(arrows)
    assert all(columns[start] < columns[end] for start, end in arrows)
    assert svg_of(arrows) == svg_of(arrows)
    root = ElementTree.fromstring(svg_of(arrows))  # noqa: S314 - our own
    boxes = [tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height")) for rect in root.iter("rect")]
    assert len(boxes) == len(columns)
    for (x, y, width, height), (left, top, wide, high) in combinations(boxes, 2):
        assert x + width <= left or left + wide <= x or y + height <= top or top + high <= y
    heads = [path for path in root.iter("path") if path.attrib.get("class") == "head"]
    assert len(heads) == len(arrows)


@pytest.mark.parametrize(
    ("diagram", "error"),
    [
        ("flowchart TD\n  a --> b\n", "begins with 'flowchart TD'"),
        ("flowchart LR\n  a -->|label| b\n", "no chain of names"),
        ("flowchart LR\n  a\n", "no chain of names"),
        ("flowchart LR\n  a --> b --> c --> a\n", "run in a circle"),
    ],
)
def test_a_diagram_of_another_form_stops_the_build(diagram: str, error: str) -> None:
    with pytest.raises(DiagramError, match=error):
        svg_of(arrows_of(diagram))
