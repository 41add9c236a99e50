"""What every engine of the warehouse promises: one suite for DuckDB and Spark.

What only one engine has is tested elsewhere: DuckDB's file and its locks in `test_warehouse`, Spark's commits in
`test_iceberg`. That both make the same rows of the same files is in `test_engines`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.analysis.panel import day_facts, fleet_panel
from taxi_pipeline.datasets.contents import market_shares_of
from taxi_pipeline.outputs.monthly_report.indicators import indicators_of
from taxi_pipeline.outputs.weather.extreme_days import weather_of_trips
from taxi_pipeline.quality.reconciliation import net_days
from taxi_pipeline.quality.tlc_report import mean_minutes
from taxi_pipeline.sources.calendar import calendar_days
from taxi_pipeline.sources.facts import place_rows
from taxi_pipeline.sources.source import replace_contents
from taxi_pipeline.sources.weather import STATION, WEATHER_SOURCE, read_weather
from taxi_pipeline.tlc.aggregated_report import Indicators
from taxi_pipeline.tlc.codes import code_rows
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.tlc.zones import Zone
from taxi_pipeline.warehouse.coverage import (
    coverage_by_fleet,
    coverage_of,
    is_synthetic,
    loaded_days,
    loaded_months,
    loaded_span,
    newest_days,
    not_loaded,
    outdated_months,
    rejected_rows,
    warehouse_version,
)
from taxi_pipeline.warehouse.ingest import MixedDataError, load_days, refuse_mixture
from taxi_pipeline.warehouse.interface import NothingLoadedError, Session, Warehouse
from taxi_pipeline.warehouse.reference import replace_code_tables, replace_indicators, replace_tables, replace_zones
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline.warehouse.sql import month_start, seconds_between, week_start, weekday
from taxi_pipeline.warehouse.tables import (
    CALENDAR_DAYS,
    LOADED_DAYS,
    NUM_PUBLISHED_COLUMNS,
    REJECTED_TRIPS,
    TABLES,
    TRIPS,
    WEATHER_DAYS,
    ZONES,
)
from taxi_pipeline.warehouse.typing.judgement import UnlikelyFileError
from taxi_pipeline.warehouse.views import DAYS_VIEW
from taxi_pipeline.warehouse.voids import NET_TRIPS_SQL
from taxi_pipeline_tests.odd_files import FILE, PICKUP, good_row, published
from taxi_pipeline_tests.pipelines import contents
from taxi_pipeline_tests.services.warehouses import ENGINES, warehouse_of
from taxi_pipeline_tests.source_files import HEADER, by_day, days_from, write_lines
from taxi_pipeline_tests.void_rows import COLUMNS as VOID_COLUMNS
from taxi_pipeline_tests.void_rows import counts_of, load_trips, net_counts
from taxi_pipeline_tests.void_rows import trip as void_row

FEBRUARY = Days(date(2023, 2, 1), date(2023, 2, 28))
COLUMNS = ("fleet", "pickup_date", "pickup_zone_id", "dropoff_zone_id", "pickup_datetime")
HARLEM = [Zone(74, "East Harlem North", "Manhattan", None), Zone(75, "East Harlem South", "Manhattan", None)]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def warehouse(engine: str, tmp_path: Path) -> Warehouse:
    """A warehouse with zones and nothing else."""
    made = warehouse_of(engine, tmp_path)
    made.change(replace_zones, HARLEM, "zones", synthetic=False)
    return made


@pytest.fixture(scope="module", params=ENGINES)
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with zones and nothing else, for questions that read no table."""
    made = warehouse_of(request.param, tmp_path_factory.mktemp("asked"))
    made.change(replace_zones, HARLEM, "zones", synthetic=False)
    return made


def put(session: Session, fleet: str, days: Days, *pickups: datetime) -> None:
    """Replace days by trips with these pickups, and record the days."""
    rows = " UNION ALL ".join(
        ["SELECT CAST(? AS VARCHAR), CAST(? AS DATE), 74, 75, CAST(? AS TIMESTAMP)"] * len(pickups)
    )
    select = rows or "SELECT fleet, pickup_date, 74, 75, pickup_datetime FROM trips WHERE FALSE"
    values = [value for pickup in pickups for value in (fleet, pickup.date(), pickup)]
    session.replace_days(TRIPS, fleet, days, select, values, COLUMNS)
    by_day = {day: sum(pickup.date() == day for pickup in pickups) for day in days}
    session.replace(LOADED_DAYS, [(fleet, day, num, 0, "v", 9, False, 1, 0, None) for day, num in by_day.items()])


