"""Every fleet and era: files with the published names and types become trips with the right values."""

import math
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_pipeline.defs.assets.warehouse_tables import TABLES
from taxi_pipeline.defs.checks import CHECKS
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.sample.zones import write_zones_zip
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import FHV, FHVHV, FLEETS, GREEN, YELLOW, Fleet
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import read_trip_file, verify_trip_file
from taxi_pipeline.tlc.zones import Zone, read_zones
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_trips
from taxi_pipeline.warehouse.interface import MissingZonesError, WarehouseUnavailableError
from taxi_pipeline.warehouse.tables import TRIPS, ZONES
from taxi_pipeline_tests.era_files import JFK_AIRPORT, PUBLISHED, TIMES_SQUARE, Published
from taxi_pipeline_tests.pipelines import Pipeline, check_of, error_of, materializations_of, settings_of

MakePipeline = Callable[..., Pipeline]

BY_NAME = {f"{file.fleet} {file.month}": file for file in PUBLISHED}


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> list[Zone]:
    path = tmp_path_factory.mktemp("zones") / "taxi_zones.zip"
    write_zones_zip(path)
    return read_zones(path)


def loaded(folder: Path, file: Published, *changes: dict[str, Any], zones: list[Zone] | None = None) -> DuckDBWarehouse:
    """Write the file, verify and fetch it as the pipeline does, and load its month."""
    fleet = FLEETS[file.fleet]
    source = file.write(folder, changes or ({},))
    files = LocalFolder(folder)
    fetch(source.as_uri(), files, f"raw/{file.name}", verify=lambda path: verify_trip_file(path, fleet))
    warehouse = DuckDBWarehouse(folder / "data.duckdb")
    with warehouse.write() as session:
        if zones:
            session.replace(ZONES, [(z.zone_id, z.zone, z.borough, z.geometry) for z in zones])
        load_trips(session, fleet, Days.of_month(file.first_day), files)
    return warehouse


def rows(warehouse: DuckDBWarehouse, sql: str) -> list[tuple[Any, ...]]:
    with warehouse.read() as session:
        return session.rows(sql)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_published_file_becomes_trips_with_its_values(tmp_path: Path, zones: list[Zone], name: str) -> None:
    """All columns of ours; those that the era does not publish are NULL."""
    file = BY_NAME[name]
    warehouse = loaded(tmp_path, file, zones=zones)
    ((_, *values),) = rows(warehouse, f"SELECT fleet, {', '.join(TRIPS.column_names[1:])} FROM trips")
    found = {column: value for column, value in zip(TRIPS.column_names[1:], values, strict=True) if value is not None}
    assert found == {**file.expected, "pickup_date": file.first_day.replace(day=10)}
    assert rows(warehouse, "SELECT count(*) FROM rejected_trips") == [(0,)]
    columns = read_trip_file(tmp_path / "raw" / file.name).columns
    assert FLEETS[file.fleet].unknown_columns(columns) == list(file.unknown)


@pytest.mark.parametrize("name", BY_NAME)
def test_rows_of_every_era_are_conserved(tmp_path: Path, zones: list[Zone], name: str) -> None:
    """Pickups in the month, outside of it and none at all: each row is a trip or rejected, once."""
    file = BY_NAME[name]
    pickup = next(column for column in file.row if column.lower().endswith("pickup_datetime"))
    as_text = isinstance(file.row[pickup], str)
    moments = [file.first_day.isoformat() + " 00:00:00", "2008-12-31 23:59:59", "2041-05-05 05:05:05", None]
    changes = [{pickup: moment if as_text or moment is None else datetime.fromisoformat(moment)} for moment in moments]
    warehouse = loaded(tmp_path, file, {}, *changes, zones=zones)
    assert rows(warehouse, "SELECT pickup_date FROM trips ORDER BY ALL") == [
        (file.first_day,),
        (file.first_day.replace(day=10),),
    ]
    assert rows(warehouse, "SELECT reason, count(*) FROM rejected_trips GROUP BY ALL ORDER BY ALL") == [
        ("no pickup time", 1),
        ("pickup outside the month", 2),
    ]
    assert rows(warehouse, "SELECT sum(num_trips), sum(num_rejected), max(file_rows) FROM loaded_days") == [(2, 3, 5)]


