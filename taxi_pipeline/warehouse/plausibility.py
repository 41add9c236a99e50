"""Conditions of implausible trips: means shown to people leave these trips out, and say how many they are.

Constants and SQL conditions over a row of `trips`, without any query.
"""

MAX_PLAUSIBLE_MILES = 100
MAX_PLAUSIBLE_HOURS = 6
"""Longest plausible duration in hours. A meter left on for 23 hours, or a trip of 305,190 miles (green 2022-10), would
outweigh a week in a mean."""

TOO_FAR = f"trip_distance > {MAX_PLAUSIBLE_MILES}"
TOO_LONG = f"({TOO_FAR} OR dropoff_datetime > pickup_datetime + INTERVAL '{MAX_PLAUSIBLE_HOURS}' HOUR)"
BACKWARDS = "dropoff_datetime < pickup_datetime"
"""SQL over a row of `trips`; NULL where a value is missing."""
