"""The rules of unusual days and trips, as plain functions."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from taxi_pipeline.quality.rules import DEFECTS, level, too_many
from taxi_pipeline.tlc.aggregated_report import PUBLISHED_AT, read_trips_per_day, report_url
from taxi_pipeline.tlc.download import TLC_SERVER
from taxi_pipeline.tlc.trip_files import UnusableFileError

DAY = date(2023, 3, 7)


def weeks_before(*counts: int) -> dict[tuple[str, date], int]:
    """Make a history with so many trips one week before the day, two weeks before, and so on."""
    return {("green", DAY - timedelta(weeks=n)): count for n, count in enumerate(counts, start=1)}


@pytest.mark.parametrize(
    ("num", "num_trips", "expected"),
    [
        (0, 0, False),
        (1, 30, False),  # one of thirty is random variation
        (2_000, 100_000, False),
        (2_100, 100_000, False),  # within random variation of 2 %
        (2_200, 100_000, True),
        (30, 100, True),
    ],
)
def test_small_days_are_not_reported_for_random_variation(num: int, num_trips: int, expected: bool) -> None:
    assert too_many(num, num_trips, 0.02) is expected


@pytest.mark.parametrize(
    ("name", "most"),
    [
        # Of 100,000 trips: the share, and four standard deviations of a count of that size.
        ("negative_totals_are_few", 2_000 + 178),
        ("passengers_are_counted", 25_000 + 632),
        ("zones_are_known", 4_000 + 252),
        ("dropoffs_follow_pickups", 50 + 28),
        ("distances_are_plausible", 400 + 80),
    ],
)
def test_a_day_of_each_defect_is_judged_at_its_limit(name: str, most: int) -> None:
    (defect,) = (defect for defect in DEFECTS if defect.name == name)
    assert not too_many(most, 100_000, defect.max_share)
    assert too_many(most + 1, 100_000, defect.max_share)


@pytest.mark.parametrize(("num_trips", "far"), [(1526, False), (1527, True), (474, False), (473, True)])
def test_a_day_is_far_from_its_weekday_beyond_forty_percent_and_random_variation(num_trips: int, far: bool) -> None:
    """For a usual number of 1,000 the limit is 400 and four standard deviations, which are 126."""
    found = level({**weeks_before(1000, 1000, 1000, 1000), ("green", DAY): num_trips}, "green", DAY)
    assert found is not None
    assert found.is_far is far


@pytest.mark.parametrize(
    ("num_trips", "far"), [(1000, False), (1350, False), (1600, True), (650, False), (400, True), (0, True)]
)
def test_a_day_is_compared_with_its_weekday(num_trips: int, far: bool) -> None:
    counts = weeks_before(1000, 980, 1020, 5, 1000, 990, 1010, 1000)  # a blizzard three weeks ago moves nothing
    found = level({**counts, ("green", DAY): num_trips}, "green", DAY)
    assert found is not None
    assert found.usual == 1000
    assert found.is_far is far


def test_other_weekdays_other_fleets_and_long_ago_do_not_count() -> None:
    counts = weeks_before(1000, 1000, 1000) | {("yellow", DAY - timedelta(weeks=4)): 1000}
    counts |= {("green", DAY - timedelta(days=1)): 1000, ("green", DAY - timedelta(weeks=9)): 1000}
    assert level({**counts, ("green", DAY): 1}, "green", DAY) is None, "three Tuesdays are too few"


def test_defects_are_declared_once_each() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) == 5
    assert all(0 < defect.max_share < 1 for defect in DEFECTS)


def test_the_report_lies_on_the_mirror_or_on_the_tlcs_site() -> None:
    assert report_url("file:///mirror") == "file:///mirror/misc/data_reports_monthly.csv"
    assert report_url(TLC_SERVER) == PUBLISHED_AT


def test_the_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text(
        "Month/Year,License Class,  Trips Per Day  ,Farebox Per Day\n"
        '2022-03,Yellow,"116,629",1\n2022-03,FHV - High Volume,"595,270",\n2022-03,Green,  -  ,1\n'
    )
    assert read_trips_per_day(path) == {
        ("yellow", date(2022, 3, 1)): 116_629,
        ("fhvhv", date(2022, 3, 1)): 595_270,
    }


@pytest.mark.parametrize("text", ["", "<html>403</html>", "Month/Year,License Class\n2022-03,Yellow\n", "a,b\nc"])
def test_what_is_not_the_report_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.csv").write_text(text)
    with pytest.raises(UnusableFileError, match="not the TLC's monthly report"):
        read_trips_per_day(tmp_path / "report.csv")


@pytest.mark.real_data
def test_the_real_report_has_three_fleets_through_the_years(real_tlc: Path) -> None:
    figures = read_trips_per_day(real_tlc / "misc" / "data_reports_monthly.csv")
    assert figures["yellow", date(2019, 1, 1)] == 247_315
    assert figures["green", date(2020, 4, 1)] == 1_186
    assert (min(m for _, m in figures), max(m for _, m in figures)) == (date(2010, 1, 1), date(2022, 3, 1))
    # The TLC's file of January 2020 has 20,569,368 rows: 0.01 % more than the report says.
    assert figures["fhvhv", date(2020, 1, 1)] * 31 == pytest.approx(20_569_368, rel=0.0002)
    assert len(figures) == 251 + 87
