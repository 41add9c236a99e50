"""The marts: what they hold, by month and by fleet; how they are part of the graph. And the tour, which asks them."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from taxi_pipeline.defs.assets import demand_model
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.marts import MartsError, dbt_program
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.codes import CONGESTION_ZONE_SINCE, CREDIT_CARD
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.net_parts import TOTAL_PARTS
from taxi_pipeline.warehouse.plausibility import MAX_PLAUSIBLE_HOURS, MAX_PLAUSIBLE_MILES
from taxi_pipeline.warehouse.tables import TLC_INDICATORS
from taxi_pipeline.warehouse.vendor_defects import FARES_ARE_FLAT, MINUTES_ARE_MONTHS
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.pipelines import Pipeline, error_of, pipeline_in, range_tags
from taxi_pipeline_tests.report_files import row as report_row
from taxi_pipeline_tests.report_files import write_report

pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # dbt's own, of which there are many
]

SHIPPED_MARTS = REPOSITORY / "taxi_pipeline" / "marts"
FLEETS = ("yellow", "green", "fhv", "fhvhv")
MARTS = (
    "market_share", "company_months", "congestion_zone", "airport_trips", "fare_parts", "driver_pay", "request_share",
    "zone_months", "zone_week_hours", "trip_quartiles", "hourly_speeds", "waiting_times", "shared_and_accessible_rides",
)  # fmt: skip
STAGING = ("stg_trips", "stg_measured_trips", "stg_loaded_days")
ENVIRONMENT = {"TAXI_FLEETS": ",".join(FLEETS), "TAXI_START_DATE": "2024-12-01", "TAXI_END_DATE": "2025-01-31"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of all tests here: dbt parses once for one database."""
    return tmp_path_factory.mktemp("marts")


def settings_in(folder: Path) -> Settings:
    return Settings.from_environment({**ENVIRONMENT, "TAXI_DATA_DIR": str(folder)})


@pytest.fixture(scope="module")
def definitions(folder: Path) -> dg.Definitions:
    return build_definitions(settings=settings_in(folder))


@pytest.fixture(scope="module")
def pipeline(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """All fleets over the month before the congestion fee and that in which it began, and their marts."""
    mirror = tmp_path_factory.mktemp("mirror_of_marts")
    for fleet in FLEETS:
        write_mirror(mirror, Days(date(2024, 12, 1), date(2025, 1, 31)), fleet=fleet, trips_per_day=250)
    made = pipeline_in(folder, mirror, FLEETS)
    made.load("2024-12-01", "2025-01-31")
    result = make(made, "2024-12-01", "2025-01-01")
    assert result.success, error_of(result)
    assert {check.passed for check in result.get_asset_check_evaluations()} == {True}
    assert len(result.get_asset_check_evaluations()) == 93
    return made


@pytest.fixture
def own_pipeline(pipeline: Pipeline, tmp_path: Path) -> Iterator[Pipeline]:
    """The pipeline for a test that changes it: afterwards it is as it was.

    A copy elsewhere would have another database, and dbt would parse all files again.
    """
    kept = Path(shutil.copytree(pipeline.folder, tmp_path / "kept"))
    yield pipeline
    shutil.rmtree(pipeline.folder)
    shutil.move(kept, pipeline.folder)


def make(
    pipeline: Pipeline,
    first: str,
    last: str,
    names: Sequence[str] = (*STAGING, *MARTS),
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """Marts, by default all, of the months that begin on these days."""
    definitions = build_definitions(settings=settings_in(pipeline.folder), resources=pipeline.resources)
    with nullcontext(instance) if instance else dg.DagsterInstance.ephemeral() as used:
        return definitions.resolve_job_def("marts").execute_in_process(
            instance=used,
            asset_selection=[dg.AssetKey(["marts", name]) for name in names],
            tags=range_tags(first, last),
            run_config=QUIET,
            raise_on_error=False,
        )


def test_models_are_assets_by_month_and_tests_are_checks(definitions: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs() if spec.group_name == "marts"}
    assert {key.path[-1] for key in specs} == {*MARTS, *STAGING}
    for key, spec in specs.items():
        assert key.path[0] == "marts"
        assert spec.description, key
        assert isinstance(spec.partitions_def, dg.MonthlyPartitionsDefinition)
        assert spec.partitions_def.get_partition_keys() == ["2024-12-01", "2025-01-01"]
        assert spec.owners == ["team:taxi-pipeline"]
        if key.path[-1] in MARTS:
            columns = spec.metadata["dagster/column_schema"].columns
            assert columns, key
            assert all(column.description for column in columns), key
    graph = definitions.resolve_asset_graph()
    parents = {parent.to_user_string() for key in specs for parent in graph.get(key).parent_keys}
    assert parents - {key.to_user_string() for key in specs} == {
        "taxi_trips",
        "zone_hourly_trips",
        "taxi_zones",
        "code_tables",
    }
    (asset,) = [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition) and set(a.keys) == set(specs)]
    assert asset.op.pool == "duckdb"
    assert asset.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=31)
    checked = {key.asset_key.path[-1] for key in graph.asset_check_keys if key.asset_key.path[0] == "marts"}
    assert checked == {*MARTS, "license_class_months"}
    of_the_report = graph.get(dg.AssetKey(["marts", "license_class_months"]))
    assert (of_the_report.group_name, of_the_report.partitions_def) == ("indicators", None)
    assert of_the_report.parent_keys == {dg.AssetKey("tlc_indicators")}


