"""`taxi-pipeline export`: what arrives in a real PostgreSQL and in files, row by row, also after a fault."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from taxi_pipeline.cli import main
from taxi_pipeline.exports import postgresql
from taxi_pipeline.exports.addresses import PostgresAddress, address_of, without_secrets
from taxi_pipeline.exports.exporting import Exported, Selection, export
from taxi_pipeline.exports.opening import open_target
from taxi_pipeline.exports.postgresql import UnknownTypeError, create_table, postgres_type
from taxi_pipeline.exports.sums import ROWS, differences, no_rows, version_of_day, version_of_rows
from taxi_pipeline.exports.target import BY_DAYS, EXPORT_LOG, EXPORTED, ExportDiffersError, ExportError
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.storage import StorageError
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.tables import BOROUGH_FLOWS, TABLES, TRIPS, ZONES, Column, Table
from taxi_pipeline_tests.conftest import SPARK
from taxi_pipeline_tests.pipelines import Pipeline, pipeline_in
from taxi_pipeline_tests.processes import process, wait_for_file
from taxi_pipeline_tests.services.fixtures import fresh_database

FLEETS = ("yellow", "green")
FIRST, LAST = date(2023, 1, 30), date(2023, 2, 2)


# Addresses, types, sums


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://user:s3cret@host/db", "mysql: is no target"),
        ("user:s3cret@host/db", "user: is no target"),
        ("s3cret@host/db", "what --to names is no target"),
        ("", "what --to names is no target"),
        ("postgresql", "what --to names is no target"),
    ],
)
def test_what_is_no_target_is_refused_without_a_word_of_it(url: str, shown: str) -> None:
    with pytest.raises(ExportError, match=shown) as refused:
        address_of(url)
    assert "s3cret" not in str(refused.value)
    assert "postgresql://user@host:5432/database" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3@cret@host/db",
        "postgresql://user:s3/cret@host/db",
        "postgresql://user:s3/c?ret@host/db",
        "postgresql://user@corp:s3cret@host/db",
        "postgres://user:s3cret@@host",
    ],
)
def test_a_login_that_libpq_would_take_for_a_host_is_refused(url: str) -> None:
    with pytest.raises(ExportError, match="write %40 for @") as refused:
        address_of(url)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db?host=/run/postgresql&user=me@corp",
        "postgresql://user:s3%40cret@one:5432,two:5433/db?target_session_attrs=any",
        "postgresql://[::1]:5432/db",
        "postgresql://user:a?b#c@host/db",
    ],
)
def test_urls_that_libpq_understands_are_targets(url: str) -> None:
    assert isinstance(address_of(url), PostgresAddress)


@pytest.mark.parametrize("name", [":memory:", "md:taxi", "s3://bucket/file.duckdb"])
def test_what_duckdb_would_not_keep_in_a_file_is_refused(name: str) -> None:
    with pytest.raises(ExportError, match="duckdb: exports into a file of this machine"):
        address_of(f"duckdb:{name}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret@host/db",
        "postgres://user:s3cret@host:5432/db?sslmode=require",
        "postgresql://user@host/db?password=s3cret",
        "postgresql://user@host/db?sslpassword=s3cret&x=1",
        "postgresql://user:s3cret@host:port/db",
        "postgresql://user:s3cret@[host/db",
        "postgresql://user:s%33cret@host/db",
    ],
)
def test_a_password_is_in_no_message(url: str) -> None:
    address = address_of(url)
    assert isinstance(address, PostgresAddress)
    written = "s%33cret" if "%33" in url else "s3cret"
    told = f"could not connect with {url}: {written} is wrong, and s3cret"
    assert "cret" not in without_secrets(told, address.secrets)
    assert "cret" not in repr(address)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("SMALLINT", "smallint"),
        ("USMALLINT", "integer"),
        ("UINTEGER", "bigint"),
        ("UBIGINT", "numeric(20,0)"),
        ("DECIMAL(12, 2)", "numeric(12,2)"),
        ("TIMESTAMP", "timestamp without time zone"),
        ("VARCHAR", "text"),
        ("DOUBLE", "double precision"),
    ],
)
def test_types(declared: str, expected: str) -> None:
    assert postgres_type(Column("c", declared, ""), "t") == expected


@pytest.mark.parametrize("declared", ["INTEGER[]", "STRUCT(a INTEGER)", "MAP(VARCHAR, INTEGER)", "INTERVAL", "BLOB"])
def test_a_type_without_an_equal_is_refused_by_name(declared: str) -> None:
    with pytest.raises(UnknownTypeError, match=r"t\.c is a "):
        postgres_type(Column("c", declared, ""), "t")


def test_every_table_can_be_declared_and_no_key_is_null() -> None:
    for table in (*EXPORTED, EXPORT_LOG):
        assert create_table("taxi", table)[0].startswith(f'CREATE TABLE "taxi".{table.name} (')
        nullable = {column.name: column.nullable for column in table.columns}
        assert not any(nullable[name] for name in table.key), table.name
    assert {table.name for table in TABLES} - {table.name for table in EXPORTED} == {"warehouse_version"}
    assert create_table('a"b', ZONES)[0].startswith('CREATE TABLE "a""b".zones (')


def test_versions_and_differences() -> None:
    table = Table("t", "", (Column("n", "INTEGER", ""), Column("x", "DOUBLE", "")))
    empty = no_rows(table)
    assert empty == {
        ROWS: 0, "n values": 0, "sum of n": None, "x values": 0, "smallest x": None, "largest x": None,
    }  # fmt: skip
    found = {**empty, ROWS: Decimal(2), "sum of n": Decimal(1200), "smallest x": float("nan")}
    assert differences(found, {**found, "smallest x": float("nan")}) == []
    assert differences(found, empty)[:2] == [
        "rows: 0 in the target, 2 in the warehouse",
        "sum of n: nothing in the target, 1,200 in the warehouse",
    ]
    names = {
        version_of_day(table, found, "of a file"),
        version_of_day(table, empty, "of a file"),
        version_of_day(table, found, "of another file"),
        version_of_day(replace(table, columns=table.columns[:1]), found, "of a file"),
    }
    assert len(names) == 4
    assert version_of_rows(table, [(1, 2.0), (2, None)]) == version_of_rows(table, [(2, None), (1, 2.0)])
    assert version_of_rows(table, [(1, 2.0)]) != version_of_rows(table, [(2, 1.0)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--start", "2023-02-30"], "'2023-02-30' does not match the format"),
        (["--start", "2023-02-02", "--end", "2023-02-01"], "2023-02-01 is before 2023-02-02"),
        (["--table", "warehouse_version"], "'warehouse_version' is not one of"),
        (["--fleet", "blue"], "'blue' is not one of"),
        (["--to", "duckdb:file", "--schema", "taxi"], "of the targets only PostgreSQL has one"),
        (["--schema", ""], "'' is none of yours; name another schema"),
        (["--schema", "pg_catalog"], "'pg_catalog' is none of yours; name another schema"),
    ],
)
def test_wrong_options_exit_with_2(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["export", "--to", "postgresql://user:s3cret@host/db", *options])
    assert result.exit_code == 2
    assert message in result.output
    assert "s3cret" not in result.output


def test_a_warehouse_on_spark_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**SPARK, "TAXI_DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(main, ["export", "--to", f"parquet:{tmp_path / 'folder'}"])
    assert result.exit_code == 2
    assert "export reads a DuckDB warehouse" in result.output
    assert not (tmp_path / "folder").exists()


def test_a_server_that_is_not_there_is_named_without_the_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(main, ["export", "--to", "postgresql://user:s3cret@127.0.0.1:9/db"])
    assert result.exit_code == 1
    assert "the database can't be opened" in result.output
    assert "127.0.0.1" in result.output
    assert "s3cret" not in result.output


# A real PostgreSQL


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four days of two fleets, in two months, and values that are hard to carry over."""
    folder, mirror = tmp_path_factory.mktemp("exported"), tmp_path_factory.mktemp("exported_mirror")
    for fleet in FLEETS:
        write_mirror(mirror, Days(date(2023, 1, 28), date(2023, 2, 4)), fleet=fleet, trips_per_day=60)
    pipeline = pipeline_in(folder, mirror, FLEETS)
    pipeline.load(str(FIRST), str(LAST))
    hard = ["", "NULL", "\\N", "\\.", "a,b", 'a"b', "a\nb", "a\r\nb", "tab\t", " blanks ", "Žižkov 🚕", "\\", "'", None]
    numbers = [0.0, -0.0, float("nan"), float("inf"), -73.98123456789012, 5e-324, 1e308, None]
    times = [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(2023, 3, 12, 2, 30), None]
    for number, text in enumerate(hard):
        pipeline.execute(
            "INSERT INTO trips (fleet, pickup_date, pickup_zone_id, dropoff_zone_id, licensee, pickup_longitude, "
            "request_datetime, total_amount, shared_match) VALUES ('yellow', '2023-02-01', 1, 264, ?, ?, ?, ?, ?)",
            [
                text,
                numbers[number % len(numbers)],
                times[number % len(times)],
                Decimal("-9999999999.99") if number % 2 else None,
                (True, False, None)[number % 3],
            ],
        )
    pipeline.execute("UPDATE trips SET on_scene_datetime = TIMESTAMP '290000-01-01 01:02:03.5' WHERE licensee = ''")
    pipeline.execute(
        "INSERT INTO rejected_trips (fleet, month, reason, pickup_date, pickup_zone_id, dropoff_zone_id) "
        "VALUES ('green', '2023-02-01', '', '2009-01-01', 1, 1), ('green', '2023-02-01', 'no time', NULL, 1, 1), "
        "('green', '2023-02-01', 'of its day', '2023-02-02', 1, 1)"
    )
    return folder


