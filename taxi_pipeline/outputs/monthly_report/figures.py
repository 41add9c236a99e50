"""The numbers of a monthly report, computed from the rollups: the month's totals, and its unusual days.

Means leave out implausible trips (`warehouse.plausibility`) and both rows of voids (`warehouse.voids`), and say how
many they are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.outputs.monthly_report.indicators import indicators_of
from taxi_pipeline.outputs.places import NO_BOROUGHS
from taxi_pipeline.quality.drift import Counts, Drift, drifts, histograms_of
from taxi_pipeline.quality.evaluation import Verdict, evaluate_all
from taxi_pipeline.tlc.aggregated_report import Indicators
from taxi_pipeline.tlc.codes import AREAS, CREDIT_CARD
from taxi_pipeline.tlc.months import Days, previous_month, year_before
from taxi_pipeline.warehouse.companies import WITH_COMPANY
from taxi_pipeline.warehouse.coverage import loaded_days, loaded_months, not_loaded
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.net_parts import TOTAL_PARTS
from taxi_pipeline.warehouse.plausibility import BACKWARDS, TOO_FAR, TOO_LONG
from taxi_pipeline.warehouse.sql import month_start, placeholders, weekday
from taxi_pipeline.warehouse.tables import PUBLISHED_COLUMNS
from taxi_pipeline.warehouse.vendor_defects import DURATION_SECONDS, FARE, FARES_ARE_FLAT, MINUTES_ARE_MONTHS
from taxi_pipeline.warehouse.views import NET_PARTS_VIEW
from taxi_pipeline.warehouse.voids import like_refunds_sql

YEARS_OF_HISTORY = 5
"""Years before the month whose trips a day are shown beside it."""


class UnreportableMonthError(TaxiPipelineError):
    """No report of the month can be made; the message says why, and what to do."""


class FlowsMissingError(UnreportableMonthError):
    """The table `borough_flows` lacks trips that are loaded."""


@dataclass(frozen=True)
class Volume:
    """Trips with their passengers, where known, and their miles, as published."""

    num_trips: int
    num_passengers: int
    miles: Decimal
    plausible_miles: Decimal
    """The miles without those of trips longer than the plausible miles, which may outweigh all others."""

    def less(self, other: "Volume") -> "Volume":
        """The volume without another one that is part of it."""
        return Volume(
            self.num_trips - other.num_trips,
            self.num_passengers - other.num_passengers,
            self.miles - other.miles,
            self.plausible_miles - other.plausible_miles,
        )


@dataclass(frozen=True)
class Payments:
    """The trips of taxis by what is known of their payment."""

    num_trips: int
    num_by_card: int
    num_unknown: int
    """Number of trips without a payment type."""


@dataclass(frozen=True)
class Totals:
    """The totals of a month's trips. A total is None where no trip has the value (fhv has no fares)."""

    num_trips: int
    num_days: int
    """Number of days of which any of the fleets is loaded."""
    revenue: Decimal | None
    """Sum of all that passengers were charged, in US dollars."""
    mean_fare: float | None
    """Mean fare of plausible net trips, in US dollars."""
    mean_distance: float | None
    """Mean distance of plausible net trips of more than no miles, in miles."""
    mean_minutes: float | None
    """Mean duration of plausible net trips by the clock, in minutes."""
    num_too_long: int
    """Number of trips longer than the plausible miles or hours."""
    num_backwards: int
    """Number of other trips that end before they begin."""
    num_no_miles: int
    """Number of plausible net trips of no miles."""
    num_wrong_times: int
    """Number of trips of vendors whose times are known to be wrong."""
    num_wrong_fares: int
    """Number of trips of vendors whose fares are known to be wrong."""
    busiest_hour: tuple[int, float] | None
    """The hour of the day with most trips in the month, and its trips on an average loaded day."""
    num_unplaced: int
    """Number of pickups in no known zone."""
    airport_share: float | None
    """Share of the pickups in known zones that are at JFK, LaGuardia and Newark."""
    manhattan_share: float | None
    """Share of the pickups in known zones that are in Manhattan."""
    tips_per_card_trip: float | None
    """Mean tip of all trips paid by credit card, in US dollars."""
    published: Volume
    voids: Volume
    """Of the published trips, both rows of each void."""
    trips_on: Mapping[date, int]
    """Day → trips, for loaded days only."""
    revenue_on: Mapping[date, float]
    """Day → US dollars that passengers were charged, for loaded days only."""

    @property
    def busiest_days(self) -> list[date]:
        """The day with most trips; all of them when several have as many, and none without trips."""
        most = max(self.trips_on.values(), default=0)
        return [day for day, trips in self.trips_on.items() if most and trips == most]

    @property
    def net(self) -> Volume:
        """The published trips without both rows of each void."""
        return self.published.less(self.voids)

    @property
    def num_placed(self) -> int:
        """Number of pickups in known zones: what shares of places divide by."""
        return self.num_trips - self.num_unplaced

    @property
    def trips_per_day(self) -> float | None:
        """Mean trips per loaded day, because months differ in length."""
        return self.num_trips / self.num_days if self.num_days else None

    @property
    def revenue_per_day(self) -> float | None:
        """Mean US dollars per loaded day."""
        return None if self.revenue is None or not self.num_days else float(self.revenue) / self.num_days


