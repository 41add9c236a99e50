"""What the congestion fee changed: known effects are found, none is found where there is none, and the words follow."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import dagster as dg
import pytest

from taxi_pipeline.analysis.design import (
    CONGESTION_ZONE,
    START,
    Design,
    NoSampleError,
    Role,
    history,
    imagined_starts,
    is_end_of_year,
    sample_of,
    zone_roles,
)
from taxi_pipeline.analysis.estimation import (
    Estimate,
    _fit,
    _jackknife,
    drift_of,
    estimate_of,
    event_study_of,
    percent_of,
)
from taxi_pipeline.analysis.inference import Permutation, Placebo, permutation_of, placebos_of, share_as_large
from taxi_pipeline.analysis.panel import FleetPanel, day_facts, fleet_panel
from taxi_pipeline.analysis.study import Choice, FleetStudy, fee_panel, study_of
from taxi_pipeline.analysis.verdict import Kind, excludes_zero, verdict_of
from taxi_pipeline.defs.assets.congestion_fee import congestion_fee
from taxi_pipeline.defs.console_runs import QUIET
from taxi_pipeline.outputs.congestion_fee.chart import draw_study
from taxi_pipeline.outputs.congestion_fee.page import page_of
from taxi_pipeline.outputs.congestion_fee.table import HEADER, table_rows
from taxi_pipeline.outputs.text import csv_text
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.sources.source import replace_contents
from taxi_pipeline.sources.weather import WEATHER_SOURCE, read_weather
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.rollups import count_again
from taxi_pipeline_tests.pipelines import Pipeline, error_of, materializations_of, pipeline_in
from taxi_pipeline_tests.real_months import load_months

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SEASON = -0.05
"""What January does to zones inside in every winter, as a change of the logarithm."""

NUM_INSIDE, NUM_CONTROL = 15, 30
_ROLES = zone_roles()
INSIDE = [zone for zone in _ROLES if _ROLES[zone] is Role.INSIDE][:NUM_INSIDE]
CONTROL = [zone for zone in _ROLES if _ROLES[zone] is Role.CONTROL][:NUM_CONTROL]


def facts_of(**known: float) -> "pd.DataFrame":
    """Facts of all days: ordinary ones, but for what is given."""
    import pandas as pd

    days = pd.date_range(history().first, history().last)
    return pd.DataFrame({"holiday": 0.0, "rain": 0.0, "snow": 0.0, "high": 40.0, **known}, index=days)


def panel_of(days: "pd.DatetimeIndex", counts: "NDArray[np.float64]", zones: Sequence[int]) -> "pd.DataFrame":
    """Trips as of `fleet_panel`, of zones × days; all of them away from the zone."""
    import numpy as np
    import pandas as pd

    names = ("pickups", "dropoffs", "pickups_away", "dropoffs_away")
    trips = pd.DataFrame({"day": np.tile(days, len(zones)), "zone_id": np.repeat(zones, len(days))})
    return trips.assign(**dict.fromkeys(names, counts.ravel())).sort_values(["day", "zone_id"], ignore_index=True)


def drawn(
    seed: int, effect: float, *, winters: Sequence[int] = (0, 1), weeks: int = 10, season: float = SEASON
) -> "pd.DataFrame":
    """Random trips of a fleet with a planted effect.

    Zones have levels of their own, which drift from winter to winter; each day, zone and week, zone and day, and each
    week of all zones inside has its own luck; counts are Poisson's. January changes zones inside in each winter.
    """
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    zones, num_days = [*INSIDE, *CONTROL], 14 * weeks
    inside = np.isin(zones, INSIDE)[:, None]
    level = rng.normal(np.log(40), 0.8, (len(zones), 1))
    since = np.arange(num_days) - 7 * weeks
    week, post = since // 7 + weeks, since >= 0
    found = []
    for winter in winters:
        days = pd.date_range(START - timedelta(days=364 * winter + 7 * weeks), periods=num_days)
        luck = rng.normal(0, 0.05, (len(zones), 1)) + rng.normal(0, 0.05, num_days)
        luck = luck + rng.normal(0, 0.04, (len(zones), 2 * weeks))[:, week] + rng.normal(0, 0.1, (len(zones), num_days))
        planted = season * post + effect * post * (winter == 0) + 0.03 * np.isin(days.day_of_week, (5, 6))
        means = np.exp(level + luck + inside * (rng.normal(0, 0.02, 2 * weeks)[week] + planted))
        found.append(panel_of(days, rng.poisson(means).astype(float), zones))
    return pd.concat(found, ignore_index=True).sort_values(["day", "zone_id"], ignore_index=True)


def even(changes: dict[tuple[int, bool, bool], float], *, winters: Sequence[int] = (0,)) -> "pd.DataFrame":
    """Trips without any luck: 100 a day in each zone times what is given by winter, whether inside, whether after."""
    import numpy as np
    import pandas as pd

    zones, found = [*INSIDE, *CONTROL], []
    for winter in winters:
        days = pd.date_range(START - timedelta(days=364 * winter + 70), periods=140)
        inside, post = np.isin(zones, INSIDE)[:, None], np.arange(140)[None, :] >= 70
        counts = np.full((len(zones), 140), 100.0)
        for (of_winter, of_inside, of_post), factor in changes.items():
            if of_winter == winter:
                counts = np.where((inside == of_inside) & (post == of_post), counts * factor, counts)
        found.append(panel_of(days, counts, zones))
    return pd.concat(found, ignore_index=True)


# Estimates


def test_a_planted_effect_lies_in_the_interval_in_eighteen_of_twenty_seeds() -> None:
    """January falls in both winters; the fee takes 8 % (of the logarithm) more in its own."""
    facts, design = facts_of(), Design("pickups", years_before=1)
    found = [estimate_of(sample_of(drawn(seed, -0.08), facts, design)) for seed in range(20)]
    assert sum(estimate.low <= -0.08 <= estimate.high for estimate in found) >= 18
    assert abs(sum(estimate.effect for estimate in found) / 20 + 0.08) < 0.015, "it is not off on average"
    without = [estimate_of(sample_of(drawn(seed, -0.08), facts, Design("pickups"))).effect for seed in range(5)]
    assert abs(sum(without) / 5 - (-0.08 + SEASON)) < 0.03, "without the earlier winter January counts as the fee's"


def test_where_there_is_no_effect_it_is_found_at_the_stated_rate() -> None:
    """Of sixty intervals of 95 % about three miss 0; eight or more would have a chance of one in sixty."""
    facts, design = facts_of(), Design("pickups", years_before=1)
    samples = [sample_of(drawn(seed, 0.0), facts, design) for seed in range(100, 160)]
    found = [estimate_of(sample) for sample in samples]
    p_values = [permutation_of(sample, num_permutations=199).p_value for sample in samples]
    both = [p <= 0.05 and excludes_zero(estimate) for p, estimate in zip(p_values, found, strict=True)]
    assert sum(map(excludes_zero, found)) <= 7
    assert sum(both) <= 5


def test_the_estimate_is_the_ratio_of_ratios_when_all_else_is_equal() -> None:
    facts = facts_of()
    fee = {(0, True, True): 0.9, (0, False, True): 1.1}
    sample = sample_of(even(fee), facts, Design("pickups"))
    assert estimate_of(sample).effect == pytest.approx(math.log(0.9 / 1.1), abs=1e-6)
    assert permutation_of(sample).effect == pytest.approx(math.log(0.9 / 1.1), abs=1e-9)
    both = sample_of(even({**fee, (1, True, True): 0.95}, winters=(0, 1)), facts, Design("pickups", years_before=1))
    assert estimate_of(both).effect == pytest.approx(math.log(0.9 / 1.1 / 0.95), abs=1e-6)
    assert permutation_of(both).effect == pytest.approx(math.log(0.9 / 1.1 / 0.95), abs=1e-9)


def by_dummies(rows: "pd.DataFrame", regressors: Sequence[str]) -> "NDArray[np.float64]":
    """The coefficients of the regressors by plain weighted least squares with a column for each zone and day."""
    import numpy as np
    import pandas as pd

    columns = [rows[list(regressors)], pd.get_dummies(rows["zone_season"]), pd.get_dummies(rows["day"])]
    x, y = np.column_stack(columns).astype(float), rows["trips"].to_numpy()
    means = y + 1.0
    coefficients = np.zeros(x.shape[1])
    for _ in range(10):
        weighted = (x * means[:, None]).T
        coefficients = np.linalg.lstsq(weighted @ x, weighted @ (np.log(means) + y / means - 1), rcond=1e-12)[0]
        means = np.exp(x @ coefficients)
    return coefficients[: len(regressors)]


def test_the_estimate_is_that_of_plain_least_squares_with_a_column_for_each_zone_and_day() -> None:
    """The error by zone is near that of leaving out one zone after the other, and estimating all anew."""
    trips = drawn(3, -0.1, winters=(0,), weeks=4)
    sample = sample_of(trips[~trips["zone_id"].isin(CONTROL[12:])], facts_of(), Design("pickups", weeks=2))
    rows, regressors = sample.rows, ["effect", *sample.controls]
    estimate = estimate_of(sample)
    assert by_dummies(rows, regressors)[0] == pytest.approx(estimate.effect, abs=1e-6)
    assert estimate.degrees == rows["week"].nunique() - 1 == 3
    zones = rows["zone"].unique()
    without = [by_dummies(rows[rows["zone"] != zone], regressors)[0] for zone in zones]
    by_hand = math.sqrt((len(zones) - 1) / len(zones) * sum((each - estimate.effect) ** 2 for each in without))
    by_steps = math.sqrt(_jackknife(_fit(rows, regressors), rows["zone"].to_numpy())[0, 0])
    assert by_steps == pytest.approx(by_hand, rel=0.2)
    assert estimate.error >= by_steps


def test_weeks_show_when_it_began() -> None:
    events = event_study_of(sample_of(drawn(1, -0.3), facts_of(), Design("pickups", years_before=1)))
    assert [week.week for week in events.weeks] == [*range(-10, -2), *range(8)], "without the end of the year"
    before = [week.estimate.effect for week in events.weeks if week.week < 0]
    after = [week.estimate.effect for week in events.weeks if week.week >= 0]
    assert sum(before) == pytest.approx(0, abs=1e-9)
    assert events.num_leads == 7
    assert max(map(abs, before)) < 0.2 < min(map(abs, after))


def test_a_drift_before_the_fee_is_seen() -> None:
    import numpy as np

    trips = drawn(2, 0.0, winters=(0,))
    since = (trips["day"] - trips["day"].min()).dt.days / 7
    drifting = trips.assign(pickups=np.round(trips["pickups"] * np.exp(0.04 * since * trips["zone_id"].isin(INSIDE))))
    straight, drifted = (drift_of(sample_of(each, facts_of(), Design("pickups"))) for each in (trips, drifting))
    assert straight
    assert straight.p_value > 0.05
    assert drifted
    assert drifted.p_value < 0.05
    assert drifted.effect == pytest.approx(0.04, abs=0.015)


# Doubts


def test_random_zones_differ_as_much_unless_there_is_an_effect() -> None:
    facts, design = facts_of(), Design("pickups", weeks=4)
    nothing, much = (
        permutation_of(sample_of(drawn(5, effect, winters=(0,), season=0.0, weeks=6), facts, design))
        for effect in (0.0, -0.3)
    )
    assert nothing.p_value > 0.05
    assert much.p_value <= 0.002
    assert nothing.num_choices == 2000
    again = permutation_of(sample_of(drawn(5, -0.3, winters=(0,), season=0.0, weeks=6), facts, design))
    assert again == much, "the choices are the same each time"


def test_placebo_dates_lie_before_the_fee_and_show_what_happened_then() -> None:
    trips, planted = drawn(4, 0.0, winters=(0,), weeks=24, season=0.0), START - timedelta(weeks=16)
    moved = trips["zone_id"].isin(INSIDE) & (trips["day"].dt.date >= planted)
    changed = trips.assign(pickups=trips["pickups"].mask(moved, (trips["pickups"] * 0.6).round()))
    found = placebos_of(changed, facts_of(), Design("pickups", years_before=1))
    assert [placebo.start for placebo in found] == imagined_starts(changed, 4)
    assert max(placebo.start for placebo in found) + timedelta(days=14) <= START
    largest = min(found, key=lambda placebo: placebo.estimate.effect)
    assert largest.start == planted
    assert percent_of(largest.estimate.effect) == pytest.approx(-40, abs=4)
    assert share_as_large(found, 0.5) == pytest.approx((1 + (largest.estimate.effect < -0.5)) / (1 + len(found)))
    assert share_as_large(found, 0.0) == 1
    assert share_as_large([], 0.5) is None


# Zones and days


def test_zones_have_the_roles_that_a_map_shows() -> None:
    counted = Counter(_ROLES.values())
    assert counted == {
        Role.INSIDE: 38,
        Role.BORDER: counted[Role.BORDER],
        Role.AIRPORT: 3,
        Role.CONTROL: 222 - counted[Role.BORDER],
    }
    border = {zone for zone, role in _ROLES.items() if role is Role.BORDER}
    assert {43, 140, 142, 143, 237} <= border, "Central Park, Lenox Hill East, Lincoln Square and Upper East Side South"
    assert not border & CONGESTION_ZONE
    assert {zone for zone, role in _ROLES.items() if role is Role.AIRPORT} == {1, 132, 138}


def test_days_are_compared_with_the_same_weekdays_and_not_at_the_end_of_the_year() -> None:
    sample = sample_of(drawn(0, 0.0), facts_of(), Design("pickups", years_before=1))
    days = [day.date() for day in sample.days]
    assert not [day for day in days if is_end_of_year(day)]
    assert START in days
    assert START - timedelta(days=364) in days
    fee = {day for day in days if day >= date(2024, 7, 1)}
    assert {day - timedelta(days=364) for day in fee} == set(days) - fee
    assert sum(day < START for day in fee) <= 56
    with_all = sample_of(drawn(0, 0.0), facts_of(), Design("pickups", with_end_of_year=True))
    assert len(with_all.days) == 112
    assert sample.months() == Counter(f"{day:%Y-%m}" for day in days)


def test_of_control_zones_only_trips_away_from_the_zone_count() -> None:
    trips = even({}).assign(pickups_away=40.0)
    sample = sample_of(trips, facts_of(), Design("pickups"))
    assert dict(sample.rows.groupby("inside")["trips"].mean()) == {0.0: 40.0, 1.0: 100.0}
    everything = sample_of(trips, facts_of(), Design("pickups", away=False))
    assert dict(everything.rows.groupby("inside")["trips"].mean()) == {0.0: 100.0, 1.0: 100.0}


def test_what_is_not_there_is_said() -> None:
    trips = drawn(0, 0.0, winters=(0,))
    with pytest.raises(NoSampleError, match="0 days before 2025-01-05 and 0 from it on are loaded in both winters"):
        sample_of(trips, facts_of(), Design("pickups", years_before=2))
    after = trips[trips["day"].dt.date >= START - timedelta(days=27)]
    with pytest.raises(NoSampleError, match="13 days before 2025-01-05 and 56 from it on are loaded, of 8 weeks each"):
        sample_of(after, facts_of(), Design("pickups"))
    few = trips[~trips["zone_id"].isin(INSIDE[4:])]
    with pytest.raises(NoSampleError, match="4 zones inside and 30 control zones have 1 trip a day or more"):
        sample_of(few, facts_of(), Design("pickups"))


def test_weather_that_differs_inside_is_no_effect_of_the_fee() -> None:
    """Rain on more days after the start takes trips from zones inside alone."""
    import numpy as np
    import pandas as pd

    facts, trips = facts_of(), even({})
    rng = np.random.default_rng(0)
    wet = rng.random(len(facts)) < np.where(facts.index >= pd.Timestamp(START), 0.6, 0.2)
    facts["rain"] = wet.astype(float)
    rained = trips["zone_id"].isin(INSIDE) & trips["day"].map(facts["rain"]).astype(bool)
    trips = trips.assign(pickups=trips["pickups"].mask(rained, 80.0))
    without, with_weather = (
        estimate_of(sample_of(trips, facts, Design("pickups", weather=weather))).effect for weather in (False, True)
    )
    assert without < -0.05
    assert with_weather == pytest.approx(0, abs=1e-6)


# Words


def study_with(
    estimate: tuple[float, float] = (-0.1, 0.02),
    *,
    winter: int | None = 1,
    drift_p: float = 0.5,
    permutation_p: float = 0.01,
    placebos: Sequence[float] = (0.01,) * 12,
    other: float = -0.1,
    fleet: str = "yellow",
) -> FleetStudy:
    """A study with these numbers: effect and error of the estimate (of many degrees of freedom), and what doubts it."""
    many = 10**6
    trips, design = even({}, winters=(0, 1)), Design("pickups", years_before=winter)
    sample = sample_of(trips, facts_of(), design)
    other_choice = Choice("border", "with border zones", design, sample, Estimate(other, 0.02, many))
    from scipy.stats import norm

    drift = Estimate(float(norm.isf(drift_p / 2)) * 0.01, 0.01, many)
    return FleetStudy(
        fleet,
        num_days=100,
        main=Choice("main", "the estimate of the answer", design, sample, Estimate(*estimate, many)),
        others=(other_choice,),
        drift=drift,
        permutation=Permutation(estimate[0], permutation_p, 2000),
        placebos=tuple(Placebo(date(2024, 3, 3), Estimate(value, 0.01, 5)) for value in placebos),
        trips_a_day=1000.0,
    )


@pytest.mark.parametrize(
    ("study", "kind", "words"),
    [
        ({}, Kind.FEWER, r"fewer trips because of the fee\. .*changed by .9\.5.% \(95% interval .13\.0.% to .5\.9.%\)"),
        ({}, Kind.FEWER, "105 trips a day fewer than without it"),
        ({"estimate": (0.1, 0.02), "other": 0.1}, Kind.MORE, "more trips because of the fee.* 95 trips a day more"),
        ({"estimate": (-0.0393, 0.02)}, Kind.FEWER, "because of the fee"),
        ({"estimate": (-0.0391, 0.02)}, Kind.CAN_NOT_TELL, "holds both a fall and a rise"),
        ({"estimate": (0.0, 0.024)}, Kind.NO_LARGE_CHANGE, "a larger change than that is not likely"),
        ({"estimate": (0.0, 0.026)}, Kind.CAN_NOT_TELL, "holds both a fall and a rise"),
        ({"winter": None}, Kind.CAN_NOT_TELL, "no earlier winter are loaded, so what January does"),
        ({"estimate": (0.0, 0.01), "winter": None}, Kind.CAN_NOT_TELL, "no earlier winter"),
        ({"drift_p": 0.051}, Kind.FEWER, "because of the fee"),
        ({"drift_p": 0.049}, Kind.CAN_NOT_TELL, r"moved away .* before the fee, too, by \+2\.0.% a week"),
        ({"permutation_p": 0.05}, Kind.FEWER, "because of the fee"),
        ({"permutation_p": 0.06}, Kind.CAN_NOT_TELL, "differ as much from the others in 6% of 2,000 choices"),
        ({"placebos": (0.01,) * 9}, Kind.FEWER, "because of the fee"),
        ({"placebos": (0.01,) * 8}, Kind.CAN_NOT_TELL, "8 dates before the fee are too few"),
        ({"placebos": (0.01,) * 11 + (-0.2,)}, Kind.CAN_NOT_TELL, "of 12 dates before the fee 1 show"),
        ({"placebos": (0.01,) * 18 + (-0.2,)}, Kind.FEWER, "because of the fee"),
        ({"placebos": ()}, Kind.CAN_NOT_TELL, "no weeks before the fee are loaded"),
        ({"other": 0.001}, Kind.CAN_NOT_TELL, "the sign is the other one with border zones"),
    ],
)  # fmt: skip
def test_the_answer_follows_from_the_numbers(study: dict[str, Any], kind: Kind, words: str) -> None:
    import re

    verdict = verdict_of(study_with(**study))
    assert verdict.kind is kind, verdict.paragraph
    assert re.search(words, verdict.paragraph), verdict.paragraph
    assert bool(verdict.reasons) is (kind is Kind.CAN_NOT_TELL)
    assert verdict.paragraph.startswith("Yellow taxi: ")


def test_without_days_there_is_no_estimate() -> None:
    trips = drawn(0, 0.0, winters=(0,))
    study = study_of(FleetPanel("yellow", trips[trips["day"].dt.date < START], synthetic=False), facts_of())
    verdict = verdict_of(study)
    assert verdict.kind is Kind.NO_ESTIMATE
    assert verdict.paragraph == (
        "No estimate: 56 days before 2025-01-05 and 0 from it on are loaded, of 8 weeks each, and 14 are needed on "
        "each side."
    )
    nothing = study_of(FleetPanel("yellow", trips.iloc[:0], synthetic=False), facts_of())
    assert "no day from the winters around it is loaded" in verdict_of(nothing).paragraph


# Page, picture, table


@pytest.fixture(scope="module")
def studies() -> list[FleetStudy]:
    """A fleet with a planted effect, and one of which nothing is loaded."""
    planted, facts = drawn(7, -0.25, weeks=14), facts_of()
    panels = [FleetPanel("yellow", planted, synthetic=True), FleetPanel("green", planted.iloc[:0], synthetic=False)]
    return [study_of(panel, facts, num_permutations=199) for panel in panels]


def bytes_of(studies: Sequence[FleetStudy]) -> tuple[str, bytes, str]:
    page = page_of(studies, csv="congestion_fee.csv", png="congestion_fee.png")
    return page, draw_study(studies), csv_text(HEADER, table_rows(studies))


def test_equal_trips_give_equal_bytes(studies: list[FleetStudy]) -> None:
    again = study_of(FleetPanel("yellow", drawn(7, -0.25, weeks=14), synthetic=True), facts_of(), num_permutations=199)
    assert bytes_of([again, studies[1]]) == bytes_of(studies)


def test_the_page_shows_the_numbers_of_the_table(studies: list[FleetStudy]) -> None:
    page, png, table = bytes_of(studies)
    root = ElementTree.fromstring(page)  # noqa: S314 - our own
    text = " ".join(" ".join(root.itertext()).split())
    rows = list(csv.DictReader(table.splitlines()))
    main = next(row for row in rows if row["kind"] == "estimate")
    assert f"{float(main['change_percent']):+.1f} %".replace("-", "\N{MINUS SIGN}") in text
    assert [row["kind"] for row in rows if row["fleet"] == "green"] == ["verdict", "estimate"]
    answers = {element.attrib["data-fleet"]: element for element in root.iter() if "data-fleet" in element.attrib}
    assert {fleet: element.attrib["data-verdict"] for fleet, element in answers.items()} == {
        row["fleet"]: row["name"] for row in rows if row["kind"] == "verdict"
    }
    assert "Synthetic data." in text
    assert "No estimate: no day from the winters around it is loaded." in text
    links = {element.attrib["href"] for element in root.iter() if "href" in element.attrib}
    assert links == {"congestion_fee.csv", "congestion_fee.png"}, "it uses nothing of other servers"
    assert not [element for element in root.iter() if element.tag.endswith(("script", "img", "link"))]
    assert png.startswith(b"\x89PNG")


def test_each_choice_is_tried_or_says_why_not(studies: list[FleetStudy]) -> None:
    yellow = studies[0]
    assert {choice.name for choice in yellow.others} == {
        *("weeks_4", "weeks_12", "no_holidays", "no_weather", "border", "airports", "manhattan", "all_trips"),
        *("end_of_year", "dropoffs", "winter_2", "winter_3", "winter_0"),
    }
    assert yellow.main.design.weather, "the weather of all days is known"
    assert all((choice.estimate is None) is bool(choice.why_none) for choice in yellow.others)
    assert {choice.name for choice in yellow.others if choice.estimate is None} == {"winter_2", "winter_3", "manhattan"}


# The warehouse


DAYS = Days(date(2024, 12, 1), date(2025, 1, 31))


def loaded(folder: Path, mirror: Path, paths: Sequence[Path]) -> DuckDBWarehouse:
    """A warehouse with the trips of these files, their rollups, and the mirror's weather, if it has any."""
    warehouse = load_months(paths, folder)
    for path in paths:
        warehouse.change(count_again, Days.of_month(date.fromisoformat(f"{path.stem[-7:]}-01")), ["zone_hourly_trips"])
    if (weather := mirror / "misc" / WEATHER_SOURCE.file).is_file():
        warehouse.change(replace_contents, WEATHER_SOURCE, read_weather(weather))
    return warehouse


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Two months of synthetic yellow trips, loaded."""
    folder = tmp_path_factory.mktemp("fee")
    files = write_mirror(folder / "mirror", DAYS, trips_per_day=1500)
    months = [path for path in files if path.suffix == ".parquet"]
    warehouse = loaded(folder / "data", folder / "mirror", months)
    return pipeline_in(folder / "data", folder / "mirror", ("yellow", "green"), warehouse=warehouse)


def made(pipeline: Pipeline) -> dict[str, Any]:
    """The metadata of the asset, materialized."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [congestion_fee],
            resources=pipeline.resources,
            instance=instance,
            run_config=QUIET,
            raise_on_error=False,
        )
    assert result.success, error_of(result)
    (materialization,) = materializations_of(result, "congestion_fee")
    return {name: value.value for name, value in materialization.metadata.items()}


