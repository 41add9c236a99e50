"""What is wrong with the comparisons of months' versions, and which of them found many changes.

They are read from the tables, and added up there; how they were counted is in `warehouse.month_changes`.
"""

from collections.abc import Sequence
from typing import Any

from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.month_changes import LARGE_SHARE

HEADER = ("fleet", "month", "rows_before", "rows_after", "rows_changed", "rows_added", "rows_removed")


def not_adding_up(session: Session) -> Sequence[tuple[Any, ...]]:
    """The comparisons whose numbers contradict each other, or the file that is loaded, with the columns of `HEADER`."""
    return session.rows(_NOT_ADDING_UP_SQL)


def large_changes(session: Session) -> Sequence[tuple[Any, ...]]:
    """The months whose newest comparison found a larger share of differing rows than `LARGE_SHARE`, as `HEADER`."""
    return session.rows(_LARGE_SQL, [LARGE_SHARE])


_NOT_ADDING_UP_SQL = f"""
SELECT DISTINCT {", ".join(f"compared.{name}" for name in HEADER)}
FROM month_changes AS compared
LEFT JOIN (
    SELECT fleet, month, earlier_sha256, later_sha256, sum(rows_changed) AS of_all, max(rows_changed) AS of_one
    FROM month_column_changes
    GROUP BY fleet, month, earlier_sha256, later_sha256
) AS by_column
    ON by_column.fleet = compared.fleet
    AND by_column.month = compared.month
    AND by_column.earlier_sha256 = compared.earlier_sha256
    AND by_column.later_sha256 = compared.later_sha256
LEFT JOIN loaded_days AS loaded
    ON loaded.fleet = compared.fleet AND loaded.file_version = compared.later_sha256
WHERE rows_unchanged + compared.rows_changed + rows_removed <> rows_before
    OR rows_unchanged + compared.rows_changed + rows_added <> rows_after
    OR coalesce(by_column.of_all, 0) < compared.rows_changed
    OR coalesce(by_column.of_one, 0) > compared.rows_changed
    OR loaded.file_rows <> rows_after
ORDER BY compared.fleet, compared.month
"""

_LARGE_SQL = f"""
SELECT {", ".join(HEADER)}
FROM (
    SELECT *, row_number() OVER (PARTITION BY fleet, month ORDER BY replaced_at DESC) AS age
    FROM month_changes
) AS numbered
WHERE age = 1
    AND rows_changed + rows_added + rows_removed > ? * (rows_unchanged + rows_changed + rows_added + rows_removed)
ORDER BY fleet, month
"""
