"""Sample data of the for-hire fleets and of the eras with coordinates: in the published schema, loadable, pinned."""

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from taxi_pipeline.cli import main
from taxi_pipeline.sample.hired import HiredTripMaker
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.sample.trips import Texts, TripMaker
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.file_schemas import published_schema
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import read_zones
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_trips
from taxi_pipeline.warehouse.tables import ZONES
from taxi_pipeline_tests.era_files import PUBLISHED, TYPES

SPANS = (
    ("yellow", "2009-12-31", "2010-01-01"),
    ("yellow", "2010-02-28", "2010-03-01"),
    ("yellow", "2010-12-31", "2011-01-01"),
    ("yellow", "2018-06-30", "2018-07-01"),
    ("yellow", "2026-05-31", "2026-06-01"),
    ("green", "2013-08-01", "2013-08-02"),
    ("green", "2019-08-31", "2019-09-01"),
    ("fhv", "2015-01-01", "2015-01-02"),
    ("fhv", "2019-02-28", "2019-03-01"),
    ("fhv", "2023-01-31", "2023-02-01"),
    ("fhvhv", "2019-02-01", "2019-02-02"),
    ("fhvhv", "2020-03-31", "2020-04-01"),
    ("fhvhv", "2025-01-04", "2025-01-05"),
)
"""Spans of days on both sides of a change in the published columns."""


@pytest.mark.parametrize(("fleet", "first", "last"), SPANS)
def test_samples_of_every_era_load_and_none_is_lost(tmp_path: Path, fleet: str, first: str, last: str) -> None:
    days = Days(date.fromisoformat(first), date.fromisoformat(last))
    *files, zones, _, _ = write_mirror(tmp_path, days, fleet=fleet, trips_per_day=300)
    warehouse, storage = DuckDBWarehouse(tmp_path / "data.duckdb"), LocalFolder(tmp_path)
    with warehouse.write() as session:
        session.replace(ZONES, [(z.zone_id, z.zone, z.borough, z.geometry) for z in read_zones(zones)])
        for file, part in zip(files, days.by_month(), strict=True):
            fetch(file.as_uri(), storage, f"raw/{file.name}", verify=lambda _: None)
            whole = Days(part.first.replace(day=1), part.last)
            load_trips(session, FLEETS[fleet], whole, storage)
        loaded, days_with = session.row("SELECT count(*), count(DISTINCT pickup_date) FROM trips")
        (rejected,) = session.row("SELECT count(*) FROM rejected_trips")
    assert loaded + rejected == sum(pq.read_metadata(file).num_rows for file in files)
    assert loaded > 400
    assert days_with == 2


KNOWN = [file for file in PUBLISHED if not file.unknown and not file.of_csv]


@pytest.mark.parametrize("file", KNOWN, ids=[f"{file.fleet} {file.month}" for file in KNOWN])
def test_the_schema_is_the_published_one(file) -> None:
    """Against the names and types that the tests wrote down by themselves; text is text, large or not."""
    expected = []
    for column in file.columns.split():
        name, _, kind = column.partition(":")
        expected.append((name, pa.string() if kind == "large" else TYPES[kind]))
    schema = published_schema(file.fleet, file.first_day)
    assert [(field.name, field.type) for field in schema] == expected


def test_places_lie_in_the_zones_of_the_trips(tmp_path: Path) -> None:
    """A trip of 2009 is the trip that was drawn; its place is found again by the zones' shapes."""
    day = date(2009, 1, 10)
    file, zones, *_ = write_mirror(tmp_path, Days(day, day), fleet="yellow", trips_per_day=3000)
    drawn = TripMaker("yellow", trips_per_day=3000, seed=0).day(day)
    warehouse, storage = DuckDBWarehouse(tmp_path / "data.duckdb"), LocalFolder(tmp_path)
    fetch(file.as_uri(), storage, f"raw/{file.name}", verify=lambda _: None)
    with warehouse.write() as session:
        session.replace(ZONES, [(z.zone_id, z.zone, z.borough, z.geometry) for z in read_zones(zones)])
        load_trips(session, FLEETS["yellow"], Days(day, day), storage)
        found = session.rows(
            "SELECT pickup_datetime, pickup_zone_id, dropoff_zone_id, total_amount FROM trips ORDER BY ALL"
        )
    pickups, dropoffs = (np.where(drawn[name] == 265, 264, drawn[name]) for name in ("pulocationid", "dolocationid"))
    moments = drawn["pickup_datetime"].astype("datetime64[us]").tolist()
    trips = zip(moments, pickups.tolist(), dropoffs.tolist(), drawn["total_amount"].round(2).tolist(), strict=True)
    expected = sorted(trip for trip in trips if trip[0].date() == day)
    assert [(*row[:3], float(row[3])) for row in found] == expected
    unknown = sum(1 for row in found if row[1] == 264)
    assert 0 < unknown < 0.03 * len(found)


def query(path: Path, sql: str) -> tuple:
    with duckdb.connect() as connection:
        (row,) = connection.execute(f"WITH trips AS (FROM read_parquet(?)) {sql}", [str(path)]).fetchall()
    return row


