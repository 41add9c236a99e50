"""The bases of for-hire vehicles: their names, and the companies to which they belong.

A trip of a for-hire vehicle names the base that sent the car. The company is known by the base: until 2019-01 the files
`fhv` hold Uber, Lyft, Via and Juno together with all other bases.
"""

import re
from datetime import date
from pathlib import Path

from taxi_pipeline.sources.source import MAX_SHOWN, Contents, CsvLines, Problem, Source, not_the_file, read_csv
from taxi_pipeline.tlc.codes import COMPANY_BASES
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline.warehouse.tables import BASES

OTHER = "other"
"""The company of a base that belongs to none of the high-volume ones."""

COMPANIES = (*COMPANY_BASES, OTHER)

_WHAT = "a list of for-hire bases"
_NUMBERS = ("base_license_number", "base_number")
_CATEGORIES = ("dba_category", "company")


_KNOWN = {number: company for company, numbers in COMPANY_BASES.items() for number in numbers}


def read_bases(path: Path) -> Contents:
    """Read a list of bases: the FHV Base Aggregate Report, or a table with a row for each base.

    The report has a row for each base and month; a base has the names of its newest month. A base's company is that of
    a column `dba_category` or `company` where the list has one, otherwise the known one.

    Args:
        path: a local copy of the CSV.

    Raises:
        UnusableFileError: it is no list of bases.
    """
    found = read_csv(path, _WHAT, ())
    number = next((name for name in _NUMBERS if name in found.header), None)
    if number is None or "base_name" not in found.header:
        raise not_the_file(path, _WHAT, f"it has no columns {_NUMBERS[0]} and base_name")
    reader = _Reader(found, number)
    for line, values in found.lines:
        reader.take(line, values)
    if not reader.rows:
        raise not_the_file(path, _WHAT, "no row has the number of a base, such as B02764")
    return Contents([reader.rows[key] for key in sorted(reader.rows)], reader.problems, found.synthetic)


class _Reader:
    """Collects the newest row of each base, and what can't be read."""

    def __init__(self, found: CsvLines, number: str) -> None:
        self.rows: dict[str, tuple[str, str | None, str | None, str, date | None]] = {}
        self.problems: list[Problem] = []
        self._found = found
        self._number = number
        self._category = next((name for name in _CATEGORIES if name in found.header), None)

    def take(self, line: int, values: list[str]) -> None:
        """Read a row. One without a base's number is left out."""
        cells = self._found.cells(values)
        number = cells[self._number].upper()
        if not re.fullmatch(r"B\d{5}", number, re.ASCII):
            self._note(line, self._number, cells[self._number], "no number of a base, row left out")
            return
        month = self._month(line, cells)
        older = self.rows.get(number)
        if older and (older[-1] or date.min) >= (month or date.min):
            return
        names = (cells["base_name"] or None, cells.get("dba") or None)
        self.rows[number] = (number, *names, self._company(line, number, cells), month)

    def _company(self, line: int, number: str, cells: dict[str, str]) -> str:
        known = _KNOWN.get(number, OTHER)
        text = cells[self._category] if self._category else ""
        if not text:
            return known
        company = {name.lower(): name for name in COMPANIES}.get(text.lower())
        if company is None:
            self._note(line, self._category or "", text, f"no company that is known, {known} instead")
        return company or known

    def _month(self, line: int, cells: dict[str, str]) -> date | None:
        """The first day of the row's month; None where the list has no months."""
        year, month = cells.get("year", ""), cells.get("month", "")
        if not year and not month:
            return None
        if re.fullmatch(r"20\d\d", year, re.ASCII) and re.fullmatch(r"0?[1-9]|1[0-2]", month, re.ASCII):
            found = date(int(year), int(month), 1)
            if found <= new_york_today():
                return found
        self._note(line, "month", f"{year}-{month}", "no month until today, taken as older than all others")
        return None

    def _note(self, line: int, column: str, value: str, outcome: str) -> None:
        self.problems.append(Problem(line, column, value[:MAX_SHOWN], outcome))


BASES_SOURCE = Source(
    name="bases",
    description=(
        "The bases of for-hire vehicles, with their names: the FHV Base Aggregate Report, which the TLC publishes "
        "monthly on NYC Open Data. Described at https://data.cityofnewyork.us/d/2v9c-2k7f"
    ),
    published_at="https://data.cityofnewyork.us/api/views/2v9c-2k7f/rows.csv?accessType=DOWNLOAD",
    file="fhv_bases.csv",
    table=BASES,
    read=read_bases,
    min_share=0.9,  # the report has all bases that ever were in it
    setting="TAXI_BASES_URL",
)
