"""How the rows of a published file come into the warehouse: as trips, or as rejected rows with their reason.

Each row of a file belongs to one day of the file's month: to that of its pickup, or, when no day of the month can hold
it, to the first. So replacing days replaces exactly the rows that belong to them, and nothing is in two places or in
none. Here is the SQL for `trips`, `rejected_trips` and `loaded_days`; how published values become typed ones is in
`typing`.
"""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from taxi_pipeline.errors import LoadError
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.fetch_note import verified_copy
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.warehouse.interface import PublishedFile, Session
from taxi_pipeline.warehouse.rollups import replace_counts, replace_flows
from taxi_pipeline.warehouse.tables import LOADED_DAYS, NUM_PUBLISHED_COLUMNS, REJECTED_TRIPS, TRIPS
from taxi_pipeline.warehouse.typing.judgement import Before, UnlikelyFileError, reason_of_change


class MixedDataError(LoadError):
    """Synthetic and real trips would come together in one warehouse."""

    def __init__(self, name: str, others: int, *, synthetic: bool) -> None:
        kinds = ("synthetic", "real") if synthetic else ("real", "synthetic")
        super().__init__(
            f"{name.rpartition('/')[2]} is {kinds[0]}, but the warehouse holds {others:,} days of {kinds[1]} trips; "
            "they must not mix. Nothing was changed. Use another TAXI_DATA_DIR (or DUCKDB_DATABASE), or another TLC_URL"
        )


def load_days(
    session: Session, fleet: Fleet, months: Sequence[Days], files: Storage, *, accepted: Container[str] = ()
) -> None:
    """Replace the fleet's trips on these days by those of the published files, and the days' rollups with them.

    Args:
        session: a transaction.
        fleet: whose trips.
        months: the days, each element within one month.
        files: the storage with the published files. The caller holds their locks.
        accepted: months of fleets, for example `green/2023-01`, whose files are loaded however unlikely they are.

    Raises:
        LastFetchFailedError: the last fetch of a file failed.
        MissingFileError: a file was never fetched.
        DamagedFileError: a file is not what was verified when it was fetched.
        MixedDataError: a file is synthetic and the warehouse's trips are real, or the other way round.
        MissingColumnsError: a file lacks a column that every month must have.
        MissingZonesError: a file holds coordinates, and the zones are not loaded.
        UnlikelyFileError: a file has far fewer or more rows than the one from which days of its month are loaded.
        UnusableFileError: the engine can't read a file.
    """
    for days in months:
        load_trips(session, fleet, days, files, accepted=fleet.month_name(days.first) in accepted)
        replace_counts(session, fleet.name, days)
        replace_flows(session, fleet.name, days)


def load_trips(session: Session, fleet: Fleet, days: Days, files: Storage, *, accepted: bool = False) -> None:
    """Replace the fleet's trips on days of one month by those of the month's published file.

    Raises:
        As `load_days`.
    """
    name = trips_file(fleet, days.first)
    with verified_copy(files, name, written_by="taxi_trips_file") as (path, version):
        file = read_trip_file(path)
        published = PublishedFile(path=path, uri=files.uri(name), sha256=version, num_rows=file.num_rows)
        with session.reading(name):
            columns = session.view_published_trips(published, fleet.sources_in(file.columns))
            counts, num_outside, before = _count_rows(session, fleet, days, synthetic=file.synthetic)
            if others := sum(loaded.synthetic != file.synthetic for loaded in before):
                raise MixedDataError(name, others, synthetic=file.synthetic)
            if before and not accepted:
                _refuse_change(session, fleet, days, file.num_rows, before, counts)
            unfit = _count_unfit(session, days) if any(counted.num_unfit for counted in counts.values()) else {}
            _replace_trips(session, fleet, days, columns)
            has_misfits = any(counted.num_misfits for counted in counts.values())
            _replace_rejected(session, fleet, days, columns, has_misfits, num_outside > 0)
    counted = {day: counts.get(day, _DayCounts()) for day in days}
    session.replace(
        LOADED_DAYS,
        [
            (
                fleet.name,
                day,
                of.num_trips,
                of.num_misfits + (num_outside if day == month_of(day) else 0),
                version,
                file.num_rows,
                file.synthetic,
                NUM_PUBLISHED_COLUMNS,
                *unfit.get(day, (0, None)),
            )
            for day, of in counted.items()
        ],
    )


