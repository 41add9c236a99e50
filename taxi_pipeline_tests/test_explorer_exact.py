"""Any selection in the explorer is exact: what its page shows, compared with SQL over the trips."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from taxi_pipeline.outputs.explorer.data import explorer_data
from taxi_pipeline.outputs.explorer.page import page_of
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline_tests.browsers import browser_or_skip, open_explorer
from taxi_pipeline_tests.pipelines import Pipeline, loaded_sample, pipeline_in

FLEETS = ("yellow", "green", "fhv", "fhvhv")
NUM_SELECTIONS = 200
READ = Path(__file__).parent / "explorer_readings.js"
"""Makes a selection with the page's own code and reads what the page shows then: for each of many."""


@dataclass(frozen=True)
class Selection:
    """What is chosen on the page; None is all."""

    count: str
    fleet: str | None
    weeks: tuple[date, date]
    """The Sundays of the first and last week."""
    weekdays: Sequence[int] | None
    hours: Sequence[int] | None
    zones: Sequence[int] = field(default=())
    borough: str | None = None

    def fragment(self) -> str:
        """The page's address for it."""
        parts = [self.count, self.fleet or "all", f"{self.weeks[0]}..{self.weeks[1]}"]
        parts += [f"weekdays {'.'.join(map(str, self.weekdays))}"] if self.weekdays else []
        parts += [f"hours {'.'.join(map(str, self.hours))}"] if self.hours else []
        zones = f"&zone={' '.join(map(str, self.zones))}" if self.zones else ""
        return f"show={','.join(parts)}{zones}{f'&borough={self.borough}' if self.borough else ''}"


