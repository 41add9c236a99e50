"""Checks of the published trips, and comparisons of tables and outputs with the trips. No Dagster.

`rules` holds the thresholds, without any query; `evaluation` applies the rules to loaded days; `reconciliation`
compares tables and outputs with the trips; `tlc_report` compares the trips with what the TLC itself counts.
"""
