"""Trips by zone, weekday, hour and period as bytes that a browser unpacks: what the page counts any selection with.

A block holds one fleet and one kind of count: for each zone with trips a row of numbers, one for each slot (weekday and
hour) and period (some weeks), periods next to each other. Neighbours are alike that way, and gzip halves what other
orders take. Small numbers take a byte: a row has as many bytes for each number as its largest needs, all low bytes
first. `cube.js` reads it.

What is counted, and from which tables, is in `data`.
"""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

WEEKDAYS = 7
NUM_ZONES = 266
"""One more than the largest zone id."""

_LEVEL = 6
"""Of gzip: the highest saves 7 % and takes five times as long."""


_SAMPLED = 8
"""One of so many zones tells about how many bytes all will take."""

_SURELY_TOO_LARGE = 1.1
"""Times what all may take. A sample was at most 0.7 % off for the histories of `benchmarks/explorer.py`, and 3.6 % for
14 real months of green taxis (2020-03 to 2025-01)."""


@dataclass(frozen=True)
class Entries:
    """Counted trips of one fleet and kind: four arrays of equal length, no two entries for the same hour and zone."""

    fleet: str
    count: str
    """What is counted: `pickups`, `voids` or `dropoffs`."""
    zones: "np.ndarray"
    days: "np.ndarray"
    """Days since the first day of the first week."""
    hours: "np.ndarray"
    """0 to 23; 24 where the hour is not known."""
    trips: "np.ndarray"

    @property
    def num_hours(self) -> int:
        """25 if there are trips at an unknown hour, else 24."""
        return 25 if len(self.hours) and self.hours.max() == 24 else 24


@dataclass(frozen=True)
class Block:
    """The numbers of one fleet and kind, packed."""

    header: dict[str, Any]
    """`fleet`, `count`, `hours` (of a slot's day; 0 where slots are not told apart), `periods`, `zones` (ids), and
    `widths` (bytes of each number in the row of that zone)."""
    packed: bytes


@dataclass(frozen=True)
class PairEntries:
    """Counted trips of one fleet from zone to zone: four arrays of equal length."""

    fleet: str
    pickups: "np.ndarray"
    """Zone ids."""
    dropoffs: "np.ndarray"
    """Zone ids."""
    months: "np.ndarray"
    """Months since the first one."""
    trips: "np.ndarray"


def packed_pairs(entries: Sequence[PairEntries], num_months: int, most_bytes: int) -> tuple[int, list[Block]]:
    """Pack trips from zone to zone by month if that fits, else by quarter, by year, or for all months together.

    Args:
        entries: of all fleets.
        num_months: number of months.
        most_bytes: what all blocks may take together; all months together may take more.

    Returns:
        Months of a period, and the blocks. A block has for each pair of zones, by pickup and drop-off, a number for
        each period: first the ids of all pickups and those of all drop-offs, two bytes each, then the numbers. Low
        bytes come before the next higher ones, as in rows.
    """
    for months in (1, 3, 12):
        blocks = [_pairs_block(each, num_months, months) for each in entries]
        if sum(len(block.packed) for block in blocks) <= most_bytes:
            return months, blocks
    return max(1, num_months), [_pairs_block(each, num_months, max(1, num_months)) for each in entries]


