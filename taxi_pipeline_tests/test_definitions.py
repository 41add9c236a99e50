"""The code location loads as the server loads it, with the names and the wiring that are fixed."""

import ast
import json
import re
import subprocess
import sys
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import freeze_time

from taxi_pipeline.defs.checks import CHECKS
from taxi_pipeline.defs.code_links import with_code_links
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.metadata import column_lineage
from taxi_pipeline.defs.partitions import (
    daily_partitions,
    days_from,
    days_of,
    fleet_months_from,
    forecast_months_from,
    months_from,
    weeks_from,
)
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, next_month
from taxi_pipeline.warehouse.tables import (
    BOROUGH_FLOWS,
    TLC_INDICATORS,
    TRIP_HISTOGRAMS,
    TRIPS,
    TRIPS_BY_WEEK,
    ZONE_HOURLY_DROPOFFS,
    ZONE_HOURLY_TRIPS,
    ZONE_HOURLY_VOIDS,
    ZONES,
)
from taxi_pipeline_tests.conftest import REPOSITORY, SPARK
from taxi_pipeline_tests.pipelines import GROUPS, IN_A_RUN_OF_DAYS, materializations_of, settings_of
from taxi_pipeline_tests.project_copies import PACKAGE, in_the_copy, spec_of
from taxi_pipeline_tests.report_files import COLUMNS

DEPS = {
    "tlc_trip_records": set(),
    "taxi_trips_file": {"tlc_trip_records"},
    "taxi_zones_file": {"tlc_trip_records"},
    "taxi_zones": {"taxi_zones_file"},
    "code_tables": {"tlc_trip_records"},
    "tlc_report_file": {"tlc_trip_records"},
    "tlc_indicators": {"tlc_report_file"},
    "taxi_trips": {"taxi_trips_file", "taxi_zones"},
    "zone_hourly_trips": {"taxi_trips"},
    "borough_flows": {"taxi_trips", "taxi_zones"},
    "trips_by_week": {"zone_hourly_trips"},
    "manhattan_stats": {"zone_hourly_trips", "taxi_zones"},
    "manhattan_map": {"manhattan_stats"},
    "city_map": {"zone_hourly_trips", "taxi_zones"},
    "zone_explorer": {"zone_hourly_trips", "borough_flows", "taxi_zones"},
    "month_changes": {"taxi_trips", "taxi_zones"},
    "week_summary": {"zone_hourly_trips", "taxi_zones"},
    "month_manifest": {"zone_hourly_trips"},
    "monthly_report": {"zone_hourly_trips", "borough_flows", "taxi_zones", "tlc_indicators"},
    "loaded_months": {"month_manifest", "taxi_zones"},
    "zone_hours": {"loaded_months", "taxi_zones"},
    "market_shares": {"loaded_months"},
    "demand_model": {"zone_hours"},
    "demand_errors": {"demand_model", "zone_hours"},
    "congestion_fee": {"zone_hourly_trips", "taxi_trips", "weather_days"},
    "monthly_report_pdf": {"monthly_report"},
    "monthly_report_mail": {"monthly_report"},
    "monthly_report_message": {"monthly_report"},
    "trip_request": {"zone_hourly_trips", "taxi_zones"},
    "bases_publication": set(),
    "bases_file": {"bases_publication"},
    "bases": {"bases_file"},
    "weather_publication": set(),
    "weather_file": {"weather_publication"},
    "weather_days": {"weather_file"},
    "calendar_days": set(),
    "zone_places": set(),
    "extreme_days": {"weather_days", "zone_hourly_trips", "borough_flows"},
    "daily_highs": {"weather_days", "zone_hourly_trips", "borough_flows"},
}
FUNCTIONS_OF_SOURCES = {
    **{
        f"{source}_{part}": f
        for source in ("bases", "weather")
        for part, f in (("publication", "observed"), ("file", "fetched"))
    },
    **dict.fromkeys(("bases", "weather_days"), "loaded"),
}
"""Asset of a source → the function in which it is defined, for all sources."""
TABLES_OF_ONE_STEP = {"taxi_trips", "zone_hourly_trips", "borough_flows"}
DAILY = {"taxi_trips_file", "taxi_trips", "zone_hourly_trips", "borough_flows"}
WEEKLY = {"week_summary"}
MONTHLY = {"monthly_report", "month_manifest", *GROUPS["delivery"]}
FORECASTS = {"demand_model"}
BY_FLEET_AND_MONTH = (GROUPS["datasets"] | GROUPS["history"]) - FORECASTS
ON_THE_DATABASE = {
    *GROUPS["warehouse"],
    *GROUPS["metrics"],
    *GROUPS["history"],
    *GROUPS["reports"],
    *GROUPS["datasets"],
    *GROUPS["analysis"],
    "trip_request",
    "tlc_indicators",
    *("bases", "weather_days", "calendar_days", "zone_places", "extreme_days", "daily_highs"),
} - {"manhattan_map"}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(settings=settings_of())


