"""The evaluation of the quality checks over loaded days: for the asset checks and for the monthly report.

The thresholds are in `rules`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from taxi_pipeline.differences import signed
from taxi_pipeline.quality.drift import drifts
from taxi_pipeline.quality.rules import (
    DAYS_LOOKED_BACK,
    DEFECTS,
    MAX_DEVIATION,
    MAX_SHARE_OF_OTHER_TOTALS,
    MIN_DAYS,
    MIN_SHARE_PLACED,
    WEEKS_LOOKED_BACK,
    Defect,
    level,
    too_many,
    usual_limit,
)
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.warehouse.coverage import LACKS_COLUMNS, loaded_span, placed_days, share_placed
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.net_parts import UNEXPLAINED
from taxi_pipeline.warehouse.sql import month_start, placeholders
from taxi_pipeline.warehouse.tables import REJECTED_TRIPS
from taxi_pipeline.warehouse.vendor_defects import VENDOR_DEFECTS


@dataclass(frozen=True)
class Verdict:
    """The result of a quality check over days."""

    passed: bool
    description: str
    """One sentence, with the first bad days or the number of bad rows."""
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)
    table: tuple[str, Sequence[str], Sequence[tuple[Any, ...]]] | None = None
    """The bad days or rows: a name, the header, the rows."""


def skipped(reason: str) -> Verdict:
    """A verdict for a check that has nothing to judge; it passes."""
    return Verdict(True, f"skipped: {reason}", {"skipped": reason})


def evaluate_all(session: Session, days: Days) -> dict[str, Verdict]:
    """Evaluate all quality checks.

    Args:
        session: the warehouse.
        days: days to judge, of all fleets.

    Returns:
        Name of the check, as in `QUALITY_CHECKS` → its verdict.
    """
    verdicts = {name: evaluate(session, days) for name, evaluate in _EVALUATIONS.items()}
    counts = session.rows(_DEFECTS_SQL, [days.first, days.last])
    totals = {(row[0], row[1]): row[-3:] for row in counts}
    verdicts["parts_add_up"] = _parts_add_up(session, days, totals)
    for position, defect in enumerate(DEFECTS, start=3):
        judged = [(*row[:3], row[position]) for row in counts if defect.judges(row[0], row[1])]
        verdicts[defect.name] = _defect(defect, judged, _usual_limits(session, defect, judged))
    return verdicts


def evaluate_loaded(session: Session, days: Days | None) -> dict[str, Verdict]:
    """Evaluate all quality checks over these days, or over all loaded days when there are none.

    Args:
        session: the warehouse.
        days: days to judge, of all fleets; None for all loaded days.

    Returns:
        Name of the check, as in `QUALITY_CHECKS` → its verdict.
    """
    return evaluate_all(session, days or loaded_span(session) or _NO_DAYS)


_NO_DAYS = Days(date(1900, 1, 1), date(1900, 1, 1))
"""A day without trips, judged when nothing is loaded; a year before it is a date, too."""


def _values_fit(session: Session, days: Days) -> Verdict:
    """All published values fit their columns (text where a number is due does not, nor a number too large).

    A value without which a row is no trip rejects the row; another one is NULL in trips, and counted here.
    """
    rejected = session.rows(_MISFITS_SQL, [days.first, days.last])
    unfit = session.rows(_UNFIT_SQL, [days.first, days.last])
    num_rows, num_values = sum(count for *_, count in rejected), sum(count for *_, count in unfit)
    found = [f"{num_rows:,} rows rejected"] * bool(rejected) + [f"{num_values:,} values are NULL"] * bool(unfit)
    return Verdict(
        not found,
        ", ".join(found) or "all values fit",
        {"num_rejected": num_rows, "num_unfit": num_values},
        (
            "rejected",
            ("fleet", "file of", "day", "columns", "an example", "rows"),
            [
                *rejected,
                *((fleet, month_of(day), day, "NULL in trips", note, count) for fleet, day, note, count in unfit),
            ],
        ),
    )


def _vendors_are_sound(session: Session, days: Days) -> Verdict:
    """No trip is of a vendor whose records are known to be wrong at that time.

    Such trips stay, and all counts and sums have them. What the defect spoils (durations, speeds, fares) is computed
    without them.
    """
    counts = ", ".join(f"count(*) FILTER (WHERE {defect.applies})" for defect in VENDOR_DEFECTS)
    found = session.rows(
        f"SELECT fleet, {counts} FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet ORDER BY fleet",
        [days.first, days.last],
    )
    rows = [
        (fleet, defect.name, num, defect.meaning, defect.spoils, defect.evidence)
        for fleet, *numbers in found
        for defect, num in zip(VENDOR_DEFECTS, numbers, strict=True)
        if num
    ]
    named = "; ".join(f"{num:,} trips of {fleet}: {meaning}" for fleet, _, num, meaning, *_ in rows)
    return Verdict(
        not rows,
        named or "no trip of such a vendor",
        {"num_trips": sum(row[2] for row in rows)},
        ("defects", ("fleet", "defect", "trips", "what", "spoils", "evidence"), rows),
    )


def _days_have_trips(session: Session, days: Days) -> Verdict:
    """Each loaded day has trips: one without any is missing from the published file, or the file is only a part."""
    empty = session.rows(
        "SELECT fleet, pickup_date FROM loaded_days WHERE num_trips = 0 AND pickup_date BETWEEN ? AND ? "
        "ORDER BY fleet, pickup_date",
        [days.first, days.last],
    )
    return _bad_days(("fleet", "day"), empty, what="have no trips", otherwise="each loaded day has trips")


def _trips_near_usual_level(session: Session, days: Days) -> Verdict:
    """Each day has about as many trips as the same weekday of the eight weeks before (their median, give or take 40 %).

    Days with fewer than four such weekdays loaded are not judged.
    """
    counts: dict[tuple[str, date], int] = {
        (fleet, day): num_trips
        for fleet, day, num_trips in session.rows(
            "SELECT fleet, pickup_date, num_trips FROM loaded_days WHERE pickup_date BETWEEN ? AND ? "
            "ORDER BY fleet, pickup_date",
            [days.first - timedelta(weeks=WEEKS_LOOKED_BACK), days.last],
        )
    }
    judged = [found for fleet, day in counts if day >= days.first and (found := level(counts, fleet, day))]
    far = [
        (found.fleet, found.day, found.num_trips, round(found.usual), found.share) for found in judged if found.is_far
    ]
    return _bad_days(
        ("fleet", "day", "trips", "usual", "of the usual"),
        far,
        what=f"deviate by more than {MAX_DEVIATION:.0%} from the usual",
        otherwise=f"{len(judged)} days are near the usual",
        num_judged_days=len(judged),
    )


def _coordinates_are_placed(session: Session, days: Days) -> Verdict:
    """At least 95 % of a day's pickups and drop-offs that are published as coordinates (before 2011) lie in a zone."""
    placed = placed_days(session, days)
    if not placed:
        return skipped("no day with coordinates")
    bad = [day for day in placed if too_many(day.num_ends - day.num_placed, day.num_ends, 1 - MIN_SHARE_PLACED)]
    share = share_placed(placed) or 0.0
    return _bad_days(
        ("fleet", "day", "pickups and drop-offs", "placed"),
        [(day.fleet, day.day, day.num_ends, day.num_placed) for day in bad],
        what=f"have less than {MIN_SHARE_PLACED:.0%} of them in a zone",
        otherwise=f"{share:.2%} of {len(placed)} days",
        share_placed=share,
    )


