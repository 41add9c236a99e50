"""The datasets: what the files hold, how they are kept and loaded, when they are made; the demand model."""

import io
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.datasets.columns import DATASETS, DEMAND_MODEL, MARKET_SHARES, ZONE_HOURS, dataset_file
from taxi_pipeline.datasets.demand import demand_model_of, judged, pickups_of
from taxi_pipeline.datasets.encoding import WrongColumnsError, decoded, encoded, frame_of
from taxi_pipeline.defs.assets import demand_model, market_shares, zone_hours
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.partitions import fleet_and_month, fleet_months_from
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.object_stores import STORAGES, storage_url
from taxi_pipeline_tests.pipelines import (
    Pipeline,
    check_of,
    error_of,
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
    mirror = tmp_path_factory.mktemp("mirror_of_datasets")
    days = Days(date(2023, 1, 1), date(2023, 2, 28))
    for fleet, trips_per_day in zip(FLEETS, (600, 100, 100, 300), strict=True):
        write_mirror(mirror, days, fleet=fleet, trips_per_day=trips_per_day)
    pipeline = pipeline_in(tmp_path_factory.mktemp("datasets"), mirror, FLEETS)
    pipeline.run("2023-01-01", "2023-02-28")
    return pipeline


def with_files_in(loaded: Pipeline, folder: Path, url: str | None = None, **changed: Any) -> Pipeline:
    """The same warehouse, with files of its own."""
    own = pipeline_in(folder, loaded.tlc.url, FLEETS, storage_url=url)
    return Pipeline(folder=folder, tlc=loaded.tlc, warehouse=loaded.warehouse, files=own.files, **changed)


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
    for fleet, month in (("yellow", "2023-01"), ("fhv", "2023-01"), ("fhvhv", "2023-02")):
        for asset, declared in ((zone_hours, ZONE_HOURS), (market_shares, MARKET_SHARES), (demand_model, DEMAND_MODEL)):
            result = pipeline.dataset(fleet, month, *({zone_hours, asset}))
            assert result.success, error_of(result)
            frame = result.output_for_node(declared.name)
            name = dataset_file(declared.name, fleet, date.fromisoformat(f"{month}-01"), extension)
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
    fhv = pipeline.dataset("fhv", "2023-02", market_shares).output_for_node("market_shares")
    assert fhv["total_amount"].isna().all(), "fhv publishes none"


def test_a_month_that_is_not_complete_names_the_missing_days(tmp_path: Path, mirror: Path) -> None:
    """It gives no share of all trips, which nobody knows."""
    pipeline = pipeline_in(tmp_path, mirror)
    pipeline.run("2023-01-01", "2023-01-29")
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
    result = pipeline.dataset("fhvhv", "2023-03")
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
    frame = frame_of(MARKET_SHARES, "yellow", [(date(2023, 1, 1), "all", 1, None, 1.0, None)])
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
        environment = {"TAXI_START_DATE": "2023-01-01", "TAXI_FLEETS": "yellow,green"}
        self._definitions = build_definitions(settings=settings_of(environment))
        self._instance = instance
        self._cursor: Any = None

    def load(self, month: int, *days: int, assets: tuple[str, ...] = ("taxi_trips", "zone_hourly_trips")) -> None:
        for day in days:
            for asset in assets:
                event = dg.AssetMaterialization(asset, partition=str(date(2023, month, day)))
                self._instance.report_runless_asset_event(event)

    def requested(self) -> dict[str, list[str]]:
        """Asset → the partitions that are launched now, which succeed at once."""
        result = dg.evaluate_automation_conditions(
            self._definitions,
            self._instance,
            asset_selection=dg.AssetSelection.groups("datasets"),
            cursor=self._cursor,
        )
        self._cursor = result.cursor
        found: dict[str, list[str]] = {}
        for declared in DATASETS:
            partitions = sorted(map(str, result.get_requested_partitions(dg.AssetKey(declared.name))))
            for partition in partitions:
                event = dg.AssetMaterialization(declared.name, partition=partition)
                self._instance.report_runless_asset_event(event)
            if partitions:
                found[declared.name] = partitions
        return found


@pytest.fixture
def automation() -> Iterator[Automation]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("taxi_zones"))
        yield Automation(instance)


def test_datasets_are_made_when_their_month_is_complete(automation: Automation) -> None:
    """The mapping from days to a fleet's month: both fleets', once, and again when a day is loaded again."""
    both = ["green|2023-02-01", "yellow|2023-02-01"]
    assert automation.requested() == {}
    automation.load(2, *range(1, 28))
    assert automation.requested() == {}
    automation.load(2, 28)
    assert automation.requested() == {"zone_hours": both, "market_shares": both}
    assert automation.requested() == {}, "once; the model waits for the month before"
    automation.load(1, *range(1, 32))
    january = ["green|2023-01-01", "yellow|2023-01-01"]
    made = automation.requested()
    assert (made["zone_hours"], made["market_shares"]) == (january, january)
    models = made.get("demand_model", []) + automation.requested().get("demand_model", [])
    assert set(models) == {*january, *both}
    automation.load(2, 14)
    made = automation.requested()
    assert (made["zone_hours"], made["market_shares"]) == (both, both)


