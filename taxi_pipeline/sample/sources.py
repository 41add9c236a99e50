"""Drawing the synthetic files of the sources beside the TLC: Central Park's weather, and the bases of the trips.

Both say in a column `synthetic` that they are generated. The trips do not depend on the weather.
"""

import math
from datetime import date
from pathlib import Path

from taxi_pipeline.sample.hired import OTHER_BASES
from taxi_pipeline.sample.trips import normal, random_of
from taxi_pipeline.sources.bases import BASES_SOURCE
from taxi_pipeline.sources.source import SYNTHETIC_COLUMN
from taxi_pipeline.sources.weather import MEAN_HIGHS, STATION, USUAL_SPREAD, WEATHER_SOURCE
from taxi_pipeline.storage.whole_files import replacing
from taxi_pipeline.tlc.codes import COMPANY_BASES
from taxi_pipeline.tlc.fleets import FIRST_DAY
from taxi_pipeline.tlc.months import Days

_WET_DAYS = 0.33
"""Share of the days with rain or snow."""
_SNOW_BELOW = 1.0
"""Mean temperature in °C below which rain is snow."""


def write_weather(folder: Path, days: Days) -> Path:
    """Write the weather until the last of these days, from the year before the first one on, beside what is there.

    A day's weather depends on the day alone, so that a file that is written again for other days agrees with it.

    Args:
        folder: root of the mirror.
        days: the days of the trips.

    Returns:
        The path of the file, a CSV as of NOAA's access service in °F, inches and miles per hour.
    """
    path = folder / "misc" / WEATHER_SOURCE.file
    known = _days_of(path)
    first = max(FIRST_DAY, min([date(days.first.year - 1, 1, 1), *known]))
    last = max([days.last, *known])
    lines = [
        f"STATION,NAME,DATE,AWND,PRCP,SNOW,SNWD,TMAX,TMIN,{SYNTHETIC_COLUMN}",
        *map(_weather_of, Days(first, last)),
    ]
    _write(path, lines)
    return path


def write_bases(folder: Path) -> Path:
    """Write the bases of the sample's trips, companies' and others, as a CSV with a row for each.

    Args:
        folder: root of the mirror.

    Returns:
        The path of the file.
    """
    path = folder / "misc" / BASES_SOURCE.file
    trade_names = {number: company.upper() for company, numbers in COMPANY_BASES.items() for number in numbers}
    trade_names |= {number: f"CAR SERVICE {number[1:]}" for number in OTHER_BASES}
    rows = [f"{number},SYNTHETIC BASE {number},{name},yes" for number, name in sorted(trade_names.items())]
    _write(path, [f"base_number,base_name,dba,{SYNTHETIC_COLUMN}", *rows])
    return path


def _weather_of(day: date) -> str:
    """A line of the file: a mean that goes from month to month, with noise; a third of the days are wet."""
    rng = random_of(0, "weather", day)
    before, after = MEAN_HIGHS[day.month - 1], MEAN_HIGHS[day.month % 12]
    mean = before + (after - before) * max(0, day.day - 15) / 31
    high = mean + USUAL_SPREAD * float(normal(rng, 1)[0])
    low = high - 4 - 8 * rng.random()
    wet = -0.36 * math.log1p(-rng.random()) if rng.random() < _WET_DAYS else 0.0
    snow = 8 * wet if (high + low) / 2 < _SNOW_BELOW else 0.0
    wind = 3 + 8 * rng.random()
    fahrenheit = [round(value * 1.8 + 32) for value in (high, low)]
    return (
        f'{STATION},"SYNTHETIC WEATHER",{day},{wind:.2f},{wet:.2f},{snow:.1f},{snow:.1f},'
        f"{fahrenheit[0]},{fahrenheit[1]},yes"
    )


def _days_of(path: Path) -> list[date]:
    """The first and the last day of a file that was written before; empty where there is none."""
    if not path.is_file():
        return []
    _, first, *_, last = path.read_text(encoding="utf-8").splitlines()
    return [date.fromisoformat(line.split(",")[2]) for line in (first, last)]


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text("\n".join([*lines, ""]), encoding="utf-8")
