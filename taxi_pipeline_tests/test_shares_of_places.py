"""Shares of boroughs and zones: one denominator in all outputs, the trips in known zones, with the others beside it."""

import re
from datetime import date
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from taxi_pipeline.defs.assets import city_map, monthly_report, zone_explorer
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline_tests.browsers import browser_or_skip, open_explorer
from taxi_pipeline_tests.pipelines import LOADING, Pipeline, materializations_of, pipeline_in

FILE = "trip-data/fhv_tripdata_2023-02.parquet"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A day of for-hire vehicles, most of them without a pickup zone, as published in 2020. Read it only."""
    folder = tmp_path_factory.mktemp("shares")
    write_mirror(folder / "mirror", Days(date(2023, 2, 5), date(2023, 2, 5)), fleet="fhv", trips_per_day=900)
    table = pq.read_table(folder / "mirror" / FILE)
    place = next(n for n, name in enumerate(table.column_names) if name.lower() == "pulocationid")
    # Of twenty rows sixteen have no zone, and one lies outside the city.
    zones = [
        None if n % 20 < 16 else 265 if n % 20 == 16 else zone for n, zone in enumerate(table.column(place).to_pylist())
    ]
    column = pa.array(zones, table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.column_names[place], column), folder / "mirror" / FILE)
    pipeline = pipeline_in(folder / "data", folder / "mirror", ("fhv",))
    pipeline.run("2023-02-05", select=["taxi_zones_file", "taxi_zones", *LOADING, zone_explorer])
    return pipeline


@pytest.fixture(scope="module")
def counted(loaded: Pipeline) -> dict[str, int]:
    """Pickups, asked of the trips: all, those in known zones, and those of Manhattan."""
    ((total, known, manhattan),) = loaded.rows(
        "SELECT count(*), count(*) FILTER (pickup_zone_id <= 263), count(*) FILTER (borough = 'Manhattan') "
        "FROM trips JOIN zones ON zone_id = pickup_zone_id"
    )
    assert known < total / 4, "most trips have no zone"
    return {"total": total, "known": known, "manhattan": manhattan, "others": total - known}


def test_the_report_divides_by_pickups_in_known_zones(loaded: Pipeline, counted: dict[str, int]) -> None:
    """Regression: a share of all trips, which is small where few zones are published."""
    result = loaded.report(monthly_report, "2023-02-01")
    assert result.success
    root = ElementTree.fromstring(loaded.files.read("outputs/reports/2023-02.html"))  # noqa: S314 - our own
    figures = {
        element.attrib["data-figure"]: element.text for element in root.iter() if "data-figure" in element.attrib
    }
    assert figures["manhattan_share"] == f"{counted['manhattan'] / counted['known']:.2%}"
    assert figures["num_unplaced"] == f"{counted['others']:,}"
    named = {element.attrib["id"]: element.text or "" for element in root.iter() if "id" in element.attrib}
    note = (
        f"Shares are of the {counted['known']:,} in known zones; {counted['others']:,} more are outside the zones or "
        "not known."
    )
    assert named["shares"] == note
    assert named["finding"].endswith(
        f"in Manhattan and {figures['airport_share'] and float(figures['airport_share'].rstrip('%')):.1f}% at an "
        f"airport; {counted['others']:,} were outside the zones or not known."
    )
    busiest = [element.attrib["data-busiest"] for element in root.iter() if "data-busiest" in element.attrib]
    assert not {"264", "265"} & set(busiest), "which are no zones"
    numbers = loaded.files.read("outputs/reports/2023-02.csv").decode()
    assert f"month,num_unplaced,{counted['others']}\n" in numbers
    (made,) = materializations_of(result, "monthly_report")
    assert f"'{counted['others']:,}'" in str(made.metadata["numbers"].value)


def test_the_map_of_the_city_has_the_same_share(
    loaded: Pipeline, counted: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the map said 89.0 %, the report 87.9 %."""
    saved: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k))[1])
    result = loaded.run("2023-02-05", select=[city_map])
    words = [text.get_text() for figure in saved for text in (*figure.texts, *figure.axes[1].texts)]
    assert f"Manhattan\n{counted['manhattan'] / counted['known']:.1%}" in words
    assert (
        f"Shares are of the {counted['known']:,} in known zones; {counted['others']:,} more are "
        "outside the zones or not known." in (words)
    )
    assert f"5 February 2023 · {counted['total']:,} trips" in words
    (made,) = materializations_of(result, "city_map")
    assert made.metadata["trips_in_no_known_zone"].value == counted["others"]


@pytest.mark.slow
def test_the_explorer_divides_by_what_is_on_its_map(loaded: Pipeline, counted: dict[str, int]) -> None:
    """Regression: a zone's share was of all trips, and "Not known" led the list of destinations."""
    rows = loaded.rows(
        "SELECT zone, borough, count(*) AS trips FROM trips JOIN zones ON zone_id = pickup_zone_id "
        "WHERE zone_id <= 263 GROUP BY ALL ORDER BY trips DESC, zone LIMIT 1"
    )
    ((zone, borough, trips),) = rows
    ends = dict(loaded.rows("SELECT borough, count(*) FROM trips JOIN zones ON zone_id = dropoff_zone_id GROUP BY ALL"))
    others = ends.pop("Unknown", 0) + ends.pop("N/A", 0)
    with browser_or_skip() as browser:
        page = browser.new_page()
        open_explorer(page, (loaded.folder / "outputs" / "zone_explorer.html").as_uri())
        words = str(page.locator(f'#map path[aria-label^="{zone}, {borough}"]').get_attribute("aria-label"))
        assert f"{trips / counted['known']:.1%} of New York" in words
        assert page.locator("#summary").inner_text() == (
            f"{counted['known']:,} pickups are on the map; {counted['others']:,} more are "
            "outside the zones or not known. "
            "Shares are of those on the map."
        )
        listed = page.locator("#flows .row span").all_inner_texts()
        assert dict(zip(listed[::2], listed[1::2], strict=True)) == {
            {"EWR": "Newark Airport"}.get(name, name): re.sub(r"^0\.0%$", "< 0.1%", f"{trips / sum(ends.values()):.1%}")
            for name, trips in ends.items()
        }
        assert page.locator("#flows-note").inner_text() == (
            f"Shares are of trips that end in a known zone; {others:,} more end in none."
        )
