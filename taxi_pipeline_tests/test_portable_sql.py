"""SQL outside the engine's folder translates to Spark's without changing its meaning.

Each test of the suite checks the statements that it runs (`conftest`); here is what the check finds and lets pass, and
the run that reaches every module with SQL.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from taxi_pipeline.analysis.study import fee_panel
from taxi_pipeline.analysis.zone_profiles import zone_profiles
from taxi_pipeline.datasets.contents import market_shares_of, zone_hours_of
from taxi_pipeline.datasets.single_trips import write_trips
from taxi_pipeline.defs.assets import monthly_report, week_summary
from taxi_pipeline.exports.contents import contents_by_day, contents_of, parts_of
from taxi_pipeline.exports.target import BY_DAYS, EXPORTED
from taxi_pipeline.outputs.monthly_report.indicators import indicators_of
from taxi_pipeline.outputs.pickup_cells import pickup_cells
from taxi_pipeline.outputs.requests.chart import chart_data
from taxi_pipeline.outputs.requests.request_files import TripRequest
from taxi_pipeline.outputs.weather.extreme_days import weather_of_trips
from taxi_pipeline.quality.reconciliation import segment_differences
from taxi_pipeline.quality.tlc_report import mean_minutes
from taxi_pipeline.quality.trip_totals import require_every_trip
from taxi_pipeline.questions.endpoints import ENDPOINTS
from taxi_pipeline.questions.metrics import figures_of
from taxi_pipeline.tlc.fleets import GREEN
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.warehouse.coverage import coverage_by_fleet, loaded_months, loaded_totals, newest_days
from taxi_pipeline.warehouse.interface import PublishedFile
from taxi_pipeline.warehouse.month_changes import Version, month_changes
from taxi_pipeline.warehouse.sql import seconds_between, weekday
from taxi_pipeline_tests.pipelines import EVERYTHING, Pipeline
from taxi_pipeline_tests.portable_sql import (
    PACKAGE,
    NotPortableError,
    checked_statements,
    modules_with_sql,
    translate,
)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT EXTRACT(DOW FROM pickup_date) FROM trips",
        "SELECT EXTRACT(EPOCH FROM pickup_datetime) FROM trips",
        "SELECT dropoff_datetime - pickup_datetime FROM trips",
        "SELECT fleet, count(*) FROM trips GROUP BY ALL",
        "SELECT fleet FROM trips ORDER BY ALL",
        "SELECT count(*) FILTER (fleet = 'green') FROM trips",
        "SELECT * FROM trips WHERE (fleet, vendor_id) IS DISTINCT FROM (licensee, 1)",
        "SELECT * FROM trips WHERE (fleet, vendor_id) = ('green', 1)",
        "SELECT TRY_CAST(fleet AS INTEGER) FROM trips",
        "SELECT quantile_cont(fare_amount, 0.5) FROM trips",
        "SELECT median(fare_amount) FROM trips",
        "SELECT zone_of(1.0, 2.0) FROM trips",
        "SELECT FROM WHERE",
    ],
)
def test_what_does_not_translate_is_refused(sql: str) -> None:
    with pytest.raises(NotPortableError):
        translate(sql)


@pytest.mark.parametrize(
    ("sql", "spark"),
    [
        (
            "SELECT count(*) FILTER (WHERE synthetic) FROM loaded_days WHERE fleet IN (?, ?)",
            "SELECT COUNT(*) FILTER(WHERE synthetic) FROM loaded_days WHERE fleet IN (:v0, :v1)",
        ),
        (
            f"SELECT {weekday('pickup_date')} FROM trips",
            "SELECT (DATEDIFF(DAY, CAST('1899-12-31' AS DATE), pickup_date) % 7) FROM trips",
        ),
        (
            f"SELECT {seconds_between('pickup_datetime', 'dropoff_datetime')} FROM trips",
            "SELECT DATEDIFF(SECOND, DATE_TRUNC('SECOND', pickup_datetime), DATE_TRUNC('SECOND', dropoff_datetime)) "
            "FROM trips",
        ),
    ],
)
def test_what_translates(sql: str, spark: str) -> None:
    assert translate(sql) == spark


def test_every_module_with_sql_runs_statements_that_translate(
    make_pipeline: Callable[..., Pipeline], mirror: Path
) -> None:
    """The whole graph, its checks, the reports, a request and the status, for two fleets."""
    seen: dict[str, Path] = {}
    pipeline = make_pipeline(mirror, fleets=("yellow", "green"))
    with checked_statements(seen):
        pipeline.run("2023-01-29", "2023-02-04", select=EVERYTHING)
        assert pipeline.run_job(dg.AssetSelection.all_asset_checks(), {}).success
        assert pipeline.report(week_summary, "2023-01-29").success
        assert pipeline.report(monthly_report, "2023-01-01", "2023-02-01").success
        request = TripRequest(
            borough="Manhattan",
            start_date=date(2023, 1, 29),
            end_date=date(2023, 2, 4),
            zone_ids=(4, 12),
            fleet="green",
        )
        assert pipeline.warehouse.query(chart_data, request).synthetic
        assert pipeline.warehouse.query(coverage_by_fleet)["green"].num_days == 7
        assert pipeline.warehouse.query(figures_of).coverage["green"].num_days == 7
        assert pipeline.warehouse.query(newest_days)["yellow"] == date(2023, 2, 4)
        assert len(pipeline.warehouse.query(loaded_totals, Days(date(2023, 1, 29), date(2023, 2, 4)))) == 2
        assert len(pipeline.warehouse.query(zone_hours_of, "green", date(2023, 2, 1))) > 0
        with pipeline.files.draft("trips.parquet") as draft:
            assert pipeline.warehouse.query(write_trips, "green", date(2023, 2, 1), draft.path) > 0
            pipeline.warehouse.query(require_every_trip, "green", date(2023, 2, 1), draft.path)
        assert len(pipeline.warehouse.query(fee_panel, ["yellow", "green"]).panels) == 2
        assert len(pipeline.warehouse.query(weather_of_trips, ["green"]).trips) == 7
        assert pipeline.warehouse.query(pickup_cells, date(2023, 2, 1), ["green"]).num_drawn == 0
        pipeline.execute("CREATE SCHEMA marts")
        pipeline.execute(
            "CREATE TABLE marts.zone_week_hours AS SELECT DATE '2023-02-01' AS month, 'green' AS fleet, "
            "4::SMALLINT AS zone_id, hour::SMALLINT AS hour_of_week, 1::SMALLINT AS num_days, 1::BIGINT AS num_trips "
            "FROM range(168) AS hours(hour)"
        )
        assert pipeline.warehouse.query(zone_profiles, ["green"]).counts.sum() == 168
        assert len(pipeline.warehouse.query(segment_differences, "", ["green"], None)) == 263
        assert len(pipeline.warehouse.query(market_shares_of, "green", date(2023, 2, 1), ["green"])) == 1
        (part,) = pipeline.warehouse.query(parts_of, ["green"], date(2023, 2, 1), date(2023, 2, 4))
        for table in EXPORTED:
            if table.kind in BY_DAYS:
                assert len(pipeline.warehouse.query(contents_by_day, table, part)) == 4
            else:
                assert pipeline.warehouse.query(contents_of, table).version
        with pipeline.files.local_copy("raw/green_tripdata_2023-02.parquet") as path:
            content = read_trip_file(path)
            file = PublishedFile(path=path, uri=path.as_uri(), sha256="", num_rows=content.num_rows)
            version = Version.of(GREEN, file, content.columns)
            few = Version.of(GREEN, file, [name for name in content.columns if name != "tip_amount"])
            assert pipeline.warehouse.query(month_changes, few, version).examples
        asked = {"fleet": ["green"], "from": date(2023, 1, 29), "to": date(2023, 2, 4), "zone": [74]}
        for endpoint in ENDPOINTS:
            values = {**asked, "fleet": "green"} if endpoint.path.endswith("zone-hours") else asked
            assert pipeline.warehouse.query(endpoint.rows, values)
        # What is asked of real trips alone.
        assert pipeline.warehouse.query(indicators_of, date(2023, 2, 1)) == []
        months = pipeline.warehouse.query(loaded_months, Days(date(2023, 2, 1), date(2023, 2, 4)))
        assert len(pipeline.warehouse.query(mean_minutes, months)) == 2
    found = {str(module.relative_to(PACKAGE)) for module in seen.values()}
    assert found == modules_with_sql()
    assert len(seen) > 60