def _refuse_change(
    session: Session,
    fleet: Fleet,
    days: Days,
    num_rows: int,
    before: "Sequence[_LoadedDay]",
    counted: Collection[date],
) -> None:
    """Refuse a file that has far fewer or far more rows than the one from which days of the month are loaded.

    Args:
        session: a transaction with the view `published_trips`.
        fleet: whose file.
        days: of one month.
        num_rows: of the file.
        before: the days of the month that are loaded.
        counted: those of `days` that have rows in the file.

    Raises:
        UnlikelyFileError: it has.
    """
    rows_before = max(loaded.file_rows for loaded in before)
    if not rows_before:
        return
    month = Days.of_month(days.first)
    if days != month:
        select = f"SELECT DISTINCT pickup_date FROM published_trips WHERE {_WITHIN}"
        counted = [day for (day,) in session.rows(select, _window(month))]
    # Of the days that are loaded, which may be a few of the month.
    with_trips = {loaded.day for loaded in before if loaded.num_trips}
    num_days = len(with_trips.intersection(counted))
    if reason := reason_of_change(num_rows, num_days, Before(rows_before, len(with_trips))):
        raise UnlikelyFileError(fleet, month.first, f"{reason}. The loaded days were left as they are")


_WITHIN = "pickup_datetime >= ? AND pickup_datetime < ?"
"""A comparison with the bare column lets an engine skip row groups."""
_OUTSIDE = f"({_WITHIN}) IS NOT TRUE"
_REASON = f"""concat_ws('; ',
    CASE
        WHEN {_WITHIN} THEN NULL
        WHEN pickup_datetime IS NOT NULL THEN 'pickup outside the month'
        WHEN misfit_columns IS NULL OR NOT misfit_columns LIKE '%pickup_datetime%' THEN 'no pickup time'
    END,
    misfits, unfit_values)"""
_MISFIT_COLUMNS = "nullif(concat_ws(',', misfit_columns, unfit_columns), '')"


def _replace_trips(session: Session, fleet: Fleet, days: Days, columns: Sequence[str]) -> None:
    found = ["pickup_date", *columns]
    session.replace_days(
        TRIPS,
        fleet.name,
        days,
        f"SELECT ?, {', '.join(found)} FROM published_trips WHERE {_WITHIN} AND misfits IS NULL",
        [fleet.name, *_window(days)],
        ["fleet", *found],
    )


def _replace_rejected(
    session: Session, fleet: Fleet, days: Days, columns: Sequence[str], misfits: bool, outside: bool
) -> None:
    """Replace the rejected rows of the days.

    Args:
        session: a transaction with the view `published_trips`.
        fleet: whose rows.
        days: of one month.
        columns: of the view.
        misfits: whether the days have rows with a value that fits no column.
        outside: whether the days have rows that no day of the month can hold.
    """
    found = ["pickup_date", *columns]
    month = month_of(days.first)
    whole_month = _window(Days.of_month(month))
    conditions, values = ["FALSE"], list[Any]()
    if misfits:
        conditions.append(f"({_WITHIN} AND misfits IS NOT NULL)")
        values += _window(days)
    if outside:
        conditions.append(_OUTSIDE)
        values += whole_month
    session.replace_days(
        REJECTED_TRIPS,
        fleet.name,
        days,
        f"SELECT ?, ?, {_REASON}, {_MISFIT_COLUMNS}, {', '.join(found)} FROM published_trips "
        f"WHERE {' OR '.join(conditions)}",
        [fleet.name, month, *whole_month, *values],
        ["fleet", "month", "reason", "misfit_columns", *found],
    )


@dataclass(frozen=True)
class _DayCounts:
    """What the published file has for a day: counted there, so that a check can compare."""

    num_trips: int = 0
    num_misfits: int = 0
    """Rows that are no trips because of a value."""
    num_unfit: int = 0
    """Trips with a value that fits no column and is NULL."""