IMPORT_DAGSTER = {"defs"}
"""The folders of the package whose modules may import Dagster."""


def imports_of(path: Path) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def plain_modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in IMPORT_DAGSTER]


def test_only_defs_imports_dagster() -> None:
    plain = plain_modules()
    assert len(plain) > 40
    assert [path for path in plain if any(name.startswith("dagster") for name in imports_of(path))] == []
    assert "dagster" in imports_of(PACKAGE / "defs" / "jobs.py"), "the test can fail"


def test_plain_modules_need_no_dagster() -> None:
    """They don't import it by way of another module either. The command line imports it where it runs it."""
    names = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in plain_modules()]
    names = [name.removesuffix(".__init__") for name in names if name != "taxi_pipeline.definitions"]
    code = f"import sys; {'; '.join(f'import {name}' for name in names)}; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


def test_nothing_but_the_engine_imports_its_library() -> None:
    """Code for DuckDB alone is in its folder. Exports write DuckDB files, and imports read CSV, by it."""
    folders = (
        *(PACKAGE / "warehouse" / name for name in ("duckdb", "typing")),
        *(PACKAGE / "exports" / name for name in ("duckdb_file.py", "parquet_folder.py")),
        PACKAGE / "imports" / "conversion.py",
    )
    found = [path for path in PACKAGE.rglob("*.py") if "duckdb" in imports_of(path)]
    assert found
    assert [path for path in found if not any(path.is_relative_to(folder) for folder in folders)] == []


DIRECTION = tuple(
    (
        "differences errors storage delivery required_files tlc warehouse sources analysis quality datasets contract "
        "outputs sample pages questions exports imports proof project settings opening refresh_plan month_files defs "
        "cli"
    ).split()
)
"""The parts of the package from below to above. A part imports only those below it."""


def test_imports_run_one_way() -> None:
    """No arrow runs up in the drawing of imports."""
    wrong = {
        (part, above)
        for position, part in enumerate(DIRECTION)
        for path in ([PACKAGE / f"{part}.py"] if (PACKAGE / f"{part}.py").is_file() else (PACKAGE / part).rglob("*.py"))
        for above in _parts_imported(path)
        if above in DIRECTION[position + 1 :]
    }
    assert wrong == set()


ENGINES_APART = {"duckdb": ("spark", "ingest"), "spark": ("duckdb", "ingest"), "typing": ("duckdb", "spark", "ingest")}
"""Folder of the warehouse → what it must not import of the warehouse."""


def test_no_engine_imports_another_or_what_asks_it() -> None:
    """Code that both engines share lies in `warehouse/typing`, below both."""
    for folder, others in ENGINES_APART.items():
        for path in (PACKAGE / "warehouse" / folder).rglob("*.py"):
            imported = {
                name.split(".")[2] for name in _modules_imported(path) if name.startswith("taxi_pipeline.warehouse.")
            }
            assert not imported & set(others), path


