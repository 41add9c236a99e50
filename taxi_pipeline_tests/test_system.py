"""The running system: `dagster dev` with its daemon, driven through GraphQL as the UI drives it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from taxi_pipeline_tests.conftest import Pipeline
from taxi_pipeline_tests.test_definitions import DEPS

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 240


class Server:
    """A running `dagster dev`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=30).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def runs(self) -> list[dict[str, Any]]:
        data = self.ask("{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }")
        return data["runsOrError"]["results"]


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {PATIENCE_SECONDS} s")


@contextmanager
def dagster_dev(environment: Mapping[str, str], log: Path) -> Iterator[Server]:
    """Start the webserver and the daemon on a free port; stop them at the end, as Ctrl-C does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("dagster"), "dev", "-h", "127.0.0.1", "-p", str(port)]
    command += ["-m", "taxi_pipeline.definitions"]
    # Started outside the project, so that a developer's .env is not read.
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, env=environment, cwd=log.parent, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            server = Server(f"http://127.0.0.1:{port}")

            def is_up() -> bool:
                assert process.poll() is None, log.read_text()
                try:
                    return requests.get(f"{server.url}/server_info", timeout=5).ok
                except requests.ConnectionError:
                    return False

            wait_for("the webserver", is_up)
            yield server
        finally:
            # To the whole group, as a terminal does. Dagster gives each service a minute to end; how long that takes
            # is not tested here, but nothing may be left running.
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


LAUNCH = """
mutation Launch($assets: [AssetKeyInput!], $days: [String!]) {
  launchPartitionBackfill(backfillParams: { assetSelection: $assets, partitionNames: $days }) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status error { message } } }
}
"""


def test_a_range_of_the_whole_graph_from_the_ui_and_its_history_after_a_restart(
    environment: dict[str, str], make_pipeline: Callable[..., Pipeline], mirror: Path, tmp_path: Path
) -> None:
    """What the UI does when somebody picks days and presses `Launch backfill`."""
    assets = [{"path": [name]} for name in DEPS if name != "tlc_trip_records"]
    days = [f"2023-02-{day:02}" for day in range(5, 11)]
    log = tmp_path / "dagster-dev.log"
    with dagster_dev(environment, log) as server:
        launched = server.ask(LAUNCH, assets=assets, days=days)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched

        def status() -> str:
            backfill = server.ask(STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
            assert backfill["error"] is None, backfill
            return backfill["status"]

        wait_for("the backfill", lambda: status() not in ("REQUESTED",))
        assert status() == "COMPLETED_SUCCESS", log.read_text()
        runs = server.runs()
    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert len(runs) < len(days), "days come in chunks, not one run each"

    pipeline = make_pipeline(mirror)
    loaded = pipeline.rows("SELECT CAST(pickup_date AS VARCHAR), num_trips FROM loaded_days ORDER BY ALL")
    assert [day for day, _ in loaded] == days
    assert all(count > 100 for _, count in loaded)
    undisturbed = make_pipeline(mirror, name="undisturbed")
    undisturbed.run(days[0], days[-1])
    assert pipeline.bytes_of_outputs() == undisturbed.bytes_of_outputs()

    with dagster_dev(environment, log) as server:
        assert server.runs() == runs, "the history is still there"
        assert (
            server.ask(STATUS, id=launched["backfillId"])["partitionBackfillOrError"]["status"] == "COMPLETED_SUCCESS"
        )
