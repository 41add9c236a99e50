"""The graph through Dagster on a real DuckDB file: values, not only success."""

import csv
import json
import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import shapely

from taxi_pipeline.defs import partitions
from taxi_pipeline.defs.assets import (
    ASSETS,
    manhattan_map,
    manhattan_stats,
    taxi_trips_file,
    taxi_zones,
    taxi_zones_file,
    trip_tables,
    trips_by_week,
)
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.storage.whole_files import sha256_of
from taxi_pipeline.tlc.file_schemas import published_names
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import SYNTHETIC_KEY
from taxi_pipeline.warehouse.tables import BOROUGH_FLOWS, TABLES, TRIPS, TRIPS_BY_WEEK, ZONE_HOURLY_TRIPS, ZONES
from taxi_pipeline_tests.pipelines import (
    CONTENT_TABLES,
    EVERYTHING,
    Pipeline,
    check_of,
    error_of,
    materializations_of,
    pipeline_in,
    range_tags,
    table_of,
)

MakePipeline = Callable[..., Pipeline]


def published(mirror: Path, fleet: str, month: str, sql: str) -> list[tuple[Any, ...]]:
    """A plain query over a published file, with `pickup` for the fleet's own name of the column."""
    path = mirror / "trip-data" / f"{fleet}_tripdata_{month}.parquet"
    prefix = "tpep" if fleet == "yellow" else "lpep"
    with duckdb.connect() as connection:
        return connection.execute(
            f"WITH trips AS (SELECT *, {prefix}_pickup_datetime AS pickup FROM read_parquet(?)) {sql}", [str(path)]
        ).fetchall()


