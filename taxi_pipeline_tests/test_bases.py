"""The bases of for-hire vehicles: how the list is read, and how trips find their company by it."""

from datetime import date
from pathlib import Path

import pytest

from taxi_pipeline.datasets.contents import market_shares_of
from taxi_pipeline.sources.bases import COMPANIES, read_bases
from taxi_pipeline.sources.source import Contents
from taxi_pipeline.tlc.codes import COMPANY_BASES, code_rows
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.warehouse.companies import WITH_COMPANY
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.reference import replace_code_tables
from taxi_pipeline.warehouse.tables import LOADED_DAYS, TRIPS
from taxi_pipeline_tests.conftest import TLC_MIRROR
from taxi_pipeline_tests.dbt_builds import build_marts
from taxi_pipeline_tests.source_files import write_lines

REAL = TLC_MIRROR.parent / "facts" / "fhv_bases.csv"
REPORT = (
    "Base License Number,Base Name,DBA,Year,Month,Month Name,Total Dispatched Trips,Total Dispatched Shared Trips,"
    "Unique Dispatched Vehicles"
)


def read(tmp_path: Path, *lines: str) -> Contents:
    return read_bases(write_lines(tmp_path / "bases.csv", lines))


def test_a_base_has_the_names_of_its_newest_month(tmp_path: Path) -> None:
    """The report has a row for each base and month, in no order; names change with owners."""
    contents = read(
        tmp_path,
        REPORT,
        'B02764,"DANACH-NY,LLC",UBER-DANACH,2018,12,December,"1,000",0,90',
        "B00013,OLD NAME,,2017,9,September,10,0,3",
        "B00013,NEW NAME,GOOD CARS,2018,10,October,10,0,3",
        "B00013,MIDDLE NAME,,2018,2,February,10,0,3",
    )
    assert contents.rows == [
        ("B00013", "NEW NAME", "GOOD CARS", "other", date(2018, 10, 1)),
        ("B02764", "DANACH-NY,LLC", "UBER-DANACH", "Uber", date(2018, 12, 1)),
    ]
    assert list(contents.problems) == []


def test_a_list_by_base_is_read_with_its_categories(tmp_path: Path) -> None:
    """Socrata's own names of columns, blanks, small letters; a category that is not known leaves the known company."""
    contents = read(
        tmp_path,
        "\ufeffbase_license_number,base_name,dba,dba_category",
        " b02510 ,TRI-CITY,,",
        "B00001,LONDON TOWNCARS,,Juno",
        "B02907,SABO ONE,JUNO,gett",
        "B00002,,,OTHER",
    )
    assert [(row[0], row[3]) for row in contents.rows] == [
        ("B00001", "Juno"),
        ("B00002", "other"),
        ("B02510", "Lyft"),
        ("B02907", "Juno"),
    ]
    assert contents.rows[1][1:3] == (None, None)
    assert [(each.line, each.value) for each in contents.problems] == [(4, "gett")]


@pytest.mark.parametrize("number", ["", "02764", "B2764", "B027641", "B0276٤", "total"])
def test_a_row_without_the_number_of_a_base_is_left_out_and_told(tmp_path: Path, number: str) -> None:
    contents = read(tmp_path, "base_number,base_name", f"{number},X", "B00001,Y")
    assert [row[0] for row in contents.rows] == ["B00001"]
    assert [(each.line, each.value) for each in contents.problems] == [(2, number)]


def test_a_month_that_is_none_is_older_than_all_others(tmp_path: Path) -> None:
    contents = read(
        tmp_path,
        *("base_number,base_name,year,month", "B00001,A,2018,13", "B00001,B,2015,1", "B00001,C,20x8,1"),
        "B00001,D,2099,1",
    )
    assert contents.rows == [("B00001", "B", None, "other", date(2015, 1, 1))]
    assert [(each.line, each.value) for each in contents.problems] == [(2, "2018-13"), (4, "20x8-1"), (5, "2099-1")]


@pytest.mark.parametrize(
    "text",
    ["", "<html>", '{"error": true}', "base_number\nB00001", "a,b\n1,2", "base_number,base_name\nx,y", "PAR1", '"\n'],
)
def test_anything_else_is_refused_with_what_it_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnusableFileError, match="it is not a list of for-hire bases"):
        read(tmp_path, text)