@dataclass(frozen=True)
class _LoadedDay:
    """What `loaded_days` says of a day: of the fleet's month, or with trips of the other kind, synthetic or real."""

    day: date
    num_trips: int
    file_rows: int
    synthetic: bool


def _count_rows(
    session: Session, fleet: Fleet, days: Days, *, synthetic: bool
) -> tuple[dict[date, _DayCounts], int, list[_LoadedDay]]:
    """Count the rows of the published file in one pass, and look up what is loaded, in one question.

    Returns:
        Day → what the file has for it, without days that have nothing; the number of rows that no day of the month can
        hold, which belong to its first day, so they are not counted for other days; and the days of the fleet's month
        that are loaded, with those of any fleet that are of the other kind, synthetic or real.
    """
    month = Days.of_month(days.first)
    conditions, values = [_WITHIN], _window(days)
    if days.first == month.first:
        conditions, values = [_WITHIN, _OUTSIDE], [*values, *_window(month)]
    # A condition that all rows fulfil would have the times computed twice.
    where = "" if days == month else f"WHERE {' OR '.join(f'({condition})' for condition in conditions)}"
    counts: dict[date | None, tuple[int, ...]] = {}
    before: list[_LoadedDay] = []
    for is_of, file_rows, day, *numbers in session.rows(
        "SELECT NULL AS synthetic, NULL AS file_rows, day, count(*) FILTER (WHERE misfits IS NULL), count(misfits), "
        "count(*) FILTER (WHERE misfits IS NULL AND unfit_columns IS NOT NULL), count(*) "
        f"FROM (SELECT *, CASE WHEN {_WITHIN} THEN pickup_date END AS day FROM published_trips {where}) AS found "
        "GROUP BY day "
        "UNION ALL SELECT synthetic, file_rows, pickup_date, num_trips, 0, 0, 0 FROM loaded_days "
        "WHERE synthetic <> ? OR (fleet = ? AND pickup_date BETWEEN ? AND ?)",
        [*_window(month), *(values if where else []), synthetic, fleet.name, month.first, month.last],
    ):
        if is_of is None:
            counts[day] = tuple(numbers)
        else:
            before.append(_LoadedDay(day, numbers[0], file_rows, is_of))
    *_, num_outside = counts.pop(None, (0,))
    return {day: _DayCounts(*of_day[:3]) for day, of_day in counts.items() if day}, num_outside, before


_MAX_UNFIT_TEXT = 500
"""Characters of a day's note on values that do not fit."""


def _count_unfit(session: Session, days: Days) -> dict[date, tuple[int, str]]:
    """Day → how many values of its trips fit no column, and a note on them: columns, an example, the trips of each."""
    numbers: dict[date, int] = {}
    notes: dict[date, list[str]] = {}
    for day, columns, example, num_trips in session.rows(
        "SELECT pickup_date, unfit_columns, min(unfit_values), count(*) FROM published_trips "
        f"WHERE {_WITHIN} AND misfits IS NULL AND unfit_columns IS NOT NULL GROUP BY pickup_date, unfit_columns "
        "ORDER BY pickup_date, count(*) DESC, unfit_columns",
        _window(days),
    ):
        numbers[day] = numbers.get(day, 0) + num_trips * (1 + columns.count(","))
        notes.setdefault(day, []).append(f"{num_trips:,} × {example}")
    return {day: (numbers[day], " | ".join(notes[day])[:_MAX_UNFIT_TEXT]) for day in numbers}


def _window(days: Days) -> list[date]:
    """For `_WITHIN`: the first day, and the one after the last."""
    return [days.first, days.last + timedelta(days=1)]


def refuse_mixture(session: Session, name: str, *, synthetic: bool) -> None:
    """Refuse a file when the warehouse's trips are of the other kind, synthetic or real.

    Raises:
        MixedDataError: they would come together.
    """
    others = session.row("SELECT count(*) FROM loaded_days WHERE synthetic <> ?", [synthetic])[0]
    if others:
        raise MixedDataError(name, others, synthetic=synthetic)
