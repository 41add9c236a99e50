"""The warehouse: transactions, closed connections, and waiting for other processes."""

import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import duckdb
import pytest

from taxi_pipeline.cli import main
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.warehouse.coverage import outdated_months, warehouse_version
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import WarehouseUnavailableError
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TABLES, TRIPS
from taxi_pipeline.warehouse.typing.published_view import view_parquet
from taxi_pipeline_tests.processes import held_by_another_process, process, wait_for_file


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    """An empty warehouse with its tables."""
    warehouse = DuckDBWarehouse(tmp_path / "staging" / "data.duckdb", lock_timeout_seconds=5)
    with warehouse.write():
        pass
    return warehouse


@pytest.mark.parametrize("mode", ["read", "write"])
def test_connections_are_closed_on_every_path(warehouse: DuckDBWarehouse, mode: str) -> None:
    """Regression: a connection left open after an exception locks the file until the process ends."""
    with pytest.raises(duckdb.CatalogException), getattr(warehouse, mode)() as session:
        session.rows("SELECT * FROM no_such_table")
    # Another process can open it for writing, so nothing of this one holds it.
    code = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", code, warehouse.database], check=True)


def test_readers_do_not_keep_each_other_out(warehouse: DuckDBWarehouse) -> None:
    with held_by_another_process(warehouse.database, read_only=True), warehouse.read() as session:
        assert session.row("SELECT count(*) FROM zones") == (0,)


def test_reading_can_not_write(warehouse: DuckDBWarehouse) -> None:
    with warehouse.read() as session, pytest.raises(duckdb.InvalidInputException, match="read-only"):
        session.execute("DELETE FROM zones")


@pytest.mark.parametrize(("mode", "holder_reads"), [("read", False), ("write", True), ("write", False)])
def test_the_second_process_waits(warehouse: DuckDBWarehouse, mode: str, holder_reads: bool) -> None:
    holder = held_by_another_process(warehouse.database, read_only=holder_reads, seconds=1)
    with holder, getattr(warehouse, mode)() as session:
        assert session.row("SELECT count(*) FROM zones") == (0,)


@pytest.mark.parametrize("holder_reads", [True, False])
def test_waiting_has_a_bound_and_the_error_names_the_holder(warehouse: DuckDBWarehouse, holder_reads: bool) -> None:
    """An analyst's shell that only reads keeps a run out as well as another run does."""
    impatient = DuckDBWarehouse(warehouse.database, lock_timeout_seconds=0.3)
    with held_by_another_process(warehouse.database, read_only=holder_reads) as pid:
        start = time.monotonic()
        with pytest.raises(WarehouseUnavailableError) as error, impatient.write():
            pass
        assert time.monotonic() - start > 0.3
    assert f"process {pid}" in str(error.value)
    assert "for more than 0.3 s" in str(error.value)
    assert "Close what has it open" in str(error.value)


def test_a_connection_of_this_very_process_is_named(warehouse: DuckDBWarehouse) -> None:
    named = pytest.raises(WarehouseUnavailableError, match="this very process")
    with duckdb.connect(warehouse.database), named, warehouse.write():
        pass


def test_reading_before_anything_was_loaded_says_what_to_do(tmp_path: Path) -> None:
    nothing = DuckDBWarehouse(tmp_path / "data.duckdb")
    with pytest.raises(WarehouseUnavailableError, match="materialize taxi_zones"), nothing.read():
        pass
    assert list(tmp_path.iterdir()) == [], "reading makes no file"


def test_an_older_warehouse_can_be_read(warehouse: DuckDBWarehouse) -> None:
    """Who only reads needs the tables and columns that are new in this version, too."""
    with duckdb.connect(str(warehouse.database)) as connection:
        connection.execute("DROP TABLE warehouse_version")
        for column in ("misfit_columns", *LATER):
            connection.execute(f"ALTER TABLE rejected_trips DROP COLUMN {column}")
    assert warehouse.query(warehouse_version) == 1
    assert "misfit_columns" in warehouse.query(lambda session: session.column_types("rejected_trips"))


LATER = TRIPS.column_names[TRIPS.column_names.index("wheelchair_match") + 1 :]
"""The columns that `trips` got when all that is published was taken."""