@pytest.fixture
def source(loaded: Path, tmp_path: Path) -> Pipeline:
    """The warehouse of `loaded`, to be changed."""
    return pipeline_in(Path(shutil.copytree(loaded, tmp_path / "source")), loaded, FLEETS)


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database."""
    with fresh_database() as url:
        yield url


def exported(pipeline: Pipeline, url: str, *, schema: str = "taxi", **selected: Any) -> dict[str, Exported]:
    """Export all, or what is selected."""
    warehouse = pipeline.warehouse
    assert isinstance(warehouse, DuckDBWarehouse)
    copy = pipeline.folder / f"copy-{time.monotonic_ns()}.duckdb"
    with (
        open_target(address_of(url), schema=schema, warehouse=warehouse.database) as target,
        warehouse.read_copy(copy) as session,
    ):
        return dict(export(session, target, Selection(**{"fleets": FLEETS, **selected})))


@contextmanager
def connected(url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """A connection of somebody else's, which runs statements."""
    import psycopg2

    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True

        def run(sql: str, *values: Any) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else []

        yield run


def spelled(table: Table, how: str) -> str:
    """The columns, dates and times as text: Python has no year beyond 9999."""
    return ", ".join(
        f"CAST({column.name} AS {how})" if column.type in ("TIMESTAMP", "DATE") else column.name
        for column in table.columns
    )


