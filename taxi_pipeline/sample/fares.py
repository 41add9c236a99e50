"""The rates of fare and surcharges of yellow and green taxis, in US dollars, by the day from which they hold.

Sources: the TLC's rule "Taximeter Rate of Fare and Various Surcharges" (in effect from 2022-12-19, with the rates
before), NYC311 "Taxi Fare", the Port Authority's airport access fee (from 2021-04-05), the State's congestion surcharge
(from 2019-02-02) and the MTA's congestion relief zone toll for taxis (from 2025-01-05).
"""

from dataclasses import dataclass
from datetime import date

JFK, LAGUARDIA, NEWARK = 132, 138, 1
"""Zone ids of the airports."""

MTA_TAX = 0.50
AIRPORT_FEE = 1.25
CBD_FEE = 0.75
BRIDGE_TOLL = 6.55
"""What the data most often shows in 2023."""

CBD_ZONES = frozenset(
    {
        4,
        12,
        13,
        45,
        48,
        50,
        68,
        79,
        87,
        88,
        90,
        100,
        107,
        113,
        114,
        125,
        137,
        144,
        148,
        158,
        161,
        162,
        163,
        164,
    }
    | {170, 186, 209, 211, 224, 229, 230, 231, 232, 233, 234, 246, 249, 261}
)
"""Zones of Manhattan south of 60th Street."""


@dataclass(frozen=True)
class Rates:
    """Rates in effect at the same time."""

    initial: float
    unit: float
    """For a fifth of a mile, or for a minute in slow traffic."""
    rush_hour: float
    """Weekdays 16:00 to 20:00."""
    overnight: float
    """20:00 to 06:00."""
    improvement: float
    jfk_flat: float
    newark: float
    laguardia: float
    congestion_yellow: float
    congestion_green: float
    airport_fee: float
    cbd_fee: float


def rates_on(day: date) -> Rates:
    """The rates in effect on a day."""
    raised = day >= date(2022, 12, 19)
    congestion = day >= date(2019, 2, 2)
    return Rates(
        initial=3.00 if raised else 2.50,
        unit=0.70 if raised else 0.50,
        rush_hour=2.50 if raised else 1.00,
        overnight=1.00 if raised else 0.50,
        improvement=(1.00 if raised else 0.30) if day >= date(2015, 1, 1) else 0.0,
        jfk_flat=70.0 if raised else 52.0,
        newark=20.0 if raised else 17.5,
        laguardia=5.0 if raised else 0.0,
        congestion_yellow=2.50 if congestion else 0.0,
        congestion_green=2.75 if congestion else 0.0,
        airport_fee=AIRPORT_FEE if day >= date(2021, 4, 5) else 0.0,
        cbd_fee=CBD_FEE if day >= date(2025, 1, 5) else 0.0,
    )
