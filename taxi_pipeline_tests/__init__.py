"""Tests in three layers: plain functions, assets on a real DuckDB file, the running system."""
