"""What trips are joined with: companies' bases, the weather, days, and the places in which zones lie.

A source is a file of somebody else's server and the table that it becomes (`source`, `bases`, `weather`). Facts that no
server is asked for are carried with the package (`calendar`, `zone_places`). What the TLC itself publishes is in `tlc`;
Dagster's assets of sources are in `defs.sources`.
"""
