"""How the rows of a published file come into the warehouse: as trips, or as rejected rows with their reason.

Each row of a file belongs to one day of the file's month: to that of its pickup, or, when no day of the month can hold
it, to the first. So replacing days replaces exactly the rows that belong to them, and nothing is in two places or in
none. Here is the SQL for `trips`, `rejected_trips` and `loaded_days`; which files and days it is called for is
said by the asset `taxi_trips`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from taxi_pipeline.resources import Session
from taxi_pipeline.tables import LOADED_DAYS, REJECTED_TRIPS, TRIPS, Column
from taxi_pipeline.tlc.download import verified_version
from taxi_pipeline.tlc.fleets import Fleet
from taxi_pipeline.tlc.months import Days, month_of, next_month
from taxi_pipeline.tlc.trip_files import TripFile, read_trip_file
from taxi_pipeline.tlc.zones import LAST_ZONE_ID, UNKNOWN_ZONE_ID

TRIP_COLUMNS = TRIPS.columns[2:]
"""The columns that come from the file; the fleet is known, the pickup date follows from the pickup time."""

REJECTED_WITH_DAY = "CASE WHEN date_trunc('month', pickup_date) = month THEN pickup_date ELSE month END"
"""SQL for the day with which a row of `rejected_trips` is kept."""

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")


class MixedDataError(RuntimeError):
    """Synthetic and real trips would come together in one warehouse."""


def load_trips(session: Session, fleet: Fleet, days: Days, path: Path) -> None:
    """Replace the fleet's trips on days of one month by those of the month's published file.

    Nothing is guessed: a row with a value that doesn't fit its column is rejected, and its reason holds the value.

    Raises:
        DamagedFileError: the file is not what was verified when it was fetched.
        MixedDataError: the file is synthetic and the warehouse's trips are real, or the other way round.
        MissingColumnsError: the file lacks a column that every month must have.
    """
    version = verified_version(path)
    file = read_trip_file(path)
    refuse_mixture(session, path, synthetic=file.synthetic)
    types = session.view_parquet("published", path)
    session.execute(
        f"CREATE OR REPLACE TEMP VIEW published_trips AS {_typed_sql(fleet.present_columns(file.columns), types)}"
    )
    month = month_of(days.first)
    whole_month = [month, next_month(month)]
    window = [days.first, days.last + timedelta(days=1)]
    _delete_days(session, fleet, days)
    columns = ", ".join(column.name for column in TRIP_COLUMNS)
    # A comparison with the bare column lets DuckDB skip row groups; the order lets later reads do the same.
    session.execute(
        TRIPS.insert_sql(
            f"SELECT ?, pickup_date, {columns} FROM published_trips "
            f"WHERE {_WITHIN} AND misfits IS NULL ORDER BY pickup_datetime"
        ),
        [fleet.name, *window],
    )
    session.execute(
        REJECTED_TRIPS.insert_sql(
            f"SELECT ?, ?, misfits, pickup_date, {columns} FROM published_trips "
            f"WHERE {_WITHIN} AND misfits IS NOT NULL ORDER BY pickup_datetime"
        ),
        [fleet.name, month, *window],
    )
    if days.first == month:
        session.execute(
            REJECTED_TRIPS.insert_sql(f"SELECT ?, ?, {_OUTSIDE_REASON}, pickup_date, {columns} {_OUTSIDE}"),
            [fleet.name, month, *whole_month],
        )
    _note_loaded_days(session, fleet, days, file, version)


_WITHIN = "pickup_datetime >= ? AND pickup_datetime < ?"
_OUTSIDE = f"FROM published_trips WHERE ({_WITHIN}) IS NOT TRUE"
_OUTSIDE_REASON = """concat_ws('; ',
    CASE
        WHEN pickup_datetime IS NOT NULL THEN 'pickup outside the month'
        WHEN misfits IS NULL THEN 'no pickup time'
    END,
    misfits)"""


def _delete_days(session: Session, fleet: Fleet, days: Days) -> None:
    between = [fleet.name, days.first, days.last]
    for table in (TRIPS, LOADED_DAYS):
        session.execute(f"DELETE FROM {table.name} WHERE fleet = ? AND pickup_date BETWEEN ? AND ?", between)
    month = month_of(days.first)
    session.execute(
        f"DELETE FROM rejected_trips WHERE fleet = ? AND month = ? AND {REJECTED_WITH_DAY} BETWEEN ? AND ?",
        [fleet.name, month, days.first, days.last],
    )


def _note_loaded_days(session: Session, fleet: Fleet, days: Days, file: TripFile, version: str) -> None:
    """Keep, per day, how many rows the published file has: counted there, so that a check can compare."""
    counts = {
        day: (trips, rejected)
        for day, trips, rejected in session.rows(
            "SELECT pickup_date, count(*) FILTER (misfits IS NULL), count(misfits) FROM published_trips "
            f"WHERE {_WITHIN} GROUP BY pickup_date",
            [days.first, days.last + timedelta(days=1)],
        )
    }
    month = month_of(days.first)
    if days.first == month:
        outside = session.row(f"SELECT count(*) {_OUTSIDE}", [month, next_month(month)])[0]
        trips, rejected = counts.get(month, (0, 0))
        counts[month] = (trips, rejected + outside)
    session.insert(
        LOADED_DAYS,
        [(fleet.name, day, *counts.get(day, (0, 0)), version, file.num_rows, file.synthetic) for day in days],
    )


def _typed_sql(present: Mapping[str, str], types: Mapping[str, str]) -> str:
    """The published rows with our columns, `pickup_date`, and in `misfits` the values that fit no column (or NULL)."""
    columns = [_Source(column, present[column.name], types) for column in TRIP_COLUMNS if column.name in present]
    absent = [column for column in TRIP_COLUMNS if column.name not in present]
    pickup = next(source.value for source in columns if source.column.name == "pickup_datetime")
    return f"""
    SELECT
        CAST({pickup} AS DATE) AS pickup_date,
        {", ".join(f"{source.value} AS {source.column.name}" for source in columns)},
        {"".join(f"CAST(NULL AS {column.type}) AS {column.name}, " for column in absent)}
        CASE WHEN {" OR ".join(source.misfit for source in columns)}
            THEN concat_ws('; ', {", ".join(source.reason for source in columns)})
        END AS misfits
    FROM published
    """


@dataclass(frozen=True)
class _Source:
    """SQL for one column of ours out of the published one."""

    column: Column
    published: str
    types: Mapping[str, str]
    """Published column, in lower case → type as DuckDB reads it."""

    @property
    def value(self) -> str:
        """The published value as our type; NULL when it does not fit."""
        if self._type == self.column.type and not self._is_zone:
            return self.published
        value = f"TRY_CAST({self.published} AS {self.column.type})"
        if not self._is_zone:
            return value
        return f"CASE WHEN {self._number} BETWEEN 1 AND {LAST_ZONE_ID} THEN {value} ELSE {UNKNOWN_ZONE_ID} END"

    @property
    def misfit(self) -> str:
        """Whether the published value is there and is none of our type: text, too large, part of a whole number."""
        if self._type in (self.column.type, '"NULL"'):
            return "FALSE"
        # A zone id out of range is a zone that nobody knows, not a misfit.
        fitting = self._number if self._is_zone else f"TRY_CAST({self.published} AS {self.column.type})"
        misfit = f"({self.published} IS NOT NULL AND {fitting} IS NULL)"
        if self.column.type in _INTEGERS and self._type not in _INTEGERS:
            misfit = f"({misfit} OR {self._number} <> floor({self._number}))"
        return misfit

    @property
    def reason(self) -> str:
        """What is wrong with the value, in words; NULL when nothing is."""
        text = f"{self.column.name} does not fit {self.column.type}: "
        return f"CASE WHEN {self.misfit} THEN '{text}' || left(CAST({self.published} AS VARCHAR), 100) END"

    @property
    def _type(self) -> str:
        return self.types[self.published.lower()]

    @property
    def _is_zone(self) -> bool:
        return self.column.name in ("pickup_zone_id", "dropoff_zone_id")

    @property
    def _number(self) -> str:
        return self.published if self._type in _INTEGERS else f"TRY_CAST({self.published} AS DOUBLE)"


def refuse_mixture(session: Session, path: Path, *, synthetic: bool) -> None:
    """Refuse what is in a file when the warehouse's trips are of the other kind, synthetic or real.

    Raises:
        MixedDataError: they would come together.
    """
    others = session.row("SELECT count(*) FROM loaded_days WHERE synthetic <> ?", [synthetic])[0]
    if others:
        kinds = ("synthetic", "real") if synthetic else ("real", "synthetic")
        raise MixedDataError(
            f"{path.name} is {kinds[0]}, but the warehouse holds {others:,} days of {kinds[1]} trips; they must not "
            "mix. Nothing was changed. Use another TAXI_DATA_DIR (or DUCKDB_DATABASE), or another TLC_URL"
        )