@dataclass(frozen=True)
class Charges:
    """The charges of a fleet's passengers, part by part, in US dollars. Only trips with a total are counted."""

    fleet: str
    num_trips: int
    total: Decimal
    parts: Mapping[str, Decimal]
    """Column of `trips` → its sum; without parts that the fleet does not have."""

    @property
    def unexplained(self) -> Decimal:
        """The part of the total that no charge accounts for, in US dollars."""
        return self.total - sum(self.parts.values(), Decimal(0))


@dataclass(frozen=True)
class DriverPay:
    """The pay of a licensee's drivers. Only trips with a pay and a time are counted."""

    licensee: str
    num_trips: int
    pay: Decimal
    """Sum of the pay, in US dollars."""
    miles: Decimal
    seconds: int


@dataclass(frozen=True)
class ZoneTrips:
    """The pickups in a zone."""

    zone_id: int
    zone: str
    borough: str
    geometry: str | None
    """Shape of the zone, as WKT in degrees; None for ids 264 and 265, which are no places."""
    num_trips: int


@dataclass(frozen=True)
class FleetQuality:
    """The rows of a fleet's published file: loaded and rejected."""

    fleet: str
    published: int
    loaded: int
    rejected: int
    days_loaded: int
    is_whole: bool
    """True if all days of the month are loaded. Then loaded and rejected rows add up to the published file's."""
    reasons: Sequence[tuple[str, int]]
    """Reason for the rejection of rows → number of rows, as pairs."""


@dataclass(frozen=True)
class MonthFigures:
    """All numbers of a monthly report."""

    days: Days
    fleets: Sequence[str]
    missing: Sequence[tuple[str, date]]
    """Fleets and days of the month that are not loaded, fleet by fleet."""
    synthetic: bool
    totals: Totals
    previous: Totals | None
    """Totals of the month before; None unless all of it is loaded."""
    year_before: Totals | None
    """Totals of the same month a year before; None unless all of it is loaded."""
    by_fleet: Mapping[str, Totals]
    by_company: Sequence[tuple[str, str | None, int]]
    """Fleet, company (None for taxis) and trips, most first. Of fhv the base that sent the car tells the company."""
    senders: Sequence[tuple[str | None, int]]
    """Who sent the taxis' trips (a code, None for those that name nobody) and trips, most first; empty in months whose
    files do not say it."""
    payments: Payments | None
    """Payments of the taxis' trips; None without such trips."""
    charges: Sequence[Charges]
    """Charges of the fleets that publish totals."""
    driver_pay: Sequence[DriverPay]
    """Pay of each licensee's drivers, most trips first; empty without high-volume trips."""
    trips_per_hour: Mapping[tuple[int, int], float]
    """(Weekday from 0 for Sunday, hour) → trips on an average loaded day of that weekday."""
    zones: Sequence[ZoneTrips]
    """Pickups of each zone, sorted by id."""
    flows: Mapping[tuple[str, str], int]
    """(Borough of the pickup, borough of the drop-off) → trips."""
    quality: Sequence[FleetQuality]
    verdicts: Mapping[str, Verdict]
    """Name of a check of published data → its verdict over the month's loaded days."""
    indicators: Sequence[Indicators] = ()
    """What the TLC itself counted, by licence class; empty for synthetic trips, and where its report has no such
    month."""
    histograms: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)
    """Fleet → measure → bin → trips of the loaded days; without measures that the fleet does not have."""
    history: Mapping[str, Mapping[date, float]] = field(default_factory=dict)
    """Fleet → month → trips on an average day, of this month and those of five years before that are wholly loaded."""
    drifts: Sequence[Drift] = ()
    """The histograms beside those of a year before, where both months are wholly loaded."""

    @property
    def trips_per_day(self) -> Mapping[date, int]:
        """Day → trips, for loaded days only."""
        return self.totals.trips_on


