"""The published rows as DuckDB SQL, with the types of `trips`: what fits a column, and what does not.

Nothing is guessed. A value that fits no column makes its row a misfit when the row is no trip without it (`NEEDED`),
and is NULL otherwise; either way it is named. Empty and blank text is no value, and neither is NaN where a whole number
is expected, nor a word that other tools write for it. How casts behave is DuckDB's: its `TRY_CAST` rounds to integers,
where Spark's truncates.

The SQL is a SELECT in steps, each of which reads the one before it. So each expression is computed once a row, however
often it is used; and what only an unusual value needs stands in a CASE of its own, once, because DuckDB computes what
stands twice in a CASE for all rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

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
_EARLIEST = "TIMESTAMP '200000-01-01 (BC) 00:00:00'"
"""DuckDB 2.0 ends with an internal error when it writes the earliest times as text; -2⁶³ µs is NaT of numpy."""
_FLOATS = ("FLOAT", "DOUBLE")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
_NOTHING = r"'', 'nan', 'none', 'null', '<na>', 'nat', '\N'".lower()
"""Texts that stand for no value: blank text, and what data frames and dumps of databases write, in small letters."""
_BLANKS = "' \t\n\r\v\f\u00a0'"


def _unless_nothing(text: str) -> str:
    """The end of a CASE: trimmed text, NULL when nothing is left or it is a word for nothing."""
    return f"WHEN lower({text}) NOT IN ({_NOTHING}) THEN {text} END"


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
        text = f"trim(CAST({self.given} AS VARCHAR), {_BLANKS})"
        return f"CASE {_unless_nothing(text)}" if self.is_text else f"nullif({text}, '')"

    @property
    def given(self) -> str:
        """The value in its own type, as it was published; NULL where NaN stands for no value."""
        return f"nullif({self.sql}, 'NaN')" if self.nan_is_no_value and self.type in _FLOATS else self.sql

    @property
    def is_text(self) -> bool:
        """Whether the values are text. Old writers leave bytes, which DuckDB casts to the text that they are."""
        return self.type in ("VARCHAR", "BLOB")

    def is_no(self, given: str, fitting: str) -> str:
        """Whether there is a value for which the expression finds none."""
        return "FALSE" if self.type == _NULLS else f"({given} IS NOT NULL AND {fitting} IS NULL)"


Steps = Sequence[Mapping[str, str]]
"""Name → SQL, step by step: the first reads the view `published`, each other one the names of those before it."""


@dataclass(frozen=True)
class TypedColumn:
    """A column of ours out of published ones. All but the steps is SQL over what the steps give."""

    column: Column
    steps: Steps
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


def stepwise(
    columns: Sequence[TypedColumn], first: Mapping[str, str] | None = None, *, relation: str = PUBLISHED
) -> str:
    """A relation over the view `published` that has what the columns' steps give; it stands behind FROM.

    Args:
        columns: the columns.
        first: name → SQL over the view, of what the relation has besides.
        relation: SQL for the view.
    """
    carried = ""
    for number, step in enumerate(_merged([[first or {}], *(typed.steps for typed in columns)])):
        found = ", ".join(f"{sql} AS {name}" for name, sql in step.items())
        relation, carried = f"(SELECT {carried}{found} FROM {relation}) AS step_{number}", "*, "
    return relation


def _merged(several: Iterable[Steps]) -> list[dict[str, str]]:
    """The steps of several at once: the first ones of all, the second ones, and so on."""
    return [
        {name: sql for of_one in step for name, sql in of_one.items()} for step in zip_longest(*several, fillvalue={})
    ]


def typed_sql(
    sources: Mapping[str, Source], published: Mapping[str, PublishedColumn], *, relation: str = PUBLISHED
) -> str:
    """A SELECT of the published rows with those of our columns that the file feeds.

    Beside them `pickup_date`; `misfits`, the values without which the row is no trip and that fit no column, as text,
    and `misfit_columns`, their columns, separated by commas; `unfit_values` and `unfit_columns`, the same for the
    other columns. All four are NULL where the values fit.

    Args:
        sources: column of `trips` → what feeds it.
        published: plain name → the column of the view `published`.
        relation: SQL for the view.
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
    FROM {stepwise(found, relation=relation)}
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
    if column.name in _ZONE_COLUMNS:
        return _zone(column, fields[0])
    if column.type != "TIMESTAMP":
        return _value(column, fields[0])
    return _time_in_text(column, fields[0]) if fields[0].is_text else _time(column, fields[0])


