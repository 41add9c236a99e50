"""Results of the checks of the tables: what the checks give, and what a load gives of which some fleets failed.

When a step fails, Dagster skips the checks that depend on it. So a load that fails for some fleets gives the results
for those that are loaded by itself. The rules are in `taxi_pipeline.quality`; here their verdicts become check results.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from taxi_pipeline.defs.metadata import PREVIEW_ROWS, table
from taxi_pipeline.quality.evaluation import Verdict, evaluate_loaded
from taxi_pipeline.quality.reconciliation import (
    SEVERAL_VERSIONS,
    UNEQUAL,
    column_differences,
    conservation,
    flow_differences,
    histogram_days,
    hourly_differences,
    net_days,
)
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.interface import Session
from taxi_pipeline.warehouse.tables import (
    BASES,
    BOROUGH_FLOWS,
    CALENDAR_DAYS,
    LOADED_DAYS,
    MONTH_CHANGES,
    MONTH_COLUMN_CHANGES,
    REJECTED_TRIPS,
    TLC_INDICATORS,
    TRIP_HISTOGRAMS,
    TRIPS,
    WEATHER_DAYS,
    ZONE_HOURLY_DROPOFFS,
    ZONE_HOURLY_TRIPS,
    ZONE_HOURLY_VOIDS,
    ZONE_NEIGHBORS,
    ZONE_PLACES,
    ZONES,
    Table,
)

TABLES_OF = {
    "taxi_zones": (ZONES,),
    "taxi_trips": (TRIPS, REJECTED_TRIPS, LOADED_DAYS),
    "zone_hourly_trips": (ZONE_HOURLY_TRIPS, ZONE_HOURLY_VOIDS, ZONE_HOURLY_DROPOFFS, TRIP_HISTOGRAMS),
    "borough_flows": (BOROUGH_FLOWS,),
    "tlc_indicators": (TLC_INDICATORS,),
    "bases": (BASES,),
    "weather_days": (WEATHER_DAYS,),
    "calendar_days": (CALENDAR_DAYS,),
    "zone_places": (ZONE_PLACES, ZONE_NEIGHBORS),
    "month_changes": (MONTH_CHANGES, MONTH_COLUMN_CHANGES),
}
"""Asset → its tables."""

CONSERVED_ASSETS = ("taxi_trips", "zone_hourly_trips", "borough_flows")
"""The assets that have the check `trips_conserved`. A blocking check blocks the assets that depend on its own asset; so
each table that outputs are made from has it."""


def results_of_load(session: Session, days: Days) -> Iterator[dg.AssetCheckResult]:
    """The results of a load of these days, without the one that needs the TLC's server; each names asset and check."""
    of_files = conserved(session, days)
    yield from (named(of_files, asset, "trips_conserved") for asset in CONSERVED_ASSETS)
    yield named(hourly_match(session, days), "zone_hourly_trips", "hourly_trips_match_trips")
    yield named(net_match(session, days), "zone_hourly_trips", "published_is_net_and_voids")
    yield named(histograms_match(session, days), "zone_hourly_trips", "histograms_match_trips")
    yield named(flows_match(session, days), "borough_flows", "borough_flows_match_trips")
    for name, verdict in evaluate_loaded(session, days).items():
        yield named(warning(verdict), "taxi_trips", name)
    yield from columns_match(session)


