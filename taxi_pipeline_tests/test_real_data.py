"""Real months of the TLC, against plain queries over the published files."""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from taxi_pipeline.tlc.aggregated_report import read_report
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.tables import TRIPS
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.pipelines import EVERYTHING, Pipeline, check_of, table_of

pytestmark = pytest.mark.real_data

PREFIX = {"yellow": "tpep", "green": "lpep"}


def raw(tlc: Path, fleet: str, months: Sequence[str], select: str) -> list[tuple[Any, ...]]:
    """A plain query over published files: `trips` has those inside their file's month, `all_trips` every row."""
    files = [str(tlc / "trip-data" / f"{fleet}_tripdata_{month}.parquet") for month in months]
    with duckdb.connect() as connection:
        return connection.execute(
            f"""
            WITH all_trips AS (
                SELECT *, {PREFIX[fleet]}_pickup_datetime AS pickup, filename[-15:-9] AS month
                FROM read_parquet(?, union_by_name = true, filename = true)
            ), trips AS (FROM all_trips WHERE strftime(pickup, '%Y-%m') = month)
            {select}
            """,
            [files],
        ).fetchall()


def months_between(first: str, last: str) -> list[str]:
    days = Days(date.fromisoformat(first), date.fromisoformat(last))
    return [f"{part.first:%Y-%m}" for part in days.by_month()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fleet", "first", "last", "warnings"),
    [
        # Across the change of types in February 2023.
        ("green", "2022-12-01", "2023-06-30", {}),
        # Null-typed columns, rows of 2009, a collapse of trips.
        (
            "green",
            "2020-03-01",
            "2020-04-30",
            {"passengers_are_counted": 1, "vendors_are_sound": None, "trips_near_usual_level": 20},
        ),
        # cbd_congestion_fee; half the usual on New Year's Day.
        ("green", "2024-12-01", "2025-01-31", {"trips_near_usual_level": 1}),
        # airport_fee null-typed; a sample of the trips that the TLC reports.
        ("yellow", "2019-01-01", "2019-03-31", {"trips_match_tlc_report": None}),
    ],
)
def test_every_trip_is_accounted_for_and_totals_are_the_files(
    make_pipeline: Callable[..., Pipeline],
    real_tlc: Path,
    fleet: str,
    first: str,
    last: str,
    warnings: dict[str, int | None],
) -> None:
    months = months_between(first, last)
    pipeline = make_pipeline(real_tlc, fleets=(fleet,))
    result = pipeline.run(first, last)
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert {check.severity.value for check in failed} <= {"WARN"}
    bad_days = {check.check_name: check.metadata.get("num_bad_days") for check in failed}
    assert {name: value and value.value for name, value in bad_days.items()} == warnings
    assert f"{len(months)} months compared" in str(check_of(result, "trips_conserved").description)

    ((published,),) = raw(real_tlc, fleet, months, "SELECT count(*) FROM all_trips")
    ((trips,),) = pipeline.rows("SELECT count(*) FROM trips")
    ((rejected,),) = pipeline.rows("SELECT count(*) FROM rejected_trips")
    assert trips + rejected == published > 0
    assert rejected > 0, "each of these ranges has rows outside their month"

    weeks = raw(
        real_tlc,
        fleet,
        months,
        """
        SELECT CAST(pickup AS DATE) - CAST(dayofweek(pickup) AS INTEGER) AS period, count(*),
            round(sum(total_amount), 2), round(sum(trip_distance), 2), sum(passenger_count)
        FROM trips GROUP BY period ORDER BY period
        """,
    )
    header, *rows = csv.reader((pipeline.folder / "outputs" / "trips_by_week.csv").read_text().splitlines())
    assert header == ["period", "num_trips", "total_amount", "trip_distance", "passenger_count"]
    expected = [
        [str(p), str(n), f"{amount:.2f}", f"{miles:.2f}", str(int(who or 0))] for p, n, amount, miles, who in weeks
    ]
    assert rows == expected

    zones = dict(raw(real_tlc, fleet, months, "SELECT PULocationID, count(*) FROM trips GROUP BY ALL"))
    stats = json.loads((pipeline.folder / "staging" / "manhattan_stats.geojson").read_text())
    counted = {feature["properties"]["zone_id"]: feature["properties"]["num_trips"] for feature in stats["features"]}
    assert len(stats["features"]) == len(counted) == 69
    assert counted == {zone_id: zones.get(zone_id, 0) for zone_id in counted}
    assert stats["coverage"]["synthetic"] is False


