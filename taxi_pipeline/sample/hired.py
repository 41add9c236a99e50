"""Drawing synthetic trips of for-hire vehicles: the high-volume ones (Uber, Lyft, …) and those of other bases.

As in `trips`, a day's trips depend on seed, fleet and day alone, and only uniform random numbers are drawn.
"""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from taxi_pipeline.sample.fares import (
    BLACK_CAR_FUND,
    BRIDGE_TOLL,
    DRIVER_PAY_PER_MILE,
    DRIVER_PAY_PER_MINUTE,
    HIRED_AIRPORT_FEE,
    HIRED_CBD_FEE,
    HIRED_CONGESTION,
    HIRED_CONGESTION_SHARED,
    SALES_TAX,
    rates_on,
)
from taxi_pipeline.sample.parameters import HIRED_PARAMETERS
from taxi_pipeline.sample.trips import (
    City,
    Columns,
    Demand,
    PublishedColumns,
    Texts,
    choose,
    days_outside,
    kind_of,
    normal,
    random_of,
)
from taxi_pipeline.tlc.aggregated_report import HIGH_VOLUME_SINCE
from taxi_pipeline.tlc.codes import COMPANY_BASES, LICENSEES
from taxi_pipeline.tlc.zones import UNKNOWN_ZONE_ID

_BASES = {"Juno": "B02914", "Uber": "B02764", "Via": "B02800", "Lyft": "B02510"}
"""A base of each company; it dispatches the company's trips."""

OTHER_BASES = tuple(f"B{number:05}" for number in (9, 14, 95, 221, 256, 310, 789, 856, 1239, 1312, 2563, 2849))
"""Licence numbers in the form of those of liveries and black cars."""

_DISPATCHERS = (*OTHER_BASES, *(base for bases in COMPANY_BASES.values() for base in bases))
"""The bases that the files `fhv` name: of others, and of the companies."""

_SHARED_RIDES_END = date(2020, 3, 17)
_SHARED_RIDES_FLAGGED = date(2017, 7, 1)

_Y_N: tuple[str, ...] = ("N", "Y")


