"""The console script, as a process of its own where it matters."""

import csv
import gc
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner

from taxi_pipeline.cli import main
from taxi_pipeline.cli.materialize import without_report
from taxi_pipeline.defs.console_runs import Outcome, run_months
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import read_zones
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.faulty_server import Answer, faulty_server
from taxi_pipeline_tests.pipelines import Pipeline

Run = Callable[..., subprocess.CompletedProcess[str]]
MakePipeline = Callable[..., Pipeline]


@pytest.fixture
def taxi_pipeline(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run the console script, started outside the project; keywords are environment variables."""

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        return subprocess.run(
            [Path(sys.executable).with_name("taxi-pipeline"), *arguments],
            env={**environment, **changes},
            cwd=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_materialize_waits_before_each_download_as_it_is_set(
    monkeypatch: pytest.MonkeyPatch, home: Path, mirror: Path
) -> None:
    """Regression: TLC_PAUSE_SECONDS, which is for long backfills, was ignored by the command that makes them."""
    seen: dict[str, Any] = {}

    def run(*given: Any, **_: Any) -> Outcome:
        seen.update(given[4])
        return Outcome(stopped="far enough")

    monkeypatch.setattr("taxi_pipeline.defs.console_runs.run_months", run)
    environment = {"DAGSTER_HOME": str(home), "TLC_URL": mirror.as_uri(), "TLC_PAUSE_SECONDS": "7"}
    options = ["materialize", "--start", "2023-01-01", "--end", "2023-01-02"]
    CliRunner().invoke(main, options, env={**environment, "TAXI_ACCEPT": "yellow/2023-01"})
    assert seen["tlc"].patience.pause_seconds == 7
    assert seen["tlc"].accepted == ("yellow/2023-01",)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_process_whose_output_is_lost_does_not_succeed(taxi_pipeline: Run) -> None:
    command = [Path(sys.executable).with_name("taxi-pipeline"), "--help"]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stdout=full, stderr=full, check=False).returncode != 0


def test_python_dash_m_is_the_console_script() -> None:
    command = [sys.executable, "-m", "taxi_pipeline", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Usage: taxi-pipeline" in result.stdout


def test_sample_writes_a_mirror_and_says_how_to_use_it(tmp_path: Path) -> None:
    arguments = ["--output", str(tmp_path / "m"), "--start", "2023-03-01", "--end", "2023-03-02"]
    result = CliRunner().invoke(main, ["sample", *arguments, "--fleet", "green", "--trips-per-day", "50"])
    assert result.exit_code == 0, result.output
    assert f"TLC_URL={(tmp_path / 'm').as_uri()}" in result.output
    assert (tmp_path / "m" / "trip-data" / "green_tripdata_2023-03.parquet").is_file()
    assert len(read_zones(tmp_path / "m" / "misc" / "taxi_zones.zip")) == 265


def test_sample_of_several_fleets_is_one_mirror(tmp_path: Path) -> None:
    arguments = ["--output", str(tmp_path / "m"), "--start", "2023-03-01", "--end", "2023-03-01"]
    fleets = [part for fleet in ("yellow", "fhv", "fhvhv", "fhv") for part in ("--fleet", fleet)]
    result = CliRunner().invoke(main, ["sample", *arguments, *fleets, "--trips-per-day", "50"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "m" / "trip-data").iterdir()) == [
        f"{fleet}_tripdata_2023-03.parquet" for fleet in ("fhv", "fhvhv", "yellow")
    ]
    assert result.output.count("taxi_zones.zip") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "2023-03-02", "--end", "2023-03-01"], "2023-03-01 is before 2023-03-02"),
        (["--start", "2013-07-01", "--end", "2013-07-02", "--fleet", "green"], "from 2013-08-01 on"),
        (["--start", "2023-03-01", "--end", "2023-03-02", "--fleet", "blue"], "'blue' is not one of"),
        (["--start", "1 March", "--end", "2023-03-02"], "does not match the format"),
    ],
)
def test_sample_names_what_is_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["sample", "--output", str(tmp_path / "m"), *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "m" / "trip-data").exists()


def test_a_command_that_is_interrupted_between_two_months_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: while it waited for the next month's file, Ctrl-C gave "Aborted!" and no more."""
    done = SimpleNamespace(success=True, get_asset_materialization_events=list, get_asset_check_evaluations=list)
    monkeypatch.setattr(dg.JobDefinition, "execute_in_process", lambda *_, **__: done)
    monkeypatch.setattr(gc, "freeze", lambda: None)

    @contextmanager
    def interrupted(*_: object) -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr("taxi_pipeline.defs.console_runs.fetching_ahead", interrupted)
    settings = Settings.from_environment({"TAXI_NOTEBOOKS": "off", "TAXI_MARTS": "off"})
    days = Days(date(2023, 1, 30), date(2023, 2, 2))
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_months(settings, days, instance, cast("Any", Unheard()), {})
    assert (outcome.stopped, outcome.stopped_in) == ("Interrupted", Days(date(2023, 2, 1), date(2023, 2, 2)))


@pytest.mark.slow
def test_materialize_runs_the_whole_graph_in_the_current_instance(
    taxi_pipeline: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days over the end of a month become a run per month, all of them in the instance that the UI shows."""
    result = taxi_pipeline("materialize", "--start", "2023-01-30", "--end", "2023-02-02")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Loaded, 2023-01-30 to 2023-02-02" in result.stdout
    assert re.search(r"^2023-01: 1,\d{3} trips in \d+ s, month 1 of 2; about \d+ s left$", result.stdout, re.MULTILINE)
    assert re.search(r"^2023-02: 1,\d{3} trips in \d+ s, month 2 of 2$", result.stdout, re.MULTILINE)
    for name in ("trips_by_week.csv", "manhattan_map.png"):
        path = tmp_path / "data" / "outputs" / name
        assert path.is_file()
        assert str(path) in result.stdout
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs()
        assert [(run.job_name, run.status) for run in runs] == [("daily_trips", dg.DagsterRunStatus.SUCCESS)] * 2
        loaded = instance.get_materialized_partitions(dg.AssetKey("zone_hourly_trips"))
        assert loaded == {"2023-01-30", "2023-01-31", "2023-02-01", "2023-02-02"}
        maps = instance.fetch_materializations(dg.AssetKey("manhattan_map"), limit=10).records
        assert len(maps) == 1, "drawn once, at the end"


@pytest.mark.slow
def test_runs_are_listed_under_their_jobs_and_reports_are_made_when_asked_for(
    taxi_pipeline: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the UI's overview and jobs said "No runs": runs in process name no code location."""
    result = taxi_pipeline("materialize", "--start", "2023-01-08", "--end", "2023-01-14", "--reports")
    assert result.returncode == 0, result.stdout + result.stderr
    summary = tmp_path / "data" / "outputs" / "week_summary" / "2023-01-08.json"
    assert json.loads(summary.read_text())["missing_days"] == []
    assert not (tmp_path / "data" / "outputs" / "reports").exists(), "no month lies in these days"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs()
        assert {run.job_name for run in runs} == {"daily_trips", "sources", "week_summaries", "analyses"}
        for run in runs:
            assert run.status == dg.DagsterRunStatus.SUCCESS
            assert run.remote_job_origin
            assert run.remote_job_origin.location_name == "taxi_pipeline"
            # The filter of the page Jobs.
            listed = dg.RunsFilter(job_name=run.job_name, tags={".dagster/repository": "__repository__@taxi_pipeline"})
            assert [found.run_id for found in instance.get_runs(listed)] == [run.run_id]


@pytest.mark.slow
def test_a_library_that_is_missing_costs_the_pdf_alone(taxi_pipeline: Run, tmp_path: Path) -> None:
    """Where Pango is not installed, the import of weasyprint raises OSError."""
    library = tmp_path / "without-pango" / "weasyprint"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("raise OSError(\"cannot load library 'libpango-1.0-0'\")\n")
    result = taxi_pipeline(
        *("materialize", "--start", "2023-02-01", "--end", "2023-02-28", "--reports"), PYTHONPATH=str(library.parent)
    )
    assert result.returncode == 0, result.stdout + result.stderr
    said = " ".join(result.stdout.split())
    assert "WARN: monthly_report_pdf: The PDF can't be made: a library of this machine is missing" in said
    assert "apt-get install libpango-1.0-0" in said
    names = {path.name for path in (tmp_path / "data" / "outputs" / "reports").iterdir() if path.is_file()}
    assert names == {"2023-02.html", "2023-02.csv"}
    assert (tmp_path / "data" / "outputs" / "congestion_fee.html").is_file(), "what comes after it is made"


@pytest.mark.slow
def test_on_a_terminal_a_bar_follows_the_run_and_stays_out_of_its_log(
    home: Path, environment: dict[str, str], mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: Dagster leads standard output into the run's log while it runs, and the bar froze."""
    with faulty_server() as server:
        server.folder = mirror
        month = "trip-data/yellow_tripdata_2023-02.parquet"
        body = (mirror / month).read_bytes()
        server.answers[f"/{month}"] = [Answer(body=body, trickle=(len(body) // 20, 0.2))]
        shown = _on_a_terminal({**environment, "TLC_URL": server.url, "NO_PROXY": "127.0.0.1"})
    for step in ("taxi_trips_file", "trip_tables", "manhattan_map"):
        assert f"2023-02 {step}" in shown, "the bar names the step at work"
    assert f" of {len(body) / 1e6:,.1f} MB" in shown, "and a second one shows a download"
    logs = [path.read_bytes() for path in (home / "storage").rglob("*") if path.is_file()]
    assert logs
    assert not [log for log in logs if "━".encode() in log]
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        lines = "\n".join(entry.user_message for entry in instance.all_logs(run.run_id))
    assert re.search(r"yellow_tripdata_2023-02.parquet: [\d.]+ of [\d.]+ MB \(\d+%\)", lines)


def _on_a_terminal(environment: dict[str, str]) -> str:
    """The text that `materialize` of two days writes on a terminal."""
    import pty

    terminal, other_end = pty.openpty()
    command = [Path(sys.executable).with_name("taxi-pipeline"), "materialize"]
    with subprocess.Popen(
        [*command, "--start", "2023-02-01", "--end", "2023-02-02"],
        env={**environment, "TERM": "xterm"},
        stdin=other_end,
        stdout=other_end,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(other_end)
        shown = b""
        try:
            while block := os.read(terminal, 65_536):
                shown += block
        except OSError:
            pass  # how Linux says that the other end is closed
        os.close(terminal)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.slow
def test_snapshot_copies_the_warehouse_while_another_process_holds_it(
    taxi_pipeline: Run, make_pipeline: MakePipeline, mirror: Path, tmp_path: Path
) -> None:
    empty = taxi_pipeline("snapshot")
    assert (empty.returncode, "there is no warehouse at" in empty.stderr) == (1, True)
    url = taxi_pipeline("snapshot", "--output", "s3://bucket/copy.duckdb")
    assert (url.returncode, "is no file of this machine" in url.stderr) == (2, True)
    nowhere = taxi_pipeline("snapshot", "--output", "/proc/copy.duckdb")
    assert (nowhere.returncode, "no file can be made in /proc" in nowhere.stderr) == (1, True)
    make_pipeline(mirror).load("2023-02-07")
    with duckdb.connect(str(tmp_path / "data" / "staging" / "data.duckdb")) as held:
        ((trips,),) = held.execute("SELECT count(*) FROM trips").fetchall()
        result = taxi_pipeline("snapshot")
        named = taxi_pipeline("snapshot", "--output", "copy.duckdb")
    assert (result.returncode, named.returncode) == (0, 0), result.stderr + named.stderr
    for copy in (tmp_path / "data" / "outputs" / "warehouse.duckdb", tmp_path / "elsewhere" / "copy.duckdb"):
        with duckdb.connect(str(copy), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM trips").fetchall() == [(trips,)]
    assert "outputs/warehouse.duckdb" in result.stdout


@pytest.mark.slow
def test_status_shows_what_is_loaded_also_while_another_process_holds_it(
    taxi_pipeline: Run, make_pipeline: MakePipeline, mirror: Path, tmp_path: Path
) -> None:
    assert "Nothing is loaded in" in taxi_pipeline("status").stdout
    for day in ("2023-01-31", "2023-02-03"):
        make_pipeline(mirror).load(day)
    with duckdb.connect(str(tmp_path / "data" / "staging" / "data.duckdb")) as held:
        ((trips, version),) = held.execute(
            "SELECT sum(num_trips), max_by(file_version, pickup_date) FROM loaded_days"
        ).fetchall()
        result = taxi_pipeline("status", TAXI_FLEETS="yellow,green")
    assert result.returncode == 0, result.stderr
    yellow = next(line for line in result.stdout.splitlines() if "yellow" in line)
    assert yellow.split() == ["yellow", "2023-01-31", "2023-02-03", "2", f"{trips:,}", version[:8], "2023-02"]
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "green" in result.stdout
    unreachable = taxi_pipeline("status", TLC_URL="http://127.0.0.1:9", NO_PROXY="127.0.0.1")
    assert "no answer" in unreachable.stdout

    # Regression: with as many trips as the TLC has published, a terminal of 80 columns showed half a date.
    with duckdb.connect(str(tmp_path / "data" / "staging" / "data.duckdb")) as changed:
        changed.execute("UPDATE loaded_days SET num_trips = 1234567890, pickup_date = pickup_date - 5000")
    many = taxi_pipeline("status", TLC_URL="http://127.0.0.1:9", NO_PROXY="127.0.0.1", COLUMNS="80")
    yellow = next(line for line in many.stdout.splitlines() if "yellow" in line)
    assert yellow.split() == ["yellow", "2009-05-24", "2009-05-27", "2", "2,469,135,780", version[:8], "no", "answer"]


@pytest.mark.slow
def test_materialize_before_the_first_partition_loads_the_days_and_says_so(taxi_pipeline: Run) -> None:
    result = taxi_pipeline("materialize", "--start", "2023-01-05", "--end", "2023-01-05", TAXI_START_DATE="2023-02-01")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "set TAXI_START_DATE=2023-01-05" in result.stdout
    assert "yellow" in result.stdout


def test_materialize_names_the_months_of_which_no_report_is_made() -> None:
    assert without_report(Days(date(2023, 1, 1), date(2023, 2, 28))) == ""
    said = without_report(Days(date(2023, 1, 30), date(2023, 3, 5)))
    days = "2023-01-30 to 2023-01-31 and 2023-03-01 to 2023-03-05"
    assert said.startswith(f"Note: no monthly report is made of 2023-01 and 2023-03, since only {days} was asked for.")


@pytest.mark.slow
def test_materialize_warns_when_a_copy_was_used(taxi_pipeline: Run, mirror: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(mirror, tmp_path / "mirror"))
    arguments = ["materialize", "--start", "2023-02-07", "--end", "2023-02-07"]
    assert "WARN" not in taxi_pipeline(*arguments, TLC_URL=own.as_uri()).stdout
    (own / "trip-data" / "yellow_tripdata_2023-02.parquet").unlink()
    result = taxi_pipeline(*arguments, TLC_URL=own.as_uri())
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("WARN: the copy in the storage is used, because") == 1


@pytest.mark.slow
def test_materialize_of_a_month_that_is_not_there_fails_in_words(taxi_pipeline: Run) -> None:
    result = taxi_pipeline("materialize", "--start", "2023-03-01", "--end", "2023-03-02")
    assert result.returncode == 1
    assert "taxi_trips_file failed in run" in result.stderr
    assert "yellow trips of 2023-03 are not published" in result.stderr
    assert "the newest published month is 2023-02" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (["--start", "2023-02-02", "--end", "2023-02-01"], {}, "2023-02-01 is before 2023-02-02"),
        (["--start", "2023-02-02", "--end", "2999-01-01"], {}, "2999-01-01 can't be published yet"),
        (["--start", "2023-02-02", "--end", "2023-02-02"], {"TAXI_FLEETS": "blue"}, "TAXI_FLEETS is 'blue'"),
        (["--start", "2008-12-31", "--end", "2009-01-01"], {}, "the TLC publishes trips from 2009-01-01 on"),
    ],
)
def test_materialize_names_what_is_wrong(
    taxi_pipeline: Run, arguments: list[str], changes: dict[str, str], message: str
) -> None:
    result = taxi_pipeline("materialize", *arguments, **changes)
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_materialize_reports_a_failed_fleet_at_the_end(taxi_pipeline: Run, own_mirror: Path, tmp_path: Path) -> None:
    """The other fleet and the other month are loaded, and everything is made of them."""
    (own_mirror / "trip-data" / "green_tripdata_2023-02.parquet").unlink()
    arguments = ["--start", "2023-01-31", "--end", "2023-02-02"]
    result = taxi_pipeline("materialize", *arguments, TLC_URL=own_mirror.as_uri(), TAXI_FLEETS="yellow,green")
    assert result.returncode == 1
    assert "green: green trips of 2023-02 are not published" in result.stderr
    assert re.search(
        r"^2023-02: failed for some fleets, the others are loaded in \d+ s, month 2 of 2$", result.stdout, re.M
    )
    assert "When the cause is gone, run the same again." in result.stderr
    rows = csv.DictReader((tmp_path / "data" / "outputs" / "trips_by_week_by_fleet.csv").read_text().splitlines())
    with duckdb.connect(str(tmp_path / "data" / "staging" / "data.duckdb"), read_only=True) as connection:
        counts = dict(connection.execute("SELECT fleet, count(*) FROM trips GROUP BY fleet").fetchall())
        days = connection.execute("SELECT fleet, count(*) FROM loaded_days GROUP BY fleet ORDER BY fleet").fetchall()
    assert days == [("green", 1), ("yellow", 3)]
    assert {row["fleet"]: int(row["num_trips"]) for row in rows} == counts
    assert (tmp_path / "data" / "outputs" / "manhattan_map.png").is_file()


@pytest.mark.slow
def test_months_with_coordinates_load_into_an_empty_folder(taxi_pipeline: Run, tmp_path: Path) -> None:
    """Regression: the zones came with the last month, and the first one had nothing to place its trips in."""
    mirror = tmp_path / "old"
    write_mirror(mirror, Days(date(2010, 1, 31), date(2010, 2, 1)), trips_per_day=100)
    result = taxi_pipeline("materialize", "--start", "2010-01-31", "--end", "2010-02-01", TLC_URL=mirror.as_uri())
    assert result.returncode == 0, result.stderr


def test_a_dagster_home_that_is_not_there_is_named(taxi_pipeline: Run) -> None:
    result = taxi_pipeline("materialize", "--start", "2023-02-02", "--end", "2023-02-02", DAGSTER_HOME="/no/such/home")
    assert result.returncode == 1
    assert '"/no/such/home" is not a directory or does not exist' in result.stderr
    assert "Traceback" not in result.stderr


def test_env_file_is_read_and_what_is_exported_wins(
    taxi_pipeline: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project is a copy, so that the developer's .env is neither read nor changed."""
    project = tmp_path / "project"
    shutil.copytree(REPOSITORY / "taxi_pipeline", project / "taxi_pipeline")
    (project / "dagster.yaml").touch()
    (project / ".env").write_text("TAXI_FLEETS=blue\nTAXI_START_DATE=yesterday\n")
    arguments = ["materialize", "--start", "2023-02-02", "--end", "2023-02-02"]
    assert "TAXI_FLEETS is 'blue'" in taxi_pipeline(*arguments, PYTHONPATH=str(project)).stderr
    exported = taxi_pipeline(*arguments, PYTHONPATH=str(project), TAXI_FLEETS="yellow")
    assert "TAXI_START_DATE is 'yesterday'" in exported.stderr


class Unheard:
    """A follower that does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def test_a_run_that_is_interrupted_before_it_starts_is_canceled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: Ctrl-C in the first seconds left a run that was to start, for ever."""

    def interrupted(job: dg.JobDefinition, **options: Any) -> dg.ExecuteInProcessResult:
        """Dagster makes the run, and Ctrl-C comes before its first event."""
        options["instance"].create_run_for_job(job_def=job, run_id=options["run_id"])
        raise KeyboardInterrupt

    monkeypatch.setattr(dg.JobDefinition, "execute_in_process", interrupted)
    day = Days(date(2023, 2, 7), date(2023, 2, 7))
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(KeyboardInterrupt):
            run_months(
                Settings.from_environment({"TAXI_NOTEBOOKS": "off", "TAXI_MARTS": "off"}),
                day,
                instance,
                cast("Any", Unheard()),
                {},
            )
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]
