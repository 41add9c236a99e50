"""The published rows as DuckDB SQL, with the types of `trips`: what fits a column, and what does not.

Nothing is guessed: a value that does not fit its column makes its row a misfit, and the value is kept as text. How
casts behave is DuckDB's: its `TRY_CAST` rounds to integers, where Spark's truncates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taxi_pipeline.tlc.fleets import Code, Place, Source, Total
from taxi_pipeline.tlc.zones import LAST_ZONE_ID, UNKNOWN_ZONE_ID
from taxi_pipeline.warehouse.tables import MONEY, PUBLISHED_COLUMNS, Column

ZONE_FUNCTION = "zone_of"
"""Name of the SQL function that gives the zone of a longitude and a latitude."""

PUBLISHED = "published"
"""Name of the view over the Parquet file."""

_ZONE_COLUMNS = ("pickup_zone_id", "dropoff_zone_id")
_NULLS = '"NULL"'
_TIMES = "TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
"""Times that every library has an object for; infinite ones, and those of the year 200000, fit no column."""
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")


def typed_sql(sources: Mapping[str, Source], types: Mapping[str, str]) -> str:
    """A SELECT of the published rows with those of our columns that the file feeds.

    Beside them `pickup_date`, `misfits` (the values that fit no column, as text) and `misfit_columns` (their columns,
    separated by commas); both are NULL where all values fit.

    Args:
        sources: column of `trips` → what feeds it.
        types: published column, in lower case → its type as DuckDB reads it.
    """
    found = {
        column: _expression(column, sources[column.name], types)
        for column in PUBLISHED_COLUMNS
        if column.name in sources
    }
    pickup = next(sql.value for column, sql in found.items() if column.name == "pickup_datetime")
    values = [f"{sql.value} AS {column.name}" for column, sql in found.items()]
    reasons = [
        f"CASE WHEN {sql.misfit} THEN '{column.name} does not fit {column.type}: ' || left({sql.published}, 100) END"
        for column, sql in found.items()
    ]
    names = [f"CASE WHEN {sql.misfit} THEN '{column.name}' END" for column, sql in found.items()]
    any_misfit = " OR ".join(sql.misfit for sql in found.values())
    return f"""
    SELECT
        CAST({pickup} AS DATE) AS pickup_date,
        {", ".join(values)},
        CASE WHEN {any_misfit} THEN concat_ws('; ', {", ".join(reasons)}) END AS misfits,
        CASE WHEN {any_misfit} THEN concat_ws(',', {", ".join(names)}) END AS misfit_columns
    FROM {PUBLISHED}
    """


@dataclass(frozen=True)
class _Expression:
    """SQL for one column of ours out of published ones."""

    value: str
    """The published value as our type; NULL when it does not fit."""
    misfit: str
    """Whether a published value is there and is none of our type: text, too large, part of a whole number."""
    published: str
    """The published value as text."""


def _expression(column: Column, source: Source, types: Mapping[str, str]) -> _Expression:
    fields = [_Field(name, types[name.lower()]) for name in source.names]
    match source:
        case Place():
            return _place(*fields)
        case Total():
            return _total(column, fields)
        case Code(meanings=meanings):
            return _code(column, fields[0], meanings)
    return _zone(column, fields[0]) if column.name in _ZONE_COLUMNS else _value(column, fields[0])


@dataclass(frozen=True)
class _Field:
    """A published column."""

    name: str
    type: str
    """As DuckDB reads it; `"NULL"` when the column holds nothing else."""

    @property
    def sql(self) -> str:
        """The bare column, qualified, because one of ours may have the same name."""
        return f"{PUBLISHED}.{self.name}"

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
    if column.type == "TIMESTAMP":
        value = f"CASE WHEN {field.cast(column.type)} BETWEEN {_TIMES} THEN {field.cast(column.type)} END"
        return _Expression(value, field.is_no(f"({value})"), field.published)
    if field.type == column.type:
        return _Expression(field.sql, "FALSE", field.published)
    value = field.cast(column.type)
    return _Expression(value, _no_whole_number(column, field, field.is_no(value)), field.published)


def _zone(column: Column, field: _Field) -> _Expression:
    """A zone id out of range is an unknown zone, not a misfit."""
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
    return _Expression(f"{ZONE_FUNCTION}({longitude.cast('DOUBLE')}, {latitude.cast('DOUBLE')})", misfit, published)