@pytest.mark.parametrize("fleet", FLEETS.values(), ids=list(FLEETS))
def test_each_fleet_begins_with_its_first_published_month(fleet: Fleet) -> None:
    assert (
        fleet.first_month
        == {
            "yellow": date(2009, 1, 1),
            "green": date(2013, 8, 1),
            "fhv": date(2015, 1, 1),
            "fhvhv": date(2019, 2, 1),
        }[fleet.name]
    )
    assert all(set(era.sources) < set(TRIPS.column_names) for era in fleet.eras)


def test_an_old_month_published_again_with_later_columns_is_loaded(tmp_path: Path) -> None:
    """The columns decide, not the month: in 2022 the TLC gave five years zone ids instead of coordinates."""
    later = BY_NAME["yellow 2011-01"]
    row = {name: value for name, value in later.row.items() if "datetime" not in name}
    times = {f"tpep_{end}_datetime": datetime(2010, 5, 10, 8, 15) for end in ("pickup", "dropoff")}
    file = Published("yellow", "2010-05", later.columns, row | times, {})
    warehouse = loaded(tmp_path, file)
    assert rows(warehouse, "SELECT pickup_date, pickup_zone_id FROM trips") == [(date(2010, 5, 10), 230)]


PLACES = (
    (TIMES_SQUARE, 230),
    (JFK_AIRPORT, 132),
    ((0.0, 0.0), 264),
    ((40.758, -73.9855), 264),  # the other way round
    ((-74.5, 40.2), 264),
    ((None, None), 264),
    ((math.nan, 40.7), 264),
    ((math.inf, -math.inf), 264),
)


def test_a_place_becomes_its_zone_and_264_where_there_is_none(tmp_path: Path, zones: list[Zone]) -> None:
    changes = [{"Start_Lon": lon, "Start_Lat": lat, "Passenger_Count": n} for n, ((lon, lat), _) in enumerate(PLACES)]
    warehouse = loaded(tmp_path, BY_NAME["yellow 2009-01"], *changes, zones=zones)
    assert rows(warehouse, "SELECT pickup_zone_id, dropoff_zone_id FROM trips ORDER BY passenger_count") == [
        (zone_id, 132) for _, zone_id in PLACES
    ]


def test_coordinates_without_zones_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingZonesError, match="materialize taxi_zones first"):
        loaded(tmp_path, BY_NAME["yellow 2010-01"])


def test_payments_in_words_become_codes(tmp_path: Path, zones: list[Zone]) -> None:
    words = {
        1: ("Cre", "CREDIT", "CRD"),
        2: ("CASH", "Cash", "CAS"),
        3: ("No ", "No Charge"),
        4: ("Dis", "Dispute", "4"),
    }
    words |= {5: ("UNK", "Na "), 6: ("VOI",), None: (" ", None)}
    codes = [(word, code) for code, spellings in words.items() for word in spellings]
    changes = [{"payment_type": word, "passenger_count": n} for n, (word, _) in enumerate(codes)]
    warehouse = loaded(tmp_path, BY_NAME["yellow 2010-01"], *changes, zones=zones)
    assert rows(warehouse, "SELECT payment_type FROM trips ORDER BY passenger_count") == [(code,) for _, code in codes]


def test_a_word_that_stands_for_no_code_is_null_and_noted(tmp_path: Path, zones: list[Zone]) -> None:
    warehouse = loaded(tmp_path, BY_NAME["yellow 2010-01"], {"payment_type": "BARTER"}, {}, zones=zones)
    assert rows(warehouse, "SELECT payment_type FROM trips ORDER BY ALL") == [(1,), (None,)]
    noted = rows(warehouse, "SELECT num_unfit, unfit_values FROM loaded_days WHERE num_unfit > 0")
    assert noted == [(1, "1 × payment_type does not fit SMALLINT: BARTER")]


def test_licensees_have_names_and_one_that_is_new_keeps_its_number(tmp_path: Path) -> None:
    names = {"HV0002": "Juno", "HV0003": "Uber", "HV0004": "Via", "HV0005": "Lyft", "HV0006": "HV0006"}
    changes = [{"hvfhs_license_num": number, "trip_miles": float(n)} for n, number in enumerate(names)]
    warehouse = loaded(tmp_path, BY_NAME["fhvhv 2021-05"], *changes)
    assert rows(warehouse, "SELECT licensee FROM trips ORDER BY trip_distance") == [(name,) for name in names.values()]