def test_partition_keys_have_a_fleet_and_a_month() -> None:
    months = fleet_months_from(["green", "yellow"], date(2023, 1, 15), date(2023, 3, 31))
    assert months.get_partition_keys() == [
        "green|2023-02-01",
        "green|2023-03-01",
        "yellow|2023-02-01",
        "yellow|2023-03-01",
    ]
    assert fleet_and_month("green|2023-02-01") == fleet_and_month("green/2023-02-01") == ("green", date(2023, 2, 1))


def hours(counts: dict[str, int], *, hour: int = 8, zone: int = 4) -> pd.DataFrame:
    """A frame of `zone_hours`: day → trips in that hour of the zone."""
    rows = [
        (date.fromisoformat(day), hour, zone, "Alphabet City", "Manhattan", trips, 0, *(Decimal(0),) * 4)
        for day, trips in counts.items()
    ]
    return frame_of(ZONE_HOURS, "yellow", rows)


def of_hour(model: pd.DataFrame, weekday: int, hour: int) -> tuple[float, float, float]:
    these = (model["weekday"] == weekday) & (model["pickup_hour"] == hour)
    ((expected, low, high),) = model.loc[these, ["expected", "low", "high"]].to_numpy().tolist()
    return expected, low, high


def test_the_model_is_a_weighted_mean_of_the_same_hour_of_the_weekday() -> None:
    """Sundays: 2023-01-01 and the eight weeks after; the last counts twice as much as the first."""
    sundays = {f"{date(2023, 1, 1) + pd.Timedelta(weeks=week):%Y-%m-%d}": 0 for week in range(9)}
    first, last = next(iter(sundays)), list(sundays)[-1]
    model = demand_model_of(hours({**sundays, first: 10, last: 20}))
    weights = 0.5 ** (np.arange(8, -1, -1) / 8)
    expected, low, high = of_hour(model, 0, 8)
    mean = (10 * weights[0] + 20 * weights[-1]) / weights.sum()
    assert expected == pytest.approx(mean, abs=1e-4)
    worth = weights.sum() ** 2 / (weights**2).sum()
    assert low == 0, "not below"
    assert high == pytest.approx(mean + (20 - mean) * ((worth + 1) / (worth - 1)) ** 0.5, abs=1e-3)
    assert of_hour(model, 0, 9) == (0, 0, 0)
    assert model["weekday"].unique().tolist() == [0], "nothing is known of other weekdays"
    assert model["num_weeks"].unique().tolist() == [9]


def test_an_hour_without_trips_is_none_and_a_day_that_is_not_loaded_is_unknown() -> None:
    """The second Monday has trips at another hour alone: its 8 o'clock counts as 0."""
    past = pd.concat([hours({"2023-01-02": 6}), hours({"2023-01-09": 1}, hour=20)])
    assert pickups_of(past).counts[:, 8, 3].tolist() == [6, 0]
    expected, low, high = of_hour(demand_model_of(past), 1, 8)
    assert 0 < expected < 3
    assert (low, high > 6) == (0, True)
    alone = of_hour(demand_model_of(hours({"2023-01-02": 6})), 1, 8)
    assert alone == (6, 6, 6)


def test_the_interval_is_learned_over_all_weekdays() -> None:
    """Mondays that scatter make that of the Tuesdays wide, too, in proportion to the root of what is expected."""
    mondays = {"2023-01-02": 50, "2023-01-09": 150, "2023-01-16": 50, "2023-01-23": 150}
    tuesdays = {"2023-01-03": 100, "2023-01-10": 100, "2023-01-17": 100, "2023-01-24": 100}
    model = demand_model_of(hours({**mondays, **tuesdays}))
    monday, tuesday = of_hour(model, 1, 8), of_hour(model, 2, 8)
    assert tuesday[0] == 100
    spread_of = [(high - expected) / expected**0.5 for expected, _, high in (monday, tuesday)]
    assert spread_of[0] == pytest.approx(spread_of[1], rel=1e-3)
    assert tuesday[2] > 140


