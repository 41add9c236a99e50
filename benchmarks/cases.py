"""The cases: what is measured, against what, and within which bound."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import Measured, middle, run
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days

REPOSITORY = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
OUTPUTS = (
    "outputs/trips_by_week.csv",
    "staging/manhattan_stats.geojson",
    "outputs/manhattan_map.png",
    "outputs/city_map.png",
    "outputs/zone_explorer.html",
)


@dataclass(frozen=True)
class Row:
    """A line of the results."""

    case: str
    what: str
    ours: str
    other: str
    ratio: float | None = None
    bound: str = ""
    holds: bool | None = None


@dataclass
class Bench:
    """The folder and the size of the cases, and their results."""

    folder: Path
    trips_per_day: int = 110_000
    big_trips_per_day: int = 645_000
    repeat: int = 3
    rows: list[Row] = field(default_factory=list)

    def add(self, case: str, what: str, ours: str, other: str, *, ratio: float, most: float) -> None:
        """Keep a ratio and its largest allowed value."""
        self.rows.append(Row(case, what, ours, other, ratio, f"≤ {most:g}", ratio <= most))

    def note(self, case: str, what: str, value: str, *, bound: str = "", holds: bool | None = None) -> None:
        """Keep a figure that is no ratio."""
        self.rows.append(Row(case, what, value, "", None, bound, holds))

    def environment(self, data: Path, mirror: Path, start: date, fleets: str = "yellow") -> dict[str, str]:
        """The environment of a process over the mirror, with its data and its Dagster instance in a folder."""
        home = data / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / "dagster.yaml", home)
        return {
            **os.environ,
            "TAXI_DATA_DIR": str(data),
            "DAGSTER_HOME": str(home),
            "TLC_URL": mirror.as_uri(),
            "TAXI_FLEETS": fleets,
            "TAXI_START_DATE": str(start),
            # The same as without the extras; the case `marts` has them.
            "TAXI_MARTS": "off",
            "TAXI_NOTEBOOKS": "off",
            "PYTHONPATH": str(REPOSITORY),
        }

    def fresh(self, name: str) -> Path:
        """An empty folder."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def sample(self, mirror: Path, first: date, last: date, *, fleet: str = "yellow", trips_per_day: int) -> Measured:
        """Write a mirror, as `taxi-pipeline sample` does."""
        command = [BIN / "taxi-pipeline", "sample", "--output", mirror, "--start", first, "--end", last]
        return run(list(map(str, [*command, "--fleet", fleet, "--trips-per-day", trips_per_day])))

    def materialize(self, environment: dict[str, str], first: date, last: date) -> Measured:
        """The whole graph for these days, whole process."""
        return run([BIN / "taxi-pipeline", "materialize", "--start", str(first), "--end", str(last)], environment)

    @cached_property
    def mirror(self) -> Path:
        """The mirror of March 2023; the case `sample` times how it is written."""
        mirror = self.fresh("mirror")
        self.sample_of_march = self.sample(mirror, MARCH[0], MARCH[1], trips_per_day=self.trips_per_day)
        return mirror


MARCH = (date(2023, 3, 1), date(2023, 3, 31))
HISTORY = (date(2020, 4, 1), date(2023, 3, 31))
THIRTY_MONTHS = (date(2020, 10, 1), date(2023, 3, 31))
EIGHT_MONTHS = (date(2022, 8, 1), MARCH[1])
MATERIALIZE_ZONES = [
    *(BIN / "dagster", "asset", "materialize", "--select", "taxi_zones_file,taxi_zones"),
    *("-m", "taxi_pipeline.definitions"),
]
ONE_YEAR = (HISTORY[0], date(2021, 3, 31))


def import_(bench: Bench) -> None:
    """Loading the code location against importing Dagster alone."""
    environment = bench.environment(bench.fresh("import"), bench.folder, MARCH[0])
    ours, dagster = (
        middle([run([BIN / "python", "-W", "ignore", "-c", code], environment) for _ in range(2 * bench.repeat + 1)])
        for code in ("import taxi_pipeline.definitions", "import dagster")
    )
    bench.add("import", "code location", _s(ours), _s(dagster), ratio=ours.seconds / dagster.seconds, most=1.3)


