"""A backfill and a run through `dagster dev`, launched as the UI does, and the time of each part."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxi_pipeline_tests.running_dagster import ask, end_of_backfill, launch_backfill, launch_run, wait_for


@dataclass(frozen=True)
class Backfill:
    """The times of a backfill, in seconds."""

    seconds: float
    """Seconds from the launch to the end of the last run."""
    starting_processes: float
    """Seconds from a run's start to its first step, summed over all runs."""
    work: float
    """Seconds from a run's first step to its end, summed over all runs."""
    num_runs: int

    @property
    def waiting_for_daemon(self) -> float:
        """Seconds in which no run was executing a step or starting, for runs one after the other."""
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
    """Launch a run of the job `daily_trips` and return its seconds, from the start of its process to its end.

    The time in the queue is not counted, because the daemon looks every two seconds.

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
    """Time of the first such event of the run, in seconds since the epoch."""
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
