"""What the fee changed as one HTML file; how it looks is in `page.html.jinja`.

The page is well-formed XML, uses no other file, and is the same bytes for the same studies.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taxi_pipeline.analysis.design import MAIN_WINDOW, MIN_TRIPS, START, Role, zone_roles
from taxi_pipeline.analysis.estimation import LEVEL
from taxi_pipeline.analysis.inference import PLACEBO_WEEKS
from taxi_pipeline.analysis.study import FleetStudy, winter_of
from taxi_pipeline.analysis.verdict import Kind, counted_words, days_words, interval, percent, probability, verdict_of
from taxi_pipeline.outputs.congestion_fee import drawings
from taxi_pipeline.outputs.origin import origin_of
from taxi_pipeline.outputs.templates import render
from taxi_pipeline.tlc.fleets import FLEETS


def page_of(studies: Sequence[FleetStudy], *, csv: str, png: str) -> str:
    """Make the page's HTML.

    Args:
        studies: one for each fleet.
        csv: address of the table, relative to the page.
        png: address of the picture, relative to the page.
    """
    synthetic = any(study.synthetic for study in studies)
    roles = list(zone_roles().values())
    return render(
        Path(__file__).with_name("page.html.jinja"),
        csv=csv,
        png=png,
        start=START,
        synthetic=synthetic,
        origin=origin_of(synthetic=synthetic, schematic_zones=None),
        fleets=[_fleet(study) for study in studies],
        none_loaded=not any(study.num_days for study in studies),
        all_choices=drawings.bars_of([study.main for study in studies]),
        level=f"{LEVEL:.0%}",
        weeks=MAIN_WINDOW,
        placebo_weeks=PLACEBO_WEEKS,
        min_trips=f"{MIN_TRIPS:g}",
        num_zones={role.value: sum(each is role for each in roles) for role in Role},
    )


def _fleet(study: FleetStudy) -> dict[str, Any]:
    verdict, estimate = verdict_of(study), study.main.estimate
    return {
        "name": study.fleet,
        "title": FLEETS[study.fleet].title,
        "verdict": verdict,
        "tells": verdict.kind not in (Kind.NO_ESTIMATE, Kind.CAN_NOT_TELL),
        "num_days": study.num_days,
        "has_estimate": estimate is not None,
        "change": percent(estimate.effect) if estimate else "",
        "interval": interval(estimate) if estimate else "",
        "facts": _facts(study),
        "choices": drawings.bars_of([study.main, *study.others]),
        "week_effects": drawings.weeks_of(study),
        "placebos": drawings.placebos_of(study),
    }


def _facts(study: FleetStudy) -> list[tuple[str, str, str]]:
    """Short name, text, and key of what the estimate rests on."""
    sample, estimate = study.main.sample, study.main.estimate
    if sample is None or estimate is None:
        return []
    facts = [
        ("What is counted", counted_words(sample.design), "outcome"),
        ("Trips a day with the fee", f"{study.trips_a_day:,.0f} in all zones inside", "trips"),
        ("Change in trips a day", drawings.trips_words(study), "trips_changed"),
        ("Zones", f"{sample.num_inside} inside, {sample.num_control} control zones", "zones"),
        ("Days", days_words(study), "days"),
        ("Earlier winter", winter_of(study.winter) if study.winter else "none is loaded", "winter"),
        (
            "Weather",
            "controlled for" if study.weather_known else "not known of all days, so not controlled for",
            "weather",
        ),
        ("Probability with no effect", probability(estimate.p_value), "p_value"),
    ]
    if study.permutation:
        words = (
            f"{probability(study.permutation.p_value)} of {study.permutation.num_choices:,} choices are as far from 0"
        )
        facts.append(("Random zones", words, "permutation"))
    if study.placebo_share is not None:
        words = f"{study.placebo_share:.0%} of {len(study.placebos) + 1} dates, the fee's with them, are as far from 0"
        facts.append(("Other dates", words, "placebos"))
    if study.drift:
        words = f"{percent(study.drift.effect)} a week ({interval(study.drift)})"
        facts.append(("Drift before the fee", words, "drift"))
    if study.events and study.events.p_value is not None:
        words = f"p {probability(study.events.p_value)}, {study.events.num_leads} weeks"
        facts.append(("Joint test of the weeks before", words, "joint_test"))
    return facts
