"""What the index of the pages shows: every output that is served, by what it is about, the newest first.

Declared here is what each output is called on the index. How files are sent belongs to `server`.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from taxi_pipeline.pages.links import PAGES_FOLDER
from taxi_pipeline.storage import MissingFileError, Storage


@dataclass(frozen=True)
class Kind:
    """A kind of files that is served."""

    name: str
    """What its links are called."""
    media_type: str


_PICTURE = Kind("picture", "image/png")

KINDS = {
    ".html": Kind("page", "text/html; charset=utf-8"),
    ".pdf": Kind("PDF", "application/pdf"),
    ".png": _PICTURE,
    ".csv": Kind("CSV", "text/csv; charset=utf-8"),
    ".json": Kind("JSON", "application/json"),
    ".geojson": Kind("GeoJSON", "application/geo+json"),
}
"""Suffix → kind, in the order of the links. Other files, such as a copy of the warehouse, are not served."""

OTHERS = "Others"
"""The section of files that are not declared: those of assets of your own."""

NUM_SHOWN = 12
"""Files of a folder that are shown at once; older ones follow where they are asked for."""

MANIFESTS = "month_manifest"

_MANIFEST = re.compile(rf"{MANIFESTS}/(\d{{4}}-\d{{2}})\.json")
_MONTH_OR_DAY = re.compile(r"\d{4}-\d{2}(-\d{2})?")


@dataclass(frozen=True)
class Declared:
    """What an output is called on the index."""

    section: str
    name: str
    """Of its files, without a suffix, or of its folder."""
    title: str
    meaning: str
    """A sentence."""


_EXPLORE, _MAPS, _REPORTS, _CHARTS, _TABLES, _RECORDS, _ASKED = (
    "Explore",
    "Maps",
    "Months and weeks",
    "Charts",
    "Tables",
    "Records of what was loaded",
    "Answers to requests",
)

OUTPUTS = (
    Declared(_EXPLORE, "zone_explorer", "Zone explorer", "Trips by week, weekday, hour and zone, in any combination."),
    Declared(_EXPLORE, "tour", "Tour", "Ten questions to the trips, with their SQL and the answers."),
    Declared(_MAPS, "manhattan_map", "Manhattan", "Pickups in the zones of Manhattan."),
    Declared(_MAPS, "city_map", "New York", "Pickups in all five boroughs and Newark Airport."),
    Declared(_MAPS, "zone_segments", "Zones whose weeks are alike", "Zones by when people are picked up in them."),
    Declared(_MAPS, "pickup_image", "Pickups by coordinates", "Each pickup of a month, until June 2016."),
    Declared(_REPORTS, "reports", "Monthly reports", "What is unusual, and how trips, fares and speeds changed."),
    Declared(_REPORTS, "week_summary", "Weeks", "Trips, fares and speeds of a week, for programs."),
    Declared(_CHARTS, "daily_highs", "Trips and temperatures", "The highs of the loaded days above the trips a day."),
    Declared(_CHARTS, "congestion_fee", "The congestion fee", "What the fee of 2025 changed, with its uncertainty."),
    Declared(_CHARTS, "demand_model", "Expected pickups", "What a month is expected to be, by hour and weekday."),
    Declared(_CHARTS, "demand_errors", "Expected and found", "How far the pickups of a month were from expected ones."),
    Declared(_TABLES, "trips_by_week", "Trips by week", "All fleets together."),
    Declared(_TABLES, "trips_by_week_by_fleet", "Trips by week and fleet", "The same, for each fleet."),
    Declared(_TABLES, "trips_by_week_net", "Net trips by week", "Without both rows of voided trips."),
    Declared(_TABLES, "trips_by_week_days", "Loaded days by week", "Which weeks are whole."),
    Declared(_TABLES, "extreme_days", "Days of extreme weather", "The hottest, coldest, wettest and snowiest days."),
    Declared(_RECORDS, MANIFESTS, "Manifests", "Files, rows and rejected rows of a month."),
    Declared(_RECORDS, "month_changes", "Months that were published again", "What changed from version to version."),
    Declared(_ASKED, "requests", "Requests", "Pictures and tables that were asked for by a file."),
)
"""All outputs, in the order of the index."""


@dataclass(frozen=True)
class Row:
    """Files with the same name, beside each other."""

    name: str
    links: Sequence[tuple[str, str]]
    """What each file is called, and its relative URL."""


@dataclass(frozen=True)
class Card:
    """An output on the index."""

    title: str
    meaning: str
    picture: str | None
    """Relative URL of its newest picture."""
    rows: Sequence[Row]
    """One without a name for an output of one file; the newest first for a folder."""


@dataclass(frozen=True)
class Loaded:
    """What the manifests tell of the trips."""

    first: str
    last: str
    """Months: 2025-01."""
    num_months: int
    is_synthetic: bool
    """Of the newest month."""


def sections_of(names: Iterable[str]) -> dict[str, list[Card]]:
    """Arrange the served files.

    Args:
        names: below `outputs/`, with forward slashes.

    Returns:
        Title of each section with files → its cards.
    """
    files: dict[str, list[PurePosixPath]] = {}
    for path in map(PurePosixPath, sorted(names)):
        files.setdefault(path.parts[0] if len(path.parts) > 1 else path.stem, []).append(path)
    declared = {each.name: each for each in OUTPUTS}
    unknown = [Declared(OTHERS, name, name, "") for name in files if name not in declared]
    sections: dict[str, list[Card]] = {}
    for each in (*OUTPUTS, *unknown):
        if each.name in files:
            sections.setdefault(each.section, []).append(_card(each, files[each.name]))
    return sections


def _card(declared: Declared, paths: Sequence[PurePosixPath]) -> Card:
    grouped: dict[str, list[PurePosixPath]] = {}
    for path in paths:
        name = "/".join((*path.parts[1:-1], path.stem)) if len(path.parts) > 1 else ""
        grouped.setdefault(name, []).append(path)
    order = list(KINDS)
    rows = [
        Row(
            name,
            [(KINDS[path.suffix].name, quote(str(path))) for path in sorted(of, key=lambda p: order.index(p.suffix))],
        )
        for name, of in sorted(grouped.items(), key=lambda item: _newest_first(item[0]))
    ]
    pictures = [url for row in rows for what, url in row.links if what == _PICTURE.name]
    return Card(declared.title, declared.meaning, next(iter(pictures), None), rows)


def _newest_first(name: str) -> tuple[int, str]:
    """Orders names by the month or day in them, the latest first, then by the name; a file beside the folder first."""
    found = _MONTH_OR_DAY.search(name)
    latest = int(found[0].replace("-", "").ljust(8, "0")) if found else 0
    return -latest if name else -99_999_999, name


def loaded_of(files: Storage, names: Iterable[str]) -> Loaded | None:
    """What is loaded, by the manifests among these files; None without one that can be read.

    Args:
        files: the storage.
        names: below `outputs/`.
    """
    months = sorted(found[1] for name in names if (found := _MANIFEST.fullmatch(name)))
    if not months:
        return None
    try:
        newest: Any = json.loads(files.read(f"{PAGES_FOLDER}{MANIFESTS}/{months[-1]}.json"))
        return Loaded(months[0], months[-1], len(months), bool(newest["synthetic"]))
    except (MissingFileError, ValueError, KeyError, TypeError):
        return None
