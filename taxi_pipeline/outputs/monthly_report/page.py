"""The monthly report as one HTML file, and its numbers as CSV; how the page looks is in `page.html.jinja`.

The page is well-formed XML, uses no other file, and is the same bytes for the same figures. `figures` decides what is
counted, `measures` how a number is written, and `drawings` where things are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from taxi_pipeline.outputs.monthly_report import drawings, measures
from taxi_pipeline.outputs.monthly_report.figures import MonthFigures
from taxi_pipeline.outputs.monthly_report.indicators import indicator_numbers, indicator_rows
from taxi_pipeline.outputs.origin import origin_of
from taxi_pipeline.outputs.palette import palette_css
from taxi_pipeline.outputs.places import shares_note
from taxi_pipeline.outputs.previews import bars_preview
from taxi_pipeline.outputs.style import WEEKDAYS
from taxi_pipeline.outputs.templates import render
from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.quality.drift import MAX_INDEX
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import next_month, previous_month, spans_of, year_before
from taxi_pipeline.warehouse.histograms import MEASURES, median_bin


@dataclass(frozen=True)
class Links:
    """Files beside the report, as addresses relative to it; None where there is none."""

    csv: str
    previous: str | None = None
    """The report of the month before."""
    following: str | None = None
    """The report of the month after."""
    explorer: str | None = None


def page_of(figures: MonthFigures, links: Links, *, schematic_zones: bool | None = None) -> str:
    """Make the report's HTML.

    Args:
        figures: the numbers.
        links: files beside the report.
        schematic_zones: true if the zones are generated; None when that is not known.
    """
    month = figures.days.first
    published, not_published = measures.cards_of(figures)
    return render(
        Path(__file__).with_name("page.html.jinja"),
        title=f"{month:%B %Y}",
        fleets=" and ".join(FLEETS[fleet].title for fleet in figures.fleets),
        palette=palette_css(),
        origin=origin_of(synthetic=figures.synthetic, schematic_zones=schematic_zones),
        finding=measures.finding_of(figures),
        links=links,
        previous_title=f"{previous_month(month):%B %Y}",
        following_title=f"{next_month(month):%B %Y}",
        year_before_title=f"{year_before(month):%B %Y}",
        max_index=MAX_INDEX,
        figures=figures,
        missing=_missing(figures.missing),
        cards=published,
        not_published=not_published,
        not_compared=[f"{other:%B %Y}" for other, totals in measures.others_of(figures).values() if totals is None],
        left_out=measures.left_out_of(figures.totals),
        volumes=measures.volume_rows(figures.totals),
        payments=measures.payment_rows(figures.payments) if figures.payments else [],
        bars=drawings.bars_of(figures),
        history=drawings.history_of(figures),
        distributions=drawings.distributions_of(figures),
        hours=drawings.hours_of(figures.trips_per_hour),
        map=drawings.map_of(figures.zones),
        busiest=drawings.busiest_zones(figures.zones, figures.totals.num_placed),
        shares_note=shares_note(figures.totals.num_placed, figures.totals.num_unplaced),
        flows=drawings.flows_of(figures.flows),
        quality=figures.quality,
        warnings=[(name, verdict.description) for name, verdict in figures.verdicts.items() if not verdict.passed],
        num_checks=len(figures.verdicts),
        charges=measures.charges_rows(figures.charges) if figures.charges else [],
        charged_fleets=[each.fleet for each in figures.charges],
        driver_pay=measures.driver_pay_rows(figures.driver_pay),
        companies=drawings.companies_of(figures),
        senders=drawings.senders_of(figures.senders),
        by_fleet=measures.by_fleet_rows(figures.by_fleet) if figures.by_fleet else [],
        indicators=indicator_rows(figures.indicators) if figures.indicators else [],
        fleet_title=lambda fleet: FLEETS[fleet].title,
    )


def csv_of(figures: MonthFigures) -> str:
    """Write the numbers of the page as CSV, one a row: its subject, its name, and its value without formatting."""
    others = {key: totals for key, (_, totals) in measures.others_of(figures).items() if totals}
    rows: list[tuple[str, Any, Any]] = [
        (section, measure.key, measure.value(totals))
        for section, totals in [("month", figures.totals), *others.items(), *figures.by_fleet.items()]
        for measure in measures.MEASURES
        if measure.has_value
    ]
    for key, totals in others.items():
        changes = [(each.key, measures.like_for_like(each, figures.totals, totals)) for each in measures.MEASURES]
        rows += [(f"change of like days, {key}", name, change.share) for name, change in changes if change]
        rows += [(f"usual change of like days, {key}", name, change.usual) for name, change in changes if change]
    for kind, volume in (("published", figures.totals.published), ("net", figures.totals.net)):
        numbers = {
            "trips": volume.num_trips,
            "passengers": volume.num_passengers,
            "miles": volume.miles,
            "miles of plausible trips": volume.plausible_miles,
        }
        rows += [(kind, name, number) for name, number in numbers.items()]
    if figures.payments:
        rows += [("payment", name, number) for name, number in vars(figures.payments).items()]
    for each in figures.charges:
        parts = {**each.parts, "unexplained": each.unexplained, "total_amount": each.total}
        rows += [(f"charged, {each.fleet}", part, amount) for part, amount in parts.items()]
    for each in figures.driver_pay:
        numbers = {"trips": each.num_trips, "dollars": each.pay, "miles": each.miles, "seconds": each.seconds}
        rows += [(f"driver pay, {each.licensee}", name, number) for name, number in numbers.items()]
    rows += [("day", day, trips) for day, trips in figures.trips_per_day.items()]
    rows += [
        ("trips in an hour of an average day", f"{WEEKDAYS[weekday][0]} {hour:02}", trips)
        for (weekday, hour), trips in sorted(figures.trips_per_hour.items())
    ]
    rows += [
        (f"trips by {measure}, {fleet}", MEASURES[measure].words(bin_), trips)
        for fleet, histograms in figures.histograms.items()
        for measure, bins in histograms.items()
        for bin_, trips in bins.items()
    ]
    medians = [
        (fleet, measure, MEASURES[measure].range_of(middle))
        for fleet, histograms in figures.histograms.items()
        for measure, bins in histograms.items()
        for middle in [median_bin(bins)]
        if middle is not None
    ]
    rows += [(f"median from, {fleet}", measure, first) for fleet, measure, (first, _) in medians]
    rows += [(f"median to, {fleet}", measure, last) for fleet, measure, (_, last) in medians]
    rows += [
        (f"trips a day, {fleet}", month, trips)
        for fleet, months in figures.history.items()
        for month, trips in months.items()
    ]
    rows += [(f"index of drift, {each.fleet}", each.measure.name, each.index) for each in figures.drifts]
    rows += [("pickup zone", zone.zone_id, zone.num_trips) for zone in figures.zones]
    rows += [("from borough to borough", " > ".join(pair), trips) for pair, trips in figures.flows.items()]
    rows += [
        ("company", f"{fleet} {company}" if company else fleet, trips) for fleet, company, trips in figures.by_company
    ]
    rows += [("sender of taxi trips", source or "none", trips) for source, trips in figures.senders]
    rows += indicator_numbers(figures.indicators)
    return csv_text(["section", "name", "value"], rows)


def preview_of(figures: MonthFigures) -> bytes:
    """Draw the trips per day as a PNG; a day that is not loaded has no bar."""
    return bars_preview([(figures.trips_per_day.get(day, 0), day.isoweekday() >= 6) for day in figures.days])


def _missing(days: Sequence[tuple[str, date]]) -> list[str]:
    """The fleets and days, fleet by fleet, as spans without gaps: `green 2024-01-03 to 2024-01-31`."""
    return [
        f"{fleet} {span}"
        for fleet, of_fleet in groupby(days, key=itemgetter(0))
        for span in spans_of([day for _, day in of_fleet])
    ]
