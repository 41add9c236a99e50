"""Comparisons of the tables and outputs with the trips: no row lost, none loaded twice.

The comparisons compute in another way than the pipeline does: from `trips` where an output used a rollup, from the
file's own counts where a load counted rows. Each returns the rows that differ; none means that all agree.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from taxi_pipeline.tlc.codes import CREDIT_CARD
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.tlc.zones import LAST_ZONE_ID, NUM_SHAPES
from taxi_pipeline.warehouse.coverage import LoadedMonth, loaded_months, loaded_span, warehouse_version
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.sql import placeholders, week_start
from taxi_pipeline.warehouse.tables import REJECTED_TRIPS, Table
from taxi_pipeline.warehouse.voids import NET_TRIPS_SQL

EQUAL = "equal"
PARTLY_LOADED = "not all days loaded"
SEVERAL_VERSIONS = "days of different versions of the file: materialize the whole month"
UNEQUAL = "UNEQUAL"


@dataclass(frozen=True)
class Conservation:
    """The comparison of trips and rejected rows with the published files."""

    wrong_days: Sequence[tuple[Any, ...]]
    """Fleet, day, trips in the file, in the table, rejected rows in the file, in the table; for each day that
    differs."""
    months: Sequence[tuple[Any, ...]]
    """Fleet, month, days loaded, rows of the file, trips, rejected rows, result; for each month."""

    def months_with(self, result: str) -> list[tuple[Any, ...]]:
        """The months with that result."""
        return [month for month in self.months if month[-1] == result]


def conservation(session: Session, days: Days | None) -> Conservation:
    """Compare trips and rejected rows with the published files.

    Args:
        session: the warehouse.
        days: days to compare, with the months in which they lie; None for all loaded days.

    Returns:
        The days that differ, and a result for each month.
    """
    days = days or loaded_span(session)
    if days is None:
        return Conservation([], [])
    return Conservation(
        wrong_days=session.rows(_DAYS_SQL, [days.first, days.last] * 3),
        months=[_month(month) for month in loaded_months(session, days)],
    )


def hourly_differences(session: Session, days: Days | None) -> list[tuple[Any, ...]]:
    """Find days whose hourly rollups differ from the sum of the trips.

    Args:
        session: the warehouse.
        days: days to compare; None for all loaded days.

    Returns:
        Fleet, day, pickups, drop-offs and trips of each day that differs.
    """
    days = days or loaded_span(session)
    return session.rows(_HOURLY_SQL, [days.first, days.last] * 3) if days else []


def flow_differences(session: Session, days: Days | None) -> list[tuple[Any, ...]]:
    """Find days whose `borough_flows` differ from the sum of the trips.

    Args:
        session: the warehouse.
        days: days to compare; None for all loaded days.

    Returns:
        Fleet, day, trips in flows and trips of each day that differs.
    """
    days = days or loaded_span(session)
    return session.rows(_FLOWS_SQL, [days.first, days.last] * 2) if days else []


@dataclass(frozen=True)
class NetDay:
    """A loaded day of a fleet: what was published, what is net of voids, and the voids that are counted here."""

    fleet: str
    day: date
    num_published: int
    """Trips that the published file has for the day."""
    num_net: int
    """Trips of `zone_hourly_trips` less those of `zone_hourly_voids`."""
    num_halves: int
    """Rows in `zone_hourly_voids`."""
    num_pairs: int
    """Voids, counted from the trips."""
    num_refunds: int
    """Other rows with a negative total; they are among the net trips."""
    miles_agree: bool
    """True if `zone_hourly_voids` has the miles of both rows of these voids."""

    @property
    def is_right(self) -> bool:
        """True if the published trips are the net trips and two for each void."""
        return (
            self.num_halves == 2 * self.num_pairs
            and self.num_published == self.num_net + 2 * self.num_pairs
            and self.miles_agree
        )


def net_days(session: Session, days: Days | None) -> list[NetDay]:
    """Compare net trips and voids with what was published.

    The voids are counted by key, not row by row as the rollup does: as many as the rarer of the two kinds has rows.

    Args:
        session: the warehouse.
        days: days to compare; None for all loaded days.
    """
    days = days or loaded_span(session)
    return [NetDay(*row) for row in session.rows(_NET_SQL, [days.first, days.last] * 5)] if days else []


def histogram_days(session: Session, days: Days | None) -> list[tuple[Any, ...]]:
    """Find days whose histograms do not hold each trip once in each measure, or have other long and full trips.

    Args:
        session: the warehouse.
        days: days to compare; None for all loaded days.

    Returns:
        Fleet, day, trips, least and largest number of trips in a measure (None: none is counted), trips of 5 miles and
        more by histogram and by trips, and trips of three people and more; of each day that differs.
    """
    days = days or loaded_span(session)
    return session.rows(_HISTOGRAMS_SQL, [days.first, days.last] * 3) if days else []


@dataclass(frozen=True)
class ZoneIds:
    """The ids in the table `zones`."""

    num_zones: int
    num_shapes: int
    repeated: Sequence[int]
    missing: Sequence[int]

    @property
    def are_right(self) -> bool:
        """True if each id from 1 to 265 is there once, and 263 of them have a shape."""
        return (
            not self.repeated and not self.missing and (self.num_zones, self.num_shapes) == (LAST_ZONE_ID, NUM_SHAPES)
        )


def zone_ids(session: Session) -> ZoneIds:
    """Read the ids in the table `zones`."""
    ids = [row[0] for row in session.rows("SELECT zone_id FROM zones ORDER BY zone_id")]
    shapes = session.row("SELECT count(geometry) FROM zones")[0]
    repeated = sorted({zone_id for zone_id in ids if ids.count(zone_id) > 1})
    return ZoneIds(len(ids), shapes, repeated, sorted(set(range(1, LAST_ZONE_ID + 1)) - set(ids)))


WeekTotals = Mapping[tuple[str, ...], tuple[Decimal, ...]]
"""The Sunday as ISO text, and the fleet where weeks are told apart by it → trips, dollars, miles, passengers."""
_WEEK_TOTALS = ("num_trips", "total_amount", "trip_distance", "passenger_count")
"""The columns of the weekly tables that hold these totals, in their order."""


@dataclass(frozen=True)
class ExpectedWeeks:
    """The weekly totals that the weekly tables should hold."""

    weeks: Days | None
    """Days of the counted weeks; None when nothing is loaded."""
    all_fleets: WeekTotals
    by_fleet: WeekTotals
    """Totals by week and fleet; empty with one fleet only."""
    net: WeekTotals
    """Totals by week and fleet without both rows of each void; fleet `all` is all of them together."""
    version: int
    """`warehouse_version` when the totals were counted."""


def expected_weeks(session: Session, days: Days | None, fleets: Sequence[str]) -> ExpectedWeeks:
    """Count weekly totals from the trips.

    Args:
        session: the warehouse.
        days: days whose weeks are counted; None for all loaded days.
        fleets: names of the fleets to count.

    Returns:
        Trips, US dollars, miles and passengers of each week, as published and net of voids.
    """
    days = days or loaded_span(session)
    version = warehouse_version(session)
    if days is None:
        return ExpectedWeeks(None, {}, {}, {}, version)
    weeks = days.in_weeks()
    of_all, of_each = ("period",), ("period", "fleet")
    net_trips = f"({NET_TRIPS_SQL}) AS net_trips"
    net_of_all = _weeks(session, of_all, fleets, weeks, net_trips)
    return ExpectedWeeks(
        weeks,
        all_fleets=_weeks(session, of_all, fleets, weeks, "trips"),
        by_fleet=_weeks(session, of_each, fleets, weeks, "trips") if len(fleets) > 1 else {},
        net={
            **{(week, "all"): totals for (week,), totals in net_of_all.items()},
            **_weeks(session, of_each, fleets, weeks, net_trips),
        },
        version=version,
    )


def week_differences(text: str | None, keys: Sequence[str], expected: WeekTotals, weeks: Days | None) -> list[str]:
    """Compare the rows of a weekly table with the totals that they should hold.

    Args:
        text: content of the CSV; None when there is no such file.
        keys: the columns that tell the rows apart: `period`, and `fleet` in the table by fleet.
        expected: the totals that it should hold for these weeks.
        weeks: days of the compared weeks; None for all.

    Returns:
        A sentence for each row that is missing, there twice, or has another total, and for each column that is missing.
    """
    reader = csv.DictReader((text or "").splitlines())
    if missing := [name for name in (*keys, *_WEEK_TOTALS) if name not in (reader.fieldnames or ())]:
        return [f"the column {name} is missing" for name in missing]
    wrong: list[str] = []
    written: dict[tuple[str, ...], tuple[Decimal, ...]] = {}
    for row in reader:
        key = tuple(row[name] for name in keys)
        if weeks is None or not weeks.first <= date.fromisoformat(row["period"]) <= weeks.last:
            continue
        if key in written:
            wrong.append(f"{' '.join(key)} is there twice")
        written[key] = tuple(Decimal(row[name]) for name in _WEEK_TOTALS)
    for key in sorted({*written, *expected}):
        wrong += _totals_that_differ(key, written.get(key), expected.get(key))
    return wrong


def _totals_that_differ(
    key: tuple[str, ...], written: tuple[Decimal, ...] | None, expected: tuple[Decimal, ...] | None
) -> list[str]:
    name = " ".join(key)
    if expected is None:
        return [f"{name} is in the file, and has no trips"]
    if written is None:
        return [f"{name} has trips, and is not in the file"]
    return [
        f"{name} has {column} {found}, not {counted}"
        for column, found, counted in zip(_WEEK_TOTALS, written, expected, strict=True)
        if found != counted
    ]


def segment_differences(session: Session, text: str, fleets: Sequence[str], least: int | None) -> list[tuple[Any, ...]]:
    """Compare the CSV of zone segments with the mart that it is made of.

    Args:
        session: the warehouse.
        text: content of the CSV.
        fleets: the fleets whose pickups it counts.
        least: pickups from which on a zone is in a segment; None when no zone is.

    Returns:
        Zone id, what the file has, and what is expected, for each zone that differs: it is there once, with the pickups
        of the mart, and in a segment when it has enough of them.
    """
    counted: dict[int, int] = {}
    if session.column_types("marts.zone_week_hours"):
        counted = dict(session.rows(_SEGMENTED_SQL.format(fleets=placeholders(fleets)), [*fleets, *fleets]))
    expected = {
        zone_id: [(trips, least is not None and trips >= least)]
        for (zone_id,) in session.rows("SELECT zone_id FROM zones WHERE geometry IS NOT NULL ORDER BY zone_id")
        for trips in (counted.get(zone_id, 0),)
    }
    found: dict[int, list[tuple[int, bool]]] = {}
    for row in csv.DictReader(text.splitlines()):
        in_one = bool(row["segment_id"]) and bool(row["segment"])
        found.setdefault(int(row["zone_id"]), []).append((int(row["num_pickups"]), in_one))
    return [
        (zone_id, _pickups_words(found.get(zone_id)), _pickups_words(expected.get(zone_id)))
        for zone_id in sorted({*expected, *found})
        if found.get(zone_id) != expected.get(zone_id)
    ]


def _pickups_words(rows: Sequence[tuple[int, bool]] | None) -> str:
    words = [f"{trips} pickups, in {'a' if in_one else 'no'} segment" for trips, in_one in rows or ()]
    return "; ".join(words) or "no row"


@dataclass(frozen=True)
class ExpectedZones:
    """The rows that the GeoJSON of Manhattan should hold: zone id, trips, dollars with two decimals, sorted by id."""

    zones: Sequence[tuple[int, int, str]]
    version: int
    """`warehouse_version` when the rows were counted."""


def expected_manhattan(session: Session, days: Days | None, fleets: Sequence[str]) -> ExpectedZones:
    """Count the pickups of Manhattan's zones.

    Args:
        session: the warehouse.
        days: days that a run has changed: they are counted from the trips, all others from the rollup; None to count
            all loaded days from the trips.
        fleets: names of the fleets to count.
    """
    days = days or loaded_span(session)
    ids = [row[0] for row in session.rows("SELECT zone_id FROM zones WHERE borough = 'Manhattan' ORDER BY zone_id")]
    counted: dict[int, tuple[int, int, str]] = {}
    if days:
        sql = _ZONES_SQL.format(fleets=placeholders(fleets))
        between = [days.first, days.last]
        counted = {
            zone_id: (zone_id, trips, f"{total:.2f}")
            for zone_id, trips, total in session.rows(sql, [*fleets, *between, *fleets, *between])
        }
    return ExpectedZones([counted.get(zone_id, (zone_id, 0, "0.00")) for zone_id in ids], warehouse_version(session))


def zones_in_geojson(text: str) -> list[tuple[int, int, str]]:
    """Read zone id, trips, dollars with two decimals of each feature, in the file's order."""
    features = [feature["properties"] for feature in json.loads(text)["features"]]
    return [(zone["zone_id"], zone["num_trips"], f"{zone['total_amount']:.2f}") for zone in features]


