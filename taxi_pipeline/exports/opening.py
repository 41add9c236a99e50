"""From an address to its target: which module writes there."""

from contextlib import AbstractContextManager
from pathlib import Path

from taxi_pipeline.exports.addresses import Address, DuckDBAddress, PostgresAddress
from taxi_pipeline.exports.target import Target


def open_target(address: Address, *, schema: str | None, warehouse: Path) -> AbstractContextManager[Target]:
    """The target, opened and locked for other exports as long as the block runs.

    Args:
        address: as `address_of` reads it.
        schema: of PostgreSQL; None for `taxi`.
        warehouse: the DuckDB file that is exported, which is no target.

    Raises:
        ExportError: it can't be opened, or another export has it.
        StorageError: a folder can't be made.
    """
    if isinstance(address, PostgresAddress):
        from taxi_pipeline.exports.postgresql import SCHEMA, open_postgres

        return open_postgres(address, schema=schema or SCHEMA)
    if isinstance(address, DuckDBAddress):
        from taxi_pipeline.exports.duckdb_file import open_duckdb

        return open_duckdb(address, warehouse=warehouse)
    from taxi_pipeline.exports.parquet_folder import open_parquet

    return open_parquet(address)
