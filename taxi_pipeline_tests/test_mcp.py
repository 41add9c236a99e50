"""The MCP server, as a client starts it: the console command in a process of its own, over its standard streams."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from taxi_pipeline_tests.conftest import SPARK
from taxi_pipeline_tests.pipelines import Pipeline, pipeline_in
from taxi_pipeline_tests.processes import held_by_another_process

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-W", "ignore", "-m", "taxi_pipeline", "mcp"]
TOOLS = {"loaded", "tables", "describe", "query", "data_dictionary", "outputs"}


@pytest.fixture(scope="module")
def pipeline(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A project with two days of trips, and settings in its `.env`."""
    project = tmp_path_factory.mktemp("project")
    made = pipeline_in(project / "data", mirror, ("yellow", "green"))
    made.load("2023-01-01", "2023-01-02")
    made.files.write("outputs/reports/2023-01.html", "<p>January</p>")
    (project / "dagster.yaml").write_text("")
    (project / ".env").write_text(
        f"TAXI_DATA_DIR=data\nDUCKDB_DATABASE={made.warehouse.location}\n"
        "TAXI_FLEETS=yellow,green\nTAXI_PAGES_URL=http://pages.example.com\n"
    )
    return made


@pytest.fixture
def project(pipeline: Pipeline) -> Path:
    return pipeline.folder.parent


def with_client(use: Callable[[Client], Awaitable[None]], *options: str, cwd: Path | str, **env: str) -> None:
    """Start the server as clients do, with few variables, and use it."""

    async def run() -> None:
        command, *arguments = [*COMMAND, *options]
        server = StdioServerParameters(command=command, args=arguments, cwd=cwd, env=env)
        async with Client(stdio_client(server)) as client:
            await use(client)

    anyio.run(run)


