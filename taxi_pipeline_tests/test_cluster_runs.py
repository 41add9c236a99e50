"""The running system on a cluster: `dagster dev` with the instance file of a cluster, and runs that load at once."""

import os
from datetime import date
from pathlib import Path

import pytest

from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.object_stores import storage_url
from taxi_pipeline_tests.pipelines import LOADING, contents, pipeline_in
from taxi_pipeline_tests.running_dagster import ask, dagster_dev, end_of_backfill, launch_backfill
from taxi_pipeline_tests.services.fixtures import fresh_database
from taxi_pipeline_tests.services.warehouses import settings_of, spark_warehouse

pytestmark = pytest.mark.cluster

MONTHS = [Days.of_month(date(2025, month, 1)) for month in (1, 2, 3, 4)]
DAYS = [str(day) for day in Days(MONTHS[0].first, MONTHS[-1].last)]
FLEETS = ["green", "fhv"]
RUNS = """
query Runs($filter: RunsFilter) {
  runsOrError(filter: $filter) { ... on Runs { results { status startTime endTime } } }
}
"""


def test_a_backfill_loads_four_months_at_once(tmp_path: Path) -> None:
    """The months are of two fleets, in an object store; the tables are those that DuckDB loads month by month."""
    mirror = tmp_path / "mirror"
    for fleet in FLEETS:
        write_mirror(mirror, Days(MONTHS[0].first, MONTHS[-1].last), fleet=fleet, trips_per_day=20)
    alone = pipeline_in(tmp_path / "alone", mirror, FLEETS)
    alone.run(DAYS[0], DAYS[0], select=["taxi_zones_file", "taxi_zones"])
    for month in MONTHS:
        alone.run(str(month.first), str(month.last), select=list(LOADING))

    url = storage_url("s3", tmp_path)
    warehouse = spark_warehouse(url)
    on_spark = pipeline_in(tmp_path / "data", mirror, FLEETS, storage_url=url, warehouse=warehouse)
    on_spark.run(DAYS[0], DAYS[0], select=["taxi_zones_file", "taxi_zones"])
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text((REPOSITORY / "deploy" / "cluster" / "dagster.yaml").read_text())
    with fresh_database() as history:
        environment = {
            **os.environ,
            **settings_of(warehouse),
            "DAGSTER_HOME": str(home),
            "DAGSTER_POSTGRES_URL": history,
            "TAXI_DATA_DIR": str(tmp_path / "data"),
            "TAXI_STORAGE_URL": url,
            "TAXI_AUTOMATION": "off",
            "TAXI_FLEETS": ",".join(FLEETS),
            "TAXI_START_DATE": DAYS[0],
            "TLC_URL": mirror.as_uri(),
        }
        with dagster_dev(environment, tmp_path / "dagster_dev.log") as dagster:
            backfill = launch_backfill(dagster, list(LOADING), DAYS)
            # Beside other tests of the cluster, on two cores.
            end_of_backfill(dagster, backfill, patience_seconds=1800)
            runs = ask(dagster, RUNS, filter={})["runsOrError"]["results"]
    assert [run["status"] for run in runs] == ["SUCCESS"] * len(MONTHS)
    assert max(run["startTime"] for run in runs) < min(run["endTime"] for run in runs), "all were going on together"
    assert contents(warehouse) == contents(alone.warehouse)