def trips(session: Session) -> list[tuple[Any, ...]]:
    return session.rows("SELECT fleet, pickup_datetime FROM trips ORDER BY fleet, pickup_datetime")


def of_february(*days: int) -> list[datetime]:
    return [datetime(2023, 2, day, 8) for day in days]


def test_replaced_days_hold_the_new_rows_and_no_others_change(warehouse: Warehouse) -> None:
    with warehouse.write() as session:
        put(session, "green", FEBRUARY, *of_february(1, 2, 3, 28))
        put(session, "yellow", FEBRUARY, *of_february(2))
    with warehouse.write() as session:
        put(session, "green", Days(date(2023, 2, 2), date(2023, 2, 3)), *of_february(3, 3))
        inside = trips(session)
    expected = [("green", pickup) for pickup in of_february(1, 3, 3, 28)] + [("yellow", of_february(2)[0])]
    assert inside == expected, "the session sees what it did"
    with warehouse.read() as session:
        assert trips(session) == expected
        assert session.row("SELECT count(fare_amount), min(pickup_zone_id) FROM trips") == (0, 74)


def test_days_can_be_replaced_again_in_the_same_session(warehouse: Warehouse) -> None:
    with warehouse.write() as session:
        put(session, "green", FEBRUARY, *of_february(1, 2, 3))
        put(session, "green", Days(date(2023, 2, 2), date(2023, 2, 2)), *of_february(2, 2))
        put(session, "green", Days(date(2023, 2, 3), date(2023, 2, 28)))
    with warehouse.read() as session:
        assert trips(session) == [("green", pickup) for pickup in of_february(1, 2, 2)]
        assert session.rows("SELECT num_trips, count(*) FROM loaded_days GROUP BY num_trips ORDER BY num_trips") == [
            (0, 26),
            (1, 1),
            (2, 1),
        ]


def test_a_block_that_raises_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.change(put, "green", FEBRUARY, *of_february(1))
    before, version = contents(warehouse), warehouse.query(warehouse_version)
    with pytest.raises(ZeroDivisionError), warehouse.write() as session:
        put(session, "green", FEBRUARY, *of_february(2, 3))
        session.replace(ZONES, [(1, "Newark Airport", "EWR", None)])
        assert session.rows("SELECT zone FROM zones") == [("Newark Airport",)]
        raise ZeroDivisionError
    assert contents(warehouse) == before
    assert warehouse.query(warehouse_version) == version


def test_each_block_makes_a_new_version(warehouse: Warehouse) -> None:
    version = warehouse.query(warehouse_version)
    warehouse.change(put, "green", FEBRUARY, *of_february(1))
    with warehouse.write():
        pass
    assert warehouse.query(warehouse_version) == version + 2


def test_a_small_table_holds_exactly_what_replaces_it(warehouse: Warehouse) -> None:
    for rows in ([(1, "it's", "x", None), (2, "?", "y", "POINT (1 2)")], [(3, ":v0", "$v0", None)], []):
        warehouse.change(lambda session, rows=rows: session.replace(ZONES, rows))
        with warehouse.read() as session:
            assert session.rows("SELECT * FROM zones ORDER BY zone_id") == rows


def test_what_the_tlc_counts_comes_back(warehouse: Warehouse) -> None:
    """Dates, decimals and values that are not published, on both engines."""
    month = date(2022, 3, 1)
    rows = [
        Indicators(month, "Yellow", 116_629, days_per_vehicle=Decimal("26.2"), card_share=Decimal("0.8")),
        Indicators(date(2022, 2, 1), "Yellow", 106_036),
        Indicators(month, "Green", minutes_per_trip=Decimal("15.43")),
    ]
    for written in (rows, rows[:1], []):
        warehouse.change(replace_indicators, written)
        with warehouse.read() as session:
            assert indicators_of(session, month) == [row for row in (rows[2], rows[0]) if row in written]
            assert session.row("SELECT count(*) FROM tlc_indicators") == (len(written),)


