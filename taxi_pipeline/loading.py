"""How the rows of a published file come into the warehouse: as trips, or as rejected rows with their reason.

Each row of a file belongs to one day of the file's month: to that of its pickup, or, when no day of the month can hold
it, to the first. So replacing days replaces exactly the rows that belong to them, and nothing is in two places or in
none. Here is the SQL for `trips`, `rejected_trips` and `loaded_days`; which files and days it is called for is
said by the asset `taxi_trips`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from taxi_pipeline.session import Session
from taxi_pipeline.tables import LOADED_DAYS, MONEY, REJECTED_TRIPS, TRIPS, Column
from taxi_pipeline.tlc.download import verified_version
from taxi_pipeline.tlc.fleets import Code, Fleet, Place, Source, Total
from taxi_pipeline.tlc.months import Days, month_of, next_month
from taxi_pipeline.tlc.places import ZoneFinder
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.tlc.zones import LAST_ZONE_ID, UNKNOWN_ZONE_ID

TRIP_COLUMNS = TRIPS.columns[2:]
"""The columns that come from the file; the fleet is known, the pickup date follows from the pickup time."""

REJECTED_WITH_DAY = "CASE WHEN date_trunc('month', pickup_date) = month THEN pickup_date ELSE month END"
"""SQL for the day with which a row of `rejected_trips` is kept."""

_ZONES = ("pickup_zone_id", "dropoff_zone_id")
_NULLS = '"NULL"'
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")


class MixedDataError(RuntimeError):
    """Synthetic and real trips would come together in one warehouse."""


class MissingZonesError(RuntimeError):
    """Coordinates can't be placed, because the zones are not loaded."""


def load_trips(session: Session, fleet: Fleet, days: Days, path: Path) -> None:
    """Replace the fleet's trips on days of one month by those of the month's published file.

    Nothing is guessed: a row with a value that doesn't fit its column is rejected, and its reason holds the value.

    Raises:
        DamagedFileError: the file is not what was verified when it was fetched.
        MixedDataError: the file is synthetic and the warehouse's trips are real, or the other way round.
        MissingColumnsError: the file lacks a column that every month must have.
        MissingZonesError: the file holds coordinates, and the zones are not loaded.
    """
    version = verified_version(path)
    file = read_trip_file(path)
    refuse_mixture(session, path, synthetic=file.synthetic)
    types = session.view_parquet("published", path)
    sources = fleet.sources_in(file.columns)
    if any(isinstance(source, Place) for source in sources.values()) and not session.offers("zone_of"):
        _offer_zone_of(session)
    session.execute(f"CREATE OR REPLACE TEMP VIEW published_trips AS {_typed_sql(sources, types)}")
    month = month_of(days.first)
    _delete_days(session, fleet, days)
    counts = _count_rows(session, days)
    found = ["pickup_date", *(column.name for column in _by_column(sources))]
    columns = ", ".join(found)
    rejected = ["fleet", "month", "reason", *found]
    # A comparison with the bare column lets DuckDB skip row groups; the order lets later reads do the same.
    for part in days.in_parts(_num_parts(sum(trips for trips, _ in counts.values()))):
        session.execute(
            TRIPS.insert_sql(
                f"SELECT ?, {columns} FROM published_trips "
                f"WHERE {_WITHIN} AND misfits IS NULL ORDER BY pickup_datetime",
                ["fleet", *found],
            ),
            [fleet.name, *_window(part)],
        )
    if any(misfits for _, misfits in counts.values()):
        session.execute(
            REJECTED_TRIPS.insert_sql(
                f"SELECT ?, ?, misfits, {columns} FROM published_trips "
                f"WHERE {_WITHIN} AND misfits IS NOT NULL ORDER BY pickup_datetime",
                rejected,
            ),
            [fleet.name, month, *_window(days)],
        )
    if days.first == month:
        whole_month = [month, next_month(month)]
        session.execute(
            REJECTED_TRIPS.insert_sql(f"SELECT ?, ?, {_OUTSIDE_REASON}, {columns} {_OUTSIDE}", rejected),
            [fleet.name, month, *whole_month],
        )
        outside = session.row(f"SELECT count(*) {_OUTSIDE}", whole_month)[0]
        trips, misfits = counts.get(month, (0, 0))
        counts[month] = (trips, misfits + outside)
    session.insert(
        LOADED_DAYS,
        [(fleet.name, day, *counts.get(day, (0, 0)), version, file.num_rows, file.synthetic) for day in days],
    )


