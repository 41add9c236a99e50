"""The weather in Central Park, day by day, as NOAA publishes it.

The station is the one by which New York's weather is told since 1869: USW00094728. Its days are in NOAA's Global
Historical Climatology Network (GHCN), and are published in two forms, which both are read: the file `by_station`, a
line for each value, in tenths of a degree and of a millimetre; and the access service's CSV, a line for each day, in
the units that were asked for. Described at
https://www.ncei.noaa.gov/products/land-based-station/global-historical-climatology-network-daily
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import fmean, pvariance

from taxi_pipeline.sources.source import MAX_SHOWN, Contents, Problem, Source, not_the_file, read_csv, read_lines
from taxi_pipeline.tlc.fleets import FIRST_DAY
from taxi_pipeline.tlc.months import new_york_today
from taxi_pipeline.warehouse.tables import WEATHER_DAYS

STATION = "USW00094728"

MEAN_HIGHS = (4.3, 6.3, 10.5, 16.9, 22.2, 26.5, 29.9, 28.8, 25.0, 18.5, 12.4, 7.5)
"""Mean of the highs of each month, January first, in °C: of the station's days from 2009-01 to 2024-02."""

USUAL_SPREAD = 4.8
"""Standard deviation of the highs around the mean of their month, in °C, that fits New York best. Of the same days it
is 4.4; with a little more, each 28 of them in a row fit best in their own unit."""

MAX_DIFFERENCE = 10.0
"""Largest mean difference between a file's highs and `MEAN_HIGHS`, in °C, with which it is Central Park's weather. Of
all 28 days in a row in the same days it is 8.1 at most; of the same numbers in another unit it is that small only where
their spread is a tenth of the usual."""

MIN_DAYS = 28
"""Smallest number of highs by which the units of a file can be told."""

DAYS_OF_A_UNIT = 56
"""Highs in a row by which a change of units within a file is found. From 2009-01 to 2024-02 all so many days in a row
fit best in their own unit, by 3.4 °C at least."""

_WHAT = f"the daily weather of station {STATION}"


@dataclass(frozen=True)
class _Element:
    """What is measured, under NOAA's name, in SI units with which the table has it."""

    name: str
    tenths: Decimal
    """Factor from the unit of the file `by_station` to the SI unit."""
    bounds: tuple[int, int]
    """Smallest and largest value that is possible in New York, in the SI unit."""
    from_si: Callable[[Decimal], Decimal]
    """From the SI unit to the unit that Americans use."""
    to_si: Callable[[Decimal], Decimal]
    decimals: tuple[int, int]
    """Decimals of the American unit and of the SI unit."""


_INCH = Decimal("25.4")
_MPH = Decimal("0.44704")


def _celsius(fahrenheit: Decimal) -> Decimal:
    return (fahrenheit - 32) / Decimal("1.8")


def _fahrenheit(celsius: Decimal) -> Decimal:
    return celsius * Decimal("1.8") + 32


def _times(factor: Decimal) -> Callable[[Decimal], Decimal]:
    return lambda value: value * factor


def _over(factor: Decimal) -> Callable[[Decimal], Decimal]:
    return lambda value: value / factor


_TENTH = Decimal("0.1")
_ELEMENTS = {
    element.name: element
    for element in (
        _Element("TMAX", _TENTH, (-40, 50), _fahrenheit, _celsius, (1, 1)),
        _Element("TMIN", _TENTH, (-40, 50), _fahrenheit, _celsius, (1, 1)),
        _Element("PRCP", _TENTH, (0, 1000), _over(_INCH), _times(_INCH), (2, 1)),
        _Element("SNOW", Decimal(1), (0, 2000), _over(_INCH), _times(_INCH), (1, 0)),
        _Element("SNWD", Decimal(1), (0, 3000), _over(_INCH), _times(_INCH), (1, 0)),
        _Element("AWND", _TENTH, (0, 60), _over(_MPH), _times(_MPH), (2, 1)),
    )
}
"""The columns of the table, in their order: highs, lows, precipitation, snowfall, snow on the ground, mean wind."""

_NO_VALUE = ("", "-9999", "9999", "-9999.0")
"""What NOAA writes for a value that was not measured."""