def sample(bench: Bench) -> None:
    """A month of synthetic trips."""
    assert bench.mirror
    measured = bench.sample_of_march
    bench.note("sample", f"{_trips(bench)} trips", _s(measured), bound="≤ 15 s", holds=measured.seconds <= 15)


def month(bench: Bench) -> None:
    """The whole graph for a month against the floor, and against a process per step and a run per day."""
    ours, floor = [], []
    for number in range(bench.repeat):
        data, plain = bench.fresh(f"month{number}"), bench.fresh("floor")
        ours.append(bench.materialize(bench.environment(data, bench.mirror, MARCH[0]), *MARCH))
        plain.rmdir()
        floor.append(run([BIN / "python", "-m", "benchmarks.floor", bench.mirror, plain, "2023-03"]))
        for name in OUTPUTS:
            if (data / name).read_bytes() != (plain / name).read_bytes():
                raise RuntimeError(f"{name} is not what the floor script makes")
    mine, plainly = middle(ours), middle(floor)
    idle = middle([_idle(bench) for _ in range(bench.repeat)])
    ratio = mine.seconds / plainly.seconds
    bench.add(
        "month", f"whole graph, {_trips(bench)} trips, wall", _s(mine), f"{_s(plainly)} floor", ratio=ratio, most=2
    )
    bench.note("month", "the same graph without any work", _s(idle))
    more = mine.seconds - idle.seconds
    bench.note("month", "more than without any work", f"{more:.1f} s", bound="≤ 8 s", holds=more <= 8)
    bench.note("month", "peak memory", _mb(mine), bound="≤ 750 MB", holds=mine.peak_mb <= 750)
    bench.note("month", "peak memory of the floor", _mb(plainly))
    default = _default_project(bench)
    ratio = mine.seconds / default
    bench.add("month", "a process per step, a run per day", _s(mine), f"{default:.0f} s", ratio=ratio, most=0.2)


def _idle(bench: Bench) -> Measured:
    environment = bench.environment(bench.fresh("idle"), bench.mirror, MARCH[0])
    return run([BIN / "python", "-m", "benchmarks.nothing", *map(str, MARCH)], environment)


def _default_project(bench: Bench) -> float:
    """Seconds for the month: the days after the first take the same, so two of them are measured."""
    environment = bench.environment(bench.fresh("default"), bench.mirror, MARCH[0])
    command = [BIN / "dagster", "asset", "materialize", "-m", "benchmarks.default_project", "--select", "*"]
    first, *later = (
        run([*command, "--partition", str(MARCH[0] + timedelta(days=n))], environment).seconds for n in range(3)
    )
    return first + 30 * sum(later) / len(later)


def year(bench: Bench) -> None:
    """Twelve months against twelve times a month; then three years, and one more day on them and on a month."""
    mirror, data = bench.fresh("history_mirror"), bench.fresh("history")
    bench.sample(mirror, *HISTORY, trips_per_day=bench.trips_per_day)
    alone = bench.environment(bench.fresh("first_month"), mirror, HISTORY[0])
    one = middle([bench.materialize(alone, HISTORY[0], date(2020, 4, 30))])
    environment = bench.environment(data, mirror, HISTORY[0])
    twelve = bench.materialize(environment, *ONE_YEAR)
    bench.add(
        "year", "12 months, wall", _s(twelve), f"12 × {_s(one)}", ratio=twelve.seconds / (12 * one.seconds), most=1
    )
    bench.add("year", "peak memory", _mb(twelve), f"{_mb(one)} a month", ratio=twelve.peak_mb / one.peak_mb, most=1.15)
    day = HISTORY[1]
    bench.materialize(environment, ONE_YEAR[1] + timedelta(days=1), day - timedelta(days=1))
    short = bench.environment(bench.fresh("short"), mirror, MARCH[0])
    bench.materialize(short, MARCH[0], day - timedelta(days=1))
    on_years, on_month = (
        middle([bench.materialize(one, day, day) for _ in range(bench.repeat)]) for one in (environment, short)
    )
    size = (data / "staging" / "data.duckdb").stat().st_size / 1e9
    bench.note("one more day", "the warehouse of three years", f"{size:.1f} GB")
    ratio = on_years.seconds / on_month.seconds
    bench.add("one more day", "on three years", _s(on_years), f"{_s(on_month)} on a month", ratio=ratio, most=1.3)


