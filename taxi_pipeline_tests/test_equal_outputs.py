"""The whole graph on DuckDB and on Spark: the same tables, checks, answers and bytes."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_pipeline.defs.assets import demand_model, monthly_report, week_summary
from taxi_pipeline.defs.assets.single_trips import single_trips
from taxi_pipeline.outputs.requests.chart import chart_data
from taxi_pipeline.outputs.requests.request_files import TripRequest
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import coverage_by_fleet, loaded_totals, newest_days, outdated_months
from taxi_pipeline.warehouse.spark.session import IcebergSession
from taxi_pipeline_tests.object_stores import storage_url
from taxi_pipeline_tests.pipelines import EVERYTHING, LOADING, Pipeline, contents, pipeline_in
from taxi_pipeline_tests.portable_sql import checked_statements
from taxi_pipeline_tests.services.warehouses import spark_warehouse

pytestmark = pytest.mark.cluster

FLEETS = ("yellow", "green", "fhv", "fhvhv")
JANUARY = Days(date(2025, 1, 1), date(2025, 1, 31))


@dataclass(frozen=True)
class WholeGraph:
    """All fleets through the whole graph."""

    pipeline: Pipeline
    checks: dict[str, tuple[Any, ...]]
    """Name of each check → its evaluation."""


@pytest.fixture(scope="module")
def mirror_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mirror = tmp_path_factory.mktemp("mirror_for_engines")
    for fleet in FLEETS:
        write_mirror(mirror, JANUARY, fleet=fleet, trips_per_day=120)
    return mirror


@pytest.fixture(scope="module")
def on_duckdb(
    mirror_of_all: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[WholeGraph, list[tuple[str, tuple[Any, ...]]]]:
    """The graph on DuckDB, and each question that was asked, once, with its values."""
    pipeline = pipeline_in(tmp_path_factory.mktemp("on_duckdb"), mirror_of_all, FLEETS)
    seen: dict[str, Path] = {}
    values: dict[str, tuple[Any, ...]] = {}
    with checked_statements(seen, values):
        made = run_everything(pipeline)
        assert pipeline.run_job(dg.AssetSelection.all_asset_checks(), {}).success
    questions = [
        (sql, values[sql])
        for sql in seen
        if sql.lstrip().upper().startswith(("SELECT", "WITH")) and "published_trips" not in sql
    ]
    assert len(questions) > 60
    return made, questions


def run_everything(pipeline: Pipeline) -> WholeGraph:
    """The graph, its checks, reports, datasets, a request, what `status` asks."""
    result = pipeline.run("2025-01-01", "2025-01-31", select=EVERYTHING)
    assert pipeline.report(week_summary, "2025-01-05", "2025-01-12").success
    assert pipeline.report(monthly_report, "2025-01-01").success
    assert pipeline.dataset("fhvhv", "2025-01").success
    assert pipeline.dataset("fhvhv", "2025-02", demand_model).success
    for fleet in FLEETS:
        assert pipeline.dataset(fleet, "2025-01", single_trips).success
    request = TripRequest(
        borough="Manhattan", start_date=date(2025, 1, 6), end_date=date(2025, 1, 12), zone_ids=(4, 12), fleet="green"
    )
    pipeline.warehouse.query(chart_data, request)
    for question in (coverage_by_fleet, newest_days, outdated_months):
        pipeline.warehouse.query(question)
    pipeline.warehouse.query(loaded_totals, JANUARY)
    checks = {
        f"{check.asset_key.to_user_string()} {check.check_name}": (check.passed, check.severity, check.description)
        for check in result.get_asset_check_evaluations()
    }
    return WholeGraph(pipeline, checks)


@pytest.fixture(scope="module")
def on_spark(mirror_of_all: Path, tmp_path_factory: pytest.TempPathFactory) -> WholeGraph:
    """The same on the cluster."""
    folder = tmp_path_factory.mktemp("on_spark")
    return run_everything(pipeline_in(folder, mirror_of_all, FLEETS, warehouse=spark_warehouse(folder)))


OnDuckDB = tuple[WholeGraph, list[tuple[str, tuple[Any, ...]]]]


def test_the_whole_graph_makes_the_same_tables(on_duckdb: OnDuckDB, on_spark: WholeGraph) -> None:
    assert contents(on_spark.pipeline.warehouse) == contents(on_duckdb[0].pipeline.warehouse)


def test_the_checks_say_the_same(on_duckdb: OnDuckDB, on_spark: WholeGraph) -> None:
    assert len(on_spark.checks) > 10
    assert on_spark.checks == on_duckdb[0].checks


def test_the_whole_graph_makes_the_same_bytes(on_duckdb: OnDuckDB, on_spark: WholeGraph) -> None:
    """CSV, GeoJSON, maps, explorer, reports and datasets."""
    root = on_duckdb[0].pipeline.folder
    made = {
        str(path.relative_to(root)): path.read_bytes()
        for folder in ("outputs", "staging", "datasets")
        for path in (root / folder).rglob("*.*")
        # The number of writes to a warehouse differs between the engines.
        if path.is_file() and "data.duckdb" not in path.name and not {"made_from", ".locks"} & set(path.parts)
    }
    assert len(made) > 10
    assert [name for name, content in made.items() if on_spark.pipeline.files.read(name) != content] == []


def test_spark_reads_the_files_of_single_trips(on_spark: WholeGraph) -> None:
    """As a table with the column `fleet`, which is in their paths alone."""
    folder = on_spark.pipeline.files.uri("datasets/trips/fleet=green/month=2025-01.parquet").partition("fleet=")[0]
    with on_spark.pipeline.warehouse.read() as session:
        assert isinstance(session, IcebergSession)
        found = session.spark.read.parquet(folder).groupBy("fleet").agg({"*": "count", "total_amount": "sum"}).collect()
    counted = on_spark.pipeline.rows("SELECT fleet, count(*), sum(total_amount) FROM trips GROUP BY fleet")
    assert sorted(tuple(row) for row in found) == sorted(counted)


def test_every_question_has_the_same_answer(on_duckdb: OnDuckDB, on_spark: WholeGraph) -> None:
    graph, questions = on_duckdb
    wrong: list[str] = []
    with graph.pipeline.warehouse.read() as duckdb, on_spark.pipeline.warehouse.read() as spark:
        for sql, values in questions:
            if "warehouse_version" in sql:
                continue
            expected, found = duckdb.rows(sql, values), spark.rows(sql, values)
            if not _same(found, expected, ordered="ORDER BY" in sql.upper().rpartition(")")[2]):
                wrong.append(f"{found[:3]} is not {expected[:3]}\n{sql}")
    assert wrong == [], f"{len(wrong)} of {len(questions)}\n" + "\n\n".join(wrong)


def test_tables_and_files_lie_in_an_object_store(tmp_path: Path) -> None:
    url = storage_url("s3", tmp_path)
    write_mirror(tmp_path / "mirror", Days(date(2025, 1, 1), date(2025, 1, 3)), fleet="green", trips_per_day=60)
    on_s3 = pipeline_in(tmp_path, tmp_path / "mirror", ["green"], storage_url=url, warehouse=spark_warehouse(url))
    in_folder = pipeline_in(tmp_path / "duckdb", tmp_path / "mirror", ["green"])
    for pipeline in (on_s3, in_folder):
        pipeline.run("2025-01-01", "2025-01-03", select=["taxi_zones_file", "taxi_zones", *LOADING])
    assert contents(on_s3.warehouse) == contents(in_folder.warehouse)


def _same(found: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]], *, ordered: bool) -> bool:
    ours, theirs = ([tuple(map(_plain, row)) for row in rows] for rows in (found, expected))
    return ours == theirs if ordered else Counter(ours) == Counter(theirs)


def _plain(value: Any) -> Any:
    """A value that compares equal, whichever library made it."""
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.9g}")
    return value.normalize() if isinstance(value, Decimal) else value


@pytest.mark.real_data
def test_real_months_make_the_same_tables_and_bytes(real_tlc: Path, tmp_path: Path) -> None:
    """Days over the end of a month, and then a whole month in their place."""
    on_duckdb = pipeline_in(tmp_path / "duckdb", real_tlc, ["green"])
    on_spark = pipeline_in(tmp_path / "spark", real_tlc, ["green"], warehouse=spark_warehouse(tmp_path / "spark"))
    for pipeline in (on_duckdb, on_spark):
        pipeline.run("2020-03-30", "2020-04-02", select=["taxi_zones_file", "taxi_zones", *LOADING])
        pipeline.run("2020-04-01", "2020-04-30", select=EVERYTHING)
    assert contents(on_spark.warehouse) == contents(on_duckdb.warehouse)
    assert on_spark.bytes_of_outputs() == on_duckdb.bytes_of_outputs()
