"""Proof that files are what they are said to be.

Manifests, their signatures, the comparison with files, and outputs that are made again from the published months.
The lists beside the datasets are in `datasets.listing`, since each write of a dataset keeps them. No Dagster.
"""