def test_the_asset_counts_trips_and_writes_the_same_files_again(pipeline: Pipeline) -> None:
    metadata = made(pipeline)
    assert metadata["yellow_verdict"] == "can't tell"
    assert "the same weeks of no earlier winter are loaded" in metadata["yellow_answer"]
    assert metadata["yellow_days"] == "2024-12 (21 days), 2025-01 (27 days)"
    assert metadata["green_verdict"] == "no estimate"
    assert metadata["synthetic"] is True
    names = [f"outputs/congestion_fee.{ending}" for ending in ("html", "csv", "png")]
    first = {name: pipeline.files.read(name) for name in names}
    made(pipeline)
    assert {name: pipeline.files.read(name) for name in names} == first
    assert b"Synthetic data." in first["outputs/congestion_fee.html"]


def test_the_panel_has_what_plain_queries_count(pipeline: Pipeline) -> None:
    inside = f"({', '.join(map(str, sorted(CONGESTION_ZONE)))})"
    with pipeline.warehouse.read() as session:
        panel, facts = fleet_panel(session, "yellow", DAYS), day_facts(session, DAYS)
    assert len(panel.trips) == 62 * 263
    assert panel.synthetic
    for outcome, zone in (("pickups", "pickup_zone_id"), ("dropoffs", "dropoff_zone_id")):
        kinds = {
            outcome: f"SELECT count(*) FROM {'net_trips' if outcome == 'pickups' else 'trips'} WHERE {zone} <= 263",
            f"{outcome}_away": f"SELECT count(*) FROM trips WHERE {zone} <= 263 AND pickup_zone_id NOT IN {inside} "
            f"AND dropoff_zone_id NOT IN {inside}",
        }
        for column, sql in kinds.items():
            ((expected,),) = pipeline.rows(sql)
            assert panel.trips[column].sum() == pytest.approx(expected, rel=0.01 if column == "pickups_away" else 0)
    ((day, zone, trips),) = pipeline.rows(
        "SELECT pickup_date, dropoff_zone_id, count(*) FROM trips WHERE dropoff_zone_id = 161 "
        "AND pickup_date = DATE '2024-12-24' GROUP BY 1, 2"
    )
    found = panel.trips[(panel.trips["day"].dt.date == day) & (panel.trips["zone_id"] == zone)]
    assert found["dropoffs"].item() == trips
    assert facts["holiday"].sum() == 3, "Christmas, New Year's Day and Martin Luther King's"
    assert facts["rain"].notna().all()


