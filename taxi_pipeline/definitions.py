"""The entry point for Dagster: the one `Definitions` object, built from the environment."""

from taxi_pipeline.defs.code_location import build_definitions

defs = build_definitions()
