"""The HTTP API, asked over a real socket: values, limits, tags, refusals, and its OpenAPI document by schemathesis."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import schemathesis.specs.openapi.checks as openapi_checks
from hypothesis import HealthCheck, given, settings

from taxi_pipeline.opening import questions_of
from taxi_pipeline.pages.listening import listening_socket
from taxi_pipeline.questions.endpoints import (
    ENDPOINTS,
    LAST_ZONE_ID,
    MAX_DAYS,
    MAX_WEEKS,
    MAX_ZONE_DAYS,
    BadRequestedValueError,
    Endpoint,
    values_of,
)
from taxi_pipeline.questions.http_api import DOCUMENT_PATH, api_routes
from taxi_pipeline.questions.snapshots import KeptCopy
from taxi_pipeline.settings import Settings
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline_tests.conftest import REPOSITORY, SPARK
from taxi_pipeline_tests.pipelines import Pipeline, pipeline_in
from taxi_pipeline_tests.processes import held_by_another_process
from taxi_pipeline_tests.served_pages import ServedPages, served

BY_PATH = {endpoint.path.rpartition("/")[2]: endpoint for endpoint in ENDPOINTS}


@pytest.fixture(scope="module")
def loaded(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Eight days of two fleets: the last of one week, and the whole of the next."""
    made = pipeline_in(tmp_path_factory.mktemp("api"), mirror, ("yellow", "green"))
    made.load("2023-01-07", "2023-01-14")
    return made


@contextmanager
def serving(warehouse: DuckDBWarehouse, folder: Path) -> Iterator[ServedPages]:
    copy = KeptCopy(warehouse, folder / ".scratch" / "questions", rest=0)
    with served(LocalFolder(folder), others=api_routes(copy)) as get:
        yield get


@pytest.fixture(scope="module")
def get(loaded: Pipeline) -> Iterator[ServedPages]:
    assert isinstance(loaded.warehouse, DuckDBWarehouse)
    with serving(loaded.warehouse, loaded.folder) as server:
        yield server


def data(get: ServedPages, path: str) -> list[dict[str, Any]]:
    status, headers, body = get(f"/api/v1/{path}")
    assert (status, headers["Content-Type"]) == (200, "application/json"), body
    answer = json.loads(body)
    assert answer["synthetic"] is True
    return answer["data"]


def problem(get: ServedPages, path: str, **options: Any) -> tuple[int, str]:
    """Status and detail of a refusal."""
    status, headers, body = get(path, **options)
    assert headers["Content-Type"] == "application/problem+json"
    content = json.loads(body)
    assert content["status"] == status
    assert set(content) == {"type", "title", "status", "detail"}
    return status, content["detail"]


def test_answers_are_the_rows_of_the_tables(get: ServedPages, loaded: Pipeline) -> None:
    def rows(sql: str) -> list[tuple[Any, ...]]:
        with loaded.warehouse.read() as session:
            return session.rows(sql)

    assert [tuple(each.values()) for each in data(get, "loaded")] == [
        (fleet, "2023-01-07", "2023-01-14", 8, num_trips)
        for fleet, num_trips in rows("SELECT fleet, count(*) FROM trips GROUP BY fleet ORDER BY fleet")
    ]
    assert [tuple(each.values()) for each in data(get, "zones")] == rows(
        "SELECT zone_id, zone, borough FROM zones ORDER BY zone_id"
    )
    days = data(get, "days?from=2023-01-01&to=2023-01-31")
    assert [(each["fleet"], each["pickup_date"], each["num_trips"], each["total_amount"]) for each in days] == rows(
        "SELECT fleet, CAST(pickup_date AS VARCHAR), count(*), CAST(sum(total_amount) AS VARCHAR) FROM trips "
        "GROUP BY fleet, pickup_date ORDER BY fleet, pickup_date"
    )
    (first, second) = data(get, "weeks?from=2023-01-01&to=2023-01-08&fleet=green")
    assert (first["period"], first["num_days"]) == ("2023-01-01", 1)
    assert (second["period"], second["num_days"]) == ("2023-01-08", 7)
    assert second["num_trips"] == sum(
        each["num_trips"] for each in days if each["fleet"] == "green" and each["pickup_date"] > "2023-01-07"
    )
    hours = data(get, "zone-hours?fleet=green&from=2023-01-08&to=2023-01-09&zone=74&zone=75&zone=75")
    assert [(each["pickup_hour"], each["pickup_zone_id"], each["fare_amount"]) for each in hours] == rows(
        "SELECT pickup_hour, pickup_zone_id, CAST(fare_amount AS VARCHAR) FROM zone_hourly_trips "
        "WHERE fleet = 'green' AND pickup_date BETWEEN DATE '2023-01-08' AND DATE '2023-01-09' "
        "AND pickup_zone_id IN (74, 75) ORDER BY pickup_date, pickup_hour, pickup_zone_id"
    )
    assert len(hours) > 5
    assert data(get, "days?from=2030-01-01&to=2030-01-01") == []


