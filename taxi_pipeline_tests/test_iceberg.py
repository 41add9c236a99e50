"""The Spark engine's promises: all of a session or nothing of it, whoever else works, whatever is killed."""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import loaded_months, warehouse_version
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.interface import (
    ConflictError,
    UnfinishedLoad,
    WarehouseUnavailableError,
)
from taxi_pipeline.warehouse.reference import replace_zones
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline.warehouse.spark import SparkWarehouse, publishing
from taxi_pipeline.warehouse.spark.layout import DAILY_TABLES, PUBLICATIONS, TABLES_BY_MONTH
from taxi_pipeline.warehouse.spark.publishing import AuditError
from taxi_pipeline.warehouse.tables import (
    LOADED_DAYS,
    TRIPS,
    ZONE_HOURLY_VOIDS,
)
from taxi_pipeline.warehouse.tables import ZONES as ZONES_TABLE
from taxi_pipeline.warehouse.views import VIEWS
from taxi_pipeline_tests.odd_files import PICKUP, good_row, published
from taxi_pipeline_tests.pipelines import contents
from taxi_pipeline_tests.processes import process
from taxi_pipeline_tests.services.fixtures import fresh_database, service
from taxi_pipeline_tests.services.warehouses import leftovers, num_jobs, spark_warehouse
from taxi_pipeline_tests.small_months import FEBRUARY, ZONES, month_with, months, warehouse_with_zones

pytestmark = pytest.mark.cluster


@pytest.fixture
def warehouse(tmp_path: Path) -> SparkWarehouse:
    return warehouse_with_zones(tmp_path)


def test_a_block_that_raises_leaves_nothing(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    before = contents(warehouse)
    with pytest.raises(ZeroDivisionError), warehouse.write() as session:
        load_days(session, GREEN, [FEBRUARY], month_with(tmp_path / "b", 50))
        assert session.row("SELECT count(*) FROM trips") == (50,), "the session itself sees what it did"
        assert session.row("SELECT sum(num_trips) FROM zone_hourly_trips") == (50,)
        raise ZeroDivisionError
    assert contents(warehouse) == before
    assert leftovers(warehouse) == {}


def test_a_reader_sees_one_state_while_a_month_is_replaced(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    """This holds for rows that are deleted meanwhile, and for a table that the reader has not asked for yet."""
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    with warehouse.read() as session:
        version = warehouse_version(session)
        warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "b", 50))
        assert session.row("SELECT count(*) FROM trips") == (30,)
        assert session.row("SELECT sum(num_trips) FROM zone_hourly_trips") == (30,)
        assert session.row("SELECT sum(num_trips) FROM loaded_days") == (30,)
        assert warehouse_version(session) == version
    with warehouse.read() as session:
        assert session.row("SELECT count(*) FROM trips") == (50,)
        assert warehouse_version(session) == version + 1
    assert leftovers(warehouse) == {}


@pytest.mark.parametrize("before", ["no tables", "a month"])
def test_of_two_sessions_on_the_same_month_the_second_is_refused(tmp_path: Path, before: str) -> None:
    warehouse = spark_warehouse(tmp_path)
    if before == "a month":
        warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "old", 27))
    winner: dict[str, Counter[tuple[Any, ...]]] = {}
    conflict = pytest.raises(ConflictError, match="another run has changed green 2023-02 since")
    with conflict, warehouse.write() as slow:
        load_days(slow, GREEN, [Days(date(2023, 2, 1), date(2023, 2, 10))], month_with(tmp_path / "a", 30))
        warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "b", 50))
        winner |= contents(warehouse)
    assert contents(warehouse) == winner
    assert winner["trips"].total() == 50
    assert leftovers(warehouse) == {}


