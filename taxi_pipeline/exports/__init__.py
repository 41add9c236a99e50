"""Exports: the warehouse's tables in a database of somebody else's, by fleets' months, and compared afterwards.

`addresses` reads where to; `contents` says what the warehouse has, and which version of each day; `sums` is what both
sides are compared by; `target` is the interface of every target, each of which has a module of its own; `exporting`
brings them together. No Dagster, and nothing about how the warehouse is loaded.
"""