def column_differences(session: Session, table: Table) -> list[tuple[str, str | None, str | None]]:
    """Compare the columns of a table with their declaration.

    Args:
        session: the warehouse.
        table: the declared table.

    Returns:
        Name, declared type and found type of each column that differs; of all columns when their order differs.
    """
    found, declared = session.column_types(table.name), table.column_types
    if list(found.items()) == list(declared.items()):
        return []
    names = list({**declared, **found})
    different = [name for name in names if declared.get(name) != found.get(name)] or names
    return [(name, declared.get(name), found.get(name)) for name in different]


def _month(month: LoadedMonth) -> tuple[Any, ...]:
    if not month.is_whole:
        result = PARTLY_LOADED
    elif month.num_versions > 1:
        result = SEVERAL_VERSIONS
    else:
        result = EQUAL if month.num_trips + month.num_rejected == month.file_rows else UNEQUAL
    return (
        month.fleet,
        f"{month.first:%Y-%m}",
        month.num_days,
        month.file_rows,
        month.num_trips,
        month.num_rejected,
        result,
    )


def _weeks(session: Session, keys: Sequence[str], fleets: Sequence[str], weeks: Days, rows_sql: str) -> WeekTotals:
    """Count the weeks in these rows of trips, dollars and miles rounded to two decimals as in the files."""
    listed = ", ".join(keys)
    rows = session.rows(
        f"SELECT {listed}, count(*), coalesce(sum(total_amount), 0), coalesce(sum(trip_distance), 0), "
        "coalesce(sum(passenger_count), 0) "
        f"FROM (SELECT *, {week_start('pickup_date')} AS period FROM {rows_sql}) AS trips "
        f"WHERE fleet IN ({placeholders(fleets)}) AND pickup_date BETWEEN ? AND ? "
        f"GROUP BY {listed} ORDER BY {listed}",
        [*fleets, weeks.first, weeks.last],
    )
    cents = Decimal("0.01")
    return {
        tuple(map(str, row[: len(keys)])): tuple(Decimal(total).quantize(cents) for total in row[len(keys) :])
        for row in rows
    }


