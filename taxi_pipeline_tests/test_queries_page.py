"""All four fleets in one warehouse: the questions of `docs/queries.md`, against plain queries over the files."""

import csv
import json
import re
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.defs.assets import sources
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.outputs.weekly_table import weekly_totals
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.codes import CONGESTION_ZONE
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.pipelines import Pipeline, check_of, pipeline_in

DAYS = Days(date(2025, 1, 3), date(2025, 1, 6))
"""Friday to Monday, the fee's first day among them."""

TRIPS_PER_DAY = {"yellow": 300, "green": 60, "fhv": 80, "fhvhv": 700}


@pytest.fixture(scope="module")
def mirror_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("all_fleets")
    for fleet, trips_per_day in TRIPS_PER_DAY.items():
        write_mirror(folder, DAYS, fleet=fleet, trips_per_day=trips_per_day)
    return folder


@pytest.fixture(scope="module")
def pipeline(mirror_of_all: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    pipeline = pipeline_in(tmp_path_factory.mktemp("data"), mirror_of_all, list(FLEETS))
    result = pipeline.run(str(DAYS.first), str(DAYS.last))
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed == []
    joined = [*sources.weather_assets[1:], sources.calendar_days, sources.zone_places]
    assert dg.materialize(joined, resources=pipeline.resources, run_config=QUIET).success
    return pipeline


def question(number: int) -> str:
    """The SQL of the page, by its place in it."""
    page = (REPOSITORY / "docs" / "queries.md").read_text(encoding="utf-8")
    return re.findall(r"```sql\n(.*?);\n```", page, re.DOTALL)[number]


def published(mirror: Path, fleet: str, sql: str) -> list[tuple[Any, ...]]:
    """A query over the fleet's file, without the rows that lie outside the month."""
    path = mirror / "trip-data" / f"{fleet}_tripdata_2025-01.parquet"
    pickup = {"yellow": "tpep_pickup_datetime", "green": "lpep_pickup_datetime"}.get(fleet, "pickup_datetime")
    with duckdb.connect() as connection:
        return connection.execute(
            f"WITH trips AS (SELECT *, {pickup} AS pickup FROM read_parquet(?)"
            f" WHERE date_trunc('month', {pickup}) = '2025-01-01') {sql}",
            [str(path)],
        ).fetchall()


LICENSEE = "CASE hvfhs_license_num WHEN 'HV0003' THEN 'Uber' WHEN 'HV0005' THEN 'Lyft' END"


def test_market_share_by_fleet_and_licensee(pipeline: Pipeline, mirror_of_all: Path) -> None:
    rows = pipeline.rows(question(0))
    expected: dict[tuple[str, str | None], int] = {
        (fleet, None): published(mirror_of_all, fleet, "SELECT count(*) FROM trips")[0][0]
        for fleet in ("yellow", "green", "fhv")
    }
    expected |= {
        ("fhvhv", licensee): trips
        for licensee, trips in published(mirror_of_all, "fhvhv", f"SELECT {LICENSEE}, count(*) FROM trips GROUP BY 1")
    }
    assert {(fleet, licensee): trips for _, fleet, licensee, trips, _ in rows} == expected
    assert {month for month, *_ in rows} == {datetime(2025, 1, 1)}
    assert sum(percent for *_, percent in rows) == pytest.approx(100, abs=0.3)
    assert rows[0][1:3] == ("fhvhv", "Uber")


def test_the_congestion_zone_before_and_since_its_fee(pipeline: Pipeline, mirror_of_all: Path) -> None:
    rows = {(fleet, licensee): numbers for fleet, licensee, *numbers in pipeline.rows(question(1))}
    zones = tuple(sorted(CONGESTION_ZONE))
    ((before, since, fees),) = published(
        mirror_of_all,
        "yellow",
        "SELECT count(*) FILTER (pickup < '2025-01-05') / 2, count(*) FILTER (pickup >= '2025-01-05') / 2, "
        f"sum(cbd_congestion_fee) FROM trips WHERE PULocationID IN {zones} OR DOLocationID IN {zones}",
    )
    assert rows["yellow", None][:2] == [before, since]
    assert float(rows["yellow", None][2]) == pytest.approx(fees)
    assert set(rows) == {("yellow", None), ("green", None), ("fhv", None), ("fhvhv", "Uber"), ("fhvhv", "Lyft")}
    assert float(rows["fhvhv", "Uber"][2]) > 100
    assert rows["fhv", None][2] is None


def test_airport_pickups(pipeline: Pipeline, mirror_of_all: Path) -> None:
    found = Counter[tuple[str, str]]()
    for zone, fleet, _, pickups in pipeline.rows(question(2)):
        found[zone, fleet] += pickups
    for fleet in ("yellow", "fhvhv"):
        for zone_id, name in ((1, "Newark Airport"), (132, "JFK Airport"), (138, "LaGuardia Airport")):
            count = f"SELECT count(*) FROM trips WHERE PULocationID = {zone_id}"
            assert [(found[name, fleet],)] == published(mirror_of_all, fleet, count)
    assert found["JFK Airport", "fhvhv"] > 0


def test_codes_read_as_words(pipeline: Pipeline) -> None:
    rows = pipeline.rows(question(3))
    assert ("yellow", "Curb Mobility, LLC (before: VeriFone, VTS)", "Credit card") in [row[:3] for row in rows]
    assert {row[:3] for row in rows if row[0] == "fhvhv"} == {("fhvhv", None, None)}
    assert pipeline.rows(
        "SELECT count(*) FROM trips WHERE vendor_id NOT IN (SELECT vendor_id FROM vendors) "
        "OR rate_code_id NOT IN (SELECT rate_code_id FROM rate_codes) "
        "OR payment_type NOT IN (SELECT payment_type FROM payment_types) "
        "OR licensee NOT IN (SELECT licensee FROM licensees)"
    ) == [(0,)]


def test_companies_in_one_series(pipeline: Pipeline, mirror_of_all: Path) -> None:
    rows = pipeline.rows(question(5))
    expected = dict(published(mirror_of_all, "fhvhv", f"SELECT {LICENSEE}, count(*) FROM trips GROUP BY 1"))
    expected["other bases"] = published(mirror_of_all, "fhv", "SELECT count(*) FROM trips")[0][0]
    assert {company: trips for _, company, trips in rows} == expected


def test_wet_and_dry_days(pipeline: Pipeline, mirror_of_all: Path) -> None:
    """Friday to Monday: each weekday is one day, which is dry, wet, or neither."""
    inches = dict(zip(DAYS, (0, 0.3, 0.25, 0.1), strict=True))
    for day, rain in inches.items():
        pipeline.execute("UPDATE weather_days SET precipitation_in = ? WHERE day = ?", [rain, day])
    days = {day.strftime("%A"): day for day in DAYS}
    rows = pipeline.rows(question(6))
    assert len(rows) == 4 * len(FLEETS)
    for fleet, weekday, dry, wet, _ in rows:
        day = days[weekday]
        ((trips,),) = published(mirror_of_all, fleet, f"SELECT count(*) FROM trips WHERE pickup::DATE = '{day}'")
        assert (dry, wet) == (trips if inches[day] == 0 else None, trips if inches[day] >= 0.25 else None)


def test_holidays_beside_the_same_weekdays(tmp_path: Path) -> None:
    """Of three loaded Mondays one is a holiday, the median is of the others, and a day in March does not count."""
    pipeline = pipeline_in(tmp_path, tmp_path)
    assert dg.materialize([sources.calendar_days], resources=pipeline.resources, run_config=QUIET).success
    for day, trips in (
        ("2025-01-06", 50),
        ("2025-01-13", 100),
        ("2025-01-20", 70),
        ("2025-01-21", 7),
        ("2025-03-24", 9),
    ):
        pipeline.execute(
            "INSERT INTO loaded_days VALUES ('green', ?, ?, 0, 'v', 1, TRUE, 42, 0, NULL)",
            [date.fromisoformat(day), trips],
        )
    assert pipeline.rows(question(7)) == [(date(2025, 1, 20), "Martin Luther King Jr. Day", "green", 70, 75.0)]


def test_friday_nights_between_neighborhoods(pipeline: Pipeline) -> None:
    """Out of all trips in Python: from Friday 21:00 to Saturday 3:59."""
    places = dict(pipeline.rows("SELECT zone_id, neighborhood FROM zone_places"))
    nights = Counter[tuple[str, str]]()
    for pickup, start, end in pipeline.rows("SELECT pickup_datetime, pickup_zone_id, dropoff_zone_id FROM trips"):
        is_night = (pickup.date(), pickup.hour >= 21) == (date(2025, 1, 3), True)
        is_night |= (pickup.date(), pickup.hour < 4) == (date(2025, 1, 4), True)
        if is_night and start in places and end in places:
            nights[places[start], places[end]] += 1
    expected = sorted(((*pair, trips) for pair, trips in nights.items()), key=lambda row: (-row[2], row[0], row[1]))
    assert pipeline.rows(question(8)) == expected[:20]


def test_what_an_hour_of_driving_brings(pipeline: Pipeline) -> None:
    rows = pipeline.rows(question(9))
    assert {row[0] for row in rows} == {"yellow", "green", "fhvhv"}, "fhv publishes no totals"
    amounts: dict[tuple[str, int], tuple[float, float, int]] = {}
    for fleet, pickup, dropoff, total in pipeline.rows(
        "SELECT fleet, pickup_datetime, dropoff_datetime, total_amount FROM net_trips WHERE total_amount IS NOT NULL"
    ):
        seconds = (dropoff - pickup).total_seconds()
        if 0 < seconds <= 6 * 3600:
            dollars, time, count = amounts.get((fleet, pickup.hour), (0.0, 0.0, 0))
            amounts[fleet, pickup.hour] = (dollars + float(total), time + seconds, count + 1)
    assert len(rows) == len(amounts)
    for fleet, hour, trips, dollars_an_hour in rows:
        dollars, time, count = amounts[fleet, hour]
        assert trips == count
        assert dollars_an_hour == pytest.approx(dollars / time * 3600, abs=0.011)


def test_every_trip_of_every_fleet_is_there_once(pipeline: Pipeline, mirror_of_all: Path) -> None:
    for fleet in FLEETS:
        path = mirror_of_all / "trip-data" / f"{fleet}_tripdata_2025-01.parquet"
        rows = pq.read_metadata(path).num_rows
        assert pipeline.rows(
            f"SELECT (SELECT count(*) FROM trips WHERE fleet = '{fleet}') "
            f"+ (SELECT count(*) FROM rejected_trips WHERE fleet = '{fleet}')"
        ) == [(rows,)]


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_weeks_of_all_fleets_and_the_same_by_fleet(pipeline: Pipeline) -> None:
    together = pipeline.folder / "outputs" / "trips_by_week.csv"
    by_fleet = pipeline.folder / "outputs" / "trips_by_week_by_fleet.csv"
    assert together.read_text().splitlines()[0] == "period,num_trips,total_amount,trip_distance,passenger_count"
    assert by_fleet.read_text().splitlines()[0] == "period,fleet,num_trips,total_amount,trip_distance,passenger_count"
    split = read_csv(by_fleet)
    assert [(row["period"], row["fleet"]) for row in split] == [
        (week, fleet) for week in ("2024-12-29", "2025-01-05") for fleet in sorted(FLEETS)
    ]
    for week in read_csv(together):
        parts = [row for row in split if row["period"] == week["period"]]
        assert int(week["num_trips"]) == sum(int(part["num_trips"]) for part in parts)
        assert float(week["total_amount"]) == pytest.approx(sum(float(part["total_amount"]) for part in parts))
    counts = pipeline.rows(
        "SELECT fleet, count(*), coalesce(sum(total_amount), 0) FROM trips WHERE pickup_date >= '2025-01-05' "
        "GROUP BY fleet ORDER BY fleet"
    )
    assert [(row["fleet"], int(row["num_trips"]), row["total_amount"]) for row in split[4:]] == [
        (fleet, trips, f"{total:.2f}") for fleet, trips, total in counts
    ]


def test_a_third_file_says_how_many_days_of_each_week_are_loaded(pipeline: Pipeline) -> None:
    """Regression: the first and the last week were partial, and nothing said so."""
    path = pipeline.folder / "outputs" / "trips_by_week_days.csv"
    assert path.read_text().splitlines()[0] == "period,fleet,num_days,num_missing"
    assert [tuple(row.values()) for row in read_csv(path)] == [
        (week, fleet, "2", "5") for week in ("2024-12-29", "2025-01-05") for fleet in sorted(FLEETS)
    ]
    assert {row["period"] for row in read_csv(path)} == {
        row["period"] for row in read_csv(pipeline.folder / "outputs" / "trips_by_week.csv")
    }


def test_the_week_in_which_a_fleet_began_lacks_no_day(tmp_path: Path, mirror_of_all: Path) -> None:
    """High-volume trips are published since Friday, 2019-02-01; yellow ones of that week are not loaded but for two."""
    pipeline = pipeline_in(tmp_path, mirror_of_all, ("yellow", "green", "fhvhv"))
    days = [("fhvhv", day) for day in (1, 2, 3)] + [("yellow", day) for day in (1, 2)]
    for fleet, day in days:
        pipeline.execute(
            "INSERT INTO loaded_days (fleet, pickup_date, num_trips, num_rejected, file_version, file_rows, synthetic) "
            "VALUES (?, ?, 0, 0, '', 0, TRUE)",
            [fleet, date(2019, 2, day)],
        )
    weeks = pipeline.warehouse.query(weekly_totals, pipeline.tlc.fleets)
    assert [tuple(row) for row in weeks.days] == [
        ("2019-01-27", "fhvhv", "2", "0"),
        ("2019-01-27", "green", "0", "7"),
        ("2019-01-27", "yellow", "2", "5"),
        ("2019-02-03", "fhvhv", "1", "6"),
        ("2019-02-03", "green", "0", "7"),
        ("2019-02-03", "yellow", "0", "7"),
    ]
    assert weeks.partial == ["2019-01-27", "2019-02-03"]


def test_the_file_by_fleet_is_compared(pipeline: Pipeline) -> None:
    path = pipeline.folder / "outputs" / "trips_by_week_by_fleet.csv"
    written = path.read_text()

    def weekly() -> dg.AssetCheckEvaluation:
        selection = dg.AssetSelection.checks_for_assets("trips_by_week")
        return check_of(pipeline.run_job(selection, {}), "weekly_totals_match_trips")

    try:
        assert weekly().passed
        header, first, *rest = written.splitlines()
        path.write_text("\n".join([header, *rest]))
        assert (weekly().passed, weekly().metadata["num_wrong"].value) == (False, 1)
        assert f"{' '.join(first.split(',')[:2])} has trips, and is not in the file" in str(weekly().description)
        path.unlink()
        assert not weekly().passed
    finally:
        path.write_text(written)


def test_the_map_counts_all_fleets(pipeline: Pipeline) -> None:
    stats = json.loads((pipeline.folder / "staging" / "manhattan_stats.geojson").read_text())
    assert stats["coverage"]["fleets"] == list(FLEETS)
    assert pipeline.rows(
        "SELECT count(*) FROM trips JOIN zones ON zone_id = pickup_zone_id WHERE borough = 'Manhattan'"
    ) == [(sum(feature["properties"]["num_trips"] for feature in stats["features"]),)]


def test_a_file_by_fleet_goes_when_one_fleet_is_left(mirror_of_all: Path, tmp_path: Path) -> None:
    two = pipeline_in(tmp_path, mirror_of_all, ("yellow", "green"))
    two.run("2025-01-03")
    by_fleet = tmp_path / "outputs" / "trips_by_week_by_fleet.csv"
    assert [row["fleet"] for row in read_csv(by_fleet)] == ["green", "yellow"]
    one = pipeline_in(tmp_path, mirror_of_all, ("yellow",))
    one.run("2025-01-03")
    assert not by_fleet.exists()
    assert [row["num_trips"] for row in read_csv(tmp_path / "outputs" / "trips_by_week.csv")] == [
        str(count) for (count,) in one.rows("SELECT count(*) FROM trips WHERE fleet = 'yellow'")
    ]