def test_nine_hours_of_ten_lie_in_the_interval() -> None:
    """Counts that scatter as pickups do (Poisson), learned from eight weeks, over a month that follows."""
    random = np.random.default_rng(0)
    means = random.uniform(2, 40, size=(7, 20))

    def month(first: date, days: int) -> pd.DataFrame:
        frames = []
        for day in Days(first, first + timedelta(days=days - 1)):
            counts = random.poisson(means[day.isoweekday() % 7])
            frames += [hours({str(day): int(trips)}, zone=zone + 1) for zone, trips in enumerate(counts) if trips]
        return pd.concat(frames)

    past, held_out = month(date(2023, 1, 1), 56), month(date(2023, 2, 26), 28)
    judgement = judged(demand_model_of(past), past, held_out)
    assert judgement is not None
    assert judgement.share_inside == pytest.approx(0.9, abs=0.04)
    assert judgement.mean_error < 0.85 * judgement.last_weeks_mean_error


def test_the_model_is_judged_against_the_week_before() -> None:
    past = hours({"2023-01-02": 4, "2023-01-09": 8, "2023-01-16": 4, "2023-01-23": 8, "2023-01-30": 4})
    held_out = hours({"2023-02-06": 6, "2023-02-13": 6, "2023-02-27": 6})
    model = demand_model_of(past)
    judgement = judged(model, past, held_out)
    assert judgement is not None
    expected = of_hour(model, 1, 8)[0]
    zone_hours_compared = 2 * 24 * 263  # of 27 February the week before is not loaded
    assert judgement.num_hours == zone_hours_compared
    assert judgement.mean_error == pytest.approx(2 * abs(6 - expected) / zone_hours_compared)
    assert judgement.last_weeks_mean_error == pytest.approx((2 + 0) / zone_hours_compared)
    assert judgement.share_inside == 1
    assert judgement.is_better is (2 * abs(6 - expected) < 2)


def test_nothing_to_learn_from_is_a_model_without_rows(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = with_files_in(loaded, tmp_path)
    result = pipeline.dataset("yellow", "2023-01")
    assert result.success, error_of(result)
    assert result.output_for_node("demand_model").empty
    check = check_of(result, "expects_the_month")
    assert (check.passed, check.description) == (True, "nothing to compare: no month before, or no trips")
    assert pipeline.files.read("outputs/demand_model/yellow-2023-01.png").startswith(b"\x89PNG")


def test_the_model_of_a_month_is_learned_from_the_months_before(loaded: Pipeline, tmp_path: Path) -> None:
    pipeline = with_files_in(loaded, tmp_path)
    pipeline.dataset("yellow", "2023-01", zone_hours)
    result = pipeline.dataset("yellow", "2023-02")
    assert result.success, error_of(result)
    (made,) = materializations_of(result, "demand_model")
    assert made.metadata["days_learned_from"].value == 31
    assert made.metadata["synthetic"].value is True
    assert "data:image/png" in str(made.metadata["chart"].value)
    january = decoded(
        pipeline.files.read(dataset_file("zone_hours", "yellow", date(2023, 1, 1), "parquet")),
        ZONE_HOURS,
        "yellow",
        "parquet",
    )
    model = result.output_for_node("demand_model")
    pd.testing.assert_frame_equal(model, demand_model_of(january))
    busiest = model.loc[model["expected"].idxmax()]
    trips = january[(january["zone_id"] == busiest["zone_id"]) & (january["pickup_hour"] == busiest["pickup_hour"])]
    weekdays = (trips["pickup_date"].dt.day_of_week + 1) % 7
    counted = trips.loc[weekdays == busiest["weekday"], "num_trips"]
    assert counted.min() <= busiest["expected"] <= counted.max()
    check = check_of(result, "expects_the_month")
    assert check.metadata["num_hours"].value == 28 * 24 * 263
    assert check.passed, "synthetic weeks are alike"
    before = pipeline.files.read("outputs/demand_model/yellow-2023-02.png")
    pipeline.dataset("yellow", "2023-02", demand_model)
    assert pipeline.files.read("outputs/demand_model/yellow-2023-02.png") == before


@pytest.mark.real_data
def test_the_model_errs_less_than_the_week_before_on_real_months(real_tlc: Path, tmp_path: Path) -> None:
    """Green from October 2022; 91 % of the hours of March 2023 lie in the interval."""
    pipeline = pipeline_in(tmp_path, real_tlc, ("green",))
    pipeline.run("2022-10-01", "2023-03-31", select=("taxi_zones_file", "taxi_zones", "taxi_trips_file", "taxi_trips"))
    with pipeline.warehouse.read() as session:
        from taxi_pipeline.datasets.contents import zone_hours_of

        months = [date(2022, 10, 1), date(2022, 11, 1), date(2022, 12, 1), date(2023, 1, 1), date(2023, 2, 1)]
        past = pd.concat([zone_hours_of(session, "green", month) for month in months])
        held_out = zone_hours_of(session, "green", date(2023, 3, 1))
    judgement = judged(demand_model_of(past), past, held_out)
    assert judgement is not None
    assert judgement.mean_error < 0.9 * judgement.last_weeks_mean_error
    assert judgement.share_inside is not None
    assert 0.87 < judgement.share_inside < 0.93
