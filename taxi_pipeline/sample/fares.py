"""The rates of fare and surcharges, in US dollars, by the day from which they hold.

Sources: the TLC's rule "Taximeter Rate of Fare and Various Surcharges" (in effect from 2022-12-19, with the rates
before, which were raised on 2012-09-04), NYC311 "Taxi Fare", the Port Authority's airport access fee (from
2021-04-05), the State's congestion surcharge (from 2019-02-02), the MTA's congestion relief zone toll (from
2025-01-05), and for high-volume vehicles the data dictionary and the TLC's rule on driver pay (rates of 2023).
"""

from dataclasses import dataclass
from datetime import date

AIRPORT_FEE = 1.25
CBD_FEE = 0.75
BRIDGE_TOLL = 6.55
"""Toll of a bridge in US dollars; the most frequent toll in the data of 2023."""

HIRED_CONGESTION, HIRED_CONGESTION_SHARED = 2.75, 0.75
HIRED_AIRPORT_FEE = 2.50
HIRED_CBD_FEE = 1.50
SALES_TAX = 0.08875
BLACK_CAR_FUND = 0.0275
DRIVER_PAY_PER_MILE, DRIVER_PAY_PER_MINUTE = 1.31, 0.56
"""The least pay of drivers of high-volume vehicles, in US dollars."""


FEES_TWICE = 1
"""The vendor (CMT) that puts the surcharge and the fee of the congestion zone into `extra` as well, so that the parts
are more than the total: all such rows of yellow 2019-02 and -03, and of green from 2020-03 to 2025-01."""
IMPROVEMENT_TWICE_SINCE = date(2022, 12, 19)
"""Since then it puts the improvement surcharge of green taxis into `mta_tax` as well (green 2022-12 to 2025-01)."""


@dataclass(frozen=True)
class Rates:
    """Rates that hold at the same time."""

    initial: float
    unit: float
    """US dollars for a fifth of a mile, or for a minute in slow traffic."""
    rush_hour: float
    """US dollars for a ride on weekdays from 16:00 to 20:00."""
    overnight: float
    """US dollars for a ride from 20:00 to 06:00."""
    mta_tax: float
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
        unit=0.70 if raised else 0.50 if day >= date(2012, 9, 4) else 0.40,
        rush_hour=2.50 if raised else 1.00,
        overnight=1.00 if raised else 0.50,
        mta_tax=0.50 if day >= date(2009, 11, 1) else 0.0,
        improvement=(1.00 if raised else 0.30) if day >= date(2015, 1, 1) else 0.0,
        jfk_flat=70.0 if raised else 52.0 if day >= date(2012, 9, 4) else 45.0,
        newark=20.0 if raised else 17.5 if day >= date(2012, 9, 4) else 15.0,
        laguardia=5.0 if raised else 0.0,
        congestion_yellow=2.50 if congestion else 0.0,
        congestion_green=2.75 if congestion else 0.0,
        airport_fee=AIRPORT_FEE if day >= date(2021, 4, 5) else 0.0,
        cbd_fee=CBD_FEE if day >= date(2025, 1, 5) else 0.0,
    )