def _parts_add_up(
    session: Session, days: Days, totals: Mapping[tuple[str, date], tuple[int, int, Decimal | None]]
) -> Verdict:
    """The net parts of a total add up to it in at least 97 % of each fleet's trips of a month.

    The parts are fare, extras, taxes, fees, tolls and tip; for fhvhv all that the passenger paid. A fee that a vendor
    is known to put into two columns, or into none, counts once; the rest is listed by vendor and difference. Trips
    without a total are not judged, nor are days whose month was loaded before the pipeline had the columns of all
    parts.
    """
    lacking = set(session.rows(_LACKING_PARTS_SQL, [days.first, days.last]))
    months: dict[tuple[str, date], list[Any]] = {}
    for (fleet, day), (trips, differ, difference) in totals.items():
        if trips and (fleet, day) not in lacking:
            month = months.setdefault((fleet, month_of(day)), [0, 0, Decimal(0)])
            month[:] = [month[0] + trips, month[1] + differ, month[2] + (difference or 0)]
    shares = [
        (fleet, f"{month:%Y-%m}", trips, differ, f"{differ / trips:.2%}", signed(difference / trips, ".2f"))
        for (fleet, month), (trips, differ, difference) in sorted(months.items())
    ]
    patterns = _patterns(session, days) if any(row[3] for row in shares) else {}
    shares = [(*row, "; ".join(patterns.get(row[:2], [])[:_MAX_PATTERNS])) for row in shares]
    bad = [row for row in shares if too_many(row[3], row[2], MAX_SHARE_OF_OTHER_TOTALS)]
    num_trips, num = sum(row[2] for row in shares), sum(row[3] for row in shares)
    named = ", ".join(f"{fleet} {month}" for fleet, month, *_ in bad)
    return Verdict(
        not bad,
        f"the net parts do not add up in more than {MAX_SHARE_OF_OTHER_TOTALS:.0%} of the trips of {named}"
        if bad
        else f"{num:,} of {num_trips:,} trips have another total",
        {"num_bad_months": len(bad), "share": num / num_trips if num_trips else 0.0},
        ("months", ("fleet", "month", "trips", "other totals", "share", "mean difference", "most often"), shares),
    )


