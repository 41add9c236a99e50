"""Zones whose weeks are alike: planted kinds are found again, names follow, and the asset counts what the trips say."""

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise, product
from math import comb, sqrt
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from numpy.typing import NDArray

from taxi_pipeline.analysis.segments import (
    MIN_PICKUPS,
    MIN_ZONES,
    Segmentation,
    points_of,
    segments_of,
    silhouettes_of,
)
from taxi_pipeline.analysis.week_parts import AS_EVERYWHERE, PARTS, Comparison, compare, names_of
from taxi_pipeline.analysis.zone_profiles import FleetMonth, ZoneProfiles, zone_profiles
from taxi_pipeline.defs.assets.zone_segments import zone_segments
from taxi_pipeline.defs.code_location import build_definitions
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.defs.optional_groups import with_optional_groups
from taxi_pipeline.outputs.palette import EMPTY, KINDS
from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.outputs.zone_segments.chart import draw_segments
from taxi_pipeline.outputs.zone_segments.table import HEADER, months_words, segment_rows, summary_of, zone_rows
from taxi_pipeline.quality.reconciliation import segment_differences
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.codes import code_rows
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import Zone, read_zones
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.reference import replace_code_tables, replace_zones
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline.warehouse.tables import ZONE_SEGMENTS
from taxi_pipeline_tests.dbt_builds import build_marts
from taxi_pipeline_tests.pipelines import Pipeline, check_of, error_of, materializations_of, pipeline_in

Weeks = NDArray[np.float64]

PART = {part.name: part for part in PARTS}
JANUARY = FleetMonth("green", date(2023, 1, 1), 31)


def week_of(**more: float) -> Weeks:
    """A week of one trip in each hour, and of more in parts of it: how many times as many, by the part's name."""
    week = np.ones(168)
    for name, times in more.items():
        week[sorted(PART[name.replace("_", " ")].hours)] *= times
    return week / week.sum()


KINDS_OF_WEEKS = {
    "weekday mornings": week_of(weekday_mornings=3),
    "weekday evenings": week_of(weekday_evenings=3),
    "weekend nights": week_of(weekend_nights=3),
    "weekend days": week_of(weekend_days=2.5),
}


def profiles_of(counts: NDArray[np.int64], *, synthetic: bool = False) -> ZoneProfiles:
    """Profiles of one fleet, of zones × 168 counts over 52 weeks; the zones are squares side by side."""
    places = [
        Zone(number, f"Zone {number}", "Queens", f"POLYGON (({x} 40, {x} 41, {x + 1} 41, {x + 1} 40, {x} 40))")
        for number, x in enumerate(range(len(counts)), start=1)
    ]
    days = np.full((1, 168), 52)
    return ZoneProfiles(places, counts[None].astype(np.int64), days, [JANUARY], [], synthetic)


def planted(seed: int, pickups: int = 4 * MIN_PICKUPS, zones_of_each: int = 12) -> tuple[ZoneProfiles, list[int]]:
    """Zones of four kinds, mixed, with Poisson noise; and the number of each zone's kind."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.repeat(np.arange(len(KINDS_OF_WEEKS)), zones_of_each))
    sizes = pickups * rng.uniform(1, 3, len(kinds))
    weeks = np.array(list(KINDS_OF_WEEKS.values()))[kinds]
    return profiles_of(rng.poisson(sizes[:, None] * weeks)), kinds.tolist()


def rand_index(first: Sequence[int], second: Sequence[int]) -> float:
    """Hubert and Arabie's adjusted Rand index of two divisions: 1 if they are alike, about 0 for random ones."""

    def pairs(*keys: Sequence[int]) -> int:
        together = list(zip(*keys, strict=True))
        return sum(comb(together.count(key), 2) for key in set(together))

    expected = pairs(first) * pairs(second) / comb(len(first), 2)
    return (pairs(first, second) - expected) / ((pairs(first) + pairs(second)) / 2 - expected)


def agreement(one: Segmentation, other: Segmentation) -> float:
    """The adjusted Rand index over the zones that both have in segments."""
    both = sorted({*one.zones} & {*other.zones})
    return rand_index(*([each.zones[zone].segment_id for zone in both] for each in (one, other)))


