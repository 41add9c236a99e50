"""Years in the zone explorer: the size of its page, and how fast it answers in a headless Chromium.

The trips are drawn: each zone and hour of the week of a synthetic month gives the mean of a Poisson distribution, in
every week anew. So numbers scatter as those of real trips do, which is what decides how well they are packed.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.outputs.explorer.cube import NUM_ZONES, WEEKDAYS, Entries, PairEntries
from taxi_pipeline.outputs.explorer.data import entries_of, packed_data
from taxi_pipeline.outputs.explorer.page import page_of

if TYPE_CHECKING:
    import numpy as np

TRIPS_PER_DAY = {"yellow": 110_000, "green": 2_500, "fhv": 50_000, "fhvhv": 600_000}
HISTORIES = (
    ("62 months of green taxis", {"green": 20_000}, 270),
    ("10 years of yellow taxis", {"yellow": 300_000}, 522),
    ("3 years of four fleets", TRIPS_PER_DAY, 157),
)
"""Name, trips a day of each fleet, weeks."""
LOADED_WEEKS = [date(2023, 1, 8) + timedelta(weeks=n) for n in range(4)]
"""The Sundays of the synthetic month."""

ANSWERS = """async () => {
  const between = (limit) => Math.floor(random() * limit);
  let seed = 32;
  function random() { seed = (seed * 16807) % 2147483647; return seed / 2147483647; }
  const some = (limit) => {
    const first = between(limit);
    return random() < 0.3 ? null : d3.range(first, first + 1 + between(limit - first));
  };
  const found = [];
  for (let n = 0; n < 200; n++) {
    const [one, other] = [between(data.weeks.length), between(data.weeks.length)];
    const brushes = [
      { weekdays: some(7) }, { hours: some(24) }, { weekdays: some(7), hours: some(24) },
      { from: Math.min(one, other), to: Math.max(one, other) },
    ];
    const selection = widened({ ...view.selection, ...brushes[n % brushes.length] });
    const zones = n % 5 ? view.zones : placed.filter(() => random() < 0.3).map((zone) => zone.id);
    const began = performance.now();
    choose({ selection, zones });
    found.push(performance.now() - began);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  return found;
}"""
"""Brushes over weekdays, hours, both and weeks, some with other zones: milliseconds until the page shows the answer."""

BUFFERS = """() => {
  const arraysOf = (cube) => [...cube.rows, ...cube.sums, ...cube.totals, cube.all, cube.cells, cube.bySlotOf];
  const arrays = [...cubes.values()].flatMap(arraysOf);
  return d3.sum(new Set(arrays.filter(Boolean).map((array) => array.buffer)), (buffer) => buffer.byteLength);
}"""
"""The bytes of the unpacked numbers, which lie beside the heap of objects."""


@dataclass(frozen=True)
class Measured:
    """What a page takes."""

    num_bytes: int
    weeks_together: int
    first_paint: float
    """Milliseconds, as Chromium reports it."""
    whole: float
    """Milliseconds from the beginning until all numbers are unpacked."""
    answers: Sequence[float]
    """Milliseconds, ascending."""
    memory: int
    """Bytes of the page's objects and buffers."""


def rates_of(session: Any, fleets: Sequence[str]) -> dict[tuple[str, str], "np.ndarray"]:
    """Mean trips by fleet and kind: arrays by zone, weekday and hour."""
    import numpy as np

    found = {}
    for fleet in fleets:
        for each in entries_of(session, fleet, LOADED_WEEKS):
            if each.count != "voids":
                rates = np.zeros((NUM_ZONES, WEEKDAYS, 24))
                np.add.at(rates, (each.zones, each.days % WEEKDAYS, each.hours), each.trips / len(LOADED_WEEKS))
                found[fleet, each.count] = rates
    return found


def drawn(
    rates: Mapping[tuple[str, str], "np.ndarray"], trips_per_day: Mapping[str, int], num_weeks: int
) -> list[Entries]:
    """Trips of these fleets in so many weeks, at so many a day."""
    import numpy as np

    numbers = np.random.default_rng(32)
    entries = []
    for (fleet, count), rate in rates.items():
        if fleet not in trips_per_day:
            continue
        mean = rate * (trips_per_day[fleet] * WEEKDAYS / rate.sum())
        trips = numbers.poisson(mean, (num_weeks, *mean.shape)).astype(np.int64)
        week, zone, weekday, hour = np.nonzero(trips)
        entries.append(Entries(fleet, count, zone, week * WEEKDAYS + weekday, hour, trips[week, zone, weekday, hour]))
    return entries


def drawn_pairs(session: Any, trips_per_day: Mapping[str, int], num_months: int) -> list[PairEntries]:
    """Trips from zone to zone in so many months, as often as those of the warehouse at so many a day."""
    import numpy as np

    numbers = np.random.default_rng(32)
    entries = []
    for fleet, per_day in trips_per_day.items():
        rows = session.rows(
            "SELECT pickup_zone_id, dropoff_zone_id, count(*) FROM trips WHERE fleet = ? GROUP BY ALL ORDER BY ALL",
            [fleet],
        )
        pickups, dropoffs, trips = (np.array(column) for column in zip(*rows, strict=True))
        drawn = numbers.poisson(trips * (30.4 * per_day / trips.sum()), (num_months, len(trips)))
        month, pair = np.nonzero(drawn)
        entries.append(PairEntries(fleet, pickups[pair], dropoffs[pair], month, drawn[month, pair]))
    return entries


def page_with(session: Any, entries: Sequence[Entries], trips_per_day: Mapping[str, int], num_weeks: int) -> str:
    """The page as it is with these trips, and with the zones of the warehouse."""
    fleets = tuple(trips_per_day)
    weeks = [date(2014, 1, 5) + timedelta(weeks=n) for n in range(num_weeks)]
    pairs = drawn_pairs(session, trips_per_day, num_weeks * 12 // 52)
    data = packed_data(session, fleets, weeks, entries, pairs)
    data["days"] = {fleet: [127] * num_weeks for fleet in (*fleets, "all")}
    return page_of(data)


def measured(html: str, folder: Path) -> Measured:
    """Open the page in a browser of its own and choose 200 times."""
    from taxi_pipeline_tests.browsers import opened_browser

    path = folder / "explorer.html"
    path.write_text(html, encoding="utf-8")
    with opened_browser() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        began = time.monotonic()
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-unpacked=all]", timeout=60_000)
        whole = 1000 * (time.monotonic() - began)
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1")
        answers = sorted(page.evaluate(ANSWERS))
        together = page.evaluate("periodWeeks")
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        memory = int(session.send("Runtime.getHeapUsage")["usedSize"]) + page.evaluate(BUFFERS)
        page.close()
    return Measured(len(html.encode()), together, paint, whole, answers, memory)


def main(folder: Path) -> None:
    """Print a line of JSON for each history: name, bytes, weeks together, and seconds."""
    from taxi_pipeline.tlc.months import Days
    from taxi_pipeline_tests.pipelines import loaded_sample

    days = Days(LOADED_WEEKS[0], LOADED_WEEKS[-1] + timedelta(days=WEEKDAYS - 1))
    pipeline = loaded_sample(folder, days, {fleet: min(trips, 40_000) for fleet, trips in TRIPS_PER_DAY.items()})
    with pipeline.warehouse.read() as session:
        rates = rates_of(session, tuple(TRIPS_PER_DAY))
        pages = [
            (name, page_with(session, drawn(rates, trips_per_day, num_weeks), trips_per_day, num_weeks))
            for name, trips_per_day, num_weeks in HISTORIES
        ]
    for name, html in pages:
        found = measured(html, folder)
        middle, late = (found.answers[len(found.answers) * share // 100] / 1000 for share in (50, 95))
        row = (name, found.num_bytes, found.weeks_together, found.first_paint / 1000, found.memory, middle, late)
        sys.stdout.write(f"{json.dumps(row)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