_MAX_PATTERNS = 5


def _patterns(session: Session, days: Days) -> dict[tuple[str, str], list[str]]:
    """Fleet and month (YYYY-MM) → the differences that no rule explains, the most frequent first."""
    found: dict[tuple[str, str], list[str]] = {}
    for fleet, month, vendor, difference, num_trips in session.rows(_PATTERNS_SQL, [days.first, days.last]):
        who = "vendor not known" if vendor is None else f"vendor {vendor}"
        found.setdefault((fleet, f"{month:%Y-%m}"), []).append(f"{num_trips:,} × {difference:+.2f} ({who})")
    return found


def _usual_limits(
    session: Session, defect: Defect, judged: Sequence[tuple[str, date, int, int]]
) -> dict[tuple[str, date], float]:
    """Fleet and day → the limit that follows from the fleet's year before the day, where enough of it is loaded."""
    if not defect.follows_last_year or not judged:
        return {}
    days = [day for _, day, *_ in judged]
    fleets = sorted({fleet for fleet, *_ in judged})
    shares: dict[str, dict[date, float]] = {fleet: {} for fleet in fleets}
    sql = _SHARES_SQL.format(condition=defect.condition, fleets=placeholders(fleets))
    for fleet, day, share in session.rows(sql, [*fleets, min(days) - timedelta(days=DAYS_LOOKED_BACK), max(days)]):
        shares[fleet][day] = share
    limits = {}
    for fleet, day, *_ in judged:
        before = (day - timedelta(days=n) for n in range(1, DAYS_LOOKED_BACK + 1))
        limit = usual_limit([shares[fleet][date] for date in before if date in shares[fleet]])
        if limit is not None:
            limits[fleet, day] = limit
    return limits


def _defect(
    defect: Defect, judged: Sequence[tuple[str, date, int, int]], usual_limits: Mapping[tuple[str, date], float]
) -> Verdict:
    """Judge days by a defect, given as fleet, day, trips and trips with the defect."""
    bad: list[tuple[Any, ...]] = []
    for fleet, day, trips, num in judged:
        usual = usual_limits.get((fleet, day))
        if too_many(num, trips, defect.max_share if usual is None else usual):
            by_year = [] if not defect.follows_last_year else ["-" if usual is None else f"{usual:.2%}"]
            bad.append((fleet, day, trips, num, f"{num / trips:.2%}", f"{defect.max_share:.2%}", *by_year))
    num_trips, num = sum(row[2] for row in judged), sum(row[3] for row in judged)
    share = num / num_trips if num_trips else 0.0
    limits = ("fixed limit", "usual limit") if defect.follows_last_year else ("limit",)
    return _bad_days(
        ("fleet", "day", "trips", "of these", "share", *limits),
        bad,
        what=f"have more than {_limit_in_words(defect)} of such trips{_note_on_limit(defect)}",
        otherwise=f"{num:,} trips, {share:.2%}",
        share=share,
    )


def _description(defect: Defect) -> str:
    return (
        f"{defect.description} Fails when more than {_limit_in_words(defect)} of a day's trips have this, "
        f"beyond random variation{_note_on_limit(defect)}."
    )


def _limit_in_words(defect: Defect) -> str:
    return "the usual share" if defect.follows_last_year else f"{100 * defect.max_share:g} %"


def _note_on_limit(defect: Defect) -> str:
    if not defect.follows_last_year:
        return ""
    fixed = f"{100 * defect.max_share:g} %"
    return f" (from the fleet's last {DAYS_LOOKED_BACK} days; {fixed} until {MIN_DAYS} of them are loaded)"


