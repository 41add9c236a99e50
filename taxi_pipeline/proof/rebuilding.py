"""Outputs of a month or a day, made again from the published files, to compare them with what a manifest lists.

They are made in a folder of their own with DuckDB, whichever engine made the others: outputs have the same bytes on
both. What needs more than the month's files is not made again; `NOT_REBUILT` says why.
"""

import io
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.datasets.columns import FORMATS, MARKET_SHARES, ZONE_HOURS, dataset_file
from taxi_pipeline.datasets.contents import market_shares_of, zone_hours_of
from taxi_pipeline.datasets.encoding import WrongColumnsError, decoded, encoded
from taxi_pipeline.datasets.single_trips import write_trips
from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.outputs.month_manifest import manifest_of_month
from taxi_pipeline.outputs.pickup_cells import draw_pickups, pickup_cells, picture_file
from taxi_pipeline.outputs.week_summary import WEEK, summary_of_week
from taxi_pipeline.proof.comparison import Finding
from taxi_pipeline.proof.manifest import ListedFile, Manifest, shown
from taxi_pipeline.sources.bases import BASES_SOURCE
from taxi_pipeline.storage import LocalFolder, Storage
from taxi_pipeline.tlc.codes import code_rows
from taxi_pipeline.tlc.fetch_note import FetchNote, write_note
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.months import Days, month_of, spans_of
from taxi_pipeline.tlc.source import trips_file
from taxi_pipeline.tlc.zones import read_zones, zones_are_synthetic
from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
from taxi_pipeline.warehouse.ingest import load_days
from taxi_pipeline.warehouse.reference import replace_code_tables, replace_tables, replace_zones
from taxi_pipeline.warehouse.tables import TRIPS

if TYPE_CHECKING:
    import pandas as pd

_ZONES = re.compile(r"raw/taxi_zones\.(zip|csv|geojson)")
_MANIFEST_OF_MONTH = "outputs/month_manifest/{:%Y-%m}.json"

NOT_REBUILT = (
    (r"datasets/demand_model/.*", "it is learned from the twelve months before"),
    (r"datasets/demand_errors/.*|outputs/demand_(model|errors)/.*", "the forecast is learned from other months"),
    (r"outputs/reports/.*", "a report compares its month with the month before and the year before"),
    (r"outputs/month_changes.*", "it compares versions of months, with the time when one replaced another"),
    (r"outputs/week_summary/.*", "a week is compared with the one before, and both must lie in the month"),
    (r"outputs/(trips_by_week|manhattan_map|city_map|zone_explorer).*", "it is made of all loaded days"),
    (r"outputs/(congestion_fee|zone_segments|extreme_days|daily_highs)\..*", "it is made of all loaded days"),
    (r"outputs/requests/.*", "a request names its own days"),
    (r"outputs/warehouse\.duckdb", "it is a copy of the whole warehouse, whose bytes depend on when it was loaded"),
    (r"outputs/tour\..*", "a notebook runs on the whole warehouse"),
    (r"datasets/(SHA256SUMS|datapackage\.json|schemas/.*)", "it lists the files of all months"),
    (r"(datasets|outputs)/.*\d{4}-\d{2}.*", "it is of another month, or of days that are not asked for"),
    (r".*", "nothing here knows how it is made"),
)
"""Pattern of a name → why an output of this name is not made again. The first that fits counts."""


class RebuildError(TaxiPipelineError):
    """Outputs can't be made again: the manifest or the storage lacks what they are made of."""


@dataclass(frozen=True)
class Rebuilt:
    """What came of making outputs again."""

    days: Days
    made_from: Sequence[ListedFile]
    """The inputs, whose SHA-256 is that of the manifest."""
    equal: Sequence[str]
    """What is equal: names of files, byte for byte, or what of a file."""
    findings: Sequence[Finding]
    """What differs."""
    not_rebuilt: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Reason → the outputs of the manifest that were not made again."""


def rebuild_month(manifest: Manifest, files: Storage, month: date, folder: Path) -> Rebuilt:
    """Make a month's outputs again, and compare their bytes with the SHA-256 of the manifest.

    Args:
        manifest: what the outputs must be, and what they are made of.
        files: the storage with the published files.
        month: first day of the month.
        folder: an empty folder for the copies and the tables.

    Raises:
        RebuildError: an input is not listed, missing, or not what the manifest says.
    """
    days = _loaded_days(manifest, files, month)
    bench = _Bench(manifest, files, folder, month)
    bench.load(days)
    listed = {file.name: file.sha256 for file in manifest.files if not file.is_input}
    equal, findings = [], []
    for name, found in bench.outputs_of_month(set(listed)):
        if found == listed[name]:
            equal.append(name)
        else:
            findings.append(Finding(name, f"is not what the files in raw/ give: they give SHA-256 {found}"))
    if not equal and not findings:
        raise RebuildError(
            f"the manifest has no output that is made of {month:%Y-%m} alone: make some by taxi-pipeline materialize "
            "--reports, and write the manifest again"
        )
    made = {*equal, *(finding.name for finding in findings)}
    return Rebuilt(
        Days.of_month(month), bench.made_from, equal, findings, reasons_of(name for name in listed if name not in made)
    )


def rebuild_day(manifest: Manifest, files: Storage, day: date, folder: Path) -> Rebuilt:
    """Make the rows of a day again, and compare them with those of the day in the files of its month.

    Args:
        manifest: names the files.
        files: the storage with the published files, and the datasets to compare with.
        day: the day.
        folder: an empty folder for the copies and the tables.

    Raises:
        RebuildError: an input is not listed, missing, or not what the manifest says; or no file has the day's rows.
    """
    bench = _Bench(manifest, files, folder, month_of(day))
    bench.load({fleet.name: [day] for fleet in bench.fleets})
    listed = {file.name for file in manifest.files if not file.is_input}
    equal, findings = [], []
    for name, num_rows, is_equal in bench.rows_of_day(listed, day):
        if is_equal:
            equal.append(f"{num_rows:,} rows of {day} in {name}")
        else:
            findings.append(Finding(name, f"has other rows of {day} than the files in raw/ give"))
    if not equal and not findings:
        raise RebuildError(
            f"the manifest has no dataset zone_hours or trips of {day:%Y-%m}, and no other file has rows of a day alone"
        )
    return Rebuilt(Days(day, day), bench.made_from, equal, findings, reasons_of(listed))


def reasons_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Reason → those of these outputs that are not made again for it."""
    reasons: dict[str, list[str]] = {}
    for name in sorted(names):
        reason = next(reason for pattern, reason in NOT_REBUILT if re.fullmatch(pattern, name, re.DOTALL))
        reasons.setdefault(reason, []).append(name)
    return reasons