@pytest.mark.parametrize(
    ("fleet", "first", "last"),
    [
        ("green", "2020-03-01", "2020-04-30"),
        ("green", "2025-01-01", "2025-01-31"),
        ("yellow", "2019-01-01", "2019-03-31"),
    ],
)
def test_sums_of_every_column_are_the_files(
    make_pipeline: Callable[..., Pipeline], real_tlc: Path, fleet: str, first: str, last: str
) -> None:
    """Whatever is published comes back: dollars, codes, seconds and texts, of trips and rejected rows together."""
    pipeline = make_pipeline(real_tlc, fleets=(fleet,))
    pipeline.run(first, last, select=("taxi_zones_file", "taxi_zones", "taxi_trips_file", "taxi_trips"))
    months = months_between(first, last)
    names = [name for name, *_ in raw(real_tlc, fleet, months, "SELECT column_name FROM (DESCRIBE all_trips)")]
    sources = FLEETS[fleet].sources_in(names)
    assert len(sources) >= 18, "all but the names of the file and the month"
    for column, source in sources.items():
        (published,) = source.names
        type_ = TRIPS.column_types[column]
        ours, theirs = column, f"CAST({published} AS {type_})"
        if type_ == "VARCHAR":
            ours, theirs = f"ascii({column})", f"ascii({published})"
        elif type_ == "TIMESTAMP":
            ours, theirs = f"epoch({column})", f"epoch({published})"
        total = "SELECT count({0}), CAST(coalesce(sum({0}), 0) AS VARCHAR) FROM {1}"
        both = f"(SELECT {column} FROM trips UNION ALL SELECT {column} FROM rejected_trips)"
        (found,) = pipeline.rows(total.format(ours, both))
        (expected,) = raw(real_tlc, fleet, months, total.format(theirs, "all_trips"))
        assert (found[0], float(found[1])) == (expected[0], pytest.approx(float(expected[1]), rel=1e-12)), column


