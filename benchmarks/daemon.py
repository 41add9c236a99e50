"""`dagster dev` on a free port, driven through GraphQL: a backfill as the UI launches it, and when its run did what."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Backfill:
    """Seconds from the launch of a backfill to the end of its run."""

    waiting_for_daemon: float
    """Until the daemon had made the run and dequeued it."""
    starting_process: float
    """Until the run's process executed its first step."""
    work: float
    """Until the run was over."""


@contextmanager
def dagster_dev(environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Start webserver and daemon, give the URL of GraphQL, and stop them at the end."""
    import requests

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("dagster"), "dev", "-h", "127.0.0.1", "-p", str(port)]
    command += ["-m", "taxi_pipeline.definitions"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=environment, cwd=log.parent, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                with suppress(requests.ConnectionError):
                    if requests.get(f"http://127.0.0.1:{port}/server_info", timeout=5).ok:
                        break
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/graphql"
        finally:
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def backfill(url: str, assets: Sequence[str], days: Sequence[str]) -> Backfill:
    """Launch a backfill that fits into one run, and wait for its end.

    Raises:
        RuntimeError: it did not succeed.
    """
    keys = [{"path": [name]} for name in assets]
    launched = time.time()
    answer = _ask(url, LAUNCH, assets=keys, days=list(days))["launchPartitionBackfill"]
    tags = [{"key": "dagster/backfill", "value": answer["backfillId"]}]
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        runs = _ask(url, RUNS, filter={"tags": tags})["runsOrError"]["results"]
        if runs and runs[0]["status"] in ("SUCCESS", "FAILURE", "CANCELED"):
            (run,) = runs
            if run["status"] != "SUCCESS":
                raise RuntimeError(f"the backfill's run ended with {run['status']}")
            dequeued = _moment(run, "PipelineStartingEvent")
            first_step = _moment(run, "ExecutionStepStartEvent")
            return Backfill(dequeued - launched, first_step - dequeued, run["endTime"] - first_step)
        time.sleep(0.5)
    raise RuntimeError("the backfill did not end within ten minutes")


def _moment(run: Mapping[str, Any], event_type: str) -> float:
    """Of the run's first event of that type, in seconds since the epoch."""
    events = run["eventConnection"]["events"]
    return min(float(event["timestamp"]) / 1000 for event in events if event["__typename"] == event_type)


def _ask(url: str, query: str, **variables: Any) -> dict[str, Any]:
    import requests

    answer = requests.post(url, json={"query": query, "variables": variables}, timeout=60).json()
    if "errors" in answer:
        raise RuntimeError(answer["errors"])
    return answer["data"]


LAUNCH = """
mutation Launch($assets: [AssetKeyInput!], $days: [String!]) {
  launchPartitionBackfill(backfillParams: { assetSelection: $assets, partitionNames: $days }) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
RUNS = """
query Runs($filter: RunsFilter) {
  runsOrError(filter: $filter) {
    ... on Runs {
      results {
        status endTime
        eventConnection { events { __typename ... on MessageEvent { timestamp } } }
      }
    }
  }
}
"""
