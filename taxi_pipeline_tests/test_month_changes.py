"""Versions of published months: which are kept, how two differ, and which one is loaded.

What is expected of a comparison is counted here in another way: by multisets of the rows that were put into the files.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxi_pipeline.defs.assets import month_changes as month_changes_asset
from taxi_pipeline.defs.resources.alerts import Alerts
from taxi_pipeline.outputs.month_changes.comparison import (
    comparable,
    comparisons,
    never_compared,
    not_compared,
    write_comparison,
)
from taxi_pipeline.outputs.month_changes.page import page_of, sentence_of
from taxi_pipeline.storage import LocalFolder
from taxi_pipeline.tlc.fetch_note import Origin, note_name, read_note, write_note
from taxi_pipeline.tlc.fleets import FLEETS, GREEN
from taxi_pipeline.tlc.held_months import forget_imported
from taxi_pipeline.tlc.kept_versions import (
    ALL_VERSIONS,
    NoSuchVersionError,
    find_version,
    keep_version,
    kept_versions,
    pin,
    put_in_place,
    replacements,
    unpin,
)
from taxi_pipeline.tlc.source import TlcSource, trips_file
from taxi_pipeline.tlc.trip_files import read_trip_file
from taxi_pipeline.tlc.zones import Zone
from taxi_pipeline.warehouse.interface import PublishedFile, Warehouse
from taxi_pipeline.warehouse.month_changes import (
    LARGE_SHARE,
    ColumnChange,
    MonthChanges,
    Version,
    month_changes,
)
from taxi_pipeline.warehouse.reference import replace_zones
from taxi_pipeline_tests.era_files import PUBLISHED
from taxi_pipeline_tests.faulty_server import faulty_server
from taxi_pipeline_tests.odd_files import DROPOFF, PICKUP, good_row
from taxi_pipeline_tests.pipelines import Pipeline, check_of, pipeline_in, settings_of, table_of
from taxi_pipeline_tests.services.warehouses import ENGINES, warehouse_of

FEBRUARY = date(2023, 2, 1)
NAME = trips_file(GREEN, FEBRUARY)
TYPES = {PICKUP: pa.timestamp("us"), DROPOFF: pa.timestamp("us")}
Row = Mapping[str, Any]
OTHER_ROW = {**good_row(9), PICKUP: datetime(2023, 2, 9, 8), DROPOFF: datetime(2023, 2, 9, 9)}
"""A trip that has no time in common with the good rows."""


def write_rows(path: Path, rows: Sequence[Row], columns: Sequence[str] = tuple(good_row())) -> Path:
    """Write rows as a published file of green trips."""
    arrays = {name: pa.array([row[name] for row in rows], TYPES.get(name, pa.float64())) for name in columns}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), path)
    return path


def version_of(path: Path, fleet: str = "green") -> Version:
    content = read_trip_file(path)
    file = PublishedFile(
        path=path,
        uri=path.as_uri(),
        sha256=LocalFolder(path.parent).describe(path.name).sha256,
        num_rows=content.num_rows,
    )
    return Version.of(FLEETS[fleet], file, content.columns)


@pytest.fixture(scope="module", params=ENGINES)
def warehouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with a zone."""
    made = warehouse_of(request.param, tmp_path_factory.mktemp("warehouse"))
    made.change(replace_zones, [Zone(74, "East Harlem North", "Manhattan", None)], "zones", synthetic=False)
    return made


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    made = warehouse_of("duckdb", tmp_path_factory.mktemp("on_duckdb"))
    everywhere = "POLYGON ((-75 40, -73 40, -73 41, -75 41, -75 40))"
    made.change(replace_zones, [Zone(74, "East Harlem North", "Manhattan", everywhere)], "zones", synthetic=False)
    return made


def compare(
    warehouse: Warehouse,
    folder: Path,
    before: Sequence[Row],
    after: Sequence[Row],
    columns_before: Sequence[str] = tuple(good_row()),
    columns_after: Sequence[str] = tuple(good_row()),
) -> tuple[MonthChanges, list[tuple[Any, ...]]]:
    earlier = version_of(write_rows(folder / "earlier.parquet", before, columns_before))
    later = version_of(write_rows(folder / "later.parquet", after, columns_after))
    with warehouse.read() as session:
        found = month_changes(session, earlier, later)
    return found, list(found.examples)


def counts_of(found: MonthChanges) -> tuple[int, int, int, int]:
    return found.num_unchanged, found.num_changed, found.num_added, found.num_removed


# Rows that differ, one by one


