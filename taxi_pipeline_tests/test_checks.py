"""Each check fails when what it checks does not hold: the warehouse or a file is changed behind the pipeline's back."""

import json
import shutil
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.defs.checks import CHECKS
from taxi_pipeline.quality.evaluation import Verdict, evaluate_loaded
from taxi_pipeline.quality.reconciliation import (
    UNEQUAL,
    column_differences,
    conservation,
    expected_manhattan,
    expected_weeks,
    flow_differences,
    histogram_days,
    hourly_differences,
    net_days,
    week_differences,
    zone_ids,
    zones_in_geojson,
)
from taxi_pipeline.quality.rules import DAYS_LOOKED_BACK, MIN_DAYS, MIN_SPREAD, usual_limit
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import CODE_TABLES, TABLES, WAREHOUSE_VERSION
from taxi_pipeline_tests.pipelines import Pipeline, materializations_of, pipeline_in, range_tags, table_of


def run_checks(pipeline: Pipeline, days: tuple[str, str] | None = None) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the checks alone, for some days or for all; check name → evaluation."""
    result = pipeline.run_job(dg.AssetSelection.all_asset_checks(), range_tags(*days) if days else {})
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def compare(pipeline: Pipeline, days: tuple[str, str] | None = None) -> dict[str, Verdict]:
    """Run the checks' comparisons without a run of Dagster: check name → verdict."""
    of = Days(*map(date.fromisoformat, days)) if days else None
    return pipeline.warehouse.query(_compare, of, pipeline)


def _compare(session: Session, days: Days | None, pipeline: Pipeline) -> dict[str, Verdict]:
    conserved = conservation(session, days)
    weeks = expected_weeks(session, days, pipeline.tlc.fleets)
    csv_text = pipeline.files.read_text("outputs/trips_by_week.csv")
    zones = zones_in_geojson(pipeline.files.read_text("staging/manhattan_stats.geojson"))
    wrong = {
        "trips_conserved": [*conserved.wrong_days, *conserved.months_with(UNEQUAL)],
        "hourly_trips_match_trips": hourly_differences(session, days),
        "published_is_net_and_voids": [day for day in net_days(session, days) if not day.is_right],
        "histograms_match_trips": histogram_days(session, days),
        "borough_flows_match_trips": flow_differences(session, days),
        "weekly_totals_match_trips": week_differences(csv_text, ("period",), weeks.all_fleets, weeks.weeks),
        "manhattan_stats_match_trips": set(zones) ^ set(expected_manhattan(session, days, pipeline.tlc.fleets).zones),
        "zone_ids_unique": [] if zone_ids(session).are_right else ["wrong"],
        **{f"{table.name}_columns_as_declared": column_differences(session, table) for table in TABLES},
    }
    verdicts = {name: Verdict(not rows, str(rows)) for name, rows in wrong.items()}
    broken = {name for name in wrong if name.endswith("_as_declared") and wrong[name]}
    return verdicts | ({} if broken else evaluate_loaded(session, days))


