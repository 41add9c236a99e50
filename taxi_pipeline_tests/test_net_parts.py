"""The parts of totals, net of fees that a vendor puts into two columns or into none: row by row, and on real months.

The expected values are written out here, or counted with SQL of its own over the published files.
"""

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from taxi_pipeline.tlc.codes import CONGESTION_ZONE, CONGESTION_ZONE_SINCE
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.net_parts import COUNTED_TWICE, FEE_RULES, TOTAL_PARTS
from taxi_pipeline.warehouse.views import VIEWS
from taxi_pipeline_tests.real_months import load_month

GREEN_1 = {"fleet": "green", "vendor_id": 1, "day": date(2023, 3, 7), "payment_type": 1, "fare_amount": 10}
GREEN_2 = GREEN_1 | {"vendor_id": 2}
YELLOW_1 = GREEN_1 | {"fleet": "yellow"}
TWICE = {"extra": 2.75, "congestion_surcharge": 2.75, "total_amount": 12.75}


def net(tmp_path: Path, **row: Any) -> dict[str, Decimal | None]:
    """The net parts of one trip that are not NULL, and what is unexplained."""
    row = dict(row)
    day = row.pop("day")
    row |= {"pickup_date": day, "pickup_datetime": datetime(day.year, day.month, day.day, 8)}
    row |= {"pickup_zone_id": 74, "dropoff_zone_id": 75}
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with warehouse.write() as session:
        session.execute("DELETE FROM trips")
        session.execute(
            f"INSERT INTO trips BY NAME SELECT {', '.join(f'? AS {name}' for name in row)}", [*row.values()]
        )
    with warehouse.read() as session:
        found = session.row(f"SELECT {', '.join(TOTAL_PARTS)}, unexplained FROM net_parts")
    return {name: value for name, value in zip([*TOTAL_PARTS, "unexplained"], found, strict=True) if value is not None}


def amounts(**parts: float) -> dict[str, Decimal]:
    return {name: Decimal(f"{value:.2f}") for name, value in parts.items()}