def test_the_rand_index_by_hand() -> None:
    assert rand_index([1, 1, 2, 2], [7, 7, 5, 5]) == 1
    # Two pairs together in each, none in both: (0 - 4/6) / (2 - 4/6).
    assert rand_index([1, 1, 2, 2], [1, 2, 1, 2]) == pytest.approx(-0.5)
    # Of 15 pairs 6 are together in the first, 3 in the second, 2 in both: (2 - 18/15) / (4.5 - 18/15).
    assert rand_index([1, 1, 1, 2, 2, 2], [1, 1, 2, 2, 3, 3]) == pytest.approx(0.8 / 3.3)


# Segments


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pickups", [MIN_PICKUPS, 20 * MIN_PICKUPS])
def test_planted_kinds_are_found_again(seed: int, pickups: int) -> None:
    profiles, kinds = planted(seed, pickups)
    found = segments_of(profiles)
    chosen = [place.zone_id for place in profiles.places if place.zone_id in found.zones]
    labels = [found.zones[zone].segment_id for zone in chosen]
    assert rand_index(labels, [kinds[zone - 1] for zone in chosen]) >= 0.95
    assert sorted(segment.name for segment in found.segments) == sorted(KINDS_OF_WEEKS)
    assert [segment.segment_id for segment in found.segments] == [1, 2, 3, 4]
    trips = [segment.num_trips for segment in found.segments]
    assert trips == sorted(trips, reverse=True)
    for segment in found.segments:
        assert segment.num_trips == sum(int(profiles.pickups[zone - 1]) for zone in segment.zone_ids)
        assert [found.zones[zone].segment_id for zone in segment.zone_ids] == [segment.segment_id] * len(
            segment.zone_ids
        )


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_zones_does_not_matter(seed: int) -> None:
    profiles, _ = planted(seed)
    order = np.random.default_rng(seed).permutation(len(profiles.places))
    mixed = replace(
        profiles, places=[profiles.places[n] for n in order], counts=np.ascontiguousarray(profiles.counts[:, order])
    )
    one, other = segments_of(profiles), segments_of(mixed)
    assert {zone: its.segment_id for zone, its in one.zones.items()} == {
        zone: its.segment_id for zone, its in other.zones.items()
    }
    assert [segment.name for segment in one.segments] == [segment.name for segment in other.segments]


def test_equal_profiles_give_equal_bytes() -> None:
    first, second = (segments_of(planted(1)[0]) for _ in range(2))
    assert csv_text(HEADER, zone_rows(first)) == csv_text(HEADER, zone_rows(second))
    assert draw_segments(first) == draw_segments(second)


def test_the_minimum_is_enough() -> None:
    """A zone with exactly the minimum is in a segment, one with a trip less is not."""
    profiles, _ = planted(2)
    counts = profiles.counts[0].copy()
    for zone, pickups in ((0, MIN_PICKUPS), (1, MIN_PICKUPS - 1)):
        counts[zone] = 0
        counts[zone, : pickups % 167] = 1
        counts[zone, 167] = pickups - counts[zone].sum()
    found = segments_of(profiles_of(counts))
    assert 1 in found.zones
    assert 2 not in found.zones
    assert found.num_too_few == 1
    (row,) = [row for row in zone_rows(found) if row[0] == 2]
    assert row == (2, "Zone 2", "Queens", None, None, MIN_PICKUPS - 1, None, None)


def test_chance_alone_makes_no_segments() -> None:
    """Zones with one week differ by what is expected of chance, from the smallest to large ones."""
    for seed, pickups in product(range(5), (MIN_PICKUPS, 30 * MIN_PICKUPS)):
        counts = np.random.default_rng(seed).poisson(1.2 * pickups * np.tile(week_of(weekend_days=2), (40, 1)))
        found = segments_of(profiles_of(counts))
        # Measured 0.99 to 1.05.
        assert found.chance == pytest.approx(1, abs=0.15)
        assert found.segments == []
        words = "Of the differences between the weeks of the 40 zones with 1,000 pickups or more chance alone makes "
        assert found.why_none == f"{words}{min(found.chance or 0, 1):.0%}."


def test_chance_weighs_more_where_a_fleet_has_few_days() -> None:
    """A trip of a fleet with a week counts as 52 of one with a year."""
    profiles = profiles_of(np.full((2, 168), 52))
    assert profiles.effective_pickups == pytest.approx([168 * 52] * 2)
    two = replace(
        profiles,
        counts=np.concatenate([profiles.counts, np.full((1, 2, 168), 1)]),
        days=np.concatenate([profiles.days, np.full((1, 168), 1)]),
    )
    assert two.trips_per_hour == pytest.approx(np.full((2, 168), 2.0))
    # Half of the week's trips are a sample of 168: (2 * 168)² / (168² / 8736 + 168² / 168).
    assert two.effective_pickups == pytest.approx([4 / (1 / 8736 + 1 / 168)] * 2)


