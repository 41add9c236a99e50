"""The built wheel, installed where no clone is: it holds all, and leaves nothing where it is started."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from taxi_pipeline_tests.installed_wheel import build_wheel, install_wheel
from taxi_pipeline_tests.project_copies import PACKAGE
from taxi_pipeline_tests.running_dagster import wait_for
from taxi_pipeline_tests.services.servers import free_ports

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment, in which the wheel is; other packages are those of this environment."""
    return install_wheel(wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty folder, outside of any project."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def run(*command: str | Path, folder: Path, code: int = 0) -> str:
    """Run a command as in a new terminal, with marts and notebooks; gives what it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in ("TAXI_MARTS", "TAXI_NOTEBOOKS")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "COLUMNS": "200"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


ASSETS = (
    "import json, taxi_pipeline; from taxi_pipeline.definitions import defs; "
    "keys = [spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()]; "
    "print(); print(json.dumps([taxi_pipeline.__file__, keys]))"
)


def assets_of(installed: Path, folder: Path) -> set[str]:
    """The assets of the code location, as a process sees them that starts in a folder."""
    said = run(installed / "python", "-W", "ignore", "-c", ASSETS, folder=folder)
    package, keys = json.loads(said.strip().splitlines()[-1])
    assert Path(package).is_relative_to(installed.parent), "the wheel's, and not the clone's"
    return set(keys)


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    """A file of a kind that pyproject.toml does not name would be missing."""
    source = wheel.parent / "source" / PACKAGE.name
    names = {f"{PACKAGE.name}/{path.relative_to(source)}" for path in source.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as opened:
        shipped = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert shipped == names
    for name in ("marts/dbt_project.yml", "notebooks/tour.ipynb", "project/dagster.yaml", "sample/zone_shapes.geojson"):
        assert f"taxi_pipeline/{name}" in shipped


def test_two_builds_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    """With SOURCE_DATE_EPOCH."""
    assert build_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_outside_of_a_project_nothing_is_written(installed: Path, empty: Path) -> None:
    """Regression: a command left five folders where it was started, with Dagster's telemetry on."""
    program = installed / "taxi-pipeline"
    days = ("--start", "2024-12-01", "--end", "2024-12-01")
    for command in (("status",), ("snapshot",), ("pages",), ("materialize", *days), ("export", "--to", "duckdb:x")):
        said = " ".join(run(program, *command, folder=empty, code=1).split())
        assert f"{empty} is in no project: neither it nor a folder above it has a dagster.yaml" in said
        assert "`taxi-pipeline init FOLDER`" in said
    assert "is no project" in run(program, "dev", folder=empty, code=1)
    assert list(empty.iterdir()) == []


def test_the_definitions_load_outside_of_a_project(installed: Path, empty: Path) -> None:
    """With the marts and the tour, where their extras are installed."""
    pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
    pytest.importorskip("dagstermill", reason="the extra notebook is not installed")
    before = set((installed.parent).rglob("marts/**/*"))
    assert {"taxi_trips", "marts/market_share", "tour"} <= assets_of(installed, empty)
    assert list(empty.iterdir()) == []
    assert set((installed.parent).rglob("marts/**/*")) == before, "the package may be read-only"


def test_a_project_has_its_own_marts(installed: Path, empty: Path) -> None:
    pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
    run(installed / "taxi-pipeline", "init", "mine", folder=empty)
    project = empty / "mine"
    shutil.copy(project / "marts" / "models" / "marts" / "zone_months.sql", project / "marts" / "models" / "mine.sql")
    assert {"marts/mine", "marts/market_share"} <= assets_of(installed, project)
    assert [path.name for path in empty.iterdir()] == ["mine"]
    assert {path.name for path in project.iterdir()} == {
        *(".env", ".gitignore", "dagster.yaml", "workspace.yaml", "marts", "data"),
    }
    assert {path.name for path in (project / "data").iterdir()} == {".dbt"}
    shutil.rmtree(project / "marts")
    without_own = assets_of(installed, project)
    assert "marts/market_share" in without_own
    assert "marts/mine" not in without_own


def test_the_demo_is_made_in_a_folder_of_its_own(installed: Path, empty: Path) -> None:
    """And read by the other commands there, without a variable."""
    said = run(installed / "taxi-pipeline", "demo", "--trips-per-day", "60", folder=empty)
    assert [path.name for path in empty.iterdir()] == ["taxi-demo"]
    demo = empty / "taxi-demo"
    for name in ("manhattan_map.png", "city_map.png", "zone_explorer.html", "reports/2025-01.html"):
        assert (demo / "outputs" / name).stat().st_size > 10_000
        assert f"taxi-demo/outputs/{name}" in said
    assert said.splitlines()[-1].endswith("taxi-pipeline dev taxi-demo")
    weeks = (demo / "outputs" / "trips_by_week.csv").read_text()
    assert weeks in said
    assert len(weeks.splitlines()) == 10
    assert (demo / "history").is_dir(), "the runs are in the demo's instance"
    assert not (demo / ".telemetry").exists()
    status = run(installed / "taxi-pipeline", "status", folder=demo)
    assert "2024-12-01" in status
    assert status.count("2025-01-31") == 3, "of each fleet"
    assert [path.name for path in empty.iterdir()] == ["taxi-demo"]


def test_without_the_extra_ui_the_servers_start_without_a_warning(installed: Path, empty: Path) -> None:
    """Regression: `dagster dev`, which is all that the base install has, told to use the program that was not there."""
    run(installed / "taxi-pipeline", "init", "mine", folder=empty)
    port, pages_port = map(str, free_ports(2))
    command = [installed / "taxi-pipeline", "dev", "mine", "--port", port, "--pages-port", pages_port]
    log = empty / "dev.log"
    with log.open("wb") as output, subprocess.Popen(command, cwd=empty, stdout=output, stderr=output) as running:
        try:
            wait_for("the services", lambda: "Launching Dagster services" in log.read_text() or running.poll())
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 0, log.read_text()
        finally:
            running.kill()
    assert not (installed / "dg").exists()
    assert "superseded" not in log.read_text()
