"""Where trips and zones come from: each output says it as it is, for generated and for published data."""

import re
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from taxi_pipeline.datasets.columns import ZONE_HOURS
from taxi_pipeline.datasets.demand import demand_model_of
from taxi_pipeline.datasets.encoding import frame_of
from taxi_pipeline.defs.assets import monthly_report, zone_explorer
from taxi_pipeline.outputs.demand_chart import draw_demand
from taxi_pipeline.outputs.origin import zones_are_schematic
from taxi_pipeline.outputs.style import SOURCE, SYNTHETIC_NOTE
from taxi_pipeline.sample.mirror import write_mirror
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import SYNTHETIC_MARKER
from taxi_pipeline_tests.pipelines import LOADING, Pipeline, pipeline_in

PAGES = ("outputs/zone_explorer.html", "outputs/reports/2023-02.html")


def text_of(page: str) -> str:
    """What a page shows, without its scripts, styles and markup."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", shown).split())


def as_if_published_trips(mirror: Path) -> None:
    """Take the mark of generated trips from the mirror's month."""
    path = mirror / "trip-data" / "yellow_tripdata_2023-02.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def as_if_published_zones(mirror: Path) -> None:
    """Take the mark of generated zones from the mirror's zip."""
    path = mirror / "misc" / "taxi_zones.zip"
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != SYNTHETIC_MARKER}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)


def loaded(folder: Path, *marks_taken: Any) -> Pipeline:
    """A pipeline with a day of trips, and its pages."""
    mirror = folder / "mirror"
    write_mirror(mirror, Days(date(2023, 2, 5), date(2023, 2, 5)), fleet="yellow", trips_per_day=100)
    for take in marks_taken:
        take(mirror)
    pipeline = pipeline_in(folder / "data", mirror)
    pipeline.run("2023-02-05", select=["taxi_zones_file", "taxi_zones", *LOADING, zone_explorer])
    assert pipeline.report(monthly_report, "2023-02-01").success
    return pipeline


GENERATED = "A program generated these trips"
WORDS = {
    "both generated": ([], f"{GENERATED}, and the zones are schematic."),
    "published zones": ([as_if_published_zones], f"{GENERATED}; the zones are those of the TLC."),
    "both published": ([as_if_published_zones, as_if_published_trips], f"{SOURCE}."),
}


@pytest.mark.parametrize("case", WORDS)
def test_pages_say_where_trips_and_zones_come_from(tmp_path: Path, case: str) -> None:
    """Regression: the explorer said "schematic or real zones", and real zones were called schematic."""
    marks_taken, words = WORDS[case]
    pipeline = loaded(tmp_path, *marks_taken)
    for name in PAGES:
        text = text_of(pipeline.files.read(name).decode())
        assert words in text, name
        assert [other for _, other in WORDS.values() if other in text] == [words], name
        assert "schematic or real" not in text
        assert ("Synthetic data" in text) == (case != "both published")


def test_without_the_zone_file_nothing_is_said_of_the_zones(tmp_path: Path) -> None:
    pipeline = loaded(tmp_path)
    pipeline.files.delete(pipeline.tlc.zones_file)
    assert zones_are_schematic(pipeline.files, pipeline.tlc.zones_file) is None
    assert pipeline.report(monthly_report, "2023-02-01").success
    text = text_of(pipeline.files.read(PAGES[1]).decode())
    assert f"{GENERATED}. " in text
    assert "schematic" not in text


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_demand_chart_names_one_origin(monkeypatch: pytest.MonkeyPatch, *, synthetic: bool) -> None:
    """Regression: the chart of generated trips said "Source: NYC Taxi and Limousine Commission"."""
    saved: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k))[1])
    counted = (date(2023, 1, 1), 8, 132, "JFK Airport", "Queens", 5, 0, *(Decimal(0),) * 4)
    hours = frame_of(ZONE_HOURS, "yellow", [counted])
    draw_demand(demand_model_of(hours, date(2023, 1, 1)), hours, "Yellow taxi pickups", synthetic=synthetic)
    words = [text.get_text() for text in saved[0].texts]
    assert (SYNTHETIC_NOTE in words, SOURCE in words) == (synthetic, not synthetic)
