"""A CSV of trips becomes the Parquet file that the TLC publishes for its month: names and types of that era.

DuckDB reads the CSV, every value as text. A first pass finds what the values are and when the pickups are; a second one
writes them. No value is changed but for its form: a column in which a value does not fit the published type becomes a
wider type or stays text, and is judged and loaded as such a column of a published file.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline.imports.headers import Columns, Header, columns_of, read_header, shown, squeezed
from taxi_pipeline.imports.originals import RefusedFileError
from taxi_pipeline.storage.row_groups import write_row_groups
from taxi_pipeline.storage.scratch import Scratch
from taxi_pipeline.storage.whole_files import explaining_disk_errors
from taxi_pipeline.tlc.file_schemas import published_schema
from taxi_pipeline.warehouse.typing.casts import PUBLISHED, PublishedColumn

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_ISO = r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,6})?)?)?"
_CLOCKS = ("%I:%M:%S %p", "%H:%M:%S", "%H:%M", "%I:%M %p")
_AMERICAN = {r"\d{1,2}/\d{1,2}/\d{4} .*": "%m/%d/%Y", r"\d{1,2}/\d{1,2}/\d{2} .*": "%m/%d/%y"}
"""What a date with the month first looks like → its form. DuckDB takes 23 for the year 23 where %Y is asked for. NYC
Open Data writes the first with the first clock, spreadsheets the others."""
_NOTHING = "'na', 'n/a', '#n/a', 'nil', '-'"
"""What other programs write for no value, beside the words that published files have."""
_FEWEST_FOR_HOURS = 100
"""Pickups of a month by which is told whether it has an afternoon."""
_FEWEST_FOR_A_TYPE = 10
"""Values of a column none of which is of its type, by which the column is told to be written in another form."""

_MAX_EXACT = 2**53
"""Whole numbers up to it are exact as DOUBLE."""
_MAX_INT32 = 2**31 - 1
_BATCH_ROWS = 65_536
_ROW_GROUP_ROWS = 1 << 20
"""As the TLC's files have."""
_CHUNK_BYTES = 1 << 20
_MAX_REASON = 200
MAX_MONTHS_NAMED = 4


@dataclass(frozen=True)
class _Fit:
    """What a column's values are."""

    num_given: int
    num_numbers: int
    num_whole: int
    num_times: int
    largest: float | None
    """Of the numbers, without their sign."""


@dataclass(frozen=True)
class Survey:
    """What the first pass over a CSV finds."""

    header: Header
    columns: Columns
    num_rows: int
    months: "dict[date, int]"
    """First day of each month → its pickups; rows without a readable pickup are in none."""
    fits: Sequence[_Fit]


@contextmanager
def surveyed(content: Path, scratch: Scratch) -> Iterator[tuple[Path, Survey]]:
    """Look at all values of a CSV.

    Args:
        content: the CSV.
        scratch: for a copy with line ends of one kind, where the file has several.

    Yields:
        The CSV to convert, and what was found. It may be read in the block only.

    Raises:
        RefusedFileError: it is no CSV, no fleet has its columns, a row has another number of values than the header
            has names, it has no rows, or the header stands in it again.
    """
    copy = scratch.new_path("lines.csv") if _has_several_line_ends(content) else None
    try:
        if copy:
            with explaining_disk_errors(copy):
                _write_with_line_feeds(content, copy)
        path = copy or content
        yield path, _survey(path)
    finally:
        if copy:
            copy.unlink(missing_ok=True)


def write_published(path: Path, survey: Survey, month: date, target: Path) -> None:
    """Write a surveyed CSV as the Parquet file that the TLC would publish for its month.

    Raises:
        RefusedFileError: it can't be read.
        StorageError: the target can't be written.
    """
    import pyarrow as pa

    schema, values = _published_form(survey, month)
    selected = ", ".join(f"{value} AS v{number}" for number, value in enumerate(values))
    sql = f"SELECT {selected} FROM {PUBLISHED} {_not_blank(_fields_of(survey.header))}"

    def typed(batch: pa.RecordBatch) -> pa.Table:
        arrays = [array.cast(field.type) for array, field in zip(batch.columns, schema, strict=True)]
        return pa.table(arrays, schema=schema)

    with _connected(path, survey.header) as connection, explaining_disk_errors(target):
        # With several, DuckDB 2.0 did not keep the order of the rows.
        connection.execute("SET threads = 1")
        batches = connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
        write_row_groups(target, schema, map(typed, batches), row_group_rows=_ROW_GROUP_ROWS)


