"""Files of the sources as their publishers spell them, with made-up values: weather in each form and unit, bases."""

import gzip
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from taxi_pipeline.sources.weather import MEAN_HIGHS, STATION

HEADER = '"STATION","NAME","DATE","AWND","PRCP","SNOW","SNWD","TMAX","TMIN"'
"""Of NOAA's access service."""
NAMES = ("AWND", "PRCP", "SNOW", "SNWD", "TMAX", "TMIN")


def celsius(day: date) -> float:
    """A high of the day, in °C: the month's mean, with a spread as New York's."""
    return round(MEAN_HIGHS[day.month - 1] + (day.toordinal() * 7 % 13 - 6) * 1.2, 1)


def days_from(first: date, count: int) -> list[date]:
    """So many days from the first on."""
    return [first + timedelta(days=number) for number in range(count)]


def by_day(days: Sequence[date], unit: str = "standard") -> list[str]:
    """Lines of the access service's CSV in °F, °C or tenths of °C; each day has wind, rain, snow, and a low."""
    write = {
        "standard": lambda value: f"{value * 1.8 + 32:.0f}",
        "metric": lambda value: f"{value:.1f}",
        "tenths": lambda value: f"{value * 10:.0f}",
    }[unit]
    rest = {"standard": "6.71,0.50,1.0,2.0", "metric": "3.0,12.7,25,51", "tenths": "30,127,25,51"}[unit]
    return [f'"{STATION}","NY","{day}",{rest},{write(celsius(day))},{write(celsius(day) - 8)}' for day in days]


def by_station(days: Sequence[date]) -> list[str]:
    """Lines of the file `by_station`, a line for each value, with its flags."""
    values = {"AWND": 30, "PRCP": 127, "SNOW": 25, "SNWD": 51}
    return [
        f"{STATION},{day:%Y%m%d},{name},{value},,,W,2400"
        for day in days
        for name, value in {
            **values,
            "TMAX": round(celsius(day) * 10),
            "TMIN": round(celsius(day) * 10 - 80),
            "WT01": 1,
        }.items()
    ]


def write_lines(path: Path, lines: Sequence[str], *, compressed: bool = False) -> Path:
    """Write lines as a file, and return its path."""
    content = "\n".join([*lines, ""]).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if compressed else content)
    return path
