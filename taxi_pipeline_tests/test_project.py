"""A project of one's own: what `init` writes, what makes a folder a demo, and which project a command works in."""

import os
import subprocess
import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from dotenv import dotenv_values

from docs.generate import OF_THIS_PROJECT
from taxi_pipeline.cli import main
from taxi_pipeline.project.demo import Demo, is_demo
from taxi_pipeline.project.files import SHIPPED, ProjectError, new_project
from taxi_pipeline.settings import Settings, find_project, project_root
from taxi_pipeline_tests.conftest import REPOSITORY, SETTINGS
from taxi_pipeline_tests.project_copies import PACKAGE, copy_project, in_the_copy

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESSES_OF_SERVERS = {"DAGSTER_POSTGRES_URL", "SPARK_REMOTE", "TAXI_CATALOG_URL"}
"""The settings that a demo takes from the shell: they hold passwords."""


def files_in(folder: Path) -> dict[str, bytes]:
    """Name, relative to the folder, → content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def demo_in(folder: Path, trips_per_day: int = 100_000, **others: str) -> Demo:
    values = {"pages_url": "http://127.0.0.1:3001", "storage_url": "", "engine": "", **others}
    return Demo(folder=folder, trips_per_day=trips_per_day, **values)


@pytest.mark.parametrize(("name", "copy"), OF_THIS_PROJECT.items())
def test_what_is_shipped_is_what_this_project_has(name: str, copy: str) -> None:
    assert (SHIPPED / copy).read_bytes() == (REPOSITORY / name).read_bytes(), "run make docs"


@pytest.mark.checkout
def test_a_new_project_has_the_settings_and_the_marts_of_this_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "mine")])
    assert result.exit_code == 0, result.output
    written = files_in(tmp_path / "mine")
    marts = {f"marts/{name}": content for name, content in files_in(PACKAGE / "marts").items()}
    marts = {name: content for name, content in marts.items() if not name.startswith(("marts/target/", "marts/logs/"))}
    assert written == {
        "dagster.yaml": (REPOSITORY / "dagster.yaml").read_bytes(),
        "workspace.yaml": (REPOSITORY / "workspace.yaml").read_bytes(),
        ".env": (REPOSITORY / ".env.example").read_bytes(),
        ".gitignore": (SHIPPED / "gitignore").read_bytes(),
        **marts,
    }
    assert b"telemetry:\n  enabled: false" in written["dagster.yaml"]
    for name in ("dagster.yaml", "workspace.yaml", ".env", ".gitignore", "marts"):
        assert f"{tmp_path / 'mine' / name}" in result.output.replace("\n", "")
    assert f"cd {tmp_path / 'mine'}" in result.output.replace("\n", "")
    assert "taxi-pipeline dev" in result.output


@pytest.mark.parametrize("name", [".env", "marts/dbt_project.yml", "workspace.yaml"])
def test_nothing_of_one_s_own_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ProjectError, match=rf"has {name} already, and nothing is overwritten\. Name another folder"):
        new_project(tmp_path)
    assert files_in(tmp_path) == {name: b"mine"}, "and nothing is written beside it"


def test_a_file_is_no_place_for_a_project(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProjectError, match="is a file; name a folder"):
        new_project(tmp_path / "file")
    with pytest.raises(ProjectError, match="is a file; name a folder"):
        demo_in(tmp_path / "file").write_files()


@pytest.mark.checkout
def test_the_project_is_the_nearest_from_the_current_folder_upwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: a command in a project of one's own worked in the clone, where it was installed from one."""
    new_project(tmp_path / "mine")
    (tmp_path / "mine" / "below").mkdir()
    monkeypatch.chdir(tmp_path / "mine" / "below")
    assert find_project() == tmp_path / "mine"
    assert Settings.from_environment({}).data_dir == tmp_path / "mine" / "data"
    monkeypatch.chdir(tmp_path)
    assert project_root() == REPOSITORY, "elsewhere it is the clone"


def test_the_demo_sets_every_setting(tmp_path: Path) -> None:
    """Regression of Makefile's list: a variable of the shell, or of another project, decided what the demo has."""
    environment = demo_in(tmp_path).environment()
    assert set(environment) == {"DAGSTER_HOME", *SETTINGS} - ADDRESSES_OF_SERVERS