@pytest.fixture(scope="module")
def loaded_once(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with all of February and a day of January."""
    folder = tmp_path_factory.mktemp("loaded")
    pipeline_in(folder, mirror).run("2023-01-31", "2023-02-28")
    return folder


@pytest.fixture
def loaded(loaded_once: Path, mirror: Path, tmp_path: Path) -> Pipeline:
    """A copy of it that a test may spoil."""
    return pipeline_in(Path(shutil.copytree(loaded_once, tmp_path / "data")), mirror)


def failed(pipeline: Pipeline, days: tuple[str, str] | None = None) -> set[str]:
    return {name for name, verdict in compare(pipeline, days).items() if not verdict.passed}


def test_all_pass_by_themselves_over_everything_loaded(loaded: Pipeline) -> None:
    checks = run_checks(loaded)
    assert set(checks) == {spec.name for check in CHECKS for spec in check.check_specs}
    assert len(checks) == 41
    assert all(check.passed for check in checks.values())
    assert "2 months compared" in str(checks["trips_conserved"].description)
    assert all(verdict.passed for verdict in compare(loaded).values())
    assert set(compare(loaded)) - set(checks) == {
        f"{table.name}_columns_as_declared" for table in (*CODE_TABLES, WAREHOUSE_VERSION)
    }


def test_a_check_reports_what_differs(loaded: Pipeline) -> None:
    """A difference becomes the evaluation that the UI shows, with severity and days."""
    loaded.execute("DELETE FROM trips WHERE rowid = (SELECT min(rowid) FROM trips WHERE pickup_date = '2023-02-07')")
    checks = run_checks(loaded)
    assert {name for name, check in checks.items() if not check.passed} == failed(loaded)
    assert checks["trips_conserved"].severity == dg.AssetCheckSeverity.ERROR
    (day,) = table_of(checks["trips_conserved"].metadata["wrong_days"])
    assert (day["day"], day["trips in file"] - day["trips in table"]) == ("2023-02-07", 1)


def test_blocking_checks() -> None:
    blocking = {spec.name for check in CHECKS for spec in check.check_specs if spec.blocking}
    assert blocking == {"trips_conserved", "zone_ids_unique"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "DELETE FROM trips WHERE rowid = (SELECT min(rowid) FROM trips WHERE pickup_date = '2023-02-07')",
            {
                "trips_conserved",
                "hourly_trips_match_trips",
                "histograms_match_trips",
                "borough_flows_match_trips",
                "weekly_totals_match_trips",
            },
        ),
        (
            "INSERT INTO trips SELECT * FROM trips WHERE rowid = "
            "(SELECT min(rowid) FROM trips WHERE pickup_date = '2023-02-07')",
            {
                "trips_conserved",
                "hourly_trips_match_trips",
                "histograms_match_trips",
                "borough_flows_match_trips",
                "weekly_totals_match_trips",
            },
        ),
        (
            "DELETE FROM zone_hourly_trips WHERE pickup_date = '2023-02-07'",
            {"hourly_trips_match_trips", "published_is_net_and_voids"},
        ),
        ("DELETE FROM zone_hourly_voids", {"published_is_net_and_voids"}),
        ("DELETE FROM trip_histograms WHERE pickup_date = '2023-02-07'", {"histograms_match_trips"}),
        (
            "UPDATE trip_histograms SET bin = bin - 1 WHERE measure = 'trip_distance' AND bin = 8",
            {"histograms_match_trips"},
        ),
        ("UPDATE trip_histograms SET num_trips = num_trips + 1 WHERE bin = 4", {"histograms_match_trips"}),
        (
            "UPDATE zone_hourly_trips SET total_amount = total_amount + 0.01 WHERE pickup_date = '2023-02-07'",
            {"hourly_trips_match_trips"},
        ),
        ("INSERT INTO zones SELECT * FROM zones WHERE zone_id = 56", {"zone_ids_unique"}),
        ("UPDATE zones SET zone_id = 103 WHERE zone_id = 104", {"zone_ids_unique", "manhattan_stats_match_trips"}),
        ("UPDATE zones SET geometry = NULL WHERE zone_id = 4", {"zone_ids_unique"}),
        ("ALTER TABLE zones ADD COLUMN note VARCHAR", {"zones_columns_as_declared"}),
        ("ALTER TABLE trips ALTER tip_amount TYPE DOUBLE", {"trips_columns_as_declared"}),
        ("ALTER TABLE rejected_trips DROP COLUMN reason", {"rejected_trips_columns_as_declared"}),
    ],
)
def test_a_change_past_the_pipeline_is_detected(loaded: Pipeline, change: str, expected: set[str]) -> None:
    loaded.execute(change)
    assert expected <= failed(loaded) <= expected | {"manhattan_stats_match_trips", "borough_flows_match_trips"}


def test_rejected_rows_that_vanish_are_noticed(loaded: Pipeline) -> None:
    loaded.execute(
        "INSERT INTO rejected_trips BY NAME "
        "SELECT *, CAST('2023-02-01' AS DATE) AS month, 'x' AS reason FROM trips LIMIT 1"
    )
    assert failed(loaded) == {"trips_conserved"}


def test_rejected_rows_are_compared_day_by_day(loaded: Pipeline) -> None:
    """This holds for a month that is not wholly loaded, too."""
    loaded.execute("UPDATE loaded_days SET num_rejected = num_rejected + 1 WHERE pickup_date = '2023-01-31'")
    verdict = compare(loaded, ("2023-01-31", "2023-01-31"))["trips_conserved"]
    assert not verdict.passed
    assert "('yellow', datetime.date(2023, 1, 31)," in verdict.description


SPOIL = "UPDATE trips SET {} WHERE rowid IN (SELECT rowid FROM trips WHERE pickup_date = '2023-02-07' LIMIT 200)"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (SPOIL.format("total_amount = -1"), "negative_totals_are_few"),
        (SPOIL.format("passenger_count = NULL").replace("200", "1000"), "passengers_are_counted"),
        (SPOIL.format("pickup_zone_id = 264"), "zones_are_known"),
        (SPOIL.format("dropoff_zone_id = 264"), "zones_are_known"),
        (SPOIL.format("dropoff_datetime = pickup_datetime - INTERVAL 1 MINUTE"), "dropoffs_follow_pickups"),
        (SPOIL.format("trip_distance = 100.001"), "distances_are_plausible"),
        ("UPDATE loaded_days SET num_trips = 0 WHERE pickup_date = '2023-02-07'", "days_have_trips"),
    ],
)
def test_a_day_with_many_defects_warns_and_is_named(loaded: Pipeline, change: str, expected: str) -> None:
    loaded.execute(change)
    verdict = compare(loaded)[expected]
    assert not verdict.passed
    assert "yellow 2023-02-07" in verdict.description
    assert verdict.numbers["num_bad_days"] == 1
    assert verdict.table
    (row,) = verdict.table[2]
    assert row[:2] == ("yellow", date(2023, 2, 7))
    assert expected not in failed(loaded, ("2023-02-08", "2023-02-09")), "other days are fine"


def test_trips_of_a_vendor_with_a_known_defect_are_named_and_not_reported_for_it(loaded: Pipeline) -> None:
    """Regression: one vendor made `dropoffs_follow_pickups` warn on most days."""
    loaded.execute(SPOIL.format("vendor_id = 6, dropoff_datetime = pickup_datetime - INTERVAL 1 MINUTE"))
    checks = compare(loaded)
    assert checks["dropoffs_follow_pickups"].passed
    assert not checks["vendors_are_sound"].passed
    assert "200 trips of yellow: Vendor 6 (Myle) writes the number of the month" in (
        checks["vendors_are_sound"].description
    )
    assert checks["vendors_are_sound"].table
    ((fleet, defect, num, *_),) = checks["vendors_are_sound"].table[2]
    assert (fleet, defect, num) == ("yellow", "minutes_are_months", 200)


def test_the_limit_of_missing_passengers_follows_the_fleets_last_year(loaded: Pipeline) -> None:
    """Regression: a fleet whose trips lack passengers in most of a year was reported on each of its days."""
    loaded.execute("UPDATE trips SET passenger_count = NULL WHERE rowid % 5 < 4")
    check = compare(loaded, ("2023-02-01", "2023-02-28"))["passengers_are_counted"]
    assert check.numbers["num_bad_days"] == 27, "the 28th has 28 days before it"
    for days in (28, 56):
        loaded.execute(
            f"INSERT INTO trips SELECT * REPLACE (pickup_date - {days} AS pickup_date) FROM trips "
            "WHERE pickup_date BETWEEN '2023-02-01' AND '2023-02-28'"
        )
    assert compare(loaded, ("2023-02-01", "2023-02-28"))["passengers_are_counted"].passed

    loaded.execute("UPDATE trips SET passenger_count = NULL WHERE pickup_date = '2023-02-07'")
    check = compare(loaded, ("2023-02-01", "2023-02-28"))["passengers_are_counted"]
    assert check.table
    name, header, ((*_, fixed, by_year),) = check.table
    assert (name, header[-2:]) == ("bad_days", ("fixed limit", "usual limit"))
    assert (fixed, check.numbers["num_bad_days"]) == ("50.00%", 1)
    assert 80 < float(by_year.rstrip("%")) < 100
    loaded.execute("UPDATE trips SET passenger_count = 1 WHERE pickup_date < '2023-02-07'")
    loaded.execute("UPDATE trips SET passenger_count = NULL WHERE pickup_date = '2023-02-08' AND rowid % 5 > 0")
    loaded.execute("UPDATE trips SET passenger_count = 1 WHERE pickup_date = '2023-02-08' AND rowid % 5 = 0")
    check = compare(loaded, ("2023-02-08", "2023-02-08"))["passengers_are_counted"]
    assert not check.passed, "it follows a year without missing passengers as well"


def test_usual_limit_is_robust_and_accepts_a_lasting_change_after_a_quarter() -> None:
    assert usual_limit([0.3] * (MIN_DAYS - 1)) is None
    steady = [0.05 + 0.001 * (n % 10) for n in range(DAYS_LOOKED_BACK)]
    usual = usual_limit(steady)
    assert usual == pytest.approx(0.057 + 1.5 * MIN_SPREAD)
    assert usual_limit([*steady[30:], *[0.9] * 30]) == pytest.approx(usual, abs=0.005), "a month of odd days"
    changed = usual_limit([*steady[100:], *[0.4] * 100])
    assert changed is not None
    assert changed > 0.4, "a level that lasts"


def test_months_whose_totals_are_not_the_sum_of_their_parts_are_named(loaded: Pipeline) -> None:
    before = compare(loaded)["parts_add_up"]
    assert before.passed
    assert float(before.numbers["share"]) < 0.05
    loaded.execute("UPDATE trips SET mta_tax = mta_tax + 1 WHERE pickup_date >= '2023-02-01' AND rowid % 5 < 2")
    check = compare(loaded)["parts_add_up"]
    assert (check.passed, check.numbers["num_bad_months"]) == (False, 1)
    assert "yellow 2023-02" in check.description
    assert check.table
    (january, february) = check.table[2]
    assert (january[:2], february[:2]) == (("yellow", "2023-01"), ("yellow", "2023-02"))
    assert float(february[5]) == pytest.approx(-0.4, abs=0.1), "dollars, on average"
    loaded.execute("UPDATE loaded_days SET num_columns = NULL WHERE pickup_date >= '2023-02-01'")
    assert compare(loaded)["parts_add_up"].passed, "days that were loaded without the columns are not judged"


@pytest.mark.parametrize(
    ("pickup", "dropoff", "passes"),
    [
        ("2023-11-05 01:50:00", "2023-11-05 01:10:00", True),  # clocks went back in between
        ("2023-11-05 00:50:00", "2023-11-05 00:10:00", False),  # another hour
        ("2023-11-12 01:50:00", "2023-11-12 01:10:00", False),  # another Sunday
        ("2023-11-05 01:50:00", "2023-11-04 01:10:00", False),  # another day
    ],
)
def test_a_trip_in_the_hour_in_which_clocks_go_back_may_end_before_it_begins(
    loaded: Pipeline, pickup: str, dropoff: str, passes: bool
) -> None:
    loaded.execute(
        f"UPDATE trips SET pickup_datetime = '{pickup}', dropoff_datetime = '{dropoff}', pickup_date = '{pickup[:10]}' "
        "WHERE pickup_date = '2023-02-07'"
    )
    assert compare(loaded, (pickup[:10], pickup[:10]))["dropoffs_follow_pickups"].passed is passes


def test_a_day_far_from_the_usual_warns(loaded: Pipeline) -> None:
    """Four Tuesdays before it are loaded when the fifth is judged."""
    loaded.execute(
        "INSERT INTO loaded_days SELECT fleet, pickup_date - 28, num_trips, 0, 'x', 1, synthetic, NULL, 0, NULL "
        "FROM loaded_days WHERE pickup_date >= '2023-02-01'"
    )
    assert compare(loaded)["trips_near_usual_level"].passed
    loaded.execute("UPDATE loaded_days SET num_trips = num_trips / 3 WHERE pickup_date = '2023-02-28'")
    check = run_checks(loaded, ("2023-02-28", "2023-02-28"))["trips_near_usual_level"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "yellow 2023-02-28" in str(check.description)
    assert check.metadata["num_judged_days"].value == 1


def test_days_whose_coordinates_lie_in_no_zone_are_named(loaded: Pipeline) -> None:
    assert compare(loaded)["coordinates_are_placed"].description == "skipped: no day with coordinates"
    day = ("2009-02-07", "2009-02-07")
    loaded.execute(
        "UPDATE trips SET pickup_date = '2009-02-07', pickup_zone_id = 7, dropoff_zone_id = 7 "
        "WHERE pickup_date = '2023-02-07'"
    )
    verdict = compare(loaded, day)["coordinates_are_placed"]
    assert (verdict.passed, verdict.numbers["share_placed"]) == (True, 1.0)
    loaded.execute("UPDATE trips SET pickup_zone_id = 264 WHERE pickup_date = '2009-02-07'")
    verdicts = compare(loaded, day)
    verdict = verdicts["coordinates_are_placed"]
    assert (verdict.passed, verdict.numbers["share_placed"]) == (False, 0.5)
    assert verdict.description == "days that have less than 95% of them in a zone: yellow 2009-02-07"
    assert verdicts["zones_are_known"].passed, "one check for it is enough"


def test_fleets_are_not_blamed_for_what_they_do_not_publish(loaded: Pipeline) -> None:
    loaded.execute(
        "UPDATE trips SET fleet = 'fhv', passenger_count = NULL, total_amount = NULL, pickup_zone_id = 264 "
        "WHERE pickup_date = '2023-02-07'"
    )
    checks = compare(loaded, ("2023-02-07", "2023-02-07"))
    assert checks["passengers_are_counted"].passed
    assert checks["zones_are_known"].passed
    loaded.execute("UPDATE trips SET fleet = 'fhvhv' WHERE pickup_date = '2023-02-07'")
    checks = compare(loaded, ("2023-02-07", "2023-02-07"))
    assert checks["passengers_are_counted"].passed
    assert not checks["zones_are_known"].passed, "high-volume trips have their zones"


def test_values_that_did_not_fit_are_reported_by_column(loaded: Pipeline) -> None:
    """Regression: the columns were parsed out of the reason, wrongly where a row had several."""
    outside = "pickup outside the month"
    reason = f"{outside}; fare_amount does not fit DECIMAL(12, 2): ten; vendor_id does not fit SMALLINT: x"
    for columns, rows in (("fare_amount,vendor_id", 3), (None, 2)):
        _reject(loaded, columns, reason if columns else outside, rows)
    verdict = compare(loaded)["values_fit"]
    assert (verdict.passed, verdict.description) == (False, "3 rows rejected")
    assert verdict.table
    (row,) = verdict.table[2]
    assert row[3:] == ("fare_amount,vendor_id", reason, 3)
    assert compare(loaded, ("2023-02-08", "2023-02-28"))["values_fit"].passed
    loaded.execute(
        "UPDATE loaded_days SET num_unfit = 2, unfit_values = '2 × ehail_fee' "
        "WHERE fleet = 'yellow' AND pickup_date = ?",
        ["2023-02-08"],
    )
    verdict = compare(loaded)["values_fit"]
    assert (verdict.passed, verdict.description) == (False, "3 rows rejected, 2 values are NULL")
    assert verdict.table
    assert verdict.table[2][-1][3:] == ("NULL in trips", "2 × ehail_fee", 2)


def _reject(loaded: Pipeline, columns: str | None, reason: str, num_rows: int) -> None:
    loaded.execute(
        "INSERT INTO rejected_trips BY NAME SELECT *, CAST('2023-02-01' AS DATE) AS month, ? AS reason, "
        f"? AS misfit_columns FROM trips WHERE pickup_date = '2023-02-07' LIMIT {num_rows}",
        [reason, columns],
    )


def test_the_report_is_not_fetched_where_there_is_nothing_to_compare(loaded: Pipeline) -> None:
    check = run_checks(loaded)["trips_match_tlc_report"]
    assert (check.passed, check.description) == (True, "skipped: the trips are synthetic")
    loaded.execute("UPDATE loaded_days SET synthetic = FALSE")
    check = run_checks(loaded, ("2023-01-31", "2023-01-31"))["trips_match_tlc_report"]
    assert (check.passed, check.description) == (True, "skipped: no month is wholly loaded")
    check = run_checks(loaded)["trips_match_tlc_report"]
    assert check.passed
    assert "skipped: there is no report to compare with" in str(check.description)


def test_the_weekly_csv_is_compared(loaded: Pipeline) -> None:
    path = loaded.folder / "outputs" / "trips_by_week.csv"
    header, first, *rest = path.read_text().splitlines()
    period, trips, others = first.split(",", 2)
    path.write_text("\n".join([header, f"{period},{int(trips) + 1},{others}", *rest]))
    assert failed(loaded) == {"weekly_totals_match_trips"}
    assert run_checks(loaded)["weekly_totals_match_trips"].severity == dg.AssetCheckSeverity.ERROR
    path.write_text("\n".join([header, *rest]))
    assert failed(loaded) == {"weekly_totals_match_trips"}, "a week is missing"
    rows = [row.split(",") for row in (first, *rest)]
    exchanged = [",".join([period, trips, miles, dollars, *more]) for period, trips, dollars, miles, *more in rows]
    path.write_text("\n".join([header, *exchanged]))
    verdict = compare(loaded)["weekly_totals_match_trips"]
    assert not verdict.passed, "dollars stand in the column of miles"
    path.write_text("\n".join([header.replace("num_trips", "trips"), first, *rest]))
    assert compare(loaded)["weekly_totals_match_trips"].description == "['the column num_trips is missing']"
    path.write_text("\n".join([header, first, first, *rest]))
    assert compare(loaded)["weekly_totals_match_trips"].description == f"['{period} is there twice']"


def test_the_statistics_are_compared(loaded: Pipeline) -> None:
    path = loaded.folder / "staging" / "manhattan_stats.geojson"
    stats = json.loads(path.read_text())
    path.write_text(json.dumps({**stats, "features": stats["features"][1:]}))
    assert failed(loaded) == {"manhattan_stats_match_trips"}, "a zone is missing"
    stats["features"][5]["properties"]["num_trips"] += 1
    path.write_text(json.dumps(stats))
    assert failed(loaded) == {"manhattan_stats_match_trips"}


def test_trips_that_another_run_has_just_loaded_are_no_error_of_the_files(loaded: Pipeline) -> None:
    """Regression: of eight runs at once some failed, because the others' trips were not yet in the CSV."""
    loaded.run("2023-01-30", select=["taxi_trips_file", "taxi_trips"])
    checks = run_checks(loaded)
    for name in ("weekly_totals_match_trips", "manhattan_stats_match_trips"):
        assert (checks[name].passed, checks[name].severity) == (False, dg.AssetCheckSeverity.WARN)


def test_checks_of_a_run_look_at_its_days(loaded: Pipeline) -> None:
    """A day more costs the same, however long the history is."""
    loaded.execute("DELETE FROM trips WHERE pickup_date = '2023-02-07'")
    days_alone = {
        "trips_conserved",
        "hourly_trips_match_trips",
        "borough_flows_match_trips",
        "weekly_totals_match_trips",
    }
    assert not failed(loaded, ("2023-02-20", "2023-02-21")) & days_alone
    assert days_alone <= failed(loaded, ("2023-02-06", "2023-02-07"))


def test_a_blocking_check_keeps_wrong_trips_from_the_metrics(loaded: Pipeline) -> None:
    """Whatever made the trips wrong, no output is made of them."""
    before = loaded.bytes_of_outputs()
    loaded.execute("INSERT INTO trips SELECT * FROM trips WHERE pickup_date = '2023-02-07'")
    selection = dg.AssetSelection.assets("zone_hourly_trips", "trips_by_week")
    result = loaded.run_job(selection, range_tags("2023-02-07", "2023-02-07"))
    assert not result.success
    assert not materializations_of(result, "trips_by_week")
    assert loaded.bytes_of_outputs() == before
