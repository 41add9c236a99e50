"""Drawing synthetic trips: zones by their real shares, hours and weekdays shaped like the city's, fares by the rates.

A day's trips depend on seed, fleet and day alone, so that ranges overlap without contradiction. Only uniform random
numbers of PCG64 are drawn, and shaped here: what they become changes with no library's version.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from taxi_pipeline.datasets.demand import SUNDAY, kinds_of
from taxi_pipeline.sample.fares import BRIDGE_TOLL, FEES_TWICE, IMPROVEMENT_TWICE_SINCE, Rates, rates_on
from taxi_pipeline.sample.parameters import (
    PARAMETERS,
    REQUEST_SOURCE_SHARES,
    REQUEST_SOURCES,
    REQUEST_SOURCES_SINCE,
    Defects,
    HiredParameters,
    TaxiParameters,
)
from taxi_pipeline.tlc.codes import CONGESTION_ZONE, JFK, LAGUARDIA, NEWARK
from taxi_pipeline.tlc.months import month_of, next_month
from taxi_pipeline.tlc.zone_facts import read_zone_facts
from taxi_pipeline.tlc.zones import LAST_ZONE_ID, OUTSIDE_ZONE_ID, UNKNOWN_ZONE_ID


@dataclass(frozen=True)
class Texts:
    """A column of text with few different values."""

    index: NDArray
    """Index into the texts, one per trip."""
    texts: Sequence[str | None]


Columns = dict[str, NDArray]
"""Published column (as in `published`, lower case) → its values, one per trip; NaN or "" where missing."""

PublishedColumns = Mapping[str, NDArray | Texts]
"""The columns of `Columns` as they are written to the file."""

_MILES_PER_DEGREE = 69.05
_DETOUR = 1.32
"""Miles driven per mile as the crow flies."""
_AIRPORTS = np.array([JFK - 1, LAGUARDIA - 1, NEWARK - 1])
"""Indices of the airports in `City`."""


@dataclass(frozen=True)
class City:
    """Zones by index 0 to 264 (zone id less one): where they are and how trips go between them."""

    facts: Mapping[str, NDArray]

    @classmethod
    def new_york(cls) -> "City":
        """The city of `zone_facts.csv`."""
        table = read_zone_facts()
        return cls({name: table[name].to_numpy() for name in table.columns})

    @cached_property
    def miles(self) -> NDArray:
        """Typical miles driven from zone to zone (265 × 265); inside a zone, by its size."""
        lat, lon = (self._padded(self.facts[name], self.facts[name].mean()) for name in ("lat", "lon"))
        north = (lat[:, None] - lat) * _MILES_PER_DEGREE
        east = (lon[:, None] - lon) * _MILES_PER_DEGREE * np.cos(np.radians(40.75))
        miles = _DETOUR * np.hypot(north, east)
        within = 0.55 * np.sqrt(self._padded(self.facts["area_km2"], 4.0)) * 0.621
        return np.maximum(miles, np.minimum(within[:, None], within))

    @cached_property
    def in_surcharge_area(self) -> NDArray:
        """True where the State's congestion surcharge is due (Manhattan south of 96th Street, roughly)."""
        return self._padded(self.facts["service_zone"] == "Yellow Zone", False)

    @cached_property
    def in_congestion_zone(self) -> NDArray:
        """True where the MTA's congestion fee is due."""
        return np.isin(np.arange(LAST_ZONE_ID) + 1, list(CONGESTION_ZONE))

    @cached_property
    def is_airport(self) -> NDArray:
        """True for the three airports."""
        return np.isin(np.arange(LAST_ZONE_ID), _AIRPORTS)

    @cached_property
    def in_manhattan(self) -> NDArray:
        """True for Manhattan's zones."""
        return self._padded(self.facts["borough"] == "Manhattan", False)

    def pickup_shares(self, fleet: str, parameters: TaxiParameters) -> NDArray:
        """Share of each zone in the taxi pickups. Green taxis pick up where the TLC lets them: in Boro zones."""
        share = self._shares_of_shapes()
        share[56] = 0.088 * share[55]  # Corona's second part: its share in green trips, where the two differ
        if fleet == "green":
            share = np.where(self.facts["service_zone"] == "Boro Zone", share, 0.0)
        return self._with_odd_zones(share, parameters.defects)

    def hired_pickup_shares(self, parameters: HiredParameters) -> NDArray:
        """Share of each zone in the pickups of for-hire vehicles.

        It follows the boroughs' shares; inside a borough it is flatter than that of taxis.
        """
        share = self._shares_of_shapes() ** 0.4
        for borough in np.unique(self.facts["borough"]):
            inside = self.facts["borough"] == borough
            share[inside] *= parameters.boroughs[borough] / share[inside].sum()
        return self._with_odd_zones(share, parameters.defects)

    @staticmethod
    def _with_odd_zones(share: NDArray, defects: Defects) -> NDArray:
        shares = np.zeros(LAST_ZONE_ID)
        shares[UNKNOWN_ZONE_ID - 1], shares[OUTSIDE_ZONE_ID - 1] = (
            defects.unknown_pickup,
            defects.outside_pickup,
        )
        shares[: len(share)] = share / share.sum() * (1 - shares.sum())
        return shares

    def destinations(self, parameters: TaxiParameters | HiredParameters) -> "AliasTable":
        """Distribution of drop-offs for each pickup zone: near and busy zones pull; from an airport only busy ones."""
        share = self._shares_of_shapes()
        pull = np.zeros(LAST_ZONE_ID)
        pull[: len(share)] = np.sqrt(share)
        nearness = np.exp(-self.miles / parameters.pull_miles) + parameters.far_pull
        nearness[_AIRPORTS] = 1.0
        nearness[:, _AIRPORTS] += parameters.airport_pull
        weights = pull * nearness
        defects = parameters.defects
        odd = [UNKNOWN_ZONE_ID - 1, OUTSIDE_ZONE_ID - 1]
        weights[:, odd] = 0
        weights *= (1 - defects.unknown_dropoff - defects.outside_dropoff) / weights.sum(axis=1, keepdims=True)
        weights[:, odd] = defects.unknown_dropoff, defects.outside_dropoff
        weights[UNKNOWN_ZONE_ID - 1] *= 0.4
        weights[UNKNOWN_ZONE_ID - 1, UNKNOWN_ZONE_ID - 1] += 0.6  # one unknown end seldom comes alone
        return AliasTable.of(weights)

    def _shares_of_shapes(self) -> NDArray:
        """The published share of pickups of each zone with a shape; each has a little."""
        return np.maximum(self.facts["pickup_share"].astype(float), 1e-7)

    @staticmethod
    def _padded(values: NDArray, last_two: float | bool) -> NDArray:
        return np.append(values, [last_two, last_two])


