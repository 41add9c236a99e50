"""The code blocks of the documentation: each is run, parsed by the program that it calls, or named with a reason.

Python and SQL run on what their page says is there, beginning with an empty warehouse. Of shell blocks each command is
parsed, not run: `taxi-pipeline`, `dg` and `dbt` by their own parsers, `make` by the targets of the Makefile.
"""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
import yaml

from taxi_pipeline.cli import main as taxi_pipeline
from taxi_pipeline.defs.assets import sources, zone_hours
from taxi_pipeline.defs.assets.delivery import build_mail
from taxi_pipeline.defs.assets.single_trips import single_trips
from taxi_pipeline.defs.assets.zone_segments import zone_segments
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.outputs.requests.request_files import parse_request
from taxi_pipeline.questions.metrics import Figures, Known, exposition
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.publication_delay import TOO_LATE_DAYS
from taxi_pipeline.warehouse.coverage import FleetCoverage
from taxi_pipeline_tests.conftest import REPOSITORY, SETTINGS
from taxi_pipeline_tests.pipelines import EVERYTHING, GROUPS, LOADING, Pipeline, error_of, pipeline_in, range_tags

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "data/README.md",
    "data/requests/README.md",
    "deploy/README.md",
    *(f"docs/{path.name}" for path in sorted((REPOSITORY / "docs").glob("*.md"))),
)

NOT_RUN = {
    "CONTRIBUTING.md: python": "signatures without bodies; the whole of them is datasets/demand.py",
    "docs/cluster.md: python": "it needs a cluster; test_older_tables.py runs it",
    "aws": "it changes a bucket",
    "cd": "it enters a folder",
    "cp": "it copies the files of a deployment",
    "curl": "it asks a server that is running; test_api.py asks the same",
    "docker": "deploy/ needs a container engine; test_deploy.py checks its files",
    "eval": "it starts servers: make test-services does",
    "git": "it changes the clone",
    "uv": "it builds and installs the package; test_wheel.py does",
    "helm": "it needs a cluster of Kubernetes; test_deploy.py checks the values",
    "kubectl": "it needs a cluster of Kubernetes; test_deploy.py checks the file",
    "openssl": "it makes keys; test_proof.py checks a signature with it",
    "sed": "it changes files; test_deploy.py runs it",
    "sha256sum": "it reads the demo's files; test_dataset_lists.py runs it",
    "pip": "it installs; test_setup.py checks the files of requirements",
    "python3": "it makes an environment",
    "source": "it enters the environment",
}
"""Page and language of blocks, or program of a shell command → why it is not run here."""