class HiredTripMaker:
    """Draws a fleet's trips, day by day."""

    def __init__(self, fleet: str, *, trips_per_day: int, seed: int) -> None:
        self.fleet = fleet
        self.trips_per_day = trips_per_day
        self.seed = seed
        self.parameters = HIRED_PARAMETERS[fleet]
        self.city = City.new_york()
        self._demand = Demand.of(self.city, self.parameters, self.city.hired_pickup_shares(self.parameters))

    def day(self, day: date) -> PublishedColumns:
        """The published rows of a day, in the order of their pickups."""
        rng = random_of(self.seed, self.fleet, day)
        level = self.parameters.weekday_level[kind_of(day)] * (0.97 + 0.06 * rng.random())
        trips = self._draw(day, max(1, round(self.trips_per_day * level)), rng)
        return self._high_volume(trips, day, rng) if self.fleet == "fhvhv" else self._other(trips, day, rng)

    def _draw(self, day: date, count: int, rng: np.random.Generator) -> Columns:
        """Draw what all trips have: times, zones, miles and minutes."""
        defects = self.parameters.defects
        drives = self._demand.drives(day, count, rng, decimals=3)
        pickup, miles, minutes = drives.pickup, drives.miles, drives.minutes + 1.5
        minutes[rng.random(count) < defects.meter_left_on] += 60 * 23.5
        moved = rng.random(count) < defects.outside_month
        shift = np.array(days_outside(day), dtype="timedelta64[D]")[(rng.random(int(moved.sum())) * 4).astype(int)]
        pickup[moved] += shift
        dropoff = pickup + (minutes * 60).astype("timedelta64[s]")
        first = rng.random(count) < defects.dropoff_first
        dropoff[first] = pickup[first] - np.timedelta64(47, "s")
        miles[rng.random(count) < defects.no_distance] = 0.0
        return {
            "pickup_datetime": pickup,
            "dropoff_datetime": dropoff,
            "start": drives.start,
            "end": drives.end,
            "miles": miles,
            "minutes": minutes,
        }

    def _high_volume(self, trips: Columns, day: date, rng: np.random.Generator) -> PublishedColumns:
        count, pickup = len(trips["miles"]), trips["pickup_datetime"]
        companies = [company.text for company in LICENSEES]
        company = choose(_company_shares(day), rng, count)
        of_uber = company == companies.index("Uber")
        waited = np.minimum(1800, 60 * (3 + 2 * np.exp(0.6 * normal(rng, count)))).astype("timedelta64[s]")
        shared = rng.random(count) < (0.18 if day < _SHARED_RIDES_END else 0.01)
        accessible = rng.random(count) < 0.07
        base = Texts(company, [_BASES[name] for name in companies])
        return {
            "hvfhs_license_num": Texts(company, [str(licence.code) for licence in LICENSEES]),
            "dispatching_base_num": base,
            "originating_base_num": Texts(np.where(of_uber, company, len(companies)), [*base.texts, None]),
            "request_datetime": pickup - waited,
            "on_scene_datetime": np.where(of_uber, pickup - waited // 4, np.datetime64("NaT")),
            "pickup_datetime": pickup,
            "dropoff_datetime": trips["dropoff_datetime"],
            "pulocationid": trips["start"] + 1,
            "dolocationid": trips["end"] + 1,
            "trip_miles": trips["miles"],
            "trip_time": (trips["minutes"] * 60).astype(np.int64),
            **self._charges(trips, day, shared, rng),
            "shared_request_flag": Texts(shared.astype(int), _Y_N),
            "shared_match_flag": Texts((shared & (rng.random(count) < 0.6)).astype(int), _Y_N),
            "access_a_ride_flag": Texts(np.where(of_uber, 0, 1), (" ", "N")),
            "wav_request_flag": Texts((rng.random(count) < 0.002).astype(int), _Y_N),
            "wav_match_flag": Texts(accessible.astype(int), _Y_N),
        }

    def _charges(self, trips: Columns, day: date, shared: NDArray, rng: np.random.Generator) -> Columns:
        """Draw the parts of the passenger's charge and the driver's pay, in dollars."""
        start, end, miles, minutes = trips["start"], trips["end"], trips["miles"], trips["minutes"]
        count, rates = len(miles), rates_on(day)
        demand = np.exp(0.18 * normal(rng, count))
        fare = np.round(np.maximum(8, 3 + 2 * miles + 0.4 * np.minimum(minutes, 240)) * demand, 2)
        fare = np.where(shared, np.round(0.8 * fare, 2), fare)
        at_airport, in_area, in_cbd = (
            zones[start] | zones[end]
            for zones in (self.city.is_airport, self.city.in_surcharge_area, self.city.in_congestion_zone)
        )
        tolled = rng.random(count) < np.where(at_airport, 0.4, 0.06)
        surcharge = np.where(shared, HIRED_CONGESTION_SHARED, HIRED_CONGESTION) * bool(rates.congestion_yellow)
        tipped = rng.random(count) < 0.17
        pay = DRIVER_PAY_PER_MILE * miles + DRIVER_PAY_PER_MINUTE * np.minimum(minutes, 240)
        return {
            "base_passenger_fare": fare,
            "tolls": np.where(tolled, BRIDGE_TOLL, 0.0),
            "bcf": np.round(BLACK_CAR_FUND * fare, 2),
            "sales_tax": np.round(SALES_TAX * fare, 2),
            "congestion_surcharge": in_area * surcharge,
            "airport_fee": at_airport * (HIRED_AIRPORT_FEE if rates.airport_fee else 0.0),
            "cbd_congestion_fee": in_cbd * (HIRED_CBD_FEE if rates.cbd_fee else 0.0),
            "tips": np.where(tipped, np.round((0.1 + 0.15 * rng.random(count)) * fare, 2), 0.0),
            "driver_pay": np.round(np.maximum(5, pay) * (1 + 0.15 * rng.random(count)), 2),
        }

    def _other(self, trips: Columns, day: date, rng: np.random.Generator) -> PublishedColumns:
        """Draw trips of other bases.

        Bases leave out what they do not know: mostly the pickup's zone, before 2017 all of the drop-off.
        """
        count = len(trips["miles"])
        other = (rng.random(count) ** 2 * len(OTHER_BASES)).astype(int)
        shared = (rng.random(count) < 0.04) & (day >= _SHARED_RIDES_FLAGGED)
        zones = {}
        for name, ends, missing in (("pulocationid", "start", 0.55), ("dolocationid", "end", 0.15)):
            zone = trips[ends] + 1.0
            left_out = (rng.random(count) < missing) | (zone == UNKNOWN_ZONE_ID)
            zones[name] = np.where(left_out, np.nan, zone)
        base = np.where(rng.random(count) < _share_of_companies(day), _company_bases(rng, count), other)
        dropoff = trips["dropoff_datetime"]
        if day < date(2017, 1, 1):
            zones["dolocationid"], dropoff = np.full(count, np.nan), np.full(count, np.datetime64("NaT"), dropoff.dtype)
        return {
            "dispatching_base_num": Texts(base, _DISPATCHERS),
            "pickup_datetime": trips["pickup_datetime"],
            "dropoff_datetime": dropoff,
            **zones,
            "sr_flag": np.where(shared, 1.0, np.nan),
            "affiliated_base_number": Texts(base, _DISPATCHERS),
        }


def _share_of_companies(day: date) -> float:
    """Share of the trips in `fhv` that companies' bases send; from 2019-02 on their trips are in `fhvhv`."""
    return 0.8 if day < HIGH_VOLUME_SINCE else 0.0


def _company_bases(rng: np.random.Generator, count: int) -> NDArray:
    """Draw companies' bases, as an index into the dispatchers: Uber has most of them, and most of the trips."""
    return len(OTHER_BASES) + (rng.random(count) * (len(_DISPATCHERS) - len(OTHER_BASES))).astype(int)


def _company_shares(day: date) -> dict[int, float]:
    """Index into `LICENSEES` → share of the trips.

    Juno closed in November 2019, Via's cars in New York in December 2021.
    """
    juno = 0.03 if day < date(2019, 11, 18) else 0.0
    via = 0.04 if day < date(2021, 12, 20) else 0.0
    return {0: juno, 1: 0.73 - (juno + via) / 2, 2: via, 3: 0.27 - (juno + via) / 2}
