"""The datasets: what the files hold, how they are kept and loaded, when they are made.

The demand model has tests of its own, in `test_demand.py`.
"""

import io
import math
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.datasets.columns import (
    DATASETS,
    DEMAND_ERRORS,
    DEMAND_MODEL,
    MARKET_SHARES,
    ZONE_HOURS,
    dataset_file,
)
from taxi_pipeline.datasets.encoding import WrongColumnsError, decoded, encoded, frame_of
from taxi_pipeline.defs.assets import demand_errors, demand_model, market_shares, zone_hours
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.partitions import fleet_and_month, fleet_month_key, fleet_months_from
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.object_stores import STORAGES, storage_url
from taxi_pipeline_tests.pipelines import (
    Pipeline,
    check_of,
    error_of,
    loaded_sample,
    materializations_of,
    pipeline_in,
    settings_of,
    table_of,
)

FLEETS = ("yellow", "green", "fhv", "fhvhv")
MONTHS = ("2023-01", "2023-02")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Two months of all fleets in a warehouse; nothing of the datasets is made."""
    days = Days(date(2023, 1, 1), date(2023, 2, 28))
    trips_per_day = {"yellow": 600, "green": 100, "fhv": 100, "fhvhv": 300}
    return loaded_sample(tmp_path_factory.mktemp("datasets"), days, trips_per_day)


def with_files_in(loaded: Pipeline, folder: Path, url: str | None = None, **changed: Any) -> Pipeline:
    """The same warehouse, with files of its own."""
    own = pipeline_in(folder, loaded.tlc.url, FLEETS, storage_url=url)
    return Pipeline(folder=folder, tlc=loaded.tlc, warehouse=loaded.warehouse, files=own.files, **changed)


def files_below(folder: Path) -> dict[str, bytes]:
    """The datasets and charts below a folder: name → content."""
    found = [path for kind in ("*.parquet", "*.png") for path in folder.rglob(kind)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("kind", STORAGES)
def test_a_fleets_month_is_a_file(loaded: Pipeline, tmp_path: Path, kind: str) -> None:
    pipeline = with_files_in(loaded, tmp_path, storage_url(kind, tmp_path))
    result = pipeline.dataset("yellow", "2023-01", zone_hours)
    assert result.success, error_of(result)
    name = "datasets/zone_hours/fleet=yellow/month=2023-01.parquet"
    content = pq.read_table(io.BytesIO(pipeline.files.read(name)))
    expected = pipeline.rows(
        "SELECT pickup_date, CAST(EXTRACT(HOUR FROM pickup_datetime) AS SMALLINT) AS hour, zone_id, zone, borough, "
        "count(*), CAST(coalesce(sum(passenger_count), 0) AS BIGINT), sum(trip_distance), sum(fare_amount), "
        "sum(tip_amount), sum(total_amount) FROM trips JOIN zones ON zone_id = pickup_zone_id "
        "WHERE fleet = 'yellow' AND pickup_date < '2023-02-01' GROUP BY ALL ORDER BY ALL"
    )
    assert [tuple(row.values()) for row in content.to_pylist()] == expected
    assert isinstance(content.to_pylist()[0]["total_amount"], Decimal)
    (made,) = materializations_of(result, "zone_hours")
    assert made.metadata["dagster/uri"].value == made.metadata["path"].value == pipeline.files.uri(name)
    assert made.metadata["dagster/partition_row_count"].value == len(expected)
    assert made.metadata["trips"].value == sum(row[5] for row in expected)
    assert made.metadata["missing_days"].value == "none"
    assert made.metadata["synthetic"].value is True
    assert [row["zone"] for row in table_of(made.metadata["preview"])] == [row[3] for row in expected[:10]]


def test_several_months_of_a_fleet_are_one_run(loaded: Pipeline, tmp_path: Path) -> None:
    """Regression: each fleet's month was a run of its own, 808 of them for each dataset of a whole history."""
    single, together = (with_files_in(loaded, tmp_path / name) for name in ("single", "together"))
    for month in MONTHS:
        assert single.dataset("yellow", month, zone_hours, market_shares).success
    for month in ("2023-02", "2023-03"):
        assert single.dataset("yellow", month, demand_model).success
    for month in MONTHS:
        assert single.dataset("yellow", month, demand_errors).success
    runs = [
        together.dataset("yellow", "2023-01", zone_hours, market_shares, until="2023-02"),
        together.dataset("yellow", "2023-02", demand_model, until="2023-03"),
        together.dataset("yellow", "2023-01", demand_errors, until="2023-02"),
    ]
    assert [error_of(run) for run in runs] == ["", "", ""]
    assert files_below(tmp_path / "together") == files_below(tmp_path / "single")
    for run, asset, months in (
        (runs[0], "zone_hours", MONTHS),
        (runs[0], "market_shares", MONTHS),
        (runs[1], "demand_model", ("2023-02", "2023-03")),
        (runs[2], "demand_errors", MONTHS),
    ):
        places = {str(made.partition): made.metadata["dagster/uri"].value for made in materializations_of(run, asset)}
        files = {
            f"{month}-01": dataset_file(asset, "yellow", date.fromisoformat(f"{month}-01"), "parquet")
            for month in months
        }
        assert places == {f"yellow|{day}": together.files.uri(name) for day, name in files.items()}
    check = check_of(runs[2], "expects_the_month")
    assert {row["partition"] for row in table_of(check.metadata["errors"])} == {"yellow|2023-02-01"}, "January has none"


