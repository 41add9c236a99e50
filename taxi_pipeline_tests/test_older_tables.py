"""Tables of the Spark engine beyond a load: those of an older version, named versions, and who else reads them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import warehouse_version
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.interface import WarehouseUnavailableError
from taxi_pipeline.warehouse.reference import replace_zones
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline.warehouse.spark import SparkWarehouse
from taxi_pipeline.warehouse.spark.dialect import parse, to_spark
from taxi_pipeline.warehouse.spark.layout import DAILY_TABLES
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TLC_INDICATORS, TRIPS, ZONE_HOURLY_DROPOFFS
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.pipelines import contents
from taxi_pipeline_tests.services import spark as spark_server
from taxi_pipeline_tests.services.warehouses import spark_warehouse
from taxi_pipeline_tests.small_months import FEBRUARY, ZONES, console, month_with, months, warehouse_with_zones
from taxi_pipeline_tests.void_rows import VOIDED, load_trips

pytestmark = pytest.mark.cluster


@pytest.fixture
def warehouse(tmp_path: Path) -> SparkWarehouse:
    return warehouse_with_zones(tmp_path)


def opened_anew(warehouse: SparkWarehouse, folder: Path) -> SparkWarehouse:
    """The warehouse as another process opens it, which knows nothing of its tables."""
    return spark_warehouse(folder, warehouse.name.partition(".")[2])


def test_status_and_snapshot_from_the_console(tmp_path: Path) -> None:
    warehouse = spark_warehouse(tmp_path)
    (tmp_path / "mirror" / "trip-data").mkdir(parents=True)
    assert f"Nothing is loaded in {warehouse.location} yet." in console("status", warehouse, tmp_path)
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    with warehouse.write() as session:
        load_days(session, GREEN, [Days(FEBRUARY.first, FEBRUARY.first)], month_with(tmp_path / "b", 50))
        status = console("status", warehouse, tmp_path)
        assert console("upgrade", warehouse, tmp_path) == f"Nothing to do in {warehouse.location}.\n"
    assert ["green", "2023-02-01", "2023-02-28", "0", "30"] in [line.split()[:5] for line in status.splitlines()]
    assert "Not published: green 2023-02 with 31 trips." in status, "those of the other days, and three of the first"
    assert f"kept as v2: SELECT … FROM {warehouse.name}.trips VERSION AS OF 'v2'" in console(
        "snapshot", warehouse, tmp_path
    )


def test_a_named_version_can_be_queried_when_the_month_was_replaced(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    name = warehouse.snapshot()
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "b", 50))
    with warehouse.read() as session:
        asked = session.ask(f"SELECT count(*) AS found FROM {warehouse.name}.trips VERSION AS OF '{name}'")
        assert asked.collect()[0].found == 30


def test_tables_of_an_older_version_are_carried_over(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    """Their rows had marks, and `loaded_days` named those that count: here `a`, and `b` for the first day."""
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    before = contents(warehouse)
    with warehouse.read() as session:
        recorded = session.name_of(LOADED_DAYS)
        for table in DAILY_TABLES:
            name = session.name_of(table)
            session.ask(f"ALTER TABLE {name} ADD COLUMN load STRING")
            of_first = f"{to_spark(parse(table.day))} = DATE '2023-02-01'"
            session.ask(f"UPDATE {name} SET load = CASE WHEN {of_first} THEN 'b' ELSE 'a' END")
            session.ask(f"INSERT INTO {name} SELECT * EXCEPT (load), 'b' FROM {name} WHERE load = 'a'")
            session.ask(f"INSERT INTO {name} SELECT * EXCEPT (load), 'c' FROM {name} WHERE load = 'b'")
            session.ask(f"ALTER TABLE {recorded} ADD COLUMN {table.name}_load STRING")
            session.ask(
                f"CREATE VIEW {warehouse.name}.counted_{table.name} AS SELECT * FROM {name} WHERE load IS NOT NULL"
            )
        marks = ", ".join(
            f"{table.name}_load = CASE WHEN pickup_date = DATE '2023-02-01' THEN 'b' ELSE 'a' END"
            for table in DAILY_TABLES
        )
        session.ask(f"UPDATE {recorded} SET {marks}")
        session.ask(f"DROP TABLE {warehouse.name}.publications")
    warehouse = opened_anew(warehouse, tmp_path)
    with pytest.raises(WarehouseUnavailableError, match="taxi-pipeline upgrade"):
        warehouse.query(warehouse_version)
    assert "trips: rows that do not count were deleted" in console("upgrade", warehouse, tmp_path)
    warehouse.change(replace_zones, ZONES, "zones", synthetic=False)
    assert contents(warehouse) == before
    assert warehouse.upgrade() == {}
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "b", 50))
    assert [month.num_trips for month in months(warehouse)] == [50]


def test_a_catalogue_of_an_older_version_gets_what_was_declared_since(
    warehouse: SparkWarehouse, tmp_path: Path
) -> None:
    """Tables and views; what was loaded before is there all the same."""
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    before = contents(warehouse)
    newer = ZONE_HOURLY_DROPOFFS
    with warehouse.read() as session:
        session.ask(f"DROP VIEW {warehouse.name}.net_parts")
        session.ask(f"DROP TABLE {session.name_of(newer)}")
        session.ask(f"DROP TABLE {session.name_of(TLC_INDICATORS)}")
    warehouse = opened_anew(warehouse, tmp_path)
    with warehouse.read() as session:
        assert session.rows(f"SELECT count(*) FROM {newer.name}") == [(0,)]
    warehouse.change(count_again, FEBRUARY, ["zone_hourly_trips"])
    assert contents(warehouse) == before
    with warehouse.read() as session:
        assert session.ask(f"SELECT * FROM {warehouse.name}.net_parts").count() == before[TRIPS.name].total()
        assert session.rows(f"SELECT count(*) FROM {TLC_INDICATORS.name}") == [(0,)]


@pytest.mark.parametrize(
    ("of", "python"), [("pyspark", Path(sys.executable)), ("pyiceberg", spark_server.HOME / "bin/python")]
)
def test_others_read_the_tables_as_documented(warehouse: SparkWarehouse, tmp_path: Path, of: str, python: str) -> None:
    """What docs/cluster.md shows, with the addresses of this cluster."""
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    blocks = re.findall("```python\n(.*?)```", (REPOSITORY / "docs" / "cluster.md").read_text(), flags=re.DOTALL)
    (code,) = [block for block in blocks if f"from {of}" in block]
    login = urlsplit(os.environ["TAXI_TEST_POSTGRES_URL"])
    for shown, real in (
        ("user:password@db.example.com/catalog", f"{login.netloc}{login.path}"),
        ("db.example.com:5432/catalog", f"{login.hostname}:{login.port}{login.path}"),
        ('"user"', f'"{login.username}"'),
        ('"password"', f'"{login.password}"'),
        ("s3://my-bucket/taxi", tmp_path.as_uri()),
        ("org.apache.iceberg.aws.s3.S3FileIO", "org.apache.iceberg.hadoop.HadoopFileIO"),
        ("sc://spark.example.com:15002", os.environ["TAXI_TEST_SPARK_REMOTE"]),
        ("warehouse.trips", f"{warehouse.name.partition('.')[2]}.trips"),
    ):
        code = code.replace(shown, real)
    command = [python, "-W", "ignore", "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.search(r"\b30\b", found.stdout), found.stderr


def test_a_table_of_an_older_version_gets_the_columns_that_were_declared_since(
    warehouse: SparkWarehouse, tmp_path: Path
) -> None:
    with warehouse.read() as session:
        session.ask(f"ALTER TABLE {session.name_of(TRIPS)} DROP COLUMN request_source")
    warehouse = opened_anew(warehouse, tmp_path)
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 3))
    with warehouse.read() as session:
        assert session.rows("SELECT DISTINCT request_source FROM trips") == [(None,)]
        assert session.column_types("trips") == TRIPS.column_types
        session.ask(f"ALTER TABLE {session.name_of(TRIPS)} RENAME COLUMN fare_amount TO fare")
    with pytest.raises(WarehouseUnavailableError, match="made by another version"):
        opened_anew(warehouse, tmp_path).change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "b", 3))


def test_a_warehouse_of_an_older_version_gets_the_tables_that_were_declared_since(
    warehouse: SparkWarehouse, tmp_path: Path
) -> None:
    """Who only reads needs them, too; the days have no rows in them until they are counted again."""
    warehouse.change(load_trips, VOIDED, ["green"])
    with warehouse.read() as session:
        before = session.rows("SELECT * FROM zone_hourly_voids")
        assert len(before) == 1
        ((net,),) = session.ask(f"SELECT count(*) FROM {warehouse.name}.net_trips").collect()
        assert net == 0
        for statement in (
            "DROP VIEW {}.net_trips",
            "DROP TABLE {}.zone_hourly_voids",
        ):
            session.ask(statement.format(warehouse.name))
    warehouse = opened_anew(warehouse, tmp_path)
    with warehouse.read() as session:
        assert session.rows("SELECT * FROM zone_hourly_voids") == []
    warehouse.change(count_again, FEBRUARY, ["zone_hourly_trips"])
    with warehouse.read() as session:
        assert session.rows("SELECT * FROM zone_hourly_voids") == before
        ((net,),) = session.ask(f"SELECT count(*) FROM {warehouse.name}.net_trips").collect()
        assert net == 0