_DAYS_SQL = f"""
SELECT fleet, pickup_date, coalesce(loaded.num_trips, 0), coalesce(counted.num_trips, 0),
    coalesce(loaded.num_rejected, 0), coalesce(counted.num_rejected, 0)
FROM (SELECT * FROM loaded_days WHERE pickup_date BETWEEN ? AND ?) AS loaded
FULL JOIN (
    SELECT fleet, pickup_date, sum(num_trips) AS num_trips, sum(num_rejected) AS num_rejected
    FROM (
        SELECT fleet, pickup_date, count(*) AS num_trips, 0 AS num_rejected
        FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
        UNION ALL
        SELECT fleet, day, 0, count(*)
        FROM (
            SELECT fleet, {REJECTED_TRIPS.day} AS day FROM rejected_trips
        ) AS rejected
        WHERE day BETWEEN ? AND ? GROUP BY fleet, day
    ) AS by_kind
    GROUP BY fleet, pickup_date
) AS counted USING (fleet, pickup_date)
WHERE coalesce(loaded.num_trips, 0) <> coalesce(counted.num_trips, 0)
    OR coalesce(loaded.num_rejected, 0) <> coalesce(counted.num_rejected, 0)
ORDER BY fleet, pickup_date
"""

_HOURLY_SQL = """
WITH hourly AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips,
        sum(total_amount) AS total_amount, sum(trip_distance) AS trip_distance
    FROM zone_hourly_trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
), dropoffs AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips
    FROM zone_hourly_dropoffs WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
), counted AS (
    SELECT fleet, pickup_date, count(*) AS num_trips,
        coalesce(sum(total_amount), 0) AS total_amount, coalesce(sum(trip_distance), 0) AS trip_distance
    FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
)
SELECT fleet, pickup_date, hourly.num_trips, dropoffs.num_trips, counted.num_trips
FROM hourly FULL JOIN dropoffs USING (fleet, pickup_date) FULL JOIN counted USING (fleet, pickup_date)
WHERE hourly.num_trips IS DISTINCT FROM counted.num_trips
    OR hourly.total_amount IS DISTINCT FROM counted.total_amount
    OR hourly.trip_distance IS DISTINCT FROM counted.trip_distance
    OR dropoffs.num_trips IS DISTINCT FROM counted.num_trips
ORDER BY fleet, pickup_date
"""