def test_sessions_on_different_months_do_not_disturb_each_other(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    """Regression: what was loaded into the month after one of 31 days made the commit of that one fail."""
    january = Days(date(2023, 1, 1), date(2023, 1, 31))
    files, others = month_with(tmp_path / "a", 30), month_with(tmp_path / "b", 50)
    name, of_february = "raw/green_tripdata_2023-01.parquet", "raw/green_tripdata_2023-02.parquet"
    with files.draft(name) as draft, files.local_copy(of_february) as february:
        draft.path.write_bytes(february.read_bytes())
    files.write(f"{name}.source.json", files.read(f"{of_february}.source.json"))
    with warehouse.write() as slow:
        load_days(slow, GREEN, [january], files)
        warehouse.change(load_days, GREEN, [FEBRUARY], others)
    found = warehouse.query(loaded_months, Days(january.first, FEBRUARY.last))
    assert [(month.first, month.num_trips, month.num_rejected) for month in found] == [
        (january.first, 0, 31),
        (FEBRUARY.first, 50, 1),
    ]
    assert leftovers(warehouse) == {}


def _load(folder: Path, namespace: str, files: LocalFolder) -> None:
    spark_warehouse(folder, namespace).change(load_days, GREEN, [FEBRUARY], files)


def test_what_another_process_commits_is_seen_by_the_next_session(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    """Although a connection keeps what it knows of the tables."""
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    with warehouse.read() as session:
        child = process(_load, tmp_path, warehouse.name.partition(".")[2], month_with(tmp_path / "b", 50))
        child.join()
        assert child.exitcode == 0
        assert session.row("SELECT count(*) FROM trips") == (30,)
    with warehouse.read() as session:
        assert session.row("SELECT count(*) FROM trips") == (50,)
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "c", 40))
    assert [month.num_trips for month in months(warehouse)] == [40]
    assert leftovers(warehouse) == {}


def _load_and_die(folder: Path, namespace: str, files: LocalFolder) -> None:
    with spark_warehouse(folder, namespace).write() as session:
        load_days(session, GREEN, [FEBRUARY], files)
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_session_wrote_is_never_counted_and_the_next_one_deletes_it(
    warehouse: SparkWarehouse, tmp_path: Path
) -> None:
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    before = contents(warehouse)
    child = process(_load_and_die, tmp_path, warehouse.name.partition(".")[2], month_with(tmp_path / "b", 50))
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert contents(warehouse) == before
    assert leftovers(warehouse)["trips"] == [50]
    with warehouse.read() as session:
        assert session.unfinished() == [UnfinishedLoad("green", FEBRUARY.first, 50)]
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "c", 40))
    assert [month.num_trips for month in months(warehouse)] == [40]
    with warehouse.read() as session:
        assert session.unfinished() == []
    assert leftovers(warehouse) == {}


def test_of_two_sessions_on_a_small_table_the_last_is_right(warehouse: SparkWarehouse) -> None:
    """Regression: the first one deleted what the other had staged, which could not be published then."""
    with warehouse.write() as slow:
        replace_zones(slow, ZONES[:1], "zones", synthetic=False)
        warehouse.change(replace_zones, ZONES, "zones", synthetic=False)
    with warehouse.read() as session:
        assert session.rows("SELECT zone_id FROM zones") == [(74,)]


def _load_zones(folder: Path, namespace: str, catalog_url: str) -> None:
    warehouse = spark_warehouse(folder, namespace, catalog_url=catalog_url)
    warehouse.change(replace_zones, ZONES, "zones", synthetic=False)


def test_several_may_be_the_first(tmp_path: Path) -> None:
    """Regression: of several processes that made the catalogue's tables at the same moment all but one failed."""
    with fresh_database() as catalog_url:
        children = [process(_load_zones, tmp_path, "first", catalog_url) for _ in range(4)]
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0] * 4
        with spark_warehouse(tmp_path, "first", catalog_url=catalog_url).read() as session:
            assert len(session.rows("SELECT * FROM zones")) == len(ZONES)
            assert warehouse_version(session) == 4


MOST_JOBS = 15
"""Jobs of the load of a month, with those by which the tables are opened."""


def num_commits(warehouse: SparkWarehouse) -> Counter[str]:
    """Table → the commits that it has had."""
    with warehouse.read() as session:
        names = [table.name for table in (*TABLES_BY_MONTH, PUBLICATIONS)]
        counts = [f"SELECT '{name}', count(*) FROM {warehouse.name}.{name}.metadata_log_entries" for name in names]
        return Counter(dict(map(tuple, session.ask(" UNION ALL ".join(counts)).collect())))


def test_a_load_costs_two_commits_a_table(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    """One that stages and one that publishes; a table that has and gets no rows has none. A decision is one more.

    Regression: each session that wrote made all views anew, as if they were missing.
    """
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    views = files_of_views(tmp_path)
    assert views
    before = num_commits(warehouse)
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "b", 50))
    assert num_commits(warehouse) - before == Counter(
        {table.name: 2 for table in TABLES_BY_MONTH if table is not ZONE_HOURLY_VOIDS} | {PUBLICATIONS.name: 1}
    )
    assert files_of_views(tmp_path) == views