def test_a_warehouse_without_the_later_columns_gets_them_and_names_the_months(warehouse: DuckDBWarehouse) -> None:
    with warehouse.write() as session:
        days = [(date(2023, month, day), count) for month, day, count in ((1, 31, None), (2, 1, 28), (2, 2, 99))]
        session.replace(LOADED_DAYS, [("yellow", day, 1, 0, "x", 1, True, count, 0, None) for day, count in days])
    assert warehouse.query(outdated_months) == {"yellow": [date(2023, 1, 1), date(2023, 2, 1)]}
    with duckdb.connect(str(warehouse.database)) as connection:
        for column in ("num_columns", "num_unfit", "unfit_values"):
            connection.execute(f"ALTER TABLE loaded_days DROP COLUMN {column}")
        for table in ("trips", "rejected_trips"):
            for column in LATER:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    with (
        held_by_another_process(warehouse.database, read_only=False),
        warehouse.read_without_waiting() as session,
    ):
        months = outdated_months(session)
    assert months == {"yellow": [date(2023, 1, 1), date(2023, 2, 1)]}
    assert list(warehouse.query(lambda session: session.column_types("trips"))) == list(TRIPS.column_names)
    assert warehouse.query(outdated_months) == months


def test_a_file_without_tables_counts_as_nothing_loaded(tmp_path: Path) -> None:
    """Regression: so a process leaves it that was killed in its very first transaction."""
    duckdb.connect(str(tmp_path / "data.duckdb")).close()
    nothing = DuckDBWarehouse(tmp_path / "data.duckdb")
    with pytest.raises(WarehouseUnavailableError, match="materialize taxi_zones"), nothing.read():
        pass


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.duckdb").write_bytes(b"hello" * 1000)
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with pytest.raises(WarehouseUnavailableError, match="can't be opened"), warehouse.read():
        pass