def test_flags_are_true_false_or_not_known(tmp_path: Path) -> None:
    flags = (("Y", True), ("N", False), (" ", None), ("", None), (None, None))
    changes = [{"access_a_ride_flag": flag, "trip_miles": float(n)} for n, (flag, _) in enumerate(flags)]
    warehouse = loaded(tmp_path, BY_NAME["fhvhv 2021-05"], *changes)
    assert rows(warehouse, "SELECT access_a_ride FROM trips ORDER BY trip_distance") == [(value,) for _, value in flags]


def test_the_total_of_a_high_volume_trip_is_what_the_passenger_paid(tmp_path: Path) -> None:
    totals: list[tuple[dict[str, Any], str | None]] = [
        ({}, "89.32"),
        ({"tips": None, "airport_fee": None}, "76.82"),
        ({"base_passenger_fare": -60.0}, "-30.68"),
        ({"base_passenger_fare": None}, None),
    ]
    changes = [{**change, "trip_miles": float(n)} for n, (change, _) in enumerate(totals)]
    warehouse = loaded(tmp_path, BY_NAME["fhvhv 2021-05"], *changes)
    assert rows(warehouse, "SELECT CAST(total_amount AS VARCHAR) FROM trips ORDER BY trip_distance") == [
        (total,) for _, total in totals
    ]


def test_without_a_part_that_does_not_fit_there_is_no_total(tmp_path: Path) -> None:
    """A sum without it would be another one."""
    warehouse = loaded(tmp_path, BY_NAME["fhvhv 2021-05"], {"bcf": 1e15}, {})
    assert rows(warehouse, "SELECT total_amount, black_car_fund IS NULL FROM trips ORDER BY ALL") == [
        (Decimal("89.32"), False),
        (None, True),
    ]
    ((num_unfit, note),) = rows(warehouse, "SELECT num_unfit, unfit_values FROM loaded_days WHERE num_unfit > 0")
    assert num_unfit == 2
    parts = "60.0 + 6.94 + 1000000000000000.0 + 5.33 + 2.75 + 2.5 + 10.0"
    own = "black_car_fund does not fit DECIMAL(12, 2): 1000000000000000.0"
    assert note == f"1 × total_amount does not fit DECIMAL(12, 2): {parts}; {own}"


@pytest.mark.parametrize(
    ("fleet", "column", "first"),
    [
        (YELLOW, "fare_amount", date(2009, 1, 1)),
        (YELLOW, "cbd_congestion_fee", date(2025, 1, 1)),
        (GREEN, "airport_fee", None),
        (FHV, "fare_amount", None),
        (FHVHV, "driver_pay", date(2019, 2, 1)),
    ],
)
def test_the_declaration_says_since_when_a_column_has_values(fleet: Fleet, column: str, first: date | None) -> None:
    assert fleet.first_month_of(column) == first


# Several fleets at once


def write_mirror_of(folder: Path, *names: str) -> Path:
    """A mirror of these files, with zones that count as real."""
    for name in names:
        BY_NAME[name].write(folder)
    with_marker = folder / "with_marker.zip"
    write_zones_zip(with_marker)
    target = folder / "misc" / "taxi_zones.zip"
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(with_marker) as source, zipfile.ZipFile(target, "w") as archive:
        for part in source.namelist():
            if part != "SYNTHETIC.txt":
                archive.writestr(part, source.read(part))
    return folder


ALL = ("yellow 2025-01", "green 2025-01", "fhvhv 2025-01")