@pytest.fixture(scope="module")
def high_volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fhvhv")
    path, *_ = write_mirror(folder, Days(date(2025, 1, 1), date(2025, 1, 14)), fleet="fhvhv", trips_per_day=5000)
    return path


def test_high_volume_trips_look_plausible(high_volume: Path) -> None:
    miles, minutes, fare, pay, uber, manhattan = query(
        high_volume,
        """
        SELECT median(trip_miles), median(trip_time) / 60, median(base_passenger_fare), median(driver_pay),
            count(*) FILTER (hvfhs_license_num = 'HV0003') / count(*),
            count(*) FILTER (PULocationID IN (161, 230, 79, 48, 186)) / count(*)
        FROM trips
        """,
    )
    assert 2 < miles < 6
    assert 10 < minutes < 25
    assert 10 < pay < fare < 40
    assert uber == pytest.approx(0.73, abs=0.01)
    assert 0.02 < manhattan < 0.15


def test_moments_of_a_high_volume_trip_follow_each_other(high_volume: Path) -> None:
    assert query(
        high_volume,
        """
        SELECT count(*) FILTER (NOT request_datetime < pickup_datetime),
            count(*) FILTER (NOT on_scene_datetime BETWEEN request_datetime AND pickup_datetime),
            count(*) FILTER (shared_match_flag = 'Y' AND shared_request_flag = 'N')
        FROM trips
        """,
    ) == (0, 0, 0)


def test_fees_of_high_volume_trips_are_due_where_and_when_they_are(high_volume: Path) -> None:
    before, since, airport, elsewhere = query(
        high_volume,
        """
        SELECT max(cbd_congestion_fee) FILTER (pickup_datetime < '2025-01-05'),
            max(cbd_congestion_fee) FILTER (pickup_datetime >= '2025-01-05'),
            min(airport_fee) FILTER (PULocationID IN (1, 132, 138) OR DOLocationID IN (1, 132, 138)),
            max(airport_fee) FILTER (NOT (PULocationID IN (1, 132, 138) OR DOLocationID IN (1, 132, 138)))
        FROM trips
        """,
    )
    assert (before, since, airport, elsewhere) == (0, 1.5, 2.5, 0)


def test_companies_come_and_go(tmp_path: Path) -> None:
    def companies(day: date) -> set[str]:
        trips = HiredTripMaker("fhvhv", trips_per_day=3000, seed=0).day(day)["hvfhs_license_num"]
        assert isinstance(trips, Texts)
        return {str(trips.texts[i]) for i in set(trips.index.tolist())}

    assert companies(date(2019, 3, 1)) == {"HV0002", "HV0003", "HV0004", "HV0005"}
    assert companies(date(2020, 3, 1)) == {"HV0003", "HV0004", "HV0005"}
    assert companies(date(2023, 3, 1)) == {"HV0003", "HV0005"}


def test_bases_leave_out_what_they_do_not_know(tmp_path: Path) -> None:
    path, *_ = write_mirror(tmp_path, Days(date(2016, 5, 1), date(2016, 5, 2)), fleet="fhv", trips_per_day=2000)
    share, dropoffs, bases, of_companies = query(
        path,
        "SELECT count(PUlocationID) / count(*), count(dropOff_datetime), count(DISTINCT dispatching_base_num), "
        "count(*) FILTER (dispatching_base_num >= 'B02395' AND dispatching_base_num NOT IN ('B02563', 'B02849')) / "
        "count(*) FROM trips",
    )
    assert share == pytest.approx(0.45, abs=0.03)
    assert dropoffs == 0
    assert bases == 12 + 38
    assert of_companies == pytest.approx(0.8, abs=0.03), "their trips are in fhvhv from 2019-02 on"


@pytest.mark.parametrize(("fleet", "rows", "pickups"), [("fhv", 386, [111, 144, 22]), ("fhvhv", 1009, [14, 132, 93])])
def test_trips_of_a_seed_are_pinned(fleet: str, rows: int, pickups: list[int]) -> None:
    """A change of numpy must not change the trips; whoever changes the generator renews this."""

    def drawn(seed: int) -> list[float]:
        zones = HiredTripMaker(fleet, trips_per_day=1000, seed=seed).day(date(2023, 3, 5))["pulocationid"]
        assert not isinstance(zones, Texts)
        return [zone for zone in zones.tolist() if zone == zone]  # noqa: PLR0124 - NaN is not

    assert drawn(seed=0) == drawn(seed=0) != drawn(seed=1)
    assert (len(drawn(seed=0)), drawn(seed=0)[:3]) == (rows, pickups)


def test_a_fleet_that_was_not_there_yet_stops_all_before_anything_is_written(tmp_path: Path) -> None:
    """Regression: the other fleets' files, zones, weather and bases were written by then."""
    options = ["sample", "--output", str(tmp_path / "mirror"), "--start", "2019-01-01", "--end", "2019-02-28"]
    result = CliRunner().invoke(main, [*options, "--fleet", "fhv", "--fleet", "fhvhv"])
    assert result.exit_code == 2
    assert "fhvhv trips can be made from 2019-02-01 on, not for 2019-01-01" in result.output
    assert not (tmp_path / "mirror").exists()
