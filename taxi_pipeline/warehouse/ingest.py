"""How the rows of a published file come into the warehouse: as trips, or as rejected rows with their reason.

Each row of a file belongs to one day of the file's month: to that of its pickup, or, when no day of the month can hold
it, to the first. So replacing days replaces exactly the rows that belong to them, and nothing is in two places or in
none. Here is the SQL for `trips`, `rejected_trips` and `loaded_days`; how published values become typed ones is in the
engine's folder.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.fetch_note import verified_copy
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.months import Days, month_of, next_month
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.warehouse.interface import PublishedFile, Session
from taxi_pipeline.warehouse.rollups import replace_flows, replace_hourly
from taxi_pipeline.warehouse.sql import month_start
from taxi_pipeline.warehouse.tables import LOADED_DAYS, NUM_PUBLISHED_COLUMNS, REJECTED_TRIPS, TRIPS

REJECTED_WITH_DAY = f"CASE WHEN {month_start('pickup_date')} = month THEN pickup_date ELSE month END"
"""SQL for the day with which a row of `rejected_trips` is kept."""


class MixedDataError(RuntimeError):
    """Synthetic and real trips would come together in one warehouse."""


def replace_days(session: Session, fleet: Fleet, months: Sequence[Days], files: Storage) -> None:
    """Replace the fleet's trips on these days by those of the published files, and the days' rollups with them.

    Args:
        session: a transaction.
        fleet: whose trips.
        months: the days, each element within one month.
        files: the storage with the published files. The caller holds their locks.

    Raises:
        LastFetchFailedError: the last fetch of a file failed.
        MissingFileError: a file was never fetched.
        DamagedFileError: a file is not what was verified when it was fetched.
        MixedDataError: a file is synthetic and the warehouse's trips are real, or the other way round.
        MissingColumnsError: a file lacks a column that every month must have.
        MissingZonesError: a file holds coordinates, and the zones are not loaded.
    """
    for days in months:
        load_trips(session, fleet, days, files)
        replace_hourly(session, days, [fleet.name])
        replace_flows(session, days, [fleet.name])


def load_trips(session: Session, fleet: Fleet, days: Days, files: Storage) -> None:
    """Replace the fleet's trips on days of one month by those of the month's published file.

    Raises:
        As `replace_days`.
    """
    month = month_of(days.first)
    name = trips_file(fleet, month)
    with verified_copy(files, name, written_by="taxi_trips_file") as (path, version):
        file = read_trip_file(path)
        refuse_mixture(session, name, synthetic=file.synthetic)
        published = PublishedFile(path=path, uri=files.uri(name), sha256=version, num_rows=file.num_rows)
        columns = session.view_published_trips(published, fleet.sources_in(file.columns))
        _delete_days(session, fleet, days)
        counts = _insert_days(session, fleet, days, columns)
        if days.first == month:
            trips, misfits = counts.get(month, (0, 0))
            counts[month] = (trips, misfits + _insert_rows_outside(session, fleet, month, columns))
    session.insert(
        LOADED_DAYS,
        [
            (fleet.name, day, *counts.get(day, (0, 0)), version, file.num_rows, file.synthetic, NUM_PUBLISHED_COLUMNS)
            for day in days
        ],
    )


MAX_PARTS = 8
"""Each part reads the whole file where its rows are not in the order of their pickups; the engine sorts on disk what is
too large for its memory."""

_WITHIN = "pickup_datetime >= ? AND pickup_datetime < ?"
"""A comparison with the bare column lets the engine skip row groups."""
_OUTSIDE = f"FROM published_trips WHERE ({_WITHIN}) IS NOT TRUE"
_OUTSIDE_REASON = """concat_ws('; ',
    CASE
        WHEN pickup_datetime IS NOT NULL THEN 'pickup outside the month'
        WHEN misfits IS NULL THEN 'no pickup time'
    END,
    misfits)"""


def _insert_days(session: Session, fleet: Fleet, days: Days, columns: Sequence[str]) -> dict[date, tuple[int, int]]:
    """Insert trips and misfits of the days; gives day → how many of each the file has."""
    counts = _count_rows(session, days)
    found = ["pickup_date", *columns]
    listed = ", ".join(found)
    # Sorted by pickup, so that later reads skip row groups, too.
    for part in days.in_parts(_num_parts(sum(trips for trips, _ in counts.values()), session.rows_sorted_at_once)):
        session.execute(
            TRIPS.insert_sql(
                f"SELECT ?, {listed} FROM published_trips WHERE {_WITHIN} AND misfits IS NULL ORDER BY pickup_datetime",
                ["fleet", *found],
            ),
            [fleet.name, *_window(part)],
        )
    if any(misfits for _, misfits in counts.values()):
        session.execute(
            REJECTED_TRIPS.insert_sql(
                f"SELECT ?, ?, misfits, misfit_columns, {listed} FROM published_trips "
                f"WHERE {_WITHIN} AND misfits IS NOT NULL ORDER BY pickup_datetime",
                [*_REJECTED, *found],
            ),
            [fleet.name, month_of(days.first), *_window(days)],
        )
    return counts


_REJECTED = ("fleet", "month", "reason", "misfit_columns")


def _insert_rows_outside(session: Session, fleet: Fleet, month: date, columns: Sequence[str]) -> int:
    """Insert the rows that no day of the month can hold into `rejected_trips`; gives how many there are."""
    found = ["pickup_date", *columns]
    whole_month = [month, next_month(month)]
    session.execute(
        REJECTED_TRIPS.insert_sql(
            f"SELECT ?, ?, {_OUTSIDE_REASON}, misfit_columns, {', '.join(found)} {_OUTSIDE}", [*_REJECTED, *found]
        ),
        [fleet.name, month, *whole_month],
    )
    return session.row(f"SELECT count(*) {_OUTSIDE}", whole_month)[0]


def _num_parts(num_trips: int, at_once: int | None) -> int:
    return min(MAX_PARTS, 1 + num_trips // at_once) if at_once else 1


def _window(days: Days) -> list[date]:
    """For `_WITHIN`: the first day, and the one after the last."""
    return [days.first, days.last + timedelta(days=1)]


def _delete_days(session: Session, fleet: Fleet, days: Days) -> None:
    between = [fleet.name, days.first, days.last]
    for table in (TRIPS, LOADED_DAYS):
        session.execute(f"DELETE FROM {table.name} WHERE fleet = ? AND pickup_date BETWEEN ? AND ?", between)
    session.execute(
        f"DELETE FROM rejected_trips WHERE fleet = ? AND month = ? AND {REJECTED_WITH_DAY} BETWEEN ? AND ?",
        [fleet.name, month_of(days.first), days.first, days.last],
    )


def _count_rows(session: Session, days: Days) -> dict[date, tuple[int, int]]:
    """Day → its trips and its misfits in the published file: counted there, so that a check can compare."""
    return {
        day: (trips, misfits)
        for day, trips, misfits in session.rows(
            "SELECT pickup_date, count(*) FILTER (WHERE misfits IS NULL), count(misfits) FROM published_trips "
            f"WHERE {_WITHIN} GROUP BY pickup_date",
            _window(days),
        )
    }


def refuse_mixture(session: Session, name: str, *, synthetic: bool) -> None:
    """Refuse a file when the warehouse's trips are of the other kind, synthetic or real.

    Raises:
        MixedDataError: they would come together.
    """
    others = session.row("SELECT count(*) FROM loaded_days WHERE synthetic <> ?", [synthetic])[0]
    if others:
        kinds = ("synthetic", "real") if synthetic else ("real", "synthetic")
        raise MixedDataError(
            f"{name.rpartition('/')[2]} is {kinds[0]}, but the warehouse holds {others:,} days of {kinds[1]} trips; "
            "they must not mix. Nothing was changed. Use another TAXI_DATA_DIR (or DUCKDB_DATABASE), or another TLC_URL"
        )