def test_what_trips_are_joined_with_comes_back(warehouse: Warehouse, tmp_path: Path) -> None:
    """Weather with its NULLs, days, places; the view of days; the company of a trip by its base, and of a day."""
    days = days_from(date(2023, 2, 1), 28)
    path = write_lines(tmp_path / "weather.csv", [HEADER, *by_day(days), f"{STATION},NY,2023-03-01,,,,,50,40"])
    weather, places = read_weather(path), place_rows()
    calendar = [astuple(day) for day in calendar_days(days[0], date(2023, 3, 1))]
    with warehouse.write() as session:
        replace_contents(session, WEATHER_SOURCE, weather)
        replace_tables(session, {**places, CALENDAR_DAYS: calendar})
        replace_code_tables(session, code_rows())
        put(session, "fhv", FEBRUARY, *of_february(1, 1, 2))
    with warehouse.read() as session:
        for table, rows in {WEATHER_DAYS: weather.rows, CALENDAR_DAYS: calendar, **places}.items():
            found = session.rows(f"SELECT {', '.join(table.column_names)} FROM {table.name}")
            assert Counter(found) == Counter(map(tuple, rows)), table.name
        joined = session.rows(f"SELECT day, holiday, high_f, wind_mph FROM ({DAYS_VIEW.select}) AS days ORDER BY day")
        assert joined[-1] == (date(2023, 3, 1), None, 50, None)
        assert [row[:2] for row in joined if row[1]] == [
            (day.day, day.holiday) for day in calendar_days(days[0], days[-1]) if day.holiday
        ]
        shares = market_shares_of(session, "fhv", date(2023, 2, 1), ["fhv"])
        assert shares[["company", "num_trips"]].to_numpy().tolist() == [["other bases", 3]]
        found_weather = weather_of_trips(session, ["fhv"])
        assert len(found_weather.weather) == 28
        assert found_weather.trips["fhv", date(2023, 2, 1)].num_net_trips == 2
        panel = fleet_panel(session, "fhv", FEBRUARY).trips.set_index(["day", "zone_id"])
        assert panel["dropoffs_away"][panel["dropoffs_away"] > 0].to_dict() == {
            (datetime(2023, 2, 1), 75): 2.0,
            (datetime(2023, 2, 2), 75): 1.0,
        }
        assert day_facts(session, FEBRUARY)["high"].notna().all()


def test_mean_durations_leave_out_implausible_trips(warehouse: Warehouse) -> None:
    """As the TLC's figure is compared: at most 100 miles and 6 hours, and not backwards; by fleet and whole month."""
    pickup, hour = datetime(2023, 2, 8, 8), timedelta(hours=1)
    trips_of_green: list[tuple[datetime | None, Decimal | None]] = [
        (pickup + hour, Decimal(5)),
        (pickup + hour / 2, None),  # without a distance
        (pickup + 6 * hour, Decimal(100)),  # just plausible
        (pickup + 7 * hour, Decimal(5)),
        (pickup + hour, Decimal("100.01")),
        (pickup - hour, Decimal(5)),
        (None, Decimal(5)),
    ]
    one = "SELECT CAST(? AS VARCHAR), CAST(? AS DATE), 74, 75, CAST(? AS TIMESTAMP), CAST(? AS TIMESTAMP), "
    select = " UNION ALL ".join([f"{one}CAST(? AS DECIMAL(12, 3))"] * len(trips_of_green))
    columns = (*COLUMNS, "dropoff_datetime", "trip_distance")

    def load(session: Session) -> None:
        for fleet in ("green", "fhv"):
            put(session, fleet, FEBRUARY, *[pickup] * len(trips_of_green))
            values = [value for end, miles in trips_of_green for value in (fleet, pickup.date(), pickup, end, miles)]
            session.replace_days(TRIPS, fleet, FEBRUARY, select, values, columns)

    warehouse.change(load)
    with warehouse.read() as session:
        months = loaded_months(session, FEBRUARY)
        assert {month.fleet for month in months} == {"green", "fhv"}
        assert mean_minutes(session, months) == {("green", FEBRUARY.first): (60 + 30 + 360) / 3}
        assert mean_minutes(session, [month for month in months if month.fleet == "fhv"]) == {}


