"""The entry point for Dagster: the one `Definitions` object, built from the environment."""

import gc

from taxi_pipeline.defs.code_location import build_definitions

defs = build_definitions()

# What is imported up to here lives as long as the process. Kept out of Python's garbage collector, a run that the UI or
# the daemon launches takes 0.8 s less of 7.5 s for a month (`benchmarks`, case `ui_run`).
gc.freeze()
