"""The TLC's monthly report: what the TLC itself counts, by month and licence class.

Described at https://www.nyc.gov/site/tlc/about/aggregated-reports.page. It becomes the table `tlc_indicators`, and a
check compares the loaded trips with it. Here is how the CSV is read; nothing is computed from it.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from taxi_pipeline.tlc.download import TLC_SERVER
from taxi_pipeline.tlc.trip_files import UnusableFileError, describe_content

PUBLISHED_AT = "https://www.nyc.gov/assets/tlc/downloads/csv/data_reports_monthly.csv"
"""URL of the report on the TLC's web site; its server of trip records does not have the report."""

YELLOW, GREEN, HIGH_VOLUME = "Yellow", "Green", "FHV - High Volume"
FOR_HIRE = (HIGH_VOLUME, "FHV - Black Car", "FHV - Livery", "FHV - Lux Limo")
"""The licence classes of for-hire vehicles, as the report spells them."""

HIGH_VOLUME_SINCE = date(2019, 2, 1)
"""First month of the files `fhvhv`. Before it the files `fhv` hold the trips of all for-hire vehicles."""

_CLASS_OF_FLEET = {"yellow": YELLOW, "green": GREEN, "fhvhv": HIGH_VOLUME}


@dataclass(frozen=True)
class Indicators:
    """What the TLC counts of a licence class in a month. The fields are the columns of `tlc_indicators`.

    A value that the report does not have, or that can't be read, is None.
    """

    month: date
    """First day of the month."""
    license_class: str
    trips_per_day: int | None = None
    farebox_dollars_per_day: int | None = None
    unique_drivers: int | None = None
    unique_vehicles: int | None = None
    vehicles_per_day: int | None = None
    days_per_vehicle: Decimal | None = None
    hours_per_day_per_vehicle: Decimal | None = None
    days_per_driver: Decimal | None = None
    hours_per_day_per_driver: Decimal | None = None
    minutes_per_trip: Decimal | None = None
    card_share: Decimal | None = None
    shared_trips_per_day: int | None = None


Problem = tuple[int, str, str, str]
"""Line of the file, column, value as published, what became of it."""


@dataclass(frozen=True)
class MonthlyReport:
    """The report, as far as it can be read."""

    indicators: Sequence[Indicators]
    """Sorted by month and licence class; no two rows of one month and class."""
    num_not_published: int
    """Number of values that the TLC left empty, or put a dash for."""
    problems: Sequence[Problem]
    """What could not be read: its value is None, or its row is left out."""

    def trips_per_day(self, fleet: str, month: date) -> int | None:
        """The TLC's figure for the trips of a fleet's file, or None where it has none.

        Args:
            fleet: name of the fleet.
            month: its first day.
        """
        figures = [found.trips_per_day if found else None for found in self._of(fleet, month)]
        known = [figure for figure in figures if figure is not None]
        return sum(known) if figures and len(known) == len(figures) else None

    def minutes_per_trip(self, fleet: str, month: date) -> float | None:
        """The TLC's mean duration of the trips of a fleet's file, or None where it has none, or several.

        Args:
            fleet: name of the fleet.
            month: its first day.
        """
        found = self._of(fleet, month)
        minutes = found[0].minutes_per_trip if len(found) == 1 and found[0] else None
        return None if minutes is None else float(minutes)

    def _of(self, fleet: str, month: date) -> list[Indicators | None]:
        rows = {row.license_class: row for row in self.indicators if row.month == month}
        return [rows.get(name) for name in classes_of(fleet, month)]


def classes_of(fleet: str, month: date) -> tuple[str, ...]:
    """Name the licence classes whose trips the fleet's file of a month holds.

    Before 2019-02 the file `fhv` holds those of all four for-hire classes. Since then it holds those of bases without a
    high-volume licence, and no sum of classes is known to be its number of trips.

    Args:
        fleet: name of the fleet.
        month: its first day.

    Returns:
        The classes as the report spells them; none where the file can't be compared with the report.
    """
    if fleet == "fhv":
        return FOR_HIRE if month < HIGH_VOLUME_SINCE else ()
    return (_CLASS_OF_FLEET[fleet],)


def report_url(tlc_url: str) -> str:
    """The URL of the report: on a mirror beside the zones, else on the TLC's web site."""
    return PUBLISHED_AT if tlc_url == TLC_SERVER else f"{tlc_url}/misc/data_reports_monthly.csv"


