"""The set-up of the project: the files in `requirements/`, and the modules that tests may import."""

import importlib.metadata
import json
import re
import sysconfig
import tomllib
from pathlib import Path

import pytest

import taxi_pipeline
from taxi_pipeline_tests.conftest import IN_A_CHECKOUT, REPOSITORY

FILES = sorted((REPOSITORY / "requirements").glob("*.txt"))
OF_THE_PROJECT = ("demo", "server", "notebook", "test", "docs")
"""Installed into one environment, or into an image, with the versions of `dev.txt`."""


def pins(path: Path) -> dict[str, str]:
    """Package → version."""
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[.+\])?==(\S+)", path.read_text(), flags=re.MULTILINE))


def test_every_requirement_is_pinned_with_a_hash() -> None:
    assert FILES
    for path in FILES:
        requirements = re.split(r"\n(?=\S)", re.sub("^ *#.*\n", "", path.read_text(), flags=re.MULTILINE).strip())
        assert [
            found for found in requirements if not re.match(r"[a-z0-9.-]+(\[.+\])?==\S+.* \\\n +--hash=sha256:", found)
        ] == [], path


@pytest.mark.parametrize("name", OF_THE_PROJECT)
def test_all_files_agree_on_the_versions(name: str) -> None:
    """Regression: one file was changed by hand, and two targets of make undid each other's versions."""
    decided = pins(REPOSITORY / "requirements" / "dev.txt")
    found = pins(REPOSITORY / "requirements" / f"{name}.txt")
    assert found
    assert found.items() - decided.items() == set(), "run make requirements"


def test_pip_finds_the_extras_that_packages_ask_for() -> None:
    """Regression: uv leaves out extras by default, and pip refuses `gql[requests]` where the file has `gql`."""
    assert "gql[requests]==" in (REPOSITORY / "requirements" / "demo.txt").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_requirements_name_no_index_and_no_machine(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|(^|[\s(])/", text)


def test_the_files_hold_what_pyproject_declares() -> None:
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    extras = declared["project"]["optional-dependencies"]
    wanted = [*declared["project"]["dependencies"], *extras["analysis"], *extras["dbt"], *extras["ui"]]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted}
    assert names <= set(pins(REPOSITORY / "requirements" / "demo.txt"))


def test_no_test_imports_another() -> None:
    """Common builders are in modules that are no tests; else one file's tests depend on another's."""
    imports = re.compile(r"^ *(from taxi_pipeline_tests\.test_|from taxi_pipeline_tests import test_)", re.MULTILINE)
    files = [
        path for folder in ("taxi_pipeline_tests", "benchmarks", "docs") for path in (REPOSITORY / folder).rglob("*.py")
    ]
    assert [path.name for path in files if imports.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.skipif(IN_A_CHECKOUT, reason="make test-wheel runs this")
def test_the_package_is_that_of_the_wheel() -> None:
    """Else all other tests of `make test-wheel` would say nothing about what users install."""
    assert Path(taxi_pipeline.__file__).is_relative_to(sysconfig.get_path("purelib"))
    origin = json.loads(importlib.metadata.distribution("taxi-pipeline").read_text("direct_url.json") or "{}")
    assert origin["url"].endswith(".whl"), "not editable"
