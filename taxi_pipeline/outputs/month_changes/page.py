"""The page of how published months changed, and the rows of its tables; how it looks is in `page.html.jinja`.

The page is well-formed XML, uses no other file, and is the same bytes for the same comparisons.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from taxi_pipeline.differences import signed
from taxi_pipeline.outputs.origin import origin_of
from taxi_pipeline.outputs.templates import render
from taxi_pipeline.outputs.text import percent
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.warehouse.month_changes import MAX_EXAMPLES, differing_share

_MOST_COLUMNS = 60
"""Names of columns in one sentence."""


def share_of(answer: Mapping[str, Any]) -> float:
    """The changed, added and removed rows of a comparison as a share of the rows that are in either file."""
    differing = answer["rows_changed"] + answer["rows_added"] + answer["rows_removed"]
    return differing_share(answer["rows_unchanged"], differing)


def sentence_of(answer: Mapping[str, Any]) -> str:
    """The finding of a comparison: `green 2024-01 has another file: 3 rows changed, …`."""
    named = f"{answer['fleet']} {answer['month']}"
    parts = [
        f"{answer[f'rows_{kind}']:,} {'row' if answer[f'rows_{kind}'] == 1 else 'rows'} {kind}"
        for kind in ("changed", "added", "removed")
        if answer[f"rows_{kind}"]
    ]
    if not parts:
        return f"{named} has another file with the same {answer['rows_after']:,} rows"
    return f"{named} has another file: {', '.join(parts)}, {percent(share_of(answer))} of all"


def page_of(answers: Sequence[Mapping[str, Any]]) -> str:
    """Make the page's HTML.

    Args:
        answers: all comparisons, the newest replacement first.
    """
    return render(
        Path(__file__).with_name("page.html.jinja"),
        origin=origin_of(synthetic=any(answer["synthetic"] for answer in answers), schematic_zones=None),
        synthetic=any(answer["synthetic"] for answer in answers),
        changes=[_change(answer) for answer in answers],
        max_examples=f"{MAX_EXAMPLES:,}",
    )


def _change(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **answer,
        "title": f"{FLEETS[answer['fleet']].title}, {date.fromisoformat(answer['month'] + '-01'):%B %Y}",
        "seen": f"{datetime.fromisoformat(answer['replaced_at']):%Y-%m-%d %H:%M} UTC",
        "share": percent(share_of(answer)),
        "money": signed(Decimal(answer["total_amount_change"]), ",.2f"),
        "miles": signed(Decimal(answer["trip_distance_change"]), ",.2f"),
        "schema": _schema_words(answer["schema"]),
        "csv": f"{answer['stem'].removeprefix('outputs/')}.csv",
    }


def _schema_words(schema: Mapping[str, Any]) -> list[str]:
    types = [f"{name} from {before} to {after}" for name, (before, after) in schema["types"].items()]
    found = (("Columns that came", schema["added"]), ("Columns that went", schema["removed"]), ("Other types", types))
    return [f"{words}: {_listed(names)}." for words, names in found if names]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:100] for name in names[:_MOST_COLUMNS])
    return shown if len(names) <= _MOST_COLUMNS else f"{shown} and {len(names) - _MOST_COLUMNS} more"


def table_rows(answers: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The rows of the tables `month_changes` and `month_column_changes`."""
    months, columns = [], []
    for answer in answers:
        key = (
            answer["fleet"],
            date.fromisoformat(f"{answer['month']}-01"),
            answer["earlier_sha256"],
            answer["later_sha256"],
        )
        counts = (answer[f"rows_{kind}"] for kind in ("before", "after", "unchanged", "changed", "added", "removed"))
        months.append(
            (
                *key,
                datetime.fromisoformat(answer["replaced_at"]).replace(tzinfo=None),
                *counts,
                answer["rows_paired_otherwise"],
                Decimal(answer["total_amount_change"]),
                Decimal(answer["trip_distance_change"]),
            )
        )
        columns += [
            (*key, name, found["rows"], found["filled"], found["emptied"]) for name, found in answer["columns"].items()
        ]
    return sorted(months), sorted(columns)