@dataclass(frozen=True)
class AliasTable:
    """Draws from many discrete distributions in constant time per draw (Walker's alias method)."""

    keep: NDArray
    alias: NDArray

    @classmethod
    def of(cls, weights: NDArray) -> "AliasTable":
        """Tables for the distributions in the rows of a matrix of weights."""
        size = weights.shape[1]
        keep, alias = np.ones(weights.shape), np.tile(np.arange(size), (len(weights), 1))
        for row, scaled in enumerate(weights / weights.sum(axis=1, keepdims=True) * size):
            small = [i for i in range(size) if scaled[i] < 1]
            large = [i for i in range(size) if scaled[i] >= 1]
            while small and large:
                less, more = small.pop(), large[-1]
                keep[row, less], alias[row, less] = scaled[less], more
                scaled[more] -= 1 - scaled[less]
                if scaled[more] < 1:
                    small.append(large.pop())
        return cls(keep, alias)

    def draw(self, rows: NDArray, uniform: NDArray) -> NDArray:
        """One column index per entry of `rows`."""
        place = uniform * self.keep.shape[1]
        column = place.astype(np.int64)
        return np.where(place - column < self.keep[rows, column], column, self.alias[rows, column])


@dataclass(frozen=True)
class Drives:
    """The drives of some trips: times, zones, miles and minutes; one entry per trip, in order of time."""

    pickup: NDArray
    """Pickup in New York wall time."""
    hour: NDArray
    start: NDArray
    """Index of the pickup's zone in `City`; `end` is that of the drop-off."""
    end: NDArray
    miles: NDArray
    minutes: NDArray
    """Duration of the drive in minutes."""