@pytest.mark.parametrize(
    ("counts", "why_none"),
    [
        (np.zeros((0, 168), dtype=np.int64), "No zone has 1,000 pickups or more, and 12 are needed."),
        (np.zeros((3, 168), dtype=np.int64), "No zone has 1,000 pickups or more, and 12 are needed."),
        (np.full((1, 168), 10), "1 zone has 1,000 pickups or more, and 12 are needed."),
        (np.full((MIN_ZONES - 1, 168), 10), "11 zones have 1,000 pickups or more, and 12 are needed."),
        (
            np.full((MIN_ZONES, 168), 10),
            "All of the weeks of the 12 zones with 1,000 pickups or more are equal.",
        ),
    ],
)
def test_without_segments_it_says_why(counts: NDArray[np.int64], why_none: str) -> None:
    found = segments_of(profiles_of(counts, synthetic=True))
    assert (found.segments, found.zones, found.why_none) == ([], {}, why_none)
    assert draw_segments(found).startswith(b"\x89PNG")
    assert [row[3] for row in zone_rows(found)] == [None] * len(counts)
    assert summary_of(found)["why_none"] == why_none
    assert [row[1] for row in segment_rows(found)] == ["the whole city"]


def test_the_fewest_zones_that_can_be_divided() -> None:
    counts = np.repeat(
        np.array([week_of(weekend_days=3), week_of(weekday_nights=3), week_of(weekday_evenings=3)]), 4, 0
    )
    found = segments_of(profiles_of(np.round(100_000 * counts).astype(np.int64)))
    assert sorted(list(segment.zone_ids) for segment in found.segments) == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    assert [its.distance for its in found.zones.values()] == pytest.approx([0] * 12)
    assert [its.silhouette for its in found.zones.values()] == pytest.approx([1] * 12)


def test_few_zones_far_from_all_others_do_not_put_the_others_into_one_segment() -> None:
    """Regression: with two such zones three segments were best, one of them with nearly all zones."""
    profiles, kinds = planted(3)
    counts = profiles.counts[0].copy()
    for zone, hour in ((0, 5), (1, 100)):
        counts[zone] = 0
        counts[zone, hour : hour + 3] = 2000
    found = segments_of(profiles_of(counts))
    assert max(len(segment.zone_ids) for segment in found.segments) <= len(found.zones) / 2
    others = [zone for zone in found.zones if zone > 2]
    labels = [found.zones[zone].segment_id for zone in others]
    assert rand_index(labels, [kinds[zone - 1] for zone in others]) >= 0.95


def test_distances_and_silhouettes_by_hand() -> None:
    """Hellinger's distance of two weeks without a common hour is 1; three points on a line for the silhouettes."""
    weeks = np.zeros((2, 168))
    weeks[0, 20], weeks[1, 100] = 1, 1
    first, second = points_of(weeks)
    assert sqrt(((first - second) ** 2).sum()) == pytest.approx(1)
    at = np.array([0.0, 1.0, 4.0])
    distances = np.abs(at[:, None] - at[None, :])
    # The first is 1 from its own and 4 from the other, the second 1 and 3; the third is by itself.
    assert silhouettes_of(distances, np.array([5, 5, 2])) == pytest.approx([3 / 4, 2 / 3, 0])


# Names


def compared(**more: float) -> Comparison:
    return compare(week_of(**more), week_of())


def test_parts_make_up_the_week() -> None:
    assert sorted(hour for part in PARTS for hour in part.hours) == list(range(168))
    assert {part.name: len(part.hours) for part in PARTS} == {
        "weekday mornings": 20,
        "weekday middays": 30,
        "weekday evenings": 20,
        "weekday late evenings": 20,
        "weekday nights": 30,
        "weekend days": 28,
        "weekend nights": 20,
    }
    assert {0, 5, 24 * 6 + 23, 24 * 5 + 20} <= PART["weekend nights"].hours
    assert 24 * 0 + 22 in PART["weekday late evenings"].hours, "Sunday evening is before a weekday"
    assert 24 * 1 + 2 in PART["weekday nights"].hours


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, AS_EVERYWHERE),
        ({"weekday_mornings": 1.05}, AS_EVERYWHERE),
        ({"weekday_mornings": 2}, "weekday mornings"),
        ({"weekday_mornings": 2, "weekend_days": 2}, "weekday mornings and weekend days"),
        ({"weekday_mornings": 3, "weekend_days": 1.5}, "weekday mornings"),
        ({"weekday_nights": 3, "weekend_nights": 3}, "nights"),
        ({"weekday_nights": 3, "weekend_nights": 3, "weekday_late_evenings": 3}, "late evenings and nights"),
        ({"weekday_mornings": 2, "weekday_middays": 2}, "weekday mornings and middays"),
        (
            {"weekday_mornings": 2, "weekend_days": 2, "weekend_nights": 2},
            "weekday mornings, weekend days and weekend nights",
        ),
    ],
)
def test_a_week_is_named_by_what_it_has_more_than_the_city(more: Mapping[str, float], name: str) -> None:
    assert names_of([compared(**more)]) == [name]