def test_the_demo_s_file_says_the_same_as_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its paths are relative: the folder can be moved."""
    made = demo_in(tmp_path / "a demo's $folder")
    made.write_files()
    moved = made.folder.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    written = {name: value or "" for name, value in dotenv_values(moved / ".env").items()}
    settings = Settings.from_environment(demo_in(moved).environment())
    assert Settings.from_environment(written) == settings
    assert settings.tlc_url == (moved / "mirror").as_uri()
    assert settings.data_dir == moved
    assert (settings.start_date, settings.end_date) == (date(2024, 12, 1), date(2025, 1, 31))


def test_a_demo_in_an_object_store_has_its_instance_from_elsewhere(tmp_path: Path) -> None:
    made = demo_in(tmp_path / "demo", storage_url="s3://taxi/demo", engine="spark")
    made.write_files(REPOSITORY / "deploy" / "dagster.yaml")
    assert (made.folder / "dagster.yaml").read_bytes() == (REPOSITORY / "deploy" / "dagster.yaml").read_bytes()
    written = dotenv_values(made.folder / ".env")
    assert (written["TAXI_STORAGE_URL"], written["TAXI_ENGINE"]) == ("s3://taxi/demo", "spark")


def test_a_folder_with_other_files_does_not_become_a_demo(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "precious").touch()
    with pytest.raises(ProjectError, match=r"has other files in it\. Name a folder that is empty"):
        demo_in(tmp_path).write_files()
    new_project(tmp_path / "mine")
    with pytest.raises(ProjectError, match="has other files in it"):
        demo_in(tmp_path / "mine").write_files()
    assert (tmp_path / "mine" / ".env").read_bytes() == (REPOSITORY / ".env.example").read_bytes()


@pytest.mark.checkout
def test_a_demo_of_an_older_version_is_made_anew(tmp_path: Path) -> None:
    """Regression: the demo's trips counted as made when one file was there, whatever had made it."""
    made = demo_in(tmp_path / "demo")
    (made.mirror / "trip-data").mkdir(parents=True)
    (made.mirror / ".made-with-12345").touch()
    assert is_demo(made.folder), "as make demo left it"
    made.write_files()
    assert not made.sample_is_made()
    made.clear_sample()
    assert not made.mirror.exists()
    made.mirror.mkdir()
    made.note_sample()
    assert made.sample_is_made()
    assert not demo_in(made.folder, trips_per_day=99_999).sample_is_made()

    copy = tmp_path / "copy"
    copy.mkdir()
    copy_project(copy)
    code = (
        "import sys, pathlib; from taxi_pipeline.project.demo import Demo; "
        "print(Demo(folder=pathlib.Path(sys.argv[1]), trips_per_day=100_000, pages_url='', storage_url='', engine='')"
        ".sample_is_made())"
    )
    command = (sys.executable, "-W", "ignore", "-c", code, str(made.folder))
    assert in_the_copy(copy, *command).strip() == "True"
    with (copy / "taxi_pipeline" / "sample" / "trips.py").open("a") as file:
        file.write("# another version\n")
    assert in_the_copy(copy, *command).strip() == "False"


def test_a_second_demo_keeps_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And settings of the shell don't count: it would go on with `blue` as an error."""
    folder = tmp_path / "demo"
    for name in demo_in(folder).environment():
        monkeypatch.setenv(name, "blue" if name == "TAXI_FLEETS" else "")
    run_with: list[Mapping[str, Any]] = []

    @click.command()
    def materialize(**options: Any) -> None:
        run_with.append(options)
        (folder / "outputs").mkdir(exist_ok=True)
        (folder / "outputs" / "trips_by_week.csv").write_text("period\n")
        assert Settings.from_environment(os.environ).fleets == ("yellow", "green", "fhvhv")

    # The package has the command under the module's name.
    monkeypatch.setattr(import_module("taxi_pipeline.cli.demo"), "materialize", materialize)
    command = ["demo", str(folder), "--trips-per-day", "10", "--pages-port", "3007"]
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    assert "Synthetic green trips" in first.output
    trips = {path: path.stat().st_mtime_ns for path in (folder / "mirror" / "trip-data").iterdir()}
    assert len(trips) == 6
    second = CliRunner().invoke(main, command)
    assert second.exit_code == 0, second.output
    assert "Synthetic" not in second.output
    assert {path: path.stat().st_mtime_ns for path in (folder / "mirror" / "trip-data").iterdir()} == trips
    assert [options["reports"] for options in run_with] == [True, True]
    said = second.output.replace("\n", "")
    for place in ("manhattan_map.png", "city_map.png", "reports/2025-01.html", "zone_explorer.html"):
        assert f"{folder}/outputs/{place}" in said
    assert f"Open the UI on exactly these runs: taxi-pipeline dev {folder}" in said
    assert dotenv_values(folder / ".env")["TAXI_PAGES_URL"] == "http://127.0.0.1:3007"


def test_a_folder_that_is_no_project_is_not_opened(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "taxi_pipeline", "dev", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert f"{tmp_path} is no project: it has no dagster.yaml and workspace.yaml" in result.stderr
    assert "`taxi-pipeline init FOLDER`" in result.stderr
    assert list(tmp_path.iterdir()) == []
