"""The data dictionary says what is declared, all of it, and is not stale."""

import re
from pathlib import Path

import pytest

from docs.generate import PAGES, command_line, settings
from taxi_pipeline.cli import main as cli
from taxi_pipeline.questions.data_dictionary import data_dictionary
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.warehouse.tables import TABLES, TRIPS
from taxi_pipeline_tests.conftest import REPOSITORY, SETTINGS


def rows_of(page: str, heading: str) -> dict[str, list[str]]:
    """First cell → the cells of its row, of the table below a heading."""
    section = page.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {row[0].strip("`"): row for row in rows[2:]}


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_of_the_reference_are_what_they_describe(name: str) -> None:
    page = Path(REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    assert page == PAGES[name](), "stale: run `make docs`"


def test_every_setting_and_every_command_is_in_the_reference() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", settings(), re.MULTILINE)) == set(SETTINGS)
    assert re.findall(r"^## `(\w+)`", command_line(), re.MULTILINE) == sorted(cli.commands)


def test_every_column_of_every_table_is_in_it_with_its_meaning() -> None:
    page = data_dictionary()
    for table in TABLES:
        rows = rows_of(page, f"### `{table.name}`")
        assert list(rows) == list(table.column_names)
        for column in table.columns:
            assert column.description in rows[column.name]
            assert rows[column.name][1].startswith(column.type)
            assert column.description
            # What is measured has a unit.
            assert column.unit or not column.type.startswith(("DECIMAL", "TIMESTAMP")), column.name


@pytest.mark.parametrize(
    ("column", "months"),
    [
        ("fare_amount", ["2009-01", "2013-08", "", "2019-02"]),
        ("airport_fee", ["2021-04", "", "", "2021-04"]),
        ("cbd_congestion_fee", ["2025-01", "2025-01", "", "2025-01"]),
        ("licensee", ["", "", "", "2019-02"]),
        ("shared_match", ["", "", "2015-01", "2019-02"]),
        ("dispatching_base_num", ["", "", "2015-01", "2019-02"]),
    ],
)
def test_it_says_which_fleets_have_a_column_from_which_month_on(column: str, months: list[str]) -> None:
    assert rows_of(data_dictionary(), f"### `{TRIPS.name}`")[column][-4:] == months


def test_it_says_what_the_total_of_high_volume_trips_is() -> None:
    meaning = rows_of(data_dictionary(), "### `trips`")["total_amount"][3]
    for part in ("base fare", "tolls", "Black Car Fund", "sales tax", "congestion surcharge", "airport fee", "CBD fee"):
        assert part in meaning
    assert "what the passenger paid" in meaning


def test_every_published_column_that_is_known_is_in_it() -> None:
    page = data_dictionary()
    for fleet in FLEETS.values():
        for era in fleet.eras:
            for name in [*era.no_values_of_trips, *(name for source in era.sources.values() for name in source.names)]:
                assert f"`{name}`" in page, (fleet.name, name)


def test_codes_have_their_meaning_and_date() -> None:
    page = re.sub(" +", " ", data_dictionary())
    assert "| 6 | Myle Technologies Inc | 2025-03-18 |" in page
    assert "| 7 | Helix | 2025-03-18 |" in page
    assert "| 0 | Flex Fare trip | 2025-03-18 |" in page
    assert "| 99 | Unknown | 2025-03-18 |" in page
    assert "| HV0003 | Uber | 2019-09-01 |" in page
