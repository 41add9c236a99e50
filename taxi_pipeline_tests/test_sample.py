"""Sample data: deterministic, in the real schema, with the real data's defects at their rates."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.sample.fares import rates_on
from taxi_pipeline.sample.mirror import SampleError, write_mirror
from taxi_pipeline.sample.parameters import PARAMETERS
from taxi_pipeline.sample.trips import AliasTable, TripMaker
from taxi_pipeline.storage.whole_files import sha256_of
from taxi_pipeline.tlc.codes import CONGESTION_ZONE
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.tlc.zone_facts import read_zone_facts

MARCH = Days(date(2023, 3, 1), date(2023, 3, 31))


@pytest.fixture(scope="module", params=["yellow", "green"])
def month(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A fleet and its file of a month with about 250,000 trips."""
    folder = tmp_path_factory.mktemp("month")
    path, *_ = write_mirror(folder, MARCH, fleet=request.param, trips_per_day=8000)
    return request.param, path


def query(path: Path, sql: str) -> tuple:
    prefix = "tpep" if "yellow" in path.name else "lpep"
    with duckdb.connect() as connection:
        (row,) = connection.execute(
            f"""
            WITH trips AS (
                SELECT *, {prefix}_pickup_datetime AS pickup, {prefix}_dropoff_datetime AS dropoff FROM read_parquet(?)
            )
            {sql}
            """,
            [str(path)],
        ).fetchall()
    return row


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_trips(tmp_path: Path) -> None:
    days = Days(date(2023, 1, 30), date(2023, 2, 2))
    files = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_mirror(tmp_path / name, days, trips_per_day=200, seed=seed)
        root = tmp_path / name
        files[name] = {str(p.relative_to(root)): sha256_of(p) for p in root.rglob("*") if p.is_file()}
    assert files["a"] == files["b"]
    assert set(files["a"]) == {
        "misc/central_park_weather.csv",
        "misc/fhv_bases.csv",
        "misc/taxi_zones.zip",
        "trip-data/yellow_tripdata_2023-01.parquet",
        "trip-data/yellow_tripdata_2023-02.parquet",
    }
    differing = {name for name in files["a"] if files["a"][name] != files["c"][name]}
    assert differing == {name for name in files["a"] if name.startswith("trip-data")}


def test_a_day_is_the_same_in_whatever_range_it_is_made() -> None:
    first, second = (TripMaker("yellow", trips_per_day=300, seed=4) for _ in range(2))
    first.day(date(2023, 3, 4))
    one, other = first.day(date(2023, 3, 5)), second.day(date(2023, 3, 5))
    assert all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one)


def test_trips_of_a_seed_are_pinned() -> None:
    """A change of numpy, pyarrow or DuckDB must not change the trips; whoever changes the generator renews this."""
    trips = TripMaker("yellow", trips_per_day=1000, seed=0).day(date(2023, 3, 5))
    assert len(trips["vendorid"]) == 877
    assert trips["pulocationid"][:8].tolist() == PINNED_PICKUPS
    assert round(float(np.nansum(trips["total_amount"])), 2) == PINNED_TOTAL


PINNED_PICKUPS = [138, 237, 186, 186, 230, 161, 170, 158]
PINNED_TOTAL = 20896.18


def test_files_say_that_they_are_synthetic(month: tuple[str, Path]) -> None:
    fleet, path = month
    content = read_trip_file(path)
    assert content.synthetic
    assert f'"fleet": "{fleet}"'.encode() in pq.read_schema(path).metadata[b"taxi_pipeline.synthetic"]


def test_the_number_of_trips_is_spread_over_the_week(month: tuple[str, Path]) -> None:
    _, path = month
    rows, busiest, quietest = query(
        path,
        """
        SELECT sum(n), arg_max(weekday, level), arg_min(weekday, level) FROM (
            SELECT isodow(pickup) AS weekday, count(*) AS n, count(*) / count(DISTINCT CAST(pickup AS DATE)) AS level
            FROM trips WHERE pickup BETWEEN '2023-03-01' AND '2023-04-01' GROUP BY weekday
        )
        """,
    )
    assert rows == pytest.approx(31 * 8000, rel=0.02)
    assert (busiest, quietest) == (4, 7), "Thursday and Sunday, as in the real data"


