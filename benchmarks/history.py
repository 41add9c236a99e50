"""An instance with a long history that is written as events, not loaded, and how long the UI waits for it.

`python -m benchmarks.history` writes it into the instance of DAGSTER_HOME. The case `history` in `cases` says what is
measured and within which bounds.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.partitions import fleet_and_month

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

GROUPS = ("raw_files", "warehouse", "metrics", "reports", "datasets")
"""Groups whose assets get a history."""

_QUIET_SECONDS = 1.5
"""A page is there when it has asked nothing for so long."""
_PATIENCE_SECONDS = 120


def write_history(
    definitions: dg.Definitions, instance: dg.DagsterInstance, metadata: Mapping[str, Mapping[str, Any]] | None = None
) -> int:
    """Record every partition of the graph as made, a run for each month and group of assets; returns the runs.

    Each partition has two events, one of the plan and one of the materialization, as in runs that load.

    Args:
        definitions: the code location.
        instance: gets the runs and events.
        metadata: asset → metadata of each of its materializations; None for none.
    """
    templates = _Templates.made()
    runs: dict[tuple[str, str], list[tuple[dg.AssetKey, str | None]]] = {}
    for spec in definitions.resolve_all_asset_specs():
        if spec.group_name in GROUPS:
            for key in spec.partitions_def.get_partition_keys() if spec.partitions_def else [None]:
                runs.setdefault((_month_of(key), str(spec.group_name)), []).append((spec.key, key))
    for (_, group), made in sorted(runs.items()):
        run = instance.add_run(dg.DagsterRun(f"history_of_{group}", status=dg.DagsterRunStatus.SUCCESS))
        for key, partition in made:
            of_asset = (metadata or {}).get(key.to_user_string(), {})
            for entry in templates.filled(
                run.run_id, dg.AssetMaterialization(key, partition=partition, metadata=of_asset)
            ):
                instance.event_log_storage.store_event(entry)
    return len(runs)


def _month_of(partition_key: str | None) -> str:
    """The month of a partition of any kind, as YYYY-MM; what has no partitions is of the first one."""
    if partition_key is None:
        return ""
    day = str(fleet_and_month(partition_key)[1]) if "|" in partition_key else partition_key
    return day[:7]


@dataclass(frozen=True)
class _Templates:
    """The two events of a real materialization, to be filled with others: their classes are not public."""

    planned: dg.EventLogEntry
    made_one: dg.EventLogEntry

    @classmethod
    def made(cls) -> "_Templates":
        @dg.asset
        def template() -> None: ...

        with dg.DagsterInstance.ephemeral() as instance:
            run_id = dg.materialize([template], instance=instance, run_config=QUIET).run_id
            found = {entry.dagster_event_type: entry for entry in instance.all_logs(run_id)}
        types = dg.DagsterEventType
        return cls(found[types.ASSET_MATERIALIZATION_PLANNED], found[types.ASSET_MATERIALIZATION])

    def filled(self, run_id: str, materialization: dg.AssetMaterialization) -> "Iterator[dg.EventLogEntry]":
        """The events of a materialization in a run, now."""
        plan = {"asset_key": materialization.asset_key, "partition": materialization.partition}
        for template, data in ((self.planned, plan), (self.made_one, {"materialization": materialization})):
            event = template.get_dagster_event()
            filled: Any = event.event_specific_data
            event = event._replace(event_specific_data=filled._replace(**data))
            yield template._replace(run_id=run_id, timestamp=time.time(), dagster_event=event)


@dataclass
class Asked:
    """The queries of a page of the UI."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Query → its longest time from the request to the end of the answer, in seconds."""
    pending: int = 0
    latest: float = field(default_factory=time.monotonic)

    @property
    def slowest(self) -> str:
        """Name of the query that took longest."""
        return max(self.seconds, key=lambda name: self.seconds[name])

    def anew(self) -> None:
        """Forget the queries so far."""
        self.seconds.clear()
        self.latest = time.monotonic()

    def begins(self, request: "Request") -> None:
        """Note a request that the page sends."""
        if _query_of(request):
            self.pending += 1
            self.latest = time.monotonic()

    def ends(self, request: "Request") -> None:
        """Note a request whose answer is there."""
        if name := _query_of(request):
            self.pending -= 1
            self.latest = time.monotonic()
            took = request.timing["responseEnd"] / 1000
            self.seconds[name] = max(self.seconds.get(name, 0), took)

    def wait(self, page: "Page") -> None:
        """Wait until the page has asked, and asks nothing more.

        Raises:
            RuntimeError: it went on for two minutes, or asked nothing.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.pending or not self.seconds or time.monotonic() - self.latest < _QUIET_SECONDS:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{page.url}: {self.pending} queries have no answer, {len(self.seconds)} have one")
            page.wait_for_timeout(100)


def _query_of(request: "Request") -> str | None:
    """Name of the GraphQL query of a request; None for another request."""
    _, found, name = request.url.partition("/graphql?op=")
    return name if found else None


@contextmanager
def watched_page(browser: "Browser") -> "Iterator[tuple[Page, Asked]]":
    """A page of a browser that has seen nothing yet, and the queries that it sends."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page, asked = context.new_page(), Asked()
    page.on("request", asked.begins)
    page.on("requestfinished", asked.ends)
    page.on("requestfailed", asked.ends)
    yield page, asked
    context.close()