CASES: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "the surcharge is in extra, too": (
        GREEN_1 | TWICE,
        {"fare_amount": 10, "extra": 0, "congestion_surcharge": 2.75, "unexplained": 0},
    ),
    "so it is of yellow": (
        YELLOW_1 | {"extra": 3.0, "congestion_surcharge": 2.5, "total_amount": 13},
        {"fare_amount": 10, "extra": 0.5, "congestion_surcharge": 2.5, "unexplained": 0},
    ),
    "another vendor does not": (
        GREEN_2 | TWICE | {"total_amount": 15.5},
        {"fare_amount": 10, "extra": 2.75, "congestion_surcharge": 2.75, "unexplained": 0},
    ),
    "nor before the surcharge": (
        GREEN_1 | TWICE | {"day": date(2019, 2, 1)},
        {"fare_amount": 10, "extra": 2.75, "congestion_surcharge": 2.75, "unexplained": -2.75},
    ),
    "the improvement surcharge is in the tax, too": (
        GREEN_1 | {"mta_tax": 1.5, "improvement_surcharge": 1, "total_amount": 11.5},
        {"fare_amount": 10, "mta_tax": 0.5, "improvement_surcharge": 1, "unexplained": 0},
    ),
    "also where no tax is due": (
        GREEN_1 | {"mta_tax": 1, "improvement_surcharge": 1, "total_amount": 11},
        {"fare_amount": 10, "mta_tax": 0, "improvement_surcharge": 1, "unexplained": 0},
    ),
    "a tax alone stays": (
        GREEN_1 | {"mta_tax": 0.5, "improvement_surcharge": 0.3, "total_amount": 10.8},
        {"fare_amount": 10, "mta_tax": 0.5, "improvement_surcharge": 0.3, "unexplained": 0},
    ),
    "the fee of the congestion zone is in extra, too": (
        GREEN_1
        | {"day": CONGESTION_ZONE_SINCE, "extra": 3.5, "congestion_surcharge": 2.75, "cbd_congestion_fee": 0.75}
        | {"total_amount": 13.5},
        {"fare_amount": 10, "extra": 0, "congestion_surcharge": 2.75, "cbd_congestion_fee": 0.75, "unexplained": 0},
    ),
    "the surcharge is in no column": (
        GREEN_2 | {"payment_type": None, "total_amount": 12.75},
        {"fare_amount": 10, "congestion_surcharge": 2.75, "unexplained": 0},
    ),
    "nor is yellow's with flex fares": (
        YELLOW_1 | {"payment_type": 0, "extra": None, "total_amount": 12.5},
        {"fare_amount": 10, "congestion_surcharge": 2.5, "unexplained": 0},
    ),
    "nor is it with the fee of the congestion zone, which is another fee": (
        GREEN_2 | {"payment_type": None, "day": CONGESTION_ZONE_SINCE, "total_amount": 13.5},
        {"fare_amount": 10, "congestion_surcharge": 2.75, "cbd_congestion_fee": 0.75, "unexplained": 0},
    ),
    "so it is of yellow's": (
        YELLOW_1 | {"payment_type": 0, "day": CONGESTION_ZONE_SINCE, "total_amount": 13.25},
        {"fare_amount": 10, "congestion_surcharge": 2.5, "cbd_congestion_fee": 0.75, "unexplained": 0},
    ),
    "a refund has the surcharge in extra, too": (
        GREEN_1 | {"fare_amount": -10, "extra": -2.75, "congestion_surcharge": -2.75, "total_amount": -12.75},
        {"fare_amount": -10, "extra": 0, "congestion_surcharge": -2.75, "unexplained": 0},
    ),
    "and the improvement surcharge in the tax": (
        GREEN_1 | {"fare_amount": -10, "mta_tax": -1.5, "improvement_surcharge": -1, "total_amount": -11.5},
        {"fare_amount": -10, "mta_tax": -0.5, "improvement_surcharge": -1, "unexplained": 0},
    ),
    "and the fee of the congestion zone in extra": (
        GREEN_1
        | {"day": CONGESTION_ZONE_SINCE, "fare_amount": -10, "extra": -3.5, "congestion_surcharge": -2.75}
        | {"cbd_congestion_fee": -0.75, "total_amount": -13.5},
        {"fare_amount": -10, "extra": 0, "congestion_surcharge": -2.75, "cbd_congestion_fee": -0.75, "unexplained": 0},
    ),
    "other amounts stay unexplained": (
        GREEN_2 | {"payment_type": None, "total_amount": 11.95},
        {"fare_amount": 10, "unexplained": 1.95},
    ),
    "so does a surcharge that is said to be none": (
        GREEN_2 | {"payment_type": None, "congestion_surcharge": 0, "total_amount": 12.75},
        {"fare_amount": 10, "congestion_surcharge": 0, "unexplained": 2.75},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_fees_count_once(tmp_path: Path, name: str) -> None:
    row, expected = CASES[name]
    assert net(tmp_path, **row) == amounts(**expected)


def test_each_rule_names_what_it_corrects_and_what_shows_it() -> None:
    assert len({rule.name for rule in FEE_RULES}) == len(FEE_RULES) == 5
    for rule in FEE_RULES:
        assert rule.part in TOTAL_PARTS
        assert rule.evidence
        assert rule.meaning.endswith(".")


def test_views_have_the_declared_columns(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with warehouse.write():
        pass
    with warehouse.read() as session:
        for view in VIEWS:
            assert session.column_types(view.name) == {column.name: column.type for column in view.columns}


def test_a_warehouse_of_an_older_version_gets_the_views_when_it_is_read(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "data.duckdb")
    with warehouse.write() as session:
        session.execute("DROP VIEW net_parts")
    with duckdb.connect(str(warehouse.database)) as connection:
        connection.execute("DROP VIEW IF EXISTS net_parts")
    with warehouse.read() as session:
        assert session.column_types("net_parts")


@pytest.mark.real_data
@pytest.mark.slow
def test_the_totals_of_real_months_are_explained(real_tlc: Path, tmp_path: Path) -> None:
    """At least 98 % of the rows of each month at hand add up to the cent; each rule explains the rows that it names.

    That a rule explains a row is counted from the columns as published: what they have beyond the total is its amount.
    """
    applied: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    parts = " + ".join(f"coalesce({part}, 0)" for part in TOTAL_PARTS)
    doubles = {
        "surcharge_in_extra": "congestion_surcharge",
        "improvement_in_mta_tax": "improvement_surcharge",
        "cbd_fee_in_extra": "cbd_congestion_fee",
    }
    for path in sorted((real_tlc / "trip-data").glob("*.parquet")):
        warehouse = load_month(path, tmp_path / path.stem)
        with warehouse.read() as session:
            share = session.row("SELECT avg(CAST(unexplained = 0 AS INTEGER)) FROM net_parts")[0]
            assert share > 0.98, (path.name, share)
            ((taxes, extras),) = session.rows(
                "SELECT (SELECT sum(mta_tax) FROM trips) - sum(mta_tax), (SELECT sum(extra) FROM trips) - sum(extra) "
                "FROM net_parts"
            )
            if path.name == "green_tripdata_2023-03.parquet":
                assert (taxes, extras) == (9144, Decimal("6107.75"))
            twice = " + ".join(f"CASE WHEN {r.applies} THEN {doubles[r.name]} ELSE 0 END" for r in COUNTED_TWICE)
            for rule in COUNTED_TWICE:
                found = session.row(
                    f"SELECT count(*), count(*) FILTER (WHERE {parts} - total_amount = {twice}) FROM trips "
                    f"WHERE {rule.applies}"
                )
                applied[rule.name] += found[0]
                exact[rule.name] += found[1]
            ((surcharges, both, in_zone),) = session.rows(
                f"SELECT count(*), count(*) FILTER (rest > 3), count(*) FILTER (rest > 3 AND touches) "
                f"FROM (SELECT *, total_amount - ({parts}) AS rest, pickup_zone_id IN (SELECT unnest(?)) "
                "OR dropoff_zone_id IN (SELECT unnest(?)) AS touches FROM trips "
                "WHERE congestion_surcharge IS NULL AND coalesce(payment_type, 0) = 0 AND fleet = 'green') "
                "WHERE rest IN (2.50, 2.75, 3.25, 3.50)",
                [sorted(CONGESTION_ZONE)] * 2,
            )
            applied["surcharge_in_no_column"] += surcharges
            applied["cbd_fee_in_no_column"] += both
            assert (both, in_zone) == ((293, 254) if "2025-01" in path.name else (0, 0)), path.name
    assert {name: applied[name] - exact[name] for name in doubles} == dict.fromkeys(doubles, 0)
    for rule in FEE_RULES:
        assert f"{applied[rule.name]:,}" in rule.evidence, rule.name