_FLOWS_SQL = f"""
WITH flows AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips,
        sum(card_tip_amount) AS card_tip_amount
    FROM borough_flows WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
), counted AS (
    SELECT fleet, pickup_date, count(*) AS num_trips,
        sum(CASE WHEN payment_type = {CREDIT_CARD} THEN coalesce(tip_amount, 0) ELSE 0 END) AS card_tip_amount
    FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
)
SELECT fleet, pickup_date, flows.num_trips, counted.num_trips
FROM flows FULL JOIN counted USING (fleet, pickup_date)
WHERE flows.num_trips IS DISTINCT FROM counted.num_trips
    OR flows.card_tip_amount IS DISTINCT FROM counted.card_tip_amount
ORDER BY fleet, pickup_date
"""

_NET_SQL = """
WITH refunds AS (
    SELECT fleet, pickup_date, pickup_datetime, dropoff_datetime, pickup_zone_id, dropoff_zone_id, trip_distance,
        -total_amount AS amount, count(*) AS num_refunds
    FROM trips
    WHERE fleet IN ('yellow', 'green') AND total_amount < 0 AND pickup_date BETWEEN ? AND ?
    GROUP BY fleet, pickup_date, pickup_datetime, dropoff_datetime, pickup_zone_id, dropoff_zone_id, trip_distance,
        total_amount
), charges AS (
    SELECT fleet, pickup_datetime, dropoff_datetime, pickup_zone_id, dropoff_zone_id, trip_distance,
        total_amount AS amount, count(*) AS num_charges
    FROM trips
    WHERE total_amount > 0 AND pickup_date BETWEEN ? AND ?
        AND pickup_datetime IN (SELECT pickup_datetime FROM refunds)
    GROUP BY fleet, pickup_datetime, dropoff_datetime, pickup_zone_id, dropoff_zone_id, trip_distance, total_amount
), pairs AS (
    SELECT refunds.fleet, refunds.pickup_date, refunds.trip_distance, num_refunds,
        least(num_refunds, coalesce(num_charges, 0)) AS num_pairs
    FROM refunds
    LEFT JOIN charges ON charges.fleet = refunds.fleet
        AND charges.pickup_datetime = refunds.pickup_datetime
        AND charges.dropoff_datetime IS NOT DISTINCT FROM refunds.dropoff_datetime
        AND charges.pickup_zone_id = refunds.pickup_zone_id
        AND charges.dropoff_zone_id = refunds.dropoff_zone_id
        AND charges.trip_distance IS NOT DISTINCT FROM refunds.trip_distance
        AND charges.amount = refunds.amount
), counted AS (
    SELECT fleet, pickup_date, CAST(sum(num_pairs) AS BIGINT) AS num_pairs,
        CAST(sum(num_refunds - num_pairs) AS BIGINT) AS num_refunds,
        sum(2 * num_pairs * coalesce(trip_distance, 0)) AS miles
    FROM pairs GROUP BY fleet, pickup_date
), hourly AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips
    FROM zone_hourly_trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
), voids AS (
    SELECT fleet, pickup_date, CAST(sum(num_trips) AS BIGINT) AS num_trips, sum(trip_distance) AS miles
    FROM zone_hourly_voids WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
)
SELECT fleet, pickup_date, loaded.num_trips, coalesce(hourly.num_trips, 0) - coalesce(voids.num_trips, 0),
    coalesce(voids.num_trips, 0), coalesce(counted.num_pairs, 0), coalesce(counted.num_refunds, 0),
    coalesce(voids.miles, 0) = coalesce(counted.miles, 0)
FROM (SELECT * FROM loaded_days WHERE pickup_date BETWEEN ? AND ?) AS loaded
LEFT JOIN hourly USING (fleet, pickup_date)
LEFT JOIN voids USING (fleet, pickup_date)
LEFT JOIN counted USING (fleet, pickup_date)
ORDER BY fleet, pickup_date
"""

