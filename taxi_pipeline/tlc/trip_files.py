"""The published files of trips: reading their footer and first rows, and verifying them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.errors import LoadError
from taxi_pipeline.tlc.fleets import Fleet, plain_name, spellings

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    import pyarrow as pa
    import pyarrow.parquet as pq

SYNTHETIC_KEY = b"taxi_pipeline.synthetic"
"""Key in the Parquet metadata of generated files. Its value is JSON that says how the file was made."""


class UnusableFileError(LoadError):
    """The fetched content is not the file that was requested."""


@dataclass(frozen=True)
class TripFile:
    """The contents of a Parquet file's footer."""

    num_rows: int
    columns: tuple[str, ...]
    synthetic: bool


def read_trip_file(path: Path) -> TripFile:
    """Read the footer of a file of trips.

    Raises:
        UnusableFileError: the file is not Parquet; says what it is instead.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            metadata = file.metadata
            return TripFile(
                num_rows=metadata.num_rows,
                columns=tuple(file.schema_arrow.names),
                synthetic=SYNTHETIC_KEY in (metadata.metadata or {}),
            )
    except (pa.ArrowException, OSError) as error:
        raise UnusableFileError(f"it is no Parquet file but {describe_content(path)}") from error


def first_rows(path: Path, num_rows: int) -> tuple[list[str], list[list[Any]]]:
    """The columns of a Parquet file and its first rows, as they were published.

    A value that Python has no object for is text: a time beyond the year 9999, text that is not UTF-8. Long text is
    cut, and a column that would unfold to more than any month's is left out.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        wanted = _columns_of_usual_size(file.metadata) if file.num_row_groups else []
        batches = file.iter_batches(batch_size=num_rows, row_groups=[0], columns=wanted) if wanted else None
        batch = next(batches, None) if batches else None
        names = file.schema_arrow.names if batch is None else batch.schema.names
        columns = [list(map(_shortened, _values(column))) for column in batch.columns] if batch else []
        rows = [list(row) for row in zip(*columns, strict=True)]
    del batch
    _give_back_memory()
    return names, rows


def _columns_of_usual_size(metadata: "pq.FileMetaData") -> list[str]:
    """The columns of the first row group without those that would unfold to more than any month's."""
    group = metadata.row_group(0)
    most = MAX_BYTES_A_ROW * group.num_rows + _MAX_BYTES_OF_FEW_ROWS
    chunks = [group.column(number) for number in range(group.num_columns)]
    return [chunk.path_in_schema for chunk in chunks if chunk.total_uncompressed_size <= most]


def _shortened(value: Any) -> Any:
    return f"{value[:MAX_TEXT_BYTES]} …" if isinstance(value, str) and len(value) > MAX_TEXT_BYTES else value


def _values(column: "pa.Array") -> list[Any]:
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):  # UnicodeDecodeError is a ValueError
        return [_value(scalar) for scalar in column]


def _value(scalar: "pa.Scalar") -> Any:
    import numpy as np
    import pyarrow as pa

    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes().decode("utf-8", errors="backslashreplace")
    except (OverflowError, ValueError):
        unit = scalar.type.unit if pa.types.is_timestamp(scalar.type) else "D"
        return str(np.datetime64(scalar.value, unit))


MAX_ROWS = 100_000_000
"""Of a month. The largest one known has 24 million (fhv 2018-12)."""

MAX_BYTES_A_ROW = 1_000
"""Of a file's loaded columns before compression, by its footer. Real months have at most 32 (green 2023-05)."""

_MAX_BYTES_OF_FEW_ROWS = 16 << 20
"""What a file may unfold to however few rows it has; pages have sizes of their own."""

MAX_TEXT_BYTES = 255
"""Of a value. The longest that is known are 19 (times of 2009) and 16 (base numbers filled up with blanks)."""

_BATCH_ROWS = 65_536


