"""`dagster dev` on a free port, asked through GraphQL as the UI asks it; for the system test and the benchmarks."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests

from taxi_pipeline_tests.pipelines import range_tags
from taxi_pipeline_tests.services.servers import free_ports

RUNS = "query Runs($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results { runId status } } } }"
PATIENCE_SECONDS = 420
"""The daemon looks every half minute, and other tests want the processor, too."""


@contextmanager
def dagster_dev(environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Start the webserver and the daemon, give their URL, and stop them at the end, as Ctrl-C does."""
    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-h", "127.0.0.1", "-p", str(port)]
    command += ["-m", "taxi_pipeline.definitions"]
    # Started outside the project, so that a developer's .env is not read.
    with running_ui(command, port, environment, log, folder=log.parent) as url:
        yield url


@contextmanager
def running_ui(
    command: Sequence[str], port: int, environment: Mapping[str, str], log: Path, *, folder: Path
) -> Iterator[str]:
    """Run a command that serves the UI, give its URL when it answers, and stop it at the end, as Ctrl-C does.

    Args:
        command: and its arguments.
        port: of the UI.
        environment: of the command.
        log: gets what it prints.
        folder: in which it runs.
    """
    with (
        log.open("ab") as output,
        _hearing_interrupts(),
        subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"

            def is_up() -> bool:
                assert process.poll() is None, log.read_text()
                try:
                    return requests.get(f"{url}/server_info", timeout=5).ok
                except requests.ConnectionError:
                    return False

            wait_for("the webserver", is_up)
            yield url
        finally:
            # The signal goes to the whole group, as from a terminal. Dagster gives each service a minute to end; how
            # long that takes is not tested here, but nothing may be left running.
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _hearing_interrupts() -> Iterator[None]:
    """Let what is started here hear SIGINT.

    Tests that a script runs in the background ignore it, and so would all that they start: each stop of the system
    would take the whole minute.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def ask(url: str, query: str, **variables: Any) -> dict[str, Any]:
    """Send a GraphQL query and return the server's answer."""
    answer = requests.post(f"{url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def launch_backfill(url: str, assets: list[str], days: list[str]) -> str:
    """Launch a backfill as the UI does when somebody picks days and presses `Launch backfill`; returns its id."""
    keys = [{"path": [name]} for name in assets]
    launched = ask(url, LAUNCH, assets=keys, days=days)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return launched["backfillId"]


def end_of_backfill(url: str, backfill_id: str, patience_seconds: float = PATIENCE_SECONDS) -> str:
    """The status of a backfill, when nothing more happens in it."""

    def ended() -> str | None:
        status = ask(url, STATUS_OF_BACKFILL, id=backfill_id)["partitionBackfillOrError"]["status"]
        return status if status in ENDED else None

    return wait_for("the backfill's end", ended, patience_seconds)


def reexecute_failed(url: str, backfill_id: str) -> str:
    """Send the request of the button `Re-execute from failure`; returns the id of the new backfill."""
    launched = ask(url, REEXECUTE, parent=backfill_id)["reexecutePartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return launched["backfillId"]


def cancel_backfill(url: str, backfill_id: str) -> None:
    """Cancel a backfill as the UI does."""
    cancelled = ask(url, CANCEL_BACKFILL, id=backfill_id)["cancelPartitionBackfill"]
    assert cancelled["__typename"] == "CancelBackfillSuccess", cancelled


def cancel_run(url: str, run_id: str) -> None:
    """Cancel a run as the UI does."""
    cancelled = ask(url, CANCEL_RUN, id=run_id)["terminateRun"]
    assert cancelled["__typename"] == "TerminateRunSuccess", cancelled


def status_of_run(url: str, run_id: str) -> str:
    """The status of a run."""
    return ask(url, STATUS_OF_RUN, id=run_id)["runOrError"]["status"]


def launch_run(url: str, first: str, last: str) -> str:
    """Launch a run of the job `daily_trips` over a range of days, as the UI does; gives the run's id."""
    tags = [{"key": key, "value": value} for key, value in range_tags(first, last).items()]
    params = {
        "selector": {
            "repositoryName": "__repository__",
            "repositoryLocationName": "taxi_pipeline.definitions",
            "jobName": "daily_trips",
        },
        "executionMetadata": {"tags": tags},
        "runConfigData": {},
    }
    launched = ask(url, LAUNCH_RUN, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return launched["run"]["runId"]


@contextmanager
def instance_of(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a home, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.get() as instance:
            yield instance


def wait_for(what: str, condition: Callable[[], Any], patience_seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until the condition gives something that is true, and give it."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {patience_seconds:g} s")


ENDED = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
"""Statuses of a backfill in which nothing more happens."""
STATUS_OF_BACKFILL = """
query Status($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""
LAUNCH_RUN = """
mutation LaunchRun($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
LAUNCH = """
mutation Launch($assets: [AssetKeyInput!], $days: [String!]) {
  launchPartitionBackfill(backfillParams: { assetSelection: $assets, partitionNames: $days }) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS_OF_RUN = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
REEXECUTE = """
mutation Reexecute($parent: String!) {
  reexecutePartitionBackfill(reexecutionParams: { parentRunId: $parent, strategy: FROM_FAILURE }) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
CANCEL_BACKFILL = """
mutation CancelBackfill($id: String!) {
  cancelPartitionBackfill(backfillId: $id) { __typename ... on PythonError { message } }
}
"""
CANCEL_RUN = """
mutation CancelRun($id: String!) {
  terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } ... on PythonError { message } }
}
"""
