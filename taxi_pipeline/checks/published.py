"""Checks of what the TLC published: whether a day or a month looks as it usually does.

They warn and never block, because the pipeline loads what was published. What the pipeline itself promises is in
`promises`.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg

from taxi_pipeline.assets.raw_files import taxi_trips_file
from taxi_pipeline.assets.warehouse import POOL, taxi_trips
from taxi_pipeline.checks.days import days_of_check
from taxi_pipeline.loaded import loaded_months, placed_days, share_placed
from taxi_pipeline.loading import REJECTED_WITH_DAY
from taxi_pipeline.metadata import markdown_table
from taxi_pipeline.partitions import days_of_run
from taxi_pipeline.quality import (
    DEFECTS,
    MAX_DEVIATION,
    MIN_SHARE_PLACED,
    WEEKS_LOOKED_BACK,
    Defect,
    level,
    too_many,
)
from taxi_pipeline.resources import FileStore, Session, TlcSource, Warehouse
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.transfer import FetchError
from taxi_pipeline.tlc.trip_files import read_trip_file

MAX_DIFFERENCE_FROM_REPORT = 0.01
"""Of the TLC's figure. Real months differ by 0.05 % (green 2020-03) and 0.16 % (2020-04)."""


@dg.asset_check(asset=taxi_trips_file)
def columns_known(context: dg.AssetCheckExecutionContext, tlc: TlcSource, files: FileStore) -> dg.AssetCheckResult:
    """The published files have no column that the pipeline does not know; a new one is left out of `trips`."""
    days = days_of_run(context)
    if days:
        expected = [
            (fleet, files.path(tlc.trips_file(fleet, month_of(part.first))))
            for fleet, months in tlc.months_by_fleet(days)
            for part in months
        ]
        # A fleet whose file could not be fetched is told of by the asset.
        trip_files = [(fleet, path) for fleet, path in expected if path.is_file()]
    else:
        trip_files = [
            (FLEETS[name], path)
            for name in tlc.fleets
            for path in sorted(files.path("raw").glob(FLEETS[name].file_pattern))
        ]
    unknown = [
        (path.name, column)
        for fleet, path in trip_files
        for column in fleet.unknown_columns(read_trip_file(path).columns)
    ]
    names = ", ".join(sorted({column for _, column in unknown}))
    return _warning(
        passed=not unknown,
        description=f"{names} not known, left out" if unknown else f"{len(trip_files)} files looked at",
        metadata={"num_unknown": len(unknown), "unknown_columns": markdown_table(("file", "column"), unknown)},
    )


def _values_fit(session: Session, days: Days) -> dg.AssetCheckResult:
    """No row had to be rejected because a value fits no column (text where a number is due, a number too large)."""
    rejected = session.rows(_MISFITS_SQL, [days.first, days.last])
    num_rows = sum(count for *_, count in rejected)
    return _warning(
        passed=not rejected,
        description=f"{num_rows:,} rows rejected" if rejected else "all values fit",
        metadata={
            "num_rejected": num_rows,
            "rejected": markdown_table(("fleet", "file of", "day", "column", "an example", "rows"), rejected),
        },
    )


def _days_have_trips(session: Session, days: Days) -> dg.AssetCheckResult:
    """Each loaded day has trips: one without any is missing from the published file, or the file is only a part."""
    empty = session.rows(
        "SELECT fleet, pickup_date FROM loaded_days WHERE num_trips = 0 AND pickup_date BETWEEN ? AND ? ORDER BY ALL",
        [days.first, days.last],
    )
    return _warning(
        passed=not empty,
        description=_days_text(empty, "have no trips") if empty else "each loaded day has trips",
        metadata={"num_bad_days": len(empty), "bad_days": markdown_table(("fleet", "day"), empty)},
    )