def test_weeks_of_one_name_are_told_apart() -> None:
    first = compared(weekday_mornings=5, weekday_evenings=1.3)
    second = compared(weekday_mornings=5, weekend_days=1.3)
    assert names_of([first, second]) == [
        "weekday mornings, with more weekday evenings",
        "weekday mornings, with more weekend days",
    ]
    assert names_of([first, compared(weekend_days=3), first]) == [
        "weekday mornings (1)",
        "weekend days",
        "weekday mornings (2)",
    ]


def test_ratio_of_a_part_without_trips() -> None:
    """Neither has any: as much as the city."""
    week = week_of(weekday_nights=0)
    assert compare(week, week).ratio(PARTS.index(PART["weekday nights"])) == 1


# The outputs


def test_months_in_words() -> None:
    profiles, _ = planted(1)
    months = [
        *(FleetMonth("green", date(2023, month, 1), Days.of_month(date(2023, month, 1)).num_days) for month in (1, 2)),
        FleetMonth("yellow", date(2023, 2, 1), 28),
        FleetMonth("green", date(2023, 3, 1), 7),
        FleetMonth("green", date(2023, 4, 1), 30),
        FleetMonth("green", date(2023, 6, 1), 30),
    ]
    found = segments_of(replace(profiles, months=months))
    assert months_words(found) == "green: 2023-01 to 2023-02, 2023-03 (7 days), 2023-04, 2023-06; yellow: 2023-02"
    assert months_words(replace(found, profiles=replace(profiles, months=[]))) == "no months"


