"""Parameters that make synthetic trips look like New York's, each measured on real trips.

Sources, all published by the TLC: green trip records of January to June 2023 (405,180 rows; "green" below) and yellow
trip records of January to March 2019 (a sample of 30,000 rows; "yellow"). Where another month was used, it is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date


@dataclass(frozen=True, kw_only=True)
class Defects:
    """Shares of all rows that have the defects of the published data."""

    outside_month: float
    """Rows whose pickup is not in the file's month."""
    refund: float
    """Rows that repeat a trip with negative amounts."""
    unreported: float
    """Rows without passenger count, rate code and payment type."""
    unknown_pickup: float
    """Rows with pickup zone 264."""
    outside_pickup: float
    """Rows with pickup zone 265."""
    unknown_dropoff: float
    """Rows with drop-off zone 264."""
    outside_dropoff: float
    """Rows with drop-off zone 265."""
    dropoff_first: float
    """Rows whose drop-off is before the pickup."""
    no_distance: float
    """Rows with distance zero."""
    absurd_distance: float
    """Rows with a distance over 100 miles, up to hundreds of thousands."""
    meter_left_on: float
    """Rows whose drop-off is about a day after the pickup."""


@dataclass(frozen=True, kw_only=True)
class TaxiParameters:
    """The parameters of a taxi fleet's trips."""

    hours: Mapping[str, tuple[int, ...]]
    """Day type → pickups in each hour of the day, per mille."""
    weekday_level: tuple[float, ...]
    """Trips of Monday to Sunday against the mean day."""
    speed_mph: tuple[float, ...]
    """Median miles per hour by hour of day."""
    pull_miles: float
    """Distance at which a destination has lost most of its pull. This and the next two are chosen, so that distances
    and the share of trips to airports come out as measured."""
    far_pull: float
    """The part of a destination's pull that does not fade with the distance."""
    airport_pull: float
    """The same part for airports, in addition."""
    vendors: Mapping[int, float]
    passengers: Mapping[int, float]
    payments: Mapping[int, float]
    negotiated_share: float
    """Share of the trips with rate code 5, a negotiated fare."""
    tip_share: float
    """Share of the card trips that have a tip."""
    tip_ratios: tuple[float, ...]
    """Tip over fare of card trips with one: quantiles 0, 5, 25, 50, 75, 95, 100 %."""
    defects: Defects


YELLOW = TaxiParameters(
    hours={
        "weekday": (
            15,
            10,
            6,
            5,
            5,
            11,
            25,
            47,
            57,
            54,
            49,
            50,
            54,
            51,
            57,
            54,
            53,
            61,
            66,
            66,
            62,
            56,
            52,
            34,
        ),
        "friday": (
            24,
            13,
            10,
            5,
            6,
            9,
            28,
            46,
            49,
            47,
            47,
            51,
            48,
            49,
            52,
            56,
            53,
            59,
            65,
            69,
            58,
            54,
            53,
            49,
        ),
        "saturday": (
            52,
            36,
            29,
            20,
            11,
            6,
            11,
            16,
            26,
            37,
            39,
            48,
            51,
            56,
            53,
            54,
            56,
            55,
            67,
            62,
            52,
            50,
            57,
            53,
        ),
        "sunday": (
            57,
            48,
            33,
            23,
            21,
            9,
            11,
            12,
            22,
            36,
            47,
            55,
            60,
            60,
            60,
            62,
            62,
            55,
            67,
            47,
            46,
            41,
            38,
            29,
        ),
    },
    weekday_level=(0.925, 1.026, 1.041, 1.089, 1.015, 1.040, 0.864),
    speed_mph=(
        *(12.5, 13.7, 13.8, 14.8, 16.5, 16.9, 13.9, 10.8, 8.9, 8.8, 8.9, 8.7),
        *(8.8, 8.8, 9.0, 8.7, 9.1, 8.8, 9.0, 9.6, 10.7, 11.2, 11.5, 12.4),
    ),
    pull_miles=2.2,
    far_pull=0.004,
    airport_pull=0.045,
    vendors={1: 0.3773, 2: 0.6146, 4: 0.0081},
    passengers={0: 0.0593, 1: 0.6746, 2: 0.1440, 3: 0.0396, 4: 0.0183, 5: 0.0404, 6: 0.0238},
    payments={1: 0.7290, 2: 0.2648, 3: 0.0045, 4: 0.0017},
    negotiated_share=0.0068,
    tip_share=0.955,
    tip_ratios=(0.01, 0.06, 0.20, 0.243, 0.293, 0.39, 1.0),
    defects=Defects(
        outside_month=3.3e-5,
        refund=1.2e-3,
        unreported=0.0234,  # January 2023, as published: 71,743 of 3,066,766 rows; the sample of 2019 has none
        unknown_pickup=0.0125,
        outside_pickup=0.0006,
        unknown_dropoff=0.0114,
        outside_dropoff=0.0024,
        dropoff_first=1.7e-4,  # green, March 2020: 38 of 223,496 rows; the sample of 2019 has none
        no_distance=0.0066,
        absurd_distance=3.3e-5,  # an upper bound: the sample of 2019 has none
        meter_left_on=0.002,
    ),
)