def test_with_days_on_one_side_only_it_says_so_and_does_not_fail(tmp_path: Path) -> None:
    files = write_mirror(
        tmp_path / "mirror", Days(date(2024, 11, 1), date(2024, 11, 30)), fleet="green", trips_per_day=50
    )
    months = [path for path in files if path.suffix == ".parquet"]
    warehouse = loaded(tmp_path / "data", tmp_path / "mirror", months)
    metadata = made(pipeline_in(tmp_path / "data", tmp_path / "mirror", ("green",), warehouse=warehouse))
    assert metadata["green_verdict"] == "no estimate"
    assert "0 from it on are loaded" in metadata["green_answer"]
    assert metadata["green_days"] == "none"


def test_it_is_made_again_when_trips_or_weather_are_loaded() -> None:
    specs = [dg.AssetSpec("weather_days"), dg.AssetSpec("zone_hourly_trips"), dg.AssetSpec("taxi_trips")]
    definitions = dg.Definitions(
        assets=[*specs, congestion_fee], resources=dict.fromkeys(("warehouse", "files", "tlc", "pages"), None)
    )
    with dg.DagsterInstance.ephemeral() as instance:
        cursor, asked = None, []
        for reported in (None, "zone_hourly_trips", None, "congestion_fee", "weather_days", None):
            if reported:
                instance.report_runless_asset_event(dg.AssetMaterialization(reported))
            result = dg.evaluate_automation_conditions(
                definitions, instance, dg.AssetSelection.assets("congestion_fee"), cursor=cursor
            )
            cursor = result.cursor
            asked.append(result.total_requested)
    assert asked == [0, 1, 0, 0, 1, 0]


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("months", "kind", "days", "change"),
    [
        (
            ("2024-01", "2024-12", "2025-01"),
            Kind.CAN_NOT_TELL,
            {"2024-12": 21, "2025-01": 27},
            -3.3,
        ),
        (
            ("2022-12", "2023-01", "2023-02", "2024-12", "2025-01"),
            Kind.CAN_NOT_TELL,
            {"2022-12": 18, "2023-01": 24, "2023-02": 3, "2024-12": 18, "2025-01": 27},
            9.2,
        ),
    ],
)
def test_green_taxis_really(
    real_tlc: Path, tmp_path: Path, months: Sequence[str], kind: Kind, days: dict[str, int], change: float
) -> None:
    """What the published months say: January after the holidays, and nothing of the fee."""
    paths = [real_tlc / "trip-data" / f"green_tripdata_{month}.parquet" for month in months]
    asked = loaded(tmp_path, real_tlc, paths).query(fee_panel, ["green"])
    study = study_of(asked.panels[0], asked.facts)
    assert study.main.sample
    assert study.main.estimate
    assert study.main.design.outcome == "dropoffs"
    assert study.main.sample.months() == days
    assert verdict_of(study).kind is kind
    assert percent_of(study.main.estimate.effect) == pytest.approx(change, abs=0.05)
    assert not excludes_zero(study.main.estimate)
    assert not study.weather_known