def test_pickups_follow_the_published_shares(mirror: Path, month: tuple[str, Path]) -> None:
    fleet, path = month
    facts = read_zone_facts()
    counts = np.array(
        query(
            path,
            "SELECT list(c ORDER BY z) FROM (SELECT z, count(PULocationID) AS c FROM "
            "range(1, 266) AS zones(z) LEFT JOIN trips ON PULocationID = z GROUP BY z)",
        )[0]
    )
    if fleet == "green":
        assert counts[:263][facts["service_zone"] != "Boro Zone"].sum() == 0, "the TLC lets them pick up elsewhere"
        return
    share = counts[:263] / counts[:263].sum()
    assert np.abs(share - facts["pickup_share"]).max() < 0.002
    assert np.corrcoef(share, facts["pickup_share"])[0, 1] > 0.999


def test_nights_are_quieter_than_evenings(month: tuple[str, Path]) -> None:
    _, path = month
    night, evening = query(
        path,
        "SELECT count(*) FILTER (hour(pickup) IN (3, 4)), count(*) FILTER (hour(pickup) IN (17, 18)) FROM trips",
    )
    assert 5 < evening / night < 20


def test_distances_durations_and_amounts_look_like_the_citys(month: tuple[str, Path]) -> None:
    _, path = month
    miles, minutes, total, tip_share = query(
        path,
        """
        SELECT median(trip_distance), median(date_diff('second', pickup, dropoff)) / 60, median(total_amount),
            count(*) FILTER (tip_amount > 0) / count(*)
        FROM trips WHERE payment_type = 1
        """,
    )
    # Medians of real months: yellow, early 2019: 1.6 miles and 10.6 minutes; green, early 2023: 1.9 and 11.8.
    assert 1.4 < miles < 2.4
    assert 9 < minutes < 15
    assert 14 < total < 24
    assert tip_share > 0.85


def test_amounts_add_up_but_for_fees_that_a_vendor_counts_twice(month: tuple[str, Path]) -> None:
    fleet, path = month
    twice = "coalesce(congestion_surcharge, 0)" + (" + improvement_surcharge" if fleet == "green" else "")
    airport_fee = "coalesce(Airport_fee, 0)" if fleet == "yellow" else "0"
    (wrong,) = query(
        path,
        f"""
        SELECT count(*) FROM trips WHERE passenger_count IS NOT NULL AND abs(total_amount - (
            fare_amount + extra + mta_tax + tip_amount + tolls_amount + improvement_surcharge
            + coalesce(congestion_surcharge, 0) + {airport_fee}
            - CASE WHEN VendorID = 1 THEN {twice} ELSE 0 END)) > 0.005
        """,
    )
    assert wrong == 0


def test_defects_occur_at_their_rates(month: tuple[str, Path]) -> None:
    fleet, path = month
    rows, *counts = query(
        path,
        """
        SELECT count(*),
            count(*) FILTER (pickup < '2023-03-01' OR pickup >= '2023-04-01'),
            count(*) FILTER (total_amount < 0),
            count(*) FILTER (passenger_count IS NULL),
            count(*) FILTER (PULocationID = 264),
            count(*) FILTER (dropoff < pickup),
            count(*) FILTER (trip_distance = 0),
            count(*) FILTER (dropoff > pickup + INTERVAL 20 HOUR)
        FROM trips
        """,
    )
    defects = PARAMETERS[fleet].defects
    expected = [
        defects.outside_month,
        defects.refund,
        defects.unreported,
        defects.unknown_pickup,
        defects.dropoff_first,
        defects.no_distance,
        defects.meter_left_on,
    ]
    for count, rate in zip(counts, expected, strict=True):
        # Five standard deviations of a count; the draws are seeded, so this either always holds or never.
        assert abs(count - rate * rows) < 5 * (rate * rows) ** 0.5 + 1, (counts, rate)
        assert count > 0


