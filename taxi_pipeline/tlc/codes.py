"""The codes in the TLC's data dictionaries, and areas of zones that analyses need.

Sources: the TLC's data dictionaries of yellow and green trip records (both of 2025-03-18) and of high-volume for-hire
vehicles (licensees as of September 2019). `fleets` declares which published column holds which code.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

TAXI_DICTIONARY = date(2025, 3, 18)
"""Date of the dictionaries of yellow and green trip records."""

LICENSEE_DICTIONARY = date(2019, 9, 1)
"""Date of the dictionary of high-volume trip records, which lists the licensees "as of September 2019"."""


@dataclass(frozen=True)
class Meaning:
    """The meaning of a code, and the date of the dictionary that has it; None when no dictionary has it."""

    code: int | str
    text: str
    as_of: date | None = TAXI_DICTIONARY


VENDORS = (
    Meaning(1, "Creative Mobile Technologies, LLC (CMT)"),
    Meaning(2, "Curb Mobility, LLC (before: VeriFone, VTS)"),
    Meaning(3, "Digital Dispatch Systems (DDS in 2009 and 2010; the number is this pipeline's)", None),
    Meaning(4, "not known; in yellow files of 2019", None),
    Meaning(5, "not known; in files of other years, by others' counts", None),
    Meaning(6, "Myle Technologies Inc"),
    Meaning(7, "Helix"),
)

RATE_CODES = (
    Meaning(1, "Standard rate"),
    Meaning(2, "JFK"),
    Meaning(3, "Newark"),
    Meaning(4, "Nassau or Westchester"),
    Meaning(5, "Negotiated fare"),
    Meaning(6, "Group ride"),
    Meaning(99, "Unknown"),
)

PAYMENT_TYPES = (
    Meaning(0, "Flex Fare trip"),
    Meaning(1, "Credit card"),
    Meaning(2, "Cash"),
    Meaning(3, "No charge"),
    Meaning(4, "Dispute"),
    Meaning(5, "Unknown"),
    Meaning(6, "Voided trip"),
)

CREDIT_CARD = 1
"""The payment type of trips whose tips are recorded."""

TRIP_TYPES = (
    Meaning(1, "Street-hail"),
    Meaning(2, "Dispatch"),
)

STORE_AND_FWD_FLAGS = (
    Meaning("N", "At once"),
    Meaning("Y", "Stored in the vehicle and forwarded, because it had no connection"),
)

LICENSEES = (
    Meaning("HV0002", "Juno", LICENSEE_DICTIONARY),
    Meaning("HV0003", "Uber", LICENSEE_DICTIONARY),
    Meaning("HV0004", "Via", LICENSEE_DICTIONARY),
    Meaning("HV0005", "Lyft", LICENSEE_DICTIONARY),
)

REQUEST_SOURCES = (
    Meaning("HV0003", "Uber, by its licence number (inferred)", None),
    Meaning("HV0005", "Lyft, by its licence number (inferred)", None),
    Meaning("EH0004", "An e-hail company, by the form of its licence number (inferred); which one is not known", None),
    Meaning("EH0010", "An e-hail company, by the form of its licence number (inferred); which one is not known", None),
    Meaning("A", "not known", None),
    Meaning("CC", "not known", None),
)
"""The values of yellow and green files of 2026-06 to -08, by others' counts: none in 7,800,627 trips, HV0003 in
2,295,520, A in 403,773, HV0005 in 181,233, EH0004 in 20,769, CC in 1,879, EH0010 in 272. No dictionary has them yet."""

COMPANY_BASES = {
    "Uber": (
        "B02395 B02404 B02512 B02598 B02617 B02682 B02764 B02765 B02835 B02836 B02864 B02865 B02866 B02867 "
        "B02869 B02870 B02871 B02872 B02875 B02876 B02877 B02878 B02879 B02880 B02882 B02883 B02884 B02887 "
        "B02888 B02889"
    ).split(),
    "Lyft": "B02510 B02844".split(),
    "Via": "B02800 B03136".split(),
    "Juno": "B02907 B02908 B02914 B03035".split(),
}
"""Company → the licence numbers of its bases, as of 2024: those whose trade name begins with the company's in NYC Open
Data's FHV Base Aggregate Report (2v9c-2k7f)."""

CODES = {
    "vendors": VENDORS,
    "rate_codes": RATE_CODES,
    "payment_types": PAYMENT_TYPES,
    "trip_types": TRIP_TYPES,
    "store_and_fwd_flags": STORE_AND_FWD_FLAGS,
    "licensees": LICENSEES,
    "request_sources": REQUEST_SOURCES,
}
"""Name of the table → its codes."""

NEWARK, JFK, LAGUARDIA = 1, 132, 138
"""Zone ids of the airports."""

# fmt: off
CONGESTION_ZONE = frozenset((
    4, 12, 13, 45, 48, 50, 68, 79, 87, 88, 90, 100, 107, 113, 114, 125, 137, 144, 148, 158, 161, 162, 163, 164, 170,
    186, 209, 211, 224, 229, 230, 231, 232, 233, 234, 246, 249, 261,
))
# fmt: on
"""Zones of Manhattan south of 60th Street: the MTA's congestion relief zone, where a fee is due since 2025-01-05."""

CONGESTION_ZONE_SINCE = date(2025, 1, 5)

AREAS = {"airport": frozenset((NEWARK, JFK, LAGUARDIA)), "congestion zone": CONGESTION_ZONE}
"""Name of an area → its zone ids."""


def code_rows() -> dict[str, list[tuple[Any, ...]]]:
    """Rows of the tables of codes.

    Returns:
        Name of the table → its rows: code, meaning and dictionary's date; for `company_bases`, base, company and no
        date; for `zone_areas`, area and zone id.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {
        name: [(meaning.code, meaning.text, meaning.as_of) for meaning in meanings] for name, meanings in CODES.items()
    }
    rows["company_bases"] = sorted(
        (number, company, None) for company, numbers in COMPANY_BASES.items() for number in numbers
    )
    rows["zone_areas"] = [(area, zone_id) for area, zone_ids in AREAS.items() for zone_id in sorted(zone_ids)]
    return rows