def figures_of(session: Session, month: date, fleets: Sequence[str]) -> MonthFigures:
    """Compute the numbers of a month, as far as it is loaded.

    Args:
        session: the warehouse.
        month: first day of the month.
        fleets: names of the fleets to count.

    Returns:
        The numbers; amounts in US dollars, distances in miles.

    Raises:
        UnreportableMonthError: no day of the month is loaded.
        FlowsMissingError: `borough_flows` lacks a day that is loaded.
    """
    days = Days.of_month(month)
    loaded = loaded_days(session, days, fleets)
    if not loaded:
        raise UnreportableMonthError(f"no day of {month:%Y-%m} is loaded: materialize its days first")
    by_fleet = [fleet for fleet in fleets if any(name == fleet for name, _ in loaded)]
    return MonthFigures(
        days=days,
        fleets=fleets,
        missing=not_loaded(loaded, days, fleets),
        synthetic=any(loaded.values()),
        totals=_totals(session, days, fleets),
        previous=_totals_if_whole(session, previous_month(month), fleets),
        year_before=_totals_if_whole(session, year_before(month), fleets),
        by_fleet={fleet: _totals(session, days, [fleet]) for fleet in by_fleet} if len(fleets) > 1 else {},
        senders=_senders(session, days, fleets),
        payments=_payments(session, days, fleets),
        charges=sorted(
            (_charges(*row) for row in _query(session, _CHARGES_SQL, days, fleets)),
            key=lambda each: fleets.index(each.fleet),
        ),
        driver_pay=[DriverPay(*row) for row in _query(session, _DRIVER_PAY_SQL, days, fleets)],
        by_company=[(fleet, company, trips) for fleet, company, trips in _query(session, _COMPANIES_SQL, days, fleets)],
        trips_per_hour=_trips_per_hour(session, days, fleets),
        zones=[ZoneTrips(*row) for row in _query(session, _ZONES_SQL, days, fleets)],
        flows={(pickup, dropoff): trips for pickup, dropoff, trips in _query(session, _FLOWS_SQL, days, fleets)},
        quality=_quality(session, days, fleets),
        verdicts=evaluate_all(session, days),
        indicators=() if any(loaded.values()) else indicators_of(session, month),
        histograms=histograms_of(session, month, by_fleet),
        history=_history(session, days, fleets),
        drifts=[each for each in drifts(session, days) if each.fleet in fleets],
    )


def _query(session: Session, sql: str, days: Days, fleets: Sequence[str]) -> list[tuple[Any, ...]]:
    """Run a query about the pickups of these days and fleets."""
    which = f"pickup_date BETWEEN ? AND ? AND fleet IN ({placeholders(fleets)})"
    return session.rows(sql.format(days=which), [days.first, days.last, *fleets])


def _history(session: Session, days: Days, fleets: Sequence[str]) -> dict[str, dict[date, float]]:
    span = Days(days.first.replace(year=days.first.year - YEARS_OF_HISTORY), days.last)
    found: dict[str, dict[date, float]] = {fleet: {} for fleet in fleets}
    for fleet, month, num_days, num_trips in _query(session, _HISTORY_SQL, span, fleets):
        if num_days == Days.of_month(month).num_days:
            found[fleet][month] = num_trips / num_days
    return {fleet: months for fleet, months in found.items() if months}


def _totals_if_whole(session: Session, month: date, fleets: Sequence[str]) -> Totals | None:
    days = Days.of_month(month)
    loaded = loaded_days(session, days, fleets)
    return None if not loaded or not_loaded(loaded, days, fleets) else _totals(session, days, fleets)