def test_market_share(pipeline: Pipeline) -> None:
    expected = pipeline.rows(
        "WITH counted AS (SELECT date_trunc('month', pickup_date)::DATE AS month, fleet, "
        "CASE fleet WHEN 'fhv' THEN 'other bases' ELSE coalesce(licensee, 'all') END AS company, "
        "count(*) AS trips, sum(total_amount) AS amount FROM trips GROUP BY ALL), "
        "kinds AS (SELECT fleet, date_trunc('month', pickup_date)::DATE AS month, "
        "least(count(*) FILTER (total_amount < 0), count(*) FILTER (total_amount > 0)) AS pairs "
        "FROM trips WHERE fleet IN ('yellow', 'green') GROUP BY fleet, month, pickup_datetime, dropoff_datetime, "
        "pickup_zone_id, dropoff_zone_id, trip_distance, abs(total_amount)) "
        "SELECT month, fleet, company, trips, trips - 2 * (SELECT coalesce(sum(pairs), 0) FROM kinds "
        "WHERE kinds.fleet = counted.fleet AND kinds.month = counted.month), amount, "
        "trips / sum(trips) OVER (PARTITION BY month, fleet), trips / sum(trips) OVER (PARTITION BY month) "
        "FROM counted ORDER BY 1, 2, 3"
    )
    assert pipeline.rows("SELECT * FROM marts.market_share ORDER BY 1, 2, 3") == expected
    assert {row[1] for row in expected} == {*FLEETS}
    assert {row[1] for row in expected if row[4] < row[3]} <= {"yellow", "green"}
    assert {row[2] for row in expected} >= {"Uber", "Lyft"}


