"""A backfill and a run through `dagster dev`, as the UI launches them, and how long each part took."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxi_pipeline_tests.running_dagster import ask, end_of_backfill, launch_backfill, launch_run, wait_for


@dataclass(frozen=True)
class Backfill:
    """What a backfill took, in seconds."""

    seconds: float
    """From its launch to the end of its last run."""
    starting_processes: float
    """From a run's start to its first step, all runs together."""
    work: float
    """From a run's first step to its end, all runs together."""
    num_runs: int

    @property
    def waiting_for_daemon(self) -> float:
        """Seconds in which no run was executing a step, nor starting to; of runs one after the other."""
        return self.seconds - self.starting_processes - self.work


def backfill(url: str, assets: list[str], days: list[str]) -> Backfill:
    """Launch a backfill and wait for its end.

    Raises:
        RuntimeError: it did not succeed.
    """
    launched = time.time()
    backfill_id = launch_backfill(url, assets, days)
    end_of_backfill(url, backfill_id, patience_seconds=3600)
    tags = [{"key": "dagster/backfill", "value": backfill_id}]
    runs = ask(url, RUNS, filter={"tags": tags})["runsOrError"]["results"]
    if {run["status"] for run in runs} != {"SUCCESS"}:
        raise RuntimeError(f"runs of the backfill ended with {[run['status'] for run in runs]}")
    begun = [_first(run, "PipelineStartingEvent", "RunStartingEvent") for run in runs]
    steps = [_first(run, "ExecutionStepStartEvent") for run in runs]
    ends = [float(run["endTime"]) for run in runs]
    starting = sum(step - start for start, step in zip(begun, steps, strict=True))
    work = sum(end - step for step, end in zip(steps, ends, strict=True))
    return Backfill(max(ends) - launched, starting, work, len(runs))


def launched_run(url: str, first: str, last: str) -> float:
    """Seconds of a run of the job `daily_trips`, from the start of its process to its end.

    Not counted is how long the run was queued, because the daemon looks every two seconds.

    Raises:
        RuntimeError: it did not succeed.
    """
    run_id = launch_run(url, first, last)

    def ended() -> dict[str, Any] | None:
        (run,) = ask(url, RUNS, filter={"runIds": [run_id]})["runsOrError"]["results"]
        return run if run["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None

    run = wait_for("the run's end", ended)
    if run["status"] != "SUCCESS":
        raise RuntimeError(f"the run ended with {run['status']}")
    return float(run["endTime"]) - _first(run, "RunStartingEvent")


def _first(run: Mapping[str, Any], *event_types: str) -> float:
    """When the first such event of the run was, in seconds since the epoch."""
    events = run["eventConnection"]["events"]
    return min(float(event["timestamp"]) / 1000 for event in events if event["__typename"] in event_types)


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
