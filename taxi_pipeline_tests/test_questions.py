"""Questions in SQL of somebody who may ask anything: what is answered, refused and cut, beside runs that write."""

import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest

from taxi_pipeline.questions.bounded import Limits, QuestionRefusedError, Questions
from taxi_pipeline.questions.catalogue import described, dictionary_sections, table_names
from taxi_pipeline.questions.snapshots import KeptCopy
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import NothingLoadedError, Session, WarehouseUnavailableError
from taxi_pipeline.warehouse.tables import TABLES, VENDORS
from taxi_pipeline_tests.processes import held_by_another_process

pytestmark = pytest.mark.slow  # each question is a process

SHORT = Limits(seconds=1, rows=100, characters=10_000)


def name_vendors(session: Session, *names: str) -> None:
    session.replace(VENDORS, [(number, name, None) for number, name in enumerate(names)])


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(tmp_path / "data.duckdb", lock_timeout_seconds=1)
    made.change(name_vendors, "Curb", "Creative")
    return made


@pytest.fixture
def questions(warehouse: DuckDBWarehouse, tmp_path: Path) -> Questions:
    return Questions(KeptCopy(warehouse, tmp_path / "copies", rest=0), SHORT)


def files_below(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of each file, without locks."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".locks" not in path.parts
    }


# Answers