def test_congestion_zone(pipeline: Pipeline) -> None:
    """January has a row before the fee and one since for each fleet."""
    rows = pipeline.rows("SELECT month, fleet, period, num_days FROM marts.congestion_zone ORDER BY ALL")
    january = [(fleet, period, days) for month, fleet, period, days in rows if month == date(2025, 1, 1)]
    assert january == [
        (fleet, period, days) for fleet in sorted(FLEETS) for period, days in (("before", 4), ("since", 27))
    ]
    ((within, into, out_of, fees, trips),) = pipeline.rows(
        "WITH zone AS (SELECT zone_id FROM zone_areas WHERE area = 'congestion zone'), flagged AS ("
        "SELECT *, pickup_zone_id IN (FROM zone) AS begins, dropoff_zone_id IN (FROM zone) AS ends FROM trips "
        "WHERE fleet = 'yellow' AND pickup_date BETWEEN '2025-01-05' AND '2025-01-31') "
        "SELECT count(*) FILTER (begins AND ends), count(*) FILTER (ends AND NOT begins), "
        "count(*) FILTER (begins AND NOT ends), coalesce(sum(cbd_congestion_fee), 0), count(*) FROM flagged"
    )
    assert pipeline.rows(
        "SELECT num_within_zone, num_into_zone, num_out_of_zone, cbd_congestion_fee, num_trips, trips_per_day_in_zone "
        "FROM marts.congestion_zone WHERE fleet = 'yellow' AND period = 'since'"
    ) == [(within, into, out_of, fees, trips, (within + into + out_of) / 27)]
    assert within > 0


def test_the_share_in_the_congestion_zone_leaves_out_what_is_not_known(pipeline: Pipeline) -> None:
    """Regression: a trip from nowhere to nowhere counted as one outside of the zone; fhv lacks most of its zones."""
    ((in_zone, known, not_known),) = pipeline.rows(
        "WITH zone AS (SELECT zone_id FROM zone_areas WHERE area = 'congestion zone'), flagged AS ("
        "SELECT *, pickup_zone_id IN (FROM zone) OR dropoff_zone_id IN (FROM zone) AS touches FROM trips "
        "WHERE fleet = 'fhv' AND pickup_date BETWEEN '2025-01-05' AND '2025-01-31') "
        "SELECT count(*) FILTER (touches), count(*) FILTER (touches OR 264 NOT IN (pickup_zone_id, dropoff_zone_id)), "
        "count(*) FILTER (NOT touches AND 264 IN (pickup_zone_id, dropoff_zone_id)) FROM flagged"
    )
    rows = pipeline.rows(
        "SELECT share_in_zone, num_not_known FROM marts.congestion_zone WHERE fleet = 'fhv' AND period = 'since'"
    )
    assert rows == [(pytest.approx(in_zone / known), not_known)]
    assert not_known > 100, "the sample has such trips"


def test_airport_trips(pipeline: Pipeline) -> None:
    (row,) = pipeline.rows(
        "SELECT num_trips, total_amount, mean_total_amount, mean_minutes, mean_miles FROM marts.airport_trips "
        "WHERE month = '2025-01-01' AND fleet = 'yellow' AND airport = 'JFK Airport' AND direction = 'from'"
    )
    trips = pipeline.rows(
        "SELECT total_amount, epoch(dropoff_datetime - pickup_datetime), trip_distance FROM trips "
        "WHERE fleet = 'yellow' AND pickup_zone_id = 132 AND pickup_date >= '2025-01-01'"
    )
    assert len(trips) > 50
    plausible = [(s, m) for _, s, m in trips if m <= MAX_PLAUSIBLE_MILES and 0 <= s <= MAX_PLAUSIBLE_HOURS * 3600]
    total = sum(trip[0] for trip in trips)
    assert row[:2] == (len(trips), total)
    assert row[2] == pytest.approx(float(total) / len(trips))
    assert row[3] == pytest.approx(sum(s for s, _ in plausible) / 60 / len(plausible))
    assert row[4] == pytest.approx(float(sum(m for _, m in plausible)) / len(plausible))


