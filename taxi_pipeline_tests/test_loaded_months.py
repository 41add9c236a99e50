"""The months of each fleet that are loaded: what the UI shows of them, and how those that are missing are loaded."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.defs import partitions
from taxi_pipeline.defs.assets import ASSETS, loaded_months, month_manifest
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.dagster_names import RANGE_END, RANGE_START
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import warehouse_version
from taxi_pipeline_tests.pipelines import LOADING, Pipeline, contents, error_of, range_tags

MakePipeline = Callable[..., Pipeline]

JANUARY, FEBRUARY = "2023-01-01", "2023-02-01"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


class History:
    """Runs of a pipeline that one instance keeps, as the UI shows them."""

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance, first_day: str = JANUARY) -> None:
        self._pipeline = pipeline
        self._instance = instance
        self._assets = partitions.between(
            date.fromisoformat(first_day), None, pipeline.tlc.fleets, [*ASSETS, month_manifest, loaded_months]
        )

    def days(self, first: str, last: str) -> None:
        """Load days, then make the manifests of their months, as automation does."""
        self._run(dg.AssetSelection.assets(*LOADING, "taxi_zones_file", "taxi_zones"), range_tags(first, last))
        months = [str(month.first.replace(day=1)) for month in Days(*map(date.fromisoformat, (first, last))).by_month()]
        self.manifests(months[0], months[-1])

    def manifests(self, first: str, last: str) -> None:
        self._run(dg.AssetSelection.assets("month_manifest"), range_tags(first, last))

    def complete(self, fleet: str, first: str, last: str, *, fails: bool = False) -> dg.ExecuteInProcessResult:
        """Materialize months of a fleet, as a backfill of the UI does."""
        tags = {RANGE_START: f"{fleet}|{first}", RANGE_END: f"{fleet}|{last}"}
        return self._run(dg.AssetSelection.assets("loaded_months"), tags, fails=fails)

    def _run(
        self, selection: dg.AssetSelection, tags: dict[str, str], *, fails: bool = False
    ) -> dg.ExecuteInProcessResult:
        result = dg.materialize(
            self._assets,
            selection=selection,
            resources=self._pipeline.resources,
            tags=tags,
            run_config=QUIET,
            instance=self._instance,
            raise_on_error=False,
        )
        assert result.success is not fails, error_of(result)
        return result

    def recorded(self, asset: str = "loaded_months") -> list[str]:
        """The partitions that the UI shows as materialized."""
        return sorted(self._instance.get_materialized_partitions(dg.AssetKey(asset)))

    def num_events(self, asset: str, partition: str) -> int:
        which = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition])
        return len(self._instance.fetch_materializations(which, limit=100).records)


def days_loaded_now(result: dg.ExecuteInProcessResult) -> dict[str | None, object]:
    return {
        made.partition: made.metadata["days_loaded_now"].value
        for made in result.asset_materializations_for_node("loaded_months")
        if made.asset_key == dg.AssetKey("loaded_months")
    }


def test_a_fleet_that_is_added_is_missing_until_its_days_are_loaded(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    """Regression: the days of the old fleets read as done for the new one, and to load it was to load all again."""
    yellow = make_pipeline(mirror)
    History(yellow, instance).days(JANUARY, "2023-02-28")
    before = contents(yellow.warehouse)
    both = make_pipeline(mirror, fleets=("yellow", "green"))
    history = History(both, instance)
    assert history.recorded() == [f"yellow|{JANUARY}", f"yellow|{FEBRUARY}"]
    result = history.complete("green", JANUARY, FEBRUARY)
    assert days_loaded_now(result) == {
        f"green|{JANUARY}": "2023-01-01 to 2023-01-31",
        f"green|{FEBRUARY}": "2023-02-01 to 2023-02-28",
    }
    assert history.recorded() == [f"{fleet}|{month}" for fleet in ("green", "yellow") for month in (JANUARY, FEBRUARY)]
    assert history.num_events("zone_hourly_trips", "2023-02-14") == 2, "so that its week and its month are made again"
    assert before["trips"] < contents(both.warehouse)["trips"]
    undisturbed = make_pipeline(mirror, fleets=("yellow", "green"), name="undisturbed")
    undisturbed.run(JANUARY, "2023-02-28", select=(*LOADING, "taxi_zones_file", "taxi_zones"))
    assert contents(both.warehouse) == contents(undisturbed.warehouse)
    names = {check.check_name for check in result.get_asset_check_evaluations()}
    assert {"trips_conserved", "hourly_trips_match_trips"} <= names


def test_exactly_the_days_that_are_missing_are_loaded(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = make_pipeline(mirror)
    history = History(pipeline, instance)
    history.days("2023-01-11", "2023-01-19")
    assert history.recorded() == [], "the month is not whole"
    assert days_loaded_now(history.complete("yellow", JANUARY, JANUARY)) == {
        f"yellow|{JANUARY}": "2023-01-01 to 2023-01-10, 2023-01-20 to 2023-01-31"
    }
    assert history.num_events("taxi_trips", "2023-01-11") == 1, "a day that was loaded is left alone"
    version = pipeline.warehouse.query(warehouse_version)
    again = days_loaded_now(history.complete("yellow", JANUARY, JANUARY))
    assert again == {f"yellow|{JANUARY}": "none: all days were loaded"}
    assert pipeline.warehouse.query(warehouse_version) == version
    assert tuple(pipeline.rows("SELECT count(*) FROM loaded_days")) == ((31,),)


def test_a_month_that_fails_stops_no_other_and_is_named(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    history = History(make_pipeline(mirror), instance)
    history.days(JANUARY, JANUARY)  # with the zones
    failed = history.complete("yellow", FEBRUARY, "2023-04-01", fails=True)
    assert "yellow trips of 2023-03 are not published" in error_of(failed)
    assert history.recorded() == [f"yellow|{FEBRUARY}"]


def test_months_before_a_fleet_existed_are_refused(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    history = History(make_pipeline(mirror, fleets=("fhvhv",)), instance, first_day="2018-12-01")
    failed = history.complete("fhvhv", "2018-12-01", "2019-01-01", fails=True)
    assert "fhvhv has trips from 2019-02 on, none of 2019-01" in error_of(failed)
    assert history.recorded() == []


def test_a_manifest_records_a_month_once_for_each_load(
    make_pipeline: MakePipeline, mirror: Path, instance: dg.DagsterInstance
) -> None:
    """What is recorded again makes the datasets of the month again."""
    history = History(make_pipeline(mirror), instance)
    history.days(JANUARY, "2023-01-31")
    history.manifests(JANUARY, JANUARY)
    assert history.num_events("loaded_months", f"yellow|{JANUARY}") == 1
    history.days("2023-01-07", "2023-01-07")
    assert history.num_events("loaded_months", f"yellow|{JANUARY}") == 2
