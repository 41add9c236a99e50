"""How published values become values of our types: by DuckDB's casts, on every engine.

An engine reads the view `published_trips` on a DuckDB connection of its own, or takes typed Arrow batches. So a value
is rounded, refused and placed in a zone in the same way wherever it is loaded. This folder knows no engine.
"""
