"""The parts of a total, net of fees that a vendor puts into two columns, as SQL over a row of `trips`.

`trips` holds each column as it was published. Added up, the parts are then not the total where a vendor counts a fee in
two columns, or in none. Each such habit that is known is declared here with its dates and its evidence; the view
`net_parts` (`views`), the monthly report, the mart `fare_parts` and the check `parts_add_up` use the net amounts.

A habit belongs here when the total proves it, in nearly all rows of a vendor. What no rule explains stays, and is
counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from taxi_pipeline.tlc.codes import CONGESTION_ZONE_SINCE
from taxi_pipeline.warehouse.sql import rows_of

TOTAL_PARTS = (
    "fare_amount",
    "extra",
    "mta_tax",
    "tip_amount",
    "tolls_amount",
    "ehail_fee",
    "improvement_surcharge",
    "congestion_surcharge",
    "airport_fee",
    "cbd_congestion_fee",
    "black_car_fund",
    "sales_tax",
)
"""The columns of `trips` that add up to `total_amount`; what a fleet does not publish counts as nothing."""


@dataclass(frozen=True, kw_only=True)
class FeeRule:
    """A vendor's habit by which the parts of a total do not add up to it, and what makes them add up."""

    name: str
    meaning: str
    """A sentence for people."""
    fleets: tuple[str, ...]
    vendor_id: int | None
    """The vendor; None for all of them."""
    first: date
    """The first day on which it was seen."""
    condition: str
    """SQL for the rows, among those of the fleets, the vendor and the days."""
    part: str
    """The column that is corrected."""
    amount: str
    """SQL of the dollars that are added to the part."""
    evidence: str
    """What shows it in which months: `docs/data-quality.md` has the rest."""

    @property
    def applies(self) -> str:
        """SQL for whether the rule applies to a row of `trips`."""
        return f"{rows_of(self.fleets, self.vendor_id, self.first)} AND ({self.condition})"


SURCHARGE_IN_EXTRA = FeeRule(
    name="surcharge_in_extra",
    meaning="Vendor 1 (CMT) puts the congestion surcharge into `extra`, and into its own column as well.",
    fleets=("yellow", "green"),
    vendor_id=1,
    first=date(2019, 2, 2),
    condition="extra * congestion_surcharge > 0 AND abs(extra) >= abs(congestion_surcharge)",
    part="extra",
    amount="-congestion_surcharge",
    evidence="All 36,390 surcharged rows of the vendor: 6,807 of yellow 2019-02 and -03 (10,000 rows of each) and "
    "29,583 of the fourteen months of green",
)

IMPROVEMENT_IN_MTA_TAX = FeeRule(
    name="improvement_in_mta_tax",
    meaning="Vendor 1 (CMT) puts the improvement surcharge into `mta_tax`, and into its own column as well.",
    fleets=("green",),
    vendor_id=1,
    first=date(2022, 12, 1),
    # The tax itself is 50 cents, or nothing outside the city.
    condition="mta_tax * improvement_surcharge > 0 AND abs(mta_tax) - abs(improvement_surcharge) IN (0.00, 0.50)",
    part="mta_tax",
    amount="-improvement_surcharge",
    evidence="All 74,849 rows of the vendor with such a tax in the ten months of green from 2022-12 to 2025-01",
)

CBD_FEE_IN_EXTRA = FeeRule(
    name="cbd_fee_in_extra",
    meaning="Vendor 1 (CMT) puts the fee of the congestion zone into `extra`, and into its own column as well.",
    fleets=("yellow", "green"),
    vendor_id=1,
    first=CONGESTION_ZONE_SINCE,
    condition="extra * cbd_congestion_fee > 0 "
    "AND abs(extra) >= abs(coalesce(congestion_surcharge, 0)) + abs(cbd_congestion_fee)",
    part="extra",
    amount="-cbd_congestion_fee",
    evidence="All 383 rows of the vendor with the fee in green 2025-01",
)

COUNTED_TWICE = (SURCHARGE_IN_EXTRA, IMPROVEMENT_IN_MTA_TAX, CBD_FEE_IN_EXTRA)
"""The fees that are in two columns."""


def _net(part: str) -> str:
    """SQL for a part without what another column has as well."""
    corrections = [
        f" + CASE WHEN {rule.applies} THEN {rule.amount} ELSE 0 END" for rule in COUNTED_TWICE if rule.part == part
    ]
    return f"({part}{''.join(corrections)})"


_REST = f"(total_amount - ({' + '.join(f'coalesce({_net(part)}, 0)' for part in TOTAL_PARTS)}))"

_WITHOUT_FEES = "congestion_surcharge IS NULL AND coalesce(payment_type, 0) = 0"
"""SQL for dispatched trips, whose columns of fees are all NULL."""

_CBD_FEE = 0.75
"""The fee of the congestion zone for a trip of a taxi, in dollars. Source: the MTA's tolls since 2025-01-05."""

SURCHARGE_IN_NO_COLUMN = FeeRule(
    name="surcharge_in_no_column",
    meaning="Dispatched trips hold the congestion surcharge in their total, while all their columns of fees are NULL.",
    fleets=("yellow", "green"),
    vendor_id=None,
    first=date(2019, 2, 2),
    # 2.50 in yellow taxis, 2.75 in others; with the fee of the congestion zone 3.25 and 3.50.
    condition=f"{_WITHOUT_FEES} AND {_REST} IN (2.50, 2.75, 3.25, 3.50)",
    part="congestion_surcharge",
    amount=f"CASE WHEN {_REST} > 3 THEN {_REST} - {_CBD_FEE} ELSE {_REST} END",
    evidence="17,788 rows without a payment type in the fourteen months of green",
)

CBD_FEE_IN_NO_COLUMN = FeeRule(
    name="cbd_fee_in_no_column",
    meaning="Dispatched trips hold the fee of the congestion zone in their total, too, and have it in no column.",
    fleets=("yellow", "green"),
    vendor_id=None,
    first=CONGESTION_ZONE_SINCE,
    condition=f"{_WITHOUT_FEES} AND {_REST} IN (3.25, 3.50)",
    part="cbd_congestion_fee",
    amount=str(_CBD_FEE),
    evidence="293 of these rows in green 2025-01, all since 2025-01-05: 254 of them begin or end in the zone",
)

IN_NO_COLUMN = (SURCHARGE_IN_NO_COLUMN, CBD_FEE_IN_NO_COLUMN)
"""The fees that are in a total and in no column: each row of the second is one of the first."""

FEE_RULES: Sequence[FeeRule] = (*COUNTED_TWICE, *IN_NO_COLUMN)
"""All rules, in the order in which they apply."""


def _found(part: str) -> str:
    """SQL for the net part, with what only the total has."""
    for rule in IN_NO_COLUMN:
        if rule.part == part:
            return f"CASE WHEN {rule.applies} THEN {rule.amount} ELSE {_net(part)} END"
    return _net(part)


NET_PARTS = {part: _found(part) for part in TOTAL_PARTS}
"""Part → SQL of its net amount, over a row of `trips`; NULL where the part is not published and nothing is known."""

UNEXPLAINED = f"CASE WHEN {SURCHARGE_IN_NO_COLUMN.applies} THEN 0 ELSE {_REST} END"
"""SQL of the dollars of a row's total that its net parts do not have; NULL where there is no total."""