def read_report(path: Path) -> MonthlyReport:
    """Read the report.

    Args:
        path: a local copy of the CSV.

    Raises:
        UnusableFileError: the file is not the report: a needed column is missing, or no row can be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = [" ".join(name.split()).lower() for name in next(lines, [])]
            if missing := [name for name in (_MONTH, _CLASS, _TRIPS) if name not in header]:
                raise _no_report(path, f"it has no column {', '.join(missing)}")
            reader = _Reader(header)
            for row in lines:
                reader.take(lines.line_num, row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _no_report(path, str(error)) from error
    if not reader.found:
        first = reader.problems[-1] if reader.problems else None
        raise _no_report(path, f"no row can be read{f', for example line {first[0]}: {first[2]!r}' if first else ''}")
    rows = sorted(reader.found.values(), key=lambda row: (row.month, row.license_class))
    return MonthlyReport(rows, reader.num_not_published, reader.problems)


def _no_report(path: Path, why: str) -> UnusableFileError:
    return UnusableFileError(f"it is not the TLC's monthly report ({why}) but {describe_content(path)}")


class _Reader:
    """Collects the rows of the report, and what can't be read of them."""

    def __init__(self, header: Sequence[str]) -> None:
        self.found: dict[tuple[date, str], Indicators] = {}
        self.num_not_published = 0
        self.problems: list[Problem] = [
            (1, name, "", "a column that is not known, left out")
            for name in header
            if name not in (_MONTH, _CLASS, *_VALUES)
        ]
        self.problems += [(1, name, "", "a column that is missing, NULL") for name in _VALUES if name not in header]
        self._header = header

    def take(self, line: int, row: Sequence[str]) -> None:
        """Read a row; one that can't be told by its month and class is left out."""
        if not any(cell.strip() for cell in row):
            return
        cells = {name: cell.strip() for name, cell in zip(self._header, row, strict=False)}
        if len(row) != len(self._header):
            self.problems.append((line, "", f"{len(row)} values", f"{len(self._header)} are expected"))
        license_class = cells.get(_CLASS, "")
        month = _month(cells.get(_MONTH, ""))
        if month is None or not license_class:
            self.problems.append((line, _MONTH, ",".join(row)[:80], "no month or no class, left out"))
        elif (month, license_class) in self.found:
            self.problems.append((line, _CLASS, license_class, f"a second row of {month:%Y-%m}, left out"))
        else:
            values: dict[str, Any] = {
                field: self._value(line, name, cells.get(name, ""), read) for name, (field, read) in _VALUES.items()
            }
            self.found[month, license_class] = Indicators(month, license_class, **values)

    def _value(self, line: int, name: str, text: str, read: Callable[[str], Any]) -> Any:
        if text in ("", "-"):
            self.num_not_published += 1
            return None
        value = read(text)
        if value is None:
            self.problems.append((line, name, text[:80], "can't be read, NULL"))
        return value


def _month(text: str) -> date | None:
    try:
        return date.fromisoformat(f"{text}-01") if re.fullmatch(r"\d{4}-\d{2}", text, re.ASCII) else None
    except ValueError:
        return None


def _number(text: str) -> Decimal | None:
    """A number with or without commas between thousands."""
    fits = re.fullmatch(r"(\d{1,12}|\d{1,3}(,\d{3}){1,3})(\.\d{1,6})?", text, re.ASCII)
    return Decimal(text.replace(",", "")) if fits else None


def _count(text: str) -> int | None:
    number = _number(text)
    return int(number) if number is not None and number == int(number) else None


def _decimal(text: str) -> Decimal | None:
    """A number of days, hours or minutes; the report has one decimal."""
    number = _number(text)
    return round(number, 2) if number is not None and number < 10_000 else None


def _share(text: str) -> Decimal | None:
    """Percent as a share."""
    number = _number(text.removesuffix("%").strip()) if text.endswith("%") else None
    return round(number / 100, 4) if number is not None and number <= 100 else None


_MONTH, _CLASS, _TRIPS = "month/year", "license class", "trips per day"

_VALUES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    _TRIPS: ("trips_per_day", _count),
    "farebox per day": ("farebox_dollars_per_day", _count),
    "unique drivers": ("unique_drivers", _count),
    "unique vehicles": ("unique_vehicles", _count),
    "vehicles per day": ("vehicles_per_day", _count),
    "avg days vehicles on road": ("days_per_vehicle", _decimal),
    "avg hours per day per vehicle": ("hours_per_day_per_vehicle", _decimal),
    "avg days drivers on road": ("days_per_driver", _decimal),
    "avg hours per day per driver": ("hours_per_day_per_driver", _decimal),
    "avg minutes per trip": ("minutes_per_trip", _decimal),
    "percent of trips paid with credit card": ("card_share", _share),
    "trips per day shared": ("shared_trips_per_day", _count),
}
"""Column of the report, in lower case → field of `Indicators`, and how its text is read."""