def _survey(path: Path) -> Survey:
    header = read_header(path)
    columns = columns_of(header.names)
    pickup = _pickup_position(columns)
    fields = _fields_of(header)
    counts = ", ".join(count for field in fields for count in field.counts)
    pickup_header = f"contains(lower({fields[pickup].text}), 'pickup')"
    sql = (
        f"SELECT count(*), histogram(CAST(date_trunc('month', {fields[pickup].as_time}) AS DATE)), "
        f"count(*) FILTER (WHERE {pickup_header}), "
        f"count(*) FILTER (WHERE hour({fields[pickup].as_time}) NOT BETWEEN 1 AND 12), "
        f"[{counts}] FROM {PUBLISHED} {_not_blank(fields)}"
    )
    with _connected(path, header) as connection:
        ((num_rows, months, num_headers, num_other_hours, numbers),) = connection.execute(sql).fetchall()
    if not num_rows:
        raise RefusedFileError("it has no rows: there is a header only")
    if num_headers:
        raise RefusedFileError(
            f"a header stands among its rows ({num_headers:,} times): it is several files put together. "
            "Import each by itself"
        )
    fits = [_Fit(*numbers[start : start + 5]) for start in range(0, len(numbers), 5)]
    fits = [_Fit(int(f.num_given), int(f.num_numbers), int(f.num_whole), int(f.num_times), f.largest) for f in fits]
    _refuse_values_without_name(columns, header, fits, num_rows)
    if fits[pickup].num_times >= _FEWEST_FOR_HOURS and not num_other_hours:
        raise RefusedFileError(
            "all its pickups lie between 1 and 12 o'clock: AM and PM are lost, so nobody knows which half of the day "
            "is meant. Get it with 24 hours, or with AM and PM"
        )
    return Survey(header, columns, num_rows, {month: num for month, num in (months or {}).items() if month}, fits)


def _pickup_position(columns: Columns) -> int:
    (name,) = columns.era.sources["pickup_datetime"].names
    return columns.published.index(name)


def _refuse_values_without_name(columns: Columns, header: Header, fits: Sequence[_Fit], num_rows: int) -> None:
    """A column without a name has no values, or counts the rows, as data frames write it."""
    for number, (published, name, fit) in enumerate(zip(columns.published, header.names, fits, strict=True)):
        counts_rows = fit.num_whole == fit.num_given == num_rows and (fit.largest or 0) >= num_rows - 1
        if published is None and fit.num_given and not (counts_rows and (name.strip() or not number)):
            raise RefusedFileError(
                f"{fit.num_given:,} of its rows have a value in column {number + 1}, which has no name of its own "
                f"({shown([name])}) and does not count the rows: rows and header ({shown(header.names)}) don't belong "
                "together"
            )