def test_fare_parts(pipeline: Pipeline) -> None:
    for fleet in ("yellow", "fhvhv"):
        rows = pipeline.rows(
            "SELECT part, num_trips, amount FROM marts.fare_parts WHERE fleet = ? AND month = '2025-01-01'", [fleet]
        )
        expected = []
        for part in TOTAL_PARTS:
            ((num_trips, amount),) = pipeline.rows(
                f"SELECT count(*) FILTER ({part} <> 0), sum({part}) FROM net_parts "
                "WHERE fleet = ? AND pickup_date >= '2025-01-01'",
                [fleet],
            )
            expected += [(part, num_trips, amount)] if amount is not None else []
        assert sorted(rows) == sorted(expected)
    assert pipeline.rows("SELECT count(*) FROM marts.fare_parts WHERE fleet = 'fhv'") == [(0,)], "fhv has no totals"
    ((extra, as_published),) = pipeline.rows(
        "SELECT (SELECT amount FROM marts.fare_parts "
        "WHERE fleet = 'green' AND part = 'extra' AND month = '2025-01-01'), "
        "(SELECT sum(extra) FROM trips WHERE fleet = 'green' AND pickup_date >= '2025-01-01')"
    )
    assert extra < as_published, "a vendor has fees in it that have a column of their own"


def test_driver_pay(pipeline: Pipeline) -> None:
    rows = pipeline.rows(
        "SELECT licensee, num_trips, pay_per_mile, pay_per_minute FROM marts.driver_pay "
        "WHERE month = '2025-01-01' ORDER BY 1"
    )
    expected = pipeline.rows(
        "SELECT licensee, count(*), sum(driver_pay)::DOUBLE / sum(trip_distance)::DOUBLE, "
        "60 * sum(driver_pay)::DOUBLE / sum(trip_time) FROM trips "
        "WHERE fleet = 'fhvhv' AND pickup_date >= '2025-01-01' AND driver_pay IS NOT NULL AND trip_time > 0 "
        "GROUP BY licensee ORDER BY 1"
    )
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    for row, of_trips in zip(rows, expected, strict=True):
        assert row[2:] == pytest.approx(of_trips[2:])


def test_zone_months(pipeline: Pipeline) -> None:
    found = pipeline.rows(
        "SELECT zone_id, zone, borough, num_pickups, num_dropoffs, total_amount FROM marts.zone_months "
        "WHERE fleet = 'green' AND month = '2024-12-01' ORDER BY zone_id"
    )
    expected = pipeline.rows(
        "WITH december AS (FROM trips WHERE fleet = 'green' AND pickup_date < '2025-01-01') "
        "SELECT * FROM (SELECT zone_id, zone, borough, "
        "(SELECT count(*) FROM december WHERE pickup_zone_id = zone_id) AS pickups, "
        "(SELECT count(*) FROM december WHERE dropoff_zone_id = zone_id) AS dropoffs, "
        "(SELECT coalesce(sum(total_amount), 0) FROM december WHERE pickup_zone_id = zone_id) FROM zones) "
        "WHERE pickups + dropoffs > 0 ORDER BY zone_id"
    )
    assert found == expected


def test_zone_week_hours(pipeline: Pipeline) -> None:
    """Counted from the net trips by weekday and hour, on days that are counted by a calendar."""
    found = pipeline.rows(
        "SELECT zone_id, hour_of_week, num_days, num_trips, trips_per_hour FROM marts.zone_week_hours "
        "WHERE fleet = 'yellow' AND month = '2024-12-01' ORDER BY 1, 2"
    )
    zones = {row[0] for row in found}
    assert [row[:2] for row in found] == [(zone, hour) for zone in sorted(zones) for hour in range(168)]
    weekdays = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
    counted = {
        (zone, 24 * weekdays.index(weekday) + hour): trips
        for zone, weekday, hour, trips in pipeline.rows(
            "SELECT pickup_zone_id, dayname(pickup_date), hour(pickup_datetime), count(*) FROM net_trips "
            "WHERE fleet = 'yellow' AND pickup_date < '2025-01-01' GROUP BY ALL"
        )
    }
    assert {(zone, hour): trips for zone, hour, _, trips, _ in found if trips} == counted
    # December 2024 has five Sundays, Mondays and Tuesdays.
    assert all(days == (5 if hour < 72 else 4) and mean == trips / days for _, hour, days, trips, mean in found)