def test_refunds_repeat_a_trip_with_the_amounts_negated(month: tuple[str, Path]) -> None:
    _, path = month
    refunds, matched = query(
        path,
        """
        SELECT count(*), count(*) FILTER (EXISTS (
            FROM trips AS t WHERE t.pickup = refund.pickup AND t.total_amount = -refund.total_amount
                AND t.PULocationID = refund.PULocationID))
        FROM trips AS refund WHERE total_amount < 0
        """,
    )
    assert refunds == matched > 0


def test_zones_are_never_null_and_known(month: tuple[str, Path]) -> None:
    _, path = month
    assert query(
        path,
        "SELECT count(*) FROM trips WHERE (PULocationID BETWEEN 1 AND 265 AND DOLocationID BETWEEN 1 AND 265) "
        "IS NOT TRUE",
    ) == (0,)


def test_rates_change_on_their_days() -> None:
    assert (rates_on(date(2022, 12, 18)).initial, rates_on(date(2022, 12, 19)).initial) == (2.5, 3.0)
    assert (rates_on(date(2019, 2, 1)).congestion_yellow, rates_on(date(2019, 2, 2)).congestion_yellow) == (0, 2.5)
    assert (rates_on(date(2025, 1, 4)).cbd_fee, rates_on(date(2025, 1, 5)).cbd_fee) == (0, 0.75)


def test_the_cbd_is_manhattan_south_of_60th_street() -> None:
    facts = read_zone_facts().set_index("zone_id")
    cbd = facts.loc[sorted(CONGESTION_ZONE)]
    assert set(cbd["borough"]) == {"Manhattan"}
    assert cbd["lat"].max() < 40.768
    assert {"Midtown Center", "Battery Park", "Times Sq/Theatre District"} <= set(cbd["zone"])
    assert not {"Upper East Side South", "Lincoln Square East", "Central Park"} & set(cbd["zone"])


def test_the_cbd_fee_is_charged_from_its_first_day_on(tmp_path: Path) -> None:
    day = date(2025, 1, 5)
    path, *_ = write_mirror(tmp_path, Days(day - timedelta(days=1), day), trips_per_day=500)
    before, after = query(
        path,
        "SELECT count(*) FILTER (cbd_congestion_fee > 0 AND pickup < '2025-01-05'), "
        "count(*) FILTER (cbd_congestion_fee = 0.75 AND pickup >= '2025-01-05') FROM trips",
    )
    assert before == 0
    assert after > 200


def test_days_before_the_fleets_first_month_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="green trips can be made from 2013-08-01 on, not for 2013-07-31"):
        write_mirror(tmp_path, Days(date(2013, 7, 31), date(2013, 8, 1)), fleet="green")
    assert not (tmp_path / "trip-data").exists()


def test_alias_tables_draw_by_weight() -> None:
    weights = np.array([[0.0, 1.0, 3.0], [5.0, 0.0, 0.0]])
    rng = np.random.default_rng(1)
    drawn = AliasTable.of(weights).draw(np.repeat([0, 1], 40_000), rng.random(80_000))
    assert np.bincount(drawn[:40_000], minlength=3) / 40_000 == pytest.approx([0, 0.25, 0.75], abs=0.01)
    assert set(drawn[40_000:]) == {0}


@pytest.mark.parametrize("fleet", ["yellow", "green"])
def test_since_june_2026_trips_say_who_sent_them(fleet: str) -> None:
    maker = TripMaker(fleet, trips_per_day=5000, seed=1)
    assert "request_source" not in maker.day(date(2026, 5, 31))
    found = Counter(map(str, maker.day(date(2026, 6, 1))["request_source"]))
    trips = sum(found.values())
    assert 0.7 < found[""] / trips < 0.76
    assert 0.19 < found["HV0003"] / trips < 0.24
    assert set(found) <= {"", "HV0003", "HV0005", "A", "CC", "EH0004", "EH0010"}
