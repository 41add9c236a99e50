"""The warehouse's views, each declared once, for whoever asks in SQL; both engines make them.

The pipeline itself asks the SQL that a view is made of, so that it depends on no view. What an amount means is beside
its rules (`net_parts`), and what makes two rows a void is in `voids`.
"""

from dataclasses import dataclass, replace

from taxi_pipeline.warehouse.net_parts import NET_PARTS, UNEXPLAINED
from taxi_pipeline.warehouse.tables import CALENDAR_DAYS, MONEY, TRIPS, WEATHER_DAYS, Column
from taxi_pipeline.warehouse.voids import NET_TRIPS_SQL


@dataclass(frozen=True)
class View:
    """A declared view."""

    name: str
    description: str
    columns: tuple[Column, ...]
    select: str
    """Its SELECT, which both engines understand."""

    def create_sql(self) -> str:
        """The statement that makes the view, in place of an older one."""
        return f"CREATE OR REPLACE VIEW {self.name} AS {self.select}"


_KEYS = ("fleet", "pickup_date", "pickup_datetime", "vendor_id", "pickup_zone_id", "dropoff_zone_id", "payment_type")
_OF_TRIPS = {column.name: column for column in TRIPS.columns}

_NET_PARTS_SELECT = ", ".join(
    [
        *_KEYS,
        *(f"CAST({sql} AS {MONEY}) AS {part}" for part, sql in NET_PARTS.items()),
        "total_amount",
        f"CAST({UNEXPLAINED} AS {MONEY}) AS unexplained",
    ]
)

NET_PARTS_VIEW = View(
    "net_parts",
    "A view: one row per trip that has a total, with the parts of the total net of fees that a vendor puts into two "
    "columns, or into none. `trips` has the columns as published.",
    (
        *(_OF_TRIPS[name] for name in _KEYS),
        *(replace(_OF_TRIPS[part], description=f"{_OF_TRIPS[part].description}; net") for part in NET_PARTS),
        _OF_TRIPS["total_amount"],
        Column("unexplained", MONEY, "What the total has beyond its net parts; 0 where they add up", "US dollars"),
    ),
    f"SELECT {_NET_PARTS_SELECT} FROM trips WHERE total_amount IS NOT NULL",
)

NET_TRIPS_VIEW = View(
    "net_trips",
    "A view: the rows of `trips` without both halves of each void, which is a taxi's trip and its row once more with "
    "the opposite total. Negative totals without such a trip stay.",
    TRIPS.columns,
    NET_TRIPS_SQL,
)

DAYS_VIEW = View(
    "days",
    "A view: `calendar_days` with the weather of `weather_days`, which is NULL where it is not known.",
    (*CALENDAR_DAYS.columns, *(replace(column, nullable=True) for column in WEATHER_DAYS.columns[1:])),
    f"SELECT {', '.join(f'calendar_days.{name}' for name in CALENDAR_DAYS.column_names)}, "
    f"{', '.join(WEATHER_DAYS.column_names[1:])} "
    "FROM calendar_days LEFT JOIN weather_days ON weather_days.day = calendar_days.day",
)

VIEWS = (NET_PARTS_VIEW, NET_TRIPS_VIEW, DAYS_VIEW)
"""All views of the warehouse."""