def test_the_requests_of_the_documentation_are_answered(get: ServedPages) -> None:
    page = (REPOSITORY / "docs" / "questions.md").read_text(encoding="utf-8")
    asked = re.findall(r"^curl 'http://127.0.0.1:3001/api/v1/(.*)'$", page, re.MULTILINE)
    assert len(asked) == len(ENDPOINTS)
    for path in asked:
        data(get, path)


def test_the_pages_are_beside_it(get: ServedPages) -> None:
    assert get("/")[0] == 200
    assert get("/health")[2] == b"ok"
    assert get("/warehouse.duckdb")[0] == 404


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("loaded?x=1", "'x' is no parameter here; there are: none"),
        ("days?from=2023-01-01", "to is missing"),
        ("days?from=2023-01-01&to=2022-12-31", "to=2022-12-31 is before from=2023-01-01"),
        ("days?from=2023-01-01&from=2023-01-01&to=2023-01-02", "from is there 2 times"),
        ("days?from=2023-W01&to=2023-01-02", "from='2023-W01' is not accepted: a day as 2025-01-31"),
        ("days?from=20230101&to=2023-01-02", "is not accepted"),
        ("days?from=2023-02-30&to=2023-03-02", "is not accepted"),
        ("days?from=9999-12-31&to=9999-12-31", "of the years 2000 to 2999"),
        ("days?from=&to=2023-01-02", "from='' is not accepted"),
        ("days?from=2023-01-01&to=2023-01-02&fleet=red", "one of yellow, green, fhv, fhvhv"),
        ("days?from=2023-01-01&to=2023-01-02&Fleet=green", "'Fleet' is no parameter"),
        ("zone-hours?from=2023-01-01&to=2023-01-02", "fleet is missing"),
        ("zone-hours?fleet=green&from=2023-01-01&to=2023-01-02&zone=0", "a number from 1 to 265"),
        ("zone-hours?fleet=green&from=2023-01-01&to=2023-01-02&zone=266", "a number from 1 to 265"),
        ("zone-hours?fleet=green&from=2023-01-01&to=2023-01-02&zone=%2B1", "zone='+1' is not accepted"),
        ("zone-hours?fleet=green&from=2023-01-01&to=2023-01-02&zone=%D9%A1", "zone='\\u0661' is not accepted"),
        ("zone-hours?fleet=green&from=2023-01-01&to=2023-01-02&zone=1%00", "zone='1\\x00' is not accepted"),
        (f"days?from={'x' * 3000}&to=2023-01-02", "x…' is not accepted".replace("…", "\\u2026")),
    ],
)
def test_what_is_not_declared_is_refused_in_words(get: ServedPages, path: str, words: str) -> None:
    status, detail = problem(get, f"/api/v1/{path}")
    assert status == 400
    assert words in detail
    assert len(detail) < 300