@dataclass(frozen=True)
class Demand:
    """The demand for a fleet's trips: pickups, destinations and their parameters."""

    city: City
    parameters: TaxiParameters | HiredParameters
    pickups: NDArray
    """Cumulative shares of the zones in the pickups."""
    destinations: AliasTable

    @classmethod
    def of(cls, city: City, parameters: TaxiParameters | HiredParameters, pickup_shares: NDArray) -> "Demand":
        """Prepare the demand for a fleet with these shares of pickups by zone."""
        return cls(city, parameters, np.cumsum(pickup_shares), city.destinations(parameters))

    def drives(self, day: date, count: int, rng: np.random.Generator, *, decimals: int) -> Drives:
        """Draw so many trips of a day; miles have so many decimals."""
        parameters = self.parameters
        seconds = clock(parameters.hours[day_type(day)], np.sort(rng.random(count)))
        hour = (seconds // 3600).astype(np.int64)
        start = np.searchsorted(self.pickups, rng.random(count) * self.pickups[-1])
        end = self.destinations.draw(start, rng.random(count))
        miles = np.round(self.city.miles[start, end] * np.exp(0.22 * normal(rng, count)), decimals)
        # Long trips use highways; the medians are those of trips of about 1.7 miles.
        mph = np.array(parameters.speed_mph)[hour] * np.clip((miles + 0.3) / 2, 0.3, 12) ** 0.3
        minutes = 60 * miles / mph * np.exp(0.2 * normal(rng, count))
        pickup = np.datetime64(day, "us") + (seconds * 1e6).astype("timedelta64[us]").astype("timedelta64[s]")
        return Drives(pickup, hour, start, end, miles, minutes)


class TripMaker:
    """Draws a fleet's trips, day by day."""

    def __init__(self, fleet: str, *, trips_per_day: int, seed: int) -> None:
        self.fleet = fleet
        self.trips_per_day = trips_per_day
        self.seed = seed
        self.parameters = PARAMETERS[fleet]
        self.city = City.new_york()
        self._demand = Demand.of(self.city, self.parameters, self.city.pickup_shares(fleet, self.parameters))

    def day(self, day: date) -> Columns:
        """The published rows of a day, in the order of their pickups (but for those moved outside the month)."""
        rng = random_of(self.seed, self.fleet, day)
        level = self.parameters.weekday_level[kind_of(day)] * (0.97 + 0.06 * rng.random())
        count = round(self.trips_per_day * level)
        trips = self._draw(day, max(1, round(count * (1 - self.parameters.defects.refund))), rng)
        trips = _with_refunds(trips, count - len(trips["vendorid"]), rng)
        return self._with_defects(trips, day, rng)

    def _draw(self, day: date, count: int, rng: np.random.Generator) -> Columns:
        parameters, rates = self.parameters, rates_on(day)
        drives = self._demand.drives(day, count, rng, decimals=2)
        pickup, hour, start, end, miles = drives.pickup, drives.hour, drives.start, drives.end, drives.miles
        minutes = drives.minutes + 0.5
        dropoff = pickup + (minutes * 60).astype("timedelta64[s]")
        rate_code = self._rate_codes(start, end, rng)
        payment = choose(parameters.payments, rng, count)
        charges = self._charges(day, rates, start, end, miles, minutes, hour, rate_code, rng)
        tipped = (payment == 1) & (rng.random(count) < parameters.tip_share)
        ratio = np.interp(rng.random(count), (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1), parameters.tip_ratios)
        charges["tip_amount"] = np.where(tipped, np.round(ratio * charges["fare_amount"], 2), 0.0)
        charges["total_amount"] = np.round(sum(charges.values()), 2)
        vendor = choose(parameters.vendors, rng, count)
        return {
            "vendorid": vendor,
            "pickup_datetime": pickup,
            "dropoff_datetime": dropoff,
            "passenger_count": choose(parameters.passengers, rng, count).astype(float),
            "trip_distance": miles,
            "ratecodeid": rate_code.astype(float),
            "store_and_fwd_flag": np.where(rng.random(count) < 0.006, "Y", "N"),
            "pulocationid": start + 1,
            "dolocationid": end + 1,
            "payment_type": payment.astype(float),
            "trip_type": np.where(rng.random(count) < 0.97, 1.0, 2.0),
            "ehail_fee": np.full(count, np.nan),
            **charges,
            **self._with_fees_twice(charges, vendor == FEES_TWICE, day),
            **self._request_sources(day, count, rng),
        }

    def _request_sources(self, day: date, count: int, rng: np.random.Generator) -> Columns:
        """Who sent the trips, since the files say so; nobody for most."""
        if day < REQUEST_SOURCES_SINCE:
            return {}
        names = np.array(["", *REQUEST_SOURCES])
        return {"request_source": names[choose(dict(enumerate(REQUEST_SOURCE_SHARES)), rng, count)]}

    def _with_fees_twice(self, charges: Columns, doubles: NDArray, day: date) -> Columns:
        """The columns into which a vendor puts fees that have a column of their own as well."""
        extra = charges["extra"] + doubles * (charges["congestion_surcharge"] + charges["cbd_congestion_fee"])
        if self.fleet != "green" or day < IMPROVEMENT_TWICE_SINCE:
            return {"extra": extra}
        return {"extra": extra, "mta_tax": charges["mta_tax"] + doubles * charges["improvement_surcharge"]}

    def _rate_codes(self, start: NDArray, end: NDArray, rng: np.random.Generator) -> NDArray:
        """Rate code of each trip: 1 standard, 2 JFK, 3 Newark, 5 negotiated."""
        manhattan = self.city.in_manhattan
        jfk = ((start == JFK - 1) & manhattan[end]) | ((end == JFK - 1) & manhattan[start])
        codes = np.where(jfk, 2, np.where(end == NEWARK - 1, 3, 1))
        return np.where((codes == 1) & (rng.random(len(start)) < self.parameters.negotiated_share), 5, codes)

    def _charges(
        self,
        day: date,
        rates: Rates,
        start: NDArray,
        end: NDArray,
        miles: NDArray,
        minutes: NDArray,
        hour: NDArray,
        rate_code: NDArray,
        rng: np.random.Generator,
    ) -> Columns:
        """The parts of the total without the tip, in dollars."""
        count = len(start)
        slow_share = np.clip(0.6 - 0.04 * 60 * miles / minutes, 0.02, 0.5)
        metered = rates.initial + rates.unit * np.floor(5 * miles + slow_share * minutes)
        fare = np.select(
            [rate_code == 2, rate_code == 3, rate_code == 5],
            [rates.jfk_flat, metered + rates.newark, np.round(20 + 60 * rng.random(count))],
            metered,
        )
        rush = (hour >= 16) & (hour < 20) & (day.weekday() < 5)
        night = (hour >= 20) | (hour < 6)
        to_or_from_airport = self.city.is_airport[start] | self.city.is_airport[end]
        laguardia = (end == LAGUARDIA - 1) | ((start == LAGUARDIA - 1) & (self.fleet == "yellow"))
        surcharge = rates.congestion_yellow if self.fleet == "yellow" else rates.congestion_green
        area, cbd = self.city.in_surcharge_area, self.city.in_congestion_zone
        tolled = rng.random(count) < np.where(to_or_from_airport, 0.45, 0.02)
        charges = {
            "fare_amount": np.round(fare, 2),
            "extra": rush * rates.rush_hour + night * rates.overnight + laguardia * rates.laguardia,
            "mta_tax": np.where(rate_code == 3, 0.0, rates.mta_tax),
            "improvement_surcharge": np.full(count, rates.improvement),
            "tolls_amount": np.where(tolled, BRIDGE_TOLL, 0.0),
            "congestion_surcharge": (area[start] | area[end]) * surcharge,
            "cbd_congestion_fee": (cbd[start] | cbd[end]) * rates.cbd_fee,
        }
        if self.fleet == "yellow":
            charges["airport_fee"] = np.isin(start, [JFK - 1, LAGUARDIA - 1]) * rates.airport_fee
        return charges

    def _with_defects(self, trips: Columns, day: date, rng: np.random.Generator) -> Columns:
        """Add the defects of the published data, as often as the parameters say."""
        defects, count = self.parameters.defects, len(trips["vendorid"])

        def hit(share: float) -> NDArray:
            return rng.random(count) < share

        unreported = hit(defects.unreported)
        missing = ["passenger_count", "ratecodeid", "congestion_surcharge", "airport_fee", "trip_type"]
        for name in missing:
            if name in trips:
                trips[name][unreported] = np.nan
        trips["payment_type"][unreported] = 0 if self.fleet == "yellow" else np.nan
        trips["store_and_fwd_flag"][unreported] = ""
        trips["trip_distance"][hit(defects.no_distance)] = 0.0
        absurd = hit(defects.absurd_distance)
        trips["trip_distance"][absurd] = np.round(100 * 10 ** (3.5 * rng.random(absurd.sum())), 2)
        left_on = hit(defects.meter_left_on)
        trips["dropoff_datetime"][left_on] += np.timedelta64(23 * 3600 + 1800, "s")
        first = hit(defects.dropoff_first)
        trips["dropoff_datetime"][first] = trips["pickup_datetime"][first] - np.timedelta64(47, "s")
        moved = hit(defects.outside_month)
        shift = np.array(days_outside(day), dtype="timedelta64[D]")[(rng.random(moved.sum()) * 4).astype(int)]
        for name in ("pickup_datetime", "dropoff_datetime"):
            trips[name][moved] += shift
        return trips


def random_of(seed: int, fleet: str, day: date) -> np.random.Generator:
    """The source of all random numbers of a day's trips."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(fleet.encode()), day.toordinal()]))


def _with_refunds(trips: Columns, count: int, rng: np.random.Generator) -> Columns:
    """Repeat some trips with negative amounts, right after the original."""
    amounts = {name for name in trips if name.endswith(("_amount", "surcharge", "_tax", "_fee", "extra"))}
    refunded = np.sort((rng.random(max(0, count)) * len(trips["vendorid"])).astype(int))
    return {
        name: np.insert(values, refunded + 1, -values[refunded] if name in amounts else values[refunded])
        for name, values in trips.items()
    }


def days_outside(day: date) -> Sequence[int]:
    """Days by which a pickup is moved: to the end of the month before, into the next, or to the clock's start."""
    month = month_of(day)
    return (
        (month - timedelta(days=1) - day).days,
        (next_month(month) - day).days,
        (next_month(month) + timedelta(days=6) - day).days,
        (date(2009, 1, 1) - day).days,
    )


def day_type(day: date) -> str:
    """The key of the day's shape in `hours`."""
    return ("weekday", "weekday", "weekday", "weekday", "friday", "saturday", "sunday")[kind_of(day)]


def kind_of(day: date) -> int:
    """The kind of a day: 0 for Monday to 6 for Sunday; a federal holiday is a Sunday, as for the demand model."""
    return SUNDAY if day in _holidays(day.year) else day.weekday()


@cache
def _holidays(year: int) -> frozenset[date]:
    """The federal holidays of a year on which the city is as on a Sunday."""
    import pandas as pd

    days = pd.date_range(date(year, 1, 1), date(year, 12, 31))
    return frozenset(day.date() for day, kind in zip(days, kinds_of(days), strict=True) if kind == SUNDAY)


def clock(per_hour: Sequence[int], uniform: NDArray) -> NDArray:
    """Seconds since midnight for uniform numbers, such that hours are as busy as given."""
    busy = np.concatenate([[0], np.cumsum(per_hour)]) / sum(per_hour)
    return np.minimum(np.interp(uniform, busy, np.arange(25) * 3600.0), 86_399)


def choose(shares: Mapping[int, float], rng: np.random.Generator, count: int) -> NDArray:
    """Draw so many of the keys, as often as their shares say."""
    values, weights = np.array(list(shares)), np.cumsum(list(shares.values()))
    return values[np.searchsorted(weights, rng.random(count) * weights[-1])]


def normal(rng: np.random.Generator, count: int) -> NDArray:
    """Standard normal numbers by Box and Muller."""
    return np.sqrt(-2 * np.log1p(-rng.random(count))) * np.cos(2 * np.pi * rng.random(count))
