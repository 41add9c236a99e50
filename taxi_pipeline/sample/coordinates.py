"""Yellow trips as 2009 and 2010 published them: coordinates instead of zones, times and codes as text."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from taxi_pipeline.sample.trips import Columns, PublishedColumns, Texts, TripMaker, random_of
from taxi_pipeline.sample.zones import schematic_zones
from taxi_pipeline.tlc.zones import OUTSIDE_ZONE_ID, UNKNOWN_ZONE_ID

POINTS_PER_ZONE = 200

_NOWHERE = (0.0, 0.0)
"""Longitude and latitude that a meter without a signal records."""
_NEW_JERSEY = (-74.42, 40.55)
"""Longitude and latitude of drop-offs outside the city."""

_VENDORS = {1: "CMT", 2: "VTS", 4: "DDS"}
_PAYMENTS_OF_2009 = {0: "CASH", 1: "Credit", 2: "Cash", 3: "No Charge", 4: "Dispute"}
_PAYMENTS_OF_2010 = {0: "UNK", 1: "CRE", 2: "CAS", 3: "NOC", 4: "DIS"}

_NAMES_OF_2009 = {
    "vendor_id": "vendor_name",
    "pickup_datetime": "trip_pickup_datetime",
    "dropoff_datetime": "trip_dropoff_datetime",
    "pickup_longitude": "start_lon",
    "pickup_latitude": "start_lat",
    "dropoff_longitude": "end_lon",
    "dropoff_latitude": "end_lat",
    "store_and_fwd_flag": "store_and_forward",
    "fare_amount": "fare_amt",
    "tip_amount": "tip_amt",
    "tolls_amount": "tolls_amt",
    "total_amount": "total_amt",
}
"""Name of 2010 → name of 2009, both in lower case; the others are the same."""


class OldYellowTripMaker:
    """Draws yellow trips of 2009 and 2010, day by day."""

    def __init__(self, fleet: str, *, trips_per_day: int, seed: int) -> None:
        self.fleet = fleet
        self._seed = seed
        self._trips = TripMaker(fleet, trips_per_day=trips_per_day, seed=seed)
        self._places = _points_of_zones()

    def day(self, day: date) -> PublishedColumns:
        """The published rows of a day; the same trips as `TripMaker` draws, in the spelling of the year."""
        trips = self._trips.day(day)
        columns = self._as_of_2010(trips, random_of(self._seed, f"{self.fleet} places", day))
        if day.year > 2009:
            return columns
        nothing = np.full(len(trips["vendorid"]), np.nan)
        columns |= {
            "rate_code": nothing,
            "store_and_fwd_flag": nothing,
            "payment_type": _texts(trips["payment_type"], _PAYMENTS_OF_2009),
            "mta_tax": nothing,
        }
        return {_NAMES_OF_2009.get(name, name): values for name, values in columns.items()}

    def _as_of_2010(self, trips: Columns, rng: np.random.Generator) -> dict[str, NDArray | Texts]:
        count = len(trips["vendorid"])
        start, end = (
            self._places[trips[zones], (rng.random(count) * POINTS_PER_ZONE).astype(int)]
            for zones in ("pulocationid", "dolocationid")
        )
        rate_code = np.nan_to_num(trips["ratecodeid"], nan=1).astype(int)
        taken_over = ("passenger_count", "trip_distance", "fare_amount", "tip_amount", "tolls_amount", "total_amount")
        return {
            "vendor_id": _texts(trips["vendorid"], _VENDORS),
            "pickup_datetime": trips["pickup_datetime"].astype("datetime64[s]"),
            "dropoff_datetime": trips["dropoff_datetime"].astype("datetime64[s]"),
            "pickup_longitude": start[:, 0],
            "pickup_latitude": start[:, 1],
            "dropoff_longitude": end[:, 0],
            "dropoff_latitude": end[:, 1],
            "rate_code": Texts(rate_code, tuple(str(code) for code in range(7))),
            "store_and_fwd_flag": Texts((trips["store_and_fwd_flag"] == "Y").astype(int), ("0", "1")),
            "payment_type": _texts(trips["payment_type"], _PAYMENTS_OF_2010),
            "surcharge": trips["extra"],
            "mta_tax": trips["mta_tax"],
            **{name: trips[name] for name in taken_over},
            "__index_level_0__": np.arange(count),
        }


def _texts(codes: NDArray, names: dict[int, str]) -> Texts:
    known = sorted(names)
    return Texts(np.searchsorted(known, codes.astype(int)), [names[code] for code in known])


def _points_of_zones() -> NDArray:
    """Points inside each zone, in degrees with six decimals: an array 266 × points × 2, longitude first."""
    import shapely

    shapes = schematic_zones().to_crs(4326)
    rng = np.random.Generator(np.random.PCG64(0))
    points = np.zeros((OUTSIDE_ZONE_ID + 1, POINTS_PER_ZONE, 2))
    for zone_id, shape in zip(shapes["OBJECTID"], shapes.geometry, strict=True):
        # Off the border, so that rounding moves no point out of its zone.
        inside = shape.buffer(-1e-5)
        west, south, east, north = inside.bounds
        found = np.empty((0, 2))
        while len(found) < POINTS_PER_ZONE:
            tried = rng.random((4 * POINTS_PER_ZONE, 2)) * (east - west, north - south) + (west, south)
            found = np.concatenate([found, tried[shapely.contains_xy(inside, tried)]])
        points[zone_id] = np.round(found[:POINTS_PER_ZONE], 6)
    points[UNKNOWN_ZONE_ID], points[OUTSIDE_ZONE_ID] = _NOWHERE, _NEW_JERSEY
    return points