@pytest.mark.parametrize("fault", ["missing", "no parquet", "missing column"])
def test_what_is_wrong_with_one_fleets_month_fails_by_its_name_and_loads_the_others(
    make_pipeline: MakePipeline, tmp_path: Path, fault: str
) -> None:
    mirror = write_mirror_of(tmp_path / "mirror", *ALL)
    path = mirror / "trip-data" / "green_tripdata_2025-01.parquet"
    match fault:
        case "missing":
            path.unlink()
        case "no parquet":
            path.write_text("<html>403 Forbidden</html>")
        case _:
            pq.write_table(pq.read_table(path).drop_columns(["PULocationID"]), path)
    pipeline = make_pipeline(mirror, fleets=("yellow", "green", "fhvhv"))
    result = pipeline.run("2025-01-10", fails=True)
    assert [event.step_key for event in result.all_events if event.is_step_failure] == ["trip_tables"]
    assert check_of(result, "columns_known").passed
    error = error_of(result)
    assert "green: " in error
    assert "Loaded nevertheless: yellow, fhvhv" in error
    evaluated = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert evaluated["trips_conserved"].passed
    tables = {dg.AssetKey(asset) for asset in TABLES}
    of_tables = {key.name for checks in CHECKS for key in checks.check_keys if key.asset_key in tables}
    assert of_tables <= set(evaluated), "the others are loaded, and checked"
    assert pipeline.rows("SELECT fleet, count(*) FROM trips GROUP BY ALL ORDER BY ALL") == [("fhvhv", 1), ("yellow", 1)]
    assert pipeline.rows("SELECT fleet, num_trips FROM zone_hourly_trips ORDER BY ALL") == [("fhvhv", 1), ("yellow", 1)]
    BY_NAME["green 2025-01"].write(mirror)
    result = pipeline.run("2025-01-10")
    assert check_of(result, "trips_conserved").passed
    assert pipeline.rows("SELECT count(*), count(DISTINCT fleet) FROM trips") == [(3, 3)], "mended, none twice"


