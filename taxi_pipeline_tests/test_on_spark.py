"""Every question that the pipeline asks its warehouse, asked a real Spark cluster: the same answers.

The tables of a DuckDB warehouse are given to Spark as Parquet files. Each statement that the graph, its checks, the
reports, a request and the status run is translated, as an engine on Spark would do it, and its rows are compared.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from taxi_pipeline.defs.assets import monthly_report, week_summary
from taxi_pipeline.outputs.requests.chart import chart_data
from taxi_pipeline.outputs.requests.request_files import TripRequest
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import coverage_by_fleet, loaded_totals, newest_days, outdated_months
from taxi_pipeline.warehouse.sql import month_start, seconds_between, week_start, weekday
from taxi_pipeline.warehouse.tables import TABLES
from taxi_pipeline_tests.conftest import EVERYTHING, Pipeline, pipeline_in
from taxi_pipeline_tests.portable_sql import checked_statements, translate
from taxi_pipeline_tests.services.fixtures import service

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql.connect.session import SparkSession

pytestmark = pytest.mark.cluster

FLEETS = ("yellow", "green", "fhv", "fhvhv")


@pytest.fixture(scope="module")
def spark() -> "Iterator[SparkSession]":
    url = service("TAXI_TEST_SPARK_REMOTE", started_by="make test-cluster")
    from pyspark.sql.connect.session import SparkSession

    session = SparkSession.builder.remote(url).create()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, list[tuple[str, tuple[Any, ...]]]]:
    """A warehouse of all fleets, and all that was asked of it with the values, each question once."""
    mirror = tmp_path_factory.mktemp("mirror_for_spark")
    for fleet in FLEETS:
        write_mirror(mirror, Days(date(2025, 1, 1), date(2025, 1, 31)), fleet=fleet, trips_per_day=120)
    pipeline = pipeline_in(tmp_path_factory.mktemp("for_spark"), mirror, FLEETS)
    seen: dict[str, Path] = {}
    values: dict[str, tuple[Any, ...]] = {}
    with checked_statements(seen, values):
        pipeline.run("2025-01-01", "2025-01-31", select=EVERYTHING)
        assert pipeline.run_job(dg.AssetSelection.all_asset_checks(), {}).success
        assert pipeline.report(week_summary, "2025-01-05", "2025-01-12").success
        assert pipeline.report(monthly_report, "2025-01-01").success
        assert pipeline.dataset("fhvhv", "2025-01").success
        request = TripRequest(
            borough="Manhattan",
            start_date=date(2025, 1, 6),
            end_date=date(2025, 1, 12),
            zone_ids=(4, 12),
            fleet="green",
        )
        pipeline.warehouse.query(chart_data, request)
        for question in (coverage_by_fleet, newest_days, outdated_months):
            pipeline.warehouse.query(question)
        pipeline.warehouse.query(loaded_totals, Days(date(2025, 1, 1), date(2025, 1, 31)))
    questions = [
        (sql, values[sql])
        for sql in seen
        if sql.lstrip().upper().startswith(("SELECT", "WITH")) and "published_trips" not in sql
    ]
    assert len(questions) > 60
    return pipeline, questions


@pytest.fixture(scope="module")
def with_tables(
    spark: "SparkSession", asked: tuple[Pipeline, Any], tmp_path_factory: pytest.TempPathFactory
) -> "SparkSession":
    """The tables as views of Spark."""
    folder = tmp_path_factory.mktemp("tables")
    pipeline, _ = asked
    with pipeline.warehouse.read() as session:
        for table in TABLES:
            file = folder / f"{table.name}.parquet"
            session.execute(f"COPY {table.name} TO '{file}' (FORMAT parquet)")
            spark.read.parquet(file.as_uri()).createOrReplaceTempView(table.name)
    return spark


def test_every_question_has_the_same_answer(
    with_tables: "SparkSession", asked: tuple[Pipeline, list[tuple[str, tuple[Any, ...]]]]
) -> None:
    pipeline, questions = asked
    wrong: list[str] = []
    for sql, values in questions:
        expected = pipeline.rows(sql, values)
        try:
            found = [tuple(row) for row in ask(with_tables, sql, values)]
        except Exception as error:
            wrong.append(f"{str(error).splitlines()[0]}\n{sql}")
            continue
        if not _same(found, expected, ordered="ORDER BY" in sql.upper().rpartition(")")[2]):
            wrong.append(f"{found[:3]} is not {expected[:3]}\n{sql}")
    assert wrong == [], f"{len(wrong)} of {len(questions)}\n" + "\n\n".join(wrong)


def ask(spark: "SparkSession", sql: str, values: Sequence[Any]) -> list[Any]:
    """The rows of a question, translated.

    The values are bound by name: Spark Connect 4.1.3 gives more than a handful of question marks each other's values,
    without an error.
    """
    first, *others = sql.split("?")
    named = first + "".join(f":v{number}{rest}" for number, rest in enumerate(others))
    return spark.sql(translate(named), args={f"v{number}": value for number, value in enumerate(values)}).collect()


def _same(found: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]], *, ordered: bool) -> bool:
    ours, theirs = ([tuple(map(_plain, row)) for row in rows] for rows in (found, expected))
    return ours == theirs if ordered else Counter(ours) == Counter(theirs)


def _plain(value: Any) -> Any:
    """A value that compares equal, whichever library made it."""
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.9g}")
    return value.normalize() if isinstance(value, Decimal) else value


@pytest.mark.parametrize(
    "day", [date(1900, 1, 1), date(2009, 1, 4), date(2023, 3, 5), date(2024, 2, 29), date(2041, 12, 31)]
)
def test_weekdays_weeks_and_months(spark: "SparkSession", day: date) -> None:
    sql = f"SELECT {weekday('day')}, {week_start('day')}, {month_start('day')} FROM (SELECT CAST(? AS DATE) AS day)"
    ((number, sunday, first),) = ask(spark, sql, [day])
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
def test_seconds_between(spark: "SparkSession", start: str, end: str, seconds: int) -> None:
    """By the wall clock, also where New York's clocks change."""
    sql = f"SELECT {seconds_between('a', 'b')} FROM (SELECT CAST(? AS TIMESTAMP) AS a, CAST(? AS TIMESTAMP) AS b)"
    values = [datetime.fromisoformat(start), datetime.fromisoformat(end)]
    assert [tuple(row) for row in ask(spark, sql, values)] == [(seconds,)]
