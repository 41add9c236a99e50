"""The origin of what an output shows, in words: the TLC, or a program that generated trips and zones.

Real trips always come with real zones, because the warehouse refuses generated ones. Generated trips may come with
either.
"""

from taxi_pipeline.outputs.style import SOURCE
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.zones import zones_are_synthetic

_GENERATED = {
    True: "A program generated these trips, and the zones are schematic.",
    False: "A program generated these trips; the zones are those of the TLC.",
    None: "A program generated these trips.",
}


def zones_are_schematic(files: Storage, zones_file: str) -> bool | None:
    """Whether the zone file was generated; None when it is no longer in the storage."""
    if not files.exists(zones_file):
        return None
    with files.local_copy(zones_file) as path:
        return zones_are_synthetic(path)


def origin_of(*, synthetic: bool, schematic_zones: bool | None) -> str:
    """Say in a sentence where trips and zones come from.

    Args:
        synthetic: true if the trips are generated.
        schematic_zones: true if the zones are generated, too; None when that is not known.
    """
    return _GENERATED[schematic_zones] if synthetic else f"{SOURCE}."