def test_colours_are_told_apart_with_and_without_colour_vision() -> None:
    """Distances of the colours as Viénot's matrices show them to readers without red or green cones."""
    seen = {
        "all": np.eye(3),
        "no red": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
        "no green": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
    }
    rgb = {color: [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)] for color in (*KINDS, EMPTY)}
    assert len(rgb) == 9
    for matrix in seen.values():
        shown = {color: (matrix @ np.power(values, 2.2)).clip(0, 1) ** (1 / 2.2) for color, values in rgb.items()}
        apart = {
            (one, other): float(np.abs(shown[one] - shown[other]).max())
            for one, other in product(rgb, rgb)
            if one != other
        }
        # Of 0 to 1; measured 0.100, and without the last 0.162.
        assert min(apart.values()) > 0.095
        assert min(distance for pair, distance in apart.items() if KINDS[-1] not in pair) > 0.15


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_picture_says_what_is_generated(synthetic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    texts: list[str] = []
    draw = Figure.text
    monkeypatch.setattr(
        Figure, "text", lambda self, x, y, s, **style: (texts.append(s), draw(self, x, y, s, **style))[1]
    )
    found = segments_of(replace(planted(1)[0], synthetic=synthetic))
    draw_segments(found)
    assert any("SYNTHETIC" in text for text in texts) is synthetic
    for segment in found.segments:
        assert f"{segment.segment_id}  {segment.name}" in texts


# The warehouse

KINDS_SQL = {
    0: "dayofweek(day) BETWEEN 1 AND 5 AND hour BETWEEN 6 AND 9",
    1: "dayofweek(day) BETWEEN 1 AND 5 AND hour BETWEEN 16 AND 19",
    2: "dayofweek(day) IN (0, 6) AND hour BETWEEN 6 AND 19",
    3: "dayofweek(day) BETWEEN 1 AND 5 AND hour < 6",
}
"""Zone id, modulo 4 → when five times as many trips begin there."""
KIND_NAMES = ("weekday mornings", "weekday evenings", "weekend days", "weekday nights")
NUM_ZONES = 24
MONTHS = (Days(date(2023, 1, 1), date(2023, 1, 31)), Days(date(2023, 2, 1), date(2023, 2, 28)))
OLD = Days.of_month(date(2022, 2, 1))
"""A month that is one too many: it ends before the twelve that end with the newest."""


TRIPS_OF_DAYS = """
SELECT CAST(day AS DATE) AS day, day + hour * INTERVAL 1 HOUR + number * INTERVAL 1 SECOND AS began, zone_id, 5 AS total
FROM generate_series(TIMESTAMP '{days.first}', TIMESTAMP '{days.last}', INTERVAL 1 DAY) AS days(day),
    range(24) AS hours(hour), range(1, {num_zones} + 1) AS zones(zone_id), range(6) AS numbers(number)
WHERE number < CASE WHEN {more} THEN 5 ELSE 1 END + CASE WHEN (zone_id + hour) % 7 = 0 THEN 1 ELSE 0 END
"""
OTHERS_OF_DAYS = """
SELECT CAST(day AS DATE), day + INTERVAL 3 HOUR, zone_id, total
FROM generate_series(TIMESTAMP '{days.first}', TIMESTAMP '{days.last}', INTERVAL 1 DAY) AS days(day),
    (VALUES (1, 7), (1, -7), (264, 9)) AS others(zone_id, total)
"""
"""A void in zone 1, and a trip from nowhere."""


def plant(pipeline: Pipeline, fleet: str, days: Days) -> None:
    """Load planted trips of some days, and count them."""
    more = " OR ".join(f"(zone_id % 4 = {kind} AND {sql})" for kind, sql in KINDS_SQL.items())
    trips = TRIPS_OF_DAYS.format(days=days, num_zones=NUM_ZONES, more=more)
    pipeline.execute(
        "INSERT INTO trips (fleet, pickup_date, pickup_datetime, dropoff_datetime, pickup_zone_id, dropoff_zone_id, "
        "trip_distance, total_amount) SELECT ?, day, began, began, zone_id, zone_id, 1, total "
        f"FROM ({trips} UNION ALL {OTHERS_OF_DAYS.format(days=days)})",
        [fleet],
    )
    pipeline.execute(
        "INSERT INTO loaded_days (fleet, pickup_date, num_trips, num_rejected, file_version, file_rows, synthetic) "
        "SELECT fleet, pickup_date, count(*), 0, 'planted', 0, true FROM trips "
        "WHERE fleet = ? AND pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date",
        [fleet, days.first, days.last],
    )
    pipeline.warehouse.change(count_again, days, ["zone_hourly_trips"])


def square(zone_id: int) -> Zone:
    x = zone_id % 6
    y = zone_id // 6
    shape = f"POLYGON (({x} {y}, {x} {y + 1}, {x + 1} {y + 1}, {x + 1} {y}, {x} {y}))"
    return Zone(zone_id, f"Zone {zone_id}", "Queens", shape)


def with_zones(folder: Path, zones: Sequence[Zone]) -> Pipeline:
    """A pipeline whose warehouse has zones and codes."""
    made = pipeline_in(folder, folder / "mirror", ("green", "yellow"))
    made.warehouse.change(replace_zones, zones, "zones", synthetic=True)
    made.warehouse.change(replace_code_tables, code_rows())
    return made


def make_mart(pipeline: Pipeline) -> None:
    assert isinstance(pipeline.warehouse, DuckDBWarehouse)
    build_marts(pipeline.warehouse, ["stg_loaded_days", "zone_week_hours"], pipeline.folder / "dbt")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """24 zones of four kinds, in two months of green taxis, three days of yellow ones, and a month long before."""
    pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
    made = with_zones(
        tmp_path_factory.mktemp("segments"),
        [*map(square, range(1, NUM_ZONES + 1)), Zone(264, "Unknown", "Unknown", None)],
    )
    for days in (*MONTHS, OLD):
        plant(made, "green", days)
    plant(made, "yellow", Days(date(2023, 2, 1), date(2023, 2, 3)))
    make_mart(made)
    return made


@pytest.fixture
def own_pipeline(pipeline: Pipeline, tmp_path: Path) -> Pipeline:
    """A copy of the pipeline that a test may change."""
    return pipeline_in(Path(shutil.copytree(pipeline.folder, tmp_path / "data")), pipeline.tlc.url, ("green", "yellow"))


def materialize(pipeline: Pipeline) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [zone_segments],
            resources=pipeline.resources,
            instance=instance,
            run_config=QUIET,
            raise_on_error=False,
        )


