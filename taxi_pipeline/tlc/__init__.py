"""The publications of New York's Taxi and Limousine Commission, and how to fetch and read them.

Plain Python without Dagster: fleets and their columns, months, the files on the TLC's server, the taxi zones.
"""