def test_one_day_through_the_whole_graph(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    result = pipeline.run("2023-02-07")
    assert all(check.passed for check in result.get_asset_check_evaluations())
    ((expected_rows, expected_total),) = published(
        mirror,
        "yellow",
        "2023-02",
        "SELECT count(*), sum(CAST(total_amount AS DECIMAL(12, 2))) FROM trips "
        "WHERE pickup >= '2023-02-07' AND pickup < '2023-02-08'",
    )
    assert expected_rows > 500
    assert pipeline.rows("SELECT count(*), sum(total_amount) FROM trips") == [(expected_rows, expected_total)]
    assert pipeline.rows("SELECT sum(num_trips), sum(total_amount) FROM zone_hourly_trips") == [
        (expected_rows, expected_total)
    ]
    rows = list(csv.DictReader((pipeline.folder / "outputs" / "trips_by_week.csv").read_text().splitlines()))
    assert [(row["period"], row["num_trips"], row["total_amount"]) for row in rows] == [
        ("2023-02-05", str(expected_rows), f"{expected_total:.2f}")
    ]
    assert pipeline.rows("SELECT count(*) FROM rejected_trips") == [(0,)], "they come with the month's first day"


def test_materialize_with_a_partition_key(make_pipeline: MakePipeline, mirror: Path) -> None:
    """A call as people write it in their own tests."""
    pipeline = make_pipeline(mirror)
    graph = [taxi_trips_file, taxi_zones_file, taxi_zones, trip_tables]
    graph += [trips_by_week, manhattan_stats, manhattan_map]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(graph, partition_key="2023-02-07", resources=pipeline.resources, instance=instance)
    assert result.success
    assert pipeline.rows("SELECT min(pickup_date), max(pickup_date) FROM trips") == [(date(2023, 2, 7),) * 2]


def test_two_months_over_the_type_change_lose_no_row(make_pipeline: MakePipeline, mirror: Path) -> None:
    """January has doubles and null-typed columns where February has integers; every row is accounted for."""
    pipeline = make_pipeline(mirror, fleets=("yellow", "green"))
    pipeline.load("2023-01-01", "2023-02-28")
    for fleet in ("yellow", "green"):
        for month in ("2023-01", "2023-02"):
            first = f"{month}-01"
            ((rows, inside),) = published(
                mirror,
                fleet,
                month,
                f"SELECT count(*), count(*) FILTER (strftime(pickup, '%Y-%m') = '{month}') FROM trips",
            )
            ((loaded,),) = pipeline.rows(
                "SELECT count(*) FROM trips WHERE fleet = ? AND date_trunc('month', pickup_date) = CAST(? AS DATE)",
                [fleet, first],
            )
            ((rejected,),) = pipeline.rows(
                "SELECT count(*) FROM rejected_trips WHERE fleet = ? AND month = CAST(? AS DATE)", [fleet, first]
            )
            assert (loaded, loaded + rejected) == (inside, rows)
    assert pipeline.rows("SELECT DISTINCT reason FROM rejected_trips") == [("pickup outside the month",)]


def test_values_are_those_published(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Every column of every row, across the casts."""
    pipeline = make_pipeline(mirror, fleets=("green",))
    pipeline.run("2023-01-15", select=[taxi_trips_file, "taxi_trips"])
    sources = GREEN.sources_in(published_names("green", date(2023, 1, 1)))
    columns = [name for name in TRIPS.column_names if name == "pickup_date" or name in sources]
    loaded = pipeline.rows(f"SELECT {', '.join(columns)} FROM trips ORDER BY ALL")
    source = {
        "pickup_date": "CAST(pickup AS DATE)", "vendor_id": "VendorID", "pickup_zone_id": "PULocationID",
        "dropoff_zone_id": "DOLocationID", "rate_code_id": "RatecodeID", "pickup_datetime": "pickup",
        "dropoff_datetime": "lpep_dropoff_datetime",
    }  # fmt: skip
    expected = published(
        mirror,
        "green",
        "2023-01",
        f"SELECT {', '.join(source.get(name, name) for name in columns)} FROM trips "
        "WHERE CAST(pickup AS DATE) = '2023-01-15' ORDER BY ALL",
    )

    def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(round(float(value), 3) if isinstance(value, (int, float, Decimal)) else value for value in row)

    assert [plain(row) for row in loaded] == [plain(row) for row in expected]
    others = [name for name in TRIPS.column_names if name not in (*columns, "fleet")]
    assert {"airport_fee", "cbd_congestion_fee", "licensee", "driver_pay", "wheelchair_match"} <= set(others)
    assert pipeline.rows(
        f"SELECT count(coalesce({', '.join(f'CAST({c} AS VARCHAR)' for c in others)})) FROM trips"
    ) == [(0,)]


def test_tables_have_the_declared_columns(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    pipeline.load("2023-02-07")
    with pipeline.warehouse.read() as session:
        for table in TABLES:
            assert list(session.column_types(table.name).items()) == list(table.column_types.items())
    assert TRIPS.column_names == (
        "fleet", "pickup_date", "vendor_id", "pickup_zone_id", "dropoff_zone_id", "rate_code_id", "payment_type",
        "pickup_datetime", "dropoff_datetime", "trip_distance", "passenger_count", "fare_amount", "tip_amount",
        "tolls_amount", "congestion_surcharge", "airport_fee", "cbd_congestion_fee", "total_amount", "licensee",
        "dispatching_base_num", "request_datetime", "on_scene_datetime", "driver_pay", "shared_request",
        "shared_match", "access_a_ride", "wheelchair_request", "wheelchair_match",
        "extra", "mta_tax", "improvement_surcharge", "store_and_fwd_flag", "trip_type", "ehail_fee", "black_car_fund",
        "sales_tax", "trip_time", "originating_base_num", "affiliated_base_number", "request_source",
        "pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude",
    )  # fmt: skip


def test_outputs_are_the_same_bytes_whatever_the_order_and_chunks(make_pipeline: MakePipeline, mirror: Path) -> None:
    """A re-run, and days loaded one by one in reverse order, change nothing."""
    at_once, one_by_one = make_pipeline(mirror, name="at_once"), make_pipeline(mirror, name="one_by_one")
    at_once.run("2023-01-29", "2023-02-03", select=EVERYTHING)
    first = at_once.bytes_of_outputs()
    assert len(first) == 7
    at_once.run("2023-01-29", "2023-02-03", select=EVERYTHING)
    assert at_once.bytes_of_outputs() == first
    for day in ("2023-02-03", "2023-02-02", "2023-02-01", "2023-01-31", "2023-01-30"):
        one_by_one.load(day)
    one_by_one.run("2023-01-29", select=EVERYTHING)
    assert one_by_one.bytes_of_outputs() == first
    query = "SELECT * FROM {} ORDER BY ALL"
    for table in CONTENT_TABLES:
        assert at_once.rows(query.format(table.name)) == one_by_one.rows(query.format(table.name)), table.name


def test_weeks_net_of_voids_lie_beside_the_weeks_as_published(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    pipeline.run("2023-01-29", "2023-02-28")
    published, net = (
        pipeline.files.read_text(f"outputs/{name}.csv").splitlines() for name in ("trips_by_week", "trips_by_week_net")
    )
    weeks = pipeline.rows(
        "SELECT strftime(pickup_date - CAST(dayofweek(pickup_date) AS INTEGER), '%Y-%m-%d') AS period, "
        "unnest(['all', fleet]) AS of_fleet, count(*), sum(total_amount), round(sum(trip_distance), 2), "
        "sum(passenger_count) FROM net_trips GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert net[1:] == [
        f"{week},{fleet},{trips},{total:.2f},{miles:.2f},{people}" for week, fleet, trips, total, miles, people in weeks
    ]
    assert net[0] == published[0].replace("period,", "period,fleet,")
    assert [row for row in net if row.replace(",all", "") in published] != net, "the sample has voids"


def test_weekly_csv_is_what_its_readers_expect(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror, fleets=("yellow", "green"))
    pipeline.run("2023-01-28", "2023-02-05")
    text = (pipeline.folder / "outputs" / "trips_by_week.csv").read_text()
    header, *rows = text.splitlines()
    assert header == "period,num_trips,total_amount,trip_distance,passenger_count"
    assert [row.split(",")[0] for row in rows] == ["2023-01-22", "2023-01-29", "2023-02-05"], "Sundays"
    for row in rows:
        _, trips, amount, miles, passengers = row.split(",")
        assert (trips.isdigit(), passengers.isdigit()) == (True, True)
        assert (len(amount.partition(".")[2]), len(miles.partition(".")[2])) == (2, 2)
    ((trips, amount),) = pipeline.rows("SELECT count(*), sum(total_amount) FROM trips")
    assert sum(int(row.split(",")[1]) for row in rows) == trips
    assert sum(Decimal(row.split(",")[2]) for row in rows) == amount


def test_rollups_count_the_configured_fleets_only(make_pipeline: MakePipeline, mirror: Path) -> None:
    both = make_pipeline(mirror, fleets=("yellow", "green"))
    both.run("2023-02-07")
    green = Pipeline(both.folder, make_pipeline(mirror, fleets=("green",)).tlc, both.warehouse, both.files)
    green.run("2023-02-07")
    ((trips,),) = green.rows("SELECT count(*) FROM trips WHERE fleet = 'green'")
    ((all_trips,),) = green.rows("SELECT count(*) FROM trips")
    assert all_trips > trips, "yellow's trips stay"
    assert (green.folder / "outputs" / "trips_by_week.csv").read_text().splitlines()[1].split(",")[1] == str(trips)
    stats = json.loads((green.folder / "staging" / "manhattan_stats.geojson").read_text())
    assert stats["coverage"]["fleets"] == ["green"]


def test_manhattan_stats_is_geojson_of_69_zones(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    pipeline.run("2023-02-01", "2023-02-03")
    stats = json.loads((pipeline.folder / "staging" / "manhattan_stats.geojson").read_text())
    features = stats["features"]
    ids = [feature["properties"]["zone_id"] for feature in features]
    assert stats["type"] == "FeatureCollection"
    assert "crs" not in stats, "RFC 7946 knows only WGS 84"
    assert len(ids) == len(set(ids)) == 69
    assert ids == sorted(ids)
    assert {103, 104, 105} <= set(ids), "zones without trips are there too"
    counts = dict(pipeline.rows("SELECT pickup_zone_id, count(*) FROM trips GROUP BY ALL"))
    for feature in features:
        properties = feature["properties"]
        assert set(properties) >= {"zone_id", "zone", "borough", "num_trips", "total_amount"}
        assert properties["borough"] == "Manhattan"
        assert properties["num_trips"] == counts.get(properties["zone_id"], 0)
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        assert shape.is_valid
        assert all(part.exterior.is_ccw for part in getattr(shape, "geoms", [shape])), "RFC 7946's right-hand rule"
        west, south, east, north = shape.bounds
        assert -74.1 < west < east < -73.8
        assert 40.6 < south < north < 40.95
    assert stats["coverage"] == {
        "fleets": ["yellow"], "first_day": "2023-02-01", "last_day": "2023-02-03", "num_days": 3, "synthetic": True,
    }  # fmt: skip


def test_the_map_is_ten_inches_and_in_the_metadata(make_pipeline: MakePipeline, mirror: Path) -> None:
    from PIL import Image

    pipeline = make_pipeline(mirror)
    result = pipeline.run("2023-02-01")
    with Image.open(pipeline.folder / "outputs" / "manhattan_map.png") as image:
        assert image.size == (1500, 1500)
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
    (materialization,) = materializations_of(result, "manhattan_map")
    assert "data:image/png;base64," in str(materialization.metadata["preview"].value)
    assert materialization.metadata["synthetic"].value is True


def _replace_month(mirror: Path, table: pa.Table, name: str = "yellow_tripdata_2023-02.parquet") -> None:
    path = mirror / "trip-data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def test_a_day_without_trips_is_loaded_as_such(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    """Regression: empty results crash charts."""
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    _replace_month(own_mirror, table.slice(0, 0))
    refused = error_of(make_pipeline(own_mirror, name="refusing").run("2023-02-07", fails=True))
    assert "it has no rows at all. If it is right all the same, set TAXI_ACCEPT=yellow/2023-02" in refused
    pipeline = make_pipeline(own_mirror, accepted=["yellow/2023-02"])
    result = pipeline.run("2023-02-07")
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity.value) for check in failed] == [("days_have_trips", "WARN")]
    assert pipeline.rows("SELECT pickup_date, num_trips FROM loaded_days") == [(date(2023, 2, 7), 0)]
    assert (pipeline.folder / "outputs" / "trips_by_week.csv").read_text().count("\n") == 1, "the header alone"
    assert (pipeline.folder / "outputs" / "manhattan_map.png").stat().st_size > 10_000


def test_null_and_odd_pickups_are_rejected_with_their_reason(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    pickups = table["tpep_pickup_datetime"].to_pylist()
    outside = sum((pickup.year, pickup.month) != (2023, 2) for pickup in pickups)
    inside = next(n for n, pickup in enumerate(pickups) if (pickup.year, pickup.month) == (2023, 2))
    pickups[inside] = None
    column = table.schema.get_field_index("tpep_pickup_datetime")
    _replace_month(
        own_mirror, table.set_column(column, table.schema.field(column), pa.array(pickups, pa.timestamp("us")))
    )
    pipeline = make_pipeline(own_mirror)
    result = pipeline.run("2023-02-01", "2023-02-28")
    assert check_of(result, "trips_conserved").passed
    reasons = dict(pipeline.rows("SELECT reason, count(*) FROM rejected_trips GROUP BY ALL"))
    assert reasons == {key: n for key, n in (("no pickup time", 1), ("pickup outside the month", outside)) if n}


def test_zones_out_of_range_become_unknown(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    """Every trip joins the zones; none vanishes without a word."""
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    column = table.schema.get_field_index("PULocationID")
    zones = table["PULocationID"].to_pylist()
    zones[:3] = [None, 0, 99_999]
    _replace_month(own_mirror, table.set_column(column, table.schema.field(column), pa.array(zones, pa.int32())))
    pipeline = make_pipeline(own_mirror)
    pipeline.load("2023-02-01", "2023-02-28")
    ((joined,),) = pipeline.rows("SELECT count(*) FROM trips JOIN zones ON zone_id = pickup_zone_id")
    assert pipeline.rows("SELECT count(*) FROM trips") == [(joined,)]
    assert pipeline.rows("SELECT DISTINCT zone FROM zones WHERE zone_id = 264") == [("Unknown",)]


def test_a_republished_month_replaces_its_days_and_changes_the_version(
    make_pipeline: MakePipeline, own_mirror: Path
) -> None:
    pipeline = make_pipeline(own_mirror)
    old = pipeline.run("2023-01-31", "2023-02-28")
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    _replace_month(own_mirror, table.filter(pc.field("trip_distance") > 1.0))
    new = pipeline.run("2023-02-01", "2023-02-28")
    assert check_of(new, "trips_conserved").passed
    ((far,),) = published(
        own_mirror, "yellow", "2023-02", "SELECT count(*) FROM trips WHERE strftime(pickup, '%Y-%m') = '2023-02'"
    )
    assert pipeline.rows("SELECT count(*) FROM trips WHERE pickup_date >= '2023-02-01'") == [(far,)]
    assert pipeline.rows("SELECT count(*) FROM trips WHERE pickup_date < '2023-02-01'")[0][0] > 0
    versions = [
        next(
            (made.tags or {})["dagster/data_version"]
            for made in materializations_of(result, "taxi_trips_file")
            if made.partition == "2023-02-28"
        )
        for result in (old, new)
    ]
    assert versions[1] == sha256_of(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet") != versions[0]
    metadata = materializations_of(new, "taxi_trips_file")[-1].metadata
    ((before,),) = pipeline.rows("SELECT DISTINCT file_version FROM loaded_days WHERE pickup_date < '2023-02-01'")
    assert metadata["replaced_version"].value not in (versions[1], before), "that of the month's file before"
    again = pipeline.run("2023-02-01", select=[taxi_trips_file]).asset_materializations_for_node("taxi_trips_file")
    assert "replaced_version" not in again[-1].metadata


def test_the_data_version_of_a_day_is_that_of_its_own_file(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Regression: a run over two months stamped each day with a digest of both files."""
    pipeline = make_pipeline(mirror)
    with dg.instance_for_test() as instance:
        result = dg.materialize(
            [*partitions.between(date(2023, 1, 30), None, ["yellow"], [taxi_trips_file])],
            resources=pipeline.resources,
            tags=range_tags("2023-01-30", "2023-02-02"),
            instance=instance,
        )
        assert result.success
        records = instance.fetch_materializations(taxi_trips_file.key, limit=20).records
        latest = {}
        for record in records:  # newest first
            made = record.asset_materialization
            assert made
            latest.setdefault(made.partition, (made.tags or {})["dagster/data_version"])
    expected = [sha256_of(mirror / "trip-data" / f"yellow_tripdata_2023-0{month}.parquet") for month in (1, 1, 2, 2)]
    assert [latest[day] for day in ("2023-01-30", "2023-01-31", "2023-02-01", "2023-02-02")] == expected


def test_a_table_is_recorded_when_it_was_written(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Regression: a run of `taxi_trips` alone wrote the rollups, and nothing that depends on them was made again."""
    pipeline = make_pipeline(mirror)
    pipeline.run("2023-02-07", "2023-02-08", select=["taxi_zones_file", "taxi_zones", "taxi_trips_file"])
    result = pipeline.run("2023-02-07", "2023-02-08", select=["taxi_trips"])
    for asset in ("taxi_trips", "zone_hourly_trips", "borough_flows"):
        made = materializations_of(result, asset)
        assert [one.partition for one in made] == ["2023-02-07", "2023-02-08"], asset
        counts = pipeline.rows(
            f"SELECT count(*) FROM {asset.removeprefix('taxi_')} GROUP BY pickup_date ORDER BY pickup_date"
        )
        assert [(one.metadata["dagster/partition_row_count"].value,) for one in made] == counts
    result = pipeline.run("2023-02-07", select=["borough_flows"])
    assert {made.asset_key.to_user_string() for made in map(_made, result.all_events) if made} == {"borough_flows"}


def _made(event: dg.DagsterEvent) -> dg.AssetMaterialization | None:
    return event.step_materialization_data.materialization if event.is_step_materialization else None


def test_part_of_a_republished_month_is_reported(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    """Days of two versions of a file can't add up; the check says what to do and does not block."""
    pipeline = make_pipeline(own_mirror)
    pipeline.load("2023-02-01", "2023-02-28")
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    _replace_month(own_mirror, table.filter(pc.field("trip_distance") > 1.0))
    check = check_of(pipeline.run("2023-02-07"), "trips_conserved")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "materialize the whole month" in str(check.metadata["months"].value)


@pytest.fixture(scope="module")
def two_days(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Two days with all that is made of them. Copy its folder, never write to it."""
    pipeline = pipeline_in(tmp_path_factory.mktemp("two_days"), mirror)
    pipeline.run("2023-02-01", "2023-02-02")
    return pipeline


def _state(pipeline: Pipeline) -> tuple[Any, ...]:
    tables = [pipeline.rows(f"SELECT * FROM {table.name} ORDER BY ALL") for table in CONTENT_TABLES]
    raw = {path.name: path.read_bytes() for path in (pipeline.folder / "raw").glob("*.parquet")}
    return tables, raw, pipeline.bytes_of_outputs()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"<!DOCTYPE HTML><TITLE>ERROR: The request could not be satisfied</TITLE>", "HTML or XML page"),
        (b'{"error": true}', "JSON"),
        (b"", "an empty file"),
        (None, "truncated or damaged Parquet file"),
    ],
)
def test_a_bad_file_changes_nothing(
    two_days: Pipeline, own_mirror: Path, tmp_path: Path, content: bytes | None, named: str
) -> None:
    """Regression: a corrupt file took the table from 60 rows to 0, and the good file with it."""
    pipeline = pipeline_in(Path(shutil.copytree(two_days.folder, tmp_path / "data")), own_mirror)
    before = _state(pipeline)
    path = own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet"
    path.write_bytes(path.read_bytes()[:-1000] if content is None else content)
    result = pipeline.run("2023-02-01", "2023-02-02", fails=True)
    assert named in error_of(result)
    assert _state(pipeline) == before


def test_a_value_that_fits_no_column_costs_no_trip(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    """Regression: it failed the load of the whole month, and later cost its row."""
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    column = table.schema.get_field_index("fare_amount")
    fares = table["fare_amount"].to_pylist()
    fares[-1] = 1e15
    _replace_month(own_mirror, table.set_column(column, table.schema.field(column), pa.array(fares)))
    pipeline = make_pipeline(own_mirror)
    result = pipeline.run("2023-02-01", "2023-02-28")
    assert check_of(result, "trips_conserved").passed
    ((trips,),) = pipeline.rows("SELECT count(*) FROM trips")
    ((outside,),) = pipeline.rows("SELECT count(*) FROM rejected_trips WHERE reason = 'pickup outside the month'")
    assert pipeline.rows("SELECT count(*) FROM trips WHERE fare_amount IS NULL") == [(1,)]
    assert trips + outside == len(table)
    check = check_of(result, "values_fit")
    assert (check.passed, check.description) == (False, "1 values are NULL")
    assert "fare_amount does not fit DECIMAL(12, 2): 1000000000000000.0" in str(check.metadata["rejected"].value)


def test_a_load_that_fails_leaves_all_as_it_was(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    """The second month's file is damaged on disk: the first one's days, deleted and inserted by then, come back."""
    pipeline = make_pipeline(own_mirror)
    pipeline.run("2023-01-31", "2023-02-01")
    before = _state(pipeline)[0]
    path = pipeline.folder / "raw" / "yellow_tripdata_2023-02.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    error = error_of(pipeline.run("2023-01-25", "2023-02-28", select=["taxi_trips", "zone_hourly_trips"], fails=True))
    assert "yellow_tripdata_2023-02.parquet is not what was fetched" in error
    assert _state(pipeline)[0] == before
    pipeline.load("2023-01-25", "2023-02-28")
    assert pipeline.rows("SELECT count(DISTINCT pickup_date) FROM trips") == [(35,)], "mended"


def test_the_hourly_table_follows_the_trips_whichever_asset_ran(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    """Regression: after a crash between the two assets, or a run of only one, the rollups counted other trips."""
    pipeline = make_pipeline(own_mirror)
    pipeline.load("2023-02-06", "2023-02-08")
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    _replace_month(own_mirror, table.filter(pc.field("trip_distance") > 1.0))
    pipeline.run("2023-02-07", select=[taxi_trips_file, "taxi_trips"])
    counts = "SELECT pickup_date, CAST(sum({}) AS BIGINT), sum(total_amount) FROM {} GROUP BY ALL ORDER BY ALL"
    trips = pipeline.rows(counts.format("1", "trips"))
    assert pipeline.rows(counts.format("num_trips", "zone_hourly_trips")) == trips
    flows = pipeline.rows("SELECT * FROM borough_flows ORDER BY ALL")
    for table in ("zone_hourly_trips", "zone_hourly_dropoffs", "borough_flows"):
        pipeline.execute(f"DELETE FROM {table} WHERE pickup_date = '2023-02-07'")
    result = pipeline.run("2023-02-07", select=["zone_hourly_trips", "borough_flows"])
    assert check_of(result, "hourly_trips_match_trips").passed
    assert check_of(result, "borough_flows_match_trips").passed
    assert pipeline.rows(counts.format("num_trips", "zone_hourly_trips")) == trips
    assert pipeline.rows("SELECT * FROM borough_flows ORDER BY ALL") == flows


def test_a_column_that_a_trip_can_do_without_is_null_and_warns_by_name(
    make_pipeline: MakePipeline, own_mirror: Path
) -> None:
    """Regression: such a file was refused whole."""
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    _replace_month(own_mirror, table.drop_columns(["total_amount", "VendorID"]))
    pipeline = make_pipeline(own_mirror)
    check = check_of(pipeline.run("2023-02-07"), "columns_known")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description == "VendorID, total_amount not there, NULL in trips"
    assert pipeline.rows("SELECT count(*) > 0, count(total_amount), count(vendor_id) FROM trips") == [(True, 0, 0)]


def test_a_missing_column_fails_by_name_and_an_unknown_one_warns(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    table = pq.read_table(own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet")
    pipeline = make_pipeline(own_mirror)
    _replace_month(own_mirror, table.append_column("a_new_column", pa.array(["A"] * len(table))))
    check = check_of(pipeline.run("2023-02-07"), "columns_known")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "a_new_column" in str(check.metadata["unknown_columns"].value)
    _replace_month(own_mirror, table.drop_columns(["PULocationID"]))
    assert "lacks the column(s) PULocationID" in error_of(pipeline.run("2023-02-07", fails=True))


@pytest.mark.parametrize("synthetic_first", [True, False])
def test_synthetic_and_real_trips_never_share_a_warehouse(
    make_pipeline: MakePipeline, own_mirror: Path, synthetic_first: bool
) -> None:
    name = "yellow_tripdata_2023-02.parquet" if synthetic_first else "yellow_tripdata_2023-01.parquet"
    table = pq.read_table(own_mirror / "trip-data" / name)
    assert SYNTHETIC_KEY in table.schema.metadata
    _replace_month(own_mirror, table.replace_schema_metadata(None), name)  # as if the TLC had published it
    pipeline = make_pipeline(own_mirror)
    pipeline.run("2023-01-31", select=[taxi_trips_file, "taxi_trips"])
    before = pipeline.rows("SELECT * FROM trips ORDER BY ALL")
    error = error_of(pipeline.run("2023-02-01", select=[taxi_trips_file, "taxi_trips"], fails=True))
    kinds = ("real", "synthetic") if synthetic_first else ("synthetic", "real")
    assert f"{kinds[0]}, but the warehouse holds 1 days of {kinds[1]} trips" in error
    assert pipeline.rows("SELECT * FROM trips ORDER BY ALL") == before


def test_schematic_zones_never_come_into_a_warehouse_of_real_trips(
    make_pipeline: MakePipeline, own_mirror: Path
) -> None:
    """Regression: the trips were refused, but by then the zones had been replaced."""
    name = "yellow_tripdata_2023-02.parquet"
    table = pq.read_table(own_mirror / "trip-data" / name)
    _replace_month(own_mirror, table.replace_schema_metadata(None), name)  # as if the TLC had published it
    pipeline = make_pipeline(own_mirror)
    pipeline.run("2023-02-07", select=[taxi_trips_file, "taxi_trips"])
    error = error_of(pipeline.run("2023-02-07", select=[taxi_zones_file, taxi_zones], fails=True))
    assert "taxi_zones.zip is synthetic, but the warehouse holds 1 days of real trips" in error
    assert pipeline.rows("SELECT count(*) FROM zones") == [(0,)]


def test_an_asset_without_its_inputs_says_what_to_materialize(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    for asset, first in (
        ("taxi_trips", "materialize taxi_trips_file first"),
        (taxi_zones, "materialize taxi_zones_file first"),
        (manhattan_map, "materialize manhattan_stats first"),
    ):
        assert first in error_of(pipeline.run("2023-02-07", select=[asset], fails=True))
    empty = make_pipeline(mirror, name="empty")
    assert "there is no warehouse at" in error_of(empty.run("2023-02-07", select=[trips_by_week], fails=True))


def test_a_fleet_has_no_trips_before_its_first_month(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    """Green taxis came in August 2013: a day before is loaded for yellow and is no failure."""
    mirror = tmp_path / "old"
    day = date(2013, 7, 31)
    write_mirror(mirror, Days(day, day), fleet="yellow", trips_per_day=50)
    pipeline = make_pipeline(mirror, fleets=("yellow", "green"))
    pipeline.run("2013-07-31")
    assert pipeline.rows("SELECT DISTINCT fleet FROM loaded_days") == [("yellow",)]


def test_metadata_of_several_files_names_each(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror, fleets=("yellow", "green"))
    result = pipeline.run("2023-01-31", "2023-02-01", select=[taxi_trips_file])
    metadata = materializations_of(result, "taxi_trips_file")[0].metadata
    files = [
        mirror / "trip-data" / f"{f}_tripdata_{m}.parquet" for f in ("yellow", "green") for m in ("2023-01", "2023-02")
    ]
    assert all(file.as_uri() in str(metadata["files"].value) for file in files)
    assert all(sha256_of(file)[:16] in str(metadata["files"].value) for file in files)
    assert metadata["size_bytes"].value == sum(file.stat().st_size for file in files)
    assert metadata["dagster/row_count"].value == sum(pq.read_metadata(file).num_rows for file in files)


def test_a_copy_used_without_the_server_is_a_warning(make_pipeline: MakePipeline, own_mirror: Path) -> None:
    pipeline = make_pipeline(own_mirror)
    pipeline.load("2023-02-07")
    (own_mirror / "trip-data" / "yellow_tripdata_2023-02.parquet").unlink()
    metadata = pipeline.run("2023-02-07").asset_materializations_for_node("taxi_trips_file")[0].metadata
    assert "the copy in the storage is used" in str(metadata["warning"].value)
    assert metadata["downloaded"].value is False


def test_metadata_that_people_look_for(make_pipeline: MakePipeline, mirror: Path) -> None:
    pipeline = make_pipeline(mirror)
    result = pipeline.run("2023-02-01", "2023-02-02", select=EVERYTHING)
    counts = {str(day): count for day, count in pipeline.rows("SELECT pickup_date, count(*) FROM trips GROUP BY ALL")}
    trips = materializations_of(result, "taxi_trips")
    assert {m.partition: m.metadata["dagster/partition_row_count"].value for m in trips} == counts
    assert trips[0].metadata["dagster/row_count"].value == sum(counts.values())
    assert len(table_of(trips[-1].metadata["preview"])) == 10
    assert trips[0].metadata["synthetic"].value is True
    for name in ("taxi_trips", "zone_hourly_trips", "borough_flows"):
        with_lineage = [
            made.partition for made in materializations_of(result, name) if "dagster/column_lineage" in made.metadata
        ]
        assert with_lineage == ["2023-02-02"], "the newest, which is the one that is shown"
    file = materializations_of(result, "taxi_trips_file")[0].metadata
    source = mirror / "trip-data" / "yellow_tripdata_2023-02.parquet"
    assert file["source_url"].value == source.as_uri()
    assert file["version"].value == sha256_of(source)
    assert file["size_bytes"].value == source.stat().st_size
    assert file["dagster/row_count"].value == pq.read_metadata(source).num_rows
    zones = materializations_of(result, "taxi_zones")[0].metadata
    assert zones["dagster/row_count"].value == 265
    for name in (spec.key.to_user_string() for asset in ASSETS for spec in asset.specs):
        if name != "code_tables":
            assert materializations_of(result, name)[0].metadata["synthetic"].value is True, name


def test_each_materialization_has_its_schema_rows_and_cost(make_pipeline: MakePipeline, mirror: Path) -> None:
    """Tools for lineage read these, and the UI plots the numbers; a partition has its share of the run's cost."""
    result = make_pipeline(mirror).run("2023-02-07", "2023-02-08")
    tables = {"taxi_trips": TRIPS, "zone_hourly_trips": ZONE_HOURLY_TRIPS, "borough_flows": BOROUGH_FLOWS}
    for name, declared in {**tables, "taxi_zones": ZONES, "trips_by_week": TRIPS_BY_WEEK}.items():
        for made in materializations_of(result, name):
            schema = made.metadata["dagster/column_schema"].value
            assert isinstance(schema, dg.TableSchema)
            assert [column.name for column in schema.columns] == list(declared.column_names), name
            assert isinstance(made.metadata["dagster/row_count"].value, int), name
    for name in ("taxi_trips_file", "taxi_zones_file", "taxi_zones", "taxi_trips", "trips_by_week", "manhattan_map"):
        for made in materializations_of(result, name):
            assert 0 < float(str(made.metadata["cost_seconds"].value)) < 60, name
    trips = materializations_of(result, "taxi_trips")
    rows = sum(int(str(made.metadata["dagster/partition_row_count"].value)) for made in trips)
    assert sum(float(str(made.metadata["cost_rows"].value)) for made in trips) == rows
    (file,) = (mirror / "trip-data").glob("yellow*2023-02.parquet")
    files = materializations_of(result, "taxi_trips_file")
    assert sum(float(str(made.metadata["cost_bytes_written"].value)) for made in files) == file.stat().st_size
    week = materializations_of(result, "trips_by_week")[0].metadata
    assert week["partial_weeks"].value == "2023-02-05"
    assert week["cost_bytes_written"].value == week["size_bytes"].value