def download(bench: Bench) -> None:
    """A 60 MB file from a server on loopback against curl, and the memory of ten times as much."""
    folder = bench.fresh("download")
    for name, size_mb in (("small", 60), ("large", 600)):
        (folder / name).write_bytes(os.urandom(1_000_000) * size_mb)
    with _server(folder) as url:
        ours: dict[str, list[Measured]] = {"small": [], "large": []}
        seconds, of_curl = [], []
        for _ in range(2 * bench.repeat + 1):
            for name, measured in ours.items():
                measured.append(
                    run([BIN / "python", "-c", DOWNLOAD, f"{url}/{name}", str(folder / "got")], _pythonpath())
                )
                if name == "small":
                    seconds.append(float(measured[-1].output))
            curl = ["curl", "-s", "-o", str(folder / "got"), "-w", "%{time_total}", f"{url}/small"]
            of_curl.append(float(run(curl).output))
    mine, curls = sorted(seconds)[len(seconds) // 2], sorted(of_curl)[len(of_curl) // 2]
    bench.add("download", "60 MB", f"{mine:.3f} s", f"{curls:.3f} s curl", ratio=mine / curls, most=1.3)
    small, large = middle(ours["small"]), middle(ours["large"])
    more = large.peak_mb - small.peak_mb
    bench.note("download", "600 MB take more memory", f"{more:.0f} MB", bound="≤ 10 MB", holds=more <= 10)


DOWNLOAD = """
import sys, time
from pathlib import Path
from taxi_pipeline.tlc.http_transfer import Patience, download
import requests
begun = time.perf_counter()
download(sys.argv[1], Path(sys.argv[2]), known={}, patience=Patience())
print(time.perf_counter() - begun)
"""


def object_store(bench: Bench) -> None:
    """A month's file into S3 against into a folder, the memory of ten times as much, and a month with S3 and Postgres.

    The servers run on this machine, so that it does their work, too.
    """
    from taxi_pipeline_tests.services.servers import running_servers

    # PostgreSQL runs as a user of its own, who can't enter the folder of the others.
    with (
        TemporaryDirectory(prefix="taxi-services-") as servers_folder,
        running_servers(Path(servers_folder)) as servers,
    ):
        _fetch_into_store(bench, servers.for_pipeline())
        of_folder, of_store = [], []
        for number in range(bench.repeat):
            plain = bench.environment(bench.fresh("plain"), bench.mirror, MARCH[0])
            of_folder.append(bench.materialize(plain, *MARCH))
            remote = bench.environment(bench.fresh("remote"), bench.mirror, MARCH[0]) | servers.for_pipeline()
            remote["TAXI_STORAGE_URL"] += f"/{number}"
            shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", remote["DAGSTER_HOME"])
            of_store.append(bench.materialize(remote, *MARCH))
    store, folder = middle(of_store), middle(of_folder)
    ratio = store.seconds / folder.seconds
    bench.add("object store", "a month with S3 and Postgres", _s(store), f"{_s(folder)} without", ratio=ratio, most=1.5)
    bench.note("object store", "its peak memory", _mb(store), bound="≤ 800 MB", holds=store.peak_mb <= 800)


def _fetch_into_store(bench: Bench, variables: dict[str, str]) -> None:
    folder = bench.fresh("fetch")
    shutil.copy(bench.mirror / "trip-data" / "yellow_tripdata_2023-03.parquet", folder / "month")
    for name, size_mb in (("small", 60), ("large", 600)):
        (folder / name).write_bytes(os.urandom(1_000_000) * size_mb)
    measured: dict[tuple[str, str], list[Measured]] = {}
    with _server(folder) as url:
        for number in range(2 * bench.repeat + 1):
            for target, storage in (("store", f"s3://taxi/fetch-{number}"), ("folder", (folder / "got").as_uri())):
                for name in ("month", "small", "large"):
                    if target == "folder" and name != "month":
                        continue
                    shutil.rmtree(folder / "got", ignore_errors=True)
                    command = [BIN / "python", "-c", FETCH, f"{url}/{name}", storage, str(folder / "scratch")]
                    measured.setdefault((target, name), []).append(run(command, _pythonpath() | variables))
    seconds = {
        target: sorted(float(one.output) for one in measured[target, "month"])[bench.repeat]
        for target in ("store", "folder")
    }
    size = (folder / "month").stat().st_size / 1e6
    bench.add(
        "object store",
        f"fetch and verify {size:.0f} MB",
        f"{seconds['store']:.2f} s",
        f"{seconds['folder']:.2f} s to a folder",
        ratio=seconds["store"] / seconds["folder"],
        most=2,
    )
    more = middle(measured["store", "large"]).peak_mb - middle(measured["store", "small"]).peak_mb
    bench.note("object store", "600 MB take more memory than 60", f"{more:.0f} MB", bound="≤ 20 MB", holds=more <= 20)


FETCH = """
import os, sys, time
from pathlib import Path
from taxi_pipeline.storage import open_storage
from taxi_pipeline.tlc.download import fetch
from taxi_pipeline.tlc.fleets import YELLOW
from taxi_pipeline.tlc.trip_files import verify_trip_file
import requests, pyarrow.parquet
url, storage, scratch = sys.argv[1:]
files = open_storage(storage, scratch=Path(scratch), postgres_url=os.environ["DAGSTER_POSTGRES_URL"])
with files.lock("warm"):
    files.exists("warm")
verify = (lambda path: verify_trip_file(path, YELLOW)) if url.endswith("month") else (lambda path: None)
begun = time.perf_counter()
fetch(url, files, "raw/file", verify=verify)
print(time.perf_counter() - begun)
"""


def big_fleet(bench: Bench) -> None:
    """A month of 20 million high-volume trips, and one of 15 million by coordinates."""
    for what, fleet, first, last, trips_per_day in (
        ("fhvhv", "fhvhv", *MARCH, bench.big_trips_per_day),
        ("yellow by coordinates", "yellow", date(2009, 3, 1), date(2009, 3, 31), bench.big_trips_per_day * 3 // 4),
    ):
        mirror, data = bench.fresh("big_mirror"), bench.fresh("big")
        bench.sample(mirror, first, last, fleet=fleet, trips_per_day=trips_per_day)
        measured = bench.materialize(bench.environment(data, mirror, first, fleet), first, last)
        trips = f"{31 * trips_per_day / 1e6:.0f} million trips, {what}"
        bench.note("big fleet", f"{trips}: wall", _s(measured))
        bench.note(
            "big fleet", f"{trips}: peak memory", _mb(measured), bound="≤ 4,000 MB", holds=measured.peak_mb <= 4000
        )
        size = (data / "staging" / "data.duckdb").stat().st_size / (31 * trips_per_day)
        bench.note("big fleet", f"{trips}: warehouse", f"{size:.0f} bytes a trip")


def load(bench: Bench) -> None:
    """A million trips more, verified, loaded and counted, against DuckDB's typed and sorted insert of them."""
    for what, fleet, first in (
        ("yellow by coordinates", "yellow", date(2009, 3, 1)),
        ("yellow", "yellow", MARCH[0]),
        ("fhv", "fhv", date(2018, 3, 1)),
        ("fhvhv", "fhvhv", MARCH[0]),
    ):
        slopes = {}
        for which in ("ours", "limit"):
            (few, fewer), (many, more) = (
                _loaded(bench, which, fleet, first, bench.trips_per_day // share) for share in (10, 1)
            )
            slopes[which] = (more - fewer) / (many - few) * 1e6
        bench.add(
            "load",
            f"a million trips more, {what}: processor time",
            f"{slopes['ours']:.2f} s",
            f"{slopes['limit']:.2f} s typed, sorted, inserted",
            ratio=slopes["ours"] / slopes["limit"],
            most=1.5,
        )


def versions(bench: Bench) -> None:
    """The comparison of two versions of a month, against its load, when few rows differ and when all do."""
    for which, most in (("few", 1.0), ("all", 8.0)):
        folder = bench.fresh(f"versions_{which}")
        arguments = (which, bench.mirror, "yellow", f"{MARCH[0]:%Y-%m}", folder)
        measured = run([BIN / "python", "-m", "benchmarks.versions", *map(str, arguments)], {**os.environ})
        load_seconds, seconds, num_changed = measured.output.split()[-3:]
        bench.add(
            "versions",
            f"compare {_trips(bench)} trips, {int(num_changed):,} changed, peak {measured.peak_mb:.0f} MB",
            f"{float(seconds):.1f} s",
            f"{float(load_seconds):.1f} s load",
            ratio=float(seconds) / float(load_seconds),
            most=most,
        )


def _loaded(bench: Bench, which: str, fleet: str, first: date, trips_per_day: int) -> tuple[int, float]:
    """The trips of a month, and the processor time of loading it, in seconds."""
    mirror = bench.folder / "load_mirrors" / str(trips_per_day)
    if not (mirror / "trip-data" / FLEETS[fleet].file_name(first)).exists():
        bench.sample(mirror, first, Days.of_month(first).last, fleet=fleet, trips_per_day=trips_per_day)
    measured = []
    for _ in range(bench.repeat):
        command = [BIN / "python", "-m", "benchmarks.load", which, mirror, fleet, f"{first:%Y-%m}"]
        output = run([*command, bench.fresh("load")], _pythonpath()).output
        _, processor, num_trips = output.split()
        measured.append((int(num_trips), float(processor)))
    return measured[0][0], median(seconds for _, seconds in measured)


def queries(bench: Bench) -> None:
    """Questions on 30 months, against a bare table of the same rows and the published files."""
    mirror, data = bench.fresh("queries_mirror"), bench.fresh("queries")
    bench.sample(mirror, *THIRTY_MONTHS, trips_per_day=bench.trips_per_day)
    bench.materialize(bench.environment(data, mirror, THIRTY_MONTHS[0]), *THIRTY_MONTHS)
    warehouse = data / "staging" / "data.duckdb"
    command = [BIN / "python", "-m", "benchmarks.queries", warehouse, mirror, bench.fresh("bare"), str(bench.repeat)]
    num_trips = f"{Days(*THIRTY_MONTHS).num_days * bench.trips_per_day / 1e6:.0f} million trips"
    for line in run(command, _pythonpath()).output.splitlines():
        name, ours, bare, files = json.loads(line)
        what = f"{num_trips}: {name}"
        if bare is None:
            bench.note("queries", what, _ms(ours))
        else:
            against = f"{_ms(bare)} bare table, {_ms(files)} files"
            bench.add("queries", what, _ms(ours), against, ratio=ours / bare, most=1.2)


def explorer(bench: Bench) -> None:
    """Years in the zone explorer, in a browser: the page's size, and how fast it answers."""
    folder = bench.fresh("explorer")
    for line in run([BIN / "python", "-m", "benchmarks.explorer", folder], _pythonpath()).output.splitlines():
        name, size, together, paint, memory, middle_answer, late_answer = json.loads(line)
        weeks = "week by week" if together == 1 else f"{together} weeks together"
        bench.note("explorer", f"{name}: page, {weeks}", f"{size / 1e6:.1f} MB", bound="≤ 8 MB", holds=size <= 8e6)
        bench.note("explorer", f"{name}: first paint", _ms(paint), bound="≤ 300 ms", holds=paint <= 0.3)
        bench.note(
            "explorer",
            f"{name}: memory of the numbers",
            f"{memory / 1e6:.0f} MB",
            bound="≤ 200 MB",
            holds=memory <= 200e6,
        )
        answers = f"{middle_answer * 1000:.1f} ms, {late_answer * 1000:.1f} ms"
        bench.note("explorer", f"{name}: answer, median and 95 %", answers, bound="≤ 16 ms", holds=late_answer <= 0.016)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def backfill(bench: Bench) -> None:
    """31 days of the whole graph through the daemon, from the launch to success."""
    from benchmarks.daemon import backfill
    from taxi_pipeline.defs.assets import ASSETS
    from taxi_pipeline_tests.running_dagster import dagster_dev

    data = bench.fresh("backfill")
    environment = bench.environment(data, bench.mirror, MARCH[0])
    assets = [spec.key.to_user_string() for asset in ASSETS for spec in asset.specs]
    days = [str(day) for day in Days(*MARCH)]
    with dagster_dev(environment, data / "dagster_dev.log") as url:
        took = backfill(url, assets, days)
    bench.note("backfill", "waiting for the daemon", f"{took.waiting_for_daemon:.1f} s")
    bench.note("backfill", f"starting the processes of {took.num_runs} runs", f"{took.starting_processes:.1f} s")
    bench.note("backfill", "work", f"{took.work:.1f} s")


def ui_run(bench: Bench) -> None:
    """31 days of the job `daily_trips`, launched over GraphQL as the UI does, against the console script."""
    from benchmarks.daemon import launched_run
    from taxi_pipeline_tests.running_dagster import dagster_dev

    of_console, of_ui = [], []
    for number in range(bench.repeat):
        data = bench.fresh(f"console{number}")
        of_console.append(bench.materialize(bench.environment(data, bench.mirror, MARCH[0]), *MARCH).seconds)
        data = bench.fresh(f"ui{number}")
        with dagster_dev(bench.environment(data, bench.mirror, MARCH[0]), data / "dagster_dev.log") as url:
            of_ui.append(launched_run(url, *map(str, MARCH)))
        for name in OUTPUTS:
            if (data / name).read_bytes() != (bench.folder / f"console{number}" / name).read_bytes():
                raise RuntimeError(f"{name} is not what the console script makes")
    ui, console = (sorted(seconds)[len(seconds) // 2] for seconds in (of_ui, of_console))
    bench.add(
        "ui run", "31 days, job daily_trips", f"{ui:.2f} s", f"{console:.2f} s console", ratio=ui / console, most=1
    )


def marts(bench: Bench) -> None:
    """Measure the marts: a process that has them in its graph, and a month of them against the month's graph."""
    data = bench.fresh("marts")
    environment = bench.environment(data, bench.mirror, MARCH[0])
    graph = bench.materialize(environment, *MARCH)
    with_marts = environment | {"TAXI_MARTS": "on"}
    load = [BIN / "python", "-W", "ignore", "-c", "import taxi_pipeline.definitions"]
    run(load, with_marts)  # dbt parses the project once
    ours, plain = (middle([run(load, one) for _ in range(2 * bench.repeat + 1)]) for one in (with_marts, environment))
    bench.note("marts", "code location with them, and without", f"{_s(ours)}, {_s(plain)}")
    command = [BIN / "dagster", "asset", "materialize", "--select", "group:marts", "--partition", str(MARCH[0])]
    month = middle([run([*command, "-m", "taxi_pipeline.definitions"], with_marts) for _ in range(bench.repeat)])
    ratio = month.seconds / graph.seconds
    bench.add("marts", f"a month of {_trips(bench)} trips", _s(month), f"{_s(graph)} the graph", ratio=ratio, most=3)


def tick(bench: Bench) -> None:
    """Measure a look of the automation at what is due when nothing is, with the default settings and all of history."""
    default = bench.environment(bench.fresh("tick"), bench.folder, date(2023, 1, 1))
    all_fleets = {"TAXI_FLEETS": "yellow,green,fhv,fhvhv", "TAXI_START_DATE": "2009-01-01"}
    for what, environment, most in (
        ("idle, default settings", default, 0.5),
        ("idle, four fleets since 2009", default | all_fleets, 1.0),
    ):
        for state in ("nothing loaded", "loaded"):
            outputs = [
                run([BIN / "python", "-W", "ignore", "-m", "benchmarks.tick", state], environment).output
                for _ in range(1 if state == "loaded" else bench.repeat)
            ]
            seconds = median(float(output.split()[-1]) for output in outputs)
            bench.note(
                "tick",
                f"{what}, {state}: processor time",
                f"{seconds:.2f} s",
                bound=f"≤ {most:g} s",
                holds=seconds <= most,
            )


def history(bench: Bench) -> None:
    """Measure Dagster's history: its size for a loaded month, and how long the UI waits on all of history."""
    mirror, data = bench.fresh("small_mirror"), bench.fresh("long_history")
    months = [Days.of_month(date(2023, month, 1)) for month in (1, 2, 3)]
    bench.sample(mirror, months[0].first, months[-1].last, trips_per_day=300)
    environment = bench.environment(data, mirror, months[0].first)
    sizes = []
    for days in months:
        command = [BIN / "taxi-pipeline", "materialize", "--start", str(days.first), "--end", str(days.last)]
        run([*command, "--reports"], environment)
        sizes.append(_size_mb(data / "dagster"))
    bench.note("history", "a loaded month", f"{(sizes[-1] - sizes[0]) / 2:.1f} MB")
    environment |= {"TAXI_FLEETS": "yellow,green,fhv,fhvhv", "TAXI_START_DATE": "2009-01-01"}
    written = run([BIN / "python", "-W", "ignore", "-m", "benchmarks.history"], environment)
    size = f"{_size_mb(data / 'dagster') / 1000:.1f} GB, {int(written.output.split()[-1]):,} runs"
    bench.note("history", "four fleets since 2009, made by events", size)
    load = [BIN / "python", "-W", "ignore", "-c", "import taxi_pipeline.definitions"]
    seconds = middle([run(load, environment) for _ in range(bench.repeat)]).seconds
    bench.note("history", "load of the code location", f"{seconds:.2f} s", bound="≤ 2 s", holds=seconds <= 2)
    _ui_of_history(bench, environment, data / "dagster_dev.log")


def _ui_of_history(bench: Bench, environment: dict[str, str], log: Path) -> None:
    from benchmarks.history import PAGES, opened, reload_seconds
    from taxi_pipeline_tests.browsers import opened_browser
    from taxi_pipeline_tests.running_dagster import dagster_dev

    with dagster_dev(environment | {"NO_PROXY": "127.0.0.1"}, log) as url, opened_browser() as browser:
        seconds = median(reload_seconds(url) for _ in range(bench.repeat))
        bench.note("history", "the UI's button Reload definitions", f"{seconds:.2f} s")
        # Dagster counts the partitions of all assets once, and keeps what it counted.
        seconds = max(opened(browser, url, "lineage").seconds.values())
        bench.note("history", "lineage, the very first time: slowest query", f"{seconds:.2f} s")
        for what in PAGES:
            seconds = median(max(opened(browser, url, what).seconds.values()) for _ in range(bench.repeat))
            bench.note("history", f"{what}: slowest query", f"{seconds:.2f} s", bound="≤ 2 s", holds=seconds <= 2)


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def cluster(bench: Bench) -> None:
    """Eight months of two fleets on a Spark cluster, through the daemon: four runs at once against one by one."""
    from benchmarks.cluster import load
    from taxi_pipeline_tests.services.servers import running_servers

    first, last = EIGHT_MONTHS
    days = [str(day) for day in Days(first, last)]
    mirror, data = bench.fresh("two_fleets"), bench.fresh("cluster")
    for fleet, share in (("yellow", 10), ("green", 50)):
        bench.sample(mirror, first, last, fleet=fleet, trips_per_day=bench.trips_per_day // share)
    loaded = {}
    for runs_at_once in (4, 1):
        environment = bench.environment(data / str(runs_at_once), mirror, first, "yellow,green")
        # Servers of its own for each, so that none finds a cluster that is warm.
        with (
            TemporaryDirectory(prefix="taxi-services-") as servers_folder,
            running_servers(Path(servers_folder), cluster=True) as servers,
        ):
            environment |= servers.for_pipeline()
            run(MATERIALIZE_ZONES, environment)
            loaded[runs_at_once] = load(environment, days, runs_at_once=runs_at_once)
    (four, contents), (one, same) = loaded[4], loaded[1]
    if contents != same:
        raise RuntimeError(f"the tables differ: {contents} and {same}")
    what = f"{one.num_runs} months of two fleets, {contents['trips'][0] / 1e6:.1f} million trips"
    bench.add(
        "cluster",
        f"{what}, four at once",
        f"{four.seconds:.0f} s",
        f"{one.seconds:.0f} s one by one",
        ratio=four.seconds / one.seconds,
        most=1,
    )
    of_run = [f"{backfill.work / backfill.num_runs:.0f} s" for backfill in (four, one)]
    bench.note("cluster", "work of a run, four at once and one by one", ", ".join(of_run))


def cluster_costs(bench: Bench) -> None:
    """Measure what a larger month costs more: seconds, executors, shuffle, the store's bytes and requests."""
    from benchmarks.cluster import MeasuredCluster
    from taxi_pipeline_tests.faulty_proxy import faulty_proxy
    from taxi_pipeline_tests.services.servers import running_servers

    mirror = bench.fresh("months")
    # The first one finds a cluster that is cold, and is not counted; the last one is loaded a second time.
    months = dict(zip((1, 3, 5, 7), (20, 10, 2, 1), strict=True))
    for month, share in months.items():
        first, last = date(2023, month, 1), date(2023, month, 31)
        bench.sample(mirror, first, last, trips_per_day=bench.trips_per_day // share)
    with (
        TemporaryDirectory(prefix="taxi-services-") as folder,
        running_servers(Path(folder)) as servers,
        faulty_proxy(servers.s3) as proxy,
    ):
        measured = MeasuredCluster(Path(folder), servers, proxy)
        with measured.cluster.running():
            environment = bench.environment(bench.fresh("cluster_costs"), mirror, date(2023, 1, 1)) | measured.variables
            run(MATERIALIZE_ZONES, environment)
            loads = [measured.load(environment, date(2023, month, 1)) for month in (*months, *months)]
    _, small, between, large = loads[: len(months)]
    for what, load in (("new", small), ("new", between), ("new", large), ("replaced", loads[-1])):
        bench.note("cluster costs", f"{load.num_trips / 1e6:.1f} million trips, {what}", load.in_words)
    million = large.of_million_more_than(small)
    bench.note("cluster costs", "a million trips more", million.in_words)
    without = small.seconds - million.seconds * small.num_trips / 1e6
    bench.note("cluster costs", "a month without a trip", f"{without:.1f} s")


CASES: dict[str, Callable[[Bench], None]] = {
    "import": import_,
    "sample": sample,
    "month": month,
    "download": download,
    "object_store": object_store,
    "ui_run": ui_run,
    "load": load,
    "versions": versions,
    "queries": queries,
    "explorer": explorer,
    "backfill": backfill,
    "big_fleet": big_fleet,
    "year": year,
    "marts": marts,
    "tick": tick,
    "history": history,
    "cluster": cluster,
    "cluster_costs": cluster_costs,
}


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A plain HTTP server on loopback, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _pythonpath() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_PROXY": "127.0.0.1"}


def _s(measured: Measured) -> str:
    return f"{measured.seconds:.2f} s"


def _mb(measured: Measured) -> str:
    return f"{measured.peak_mb:,.0f} MB"


def _trips(bench: Bench) -> str:
    return f"{31 * bench.trips_per_day / 1e6:.1f} million"
