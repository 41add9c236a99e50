"""Segments of zones whose weeks are alike, by Ward's method on the hours at which their pickups begin.

A zone is described by the share of its pickups in each hour of the week, not by their number. Shares are compared by
their roots (Hellinger's distance): roots of counts vary by chance equally much whether the counts are large or small,
and an hour without a pickup is no special case, as it is for logarithms. `week_parts` names the segments.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taxi_pipeline.analysis.week_parts import Comparison, compare, names_of
from taxi_pipeline.analysis.zone_profiles import NUM_HOURS, ZoneProfiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_PICKUPS = 1000
"""Least net pickups of a zone that belongs to a segment, six an hour of the week. By chance alone the smoothed shares
of such a zone are 0.09 away from what they would be with many more; the centres of the segments of green taxis from
2022-10 to 2023-06 are 0.2 to 0.6 apart."""

MIN_ZONES = 12
"""Least number of zones that are divided into segments."""

NUM_SEGMENTS = range(3, 9)
"""Numbers of segments to choose from; at most a third of the zones."""

TOLERANCE = 0.02
"""The fewest segments are taken whose mean silhouette is at most so much below the largest: the values of five to
eight segments of green taxis in 2022-10 to 2023-06 differ by less, and change with each month."""

MAX_SHARE = 0.5
"""Largest share of the zones in one segment, where some number of segments allows it. A few zones that are far from all
others would make three segments best, one of which has nearly all zones."""

MAX_CHANCE = 0.5
"""Largest share of the differences between zones that chance may make. Where it makes more, there are no segments."""

_NOTHING = 1e-18
"""What is left of the squared differences of equal numbers, by rounding."""

_SMOOTHED = (0.25, 0.5, 0.25)
"""Weights of the hour before, the hour, and the hour after."""


@dataclass(frozen=True)
class Segment:
    """Zones whose weeks are alike.

    Attributes:
        segment_id: 1 for the segment with most pickups; with as many, that with the lower zone id comes first.
        name: what the week of its zones has more than that of the city.
        zone_ids: its zones, sorted.
        num_trips: net pickups of its zones.
        week: share of the pickups in each hour, 168 numbers: the mean of its zones, each of which counts equally.
        parts: the parts of that week beside those of the city.
        silhouette: mean of its zones.
    """

    segment_id: int
    name: str
    zone_ids: Sequence[int]
    num_trips: int
    week: "NDArray[np.float64]" = field(repr=False)
    parts: Comparison = field(repr=False)
    silhouette: float


@dataclass(frozen=True)
class Membership:
    """A zone in its segment.

    Attributes:
        segment_id: the segment.
        distance: Hellinger's distance to the centre of its segment, 0 to 1.
        silhouette: -1 to 1: how much nearer the zones of its own segment are than those of the nearest other one; below
            0 it is nearer to others; 0 for a zone that is a segment by itself.
    """

    segment_id: int
    distance: float
    silhouette: float


@dataclass(frozen=True)
class Segmentation:
    """The segments of all zones.

    Attributes:
        profiles: what they are made of.
        segments: in the order of their ids; none where `why_none` says why.
        zones: zone id → its segment; without the zones that have too few pickups.
        city: share of the city's pickups in each hour, 168 numbers; all 0 without pickups.
        silhouettes: number of segments → mean silhouette, of the numbers that are chosen from.
        chance: share of the differences between zones that is expected by chance alone; None where it was not computed.
        why_none: a sentence that says why there are no segments; empty if there are.
    """

    profiles: ZoneProfiles
    segments: Sequence[Segment]
    zones: Mapping[int, Membership]
    city: "NDArray[np.float64]" = field(repr=False)
    silhouettes: Mapping[int, float]
    chance: float | None
    why_none: str

    @property
    def num_too_few(self) -> int:
        """The number of zones with too few pickups."""
        return int((self.profiles.pickups < MIN_PICKUPS).sum())


def segments_of(profiles: ZoneProfiles) -> Segmentation:
    """Divide the zones into segments. Equal profiles give equal segments."""
    import numpy as np

    rates = profiles.trips_per_hour
    total = rates.sum()
    city = rates.sum(axis=0) / total if total else np.zeros(NUM_HOURS)
    chosen = np.flatnonzero(profiles.pickups >= MIN_PICKUPS)
    if len(chosen) < MIN_ZONES:
        return Segmentation(profiles, [], {}, city, {}, None, _too_few_zones(profiles, len(chosen)))
    weeks = rates[chosen] / rates[chosen].sum(axis=1, keepdims=True)
    points = points_of(weeks)
    chance = _chance(points, profiles.effective_pickups[chosen])
    if chance > MAX_CHANCE:
        why_none = _no_differences(len(chosen), chance)
        return Segmentation(profiles, [], {}, city, {}, chance, why_none)
    labels, silhouettes, of_zones = _divided(points)
    zone_ids = np.array([place.zone_id for place in profiles.places])[chosen]
    segments, zones = _in_order(zone_ids, profiles.pickups[chosen], weeks, points, labels, of_zones, city)
    return Segmentation(profiles, segments, zones, city, silhouettes, chance, "")


def points_of(weeks: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The points whose distances are Hellinger's: roots of the smoothed shares, over the root of 2.

    Args:
        weeks: zones × 168: share of the pickups in each hour. The last hour is beside the first.
    """
    import numpy as np

    before, own, after = _SMOOTHED
    smoothed = before * np.roll(weeks, 1, axis=1) + own * weeks + after * np.roll(weeks, -1, axis=1)
    roots: NDArray[np.float64] = np.sqrt(smoothed / 2)
    return np.round(roots, 12)  # so that the last bits of a processor's sums decide no tie


