"""The tables of trips: declarations, coverage, the loading of published rows, and rollups.

Everything here speaks to the warehouse through `interface`, in SQL that other engines understand as well. Code for one
engine alone lies in that engine's folder (`duckdb/`, `spark/`). No Dagster.
"""
