"""What can be asked about: tables and views with their columns, as they are declared.

The marts are declared in dbt's own files and described there; of them the engine knows names and types.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from taxi_pipeline.questions.bounded import QuestionRefusedError, Questions
from taxi_pipeline.questions.data_dictionary import data_dictionary
from taxi_pipeline.warehouse.interface import NothingLoadedError
from taxi_pipeline.warehouse.tables import TABLES, ZONE_SEGMENTS, Column, Table
from taxi_pipeline.warehouse.views import VIEWS, View

DECLARED: dict[str, Table | View] = {each.name: each for each in (*TABLES, ZONE_SEGMENTS, *VIEWS)}
"""Name → the table or view that is declared."""

_MARTS = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts' ORDER BY table_name"
_COLUMNS_OF_A_MART = (
    "SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns "
    "WHERE table_schema = 'marts' AND table_name = '{name}' ORDER BY ordinal_position"
)


@dataclass(frozen=True)
class DescribedColumn:
    """A column, with what its values mean."""

    name: str
    type: str
    meaning: str
    unit: str
    nullable: bool


@dataclass(frozen=True)
class DescribedTable:
    """A table or view, with its columns."""

    name: str
    description: str
    columns: list[DescribedColumn]


def table_names(questions: Questions | None) -> dict[str, str]:
    """Name → description, of all tables and views that can be asked.

    Args:
        questions: None for the declared ones alone.
    """
    declared = {name: each.description for name, each in DECLARED.items()}
    return declared | dict.fromkeys(_marts(questions), "A mart, made by dbt; docs/marts.md describes it.")


def described(name: str, questions: Questions | None) -> DescribedTable:
    """Describe a table or view.

    Raises:
        QuestionRefusedError: there is none of this name.
    """
    if name in DECLARED:
        found = DECLARED[name]
        return DescribedTable(name, found.description, [_described(column) for column in found.columns])
    marts = _marts(questions)
    if questions is None or name not in marts:
        known = ", ".join([*DECLARED, *marts])
        raise QuestionRefusedError(f"There is no table {name[:100]!r}. There are: {known}.")
    rows = questions.ask(_COLUMNS_OF_A_MART.format(name=name.removeprefix("marts."))).rows
    columns = [DescribedColumn(column, type_, "", "", nullable) for column, type_, nullable in rows]
    return DescribedTable(name, table_names(questions)[name], columns)


def dictionary_sections() -> dict[str, str]:
    """Heading → text, of the sections of the data dictionary, in their order."""
    return dict(_sections())


def _sections() -> Iterator[tuple[str, str]]:
    """Each with its text: the part up to the next heading. A heading has the one above it in front of it."""
    for part in re.split("^## ", data_dictionary(), flags=re.MULTILINE)[1:]:
        (above, text), *below = (section.split("\n", 1) for section in part.split("\n### "))
        if text.strip():
            yield above, text.strip()
        for heading, section in below:
            yield f"{above}: {heading.replace('`', '')}", section.strip()


def _marts(questions: Questions | None) -> list[str]:
    if questions is None:
        return []
    try:
        return [f"marts.{name}" for (name,) in questions.ask(_MARTS).rows]
    except NothingLoadedError:
        return []


def _described(column: Column) -> DescribedColumn:
    return DescribedColumn(column.name, column.type, column.description, column.unit, column.nullable)