NO_CODE = {"", "text", "mermaid"}
"""Languages of blocks that show files, outputs and drawings."""


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    page: str
    language: str
    text: str
    number: int
    """Its place among the blocks of this language on the page, from 0."""

    def __str__(self) -> str:
        return f"{self.page}: {self.language}"


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, without the indentation of lists."""
    found: list[Block] = []
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    for indent, language, body in re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
        shown = "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))
        number = sum(block.language == language for block in found)
        found.append(Block(page, language, shown, number))
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of(language: str, page: str | None = None) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and page in (None, block.page)]


def named(block: Block) -> str:
    return f"{block}-{block.number}"


def only(language: str, page: str, number: int = 0) -> str:
    """The text of a block."""
    return of(language, page)[number].text


RUN = {
    "docs/datasets.md: python": 2,
    "docs/extend.md: python": 2,
    "docs/tutorial.md: python": 1,
    "docs/datasets.md: sql": 2,
    "docs/marts.md: sql": 2,
    "docs/queries.md: sql": 10,
    "docs/real-data.md: sql": 1,
    "docs/sources.md: sql": 2,
    "docs/zone-segments.md: sql": 1,
    "data/requests/README.md: json": 1,
    "docs/server.md: json": 1,
    "docs/questions.md: json": 1,
    "docs/delivery.md: yaml": 1,
    "docs/lineage.md: yaml": 1,
    "docs/operations.md: yaml": 2,
}
"""Page and language → number of blocks that the tests below run."""


def test_every_block_is_run_parsed_or_named_with_a_reason() -> None:
    found = [str(block) for block in BLOCKS if block.language not in {*NO_CODE, "sh"}]
    assert {name: found.count(name) for name in found if name not in NOT_RUN} == RUN
    used = {*found, *(words[0] for block in of("sh") for words in commands_of(block.text) if words)}
    assert set(NOT_RUN) <= used, "each of these is there"
    assert len(of("sh")) > 15


# Shell


def commands_of(text: str) -> list[list[str]]:
    """The words of each command of a shell block, without comments."""
    lines = text.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    split: list[list[str]] = []
    for words in commands:
        split.append([])
        for word in words:
            if word == "&&":
                split.append([])
            else:
                split[-1].append(word)
    return split


def parse_taxi_pipeline(arguments: list[str]) -> None:
    """Raises a usage error when `taxi-pipeline` would."""
    # Click keeps a command's option for help as it first was, also for tests after this one.
    context = click.Context(taxi_pipeline, info_name="taxi-pipeline", **taxi_pipeline.context_settings)
    if arguments == ["--help"]:
        return
    name, command, rest = taxi_pipeline.resolve_command(context, arguments)
    assert command
    command.make_context(name, rest, parent=context)


def parse_dg(arguments: list[str]) -> None:
    """Raises a usage error when `dg` would, and fails on an asset that there is not."""
    from dagster_dg_cli.cli import cli

    context = click.Context(cli, info_name="dg")
    name, command, rest = cli.resolve_command(context, arguments)
    assert command
    params = command.make_context(name, rest, parent=context).params
    for key in re.findall(r"key:(\w+)", params.get("assets") or ""):
        assert key in {name for names in GROUPS.values() for name in names}, key


def parse_dbt(arguments: list[str]) -> None:
    """Raises a usage error when `dbt` would."""
    pytest.importorskip("dbt.cli", reason="the extra dbt is not installed")
    from dbt.cli.main import cli

    context = cli.make_context("dbt", list(arguments))
    name, command, rest = cli.resolve_command(context, arguments)
    assert command
    command.make_context(name, rest, parent=context)


def parse_make(arguments: list[str]) -> None:
    """Fails on a target that the Makefile does not have."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for word in arguments:
        assert "=" in word or word.startswith("-") or re.search(rf"^{word}:", makefile, re.MULTILINE), word


def check_variable(assignment: str) -> None:
    """Fails on a setting that there is not; a setting's value is accepted."""
    name, _, value = assignment.partition("=")
    if name.startswith(("TAXI_", "TLC_", "DUCKDB_", "SPARK_", "DAGSTER_POSTGRES")):
        assert name in SETTINGS, name
        cluster = {"TAXI_STORAGE_URL": "s3://bucket/taxi", "SPARK_REMOTE": "sc://spark:15002"}
        cluster["TAXI_CATALOG_URL"] = "postgresql://user:secret@db/catalog"
        mail = {
            "TAXI_MAIL_TO": "a@example.com",
            "TAXI_MAIL_FROM": "b@example.com",
            "TAXI_SMTP_HOST": "mail.example.com",
        }
        if name not in ("TAXI_SMTP_TLS", "TAXI_SMTP_HOST"):
            mail |= {"TAXI_SMTP_USER": "taxi", "TAXI_SMTP_PASSWORD": "a-secret"}
        needed = (
            cluster
            if name in (*cluster, "TAXI_ENGINE")
            else mail
            if name.startswith(("TAXI_MAIL_", "TAXI_SMTP_"))
            else {}
        )
        Settings.from_environment({**needed, name: value})


PARSERS = {"taxi-pipeline": parse_taxi_pipeline, "dg": parse_dg, "dbt": parse_dbt, "make": parse_make}


TYPERS = pytest.mark.filterwarnings("ignore:'click.utils:DeprecationWarning")


