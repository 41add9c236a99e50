"""The DuckDB engine: a database file of one machine, written by one process at a time.

Code for DuckDB alone is here: the file and its locks, snapshots, Parquet scans, Python functions in queries, the
catalogue.
"""

from taxi_pipeline.warehouse.duckdb.database import DuckDBWarehouse

__all__ = ["DuckDBWarehouse"]
