"""New York's taxi trip records as verified tables, maps and reports.

`definitions` is what Dagster loads. One module per Dagster concept (assets, checks, partitions, jobs, resources);
beside them plain Python that knows nothing of Dagster: `tlc` (what the TLC publishes), `drawing`, `sample`.
"""
