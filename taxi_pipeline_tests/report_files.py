"""Monthly reports as the TLC spells them, with made-up figures: for tests of what reads, loads and compares them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

HEADER = (
    "Month/Year,License Class,       Trips Per Day       ,      Farebox Per Day      ,       Unique Drivers       ,"
    "       Unique Vehicles       ,       Vehicles Per Day       ,      Avg Days Vehicles on Road      ,"
    "      Avg Hours Per Day Per Vehicle      ,      Avg Days Drivers on Road      ,"
    "      Avg Hours Per Day Per Driver      ,      Avg Minutes Per Trip      ,"
    "Percent of Trips Paid with Credit Card,Trips Per Day Shared"
)
"""The first line, with the blanks around the names that the TLC writes."""
COLUMNS = tuple(name.strip() for name in HEADER.split(","))
FIGURES = ("12,000", "30,000", "400", "300", "200", "20.5", "6.5", "21", "4.2", "15.5", "66%", "-")
"""The values of a row behind month and class."""


def row(month: str, license_class: str, *figures: str) -> list[str]:
    """A row of the report; the figures that are not given are those of `FIGURES`."""
    return [month, license_class, *figures, *FIGURES[len(figures) :]]


def report_text(rows: Iterable[Sequence[str]], header: str = HEADER) -> str:
    """The report as text, with quotes where a value holds a comma."""
    lines = [",".join(f'"{value}"' if "," in value else value for value in values) for values in rows]
    return "\n".join([header, *lines, ""])


def write_report(mirror: Path, rows: Iterable[Sequence[str]]) -> Path:
    """Write the report where a mirror has it, and return its path."""
    path = mirror / "misc" / "data_reports_monthly.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report_text(rows), encoding="utf-8")
    return path