def test_a_load_is_few_jobs(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    """Each costs Spark's driver as much as the work of a small month.

    Regression: each stage was a job of its own, and so was each question about what is staged and decided.
    """
    counted = [num_jobs(warehouse)]
    for num_trips in (30, 50):
        warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / str(num_trips), num_trips))
        counted.append(num_jobs(warehouse))
    new, replaced = (after - before for before, after in pairwise(counted))
    assert max(new, replaced) <= MOST_JOBS, (new, replaced)


def files_of_views(folder: Path) -> set[Path]:
    """What the catalogue's storage has of the declared views: a file for each time that one was made."""
    return {path for view in VIEWS for path in folder.glob(f"taxi/*/{view.name}/metadata/*.json")}


def test_rollups_are_counted_again_alone(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    before, version = contents(warehouse), warehouse.query(warehouse_version)
    warehouse.change(count_again, FEBRUARY, ["zone_hourly_trips"])
    warehouse.change(count_again, Days(date(2023, 2, 1), date(2023, 2, 9)), ["borough_flows"])
    assert contents(warehouse) == before
    assert warehouse.query(warehouse_version) == version + 2


def test_a_month_is_one_file_and_maintenance_leaves_what_is_staged(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    """Also where maintenance has rewritten the month's files between staging and publishing."""
    files = month_with(tmp_path / "a", 40)
    for first, last in ((1, 9), (10, 28)):
        warehouse.change(load_days, GREEN, [Days(date(2023, 2, first), date(2023, 2, last))], files)
    before = contents(warehouse)
    with warehouse.write() as session:
        load_days(session, GREEN, [FEBRUARY], month_with(tmp_path / "b", 50))
        done = warehouse.maintain()
        assert not [said for said in done.values() if "next time" in said], done
        assert contents(warehouse) == before
        catalog, _, namespace = warehouse.name.partition(".")
        for table in (TRIPS, LOADED_DAYS):
            session.ask(
                f"CALL {catalog}.system.rewrite_data_files(table => '{namespace}.{table.name}', "
                "options => map('rewrite-all', 'true'))"
            )
    assert [month.num_trips for month in months(warehouse)] == [50]
    after = contents(warehouse)
    assert {name: after[name].total() for name in ("trips", "rejected_trips", "loaded_days")} == {
        "trips": 50, "rejected_trips": 1, "loaded_days": 28,
    }  # fmt: skip
    with warehouse.read() as session:
        files_of = session.ask(f"SELECT count(*) AS found FROM {session.name_of(TRIPS)}.files").collect()
    assert files_of[0].found == 1


def test_the_bare_tables_have_what_counts(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    """This holds for every reader, at every moment of a load, and for a month that loses its rejected rows."""
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    expected = contents(warehouse)
    seen: list[tuple[int, int]] = []
    ended = Event()
    with ThreadPoolExecutor(1) as pool:
        bare = BareTables(warehouse)
        asking = pool.submit(bare.ask_until, ended, seen)
        try:
            with warehouse.write() as session:
                load_days(session, GREEN, [FEBRUARY], whole_month_with(tmp_path / "b", 50))
                for table in DAILY_TABLES:
                    found = session.ask(f"SELECT * FROM {session.name_of(table)}")
                    assert found.columns == list(table.column_names)
                    assert found.count() == expected[table.name].total(), table.name
        finally:
            ended.set()
        asking.result()
        seen.append(bare.counts())
    assert {trips for trips, _ in seen} == {30, 50}
    assert {rejected for _, rejected in seen} <= {1, 0}
    assert seen[0] == (30, 1)
    assert seen[-1] == (50, 0)


class BareTables:
    """A reader of the tables without the pipeline, with a connection of its own, which keeps what it knows of them."""

    def __init__(self, warehouse: SparkWarehouse) -> None:
        from taxi_pipeline.warehouse.spark.connection import connect

        remote = os.environ["TAXI_TEST_SPARK_REMOTE"]
        settings = {**warehouse._catalog_settings(), "spark.app.name": "bare"}
        self._spark = connect(remote, settings, patience_seconds=5)
        self._name = warehouse.name

    def counts(self) -> tuple[int, int]:
        """The trips and the rejected rows as they are for everyone."""
        for table in ("trips", "rejected_trips"):
            self._spark.catalog.refreshTable(f"{self._name}.{table}")
        return self._count("trips"), self._count("rejected_trips")

    def ask_until(self, ended: Event, seen: list[tuple[int, int]]) -> None:
        """Count them again and again, as they are in the reader's own copy."""
        while not ended.is_set():
            seen.append((self._count("trips"), self._count("rejected_trips")))

    def _count(self, table: str) -> int:
        return self._spark.sql(f"SELECT count(*) FROM {self._name}.{table}").collect()[0][0]


def whole_month_with(folder: Path, num_trips: int) -> LocalFolder:
    """A month like `month_with`, without a rejected row."""
    folder.mkdir(exist_ok=True)
    return published(
        folder, [{**good_row(n), PICKUP: good_row()[PICKUP].replace(day=1 + n % 20)} for n in range(num_trips)]
    )


def _load_and_die_publishing(folder: Path, namespace: str, files: LocalFolder, num_parts: int) -> None:
    published_parts: list[Any] = []
    publish_part = publishing._publish_part

    def die_after_some(*arguments: Any, **options: Any) -> None:
        if len(published_parts) == num_parts:
            os.kill(os.getpid(), signal.SIGKILL)
        published_parts.append(arguments)
        publish_part(*arguments, **options)

    publishing._publish_part = die_after_some
    spark_warehouse(folder, namespace).change(load_days, GREEN, [FEBRUARY], files)


@pytest.mark.parametrize("num_parts", [0, 3])
def test_what_was_decided_is_published_although_its_session_is_killed(
    warehouse: SparkWarehouse, tmp_path: Path, num_parts: int
) -> None:
    """Who only reads publishes the rest; so all of the load is there, or none."""
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    arguments = (tmp_path, warehouse.name.partition(".")[2], whole_month_with(tmp_path / "b", 50), num_parts)
    child = process(_load_and_die_publishing, *arguments)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert [month.num_trips for month in months(warehouse)] == [50]
    after = contents(warehouse)
    assert (after["trips"].total(), after["rejected_trips"].total()) == (50, 0)
    assert leftovers(warehouse) == {}
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "c", 40))
    assert [month.num_trips for month in months(warehouse)] == [40]


def test_what_does_not_add_up_is_not_published(warehouse: SparkWarehouse, tmp_path: Path) -> None:
    warehouse.change(load_days, GREEN, [FEBRUARY], month_with(tmp_path / "a", 30))
    before = contents(warehouse)
    refused = pytest.raises(AuditError, match=r"trips of green 2023-02 does not add up: 48 rows .* loaded_days says 50")
    with refused, warehouse.write() as session:
        load_days(session, GREEN, [FEBRUARY], month_with(tmp_path / "b", 50))
        session.replace_days(TRIPS, "green", FEBRUARY, "SELECT * FROM trips WHERE pickup_date < DATE '2023-02-20'")
    assert contents(warehouse) == before
    assert leftovers(warehouse) == {}


def test_a_session_that_only_reads_changes_nothing(warehouse: SparkWarehouse) -> None:
    with pytest.raises(ValueError, match="only reads, so zones can't be changed"), warehouse.read() as session:
        session.replace(ZONES_TABLE, [])


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path) -> None:
    away = SparkWarehouse(
        remote="sc://127.0.0.1:9/;token=secret", catalog_url="postgresql://u:p@h/d", storage_url="file:///x",
        namespace="n", patience_seconds=0.1,
    )  # fmt: skip
    with pytest.raises(WarehouseUnavailableError, match=r"does not answer at 127\.0\.0\.1:9.*SPARK_REMOTE") as raised:
        away.query(warehouse_version)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda url: re.sub("//[^@]*@", "//nobody:secret@", url),
            "the cluster can't connect with the catalogue at 127.0.0.1",
        ),
        (lambda url: re.sub(r"@[^/]*/", "@127.0.0.1:9/", url), "Postgres does not answer at 127.0.0.1:9"),
        (lambda url: f"{url}?sslmode=require", "the cluster can't connect with the catalogue at 127.0.0.1"),
    ],
)
def test_a_catalogue_that_refuses_is_named(tmp_path: Path, change: Callable[[str], str], said: str) -> None:
    """Postgres that is away, knows no such user, or has no TLS where the URL asks for it."""
    url = change(service("TAXI_TEST_POSTGRES_URL", started_by="make test-cluster"))
    warehouse = spark_warehouse(tmp_path, catalog_url=url)
    warehouse._patience_seconds = 0.1
    with pytest.raises(WarehouseUnavailableError, match=said) as raised:
        warehouse.query(warehouse_version)
    assert "TAXI_CATALOG_URL" in str(raised.value)
    assert "secret" not in str(raised.value)
