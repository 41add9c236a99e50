"""The data dictionary, as the MCP server gives it and as `docs/data-dictionary.md` has it, from the declarations.

All of it comes from `warehouse.tables`, `datasets.columns`, `tlc.fleets`, `tlc.codes` and `quality.tlc_report`. `make
docs` writes the file, and a test fails when it is out of date.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tabulate import tabulate

from taxi_pipeline.datasets.columns import DATASETS
from taxi_pipeline.quality.tlc_report import KNOWN_DEVIATIONS as KNOWN
from taxi_pipeline.tlc.codes import AREAS, CODES, CONGESTION_ZONE_SINCE, Meaning
from taxi_pipeline.tlc.fleets import FLEETS, Code, Era, Fleet, Place, Source, Total, Value
from taxi_pipeline.tlc.months import previous_month
from taxi_pipeline.warehouse.net_parts import FEE_RULES
from taxi_pipeline.warehouse.tables import TABLES, TRIPS, ZONE_SEGMENTS, Column, Table
from taxi_pipeline.warehouse.vendor_defects import VENDOR_DEFECTS
from taxi_pipeline.warehouse.views import VIEWS

_HEAD = """# Data dictionary

Written by `make docs` from the declarations in `taxi_pipeline/warehouse/tables.py`,
`taxi_pipeline/datasets/columns.py`, `taxi_pipeline/tlc/fleets.py`, `taxi_pipeline/tlc/codes.py` and
`taxi_pipeline/quality/tlc_report.py`; change those. Times are New York wall time, without a time zone. A column that a
fleet or a month does not publish is NULL.
"""


def data_dictionary() -> str:
    """The page, as Markdown."""
    return "\n".join([_HEAD, *_tables(), *_views(), *_datasets(), *_fleets(), *_codes(), *_deviations()])


def _tables() -> Iterator[str]:
    yield "## Tables of the warehouse\n"
    for table in (*TABLES, ZONE_SEGMENTS):
        yield f"### `{table.name}`\n\n{textwrap.fill(table.description, 120)}\n"
        yield _columns_of_trips(table) if table is TRIPS else _columns(table)


def _views() -> Iterator[str]:
    yield "## Views of the warehouse\n"
    yield "On Spark they lie beside the tables, and have what counts of them.\n"
    for view in VIEWS:
        yield f"### `{view.name}`\n\n{textwrap.fill(view.description, 120)}\n"
        if view.columns == TRIPS.columns:
            yield "It has the columns of `trips`.\n"
        else:
            yield _markdown(_COLUMN_HEADER, map(_column, view.columns))
    yield "### Fees in two columns, or in none\n"
    yield "What `net_parts` corrects: in the rows of the vendor from the first day on in which the condition holds. The"
    yield "columns of `trips` stay as published.\n"
    rows = [
        (f"`{rule.name}`", ", ".join(rule.fleets), rule.vendor_id or "all", rule.first, rule.meaning, rule.evidence)
        for rule in FEE_RULES
    ]
    yield _markdown(("rule", "fleets", "vendor", "from", "what", "rows that it explains"), rows)
    yield "### Vendors whose records are wrong\n"
    yield "Their rows stay in `trips`, and in every count and sum; the check `vendors_are_sound` names them.\n"
    defects = [
        (
            f"`{each.name}`",
            ", ".join(each.fleets),
            each.first,
            each.last or "",
            each.meaning,
            each.spoils,
            each.evidence,
        )
        for each in VENDOR_DEFECTS
    ]
    yield _markdown(("defect", "fleets", "from", "to", "what", "left out of", "evidence"), defects)


def _datasets() -> Iterator[str]:
    yield "## Datasets\n"
    yield "Files of a fleet's month, see [datasets](datasets.md).\n"
    for table in DATASETS:
        yield f"### `{table.name}`\n\n{textwrap.fill(table.description, 120)}\n"
        yield _columns(table)


def _columns(table: Table) -> str:
    if not any(column.made_from for column in table.columns):
        return _markdown(_COLUMN_HEADER, map(_column, table.columns))
    rows = [(*_column(column), ", ".join(f"`{source}`" for source in column.made_from)) for column in table.columns]
    return _markdown((*_COLUMN_HEADER, "from"), rows)


def _columns_of_trips(table: Table) -> str:
    """Describe the columns of `trips`, with the first month in which each fleet has values."""
    rows = [(*_column(column), *(_since(fleet, column.name) for fleet in FLEETS.values())) for column in table.columns]
    note = "The last columns say from which month on a fleet has values; none without a month.\n\n"
    return note + _markdown((*_COLUMN_HEADER, *FLEETS), rows)


_COLUMN_HEADER = ("column", "type", "unit", "meaning")


def _column(column: Column) -> tuple[str, str, str, str]:
    type_ = column.type if column.nullable else f"{column.type}, never NULL"
    return f"`{column.name}`", type_, column.unit, column.description


def _since(fleet: Fleet, column: str) -> str:
    if column in ("fleet", "pickup_date"):
        return f"{fleet.first_month:%Y-%m}"
    first = fleet.first_month_of(column)
    return f"{first:%Y-%m}" if first else ""


def _fleets() -> Iterator[str]:
    yield "## What the TLC publishes, and which column it feeds\n"
    yield "Names are compared without regard to case. A column that is in no list is reported by the check"
    yield "`columns_known` and left out.\n"
    for fleet in FLEETS.values():
        for era, later in zip(fleet.eras, [*fleet.eras[1:], None], strict=True):
            yield f"### `{fleet.name}`, {fleet.title}: from {era.first_month:%Y-%m}{_until(era, later)}\n"
            yield _era(era)


def _until(era: Era, later: Era | None) -> str:
    """The end of an era; the months of some are published today as those of the next era are."""
    if later is None:
        return " on"
    if later.first_month <= era.first_month:
        return ", as published at first"
    return f" to {previous_month(later.first_month):%Y-%m}"


def _era(era: Era) -> str:
    rows = [(f"`{column}`", *_source(source)) for column, source in era.sources.items()]
    index = "".join(
        f"\n`{name}` counts the rows of a data frame, and says nothing of a trip.\n"
        for name in sorted(era.no_values_of_trips)
    )
    return f"{_markdown(('column', 'published', 'how'), rows)}{index}"


def _source(source: Source) -> tuple[str, str]:
    """Name the published columns, and what becomes of their values."""
    names = ", ".join(f"`{name}`" for name in source.names)
    match source:
        case Code(meanings=meanings):
            how = ", ".join(f"{text} = {_plain(meaning)}" for text, meaning in meanings.items())
        case Total():
            how = "added up"
        case Place():
            how = "the zone that covers the place; 264 where none does"
        case Value(since=since):
            how = f"values from {since:%Y-%m} on" if since else ""
    return names, how


def _codes() -> Iterator[str]:
    yield "## Codes\n"
    yield "Out of the TLC's data dictionaries, of the date in the last column; what no dictionary has is without one.\n"
    for name, meanings in CODES.items():
        yield f"### `{name}`\n"
        yield _markdown(("code", "meaning", "dictionary of"), map(_meaning, meanings))
    yield "### `zone_areas`\n"
    yield f"The fee in the congestion zone (Manhattan south of 60th Street) is due since {CONGESTION_ZONE_SINCE}.\n"
    yield _markdown(("area", "zones"), [(area, ", ".join(map(str, sorted(ids)))) for area, ids in AREAS.items()])


def _deviations() -> Iterator[str]:
    yield "## Months that are known to differ from the TLC's monthly report\n"
    yield "How far the trips per day of the published file are from the report. The check `trips_match_tlc_report`"
    yield "warns when a month is further off. A month without a row here may differ by 1 %.\n"
    rows = [(each.fleet, f"{each.first:%Y-%m}", f"{each.last:%Y-%m}", each.words, each.evidence) for each in KNOWN]
    yield _markdown(("fleet", "from", "to", "difference", "evidence"), rows)


def _meaning(code: Meaning) -> tuple[str, str, str]:
    return (str(code.code), code.text, str(code.as_of or ""))


def _plain(value: int | str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return tabulate(list(rows), header, tablefmt="pipe", disable_numparse=True) + "\n"
