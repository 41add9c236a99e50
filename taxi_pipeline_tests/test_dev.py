"""`taxi-pipeline dev`: the UI and the pages of a project, which begin and end together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from taxi_pipeline.pages.listening import listening_socket
from taxi_pipeline.project.files import new_project
from taxi_pipeline.project.servers import run_together
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.running_dagster import wait_for
from taxi_pipeline_tests.services.servers import free_ports

DEV = [sys.executable, "-W", "ignore", "-m", "taxi_pipeline", "dev"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without marts and notebooks, which would take seconds."""
    folder = tmp_path / "mine"
    new_project(folder)
    with (folder / ".env").open("a") as settings:
        settings.write("TAXI_MARTS=off\nTAXI_NOTEBOOKS=off\n")
    return folder


def said(*options: str | Path, folder: Path = REPOSITORY) -> str:
    """What the command says before it refuses."""
    result = subprocess.run([*DEV, *options], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1, result.stdout
    assert "The UI:" not in result.stdout, "nothing is started"
    return " ".join(result.stderr.split())


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_both_servers_answer_until_the_command_is_interrupted(
    project: Path, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    port, pages_port = free_ports(2)
    log = tmp_path / "dev.log"
    command = [*DEV, f"../{project.name}", "--port", str(port), "--pages-port", str(pages_port)]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with log.open("wb") as output, subprocess.Popen(command, cwd=elsewhere, stdout=output, stderr=output) as running:
        try:
            for url in (f"http://127.0.0.1:{port}/server_info", f"http://127.0.0.1:{pages_port}/"):
                wait_for(url, lambda url=url: answers(url) or running.poll() is not None)
                assert running.poll() is None, log.read_text()
            query = "{ workspaceOrError { ... on Workspace { locationEntries { name } } } }"
            found = requests.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=60).json()
            assert found["data"]["workspaceOrError"]["locationEntries"] == [{"name": "taxi_pipeline"}]
            running.send_signal(number)
            assert running.wait(60) == 0, log.read_text()
        finally:
            running.kill()
    # The ports can be had again, so nothing was left running.
    for taken in (port, pages_port):
        listening_socket("127.0.0.1", taken).close()
    assert f"The UI:    http://127.0.0.1:{port}\n" in log.read_text()
    assert "WARNING" not in log.read_text(), "Dagster once took ../mine for another folder than the instance's"
    assert list(elsewhere.iterdir()) == []
    assert (project / "history").is_dir(), "the instance is the project's"
    assert not (project / ".telemetry").exists()


@pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="only Linux says who listens on a port")
def test_a_taken_port_is_named_with_who_has_it(project: Path) -> None:
    """Regression: `make demo-ui` printed one line and went on, so the links in the UI led to another program."""
    with listening_socket("127.0.0.1", 0) as taken:
        port, (free,) = taken.getsockname()[1], free_ports(1)
        of_the_ui = said(project, "--port", str(port), "--pages-port", str(free))
        of_the_pages = said(project, "--port", str(free), "--pages-port", str(port))
        same = subprocess.run([*DEV, str(project), "--pages-port", "3000"], capture_output=True, text=True, check=False)
    assert f"Port {port}, for the UI, is taken by " in of_the_ui
    assert f"(process {os.getpid()}). End that program, or take another port: --port 3010 (PORT=3010 " in of_the_ui
    assert f"Port {port}, for the pages, is taken by " in of_the_pages
    assert "--pages-port 3011 (PAGES_PORT=3011 with make)" in of_the_pages
    assert same.returncode == 2
    assert "the UI and the pages can't both have port 3000" in same.stderr


def test_the_port_of_recorded_links_is_the_default(project: Path) -> None:
    """Regression: links that `make demo` recorded led to port 3001, whatever `make demo-ui` was told."""
    with listening_socket("127.0.0.1", 0) as taken:
        port, (free, other) = taken.getsockname()[1], free_ports(2)
        with (project / ".env").open("a") as settings:
            settings.write(f"TAXI_PAGES_URL=http://127.0.0.1:{port}\n")
        assert f"Port {port}, for the pages" in said("--port", str(free), folder=project)
        result = subprocess.run(
            [*DEV, str(project), "--port", str(port), "--pages-port", str(other)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"Port {port}, for the UI" in result.stderr


STUBBORN = (
    "import pathlib, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60); "
    "pathlib.Path('ended').touch()"
)
WILLING = "import time; time.sleep(60)"
ENDS = "import sys; sys.exit(3)"


def test_when_one_program_ends_the_other_is_ended(tmp_path: Path) -> None:
    """Also one that does not hear SIGINT: it is killed, long before it would end by itself."""
    commands = [[sys.executable, "-c", STUBBORN], [sys.executable, "-c", ENDS]]
    assert run_together(commands, os.environ, tmp_path, patience=1) == 3
    assert not (tmp_path / "ended").exists()


def test_what_can_not_be_started_leaves_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_together([[sys.executable, "-c", WILLING], ["no-such-program"]], os.environ, tmp_path, patience=5)
