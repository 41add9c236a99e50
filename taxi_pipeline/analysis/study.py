"""The study of the congestion fee: for each fleet the estimate, what doubts it, and what other choices would give."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from taxi_pipeline.analysis.design import (
    MAIN_WINDOW,
    START,
    WINDOWS,
    YEARS_BEFORE,
    Design,
    NoSampleError,
    Sample,
    history,
    knows_weather,
    sample_of,
)
from taxi_pipeline.analysis.estimation import Estimate, EventStudy, drift_of, estimate_of, event_study_of
from taxi_pipeline.analysis.inference import (
    NUM_PERMUTATIONS,
    Permutation,
    Placebo,
    permutation_of,
    placebos_of,
    share_as_large,
)
from taxi_pipeline.analysis.panel import FleetPanel, day_facts, fleet_panel
from taxi_pipeline.warehouse.coverage import Coverage, coverage_of
from taxi_pipeline.warehouse.interface import Session

if TYPE_CHECKING:
    import pandas as pd

OUTCOME_OF = {"green": "dropoffs"}
"""Fleet → what its answer counts, where that is not pickups: green taxis may not be hailed below East 96th and West
110th Street, so hardly a trip of theirs begins inside, and those that go there end there."""

MAIN = "main"


@dataclass(frozen=True)
class Choice:
    """An estimate with one choice made in another way.

    Attributes:
        name: short name, for the CSV; `main` for the estimate of the answer.
        words: what is different, as a phrase.
        design: what is compared.
        sample: the rows; None where there are too few.
        estimate: the estimate; None where there is no sample.
        why_none: why there is none, as the end of a sentence.
    """

    name: str
    words: str
    design: Design
    sample: Sample | None = None
    estimate: Estimate | None = None
    why_none: str = ""


@dataclass(frozen=True)
class FleetStudy:
    """What the fee changed for a fleet.

    Attributes:
        fleet: the fleet's name.
        num_days: number of the fleet's loaded days among those that the study may look at.
        main: the estimate of the answer; without one, its `why_none` says why.
        others: the same estimate with other choices.
        events: the effects by week; None without an estimate.
        drift: the drift a week before the fee; None where there are too few weeks.
        permutation: zones at random as the ones inside; None without an estimate.
        placebos: estimates at dates before the fee.
        trips_a_day: mean of the trips of all zones inside on days with the fee; None without an estimate.
        weather_known: true if the weather of all days of the estimate is known.
        synthetic: true if trips are generated.
    """

    fleet: str
    num_days: int
    main: Choice
    others: tuple[Choice, ...] = ()
    events: EventStudy | None = None
    drift: Estimate | None = None
    permutation: Permutation | None = None
    placebos: tuple[Placebo, ...] = ()
    trips_a_day: float | None = None
    weather_known: bool = False
    synthetic: bool = False

    @property
    def winter(self) -> int | None:
        """Years before, of the winter that is compared with; None for no winter."""
        return self.main.design.years_before

    @property
    def placebo_share(self) -> float | None:
        """The share of the dates, with the real one, whose effect is as large or larger; None without dates."""
        return share_as_large(self.placebos, self.main.estimate.effect) if self.main.estimate else None


@dataclass(frozen=True)
class FeePanel:
    """All that the study asks of the warehouse, so that the warehouse is closed while it computes."""

    panels: tuple[FleetPanel, ...]
    facts: "pd.DataFrame"
    coverage: Coverage


def fee_panel(session: Session, fleets: Sequence[str]) -> FeePanel:
    """Ask for the trips by zone and day of these fleets, and for the days' facts.

    Args:
        session: the warehouse.
        fleets: names of fleets; one without loaded days has an empty panel.
    """
    days = history()
    panels = tuple(fleet_panel(session, fleet, days) for fleet in fleets)
    return FeePanel(panels, day_facts(session, days), coverage_of(session, fleets))


def study_of(panel: FleetPanel, facts: "pd.DataFrame", *, num_permutations: int = NUM_PERMUTATIONS) -> FleetStudy:
    """Study the fee for a fleet.

    Args:
        panel: the fleet's trips by zone and day.
        facts: as `panel.day_facts` returns them.
        num_permutations: number of random choices of zones.
    """
    trips = panel.trips
    num_days = int(trips["day"].nunique())
    main = _main(trips, facts, Design(OUTCOME_OF.get(panel.fleet, "pickups")))
    if main.sample is None:
        return FleetStudy(panel.fleet, num_days, main, synthetic=panel.synthetic)
    others = tuple(_tried(trips, facts, choice) for choice in _other_choices(main, facts))
    return FleetStudy(
        panel.fleet,
        num_days,
        main,
        others,
        event_study_of(main.sample),
        drift_of(main.sample),
        permutation_of(main.sample, num_permutations=num_permutations),
        tuple(placebos_of(trips, facts, main.design)),
        _trips_a_day(main.sample),
        main.design.weather,
        panel.synthetic,
    )


def _main(trips: "pd.DataFrame", facts: "pd.DataFrame", base: Design) -> Choice:
    """The estimate of the answer: beside the nearest winter that is loaded, with the weather where it is known."""
    if trips.empty:
        return Choice(MAIN, "the estimate of the answer", base, why_none="no day from the winters around it is loaded")
    found = Choice(MAIN, "the estimate of the answer", base)
    for years in (*YEARS_BEFORE, None):
        found = _tried(trips, facts, Choice(MAIN, found.words, base.changed(years_before=years)))
        if found.sample is not None:
            break
    if found.sample is not None and knows_weather(facts, found.sample.days):
        found = _tried(trips, facts, Choice(MAIN, found.words, found.design.changed(weather=True)))
    return found


def _other_choices(main: Choice, facts: "pd.DataFrame") -> Iterator[Choice]:
    """The choices to try beside the main one, without estimates."""
    design = main.design
    for weeks in WINDOWS:
        if weeks != MAIN_WINDOW:
            yield Choice(f"weeks_{weeks}", f"{weeks} weeks before and after", design.changed(weeks=weeks))
    yield Choice("no_holidays", "without the control for holidays", design.changed(holidays=False))
    if design.weather:
        yield Choice("no_weather", "without the controls for weather", design.changed(weather=False))
    elif main.sample is not None:
        known = [day for day in main.sample.days if knows_weather(facts, main.sample.days[main.sample.days == day])]
        why = f"the weather is known of {len(known)} of its {len(main.sample.days)} days"
        yield Choice("weather", "with controls for weather", design.changed(weather=True), why_none=why)
    yield Choice("border", "with the neighbors of the zone as control zones", design.changed(with_border=True))
    yield Choice("airports", "with the airports as control zones", design.changed(with_airports=True))
    yield Choice("manhattan", "with control zones in Manhattan only", design.changed(manhattan_only=True))
    yield Choice("all_trips", "with control zones' trips into and out of the zone", design.changed(away=False))
    yield Choice("end_of_year", "with the days from 22 December to 4 January", design.changed(with_end_of_year=True))
    other = "dropoffs" if design.outcome == "pickups" else "pickups"
    words = "trips that end inside" if other == "dropoffs" else "trips that begin inside"
    yield Choice(other, words, design.changed(outcome=other))
    for years in (*YEARS_BEFORE, None):
        if years != design.years_before:
            words = f"beside the winter of {winter_of(years)}" if years else "beside no earlier winter"
            yield Choice(f"winter_{years or 0}", words, design.changed(years_before=years))


def winter_of(years: int) -> str:
    """The winter that begins so many years before the fee's: 2023/24 for 1."""
    last = START.year - years
    return f"{last - 1}/{last % 100:02}"


def _tried(trips: "pd.DataFrame", facts: "pd.DataFrame", choice: Choice) -> Choice:
    if choice.why_none:
        return choice
    try:
        sample = sample_of(trips, facts, choice.design)
        if choice.design.weather and not knows_weather(facts, sample.days):
            raise NoSampleError("the weather of some of its days is not known")
    except NoSampleError as error:
        return Choice(choice.name, choice.words, choice.design, why_none=str(error))
    return Choice(choice.name, choice.words, choice.design, sample, estimate_of(sample))


def _trips_a_day(sample: Sample) -> float:
    """The trips of all zones inside on an average day with the fee."""
    rows = sample.rows[sample.rows["effect"] == 1]
    return float(rows["trips"].sum() / rows["day"].nunique())


def days_of(sample: Sample) -> tuple[date, date]:
    """The first and the last day that count."""
    return sample.days[0].date(), sample.days[-1].date()