def any_selection(
    numbers: random.Random, weeks: Sequence[date], fleets: Sequence[str], num_per_period: int
) -> Selection:
    """Draw one; weeks are those of whole periods, as far as there are weeks."""

    def some(values: Sequence[int]) -> list[int] | None:
        chosen = sorted(numbers.sample(values, numbers.randint(1, len(values))))
        return None if numbers.random() < 0.3 or len(chosen) == len(values) else chosen

    first, last = sorted((numbers.randrange(len(weeks)), numbers.randrange(len(weeks))))
    first = first // num_per_period * num_per_period
    last = min(len(weeks), (last // num_per_period + 1) * num_per_period) - 1
    borough = numbers.choice([None, None, "Queens", "Manhattan"])
    zones = some(range(1, 264)) if borough is None and numbers.random() < 0.7 else None
    if zones and numbers.random() < 0.7:
        zones = zones[:: max(1, len(zones) // 4)]
    return Selection(
        numbers.choice(["pickups", "net", "dropoffs"]),
        numbers.choice([None, *fleets]) if len(fleets) > 1 else fleets[0],
        (weeks[first], weeks[last]),
        some(range(7)),
        some(range(24)),
        zones or (),
        borough,
    )


def counted(session: Session, selection: Selection, fleets: Sequence[str], num_per_period: int) -> dict[str, Any]:
    """What the page has to show, by SQL over the trips; a part is left open where the page shows what else there is."""
    end = "dropoff" if selection.count == "dropoffs" else "pickup"
    table = "kept_net_trips" if selection.count == "net" else "trips"
    weekday, hour = "isodow(pickup_date) % 7", f"hour({end}_datetime)"
    tests = {
        "weeks": f"pickup_date BETWEEN '{selection.weeks[0]}' AND '{selection.weeks[1] + timedelta(days=6)}'",
        "weekdays": f"{weekday} IN ({', '.join(map(str, selection.weekdays))})" if selection.weekdays else "TRUE",
        "hours": f"{hour} IN ({', '.join(map(str, selection.hours))})" if selection.hours else "TRUE",
        "zones": "TRUE",
    }
    if selection.zones:
        tests["zones"] = f"{end}_zone_id IN ({', '.join(map(str, selection.zones))})"
    elif selection.borough:
        tests["zones"] = f"{end}_zone_id IN (SELECT zone_id FROM zones WHERE borough = '{selection.borough}')"

    def trips(part: str, by: str, *without: str) -> str:
        where = " AND ".join(test for name, test in tests.items() if name not in without)
        return (
            f"SELECT '{part}', {by}, count(*) FROM {table} WHERE fleet IN (SELECT unnest(?)) AND {where} GROUP BY ALL"
        )

    chosen = [selection.fleet] if selection.fleet else list(fleets)
    days = 7 * num_per_period if selection.weekdays or selection.hours else 7
    (first,) = session.row("SELECT min(pickup_date - CAST(isodow(pickup_date) % 7 AS INTEGER)) FROM loaded_days")
    parts = [
        trips("total", "0"),
        trips("zones", f"{end}_zone_id", "zones"),
        trips("weeks", f"(pickup_date - DATE '{first:%Y-%m-%d}') // {days}", "weeks"),
        trips("hours", hour, "hours"),
        trips("cells", f"{weekday} * 24 + {hour}", "weekdays", "hours"),
    ]
    found: dict[str, Any] = {"total": 0, "zones": {}, "weeks": {}, "hours": {}, "cells": {}}
    for part, key, num_trips in session.rows(" UNION ALL ".join(parts), [chosen] * len(parts)):
        if part == "total":
            found[part] = num_trips
        elif key is not None and (part != "zones" or key < 264):
            found[part][str(key)] = num_trips
    return found


def differences(
    pipeline: Pipeline,
    fleets: Sequence[str],
    folder: Path,
    num_selections: int = NUM_SELECTIONS,
    most_bytes: int | None = None,
) -> tuple[list[Any], int]:
    """Selections whose page and SQL differ, and the weeks that the page counts together."""
    sizes = {} if most_bytes is None else {"most_bytes": most_bytes}
    data = pipeline.warehouse.query(explorer_data, fleets, **sizes)
    (folder / "page.html").write_text(page_of(data))
    weeks = [date.fromisoformat(week) for week in data["weeks"]]
    together = data["weeks_per_period"]
    numbers = random.Random(32)  # noqa: S311 - no secrets
    selections = [any_selection(numbers, weeks, fleets, together) for _ in range(num_selections)]
    if not data["num_void_rows"]:
        selections = [each for each in selections if each.count != "net"]
    # Opened when Dagster is done: both want the thread's event loop for themselves.
    with browser_or_skip() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        open_explorer(page, (folder / "page.html").as_uri())
        shown = page.evaluate(READ.read_text(), [each.fragment() for each in selections])
        page.close()
    assert len({json.dumps(each) for each in shown}) > len(shown) / 2, "the page follows what is chosen"
    with pipeline.warehouse.read() as session:
        session.keep("kept_net_trips", "SELECT * FROM net_trips")
        found = [counted(session, each, fleets, together) for each in selections]
    different = [
        (selection, part, page_part[part], sql_part[part])
        for selection, page_part, sql_part in zip(selections, shown, found, strict=True)
        for part in sql_part
        if page_part[part] != sql_part[part]
    ]
    return different, together


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Four weeks and two days of four fleets, and voids of one day. Read it, never write to it."""
    days = Days(date(2023, 1, 8), date(2023, 2, 6))
    trips_per_day = {"yellow": 300, "green": 100, "fhv": 100, "fhvhv": 300}
    return loaded_sample(tmp_path_factory.mktemp("loaded"), days, trips_per_day)


@pytest.mark.slow
def test_any_selection_is_what_sql_counts(loaded: Pipeline, tmp_path: Path) -> None:
    assert differences(loaded, FLEETS, tmp_path) == ([], 1)


ENDS = """(fragments) => fragments.map((fragment) => {
  choose(viewFromFragment(fragment));
  const labelled = (path) => /([\\d,]+) of their trips/.exec(path.getAttribute("aria-label")) || [0, "0"];
  const trips = (path) => Number(labelled(path)[1].replaceAll(",", ""));
  const paths = [...document.querySelectorAll("#map path[data-zone]")];
  return [
    document.getElementById("pairs-note").textContent,
    Object.fromEntries(paths.map((path) => [path.dataset.zone, trips(path)]).filter(([, number]) => number)),
  ];
})"""


@pytest.mark.slow
def test_where_trips_of_zones_go_and_come_from_is_what_sql_counts(loaded: Pipeline, tmp_path: Path) -> None:
    """By months, in which the chosen weeks lie; the page names them."""
    months = {"2023-01-08..2023-01-15": ("2023-01", "<"), "2023-01-29..2023-02-05": ("2023-01 to 2023-02", "<=")}
    (tmp_path / "page.html").write_text(page_of(loaded.warehouse.query(explorer_data, FLEETS)))
    asked = [
        (count, fleet, weeks, zones)
        for count in ("pickups", "dropoffs")
        for fleet in ("all", "fhvhv")
        for weeks in months
        for zones in ("132", "79 132 230")
    ]
    fragments = [f"show={count},{fleet},{weeks}&zone={zones}&map=ends" for count, fleet, weeks, zones in asked]
    with browser_or_skip() as browser:
        page = browser.new_page()
        open_explorer(page, (tmp_path / "page.html").as_uri())
        shown = page.evaluate(ENDS, fragments)
        page.close()
    with loaded.warehouse.read() as session:
        for (count, fleet, weeks, zones), (note, ends) in zip(asked, shown, strict=True):
            here, there = ("pickup", "dropoff") if count == "pickups" else ("dropoff", "pickup")
            words, until = months[weeks]
            rows = session.rows(
                f"SELECT {there}_zone_id, count(*) FROM trips WHERE {here}_zone_id IN ({zones.replace(' ', ',')}) "
                f"AND (fleet = ? OR ? = 'all') AND pickup_date {until} '2023-02-{'01' if until == '<' else '28'}' "
                "GROUP BY ALL",
                [fleet, fleet],
            )
            assert ends == {str(zone): trips for zone, trips in rows if zone < 264}
            assert note.startswith(f"{sum(trips for _, trips in rows):,} trips, of the months {words}.")


@pytest.mark.slow
def test_a_page_that_may_not_be_large_counts_weeks_together_and_stays_exact(loaded: Pipeline, tmp_path: Path) -> None:
    """Weeks by themselves are still told apart."""
    different, together = differences(loaded, FLEETS, tmp_path, num_selections=60, most_bytes=700_000)
    assert different == []
    assert together > 1


@pytest.mark.slow
@pytest.mark.real_data
def test_any_selection_of_two_real_months_is_what_sql_counts(real_tlc: Path, tmp_path: Path) -> None:
    pipeline = pipeline_in(tmp_path / "data", real_tlc, ("green",))
    pipeline.load("2023-01-01", "2023-02-28")
    assert differences(pipeline, ["green"], tmp_path) == ([], 1)
