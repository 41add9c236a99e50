"""Benchmarks of time and size: cases that `make bench` measures, as ratios within one run.

`cases` says what is measured against what, `floor` is the straight-line script, `default_project` what a default
Dagster project does. Timed assertions belong here and not in the test suite.
"""