def made(pipeline: Pipeline) -> tuple[dg.ExecuteInProcessResult, dict[str, Any]]:
    """The asset, materialized, and its metadata."""
    result = materialize(pipeline)
    assert result.success, error_of(result)
    (materialization,) = materializations_of(result, "zone_segments")
    return result, {name: value.value for name, value in materialization.metadata.items()}


WINDOW = "fleet = 'green' AND pickup_date >= '2022-03-01' AND pickup_zone_id < 264"


@pytest.mark.slow
def test_the_asset_has_what_plain_queries_count(own_pipeline: Pipeline) -> None:
    result, metadata = made(own_pipeline)
    rows = list(csv.DictReader(io.StringIO(own_pipeline.files.read_text("outputs/zone_segments.csv"))))
    counted = own_pipeline.rows(
        "SELECT pickup_zone_id, count(*) - CASE pickup_zone_id WHEN 1 THEN 2 * count(DISTINCT pickup_date) ELSE 0 END "
        f"FROM trips WHERE {WINDOW} GROUP BY 1 ORDER BY 1"
    )
    assert [(int(row["zone_id"]), int(row["num_pickups"])) for row in rows] == counted
    assert [row["segment"] for row in rows] == [KIND_NAMES[int(row["zone_id"]) % 4] for row in rows]
    assert check_of(result, "segments_match_mart").passed
    assert metadata["trips"] == sum(trips for _, trips in counted)
    assert metadata["months"] == "green: 2023-01 to 2023-02"
    assert metadata["fleets_left_out"] == "yellow"
    assert (metadata["segments"], metadata["zones_in_segments"], metadata["dagster/row_count"]) == (4, 24, 24)
    assert metadata["synthetic"] is True
    mornings = next(record.data for record in metadata["by_segment"].records if record.data["segment"] == KIND_NAMES[0])
    ((share,),) = own_pipeline.rows(
        "WITH hours AS (SELECT pickup_zone_id, dayofweek(pickup_date) AS weekday, hour(pickup_datetime) AS hour, "
        f"count(*) / count(DISTINCT pickup_date) AS trips FROM net_trips WHERE {WINDOW} AND pickup_zone_id % 4 = 0 "
        "GROUP BY ALL), shares AS (SELECT sum(trips) FILTER (weekday BETWEEN 1 AND 5 AND hour BETWEEN 6 AND 9) "
        "/ sum(trips) AS share FROM hours GROUP BY pickup_zone_id) SELECT avg(share) FROM shares"
    )
    assert mornings["weekday mornings"] == f"{share:.1%}"
    in_the_table = own_pipeline.rows("SELECT * FROM zone_segments ORDER BY zone_id")
    assert [tuple(map(str, row)) for row in in_the_table] == [tuple(row.values()) for row in rows]
    with own_pipeline.warehouse.read() as session:
        assert list(session.column_types("zone_segments").items()) == list(ZONE_SEGMENTS.column_types.items())


@pytest.mark.slow
def test_made_again_the_files_are_the_same(own_pipeline: Pipeline) -> None:
    names = ("outputs/zone_segments.csv", "outputs/zone_segments.png")
    _, first = made(own_pipeline)
    files = {name: own_pipeline.files.read(name) for name in names}
    rows = own_pipeline.rows("SELECT * FROM zone_segments ORDER BY zone_id")
    own_pipeline.execute(
        "CREATE TABLE marts.mixed AS SELECT * FROM marts.zone_week_hours ORDER BY hash(zone_id, hour_of_week, month)"
    )
    own_pipeline.execute("DROP TABLE marts.zone_week_hours")
    own_pipeline.execute("ALTER TABLE marts.mixed RENAME TO zone_week_hours")
    _, second = made(own_pipeline)
    assert {name: own_pipeline.files.read(name) for name in names} == files
    assert own_pipeline.rows("SELECT * FROM zone_segments ORDER BY zone_id") == rows
    assert first["by_segment"] == second["by_segment"]