@dataclass
class _Days:
    """Published numbers by day and element, with the line of each, and what can't be read."""

    values: dict[date, dict[str, Decimal]] = field(default_factory=dict)
    lines: dict[date, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    synthetic: bool = False
    today: date = field(default_factory=new_york_today)

    def note(self, line: int, column: str, value: str, outcome: str) -> None:
        self.problems.append(Problem(line, column, value[:MAX_SHOWN], outcome))

    def take(self, line: int, day: date, name: str, text: str, flag: str) -> None:
        """Take a value; NOAA's flag of a failed check of quality makes it NULL."""
        if day > self.today:
            self.note(line, name, f"{day} {text}", "a day that is still to come, left out")
            return
        values = self.values.setdefault(day, {})
        self.lines.setdefault(day, line)
        if text in _NO_VALUE:
            return
        if flag:
            self.note(line, name, text, f"failed NOAA's check of quality ({flag[:8]}), NULL")
            return
        number = _number(text)
        if number is None:
            self.note(line, name, text, "no number, NULL")
        elif name in values and values[name] != number:
            self.note(line, name, text, f"a second value of {day}, left out")
        else:
            values.setdefault(name, number)


def read_weather(path: Path) -> Contents:
    """Read the weather of Central Park, from the first day on of which there are trips (2009-01-01).

    Which unit a CSV of the access service has, the file does not say: degrees Fahrenheit and inches, degrees Celsius
    and millimetres, or tenths of them. It is the one by which the highs are nearest to the known mean of their months,
    of the whole file and of each 56 highs in it.

    Args:
        path: a local copy, plain or compressed by gzip.

    Raises:
        UnusableFileError: it is no such file, it has no day of the station, its highs are not New York's, or it has
            several units.
    """
    days, read_as = _published(path)
    if not days.values:
        raise not_the_file(path, _WHAT, f"it has no day of the station since {FIRST_DAY}")
    num_highs = sum("TMAX" in values for values in days.values.values())
    if num_highs < MIN_DAYS:
        raise not_the_file(path, _WHAT, f"it has {num_highs} highs, and at least {MIN_DAYS} are needed")
    unit = read_as or _nearest_unit(days, list(days.values))
    if (difference := _difference(_highs_by_month(days, list(days.values), unit))) > MAX_DIFFERENCE:
        raise not_the_file(path, _WHAT, f"its highs are {difference:.1f} °C away from New York's")
    if read_as is None and (mixed := _days_in_another_unit(days, unit)):
        raise not_the_file(path, _WHAT, f"its highs are in several units: together they look {unit}, but {mixed}")
    rows = [_row(day, days, unit) for day in sorted(days.values)]
    return Contents(rows, [*days.problems, *_missing_days(days)], days.synthetic)


def _published(path: Path) -> tuple[_Days, str | None]:
    """The published numbers, and the name of their unit where the form of the file says it."""
    _, first = next(read_lines(path, _WHAT), (0, [""]))
    # On Amazon's copy the lines have a header.
    if re.fullmatch(r"[A-Z0-9]{11}", first[0], re.ASCII) or first[:3] == ["ID", "DATE", "ELEMENT"]:
        return _by_station(path), "tenths"
    return _by_day(path), None


def _by_station(path: Path) -> _Days:
    """Read a line for each value: station, day, element, value, and flags of measurement and of quality."""
    days = _Days()
    for line, values in read_lines(path, _WHAT):
        station, text, name, value, _, flag, *_ = [*values, *[""] * 6]
        if station != STATION or name not in _ELEMENTS:
            continue
        day = _day(text)
        if day is None:
            days.note(line, "DATE", text, "no day, left out")
        elif day >= FIRST_DAY:
            days.take(line, day, name, value, flag)
    return days


def _by_day(path: Path) -> _Days:
    """Read a line for each day, with a column for each element, and perhaps another with its flags."""
    found = read_csv(path, _WHAT, ("date", "tmax", "tmin"))
    days = _Days(synthetic=found.synthetic)
    for line, values in found.lines:
        cells = found.cells(values)
        if cells.get("station", STATION) != STATION:
            continue
        day = _day(cells["date"])
        if day is None:
            days.note(line, "DATE", cells["date"], "no day, row left out")
            continue
        if day < FIRST_DAY:
            continue
        for name in _ELEMENTS:
            # Flags of measurement, quality and source, separated by commas.
            _, flag, *_ = [*cells.get(f"{name.lower()}_attributes", "").split(","), "", ""]
            days.take(line, day, name, cells.get(name.lower(), ""), flag.strip())
    return days


def _day(text: str) -> date | None:
    """A day as YYYY-MM-DD or YYYYMMDD."""
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}(-?)\d\d\1\d\d", text, re.ASCII) else None
    except ValueError:
        return None


def _number(text: str) -> Decimal | None:
    """A number; T, for what was too little to measure, is 0."""
    if text == "T":
        return Decimal(0)
    return Decimal(text) if re.fullmatch(r"-?\d{1,5}(\.\d{1,4})?", text, re.ASCII) else None


_UNITS: Mapping[str, Callable[[_Element, Decimal], Decimal]] = {
    "standard": lambda element, number: element.to_si(number),
    "metric": lambda _, number: number,
    "tenths": lambda element, number: number * element.tenths,
}
"""Name of the units in which a file is published → the value in SI units."""


