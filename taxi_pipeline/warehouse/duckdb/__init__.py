"""The DuckDB engine: a database file of one machine, written by one process at a time.

What only DuckDB understands is here: the file and its locks, snapshots, Parquet scans, Python functions in queries, the
catalogue, and how published values are cast.
"""

from taxi_pipeline.warehouse.duckdb.database import DuckDBWarehouse

__all__ = ["DuckDBWarehouse"]