def test_equal_rows_in_another_order_are_no_change(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [good_row(n) for n in range(40)]
    found, listed = compare(warehouse, tmp_path, rows, rows[::-1])
    assert counts_of(found) == (40, 0, 0, 0)
    assert (found.columns, found.total_amount, found.share, listed) == ({}, 0, 0.0, [])


def test_a_row_that_is_there_once_more_or_once_less_is_added_or_removed(warehouse: Warehouse, tmp_path: Path) -> None:
    three_and_one = [good_row()] * 3 + [OTHER_ROW]
    one_and_two = [good_row()] + [OTHER_ROW] * 2
    found, listed = compare(warehouse, tmp_path, three_and_one, one_and_two)
    assert counts_of(found) == (2, 0, 1, 2)
    assert [(row[5], row[6]) for row in listed] == [("removed", 2), ("added", 1)]
    assert found.total_amount == Decimal("-15.00")
    assert found.trip_distance == Decimal("-1.500")


@pytest.mark.parametrize(
    ("changed", "column", "key"),
    [
        ({"tip_amount": 3.0}, "tip_amount", 0),
        ({"VendorID": 1}, "vendor_id", 1),
        ({"DOLocationID": 76}, "dropoff_zone_id", 1),
        ({DROPOFF: datetime(2023, 2, 7, 11)}, "dropoff_datetime", 2),
        ({PICKUP: datetime(2023, 2, 7, 8, 59)}, "pickup_datetime", 3),
    ],
)
def test_a_changed_row_is_found_by_what_stayed(
    warehouse: Warehouse, tmp_path: Path, changed: Row, column: str, key: int
) -> None:
    rows = [good_row(n) for n in range(5)]
    distinct = [{**row, PICKUP: row[PICKUP] + timedelta(minutes=n)} for n, row in enumerate(rows)]
    found, listed = compare(warehouse, tmp_path, distinct, [*distinct[:2], {**distinct[2], **changed}, *distinct[3:]])
    assert counts_of(found) == (4, 1, 0, 0)
    assert found.columns == {column: ColumnChange(1, 0, 0)}
    assert [pair.num_pairs for pair in found.pairs] == [int(number == key) for number in range(4)]
    ((*_, kind, num, columns),) = listed
    assert (kind, num, list(columns)) == ("changed", 1, [column])


def test_a_row_with_nothing_in_common_is_removed_and_added(warehouse: Warehouse, tmp_path: Path) -> None:
    found, _ = compare(warehouse, tmp_path, [good_row(1), good_row(2)], [good_row(1), OTHER_ROW])
    assert counts_of(found) == (1, 0, 1, 1)


def test_values_that_came_and_went_are_counted_by_column(warehouse: Warehouse, tmp_path: Path) -> None:
    before = [{**good_row(n), "tip_amount": None if n < 3 else 1.0} for n in range(10)]
    after = [{**row, "tip_amount": 1.0 if n < 3 else None if n < 5 else 1.0} for n, row in enumerate(before)]
    found, _ = compare(warehouse, tmp_path, before, after)
    assert found.columns == {"tip_amount": ColumnChange(5, 3, 2)}


def test_a_column_that_came_fills_every_row(warehouse: Warehouse, tmp_path: Path) -> None:
    columns = tuple(name for name in good_row() if name != "congestion_surcharge")
    rows = [good_row(n) for n in range(10)]
    found, _ = compare(warehouse, tmp_path, rows, rows, columns_before=columns)
    assert counts_of(found) == (0, 10, 0, 0)
    assert found.columns == {"congestion_surcharge": ColumnChange(10, 10, 0)}
    back, _ = compare(warehouse, tmp_path, rows, rows, columns_after=columns)
    assert back.columns == {"congestion_surcharge": ColumnChange(10, 0, 10)}


def test_rows_that_share_a_key_are_said_to_be_ambiguous(warehouse: Warehouse, tmp_path: Path) -> None:
    before = [{**good_row(1), "tip_amount": float(tip)} for tip in (1, 2, 3)]
    after = [{**good_row(1), "tip_amount": float(tip)} for tip in (4, 5)]
    found, _ = compare(warehouse, tmp_path, before, after)
    assert counts_of(found) == (0, 2, 0, 1)
    assert (found.pairs[0].num_pairs, found.pairs[0].num_ambiguous) == (2, 2)


def test_values_that_fit_no_column_are_compared_as_text(warehouse: Warehouse, tmp_path: Path) -> None:
    before = [{**good_row(1), "PULocationID": 1.5, "tip_amount": 1e15}]
    after = [{**good_row(1), "PULocationID": 2.5, "tip_amount": 1e16}]
    found, _ = compare(warehouse, tmp_path, before, after)
    assert {"misfits", "unfit_values"} <= set(found.columns)


def test_not_a_number_is_equal_to_itself(warehouse: Warehouse, tmp_path: Path) -> None:
    row = {**good_row(1), "trip_distance": float("nan")}
    found, listed = compare(warehouse, tmp_path, [row], [{**row, "tip_amount": 3.0}])
    assert found.columns == {"tip_amount": ColumnChange(1, 0, 0)}
    assert list(listed[0][-1]) == ["tip_amount"]


def test_empty_files_are_compared(warehouse: Warehouse, tmp_path: Path) -> None:
    assert counts_of(compare(warehouse, tmp_path, [], [])[0]) == (0, 0, 0, 0)
    assert counts_of(compare(warehouse, tmp_path, [good_row()], [])[0]) == (0, 0, 0, 1)
    assert counts_of(compare(warehouse, tmp_path, [], [good_row()])[0]) == (0, 0, 1, 0)


few_values = st.fixed_dictionaries(
    {
        "pickup": st.integers(0, 1),
        "dropoff": st.integers(0, 1),
        "zone": st.sampled_from([74, 75]),
        "vendor": st.sampled_from([1, None]),
        "tip": st.sampled_from([1.0, 2.0, None]),
    }
)


DRAWN = ("pickup", "dropoff", "zone", "vendor", "tip")


def row_of(drawn: Row) -> dict[str, Any]:
    return {
        **good_row(drawn["dropoff"]),
        PICKUP: datetime(2023, 2, 7, 8, drawn["pickup"]),
        "PULocationID": drawn["zone"],
        "VendorID": drawn["vendor"],
        "tip_amount": drawn["tip"],
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(few_values, max_size=12), after=st.lists(few_values, max_size=12))
def test_the_counts_are_those_of_multisets(
    on_duckdb: Warehouse, tmp_path: Path, before: list[Row], after: list[Row]
) -> None:
    found, listed = compare(on_duckdb, tmp_path, [row_of(row) for row in before], [row_of(row) for row in after])
    earlier, later = (Counter(tuple(row[name] for name in DRAWN) for row in rows) for rows in (before, after))
    gone, come = earlier - later, later - earlier
    assert found.num_unchanged == sum((earlier & later).values())
    assert found.num_changed + found.num_removed == sum(gone.values())
    assert found.num_changed + found.num_added == sum(come.values())
    keys_gone, keys_come = (_by_key(rows) for rows in (gone, come))
    assert found.pairs[0].num_pairs == sum((keys_gone & keys_come).values()), "as many as can be"
    by_kind = Counter[str]()
    for *_, kind, num, _ in listed:
        by_kind[kind] += num
    assert (by_kind["changed"], by_kind["added"], by_kind["removed"]) == counts_of(found)[1:]


def _by_key(rows: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """How often the values of the first key are there: all but the last value of a row, the tip."""
    counted = Counter[tuple[Any, ...]]()
    for row, num in rows.items():
        counted[row[:-1]] += num
    return counted


@pytest.mark.parametrize("era", PUBLISHED, ids=lambda era: era.name)
def test_every_era_is_equal_to_itself_and_lacks_what_was_taken(era: Any, on_duckdb: Warehouse, tmp_path: Path) -> None:
    same = version_of(era.write(tmp_path / "same", [{}, {}, {}]), era.fleet)
    fewer = version_of(era.write(tmp_path / "fewer", [{}, {}]), era.fleet)
    with on_duckdb.read() as session:
        assert counts_of(month_changes(session, same, fewer)) == (2, 0, 0, 1)


# Versions that are kept


@pytest.fixture
def published(tmp_path: Path) -> "Published":
    return Published(tmp_path)


class Published:
    """A mirror with a green month that is published again and again, and the storage that fetches it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mirror = folder / "mirror"
        self.files = LocalFolder(folder / "data")
        self.tlc = TlcSource(url=self.mirror.as_uri(), zones_url=f"{self.mirror.as_uri()}/z.zip", fleets=["green"])

    def publish(self, *numbers: int) -> None:
        """Publish the month with these rows."""
        path = self.mirror / "trip-data" / GREEN.file_name(FEBRUARY)
        write_rows(path, [good_row(number) for number in numbers])

    def fetch(self, num_kept: int = ALL_VERSIONS) -> str:
        """Fetch the month; gives its SHA-256."""
        return replace(self.tlc, num_kept=num_kept).fetch_trips(GREEN, FEBRUARY, self.files).sha256

    def fetch_versions(self, num: int, num_kept: int = ALL_VERSIONS) -> list[str]:
        found = []
        for number in range(num):
            self.publish(*range(number + 1))
            found.append(self.fetch(num_kept))
        return found

    @property
    def kept(self) -> list[str]:
        return [kept.sha256 for kept in kept_versions(self.files, NAME)]


def test_a_replaced_version_is_kept_with_its_note(published: Published) -> None:
    first, second = published.fetch_versions(2)
    (kept,) = kept_versions(published.files)
    assert (kept.name, kept.sha256) == (NAME, first)
    assert published.files.describe(kept.kept_name).sha256 == first
    assert kept.kept_name == f"raw/versions/green_tripdata_2023-02.{first}.parquet"
    assert kept.note.url.endswith("green_tripdata_2023-02.parquet")
    assert published.files.describe(NAME).sha256 == second
    note = read_note(published.files, NAME)
    assert note
    assert (note.sha256, note.replaced_at, note.pinned) == (second, None, False)


def test_the_same_bytes_again_are_no_version(published: Published) -> None:
    published.publish(1)
    published.fetch()
    path = published.mirror / "trip-data" / GREEN.file_name(FEBRUARY)
    path.touch()  # so the server says that it is another
    published.fetch()
    assert published.kept == []


@pytest.mark.parametrize(("num_kept", "expected"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (ALL_VERSIONS, 3)])
def test_so_many_versions_are_kept_as_are_asked_for(published: Published, num_kept: int, expected: int) -> None:
    found = published.fetch_versions(4, num_kept)
    assert published.kept == found[3 - expected : 3]
    notes = published.files.list("raw/versions/*.source.json")
    assert len(notes) == expected


def test_a_damaged_file_is_not_kept(published: Published) -> None:
    published.fetch_versions(1)
    published.files.write(NAME, b"damaged")
    published.publish(1, 2, 3)
    published.fetch()
    assert published.kept == []


def test_a_damaged_kept_file_is_written_again(published: Published) -> None:
    first, _ = published.fetch_versions(2)
    kept = find_version(published.files, first)
    published.files.write(kept.kept_name, b"damaged")
    put_back = published.mirror / "trip-data" / GREEN.file_name(FEBRUARY)
    write_rows(put_back, [good_row(0)])
    assert published.fetch() == first
    published.publish(5)
    published.fetch()
    assert published.files.describe(kept.kept_name).sha256 == first


def test_a_file_that_is_refused_leaves_the_old_one_and_keeps_nothing(published: Published) -> None:
    (first,) = published.fetch_versions(1)
    path = published.mirror / "trip-data" / GREEN.file_name(FEBRUARY)
    path.write_bytes(b"<html>")
    with pytest.raises(Exception, match="unusable"):
        published.fetch()
    assert published.files.describe(NAME).sha256 == first
    assert published.kept == []


def test_a_version_that_is_kept_twice_is_kept_once(published: Published) -> None:
    """A process that is killed after it kept a version, and before another took its place, keeps it again."""
    first, _ = published.fetch_versions(2)
    kept = find_version(published.files, first)
    with published.files.local_copy(kept.kept_name) as path, published.files.draft(NAME) as draft:
        shutil.copyfile(path, draft.path)
    published.files.write(note_name(NAME), published.files.read(note_name(kept.kept_name)))
    assert not_compared(published.files, ["green"]) == [], "a version is not compared with itself"
    published.publish(7, 8)
    published.fetch()
    assert published.kept == [first]


# A version that is asked for


def test_a_version_in_its_place_stays_there_until_it_is_unpinned(published: Published) -> None:
    first, second, third = published.fetch_versions(3)
    put_in_place(published.files, find_version(published.files, first[:8]), num_kept=ALL_VERSIONS)
    assert published.files.describe(NAME).sha256 == first
    assert published.kept == [first, second, third]
    published.publish(9)
    fetched = published.tlc.fetch_trips(GREEN, FEBRUARY, published.files)
    assert (fetched.sha256, fetched.downloaded) == (first, False)
    assert f"pinned to version {first[:12]}" in str(fetched.warning)
    assert published.tlc.published_version(FEBRUARY, published.files) == first[:12]
    assert published.tlc.loaded_version(FEBRUARY, {"green": first}, published.files) == first[:12]
    assert unpin(published.files, NAME)
    newest = published.fetch()
    assert newest not in (first, second, third)
    assert published.kept == [second, third, first], "in the order in which they were replaced"


def pairs_of(published: Published) -> list[tuple[str, str]]:
    found = comparable(published.files, ["green"])
    return [(each.replacement.earlier, each.replacement.later) for each in found]


def test_what_is_compared_is_what_happened(published: Published) -> None:
    """Regression: after an older version was loaded and replaced again, two versions were compared that never met."""
    first, second, third = published.fetch_versions(3)
    put_in_place(published.files, find_version(published.files, second), num_kept=ALL_VERSIONS)
    unpin(published.files, NAME)
    published.publish(20)
    fourth = published.fetch()
    assert pairs_of(published) == [(first, second), (second, third), (third, second), (second, fourth)]
    put_in_place(published.files, find_version(published.files, second), num_kept=ALL_VERSIONS)
    unpin(published.files, NAME)
    assert published.fetch() == fourth
    assert pairs_of(published)[4:] == [(fourth, second)], "a pair that meets again is compared once"


def test_a_replacement_that_was_announced_twice_is_one(published: Published) -> None:
    """A process that was killed after it kept a version, and before another took its place, keeps it again."""
    first, second = published.fetch_versions(2)
    with published.files.local_copy(NAME) as path:
        newer = Path(shutil.copyfile(path, published.folder / "newer.parquet"))
    kept = find_version(published.files, first)
    with published.files.local_copy(kept.kept_name) as path, published.files.draft(NAME) as draft:
        shutil.copyfile(path, draft.path)
    published.files.write(note_name(NAME), published.files.read(note_name(kept.kept_name)))
    keep_version(published.files, NAME, newer, num_kept=ALL_VERSIONS)
    assert [(each.earlier, each.later) for each in replacements(published.files)] == [(first, second)]


def test_a_damaged_history_fails_nothing(published: Published) -> None:
    first, second = published.fetch_versions(2)
    published.files.write("raw/versions/green_tripdata_2023-02.json", "[{")
    assert pairs_of(published) == []
    published.publish(30)
    third = published.fetch()
    assert pairs_of(published) == [(second, third)]
    assert published.kept == [first, second]


def test_a_version_whose_note_is_damaged_is_kept_all_the_same(published: Published) -> None:
    """Regression: it was listed by no command, and no retention reached it."""
    first, second = published.fetch_versions(2)
    kept = find_version(published.files, first)
    published.files.write(note_name(kept.kept_name), "{")
    assert published.kept == [first]
    put_in_place(published.files, find_version(published.files, first), num_kept=ALL_VERSIONS)
    assert published.fetch() == first
    unpin(published.files, NAME)
    assert published.fetch() == second
    published.files.write("raw/versions/green_tripdata_2023-02.other.parquet", "no version")
    assert published.kept == [second, first], "and a file without a version in its name is none"


def test_what_an_import_took_away_is_kept(published: Published) -> None:
    """Regression: --forget deleted the only copy of a version."""
    published.fetch_versions(1)
    note = read_note(published.files, NAME)
    assert note
    origin = Origin(name="mine.csv", sha256="0" * 64, imported_at="2026-11-30T08:15:00+00:00")
    write_note(published.files, NAME, replace(note, origin=origin))
    assert forget_imported(published.files, NAME) == origin
    assert not published.files.exists(NAME)
    (kept,) = kept_versions(published.files, NAME)
    assert (kept.sha256, kept.note.origin) == (note.sha256, origin)


def test_a_version_that_went_before_it_was_compared_is_named(published: Published) -> None:
    first, second, third = published.fetch_versions(3, num_kept=1)
    assert pairs_of(published) == [(second, third)]
    (words,) = never_compared(published.files, comparisons(published.files))
    assert words.startswith(f"green/2023-02: {first[:12]}, replaced by {second[:12]} at 20")


def test_what_is_in_its_place_can_be_pinned(published: Published) -> None:
    (first,) = published.fetch_versions(1)
    pin(published.files, NAME)
    published.publish(5, 6)
    assert published.fetch() == first
    assert unpin(published.files, NAME)
    assert not unpin(published.files, NAME), "it is not pinned any more"
    assert published.fetch() != first


def test_a_pinned_file_that_is_damaged_is_told(published: Published) -> None:
    published.fetch_versions(1)
    pin(published.files, NAME)
    published.files.write(NAME, b"damaged")
    with pytest.raises(Exception, match=r"is not the version to which it is pinned.*load --version"):
        published.fetch()


def test_a_kept_file_that_is_damaged_is_never_put_in_its_place(published: Published) -> None:
    first, second = published.fetch_versions(2)
    kept = find_version(published.files, first)
    published.files.write(kept.kept_name, b"damaged")
    with pytest.raises(NoSuchVersionError, match="is damaged"):
        put_in_place(published.files, kept, num_kept=ALL_VERSIONS)
    assert published.files.describe(NAME).sha256 == second


def test_a_version_is_named_by_its_first_digits(published: Published) -> None:
    first, *_ = published.fetch_versions(2)
    assert find_version(published.files, first[:8]).sha256 == first
    with pytest.raises(NoSuchVersionError, match="no version with the SHA-256 00000000 is kept"):
        find_version(published.files, "00000000")


def test_digits_of_several_versions_name_none(published: Published) -> None:
    published.fetch_versions(3)
    with pytest.raises(NoSuchVersionError, match="2 versions have a SHA-256 that begins"):
        find_version(published.files, "")


# The asset


@pytest.fixture
def republishing(own_mirror: Path, tmp_path: Path) -> Pipeline:
    """February of green taxis is loaded."""
    pipeline = pipeline_in(tmp_path / "data", own_mirror, ["green"])
    pipeline.run("2023-02-01", "2023-02-28")
    return pipeline


def publish_again(pipeline: Pipeline, sql: str) -> None:
    """Change the published file by a SELECT from `published`."""
    path = Path(pipeline.tlc.url.removeprefix("file://")) / "trip-data" / GREEN.file_name(FEBRUARY)
    other = path.with_name("other.parquet")
    with duckdb.connect() as connection:
        connection.sql(f"SELECT * FROM read_parquet('{path}', file_row_number = true)").create_view("published")
        names = ", ".join(name for name in pq.read_schema(path).names)
        connection.execute(f"COPY (SELECT {names} FROM ({sql})) TO '{other}'")
    metadata = pq.read_metadata(path).metadata
    table = pq.read_table(other).replace_schema_metadata(metadata)  # the note that it is synthetic
    pq.write_table(table, path)
    other.unlink()


TEN_TIPS = (
    "SELECT * REPLACE (CASE WHEN file_row_number < 10 THEN coalesce(tip_amount, 0) + 1 ELSE tip_amount END AS "
    "tip_amount) FROM published WHERE file_row_number NOT BETWEEN 20 AND 24"
)


def test_a_republished_month_is_compared_once(republishing: Pipeline) -> None:
    publish_again(republishing, TEN_TIPS)
    result = republishing.run("2023-02-01", "2023-02-28")
    (row,) = republishing.rows(
        "SELECT fleet, month, rows_before - rows_after, rows_changed, rows_added, rows_removed FROM month_changes"
    )
    assert row == ("green", FEBRUARY, 5, 10, 0, 5)
    assert republishing.rows("SELECT column_name, rows_changed FROM month_column_changes") == [("tip_amount", 10)]
    (answer,) = comparisons(republishing.files)
    assert (answer["rows_changed"], answer["columns"]["tip_amount"]["rows"], answer["synthetic"]) == (10, 10, True)
    csv = republishing.files.read_text(f"{answer['stem']}.csv").splitlines()
    assert len(csv) == 1 + 10 + 5
    assert sum(",changed,1,tip_amount," in line for line in csv) == 10
    assert check_of(result, "changes_add_up").passed
    page = republishing.files.read_text("outputs/month_changes.html")
    assert "10 changed, 0 added, 5 removed" in " ".join("".join(ElementTree.fromstring(page).itertext()).split())  # noqa: S314 - our own page

    (version,) = republishing.rows("SELECT version FROM warehouse_version")
    again = republishing.run("2023-02-01", "2023-02-28", select=[month_changes_asset])
    assert republishing.rows("SELECT version FROM warehouse_version") == [version], "nothing is written twice"
    (event,) = again.get_asset_materialization_events()
    assert event.materialization.metadata["compared_now"].value == "none"
    assert republishing.files.read_text("outputs/month_changes.html") == page
    (shown,) = table_of(event.materialization.metadata["preview"])
    assert (shown["month"], shown["rows_changed"]) == ("2023-02", 10)


def test_a_damaged_answer_is_made_again(republishing: Pipeline) -> None:
    """Regression: each run failed with the words of the JSON reader, and without the name of the file."""
    publish_again(republishing, TEN_TIPS)
    republishing.run("2023-02-01", "2023-02-28")
    (answer,) = comparisons(republishing.files)
    whole = republishing.files.read(f"{answer['stem']}.json")
    for damaged in ("{", "[]", "{}"):
        republishing.files.write(f"{answer['stem']}.json", damaged)
        republishing.run("2023-02-01", "2023-02-28", select=[month_changes_asset])
        assert republishing.files.read(f"{answer['stem']}.json") == whole


def test_an_answer_outlives_the_older_version(republishing: Pipeline) -> None:
    republishing.tlc = replace(republishing.tlc, num_kept=1)
    for _ in range(2):
        publish_again(republishing, TEN_TIPS)
        republishing.run("2023-02-01", "2023-02-28")
    assert len(kept_versions(republishing.files)) == 1
    assert len(republishing.rows("SELECT * FROM month_changes")) == 2


def test_a_kept_version_that_is_damaged_fails_nothing(republishing: Pipeline) -> None:
    publish_again(republishing, TEN_TIPS)
    republishing.load("2023-02-01", "2023-02-28")
    (kept,) = kept_versions(republishing.files)
    republishing.files.write(kept.kept_name, b"damaged")
    result = republishing.run("2023-02-01", "2023-02-28", select=[month_changes_asset])
    (event,) = result.get_asset_materialization_events()
    assert "is damaged: its SHA-256 is" in str(event.materialization.metadata["not_compared"].value)
    assert republishing.rows("SELECT * FROM month_changes") == []


def rows_in_mirror(pipeline: Pipeline) -> int:
    return pq.read_metadata(
        Path(pipeline.tlc.url.removeprefix("file://")) / "trip-data" / GREEN.file_name(FEBRUARY)
    ).num_rows


@pytest.mark.parametrize("above", [False, True])
def test_people_are_told_above_a_share(republishing: Pipeline, above: bool) -> None:
    most = int(rows_in_mirror(republishing) * LARGE_SHARE)
    publish_again(
        republishing,
        f"SELECT * REPLACE (CASE WHEN file_row_number < {most + above} THEN total_amount + 1 ELSE total_amount END AS "
        "total_amount) FROM published",
    )
    with faulty_server() as server:
        republishing.alerts = Alerts(webhook_url=f"{server.url}/hook")
        result = republishing.run("2023-02-01", "2023-02-28")
        again = republishing.run("2023-02-01", "2023-02-28", select=[month_changes_asset])
        told = [json.loads(body)["text"] for body in server.posted]
    assert len(told) == int(above), "and once"
    assert all(f"green 2023-02 has another file: {most + 1} rows changed" in text for text in told)
    for found in (result, again):
        assert check_of(found, "few_rows_changed").passed is not above


def test_a_month_without_another_version_has_a_page_that_says_so(republishing: Pipeline) -> None:
    page = republishing.files.read_text("outputs/month_changes.html")
    assert "No month was replaced by another version" in page
    assert republishing.rows("SELECT * FROM month_changes") == []


def test_a_pinned_version_is_what_is_loaded(republishing: Pipeline) -> None:
    def loaded() -> Any:
        return republishing.rows(
            "SELECT num_trips + num_rejected, file_version FROM (SELECT sum(num_trips) AS num_trips, "
            "sum(num_rejected) AS num_rejected, min(file_version) AS file_version FROM loaded_days)"
        )

    before = loaded()
    publish_again(republishing, TEN_TIPS)
    republishing.load("2023-02-01", "2023-02-28")
    assert loaded()[0][0] == before[0][0] - 5
    put_in_place(republishing.files, find_version(republishing.files, before[0][1]), num_kept=ALL_VERSIONS)
    republishing.run("2023-02-01", "2023-02-28")
    assert loaded() == before


def test_the_commands_load_an_older_version_and_the_newest_again(
    own_mirror: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    pipeline = pipeline_in(tmp_path / "data", own_mirror, ["green"])
    environment = {**environment, "TLC_URL": own_mirror.as_uri(), "TAXI_FLEETS": "green"}

    def command(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "taxi_pipeline", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return f"{done.returncode}\n{done.stdout}{done.stderr}"

    assert command("versions").startswith("0\nNo version of a month was replaced")
    command("materialize", "--start", "2023-02-01", "--end", "2023-02-28")
    (first,) = {version for (version,) in pipeline.rows("SELECT file_version FROM loaded_days")}
    publish_again(pipeline, TEN_TIPS)
    command("materialize", "--start", "2023-02-01", "--end", "2023-02-28")
    assert first[:16] in command("versions")
    done = command("load", "--version", first[:12])
    assert done.startswith("0\n"), done
    assert {version for (version,) in pipeline.rows("SELECT file_version FROM loaded_days")} == {first}
    assert "in its place, pinned" in command("versions", "green/2023-02")
    done = command("load", "--newest", "green/2023-02")
    assert done.startswith("0\n"), done
    assert first not in {version for (version,) in pipeline.rows("SELECT file_version FROM loaded_days")}
    publish_again(pipeline, "SELECT * FROM published WHERE file_row_number % 4 = 0")
    refused = " ".join(command("load", "--newest", "green/2023-02").split())
    assert refused.startswith("1 "), "what is published now is judged as ever"
    assert "TAXI_ACCEPT" in refused
    published = own_mirror / "trip-data" / GREEN.file_name(FEBRUARY)
    mine = tmp_path / "mine.parquet"
    shutil.copyfile(pipeline.folder / "raw" / GREEN.file_name(FEBRUARY), mine)
    pq.write_table(pq.read_table(mine).slice(1).replace_schema_metadata(pq.read_metadata(published).metadata), mine)
    assert command("import", "--replace", str(mine)).startswith("0\n")
    refused = " ".join(command("load", "--newest", "green/2023-02").split())
    assert refused.startswith("1 ")
    assert "taxi-pipeline import --forget green/2023-02" in refused
    for arguments, answer in {
        ("--version", "00000000"): "no version with the SHA-256 00000000 is kept",
        ("--version", "xyz"): "'xyz' is not 8 to 64 hexadecimal digits",
        ("--newest", "yellow/2023-02"): "yellow/2023-02 can't be loaded: TAXI_FLEETS is green; add yellow",
        (): "Give --version or --newest",
        ("--version", first, "--newest", "green/2023-02"): "green/2023-02 is asked for twice: a month has one version",
    }.items():
        refused = command("load", *arguments)
        assert not refused.startswith("0\n")
        assert answer in " ".join(refused.split())


# The page


def answer_of(**values: Any) -> dict[str, Any]:
    return {
        "fleet": "green",
        "month": "2023-02",
        "replaced_at": "2026-11-30T12:18:48+00:00",
        "earlier_sha256": "a" * 64,
        "later_sha256": "b" * 64,
        "synthetic": False,
        "rows_before": 1000,
        "rows_after": 1000,
        "rows_unchanged": 1000,
        "rows_changed": 0,
        "rows_added": 0,
        "rows_removed": 0,
        "rows_paired_otherwise": 0,
        "total_amount_change": "0.00",
        "trip_distance_change": "0.000",
        "columns": {},
        "paired_by": [],
        "schema": {"added": [], "removed": [], "types": {}},
        "stem": "outputs/month_changes/x",
        **values,
    }


def test_the_finding_is_a_sentence() -> None:
    assert sentence_of(answer_of()) == "green 2023-02 has another file with the same 1,000 rows"
    found = answer_of(rows_changed=1, rows_removed=2, rows_after=998)
    assert sentence_of(found) == "green 2023-02 has another file: 1 row changed, 2 rows removed, 0.3% of all"


def test_names_of_columns_are_text_and_bounded() -> None:
    hostile = "<script>alert(1)</script>"
    schema = {"added": [hostile, *(f"column_{n}" for n in range(500))], "removed": [], "types": {}}
    page = page_of([answer_of(schema=schema)])
    ElementTree.fromstring(page)  # noqa: S314 - our own page
    assert hostile not in page
    assert "and 441 more" in page


# Real months


@pytest.mark.real_data
def test_the_republished_real_month_has_other_types_and_no_other_row(real_tlc: Path, tmp_path: Path) -> None:
    """Green 2024-01, whose two files have other bytes."""
    name = "green_tripdata_2024-01.parquet"
    mirror = tmp_path / "mirror"
    shutil.copytree(real_tlc / "misc", mirror / "misc")
    (mirror / "trip-data").mkdir()
    shutil.copyfile(real_tlc / "trip-data" / name, mirror / "trip-data" / name)
    pipeline = pipeline_in(tmp_path / "data", mirror, ["green"])
    pipeline.load("2024-01-01", "2024-01-31")
    shutil.copyfile(real_tlc / "republished" / name, mirror / "trip-data" / name)
    pipeline.load("2024-01-01", "2024-01-31")
    (replacement,) = not_compared(pipeline.files, ["green"])
    answer = write_comparison(pipeline.warehouse, pipeline.files, replacement)
    assert (answer["rows_unchanged"], answer["rows_changed"], answer["rows_added"], answer["rows_removed"]) == (
        56_551,
        0,
        0,
        0,
    )
    assert answer["schema"]["types"]["passenger_count"] == ["int64", "double"]


def test_the_setting_reaches_the_source() -> None:
    from taxi_pipeline.opening import tlc_of

    assert tlc_of(settings_of({"TAXI_KEPT_VERSIONS": "3"})).num_kept == 3
    assert tlc_of(settings_of({})).num_kept == ALL_VERSIONS
