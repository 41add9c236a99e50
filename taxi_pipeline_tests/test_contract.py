"""The data contracts: as the standard has them, true of the tables, and not broken without a major version.

`pytest taxi_pipeline_tests/test_contract.py --renew-baselines` writes the promises that later versions are compared
with, as long as CHANGELOG.md calls the version unreleased.
"""

import copy
import importlib.metadata
import importlib.resources
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from taxi_pipeline.contract.changes import breaking_changes, is_major, promises_of
from taxi_pipeline.contract.odcs import as_yaml, bad_days_sql, contracts
from taxi_pipeline.datasets.columns import DATASETS
from taxi_pipeline.quality.rules import DEFECTS, too_many
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.tables import TABLES, TRIPS, WAREHOUSE_VERSION
from taxi_pipeline_tests.conftest import REPOSITORY

SCHEMA = importlib.resources.files("open_data_contract_standard") / "schema.json"
BASELINES = Path(__file__).parent / "baselines"


@pytest.mark.parametrize("name", contracts())
def test_the_standard_accepts_the_contract(name: str) -> None:
    """By the JSON schema of ODCS 3.1, and by the package's own classes, which know no other keys."""
    content = contracts()[name]
    read = yaml.safe_load(as_yaml(content))
    assert read == content, "nothing of it gets lost as YAML"
    jsonschema.validate(read, json.loads(SCHEMA.read_text(encoding="utf-8")))
    model = OpenDataContractStandard.from_string(as_yaml(content))
    assert model.apiVersion == "v3.1.0"
    assert model.model_dump(exclude_none=True, by_alias=True) == content


def test_every_table_and_dataset_is_in_a_contract_with_every_column() -> None:
    found = {
        (name, table["name"]): [column["name"] for column in table["properties"]]
        for name, content in contracts().items()
        for table in content["schema"]
    }
    for table in TABLES:
        if table is WAREHOUSE_VERSION:
            continue
        assert found["warehouse", table.name] == list(table.column_names)
    for table in (*DATASETS, TRIPS):
        assert found["datasets", table.name] == list(table.column_names)


def test_types_units_and_keys_are_those_declared() -> None:
    (hours,) = [table for table in contracts()["datasets"]["schema"] if table["name"] == "zone_hours"]
    columns = {column["name"]: column for column in hours["properties"]}
    assert columns["fare_amount"]["logicalType"] == "number"
    assert columns["fare_amount"]["physicalType"] == "DECIMAL(18, 2)"
    assert columns["fare_amount"]["customProperties"] == [{"property": "unit", "value": "US dollars"}]
    assert columns["fleet"]["partitioned"] is True
    positions = {name: column.get("primaryKeyPosition") for name, column in columns.items() if "primaryKey" in column}
    assert positions == {"fleet": 1, "pickup_date": 2, "pickup_hour": 3, "zone_id": 4}
    assert hours["quality"][0]["arguments"] == {"properties": list(positions)}


@pytest.mark.real_data
@pytest.mark.parametrize("strictness", [1, 10, 100])
def test_the_rules_of_the_contract_find_the_days_that_the_checks_find(
    real_warehouse: DuckDBWarehouse, strictness: int
) -> None:
    """Over all real months; these pass, so the same is compared with limits of a tenth and a hundredth, too."""
    num_bad = 0
    with real_warehouse.read() as session:
        for defect in (
            replace(one, max_share=one.max_share / strictness) for one in DEFECTS if not one.follows_last_year
        ):
            days = session.rows(
                f"SELECT fleet, pickup_date, sum(CASE WHEN {defect.condition} THEN 1 ELSE 0 END), count(*) FROM trips "
                "GROUP BY fleet, pickup_date"
            )
            expected = sum(
                defect.judges(fleet, day) and too_many(num, num_trips, defect.max_share)
                for fleet, day, num, num_trips in days
            )
            assert session.row(bad_days_sql(defect))[0] == expected, defect.name
            num_bad += expected
    assert (num_bad > 0) is (strictness > 1)


Change = Callable[[dict[str, Any]], object]


def column_of(promises: dict[str, Any], column: str) -> dict[str, Any]:
    return promises["datasets/zone_hours"]["columns"][column]


def reordered(promises: dict[str, Any]) -> None:
    columns = promises["datasets/zone_hours"]["columns"]
    columns["zone"] = columns.pop("zone")


