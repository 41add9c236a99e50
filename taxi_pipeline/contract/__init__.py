"""Data contracts for those who use tables and datasets: what they may rely on, and which changes would break that.

The contracts are made of the declarations of tables, datasets and quality rules; nothing is declared here. No Dagster.
"""