def _nearest_unit(days: _Days, of: Sequence[date]) -> str:
    """The name of the unit in which the highs of these days fit New York best."""
    return min(_UNITS, key=lambda unit: _misfit_of(days, of, unit))


def _misfit_of(days: _Days, of: Sequence[date], unit: str) -> float:
    """How badly the highs of these days fit New York in a unit; one that can't be there counts as 100 °C away."""
    highs = _highs_by_month(days, of, unit)
    num_possible, num = sum(map(len, highs.values())), sum("TMAX" in days.values[day] for day in of)
    return _misfit(highs) + 100 * (num - num_possible) / num if num_possible > 1 else math.inf


def _days_in_another_unit(days: _Days, unit: str) -> str:
    """The first days whose highs fit better in another unit than the file's, in words; empty without any."""
    with_highs = sorted(day for day, values in days.values.items() if "TMAX" in values)
    for first in range(0, len(with_highs) - DAYS_OF_A_UNIT + 1, DAYS_OF_A_UNIT):
        some = with_highs[first : first + DAYS_OF_A_UNIT]
        nearest = _nearest_unit(days, some)
        if nearest != unit and _misfit_of(days, some, nearest) < math.inf:
            return f"{nearest} from {some[0]} to {some[-1]}"
    return ""


def _highs_by_month(days: _Days, of: Sequence[date], unit: str) -> Mapping[int, list[float]]:
    """Month of the year → the highs of these days that can be, in °C, if the numbers have this unit."""
    highs: defaultdict[int, list[float]] = defaultdict(list)
    element = _ELEMENTS["TMAX"]
    for day in of:
        if "TMAX" in days.values[day]:
            high = _UNITS[unit](element, days.values[day]["TMAX"])
            if element.bounds[0] <= high <= element.bounds[1]:
                highs[day.month].append(float(high))
    return highs


def _difference(highs: Mapping[int, list[float]]) -> float:
    """Mean difference of the highs to the known mean of their months, in °C; infinite without any."""
    if not highs:
        return math.inf
    return fmean(abs(high - MEAN_HIGHS[month - 1]) for month, found in highs.items() for high in found)


def _misfit(highs: Mapping[int, list[float]]) -> float:
    """How badly highs fit New York: their difference, and more where their spread is not the usual one.

    The difference alone would take degrees Fahrenheit of January for tenths of a degree Celsius. A spread of half or
    twice the usual counts as much as 5.5 °C: then each 28 days in a row from 2009-01 to 2024-02 fit best in their own
    unit, whichever of the three they are written in.
    """
    spread = (
        fmean([pvariance(found) for found in highs.values()], weights=[len(found) for found in highs.values()]) ** 0.5
    )
    return _difference(highs) + 8 * abs(math.log(spread / USUAL_SPREAD)) if spread else math.inf


def _row(day: date, days: _Days, unit: str) -> tuple[date | str | Decimal | None, ...]:
    """The row of a day: American units, SI units, and those in which it was published."""
    line, values = days.lines[day], days.values[day]
    american: list[Decimal | None] = []
    metric: list[Decimal | None] = []
    for element in _ELEMENTS.values():
        number = values.get(element.name)
        value = None if number is None else _UNITS[unit](element, number)
        if value is not None and not element.bounds[0] <= value <= element.bounds[1]:
            days.note(line, element.name, str(number), "can't be in New York, NULL")
            number = value = None
        as_published = number if unit == "standard" else None if value is None else element.from_si(value)
        american.append(None if as_published is None else round(as_published, element.decimals[0]))
        metric.append(None if value is None else round(value, element.decimals[1]))
    if metric[0] is not None and metric[1] is not None and metric[1] > metric[0]:
        days.note(line, "TMIN", str(values["TMIN"]), f"more than the high of {day}, both NULL")
        american[:2] = metric[:2] = [None, None]
    return (day, *american, *metric, unit)


def _missing_days(days: _Days) -> Iterable[Problem]:
    """The gaps between the first and the last day."""
    for before, after in pairwise(sorted(days.values)):
        first, last = before + timedelta(days=1), after - timedelta(days=1)
        if first <= last:
            gap = f"{first}" if first == last else f"{first} to {last}"
            yield Problem(days.lines[after], "DATE", gap, "days that the file lacks")


WEATHER_SOURCE = Source(
    name="weather",
    description=(
        "The daily weather in Central Park, station USW00094728, which NOAA publishes every day. Described at "
        "https://www.ncei.noaa.gov/products/land-based-station/global-historical-climatology-network-daily"
    ),
    published_at=f"https://www.ncei.noaa.gov/pub/data/ghcn/daily/by_station/{STATION}.csv.gz",
    file="central_park_weather.csv",
    table=WEATHER_DAYS,
    read=read_weather,
    min_share=0.99,  # days are added and corrected, not taken away
    setting="TAXI_WEATHER_URL",
)