def test_memory_and_threads_are_set_and_nothing_is_downloaded(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb", memory_limit="512MiB", threads=1)
    with warehouse.write() as session:
        assert session.row(
            "SELECT current_setting('memory_limit'), current_setting('threads'), "
            "current_setting('autoinstall_known_extensions')"
        ) == ("512.0 MiB", 1, False)


def test_a_parquet_file_is_readable_as_a_view_also_from_an_odd_path(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "it's a 'file' [1].parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    with duckdb.connect() as connection:
        view_parquet(connection, path)
        assert connection.sql("SELECT sum(a) FROM published").fetchall() == [(3,)]


def test_a_killed_writer_leaves_all_or_nothing(warehouse: DuckDBWarehouse) -> None:
    """SIGKILL inside a transaction: the next session sees the tables as they were."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse\n"
        "with DuckDBWarehouse(Path(sys.argv[1])).write() as session:\n"
        "    session.execute(\"INSERT INTO zones SELECT range, 'x', 'y', NULL FROM range(1000)\")\n"
        "    print('inserted', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, warehouse.database]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inserted\n"
        os.kill(process.pid, signal.SIGKILL)
    with warehouse.write() as session:
        assert session.row("SELECT count(*) FROM zones") == (0,)


# Copies to query while runs go on


def _counts(path: Path) -> tuple[int, int]:
    with duckdb.connect(str(path), read_only=True) as connection:
        (counts,) = connection.execute("SELECT (SELECT count(*) FROM zones), (SELECT count(*) FROM trips)").fetchall()
    return counts


ADD = (
    "INSERT INTO zones SELECT range, 'x', 'y', NULL FROM range(1000)",
    "INSERT INTO trips (fleet, pickup_date, pickup_zone_id, dropoff_zone_id) "
    "SELECT 'green', '2023-02-07', 1, 1 FROM range(1000)",
)


def _write_again_and_again(database: Path) -> None:
    while True:
        with DuckDBWarehouse(database).write() as session:
            for sql in ADD:
                session.execute(sql)
        time.sleep(0.2)


def test_a_copy_is_made_while_another_process_has_the_file_open(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    copy = tmp_path / "outputs" / "copy.duckdb"
    with held_by_another_process(warehouse.database, read_only=False):
        warehouse.snapshot(copy)
        assert _counts(copy) == (0, 0)


def test_copies_of_a_busy_warehouse_hold_all_of_a_write_or_nothing(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    writer = process(_write_again_and_again, warehouse.database)
    try:
        seen = []
        for _ in range(12):
            warehouse.snapshot(tmp_path / "copy.duckdb")
            seen.append(_counts(tmp_path / "copy.duckdb"))
    finally:
        writer.kill()
        writer.join()
    assert all(zones == trips and zones % 1000 == 0 for zones, trips in seen), seen
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, "it was written to meanwhile"
    assert not list(tmp_path.glob(".*")), "nothing is left beside the copy"
    assert not list(tmp_path.glob("*.wal"))


def _snapshot_slowly(folder: Path) -> None:
    """A snapshot that hangs as if the disk were slow, so that it can be killed in the middle."""
    import shutil

    def hang(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:1000])
        (folder / "hangs").touch()
        time.sleep(120)

    shutil.copyfile = hang
    os.environ.update(TAXI_DATA_DIR=str(folder))
    main(["snapshot"], standalone_mode=False)


def test_a_killed_snapshot_leaves_nothing_that_the_next_one_does_not_remove(tmp_path: Path) -> None:
    """Regression: its temporary file was named after a temporary file, so each kill left a whole copy for ever."""
    warehouse = DuckDBWarehouse(tmp_path / "staging" / "data.duckdb")
    with warehouse.write() as session:
        for sql in ADD:
            session.execute(sql)
    time.sleep(0.2)
    for _ in range(3):
        snapshot = process(_snapshot_slowly, tmp_path)
        wait_for_file(tmp_path / "hangs", snapshot)
        (left,) = (tmp_path / "outputs").glob(".*.duckdb")
        Path(f"{left}.wal").touch()
        snapshot.kill()
        snapshot.join()
        (tmp_path / "hangs").unlink()
    with LocalFolder(tmp_path).draft("outputs/warehouse.duckdb") as draft:
        warehouse.copy_to(draft.path)
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == ["warehouse.duckdb"]


def test_a_copy_holds_what_a_killed_process_had_committed(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Its last commits are in the log beside the database, not in the database."""
    writer = process(_commit_and_die, warehouse.database)
    writer.join()
    assert Path(f"{warehouse.database}.wal").stat().st_size > 0
    warehouse.snapshot(tmp_path / "copy.duckdb")
    assert _counts(tmp_path / "copy.duckdb") == (1000, 1000)
    assert Path(f"{warehouse.database}.wal").exists(), "the original is as it was"


def _commit_and_die(database: str) -> None:
    connection = duckdb.connect(database)
    connection.begin()
    for sql in ADD:
        connection.execute(sql)
    connection.commit()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_warehouse_that_is_always_written_to_is_given_up(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    impatient = DuckDBWarehouse(warehouse.database, lock_timeout_seconds=0.5)
    writer = process(_touch_again_and_again, warehouse.database, tmp_path / "touched")
    wait_for_file(tmp_path / "touched", writer)
    try:
        with pytest.raises(WarehouseUnavailableError, match=r"written to all the time, for 0.5 s\. Nothing was copied"):
            impatient.snapshot(tmp_path / "copy.duckdb")
    finally:
        writer.kill()
        writer.join()
    assert not list(tmp_path.glob("*.duckdb"))


def _touch_again_and_again(database: str, touched: Path) -> None:
    while True:
        Path(database).touch()
        touched.touch()
        time.sleep(0.005)


def test_what_can_not_be_copied_is_named(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnavailableError, match="is the warehouse itself"):
        warehouse.snapshot(Path(warehouse.database))
    nothing = DuckDBWarehouse(tmp_path / "nothing.duckdb")
    with pytest.raises(WarehouseUnavailableError, match="there is no warehouse"):
        nothing.snapshot(tmp_path / "copy.duckdb")
    (tmp_path / "text.duckdb").write_bytes(b"hello" * 1000)
    os.utime(tmp_path / "text.duckdb", (1e9, 1e9))
    with pytest.raises(WarehouseUnavailableError, match=r"text.duckdb can't be opened"):
        DuckDBWarehouse(tmp_path / "text.duckdb").snapshot(tmp_path / "copy.duckdb")
    assert not (tmp_path / "copy.duckdb").exists()


def test_every_table_is_made_from_its_declaration(warehouse: DuckDBWarehouse) -> None:
    with warehouse.read() as session:
        names = [row[0] for row in session.rows("SELECT table_name FROM duckdb_tables() ORDER BY ALL")]
        indexes = session.row("SELECT count(*) FROM duckdb_indexes()")
    assert names == sorted(table.name for table in TABLES)
    assert indexes == (0,), "delete-and-insert with DuckDB's indexes has a history of corruption"
    for table in TABLES:
        assert table.description
        assert all(column.description for column in table.columns)
