"""What New York's Taxi and Limousine Commission publishes, and how to get it and read it.

Plain Python without Dagster: fleets and their columns, months, the files on the TLC's server, the taxi zones.
"""