def test_request_share(own_pipeline: Pipeline) -> None:
    """Of the fleet and month whose files say who sent a trip; a code that is not known is named as such."""
    assert own_pipeline.rows("SELECT count(*) FROM marts.request_share") == [(0,)]
    january = "fleet = 'yellow' AND pickup_date >= '2025-01-01'"
    own_pipeline.execute(
        "UPDATE trips SET request_source = CASE pickup_zone_id % 3 WHEN 1 THEN 'HV0003' WHEN 2 THEN 'ZZ' END "
        f"WHERE {january}"
    )
    assert make(own_pipeline, "2024-12-01", "2025-01-01", (*STAGING, "request_share")).success
    counts = dict(
        own_pipeline.rows(f"SELECT pickup_zone_id % 3, count(*) FROM trips WHERE {january} GROUP BY 1 ORDER BY 1")
    )
    total = sum(counts.values())
    assert own_pipeline.rows("SELECT * FROM marts.request_share ORDER BY request_source") == [
        (date(2025, 1, 1), "yellow", code, sender, counts[rest], pytest.approx(counts[rest] / total))
        for code, sender, rest in (
            ("HV0003", "Uber, by its licence number (inferred)", 1),
            ("ZZ", "not known", 2),
            ("none", "not said: hailed in the street, or not known", 0),
        )
    ]


REPORT = [
    report_row(
        "2022-03", "Yellow", "12,000", "30,000", "400", "300", "200", "20.5", "6.5", "15.5", "4.2", "15", "66%", "600"
    ),
    report_row("2021-03", "Yellow", "10,000"),
    report_row("2022-03", "FHV - Livery", "27,354", "", "5,362", "5,204", "0", "-", "-", "-", "-", "19", "", "-"),
]


def test_the_dashboards_measures_of_the_tlcs_report(own_pipeline: Pipeline, tmp_path: Path) -> None:
    """Each computed by hand; the job makes the mart of all months of the report, whatever trips are loaded."""
    mirror = tmp_path / "mirror"
    write_report(mirror, REPORT)
    tlc = replace(own_pipeline.tlc, url=mirror.as_uri())
    resources = {**own_pipeline.resources, "tlc": tlc}
    definitions = build_definitions(settings=settings_in(own_pipeline.folder), resources=resources)
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("indicators").execute_in_process(
            instance=instance, run_config=QUIET, raise_on_error=False
        )
    assert result.success, error_of(result)
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks["license_class_months_are_those_of_the_report"]
    assert all(checks.values())
    (yellow,) = rows_by_name(own_pipeline, "license_class = 'Yellow' AND month = '2022-03-01'")
    drivers_per_day = 400 * 15.5 / 31
    assert {name: yellow[name] for name in MEASURES} == pytest.approx(
        {
            "drivers_per_day": drivers_per_day,
            "trips_per_vehicle": 12_000 * 31 / 300,
            "trips_per_vehicle_per_day": 12_000 / 200,
            "trip_hours_per_vehicle_per_day": 12_000 * 15 / 200 / 60,
            "trips_per_vehicle_per_hour": 12_000 / 200 / 6.5,
            "trips_to_year_before": 1.2,
            "shared_share": 0.05,
            "farebox_dollars_per_vehicle": 30_000 * 31 / 300,
            "farebox_dollars_per_driver": 30_000 * 31 / 400,
            "farebox_dollars_per_trip": 2.5,
            "farebox_dollars_per_minute": 2.5 / 15,
            "farebox_dollars_per_vehicle_per_day": 150,
            "farebox_dollars_per_driver_per_day": 30_000 / drivers_per_day,
        }
    )
    assert len(MEASURES) == 13
    published = TLC_INDICATORS.column_names
    assert list(yellow) == [*published, *MEASURES]
    assert (yellow["trips_per_day"], yellow["card_share"]) == (12_000, Decimal("0.66"))
    (livery,) = rows_by_name(own_pipeline, "license_class = 'FHV - Livery'")
    assert {name for name in MEASURES if livery[name] is not None} == {"trips_per_vehicle"}
    (before,) = rows_by_name(own_pipeline, "month = '2021-03-01'")
    assert before["trips_to_year_before"] is None