def _named(column: Column, *parts: str) -> list[str]:
    """The names of what the steps of a column give; no column of a file or of ours has two underscores."""
    return [f"{column.name}__{part}" for part in parts]


def _given_steps(
    column: Column, field: PublishedColumn, *, number: str = "", as_text: bool = False, usual: str | None = None
) -> list[dict[str, str]]:
    """The steps that give the published value, and the given one in its own type, NULL when there is none.

    Args:
        column: of ours.
        field: the published column.
        number: ends the names, where several fields feed the column.
        as_text: whether the given value is text, of whatever type the field is.
        usual: SQL over published text for its value as our type, NULL unless the text is in its usual form. Then it
            needs no trimming.
    """
    published, given = _named(column, f"published{number}", f"given{number}")
    if not field.is_text:
        return [{published: field.sql, given: field.text if as_text else field.given}]
    trimmed, known = _named(column, f"trimmed{number}", "usual")
    trim_sql = f"trim({published}, {_BLANKS})"
    if usual is None:
        return [{published: field.published}, {trimmed: trim_sql}, {given: f"CASE {_unless_nothing(trimmed)}"}]
    return [
        {published: field.published},
        {known: usual},
        {trimmed: f"CASE WHEN {known} IS NULL THEN {trim_sql} END"},
        {given: f"CASE WHEN {known} IS NOT NULL THEN {published} {_unless_nothing(trimmed)}"},
    ]


def _of_field(column: Column, steps: Steps, value_sql: str, misfit_sql: str) -> TypedColumn:
    """A column out of one published value.

    Args:
        column: of ours.
        steps: give the published value, the given one, and what the value needs.
        value_sql: over the steps.
        misfit_sql: over the steps and the value.
    """
    published, given, value, misfit = _named(column, "published", "given", "value", "misfit")
    last = [{value: value_sql}] if misfit_sql == "FALSE" else [{value: value_sql}, {misfit: misfit_sql}]
    return TypedColumn(
        column,
        [*steps, *last],
        value,
        "FALSE" if misfit_sql == "FALSE" else misfit,
        f"CAST({published} AS VARCHAR)",
        f"{given} IS NOT NULL",
    )


def _value(column: Column, field: PublishedColumn) -> TypedColumn:
    given, cast, number, value = _named(column, "given", "cast", "number", "value")
    steps = _given_steps(column, field, as_text=column.type == "VARCHAR")
    if column.type in ("VARCHAR", field.type):
        return _of_field(column, steps, given, "FALSE")
    casts, value_sql = {cast: f"TRY_CAST({given} AS {column.type})"}, cast
    if _may_have_fractions(column, field):
        casts[number] = _number(field, given)
        value_sql = f"CASE WHEN {number} = floor({number}) THEN {cast} END"
    return _of_field(column, [*steps, casts], value_sql, field.is_no(given, value))


def _time(column: Column, field: PublishedColumn) -> TypedColumn:
    given, cast, value = _named(column, "given", "cast", "value")
    steps = [*_given_steps(column, field), {cast: f"TRY_CAST({given} AS TIMESTAMP)"}]
    typed = _of_field(column, steps, f"CASE WHEN {cast} BETWEEN {_TIMES} THEN {cast} END", field.is_no(given, value))
    if not field.type.startswith("TIMESTAMP"):
        return typed
    early = f"CASE WHEN {cast} <= {_EARLIEST} THEN 'a time too early' ELSE {typed.published} END"
    return replace(typed, published=early)


def _time_in_text(column: Column, field: PublishedColumn) -> TypedColumn:
    """Nearly all times in text are in the form in which DuckDB writes them; the others must fit a pattern."""
    published, usual, given, other, value = _named(column, "published", "usual", "given", "other", "value")
    cast = f"TRY_CAST({published} AS TIMESTAMP)"
    steps = [
        *_given_steps(
            column,
            field,
            usual=f"CASE WHEN CAST({cast} AS VARCHAR) = {published} AND {cast} BETWEEN {_TIMES} THEN {cast} END",
        ),
        {other: f"CASE WHEN {usual} IS NULL THEN TRY_CAST({given} AS TIMESTAMP) END"},
    ]
    is_time = f"{other} BETWEEN {_TIMES} AND regexp_full_match({given}, '{_TIME_TEXT}')"
    value_sql = f"CASE WHEN {usual} IS NOT NULL THEN {usual} WHEN {is_time} THEN {other} END"
    return _of_field(column, steps, value_sql, field.is_no(given, value))