def as_evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """A named result as an event that any step can log."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey.from_coercible(result.asset_key or []),
        check_name=result.check_name or "",
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )


def all_readable(name: str, problems: Sequence[Sequence[Any]], what: str) -> dg.AssetCheckResult:
    """Whether all of a published file can be read; warns with the first problems when not.

    Args:
        name: name of the check.
        problems: each has a line of the file, a column, the value as published, and what became of it.
        what: what the problems are, in words.
    """
    return dg.AssetCheckResult(
        check_name=name,
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(problems):,} {what} can't be read" if problems else "all can be read",
        metadata={
            "num_problems": len(problems),
            "problems": table(("line", "column", "value", "what of it"), problems[:PREVIEW_ROWS]),
        },
    )


def conserved(session: Session, days: Days | None) -> dg.AssetCheckResult:
    """Whether the days, and each whole month, hold the rows of their published files."""
    found = conservation(session, days)
    wrong_months = found.months_with(UNEQUAL)
    is_wrong = bool(found.wrong_days or wrong_months)
    return dg.AssetCheckResult(
        passed=not is_wrong and not found.months_with(SEVERAL_VERSIONS),
        severity=dg.AssetCheckSeverity.ERROR if is_wrong else dg.AssetCheckSeverity.WARN,
        description=f"{len(found.wrong_days)} wrong days, {len(wrong_months)} wrong months, "
        f"{len(found.months)} months compared",
        metadata={
            "num_wrong_days": len(found.wrong_days),
            "num_wrong_months": len(wrong_months),
            "wrong_days": table(
                ("fleet", "day", "trips in file", "trips in table", "rejected in file", "rejected in table"),
                found.wrong_days,
            ),
            "months": table(
                ("fleet", "month", "days loaded", "rows in file", "trips", "rejected", "result"), found.months
            ),
        },
    )


def hourly_match(session: Session, days: Days | None) -> dg.AssetCheckResult:
    """Whether the trips by hour add up to the trips."""
    wrong = hourly_differences(session, days)
    return _days_compared(wrong, ("fleet", "day", "pickups", "drop-offs", "trips"), "zone_hourly_trips")


def net_match(session: Session, days: Days | None) -> dg.AssetCheckResult:
    """Whether the published trips are the net trips and two for each void; the trips' voids are counted again.

    Days without any row of voids were counted by an older version, which has no such table: these only warn.
    """
    found = net_days(session, days)
    wrong = [day for day in found if not day.is_right]
    totals = {
        "published": sum(day.num_published for day in found),
        "net": sum(day.num_net for day in found),
        "voids": sum(day.num_pairs for day in found),
        "single_refunds": sum(day.num_refunds for day in found),
    }
    account = (
        f"{totals['published']:,} published: {totals['net']:,} net ({totals['single_refunds']:,} of them refunds "
        f"without their trip) and twice {totals['voids']:,} voids"
    )
    header = ("fleet", "day", "published", "net", "rows of voids", "voids", "single refunds")
    rows = [
        (d.fleet, d.day, d.num_published, d.num_net, d.num_halves, d.num_pairs, d.num_refunds)
        for d in wrong[:PREVIEW_ROWS]
    ]
    is_older = not any(day.num_halves for day in wrong)
    advice = f"{len(wrong)} days differ; materialize zone_hourly_trips to count them again"
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN if is_older else dg.AssetCheckSeverity.ERROR,
        description=advice if wrong else account,
        metadata={"num_wrong_days": len(wrong), **totals, "wrong_days": table(header, rows)},
    )


def histograms_match(session: Session, days: Days | None) -> dg.AssetCheckResult:
    """Whether each measure of the histograms holds each trip once.

    Days without histograms were counted by an older version, which has no such table: these only warn.
    """
    wrong = histogram_days(session, days)
    is_older = all(least is None for _, _, _, least, *_ in wrong)
    header = ("fleet", "day", "trips", "least in a measure", "most", "far by bin", "far", "full by bin", "full")
    result = _days_compared(wrong, header, "zone_hourly_trips")
    return result._replace(severity=dg.AssetCheckSeverity.WARN) if is_older else result


def flows_match(session: Session, days: Days | None) -> dg.AssetCheckResult:
    """Whether the trips by borough add up to the trips."""
    wrong = flow_differences(session, days)
    return _days_compared(wrong, ("fleet", "day", "in flows", "trips"), "borough_flows")


def columns_check(declared: Table) -> str:
    """The name of the check of a table's columns."""
    return f"{declared.name}_columns_as_declared"


def columns_match(session: Session) -> Iterator[dg.AssetCheckResult]:
    """Whether the tables have the declared columns; each result names its asset and its check."""
    for asset, tables in TABLES_OF.items():
        for declared in tables:
            different = column_differences(session, declared)
            result = dg.AssetCheckResult(
                passed=not different,
                description=f"{len(different)} columns differ" if different else "all columns as declared",
                metadata={
                    "num_different": len(different),
                    "different": table(("column", "declared", "found"), different),
                },
            )
            yield named(result, asset, columns_check(declared))


def warning(verdict: Verdict) -> dg.AssetCheckResult:
    """A verdict on what was published; it never blocks."""
    metadata: dict[str, Any] = dict(verdict.numbers)
    if verdict.table:
        name, header, rows = verdict.table
        metadata[name] = table(header, rows)
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.description,
        metadata=metadata,
    )


def _days_compared(wrong: Sequence[tuple[Any, ...]], header: Sequence[str], asset: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not wrong,
        description=f"{len(wrong)} days differ; materialize {asset} for them" if wrong else "equal",
        metadata={"num_wrong_days": len(wrong), "wrong_days": table(header, wrong[:PREVIEW_ROWS])},
    )


def named(result: dg.AssetCheckResult, asset: str, check: str) -> dg.AssetCheckResult:
    """The result with its asset and its check."""
    return result._replace(asset_key=dg.AssetKey(asset), check_name=check)
