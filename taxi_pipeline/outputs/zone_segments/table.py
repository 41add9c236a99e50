"""The segments as rows: a zone in each row, for the CSV and the database; a segment in each, for the UI."""

from collections.abc import Iterator, Sequence
from typing import Any

from taxi_pipeline.analysis.segments import Segmentation
from taxi_pipeline.analysis.week_parts import PARTS
from taxi_pipeline.analysis.zone_profiles import FleetMonth
from taxi_pipeline.outputs.text import percent
from taxi_pipeline.tlc.months import Days, previous_month
from taxi_pipeline.warehouse.tables import ZONE_SEGMENTS

HEADER = ZONE_SEGMENTS.column_names
"""Columns of `outputs/zone_segments.csv`, those of the table `zone_segments`. A zone with too few pickups has no
segment, and an empty cell for each value of one."""

SEGMENT_HEADER = ("segment_id", "segment", "zones", "trips", "silhouette", *(part.name for part in PARTS))

_DECIMALS = 4


def zone_rows(found: Segmentation) -> list[tuple[Any, ...]]:
    """List the zones that have a shape, by id, with the columns of `HEADER`; what there is not is None."""
    return list(_zone_rows(found))


def _zone_rows(found: Segmentation) -> Iterator[tuple[Any, ...]]:
    names = {segment.segment_id: segment.name for segment in found.segments}
    for place, num_pickups in zip(found.profiles.places, found.profiles.pickups.tolist(), strict=True):
        its = found.zones.get(place.zone_id)
        values: tuple[Any, ...] = (None,) * 4
        if its:
            fit = (round(its.distance, _DECIMALS), round(its.silhouette, _DECIMALS))
            values = (its.segment_id, names[its.segment_id], *fit)
        segment_id, name, distance, silhouette = values
        yield (place.zone_id, place.zone, place.borough, segment_id, name, num_pickups, distance, silhouette)


def segment_rows(found: Segmentation) -> list[tuple[Any, ...]]:
    """List the segments with the columns of `SEGMENT_HEADER`; the whole city is the last row, without an id.

    Parts of the week have their share of the pickups, in percent.
    """
    rows: list[tuple[Any, ...]] = [
        (
            segment.segment_id,
            segment.name,
            len(segment.zone_ids),
            segment.num_trips,
            round(segment.silhouette, _DECIMALS),
            *map(percent, segment.parts.shares),
        )
        for segment in found.segments
    ]
    city = [percent(float(sum(found.city[hour] for hour in sorted(part.hours)))) for part in PARTS]
    num_zones, num_trips = len(found.profiles.places), int(found.profiles.pickups.sum())
    return [*rows, (None, "the whole city", num_zones, num_trips, None, *city)]


def summary_of(found: Segmentation) -> dict[str, Any]:
    """What the segments rest on, as numbers and short texts with a name for each."""
    mean = found.silhouettes.get(len(found.segments))
    return {
        "segments": len(found.segments),
        "zones_in_segments": len(found.zones),
        "zones_with_too_few_trips": found.num_too_few,
        "trips": int(found.profiles.pickups.sum()),
        "months": months_words(found),
        **({} if mean is None else {"mean_silhouette": round(mean, _DECIMALS)}),
        **({} if found.chance is None or found.chance == float("inf") else {"share_by_chance": round(found.chance, 3)}),
        **({"why_none": found.why_none} if found.why_none else {}),
        **({"fleets_left_out": ", ".join(left_out)} if (left_out := found.profiles.without_a_weekday) else {}),
    }


def months_words(found: Segmentation) -> str:
    """The months that are counted by fleet, such as `green: 2022-10 to 2023-06`; with the days of those not whole."""
    by_fleet: dict[str, list[FleetMonth]] = {}
    for month in found.profiles.months:
        by_fleet.setdefault(month.fleet, []).append(month)
    return "; ".join(f"{fleet}: {', '.join(_spans(months))}" for fleet, months in by_fleet.items()) or "no months"


def _spans(months: Sequence[FleetMonth]) -> list[str]:
    """Whole months in a row as one; a month that is not whole by itself."""
    spans: list[str] = []
    first = previous = None
    for each in months:
        if each.num_days < Days.of_month(each.month).num_days:
            spans.append(f"{each.month:%Y-%m} ({each.num_days} days)")
            first = previous = None
            continue
        if first and previous == previous_month(each.month):
            spans[-1] = f"{first:%Y-%m} to {each.month:%Y-%m}"
        else:
            first = each.month
            spans.append(f"{first:%Y-%m}")
        previous = each.month
    return spans
