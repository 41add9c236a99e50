"""Months of trips out of files of somebody's own: read, told by their content, converted, and put into `raw/`.

Plain Python without Dagster. `originals` unpacks, `headers` tells fleet and era by the columns, `conversion` writes the
published form, `importing` is the whole act, `inbox` the folder into which files are dropped. What the TLC publishes is
in `tlc`, and so is how an imported month lies beside fetched ones.
"""
