"""The numbers of the report as words: each with its name, what it is compared with, and the change.

This module decides how a number is written. `figures` decides what is counted, `page` how the page looks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from taxi_pipeline.differences import signed
from taxi_pipeline.outputs.monthly_report.figures import Charges, DriverPay, MonthFigures, Payments, Totals
from taxi_pipeline.outputs.monthly_report.like_for_like import Change, change_of
from taxi_pipeline.tlc.months import previous_month, year_before
from taxi_pipeline.warehouse.plausibility import MAX_PLAUSIBLE_HOURS, MAX_PLAUSIBLE_MILES

NO_DATA = "no data"


@dataclass(frozen=True)
class Measure:
    """A number of a month: its name, its words, and the value that months are compared by."""

    key: str
    title: str
    words: Callable[[Totals], str]
    value: Callable[[Totals], float | None] = lambda _: None
    is_share: bool = False
    """True for shares: their change is shown in percentage points."""
    is_compared: bool = True
    """True if a change is shown. Averages per day are compared; sums are not, because months differ in length."""
    by_day: Callable[[Totals], Mapping[date, float]] | None = None
    """Day → number, for an average per day: its change is one of like days, because months differ in weekdays."""

    @property
    def has_value(self) -> bool:
        """True for a number; false for a day or an hour."""
        return self.key not in ("busiest_day", "busiest_hour")


def count(number: float) -> str:
    """Write a count with thousands separators."""
    return f"{number:,.0f}"


def _count(number: float | None) -> str:
    return NO_DATA if number is None else count(number)


def _dollars(amount: Any) -> str:
    return NO_DATA if amount is None else f"${amount:z,.2f}"


def _whole_dollars(amount: Any) -> str:
    return NO_DATA if amount is None else f"${amount:z,.0f}"


def _with_unit(number: float | None, unit: str) -> str:
    return NO_DATA if number is None else f"{number:,.2f} {unit}"


def share_words(share: float | None) -> str:
    """Write a share in percent with two decimals."""
    return NO_DATA if share is None else f"{share:.2%}"


def _busiest_day(totals: Totals) -> str:
    days = totals.busiest_days
    return f"{_named(days)}: {count(totals.trips_on[days[0]])} trips" if days else NO_DATA


def _named(days: Sequence[date]) -> str:
    return " and ".join(f"{day:%A}, {day.day} {day:%B}" for day in days)


def _busiest_hour(totals: Totals) -> str:
    if totals.busiest_hour is None:
        return NO_DATA
    hour, trips = totals.busiest_hour
    return f"{hour:02}:00 to {(hour + 1) % 24:02}:00: {count(trips)} trips a day"


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


MEASURES = (
    Measure(
        "trips_per_day",
        "Trips a day",
        lambda t: _count(t.trips_per_day),
        lambda t: t.trips_per_day,
        by_day=lambda t: t.trips_on,
    ),
    Measure("num_trips", "Trips in all", lambda t: count(t.num_trips), lambda t: t.num_trips, is_compared=False),
    Measure(
        "revenue_per_day",
        "Charged a day",
        lambda t: _whole_dollars(t.revenue_per_day),
        lambda t: t.revenue_per_day,
        by_day=lambda t: t.revenue_on,
    ),
    Measure(
        "revenue",
        "Charged in all",
        lambda t: _whole_dollars(t.revenue),
        lambda t: _float(t.revenue),
        is_compared=False,
    ),
    Measure("mean_fare", "Mean fare", lambda t: _dollars(t.mean_fare), lambda t: t.mean_fare),
    Measure(
        "mean_distance", "Mean distance", lambda t: _with_unit(t.mean_distance, "miles"), lambda t: t.mean_distance
    ),
    Measure("mean_minutes", "Mean duration", lambda t: _with_unit(t.mean_minutes, "minutes"), lambda t: t.mean_minutes),
    Measure(
        "tips_per_card_trip",
        "Tip per trip paid by card",
        lambda t: _dollars(t.tips_per_card_trip),
        lambda t: t.tips_per_card_trip,
    ),
    Measure("busiest_day", "Busiest day", _busiest_day),
    Measure("busiest_hour", "Busiest hour", _busiest_hour),
    Measure(
        "num_unplaced",
        "Picked up outside the zones, or not known",
        lambda t: count(t.num_unplaced),
        lambda t: t.num_unplaced,
        is_compared=False,
    ),
    Measure(
        "manhattan_share",
        "Picked up in Manhattan",
        lambda t: share_words(t.manhattan_share),
        lambda t: t.manhattan_share,
        is_share=True,
    ),
    Measure(
        "airport_share",
        "Picked up at an airport",
        lambda t: share_words(t.airport_share),
        lambda t: t.airport_share,
        is_share=True,
    ),
)


def others_of(figures: MonthFigures) -> dict[str, tuple[date, Totals | None]]:
    """Key → first day of a month to compare with, and its totals (None unless all of it is loaded)."""
    month = figures.days.first
    return {
        "previous": (previous_month(month), figures.previous),
        "year_before": (year_before(month), figures.year_before),
    }


def finding_of(figures: MonthFigures) -> str:
    """Describe the month in two or three sentences, made of its numbers."""
    totals, month = figures.totals, figures.days.first
    if not totals.num_trips:
        return f"{month:%B %Y} has no trips."
    sentences = [f"{month:%B %Y} had {_count(totals.trips_per_day)} trips a day."]
    changes = [
        f"{_more_or_fewer(change)} in {first:%B %Y}{_usual(change)}"
        for first, other in others_of(figures).values()
        if other and (change := change_of(totals.trips_on, other.trips_on))
    ]
    if changes:
        sentences.append(f"Weekday for weekday, that is {' and '.join(changes)}.")
    if days := totals.busiest_days:
        trips = count(totals.trips_on[days[0]])
        beginning, end = ("days were", f"{trips} each") if len(days) > 1 else ("day was", trips)
        sentences.append(f"The busiest {beginning} {_named(days)}, with {end}.")
    if totals.manhattan_share is not None and totals.airport_share is not None:
        sentences.append(
            f"Of the pickups in known zones, {totals.manhattan_share:.1%} were in Manhattan and "
            f"{totals.airport_share:.1%} at an airport; {count(totals.num_unplaced)} were "
            "outside the zones or not known."
        )
    return " ".join(sentences)


def _more_or_fewer(change: Change) -> str:
    if not _is_seen(change):
        return "about as many as"
    return f"{abs(change.share):.1%} {'more' if change.share > 0 else 'fewer'} than"


def _usual(change: Change) -> str:
    """What is added for a change that is none; nothing for one that is."""
    return "" if _is_seen(change) else f" ({signed(change.share, '.1%')}, where ±{change.usual:.1%} is usual)"


def _is_seen(change: Change) -> bool:
    """True for an unusual change that is not rounded to nothing."""
    return change.is_unusual and signed(change.share, ".1%")[0] in "+-"


def cards_of(figures: MonthFigures) -> tuple[list[dict[str, Any]], list[str]]:
    """List the numbers that the data has, and the titles of those that it does not have."""
    cards = [_compared(measure, figures) for measure in MEASURES]
    return [card for card in cards if card["words"] != NO_DATA], [
        card["title"].lower() for card in cards if card["words"] == NO_DATA
    ]


def _compared(measure: Measure, figures: MonthFigures) -> dict[str, Any]:
    """Put the number beside that of the month before and that of a year before."""
    return {
        "key": measure.key,
        "title": measure.title,
        "words": measure.words(figures.totals),
        "others": [
            {
                "key": key,
                "month": f"{other:%b %Y}",
                "words": measure.words(totals),
                **_change_words(measure, figures.totals, totals),
            }
            for key, (other, totals) in others_of(figures).items()
            if totals
        ],
    }


def like_for_like(measure: Measure, now: Totals, then: Totals) -> Change | None:
    """The change of an average per day, weekday for weekday; None for other numbers, and with too few days."""
    return change_of(measure.by_day(now), measure.by_day(then)) if measure.by_day else None


def _change_words(measure: Measure, now: Totals, then: Totals) -> dict[str, str]:
    """The change, and whether it is usual; empty where the one or the other is not shown."""
    if not measure.by_day:
        return {"change": _change(measure, now, then) if measure.is_compared else "", "usual": ""}
    change = like_for_like(measure, now, then)
    if change is None:
        return {"change": "", "usual": ""}
    where = "beyond" if change.is_unusual else "within"
    return {"change": signed(change.share, ".1%"), "usual": f"{where} the usual ±{change.usual:.1%}"}


def _change(measure: Measure, now: Totals, then: Totals) -> str:
    new, old = measure.value(now), measure.value(then)
    if new is None or old is None:
        return ""
    if measure.is_share:
        return f"{signed(100 * (new - old), '.2f')} points"
    return signed(new / old - 1, ".1%") if old else ""


def left_out_of(totals: Totals) -> dict[str, Any]:
    """Say which trips the means leave out, and how many."""
    return {
        "num_too_long": count(totals.num_too_long),
        "num_backwards": count(totals.num_backwards),
        "num_no_miles": count(totals.num_no_miles),
        "num_void_rows": count(totals.voids.num_trips),
        "num_wrong_times": count(totals.num_wrong_times) if totals.num_wrong_times else "",
        "num_wrong_fares": count(totals.num_wrong_fares) if totals.num_wrong_fares else "",
        "max_miles": MAX_PLAUSIBLE_MILES,
        "max_hours": MAX_PLAUSIBLE_HOURS,
    }


def volume_rows(totals: Totals) -> list[dict[str, str]]:
    """List trips, passengers and miles: as published, in both rows of voids, and net of these."""
    volumes = {"published": totals.published, "voids": totals.voids, "net": totals.net}
    return [
        {
            "key": key,
            "title": title,
            **{kind: count(getattr(volume, key)) for kind, volume in volumes.items()},
        }
        for key, title in (
            ("num_trips", "Trips"),
            ("num_passengers", "Passengers, where known"),
            ("miles", "Miles, as published"),
            ("plausible_miles", f"Miles, of trips of up to {MAX_PLAUSIBLE_MILES}"),
        )
    ]


def payment_rows(payments: Payments) -> list[dict[str, str]]:
    """List what is known of the payment of taxis' trips, and their shares."""
    return [
        {"key": key, "title": title, "trips": count(number), "share": share_words(number / payments.num_trips)}
        for key, title, number in (
            ("by_card", "Paid by card", payments.num_by_card),
            ("unknown", "Payment not published", payments.num_unknown),
            ("by_card_or_unknown", "Both together", payments.num_by_card + payments.num_unknown),
        )
    ]


