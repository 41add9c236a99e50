"""The choice of zones and days that an estimate compares, and the frame that is made of them.

What is compared: trips of zones inside the congestion zone with trips of control zones, days from a start on with days
before it; and, where an earlier winter is loaded, that difference with the same difference of the earlier winter.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from taxi_pipeline.analysis.panel import WEATHER, away
from taxi_pipeline.sources.zone_places import zone_neighbors
from taxi_pipeline.tlc.codes import AREAS, CONGESTION_ZONE, CONGESTION_ZONE_SINCE
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zone_facts import read_zone_facts

if TYPE_CHECKING:
    import pandas as pd

START = CONGESTION_ZONE_SINCE
"""The first day of the fee, a Sunday, so that weeks counted from it are weeks from Sunday to Saturday."""

WINDOWS = (4, 8, 12)
"""Weeks before and after the start that estimates look at."""

MAIN_WINDOW = 8
"""The window of the estimate that the answer is made of."""

YEARS_BEFORE = (1, 2, 3)
"""Earlier winters to compare with, the nearest first. A fourth would be in the pandemic."""

DAYS_OF_A_YEAR = 364
"""Days between a day and the one that it is compared with: whole weeks, so that Sundays meet Sundays."""

MIN_DAYS = 14
"""Smallest number of days on each side of a start."""

MIN_TRIPS = 1.0
"""Smallest mean of a zone's trips a day before the start. Zones with fewer say nothing, and some never have a trip."""

MIN_INSIDE, MIN_CONTROL = 5, 10
"""Smallest numbers of zones that are compared."""


class Role(Enum):
    """The part that a zone plays."""

    INSIDE = "inside"
    """South of 60th Street: the fee is due for trips that begin, end or pass there."""
    BORDER = "border"
    """A neighbor of a zone inside, to which trips may have moved."""
    AIRPORT = "airport"
    CONTROL = "control"


@cache
def zone_roles() -> Mapping[int, Role]:
    """The role of each zone from 1 to 263."""
    border = {pair.neighbor_id for pair in zone_neighbors() if pair.zone_id in CONGESTION_ZONE} - CONGESTION_ZONE
    roles = dict.fromkeys(range(1, 264), Role.CONTROL)
    roles |= dict.fromkeys(border, Role.BORDER)
    roles |= dict.fromkeys(AREAS["airport"], Role.AIRPORT)
    return roles | dict.fromkeys(CONGESTION_ZONE, Role.INSIDE)


@cache
def _manhattan() -> frozenset[int]:
    facts = read_zone_facts()
    return frozenset(int(zone) for zone in facts.loc[facts["borough"] == "Manhattan", "zone_id"])