LOCATION = "taxi_pipeline.definitions"
PAGES = {
    "lineage": "asset-groups",
    "an asset": "assets/taxi_trips?view=overview",
    "partitions of an asset": "assets/taxi_trips?view=partitions",
    "partitions of a dataset": "assets/zone_hours?view=partitions",
    "launch dialog of five assets": f"locations/{LOCATION}/asset-groups/warehouse/lineage",
}
"""What is opened → its address below the UI's."""


def opened(browser: "Browser", url: str, what: str) -> Asked:
    """Open one of `PAGES` in a new browser window; gives the queries that it sent.

    Of the lineage the queries count that are sent when all groups are opened, and of the launch dialog those that are
    sent when its button is clicked.
    """
    with watched_page(browser) as (page, asked):
        page.goto(f"{url}/{PAGES[what]}")
        asked.wait(page)
        if what == "lineage":
            asked.anew()
            page.keyboard.press("Alt+e")  # all groups open, so that the state of each asset is asked for
            asked.wait(page)
        if what.startswith("launch dialog"):
            asked.anew()
            page.get_by_role("button", name="Materialize all").click()
            asked.wait(page)
        return asked


RELOAD = """
mutation Reload($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry { loadStatus locationOrLoadError { __typename } }
  }
}
"""


def reload_seconds(url: str) -> float:
    """Reload the code location as the UI's button does; gives the seconds.

    Raises:
        RuntimeError: it did not load.
    """
    from taxi_pipeline_tests.running_dagster import ask

    begun = time.perf_counter()
    answer = ask(url, RELOAD, location=LOCATION)["reloadRepositoryLocation"]
    seconds = time.perf_counter() - begun
    if answer.get("locationOrLoadError", {}).get("__typename") != "RepositoryLocation":
        raise RuntimeError(f"the code location does not load: {answer}")
    return seconds


def _write() -> None:
    """Write a history with the settings of the environment into its instance, with the metadata that is there now."""
    with dg.DagsterInstance.get() as instance:
        metadata: dict[str, Mapping[str, Any]] = {}
        for key in instance.get_asset_keys():
            event = instance.get_latest_materialization_event(key)
            if event and event.asset_materialization:
                metadata[key.to_user_string()] = event.asset_materialization.metadata
        print(write_history(build_definitions(), instance, metadata))  # noqa: T201 - its result


if __name__ == "__main__":
    _write()
