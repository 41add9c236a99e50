"""The section on what the TLC itself counts: its figures of the month by licence class, and measures out of them.

The mart `license_class_months` has the same measures for SQL, and names their source.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from taxi_pipeline.tlc.aggregated_report import Indicators
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import TLC_INDICATORS


@dataclass(frozen=True)
class _Measure:
    """A number of a licence class: its name, how it is computed, and how it is written."""

    key: str
    title: str
    value: Callable[[Indicators], Any]
    words: str = "{:,.0f}"


def indicators_of(session: Session, month: date) -> list[Indicators]:
    """Read what the TLC counted in a month, by licence class; empty while its report has nothing of the month.

    Args:
        session: the warehouse.
        month: first day of the month.
    """
    columns = ", ".join(TLC_INDICATORS.column_names)
    rows = session.rows(f"SELECT {columns} FROM tlc_indicators WHERE month = ? ORDER BY license_class", [month])
    return [Indicators(*row) for row in rows]


def indicator_rows(indicators: Sequence[Indicators]) -> list[dict[str, Any]]:
    """List each measure by licence class; a dash where the TLC does not publish what it is made of."""
    return [
        {
            "key": measure.key,
            "title": measure.title,
            "classes": [(found.license_class, _written(measure, found)) for found in indicators],
        }
        for measure in _MEASURES
    ]


def indicator_numbers(indicators: Sequence[Indicators]) -> list[tuple[str, str, Any]]:
    """List the measures for the CSV: licence class, name, and value without formatting, where there is one."""
    return [
        (
            f"counted by the TLC, {found.license_class}",
            measure.key,
            float(value) if isinstance(value, Decimal) else value,
        )
        for found in indicators
        for measure in _MEASURES
        if (value := measure.value(found)) is not None
    ]


def _written(measure: _Measure, found: Indicators) -> str:
    value = measure.value(found)
    return "-" if value is None else measure.words.format(value)


def _ratio(part: Any, whole: Any) -> float | None:
    return None if part is None or not whole else float(part) / float(whole)


def _drivers_per_day(found: Indicators) -> float | None:
    if found.unique_drivers is None or found.days_per_driver is None:
        return None
    return found.unique_drivers * float(found.days_per_driver) / Days.of_month(found.month).num_days


_MEASURES = (
    _Measure("trips_per_day", "Trips a day", lambda c: c.trips_per_day),
    _Measure("farebox_dollars_per_day", "Farebox a day", lambda c: c.farebox_dollars_per_day, "${:,.0f}"),
    _Measure("unique_drivers", "Drivers in the month", lambda c: c.unique_drivers),
    _Measure("unique_vehicles", "Vehicles in the month", lambda c: c.unique_vehicles),
    _Measure("vehicles_per_day", "Vehicles a day", lambda c: c.vehicles_per_day),
    _Measure(
        "trips_per_vehicle_per_day",
        "Trips of a vehicle a day",
        lambda c: _ratio(c.trips_per_day, c.vehicles_per_day),
        "{:,.1f}",
    ),
    _Measure(
        "farebox_dollars_per_vehicle_per_day",
        "Farebox of a vehicle a day",
        lambda c: _ratio(c.farebox_dollars_per_day, c.vehicles_per_day),
        "${:,.0f}",
    ),
    _Measure(
        "farebox_dollars_per_driver_per_day",
        "Farebox of a driver a day",
        lambda c: _ratio(c.farebox_dollars_per_day, _drivers_per_day(c)),
        "${:,.0f}",
    ),
    _Measure(
        "hours_per_day_per_vehicle", "Hours of a vehicle a day", lambda c: c.hours_per_day_per_vehicle, "{:,.1f} hours"
    ),
    _Measure(
        "hours_per_day_per_driver", "Hours of a driver a day", lambda c: c.hours_per_day_per_driver, "{:,.1f} hours"
    ),
    _Measure("minutes_per_trip", "Mean duration", lambda c: c.minutes_per_trip, "{:,.1f} minutes"),
    _Measure("card_share", "Paid by card", lambda c: c.card_share, "{:.0%}"),
    _Measure("shared_share", "Shared trips", lambda c: _ratio(c.shared_trips_per_day, c.trips_per_day), "{:.1%}"),
)
