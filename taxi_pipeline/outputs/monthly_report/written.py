"""A monthly report read back from its files, so that what is sent says what the page says.

The page has the words, the CSV the numbers.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.etree import ElementTree

from taxi_pipeline.outputs.style import WEEKDAYS

_HTML = "{http://www.w3.org/1999/xhtml}"
_WEEKDAY_NUMBERS = {name: number for number, (name, _) in enumerate(WEEKDAYS)}


@dataclass(frozen=True)
class Card:
    """A number of the month, in words."""

    title: str
    now: str
    then: Sequence[str]
    """The same of other months, each with its name."""


@dataclass(frozen=True)
class WrittenReport:
    """What a report says."""

    title: str
    about: str
    """Which trips it counts."""
    finding: str
    notes: Sequence[str]
    """What is wrong with the data: that it is synthetic, that days are missing."""
    is_synthetic: bool
    cards: Sequence[Card]
    trips_per_day: dict[date, int]
    """Without the days that are not loaded."""
    trips_per_hour: dict[tuple[int, int], float]
    """(weekday, 0 for Sunday; hour) → trips on an average day."""
    busiest: Sequence[tuple[str, int]]
    """Zones and their pickups, the busiest first."""


def read_report(page: str, numbers: str) -> WrittenReport:
    """Read what `page.page_of` and `page.csv_of` have written.

    Args:
        page: the report's HTML.
        numbers: its CSV.
    """
    root = ElementTree.fromstring(page)  # noqa: S314 - our own
    values = _values(numbers)
    notes = {
        name: found
        for name in ("synthetic", "missing")
        if (found := root.find(f".//{_HTML}p[@id='{name}']")) is not None
    }
    return WrittenReport(
        title=_text(root, f".//{_HTML}h1"),
        about=_text(root, f".//{_HTML}header/{_HTML}p[@class='muted']"),
        finding=_text(root, f".//{_HTML}p[@id='finding']"),
        notes=[_words(note) for note in notes.values()],
        is_synthetic="synthetic" in notes,
        cards=[_card(each) for each in root.findall(f".//{_HTML}dl[@class='numbers']/{_HTML}div")],
        trips_per_day={date.fromisoformat(day): int(trips) for day, trips in values["day"].items()},
        trips_per_hour={
            (_WEEKDAY_NUMBERS[weekday], int(hour)): float(trips)
            for name, trips in values["trips in an hour of an average day"].items()
            for weekday, hour in [name.split()]
        },
        busiest=[_busy_zone(row) for row in root.findall(f".//{_HTML}tr[@data-busiest]")],
    )


def _values(numbers: str) -> dict[str, dict[str, str]]:
    """Section of the CSV → name → value."""
    values: dict[str, dict[str, str]] = {"day": {}, "trips in an hour of an average day": {}}
    for row in csv.DictReader(io.StringIO(numbers)):
        values.setdefault(row["section"], {})[row["name"]] = row["value"]
    return values


def _card(element: ElementTree.Element) -> Card:
    title, now, *then = [_words(child) for child in element]
    return Card(title, now, then)


def _busy_zone(row: ElementTree.Element) -> tuple[str, int]:
    _, zone, _, trips, *_ = [_words(cell) for cell in row]
    return zone, int(trips.replace(",", ""))


def _text(root: ElementTree.Element, path: str) -> str:
    found = root.find(path)
    return "" if found is None else _words(found)


def _words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())
