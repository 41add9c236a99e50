"""The sources beside the TLC: their files are fetched as the TLC's are, and one that fails changes nothing else."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.test_utils import freeze_time

from taxi_pipeline.defs.assets import sources as ours
from taxi_pipeline.defs.failures import message_of
from taxi_pipeline.defs.sources import build_source
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.sources.bases import BASES_SOURCE
from taxi_pipeline.sources.source import Contents, Source, SourceServers, read_csv
from taxi_pipeline.sources.weather import WEATHER_SOURCE
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.download import TLC_SERVER
from taxi_pipeline.tlc.http_transfer import FetchError, NoAnswerError, Patience
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.tables import Column, Kind, Table
from taxi_pipeline_tests.faulty_server import Answer, FaultyServer
from taxi_pipeline_tests.pipelines import Pipeline, check_of, error_of, materializations_of, table_of
from taxi_pipeline_tests.source_files import HEADER, by_day, by_station, days_from, write_lines

# Defined in a test: Dagster calls what our own modules are loaded with beta.
pytestmark = pytest.mark.filterwarnings("ignore:Function `multi_observable_source_asset`:dagster.BetaWarning")

MakePipeline = Callable[..., Pipeline]
SHORT = Patience(connect_seconds=2, read_seconds=2, attempts=2, first_pause_seconds=0.01, refusal_pauses_seconds=())
AT_ONCE = dg.RetryPolicy(max_retries=2, delay=0)
YEAR = "\n".join([HEADER, *by_day(days_from(date(2023, 1, 1), 365)), ""]).encode()
BASES = b"base_number,base_name,dba\nB02764,DANACH,UBER-DANACH\nB00009,T-D,FOUR ONES\n"


# Where a file comes from


def test_a_file_lies_where_it_is_published_or_on_the_mirror_or_where_it_is_set() -> None:
    published = SourceServers(tlc_url=TLC_SERVER)
    assert published.url_of(WEATHER_SOURCE) == WEATHER_SOURCE.published_at
    assert published.file_of(WEATHER_SOURCE) == "raw/central_park_weather.csv.gz", "NOAA publishes it compressed"
    assert published.file_of(BASES_SOURCE) == "raw/fhv_bases.csv", "whatever stands behind the question mark"
    mirror = SourceServers(tlc_url="file:///mirror", urls={"bases": "https://example.com/b.csv?x=1"})
    assert mirror.url_of(WEATHER_SOURCE) == "file:///mirror/misc/central_park_weather.csv"
    assert mirror.file_of(WEATHER_SOURCE) == "raw/central_park_weather.csv"
    assert mirror.url_of(BASES_SOURCE) == "https://example.com/b.csv?x=1"


def servers(server: FaultyServer) -> SourceServers:
    return SourceServers(tlc_url=server.url, patience=SHORT)


def test_a_file_is_fetched_once_and_requested_conditionally_afterwards(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/misc/fhv_bases.csv"] = [Answer(body=BASES, headers={"ETag": '"1"'})]
    files = LocalFolder(tmp_path)
    first, again = (servers(server).fetch(BASES_SOURCE, files) for _ in range(2))
    assert (first.downloaded, again.downloaded) == (True, False)
    assert [request.bytes_sent for request in server.requests] == [len(BASES), 0]
    assert [row[0] for row in servers(server).read(BASES_SOURCE, files).rows] == ["B00009", "B02764"]


def test_a_download_that_breaks_off_goes_on_where_it_ended(server: FaultyServer, tmp_path: Path) -> None:
    path = "/misc/central_park_weather.csv"
    whole = Answer(body=YEAR, headers={"ETag": '"1"'})
    server.answers[path] = [replace(whole, cut_at=9_000), whole]
    assert servers(server).fetch(WEATHER_SOURCE, LocalFolder(tmp_path)).downloaded
    assert sum(request.bytes_sent for request in server.requests) < len(YEAR) + 2_000


WRONG = {
    "empty": Answer(body=b""),
    "html": Answer(body=b"<html><title>Request Rejected</title></html>"),
    "json": Answer(body=b'{"error": true, "message": "throttled"}'),
    "another table": Answer(body=b"name,value\na,1\n"),
    "no rows": Answer(body=YEAR.splitlines()[0] + b"\n"),
    "half of the rows": Answer(body=b"\n".join(YEAR.splitlines()[:180])),
    "another station": Answer(body=YEAR.replace(b"USW00094728", b"USW00014732")),
    "another encoding": Answer(body=YEAR.decode().encode("utf-16")),
    "too short": Answer(body=YEAR, announced_length=len(YEAR) + 10, cut_at=len(YEAR) - 10),
    "moved": Answer(404, b"not found"),
    "forbidden": Answer(403, b"forbidden"),
    "down": Answer(503, b"down"),
}
"""What a server can answer in place of the file."""


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_never_takes_the_place_of_a_good_copy(server: FaultyServer, tmp_path: Path, wrong: str) -> None:
    path, files = "/misc/central_park_weather.csv", LocalFolder(tmp_path)
    server.answers[path] = [Answer(body=YEAR, headers={"ETag": '"1"'})]
    servers(server).fetch(WEATHER_SOURCE, files)
    server.answers[path] = [WRONG[wrong]]
    if wrong in ("too short", "moved", "forbidden", "down"):
        assert servers(server).fetch(WEATHER_SOURCE, files).warning, "the copy is used"
    else:
        with pytest.raises(FetchError, match="It was thrown away; nothing changed"):
            servers(server).fetch(WEATHER_SOURCE, files)
    assert files.read("raw/central_park_weather.csv") == YEAR


def test_a_file_that_shrank_says_what_to_do(server: FaultyServer, tmp_path: Path) -> None:
    path, files = "/misc/central_park_weather.csv", LocalFolder(tmp_path)
    lines = YEAR.splitlines()
    server.answers[path] = [
        Answer(body=YEAR),
        Answer(body=b"\n".join(lines[:362])),
        Answer(body=b"\n".join(lines[:363])),
    ]
    servers(server).fetch(WEATHER_SOURCE, files)
    with pytest.raises(FetchError, match=r"it has 361 rows, where the copy at hand has 365.*delete raw/central_park_w"):
        servers(server).fetch(WEATHER_SOURCE, files)
    assert servers(server).fetch(WEATHER_SOURCE, files).downloaded, "362 of 365 are 99 percent"


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda line: b",".join(line.split(b",")[:3] + line.split(b",")[7:]), ".*0 values of "),
        (lambda line: line.replace(b"TMAX", b"?").replace(b"TMIN", b"TMAX").replace(b"?", b"TMIN"), "0 values of "),
    ],
    ids=["columns left out", "columns exchanged"],
)
def test_a_file_that_lost_the_values_of_a_column_never_takes_the_place_of_a_good_copy(
    server: FaultyServer, tmp_path: Path, change: Callable[[bytes], bytes], lost: str
) -> None:
    """Regression: only rows were counted, so a file of highs and lows alone took all rain and snow away."""
    path, files = "/misc/central_park_weather.csv", LocalFolder(tmp_path)
    server.answers[path] = [Answer(body=YEAR), Answer(body=b"\n".join(map(change, YEAR.splitlines())))]
    servers(server).fetch(WEATHER_SOURCE, files)
    with pytest.raises(
        FetchError, match=rf"it has {lost}.*, where the copy at hand has 3\d\d.*delete raw/central_park"
    ):
        servers(server).fetch(WEATHER_SOURCE, files)
    assert files.read("raw/central_park_weather.csv") == YEAR


def test_a_published_version_is_asked_for_without_a_download(server: FaultyServer) -> None:
    path = "/misc/fhv_bases.csv"
    server.answers[path] = [Answer(body=BASES, headers={"ETag": '"1"'}), Answer(body=BASES, headers={"ETag": '"2"'})]
    one, two = (servers(server).published_version(BASES_SOURCE) for _ in range(2))
    assert one != two
    assert {request.method for request in server.requests} == {"HEAD"}
    server.answers[path] = [Answer(404)]
    assert servers(server).published_version(BASES_SOURCE) is None
    server.answers[path] = [Answer(503)]
    with pytest.raises(NoAnswerError):
        servers(server).published_version(BASES_SOURCE)


# In the graph


@pytest.fixture(scope="module")
def with_trips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with three weeks of yellow and fhvhv trips, bases and weather, all generated."""
    folder = tmp_path_factory.mktemp("mirror_of_sources")
    for fleet in ("yellow", "fhvhv"):
        write_mirror(folder, Days(date(2025, 1, 1), date(2025, 1, 21)), fleet=fleet, trips_per_day=100)
    return folder


