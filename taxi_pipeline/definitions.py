"""What Dagster loads: the one `Definitions` object, built from the environment. Nothing else belongs here."""

from taxi_pipeline.code_location import build_definitions

defs = build_definitions()
