"""The published rows as DuckDB SQL, with the types of `trips`: what fits a column, and what does not.

Nothing is guessed. A value that fits no column makes its row a misfit when the row is no trip without it (`NEEDED`),
and is NULL otherwise; either way it is named. Empty and blank text is no value, and neither is NaN where a whole number
is expected, nor a word that other tools write for it. How casts behave is DuckDB's: its `TRY_CAST` rounds to integers,
where Spark's truncates.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from taxi_pipeline.tlc.fleets import NEEDED, Code, Place, Source, Total, plain_name
from taxi_pipeline.tlc.zones import LAST_ZONE_ID, UNKNOWN_ZONE_ID
from taxi_pipeline.warehouse.tables import MONEY, PUBLISHED_COLUMNS, Column

ZONE_FUNCTION = "zone_of"
"""Name of the SQL function that gives the zone of a longitude and a latitude."""

PUBLISHED = "published"
"""Name of the view over the Parquet file."""

LONGEST_EXAMPLE = 100
"""Characters of a published value in a message or a reason."""

_ZONE_COLUMNS = ("pickup_zone_id", "dropoff_zone_id")
_COORDINATES = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude")
_NULLS = '"NULL"'
_TIME_TEXT = r"\s*\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,9})?)?)?\s*"
"""What a time in text looks like. DuckDB 2.0 casts `08:21:27 PM` to the morning and drops `-05:00`, without a word."""
_TIMES = "TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
"""Times that every library has an object for; infinite ones, and those of the year 200000, fit no column."""
_FLOATS = ("FLOAT", "DOUBLE")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
_NOTHING = r"'', 'nan', 'none', 'null', '<na>', 'nat', '\N'".lower()
"""Texts that stand for no value: blank text, and what data frames and dumps of databases write, in small letters."""
_BLANKS = "' \t\n\r\v\f\u00a0'"


@dataclass(frozen=True)
class PublishedColumn:
    """A column of the view `published`."""

    name: str
    """As the view has it."""
    type: str
    """As DuckDB reads it; `"NULL"` when the column holds nothing else."""
    nan_is_no_value: bool = False
    """Whether NaN stands for no value, as data frames write it in columns of whole numbers."""

    @property
    def sql(self) -> str:
        """The bare column, qualified, because one of ours may have the same name."""
        quoted = self.name.replace('"', '""')
        return f'{PUBLISHED}."{quoted}"'

    @property
    def published(self) -> str:
        """The value as it was published, as text."""
        return f"CAST({self.sql} AS VARCHAR)"

    @property
    def text(self) -> str:
        """Without blanks around it; NULL when nothing is left. A flag is Y or N."""
        if self.type == "BOOLEAN":
            return f"CASE WHEN {self.sql} THEN 'Y' WHEN NOT {self.sql} THEN 'N' END"
        text = f"trim(CAST({self._without_nan} AS VARCHAR), {_BLANKS})"
        return f"CASE WHEN lower({text}) NOT IN ({_NOTHING}) THEN {text} END" if self.is_text else f"nullif({text}, '')"

    @property
    def given(self) -> str:
        """The value in its own type; NULL when it is blank text."""
        return self.text if self.is_text else self._without_nan

    @property
    def is_text(self) -> bool:
        """Whether the values are text. Old writers leave bytes, which DuckDB casts to the text that they are."""
        return self.type in ("VARCHAR", "BLOB")

    @property
    def _without_nan(self) -> str:
        return f"nullif({self.sql}, 'NaN')" if self.nan_is_no_value and self.type in _FLOATS else self.sql

    @property
    def number(self) -> str:
        """The value as a number; NULL when it is none."""
        return self.sql if self.type in _INTEGERS else self.cast("DOUBLE")

    def cast(self, type_: str) -> str:
        """The value as another type; NULL when it does not fit."""
        return f"TRY_CAST({self.given} AS {type_})"

    def is_no(self, fitting: str) -> str:
        """Whether there is a value for which the expression finds none."""
        return "FALSE" if self.type == _NULLS else f"({self.given} IS NOT NULL AND {fitting} IS NULL)"


@dataclass(frozen=True)
class TypedColumn:
    """SQL for one column of ours out of published ones."""

    column: Column
    value: str
    """The published value as our type; NULL when it does not fit."""
    misfit: str
    """Whether a published value is there and is none of our type: text, too large, part of a whole number."""
    published: str
    """The published value as text."""
    given: str
    """Whether a value was published."""

    @property
    def example(self) -> str:
        """The published value as text, bounded."""
        return f"left({self.published}, {LONGEST_EXAMPLE})"

    @property
    def is_needed(self) -> bool:
        """Whether a row is no trip when its value does not fit."""
        return self.column.name in (*NEEDED, *_COORDINATES)


def typed_columns(sources: Mapping[str, Source], published: Mapping[str, PublishedColumn]) -> list[TypedColumn]:
    """The columns of `trips` that a file feeds, in their order.

    Args:
        sources: column of `trips` → what feeds it.
        published: plain name → the column of the view `published`.
    """
    return [_typed(column, sources[column.name], published) for column in PUBLISHED_COLUMNS if column.name in sources]


def typed_sql(sources: Mapping[str, Source], published: Mapping[str, PublishedColumn]) -> str:
    """A SELECT of the published rows with those of our columns that the file feeds.

    Beside them `pickup_date`; `misfits`, the values without which the row is no trip and that fit no column, as text,
    and `misfit_columns`, their columns, separated by commas; `unfit_values` and `unfit_columns`, the same for the
    other columns. All four are NULL where the values fit.

    Args:
        sources: column of `trips` → what feeds it.
        published: plain name → the column of the view `published`.
    """
    found = typed_columns(sources, published)
    pickup = next(sql.value for sql in found if sql.column.name == "pickup_datetime")
    values = [f"{sql.value} AS {sql.column.name}" for sql in found]
    needed, others = ([sql for sql in found if sql.is_needed is kind] for kind in (True, False))
    return f"""
    SELECT
        CAST({pickup} AS DATE) AS pickup_date,
        {", ".join(values)},
        {_reasons(needed)} AS misfits,
        {_names(needed)} AS misfit_columns,
        {_reasons(others)} AS unfit_values,
        {_names(others)} AS unfit_columns
    FROM {PUBLISHED}
    """


def _reasons(columns: Sequence[TypedColumn]) -> str:
    """SQL for the values that do not fit, as text."""
    return _joined(
        columns, "; ", (f"'{sql.column.name} does not fit {sql.column.type}: ' || {sql.example}" for sql in columns)
    )


def _names(columns: Sequence[TypedColumn]) -> str:
    """SQL for the names of the columns whose values do not fit."""
    return _joined(columns, ",", (f"'{sql.column.name}'" for sql in columns))


def _joined(columns: Sequence[TypedColumn], separator: str, texts: Iterable[str]) -> str:
    unfit = [(sql.misfit, text) for sql, text in zip(columns, texts, strict=True) if sql.misfit != "FALSE"]
    if not unfit:
        return "CAST(NULL AS VARCHAR)"
    cases = ", ".join(f"CASE WHEN {misfit} THEN {text} END" for misfit, text in unfit)
    return f"CASE WHEN {' OR '.join(misfit for misfit, _ in unfit)} THEN concat_ws('{separator}', {cases}) END"


def _typed(column: Column, source: Source, published: Mapping[str, PublishedColumn]) -> TypedColumn:
    is_whole_number = column.type in _INTEGERS
    fields = [replace(published[plain_name(name)], nan_is_no_value=is_whole_number) for name in source.names]
    match source:
        case Place():
            return _place(column, *fields)
        case Total():
            return _total(column, fields)
        case Code(meanings=meanings):
            return _code(column, fields[0], meanings)
    return _zone(column, fields[0]) if column.name in _ZONE_COLUMNS else _value(column, fields[0])


def _of_field(column: Column, field: PublishedColumn, value: str, misfit: str) -> TypedColumn:
    return TypedColumn(column, value, misfit, field.published, f"{field.given} IS NOT NULL")


def _value(column: Column, field: PublishedColumn) -> TypedColumn:
    if column.type == "VARCHAR":
        return _of_field(column, field, field.text, "FALSE")
    if column.type == "TIMESTAMP":
        is_time = f"{field.cast(column.type)} BETWEEN {_TIMES}"
        if field.is_text:
            is_time += f" AND regexp_full_match({field.text}, '{_TIME_TEXT}')"
        value = f"CASE WHEN {is_time} THEN {field.cast(column.type)} END"
        return _of_field(column, field, value, field.is_no(f"({value})"))
    if field.type == column.type:
        return _of_field(column, field, field.sql, "FALSE")
    value = field.cast(column.type)
    if _may_have_fractions(column, field):
        value = f"CASE WHEN {field.number} = floor({field.number}) THEN {value} END"
    return _of_field(column, field, value, field.is_no(f"({value})"))


def _zone(column: Column, field: PublishedColumn) -> TypedColumn:
    """A zone id out of range is an unknown zone, not a misfit."""
    known = f"{field.number} BETWEEN 1 AND {LAST_ZONE_ID}"
    value = f"CASE WHEN {known} THEN {field.cast(column.type)} ELSE {UNKNOWN_ZONE_ID} END"
    misfit = field.is_no(field.number)
    if _may_have_fractions(column, field):
        misfit = f"({misfit} OR {field.number} <> floor({field.number}))"
    return _of_field(column, field, value, misfit)


def _may_have_fractions(column: Column, field: PublishedColumn) -> bool:
    return column.type in _INTEGERS and field.type not in (*_INTEGERS, _NULLS, "BOOLEAN")


def _code(column: Column, field: PublishedColumn, meanings: Mapping[str, int | str | bool]) -> TypedColumn:
    cases = " ".join(f"WHEN '{text}' THEN {_literal(meaning)}" for text, meaning in meanings.items())
    value = f"CASE upper({field.text}) {cases} ELSE TRY_CAST({field.text} AS {column.type}) END"
    misfit = "FALSE" if field.type == _NULLS else f"({field.text} IS NOT NULL AND ({value}) IS NULL)"
    return _of_field(column, field, value, misfit)


def _literal(value: int | str | bool) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).upper()


def _total(column: Column, fields: Sequence[PublishedColumn]) -> TypedColumn:
    first, *others = (field.cast(MONEY) for field in fields)
    total = " + ".join([first, *(f"coalesce({other}, 0)" for other in others)])
    sum_ = f"TRY_CAST({total} AS {column.type})"
    unfit = [field.is_no(field.cast(MONEY)) for field in fields]
    misfit = f"({' OR '.join(unfit)} OR ({first} IS NOT NULL AND {sum_} IS NULL))"
    published = f"concat_ws(' + ', {', '.join(field.published for field in fields)})"
    # Without the part that does not fit the sum would be another one.
    value = f"CASE WHEN NOT ({' OR '.join(unfit)}) THEN {sum_} END"
    return TypedColumn(column, value, misfit, published, f"{fields[0].given} IS NOT NULL")


def _place(column: Column, longitude: PublishedColumn, latitude: PublishedColumn) -> TypedColumn:
    misfit = f"({longitude.is_no(longitude.number)} OR {latitude.is_no(latitude.number)})"
    published = f"concat_ws(' ', {longitude.published}, {latitude.published})"
    value = f"{ZONE_FUNCTION}({longitude.cast('DOUBLE')}, {latitude.cast('DOUBLE')})"
    given = f"({longitude.given} IS NOT NULL AND {latitude.given} IS NOT NULL)"
    return TypedColumn(column, value, misfit, published, given)
