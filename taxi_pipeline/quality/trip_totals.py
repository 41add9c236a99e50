"""A file of single trips against the rollup of the same month: trips and sums of each day.

The file is read by pyarrow; the rollup was counted when the month was loaded.
"""

from datetime import date
from pathlib import Path
from typing import Any

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.interface import Session

_MOST_NAMED = 3
"""Days that a message names."""

_ROLLUP_SQL = (
    "SELECT pickup_date, CAST(sum(num_trips) AS BIGINT), sum(trip_distance), sum(total_amount) FROM zone_hourly_trips "
    "WHERE fleet = ? AND pickup_date BETWEEN ? AND ? GROUP BY pickup_date ORDER BY pickup_date"
)


class TripsDifferError(TaxiPipelineError):
    """A file of single trips holds other trips than were counted."""


def require_every_trip(session: Session, fleet: str, month: date, path: Path) -> None:
    """Compare the trips of each day, their miles and dollars, with the rollup `zone_hourly_trips`.

    Args:
        session: the warehouse.
        fleet: name of the fleet.
        month: first day of the month.
        path: a Parquet file with the fleet's trips of the month.

    Raises:
        TripsDifferError: a day differs; names the first ones.
    """
    days = Days.of_month(month)
    expected = {day: totals for day, *totals in session.rows(_ROLLUP_SQL, [fleet, days.first, days.last])}
    found = _totals_in(path)
    wrong = [day for day in sorted({*expected, *found}) if found.get(day) != expected.get(day)]
    if wrong:
        named = "; ".join(
            f"{day} has {_in_words(found.get(day))} in the file and {_in_words(expected.get(day))} in zone_hourly_trips"
            for day in wrong[:_MOST_NAMED]
        )
        more = f"; and {len(wrong) - _MOST_NAMED} more days" if len(wrong) > _MOST_NAMED else ""
        raise TripsDifferError(
            f"The trips of {fleet} {month:%Y-%m} differ from those that were counted: {named}{more}. No file was "
            "changed; load the month again"
        )


def _totals_in(path: Path) -> dict[date, list[Any]]:
    """Day → trips, miles and dollars, added up row group by row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["trip_distance", "total_amount"]
    totals: dict[date, list[Any]] = {}
    for batch in pq.ParquetFile(path).iter_batches(columns=["pickup_date", *columns]):
        found = pa.table(batch).group_by("pickup_date")
        for row in found.aggregate([([], "count_all"), *((name, "sum") for name in columns)]).to_pylist():
            before = totals.get(row["pickup_date"], [0, 0, 0])
            more = [row["count_all"], *(row[f"{name}_sum"] or 0 for name in columns)]
            totals[row["pickup_date"]] = [one + other for one, other in zip(before, more, strict=True)]
    return totals


def _in_words(totals: list[Any] | None) -> str:
    if totals is None:
        return "no trips"
    num_trips, miles, dollars = totals
    return f"{num_trips:,} trips, {miles:,} miles, {dollars:,} dollars"