def test_a_first_switch_on_is_tens_of_runs() -> None:
    """Regression: 4,549 partitions of four fleets since 2009, 808 of them a run each, for each dataset."""
    environment = {"TAXI_START_DATE": "2009-01-01", "TAXI_END_DATE": "2026-09-30", "TAXI_FLEETS": ",".join(FLEETS)}
    graph = build_definitions(settings=settings_of(environment)).resolve_asset_graph()
    num_runs: dict[str, int] = {}
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        if node.group_name in ("reports", "datasets") and node.partitions_def:
            assert node.backfill_policy, key
            keys = node.partitions_def.get_partition_keys()
            of_each_fleet = Counter(key.partition("|")[0] if "|" in key else "" for key in keys)
            most = node.backfill_policy.max_partitions_per_run or len(keys)
            num_runs[key.to_user_string()] = sum(math.ceil(number / most) for number in of_each_fleet.values())
    of_reports = {"week_summary", "month_manifest", "monthly_report", "pickup_image"}
    assert set(num_runs) == {*of_reports, *(each.name for each in DATASETS)}
    assert max(num_runs.values()) <= 16


@pytest.mark.parametrize("extension", ["parquet", "csv"])
def test_all_fleets_and_months_are_one_table_for_others(loaded: Pipeline, tmp_path: Path, extension: str) -> None:
    """DuckDB, pandas and pyarrow read the folder, and find the fleet in the path."""
    pipeline = with_files_in(loaded, tmp_path, datasets_format=extension)
    for fleet in FLEETS:
        for month in MONTHS:
            assert pipeline.dataset(fleet, month, zone_hours).success
    folder = tmp_path / "datasets" / "zone_hours"
    reader = "read_parquet" if extension == "parquet" else "read_csv"
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT fleet, sum(num_trips), sum(total_amount) FROM {reader}('{folder}/*/*.{extension}', "
            "hive_partitioning = true) GROUP BY fleet ORDER BY fleet"
        ).fetchall()
    expected = pipeline.rows(
        "SELECT fleet, count(*), coalesce(sum(total_amount), 0) FROM trips GROUP BY fleet ORDER BY fleet"
    )
    if extension == "parquet":
        assert found == expected, "to the cent"
        frame = pd.read_parquet(folder)
        assert frame.groupby("fleet", observed=True)["num_trips"].sum().to_dict() == {
            row[0]: row[1] for row in expected
        }
    assert [row[:2] for row in found] == [row[:2] for row in expected]


@pytest.mark.parametrize("extension", ["parquet", "csv"])
def test_a_frame_comes_back_as_it_was(loaded: Pipeline, tmp_path: Path, extension: str) -> None:
    pipeline = with_files_in(loaded, tmp_path, datasets_format=extension)
    for fleet in ("yellow", "fhv", "fhvhv"):
        assert pipeline.dataset(fleet, "2023-01", zone_hours).success
        for assets, declared in (
            ({demand_model}, DEMAND_MODEL),
            ({zone_hours}, ZONE_HOURS),
            ({market_shares}, MARKET_SHARES),
            ({demand_errors}, DEMAND_ERRORS),
        ):
            result = pipeline.dataset(fleet, "2023-02", *assets)
            assert result.success, error_of(result)
            frame = result.output_for_node(declared.name)
            assert not frame.empty
            name = dataset_file(declared.name, fleet, date(2023, 2, 1), extension)
            content = pipeline.files.read(name)
            pd.testing.assert_frame_equal(decoded(content, declared, fleet, extension), frame)
            assert encoded(frame, declared, extension) == content