GREEN = TaxiParameters(
    hours={
        "weekday": (
            13,
            8,
            5,
            5,
            4,
            5,
            18,
            46,
            57,
            59,
            56,
            56,
            56,
            55,
            63,
            70,
            76,
            79,
            79,
            60,
            45,
            37,
            29,
            20,
        ),
        "friday": (
            17,
            11,
            6,
            5,
            5,
            5,
            16,
            40,
            49,
            55,
            50,
            51,
            48,
            48,
            63,
            71,
            77,
            80,
            79,
            65,
            50,
            41,
            36,
            31,
        ),
        "saturday": (
            31,
            24,
            19,
            16,
            11,
            8,
            9,
            17,
            26,
            36,
            46,
            56,
            59,
            61,
            67,
            72,
            70,
            67,
            68,
            60,
            51,
            45,
            42,
            40,
        ),
        "sunday": (
            37,
            30,
            25,
            22,
            15,
            9,
            10,
            15,
            21,
            31,
            45,
            55,
            62,
            62,
            67,
            71,
            71,
            70,
            72,
            57,
            50,
            43,
            33,
            26,
        ),
    },
    weekday_level=(0.971, 1.028, 1.085, 1.120, 1.069, 0.927, 0.800),
    speed_mph=(
        *(12.8, 13.0, 13.5, 13.6, 14.9, 16.1, 13.9, 11.0, 10.1, 10.6, 10.7, 10.4),
        *(10.3, 10.2, 9.5, 9.3, 9.4, 9.7, 10.3, 11.1, 11.5, 12.1, 12.4, 12.6),
    ),
    pull_miles=1.1,
    far_pull=0.0006,
    airport_pull=0.0,
    vendors={1: 0.1328, 2: 0.8672},
    passengers={0: 0.0075, 1: 0.8510, 2: 0.0839, 3: 0.0141, 4: 0.0046, 5: 0.0251, 6: 0.0138},
    payments={1: 0.6490, 2: 0.3420, 3: 0.0070, 4: 0.0020},
    negotiated_share=0.0328,
    tip_share=0.871,
    tip_ratios=(0.01, 0.08, 0.17, 0.24, 0.28, 0.37, 1.0),
    defects=Defects(
        outside_month=1.5e-4,
        refund=2.7e-3,
        unreported=0.0693,
        unknown_pickup=0.0021,
        outside_pickup=0.0012,
        unknown_dropoff=0.0070,
        outside_dropoff=0.0030,
        dropoff_first=1.7e-4,  # March 2020: 38 of 223,496 rows
        no_distance=0.048,
        absurd_distance=6.9e-4,
        meter_left_on=0.0033,
    ),
)


@dataclass(frozen=True, kw_only=True)
class HiredParameters:
    """The parameters of the trips of for-hire vehicles."""

    hours: Mapping[str, tuple[int, ...]]
    weekday_level: tuple[float, ...]
    speed_mph: tuple[float, ...]
    pull_miles: float
    far_pull: float
    airport_pull: float
    boroughs: Mapping[str, float]
    """Borough → share of the pickups."""
    defects: Defects


# No real month of for-hire vehicles was available: these figures are chosen, so that trips look plausible (busy
# evenings and nights, all boroughs, 4 to 5 miles), and are no statement about the city.
_HIRED_HOURS = {
    "weekday": (27, 18, 12, 10, 11, 18, 32, 48, 54, 45, 38, 37, 38, 39, 43, 47, 51, 57, 62, 60, 57, 56, 52, 40),
    "friday": (27, 17, 12, 10, 11, 17, 28, 42, 47, 40, 35, 35, 37, 38, 43, 47, 51, 56, 62, 63, 59, 60, 65, 63),
    "saturday": (61, 48, 38, 29, 22, 17, 17, 20, 26, 32, 37, 41, 44, 45, 46, 47, 49, 52, 57, 58, 54, 55, 58, 55),
    "sunday": (62, 53, 45, 37, 27, 19, 17, 19, 25, 33, 40, 45, 48, 49, 49, 50, 51, 52, 52, 50, 47, 44, 40, 30),
}
_HIRED_BOROUGHS = {
    "Manhattan": 0.39,
    "Brooklyn": 0.27,
    "Queens": 0.21,
    "Bronx": 0.115,
    "Staten Island": 0.014,
    "EWR": 0.001,
}
_NO_DEFECTS = Defects(
    outside_month=0.0,
    refund=0.0,
    unreported=0.0,
    unknown_pickup=0.0001,
    outside_pickup=0.0001,
    unknown_dropoff=0.0002,
    outside_dropoff=0.035,
    dropoff_first=1e-5,
    no_distance=0.0004,
    absurd_distance=2e-6,
    meter_left_on=1e-5,
)

FHVHV = HiredParameters(
    hours=_HIRED_HOURS,
    weekday_level=(0.88, 0.91, 0.95, 1.01, 1.10, 1.16, 0.99),
    speed_mph=YELLOW.speed_mph,
    pull_miles=2.6,
    far_pull=0.01,
    airport_pull=0.03,
    boroughs=_HIRED_BOROUGHS,
    defects=_NO_DEFECTS,
)
FHV = replace(
    FHVHV,
    weekday_level=(1.02, 1.04, 1.05, 1.06, 1.08, 0.93, 0.82),
    defects=replace(_NO_DEFECTS, outside_month=1e-5, dropoff_first=4e-4, meter_left_on=2e-3),
)

HIRED_PARAMETERS: Mapping[str, HiredParameters] = {"fhv": FHV, "fhvhv": FHVHV}

PARAMETERS: Mapping[str, TaxiParameters] = {"yellow": YELLOW, "green": GREEN}

REQUEST_SOURCES = ("HV0003", "A", "HV0005", "EH0004", "CC", "EH0010")
"""Values of `request_source` in yellow and green files."""
REQUEST_SOURCE_SHARES = (0.7286, 0.2144, 0.0377, 0.0169, 0.0019, 0.0002, 0.0001)
"""Share of the trips without such a value, and with each of them: 2026-06 to -08, by others' counts."""
REQUEST_SOURCES_SINCE = date(2026, 6, 1)