def _parts_imported(path: Path) -> set[str]:
    names = [name.split(".") for name in _modules_imported(path)]
    return {parts[1] for parts in names if parts[0] == "taxi_pipeline" and len(parts) > 1}


def _modules_imported(path: Path) -> set[str]:
    """The modules from which a module imports, wherever in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def test_assets_draw_no_pages_and_hold_no_data_frames() -> None:
    """The computation of an asset is in `outputs`, `datasets` and `warehouse`."""
    for path in (PACKAGE / "defs" / "assets").glob("*.py"):
        assert not imports_of(path) & {"pandas", "numpy", "matplotlib", "PIL", "jinja2", "shapely"}, path


def test_modules_have_names_that_differ_by_more_than_an_ending() -> None:
    """Each has a docstring that says what belongs there."""
    paths = [path for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    for folder in {path.parent for path in paths}:
        stems = sorted({path.stem for path in paths if path.parent == folder})
        for first, second in pairwise(stems):
            assert not second.startswith(first), f"{folder}: {first} and {second}"
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_the_graph(definitions: dg.Definitions) -> None:
    specs = spec_of(definitions)
    assert {name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in specs.items()} == DEPS
    groups = {group: {name for name, spec in specs.items() if spec.group_name == group} for group in GROUPS}
    assert groups == GROUPS


def test_partitions(definitions: dg.Definitions) -> None:
    specs = spec_of(definitions)
    start = date(2023, 1, 1)
    assert {name for name, spec in specs.items() if spec.partitions_def == days_from(start)} == DAILY
    assert {name for name, spec in specs.items() if spec.partitions_def == weeks_from(start)} == WEEKLY
    assert {name for name, spec in specs.items() if spec.partitions_def == months_from(start)} == MONTHLY
    by_fleet_and_month = fleet_months_from(["yellow"], start)
    assert {name for name, spec in specs.items() if spec.partitions_def == by_fleet_and_month} == BY_FLEET_AND_MONTH
    forecasts = forecast_months_from(["yellow"], start)
    assert {name for name, spec in specs.items() if spec.partitions_def == forecasts} == FORECASTS
    assert {name for name, spec in specs.items() if spec.partitions_def} == (
        DAILY | WEEKLY | MONTHLY | BY_FLEET_AND_MONTH | FORECASTS
    )
    keys = days_from(date(2023, 1, 1)).get_partition_keys()
    assert keys[:2] == ["2023-01-01", "2023-01-02"]
    assert months_from(date(2023, 1, 1)).get_first_partition_key() == "2023-01-01"
    assert months_from(date(2023, 2, 1)).get_first_partition_key() == "2023-02-01"
    assert months_from(date(2023, 1, 2)).get_first_partition_key() == "2023-02-01"
    assert weeks_from(date(2023, 1, 1)).get_first_partition_key() == "2023-01-01"
    assert weeks_from(date(2023, 1, 2)).get_first_partition_key() == "2023-01-08"


@pytest.mark.parametrize(
    ("last", "weeks", "months"),
    [
        ("2023-03-31", ["2023-02-26", "2023-03-05", "2023-03-12", "2023-03-19"], ["2023-03-01"]),
        ("2023-03-25", ["2023-02-26", "2023-03-05", "2023-03-12", "2023-03-19"], []),
        ("2023-03-24", ["2023-02-26", "2023-03-05", "2023-03-12"], []),
    ],
)
def test_partitions_end_with_the_end_date(last: str, weeks: list[str], months: list[str]) -> None:
    """A week or month whose days are not all partitions is none."""
    environment = {"TAXI_START_DATE": "2023-02-26", "TAXI_END_DATE": last}
    specs = spec_of(build_definitions(settings=settings_of(environment)))

    def keys(asset: str) -> list[str]:
        partitions = specs[asset].partitions_def
        return list(partitions.get_partition_keys()) if partitions else []

    assert (keys("taxi_trips")[0], keys("taxi_trips")[-1]) == ("2023-02-26", last)
    assert keys("week_summary") == weeks
    assert keys("monthly_report") == months


@pytest.mark.parametrize(
    ("today", "last_month"),
    [
        ("2026-11-01", "2026-09-01"),
        ("2026-11-30", "2026-09-01"),
        ("2026-12-01", "2026-10-01"),
        ("2025-03-02", "2025-01-01"),
    ],
)
def test_months_end_where_all_their_days_are_partitions(today: str, last_month: str) -> None:
    with freeze_time(datetime.fromisoformat(f"{today}T12:00:00+00:00")):
        months, days = months_from(date(2023, 1, 1)), days_from(date(2023, 1, 1))
        assert months.get_last_partition_key() == last_month
        month = date.fromisoformat(last_month)
        assert str(Days.of_month(month).last) in days.get_partition_keys()
        forecasts = forecast_months_from(["green"], date(2023, 1, 1)).get_partition_keys()
        assert forecasts[-1] == f"green|{next_month(month)}"


@pytest.mark.parametrize(
    ("first", "last", "forecast"),
    [
        ("2023-01-01", "2023-03-31", ["2023-02-01", "2023-03-01", "2023-04-01"]),
        ("2023-01-01", "2023-01-31", ["2023-02-01"]),
        ("2022-12-15", "2023-02-27", ["2023-02-01"]),
        ("2023-01-15", "2023-02-10", []),
    ],
)
def test_the_months_of_forecasts_are_those_after_the_months_of_trips(
    first: str, last: str, forecast: list[str]
) -> None:
    """The first month has no month before it; the last is the one after the last with trips."""
    months = forecast_months_from(["green"], date.fromisoformat(first), date.fromisoformat(last))
    assert months.get_partition_keys() == [f"green|{month}" for month in forecast]


@pytest.mark.parametrize("day", ["2023-03-12", "2023-11-05"])
def test_days_on_which_clocks_change_are_days_like_others(day: str) -> None:
    """They have 23 and 25 hours; a day is what the TLC's wall-clock timestamps say."""

    @dg.asset(partitions_def=daily_partitions)
    def seen(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"days": str(days_of(context))})

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([seen], partition_key=day, instance=instance)
    assert materializations_of(result, "seen")[0].metadata["days"].value == day