def numbers_of(figures: MonthFigures) -> tuple[list[str], list[list[str]]]:
    """Arrange the month's numbers as a table: the header, and a row for each number with those it is compared with."""
    months = [(figures.days.first, figures.totals), *others_of(figures).values()]
    header = ["number", *(f"{month:%b %Y}" for month, _ in months)]
    return header, [
        [measure.title, *(measure.words(totals) if totals else NO_DATA for _, totals in months)] for measure in MEASURES
    ]


def by_fleet_rows(by_fleet: Mapping[str, Totals]) -> list[dict[str, Any]]:
    """List each number by fleet; a dash where a fleet does not have it."""
    return [
        {
            "key": measure.key,
            "title": measure.title,
            "fleets": [(fleet, measure.words(totals).replace(NO_DATA, "-")) for fleet, totals in by_fleet.items()],
        }
        for measure in MEASURES
    ]


_PART_TITLES = {
    "fare_amount": "Fare",
    "extra": "Rush hour, overnight and other extras",
    "mta_tax": "MTA tax",
    "tip_amount": "Tip, by card or in the app",
    "tolls_amount": "Tolls",
    "ehail_fee": "Electronic hail",
    "improvement_surcharge": "Improvement surcharge",
    "congestion_surcharge": "Congestion surcharge (State)",
    "airport_fee": "Airport fee",
    "cbd_congestion_fee": "Congestion zone fee (MTA)",
    "black_car_fund": "Black Car Fund",
    "sales_tax": "Sales tax",
}


