"""New York's taxi trip records as verified tables, maps and reports.

`definitions` is what Dagster loads, and `defs` is all that imports Dagster. The other folders are plain Python, one
for each idea: `tlc` (what is published), `storage` (named files), `warehouse` (tables), `quality`, `outputs`,
`sample`, `cli`.
"""