MEASURES = (
    "drivers_per_day",
    "trips_per_vehicle",
    "trips_per_vehicle_per_day",
    "trip_hours_per_vehicle_per_day",
    "trips_per_vehicle_per_hour",
    "trips_to_year_before",
    "shared_share",
    "farebox_dollars_per_vehicle",
    "farebox_dollars_per_driver",
    "farebox_dollars_per_trip",
    "farebox_dollars_per_minute",
    "farebox_dollars_per_vehicle_per_day",
    "farebox_dollars_per_driver_per_day",
)


def rows_by_name(pipeline: Pipeline, condition: str) -> list[dict[str, Any]]:
    """Rows of the mart, column → value."""
    names = [name for name, *_ in pipeline.rows("DESCRIBE marts.license_class_months")]
    rows = pipeline.rows(f"SELECT * FROM marts.license_class_months WHERE {condition}")
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_a_month_is_replaced_and_no_other(own_pipeline: Pipeline) -> None:
    """A month costs a month: what was made of December stays as it is, right or wrong, until December is made again.

    So it is with a mart of an older version, which gets the column that it lacks, and with one whose trips are gone.
    """
    kept_by_dbt = set((own_pipeline.folder / ".dbt").iterdir())
    january = date(2025, 1, 1)

    def rows_of(mart: str) -> list[tuple[Any, ...]]:
        return own_pipeline.rows(f"SELECT * FROM marts.{mart} ORDER BY ALL")

    shares, zones = rows_of("market_share"), rows_of("congestion_zone")
    own_pipeline.execute("UPDATE marts.market_share SET num_trips = num_trips + 1")
    own_pipeline.execute("ALTER TABLE marts.congestion_zone DROP COLUMN num_not_known")
    own_pipeline.execute(
        "INSERT INTO marts.request_share SELECT month, 'yellow', 'none', 'not said', 1, 1 "
        "FROM (VALUES (DATE '2024-12-01'), (DATE '2025-01-01')) AS months (month)"
    )
    made = (*STAGING, "market_share", "congestion_zone", "request_share")
    result = make(own_pipeline, "2025-01-01", "2025-01-01", made)
    assert result.success, error_of(result)
    rows = rows_of("market_share")
    assert [row for row in rows if row[0] == january] == [row for row in shares if row[0] == january]
    december = [row for row in rows if row[0] == date(2024, 12, 1)]
    assert december == [(*row[:3], row[3] + 1, *row[4:]) for row in shares if row[0] == date(2024, 12, 1)]
    rows = rows_of("congestion_zone")
    assert [row for row in rows if row[0] == january] == [row for row in zones if row[0] == january]
    assert {row[-1] for row in rows if row[0] < january} == {None}
    assert [row[0] for row in rows_of("request_share")] == [date(2024, 12, 1)]
    assert make(own_pipeline, "2024-12-01", "2024-12-01", made).success
    assert rows_of("market_share") == shares
    assert rows_of("congestion_zone") == zones
    assert rows_of("request_share") == []
    assert set((own_pipeline.folder / ".dbt").iterdir()) == kept_by_dbt, "what a run compiled is not kept"


def test_a_mart_that_differs_from_the_trips_fails_its_check(own_pipeline: Pipeline) -> None:
    """The comparisons with plain queries can fail: a trip that the rollup has and the table has not."""
    own_pipeline.execute("UPDATE zone_hourly_trips SET num_trips = num_trips + 1 WHERE pickup_date = DATE '2025-01-10'")
    result = make(own_pipeline, "2025-01-01", "2025-01-01", (*STAGING, "market_share", "zone_months"))
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert not checks["zone_months_count_all_trips"]
    assert checks["market_share_counts_all_trips"]
    assert not result.success