def test_values_that_json_has_no_type_for_are_text_without_a_loss(questions: Questions) -> None:
    values = {
        "12345678901234567890.05::DECIMAL(38, 2)": "12345678901234567890.05",
        "DATE '2025-01-31'": "2025-01-31",
        "TIMESTAMP '2025-01-31 23:59:59.999999'": "2025-01-31 23:59:59.999999",
        "DATE 'infinity'": "infinity",
        "DATE '290000-01-01'": "290000-01-01",
        "TIMESTAMP '0044-03-15 (BC) 12:00:00'": "0044-03-15 (BC) 12:00:00",
        "TIMESTAMP_NS '2025-01-31 01:02:03.123456789'": "2025-01-31 01:02:03.123456789",
        "TIME_NS '01:02:03.123456789'": "01:02:03.123456789",
        "TIME '01:02:03'": "01:02:03",
        "INTERVAL 90 SECOND": "00:01:30",
        "1 AS same": 1,
        "2 AS same": 2,
        "'nan'::DOUBLE": "nan",
        "'-inf'::DOUBLE": "-inf",
        "0.1::DOUBLE": 0.1,
        "9007199254740992": 9007199254740992,
        "9007199254740993": "9007199254740993",
        "'ab'::BLOB": "6162",
        "'é\u2028𝄞'": "é\u2028𝄞",
        "TRUE": True,
        "NULL": None,
        "[1.5::DECIMAL(3, 1), NULL]": ["1.5", None],
        "{'day': DATE '2025-01-31'}": {"day": "2025-01-31"},
        "MAP {1: 'nan'::FLOAT}": {"1": "nan"},
        "'6f1e5cf0-6e3c-4d6c-9d0f-8f3c2b1a0e9d'::UUID": "6f1e5cf0-6e3c-4d6c-9d0f-8f3c2b1a0e9d",
    }
    answer = questions.ask(f"SELECT {', '.join(values)}")
    assert dict(zip(values, answer.rows[0], strict=True)) == values
    assert (answer.cut, len(answer.rows)) == (None, 1)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT vendor FROM vendors ORDER BY vendor_id",
        "select\u200bvendor from vendors order by vendor_id;",
        "FROM vendors SELECT vendor ORDER BY vendor_id -- ; DROP TABLE vendors",
        "/* DROP TABLE vendors; */ WITH v AS (SELECT * FROM vendors) SELECT vendor FROM v ORDER BY vendor_id",
        "SELECT vendor FROM range(2) AS numbers(n) JOIN vendors ON vendor_id = n ORDER BY n",
    ],
)
def test_selects_are_answered(questions: Questions, sql: str) -> None:
    answer = questions.ask(sql)
    assert answer.rows == [["Curb"], ["Creative"]]
    assert [(column.name, column.type) for column in answer.columns] == [("vendor", "VARCHAR")]
    asked = datetime.strptime(answer.as_of, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert asked <= datetime.now(UTC)


@pytest.mark.parametrize(("rows", "cut"), [(99, False), (100, False), (101, True), (100_000_000_000, True)])
def test_rows_are_cut_at_the_limit_and_the_answer_says_so(questions: Questions, rows: int, cut: bool) -> None:
    answer = questions.ask(f"SELECT 1 FROM range({rows})")
    assert len(answer.rows) == min(rows, SHORT.rows)
    assert answer.cut == ("There are more rows: only the first 100 are here." if cut else None)


def test_characters_are_cut_at_the_limit(questions: Questions) -> None:
    """Of ten thousand, the column takes 34, and what is around a text in a row four."""
    fits = SHORT.characters - len('[{"name": "x", "type": "VARCHAR"}]') - len('[""]')
    assert len(questions.ask(f"SELECT repeat('x', {fits - 1}) AS x").rows[0][0]) == fits - 1
    with pytest.raises(QuestionRefusedError, match=r"A single row has more than 10,000 characters"):
        questions.ask(f"SELECT repeat('x', {fits + 1}) AS x")
    answer = questions.ask("SELECT repeat('x', 3000) AS x FROM range(50)")
    assert len(answer.rows) == 3
    assert answer.cut == "There are more rows: 10,000 characters are the most of an answer."


# Refusals


OUTSIDE = "{folder}/secret.csv"
REFUSED = {
    "INSERT INTO vendors VALUES (9, 'x', NULL)": "kind INSERT",
    "UPDATE vendors SET vendor = 'x'": "kind UPDATE",
    "DELETE FROM vendors": "kind DELETE",
    "TRUNCATE vendors": "kind DELETE",
    "MERGE INTO vendors USING vendors AS v ON TRUE WHEN MATCHED THEN DELETE": "kind MERGE_INTO",
    "DROP TABLE vendors": "kind DROP",
    "ALTER TABLE vendors ADD COLUMN x INTEGER": "kind ALTER",
    "COMMENT ON TABLE vendors IS 'x'": "kind ALTER",
    "CREATE TABLE x AS SELECT 1": "kind CREATE",
    "CREATE TEMP TABLE x AS SELECT 1": "kind CREATE",
    "CREATE MACRO f() AS 1": "kind CREATE",
    "COPY vendors TO '{folder}/out.csv'": "kind COPY",
    "COPY (SELECT 1) TO '{folder}/out.parquet'": "kind COPY",
    "COPY vendors FROM '{folder}/secret.csv'": "kind COPY",
    "EXPORT DATABASE '{folder}/out'": "kind EXPORT",
    "IMPORT DATABASE '{folder}/out'": "kind",
    "ATTACH '{folder}/other.duckdb' AS other": "kind ATTACH",
    "DETACH data": "kind DETACH",
    "USE memory": "kind SET",
    "INSTALL httpfs": "kind LOAD",
    "LOAD httpfs": "kind LOAD",
    "PRAGMA database_list": "kind",
    "PRAGMA enable_profiling": "kind PRAGMA",
    "SET threads = 64": "kind SET",
    "SET enable_external_access = true": "kind SET",
    "RESET lock_configuration": "kind SET",
    "CALL pragma_version()": "kind CALL",
    "BEGIN": "kind TRANSACTION",
    "CHECKPOINT": "kind",
    "VACUUM": "kind VACUUM",
    "PREPARE x AS SELECT 1": "kind PREPARE",
    "EXECUTE x": "kind EXECUTE",
    "EXPLAIN ANALYZE SELECT 1": "kind EXPLAIN",
    "SET VARIABLE x = 1": "kind",
    "PIVOT vendors ON vendor USING count(*)": "kind MULTI",
    "SELECT 1; SELECT 2": "2 statements",
    "SELECT 1; DROP TABLE vendors": "2 statements",
    "SELECT 1 /* */ ; /* ; */ DROP TABLE vendors --": "2 statements",
    "-- nothing\n": "0 statements",
    ";;": "0 statements",
    "": "empty",
    "   ": "empty",
    "SELECT 1\0; DROP TABLE vendors": "NUL",
    "\uff33\uff25\uff2c\uff25\uff23\uff34 1": "syntax error",
    "WITH x AS (INSERT INTO vendors VALUES (9, 'x', NULL) RETURNING *) SELECT * FROM x": "read-only",
    "WITH x AS (DELETE FROM vendors RETURNING *) SELECT * FROM x": "read-only",
    "SELECT * FROM read_text('{folder}/secret.csv')": "The function read_text is not available",
    "SELECT * FROM \"read_text\"('{folder}/secret.csv')": "The function read_text is not available",
    "SELECT * FROM READ_BLOB('{folder}/secret.csv')": "The function read_blob is not available",
    "SELECT * FROM system.main.read_text('{folder}/secret.csv')": "read_text",
    "SELECT * FROM read_csv_auto('{folder}/secret.csv')": "The function read_csv_auto is not available",
    "SELECT (SELECT content FROM read_text('{folder}/secret.csv'))": "The function read_text is not available",
    "SELECT 1 WHERE EXISTS (FROM glob('/*'))": "The function glob is not available",
    "WITH x AS (FROM read_json('{folder}/secret.csv')) FROM x": "The function read_json is not available",
    "SELECT * FROM '{folder}/secret.csv'": "file system operations are disabled",
    "FROM '{folder}/*.csv'": "file system operations are disabled",
    "FROM 'https://example.com/x.parquet'": "",
    "SELECT * FROM parquet_metadata('{folder}/x.parquet')": "The function parquet_metadata is not available",
    "SELECT * FROM sniff_csv('{folder}/secret.csv')": "The function sniff_csv is not available",
    "SELECT * FROM duckdb_secrets()": "The function duckdb_secrets is not available",
    "SELECT * FROM which_secret('x', 's3')": "The function which_secret is not available",
    "SELECT * FROM duckdb_settings()": "The function duckdb_settings is not available",
    "SELECT * FROM pragma_database_list()": "The function pragma_database_list is not available",
    "SELECT * FROM query('SELECT 1')": "The function query is not available",
    "SELECT * FROM query_table('vendors')": "The function query_table is not available",
    "SELECT * FROM json_execute_serialized_sql('x')": "The function json_execute_serialized_sql is not available",
    "SELECT * FROM enable_logging()": "The function enable_logging is not available",
    "SELECT * FROM checkpoint()": "The function checkpoint is not available",
    "SELECT * FROM python_map_function(1)": "The function python_map_function is not available",
    "SELECT getenv('SECRET')": "getenv does not exist",
    "SELECT nextval('x')": "does not exist",
    "SELECT * FROM question": "question does not exist",
    "SELECT $1": "Values were not provided",
    "SELECT ?": "Values were not provided",
    "SELECT error('" + "x" * 5000 + "')": "x …",
    "SELECT 1 -- " + "x" * 30_000: "at most 20,000 are read",
    "SELECT " + "(" * 9000 + "1" + ")" * 9000: "depth limit",
    "SELECT " + "+".join(["1"] * 9000): "depth limit",
}
"""What is asked → words of the refusal."""


def test_the_settings_hold(questions: Questions) -> None:
    wanted = {
        "access_mode": "read_only",
        "enable_external_access": False,
        "lock_configuration": True,
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
        "temp_directory": "",
        "threads": 2,
    }
    (row,) = questions.ask(f"SELECT {', '.join(f'current_setting({name!r})' for name in wanted)}").rows
    assert dict(zip(wanted, row, strict=True)) == wanted


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Questions, Path]]:
    """Questions to one warehouse, in a folder with a file that nobody may see; it has not changed at the end."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "secret.csv").write_text("a,b\nsecret,content\n")
    made = DuckDBWarehouse(folder / "data.duckdb")
    made.change(name_vendors, "Curb", "Creative")
    questions = Questions(KeptCopy(made, folder / "copies", rest=0), SHORT)
    questions.ask("SELECT 1")  # which makes the copy
    before = files_below(folder)
    yield questions, folder
    assert files_below(folder) == before


@pytest.mark.parametrize("sql", REFUSED, ids=lambda sql: ascii(sql[:50]))
def test_what_is_no_select_of_tables_is_refused(asked: tuple[Questions, Path], sql: str) -> None:
    questions, folder = asked
    with pytest.raises(QuestionRefusedError) as refused:
        questions.ask(sql.replace("{folder}", str(folder)))
    assert REFUSED[sql] in str(refused.value)
    assert "content" not in str(refused.value)
    assert len(str(refused.value)) < 1000


BOMBS = [
    "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b, range(1000000) AS c",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
    "SELECT sum(range) FROM range(1000000000000)",
    "SELECT len(range(1000000000000))",
    "SELECT list_sum(range(300000000))",
    "SELECT list_transform(range(100000000), lambda x: x * x)",
    "SELECT repeat('x', 10000000000)",
    "SELECT length(repeat('x', 4000000000))",
    "SELECT lpad('', 2000000000, 'x')",
    "SELECT printf('%1000000000d', 1)",
    "SELECT strftime(DATE '2020-01-01', repeat('%A', 100000000))",
    "SELECT replace(repeat('a', 10000000), 'a', repeat('b', 1000))",
    "SELECT string_agg(repeat('y', 1000) || a.range) FROM range(100000) AS a, range(1000) AS b",
    "SELECT * FROM range(1000000) AS a, range(1000000) AS b ORDER BY a.range || b.range",
    "SELECT array_agg(range) FROM range(1000000000)",
    "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))",
    "SELECT to_json(range(30000000))",
]


@pytest.mark.parametrize("sql", BOMBS)
def test_what_would_never_end_or_fill_the_memory_is_ended(asked: tuple[Questions, Path], sql: str) -> None:
    """Some of these take gigabytes that DuckDB does not count, or hear no interrupt: the process is ended."""
    questions, _ = asked
    with pytest.raises(QuestionRefusedError, match=r"took longer|memory|maximum supported|larger than|Out of Range"):
        questions.ask(sql)
    assert questions.ask("SELECT count(*) FROM vendors").rows == [[2]]


def test_a_long_list_is_read_to_the_limit_of_the_question(asked: tuple[Questions, Path]) -> None:
    questions, _ = asked
    assert questions.ask(f"SELECT 1 WHERE 1 IN ({','.join(map(str, range(4000)))})").rows == [[1]]
    with pytest.raises(QuestionRefusedError, match=r"has 57\d,\d{3} characters|has \d+,\d{3} characters"):
        questions.ask(f"SELECT 1 WHERE 1 IN ({','.join(map(str, range(100_000)))})")


def test_the_process_that_answers_has_no_setting_and_no_password(
    questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXI_SMTP_PASSWORD", "secret")
    started: list[dict[str, str]] = []
    run = subprocess.run

    def recorded(*arguments: Any, env: dict[str, str], **options: Any) -> Any:
        started.append(env)
        return run(*arguments, env=env, **options)

    monkeypatch.setattr(subprocess, "run", recorded)
    questions.ask("SELECT 1")
    assert set(started[0]) <= {"PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "TZ"}


# Copies


def test_a_question_is_asked_of_the_newest_state(questions: Questions, warehouse: DuckDBWarehouse) -> None:
    assert questions.ask("SELECT count(*) FROM vendors").rows == [[2]]
    warehouse.change(name_vendors, "Curb", "Creative", "Myle")
    assert questions.ask("SELECT count(*) FROM vendors").rows == [[3]]
    copies = list(questions.copy.current().parent.glob("*.duckdb"))
    assert copies == [questions.copy.current()], "the older copy is gone"


def test_a_question_is_answered_while_a_run_writes(questions: Questions, warehouse: DuckDBWarehouse) -> None:
    with held_by_another_process(warehouse.database, read_only=False):
        assert questions.ask("SELECT count(*) FROM vendors").rows == [[2]]
        with questions.copy.session() as session:
            assert session.rows("SELECT count(*) FROM vendors") == [(2,)]


def test_a_run_writes_while_a_question_is_answered(questions: Questions, warehouse: DuckDBWarehouse) -> None:
    """The writer would wait a second, then fail."""
    questions.copy.current()
    ended: list[str] = []

    def ask() -> None:
        with pytest.raises(QuestionRefusedError, match="took longer"):
            questions.ask("SELECT sum(range + vendor_id) FROM range(1000000000000), vendors")
        ended.append("question")

    asking = threading.Thread(target=ask)
    asking.start()
    with questions.copy.session():
        for names in ("a", "ab", "abc"):
            warehouse.change(name_vendors, *names)
    assert ended == []
    asking.join()
    assert questions.ask("SELECT count(*) FROM vendors").rows == [[3]]


def test_an_older_copy_is_asked_while_the_warehouse_is_written_to_all_the_time(
    questions: Questions, warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = questions.copy.current()
    warehouse.change(name_vendors, "Curb")

    def busy(_: Path) -> None:
        raise WarehouseUnavailableError("it was written to all the time")

    monkeypatch.setattr(warehouse, "copy_to", busy)
    assert questions.copy.current() == path
    assert questions.ask("SELECT count(*) FROM vendors").rows == [[2]]
    path.unlink()
    with pytest.raises(WarehouseUnavailableError, match="all the time"):
        questions.ask("SELECT 1")


def test_a_copy_that_took_long_is_not_made_again_at_once(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    resting = KeptCopy(warehouse, tmp_path / "copies", rest=1_000_000)
    path = resting.current()
    warehouse.change(name_vendors, "Curb")
    assert resting.current() == path
    assert KeptCopy(warehouse, tmp_path / "copies").current() != path, "another process has its own rest"


def test_what_a_killed_process_left_is_removed(questions: Questions, tmp_path: Path) -> None:
    left = tmp_path / "copies" / ".x.abc.tmp.duckdb"
    left.parent.mkdir()
    left.write_bytes(b"half")
    (tmp_path / "copies" / "0123456789abcdef.duckdb").write_bytes(b"no database")
    assert questions.ask("SELECT 1").rows == [[1]]
    assert not left.exists()
    assert len(list(left.parent.glob("*.duckdb"))) == 1


def test_nothing_to_ask_is_said(tmp_path: Path) -> None:
    nothing = Questions(KeptCopy(DuckDBWarehouse(tmp_path / "data.duckdb"), tmp_path / "copies"))
    with pytest.raises(NothingLoadedError, match="there is no warehouse"):
        nothing.ask("SELECT 1")
    assert "trips" in table_names(nothing), "what is declared can be described before"
    assert not list(tmp_path.iterdir()), "nothing is made"


# What can be asked about


def test_tables_are_described_as_they_are_declared(questions: Questions, warehouse: DuckDBWarehouse) -> None:
    with duckdb.connect(str(warehouse.database)) as connection:
        connection.execute("CREATE SCHEMA marts")
        connection.execute("CREATE TABLE marts.fares (day DATE NOT NULL, fare DECIMAL(18, 2))")
    names = table_names(questions)
    assert {table.name for table in TABLES} | {"days", "net_trips", "zone_segments", "marts.fares"} <= set(names)
    columns = described("zone_hourly_trips", questions).columns
    assert (columns[6].name, columns[6].type, columns[6].unit) == ("trip_distance", "DECIMAL(18, 3)", "miles")
    assert columns[6].meaning == "Sum of distances, as published"
    mart = described("marts.fares", questions)
    assert [(each.name, each.type, each.nullable) for each in mart.columns] == [
        ("day", "DATE", False),
        ("fare", "DECIMAL(18,2)", True),
    ]
    for unknown in ("nothing", "marts.x' OR 1 = 1 --", "x" * 10_000):
        with pytest.raises(QuestionRefusedError, match=r"There is no table .*There are: trips, ") as refused:
            described(unknown, questions)
        assert len(str(refused.value)) < 1000


def test_every_part_of_the_dictionary_has_a_heading_of_its_own() -> None:
    sections = dictionary_sections()
    assert "| 1 | Credit card |" in " ".join(sections["Codes: payment_types"].split())
    assert (
        "RatecodeID"
        in sections["What the TLC publishes, and which column it feeds: yellow, Yellow taxi: from 2011-01 on"]
    )
    assert sum(map(len, sections.values())) > 100_000
    assert max(map(len, sections.values())) < 25_000, "a client takes it as one answer"
