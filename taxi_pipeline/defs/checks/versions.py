"""The checks of how published months changed: that the comparisons add up, and that few rows changed."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from taxi_pipeline.defs.metadata import PREVIEW_ROWS, table
from taxi_pipeline.defs.resources import POOL, WarehouseParam
from taxi_pipeline.quality.version_changes import HEADER, large_changes, not_adding_up
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.month_changes import LARGE_SHARE

_ADD_UP = dg.AssetCheckSpec(
    "changes_add_up",
    asset="month_changes",
    description="Rows that are unchanged, changed or removed are those of the earlier file, rows that are unchanged, "
    "changed or added those of the later one; that file has as many rows as were loaded from it.",
)
_FEW_CHANGED = dg.AssetCheckSpec(
    "few_rows_changed",
    asset="month_changes",
    description=f"At most {LARGE_SHARE:.0%} of the rows of each month's newest version and the one that it replaced "
    "differ.",
)

_NAMED = 5
"""Months that a description names."""


@dg.multi_asset_check(specs=[_ADD_UP, _FEW_CHANGED], pool=POOL)
def version_checks(warehouse: WarehouseParam) -> Iterator[dg.AssetCheckResult]:
    """Judge the comparisons of all months, in one step, because each step has its cost."""

    def found(session: Session) -> tuple[Sequence[tuple[Any, ...]], Sequence[tuple[Any, ...]]]:
        return not_adding_up(session), large_changes(session)

    wrong, large = warehouse.query(found)
    yield dg.AssetCheckResult(
        check_name=_ADD_UP.name,
        passed=not wrong,
        description=f"{len(wrong)} comparisons do not add up" if wrong else "all add up",
        metadata={"wrong": table(HEADER, wrong[:PREVIEW_ROWS])},
    )
    yield dg.AssetCheckResult(
        check_name=_FEW_CHANGED.name,
        passed=not large,
        severity=dg.AssetCheckSeverity.WARN,
        description=_in_words(large) or "no month has many rows that differ",
        metadata={"months": table(HEADER, large[:PREVIEW_ROWS])},
    )


def _in_words(large: Sequence[Sequence[Any]]) -> str:
    shown = [
        f"{fleet} {month:%Y-%m}: {changed:,} rows changed, {added:,} added, {removed:,} removed"
        for fleet, month, _, _, changed, added, removed in large[:_NAMED]
    ]
    more = f"; and {len(large) - _NAMED} more" if len(large) > _NAMED else ""
    return f"{'; '.join(shown)}{more}"
