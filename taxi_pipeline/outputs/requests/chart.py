"""The chart of a request: the pickups that it counts, and the drawing."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from taxi_pipeline.outputs.requests.request_files import TripRequest
from taxi_pipeline.outputs.style import (
    DPI,
    INK,
    MUTED,
    SIZE_INCHES,
    SOURCE,
    SYNTHETIC_NOTE,
    WARNING,
    WEEKDAYS,
    own_style,
    png_of,
)
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import is_synthetic, loaded_days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, weekday


def pickups(session: Session, request: TripRequest) -> dict[tuple[int, int], int]:
    """Count the pickups of a request: (weekday from 0 for Sunday, hour of the day) → trips, without hours of zero."""
    conditions: list[tuple[str, list[Any]]] = [
        ("borough = ?", [request.borough]),
        ("pickup_date BETWEEN ? AND ?", [request.start_date, request.end_date]),
    ]
    if request.zone_ids is not None:
        conditions.append((f"zone_id IN ({placeholders(request.zone_ids)})", [*request.zone_ids]))
    if request.fleet:
        conditions.append(("fleet = ?", [request.fleet]))
    rows = session.rows(
        f"SELECT {weekday('pickup_date')} AS weekday, pickup_hour, CAST(sum(num_trips) AS BIGINT) "
        "FROM zone_hourly_trips JOIN zones ON zone_id = pickup_zone_id "
        f"WHERE {' AND '.join(condition for condition, _ in conditions)} "
        f"GROUP BY {weekday('pickup_date')}, pickup_hour ORDER BY weekday, pickup_hour",
        [value for _, values in conditions for value in values],
    )
    return {(weekday, hour): trips for weekday, hour, trips in rows}


@dataclass(frozen=True)
class ChartData:
    """The content of a chart."""

    counts: Mapping[tuple[int, int], int]
    """(Weekday from 0 for Sunday, hour of the day) → trips; an hour that is missing has none."""
    num_days: int
    """Number of days that the request asks for."""
    loaded_days: Sequence[date]
    """Requested days of which any of the fleets is loaded."""
    synthetic: bool
    """True if the trips are generated; the picture then says so."""

    @property
    def num_trips(self) -> int:
        """Number of trips on the chart."""
        return sum(self.counts.values())

    @property
    def num_loaded_days(self) -> int:
        """Number of requested days that are loaded."""
        return len(self.loaded_days)

    @property
    def coverage(self) -> str:
        """Say in words how many of the days are loaded, and from when to when."""
        if not self.loaded_days:
            return "None of these days is loaded"
        if self.num_loaded_days == self.num_days:
            return "All of these days are loaded" if self.num_days > 1 else "The day is loaded"
        first, last = self.loaded_days[0], self.loaded_days[-1]
        span = f"{first}" if first == last else f"{first} to {last}"
        return f"Only {self.num_loaded_days:,} of {self.num_days:,} days are loaded ({span})"


def chart_data(session: Session, request: TripRequest) -> ChartData:
    """Collect the content of a request's chart."""
    days = Days(request.start_date, request.end_date)
    fleets = [request.fleet] if request.fleet else [*FLEETS]
    return ChartData(
        counts=pickups(session, request),
        num_days=days.num_days,
        loaded_days=sorted({day for _, day in loaded_days(session, days, fleets)}),
        synthetic=is_synthetic(session),
    )


def title_of(request: TripRequest) -> str:
    """Write the chart's title, in one line or two."""
    pickups = f"{FLEETS[request.fleet].title} pickups" if request.fleet else "Pickups"
    days = str(request.start_date)
    if request.end_date != request.start_date:
        days += f" to {request.end_date}"
    zones = "" if request.zone_ids is None else f"\nzones {', '.join(map(str, request.zone_ids))}"
    return f"{pickups} in {request.borough}, {days}{zones}"


def draw_trip_request(data: ChartData, title: str) -> bytes:
    """Draw pickups by hour of the day, stacked by weekday from Sunday to Saturday, as a 10 × 6 inch PNG.

    Args:
        data: the counts.
        title: one line or two.

    Returns:
        The PNG's bytes.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    with own_style():
        figure = Figure(figsize=(SIZE_INCHES, 6), dpi=DPI, facecolor="white")
        axes = figure.add_axes((0.09, 0.13, 0.76, 0.7))
        below = [0] * 24
        for weekday, (name, color) in enumerate(WEEKDAYS):
            trips = [data.counts.get((weekday, hour), 0) for hour in range(24)]
            axes.bar(range(24), trips, bottom=below, width=0.85, label=name, color=color)
            below = [low + more for low, more in zip(below, trips, strict=True)]
        total = sum(below)
        axes.set_xlim(-0.6, 23.6)
        axes.set_xticks(range(0, 24, 3), [f"{hour:02}:00" for hour in range(0, 24, 3)])
        axes.set_xlabel("Hour of the pickup", color=MUTED)
        axes.set_ylabel("Trips", color=MUTED)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))  # there are no half trips
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.spines[["top", "right"]].set_visible(False)
        if total:
            # The key lists the weekdays from top to bottom, as the bars are stacked.
            handles, labels = axes.get_legend_handles_labels()
            axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        else:
            axes.set_ylim(0, 1)
            axes.set_yticks([])
            axes.text(
                11.5,
                0.5,
                "No pickups on the loaded days" if data.loaded_days else "No day is loaded",
                ha="center",
                fontsize=16,
                color=MUTED,
            )
        shown = "\n".join(textwrap.shorten(line, 72, placeholder=" …") for line in title.split("\n"))
        figure.text(0.09, 0.965, shown, fontsize=15, color=INK, weight="bold", va="top", linespacing=1.4)
        figure.text(0.85, 0.855, f"{total:,} trip{'' if total == 1 else 's'}", ha="right", color=MUTED)
        is_whole = data.num_loaded_days == data.num_days
        figure.text(0.09, 0.855, data.coverage, color=MUTED if is_whole else WARNING)
        note = SYNTHETIC_NOTE if data.synthetic else SOURCE
        figure.text(0.09, 0.02, note, fontsize=8, color=WARNING if data.synthetic else MUTED)
        return png_of(figure)