@pytest.mark.parametrize(
    ("endpoint", "query", "accepted"),
    [
        ("days", {"from": "2023-01-01", "to": date.fromordinal(date(2023, 1, 1).toordinal() + MAX_DAYS - 1)}, True),
        ("days", {"from": "2023-01-01", "to": date.fromordinal(date(2023, 1, 1).toordinal() + MAX_DAYS)}, False),
        (
            "weeks",
            {"from": "2023-01-01", "to": date.fromordinal(date(2023, 1, 1).toordinal() + 7 * MAX_WEEKS - 1)},
            True,
        ),
        ("weeks", {"from": "2023-01-01", "to": date.fromordinal(date(2023, 1, 1).toordinal() + 7 * MAX_WEEKS)}, False),
        ("zone-hours", {"fleet": "green", "from": "2023-01-01", "to": "2023-01-03"}, 3 * LAST_ZONE_ID <= MAX_ZONE_DAYS),
        ("zone-hours", {"fleet": "green", "from": "2023-01-01", "to": "2023-01-04"}, False),
        ("zone-hours", {"fleet": "green", "from": "2023-01-01", "to": "2025-09-26", "zone": "1"}, True),
        ("zone-hours", {"fleet": "green", "from": "2023-01-01", "to": "2025-09-27", "zone": "1"}, False),
    ],
)
def test_limits_hold_at_their_edge(endpoint: str, query: dict[str, Any], accepted: bool) -> None:
    pairs = [(name, str(value)) for name, value in query.items()]
    if accepted:
        assert values_of(BY_PATH[endpoint], pairs)
        return
    with pytest.raises(BadRequestedValueError, match="ask for at most"):
        values_of(BY_PATH[endpoint], pairs)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/days", "/api/../raw"])
def test_nothing_else_is_there(get: ServedPages, path: str) -> None:
    status, detail = problem(get, path)
    assert status == 404
    assert DOCUMENT_PATH in detail


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_only_reading_is_answered(get: ServedPages, method: str) -> None:
    status, headers, _ = get("/api/v1/zones", method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert problem(get, "/api/v1/zones", method=method)[0] == 405


def test_the_tag_changes_with_the_data_and_only_then(loaded: Pipeline, tmp_path: Path) -> None:
    database = tmp_path / "data.duckdb"
    assert isinstance(loaded.warehouse, DuckDBWarehouse)
    loaded.warehouse.copy_to(database)
    warehouse = DuckDBWarehouse(database)
    with serving(warehouse, tmp_path) as get:
        path = "/api/v1/days?from=2023-01-08&to=2023-01-09"
        status, headers, body = get(path)
        tag = headers["ETag"]
        assert (status, headers["Cache-Control"]) == (200, "no-cache")
        assert tag.startswith('"'), "a strong tag"
        assert "Access-Control-Allow-Origin" not in headers
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            status, headers, nothing = get(path, If_None_Match=known)
            assert (status, headers["ETag"], nothing) == (304, tag, b"")
        status, headers, nothing = get(path, method="HEAD")
        assert (status, headers["ETag"], headers["Content-Length"], nothing) == (200, tag, str(len(body)), b"")
        with warehouse.write():
            pass  # a version of the warehouse with the same rows
        assert get(path, If_None_Match=tag)[0] == 304
        with warehouse.write() as session:
            session.execute("UPDATE zone_hourly_trips SET num_trips = num_trips + 1 WHERE pickup_date = '2023-01-09'")
        status, headers, newer = get(path, If_None_Match=tag)
        assert (status, headers["ETag"] != tag, newer != body) == (200, True, True)
        assert get("/api/v1/days?from=2023-01-08&to=2023-01-08")[0] == 200


def test_it_is_up_while_a_run_writes_and_keeps_none_waiting(loaded: Pipeline, tmp_path: Path) -> None:
    database = tmp_path / "data.duckdb"
    assert isinstance(loaded.warehouse, DuckDBWarehouse)
    loaded.warehouse.copy_to(database)
    warehouse = DuckDBWarehouse(database, lock_timeout_seconds=0.2)
    with serving(warehouse, tmp_path) as get:
        with held_by_another_process(database, read_only=False):
            assert len(data(get, "zones")) == 265
        with warehouse.write():
            assert get("/api/v1/loaded")[0] == 200


def test_before_anything_is_loaded_it_says_when_to_come_again(tmp_path: Path) -> None:
    with serving(DuckDBWarehouse(tmp_path / "data.duckdb"), tmp_path) as get:
        status, headers, _ = get("/api/v1/zones")
        assert (status, headers["Retry-After"]) == (503, "30")
        assert "there is no warehouse" in problem(get, "/api/v1/zones")[1]
        assert get(DOCUMENT_PATH)[0] == 200


def test_with_spark_there_is_no_api(tmp_path: Path) -> None:
    environment = {**SPARK, "TAXI_DATA_DIR": str(tmp_path), "TAXI_STORAGE_URL": "s3://bucket"}
    assert questions_of(Settings.from_environment(environment)) is None


@pytest.mark.slow
def test_the_console_command_serves_it(loaded: Pipeline) -> None:
    with listening_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "TAXI_DATA_DIR": str(loaded.folder),
        "DUCKDB_DATABASE": loaded.warehouse.location,
        "TAXI_PAGES_URL": "http://pages.example.com/pages",
    }
    command = [sys.executable, "-W", "ignore", "-m", "taxi_pipeline", "pages", "--port", str(port)]
    with subprocess.Popen(command, env=environment) as server:
        get = ServedPages(port)
        try:
            while True:
                assert server.poll() is None
                try:
                    assert len(data(get, "zones")) == 265
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            document = json.loads(get(DOCUMENT_PATH)[2])
            assert document["servers"] == [{"url": "http://pages.example.com/pages"}]
        finally:
            server.terminate()