def test_recorded_days_replace_those_of_the_same_fleet_and_day(warehouse: Warehouse) -> None:
    def record(session: Session, *rows: tuple[Any, ...]) -> None:
        session.replace(LOADED_DAYS, [(*row, 0, "v", 1, False, None, 0, None) for row in rows])

    first, second = date(2023, 1, 31), date(2023, 2, 1)
    warehouse.change(record, ("green", first, 1), ("green", second, 2), ("yellow", first, 3))
    warehouse.change(record, ("green", second, 5), ("yellow", second, 6))
    warehouse.change(record)
    with warehouse.read() as session:
        found = session.rows("SELECT fleet, pickup_date, num_trips FROM loaded_days ORDER BY fleet, pickup_date")
    assert found == [("green", first, 1), ("green", second, 5), ("yellow", first, 3), ("yellow", second, 6)]


def test_rejected_rows_belong_to_their_day_or_to_the_first_of_the_month(warehouse: Warehouse, tmp_path: Path) -> None:
    def month_with(folder: str, pickups: Sequence[datetime | None], zone: float) -> Any:
        (tmp_path / folder).mkdir()
        rows = [{**good_row(n), PICKUP: pickup, "PULocationID": zone} for n, pickup in enumerate(pickups)]
        return published(tmp_path / folder, rows)

    odd = [*of_february(1, 7, 8), datetime(2009, 1, 1), None]
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with("bad", odd, 74.5))
    assert warehouse.query(rejected_rows, FEBRUARY) == 5
    good = month_with("good", odd, 74.0)
    for days, left in (
        (Days(date(2023, 2, 7), date(2023, 2, 7)), 4),
        (Days(date(2023, 2, 1), date(2023, 2, 6)), 3),
        (FEBRUARY, 2),
    ):
        warehouse.change(load_days, GREEN, [days], good)
        with warehouse.read() as session:
            assert session.row("SELECT count(*) FROM rejected_trips") == (left,)
            assert session.row("SELECT CAST(sum(num_rejected) AS BIGINT) FROM loaded_days") == (left,)
    with warehouse.read() as session:
        assert session.rows(f"SELECT DISTINCT {REJECTED_TRIPS.day}, reason FROM rejected_trips ORDER BY reason") == [
            (FEBRUARY.first, "no pickup time"),
            (FEBRUARY.first, "pickup outside the month"),
        ]


def test_values_that_fit_no_column_are_null_and_counted_by_day(warehouse: Warehouse, tmp_path: Path) -> None:
    fares = ["10.5", "ten", " ", "1e15", None]
    rows = [{**good_row(n), PICKUP: datetime(2023, 2, 7 + n % 2, 8), "fare_amount": f} for n, f in enumerate(fares)]
    rows[1]["DOLocationID"] = "  "
    types = {"fare_amount": pa.string(), "DOLocationID": pa.string()}
    rows = [{**row, "DOLocationID": str(row["DOLocationID"])} for row in rows]
    warehouse.change(load_days, GREEN, [FEBRUARY], published(tmp_path, rows, types))
    with warehouse.read() as session:
        assert session.rows("SELECT fare_amount, dropoff_zone_id FROM trips ORDER BY dropoff_datetime") == [
            (Decimal("10.50"), 75),
            (None, 264),
            (None, 75),
            (None, 75),
            (None, 75),
        ]
        noted = session.rows(
            "SELECT pickup_date, num_trips, num_rejected, num_unfit, unfit_values FROM loaded_days WHERE num_trips > 0 "
            "ORDER BY pickup_date"
        )
    assert noted[0] == (date(2023, 2, 7), 3, 0, 0, None)
    note = "1 × fare_amount does not fit DECIMAL(12, 2): "
    assert noted[1] in [(date(2023, 2, 8), 2, 0, 2, f"2{note[1:]}{value}") for value in ("ten", "1e15")]


