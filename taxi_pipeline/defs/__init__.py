"""The Dagster code location: one module or folder per Dagster concept. Only this folder imports Dagster.

What an asset or check computes is plain Python in the other folders; here is when it runs, on which partitions, and
what the UI shows of it.
"""

import warnings

import dagster as dg

# The design rests on backfill policies, an observable asset, partitions by fleet and month and a notebook, which
# Dagster calls beta. Users can do nothing about that; `requirements/` pins the version with which they work.
for _beta in (
    "Parameter `backfill_policy`",
    "Function `multi_observable_source_asset`",
    "Class `MultiPartitionMapping`",
    "Class `MultiToSingleDimensionPartitionMapping`",
    "Parameter `allow_nonexistent_upstream_partitions`",
    "Class `Manager`",  # of dagstermill
    "Function `define_dagstermill_asset`",
):
    warnings.filterwarnings("ignore", message=_beta, category=dg.BetaWarning)