@pytest.mark.slow
def test_the_check_names_zones_that_differ(own_pipeline: Pipeline) -> None:
    made(own_pipeline)
    text = own_pipeline.files.read_text("outputs/zone_segments.csv")
    header, *lines = text.splitlines()
    fleets = ("green", "yellow")

    def differences(rows: Sequence[str]) -> list[int]:
        changed = "\n".join([header, *rows])
        return [zone for zone, *_ in own_pipeline.warehouse.query(segment_differences, changed, fleets, MIN_PICKUPS)]

    assert differences(lines) == []
    assert differences(lines[1:]) == [1]
    assert differences([*lines, lines[4]]) == [5]
    zone, name, borough, _, _, trips, *fit = lines[6].split(",")
    assert differences([*lines[:6], ",".join([zone, name, borough, "", "", trips, *fit]), *lines[7:]]) == [7]
    assert differences([line.replace(f",{trips},", f",{int(trips) + 1},") for line in lines]) == [
        number for number, line in enumerate(lines, start=1) if f",{trips}," in line
    ]


@pytest.mark.slow
def test_a_month_more_moves_the_window(own_pipeline: Pipeline) -> None:
    """Twelve months count, each fleet over its own days."""
    before = own_pipeline.warehouse.query(zone_profiles, ["green"])
    plant(own_pipeline, "green", Days.of_month(date(2022, 3, 1)))
    make_mart(own_pipeline)
    after = own_pipeline.warehouse.query(zone_profiles, ["green"])
    assert [f"{month.month:%Y-%m}" for month in after.months] == ["2022-03", "2023-01", "2023-02"]
    assert [month.num_days for month in after.months] == [31, 31, 28]
    assert after.counts.sum() > before.counts.sum()
    # Each hour of each weekday has the same planted trips in all months.
    assert after.trips_per_hour == pytest.approx(before.trips_per_hour)
    assert before.days[0].reshape(7, 24)[:, 0].tolist() == [9, 9, 9, 8, 8, 8, 8]


@pytest.mark.slow
@pytest.mark.parametrize("sql", ["DELETE FROM marts.zone_week_hours", "DROP SCHEMA marts CASCADE"])
def test_without_a_month_in_the_mart_it_says_so(own_pipeline: Pipeline, sql: str) -> None:
    """It is no failure: `taxi-pipeline materialize --reports` of some days makes no mart, and all the other outputs."""
    own_pipeline.execute(sql)
    result, metadata = made(own_pipeline)
    assert (
        metadata["why_none"]
        == "The mart zone_week_hours has no month with all seven weekdays yet; the job marts makes it."
    )
    assert metadata["months"] == "no months"
    assert check_of(result, "segments_match_mart").passed
    assert own_pipeline.rows("SELECT count(*), count(segment_id), sum(num_pickups) FROM zone_segments") == [(24, 0, 0)]


# The graph


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dbt's own, of which there are many
def test_it_is_in_the_graph_below_the_mart() -> None:
    pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
    definitions = build_definitions(settings=Settings.from_environment({"TAXI_NOTEBOOKS": "off"}))
    graph = definitions.resolve_asset_graph()
    node = graph.get(dg.AssetKey("zone_segments"))
    assert node.parent_keys == {dg.AssetKey(["marts", "zone_week_hours"]), dg.AssetKey("taxi_zones")}
    assert (node.group_name, node.pools, node.partitions_def) == ("analysis", {"duckdb"}, None)
    assert node.owners == ["team:taxi-pipeline"]
    assert {key.name for key in node.check_keys} == {"segments_match_mart"}
    analyses = definitions.resolve_job_def("analyses").asset_layer.selected_asset_keys
    assert analyses == {dg.AssetKey("zone_segments"), dg.AssetKey("congestion_fee")}


def test_without_marts_it_is_not_in_the_graph() -> None:
    definitions = build_definitions(settings=Settings.from_environment({"TAXI_NOTEBOOKS": "off", "TAXI_MARTS": "off"}))
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert "congestion_fee" in keys
    assert not [key for key in keys if "zone_segments" in key or key.startswith("marts")]
    kept, jobs = with_optional_groups([zone_segments])
    assert kept == []
    assert "analyses" in [job.name for job in jobs]


def test_it_is_made_again_when_a_month_of_the_mart_is_made() -> None:
    mart = dg.AssetKey(["marts", "zone_week_hours"])
    months = dg.MonthlyPartitionsDefinition("2023-01-01", end_date="2023-04-01")
    specs = [dg.AssetSpec(mart, partitions_def=months), dg.AssetSpec("taxi_zones")]
    definitions = dg.Definitions(
        assets=[*specs, zone_segments], resources=dict.fromkeys(("warehouse", "files", "tlc", "pages"), None)
    )
    with dg.DagsterInstance.ephemeral() as instance:
        cursor, asked = None, []
        for reported in (
            None,
            dg.AssetMaterialization(mart, partition="2023-01-01"),
            None,
            dg.AssetMaterialization("zone_segments"),
            dg.AssetMaterialization(mart, partition="2023-02-01"),
            None,
        ):
            if reported:
                instance.report_runless_asset_event(reported)
            result = dg.evaluate_automation_conditions(
                definitions, instance, dg.AssetSelection.assets("zone_segments"), cursor=cursor
            )
            cursor = result.cursor
            asked.append(result.total_requested)
    assert asked == [0, 1, 0, 0, 1, 0]