@dataclass(frozen=True)
class _Field:
    """A column of the view `published`."""

    number: int
    is_time: bool
    """Whether its name says that it holds times."""

    @property
    def raw(self) -> str:
        """SQL for the value as it stands in the file; NULL when it is empty."""
        return f"c{self.number}"

    @property
    def text(self) -> str:
        """SQL for the value without blanks around it; NULL when nothing is left, or a word for nothing."""
        return f"t{self.number}"

    @property
    def counts(self) -> list[str]:
        """SQL for the parts of `_Fit`."""
        number = "CAST(NULL AS DOUBLE)" if self.is_time else self.as_number
        time = self.as_time if self.is_time else "NULL"
        return [
            f"count({self.text})",
            f"count({number})",
            f"count(*) FILTER (WHERE {number} = floor({number}) AND abs({number}) < {_MAX_EXACT})",
            f"count({time})",
            f"max(abs({number}))",
        ]

    @property
    def as_number(self) -> str:
        """SQL for the value as a number; NULL where it is none, or infinite."""
        cast = f"TRY_CAST({self.text} AS DOUBLE)"
        return f"CASE WHEN isfinite({cast}) THEN {cast} END"

    @property
    def as_time(self) -> str:
        """SQL for the value as a time; NULL where it is none."""
        american = " ".join(
            f"WHEN regexp_full_match({self.text}, '{pattern}') "
            f"THEN try_strptime({self.text}, {[f'{day} {clock}' for clock in _CLOCKS]})"
            for pattern, day in _AMERICAN.items()
        )
        return (
            f"CASE {american} WHEN regexp_full_match({self.text}, '{_ISO}') THEN TRY_CAST({self.text} AS TIMESTAMP) END"
        )

    @property
    def as_text_of_time(self) -> str:
        """SQL for a time as files of 2009 and 2010 have it; what is no time stays as it is."""
        written = f"strftime({self.as_time}, '%Y-%m-%d %H:%M:%S')"
        return f"CASE WHEN contains({self.text}, '/') THEN coalesce({written}, {self.raw}) ELSE {self.as_it_is} END"

    @property
    def as_it_is(self) -> str:
        """SQL for the text with its blanks; NULL for a word for nothing."""
        return f"CASE WHEN {self.text} IS NOT NULL OR trim({self.raw}) = '' THEN {self.raw} END"


def _fields_of(header: Header) -> list[_Field]:
    return [_Field(number, "date" in squeezed(name)) for number, name in enumerate(header.names)]


def _not_blank(fields: Sequence[_Field]) -> str:
    """A condition that leaves out rows of commas alone, which spreadsheets write below the last one."""
    return f"WHERE coalesce({', '.join(field.raw for field in fields)}) IS NOT NULL"


def _published_form(survey: Survey, month: date) -> "tuple[pa.Schema, list[str]]":
    """The schema of the month's published file as far as this one has its columns, and SQL for each value."""
    import pyarrow as pa

    columns = survey.columns
    published = _nearest_schema(columns, month)
    names = list(columns.published)
    order = {squeezed(name): number for number, name in enumerate(published.names)}
    places = sorted(
        (number for number, name in enumerate(names) if name is not None),
        key=lambda number: (order.get(squeezed(names[number] or ""), len(order)), number),
    )
    in_file = _fields_of(survey.header)
    fields: list[pa.Field] = []
    values: list[str] = []
    for number in places:
        name = names[number] or ""
        wanted = published.field(order[squeezed(name)]) if squeezed(name) in order else None
        own = name if wanted is None or name.endswith(" ") else wanted.name
        type_, value = _typed(in_file[number], survey.fits[number], own, wanted.type if wanted else None)
        fields.append(pa.field(own, type_))
        values.append(value)
    have = {squeezed(field.name) for field in fields}
    for field in published:
        lacks_dropoffs = columns.pickups_only and squeezed(field.name) == "dolocationid"
        if squeezed(field.name) not in have and (pa.types.is_null(field.type) or lacks_dropoffs):
            fields.append(field)
            values.append("NULL")
    return pa.schema(fields), values


def _nearest_schema(columns: Columns, month: date) -> "pa.Schema":
    """The schema of the month, or of the era's first one, whichever has more of the columns.

    Files of 2011 to 2014 as they were published at first have the columns of 2010.
    """
    have = {squeezed(name) for name in columns.published if name}
    candidates = [published_schema(columns.fleet.name, one) for one in (month, columns.era.first_month)]
    return max(candidates, key=lambda schema: len(have & {squeezed(name) for name in schema.names}))


_COORDINATE = ("longitude", "latitude")


