"""OpenLineage events, written into a file by the configuration of docs/lineage.md."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxi_pipeline.warehouse.tables import TRIPS
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.faulty_server import faulty_server

pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs" / "lineage.md").read_text()
(CONFIGURATION,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def configured(home: Path) -> None:
    """Put the block of the page into the instance's configuration."""
    path = home / "dagster.yaml"
    whole = yaml.safe_load(path.read_text()) | yaml.safe_load(CONFIGURATION)
    path.write_text(yaml.safe_dump(whole))


def materialize(environment: dict[str, str]) -> None:
    days = ("--start", "2023-01-05", "--end", "2023-01-06")
    done = subprocess.run(
        [sys.executable, "-m", "taxi_pipeline", "materialize", *days],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def home_with_lineage(home: Path) -> Path:
    pytest.importorskip("dagster_openlineage", reason="the extra openlineage is not installed")
    configured(home)
    return home


def test_materializations_have_their_schema_and_the_lineage_of_their_columns(
    home_with_lineage: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    written = tmp_path / "lineage.ndjson"
    transport = dict(re.findall(r"(OPENLINEAGE__\w+)=(\S+)", PAGE.partition("an event a line")[2]))
    assert set(transport) == {f"OPENLINEAGE__TRANSPORT__{name}" for name in ("TYPE", "APPEND", "LOG_FILE_PATH")}
    materialize({**environment, **transport, "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH": str(written)})
    events = [json.loads(line) for line in written.read_text().splitlines()]
    facets: dict[str, dict[str, Any]] = {}
    for event in events:
        for output in event["outputs"] if event["eventType"] == "COMPLETE" else ():
            assert output["namespace"] == "taxi-pipeline"
            facets.setdefault(output["name"], {}).update(output["facets"])
    assert {"taxi_trips_file", "taxi_trips", "zone_hourly_trips", "trips_by_week", "manhattan_map"} <= set(facets)
    columns = {field["name"]: field["type"] for field in facets["taxi_trips"]["schema"]["fields"]}
    assert columns == TRIPS.column_types
    lineage = facets["zone_hourly_trips"]["columnLineage"]["fields"]
    sources = {(each["name"], each["field"]) for each in lineage["total_amount"]["inputFields"]}
    assert ("taxi_trips", "total_amount") in sources
    checks = [event for event in events if event["job"]["name"] == "taxi_trips__checks"]
    asserted = {
        assertion["assertion"]
        for event in checks
        for dataset in event["inputs"]
        for assertion in dataset["inputFacets"]["dataQualityAssertions"]["assertions"]
    }
    assert "trips_conserved" in asserted


def with_server(environment: dict[str, str], url: str) -> dict[str, str]:
    """The variables of the page for a server."""
    found = re.search(r"(OPENLINEAGE__TRANSPORT__TYPE)=(async_http) (OPENLINEAGE__TRANSPORT__URL)=http", PAGE)
    assert found
    return {**environment, found[1]: found[2], found[3]: url, "NO_PROXY": "127.0.0.1"}


def test_a_server_gets_the_events(home_with_lineage: Path, environment: dict[str, str]) -> None:
    with faulty_server() as server:
        materialize(with_server(environment, server.url))
        names = {json.loads(body)["job"]["name"] for body in server.posted}
    assert {"taxi_trips", "manhattan_map", "taxi_trips__checks"} <= names


def test_a_server_that_is_not_there_fails_no_run(home_with_lineage: Path, environment: dict[str, str]) -> None:
    materialize(with_server(environment, "http://127.0.0.1:9"))
