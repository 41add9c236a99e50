"""The manifest of a month: what is loaded of it, by fleet, as JSON that a program can read."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import EmptyWindowError, LoadedMonth, loaded_days, loaded_months, not_loaded
from taxi_pipeline.warehouse.interface import Session


def manifest_of_month(session: Session, month: date, fleets: Sequence[str]) -> dict[str, Any]:
    """Describe what is loaded of a month.

    Args:
        session: the warehouse.
        month: first day of the month.
        fleets: names of the fleets to describe; one that did not exist yet is left out.

    Returns:
        The content of the month's JSON file: whether all is loaded, and for each fleet its days, trips, rejected rows
        and the published file that they come from.

    Raises:
        EmptyWindowError: no day of the month is loaded.
    """
    days = Days.of_month(month)
    loaded = loaded_days(session, days, fleets)
    if not loaded:
        raise EmptyWindowError(f"no day of {month:%Y-%m} is loaded: materialize its days first")
    missing = not_loaded(loaded, days, fleets)
    described = {each.fleet: each for each in loaded_months(session, days) if each.fleet in fleets}
    return {
        "month": f"{month:%Y-%m}",
        "is_whole": not missing,
        "synthetic": any(loaded.values()),
        "fleets": {
            fleet: _loaded_part(described.get(fleet), [str(day) for name, day in missing if name == fleet])
            for fleet in sorted({*described, *(name for name, _ in missing)})
        },
    }


def _loaded_part(loaded: LoadedMonth | None, missing_days: list[str]) -> dict[str, Any]:
    if loaded is None:
        return {"num_days": 0, "missing_days": missing_days}
    return {
        "num_days": loaded.num_days,
        "missing_days": missing_days,
        "num_trips": loaded.num_trips,
        "num_rejected": loaded.num_rejected,
        "file_rows": loaded.file_rows,
        "file_sha256": loaded.file_version,
        "num_file_versions": loaded.num_versions,
    }
