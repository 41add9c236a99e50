"""The tables of facts that the package carries: days, the places of zones, and zones that are neighbors."""

from dataclasses import astuple
from datetime import date
from typing import Any

from taxi_pipeline.sources.calendar import calendar_days
from taxi_pipeline.sources.zone_places import zone_neighbors, zone_places
from taxi_pipeline.tlc.fleets import FIRST_DAY
from taxi_pipeline.warehouse.tables import CALENDAR_DAYS, ZONE_NEIGHBORS, ZONE_PLACES, Table

Rows = list[tuple[Any, ...]]


def day_rows(today: date) -> dict[Table, Rows]:
    """The rows of `calendar_days`, from the first day of which there are trips to the end of this year."""
    return {CALENDAR_DAYS: [astuple(day) for day in calendar_days(FIRST_DAY, date(today.year, 12, 31))]}


def place_rows() -> dict[Table, Rows]:
    """The rows of `zone_places` and `zone_neighbors`."""
    return {
        ZONE_PLACES: [astuple(place) for place in zone_places()],
        ZONE_NEIGHBORS: [astuple(pair) for pair in zone_neighbors()],
    }