def _trips_near_usual_level(session: Session, days: Days) -> dg.AssetCheckResult:
    """Each day has about as many trips as the same weekday of the eight weeks before (their median, give or take 40 %).

    Days with fewer than four such weekdays loaded are not judged.
    """
    counts: dict[tuple[str, date], int] = {
        (fleet, day): num_trips
        for fleet, day, num_trips in session.rows(
            "SELECT fleet, pickup_date, num_trips FROM loaded_days WHERE pickup_date BETWEEN ? AND ? ORDER BY ALL",
            [days.first - timedelta(weeks=WEEKS_LOOKED_BACK), days.last],
        )
    }
    judged = [found for fleet, day in counts if day >= days.first and (found := level(counts, fleet, day))]
    far = [
        (found.fleet, found.day, found.num_trips, round(found.usual), f"{found.num_trips / found.usual:.0%}")
        for found in judged
        if found.is_far
    ]
    return _warning(
        passed=not far,
        description=_days_text(far, f"are more than {MAX_DEVIATION:.0%} off")
        if far
        else f"{len(judged)} days are near the usual",
        metadata={
            "num_judged_days": len(judged),
            "num_bad_days": len(far),
            "bad_days": markdown_table(("fleet", "day", "trips", "usual", "of the usual"), far),
        },
    )


def _coordinates_are_placed(session: Session, days: Days) -> dg.AssetCheckResult:
    """At least 95 % of a day's pickups and drop-offs that are published as coordinates (before 2011) lie in a zone."""
    placed = placed_days(session, days)
    if not placed:
        return _skipped("no day with coordinates")
    bad = [day for day in placed if too_many(day.num_ends - day.num_placed, day.num_ends, 1 - MIN_SHARE_PLACED)]
    share = share_placed(placed) or 0.0
    return _warning(
        passed=not bad,
        description=_days_text([(day.fleet, day.day) for day in bad], f"have less than {MIN_SHARE_PLACED:.0%}")
        if bad
        else f"{share:.2%} of {len(placed)} days",
        metadata={
            "num_bad_days": len(bad),
            "share_placed": share,
            "bad_days": markdown_table(
                ("fleet", "day", "pickups and drop-offs", "placed"),
                [(day.fleet, day.day, day.num_ends, day.num_placed) for day in bad],
            ),
        },
    )


_QUESTIONS = {
    "values_fit": _values_fit,
    "days_have_trips": _days_have_trips,
    "trips_near_usual_level": _trips_near_usual_level,
    "coordinates_are_placed": _coordinates_are_placed,
}
"""Name of the check → what finds its answer; its docstring is the check's description."""