def test_every_kept_answer_is_within_the_bound(get: ServedPages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxi_pipeline.questions.http_api.MAX_KEPT_BYTES", 10)
    first = get("/api/v1/zones")[1]["ETag"]
    assert get("/api/v1/zones")[1]["ETag"] == first


# The document


def test_the_document_describes_what_is_declared(get: ServedPages) -> None:
    status, headers, body = get(DOCUMENT_PATH)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert get(DOCUMENT_PATH, If_None_Match=headers["ETag"])[0] == 304
    document = json.loads(body)
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {endpoint.path for endpoint in ENDPOINTS}
    columns = document["components"]["schemas"]["ZoneHours"]["properties"]
    assert columns["trip_distance"] == {
        "type": "string",
        "pattern": r"^-?[0-9]+\.[0-9]{3}$",
        "description": "Sum of distances, as published (miles)",
    }
    assert document["servers"] == [{"url": "/"}]
    fleet, *_ = document["paths"]["/api/v1/zone-hours"]["get"]["parameters"]
    assert (fleet["name"], fleet["required"]) == ("fleet", True)


_CHECKED_ELSEWHERE = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture)


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_answers_to_generated_requests_are_what_the_document_says(get: ServedPages, endpoint: Endpoint) -> None:
    """Valid and invalid ones: no answer is a 5xx, each has a status, a type, headers and a schema of the document."""
    schema = schemathesis.openapi.from_url(f"{get.url}{DOCUMENT_PATH}")
    operation = schema[endpoint.path]["GET"]
    valid, invalid = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    for mode in (valid, invalid) if endpoint.parameters else (valid,):
        asked = 0

        @settings(max_examples=60, deadline=None, suppress_health_check=_CHECKED_ELSEWHERE, database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            nonlocal asked
            asked += 1
            # That the end is not before the start, and not too far behind it, is no schema's.
            case.call_and_validate(excluded_checks=[openapi_checks.positive_data_acceptance])

        check()
        assert asked