def _totals(session: Session, days: Days, fleets: Sequence[str]) -> Totals:
    trips_on: dict[date, int] = dict(_query(session, _LOADED_DAYS_SQL, days, fleets))
    num_trips, num_days = sum(trips_on.values()), len(trips_on)
    ((in_flows, unplaced, in_manhattan, too_long, backwards, *sums, card_trips, card_tips),) = _query(
        session, _SUMS_SQL, days, fleets
    )
    if in_flows != num_trips:
        raise FlowsMissingError(
            f"{num_trips:,} trips are loaded from {days}, and borough_flows holds {in_flows:,} of them: materialize "
            "borough_flows for these days"
        )
    voids, no_miles_in_voids, sums_of_voids = _voids(session, days, fleets)
    ((no_miles, far_miles, wrong_times, wrong_fares),) = _query(session, _ODD_TRIPS_SQL, days, fleets)
    num_no_miles = no_miles - no_miles_in_voids
    means = [(amount or 0) - less for amount, less in zip(sums, sums_of_voids, strict=True)]
    fares, fare_amount, distances, trip_distance, durations, duration_seconds = means
    ((revenue, at_airports, passengers, miles),) = _query(session, _REVENUE_SQL, days, fleets)
    per_hour = _query(session, _BUSIEST_HOUR_SQL, days, fleets)
    return Totals(
        num_trips=num_trips,
        num_days=num_days,
        revenue=revenue if sums[0] else None,
        mean_fare=_ratio(fare_amount, fares),
        mean_distance=_ratio(trip_distance, distances - num_no_miles),
        mean_minutes=_ratio(duration_seconds, 60 * durations),
        num_too_long=too_long,
        num_backwards=backwards,
        num_no_miles=num_no_miles,
        num_wrong_times=wrong_times,
        num_wrong_fares=wrong_fares,
        busiest_hour=(per_hour[0][0], per_hour[0][1] / num_days) if per_hour else None,
        num_unplaced=unplaced,
        airport_share=_ratio(at_airports, num_trips - unplaced),
        manhattan_share=_ratio(in_manhattan, num_trips - unplaced),
        tips_per_card_trip=_ratio(card_tips, card_trips),
        published=Volume(num_trips, passengers, miles, miles - far_miles),
        voids=voids,
        trips_on=trips_on,
        revenue_on=dict.fromkeys(trips_on, 0.0)
        | {day: float(amount) for day, amount in _query(session, _REVENUE_OF_DAYS_SQL, days, fleets)},
    )


def _voids(session: Session, days: Days, fleets: Sequence[str]) -> tuple[Volume, int, list[Any]]:
    """The volume of the voids, their plausible trips of no miles, and what they have of the sums for means.

    They are counted from the trips, because an older version has counted no voids by hour.
    """
    which = f"pickup_date BETWEEN ? AND ? AND fleet IN ({placeholders(fleets)})"
    num_rows, passengers, miles, far_miles, no_miles, *sums = session.row(
        _VOIDS_SQL.format(days=which), [days.first, days.last, *fleets] * 2
    )
    return Volume(num_rows, passengers, miles, miles - far_miles), no_miles, sums


def _senders(session: Session, days: Days, fleets: Sequence[str]) -> list[tuple[str | None, int]]:
    rows = _query(session, _SENDERS_SQL, days, fleets)
    return [(source, trips) for source, trips in rows] if any(source for source, _ in rows) else []


def _payments(session: Session, days: Days, fleets: Sequence[str]) -> Payments | None:
    ((num_trips, num_by_card, num_unknown),) = _query(session, _PAYMENTS_SQL, days, fleets)
    return Payments(num_trips, num_by_card, num_unknown) if num_trips else None


def _charges(fleet: str, num_trips: int, total: Decimal, *parts: Decimal | None) -> Charges:
    there = {name: amount for name, amount in zip(TOTAL_PARTS, parts, strict=True) if amount}
    return Charges(fleet, num_trips, total, there)


def _ratio(amount: Any, count: int) -> float | None:
    return float(amount) / count if count else None


def _trips_per_hour(session: Session, days: Days, fleets: Sequence[str]) -> dict[tuple[int, int], float]:
    weekdays = dict(_query(session, _WEEKDAYS_SQL, days, fleets))
    return {
        (weekday, hour): trips / weekdays[weekday] for weekday, hour, trips in _query(session, _HOURS_SQL, days, fleets)
    }