def charges_rows(charges: Sequence[Charges]) -> list[dict[str, Any]]:
    """List the parts of the charges: dollars per trip of each fleet, and the part's share of the total."""
    parts = [part for part in _PART_TITLES if any(part in each.parts for each in charges)]
    amounts: list[tuple[str, str, list[Decimal | None]]] = [
        (part, _PART_TITLES[part], [each.parts.get(part) for each in charges]) for part in parts
    ]
    amounts.append(("unexplained", "Not accounted for", [each.unexplained for each in charges]))
    amounts.append(("total", "All together", [each.total for each in charges]))
    return [
        {
            "key": key,
            "title": title,
            "fleets": [
                {
                    "fleet": each.fleet,
                    "dollars": "-" if amount is None else f"${amount / each.num_trips:z,.2f}",
                    "share": "" if amount is None or not each.total else f"{float(amount / each.total):.1%}",
                }
                for each, amount in zip(charges, fleets, strict=True)
            ],
        }
        for key, title, fleets in amounts
    ]


def driver_pay_rows(driver_pay: Sequence[DriverPay]) -> list[dict[str, str]]:
    """List the drivers' pay of each licensee: per trip, mile and minute."""
    return [
        {
            "licensee": each.licensee,
            "per_trip": f"${each.pay / each.num_trips:,.2f}",
            "per_mile": f"${each.pay / each.miles:,.2f}" if each.miles else "-",
            "per_minute": f"${each.pay / Decimal(each.seconds) * 60:,.2f}",
        }
        for each in driver_pay
    ]