ALL = [*ours.bases_assets, *ours.weather_assets]
MADE = [*ours.bases_assets[1:], *ours.weather_assets[1:], ours.calendar_days, ours.zone_places]


def made(pipeline: Pipeline, assets: Any = MADE) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(assets, resources=pipeline.resources, instance=instance, raise_on_error=False)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """The message of the only step that failed."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    return message_of(failed)


def test_bases_and_weather_become_tables(make_pipeline: MakePipeline, with_trips: Path) -> None:
    pipeline = make_pipeline(with_trips)
    result = made(pipeline)
    assert result.success, error_of(result)
    for name in ("bases_is_readable", "weather_is_readable"):
        assert check_of(result, name).passed
    assert pipeline.rows("SELECT company, count(*) FROM bases GROUP BY company ORDER BY company") == [
        ("Juno", 4),
        ("Lyft", 2),
        ("Uber", 30),
        ("Via", 2),
        ("other", 12),
    ]
    assert pipeline.rows("SELECT min(day), max(day), count(*) FROM weather_days") == [
        (date(2024, 1, 1), date(2025, 1, 21), 387)
    ]
    (weather,) = materializations_of(result, "weather_days")
    assert weather.metadata["synthetic"].value is True
    assert weather.metadata["dagster/row_count"].value == 387
    assert table_of(weather.metadata["preview"])[-1]["day"] == "2025-01-21"
    assert pipeline.rows("SELECT count(*), min(hours), max(hours) FROM calendar_days WHERE year(day) = 2024") == [
        (366, 23, 25)
    ]
    assert pipeline.rows("SELECT count(*) FROM zone_places JOIN zone_neighbors USING (zone_id)") == [(1206,)]


def test_days_have_their_weather_where_it_is_known(make_pipeline: MakePipeline, with_trips: Path) -> None:
    """The view is whole without weather, and has all of it with it."""
    pipeline = make_pipeline(with_trips)
    assert made(pipeline, [ours.calendar_days]).success
    fee = "SELECT event, holiday, high_f FROM days WHERE day = '2025-01-05'"
    ((event, holiday, high),) = pipeline.rows(fee)
    assert ("congestion" in event.lower(), holiday, high) == (True, None, None)
    assert made(pipeline).success
    (expected,) = pipeline.rows("SELECT high_f FROM weather_days WHERE day = '2025-01-05'")
    assert pipeline.rows(fee)[0][2] == expected[0]
    assert pipeline.rows("SELECT count(*) FROM days") == pipeline.rows("SELECT count(*) FROM calendar_days")


def test_a_source_that_fails_fails_nothing_else(
    make_pipeline: MakePipeline, with_trips: Path, tmp_path: Path, server: FaultyServer
) -> None:
    pipeline = make_pipeline(with_trips)
    pipeline.tlc = replace(pipeline.tlc, patience=SHORT)
    assert made(pipeline).success
    before = pipeline.rows("SELECT * FROM weather_days ORDER BY day")
    server.answers["/weather.csv"] = [WRONG["html"]]
    pipeline.source_urls = {"weather": f"{server.url}/weather.csv"}
    result = made(pipeline)
    assert {event.step_key for event in result.all_events if event.is_step_failure} == {"weather_file"}
    assert materializations_of(result, "weather_days") == []
    assert len(materializations_of(result, "bases")) == 1
    assert pipeline.rows("SELECT * FROM weather_days ORDER BY day") == before
    assert "Another URL can be set as TAXI_WEATHER_URL" in failure_of(result)
    assert len(server.requests) == 1, "what is something else is not asked for again"


@pytest.mark.parametrize(("answer", "attempts"), [("down", 3), ("moved", 1), ("json", 1)])
def test_only_a_server_that_does_not_answer_is_asked_again(
    make_pipeline: MakePipeline, with_trips: Path, server: FaultyServer, answer: str, attempts: int
) -> None:
    """By Dagster's own retries, which the run's page shows."""
    pipeline = make_pipeline(with_trips)
    pipeline.tlc = replace(pipeline.tlc, patience=SHORT)
    server.answers["/bases.csv"] = [WRONG[answer]]
    pipeline.source_urls = {"bases": f"{server.url}/bases.csv"}
    result = made(pipeline, build_source(BASES_SOURCE, retries=AT_ONCE)[1:2])
    assert not result.success
    restarts = [event for event in result.all_events if event.event_type == dg.DagsterEventType.STEP_RESTARTED]
    assert len(restarts) == attempts - 1


def test_an_observation_records_the_published_version(make_pipeline: MakePipeline, with_trips: Path) -> None:
    pipeline = make_pipeline(with_trips)
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = dg.Definitions(
            assets=ALL,
            jobs=[dg.define_asset_job("observe", selection=dg.AssetSelection.assets("weather_publication"))],
            resources=pipeline.resources,
        )
        assert definitions.resolve_job_def("observe").execute_in_process(instance=instance).success
        (record,) = instance.fetch_observations(dg.AssetKey("weather_publication"), limit=5).records
        assert record.asset_observation is not None
        version = record.asset_observation.tags["dagster/data_version"]
    assert version == pipeline.resources["sources"].published_version(WEATHER_SOURCE)


def test_values_that_cannot_be_read_warn(make_pipeline: MakePipeline, with_trips: Path, tmp_path: Path) -> None:
    lines = by_station(days_from(date(2025, 1, 1), 40))
    path = write_lines(tmp_path / "weather.csv.gz", [*lines[:70], *lines[77:]], compressed=True)
    pipeline = make_pipeline(with_trips)
    pipeline.source_urls = {"weather": path.as_uri()}
    result = made(pipeline, ours.weather_assets[1:])
    assert result.success, error_of(result)
    check = check_of(result, "weather_is_readable")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert [row["value"] for row in table_of(check.metadata["problems"])] == ["2025-01-11"]
    assert pipeline.rows("SELECT count(*) FROM weather_days") == [(39,)]


def test_generated_weather_is_not_put_beside_real_trips(make_pipeline: MakePipeline, with_trips: Path) -> None:
    pipeline = make_pipeline(with_trips)
    with pipeline.warehouse.write():
        pass
    pipeline.execute("INSERT INTO loaded_days VALUES ('yellow', DATE '2025-01-01', 1, 0, 'v', 1, FALSE, 42, 0, NULL)")
    result = made(pipeline)
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    assert failed == {"bases", "weather_days"}
    assert "central_park_weather.csv is synthetic, but the warehouse holds 1 days of real trips" in error_of(result)


# A source of one's own

STATIONS = Table(
    "subway_stations",
    "Entrances of the subway by zone.",
    (Column("zone_id", "SMALLINT", "Zone", nullable=False), Column("entrances", "INTEGER", "Number of entrances")),
    Kind.WHOLE,
)


def read_stations(path: Path) -> Contents:
    found = read_csv(path, "a list of subway stations", ("zone_id", "entrances"))
    return Contents([(int(values[0]), int(values[1])) for _, values in found.lines])


def test_a_source_of_ones_own_needs_no_change_of_ours(
    make_pipeline: MakePipeline, with_trips: Path, tmp_path: Path
) -> None:
    """Its table is made when it is first loaded, and its failure names no setting that there is not."""
    source = Source(
        name="stations",
        description="Entrances of the subway, made up.",
        published_at=(tmp_path / "stations.csv").as_uri(),
        file="stations.csv",
        table=STATIONS,
        read=read_stations,
    )
    pipeline = make_pipeline(with_trips)
    pipeline.source_urls = {"stations": source.published_at}
    result = made(pipeline, build_source(source)[1:])
    assert "Another URL" not in failure_of(result)
    write_lines(tmp_path / "stations.csv", ["zone_id,entrances", "4,2", "12,7"])
    assert made(pipeline, build_source(source)[1:]).success
    assert made(pipeline, build_source(source)[1:]).success
    assert pipeline.rows("SELECT * FROM subway_stations ORDER BY zone_id") == [(4, 2), (12, 7)]


# Automation


class Looks:
    """The looks of the automation sensor at the sources, over an instance in which a test records what happens."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._definitions = dg.Definitions(assets=ALL, resources=dict.fromkeys(("sources", "files", "warehouse"), None))
        self._cursor: Any = None

    def requested(self) -> set[str]:
        """The assets that are asked for at this look."""
        result = dg.evaluate_automation_conditions(
            self._definitions,
            self.instance,
            dg.AssetSelection.assets(*MADE_BY_AUTOMATION),
            cursor=self._cursor,
        )
        self._cursor = result.cursor
        return {each.key.to_user_string() for each in result.results if not each.true_subset.is_empty}

    def observe(self, asset: str, version: str) -> None:
        self.instance.report_runless_asset_event(dg.AssetObservation(asset, tags={"dagster/data_version": version}))

    def is_now(self, asset: str, state: FreshnessState) -> None:
        """Record what Dagster's daemon finds of the asset's age."""
        change = FreshnessStateChange(
            key=dg.AssetKey(asset),
            previous_state=FreshnessState.UNKNOWN,
            new_state=state,
            state_change_timestamp=time.time(),
        )
        self.instance._report_runless_asset_event(change)

    def make(self, asset: str, version: str) -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, tags={"dagster/data_version": version}))


