"""Each check fails when what it checks does not hold: the warehouse or a file is changed behind the pipeline's back."""

import json
import shutil
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.checks import CHECKS
from taxi_pipeline_tests.conftest import Pipeline, pipeline_in, range_tags


def run_checks(pipeline: Pipeline, days: tuple[str, str] | None = None) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the checks alone, for some days or for all; check name → evaluation."""
    result = pipeline.run_job(dg.AssetSelection.all_asset_checks(), range_tags(*days) if days else {})
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


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
    return {name for name, check in run_checks(pipeline, days).items() if not check.passed}


def test_all_pass_by_themselves_over_everything_loaded(loaded: Pipeline) -> None:
    checks = run_checks(loaded)
    assert len(checks) == len(CHECKS) == 11
    assert all(check.passed for check in checks.values())
    assert "2 months looked at" in str(checks["trips_conserved"].description)


def test_blocking_checks() -> None:
    blocking = {spec.name for check in CHECKS for spec in check.check_specs if spec.blocking}
    assert blocking == {"trips_conserved", "zone_ids_unique"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "DELETE FROM trips WHERE rowid = (SELECT min(rowid) FROM trips WHERE pickup_date = '2023-02-07')",
            {"trips_conserved", "hourly_trips_match_trips", "weekly_totals_match_trips"},
        ),
        (
            "INSERT INTO trips SELECT * FROM trips WHERE rowid = "
            "(SELECT min(rowid) FROM trips WHERE pickup_date = '2023-02-07')",
            {"trips_conserved", "hourly_trips_match_trips", "weekly_totals_match_trips"},
        ),
        ("DELETE FROM zone_hourly_trips WHERE pickup_date = '2023-02-07'", {"hourly_trips_match_trips"}),
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
def test_a_change_behind_the_back_is_noticed(loaded: Pipeline, change: str, expected: set[str]) -> None:
    loaded.execute(change)
    assert expected <= failed(loaded) <= expected | {"manhattan_stats_match_trips"}


def test_rejected_rows_that_vanish_are_noticed(loaded: Pipeline) -> None:
    loaded.execute("INSERT INTO rejected_trips SELECT fleet, '2023-02-01', 'x', * EXCLUDE (fleet) FROM trips LIMIT 1")
    assert failed(loaded) == {"trips_conserved"}


def test_the_weekly_csv_is_compared(loaded: Pipeline) -> None:
    path = loaded.folder / "outputs" / "trips_by_week.csv"
    header, first, *rest = path.read_text().splitlines()
    period, trips, others = first.split(",", 2)
    path.write_text("\n".join([header, f"{period},{int(trips) + 1},{others}", *rest]))
    assert failed(loaded) == {"weekly_totals_match_trips"}
    path.write_text("\n".join([header, *rest]))
    assert failed(loaded) == {"weekly_totals_match_trips"}, "a week is missing"


def test_the_statistics_are_compared(loaded: Pipeline) -> None:
    path = loaded.folder / "staging" / "manhattan_stats.geojson"
    stats = json.loads(path.read_text())
    path.write_text(json.dumps({**stats, "features": stats["features"][1:]}))
    assert failed(loaded) == {"manhattan_stats_match_trips"}, "a zone is missing"
    stats["features"][5]["properties"]["num_trips"] += 1
    path.write_text(json.dumps(stats))
    assert failed(loaded) == {"manhattan_stats_match_trips"}


def test_checks_of_a_run_look_at_its_days(loaded: Pipeline) -> None:
    """So that a day more costs the same however long the history is."""
    loaded.execute("DELETE FROM trips WHERE pickup_date = '2023-02-07'")
    days_alone = {"trips_conserved", "hourly_trips_match_trips", "weekly_totals_match_trips"}
    assert not failed(loaded, ("2023-02-20", "2023-02-21")) & days_alone
    assert days_alone <= failed(loaded, ("2023-02-06", "2023-02-07"))


def test_a_blocking_check_keeps_wrong_trips_from_the_metrics(loaded: Pipeline) -> None:
    """The zone file is verified when fetched; should a repeated id get in all the same, nothing is built on it."""
    before = loaded.bytes_of_outputs()
    loaded.execute("INSERT INTO trips SELECT * FROM trips WHERE pickup_date = '2023-02-07'")
    result = loaded.run_job(
        dg.AssetSelection.assets("zone_hourly_trips", "trips_by_week")
        | dg.AssetSelection.checks_for_assets("taxi_trips"),
        range_tags("2023-02-07", "2023-02-07"),
    )
    assert not result.success
    assert not result.asset_materializations_for_node("zone_hourly_trips")
    assert loaded.bytes_of_outputs() == before
