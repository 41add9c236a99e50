"""The tables of trips: declarations, what is loaded, how published rows become trips, and rollups of them.

Everything here speaks to the warehouse through `interface`, in SQL that other engines understand as well. What only one
engine can do lies in that engine's folder (`duckdb/`). No Dagster.
"""
