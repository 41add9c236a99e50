"""The figures for Prometheus: equal to SQL, there whatever becomes of the warehouse, and few."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client.parser import text_string_to_metric_families

from taxi_pipeline.questions.metrics import NEWEST_MONTHS, MetricsReader, metrics_route
from taxi_pipeline.questions.snapshots import KeptCopy
from taxi_pipeline.storage import LocalFolder, StorageError
from taxi_pipeline.tlc.fetch_note import FetchNote, write_note
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline_tests.pipelines import Pipeline, pipeline_in
from taxi_pipeline_tests.processes import held_by_another_process
from taxi_pipeline_tests.served_pages import ServedPages, served

Samples = dict[tuple[str, str, str], float]
"""Name without `taxi_pipeline_`, fleet and reason (or ""), → value."""

ONE = ("", "")


@pytest.fixture(scope="module")
def loaded(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Three days of two fleets with a gap, and rejected rows of each kind. Read it, never write to it."""
    made = pipeline_in(tmp_path_factory.mktemp("metrics"), mirror, ("yellow", "green"))
    made.load("2023-01-07", "2023-01-10")
    for table in ("trips", "loaded_days"):
        made.execute(f"DELETE FROM {table} WHERE pickup_date = '2023-01-09'")
    for reason, column, pickup in (
        ("pickup outside", None, "2008-12-31"),
        ("no pickup time", None, None),
        ("no time: x", "pickup_datetime", None),
        ("no time: y", "dropoff_zone_id", "2023-01-07"),
    ):
        made.execute(
            "INSERT INTO rejected_trips (fleet, month, reason, misfit_columns, pickup_datetime, pickup_zone_id, "
            "dropoff_zone_id) VALUES ('green', '2023-01-01', ?, ?, ?, 264, 264)",
            [reason, column, pickup],
        )
    return made


def warehouse_of(pipeline: Pipeline) -> DuckDBWarehouse:
    assert isinstance(pipeline.warehouse, DuckDBWarehouse)
    return pipeline.warehouse


@contextmanager
def serving(
    copy: KeptCopy | None, files: LocalFolder, *, rest: float = 0, patience: float = 5
) -> Iterator[ServedPages]:
    reader = MetricsReader(copy, files, ["yellow", "green"], rest=rest, patience=patience)
    with served(files, others=[metrics_route(reader)]) as get:
        yield get


def samples_of(get: ServedPages) -> Samples:
    status, headers, body = get("/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=1.0.0; charset=utf-8"), body
    found: Samples = {}
    for family in text_string_to_metric_families(body.decode()):
        assert family.documentation
        assert family.type == ("info" if family.name.endswith("_build") else "gauge"), family.name
        for sample in family.samples:
            assert sample.name.startswith("taxi_pipeline_")
            assert not sample.name.endswith(("_total", "_ms", "_days_ago"))
            name = sample.name.removeprefix("taxi_pipeline_")
            found[name, sample.labels.get("fleet", ""), sample.labels.get("reason", "")] = sample.value
    return found


def test_the_figures_are_those_of_sql(loaded: Pipeline, tmp_path: Path) -> None:
    files = LocalFolder(tmp_path)
    write_note(files, "raw/green_tripdata_2023-02.parquet", FetchNote(url="x", failure="403"))
    write_note(files, "raw/green_tripdata_2023-01.parquet", FetchNote(url="x", sha256="0"))
    began = time.time()
    with serving(KeptCopy(warehouse_of(loaded), tmp_path / "copies"), files) as get:
        found = samples_of(get)
    expected: Samples = {
        ("build_info", *ONE): 1,
        ("warehouse_up", *ONE): 1,
        ("refused_files", "yellow", ""): 0,
        ("refused_files", "green", ""): 1,
    }
    for fleet, trips, days, newest in loaded.rows(
        "SELECT fleet, count(*), count(DISTINCT pickup_date), max(pickup_date) FROM trips GROUP BY fleet"
    ):
        begin = datetime.combine(newest, datetime.min.time(), ZoneInfo("America/New_York")).astimezone(UTC)
        assert begin.hour == 5
        expected |= {
            ("trips", fleet, ""): trips,
            ("loaded_days", fleet, ""): days,
            ("missing_days", fleet, ""): 1,
            ("newest_day_timestamp_seconds", fleet, ""): begin.timestamp(),
        }
        age = found.pop(("newest_day_age_seconds", fleet, ""))
        assert began - begin.timestamp() <= age <= time.time() - begin.timestamp()
        for reason, pattern in (("outside_month", "pickup%"), ("no_pickup_time", "no p%"), ("misfit", "no time:%")):
            ((num_rows,),) = loaded.rows(
                "SELECT count(*) FROM rejected_trips WHERE fleet = ? AND reason LIKE ?", [fleet, pattern]
            )
            expected["rejected_rows", fleet, reason] = num_rows
    assert began <= found.pop(("warehouse_last_read_timestamp_seconds", *ONE)) <= time.time()
    written = warehouse_of(loaded).database.stat().st_mtime
    assert found.pop(("warehouse_last_write_timestamp_seconds", *ONE)) == pytest.approx(written, abs=1e-3)
    assert found == expected
    assert expected["rejected_rows", "green", "misfit"] == 2


