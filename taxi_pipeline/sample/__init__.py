"""Sample data: a mirror of the TLC's server with synthetic trips and schematic zones, to try without a network.

Plain Python without Dagster. `mirror` writes the files, `trips` draws the trips, `fares` knows the rates, `parameters`
the shares and rates measured on real trips, `zones` the shapes. The schemas of the TLC's files are in `tlc`.
"""