def test_constants_and_columns_are_those_of_the_pipeline() -> None:
    project = yaml.safe_load((SHIPPED_MARTS / "dbt_project.yml").read_text())
    assert project["vars"]["max_plausible_miles"] == MAX_PLAUSIBLE_MILES
    assert project["vars"]["max_plausible_hours"] == MAX_PLAUSIBLE_HOURS
    assert project["vars"]["credit_card"] == CREDIT_CARD
    assert project["vars"]["wrong_times"] == MINUTES_ARE_MONTHS.applies
    assert project["vars"]["flat_fares"] == FARES_ARE_FLAT.applies
    assert project["vars"]["congestion_zone_since"] == str(CONGESTION_ZONE_SINCE)
    model = (SHIPPED_MARTS / "models" / "marts" / "fare_parts.sql").read_text()
    listed = model.partition("[")[2].partition("]")[0]
    assert [part.strip(" \n'") for part in listed.split(",") if part.strip()] == [*TOTAL_PARTS]


class Automation:
    """The automation sensor's decisions on a throwaway instance."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self._definitions, self.instance = definitions, instance
        self._cursor: Any = None

    def load(self, *days: date) -> None:
        for day in days:
            for asset in ("taxi_trips", "zone_hourly_trips"):
                self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=str(day)))

    def codes(self, version: str) -> None:
        tags = {"dagster/data_version": version}
        for asset in ("taxi_zones", "code_tables"):
            self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, tags=tags))

    def requested(self) -> dict[str, set[str]]:
        """Month → the models that are launched now."""
        result = dg.evaluate_automation_conditions(
            self._definitions, self.instance, asset_selection=dg.AssetSelection.groups("marts"), cursor=self._cursor
        )
        self._cursor = result.cursor
        found: dict[str, set[str]] = {}
        for name in (*STAGING, *MARTS):
            for partition in result.get_requested_partitions(dg.AssetKey(["marts", name])):
                found.setdefault(str(partition), set()).add(name)
        return found


def test_the_marts_of_a_month_are_made_at_once_when_it_is_complete(
    definitions: dg.Definitions, own_pipeline: Pipeline
) -> None:
    """They are not made again because the codes were written again, which every run of days does."""
    december = list(Days(date(2024, 12, 1), date(2024, 12, 31)))
    everything = {"2024-12-01": {*STAGING, *MARTS}}
    with dg.DagsterInstance.ephemeral() as instance:
        automation = Automation(definitions, instance)
        automation.codes("a")
        automation.load(*december[:-1])
        assert automation.requested() == {}
        automation.load(december[-1])
        assert automation.requested() == everything
        assert make(own_pipeline, "2024-12-01", "2024-12-01", instance=instance).success
        assert automation.requested() == {}
        automation.codes("a")
        assert automation.requested() == {}
        automation.load(december[4])
        assert automation.requested() == everything
        automation.codes("b")
        without_codes = {"stg_measured_trips", "stg_loaded_days", "fare_parts", "trip_quartiles", "hourly_speeds"}
        assert automation.requested() == {"2024-12-01": everything["2024-12-01"] - without_codes}


def test_the_tour_answers_ten_questions(own_pipeline: Pipeline, environment: dict[str, str]) -> None:
    """The tour runs as an asset, in a process of its own: all answers, in pictures and tables, of the newest month."""
    for month in ("2024-12", "2025-01"):
        assert own_pipeline.dataset("yellow", month).success
    assert own_pipeline.dataset("yellow", "2025-02", demand_model).success
    settings = {
        "TAXI_DATA_DIR": str(own_pipeline.folder),
        "TLC_URL": own_pipeline.tlc.url,
        "TAXI_NOTEBOOKS": "on",
        **ENVIRONMENT,
    }
    command = [str(Path(sys.executable).with_name("dagster")), "asset", "materialize", "--select", "tour"]
    result = subprocess.run(
        [*command, "-m", "taxi_pipeline.definitions"],
        env={**environment, **settings},
        cwd=own_pipeline.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    executed = json.loads(own_pipeline.files.read("outputs/tour.ipynb"))
    # Dagster adds cells of its own.
    outputs = [out for cell in executed["cells"] if cell["id"].startswith("cell-") for out in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 6
    assert sum("text/html" in output.get("data", {}) for output in outputs) == 5
    assert [output for output in outputs if output["output_type"] == "stream"] == [], "no warnings"
    page = own_pipeline.files.read_text("outputs/tour.html")
    assert [f"{number}. " in page for number in range(1, 11)] == [True] * 10
    ((pickups, zone),) = own_pipeline.rows(
        "SELECT count(*) AS trips, zone FROM trips JOIN zones ON zone_id = pickup_zone_id "
        "WHERE fleet = 'yellow' AND pickup_date >= '2025-01-01' AND zone_id < 264 "
        "GROUP BY zone ORDER BY trips DESC LIMIT 1"
    )
    assert f"<td>{zone}</td>" in page
    assert f"<td>{pickups}</td>" in page


def test_the_tour_is_committed_without_answers() -> None:
    """So the repository can't show old answers."""
    notebook = json.loads((REPOSITORY / "taxi_pipeline" / "notebooks" / "tour.ipynb").read_text())
    assert [cell for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")] == []
    titles = [cell["source"][0] for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    assert sum(title.startswith("## ") for title in titles) == 10


@pytest.mark.parametrize(("switch", "expected"), [("off", "False False False"), ("on", "True True True")])
def test_without_marts_and_notebooks_nothing_of_theirs_is_imported(switch: str, expected: str, tmp_path: Path) -> None:
    code = (
        "import sys, taxi_pipeline.definitions as d\n"
        "marts = any(job.name == 'marts' for job in d.defs.jobs)\n"
        "print('dagster_dbt' in sys.modules, 'dagstermill' in sys.modules, marts)"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "TAXI_MARTS": switch,
        "TAXI_NOTEBOOKS": switch,
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment)
    assert result.stdout.strip().endswith(expected)


@pytest.mark.parametrize(("data_dir", "parses_again"), [(".", False), ("elsewhere", True)])
def test_a_run_takes_over_what_the_code_location_parsed(
    own_pipeline: Pipeline, data_dir: str, parses_again: bool
) -> None:
    """Each run parsed all files of the project: its months were variables, and dbt's folder was empty.

    With the settings of another database dbt does so, and says it: its connection is among what it compares.
    """
    (own_pipeline.folder / "elsewhere").mkdir()
    settings = settings_in(own_pipeline.folder / data_dir)
    definitions = build_definitions(settings=settings, resources=own_pipeline.resources)
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("marts").execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(["marts", "airport_trips"])],
            tags=range_tags("2025-01-01", "2025-01-01"),
        )
        (output,) = [
            each.user_message for each in instance.all_logs(result.run_id) if "Running with dbt" in each.user_message
        ]
    assert ("Unable to do partial parsing" in output) is parses_again, output
    assert "airport_trips" in output


def test_the_program_dbt_is_found_beside_python_or_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: where dbt lay elsewhere, the code location ended in a traceback."""
    for folder in ("beside", "elsewhere"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    with pytest.raises(MartsError, match=r"neither at .*/beside/dbt nor on the PATH\. Install the extra dbt"):
        dbt_program()
    for folder in ("elsewhere", "beside"):
        program = tmp_path / folder / "dbt"
        program.touch(mode=0o755)
        assert dbt_program() == str(program)


def test_tests_of_marts_name_no_staging_view() -> None:
    """Regression: a test that named one ran with each mart, and failed where its own mart was not made.

    dbt runs a test when one of the models that it names is built, so a test names its mart, and sources.
    """
    named = {
        re.sub(r"\s", "", found)
        for path in (SHIPPED_MARTS / "tests").glob("*.sql")
        for found in re.findall(r"ref\(([^)]*)\)", path.read_text())
    }
    assert named
    assert not [model for model in named if "stg_" in model]