ROWS_SORTED_AT_ONCE = 900_000
"""What is sorted is held in memory; sorted in parts, day after day, a month has the same order and a lower peak."""
MAX_PARTS = 8
"""Each part reads the whole file where its rows are not in the order of their pickups; DuckDB sorts on disk what is
too large for its memory."""


def _num_parts(num_trips: int) -> int:
    return min(MAX_PARTS, 1 + num_trips // ROWS_SORTED_AT_ONCE)


def _window(days: Days) -> list[date]:
    """For `_WITHIN`: the first day, and the one after the last."""
    return [days.first, days.last + timedelta(days=1)]


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


def _count_rows(session: Session, days: Days) -> dict[date, tuple[int, int]]:
    """Day → its trips and its misfits in the published file: counted there, so that a check can compare."""
    return {
        day: (trips, misfits)
        for day, trips, misfits in session.rows(
            "SELECT pickup_date, count(*) FILTER (misfits IS NULL), count(misfits) FROM published_trips "
            f"WHERE {_WITHIN} GROUP BY pickup_date",
            _window(days),
        )
    }


@dataclass(frozen=True)
class _Expression:
    """SQL for one column of ours out of published ones."""

    value: str
    """The published value as our type; NULL when it does not fit."""
    misfit: str
    """Whether a published value is there and is none of our type: text, too large, part of a whole number."""
    published: str
    """The published value as text."""


def _typed_sql(sources: Mapping[str, Source], types: Mapping[str, str]) -> str:
    """The published rows with those of our columns that the file has, `pickup_date`, and `misfits`.

    `misfits` holds the values that fit no column, or NULL.
    """
    found = {column: _expression(column, source, types) for column, source in _by_column(sources).items()}
    pickup = next(sql.value for column, sql in found.items() if column.name == "pickup_datetime")
    values = [f"{sql.value} AS {column.name}" for column, sql in found.items()]
    reasons = [
        f"CASE WHEN {sql.misfit} THEN '{column.name} does not fit {column.type}: ' || left({sql.published}, 100) END"
        for column, sql in found.items()
    ]
    return f"""
    SELECT
        CAST({pickup} AS DATE) AS pickup_date,
        {", ".join(values)},
        CASE WHEN {" OR ".join(sql.misfit for sql in found.values())} THEN concat_ws('; ', {", ".join(reasons)})
        END AS misfits
    FROM published
    """


def _by_column(sources: Mapping[str, Source]) -> dict[Column, Source]:
    return {column: sources[column.name] for column in TRIP_COLUMNS if column.name in sources}


def _expression(column: Column, source: Source, types: Mapping[str, str]) -> _Expression:
    fields = [_Field(name, types[name.lower()]) for name in source.names]
    match source:
        case Place():
            return _place(*fields)
        case Total():
            return _total(column, fields)
        case Code(meanings=meanings):
            return _code(column, fields[0], meanings)
    return _zone(column, fields[0]) if column.name in _ZONES else _value(column, fields[0])


@dataclass(frozen=True)
class _Field:
    """A published column."""

    name: str
    type: str
    """As DuckDB reads it; `"NULL"` when the column holds nothing else."""

    @property
    def sql(self) -> str:
        """The bare column, told apart from ours of the same name."""
        return f"published.{self.name}"

    @property
    def published(self) -> str:
        """The value as it was published, as text."""
        return f"CAST({self.sql} AS VARCHAR)"

    @property
    def text(self) -> str:
        """Without blanks around it; NULL when nothing is left."""
        return f"nullif(trim({self.published}), '')"

    @property
    def number(self) -> str:
        """The value as a number; NULL when it is none."""
        return self.sql if self.type in _INTEGERS else f"TRY_CAST({self.sql} AS DOUBLE)"

    def cast(self, type_: str) -> str:
        """The value as another type; NULL when it does not fit."""
        return f"TRY_CAST({self.sql} AS {type_})"

    def is_no(self, fitting: str) -> str:
        """Whether there is a value for which the expression finds none."""
        return "FALSE" if self.type == _NULLS else f"({self.sql} IS NOT NULL AND {fitting} IS NULL)"


def _value(column: Column, field: _Field) -> _Expression:
    if column.type == "VARCHAR":
        return _Expression(field.text, "FALSE", field.published)
    if field.type == column.type:
        return _Expression(field.sql, "FALSE", field.published)
    value = field.cast(column.type)
    return _Expression(value, _no_whole_number(column, field, field.is_no(value)), field.published)


def _zone(column: Column, field: _Field) -> _Expression:
    """A zone id out of range is a zone that nobody knows, not a misfit."""
    known = f"{field.number} BETWEEN 1 AND {LAST_ZONE_ID}"
    value = f"CASE WHEN {known} THEN {field.cast(column.type)} ELSE {UNKNOWN_ZONE_ID} END"
    misfit = _no_whole_number(column, field, field.is_no(field.number))
    return _Expression(value, misfit, field.published)


def _no_whole_number(column: Column, field: _Field, misfit: str) -> str:
    if column.type not in _INTEGERS or field.type in (*_INTEGERS, _NULLS):
        return misfit
    return f"({misfit} OR {field.number} <> floor({field.number}))"


def _code(column: Column, field: _Field, meanings: Mapping[str, int | str | bool]) -> _Expression:
    cases = " ".join(f"WHEN '{text}' THEN {_literal(meaning)}" for text, meaning in meanings.items())
    value = f"CASE upper({field.text}) {cases} ELSE TRY_CAST({field.text} AS {column.type}) END"
    misfit = "FALSE" if field.type == _NULLS else f"({field.text} IS NOT NULL AND ({value}) IS NULL)"
    return _Expression(value, misfit, field.published)


def _literal(value: int | str | bool) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).upper()