# Real months

GREEN = ("2022-10", "2022-11", "2022-12", "2023-01", "2023-02", "2023-03", "2023-04", "2023-05", "2023-06")


@pytest.fixture(scope="module")
def real_mart(
    real_warehouse: DuckDBWarehouse, real_tlc: Path, tmp_path_factory: pytest.TempPathFactory
) -> DuckDBWarehouse:
    """The mart of all real months at hand, of which a test takes some."""
    pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
    folder = tmp_path_factory.mktemp("real_segments")
    shutil.copy(real_warehouse.location, folder / "data.duckdb")
    warehouse = DuckDBWarehouse(folder / "data.duckdb")
    for month in GREEN:
        warehouse.change(count_again, Days.of_month(date.fromisoformat(f"{month}-01")), ["zone_hourly_trips"])
    warehouse.change(replace_zones, read_zones(real_tlc / "misc" / "taxi_zones.zip"), "zones", synthetic=False)
    warehouse.change(replace_code_tables, code_rows())
    span = Days(date(2022, 10, 1), date(2023, 6, 30))
    build_marts(warehouse, ["stg_loaded_days", "zone_week_hours"], folder / "dbt", span)
    return warehouse


def of_months(warehouse: DuckDBWarehouse, months: Sequence[str]) -> Segmentation:
    """The segments of some months of green taxis: those of a copy of the mart that has no others."""
    kept = ", ".join(f"DATE '{month}-01'" for month in months)
    with warehouse.write() as session:
        assert isinstance(session, DuckDBSession)
        session.execute(f"CREATE TABLE marts.others AS SELECT * FROM marts.zone_week_hours WHERE month NOT IN ({kept})")
        session.execute(f"DELETE FROM marts.zone_week_hours WHERE month NOT IN ({kept})")
        found = segments_of(zone_profiles(session, ["green"]))
        session.execute("INSERT INTO marts.zone_week_hours SELECT * FROM marts.others")
        session.execute("DROP TABLE marts.others")
    return found


@pytest.mark.real_data
@pytest.mark.slow
def test_green_taxis_really(real_mart: DuckDBWarehouse) -> None:
    """What the nine months say: nightlife in Williamsburg, nights in Queens, mornings in Harlem."""
    found = of_months(real_mart, GREEN)
    assert {segment.name: len(segment.zone_ids) for segment in found.segments} == {
        "weekday evenings": 13,
        "weekday mornings and weekend days": 12,
        "nights": 18,
        "weekday late evenings and weekend nights": 3,
        "weekend nights": 4,
    }
    names = {segment.name: set(segment.zone_ids) for segment in found.segments}
    zones = {place.zone: place.zone_id for place in found.profiles.places}
    assert names["weekend nights"] == {
        zones[name]
        for name in ("East Williamsburg", "Greenpoint", "Williamsburg (North Side)", "Williamsburg (South Side)")
    }
    assert {zones["Astoria"], zones["Jackson Heights"], zones["Park Slope"]} <= names["nights"]
    assert {zones["Central Harlem"], zones["East Harlem North"]} <= names["weekday mornings and weekend days"]
    # Measured 0.055 and 0.254.
    assert found.chance is not None
    assert 0.04 < found.chance < 0.07
    assert 0.23 < found.silhouettes[5] < 0.28


@pytest.mark.real_data
@pytest.mark.slow
def test_what_a_month_more_and_other_months_change_really(real_mart: DuckDBWarehouse) -> None:
    """Measured 0.84, 1.00 and 0.85 for a month more, 0.66 between the halves, 0.82 between every other month."""
    grown = [of_months(real_mart, GREEN[:count]) for count in (6, 7, 8, 9)]
    assert min(agreement(one, other) for one, other in pairwise(grown)) >= 0.8
    assert agreement(of_months(real_mart, GREEN[:4]), of_months(real_mart, GREEN[4:])) >= 0.6
    assert agreement(of_months(real_mart, GREEN[::2]), of_months(real_mart, GREEN[1::2])) >= 0.75
