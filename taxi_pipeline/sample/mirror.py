"""Writing a mirror of the TLC's server that holds sample data, for `TLC_URL=file://…`."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.files import replacing
from taxi_pipeline.sample.published import published_schema
from taxi_pipeline.sample.trips import Columns, TripMaker
from taxi_pipeline.sample.zones import write_zones_zip
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.trip_files import SYNTHETIC_KEY

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP = 1 << 20
"""As the TLC's files have it: readers skip groups by the pickup time."""


def write_mirror(
    folder: Path,
    days: Days,
    *,
    fleet: str = "yellow",
    trips_per_day: int = 10_000,
    seed: int = 0,
    on_day: Callable[[date], object] = lambda _: None,
) -> list[Path]:
    """Write the fleet's trips of these days and the zones as the TLC's server has them.

    Args:
        folder: root of the mirror: `trip-data/` and `misc/` are made in it.
        days: the days, both ends inclusive; a month of which only some days are asked for has only these.
        fleet: `yellow` or `green`.
        trips_per_day: rows per day on average over a week.
        seed: other seeds give other trips; the same seed gives the same.
        on_day: called with each day that is done.

    Returns:
        The files written: one per month, and the zones.

    Raises:
        ValueError: a day lies before the fleet's first month.
    """
    first_month = FLEETS[fleet].first_month
    if days.first < first_month:
        raise ValueError(f"{fleet} trips can be made from {first_month} on, not for {days.first}")
    maker = TripMaker(fleet, trips_per_day=trips_per_day, seed=seed)
    zones = folder / "misc" / "taxi_zones.zip"
    write_zones_zip(zones)
    files = []
    for part in days.by_month():
        path = folder / "trip-data" / FLEETS[fleet].file_name(month_of(part.first))
        origin = {"days": str(part), "fleet": fleet, "trips_per_day": trips_per_day, "seed": seed}
        with replacing(path) as temporary:
            _write_month(temporary, maker, part, origin, on_day)
        files.append(path)
    return [*files, zones]


def _write_month(
    path: Path, maker: TripMaker, days: Days, origin: dict[str, Any], on_day: Callable[[date], object]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = published_schema(maker.fleet, month_of(days.first))
    schema = schema.with_metadata({SYNTHETIC_KEY: json.dumps(origin)})
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
        waiting: list[pa.Table] = []
        for day in days:
            waiting.append(_as_table(maker.day(day), schema))
            on_day(day)
            if sum(table.num_rows for table in waiting) >= ROWS_PER_GROUP:
                writer.write_table(pa.concat_tables(waiting), row_group_size=ROWS_PER_GROUP)
                waiting.clear()
        if waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=ROWS_PER_GROUP)


def _as_table(trips: Columns, schema: "pa.Schema") -> "pa.Table":
    """The drawn columns under their published names and types; NaN and "" become NULL."""
    import pyarrow as pa

    arrays = []
    for field in schema:
        name = field.name.lower().removeprefix("tpep_").removeprefix("lpep_")
        values = trips[name]
        if pa.types.is_null(field.type):
            arrays.append(pa.nulls(len(values)))
        elif name == "store_and_fwd_flag":
            arrays.append(pa.array(values, type=field.type, mask=values == ""))
        else:
            array = pa.array(values, from_pandas=True)
            arrays.append(array if array.type == field.type else array.cast(field.type))
    return pa.table(arrays, schema=schema)