def test_a_bad_file_leaves_what_was_loaded_of_its_fleet(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    mirror = write_mirror_of(tmp_path / "mirror", *ALL)
    pipeline = make_pipeline(mirror, fleets=("yellow", "green", "fhvhv"))
    pipeline.run("2025-01-10")
    (mirror / "trip-data" / "green_tripdata_2025-01.parquet").write_text("<html>maintenance</html>")
    BY_NAME["yellow 2025-01"].write(mirror, [{}, {}])
    error = error_of(pipeline.run("2025-01-10", fails=True))
    assert "an HTML or XML page" in error
    assert pipeline.rows("SELECT fleet, count(*) FROM trips GROUP BY ALL ORDER BY ALL") == [
        ("fhvhv", 1),
        ("green", 1),
        ("yellow", 2),
    ]


def test_a_run_executed_again_from_its_failure_loads_no_older_copy(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    """Regression: failures were looked up by the run's id, so the second run loaded the older copy as success."""
    mirror = write_mirror_of(tmp_path / "mirror", *ALL)
    pipeline = make_pipeline(mirror, fleets=("yellow", "green", "fhvhv"))
    pipeline.run("2025-01-10")
    BY_NAME["green 2025-01"].write(mirror, [{}, {}])
    good = (mirror / "trip-data" / "green_tripdata_2025-01.parquet").read_bytes()
    (mirror / "trip-data" / "green_tripdata_2025-01.parquet").write_text("<html>maintenance</html>")
    definitions = build_definitions(
        settings=settings_of({"TAXI_START_DATE": "2025-01-01"}), resources=pipeline.resources
    )
    job = definitions.resolve_job_def("daily_trips")
    with dg.instance_for_test() as instance:
        options = {"instance": instance, "run_config": QUIET, "raise_on_error": False}
        first = job.execute_in_process(**options, partition_key="2025-01-10")
        assert not first.success

        def again() -> dg.ExecuteInProcessResult:
            # What `Re-execute from failure` runs: the steps that failed, and those that were skipped because of them.
            return job.execute_in_process(
                **options,
                tags={"dagster/partition": "2025-01-10", "dagster/parent_run_id": first.run_id},
                asset_selection=[dg.AssetKey(name) for name in ("taxi_trips", "zone_hourly_trips", "borough_flows")],
            )

        second = again()
        assert not second.success
        assert "green: " in error_of(second)
        assert "an HTML or XML page" in error_of(second)
        (mirror / "trip-data" / "green_tripdata_2025-01.parquet").write_bytes(good)
        assert not again().success, "until it is fetched"
        assert job.execute_in_process(**options, partition_key="2025-01-10").success
        assert again().success
    assert pipeline.rows("SELECT count(*) FROM trips WHERE fleet = 'green'") == [(2,)]


def test_when_all_fleets_fail_nothing_is_loaded_and_each_is_named(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    mirror = write_mirror_of(tmp_path / "mirror")
    result = make_pipeline(mirror, fleets=("yellow", "green")).run("2025-01-10", fails=True)
    assert "yellow trips of 2025-01 are not published" in error_of(result)
    assert "green trips of 2025-01 are not published" in error_of(result)
    assert [event.step_key for event in result.all_events if event.is_step_failure] == ["taxi_trips_file"]


def test_days_before_the_first_fleet_are_empty_and_no_failure(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    mirror = write_mirror_of(tmp_path / "mirror")
    pipeline = make_pipeline(mirror, fleets=("fhvhv",))
    result = pipeline.run("2019-01-30", "2019-01-31")
    assert all(check.passed for check in result.get_asset_check_evaluations())
    assert pipeline.rows("SELECT count(*) FROM loaded_days") == [(0,)]
    assert len(materializations_of(result, "taxi_trips")) == 2


def test_days_over_the_start_of_a_fleet_load_what_there_is(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    mirror = write_mirror_of(tmp_path / "mirror", "fhvhv 2019-02")
    pipeline = make_pipeline(mirror, fleets=("fhvhv",))
    pipeline.run("2019-01-31", "2019-02-10")
    assert pipeline.rows("SELECT count(*), min(pickup_date), sum(num_trips) FROM loaded_days") == [
        (10, date(2019, 2, 1), 1)
    ]


def test_columns_that_are_new_in_a_version_are_added_to_an_older_warehouse(tmp_path: Path) -> None:
    """Who loaded with the version before keeps what is loaded: the new columns are NULL."""
    warehouse = loaded(tmp_path, BY_NAME["yellow 2023-02"])
    with warehouse.write() as session:
        for column in TRIPS.column_names[18:]:
            session.execute(f"ALTER TABLE trips DROP COLUMN {column}")
        session.execute("DROP TABLE vendors")
    tenth = Days(date(2023, 2, 10), date(2023, 2, 10))
    with warehouse.write() as session:
        load_trips(session, YELLOW, tenth, LocalFolder(tmp_path))
        assert session.column_types("trips") == TRIPS.column_types
        assert session.rows("SELECT count(*), count(licensee) FROM trips") == [(1, 0)]
        assert session.rows("SELECT count(*) FROM vendors") == [(0,)]


def test_a_warehouse_that_differs_otherwise_is_refused_by_name(tmp_path: Path) -> None:
    warehouse = loaded(tmp_path, BY_NAME["yellow 2023-02"])
    with warehouse.write() as session:
        session.execute("ALTER TABLE trips ALTER COLUMN fare_amount TYPE DOUBLE")
    with pytest.raises(WarehouseUnavailableError, match=r"its table trips has .* Move the file"), warehouse.write():
        pass


def test_a_file_whose_names_have_blanks_around_them_is_the_same(tmp_path: Path, zones: list[Zone]) -> None:
    """The TLC's own headers have `Trip_type ` and ` pickup_datetime`."""
    file = BY_NAME["green 2014-01"]
    plain = rows(loaded(tmp_path / "plain", file, zones=zones), "SELECT * FROM trips")
    table = pq.read_table(tmp_path / "plain" / "raw" / file.name)
    path = tmp_path / "blanks" / file.name
    path.parent.mkdir()
    pq.write_table(table.rename_columns([f" {name} " for name in table.column_names]), path)
    files = LocalFolder(tmp_path / "blanks")
    fetch(path.as_uri(), files, f"raw/{file.name}", verify=lambda p: verify_trip_file(p, GREEN))
    warehouse = DuckDBWarehouse(tmp_path / "blanks" / "data.duckdb")
    with warehouse.write() as session:
        session.replace(ZONES, [(z.zone_id, z.zone, z.borough, z.geometry) for z in zones])
        load_trips(session, GREEN, Days.of_month(file.first_day), files)
    assert rows(warehouse, "SELECT * FROM trips") == plain


def test_text_columns_of_any_arrow_kind_are_read(tmp_path: Path) -> None:
    file = BY_NAME["fhvhv 2021-05"]
    path = file.write(tmp_path)
    table = pq.read_table(path)
    encoded = table.set_column(0, "hvfhs_license_num", table["hvfhs_license_num"].dictionary_encode())
    pq.write_table(encoded, path)
    assert pa.types.is_dictionary(pq.read_schema(path).field(0).type)
    files = LocalFolder(tmp_path)
    fetch(path.as_uri(), files, f"raw/{file.name}", verify=lambda p: verify_trip_file(p, FHVHV))
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with warehouse.write() as session:
        load_trips(session, FHVHV, Days.of_month(file.first_day), files)
    assert rows(warehouse, "SELECT licensee FROM trips") == [("Via",)]