def _total(column: Column, fields: Sequence[_Field]) -> _Expression:
    first, *others = (field.cast(MONEY) for field in fields)
    total = " + ".join([first, *(f"coalesce({other}, 0)" for other in others)])
    value = f"TRY_CAST({total} AS {column.type})"
    unfit = [field.is_no(field.cast(MONEY)) for field in fields]
    misfit = f"({' OR '.join(unfit)} OR ({first} IS NOT NULL AND {value} IS NULL))"
    return _Expression(value, misfit, f"concat_ws(' + ', {', '.join(field.published for field in fields)})")


def _place(longitude: _Field, latitude: _Field) -> _Expression:
    misfit = f"({longitude.is_no(longitude.number)} OR {latitude.is_no(latitude.number)})"
    published = f"concat_ws(' ', {longitude.published}, {latitude.published})"
    return _Expression(f"zone_of({longitude.cast('DOUBLE')}, {latitude.cast('DOUBLE')})", misfit, published)


def _offer_zone_of(session: Session) -> None:
    """Make the SQL function `zone_of(longitude, latitude)` available, by the zones' own shapes.

    Raises:
        MissingZonesError: the warehouse has no shapes yet.
    """
    shapes = dict(session.rows("SELECT zone_id, geometry FROM zones WHERE geometry IS NOT NULL"))
    if not shapes:
        raise MissingZonesError(
            "files of before 2011 hold coordinates, and there are no zones yet to place them in: "
            "materialize taxi_zones first"
        )
    session.offer_function("zone_of", ZoneFinder(shapes).zones_of, "SMALLINT")


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
