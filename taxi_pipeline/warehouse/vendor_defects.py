"""Defects in the records of a vendor, as SQL over a row of `trips`: which rows have them, and what they spoil.

The rows stay, and every count and sum has them. What a defect spoils is left out of the figures that would be wrong
with it. Declared here is what nearly all rows of a vendor show; defects of single trips are in `quality.rules`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from taxi_pipeline.warehouse.sql import rows_of, seconds_between


@dataclass(frozen=True, kw_only=True)
class VendorDefect:
    """A defect that nearly all records of a vendor have."""

    name: str
    meaning: str
    """A sentence for people."""
    vendor_id: int
    fleets: tuple[str, ...]
    first: date
    """The first day of it."""
    last: date | None
    """The last day of it; None when it goes on."""
    spoils: str
    """What must not be computed from these rows."""
    evidence: str

    @property
    def applies(self) -> str:
        """SQL for whether a row of `trips` has the defect."""
        return rows_of(self.fleets, self.vendor_id, self.first, self.last)


MINUTES_ARE_MONTHS = VendorDefect(
    name="minutes_are_months",
    meaning="Vendor 6 (Myle) writes the number of the month in place of the minute of both times.",
    vendor_id=6,
    fleets=("yellow", "green"),
    first=date(2020, 3, 1),
    last=date(2025, 5, 31),
    spoils="durations and speeds",
    evidence="All 161 rows of green 2020-03 and -04, of which 48 end before they begin; until 2025-05 counted by "
    "others (1,393 of 13,349 rows end before they begin)",
)

FARES_ARE_FLAT = VendorDefect(
    name="fares_are_flat",
    meaning="Vendor 6 (Myle) publishes a fare of 2.90 under totals of 25 to 29 dollars.",
    vendor_id=6,
    fleets=("yellow", "green"),
    first=date(2025, 1, 1),
    last=None,
    spoils="fares",
    evidence="Counted by others; green 2025-01 has no row of the vendor",
)

DURATION_SECONDS = (
    f"CASE WHEN NOT {MINUTES_ARE_MONTHS.applies} THEN {seconds_between('pickup_datetime', 'dropoff_datetime')} END"
)
"""SQL for the duration of a trip by the clock in whole seconds; NULL where a time is missing or known to be wrong."""

FARE = f"CASE WHEN NOT {FARES_ARE_FLAT.applies} THEN fare_amount END"
"""SQL for the fare of a trip; NULL where there is none or it is known to be wrong."""

VENDOR_DEFECTS: Sequence[VendorDefect] = (MINUTES_ARE_MONTHS, FARES_ARE_FLAT)
"""All known defects."""