_ZONES_SQL = """
SELECT pickup_zone_id, CAST(sum(num_trips) AS BIGINT), sum(total_amount)
FROM (
    SELECT pickup_zone_id, count(*) AS num_trips, coalesce(sum(total_amount), 0) AS total_amount
    FROM trips WHERE fleet IN ({fleets}) AND pickup_date BETWEEN ? AND ? GROUP BY pickup_zone_id
    UNION ALL
    SELECT pickup_zone_id, sum(num_trips), sum(total_amount)
    FROM zone_hourly_trips WHERE fleet IN ({fleets}) AND NOT pickup_date BETWEEN ? AND ? GROUP BY pickup_zone_id
) AS counted
GROUP BY pickup_zone_id
"""

# The bins of 5 miles and of three people are written out, so that a wrong bound or a wrong bin shows.
_HISTOGRAMS_SQL = """
WITH binned AS (
    SELECT fleet, pickup_date, min(num_trips) AS least, max(num_trips) AS most,
        CAST(coalesce(sum(num_far), 0) AS BIGINT) AS num_far, CAST(coalesce(sum(num_full), 0) AS BIGINT) AS num_full
    FROM (
        SELECT fleet, pickup_date, measure, CAST(sum(num_trips) AS BIGINT) AS num_trips,
            sum(num_trips) FILTER (WHERE measure = 'trip_distance' AND bin >= 8) AS num_far,
            sum(num_trips) FILTER (WHERE measure = 'passenger_count' AND bin >= 3) AS num_full
        FROM trip_histograms WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date, measure
    ) AS by_measure
    GROUP BY fleet, pickup_date
), counted AS (
    SELECT fleet, pickup_date, count(*) AS num_trips, count(*) FILTER (WHERE trip_distance >= 5) AS num_far,
        count(*) FILTER (WHERE passenger_count >= 3) AS num_full
    FROM trips WHERE pickup_date BETWEEN ? AND ? GROUP BY fleet, pickup_date
)
SELECT fleet, pickup_date, coalesce(counted.num_trips, 0), least, most, binned.num_far, coalesce(counted.num_far, 0),
    binned.num_full, coalesce(counted.num_full, 0)
FROM (SELECT * FROM loaded_days WHERE pickup_date BETWEEN ? AND ?) AS loaded
LEFT JOIN binned USING (fleet, pickup_date)
LEFT JOIN counted USING (fleet, pickup_date)
WHERE coalesce(least, 0) <> coalesce(counted.num_trips, 0) OR coalesce(most, 0) <> coalesce(counted.num_trips, 0)
    OR coalesce(binned.num_far, 0) <> coalesce(counted.num_far, 0)
    OR coalesce(binned.num_full, 0) <> coalesce(counted.num_full, 0)
ORDER BY fleet, pickup_date
"""

_SEGMENTED_SQL = """
WITH newest AS (
    SELECT max(12 * EXTRACT(YEAR FROM month) + EXTRACT(MONTH FROM month)) AS number
    FROM marts.zone_week_hours
    WHERE fleet IN ({fleets})
), counted AS (
    SELECT fleet, zone_id, hour_of_week, num_days, num_trips
    FROM marts.zone_week_hours
    CROSS JOIN newest
    WHERE fleet IN ({fleets})
        AND 12 * EXTRACT(YEAR FROM month) + EXTRACT(MONTH FROM month) > newest.number - 12
)
SELECT zone_id, CAST(sum(num_trips) AS BIGINT)
FROM counted
WHERE fleet IN (
    SELECT fleet FROM counted WHERE num_days > 0 GROUP BY fleet HAVING count(DISTINCT hour_of_week) = 168
)
GROUP BY zone_id
ORDER BY zone_id
"""
