"""Trips by zone and day, and what is known of the days: the frames that estimates are made from."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from taxi_pipeline.sources.calendar import calendar_days
from taxi_pipeline.tlc.codes import CONGESTION_ZONE
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import UNKNOWN_ZONE_ID
from taxi_pipeline.warehouse.coverage import loaded_days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders

if TYPE_CHECKING:
    import pandas as pd

NUM_ZONES = UNKNOWN_ZONE_ID - 1
"""The zones that are places have the ids from 1 to this."""

OUTCOMES = ("pickups", "dropoffs")
"""What is counted in a zone on a day: trips that begin there, net of voids; trips that end there, as published."""

WEATHER = ("rain", "snow", "high")
"""Columns of a day's weather: inches of rain and melted snow, inches of fresh snow, the highest temperature in °F."""


@dataclass(frozen=True)
class FleetPanel:
    """A fleet's trips by zone and day.

    Attributes:
        fleet: the fleet's name.
        trips: a row for each loaded day and each zone from 1 to 263, also without trips: `day` (datetime64), `zone_id`,
            `pickups` and `dropoffs`; and, of zones outside of the congestion zone, `pickups_away` and `dropoffs_away`,
            the part of them whose other end is outside, too (0 for zones inside). Voids are taken off `pickups_away` in
            proportion, because they are counted by zone of the pickup alone. Days run by the pickup. Sorted by day and
            zone.
        synthetic: true if any of the trips are generated.
    """

    fleet: str
    trips: "pd.DataFrame"
    synthetic: bool


def fleet_panel(session: Session, fleet: str, days: Days) -> FleetPanel:
    """Count a fleet's trips by zone and day.

    Args:
        session: the warehouse.
        fleet: name of the fleet.
        days: the days to look at; those that are not loaded have no rows.
    """
    import pandas as pd

    loaded = loaded_days(session, days, [fleet])
    dates = pd.to_datetime(sorted(day for _, day in loaded))
    grid = pd.MultiIndex.from_product([dates, range(1, NUM_ZONES + 1)], names=["day", "zone_id"])
    values, inside = [fleet, days.first, days.last], sorted(CONGESTION_ZONE)
    counted = {
        "published": session.rows(_COUNTED_SQL.format(table="zone_hourly_trips", zone="pickup_zone_id"), values),
        "voids": session.rows(_COUNTED_SQL.format(table="zone_hourly_voids", zone="pickup_zone_id"), values),
        "dropoffs": session.rows(_COUNTED_SQL.format(table="zone_hourly_dropoffs", zone="dropoff_zone_id"), values),
        "pickups_away": session.rows(_AWAY_SQL.format(zone="pickup_zone_id"), [*values, *inside, *inside]),
        "dropoffs_away": session.rows(_AWAY_SQL.format(zone="dropoff_zone_id"), [*values, *inside, *inside]),
    }
    trips = pd.DataFrame({name: _on_grid(rows, grid) for name, rows in counted.items()}, index=grid)
    trips["pickups"] = trips["published"] - trips["voids"]
    trips["pickups_away"] *= (trips["pickups"] / trips["published"]).fillna(0.0)
    columns = [*OUTCOMES, *map(away, OUTCOMES)]
    return FleetPanel(fleet, trips[columns].reset_index(), synthetic=any(loaded.values()))


def away(outcome: str) -> str:
    """The column with the trips of an outcome of which neither end is in the congestion zone."""
    return f"{outcome}_away"


def day_facts(session: Session, days: Days) -> "pd.DataFrame":
    """Collect what is known of each day.

    Args:
        session: the warehouse.
        days: the days.

    Returns:
        A row for each day, the index (datetime64): `holiday` (1.0 on public holidays, also observed ones, else 0.0),
        and `rain`, `snow` and `high` as in `WEATHER`, not a number where the day's weather is not known. A day whose
        snow was not measured, while its rain was, had none.
    """
    import pandas as pd

    holidays = {
        pd.Timestamp(each.day): float(each.holiday is not None) for each in calendar_days(days.first, days.last)
    }
    facts = pd.DataFrame({"holiday": pd.Series(holidays, dtype=float)})
    weather = {pd.Timestamp(day): values for day, *values in session.rows(_WEATHER_SQL, [days.first, days.last])}
    for position, name in enumerate(WEATHER):
        facts[name] = pd.Series({day: _number(values[position]) for day, values in weather.items()}, dtype=float)
    facts.loc[facts["rain"].notna() & facts["snow"].isna(), "snow"] = 0.0
    return facts


def _on_grid(rows: list[tuple[date, int, int]], grid: "pd.MultiIndex") -> "pd.Series":
    """The counts of day and zone, 0 where there is no row."""
    import pandas as pd

    found = pd.Series(
        [float(num_trips) for *_, num_trips in rows],
        index=pd.MultiIndex.from_arrays(
            [pd.to_datetime([day for day, *_ in rows]), [zone for _, zone, _ in rows]], names=grid.names
        ),
        dtype=float,
    )
    return found.reindex(grid, fill_value=0.0)


def _number(value: object) -> float:
    return float("nan") if value is None else float(str(value))


_COUNTED_SQL = f"""
SELECT pickup_date, {{zone}}, CAST(sum(num_trips) AS BIGINT)
FROM {{table}}
WHERE fleet = ? AND pickup_date BETWEEN ? AND ? AND {{zone}} < {UNKNOWN_ZONE_ID}
GROUP BY pickup_date, {{zone}}
ORDER BY pickup_date, {{zone}}
"""

_AWAY_SQL = f"""
SELECT pickup_date, {{zone}}, count(*)
FROM trips
WHERE fleet = ? AND pickup_date BETWEEN ? AND ? AND {{zone}} < {UNKNOWN_ZONE_ID}
    AND pickup_zone_id NOT IN ({placeholders(sorted(CONGESTION_ZONE))})
    AND dropoff_zone_id NOT IN ({placeholders(sorted(CONGESTION_ZONE))})
GROUP BY pickup_date, {{zone}}
ORDER BY pickup_date, {{zone}}
"""

_WEATHER_SQL = """
SELECT day, precipitation_in, snowfall_in, high_f FROM weather_days WHERE day BETWEEN ? AND ? ORDER BY day
"""