async def ask(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool returns; a list where it is one."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    content = result.structured_content
    assert content is not None
    return content["result"] if set(content) == {"result"} else content


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return getattr(result.content[0], "text", "")


def test_a_client_that_starts_elsewhere_asks_the_project(pipeline: Pipeline, project: Path, tmp_path: Path) -> None:
    async def use(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == TOOLS
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        assert "synthetic" in (client.instructions or "")
        loaded = await ask(client, "loaded")
        assert loaded["synthetic"] is True
        assert [(each["fleet"], each["num_days"], each["months"]) for each in loaded["fleets"]] == [
            ("green", 2, ["2023-01 (2 of 31 days)"]),
            ("yellow", 2, ["2023-01 (2 of 31 days)"]),
        ]
        answer = await ask(client, "query", sql="SELECT fleet, count(*), sum(total_amount) FROM trips GROUP BY fleet")
        with pipeline.warehouse.read() as session:
            expected = session.rows(
                "SELECT fleet, count(*), CAST(sum(total_amount) AS VARCHAR) FROM trips GROUP BY fleet"
            )
        assert sorted(map(tuple, answer["rows"])) == sorted(expected)
        assert answer["cut"] is None
        names = {table["name"] for table in await ask(client, "tables")}
        assert {"trips", "zones", "net_trips"} <= names
        zones = await ask(client, "describe", table="zones")
        assert zones["columns"][0]["meaning"] == "Id of the zone: OBJECTID of the zone file"
        headings = [section["heading"] for section in await ask(client, "data_dictionary")]
        (codes,) = await ask(client, "data_dictionary", heading="Codes: payment_types")
        assert "Codes: payment_types" in headings
        assert "Credit card" in codes["text"]
        assert await ask(client, "outputs") == [
            {
                "name": "outputs/reports/2023-01.html",
                "file": pipeline.files.uri("outputs/reports/2023-01.html"),
                "link": "http://pages.example.com/reports/2023-01.html",
            }
        ]

    with_client(use, "--project", str(project), cwd=tmp_path)
    assert not list(tmp_path.iterdir()), "nothing is made where it was started"


def test_a_client_that_starts_in_the_project_needs_no_option(project: Path) -> None:
    async def use(client: Client) -> None:
        assert (await ask(client, "query", sql="SELECT count(*) FROM zones"))["rows"] == [[265]]

    with_client(use, cwd=project)


def test_refusals_are_told_in_words_and_the_server_stays(pipeline: Pipeline, project: Path) -> None:
    database = Path(pipeline.warehouse.location)
    before = database.read_bytes()

    async def use(client: Client) -> None:
        for sql, words in (
            ("DROP TABLE trips", "only SELECT is answered"),
            ("COPY trips TO 'trips.csv'", "only SELECT is answered"),
            ("SELECT * FROM read_text('.env')", "read_text is not available"),
            ("SELECT * FROM '.env'", "Table with name .env does not exist"),
            ("SELECT * FROM nothing", "nothing does not exist"),
            ("SELECT 1; SELECT 2", "2 statements"),
            ("SELECT repeat('x', 4000000000)", "memory"),
        ):
            assert words in await refusal(client, "query", sql=sql)
        assert "There is no table 'x'" in await refusal(client, "describe", table="x")
        assert "There is no heading 'x'" in await refusal(client, "data_dictionary", heading="x")
        assert "sql" in await refusal(client, "query")
        answer = await ask(client, "query", sql="SELECT range FROM range(10000)")
        assert len(answer["rows"]) == 500
        assert answer["cut"] == "There are more rows: only the first 500 are here."

    with_client(use, "--project", str(project), cwd="/")
    assert database.read_bytes() == before
    assert not list(project.rglob("trips.csv"))


def test_questions_are_answered_while_a_run_writes_and_several_come_at_once(pipeline: Pipeline, project: Path) -> None:
    async def use(client: Client) -> None:
        async def one(number: int) -> None:
            answer = await ask(client, "query", sql=f"SELECT {number} + 0 * count(*) FROM trips")
            assert answer["rows"] == [[number]]

        with held_by_another_process(Path(pipeline.warehouse.location), read_only=False):
            async with anyio.create_task_group() as several:
                for number in range(6):
                    several.start_soon(one, number)

    with_client(use, "--project", str(project), cwd="/")


def test_nothing_but_frames_is_written_to_the_output(project: Path, tmp_path: Path) -> None:
    """Also at the end of its input, and for what is no frame."""
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        "no frame",
        json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ]
    with subprocess.Popen(
        [*COMMAND, "--project", str(project)], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("\n".join(lines) + "\n")
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["result"]["serverInfo"]["name"] == "taxi-pipeline"
        call = {"name": "query", "arguments": {"sql": "SELECT 1"}}
        server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}) + "\n")
        server.stdin.flush()
        frames = [json.loads(server.stdout.readline())]
        while frames[-1].get("id") != 2:
            frames.append(json.loads(server.stdout.readline()))
        assert frames[-1]["result"]["structuredContent"]["rows"] == [[1]]
        server.stdin.close()
        assert [json.loads(line) for line in server.stdout] == []
    assert server.returncode == 0


def test_before_anything_is_loaded_the_tables_are_described(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("")

    async def use(client: Client) -> None:
        assert await ask(client, "loaded") == {"synthetic": False, "fleets": []}
        assert len(await ask(client, "tables")) > 20
        assert "there is no warehouse" in await refusal(client, "query", sql="SELECT 1")
        assert await ask(client, "outputs") == []

    with_client(use, cwd=tmp_path)


def test_with_spark_there_is_no_query_and_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("")

    async def use(client: Client) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS - {"query"}
        assert "With TAXI_ENGINE=spark there is no `query` here" in (client.instructions or "")
        assert "trips" in {table["name"] for table in await ask(client, "tables")}

    with_client(use, cwd=tmp_path, **SPARK, TAXI_STORAGE_URL="s3://bucket")


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--project", "nowhere"], "'nowhere' does not exist"), ([], "is in no project")],
)
def test_a_server_without_a_project_says_so_and_writes_no_frame(tmp_path: Path, options: list[str], said: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAXI_")}
    code = (
        "import taxi_pipeline.settings as settings, pathlib; from taxi_pipeline.cli import main; "
        "settings.__file__ = '/nowhere/taxi_pipeline/settings.py'; main()"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, "mcp", *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert said in result.stderr
    assert result.stdout == ""


def test_without_the_extra_it_says_what_to_install(project: Path) -> None:
    code = "import sys; sys.modules['mcp'] = None; from taxi_pipeline.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, "mcp", "--project", str(project)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "install the extra mcp, pip install 'taxi-pipeline[mcp]'" in result.stderr
