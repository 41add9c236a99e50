"""Reports of a week and manifests of a month: what they hold, and when they run by themselves."""

import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.defs.assets import ASSETS, month_manifest, week_summary
from taxi_pipeline.defs.checks.freshness import LATE_DAYS, TOO_LATE_DAYS, newest_day_is_recent
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.partitions import daily_partitions, weekly_partitions, weeks_from
from taxi_pipeline.outputs.month_manifest import manifest_of_month
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline_tests.pipelines import Pipeline, error_of, settings_of

MakePipeline = Callable[..., Pipeline]


def summary_of(pipeline: Pipeline, week: str) -> dict[str, Any]:
    return json.loads((pipeline.folder / "outputs" / "week_summary" / f"{week}.json").read_text())


def test_a_week_is_summed_up_by_fleet_and_borough(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror, fleets=("yellow", "green"))
    pipeline.load("2023-01-29", "2023-02-11")
    assert pipeline.report(week_summary, "2023-01-29", "2023-02-05").success
    summary = summary_of(pipeline, "2023-02-05")
    assert (summary["week"], summary["last_day"], summary["synthetic"]) == ("2023-02-05", "2023-02-11", True)
    expected = pipeline.rows(
        "SELECT fleet, borough, count(*), sum(total_amount), sum(passenger_count) "
        "FROM trips JOIN zones ON zone_id = pickup_zone_id "
        "WHERE pickup_date BETWEEN '2023-02-05' AND '2023-02-11' GROUP BY fleet, borough ORDER BY fleet, borough"
    )
    found = [
        (row["fleet"], row["borough"], row["num_trips"], row["total_amount"], row["passenger_count"])
        for row in summary["by_fleet_and_borough"]
    ]
    assert found == [(fleet, borough, n, float(amount), who or 0) for fleet, borough, n, amount, who in expected]
    assert {fleet for fleet, *_ in found} == {"yellow", "green"}
    assert summary["totals"]["num_trips"] == sum(row[2] for row in expected)
    assert summary["totals"]["total_amount"] == float(sum(row[3] for row in expected))
    assert summary["week_before"]["week"] == "2023-01-29"
    before = summary_of(pipeline, "2023-01-29")
    assert summary["week_before"]["totals"] == before["totals"]
    assert summary["week_before"]["by_fleet_and_borough"] == before["by_fleet_and_borough"]
    assert before["week_before"] is None


def test_the_comparison_is_filled_in_whatever_the_order(make_pipeline: MakePipeline, mirror: Path) -> None:
    """The same bytes after a backfill in another order."""
    at_once, backwards = make_pipeline(mirror, name="at_once"), make_pipeline(mirror, name="backwards")
    at_once.load("2023-01-29", "2023-02-11")
    at_once.report(week_summary, "2023-01-29", "2023-02-05")
    for week, last in (("2023-02-05", "2023-02-11"), ("2023-01-29", "2023-02-04")):
        backwards.load(week, last)
        backwards.report(week_summary, week)
    for week in ("2023-01-29", "2023-02-05"):
        assert summary_of(backwards, week) == summary_of(at_once, week)
    assert summary_of(backwards, "2023-02-05")["week_before"] is not None


def test_a_week_that_is_not_complete_names_the_missing_days(make_pipeline: MakePipeline, mirror: Path) -> None:
    """The weeks at the ends of a backfill make no other week fail."""
    pipeline = make_pipeline(mirror)
    pipeline.load("2023-02-05", "2023-02-16")
    assert pipeline.report(week_summary, "2023-02-05", "2023-02-12").success
    assert summary_of(pipeline, "2023-02-05")["missing_days"] == []
    partly = summary_of(pipeline, "2023-02-12")
    assert partly["missing_days"] == ["yellow 2023-02-17", "yellow 2023-02-18"]
    ((trips,),) = pipeline.rows("SELECT count(*) FROM trips WHERE pickup_date >= '2023-02-12'")
    assert partly["totals"]["num_trips"] == trips
    pipeline.report(week_summary, "2023-02-12")
    assert summary_of(pipeline, "2023-02-12")["week_before"]["totals"] == summary_of(pipeline, "2023-02-05")["totals"]