@dataclass(frozen=True)
class Design:
    """What an estimate compares.

    Attributes:
        outcome: what is counted, one of `panel.OUTCOMES`.
        start: the day from which on the fee is due, or is imagined to be due.
        weeks: weeks before and after the start.
        years_before: the winter to compare with, in years of 364 days before; None to compare with no other.
        holidays: whether zones inside may differ from others on public holidays.
        weather: whether zones inside may differ from others with rain, snow and warmth.
        away: whether of control zones only trips count that neither begin nor end inside, where the fee is due for all
            others.
        with_end_of_year: whether the days from 22 December to 4 January count.
        with_border: whether neighbors of the zones inside are control zones.
        with_airports: whether airports are control zones.
        manhattan_only: whether control zones of other boroughs are left out.
        before: the last day that may count, without itself; for imagined starts, the fee's first day.
    """

    outcome: str
    start: date = START
    weeks: int = MAIN_WINDOW
    years_before: int | None = None
    holidays: bool = True
    weather: bool = False
    away: bool = True
    with_end_of_year: bool = False
    with_border: bool = False
    with_airports: bool = False
    manhattan_only: bool = False
    before: date | None = None

    @property
    def days(self) -> Days:
        """The days of the window; longer by the weeks at the end of a year, where these do not count."""
        return _window(self.start, self.weeks, with_end_of_year=self.with_end_of_year)

    def changed(self, **changes: object) -> "Design":
        """The same design with other attributes."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Sample:
    """The rows that an estimate is made of.

    Attributes:
        design: what is compared.
        rows: a row for each zone and day: `trips`, `zone`, `day`, `zone_season`, `week` (weeks from the start, of each
            season different), `relative_week`, `weekday`, `fee_season`, `inside` and `post` (0.0 or 1.0), `effect`
            (inside, post, and in the fee's own season), and the regressors of `controls`.
        controls: names of the other regressors, all of zones inside.
    """

    design: Design
    rows: "pd.DataFrame"
    controls: tuple[str, ...]

    @property
    def num_inside(self) -> int:
        """The number of zones inside."""
        return int(self.rows.loc[self.rows["inside"] == 1, "zone"].nunique())

    @property
    def num_control(self) -> int:
        """The number of control zones."""
        return int(self.rows["zone"].nunique()) - self.num_inside

    @property
    def days(self) -> "pd.Index":
        """The days that count, of both seasons."""
        import pandas as pd

        return pd.Index(self.rows["day"].unique()).sort_values()

    def months(self) -> dict[str, int]:
        """Month (YYYY-MM) → the number of its days that count."""
        counted: dict[str, int] = {}
        for day in self.days:
            counted[f"{day:%Y-%m}"] = counted.get(f"{day:%Y-%m}", 0) + 1
        return counted


class NoSampleError(Exception):
    """A design can't be estimated; the message says why, as the end of a sentence."""


def history() -> Days:
    """All days that any estimate or imagined start may look at."""
    longest = max(WINDOWS)
    earliest = START - timedelta(days=DAYS_OF_A_YEAR * max(YEARS_BEFORE))
    return Days(_window(earliest, longest).first, _window(START, longest).last)


def is_end_of_year(day: date) -> bool:
    """True from 22 December to 4 January, when the city's trips are unlike those of other weeks."""
    return (day.month, day.day) >= (12, 22) or (day.month, day.day) <= (1, 4)


def sample_of(trips: "pd.DataFrame", facts: "pd.DataFrame", design: Design) -> Sample:
    """Choose the rows of a design.

    Args:
        trips: as in `panel.FleetPanel`.
        facts: as `panel.day_facts` returns them, of all days in `trips`.
        design: what is compared.

    Raises:
        NoSampleError: too few days or zones are there.
    """
    seasons = _seasons(trips, design)
    for name, days in seasons.items():
        _refuse_few_days(days, design, name)
    zones = _zones(trips, seasons, design)
    rows = _rows(trips, seasons, zones, design)
    controls = _controls(rows, facts, design)
    return Sample(design, rows, controls)


def knows_weather(facts: "pd.DataFrame", days: "pd.Index") -> bool:
    """True if the weather of all these days is known."""
    return bool(facts.loc[days, list(WEATHER)].notna().all().all())


def imagined_starts(trips: "pd.DataFrame", weeks: int) -> list[date]:
    """Every second Sunday before the fee with enough loaded days around it, all of them before the fee."""
    loaded = {day.date() for day in trips["day"].unique()}
    found = []
    for number in range(1, history().num_days // 14):
        start = START - timedelta(weeks=2 * number)
        days = [day for day in _window(start, weeks) if day in loaded and day < START and not is_end_of_year(day)]
        if min(sum(day < start for day in days), sum(day >= start for day in days)) >= MIN_DAYS:
            found.append(start)
    return sorted(found)


def _window(start: date, weeks: int, *, with_end_of_year: bool = False) -> Days:
    """So many weeks before and from the start on; a side with days of the end of a year is longer by as many weeks."""
    before = Days(start - timedelta(weeks=weeks), start - timedelta(days=1))
    after = Days(start, start + timedelta(weeks=weeks) - timedelta(days=1))
    more = [0 if with_end_of_year else math.ceil(sum(map(is_end_of_year, side)) / 7) for side in (before, after)]
    return Days(before.first - timedelta(weeks=more[0]), after.last + timedelta(weeks=more[1]))


def _seasons(trips: "pd.DataFrame", design: Design) -> dict[int, list["pd.Timestamp"]]:
    """Years before (0 for the start's own) → the loaded days that count, aligned: the same number in each season."""
    import pandas as pd

    loaded = set(trips["day"].unique())
    seasons = [0] if design.years_before is None else [0, design.years_before]

    def counts(day: "pd.Timestamp") -> bool:
        return (
            day in loaded
            and (design.with_end_of_year or not is_end_of_year(day.date()))
            and (design.before is None or day.date() < design.before)
        )

    aligned = [
        [pd.Timestamp(day) - pd.Timedelta(days=DAYS_OF_A_YEAR * years) for years in seasons] for day in design.days
    ]
    kept = [days for days in aligned if all(map(counts, days))]
    return {years: [days[position] for days in kept] for position, years in enumerate(seasons)}


def _refuse_few_days(days: Sequence["pd.Timestamp"], design: Design, years: int) -> None:
    start = design.start - timedelta(days=DAYS_OF_A_YEAR * years)
    before, after = (sum((day.date() >= start) is side for day in days) for side in (False, True))
    if min(before, after) < MIN_DAYS:
        winter = f" and in the winter of {start.year - 1}/{start.year % 100:02}" if years else ""
        both = " in both winters" if design.years_before and not years else ""
        raise NoSampleError(
            f"{before} days before {start} and {after} from it on are loaded{both or winter}, of {design.weeks} weeks "
            f"each, and {MIN_DAYS} are needed on each side"
        )


def _zones(trips: "pd.DataFrame", seasons: Mapping[int, Sequence["pd.Timestamp"]], design: Design) -> list[int]:
    """The zones that count: of the wanted roles, and with trips enough before each start."""
    wanted = {Role.INSIDE, Role.CONTROL}
    wanted |= {Role.BORDER} if design.with_border else set()
    wanted |= {Role.AIRPORT} if design.with_airports else set()
    roles = zone_roles()
    zones = {
        zone
        for zone, role in roles.items()
        if role in wanted and (role is Role.INSIDE or not design.manhattan_only or zone in _manhattan())
    }
    for years, days in seasons.items():
        start = design.start - timedelta(days=DAYS_OF_A_YEAR * years)
        before = trips[trips["day"].isin([day for day in days if day.date() < start])]
        means = _counted(before, design).groupby(before["zone_id"]).mean()
        zones &= set(means.index[means >= MIN_TRIPS])
    inside = sum(roles[zone] is Role.INSIDE for zone in zones)
    if inside < MIN_INSIDE or len(zones) - inside < MIN_CONTROL:
        raise NoSampleError(
            f"{inside} zones inside and {len(zones) - inside} control zones have {MIN_TRIPS:.0f} trip a day or more, "
            f"and {MIN_INSIDE} and {MIN_CONTROL} are needed"
        )
    return sorted(zones)


def _counted(trips: "pd.DataFrame", design: Design) -> "pd.Series":
    """The trips that count: all of the zones inside, and of the others those that are asked for."""
    return trips[design.outcome].where(
        trips["zone_id"].isin(CONGESTION_ZONE) | (not design.away), trips[away(design.outcome)]
    )


def _rows(
    trips: "pd.DataFrame", seasons: Mapping[int, Sequence["pd.Timestamp"]], zones: Sequence[int], design: Design
) -> "pd.DataFrame":
    import pandas as pd

    years_of = {day: years for years, days in seasons.items() for day in days}
    rows = trips[trips["day"].isin(list(years_of)) & trips["zone_id"].isin(zones)]
    years = rows["day"].map(years_of).to_numpy()
    since = (rows["day"] - pd.Timestamp(design.start)).dt.days.to_numpy() + DAYS_OF_A_YEAR * years
    roles = zone_roles()
    inside = rows["zone_id"].map({zone: float(role is Role.INSIDE) for zone, role in roles.items()}).to_numpy()
    post = (since >= 0).astype(float)
    return pd.DataFrame(
        {
            "trips": _counted(rows, design).to_numpy(),
            "zone": rows["zone_id"].to_numpy(),
            "day": rows["day"].to_numpy(),
            "zone_season": rows["zone_id"].to_numpy() * 10 + years,
            "week": since // 7 + 1000 * years,
            "relative_week": since // 7,
            "weekday": (rows["day"].dt.day_of_week.to_numpy() + 1) % 7,
            "fee_season": (years == 0).astype(float),
            "inside": inside,
            "post": post,
            "effect": inside * post * (years == 0),
        }
    ).reset_index(drop=True)


def _controls(rows: "pd.DataFrame", facts: "pd.DataFrame", design: Design) -> tuple[str, ...]:
    """Add the regressors beside the effect, as columns of `rows`, and return the names of those that say something.

    Days have effects of their own, so what all zones share (weather, holidays, weekdays) needs no regressor. What is
    left is how zones inside differ from the others: each regressor is a fact of the day, for zones inside only.
    """
    for name, values in _candidates(rows, facts, design):
        rows[name] = values * rows["inside"]
    return tuple(independent(rows, ["effect"], [name for name in rows.columns if name.startswith("inside_")]))


def _candidates(rows: "pd.DataFrame", facts: "pd.DataFrame", design: Design) -> Iterator[tuple[str, "pd.Series"]]:
    if design.years_before is not None:
        yield "inside_post", rows["post"]
    for weekday in range(1, 7):
        yield f"inside_weekday_{weekday}", (rows["weekday"] == weekday).astype(float)
    if design.holidays:
        yield "inside_holiday", rows["day"].map(facts["holiday"])
    if design.weather:
        for name in WEATHER:
            yield f"inside_{name}", rows["day"].map(facts[name])


def independent(rows: "pd.DataFrame", given: Sequence[str], names: Sequence[str]) -> list[str]:
    """The regressors that are no combination of those before them, of the given ones and of the season.

    Args:
        rows: rows of a sample; of zones inside one of each day is looked at.
        given: regressors that stay.
        names: regressors to choose from, all of zones inside.
    """
    import numpy as np

    by_day = rows[rows["inside"] == 1].drop_duplicates("day")
    columns = [np.ones(len(by_day)), by_day["fee_season"].to_numpy(), *(by_day[name].to_numpy() for name in given)]
    kept: list[str] = []
    for name in names:
        column = by_day[name].to_numpy()
        if np.linalg.matrix_rank(np.column_stack([*columns, column])) > np.linalg.matrix_rank(np.column_stack(columns)):
            columns.append(column)
            kept.append(name)
    return kept