def test_shares_are_of_the_fleet_and_of_all_fleets(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = with_files_in(loaded, tmp_path)
    shares = pipeline.dataset("fhvhv", "2023-02", market_shares).output_for_node("market_shares")
    expected = pipeline.rows(
        "SELECT licensee, count(*), count(*) / sum(count(*)) OVER () FROM trips "
        "WHERE fleet = 'fhvhv' AND pickup_date >= '2023-02-01' GROUP BY licensee ORDER BY count(*) DESC"
    )
    assert len(expected) > 1
    assert list(shares[["company", "num_trips", "share_of_fleet"]].itertuples(index=False, name=None)) == expected
    ((num_all,),) = pipeline.rows("SELECT count(*) FROM trips WHERE pickup_date >= '2023-02-01'")
    assert shares["share_of_all"].tolist() == [row[1] / num_all for row in expected]
    yellow = pipeline.dataset("yellow", "2023-02", market_shares).output_for_node("market_shares")
    assert yellow["company"].tolist() == ["all"]
    assert yellow["share_of_all"].tolist() == [yellow["num_trips"].sum() / num_all]
    ((num_net,),) = pipeline.rows(
        "SELECT count(*) FROM net_trips WHERE fleet = 'yellow' AND pickup_date >= '2023-02-01'"
    )
    assert yellow["num_net_trips"].tolist() == [num_net]
    assert num_net < yellow["num_trips"].sum(), "the sample has voids"
    assert shares["num_net_trips"].tolist() == shares["num_trips"].tolist(), "for-hire trips have none"
    fhv = pipeline.dataset("fhv", "2023-02", market_shares).output_for_node("market_shares")
    assert fhv["total_amount"].isna().all(), "fhv publishes none"


def test_a_month_that_is_not_complete_names_the_missing_days(tmp_path: Path, mirror: Path) -> None:
    """It gives no share of all trips, which nobody knows."""
    pipeline = pipeline_in(tmp_path, mirror)
    pipeline.load("2023-01-01", "2023-01-29")
    result = pipeline.dataset("yellow", "2023-01", zone_hours, market_shares)
    assert result.success, error_of(result)
    for asset in ("zone_hours", "market_shares"):
        (made,) = materializations_of(result, asset)
        assert made.metadata["missing_days"].value == "2023-01-30, 2023-01-31"
    assert result.output_for_node("market_shares")["share_of_all"].isna().all()
    assert result.output_for_node("market_shares")["share_of_fleet"].tolist() == [1]


def test_a_month_before_the_fleet_has_no_rows(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = with_files_in(loaded, tmp_path)
    for frame in (
        pipeline.dataset("fhvhv", "2023-03", asset).output_for_node(declared.name)
        for asset, declared in ((zone_hours, ZONE_HOURS), (market_shares, MARKET_SHARES))
    ):
        assert frame.empty
    for result in (pipeline.dataset("fhvhv", "2023-03", demand_model), pipeline.dataset("fhvhv", "2023-03")):
        assert result.success, error_of(result)
    for declared in DATASETS:
        file = dataset_file(declared.name, "fhvhv", date(2023, 3, 1), "parquet")
        assert decoded(pipeline.files.read(file), declared, "fhvhv", "parquet").columns.tolist() == list(
            declared.column_names
        )


def test_a_downstream_asset_gets_one_month_or_several(loaded: Pipeline, tmp_path: Path) -> None:
    """A frame for one partition, a dictionary for a range; a month that was not made is an error with its name."""
    pipeline = with_files_in(loaded, tmp_path)
    for month in MONTHS:
        assert pipeline.dataset("yellow", month, zone_hours).success
    months = fleet_months_from(pipeline.tlc.fleets, date(2023, 1, 1))
    seen: list[Any] = []

    @dg.asset(partitions_def=months)
    def one_month(zone_hours: Any) -> None:
        seen.append(zone_hours)

    @dg.asset(ins={"zone_hours": dg.AssetIn(partition_mapping=dg.SpecificPartitionsPartitionMapping(keys))})
    def both_months(zone_hours: Any) -> None:
        seen.append(zone_hours)

    definitions = [zone_hours.with_attributes(), one_month, both_months]

    def run(asset: dg.AssetsDefinition, partition_key: str | None) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                definitions,
                selection=dg.AssetSelection.assets(asset),
                partition_key=partition_key,
                resources=pipeline.resources,
                run_config=QUIET,
                instance=instance,
                raise_on_error=False,
            )

    assert run(one_month, "yellow|2023-02-01").success
    assert run(both_months, None).success
    one, both = seen
    assert set(both) == set(keys)
    pd.testing.assert_frame_equal(both["yellow|2023-02-01"], one)
    assert one["pickup_date"].min() == pd.Timestamp("2023-02-01")
    failed = run(one_month, "fhvhv|2023-02-01")
    assert not failed.success
    assert "fleet=fhvhv/month=2023-02.parquet does not exist: materialize zone_hours" in error_of(failed)


keys = ["yellow|2023-01-01", "yellow|2023-02-01"]


def test_a_frame_can_be_loaded_without_a_run(loaded: Pipeline, tmp_path: Path) -> None:
    """The code is that of docs/datasets.md."""
    pipeline = with_files_in(loaded, tmp_path)
    made = pipeline.dataset("yellow", "2023-01", zone_hours).output_for_node("zone_hours")
    settings = settings_of({"TAXI_FLEETS": ",".join(FLEETS)})
    definitions = build_definitions(settings=settings, resources=pipeline.resources)
    with dg.DagsterInstance.ephemeral() as instance:
        found = definitions.load_asset_value("zone_hours", partition_key="yellow|2023-01-01", instance=instance)
    assert isinstance(found, pd.DataFrame)
    pd.testing.assert_frame_equal(found, made)


def test_a_file_of_another_version_is_refused(loaded: Pipeline, tmp_path: Path) -> None:
    frame = frame_of(MARKET_SHARES, "yellow", [(date(2023, 1, 1), "all", 1, 1, None, 1.0, None)])
    content = encoded(frame, MARKET_SHARES, "parquet")
    with pytest.raises(WrongColumnsError, match="materialize zone_hours again"):
        decoded(content, ZONE_HOURS, "yellow", "parquet")
    with pytest.raises(WrongColumnsError, match="where fleet, month, company"):
        encoded(frame.drop(columns="company"), MARKET_SHARES, "parquet")
    with pytest.raises(WrongColumnsError, match="without company"):
        encoded(frame.assign(company=None), MARKET_SHARES, "csv")
    with pytest.raises(WrongColumnsError, match="green, yellow"):
        encoded(pd.concat([frame, frame.assign(fleet="green")]), MARKET_SHARES, "csv")


class Automation:
    """The automation sensor's decisions on a throwaway instance, for two fleets."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        environment = {"TAXI_START_DATE": "2023-01-01", "TAXI_END_DATE": "2023-05-31", "TAXI_FLEETS": "yellow,green"}
        self._definitions = build_definitions(settings=settings_of(environment))
        self._instance = instance
        self._cursor: Any = None

    def load_month(self, month: int) -> None:
        self.load(month, *(day.day for day in Days.of_month(date(2023, month, 1))))

    def load(self, month: int, *days: int, assets: tuple[str, ...] = ("taxi_trips", "zone_hourly_trips")) -> None:
        for day in days:
            for asset in assets:
                event = dg.AssetMaterialization(asset, partition=str(date(2023, month, day)))
                self._instance.report_runless_asset_event(event)

    def record_month(self, fleet: str, month: str) -> None:
        """As a manifest does for each fleet of which all days are loaded."""
        key = fleet_month_key(fleet, date.fromisoformat(month))
        self._instance.report_runless_asset_event(dg.AssetMaterialization("loaded_months", partition=key))

    def tick(self) -> dict[str, list[str]]:
        """Asset → the partitions that are launched now, which succeed at once."""
        result = dg.evaluate_automation_conditions(
            self._definitions,
            self._instance,
            asset_selection=dg.AssetSelection.groups("datasets") | dg.AssetSelection.assets("month_manifest"),
            cursor=self._cursor,
        )
        self._cursor = result.cursor
        found: dict[str, list[str]] = {}
        for name in ("month_manifest", *(declared.name for declared in DATASETS)):
            partitions = sorted(map(str, result.get_requested_partitions(dg.AssetKey(name))))
            for partition in partitions:
                self._instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=partition))
                for fleet in ("yellow", "green") if name == "month_manifest" else ():
                    self.record_month(fleet, partition)
            if partitions:
                found[name] = partitions
        return found

    def requested(self) -> dict[str, list[str]]:
        """Dataset → the partitions that are launched now, or when the manifests are made that are launched now."""
        found = self.tick()
        if found.pop("month_manifest", None):
            for name, partitions in self.tick().items():
                found[name] = sorted([*found.get(name, []), *partitions])
        return found


@pytest.fixture
def automation() -> Iterator[Automation]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("taxi_zones"))
        yield Automation(instance)


def of_both(*months: int) -> list[str]:
    return [f"{fleet}|{date(2023, month, 1)}" for fleet in ("green", "yellow") for month in months]


def test_datasets_are_made_when_their_month_is_complete(automation: Automation) -> None:
    """The mapping from days to a fleet's month: both fleets', once, and again when a day is loaded again."""
    assert automation.requested() == {}
    automation.load(2, *range(1, 28))
    assert automation.requested() == {}
    automation.load(2, 28)
    assert automation.requested() == {"zone_hours": of_both(2), "market_shares": of_both(2)}
    assert automation.requested() == {}, "once; forecasts wait for January"
    automation.load_month(1)
    assert automation.requested() == {"zone_hours": of_both(1), "market_shares": of_both(1)}
    automation.load(2, 14)
    made = automation.requested()
    assert (made["zone_hours"], made["market_shares"]) == (of_both(2), of_both(2))


def test_nothing_is_made_of_a_fleets_month_that_is_not_loaded(automation: Automation) -> None:
    """Regression: the datasets of a fleet that was added, were made of all months, without rows."""
    for day in Days.of_month(date(2023, 1, 1)):
        automation.load(1, day.day)
    automation.record_month("yellow", "2023-01-01")
    assert automation.tick() == {
        "month_manifest": ["2023-01-01"],
        "zone_hours": ["yellow|2023-01-01"],
        "market_shares": ["yellow|2023-01-01"],
    }


def test_a_dataset_waits_for_the_manifest_of_its_month(automation: Automation) -> None:
    """The days of a month are looked at once, and not for each fleet and dataset."""
    automation.load_month(1)
    assert automation.tick() == {"month_manifest": ["2023-01-01"]}
    assert automation.tick() == {"zone_hours": of_both(1), "market_shares": of_both(1)}
    automation.load(1, 14)
    assert automation.tick()["month_manifest"] == ["2023-01-01"]
    assert automation.tick()["market_shares"] == of_both(1)


def test_a_month_that_arrives_makes_one_forecast_and_one_judgement_of_each_fleet(automation: Automation) -> None:
    """The forecast of the month after it, whose trips are not there, and the errors of its own, made a month ago."""
    for month in (1, 2, 3):
        automation.load_month(month)
        assert automation.requested() == {"zone_hours": of_both(month), "market_shares": of_both(month)}
        assert automation.requested() == {"demand_model": of_both(month + 1), "demand_errors": of_both(month)}
        assert automation.requested() == {}


def test_months_that_arrive_together_are_forecast_once(automation: Automation) -> None:
    """A backfill, the newest month first: no forecast is made until all its months are there, and none twice."""
    requests: Counter[str] = Counter()
    for month in (4, 3, 2, 1):
        automation.load_month(month)
        requests.update(f"{name} {key}" for name, keys in automation.requested().items() for key in keys)
    for _ in range(4):
        requests.update(f"{name} {key}" for name, keys in automation.requested().items() for key in keys)
    assert set(requests.values()) == {1}
    assert sorted(key for key in requests if key.startswith("demand_model")) == [
        f"demand_model {key}" for key in of_both(2, 3, 4, 5)
    ]
    assert sorted(key for key in requests if key.startswith("demand_errors")) == [
        f"demand_errors {key}" for key in of_both(1, 2, 3, 4)
    ]


def test_a_month_that_changes_is_judged_and_learned_from_again(automation: Automation) -> None:
    """Each forecast that was made from it is made once more, and then judged once more."""
    for month in (1, 2, 3):
        automation.load_month(month)
    while automation.requested():
        pass
    automation.load(2, 14)
    assert automation.requested() == {"zone_hours": of_both(2), "market_shares": of_both(2)}
    assert automation.requested() == {"demand_model": of_both(3, 4), "demand_errors": of_both(2)}
    assert automation.requested() == {"demand_errors": of_both(3)}
    assert automation.requested() == {}


def test_partition_keys_have_a_fleet_and_a_month() -> None:
    months = fleet_months_from(["green", "yellow"], date(2023, 1, 15), date(2023, 3, 31))
    assert months.get_partition_keys() == [
        "green|2023-02-01",
        "green|2023-03-01",
        "yellow|2023-02-01",
        "yellow|2023-03-01",
    ]
    assert fleet_and_month("green|2023-02-01") == fleet_and_month("green/2023-02-01") == ("green", date(2023, 2, 1))