def verify_trip_file(path: Path, fleet: Fleet) -> None:
    """Make sure that the fleet's trips can be read from the file. Whether they can be the month's is judged elsewhere.

    Decodes the columns that feed `trips`, in bounded memory.

    Raises:
        UnusableFileError: it is no Parquet file, its footer contradicts itself, it is too large, a needed column is of
            a type that could only be guessed at, its data can't be read or has another number of rows than the footer
            says, or has text that is not UTF-8 or is too long to be any month's.
        MissingColumnsError: it lacks a column that every month must have.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = read_trip_file(path)
    sources = fleet.sources_in(content.columns)
    wanted = {plain_name(name) for source in sources.values() for name in source.names}.union(
        *map(spellings, sources.values())
    )
    try:
        with pq.ParquetFile(path) as footer:
            names = [field.name for field in footer.schema_arrow if plain_name(field.name) in wanted]
            _refuse_types([field for field in footer.schema_arrow if field.name in names])
            _refuse_footer(footer.metadata, set(names))
            texts = [field.name for field in footer.schema_arrow if field.name in names and _is_text(field.type)]
        # A footer can be sound while the data is gone: decode all that will be loaded, a bounded part at a time, and
        # nothing read ahead (30 MB less, and no slower). Texts stay in their dictionaries: a text of a megabyte that
        # each row has is decoded once.
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, read_dictionary=texts) as file:
            _decode(file, names, content.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise UnusableFileError(
            f"its Parquet footer is sound, but its data can't be read: {str(error)[:500]}"
        ) from error
    finally:
        _give_back_memory()


def _decode(file: "pq.ParquetFile", names: "Sequence[str]", rows_in_footer: int) -> None:
    """Decode columns of a file, a bounded number of rows at a time, and look at their texts."""
    not_text: dict[str, int] = {}
    num_rows = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(names)):
        num_rows += batch.num_rows
        if num_rows > rows_in_footer:
            raise UnusableFileError(
                f"its Parquet footer says {rows_in_footer:,} rows, but its data has more than {num_rows - 1:,}"
            )
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            _refuse_long_text(name, column)
            if (count := _num_not_utf8(column)) > 0:
                not_text[name] = not_text.get(name, 0) + count
    if not_text:
        columns_named = ", ".join(f"{name} in {count:,} rows" for name, count in not_text.items())
        raise UnusableFileError(f"text in it is not UTF-8, as Parquet demands: {columns_named}")
    if num_rows != rows_in_footer:
        raise UnusableFileError(f"its Parquet footer says {rows_in_footer:,} rows, but its data has {num_rows:,}")


def _refuse_footer(metadata: "pq.FileMetaData", names: "Set[str]") -> None:
    """Refuse a file that would unfold to more than any month, before anything of it is decoded."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [
        (group.num_rows, chunk)
        for group in groups
        for chunk in (group.column(number) for number in range(group.num_columns))
        if chunk.path_in_schema in names
    ]
    for num_rows, chunk in chunks:
        if chunk.num_values != num_rows:
            raise UnusableFileError(
                f"its Parquet footer says {num_rows:,} rows, but {chunk.num_values:,} values of {chunk.path_in_schema}"
            )
    num_rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    num_bytes = sum(chunk.total_uncompressed_size for _, chunk in chunks)
    if num_rows > MAX_ROWS:
        raise UnusableFileError(f"its Parquet footer says {num_rows:,} rows; no month has more than {MAX_ROWS:,}")
    if num_bytes > MAX_BYTES_A_ROW * num_rows + _MAX_BYTES_OF_FEW_ROWS:
        raise UnusableFileError(
            f"it would unfold to {num_bytes:,} bytes for {num_rows:,} rows; real months have at most "
            f"{MAX_BYTES_A_ROW:,} bytes a row"
        )


def _is_text(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(is_kind(type_) for is_kind in kinds)


def _texts(column: "pa.Array") -> "pa.Array | None":
    """The different texts of a column; None for a column of another kind."""
    import pyarrow as pa

    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    return values if _is_text(values.type) else None


def _refuse_long_text(name: str, column: "pa.Array") -> None:
    texts = _texts(column)
    longest = _computed("max", _computed("binary_length", texts)).as_py() if texts is not None and len(texts) else None
    if (longest or 0) > MAX_TEXT_BYTES:
        raise UnusableFileError(
            f"its column {name} has a text of {longest:,} bytes; no month has one of more than {MAX_TEXT_BYTES}"
        )


def _num_not_utf8(column: "pa.Array") -> int:
    """How many values of a column of text are not UTF-8."""
    import pyarrow as pa

    texts = _texts(column)
    if texts is None or not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return 0
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        bad = [position for position, scalar in enumerate(texts) if scalar.is_valid and not _is_utf8(scalar)]
        if not pa.types.is_dictionary(column.type):
            return len(bad)
        rows_of = (_computed("sum", _computed("equal", column.indices, position)).as_py() for position in bad)
        return sum(rows or 0 for rows in rows_of)
    return 0


def _computed(function: str, *values: Any) -> Any:
    """What a function of Arrow gives; by name, because the stubs lack them."""
    import pyarrow.compute as pc

    return pc.call_function(function, list(values))


def _is_utf8(scalar: "pa.Scalar") -> bool:
    try:
        scalar.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _give_back_memory() -> None:
    """Otherwise Arrow keeps what it decoded into (70 MB) through the load, where a run's memory peaks."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _refuse_types(fields: "Sequence[pa.Field]") -> None:
    """Refuse what could only be guessed at: the TLC's times are New York wall time, its values single ones."""
    import pyarrow as pa

    for field in fields:
        if pa.types.is_nested(field.type) or (pa.types.is_timestamp(field.type) and field.type.tz):
            raise UnusableFileError(
                f"its column {field.name} is of type {field.type}, where a single value without time zone is expected"
            )


_PACKED = {b"\x1f\x8b": "a gzip file", b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "a Zstandard file"}
"""First bytes → what the file is."""
_LINES = str.maketrans("\r\n\t", "   ")


def describe_content(path: Path) -> str:
    """Name what a file is by its first bytes, for an error message."""
    with path.open("rb") as file:
        head = file.read(512)
    text = head.decode("utf-8", errors="replace").strip()
    kinds = {
        "an empty file": not head,
        f"a truncated or damaged Parquet file of {path.stat().st_size:,} bytes": head.startswith(b"PAR1"),
        "a gzip file": head.startswith(b"\x1f\x8b"),
        "a zip archive": head.startswith(b"PK\x03\x04"),
        "a Zstandard file": head.startswith(b"\x28\xb5\x2f\xfd"),
        "text in UTF-16: write it as UTF-8": head.startswith((b"\xff\xfe", b"\xfe\xff")),
        "a git-LFS pointer (the mirror was cloned without its large files)": text.startswith("version https://git-lfs"),
        f"an HTML or XML page: {_one_line(text)}": text.startswith("<"),
        f"JSON: {_one_line(text)}": text.startswith(("{", "[")),
        f"text: {_one_line(text)}": "\ufffd" not in text[:-1] and " ".join(text.split()).isprintable(),
    }
    return next(
        (kind for kind, is_it in kinds.items() if is_it), f"{path.stat().st_size:,} bytes that start with {head[:24]!r}"
    )


def _one_line(text: str, length: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[:length]} …"