MADE_BY_AUTOMATION = ("weather_file", "weather_days")


@pytest.fixture
def looks() -> Iterator[Looks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Looks(instance)


def test_a_file_is_fetched_when_it_changed_and_its_table_follows(looks: Looks) -> None:
    assert looks.requested() == {"weather_file", "weather_days"}, "they were never made"
    assert looks.requested() == set(), "each is asked for once"
    looks.observe("weather_publication", "1")
    looks.make("weather_file", "a")
    looks.make("weather_days", "a")
    looks.requested()
    assert looks.requested() == set()
    looks.observe("weather_publication", "1")
    assert looks.requested() == set(), "nothing changed"
    looks.observe("weather_publication", "2")
    assert looks.requested() == {"weather_file"}
    assert looks.requested() == set()
    looks.make("weather_file", "a")
    assert looks.requested() == set(), "the file is the same"
    looks.make("weather_file", "b")
    assert looks.requested() == {"weather_days"}
    assert looks.requested() == set()


def test_a_file_is_asked_for_every_morning_whatever_was_observed(looks: Looks) -> None:
    """Regression: a version that a server could not deliver once was forgotten until the next one."""
    morning = datetime(2026, 5, 4, 9, 5, tzinfo=UTC)  # five past five in New York
    with freeze_time(morning - timedelta(minutes=10)):
        looks.requested()
        looks.make("weather_file", "a")
        looks.make("weather_days", "a")
        looks.requested()
        assert looks.requested() == set()
    with freeze_time(morning):
        assert looks.requested() == {"weather_file"}
        assert looks.requested() == set()
    with freeze_time(morning + timedelta(days=1)):
        assert looks.requested() == {"weather_file"}


def test_a_file_that_is_overdue_is_asked_for_without_an_observation(looks: Looks) -> None:
    """Freshness acts, and once for each time that it fails."""
    looks.requested()
    looks.make("weather_file", "a")
    looks.make("weather_days", "a")
    looks.requested()
    looks.is_now("weather_file", FreshnessState.FAIL)
    assert looks.requested() == {"weather_file"}
    assert looks.requested() == set(), "a source that is down is not asked at each look"
    looks.is_now("weather_file", FreshnessState.PASS)
    assert looks.requested() == set()