def _loaded_days(manifest: Manifest, files: Storage, month: date) -> dict[str, list[date]]:
    """Fleet → the days of the month that were loaded, as the month's own manifest says; all where there is none."""
    name = _MANIFEST_OF_MONTH.format(month)
    fleets = [fleet for fleet in _fleets_of(manifest) if fleet.first_month <= month]
    missing: Mapping[str, set[str]] = {}
    listed = next((file for file in manifest.files if file.name == name), None)
    if listed:
        content = files.read(name)
        if sha256(content).hexdigest() != listed.sha256:
            raise RebuildError(f"{name} is not what the manifest says, and it names the days that were loaded")
        try:
            missing = {fleet: set(of["missing_days"]) for fleet, of in json.loads(content)["fleets"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RebuildError(f"{name} does not name the days that were loaded: materialize month_manifest") from error
    days = Days.of_month(month)
    return {fleet.name: [day for day in days if str(day) not in missing.get(fleet.name, ())] for fleet in fleets}


def _fleets_of(manifest: Manifest) -> list[Fleet]:
    names = [name for name in manifest.settings.get("TAXI_FLEETS", "").split(",") if name]
    unknown = [name for name in names if name not in FLEETS]
    if unknown or not names:
        raise RebuildError(
            f"the manifest's setting TAXI_FLEETS is {shown(','.join(names))[:80]!r}, which names no fleets"
        )
    return [FLEETS[name] for name in names]


class _Bench:
    """A folder with a month's published files, and a warehouse of them."""

    def __init__(self, manifest: Manifest, files: Storage, folder: Path, month: date) -> None:
        self._manifest, self._source, self._month = manifest, files, month
        self._files = LocalFolder(folder)
        self._warehouse = DuckDBWarehouse(folder / "staging" / "data.duckdb")
        self._listed = {file.name: file for file in manifest.files}
        self.fleets = [fleet for fleet in _fleets_of(manifest) if fleet.first_month <= month]
        self.made_from: list[ListedFile] = []

    def load(self, days_by_fleet: Mapping[str, Sequence[date]]) -> None:
        """Copy what is needed, and load these days."""
        zones = next((name for name in self._listed if _ZONES.fullmatch(name)), None)
        if zones is None:
            raise RebuildError("the manifest lists no zones (raw/taxi_zones.zip), without which nothing can be made")
        wanted = {fleet.name: days for fleet in self.fleets if (days := days_by_fleet[fleet.name])}
        absent = [trips_file(FLEETS[name], self._month) for name in wanted]
        absent = [name for name in absent if name not in self._listed]
        if absent or not wanted:
            raise RebuildError(
                f"{self._month:%Y-%m} can't be made again: the manifest lists no "
                f"{', '.join(absent) or 'loaded day of it'}"
            )
        self._take(zones)
        with self._files.local_copy(zones) as path:
            read, synthetic = read_zones(path), zones_are_synthetic(path)
        self._warehouse.change(replace_zones, read, zones, synthetic=synthetic)
        self._warehouse.change(replace_code_tables, code_rows())
        self._load_bases()
        for name, days in wanted.items():
            self._take(trips_file(FLEETS[name], self._month))
            accepted = self._manifest.settings.get("TAXI_ACCEPT", "").split(",")
            self._warehouse.change(load_days, FLEETS[name], spans_of(days), self._files, accepted=accepted)

    def _load_bases(self) -> None:
        """The bases, which tell the companies of fhv; only where the outputs can have known them."""
        name = next((n for n in (f"raw/{BASES_SOURCE.file}", f"raw/{BASES_SOURCE.file}.gz") if n in self._listed), None)
        if name:
            self._take(name)
            with self._files.local_copy(name) as path:
                rows = BASES_SOURCE.read(path).rows
            self._warehouse.change(replace_tables, {BASES_SOURCE.table: rows})

    def _take(self, name: str) -> None:
        """Copy an input, if it is what the manifest says."""
        listed = self._listed[name]
        with self._source.local_copy(name) as path, self._files.draft(name) as draft:
            shutil.copyfile(path, draft.path)
        if draft.stored.sha256 != listed.sha256:
            raise RebuildError(
                f"{name} is not what the manifest says (SHA-256 {draft.stored.sha256}, in the manifest "
                f"{listed.sha256}), so nothing was made of it"
            )
        write_note(self._files, name, FetchNote(url="", sha256=listed.sha256))
        self.made_from.append(listed)

    def outputs_of_month(self, names: set[str]) -> Iterator[tuple[str, str]]:
        """Name and SHA-256 of the outputs of the month alone, of those with these names."""
        month, fleets = self._month, [fleet.name for fleet in _fleets_of(self._manifest)]
        for fleet in self.fleets:
            for extension in FORMATS:
                name = dataset_file(ZONE_HOURS.name, fleet.name, month, extension)
                if name in names:
                    frame = self._warehouse.query(zone_hours_of, fleet.name, month)
                    yield name, sha256(encoded(frame, ZONE_HOURS, extension)).hexdigest()
                name = dataset_file(MARKET_SHARES.name, fleet.name, month, extension)
                if name in names:
                    frame = self._warehouse.query(market_shares_of, fleet.name, month, fleets)
                    yield name, sha256(encoded(frame, MARKET_SHARES, extension)).hexdigest()
            name = dataset_file(TRIPS.name, fleet.name, month, "parquet")
            if name in names:
                with self._files.draft(name) as draft:
                    self._warehouse.query(write_trips, fleet.name, month, draft.path)
                yield name, draft.stored.sha256
        name = _MANIFEST_OF_MONTH.format(month)
        if name in names:
            yield name, _sha256_of_json(self._warehouse.query(manifest_of_month, month, fleets))
        name = picture_file(month)
        if name in names:
            yield name, sha256(draw_pickups(self._warehouse.query(pickup_cells, month, fleets))).hexdigest()
        for week in _weeks_within(Days.of_month(month)):
            name = f"outputs/week_summary/{week}.json"
            if name in names:
                yield name, _sha256_of_json(self._warehouse.query(summary_of_week, week, fleets))

    def rows_of_day(self, names: set[str], day: date) -> Iterator[tuple[str, int, bool]]:
        """Name of a file with rows of the day, how many there should be, and whether the file has exactly these."""
        for fleet in self.fleets:
            for extension in FORMATS:
                name = dataset_file(ZONE_HOURS.name, fleet.name, self._month, extension)
                if name in names:
                    made = self._warehouse.query(zone_hours_of, fleet.name, self._month)
                    yield name, len(made), self._has_hours(made, name, fleet.name, day)
            name = dataset_file(TRIPS.name, fleet.name, self._month, "parquet")
            if name in names:
                yield name, *self._trips_of_day(fleet.name, name, day)

    def _has_hours(self, made: "pd.DataFrame", name: str, fleet: str, day: date) -> bool:
        """Whether a file of zone_hours has exactly these rows of a day."""
        from pyarrow import ArrowException

        extension = name.rpartition(".")[2]
        try:
            found = decoded(self._source.read(name), ZONE_HOURS, fleet, extension)
        except (WrongColumnsError, ArrowException, OSError):  # it has no rows that could be the same
            return False
        found = found[found["pickup_date"] == str(day)].reset_index(drop=True)
        return encoded(made, ZONE_HOURS, extension) == encoded(found, ZONE_HOURS, extension)

    def _trips_of_day(self, fleet: str, name: str, day: date) -> tuple[int, bool]:
        from pyarrow import ArrowException, parquet

        with self._files.draft(name) as draft:
            num_rows = self._warehouse.query(write_trips, fleet, self._month, draft.path)
        made = parquet.read_table(io.BytesIO(self._files.read(name)))
        try:
            # Only the row groups of the day. The file is opened, since folders of its path would become columns.
            with self._source.local_copy(name) as path, path.open("rb") as file:
                found = parquet.read_table(file, filters=[("pickup_date", "=", day)])
        except (ArrowException, OSError):
            return num_rows, False
        return num_rows, bool(made.equals(found))


def _sha256_of_json(content: Mapping[str, Any]) -> str:
    return sha256(f"{json.dumps(content, indent=1)}\n".encode()).hexdigest()


def _weeks_within(days: Days) -> Iterator[date]:
    """The Sundays of the weeks that lie in these days together with the week before."""
    first = days.first + timedelta(days=-(days.first.isoweekday() % 7) % 7)
    while first + 2 * WEEK <= days.last + timedelta(days=1):
        yield first + WEEK
        first += WEEK