def _too_few_zones(profiles: ZoneProfiles, num_zones: int) -> str:
    if not profiles.months:
        return "The mart zone_week_hours has no month with all seven weekdays yet; the job marts makes it."
    found = "No zone has" if not num_zones else f"{num_zones} zone{' has' if num_zones == 1 else 's have'}"
    return f"{found} {MIN_PICKUPS:,} pickups or more, and {MIN_ZONES} are needed."


def _no_differences(num_zones: int, chance: float) -> str:
    weeks = f"the weeks of the {num_zones} zones with {MIN_PICKUPS:,} pickups or more"
    if chance == float("inf"):
        return f"All of {weeks} are equal."
    return f"Of the differences between {weeks} chance alone makes {min(chance, 1):.0%}."


def _chance(points: "NDArray[np.float64]", pickups: "NDArray[np.float64]") -> float:
    """The share of the squared distances to the mean that is expected if all zones had one week.

    A root of a count varies by 1/4, whatever the count is; smoothing leaves the sum of its squared weights of that.
    """
    differences = ((points - points.mean(axis=0)) ** 2).sum()
    expected = sum(weight**2 for weight in _SMOOTHED) * NUM_HOURS / 8 * (1 / pickups).sum()
    return float(expected / differences) if differences > _NOTHING else float("inf")


def _divided(
    points: "NDArray[np.float64]",
) -> "tuple[NDArray[np.int64], dict[int, float], NDArray[np.float64]]":
    """Divide points by Ward's method, in as many segments as silhouettes say.

    Returns:
        A number for each point's segment, the mean silhouette by number of segments, and the silhouette of each point.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist, squareform

    distances = pdist(points)
    tree, square = linkage(distances, "ward"), squareform(distances)
    tried = {}
    for number in NUM_SEGMENTS:
        if number <= len(points) // 3:
            labels = fcluster(tree, number, "maxclust")
            tried[number] = (labels, silhouettes_of(square, labels))
    fits = {number: each for number, each in tried.items() if max(Counter(each[0]).values()) <= MAX_SHARE * len(points)}
    means = {number: round(float(values.mean()), 6) for number, (_, values) in (fits or tried).items()}
    best = max(means.values())
    number = min(number for number, mean in means.items() if mean >= best - TOLERANCE)
    labels, values = tried[number]
    return labels, means, values


def silhouettes_of(distances: "NDArray[np.float64]", labels: "NDArray[np.int64]") -> "NDArray[np.float64]":
    """The silhouette of each point (Rousseeuw 1987); 0 of a point that has its segment for itself.

    Args:
        distances: points × points.
        labels: a number for each point's segment.
    """
    import numpy as np

    members = labels[:, None] == np.unique(labels)[None, :]
    sizes, sums = members.sum(axis=0), distances @ members
    inside = sums[members] / np.maximum(sizes[members.argmax(axis=1)] - 1, 1)
    outside = np.where(members, np.inf, sums / sizes).min(axis=1)
    larger = np.maximum(inside, outside)
    usable = np.isfinite(larger) & (larger > 0) & (sizes[members.argmax(axis=1)] > 1)
    return np.where(usable, (outside - inside) / np.where(usable, larger, 1), 0.0)


def _in_order(
    zone_ids: "NDArray[np.int64]",
    pickups: "NDArray[np.int64]",
    weeks: "NDArray[np.float64]",
    points: "NDArray[np.float64]",
    labels: "NDArray[np.int64]",
    silhouettes: "NDArray[np.float64]",
    city: "NDArray[np.float64]",
) -> tuple[list[Segment], dict[int, Membership]]:
    """Name the segments, and number them by their pickups: the method's own numbers change with the zones."""
    import numpy as np

    found = [labels == label for label in np.unique(labels)]
    found.sort(key=lambda inside: (-int(pickups[inside].sum()), int(zone_ids[inside][0])))
    compared = [compare(weeks[inside].mean(axis=0), city) for inside in found]
    segments, zones = [], {}
    for segment_id, (inside, parts, name) in enumerate(zip(found, compared, names_of(compared), strict=True), start=1):
        distances = np.sqrt(((points[inside] - points[inside].mean(axis=0)) ** 2).sum(axis=1))
        segments.append(
            Segment(
                segment_id,
                name,
                zone_ids[inside].tolist(),
                int(pickups[inside].sum()),
                weeks[inside].mean(axis=0),
                parts,
                float(silhouettes[inside].mean()),
            )
        )
        of_zones = zip(zone_ids[inside].tolist(), distances.tolist(), silhouettes[inside].tolist(), strict=True)
        zones |= {zone_id: Membership(segment_id, *values) for zone_id, *values in of_zones}
    return segments, dict(sorted(zones.items()))