def test_a_week_of_which_nothing_is_loaded_is_refused(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    pipeline.load("2023-02-05", "2023-02-06")
    result = pipeline.report(week_summary, "2023-01-29")
    assert not result.success
    assert "no day of the week of 2023-01-29 is loaded" in error_of(result)
    assert not list((pipeline.folder / "outputs").rglob("*.json"))


def test_metadata_of_each_week(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    pipeline.load("2023-01-29", "2023-02-11")
    found = pipeline.report(week_summary, "2023-01-29", "2023-02-05").asset_materializations_for_node("week_summary")
    trips = dict(
        pipeline.rows(
            "SELECT CAST(CASE WHEN pickup_date < '2023-02-05' THEN '2023-01-29' ELSE '2023-02-05' END AS VARCHAR), "
            "count(*) FROM trips GROUP BY ALL"
        )
    )
    assert {m.partition: m.metadata["trips"].value for m in found} == trips


def test_a_manifest_says_what_is_loaded_of_a_month(make_pipeline: MakePipeline, mirror: Path) -> None:
    """By fleet: days, trips, rejected rows, and the file that they come from, as the file itself has them."""
    pipeline = make_pipeline(mirror)
    pipeline.load("2023-01-31", "2023-02-28")
    result = pipeline.report(month_manifest, "2023-01-01", "2023-02-01")
    assert result.success, error_of(result)
    january, february = (
        json.loads(pipeline.files.read_text(f"outputs/month_manifest/2023-{month}.json")) for month in ("01", "02")
    )
    assert (january["is_whole"], february["is_whole"]) == (False, True)
    assert january["fleets"]["yellow"]["missing_days"] == [f"2023-01-{day:02}" for day in range(1, 31)]
    published = mirror / "trip-data" / "yellow_tripdata_2023-02.parquet"
    found = february["fleets"]["yellow"]
    assert found["file_sha256"] == hashlib.sha256(published.read_bytes()).hexdigest()
    assert found["file_rows"] == pq.read_metadata(published).num_rows == found["num_trips"] + found["num_rejected"]
    assert (found["num_days"], found["missing_days"], found["num_file_versions"]) == (28, [], 1)
    assert (february["month"], february["synthetic"]) == ("2023-02", True)
    assert set(february["fleets"]) == {"yellow"}
    made = {m.partition: m.metadata for m in result.asset_materializations_for_node("month_manifest")}
    assert made["2023-02-01"]["trips"].value == found["num_trips"]
    assert made["2023-01-01"]["missing_days"].value == 30


def test_a_manifest_names_a_fleet_of_which_nothing_is_loaded(make_pipeline: MakePipeline, mirror: Path) -> None:
    """A fleet that did not exist yet is left out, and a month of which nothing is loaded has no manifest."""
    pipeline = make_pipeline(mirror)
    pipeline.load("2023-02-01", "2023-02-28")
    with pipeline.warehouse.read() as session:
        manifest = manifest_of_month(session, date(2023, 2, 1), ["yellow", "green"])
        assert manifest["fleets"]["green"]["num_days"] == 0
        assert len(manifest["fleets"]["green"]["missing_days"]) == 28
        assert not manifest["is_whole"]
    assert not pipeline.report(month_manifest, "2023-03-01").success


def test_all_days_of_a_week_are_partitions() -> None:
    """The last week ends before the daily partitions do, and the first begins with or after them."""
    for weeks in (weekly_partitions, weeks_from(date(2023, 1, 1)), weeks_from(date(2023, 1, 3))):
        first, last = str(weeks.get_first_partition_key()), str(weeks.get_last_partition_key())
        assert date.fromisoformat(first).isoweekday() == 7
        end = date.fromisoformat(last) + timedelta(days=6)
        assert str(end) <= str(daily_partitions.get_last_partition_key())
        assert end + timedelta(days=14) > date.fromisoformat(str(daily_partitions.get_last_partition_key()))
    assert weeks_from(date(2023, 1, 3)).get_first_partition_key() == "2023-01-08"


class Automation:
    """The automation sensor's decisions, one after the other, on a throwaway instance."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        settings = settings_of({"TAXI_START_DATE": "2023-01-01"})
        self._definitions = build_definitions(settings=settings)
        self._instance = instance
        self._cursor: Any = None

    def load(self, *days: int, month: int = 1, asset: str = "zone_hourly_trips") -> None:
        for day in days:
            partition = str(date(2023, month, day))
            self._instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition))

    def zones(self, version: str) -> None:
        tags = {"dagster/data_version": version}
        self._instance.report_runless_asset_event(dg.AssetMaterialization("taxi_zones", tags=tags))

    def indicators(self, version: str) -> None:
        tags = {"dagster/data_version": version}
        self._instance.report_runless_asset_event(dg.AssetMaterialization("tlc_indicators", tags=tags))

    def parents(self, asset: str) -> set[dg.AssetKey]:
        return set(self._definitions.resolve_asset_graph().get(dg.AssetKey(asset)).parent_keys)

    def requested(self, *, succeed: bool = True, asset: str = "week_summary") -> list[str]:
        """The weeks (or months) that are launched now; they succeed at once, or fail."""
        result = dg.evaluate_automation_conditions(
            self._definitions,
            self._instance,
            asset_selection=dg.AssetSelection.groups("reports"),
            cursor=self._cursor,
        )
        self._cursor = result.cursor
        partitions = sorted(str(key) for key in result.get_requested_partitions(dg.AssetKey(asset)))
        for partition in partitions if succeed else []:
            self._instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition))
        return partitions


@pytest.fixture
def automation() -> Iterator[Automation]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = Automation(instance)
        made.zones("a")
        yield made


def test_a_week_runs_when_its_last_day_is_loaded_and_only_then(automation: Automation) -> None:
    """Regression: Dagster's own conditions look at the newest window alone, and trips arrive months late."""
    assert automation.requested() == []
    automation.load(1, 2, 3, 4, 5, 6)
    assert automation.requested() == []
    automation.load(7)
    assert automation.requested() == ["2023-01-01"]
    assert automation.requested() == [], "once"


def test_weeks_that_were_complete_before_are_made_when_it_is_switched_on(automation: Automation) -> None:
    automation.load(*range(1, 15))
    assert automation.requested() == ["2023-01-01", "2023-01-08"]


def test_a_day_loaded_again_makes_its_week_again_and_no_other(automation: Automation) -> None:
    automation.load(*range(1, 15))
    automation.requested()
    automation.load(10)
    assert automation.requested() == ["2023-01-08"]


def test_changed_zones_make_all_weeks_again_and_unchanged_ones_none(automation: Automation) -> None:
    automation.load(*range(1, 15))
    automation.requested()
    automation.zones("a")
    assert automation.requested() == []
    automation.zones("b")
    assert automation.requested() == ["2023-01-01", "2023-01-08"]


def test_a_month_waits_for_no_report_of_the_tlc_and_a_new_one_makes_no_month_again(automation: Automation) -> None:
    """The section is optional; a weekly edition of a small table is no reason to make all reports again."""
    assert dg.AssetKey("tlc_indicators") in automation.parents("monthly_report")
    for asset in ("zone_hourly_trips", "borough_flows"):
        automation.load(*range(1, 32), asset=asset)
    assert automation.requested(asset="monthly_report") == ["2023-01-01"]
    automation.indicators("a")
    automation.indicators("b")
    assert automation.requested(asset="monthly_report") == []


def test_a_run_that_fails_is_not_repeated_for_ever(automation: Automation) -> None:
    automation.load(*range(1, 8))
    assert automation.requested(succeed=False) == ["2023-01-01"]
    assert automation.requested(succeed=False) == []
    automation.load(3)
    assert automation.requested() == ["2023-01-01"], "until a day is loaded again"


@pytest.mark.parametrize(
    ("environment", "most"),
    [({}, 1), ({"TAXI_FLEETS": "yellow,green,fhv,fhvhv", "TAXI_START_DATE": "2009-01-01"}, 2.2)],
    ids=["default settings", "four fleets since 2009"],
)
def test_a_tick_with_nothing_to_do_takes_little_processor_time(environment: dict[str, str], most: float) -> None:
    """Regression: each dataset looked at all days of its fleets: 2.8 and 14.7 s for every look, today 0.2 and 0.8 s.

    Later the datasets were mapped to each other four times, in 0.5 and 2.4 s. The limits are three to
    five times what it takes on a quiet machine.
    """
    definitions = build_definitions(settings=settings_of(environment))
    # As the sensor does: what has no condition is not looked at.
    looked_at = dg.AssetSelection.groups("reports", "datasets")
    spent = []
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = dg.evaluate_automation_conditions(definitions, instance, looked_at).cursor
        for _ in range(3):
            start = time.process_time()
            result = dg.evaluate_automation_conditions(definitions, instance, looked_at, cursor=cursor)
            spent.append(time.process_time() - start)
            assert result.total_requested == 0
    # Python's collection of garbage falls into one of them, and takes long in a process that has run many tests.
    assert min(spent) < most


def test_nothing_runs_without_zones() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        automation = Automation(instance)
        automation.load(*range(1, 8))
        assert automation.requested() == []
        automation.zones("a")
        assert automation.requested() == ["2023-01-01"]


def test_a_month_runs_when_all_its_days_are_in_both_rollups(automation: Automation) -> None:
    automation.load(*range(1, 32))
    assert automation.requested(asset="monthly_report") == []
    automation.load(*range(1, 31), asset="borough_flows")
    assert automation.requested(asset="monthly_report") == []
    automation.load(31, asset="borough_flows")
    assert automation.requested(asset="monthly_report") == ["2023-01-01"]
    assert automation.requested(asset="monthly_report") == [], "once"
    automation.load(15)
    assert automation.requested(asset="monthly_report") == ["2023-01-01"], "and when a day is loaded again"


@pytest.mark.parametrize(
    ("age", "passed", "severity"),
    [
        (33, True, "WARN"),
        (LATE_DAYS, True, "WARN"),
        (LATE_DAYS + 1, False, "WARN"),
        (TOO_LATE_DAYS + 1, False, "ERROR"),
    ],
)
def test_the_newest_day_has_an_age(
    make_pipeline: MakePipeline, mirror: Path, age: int, passed: bool, severity: str
) -> None:
    pipeline = make_pipeline(mirror)
    day = new_york_today() - timedelta(days=age)
    pipeline.execute(f"INSERT INTO loaded_days VALUES ('yellow', '{day}', 1, 0, 'x', 1, TRUE, NULL, 0, NULL)")
    result = newest_day_is_recent(pipeline.warehouse, pipeline.tlc)
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity.value) == (passed, severity)
    assert str(day) in str(result.description)


def test_freshness_is_looked_at_by_itself_and_in_no_run_of_days(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Regression: a month of 2023 that was loaded well was reported as failed, for being old."""
    pipeline = make_pipeline(mirror)
    definitions = build_definitions(settings=settings_of(), resources=pipeline.resources)
    daily = definitions.resolve_job_def("daily_trips").get_subset(asset_selection={dg.AssetKey("taxi_trips")})
    names = {key.name for key in daily.asset_layer.asset_graph.asset_check_keys}
    assert "trips_conserved" in names
    assert "newest_day_is_recent" not in names
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("freshness").execute_in_process(run_config=QUIET, instance=instance)
    ((check),) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("newest_day_is_recent", False)


def test_an_empty_warehouse_is_not_fresh(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror, fleets=("yellow", "green"))
    result = newest_day_is_recent(pipeline.warehouse, pipeline.tlc)
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity.value) == (False, "ERROR")
    assert result.description == "yellow: nothing loaded, green: nothing loaded"


def test_a_changed_zone_file_marks_what_depends_on_it_as_stale(
    make_pipeline: MakePipeline, mirror: Path, tmp_path: Path
) -> None:
    """The data version is that of the file: asked for anew and unchanged, nothing is stale."""
    from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
    from dagster._core.loader import LoadingContextForTest

    own = Path(shutil.copytree(mirror, tmp_path / "own"))
    pipeline = make_pipeline(own)
    definitions = build_definitions(settings=settings_of())
    found: Any = definitions.assets
    as_run = dg.map_asset_specs(lambda spec: spec.replace_attributes(code_version=None), found)
    graph = dg.Definitions(assets=as_run, resources=definitions.resources).resolve_asset_graph()
    with dg.DagsterInstance.ephemeral() as instance:

        def materialize(*assets: Any) -> None:
            dg.materialize(
                [*ASSETS],
                selection=dg.AssetSelection.assets(*assets) if assets else None,
                partition_key=None if assets else "2023-02-07",
                resources=pipeline.resources,
                run_config=QUIET,
                instance=instance,
            )

        def status() -> StaleStatus:
            context = LoadingContextForTest(instance)
            return CachingStaleStatusResolver(instance, graph, context).get_status(dg.AssetKey("manhattan_stats"))

        materialize()
        assert status() == StaleStatus.FRESH
        materialize("taxi_zones_file", "taxi_zones")
        assert status() == StaleStatus.FRESH
        with zipfile.ZipFile(own / "misc" / "taxi_zones.zip", "a") as archive:
            archive.writestr("note.txt", "published anew")
        materialize("taxi_zones_file", "taxi_zones")
        assert status() == StaleStatus.STALE
