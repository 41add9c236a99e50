"""The rule for shares of places: they divide by the trips whose zone is known, and name the number of all others.

A zone is known if it is one of the 263 that have a shape. The ids 264 (Unknown) and 265 (Outside of NYC) are no zones:
trips with them are on no map.
"""

NO_ZONES = (264, 265)
"""Zone ids that stand for trips in no known zone."""

NO_BOROUGHS = ("Unknown", "N/A")
"""Boroughs of these ids."""


def shares_note(num_known: int, num_others: int) -> str:
    """Say what shares of places divide by, and how many trips they leave out."""
    return f"Shares are of the {num_known:,} in known zones; {num_others:,} more are outside the zones or not known."