def _zone(column: Column, field: PublishedColumn) -> TypedColumn:
    """A zone id out of range is an unknown zone, not a misfit."""
    given, cast, number = _named(column, "given", "cast", "number")
    casts = {cast: f"TRY_CAST({given} AS {column.type})", number: _number(field, given)}
    value_sql = f"CASE WHEN {number} BETWEEN 1 AND {LAST_ZONE_ID} THEN {cast} ELSE {UNKNOWN_ZONE_ID} END"
    misfit_sql = field.is_no(given, number)
    if _may_have_fractions(column, field):
        misfit_sql = f"({misfit_sql} OR {number} <> floor({number}))"
    return _of_field(column, [*_given_steps(column, field), casts], value_sql, misfit_sql)


def _number(field: PublishedColumn, given: str) -> str:
    """SQL for the given value as a number; NULL when it is none."""
    return given if field.type in _INTEGERS else f"TRY_CAST({given} AS DOUBLE)"


def _may_have_fractions(column: Column, field: PublishedColumn) -> bool:
    return column.type in _INTEGERS and field.type not in (*_INTEGERS, _NULLS, "BOOLEAN")


def _code(column: Column, field: PublishedColumn, meanings: Mapping[str, int | str | bool]) -> TypedColumn:
    published, usual, given, value = _named(column, "published", "usual", "given", "value")
    cases = " ".join(f"WHEN '{text}' THEN {_literal(meaning)}" for text, meaning in meanings.items())
    steps = _given_steps(
        column, field, as_text=True, usual=f"CAST(CASE upper({published}) {cases} END AS {column.type})"
    )
    value_sql = f"CASE upper({given}) {cases} ELSE TRY_CAST({given} AS {column.type}) END"
    if field.is_text:
        value_sql = f"CASE WHEN {usual} IS NOT NULL THEN {usual} ELSE {value_sql} END"
    return _of_field(column, steps, value_sql, field.is_no(given, value))


def _literal(value: int | str | bool) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).upper()


def _total(column: Column, fields: Sequence[PublishedColumn]) -> TypedColumn:
    any_unfit, total, value, misfit = _named(column, "any_unfit", "total", "value", "misfit")
    published, given, casts = (_numbered(column, part, fields) for part in ("published", "given", "cast"))
    first, *others = casts
    unfit = [field.is_no(*names) for field, *names in zip(fields, given, casts, strict=True)]
    sum_sql = " + ".join([first, *(f"coalesce({other}, 0)" for other in others)])
    steps = [
        *_given_steps_of(column, fields),
        {cast: f"TRY_CAST({name} AS {MONEY})" for cast, name in zip(casts, given, strict=True)},
        {any_unfit: f"({' OR '.join(unfit)})", total: f"TRY_CAST({sum_sql} AS {column.type})"},
        # Without the part that does not fit the sum would be another one.
        {
            value: f"CASE WHEN NOT {any_unfit} THEN {total} END",
            misfit: f"({any_unfit} OR ({first} IS NOT NULL AND {total} IS NULL))",
        },
    ]
    return TypedColumn(column, steps, value, misfit, _side_by_side(published, " + "), f"{given[0]} IS NOT NULL")


def _place(column: Column, *fields: PublishedColumn) -> TypedColumn:
    """The zone of a longitude and a latitude. It is no step, so that only who uses it needs the function."""
    published, given, numbers = (_numbered(column, part, fields) for part in ("published", "given", "number"))
    (misfit,) = _named(column, "misfit")
    unfit = [field.is_no(*names) for field, *names in zip(fields, given, numbers, strict=True)]
    steps = [
        *_given_steps_of(column, fields),
        {number: f"TRY_CAST({name} AS DOUBLE)" for number, name in zip(numbers, given, strict=True)},
        {misfit: f"({' OR '.join(unfit)})"},
    ]
    value = f"{ZONE_FUNCTION}({', '.join(numbers)})"
    both_given = " AND ".join(f"{name} IS NOT NULL" for name in given)
    return TypedColumn(column, steps, value, misfit, _side_by_side(published, " "), f"({both_given})")


def _numbered(column: Column, part: str, fields: Sequence[PublishedColumn]) -> list[str]:
    return _named(column, *(f"{part}_{number}" for number in range(len(fields))))


def _given_steps_of(column: Column, fields: Sequence[PublishedColumn]) -> list[dict[str, str]]:
    """The steps that give the values of several fields, of all at once."""
    return _merged(_given_steps(column, field, number=f"_{number}") for number, field in enumerate(fields))


def _side_by_side(published: Sequence[str], separator: str) -> str:
    return f"concat_ws('{separator}', {', '.join(f'CAST({name} AS VARCHAR)' for name in published)})"