@TYPERS
@pytest.mark.parametrize("block", of("sh"), ids=named)
def test_shell_commands_are_what_their_programs_accept(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    for words in commands_of(block.text):
        program = words[0].rpartition(".venv/bin/")[2] if words else ""
        if program in PARSERS:
            PARSERS[program](words[1:])
        elif program == "export" or re.match(r"[A-Z_]+=", program):
            check_variable(words[-1])
        elif words[:2] == [".venv/bin/python", "-c"]:
            compile(words[2], str(block), "exec")
        else:
            assert not program or program in NOT_RUN or re.match("[a-z]+=", program), f"{block}: {words}"


@TYPERS
def test_a_wrong_command_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse_taxi_pipeline(["materialize", "--begin", "2023-03-01"])
    with pytest.raises(click.UsageError):
        parse_dg(["launch", "--partitions", "2023-03-01"])
    with pytest.raises(AssertionError):
        parse_dg(["launch", "--assets", "key:trips_by_month"])
    with pytest.raises(AssertionError):
        parse_make(["no-such-target"])
    with pytest.raises(AssertionError):
        check_variable("TAXI_FLEET=yellow")


# JSON


def test_the_request_is_accepted() -> None:
    request = parse_request(only("json", "data/requests/README.md").encode())
    assert (request.borough, request.fleet) == ("Manhattan", "yellow")


def test_the_rule_of_the_bucket_is_json() -> None:
    (rule,) = json.loads(only("json", "docs/server.md"))["Rules"]
    assert rule["Status"] == "Enabled"


def test_the_configuration_of_a_client_starts_the_server(tmp_path: Path) -> None:
    server = json.loads(only("json", "docs/questions.md"))["mcpServers"]["taxi-pipeline"]
    assert Path(server["command"]).name == "taxi-pipeline"
    name, option, folder = server["args"]
    assert folder == "/path/to/project"
    # As in `parse_taxi_pipeline`: a command keeps its option for help as it first was.
    context = click.Context(taxi_pipeline, info_name="taxi-pipeline", **taxi_pipeline.context_settings)
    params = taxi_pipeline.commands[name].make_context(name, [option, str(tmp_path)], parent=context).params
    assert params == {"project": tmp_path}


# Python and SQL


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """March 2023 of yellow taxis and of Uber and Lyft, and the days before it from Washington's Birthday on."""
    folder = tmp_path_factory.mktemp("mirror")
    for fleet in ("yellow", "fhvhv"):
        write_mirror(folder, Days(date(2023, 2, 20), date(2023, 3, 31)), fleet=fleet, trips_per_day=60)
    return folder


@pytest.fixture(scope="module")
def loaded(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """What `make demo` leaves in `data/demo`, as far as the pages ask for it."""
    pipeline = pipeline_in(tmp_path_factory.mktemp("clone") / "data" / "demo", mirror, ("yellow", "fhvhv"))
    pipeline.run("2023-02-20", "2023-03-31", select=["taxi_zones_file", "taxi_zones", "code_tables", *LOADING])
    joined = [*sources.weather_assets[1:], sources.calendar_days, sources.zone_places]
    assert dg.materialize(joined, resources=pipeline.resources, run_config=QUIET).success
    for fleet in ("yellow", "fhvhv"):
        result = pipeline.dataset(fleet, "2023-03", zone_hours, single_trips)
        assert result.success, error_of(result)
    return pipeline


def run_python(text: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a block as a program of its own in a folder; gives what it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    result = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env={**kept, "TAXI_MARTS": "off", "TAXI_NOTEBOOKS": "off", "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def module_of(text: str, folder: Path) -> Any:
    """Write a block into a file and import it."""
    path = folder / "documented_example.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_an_asset_runs_with_its_declared_upstream(mirror: Path, tmp_path: Path) -> None:
    """Regression: it read zone_areas and did not depend on code_tables, so its file was empty in a fresh warehouse."""
    asset = module_of(only("python", "docs/extend.md"), tmp_path).airport_trips
    pipeline = pipeline_in(tmp_path / "data", mirror, ("yellow",))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*EVERYTHING, asset],
            selection=dg.AssetSelection.assets(asset).upstream(),
            resources=pipeline.resources,
            tags=range_tags("2023-03-05", "2023-03-11"),
            run_config=QUIET,
            instance=instance,
            raise_on_error=False,
        )
    assert result.success, error_of(result)
    expected = pipeline.rows(
        "SELECT CAST(pickup_datetime AS DATE) AS day, count(*) FROM trips WHERE pickup_zone_id IN (1, 132, 138) "
        "GROUP BY day ORDER BY day"
    )
    assert len(expected) == 7
    lines = pipeline.files.read("outputs/airport_trips.csv").decode().splitlines()
    assert lines == ["day,trips", *(f"{day},{trips}" for day, trips in expected)]


@pytest.mark.filterwarnings("ignore:Function `multi_observable_source_asset`:dagster.BetaWarning")
def test_the_example_of_a_source_needs_no_other_file(mirror: Path, tmp_path: Path) -> None:
    module = module_of(only("python", "docs/extend.md", 1), tmp_path)
    pipeline = pipeline_in(tmp_path / "data", mirror, ("yellow",))
    (tmp_path / "entrances.csv").write_text("Zone ID,Entrances\n4,2\n12,many\n13,5\n")
    pipeline.source_urls = {"entrances": (tmp_path / "entrances.csv").as_uri()}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            module.entrances_assets[1:],
            resources=pipeline.resources,
            run_config=QUIET,
            instance=instance,
            raise_on_error=False,
        )
    assert result.success, error_of(result)
    assert pipeline.rows("SELECT * FROM subway_entrances ORDER BY zone_id") == [(4, 2), (13, 5)]
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.metadata["num_problems"].value) == (False, 1)


