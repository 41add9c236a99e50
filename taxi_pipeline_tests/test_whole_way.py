"""The whole way of a user who has only the wheel: from an empty folder to proof, with the commands of the tutorial."""

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import duckdb
import psycopg2
import pyarrow.parquet as pq
import pytest
import requests

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import SYNTHETIC_MARKER
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.installed_wheel import build_wheel, install_wheel
from taxi_pipeline_tests.running_dagster import wait_for
from taxi_pipeline_tests.services.fixtures import fresh_database
from taxi_pipeline_tests.services.servers import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.services]

DAYS = Days(date(2024, 1, 1), date(2024, 2, 29))
COMMANDS = re.split("## From an empty folder to proof", (REPOSITORY / "docs" / "tutorial.md").read_text())[1].split(
    "\n## "
)[0]
"""The section of the tutorial."""


class Terminal:
    """A terminal in a folder, with the installed programs."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "TLC_", "DAGSTER"))}
        self.environment = {
            **kept,
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "200",
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, command: str, *, database: str = "") -> str:
        """Run a command that the tutorial has, whose database stands for another."""
        assert command in COMMANDS, f"the tutorial does not have {command}"
        return self.run_other(command.replace("postgresql://user@host/db", database))

    def run_other(self, command: str, *, code: int = 0) -> str:
        """Run a command; gives what it prints."""
        done = subprocess.run(
            command.split(), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def published_mirror(folder: Path) -> Path:
    """Two months of green taxis that look as published by the TLC: without the notes that they are synthetic."""
    write_mirror(folder, DAYS, fleet="green", trips_per_day=60)
    for path in (folder / "trip-data").iterdir():
        pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    zones = folder / "misc" / "taxi_zones.zip"
    with zipfile.ZipFile(zones) as archive, zipfile.ZipFile(folder / "plain.zip", "w") as plain:
        for name in archive.namelist():
            if Path(name).name != SYNTHETIC_MARKER:
                plain.writestr(name, archive.read(name))
    (folder / "plain.zip").replace(zones)
    return folder


def own_csv(mirror: Path, path: Path) -> Path:
    """January as somebody has it as a CSV, and not at the server any more."""
    parquet = mirror / "trip-data" / "green_tripdata_2024-01.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM '{parquet}') TO '{path}' (HEADER)")
    parquet.unlink()
    return path


def publish_again(mirror: Path) -> None:
    """February without its first three rows, and with other tips in the two after them."""
    path = mirror / "trip-data" / "green_tripdata_2024-02.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT * EXCLUDE (file_row_number) REPLACE (CASE WHEN file_row_number < 5 THEN 99 ELSE "
            f"tip_amount END AS tip_amount) FROM read_parquet('{path}', file_row_number = true) WHERE "
            f"file_row_number >= 3) TO '{path}.new' (FORMAT parquet)"
        )
    Path(f"{path}.new").replace(path)


def test_from_an_empty_folder_to_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "wheel").mkdir()
    programs = install_wheel(build_wheel(tmp_path / "wheel"), tmp_path / "installed")
    empty = tmp_path / "empty"
    empty.mkdir()
    terminal = Terminal(programs, empty)

    assert "manhattan_map.png" in terminal.run("taxi-pipeline demo")
    assert (empty / "taxi-demo" / "outputs" / "manhattan_map.png").is_file()
    opened(terminal, "taxi-pipeline dev taxi-demo")

    mirror = published_mirror(tmp_path / "mirror")
    own_csv(mirror, empty / "green_january.csv")
    terminal.run("taxi-pipeline init mine")
    terminal.folder = empty / "mine"
    with (terminal.folder / ".env").open("a") as settings:
        settings.write(f"TLC_URL={mirror.as_uri()}\nTAXI_FLEETS=green\nTAXI_START_DATE=2024-01-01\n")
    assert "2024-01" in terminal.run("taxi-pipeline import ../green_january.csv")
    terminal.run("taxi-pipeline materialize --start 2024-01-01 --end 2024-02-29 --reports")

    with fresh_database() as database:
        terminal.run("taxi-pipeline export --to postgresql://user@host/db", database=database)
        assert months_in(database) == months_in_project(terminal)

    publish_again(mirror)
    terminal.run("taxi-pipeline materialize --start 2024-02-01 --end 2024-02-29 --reports")
    assert "replaced" in terminal.run("taxi-pipeline versions green/2024-02")
    page = (terminal.folder / "data" / "outputs" / "month_changes.html").read_text()
    assert "2 changed, 0 added, 3 removed" in page

    terminal.run("taxi-pipeline manifest")
    assert "green" in terminal.run("taxi-pipeline verify --rebuild 2024-02")
    csv = terminal.folder / "data" / "outputs" / "trips_by_week.csv"
    csv.write_bytes(csv.read_bytes().replace(b"2024", b"2025", 1))
    assert "outputs/trips_by_week.csv" in terminal.run_other("taxi-pipeline verify", code=1)
    shutil.rmtree(terminal.folder / "data" / "raw" / "versions")
    assert "raw/versions/" in terminal.run_other("taxi-pipeline verify", code=1)
    assert {path.name for path in empty.iterdir()} == {"taxi-demo", "mine", "green_january.csv"}


def opened(terminal: Terminal, command: str) -> None:
    """Start the UI and the pages, open both, and end them."""
    assert command in COMMANDS
    port, pages_port = free_ports(2)
    ports = ["--port", str(port), "--pages-port", str(pages_port)]
    log = terminal.folder.parent / "dev.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command.split(), *ports], cwd=terminal.folder, env=terminal.environment, stdout=output, stderr=output
        ) as running,
    ):
        try:
            for url in (f"http://127.0.0.1:{port}/server_info", f"http://127.0.0.1:{pages_port}/manhattan_map.png"):
                wait_for(url, lambda url=url: answers(url) or running.poll() is not None)
                assert running.poll() is None, log.read_text()
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 0, log.read_text()
        finally:
            running.kill()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


MONTHS = """
SELECT CAST(date_trunc('month', pickup_date) AS DATE), count(*), sum(total_amount) FROM trips GROUP BY 1 ORDER BY 1
"""


def months_in(database: str) -> list[tuple[object, ...]]:
    """Month, trips and dollars in the exported tables."""
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(MONTHS)
        found = cursor.fetchall()
    connection.close()
    return found


def months_in_project(terminal: Terminal) -> list[tuple[object, ...]]:
    with duckdb.connect(terminal.folder / "data" / "staging" / "data.duckdb", read_only=True) as connection:
        return connection.sql(MONTHS).fetchall()
