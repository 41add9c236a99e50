"""Files of the next month are fetched while a month is loaded: what arrives, and what does not."""

import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from taxi_pipeline.month_files import fetch_month, fetching_ahead
from taxi_pipeline.storage import Storage, open_storage
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.http_transfer import Patience
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.source import TlcSource
from taxi_pipeline_tests.faulty_server import Answer, FaultyServer

FEBRUARY = Days(date(2023, 2, 1), date(2023, 2, 28))
FILE = "raw/green_tripdata_2023-02.parquet"
PATH = "/trip-data/green_tripdata_2023-02.parquet"


@pytest.fixture
def files(tmp_path: Path) -> Storage:
    return open_storage((tmp_path / "files").as_uri(), scratch=tmp_path / "scratch")


@pytest.fixture
def tlc(server: FaultyServer, mirror: Path) -> TlcSource:
    """A server with the files of the mirror."""
    server.folder = mirror
    return TlcSource(
        url=server.url, zones_url=f"{server.url}/misc/taxi_zones.zip", fleets=["green"], patience=Patience(attempts=1)
    )


def test_a_month_that_was_fetched_ahead_is_not_downloaded_again(
    tlc: TlcSource, files: Storage, server: FaultyServer
) -> None:
    with fetching_ahead(tlc, files, FEBRUARY):
        pass
    assert files.exists(FILE)
    assert not fetch_month(tlc, GREEN, FEBRUARY.first, files).downloaded
    bytes_of_answers = [request.bytes_sent for request in server.asked(PATH)]
    assert bytes_of_answers.count(0) == len(bytes_of_answers) - 1, "one answer has the file"


def test_what_cannot_be_fetched_ahead_is_left_to_its_run(tlc: TlcSource, files: Storage, server: FaultyServer) -> None:
    server.answers[PATH] = [Answer(body=b"<html>busy</html>")]
    with fetching_ahead(tlc, files, FEBRUARY):
        pass
    assert not files.exists(FILE)
    del server.answers[PATH]
    assert fetch_month(tlc, GREEN, FEBRUARY.first, files).downloaded


def test_a_month_that_can_not_be_itself_is_not_taken_ahead(
    tlc: TlcSource, files: Storage, server: FaultyServer, mirror: Path
) -> None:
    """The same judgement as in the run that needs it."""
    january = (mirror / "trip-data" / "green_tripdata_2023-01.parquet").read_bytes()
    server.answers[PATH] = [Answer(body=january)]
    with fetching_ahead(tlc, files, FEBRUARY):
        pass
    assert not files.exists(FILE)


def test_a_download_is_given_up_when_the_run_beside_it_ends_by_an_error(
    tlc: TlcSource, files: Storage, server: FaultyServer
) -> None:
    """Ctrl-C does not wait for a file that trickles for minutes."""
    server.answers[PATH] = [Answer(body=bytes(3_000_000), trickle=(1_000, 0.1))]
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), fetching_ahead(tlc, files, FEBRUARY):
        while not server.asked(PATH):
            time.sleep(0.05)
        raise KeyboardInterrupt
    assert time.monotonic() - begun < 60
    assert not files.exists(FILE)


def test_a_server_that_refuses_is_not_waited_for(tlc: TlcSource, files: Storage, server: FaultyServer) -> None:
    """Regression: the month that was loaded waited 390 s, without a word, for the next one."""
    server.answers[PATH] = [Answer(403)]
    begun = time.monotonic()
    with fetching_ahead(replace(tlc, patience=Patience()), files, FEBRUARY):
        pass
    assert time.monotonic() - begun < 25
    assert not files.exists(FILE)


def test_nothing_is_fetched_ahead_of_the_last_month(tlc: TlcSource, files: Storage, server: FaultyServer) -> None:
    with fetching_ahead(replace(tlc, url=server.url), files, None):
        pass
    assert server.requests == []