def test_a_month_that_lost_rows_is_not_loaded_until_it_is_accepted(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    warehouse.change(load_days, GREEN, [FEBRUARY], published(tmp_path / "first", [good_row(n) for n in range(60)]))
    fewer = published(tmp_path / "second", [good_row(n) for n in range(20)])
    with pytest.raises(UnlikelyFileError, match="it has 20 rows, where the version before has 60"):
        warehouse.change(load_days, GREEN, [FEBRUARY], fewer)
    with warehouse.read() as session:
        assert session.row("SELECT count(*) FROM trips") == (60,)
    warehouse.change(load_days, GREEN, [FEBRUARY], fewer, accepted=["green/2023-02"])
    with warehouse.read() as session:
        assert session.row("SELECT count(*) FROM trips") == (20,)


def test_of_two_columns_with_one_name_the_filled_one_is_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    files = published(tmp_path, [good_row(n) for n in range(3)])
    table = pq.read_table(tmp_path / FILE)
    both = table.add_column(0, "pulocationid", pa.nulls(3, pa.int64()))
    different = table.add_column(0, "pulocationid", pa.array([1, 1, 1]))
    for name, content in (("both", both), ("different", different)):
        pq.write_table(content, tmp_path / f"{name}.parquet")
    fetch((tmp_path / "both.parquet").as_uri(), files, FILE, verify=lambda _: None)
    warehouse.change(load_days, GREEN, [FEBRUARY], files)
    with warehouse.read() as session:
        assert session.rows("SELECT DISTINCT pickup_zone_id FROM trips") == [(74,)]
    fetch((tmp_path / "different.parquet").as_uri(), files, FILE, verify=lambda _: None)
    with pytest.raises(UnusableFileError, match="'pulocationid' and 'PULocationID' are the same column"):
        warehouse.change(load_days, GREEN, [FEBRUARY], files)


def test_rollups_can_be_counted_again_alone(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [{**good_row(n), PICKUP: good_row()[PICKUP].replace(day=1 + n % 20)} for n in range(30)]
    warehouse.change(load_days, GREEN, [FEBRUARY], published(tmp_path, rows))
    before = contents(warehouse)
    assert before["zone_hourly_trips"].total() == before["borough_flows"].total() == 20
    with warehouse.write() as session:
        session.replace_days(
            TABLES_BY_NAME["borough_flows"], "green", FEBRUARY, "SELECT * FROM borough_flows WHERE FALSE"
        )
    assert contents(warehouse)["borough_flows"].total() == 0
    warehouse.change(count_again, Days(date(2023, 1, 20), date(2023, 3, 9)), ["zone_hourly_trips", "borough_flows"])
    assert contents(warehouse) == before


@pytest.mark.parametrize("seed", [1, 2])
def test_voids_are_the_same_rows_in_whatever_order_they_come(warehouse: Warehouse, seed: int) -> None:
    """Rows in any order, with duplicates: what is left is what Python leaves, and the same rows each time."""
    random = Random(seed)  # noqa: S311 - no secret
    rows = [
        void_row(
            pickup_zone_id=random.choice([74, 75]),
            dropoff_datetime=random.choice([None, datetime(2023, 2, 9, 0, 5)]),
            trip_distance=random.choice([None, Decimal("2.500")]),
            passenger_count=random.choice([None, 1, 2]),
            total_amount=random.choice([None, Decimal(-12), Decimal(-7), Decimal(7), Decimal(12)]),
        )
        for _ in range(60)
    ]
    net, voids = _net_and_voids(warehouse, rows)
    assert counts_of(net.elements()) == net_counts(rows)
    assert sum(row[4] for row in voids) == 60 - net.total() >= 20
    random.shuffle(rows)
    assert _net_and_voids(warehouse, rows) == (net, voids)


def _net_and_voids(warehouse: Warehouse, rows: Sequence[dict[str, Any]]) -> tuple[Counter[Any], list[Any]]:
    """Load these trips; the net trips, as they are counted, and the rows of `zone_hourly_voids`."""
    warehouse.change(load_trips, rows, ["green"])
    with warehouse.read() as session:
        net = session.rows(f"SELECT {', '.join(VOID_COLUMNS)} FROM ({NET_TRIPS_SQL}) AS net_trips")
        assert all(day.is_right for day in net_days(session, None))
        return Counter(net), session.rows("SELECT * FROM zone_hourly_voids ORDER BY pickup_date, pickup_zone_id")


TABLES_BY_NAME = {table.name: table for table in TABLES}


def test_coverage_tells_what_is_loaded(warehouse: Warehouse) -> None:
    week = Days(date(2023, 2, 1), date(2023, 2, 7))
    warehouse.change(put, "green", FEBRUARY, *of_february(1, 1, 5))
    warehouse.change(put, "yellow", week, *of_february(2))
    with warehouse.read() as session:
        green, yellow = loaded_months(session, week)
        assert (green.num_days, green.num_trips, green.is_whole, green.file_version) == (28, 3, True, "v")
        assert green.trips_per_day == 3 / 28
        assert loaded_span(session) == FEBRUARY
        assert not is_synthetic(session)
        assert (yellow.num_days, yellow.num_trips, yellow.is_whole, yellow.num_versions) == (7, 1, False, 1)
        assert coverage_of(session, ["yellow"]).last_day == week.last
        assert coverage_of(session, []).num_days == 0
        assert coverage_by_fleet(session)["green"].num_missing == 0
        assert newest_days(session) == {"green": FEBRUARY.last, "yellow": week.last}
        assert len(loaded_days(session, week, ["green", "yellow"])) == 14
        assert outdated_months(session) == {"green": [FEBRUARY.first], "yellow": [FEBRUARY.first]}
        assert NUM_PUBLISHED_COLUMNS > 1


def test_of_nothing_loaded_there_is_no_first_day(warehouse: Warehouse) -> None:
    with warehouse.read() as session:
        assert loaded_span(session) is None
        assert loaded_months(session, FEBRUARY) == []


def test_no_fleet_lacks_a_day_before_its_first_month() -> None:
    days = Days(date(2019, 1, 31), date(2019, 2, 2))
    assert not_loaded({("fhvhv", date(2019, 2, 2)), ("yellow", days.first)}, days, ["yellow", "fhvhv"]) == [
        ("yellow", date(2019, 2, 1)),
        ("yellow", date(2019, 2, 2)),
        ("fhvhv", date(2019, 2, 1)),
    ]


def test_tables_are_as_declared(warehouse: Warehouse) -> None:
    with warehouse.read() as session:
        for table in TABLES:
            assert session.column_types(table.name) == table.column_types, table.name
            assert list(session.column_types(table.name)) == list(table.column_names)


def test_synthetic_and_real_trips_do_not_mix(warehouse: Warehouse) -> None:
    warehouse.change(put, "green", FEBRUARY, *of_february(1))
    with pytest.raises(MixedDataError, match=r"zones\.zip is synthetic, but the warehouse holds 28 days of real trips"):
        warehouse.query(refuse_mixture, "raw/zones.zip", synthetic=True)


def test_reading_before_anything_was_loaded_says_what_to_do(engine: str, tmp_path: Path) -> None:
    nothing = warehouse_of(engine, tmp_path)
    with pytest.raises(NothingLoadedError, match="materialize taxi_zones"), nothing.read():
        pass


# Questions


@pytest.mark.parametrize(
    "day", [date(1900, 1, 1), date(2009, 1, 4), date(2023, 3, 5), date(2024, 2, 29), date(2041, 12, 31)]
)
def test_weekdays_weeks_and_months(asked: Warehouse, day: date) -> None:
    sql = f"SELECT {weekday('day')}, {week_start('day')}, {month_start('day')} FROM (SELECT CAST(? AS DATE) AS day)"
    with asked.read() as session:
        number, sunday, first = session.row(sql, [day])
    assert (number, sunday, first) == (day.isoweekday() % 7, Days(day, day).in_weeks().first, day.replace(day=1))


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("2023-01-01 00:00:00", "2023-01-02 00:00:01", 86_401),
        ("2023-01-01 00:00:10", "2023-01-01 00:00:00", -10),
        ("2023-01-01 00:00:00.9", "2023-01-01 00:00:01.1", 1),
        ("2023-03-12 01:30:00", "2023-03-12 03:30:00", 7_200),
    ],
)
def test_seconds_between(asked: Warehouse, start: str, end: str, seconds: int) -> None:
    """Seconds are counted by the wall clock, also where New York's clocks change."""
    sql = f"SELECT {seconds_between('a', 'b')} FROM (SELECT CAST(? AS TIMESTAMP) AS a, CAST(? AS TIMESTAMP) AS b)"
    with asked.read() as session:
        assert session.row(sql, [datetime.fromisoformat(start), datetime.fromisoformat(end)]) == (seconds,)


@pytest.mark.parametrize("before", ["", "'?', "])
def test_values_are_bound_whatever_they_hold(asked: Warehouse, before: str) -> None:
    """Regression: a quote and `drop table` dropped the table. Spark Connect 4.1.3 mixes up many question marks."""
    evil = "Manhattan'; DROP TABLE zones; --"
    values = [
        evil,
        "it's",
        'a "b"',
        "?",
        ":v0",
        "$v0",
        "--",
        "",
        "💡",
        1,
        None,
        date(2023, 3, 5),
        True,
        Decimal("1.50"),
    ]
    with asked.read() as session:
        row = session.row(f"SELECT {before}{', '.join('?' for _ in values)}", values)
        assert list(row)[-len(values) :] == values
        assert session.row("SELECT count(*) FROM zones") == (2,)
