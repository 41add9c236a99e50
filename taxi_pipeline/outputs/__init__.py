"""The outputs: tables, maps, pages and charts, each a file made from the warehouse's rollups. No Dagster.

A module or folder has its queries and how their result becomes bytes. Which asset writes it, and when, is in `defs`.
"""
