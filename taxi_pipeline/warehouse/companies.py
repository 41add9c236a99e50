"""The company of a trip, as SQL over rows of `trips`: its licence tells, or, in the files `fhv`, the base that sent it.

Until 2019-01 the files `fhv` hold the trips of Uber, Lyft, Via and Juno together with those of all other bases; since
2019-02 the files `fhvhv` hold them, with the company's licence. So one series has both.
"""

OTHER_BASES = "other bases"
"""The company of trips in the files `fhv` that no base of a high-volume company has sent."""

WITH_COMPANY = (
    "(SELECT trips.*, "
    f"CASE WHEN fleet = 'fhv' THEN coalesce(company, '{OTHER_BASES}') ELSE licensee END AS of_company "
    "FROM trips LEFT JOIN company_bases "
    "ON fleet = 'fhv' AND base_number = upper(trim(dispatching_base_num))) AS trips"
)
"""SQL for the rows of `trips` with a column `of_company`: Uber, Lyft, Via, Juno or other bases; else the licence number
of a high-volume company, and NULL for taxis."""