def counted(rows: list[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """Each row and how often it is there. Doubles by their shortest text: NaN is unequal to itself, -0.0 equal to 0."""
    return Counter(tuple(repr(value) if isinstance(value, float) else value for value in row) for row in rows)


def assert_equal(pipeline: Pipeline, url: str, schema: str = "taxi") -> None:
    """Every row of every table is there, as often as in the warehouse, and nothing else."""
    with connected(url) as run:
        for table in EXPORTED:
            there = run(f"SELECT {spelled(table, 'text')} FROM {schema}.{table.name}")
            here = pipeline.rows(f"SELECT {spelled(table, 'VARCHAR')} FROM {table.name}")
            assert counted(there) == counted(here), table.name


@pytest.mark.services
def test_every_row_arrives_with_its_types_comments_keys_and_indexes(source: Pipeline, database: str) -> None:
    written = exported(source, database)
    assert_equal(source, database)
    assert written["trips"].rows_written == source.rows("SELECT count(*) FROM trips")[0][0]
    assert (written["trips"].days_written, written["rejected_trips"].days_written) == (8, 8)
    with connected(database) as run:
        found = run(
            "SELECT column_name, data_type, numeric_precision, numeric_scale, is_nullable "
            "FROM information_schema.columns WHERE table_schema = 'taxi' AND table_name = 'trips'"
        )
        types = {name: rest for name, *rest in found}
        assert types["fleet"] == ["text", None, None, "NO"]
        assert types["total_amount"] == ["numeric", 12, 2, "YES"]
        assert types["trip_distance"] == ["numeric", 12, 3, "YES"]
        assert types["pickup_datetime"] == ["timestamp without time zone", None, None, "YES"]
        assert types["pickup_date"] == ["date", None, None, "NO"]
        assert types["shared_match"] == ["boolean", None, None, "YES"]
        assert types["pickup_longitude"][0] == "double precision"
        assert types["vendor_id"][:2] == ["smallint", 16]
        ((comment, of_column),) = run(
            "SELECT obj_description('taxi.trips'::regclass), col_description('taxi.trips'::regclass, "
            "(SELECT ordinal_position FROM information_schema.columns WHERE table_schema = 'taxi' "
            "AND table_name = 'trips' AND column_name = 'trip_distance')::int)"
        )
        assert comment == TRIPS.description
        assert of_column == "Distance by the taximeter; of fhvhv as the company reports it (miles)"
        keys = dict(
            run(
                "SELECT table_name, string_agg(column_name, ' ' ORDER BY ordinal_position) "
                "FROM information_schema.table_constraints JOIN information_schema.key_column_usage "
                "USING (constraint_name, table_schema, table_name) WHERE constraint_type = 'PRIMARY KEY' "
                "AND table_schema = 'taxi' GROUP BY table_name"
            )
        )
        assert keys == {table.name: " ".join(table.key) for table in EXPORTED if table.key}
        indexes = dict(run("SELECT tablename, indexdef FROM pg_indexes WHERE indexname NOT LIKE '%%pkey'", *[]))
        assert indexes["trips"].endswith("(pickup_date, fleet)")
        assert indexes["rejected_trips"].endswith("(month, fleet)")
        ((text, empty),) = run("SELECT count(licensee), count(*) FILTER (WHERE licensee = '') FROM taxi.trips")
        assert (text, empty) == (13, 1), "NULL and an empty text are told apart"


@pytest.mark.services
def test_a_second_export_writes_nothing_and_a_changed_day_alone_is_replaced(source: Pipeline, database: str) -> None:
    exported(source, database)
    with connected(database) as run:
        before = run("SELECT ctid, xmin, pickup_date FROM taxi.trips ORDER BY ctid")
        again = exported(source, database)
        assert sum(found.rows_written for found in again.values()) == 0
        assert again["trips"].days_unchanged == 8
        assert run("SELECT ctid, xmin, pickup_date FROM taxi.trips ORDER BY ctid") == before
        # Two rows exchange values, so that no count or sum differs: the file's version tells.
        source.execute("UPDATE trips SET fare_amount = 1 WHERE fleet = 'green' AND pickup_date = '2023-02-01'")
        source.execute(
            "UPDATE loaded_days SET file_version = 'new' WHERE fleet = 'green' AND pickup_date = '2023-01-31'"
        )
        source.execute("UPDATE zones SET zone = 'NewarkXAirport' WHERE zone = 'Newark Airport'")
        changed = exported(source, database)
        assert changed["trips"].days_written == 2
        assert changed["zones"].rows_written == 265
        assert changed["vendors"].rows_written == 0
        after = run("SELECT ctid, xmin, pickup_date FROM taxi.trips ORDER BY ctid")
        untouched = [row for row in before if row[2] in (date(2023, 1, 30), date(2023, 2, 2))]
        assert [row for row in after if row[2] in (date(2023, 1, 30), date(2023, 2, 2))] == untouched
    assert_equal(source, database)


@pytest.mark.services
def test_tables_fleets_and_days_can_be_chosen(source: Pipeline, database: str) -> None:
    selected = {"tables": [TRIPS, ZONES], "fleets": ["green"], "first": date(2023, 1, 31), "last": date(2023, 2, 1)}
    written = exported(source, database, schema="My schema", **selected)
    assert list(written) == ["trips", "zones"]
    with connected(database) as run:
        assert run('SELECT DISTINCT fleet, pickup_date FROM "My schema".trips ORDER BY 2') == [
            ("green", date(2023, 1, 31)),
            ("green", date(2023, 2, 1)),
        ]
        tables = run("SELECT table_name FROM information_schema.tables WHERE table_schema = 'My schema' ORDER BY 1")
        assert tables == [("export_log",), ("trips",), ("zones",)]
    exported(source, database, schema="My schema")
    assert_equal(source, database, '"My schema"')


@pytest.mark.services
def test_days_that_are_not_loaded_are_refused_and_stay_in_the_target(source: Pipeline, database: str) -> None:
    exported(source, database)
    with pytest.raises(
        ExportError, match="no day of fhv from 2023-01-30 to the last day is loaded, so nothing was exp"
    ):
        exported(source, database, fleets=["fhv"], first=FIRST)
    for table in ("trips", "loaded_days"):
        source.execute(f"DELETE FROM {table} WHERE pickup_date = '2023-02-02'")
    exported(source, database)
    with connected(database) as run:
        assert run("SELECT count(*) > 0 FROM taxi.trips WHERE pickup_date = '2023-02-02'") == [(True,)]


@pytest.mark.services
@pytest.mark.parametrize("schema", ["public", "gis"])
def test_with_postgis_zones_have_shapes(source: Pipeline, database: str, schema: str) -> None:
    """Whichever schema the extension is in, and also when it comes after the first export."""
    with connected(database) as run:
        if not run("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'"):
            pytest.skip("this PostgreSQL has no PostGIS")
        exported(source, database, tables=[ZONES])
        run(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        run(f"CREATE EXTENSION postgis SCHEMA {schema}")
        for _ in range(2):
            exported(source, database)
        assert_equal(source, database)
        run(f"SET search_path = {schema}")
        assert run("SELECT count(*), count(geom), min(ST_SRID(geom)) FROM taxi.zones") == [(265, 263, 4326)]
        assert run("SELECT DISTINCT GeometryType(geom) FROM taxi.zones WHERE geom IS NOT NULL") == [("MULTIPOLYGON",)]
        ((inside,),) = run(
            "SELECT zone FROM taxi.zones WHERE ST_Contains(geom, ST_SetSRID(ST_MakePoint(-73.7781, 40.6413), 4326))"
        )
        assert inside == "JFK Airport"
        assert run("SELECT count(*) FROM pg_indexes WHERE tablename = 'zones' AND indexdef LIKE '%%gist (geom)'", *[])


# What goes wrong


def _export_and_wait(folder: Path, url: str, reached: Path) -> None:
    """Export, and stop in the middle of the third part, whose first rows are sent."""
    original, writes = postgresql.PostgresTarget.write, 0

    def write(self: Any, changes: Any) -> None:
        nonlocal writes
        writes += 1
        original(self, changes)

    def as_csv(batch: Any, _original: Any = postgresql._as_csv) -> bytes:
        if writes == 3:
            if reached.exists():
                time.sleep(60)
            reached.touch()
        return _original(batch)

    postgresql.PostgresTarget.write = write
    postgresql._as_csv = as_csv
    exported(pipeline_in(folder, folder, FLEETS), url)


@pytest.mark.services
def test_a_killed_export_leaves_whole_months_and_goes_on(source: Pipeline, database: str, tmp_path: Path) -> None:
    child = process(_export_and_wait, source.folder, database, tmp_path / "reached")
    wait_for_file(tmp_path / "reached", child)
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    per_part = "SELECT fleet, date_trunc('month', pickup_date)::date, count(*) FROM {} GROUP BY 1, 2 ORDER BY 2, 1"
    with connected(database) as run:
        there = run(per_part.format("taxi.trips"))
        assert run("SELECT DISTINCT table_name FROM taxi.export_log WHERE fleet IS NULL") == []
    here = source.rows(
        "SELECT fleet, date_trunc('month', pickup_date)::date, count(*) FROM trips GROUP BY 1, 2 ORDER BY 2, 1"
    )
    assert there == here[:2], "January of both fleets, and nothing of February"
    _until_unlocked(database)
    written = exported(source, database)
    assert (written["trips"].days_unchanged, written["trips"].days_written) == (4, 4)
    assert_equal(source, database)


def _until_unlocked(url: str) -> None:
    """The server notices after a moment that a client is dead."""
    deadline = time.monotonic() + 30
    with connected(url) as run:
        while run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != [(0,)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Calls something in the middle of a transaction of an export, when so many batches of rows were made before."""

    def when(number: int, act: Callable[[], object]) -> None:
        made = 0

        def as_csv(batch: Any, _original: Any = postgresql._as_csv) -> bytes:
            nonlocal made
            made += 1
            if made == number:
                act()
            return _original(batch)

        monkeypatch.setattr(postgresql, "_as_csv", as_csv)

    return when


@pytest.mark.services
def test_a_reader_sees_no_part_of_a_month(
    source: Pipeline,
    database: str,
    during: Callable[[int, Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither when the old rows are deleted, nor when the new ones are there and not yet recorded."""
    exported(source, database)
    count = "SELECT count(*), count(*) FILTER (WHERE pickup_date > '2023-01-31') FROM taxi.trips"
    source.execute("DELETE FROM trips WHERE trip_distance > 2")
    with connected(database) as reader:
        before, seen = reader(count), []

        def record(self: Any, change: Any, _original: Any = postgresql.PostgresTarget._record) -> None:
            seen.append(reader(count))
            _original(self, change)

        during(1, lambda: seen.append(reader(count)))
        monkeypatch.setattr(postgresql.PostgresTarget, "_record", record)
        exported(source, database)
        assert len(seen) == 5, "of four months of fleets"
        assert seen[:2] == [before, before]
        assert reader(count) != before
    assert_equal(source, database)


@pytest.mark.services
def test_a_connection_that_ends_in_the_middle_says_what_is_there(
    source: Pipeline, database: str, during: Callable[[int, Callable[[], object]], None]
) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taxi-pipeline export'"
    with connected(database) as other:
        during(9, lambda: other(end))
        with pytest.raises(ExportError, match="These days are as they were, earlier ones are written; run again"):
            exported(source, database)
        assert other("SELECT count(DISTINCT pickup_date) FROM taxi.trips WHERE fleet = 'green'") == [(2,)]
        assert other("SELECT count(*) FROM taxi.trips WHERE fleet = 'yellow'") == [(0,)]
    exported(source, database)
    assert_equal(source, database)


@pytest.mark.services
def test_two_exports_at_once_do_not_mix(source: Pipeline, database: str) -> None:
    with open_target(address_of(database), schema=None, warehouse=Path("none")):
        with pytest.raises(ExportError, match=r"another export writes into schema taxi of database test_\w+ at 127"):
            exported(source, database)
        exported(source, database, schema="other")
    exported(source, database)


@pytest.mark.services
def test_a_row_that_somebody_deletes_meanwhile_is_noticed_and_written_again(
    source: Pipeline, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    with connected(database) as other:

        def sums_by_day(self: Any, *args: Any, _original: Any = postgresql.PostgresTarget.sums_by_day) -> Any:
            if not seen:
                other(
                    "UPDATE taxi.borough_flows SET num_trips = num_trips + 1 WHERE fleet = 'yellow' "
                    "AND pickup_date = '2023-02-02'"
                )
                other(
                    "DELETE FROM taxi.trips WHERE ctid IN (SELECT ctid FROM taxi.trips WHERE fleet = 'green' "
                    "AND pickup_date = '2023-01-31' LIMIT 1)"
                )
            seen.append(args)
            return _original(self, *args)

        ((whole,),) = source.rows("SELECT count(*) FROM trips WHERE fleet = 'green' AND pickup_date = '2023-01-31'")
        with monkeypatch.context() as patch:
            patch.setattr(postgresql.PostgresTarget, "sums_by_day", sums_by_day)
            with pytest.raises(ExportDiffersError) as differs:
                exported(source, database, tables=[TRIPS, BOROUGH_FLOWS])
        message = str(differs.value)
        assert f"trips green 2023-01-31: rows: {whole - 1} in the target, {whole} in the warehouse (and " in message
        assert "borough_flows yellow 2023-02-02: sum of num_trips: " in message
    written = exported(source, database)
    assert written["trips"].days_written == 1, "what differs is written again"
    assert_equal(source, database)


@pytest.mark.services
def test_a_table_of_another_kind_is_refused_and_nothing_is_changed(source: Pipeline, database: str) -> None:
    with connected(database) as run:
        run("CREATE SCHEMA taxi")
        run("CREATE TABLE taxi.zones (zone_id integer, name text)")
        run("INSERT INTO taxi.zones VALUES (1, 'mine')")
        with pytest.raises(
            ExportError, match="has a table zones of another kind: its columns are zone_id integer, name"
        ):
            exported(source, database)
        assert run("SELECT * FROM taxi.zones") == [(1, "mine")]
        assert run("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'taxi'") == [(1,)]


@pytest.mark.services
def test_columns_that_are_new_in_a_version_are_added(source: Pipeline, database: str) -> None:
    exported(source, database)
    with connected(database) as run:
        run("ALTER TABLE taxi.trips DROP COLUMN dropoff_latitude")
        run("UPDATE taxi.export_log SET version = 'of another version' WHERE table_name = 'trips'")
        run("ALTER TABLE taxi.zones ADD COLUMN mine integer")  # behind the declared ones it stays
        written = exported(source, database)
        assert written["trips"].days_written == 8
    assert_equal(source, database)


@pytest.mark.services
@pytest.mark.parametrize("where", ["in the URL", "in the query", "in the environment"])
def test_a_wrong_password_is_not_repeated(
    source: Pipeline, database: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    server = database.partition("@")[2]
    if where == "in the environment":
        monkeypatch.setenv("PGPASSWORD", "s3cret")
    url = {
        "in the URL": f"postgresql://taxi:s3cret@{server}",
        "in the query": f"postgresql://taxi@{server}?password=s3cret",
        "in the environment": f"postgresql://taxi@{server}",
    }[where]
    with pytest.raises(ExportError, match='password authentication failed for user "taxi"') as refused:
        exported(source, url)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.services
def test_a_password_of_the_environment_is_enough(
    source: Pipeline, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _, server = database.partition("@")
    monkeypatch.setenv("PGPASSWORD", user.rpartition(":")[2])
    exported(source, f"postgresql://taxi@{server}", tables=[ZONES])


@pytest.mark.services
def test_a_user_without_rights_is_told_and_one_with_a_schema_is_enough(source: Pipeline, database: str) -> None:
    name = f"role_{time.monotonic_ns()}"
    url = f"postgresql://{name}:pw@{database.partition('@')[2]}"
    with connected(database) as run:
        run(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
        try:
            with pytest.raises(ExportError, match="permission denied for database"):
                exported(source, url)
            run("CREATE SCHEMA taxi")
            run(f"GRANT USAGE ON SCHEMA taxi TO {name}")
            with pytest.raises(
                ExportError, match=r"permission denied for schema taxi\. No table was changed; run again"
            ):
                exported(source, url)
            run(f"GRANT CREATE ON SCHEMA taxi TO {name}")
            exported(source, url)
            assert_equal(source, database)
        finally:
            run(f"DROP OWNED BY {name} CASCADE")
            run(f"DROP ROLE {name}")


@pytest.mark.services
def test_the_command(source: Pipeline, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It exits with 1 where something differs, and leaves no copy of the warehouse behind."""
    monkeypatch.setenv("TAXI_DATA_DIR", str(source.folder))
    monkeypatch.setenv("DUCKDB_DATABASE", str(source.folder / "staging" / "data.duckdb"))
    options = ["export", "--to", database, "--end", "2023-02-01", "--table", "trips", "--table", "zones"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    assert "trips" in result.output
    assert "only-for-tests" not in result.output
    assert list((source.folder / ".scratch").rglob("*.duckdb")) == []
    with connected(database) as run:
        run("UPDATE taxi.zones SET borough = 'Elsewhere' WHERE zone_id = 4")
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert "zones: first characters of borough: " in result.output
    assert CliRunner().invoke(main, options).exit_code == 0, "it is written again"


@pytest.mark.services
def test_an_empty_warehouse_says_what_to_do(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(main, ["export", "--to", database])
    assert result.exit_code == 1
    assert "there is no warehouse at" in result.output
    with connected(database) as run:
        assert run("SELECT count(*) FROM pg_namespace WHERE nspname = 'taxi'") == [(0,)]


# DuckDB and Parquet


def test_runs_go_on_while_an_export_reads(source: Pipeline, tmp_path: Path) -> None:
    """It reads the state in which it began."""
    warehouse = source.warehouse
    assert isinstance(warehouse, DuckDBWarehouse)
    with warehouse.read_copy(tmp_path / "copy.duckdb") as session:
        before = session.row("SELECT count(*) FROM trips")
        source.execute("DELETE FROM trips")
        assert session.row("SELECT count(*) FROM trips") == before
    assert source.rows("SELECT count(*) FROM trips") == [(0,)]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("duckdb:/data/a.duckdb", "/data/a.duckdb"),
        ("duckdb:///data/a.duckdb", "/data/a.duckdb"),
        ("parquet:below/here", "below/here"),
        ("parquet:a:b", "a:b"),
    ],
)
def test_files_are_named_by_their_paths(url: str, path: str) -> None:
    (found,) = vars(address_of(url)).values()
    assert found == Path.cwd() / path


def rows_in(url: str, table: Table) -> list[tuple[Any, ...]]:
    """What a plain DuckDB reads from the file, or from the folder as Hive lays it out."""
    kind, _, place = url.partition(":")
    folder = f"{place}/{table.name}/**/*.parquet"
    by_days = table.kind in BY_DAYS
    what = table.name if kind == "duckdb" else f"read_parquet('{folder}', hive_partitioning = {by_days})"
    with duckdb.connect(place if kind == "duckdb" else ":memory:") as connection:
        return connection.execute(f"SELECT {spelled(table, 'VARCHAR')} FROM {what}").fetchall()


def assert_equal_files(pipeline: Pipeline, url: str) -> None:
    for table in EXPORTED:
        here = pipeline.rows(f"SELECT {spelled(table, 'VARCHAR')} FROM {table.name}")
        assert counted(rows_in(url, table)) == counted(here), table.name


FILES = pytest.mark.parametrize("kind", ["duckdb", "parquet"])


@FILES
def test_files_have_every_row_and_only_changes_are_written(source: Pipeline, tmp_path: Path, kind: str) -> None:
    url = f"{kind}:{tmp_path / 'target'}"
    written = exported(source, url)
    assert written["trips"].rows_written == source.rows("SELECT count(*) FROM trips")[0][0]
    assert_equal_files(source, url)
    assert sum(found.rows_written for found in exported(source, url).values()) == 0
    source.execute("UPDATE trips SET fare_amount = 1 WHERE fleet = 'green' AND pickup_date = '2023-02-01'")
    source.execute("UPDATE zones SET zone = 'Renamed' WHERE zone_id = 1")
    changed = exported(source, url)
    assert changed["trips"].days_written == (1 if kind == "duckdb" else 2), "a file holds a month"
    assert (changed["zones"].rows_written, changed["borough_flows"].rows_written) == (265, 0)
    assert_equal_files(source, url)


def test_comments_and_types_are_in_the_files(source: Pipeline, tmp_path: Path) -> None:
    exported(source, f"duckdb:{tmp_path / 'a.duckdb'}", tables=[TRIPS])
    exported(source, f"parquet:{tmp_path / 'folder'}", tables=[TRIPS])
    comment = "Distance by the taximeter; of fhvhv as the company reports it (miles)"
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        found = connection.execute(
            "SELECT comment, data_type FROM duckdb_columns() WHERE column_name = 'trip_distance'"
        ).fetchall()
        assert found == [(comment, "DECIMAL(12,3)")]
    path = tmp_path / "folder" / "trips" / "fleet=green" / "month=2023-02-01" / "trips.parquet"
    field = pq.read_schema(path).field("trip_distance")
    assert field.metadata[b"comment"].decode() == comment
    assert str(field.type) == "decimal128(12, 3)"


def _export_to_file_and_wait(folder: Path, url: str, reached: Path) -> None:
    """Export, and stop in the middle of the second part."""
    from taxi_pipeline.exports.contents import Change

    original, asked = Change.batches, 0

    def batches(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 10:  # trips of the second part are written
            reached.touch()
            time.sleep(60)
        return original(self, *args, **kwargs)

    Change.batches = batches
    exported(pipeline_in(folder, folder, FLEETS), url)


@FILES
def test_a_killed_export_to_files_goes_on(source: Pipeline, tmp_path: Path, kind: str) -> None:
    url = f"{kind}:{tmp_path / 'target'}"
    child = process(_export_to_file_and_wait, source.folder, url, tmp_path / "reached")
    wait_for_file(tmp_path / "reached", child)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    ((green,),) = source.rows("SELECT count(*) FROM trips WHERE fleet = 'green' AND pickup_date < '2023-02-01'")
    assert len(rows_in(url, TRIPS)) == green + (0 if kind == "duckdb" else len(yellow_of_january(source)))
    written = exported(source, url)
    assert written["trips"].days_unchanged == (2 if kind == "duckdb" else 4)
    assert_equal_files(source, url)
    assert list(tmp_path.rglob("*.tmp*")) == []


def yellow_of_january(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.rows("SELECT 1 FROM trips WHERE fleet = 'yellow' AND pickup_date < '2023-02-01'")


@FILES
def test_what_somebody_changes_in_files_is_noticed(
    source: Pipeline, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{kind}:{tmp_path / 'target'}"
    exported(source, url, tables=[ZONES])
    if kind == "duckdb":
        with duckdb.connect(str(tmp_path / "target")) as connection:
            connection.execute("DELETE FROM zones WHERE zone_id = 7")
    else:
        path = tmp_path / "target" / "zones" / "zones.parquet"
        found = pq.read_table(path)
        pq.write_table(found.slice(1), path)
    with pytest.raises(ExportDiffersError, match="zones: rows: 264 in the target, 265 in the warehouse"):
        exported(source, url, tables=[ZONES])
    exported(source, url)
    assert_equal_files(source, url)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def spoil_the_rows(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(1000) + content[1004:])


@pytest.mark.parametrize("spoil", [cut_off, lambda path: path.write_bytes(b"")])
def test_a_file_that_is_not_whole_is_written_again(
    source: Pipeline, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    url = f"parquet:{tmp_path / 'target'}"
    exported(source, url)
    spoil(tmp_path / "target/zones/zones.parquet")
    spoil(tmp_path / "target/trips/fleet=green/month=2023-02-01/trips.parquet")
    written = exported(source, url)
    assert (written["zones"].rows_written, written["trips"].days_written) == (265, 2)
    assert_equal_files(source, url)


def test_a_file_whose_rows_are_spoilt_is_deleted_and_written_again(source: Pipeline, tmp_path: Path) -> None:
    url = f"parquet:{tmp_path / 'target'}"
    exported(source, url)
    spoil_the_rows(tmp_path / "target/trips/fleet=green/month=2023-02-01/trips.parquet")
    with pytest.raises(ExportError, match=r"trips.parquet can't be read again, and was deleted.*it is written anew"):
        exported(source, url)
    exported(source, url)
    assert_equal_files(source, url)


def test_what_is_no_target_of_ours_is_refused(source: Pipeline, tmp_path: Path) -> None:
    warehouse = source.warehouse
    assert isinstance(warehouse, DuckDBWarehouse)
    with pytest.raises(ExportError, match="is the warehouse itself"):
        exported(source, f"duckdb:{warehouse.database}")
    (tmp_path / "text").write_text("no database")
    with pytest.raises(ExportError, match=r"text is no DuckDB database file\. Nothing was changed"):
        exported(source, f"duckdb:{tmp_path / 'text'}")
    with pytest.raises(StorageError, match="name a folder that does not lie below a file"):
        exported(source, f"parquet:{tmp_path / 'text' / 'below'}")
    for name, content in (("a.csv", "a,b\n1,2\n"), ("b.json", '[{"a": 1}]'), ("c.parquet", "PAR1"), ("d", "DUCKDUCK")):
        (tmp_path / name).write_text(content)
        with pytest.raises(ExportError, match=f"{name} is no DuckDB database file. Nothing was changed"):
            exported(source, f"duckdb:{tmp_path / name}")
        assert (tmp_path / name).read_text() == content
    with duckdb.connect(str(tmp_path / "mine")) as connection:
        connection.execute("CREATE TABLE zones (zone_id INTEGER)")
    with pytest.raises(ExportError, match="has a table zones of another kind: its columns are zone_id, where"):
        exported(source, f"duckdb:{tmp_path / 'mine'}")
    (tmp_path / "folder" / "zones").mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "folder" / "zones" / "mine.parquet")
    with pytest.raises(ExportError, match=r"mine.parquet was written by no export. Nothing was changed"):
        exported(source, f"parquet:{tmp_path / 'folder'}")
    for name in ("fleet=foo", "Month=1/x"):
        with pytest.raises(ExportError, match="would be read as one of them; name another folder"):
            address_of(f"parquet:{tmp_path}/{name}")
    with pytest.raises(ExportError, match="Parquet files hold whole months"):
        exported(source, f"parquet:{tmp_path / 'other'}", first=FIRST)
    exported(source, f"parquet:{tmp_path / 'other'}", first=date(2023, 2, 1), last=date(2023, 2, 28))
    assert [path.name for path in (tmp_path / "other" / "trips" / "fleet=green").iterdir()] == ["month=2023-02-01"]


@FILES
def test_two_exports_at_once_into_files_do_not_mix(source: Pipeline, tmp_path: Path, kind: str) -> None:
    url = f"{kind}:{tmp_path / 'target'}"
    child = process(_export_to_file_and_wait, source.folder, url, tmp_path / "reached")
    try:
        wait_for_file(tmp_path / "reached", child)
        with pytest.raises(ExportError, match="Nothing was changed"):
            exported(source, url)
    finally:
        child.kill()
        child.join()


def test_declared_keys_are_unique(loaded: Path) -> None:
    pipeline = pipeline_in(loaded, loaded, FLEETS)
    for table in EXPORTED:
        if table.key:
            key = ", ".join(table.key)
            assert pipeline.rows(f"SELECT {key} FROM {table.name} GROUP BY {key} HAVING count(*) > 1") == []
