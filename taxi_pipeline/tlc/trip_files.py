"""The published files of trips: reading their footer and first rows, and verifying them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.errors import LoadError
from taxi_pipeline.tlc.fleets import Fleet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

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

    A value that Python has no object for is text: a time beyond the year 9999, text that is not UTF-8.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        batch = next(file.iter_batches(batch_size=num_rows, row_groups=[0]), None) if file.num_row_groups else None
        names = file.schema_arrow.names
        rows = [list(row) for row in zip(*map(_values, batch.columns), strict=True)] if batch else []
    del batch
    _give_back_memory()
    return names, rows


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


def verify_trip_file(path: Path, fleet: Fleet) -> None:
    """Make sure that the fleet's trips can be loaded from the file.

    Raises:
        UnusableFileError: it is no Parquet file, or a column of it that is needed can't be read or understood.
        MissingColumnsError: it lacks a column that every month must have.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sources = fleet.sources_in(read_trip_file(path).columns)
    columns = {name.lower() for source in sources.values() for name in source.names}
    try:
        # A footer can be sound while the data is gone: decode all that will be loaded, a bounded part at a time, and
        # nothing read ahead (30 MB less, and no slower).
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            needed = [field for field in file.schema_arrow if field.name.lower() in columns]
            _refuse_types(needed)
            not_text: dict[str, int] = {}
            for batch in file.iter_batches(columns=[field.name for field in needed]):
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    if (count := _num_not_utf8(column)) > 0:
                        not_text[name] = not_text.get(name, 0) + count
    except (pa.ArrowException, OSError) as error:
        raise UnusableFileError(f"its Parquet footer is sound, but its data can't be read: {error}") from error
    finally:
        _give_back_memory()
    if not_text:
        columns_named = ", ".join(f"{name} in {count:,} rows" for name, count in not_text.items())
        raise UnusableFileError(f"text in it is not UTF-8, as Parquet demands: {columns_named}")


def _num_not_utf8(column: "pa.Array") -> int:
    """How many values of a column of text are not UTF-8."""
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return 0
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return sum(not _is_utf8(scalar) for scalar in column if scalar.is_valid)
    return 0


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


def describe_content(path: Path) -> str:
    """Name what a file is by its first bytes, for an error message."""
    with path.open("rb") as file:
        head = file.read(512)
    text = head.decode("utf-8", errors="replace").strip()
    if not head:
        return "an empty file"
    if head.startswith(b"PAR1"):
        return f"a truncated or damaged Parquet file of {path.stat().st_size:,} bytes"
    if text.startswith("version https://git-lfs"):
        return "a git-LFS pointer (the mirror was cloned without its large files)"
    if text.startswith("<"):
        return f"an HTML or XML page: {_one_line(text)}"
    if _is_json(path):
        return f"JSON: {_one_line(text)}"
    return f"{path.stat().st_size:,} bytes that start with {head[:24]!r}"


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes()[:1_000_000])
    except ValueError:
        return False
    return True


def _one_line(text: str, length: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[:length]} …"