def test_trips_per_day_are_those_of_the_tlcs_own_report(make_pipeline: Callable[..., Pipeline], real_tlc: Path) -> None:
    """Two wholes that were counted by others: the months for which both the trips and the report are at hand."""
    pipeline = make_pipeline(real_tlc, fleets=("green",))
    check = check_of(pipeline.run("2020-03-01", "2020-04-30"), "trips_match_tlc_report")
    assert check.passed
    compared = table_of(check.metadata["months"])
    names = ("fleet", "month", "trips per day", "in the report", "difference")
    assert dict(zip(names, ("green", "2020-03", 7209, 7205, "+0.05%"), strict=True)) in compared
    assert dict(zip(names, ("green", "2020-04", 1188, 1186, "+0.16%"), strict=True)) in compared
    minutes = table_of(check.metadata["minutes"])
    assert [(row["month"], row["minutes per trip"], row["difference"]) for row in minutes] == [
        ("2020-03", 15.31, "+0.11"),
        ("2020-04", 14.3, "-0.20"),
    ]
    assert table_of(check.metadata["known_deviations"]) == []
    pipeline.execute("DELETE FROM loaded_days WHERE pickup_date = '2020-04-30'")
    pipeline.execute("UPDATE loaded_days SET num_trips = num_trips * 1.02 WHERE pickup_date < '2020-04-01'")
    again = check_of(pipeline.run_job(dg.AssetSelection.all_asset_checks(), {}), "trips_match_tlc_report")
    assert (again.passed, again.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "2020-04" not in str(again.metadata["months"].value), "no longer whole"


def test_the_two_numbers_of_a_month_are_explained(make_pipeline: Callable[..., Pipeline], real_tlc: Path) -> None:
    """The queries of docs/real-data.md, on a month at hand, and the outputs' smaller numbers of it."""
    pipeline = make_pipeline(real_tlc, fleets=("green",))
    pipeline.run("2023-03-01", "2023-03-31")
    page = (REPOSITORY / "docs" / "real-data.md").read_text()
    queries = page.partition("```sql\n")[2].partition("```")[0].replace("'yellow'", "'green'").split(";")
    (rows,), (in_manhattan,) = (pipeline.rows(query)[0] for query in queries[:2])
    stats = json.loads((pipeline.folder / "staging" / "manhattan_stats.geojson").read_text())
    counted = sum(feature["properties"]["num_trips"] for feature in stats["features"])
    ((trips,),) = pipeline.rows("SELECT count(*) FROM trips")
    for number in (rows, trips, in_manhattan, counted):
        assert f"{number:,}" in page, number
    assert (rows, in_manhattan) == raw(
        real_tlc,
        "green",
        ["2023-03"],
        "SELECT count(*), count(*) FILTER (PULocationID IN (SELECT LocationID FROM read_csv("
        f"'{real_tlc}/misc/taxi_zone_lookup.csv') WHERE Borough = 'Manhattan')) FROM all_trips",
    )[0]


def test_the_farebox_is_the_total_without_the_tip(real_tlc: Path) -> None:
    """As docs/data-quality.md says: of green 2020-03 to the dollar, of 2020-04 3 % less than the report."""
    report = read_report(real_tlc / "misc" / "data_reports_monthly.csv")
    for month, difference in (("2020-03", 0.0), ("2020-04", -0.03)):
        ((dollars,),) = raw(real_tlc, "green", [month], "SELECT sum(total_amount - tip_amount) FROM trips")
        (figure,) = [
            found.farebox_dollars_per_day
            for found in report.indicators
            if (f"{found.month:%Y-%m}", found.license_class) == (month, "Green")
        ]
        days = Days.of_month(date.fromisoformat(f"{month}-01")).num_days
        assert figure
        assert dollars / days / figure - 1 == pytest.approx(difference, abs=0.002 if difference else 1e-5)


def test_zones_that_location_ids_lack_are_counted_under_their_names(
    make_pipeline: Callable[..., Pipeline], real_tlc: Path
) -> None:
    """Regression: 57, 104 and 105 are no LocationID of the zone file, 264 and 265 have no shape."""
    pipeline = make_pipeline(real_tlc, fleets=("green",))
    pipeline.load("2023-03-01", "2023-03-31")
    counted = pipeline.rows(
        "SELECT zone_id, zone, count(*) FROM trips JOIN zones ON zone_id = pickup_zone_id "
        "WHERE zone_id IN (56, 57, 264, 265) GROUP BY ALL ORDER BY ALL"
    )
    published = raw(
        real_tlc,
        "green",
        ["2023-03"],
        "SELECT PULocationID, count(*) FROM trips WHERE PULocationID IN (56, 57, 264, 265) GROUP BY ALL ORDER BY ALL",
    )
    assert [(zone_id, count) for zone_id, _, count in counted] == published
    assert [name for _, name, _ in counted] == ["Corona", "Corona", "Unknown", "Outside of NYC"]
    names = pipeline.rows("SELECT zone_id, zone FROM zones WHERE zone_id IN (57, 103, 104, 105) ORDER BY ALL")
    island = "Governor's Island/Ellis Island/Liberty Island"
    assert names == [(57, "Corona"), (103, island), (104, island), (105, island)]


def test_a_month_published_again_with_other_types_gives_the_same_trips(
    make_pipeline: Callable[..., Pipeline], real_tlc: Path, tmp_path: Path
) -> None:
    mirror = Path(shutil.copytree(real_tlc / "misc", tmp_path / "mirror" / "misc")).parent
    (mirror / "trip-data").mkdir()
    name = "green_tripdata_2024-01.parquet"
    target = mirror / "trip-data" / name
    pipeline = make_pipeline(mirror, fleets=("green",))
    found = []
    for source in ("trip-data", "republished"):
        shutil.copyfile(real_tlc / source / name, target)
        pipeline.run("2024-01-01", "2024-01-31", select=EVERYTHING)
        found.append(
            (
                pipeline.rows("SELECT * FROM trips ORDER BY ALL"),
                pipeline.rows("SELECT * FROM rejected_trips ORDER BY ALL"),
                pipeline.bytes_of_outputs(),
                pipeline.rows("SELECT DISTINCT file_version FROM loaded_days"),
            )
        )
    first, second = found
    assert first[:3] == second[:3]
    assert first[3] != second[3], "the version is that of the bytes"


@pytest.mark.real_data
def test_what_the_docs_say_of_unknown_payments_and_of_trips_without_miles(real_tlc: Path) -> None:
    """In docs/data-quality.md: card and unknown together are the TLC's card share; trips of no miles by vendor."""
    files = str(real_tlc / "trip-data" / "green_tripdata_*.parquet")
    rows = duckdb.execute(
        "SELECT filename, "
        "round(100 * avg(CASE WHEN payment_type = 1 THEN 1 ELSE 0 END), 1), "
        "round(100 * avg(CASE WHEN payment_type IS NULL THEN 1 ELSE 0 END), 1), "
        "round(100 * avg(CASE WHEN coalesce(payment_type, 1) = 1 THEN 1 ELSE 0 END), 1) "
        "FROM read_parquet(?, union_by_name = true, filename = true) GROUP BY filename",
        [files],
    ).fetchall()
    shares = {Path(name).stem[-7:]: tuple(found) for name, *found in rows}
    assert shares["2020-03"] == (41.7, 21.1, 62.8)
    assert shares["2020-04"] == (34.4, 31.3, 65.7)
    assert min(shares, key=lambda month: shares[month][1]) == "2024-12"
    assert max(shares, key=lambda month: shares[month][1]) == "2020-04"
    assert shares["2024-12"][1] == 3.7
    no_miles = duckdb.execute(
        "SELECT round(100 * avg(CASE WHEN trip_distance = 0 THEN 1 ELSE 0 END), 2), "
        'round(100 * avg(CASE WHEN trip_distance = 0 THEN 1 ELSE 0 END) FILTER ("VendorID" = 1), 1) '
        "FROM read_parquet(?, union_by_name = true)",
        [files],
    ).fetchall()
    assert no_miles == [(4.75, 18.2)]