def test_the_questions_about_sources_have_answers(loaded: Pipeline) -> None:
    by_weather, by_neighborhood = (
        loaded.rows(block.text.rstrip().rstrip(";")) for block in of("sql", "docs/sources.md")
    )
    assert [row[0] for row in by_weather] == ["fhvhv", "yellow"]
    assert all(wet and dry for _, wet, dry in by_weather)
    assert len(by_neighborhood) == 10
    assert by_neighborhood == sorted(by_neighborhood, key=lambda row: -row[1])


@pytest.mark.slow
def test_the_example_of_a_run_from_python_begins_with_nothing(mirror: Path, tmp_path: Path) -> None:
    environment = {"TAXI_DATA_DIR": str(tmp_path / "data"), "TLC_URL": mirror.as_uri(), "TAXI_FLEETS": "yellow"}
    run_python(only("python", "docs/tutorial.md"), tmp_path, environment)
    lines = (tmp_path / "data" / "outputs" / "trips_by_week.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["2023-03-05"]


@pytest.mark.slow
def test_the_examples_of_datasets_read_them(loaded: Pipeline) -> None:
    clone = loaded.folder.parents[1]
    environment = {"TAXI_DATA_DIR": str(loaded.folder), "TLC_URL": loaded.tlc.url, "TAXI_FLEETS": "yellow,fhvhv"}
    trips = dict(loaded.rows("SELECT fleet, count(*) FROM trips WHERE pickup_date >= '2023-03-01' GROUP BY fleet"))
    first, second = (block.text for block in of("python", "docs/datasets.md"))
    assert run_python(f"{first}\nprint(frame.num_trips.sum())", clone, environment) == f"{sum(trips.values())}\n"
    assert run_python(f"{second}\nprint(march.num_trips.sum())", clone, environment) == f"{trips['yellow']}\n"


@pytest.mark.slow
def test_the_readme_looks_into_a_copy_of_the_warehouse(loaded: Pipeline, tmp_path: Path) -> None:
    (words,) = (
        words
        for block in of("sh", "README.md")
        for words in commands_of(block.text)
        if words[:1] == [".venv/bin/python"]
    )
    (tmp_path / "data" / "outputs").mkdir(parents=True)
    loaded.warehouse.snapshot(tmp_path / "data" / "outputs" / "warehouse.duckdb")  # type: ignore[attr-defined]
    assert "2023-03-31" in run_python(words[2], tmp_path, {})


OF_MARTS = ("docs/marts.md", "docs/zone-segments.md")
SQL = [block for block in of("sql") if str(block) not in NOT_RUN and block.page not in OF_MARTS]


@pytest.mark.parametrize("block", SQL, ids=named)
def test_a_query_gives_rows(loaded: Pipeline, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(loaded.folder.parents[1])
    for statement in filter(str.strip, block.text.split(";\n")):
        assert loaded.rows(statement), statement


_ASKED_AND_THEIR_STAGING = (
    "stg_trips", "stg_loaded_days", "market_share", "stg_measured_trips", "hourly_speeds", "zone_week_hours",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dbt's own, of which there are many
def test_the_queries_of_marts_give_rows(loaded: Pipeline) -> None:
    pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
    settings = Settings.from_environment(
        {"TAXI_FLEETS": "yellow,fhvhv", "TAXI_START_DATE": "2023-03-01", "TAXI_END_DATE": "2023-03-31"}
    )
    definitions = build_definitions(settings=settings, resources=loaded.resources)
    made = [dg.AssetKey(["marts", name]) for name in _ASKED_AND_THEIR_STAGING]
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("marts").execute_in_process(
            instance=instance,
            asset_selection=made,
            tags=range_tags("2023-03-01", "2023-03-01"),
            run_config=QUIET,
            raise_on_error=False,
        )
    assert result.success, error_of(result)
    shares, speeds = (loaded.rows(block.text.strip().rstrip(";")) for block in of("sql", "docs/marts.md"))
    assert sum(percent for *_, percent in shares) == pytest.approx(100, abs=0.2)
    assert {kind for kind, *_ in speeds} == {"weekday", "weekend"}
    assert dg.materialize([zone_segments], resources=loaded.resources, run_config=QUIET).success
    # The sample's trips are too few for segments.
    loaded.execute("UPDATE zone_segments SET segment = CASE WHEN zone_id < 132 THEN 'nights' ELSE 'weekend days' END")
    (block,) = of("sql", "docs/zone-segments.md")
    ((known,),) = loaded.rows("SELECT count(*) FROM trips WHERE pickup_zone_id < 264")
    assert sum(trips for _, trips, _ in loaded.rows(block.text.strip().rstrip(";"))) == known


def test_the_configuration_of_a_mail_is_one_that_dagster_takes() -> None:
    asset = build_mail()
    job = dg.Definitions(
        [asset], resources=dict.fromkeys(("files", "pages", "postbox"))
    ).resolve_implicit_global_asset_job_def()
    resolved = dg.validate_run_config(job, yaml.safe_load(only("yaml", "docs/delivery.md")))
    assert resolved["ops"]["monthly_report_mail"]["config"] == {
        "old_months": True,
        "again": False,
        "unknown_again": False,
    }


def test_prometheus_examples_name_figures_that_are_there() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    coverage = {"green": FleetCoverage(date(2023, 1, 1), date(2023, 1, 2), 2, 3, "")}
    text = exposition(Known(True, Figures(coverage, {}, 0), {"green": 0}), 0, 0, has_warehouse=True).decode()
    served = re.findall(r"^# TYPE taxi_pipeline_(\w+) ", text, re.MULTILINE)
    table = page.partition("| name | labels | is |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.count("|") > 2]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(served)
    scraping, alerts = (yaml.safe_load(block.text) for block in of("yaml", "docs/operations.md"))
    assert scraping["scrape_configs"][0]["static_configs"] == [{"targets": ["127.0.0.1:3001"]}]
    (group,) = alerts["groups"]
    late, refused = (rule["expr"] for rule in group["rules"])
    assert late == f"taxi_pipeline_newest_day_age_seconds > {TOO_LATE_DAYS + 1} * 86400"
    assert refused.split()[0].removeprefix("taxi_pipeline_") in served