def _typed(field: _Field, fit: _Fit, name: str, wanted: "pa.DataType | None") -> "tuple[pa.DataType, str]":
    """The type of a column and SQL for its values: the published type, the next wider one that all fit, or text."""
    import pyarrow as pa

    if wanted is None:
        wanted = pa.float64() if name.strip().lower().endswith(_COORDINATE) else pa.string()
    if pa.types.is_null(wanted):
        if not fit.num_given:
            return wanted, "NULL"
        wanted = pa.float64() if fit.num_numbers == fit.num_given else pa.string()
    num_fitting = fit.num_times if pa.types.is_timestamp(wanted) else fit.num_numbers
    if not pa.types.is_string(wanted) and fit.num_given >= _FEWEST_FOR_A_TYPE and not num_fitting:
        raise RefusedFileError(
            f"none of the {fit.num_given:,} values of its column {shown([name])} can be read as {wanted}, as a decimal "
            "comma or another form of times has it. Write numbers as 12.50, and times as 2023-01-31 08:15:00"
        )
    if pa.types.is_timestamp(wanted) and fit.num_times == fit.num_given:
        return wanted, field.as_time
    if pa.types.is_integer(wanted) and fit.num_whole == fit.num_given:
        is_wide = pa.types.is_int64(wanted) or (fit.largest or 0) > _MAX_INT32
        return (pa.int64() if is_wide else wanted), f"CAST({field.as_number} AS BIGINT)"
    if (pa.types.is_integer(wanted) or pa.types.is_floating(wanted)) and fit.num_numbers == fit.num_given:
        return pa.float64(), field.as_number
    return pa.string(), field.as_text_of_time if field.is_time else field.as_it_is


@contextmanager
def _connected(path: Path, header: Header) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection with the view `published` over the rows of a CSV, every value as text, as it is and trimmed.

    Raises:
        RefusedFileError: the CSV can't be read.
    """
    import duckdb

    columns = {f"c{number}": "VARCHAR" for number in range(len(header.names))}
    try:
        with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
            relation = connection.sql(
                "FROM read_csv(?, columns = ?, auto_detect = false, header = false, skip = ?, delim = ?, quote = '\"', "
                "escape = '\"', nullstr = '', comment = '', compression = 'none', max_line_size = 65536)",
                params=[str(path), columns, header.num_lines, header.delimiter],
            )
            texts = (f"{_unless_nothing(raw)} AS t{number}" for number, raw in enumerate(columns))
            connection.register(PUBLISHED, relation.set_alias(PUBLISHED).project(f"*, {', '.join(texts)}"))
            yield connection
    except duckdb.Error as error:
        raise RefusedFileError(_in_words(str(error), len(header.names))) from error


def _unless_nothing(raw: str) -> str:
    """SQL for a value without blanks around it; NULL when nothing is left, or a word for nothing."""
    text = PublishedColumn(raw, "VARCHAR").text
    return f"CASE WHEN lower(trim({raw})) NOT IN ({_NOTHING}) THEN {text} END"


def _in_words(error: str, num_columns: int) -> str:
    """DuckDB's error about a CSV in one line, without its advice on options."""
    facts = error.partition("Possible")[0].partition("file =")[0]
    line = "".join(c if c.isprintable() else " " for c in " ".join(facts.split()).removeprefix("Invalid Input Error: "))
    if "Expected Number of Columns" in line:
        return (
            f"a row has another number of values than the header has names ({num_columns}), as a file that is cut off "
            f"or put together has: {line[:_MAX_REASON]}. Get it again, or correct the line"
        )
    if "unicode" in line:
        return f"it is not in UTF-8: {line[:_MAX_REASON]}. Write it as UTF-8"
    return f"it can't be read as CSV: {line[:_MAX_REASON]}"


def _has_several_line_ends(content: Path) -> bool:
    both = alone_n = alone_r = 0
    last = b""
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            both += chunk.count(b"\r\n") + (last == b"\r" and chunk[:1] == b"\n")
            alone_n += chunk.count(b"\n")
            alone_r += chunk.count(b"\r")
            last = chunk[-1:]
    return sum(count > 0 for count in (both, alone_n - both, alone_r - both)) > 1


def _write_with_line_feeds(content: Path, target: Path) -> None:
    with (
        content.open("r", encoding="utf-8", errors="surrogateescape", newline=None) as source,
        target.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as copy,
    ):
        shutil.copyfileobj(source, copy, _CHUNK_BYTES)