@pytest.mark.real_data
def test_the_companies_are_those_of_the_published_list() -> None:
    """1,097 bases as of 2024, with categories of public work: the carried numbers are the same ones."""
    if not REAL.is_file():
        pytest.skip(f"no real data: {REAL} does not exist")
    contents = read_bases(REAL)
    assert len(contents.rows) == 1097
    for company in COMPANIES[:-1]:
        assert sorted(row[0] for row in contents.rows if row[3] == company) == COMPANY_BASES[company]
    assert all(str(row[2]).upper().startswith(row[3].upper()) for row in contents.rows if row[3] != "other"), (
        "their trade names begin with the company"
    )


# The company of a trip

SENT = [
    ("fhv", "B02764", None, "Uber"),
    ("fhv", "b02765 ", None, "Uber"),
    ("fhv", "B02510", None, "Lyft"),
    ("fhv", "B03136", None, "Via"),
    ("fhv", "B02914", None, "Juno"),
    ("fhv", "B00009", None, "other bases"),
    ("fhv", None, None, "other bases"),
    ("fhvhv", "B02764", "Uber", "Uber"),
    ("fhvhv", "B00009", "HV0007", "HV0007"),
    ("yellow", None, None, None),
    ("green", "B02764", None, None),
]
"""Fleet, base and licensee of a trip, and its company."""
DAY = date(2018, 6, 1)


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    """A warehouse with the trips of `SENT`, all on one day."""
    found = DuckDBWarehouse(tmp_path / "data.duckdb")
    found.change(_fill)
    return found


def _fill(session: Session) -> None:
    replace_code_tables(session, code_rows())
    columns = ["fleet", "pickup_date", "pickup_zone_id", "dropoff_zone_id", "pickup_datetime"]
    columns += ["dispatching_base_num", "licensee", "total_amount"]
    for fleet in sorted({each[0] for each in SENT}):
        rows = [
            f"SELECT '{fleet}', DATE '{DAY}', 1, 1, TIMESTAMP '{DAY} 12:00:00', {_sql(base)}, {_sql(licensee)}, NULL"
            for of, base, licensee, _ in SENT
            if of == fleet
        ]
        session.replace_days(TRIPS, fleet, Days(DAY, DAY), " UNION ALL ".join(rows), (), columns)
        session.replace(LOADED_DAYS, [(fleet, DAY, len(rows), 0, "v", len(rows), False, 42, 0, None)])


def _sql(text: str | None) -> str:
    return "CAST(NULL AS VARCHAR)" if text is None else f"'{text}'"


def test_a_trip_has_the_company_of_its_base_or_of_its_licence(warehouse: DuckDBWarehouse) -> None:
    sql = f"SELECT fleet, dispatching_base_num, licensee, of_company FROM {WITH_COMPANY}"
    found = warehouse.query(lambda session: session.rows(sql))
    assert sorted(map(str, found)) == sorted(map(str, SENT))


def test_market_shares_before_2019_are_by_company(warehouse: DuckDBWarehouse) -> None:
    frame = warehouse.query(market_shares_of, "fhv", date(2018, 6, 1), ["fhv"])
    assert dict(zip(frame["company"], frame["num_trips"], strict=True)) == {
        "Uber": 2,
        "other bases": 2,
        "Juno": 1,
        "Lyft": 1,
        "Via": 1,
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dbt's own, of which there are many
def test_one_series_has_the_companies_before_and_after_2019(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Uber of `fhv` and Uber of `fhvhv` are one company; a licence that nobody knows is one of its own."""
    pytest.importorskip("dagster_dbt", reason="the extra dbt is not installed")
    build_marts(warehouse, ["stg_trips", "market_share", "company_months"], tmp_path)
    sql = "SELECT company, num_trips, share_of_hired, share_of_all FROM marts.company_months ORDER BY company"
    assert warehouse.query(lambda session: session.rows(sql)) == [
        ("HV0007", 1, 1 / 9, 1 / 11),
        ("Juno", 1, 1 / 9, 1 / 11),
        ("Lyft", 1, 1 / 9, 1 / 11),
        ("Uber", 3, 3 / 9, 3 / 11),
        ("Via", 1, 1 / 9, 1 / 11),
        ("green", 1, None, 1 / 11),
        ("other bases", 2, 2 / 9, 2 / 11),
        ("yellow", 1, None, 1 / 11),
    ]