def _bad_days(
    header: Sequence[str], rows: Sequence[tuple[Any, ...]], *, what: str, otherwise: str, **numbers: float
) -> Verdict:
    """Describe the bad days in a sentence, the first few by name; fleet and day come first in a row."""
    named = ", ".join(f"{fleet} {day}" for fleet, day, *_ in rows[:3])
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return Verdict(
        not rows,
        f"days that {what}: {named}{more}" if rows else otherwise,
        {"num_bad_days": len(rows), **numbers},
        ("bad_days", header, rows),
    )


def _distributions_hold(session: Session, days: Days) -> Verdict:
    """The distributions of a fleet's month are near those of the same month a year before.

    Fares, distances, durations, speeds, tips, passengers and waits are compared, and so is how many trips have none.
    The distance is the population stability index (0.1 at most, and what random samples differ by). Months are judged
    when all their days and all days of the year before are loaded.
    """
    found = drifts(session, days)
    if not found:
        return skipped("no whole month whose year before is loaded, too")
    rows = [
        (each.fleet, f"{each.month:%Y-%m}", each.measure.name, round(each.index, 4), round(each.limit, 4), each.words)
        for each in found
    ]
    changed = [each for each in found if each.has_changed]
    named = ", ".join(f"{each.measure.name} of {each.fleet} {each.month:%Y-%m} ({each.words})" for each in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    largest = max(found, key=lambda each: each.index)
    return Verdict(
        not changed,
        f"other distributions than a year before: {named}{more}"
        if changed
        else f"{len(found)} distributions are near those of a year before; the largest index is {largest.index:.3f} "
        f"({largest.measure.name} of {largest.fleet} {largest.month:%Y-%m})",
        {"num_compared": len(found), "num_changed": len(changed), "largest_index": largest.index},
        ("drift", ("fleet", "month", "measure", "index", "limit", "most changed"), rows),
    )


_EVALUATIONS: dict[str, Callable[[Session, Days], Verdict]] = {
    "values_fit": _values_fit,
    "days_have_trips": _days_have_trips,
    "trips_near_usual_level": _trips_near_usual_level,
    "coordinates_are_placed": _coordinates_are_placed,
    "vendors_are_sound": _vendors_are_sound,
    "distributions_hold": _distributions_hold,
}

QUALITY_CHECKS: dict[str, str] = {
    **{name: inspect.getdoc(evaluate) or "" for name, evaluate in _EVALUATIONS.items()},
    "parts_add_up": inspect.getdoc(_parts_add_up) or "",
    **{defect.name: _description(defect) for defect in DEFECTS},
}
"""Name of the check → its description."""

_MISFITS_SQL = f"""
SELECT fleet, month, day, misfit_columns, min(reason), count(*)
FROM (SELECT *, {REJECTED_TRIPS.day} AS day FROM rejected_trips) AS rejected
WHERE misfit_columns IS NOT NULL AND day BETWEEN ? AND ?
GROUP BY fleet, month, day, misfit_columns
ORDER BY fleet, month, day, misfit_columns
"""

_UNFIT_SQL = """
SELECT fleet, pickup_date, unfit_values, num_unfit
FROM loaded_days
WHERE num_unfit > 0 AND pickup_date BETWEEN ? AND ?
ORDER BY fleet, pickup_date
"""

_PATTERNS_SQL = f"""
SELECT fleet, {month_start("pickup_date")} AS month, vendor_id, {UNEXPLAINED} AS difference, count(*) AS num_trips
FROM trips
WHERE pickup_date BETWEEN ? AND ? AND {UNEXPLAINED} <> 0
GROUP BY fleet, {month_start("pickup_date")}, vendor_id, {UNEXPLAINED}
ORDER BY fleet, month, num_trips DESC, vendor_id, difference
"""

_LACKING_PARTS_SQL = f"""
SELECT fleet, pickup_date FROM loaded_days WHERE {LACKS_COLUMNS} AND pickup_date BETWEEN ? AND ?
"""

_SHARES_SQL = """
SELECT fleet, pickup_date, CAST(count(*) FILTER (WHERE {condition}) AS DOUBLE) / count(*)
FROM trips
WHERE fleet IN ({fleets}) AND pickup_date BETWEEN ? AND ?
GROUP BY fleet, pickup_date
"""

_DEFECTS_SQL = f"""
SELECT fleet, pickup_date, count(*), {", ".join(f"count(*) FILTER (WHERE {defect.condition})" for defect in DEFECTS)},
    count(total_amount), count(*) FILTER (WHERE {UNEXPLAINED} <> 0), sum({UNEXPLAINED})
FROM trips
WHERE pickup_date BETWEEN ? AND ?
GROUP BY fleet, pickup_date
ORDER BY fleet, pickup_date
"""