def _pairs_block(entries: PairEntries, num_months: int, months: int) -> Block:
    import numpy as np

    num_periods = -(-num_months // months)
    pairs, position = np.unique(entries.pickups.astype(np.int64) * NUM_ZONES + entries.dropoffs, return_inverse=True)
    cells = np.zeros((len(pairs), num_periods), np.uint32)
    np.add.at(cells, (position.ravel(), entries.months // months), entries.trips)
    width = _width(int(cells.max(initial=0)))
    parts = [_planes(pairs // NUM_ZONES, 2), _planes(pairs % NUM_ZONES, 2), _planes(cells.ravel(), width)]
    header = {"fleet": entries.fleet, "count": "pairs", "pairs": len(pairs), "periods": num_periods, "width": width}
    return Block(header, gzip.compress(b"".join(parts), _LEVEL, mtime=0))


def packed_within(entries: Sequence[Entries], num_weeks: int, most_bytes: int) -> tuple[int, list[Block], list[Block]]:
    """Pack the entries by week if that fits, else by as few weeks together as fit.

    Args:
        entries: of all fleets and kinds.
        num_weeks: number of weeks.
        most_bytes: what all blocks may take together; kept to as long as periods can be longer.

    Returns:
        Weeks of a period; the blocks by zone, slot and period; and, where a period has several weeks, blocks by zone
        and week alone, so that weeks by themselves stay exact.
    """
    sample = [_sample(each) for each in entries]

    def fitting(weeks: int, most: int) -> list[Block] | None:
        """The blocks, or None where they take more; most that do not fit are known by their sample."""
        sampled = _fitting(_blocks(sample, num_weeks, weeks), round(most / _SAMPLED * _SURELY_TOO_LARGE))
        return None if sampled is None else _fitting(_blocks(entries, num_weeks, weeks), most)

    by_slot = fitting(1, most_bytes)
    if by_slot is not None:
        return 1, by_slot, []
    by_week = [_weekly(each, num_weeks) for each in entries]
    rest = most_bytes - sum(len(block.packed) for block in by_week)
    weeks = 2
    while weeks < num_weeks:
        by_slot = fitting(weeks, rest)
        if by_slot is not None:
            return weeks, by_slot, by_week
        weeks += max(1, weeks // 3)
    return num_weeks, list(_blocks(entries, num_weeks, num_weeks)), by_week


def _sample(entries: Entries) -> Entries:
    """The entries of every so many zones, from those with most trips to those with fewest."""
    import numpy as np

    trips = np.bincount(entries.zones, entries.trips, NUM_ZONES)
    ranked = np.argsort(-trips, kind="stable")[: np.count_nonzero(trips)]
    inside = np.isin(entries.zones, ranked[_SAMPLED // 2 :: _SAMPLED])
    return Entries(
        entries.fleet,
        entries.count,
        entries.zones[inside],
        entries.days[inside],
        entries.hours[inside],
        entries.trips[inside],
    )


def _fitting(blocks: Iterator[Block], most_bytes: int) -> list[Block] | None:
    """The blocks, or None as soon as they take more bytes."""
    made: list[Block] = []
    size = 0
    for block in blocks:
        made.append(block)
        size += len(block.packed)
        if size > most_bytes:
            return None
    return made


def _blocks(entries: Sequence[Entries], num_weeks: int, weeks: int) -> Iterator[Block]:
    num_periods = -(-num_weeks // weeks)
    for each in entries:
        slots = each.days % WEEKDAYS * each.num_hours + each.hours
        periods = each.days // (WEEKDAYS * weeks)
        yield _block(each, each.num_hours, slots, WEEKDAYS * each.num_hours, periods, num_periods)


def _weekly(entries: Entries, num_weeks: int) -> Block:
    return _block(entries, 0, entries.days * 0, 1, entries.days // WEEKDAYS, num_weeks)


def _block(
    entries: Entries, num_hours: int, slots: "np.ndarray", num_slots: int, periods: "np.ndarray", num_periods: int
) -> Block:
    """Pack numbers by zone, slot and period; zones without trips have no row."""
    import numpy as np

    zones = np.unique(entries.zones)
    position = np.zeros(NUM_ZONES, np.int64)
    position[zones] = np.arange(len(zones))
    cells = np.zeros((len(zones), num_slots * num_periods), np.uint32)
    np.add.at(cells, (position[entries.zones], slots * num_periods + periods), entries.trips)
    widths = [_width(int(row.max())) for row in cells]
    rows = (_planes(row, width) for row, width in zip(cells, widths, strict=True))
    header = {
        "fleet": entries.fleet,
        "count": entries.count,
        "hours": num_hours,
        "periods": num_periods,
        "zones": zones.tolist(),
        "widths": widths,
    }
    return Block(header, gzip.compress(b"".join(rows), _LEVEL, mtime=0))


def _planes(numbers: "np.ndarray", width: int) -> bytes:
    """Numbers as bytes: all low ones first, then the next higher ones, which are mostly zero."""
    import numpy as np

    return numbers.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :width].T.tobytes()


def _width(largest: int) -> int:
    return 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
