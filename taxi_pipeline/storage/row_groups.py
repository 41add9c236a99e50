"""Tables as the row groups of a Parquet file: cut by rows alone, so that equal rows are equal bytes."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa


def write_row_groups(path: Path, schema: "pa.Schema", tables: "Iterable[pa.Table]", *, row_group_rows: int) -> int:
    """Write tables below each other as a Parquet file, compressed by zstd; two row groups are in memory at a time.

    Neither the file's row groups nor the pages in them depend on where a table or a chunk of it ends, which differs
    from run to run where several threads make them.

    Args:
        path: of the file.
        schema: of the file and of each table.
        tables: with any number of rows each.
        row_group_rows: rows of each row group but the last.

    Returns:
        The number of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting, num_rows = schema.empty_table(), 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            num_rows += table.num_rows
            waiting = pa.concat_tables([waiting, table])
            if full := waiting.num_rows - waiting.num_rows % row_group_rows:
                writer.write_table(waiting.slice(0, full).combine_chunks(), row_group_size=row_group_rows)
                waiting = waiting.slice(full)
        if waiting.num_rows:
            writer.write_table(waiting.combine_chunks(), row_group_size=row_group_rows)
    return num_rows