def test_the_first_day_is_the_configured_one() -> None:
    definitions = build_definitions(settings=settings_of({"TAXI_START_DATE": "2019-01-01"}))
    partitions = spec_of(definitions)["taxi_trips"].partitions_def
    assert partitions is not None
    assert partitions.get_first_partition_key() == "2019-01-01"
    job = definitions.resolve_job_def("daily_trips")
    assert job.partitions_def == partitions


def test_people_find_what_they_look_for(definitions: dg.Definitions) -> None:
    for name, spec in spec_of(definitions).items():
        assert spec.description, name
        assert spec.owners == ["team:taxi-pipeline"], name
        assert spec.kinds, name
        if name not in ("tlc_trip_records", "trip_request"):
            assert spec.tags["output"], name
            (source,) = spec.metadata["dagster/code_references"].code_references
            lines = Path(source.file_path).read_text().splitlines()
            function = "trip_tables" if name in TABLES_OF_ONE_STEP else FUNCTIONS_OF_SOURCES.get(name, name)
            assert any(f"def {function}(" in line for line in lines[source.line_number - 1 :][:20]), name
    graph = definitions.resolve_asset_graph()
    for key in graph.asset_check_keys:
        assert graph.get_check_spec(key).description, key


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://github.com/tlc/taxi-pipeline.git", "https://github.com/tlc/taxi-pipeline"),
        ("ssh://git@gitlab.example.com:2222/tlc/taxi-pipeline", "https://gitlab.example.com/tlc/taxi-pipeline"),
        ("https://name:token@github.com/tlc/taxi-pipeline", "https://github.com/tlc/taxi-pipeline"),
    ],
)
def test_code_links_lead_to_the_commit_that_is_installed(definitions: dg.Definitions, url: str, page: str) -> None:
    """Regression: they named a path of the server's disk, which nobody can open."""
    note = json.dumps({"url": url, "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}})
    for asset in with_code_links(definitions.assets or (), note):
        for spec in asset.specs if isinstance(asset, dg.AssetsDefinition) else ():
            (source,) = spec.metadata["dagster/code_references"].code_references
            assert isinstance(source, dg.UrlCodeReference)
            assert source.url.startswith(page)
            assert re.search(r"c0ffee/taxi_pipeline/defs/(assets/\w+|sources)\.py#L\d+", source.url), source.url


@pytest.mark.parametrize(
    "note",
    [
        {"url": "file:///home/me/taxi", "dir_info": {"editable": True}},
        {"url": "https://files.example.com/taxi-0.1-py3-none-any.whl", "archive_info": {}},
        {"url": "https://git.example.com/taxi", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
    ],
)
def test_code_links_of_a_clone_lead_to_its_files(definitions: dg.Definitions, note: dict[str, object]) -> None:
    found = list(definitions.assets or ())
    assert with_code_links(found, json.dumps(note)) == found


def test_all_that_can_be_materialized_has_a_freshness_policy(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    with_policy = {name for name, spec in spec_of(definitions).items() if spec.freshness_policy}
    sent = {"monthly_report_mail", "monthly_report_message"}
    assert with_policy == {key.to_user_string() for key in graph.materializable_asset_keys} - sent


def test_descriptions_are_plain_text(definitions: dg.Definitions) -> None:
    """Regression: the catalogue, which renders no Markdown, showed raw backticks, and indented paragraphs as code."""
    graph, repository = definitions.resolve_asset_graph(), definitions.get_repository_def()
    described = {
        **{name: spec.description for name, spec in spec_of(definitions).items()},
        **{key.to_user_string(): graph.get_check_spec(key).description for key in graph.asset_check_keys},
        **{job.name: job.description for job in repository.get_all_jobs()},
        **{schedule.name: schedule.description for schedule in repository.schedule_defs},
        **{sensor.name: sensor.description for sensor in repository.sensor_defs},
    }
    assert len(described) > 50
    for name, description in described.items():
        assert "`" not in (description or ""), name
        assert not [line for line in (description or "").split("\n") if line.startswith(" ")], name


TABLES_OF = {
    "taxi_zones": [ZONES],
    "taxi_trips": [TRIPS],
    "zone_hourly_trips": [ZONE_HOURLY_TRIPS, ZONE_HOURLY_VOIDS, ZONE_HOURLY_DROPOFFS, TRIP_HISTOGRAMS],
    "borough_flows": [BOROUGH_FLOWS],
    "trips_by_week": [TRIPS_BY_WEEK],
    "tlc_indicators": [TLC_INDICATORS],
}


@pytest.mark.parametrize("asset", TABLES_OF)
def test_columns_are_made_from_columns_that_there_are(asset: str) -> None:
    """These are columns of the assets upstream, or published ones."""
    published = {
        name for fleet in FLEETS.values() for era in fleet.eras for s in era.sources.values() for name in s.names
    }
    known = {name: {column for table in tables for column in table.column_names} for name, tables in TABLES_OF.items()}
    known |= {"taxi_trips_file": published, "taxi_zones_file": {"OBJECTID", "zone", "borough", "geometry"}}
    known["tlc_report_file"] = set(COLUMNS)
    for table in TABLES_OF[asset]:
        deps = column_lineage(table)["dagster/column_lineage"].deps_by_column
        assert set(deps) >= set(table.column_names) - {"fleet", "num_trips"}
        for column in (dep for found in deps.values() for dep in found):
            upstream = column.asset_key.to_user_string()
            assert upstream in DEPS[asset], column
            assert column.column_name in known[upstream], column


def test_a_backfills_run_has_a_month_of_days_or_five_years_of_months_and_one_run_at_a_time_works_on_the_database(
    definitions: dg.Definitions,
) -> None:
    assets = [asset for asset in definitions.assets or [] if isinstance(asset, dg.AssetsDefinition)]
    for asset in assets:
        for name in (key.to_user_string() for key in asset.keys):
            if asset.partitions_def:
                most = 31 if name in DAILY else 60
                assert asset.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=most), name
            if asset.is_executable:
                assert asset.op.pool == ("duckdb" if name in ON_THE_DATABASE else None), name
    pools = {spec.key: check.op.pool for check in CHECKS for spec in check.check_specs}
    assert pools.pop(dg.AssetCheckKey(dg.AssetKey("taxi_trips_file"), "columns_known")) is None, "it reads files alone"
    assert len(pools) == 42
    assert set(pools.values()) == {"duckdb"}


def test_the_job_holds_the_whole_graph_in_one_process(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("daily_trips")
    names = {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
    assert names == IN_A_RUN_OF_DAYS
    assert job.executor_def is dg.in_process_executor
    assert len(job.asset_layer.asset_graph.asset_check_keys) == 37


def test_resources_can_be_overridden(tmp_path: Path) -> None:
    from taxi_pipeline.storage import LocalFolder

    files = LocalFolder(tmp_path)
    definitions = build_definitions(settings=settings_of(), resources={"files": files})
    assert (definitions.resources or {})["files"] is files
    assert set(definitions.resources or {}) == {
        *("warehouse", "files", "tlc", "sources", "pages", "alerts", "datasets", "postbox", "chats", "inbox")
    }


def test_with_spark_the_graph_is_the_same_and_there_is_maintenance(definitions: dg.Definitions) -> None:
    on_spark = build_definitions(settings=settings_of(SPARK))
    ours, theirs = (found.resolve_all_asset_keys() for found in (definitions, on_spark))
    assert set(ours) == set(theirs)
    assert "monthly_maintenance" in {schedule.name for schedule in on_spark.schedules or ()}
    specs = {spec.key.to_user_string(): spec for spec in on_spark.resolve_all_asset_specs()}
    assert specs["taxi_trips"].kinds == {"spark"}
    assert "warehouse_maintenance" not in {job.name for job in definitions.jobs or ()}


def test_the_password_of_the_catalogue_is_not_in_the_definitions() -> None:
    resources = build_definitions(settings=settings_of(SPARK)).resources or {}
    descriptions = [resource.description for resource in resources.values() if hasattr(resource, "description")]
    assert any("Spark" in text for text in descriptions if text), "the test sees them"
    assert "secret" not in repr((resources, descriptions))


def test_loading_imports_nothing_heavy() -> None:
    """Every run is a new process: what it does not use it must not pay for."""
    code = (
        "import sys, dagster\n"
        "before = set(sys.modules)\n"
        "import taxi_pipeline.definitions\n"
        "heavy = {'duckdb', 'pandas', 'geopandas', 'matplotlib', 'pyarrow', 'shapely', 'numpy', 'requests', 'rich'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert result.stdout == "[]\n"


NAMES_OF_THE_COPY = """
from taxi_pipeline.defs.code_location import build_definitions
found = build_definitions()
print([key.to_user_string() for key in found.resolve_all_asset_keys()])
print([job.name for job in found.jobs], [made.name for made in (*found.schedules, *found.sensors)])
"""

SCAFFOLDED = """
import dagster as dg

@dg.asset
def {name}_asset() -> dg.MaterializeResult:
    return dg.MaterializeResult()

@dg.asset_check(asset={name}_asset)
def {name}_check() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)

{name}_job = dg.define_asset_job("{name}_job", selection=[{name}_asset])

@dg.schedule(cron_schedule="@daily", target="*")
def {name}_schedule(context: dg.ScheduleEvaluationContext):
    return dg.SkipReason("Skipping. Change this to return a RunRequest to launch a run.")

@dg.sensor(target=None)
def {name}_sensor(context: dg.SensorEvaluationContext):
    return dg.SkipReason("Skipping. Change this to return a RunRequest to launch a run.")
"""
"""Definitions in a folder, as `dg scaffold defs` writes them."""


def test_what_lies_anywhere_in_the_folder_is_loaded(copy_of_the_project: Path) -> None:
    """Regression: definitions outside of `assets/` and `checks/` were silently not loaded."""
    folder = copy_of_the_project / "taxi_pipeline" / "defs"
    paths = {"x": "x.py", "y": "assets/y.py", "z": "z/__init__.py", "without_init": "folder/within/file.py"}
    for name, path in paths.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(SCAFFOLDED.format(name=name))
    found = in_the_copy(copy_of_the_project, sys.executable, "-c", NAMES_OF_THE_COPY)
    for name in paths:
        for kind in ("asset", "job", "schedule", "sensor"):
            assert f"'{name}_{kind}'" in found


@pytest.mark.parametrize(
    ("path", "content", "named"),
    [
        ("r.py", "import dagster as dg\n@dg.definitions\ndef of_r():\n    return dg.Definitions()\n", "defs.r.of_r"),
        ("s/t.py", "import dagster as dg\nof_s = dg.Definitions()\n", "defs.s.t.of_s"),
        ("c/defs.yaml", "type: dagster.DefsFolderComponent\n", "defs/c/defs.yaml"),
    ],
)
def test_what_would_not_be_loaded_is_named(copy_of_the_project: Path, path: str, content: str, named: str) -> None:
    file = copy_of_the_project / "taxi_pipeline" / "defs" / path
    file.parent.mkdir(exist_ok=True)
    if file.suffix == ".py":
        (file.parent / "__init__.py").touch()
    file.write_text(content)
    with pytest.raises(AssertionError, match=f"NotLoadedError: Not loaded: .*{named}"):
        in_the_copy(copy_of_the_project, sys.executable, "-c", NAMES_OF_THE_COPY)


@pytest.mark.slow
def test_dg_scaffolds_where_it_belongs_and_finds_it(copy_of_the_project: Path) -> None:
    dg_command = Path(sys.executable).with_name("dg")
    for kind, path in (("asset", "assets/hired_cars.py"), ("sensor", "new_cars.py"), ("schedule", "old_cars.py")):
        in_the_copy(copy_of_the_project, dg_command, "scaffold", "defs", f"dagster.{kind}", path)
        scaffolded = copy_of_the_project / "taxi_pipeline" / "defs" / path
        text = scaffolded.read_text()
        assert f"def {scaffolded.stem}(" in text
        scaffolded.write_text(text.replace('target="*"', 'target="taxi_zones"'))  # one run can't have all partitions
    in_the_copy(copy_of_the_project, dg_command, "check", "defs")
    found = in_the_copy(copy_of_the_project, dg_command, "list", "defs", "--json")
    for name in ("hired_cars", "new_cars", "old_cars"):
        assert f'"{name}"' in found, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--help", "check dev labs launch list scaffold"),
        ("labs --help", "Usage"),
        ("list defs", "taxi_trips taxi_zones manhattan_map daily_trips daily_refresh"),
        ("check defs", "All definitions loaded successfully"),
    ],
)
def test_dg_says_what_there_is(arguments: str, expected: str) -> None:
    """Regression: with typer 0.29 the help was a usage line only, and that of `dg labs` a traceback."""
    said = in_the_copy(REPOSITORY, Path(sys.executable).with_name("dg"), *arguments.split())
    words = [expected] if " definitions " in expected else expected.split()
    assert [word for word in words if not re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", said)] == []


def test_the_instance_configuration_is_valid_and_as_designed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert yaml.safe_load((home / "dagster.yaml").read_text())["concurrency"]["pools"] == {
        "default_limit": 1,
        "granularity": "run",
    }
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        assert instance.is_persistent
        assert not instance.is_ephemeral
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled
        assert (home / "history").is_dir(), "runs are kept under DAGSTER_HOME"
