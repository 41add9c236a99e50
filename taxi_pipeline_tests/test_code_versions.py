"""Code versions of the assets: what changes them, and what does not."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.defs import code_versions
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.pipelines import settings_of
from taxi_pipeline_tests.project_copies import PACKAGE, in_the_copy, spec_of

READ = """
import json
from taxi_pipeline.defs.code_location import build_definitions
specs = build_definitions().resolve_all_asset_specs()
print("versions " + json.dumps({spec.key.to_user_string(): spec.code_version for spec in specs}))
"""


def versions_of(copy: Path) -> dict[str, str]:
    lines = in_the_copy(copy, sys.executable, "-W", "ignore", "-c", READ).splitlines()
    return json.loads(next(line for line in lines if line.startswith("versions ")).removeprefix("versions "))


@pytest.fixture(scope="module")
def versions() -> dict[str, str | None]:
    specs = spec_of(build_definitions(settings=settings_of()))
    return {name: spec.code_version for name, spec in specs.items()}


def change(copy: Path, module: str, old: str, new: str) -> None:
    path = copy / "taxi_pipeline" / module
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def changed(copy: Path, before: dict[str, str | None]) -> set[str]:
    after = versions_of(copy)
    return {name for name in before if before[name] != after[name]}


def test_every_asset_has_a_code_version(versions: dict[str, str | None]) -> None:
    assert not [name for name, version in versions.items() if not version]
    assert versions["taxi_trips"] != versions["zone_hourly_trips"]


def test_a_change_makes_its_assets_stale_and_no_others(
    copy_of_the_project: Path, versions: dict[str, str | None]
) -> None:
    assert changed(copy_of_the_project, versions) == set(), "the same in another folder"
    change(
        copy_of_the_project,
        "outputs/maps.py",
        "def draw_city_map(",
        "def another() -> int:\n    return 1\n\n\ndef draw_city_map(",
    )
    assert changed(copy_of_the_project, versions) == {"manhattan_map", "city_map"}
    change(copy_of_the_project, "warehouse/rollups.py", "SELECT", "SELECT ALL")
    assert {"taxi_trips", "zone_hourly_trips"} <= changed(copy_of_the_project, versions)
    assert not changed(copy_of_the_project, versions) & {"taxi_trips_file", "trips_by_week"}


def test_an_asset_and_its_helper_count_and_their_neighbours_do_not(
    copy_of_the_project: Path, versions: dict[str, str | None]
) -> None:
    change(
        copy_of_the_project,
        "defs/assets/metrics.py",
        "draw_city_map(stats.feature_collection())",
        "draw_city_map(dict(stats.feature_collection()))",
    )
    assert changed(copy_of_the_project, versions) == {"city_map"}
    change(
        copy_of_the_project,
        "defs/assets/reports.py",
        'return f"outputs/reports/{month:%Y-%m}.html"',
        'return f"outputs/reports/{month:%Y%m}.html"',
    )
    assert changed(copy_of_the_project, versions) == {"city_map", "monthly_report"}
    change(copy_of_the_project, "outputs/explorer/map.js", "const", "let")
    assert changed(copy_of_the_project, versions) == {"city_map", "monthly_report", "zone_explorer"}


def test_comments_and_docstrings_do_not_count(copy_of_the_project: Path, versions: dict[str, str | None]) -> None:
    for path in (copy_of_the_project / "taxi_pipeline").rglob("*.py"):
        text = path.read_text()
        tree = ast.parse(text)
        lines = text.splitlines()
        for node in reversed(tree.body):
            if isinstance(node, ast.FunctionDef):
                lines[node.lineno - 1] += "  # said beside it, isn't it"
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                lines.insert(first - 1, "# said before it")
        path.write_text("\n".join(lines).replace('"""The ', '"""This is the ') + "\n")
    assert changed(copy_of_the_project, versions) == set()


def test_what_is_reached_through_an_interface_is_named_by_modules_that_exist() -> None:
    for module in code_versions._ALSO_MADE_BY.values():
        assert code_versions._path_of(module), module
    for name, (file, function) in code_versions._MADE_BY.items():
        parts, _ = code_versions._of_function(PACKAGE / file, function)
        assert parts, name


def test_the_ui_calls_an_asset_stale_whose_code_changed(tmp_path: Path) -> None:
    """Assets below it become stale once it was made again: its data version covers its code version."""
    from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
    from dagster._core.loader import LoadingContextForTest

    def made(version: str) -> list[dg.AssetsDefinition]:
        @dg.asset(code_version=version)
        def upper() -> dg.MaterializeResult:
            return dg.MaterializeResult()

        @dg.asset(deps=[upper], code_version="1")
        def lower() -> dg.MaterializeResult:
            return dg.MaterializeResult()

        return [upper, lower]

    def statuses(instance: dg.DagsterInstance, version: str) -> list[StaleStatus]:
        graph = dg.Definitions(assets=made(version)).resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return [resolver.get_status(dg.AssetKey(name)) for name in ("upper", "lower")]

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(made("1"), instance=instance)
        assert statuses(instance, "1") == [StaleStatus.FRESH, StaleStatus.FRESH]
        assert statuses(instance, "2") == [StaleStatus.STALE, StaleStatus.FRESH]
        dg.materialize(made("2"), selection=["upper"], instance=instance)
        assert statuses(instance, "2") == [StaleStatus.FRESH, StaleStatus.STALE]


def test_it_costs_little_to_load() -> None:
    """Each module is parsed once, however many assets it is part of."""
    code = (
        "import pathlib, taxi_pipeline, taxi_pipeline.defs.code_location as location\n"
        "package = pathlib.Path(taxi_pipeline.__file__).parent\n"
        "from taxi_pipeline.defs import code_versions as versions\n"
        "caches = (versions._top_level, versions._content, versions._imports_of)\n"
        "found = location.build_definitions().resolve_all_asset_specs()\n"
        "specs = [spec.replace_attributes(code_version=None) for spec in found]\n"
        "for kept in caches: kept.cache_clear()\n"
        "for spec in specs: versions.with_code_version(spec)\n"
        "print(len(specs), len(list(package.rglob('*.py'))), *(kept.cache_info().misses for kept in caches))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    num_specs, num_modules, *num_read = map(int, result.stdout.split())
    assert num_specs > 30
    assert all(0 < each <= num_modules for each in num_read), num_read