def test_the_version_is_a_label(tmp_path: Path) -> None:
    """Without a warehouse that is asked, as on a cluster, there is nothing of one."""
    with serving(None, LocalFolder(tmp_path)) as get:
        assert set(samples_of(get)) == {
            ("build_info", *ONE),
            ("refused_files", "yellow", ""),
            ("refused_files", "green", ""),
        }
        assert f'taxi_pipeline_build_info{{version="{version("taxi-pipeline")}"}} 1.0'.encode() in get("/metrics")[2]
        assert get("/metrics", method="POST")[0] == 405


def test_a_warehouse_that_is_held_or_away_does_not_fail_the_scrape(loaded: Pipeline, tmp_path: Path) -> None:
    database = tmp_path / "staging" / "data.duckdb"
    copy = KeptCopy(DuckDBWarehouse(database, lock_timeout_seconds=1), tmp_path / "copies", rest=0)
    with serving(copy, LocalFolder(tmp_path)) as get:
        before = samples_of(get)
        assert before["warehouse_up", *ONE] == 0
        assert ("warehouse_last_write_timestamp_seconds", *ONE) not in before, "there is none yet"
        assert not any(name == "trips" for name, *_ in before)
        database.parent.mkdir()
        database.write_text("no database")
        assert samples_of(get) == before, "a file that never could be read may be no warehouse"
        database.write_bytes(warehouse_of(loaded).database.read_bytes())
        with held_by_another_process(database, read_only=False):
            held = samples_of(get)
        assert held["warehouse_up", *ONE] == 1, "it is copied while another process has it"
        database.rename(tmp_path / "away.duckdb")
        away = samples_of(get)
    assert away["warehouse_up", *ONE] == 0
    assert away["trips", "yellow", ""] == held["trips", "yellow", ""] > 0, "as last read"
    assert away["warehouse_last_read_timestamp_seconds", *ONE] == held["warehouse_last_read_timestamp_seconds", *ONE]


class SlowCopy(KeptCopy):
    """A copy that takes until somebody says so, and counts who asks."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.is_made = Event()
        self.num_asked = 0

    @contextmanager
    def session(self) -> Iterator[Session]:
        self.num_asked += 1
        assert self.is_made.wait(30)
        with super().session() as session:
            yield session


def test_a_scrape_waits_for_no_copy_and_the_next_one_has_it(loaded: Pipeline, tmp_path: Path) -> None:
    copy = SlowCopy(warehouse_of(loaded), tmp_path / "copies")
    with serving(copy, LocalFolder(tmp_path), patience=0.05) as get:
        assert [samples_of(get)["warehouse_up", *ONE] for _ in range(3)] == [0, 0, 0]
        assert copy.num_asked == 1, "one thread reads, however many ask"
        copy.is_made.set()
        deadline = time.monotonic() + 20
        while not samples_of(get)["warehouse_up", *ONE]:
            assert time.monotonic() < deadline


def test_figures_are_kept_for_some_seconds(loaded: Pipeline, tmp_path: Path) -> None:
    copy = SlowCopy(warehouse_of(loaded), tmp_path / "copies")
    copy.is_made.set()
    with serving(copy, LocalFolder(tmp_path), rest=60) as get:
        first, second = samples_of(get), samples_of(get)
    assert copy.num_asked == 1
    age = ("newest_day_age_seconds", "yellow", "")
    assert second.pop(age) > first.pop(age), "an age grows all the same"
    del first["newest_day_age_seconds", "green", ""], second["newest_day_age_seconds", "green", ""]
    assert first == second


class AwayStorage(LocalFolder):
    """A storage that does not answer."""

    def list(self, pattern: str) -> Sequence[str]:
        raise StorageError(f"no answer for {pattern}")


def test_a_storage_that_is_away_leaves_the_other_figures(loaded: Pipeline, tmp_path: Path) -> None:
    with serving(KeptCopy(warehouse_of(loaded), tmp_path / "copies"), AwayStorage(tmp_path)) as get:
        found = samples_of(get)
    assert found["warehouse_up", *ONE] == 1
    assert not any(name == "refused_files" for name, *_ in found)


def test_only_the_newest_months_and_known_fleets_are_looked_at(loaded: Pipeline, tmp_path: Path) -> None:
    """Labels come from the declared fleets, so nobody who writes into a table makes series."""
    files = LocalFolder(tmp_path)
    months = [datetime(2015, 1, 15) + timedelta(days=30.5 * number) for number in range(NEWEST_MONTHS + 5)]
    for month in months:
        write_note(files, f"raw/green_tripdata_{month:%Y-%m}.parquet", FetchNote(url="x", failure="403"))
    database = tmp_path / "staging" / "data.duckdb"
    database.parent.mkdir()
    database.write_bytes(warehouse_of(loaded).database.read_bytes())
    pipeline = Pipeline(tmp_path, loaded.tlc, DuckDBWarehouse(database), files)
    pipeline.execute("INSERT INTO loaded_days SELECT * REPLACE ('x\"y' AS fleet) FROM loaded_days")
    with serving(KeptCopy(warehouse_of(pipeline), tmp_path / "copies"), files) as get:
        found = samples_of(get)
    assert found["refused_files", "green", ""] == NEWEST_MONTHS
    assert {fleet for _, fleet, _ in found} - {""} <= set(FLEETS)
