"""Names out of files, servers and requests are shown as text, wherever they appear: nothing interprets them."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.cli.terminal import console, print_files
from taxi_pipeline.defs.assets import monthly_report
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.jobs import trip_requests
from taxi_pipeline.sample.zones import schematic_zones
from taxi_pipeline_tests.pipelines import EVERYTHING, Pipeline, error_of, pipeline_in
from taxi_pipeline_tests.served_pages import served

NAMES = (
    r"$\frac{$",  # matplotlib's mathtext
    "[/red]",  # rich
    "<!--<script>",  # in JSON inside a script, the rest of the page would be a comment
    "</script><b>bold</b>",
    "**bold** `code` | ![x](y)",  # Markdown
    "{{ 7 * 7 }} {% raw %}",  # templates
    "a\u2028b",  # ends a line in JavaScript
)
COLUMN, LICENSEE = "[/red]", r"$\frac{<b>"


@pytest.fixture
def hostile(mirror: Path, tmp_path: Path) -> Pipeline:
    """A mirror whose zones, columns and licensees have such names."""
    own = tmp_path / "mirror"
    (own / "trip-data").mkdir(parents=True)
    table = pq.read_table(mirror / "trip-data" / "yellow_tripdata_2023-01.parquet")
    table = table.append_column(COLUMN, pa.array([LICENSEE] * len(table)))
    pq.write_table(table, own / "trip-data" / "yellow_tripdata_2023-01.parquet")
    zones = schematic_zones().to_crs(4326)
    zones["zone"] = [NAMES[number % len(NAMES)] for number in range(len(zones))]
    zones.loc[zones["borough"] == "Manhattan", "zone"] = NAMES[0]  # the busiest are named on the map
    (own / "misc").mkdir()
    zones.to_file(own / "misc" / "taxi_zones.geojson")
    pipeline = pipeline_in(tmp_path / "data", own)
    pipeline.tlc = type(pipeline.tlc)(
        url=own.as_uri(), zones_url=f"{own.as_uri()}/misc/taxi_zones.geojson", fleets=("yellow",)
    )
    return pipeline


class _Tags(HTMLParser):
    """The tags of a page, but for what is inside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.tags.append(tag)


def tags_of(page: str) -> list[str]:
    parser = _Tags()
    parser.feed(page)
    return parser.tags


def test_in_every_output(hostile: Pipeline, mirror: Path, tmp_path: Path) -> None:
    """Regression: a zone whose name begins a formula of matplotlib's made the map fail."""
    plain = pipeline_in(tmp_path / "plain", mirror)
    for pipeline in (hostile, plain):
        pipeline.run("2023-01-01", "2023-01-31", select=EVERYTHING)
        report = pipeline.report(monthly_report, "2023-01-01")
        assert report.success, error_of(report)
    for name in ("outputs/zone_explorer.html", "outputs/reports/2023-01.html"):
        ours, theirs = (pipeline.files.read_text(name) for pipeline in (hostile, plain))
        assert tags_of(ours).count("script") == tags_of(theirs).count("script"), name
        assert tags_of(ours).count("b") == tags_of(theirs).count("b"), name
        assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|\b49 \{% raw", ours), name
        for script in re.findall(r"<script[^>]*>(.*?)</script>", ours, flags=re.DOTALL):
            assert "<!--" not in script, name
    assert "&lt;!--&lt;script&gt;" in hostile.files.read_text("outputs/reports/2023-01.html")
    assert set(NAMES) <= {zone for (zone,) in hostile.rows("SELECT DISTINCT zone FROM zones")}
    stats = json.loads(hostile.files.read_text("staging/manhattan_stats.geojson"))
    assert {feature["properties"]["zone"] for feature in stats["features"]} == {NAMES[0]}


@pytest.mark.parametrize("name", ["$frac{$", "[red]", "<b>x", "a](b) ![c", "**x**"])
def test_in_the_name_of_a_request(hostile: Pipeline, name: str) -> None:
    hostile.run("2023-01-05", select=("taxi_zones_file", "taxi_zones", "taxi_trips_file", "taxi_trips"))
    request = '{"borough": "Manhattan", "start_date": "2023-01-05", "end_date": "2023-01-05"}'
    config = {"ops": {"trip_request": {"config": {"name": name, "request": request}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = trip_requests.execute_in_process(
            resources=dict(hostile.resources), run_config={**QUIET, **config}, instance=instance
        )
    assert result.success
    hostile.files.write(f"outputs/{name}.csv", "1")
    with served(hostile.files) as get:
        index = get("/")[2].decode()
    assert "b" not in tags_of(index)


def test_on_the_terminal(hostile: Pipeline, home: Path, tmp_path: Path) -> None:
    """Regression: a column named `[/red]` ended the console command with a traceback."""
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(tmp_path / "[/red]"),
        "TLC_URL": hostile.tlc.url,
        "TAXI_ZONES_URL": hostile.tlc.zones_url,
        "COLUMNS": "300",
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        # A process of its own: the command keeps its objects out of the garbage collector.
        return subprocess.run(
            [sys.executable, "-m", "taxi_pipeline", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    result = run("materialize", "--start", "2023-01-05", "--end", "2023-01-05")
    assert result.returncode == 0, result.stderr
    assert "[/red]" in result.stdout
    assert run("status").returncode == 0
    with console.capture() as shown:
        print_files("[bold]x", [("[/red]", 1)], title="[/blue]")
    assert all(text in shown.get() for text in ("[bold]x", "[/red]", "[/blue]"))