@dg.multi_asset_check(
    specs=[
        *(dg.AssetCheckSpec(name, asset=taxi_trips, description=ask.__doc__) for name, ask in _QUESTIONS.items()),
        *(
            dg.AssetCheckSpec(
                defect.name,
                asset=taxi_trips,
                description=f"{defect.description} No day has more of them than {defect.max_share:.2%} (and what "
                "chance makes of it).",
            )
            for defect in DEFECTS
        ),
    ],
    pool=POOL,
)
def published_trips(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
    """What is odd in the published trips: one step and one session for all questions, because each has its cost."""
    with warehouse.read() as session:
        days = days_of_check(context, session) or _NO_DAYS
        answers = {name: ask(session, days) for name, ask in _QUESTIONS.items()}
        counts = session.rows(_DEFECTS_SQL, [days.first, days.last])
    for position, defect in enumerate(DEFECTS, start=3):
        answers[defect.name] = _defect_result(defect, [(*row[:3], row[position]) for row in counts])
    for name, answer in answers.items():
        yield answer._replace(check_name=name, asset_key=taxi_trips.key)


_NO_DAYS = Days(date(1, 1, 1), date(1, 1, 1))
"""For a warehouse in which nothing is loaded."""


@dg.asset_check(asset=taxi_trips, pool=POOL)
def trips_match_tlc_report(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, tlc: TlcSource, files: FileStore
) -> dg.AssetCheckResult:
    """Trips per day of each whole month are those of the TLC's own monthly report, give or take 1 %.

    Passes with a reason where there is nothing to compare: no whole month, synthetic trips, no report, no figure in it.
    """
    with warehouse.read() as session:
        days = days_of_check(context, session)
        months = [month for month in loaded_months(session, days) if month.is_whole] if days else []
        synthetic = session.row("SELECT bool_or(synthetic) FROM loaded_days")[0]
    if synthetic or not months:
        return _skipped("the trips are synthetic" if synthetic else "no month is wholly loaded")
    try:
        published = tlc.trips_per_day(files, tell=context.log.info)
    except FetchError as error:
        return _skipped(f"there is no report to compare with: {error}")
    compared = [
        (month.fleet, f"{month.first:%Y-%m}", round(month.trips_per_day), figure, month.trips_per_day / figure - 1)
        for month in months
        if (figure := published.get((month.fleet, month.first)))
    ]
    if not compared:
        return _skipped(f"the report has no figure for {', '.join(f'{m.fleet} {m.first:%Y-%m}' for m in months)}")
    off = [row for row in compared if abs(row[-1]) > MAX_DIFFERENCE_FROM_REPORT]
    return _warning(
        passed=not off,
        description=f"{len(off)} of {len(compared)} months differ by more than {MAX_DIFFERENCE_FROM_REPORT:.0%}",
        metadata={
            "num_compared": len(compared),
            "months": markdown_table(
                ("fleet", "month", "trips per day", "in the report", "difference"),
                [(*row[:-1], f"{row[-1]:+.2%}") for row in compared],
            ),
        },
    )


_MISFITS_SQL = f"""
SELECT fleet, month, day, split_part(reason, ' does not fit', 1), min(reason), count(*)
FROM (SELECT *, {REJECTED_WITH_DAY} AS day FROM rejected_trips) AS rejected
WHERE reason LIKE '%does not fit%' AND day BETWEEN ? AND ?
GROUP BY ALL
ORDER BY ALL
"""

_DEFECTS_SQL = f"""
SELECT fleet, pickup_date, count(*), {", ".join(f"count(*) FILTER ({defect.condition})" for defect in DEFECTS)}
FROM trips
WHERE pickup_date BETWEEN ? AND ?
GROUP BY fleet, pickup_date
ORDER BY fleet, pickup_date
"""


def _defect_result(defect: Defect, counts: Sequence[tuple[str, date, int, int]]) -> dg.AssetCheckResult:
    counts = [row for row in counts if defect.judges(row[0], row[1])]
    bad = [
        (fleet, day, trips, num, f"{num / trips:.2%}")
        for fleet, day, trips, num in counts
        if too_many(num, trips, defect.max_share)
    ]
    num_trips, num = sum(row[2] for row in counts), sum(row[3] for row in counts)
    share = num / num_trips if num_trips else 0.0
    return _warning(
        passed=not bad,
        description=_days_text(bad, f"have more than {defect.max_share:.2%}") if bad else f"{num:,} trips, {share:.2%}",
        metadata={
            "num_bad_days": len(bad),
            "share": share,
            "bad_days": markdown_table(("fleet", "day", "trips", "of these", "share"), bad),
        },
    )


def _days_text(rows: Sequence[tuple[Any, ...]], what: str) -> str:
    """The bad days in a sentence, the first few by name; fleet and day come first in a row."""
    named = ", ".join(f"{fleet} {day}" for fleet, day, *_ in rows[:3])
    return f"days that {what}: {named}" + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")


def _warning(*, passed: bool, description: str, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed, severity=dg.AssetCheckSeverity.WARN, description=description, metadata=metadata
    )


def _skipped(reason: str) -> dg.AssetCheckResult:
    return _warning(passed=True, description=f"skipped: {reason}", metadata={"skipped": reason})
