"""The names of Dagster that are not public: where they stand, and that the installed Dagster has them."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.defs import dagster_names
from taxi_pipeline_tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "taxi_pipeline"
INTERNALS = PACKAGE / "defs" / "dagster_internals.py"
TAGS = {
    "RANGE_START": ("storage.tags", "ASSET_PARTITION_RANGE_START_TAG"),
    "RANGE_END": ("storage.tags", "ASSET_PARTITION_RANGE_END_TAG"),
    "PARTITION": ("storage.tags", "PARTITION_NAME_TAG"),
    "BACKFILL": ("storage.tags", "BACKFILL_ID_TAG"),
    "REPOSITORY_LABEL": ("storage.tags", "REPOSITORY_LABEL_TAG"),
    "DATA_VERSION": ("definitions.data_version", "DATA_VERSION_TAG"),
    "DATA_VERSION_IS_OURS": ("definitions.data_version", "DATA_VERSION_IS_USER_PROVIDED_TAG"),
}
"""Our name → the module of `dagster._core` that has the tag, and Dagster's name."""

VERSION = f"Dagster {dg.__version__} differs from the one for which the names were taken"


def private_imports(path: Path) -> list[str]:
    """The imports of a module from Dagster's private modules, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return [name for name in found if re.match(r"dagster\w*\.(.*\.)?_", name)]


def test_private_names_of_dagster_stand_in_one_module() -> None:
    others = {path: private_imports(path) for path in PACKAGE.rglob("*.py") if path != INTERNALS}
    assert {path: names for path, names in others.items() if names} == {}
    assert len(private_imports(INTERNALS)) > 10, "the test can fail"


def test_tags_of_dagster_stand_in_one_module() -> None:
    """Keys of metadata (`dagster/row_count` …) are public; Dagster's documentation lists them."""
    tags = {value for name, value in vars(dagster_names).items() if name.isupper()}
    assert len(tags) == len(TAGS)
    for path in PACKAGE.rglob("*.py"):
        if path.stem != "dagster_names":
            constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
            assert not tags & constants, path
    assert not [path for path in PACKAGE.rglob("*.py") if "op_execution_context" in path.read_text()]


def test_this_dagster_has_the_private_names() -> None:
    """The message of a failure names the version of Dagster; look every name of the two modules up again."""
    try:
        internals = importlib.import_module("taxi_pipeline.defs.dagster_internals")
    except ImportError as error:
        pytest.fail(f"{VERSION}: {error}")
    assert {name.rpartition(".")[2] for name in private_imports(INTERNALS)} == set(internals.__all__)
    for ours, (module, theirs) in TAGS.items():
        found = getattr(importlib.import_module(f"dagster._core.{module}"), theirs, None)
        assert getattr(dagster_names, ours) == found, f"{VERSION}: {module}.{theirs} is {found}"
    expected = {
        internals.SqlEventLogStorage.store_event: ["self", "event"],
        internals.SqlRunStorage.add_run: ["self", "dagster_run"],
        internals.SqlRunStorage.delete_run: ["self", "run_id"],
        internals.SqlEventLogStorage.delete_events: ["self", "run_id"],
        internals.SqliteEventLogStorage.path_for_shard: ["self", "run_id"],
        internals.SqlRunStorage.replace_job_origin: ["self", "run", "job_origin"],
        internals.CheckRunHealthResult: ["status", "msg", "transient", "run_worker_id"],
        dg.DefaultRunLauncher.check_run_worker_health: ["self", "run"],
        dg.DefaultRunLauncher._get_grpc_client_for_termination: ["self", "run_id"],
    }
    for function, parameters in expected.items():
        found = [name for name in inspect.signature(function).parameters if name != "cls"]
        assert found[-len(parameters) :] == parameters, f"{VERSION}: {function.__qualname__} takes {found}"
