"""Data frames as bytes of a file and back, by the declared columns: Parquet and CSV.

In a file, amounts are decimals, so that sums over files are exact, and days are dates. In a data frame they are what
pandas calculates with: float64 and datetime64. The first column, `fleet`, is in the file's path alone.
"""

import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.warehouse.tables import Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class WrongColumnsError(TaxiPipelineError):
    """A data frame or a file has other columns than its dataset declares."""


def frame_of(table: Table, fleet: str, rows: Iterable[Sequence[Any]]) -> "pd.DataFrame":
    """Make a data frame of a fleet's rows.

    Args:
        table: declares the columns.
        fleet: name of the fleet; becomes the first column.
        rows: values of the declared columns without `fleet`, in their order.

    Returns:
        A frame with the declared columns, amounts as float64 and days as datetime64.
    """
    import pyarrow as pa

    schema = arrow_schema(table)
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return _to_pandas(pa.Table.from_arrays(arrays, schema=schema), fleet)


def together(table: Table, frames: "Iterable[pd.DataFrame]") -> "pd.DataFrame":
    """Put frames of a dataset below each other. Without any row the result has the declared columns."""
    import pandas as pd

    filled = [frame for frame in frames if not frame.empty]
    return pd.concat(filled, ignore_index=True) if filled else frame_of(table, "", ())


def encoded(frame: "pd.DataFrame", table: Table, extension: str) -> bytes:
    """Encode a frame as the bytes of a file. Equal frames give equal bytes.

    Args:
        frame: rows of one fleet.
        table: declares the columns.
        extension: `parquet` or `csv`.

    Returns:
        The file's content, without the column `fleet`.

    Raises:
        WrongColumnsError: the frame has other columns.
    """
    content = _to_arrow(checked(frame, table), table)
    buffer = io.BytesIO()
    if extension == "csv":
        from pyarrow import csv

        csv.write_csv(content, buffer, csv.WriteOptions(quoting_style="needed"))
    else:
        from pyarrow import parquet

        parquet.write_table(content, buffer, compression="zstd")
    return buffer.getvalue()


def decoded(content: bytes, table: Table, fleet: str, extension: str) -> "pd.DataFrame":
    """Decode the bytes that `encoded` made.

    Args:
        content: the file's content.
        table: declares the columns.
        fleet: name of the fleet; becomes the first column.
        extension: `parquet` or `csv`.

    Returns:
        A frame that equals the encoded one.

    Raises:
        WrongColumnsError: the file has other columns, because another version wrote it.
    """
    schema = arrow_schema(table)
    if extension == "csv":
        from pyarrow import csv

        convert = csv.ConvertOptions(column_types=schema, null_values=[""], strings_can_be_null=True)
        found = csv.read_csv(io.BytesIO(content), convert_options=convert)
    else:
        from pyarrow import parquet

        found = parquet.read_table(io.BytesIO(content))
    if found.schema.names != schema.names:
        raise WrongColumnsError(
            f"a file of {table.name} has the columns {', '.join(found.schema.names)}, where {', '.join(schema.names)} "
            f"are expected: materialize {table.name} again for its partition"
        )
    return _to_pandas(found, fleet)


def checked(frame: "pd.DataFrame", table: Table) -> "pd.DataFrame":
    """Check a frame against its declaration and return it.

    Raises:
        WrongColumnsError: the frame has other columns than declared, a NULL where none may be, or several fleets.
    """
    if tuple(frame.columns) != table.column_names:
        raise WrongColumnsError(
            f"{table.name} has the columns {', '.join(map(str, frame.columns))}, where "
            f"{', '.join(table.column_names)} are declared"
        )
    empty = [column.name for column in table.columns if not column.nullable and frame[column.name].isna().any()]
    if empty:
        raise WrongColumnsError(f"{table.name} has rows without {', '.join(empty)}, which is declared as never NULL")
    if frame["fleet"].nunique() > 1:
        raise WrongColumnsError(
            f"{table.name} has rows of {', '.join(sorted(frame['fleet'].unique()))}, where one fleet is a file"
        )
    return frame


def arrow_schema(table: Table) -> "pa.Schema":
    """The schema of the file."""
    import pyarrow as pa

    return pa.schema([pa.field(c.name, _arrow_type(c.type), c.nullable) for c in table.columns[1:]])


def _arrow_type(sql_type: str) -> "pa.DataType":
    import pyarrow as pa

    if decimal := re.fullmatch(r"DECIMAL\((\d+), (\d+)\)", sql_type):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    simple = {
        "VARCHAR": pa.string(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
        "BOOLEAN": pa.bool_(),
        "SMALLINT": pa.int16(),
        "INTEGER": pa.int32(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
    }
    return simple[sql_type]


def _to_arrow(frame: "pd.DataFrame", table: Table) -> "pa.Table":
    import pyarrow as pa

    schema = arrow_schema(table)
    columns = [pa.array(frame[field.name], from_pandas=True).cast(field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _to_pandas(content: "pa.Table", fleet: str) -> "pd.DataFrame":
    import pyarrow as pa

    for number, field in enumerate(content.schema):
        if pa.types.is_decimal(field.type):
            content = content.set_column(number, field.name, content.column(number).cast(pa.float64()))
    frame = content.to_pandas(date_as_object=False)
    frame.insert(0, "fleet", fleet)
    return frame
