"""What is odd in published trips, and whether the tables and outputs agree with the trips. No Dagster.

`rules` holds the thresholds, without any query; `evaluation` applies the rules to loaded days;
`reconciliation` compares tables and outputs with the trips.
"""