def _quality(session: Session, days: Days, fleets: Sequence[str]) -> list[FleetQuality]:
    reasons: dict[str, Counter[str]] = {}
    rows = session.rows(_REASONS_SQL.format(fleets=placeholders(fleets)), [days.first, *fleets])
    for fleet, has_no_pickup, is_outside, misfit_columns, num_rows in rows:
        reason = _reason(has_no_pickup, is_outside, misfit_columns)
        reasons.setdefault(fleet, Counter())[reason] += num_rows
    return [
        FleetQuality(
            fleet=month.fleet,
            published=month.file_rows,
            loaded=month.num_trips,
            rejected=month.num_rejected,
            days_loaded=month.num_days,
            is_whole=month.is_whole,
            reasons=sorted(reasons.get(month.fleet, {}).items(), key=lambda reason: (-reason[1], reason[0])),
        )
        for month in loaded_months(session, days)
        if month.fleet in fleets
    ]


def _reason(has_no_pickup: bool, is_outside: bool, misfit_columns: str | None) -> str:
    """Say in words why rows were rejected."""
    misfits = [f"{name} does not fit {_TYPES[name]}" for name in (misfit_columns or "").split(",") if name]
    if is_outside:
        return "; ".join(["pickup outside the month", *misfits])
    return "; ".join(misfits) or ("no pickup time" if has_no_pickup else "not known")


_TYPES = {column.name: column.type for column in PUBLISHED_COLUMNS}

_SUMS_SQL = f"""
SELECT
    CAST(coalesce(sum(num_trips), 0) AS BIGINT),
    CAST(coalesce(sum(num_trips) FILTER (WHERE pickup_borough IN ({", ".join(f"'{name}'" for name in NO_BOROUGHS)})), 0)
        AS BIGINT),
    CAST(coalesce(sum(num_trips) FILTER (WHERE pickup_borough = 'Manhattan'), 0) AS BIGINT),
    CAST(coalesce(sum(num_too_long), 0) AS BIGINT), CAST(coalesce(sum(num_backwards), 0) AS BIGINT),
    coalesce(sum(num_fares), 0), sum(fare_amount),
    coalesce(sum(num_distances), 0), sum(trip_distance),
    coalesce(sum(num_durations), 0), sum(duration_seconds),
    coalesce(sum(num_card_trips), 0), sum(card_tip_amount)
FROM borough_flows
WHERE {{days}}
"""

_REVENUE_SQL = f"""
SELECT sum(total_amount),
    coalesce(sum(num_trips) FILTER (WHERE pickup_zone_id IN ({", ".join(map(str, sorted(AREAS["airport"])))})), 0),
    CAST(coalesce(sum(passenger_count), 0) AS BIGINT), coalesce(sum(trip_distance), 0)
FROM zone_hourly_trips
WHERE {{days}}
"""

_HISTORY_SQL = f"""
SELECT fleet, {month_start("pickup_date")} AS month, count(*), CAST(sum(num_trips) AS BIGINT)
FROM loaded_days
WHERE {{days}}
GROUP BY fleet, {month_start("pickup_date")}
ORDER BY fleet, month
"""

_LOADED_DAYS_SQL = """
SELECT pickup_date, CAST(sum(num_trips) AS BIGINT)
FROM loaded_days
WHERE {days}
GROUP BY pickup_date
ORDER BY pickup_date
"""

_REVENUE_OF_DAYS_SQL = """
SELECT pickup_date, sum(total_amount)
FROM zone_hourly_trips
WHERE {days}
GROUP BY pickup_date
ORDER BY pickup_date
"""

_PLAUSIBLE = f"NOT (coalesce({TOO_LONG}, FALSE) OR coalesce({BACKWARDS}, FALSE))"

_ODD_TRIPS_SQL = f"""
SELECT count(*) FILTER (WHERE trip_distance = 0 AND {_PLAUSIBLE}),
    coalesce(sum(trip_distance) FILTER (WHERE {TOO_FAR}), 0),
    count(*) FILTER (WHERE {MINUTES_ARE_MONTHS.applies}),
    count(*) FILTER (WHERE {FARES_ARE_FLAT.applies})
FROM trips
WHERE {{days}}
"""