BREAKING: dict[str, Change] = {
    "datasets/zone_hours is gone": lambda it: it.pop("datasets/zone_hours"),
    "datasets/zone_hours.zone is gone": lambda it: it["datasets/zone_hours"]["columns"].pop("zone"),
    "datasets/zone_hours.num_trips: its type was BIGINT, and is INTEGER": lambda it: column_of(it, "num_trips").update(
        type="INTEGER"
    ),
    "datasets/zone_hours.fare_amount: its unit was US dollars, and is cents": lambda it: column_of(
        it, "fare_amount"
    ).update(unit="cents"),
    "datasets/zone_hours.fare_amount: its unit was US dollars, and is none": lambda it: column_of(
        it, "fare_amount"
    ).update(unit=""),
    "datasets/zone_hours.zone was never NULL, and may be now": lambda it: column_of(it, "zone").update(required=False),
    "datasets/zone_hours: its key was (fleet, pickup_date, pickup_hour, zone_id), and is (none)": lambda it: it[
        "datasets/zone_hours"
    ].update(key=[]),
    "datasets/zone_hours: its columns have another order, by which files without a header are read": reordered,
}


@pytest.mark.parametrize("said", BREAKING)
def test_a_breaking_change_is_named(said: str) -> None:
    released = promises_of(contracts())
    current = copy.deepcopy(dict(released))
    BREAKING[said](current)
    assert breaking_changes(released, current) == [said]


COMPATIBLE: dict[str, Change] = {
    "a new table": lambda it: it.update({"datasets/new": it["datasets/zone_hours"]}),
    "a new column": lambda it: it["datasets/zone_hours"]["columns"].update(new=dict(column_of(it, "zone"))),
    "a column that is never NULL now": lambda it: it["datasets/market_shares"]["columns"]["share_of_all"].update(
        required=True
    ),
    "a key where there was none": lambda it: it["datasets/trips"].update(key=["fleet"]),
    "nothing": lambda it: it.keys(),
}


@pytest.mark.parametrize("change", COMPATIBLE)
def test_what_breaks_nothing_is_not_named(change: str) -> None:
    released = promises_of(contracts())
    current = copy.deepcopy(dict(released))
    COMPATIBLE[change](current)
    assert breaking_changes(released, current) == []


@pytest.mark.parametrize(
    ("released", "current", "major"),
    [("0.1.0", "0.2.0", False), ("0.9.1", "1.0.0", True), ("1.9.0", "10.0.0", True), ("2.0.0", "1.0.0", False)],
)
def test_a_major_version_is_a_larger_first_number(released: str, current: str, major: bool) -> None:
    assert is_major(released, current) is major


def newest_baseline() -> Path:
    """What the last release promised, or, before the first release, what the one in the making does."""
    found = BASELINES.glob("contract-*.json")
    return max(found, key=lambda path: [int(part) for part in path.stem.removeprefix("contract-").split(".")])


def test_nothing_that_the_last_release_promised_is_broken(request: pytest.FixtureRequest) -> None:
    """Without a larger first number of the version in pyproject.toml, see CONTRIBUTING.md."""
    version = importlib.metadata.version("taxi-pipeline")
    current = promises_of(contracts())
    if request.config.getoption("--renew-baselines"):
        head = f"## {version} (unreleased)"
        assert head in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), f"{version} is released: it stays"
        (BASELINES / f"contract-{version}.json").write_text(json.dumps(current, indent=1) + "\n", encoding="utf-8")
    path = newest_baseline()
    released = path.stem.removeprefix("contract-")
    changes = breaking_changes(json.loads(path.read_text(encoding="utf-8")), current)
    if changes and not is_major(released, version):
        pytest.fail(
            f"{'; '.join(changes)}. Users of {released} rely on it. Take the change back, or raise the first number of "
            f"the version in pyproject.toml (it is {version}) and name the change in CHANGELOG.md. While {released} is "
            "unreleased, renew what is compared with: pytest taxi_pipeline_tests/test_contract.py --renew-baselines"
        )


def test_the_command_writes_both_without_a_project(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("taxi-pipeline"), "contract", "--output", "new/folder"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name, content in contracts().items():
        assert (tmp_path / "new" / "folder" / f"{name}.odcs.yaml").read_text(encoding="utf-8") == as_yaml(content)
    assert re.search(r"new/folder/datasets\.odcs\.yaml", result.stdout)
    assert {path.name for path in tmp_path.iterdir()} == {"new"}
    (tmp_path / "file").write_text("x")
    command[-1] = "file/below"
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: ")
