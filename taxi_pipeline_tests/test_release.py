"""Releases: which tags are released, and what the workflows may do. What runs on GitHub only is not run here."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.release_version import objections
from taxi_pipeline_tests.conftest import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def files_of(folder: Path, *, project: str = "1.2.3", cited: str = "1.2.3", heading: str = "1.2.3") -> Path:
    """A clone with three versions."""
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{project}"\n')
    (folder / "CITATION.cff").write_text(f"cff-version: 1.2.0\nversion: {cited}\n")
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n\n- All.\n\n## 1.2.2\n")
    return folder


def test_a_tag_that_all_files_name_is_released(tmp_path: Path) -> None:
    assert objections("v1.2.3", files_of(tmp_path)) == []


@pytest.mark.parametrize(
    ("different", "where"),
    [
        ({"project": "1.2.4"}, "pyproject.toml"),
        ({"cited": "1.2.2"}, "CITATION.cff"),
        ({"heading": "1.2.3 (unreleased)"}, "CHANGELOG.md"),
        ({"heading": "1.2.2"}, "CHANGELOG.md"),
    ],
)
def test_a_file_with_another_version_is_named(tmp_path: Path, different: dict[str, str], where: str) -> None:
    (said,) = objections("v1.2.3", files_of(tmp_path, **different))
    assert where in said
    assert next(iter(different.values())) in said


@pytest.mark.parametrize("tag", ["", "1.2.3", "v1.2", "v1.2.3-rc1", "v1.2.3\n", "v$(id)", "v1.2.3" * 9])
def test_other_tags_are_refused(tmp_path: Path, tag: str) -> None:
    (said,) = objections(tag, files_of(tmp_path))
    assert "name it like v1.2.3" in said
    assert len(said) < 120


def test_the_files_of_this_clone_agree() -> None:
    """Apart from CHANGELOG.md, whose heading says "unreleased" until the day of the release."""
    project = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert project
    said = [sentence for sentence in objections(f"v{project[1]}") if f"{project[1]} (unreleased)" not in sentence]
    assert said == []


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    """A tag can be moved to other code. The comment is what Dependabot renews with the commit."""
    used = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))
    assert used
    assert [found for found in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", found)] == []


def test_workflows_take_the_same_commit_of_an_action() -> None:
    pins = {tuple(found) for path in WORKFLOWS for found in re.findall(r"uses: (\S+)@(\S+)", path.read_text())}
    assert len({name for name, _ in pins}) == len(pins)


def test_a_job_of_the_release_may_no_more_than_it_needs() -> None:
    release = read(REPOSITORY / ".github" / "workflows" / "release.yml")
    assert release["permissions"] == {}
    may_write = {
        name: {scope for scope, access in job["permissions"].items() if access == "write"}
        for name, job in release["jobs"].items()
    }
    assert may_write == {
        "build": set(),
        "attest": {"attestations", "id-token"},
        "publish": {"id-token"},
        "image": {"attestations", "id-token", "packages"},
    }
    # A job with a token that publishes runs no code of a package or of this clone outside of the image's build.
    assert not any("run" in step for name in ("attest", "publish") for step in release["jobs"][name]["steps"])


def test_the_container_for_development_has_what_the_tests_need() -> None:
    container = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert re.search(r":\S*3\.1[123]-", container["image"])
    setup = " ".join(container["postCreateCommand"].values())
    for needed in ("chromium", "libpangoft2-1.0-0", "postgresql", "make .venv/.ready-dev"):
        assert needed in setup
    assert container["forwardPorts"] == [3000, 3001]