_VOIDS_SQL = f"""
SELECT
    count(*), CAST(coalesce(sum(passenger_count), 0) AS BIGINT), coalesce(sum(trip_distance), 0),
    coalesce(sum(trip_distance) FILTER (WHERE {TOO_FAR}), 0),
    count(*) FILTER (WHERE plausible AND trip_distance = 0),
    count(fare) FILTER (WHERE plausible), coalesce(sum(fare) FILTER (WHERE plausible), 0),
    count(trip_distance) FILTER (WHERE plausible), coalesce(sum(trip_distance) FILTER (WHERE plausible), 0),
    count(duration_seconds) FILTER (WHERE plausible),
    CAST(coalesce(sum(duration_seconds) FILTER (WHERE plausible), 0) AS BIGINT)
FROM (
    SELECT *,
        {DURATION_SECONDS} AS duration_seconds,
        {FARE} AS fare,
        {_PLAUSIBLE} AS plausible
    FROM ({like_refunds_sql("{days}")}) AS like_refunds
    WHERE is_half
) AS voids
"""

_PAYMENTS_SQL = f"""
SELECT count(*), count(*) FILTER (WHERE payment_type = {CREDIT_CARD}), count(*) FILTER (WHERE payment_type IS NULL)
FROM trips
WHERE {{days}} AND fleet IN ('yellow', 'green')
"""

_BUSIEST_HOUR_SQL = """
SELECT pickup_hour, CAST(sum(num_trips) AS BIGINT) AS trips
FROM zone_hourly_trips
WHERE {days}
GROUP BY pickup_hour
ORDER BY trips DESC, pickup_hour
LIMIT 1
"""

_WEEKDAYS_SQL = f"""
SELECT {weekday("pickup_date")}, count(DISTINCT pickup_date)
FROM loaded_days
WHERE {{days}}
GROUP BY {weekday("pickup_date")}
"""

_HOURS_SQL = f"""
SELECT {weekday("pickup_date")} AS weekday, pickup_hour, CAST(sum(num_trips) AS BIGINT)
FROM zone_hourly_trips
WHERE {{days}}
GROUP BY {weekday("pickup_date")}, pickup_hour
ORDER BY weekday, pickup_hour
"""

_ZONES_SQL = """
SELECT zone_id, zone, borough, geometry, CAST(coalesce(num_trips, 0) AS BIGINT)
FROM zones
LEFT JOIN (
    SELECT pickup_zone_id, sum(num_trips) AS num_trips FROM zone_hourly_trips WHERE {days} GROUP BY pickup_zone_id
) AS pickups ON pickup_zone_id = zone_id
ORDER BY zone_id
"""

_CHARGES_SQL = f"""
SELECT fleet, count(*), sum(total_amount), {", ".join(f"sum({part})" for part in TOTAL_PARTS)}
FROM ({NET_PARTS_VIEW.select}) AS net_parts
WHERE {{days}}
GROUP BY fleet
ORDER BY fleet
"""

_DRIVER_PAY_SQL = """
SELECT coalesce(licensee, 'not known') AS licensee, count(*) AS num_trips, sum(driver_pay),
    coalesce(sum(trip_distance), 0), CAST(sum(trip_time) AS BIGINT)
FROM trips
WHERE {days} AND driver_pay IS NOT NULL AND trip_time > 0
GROUP BY licensee
ORDER BY num_trips DESC, licensee
"""

_COMPANIES_SQL = f"""
SELECT fleet, of_company, count(*) AS num_trips
FROM {WITH_COMPANY}
WHERE {{days}}
GROUP BY fleet, of_company
ORDER BY num_trips DESC, fleet, of_company
"""

_SENDERS_SQL = """
SELECT request_source, count(*) AS num_trips
FROM trips
WHERE {days} AND fleet IN ('yellow', 'green')
GROUP BY request_source
ORDER BY num_trips DESC, request_source
"""

_FLOWS_SQL = """
SELECT pickup_borough, dropoff_borough, CAST(sum(num_trips) AS BIGINT)
FROM borough_flows
WHERE {days}
GROUP BY pickup_borough, dropoff_borough
ORDER BY pickup_borough, dropoff_borough
"""

_REASONS_SQL = f"""
SELECT fleet,
    pickup_datetime IS NULL AS has_no_pickup,
    coalesce({month_start("pickup_date")} <> month, FALSE) AS is_outside,
    misfit_columns,
    count(*)
FROM rejected_trips
WHERE month = ? AND fleet IN ({{fleets}})
GROUP BY fleet, has_no_pickup, is_outside, misfit_columns
"""
