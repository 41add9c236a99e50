"""Runs whose process died are noticed: by the launcher's look at the process, and by a daemon that starts later."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.defs.run_launcher import process_lives
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.running_dagster import dagster_dev, instance_of, launch_run, wait_for


def test_a_process_lives_until_it_has_ended() -> None:
    assert process_lives(os.getpid(), time.time())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process_lives(process.pid, time.time())
        process.kill()
        wait_for("its end", lambda: not process_lives(process.pid, time.time()), 10)  # a zombie is no process
    assert not process_lives(process.pid, time.time())


def test_another_process_that_got_the_id_is_not_the_one_that_is_looked_for() -> None:
    """After a restart of the machine the ids are given anew."""
    assert not process_lives(os.getpid(), time.time() - 100_000)


@pytest.mark.slow
def test_a_killed_console_run_does_not_block_the_runs_behind_it(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: it stayed *started*, also across restarts, and each later run waited in the queue for ever."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TLC_URL": mirror.as_uri(),
        "PYTHONPATH": str(REPOSITORY),
    }
    # It waits for ever in its first step.
    (tmp_path / "hang.py").write_text(
        "import sys, time\n"
        "from taxi_pipeline.tlc.source import TlcSource\n"
        "TlcSource.fetch_zones = lambda *_, **__: time.sleep(600)\n"
        "from taxi_pipeline.cli import main\n"
        "main(['materialize', '--start', '2023-02-07', '--end', '2023-02-07'])\n"
    )
    log = tmp_path / "dagster.log"
    with instance_of(home) as instance:
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", tmp_path / "hang.py"], env=environment, cwd=tmp_path
        ) as console:
            started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
            wait_for("the console's run", lambda: instance.get_runs(started), 120)
            (killed,) = instance.get_runs(started)
            time.sleep(2)
            os.kill(console.pid, signal.SIGKILL)
        with dagster_dev(environment, log) as url:
            after = launch_run(url, "2023-02-08", "2023-02-08")

            def status(run_id: str) -> dg.DagsterRunStatus | None:
                run = instance.get_run_by_id(run_id)
                return run and run.status

            wait_for("the killed run's failure", lambda: status(killed.run_id) == dg.DagsterRunStatus.FAILURE)
            ended = wait_for(
                "the next run", lambda: status(after) in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
            )
            assert ended
            assert status(after) == dg.DagsterRunStatus.SUCCESS, log.read_text()[-3000:]
        messages = [entry.dagster_event.message for entry in instance.all_logs(killed.run_id) if entry.dagster_event]
        assert any("of the run is gone" in (message or "") for message in messages)
