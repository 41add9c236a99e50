"""Writing a mirror of the TLC's server that holds sample data, for `TLC_URL=file://…`."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.sample.coordinates import OldYellowTripMaker
from taxi_pipeline.sample.hired import HiredTripMaker
from taxi_pipeline.sample.parameters import HIRED_PARAMETERS
from taxi_pipeline.sample.sources import write_bases, write_weather
from taxi_pipeline.sample.trips import PublishedColumns, Texts, TripMaker
from taxi_pipeline.sample.zones import write_zones_zip
from taxi_pipeline.storage.whole_files import replacing
from taxi_pipeline.tlc.file_schemas import published_schema
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.tlc.trip_files import SYNTHETIC_KEY

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

ROWS_PER_GROUP = 1 << 20
"""Rows in a row group, as in the TLC's files: readers skip groups by the pickup time."""


class SampleError(TaxiPipelineError):
    """A sample of these days can't be made."""


def write_mirror(
    folder: Path,
    days: Days,
    *,
    fleet: str = "yellow",
    trips_per_day: int = 10_000,
    seed: int = 0,
    on_day: Callable[[date], object] = lambda _: None,
) -> list[Path]:
    """Write the fleet's trips of these days and the zones as the TLC's server has them, and beside them the sources.

    Args:
        folder: root of the mirror: `trip-data/` and `misc/` are made in it.
        days: the days, both ends inclusive; a month of which only some days are asked for has only these.
        fleet: one of `FLEETS`.
        trips_per_day: rows per day on average over a week.
        seed: other seeds give other trips; the same seed gives the same.
        on_day: called with each day that is done.

    Returns:
        The files written: one per month, the zones, the weather, and the bases of for-hire vehicles.

    Raises:
        SampleError: a day lies before the fleet's first month.
    """
    refuse_days_before(fleet, days)
    makers: dict[type[Maker], Maker] = {}
    zones = folder / "misc" / "taxi_zones.zip"
    write_zones_zip(zones)
    others = [zones, write_weather(folder, days), write_bases(folder)]
    files = []
    for part in days.by_month():
        path = folder / "trip-data" / FLEETS[fleet].file_name(month_of(part.first))
        kind = _maker_of(fleet, part.first)
        if kind not in makers:
            makers[kind] = kind(fleet, trips_per_day=trips_per_day, seed=seed)
        origin = {"days": str(part), "fleet": fleet, "trips_per_day": trips_per_day, "seed": seed}
        with replacing(path) as temporary:
            _write_month(temporary, makers[kind], part, origin, on_day)
        files.append(path)
    return [*files, *others]


def refuse_days_before(fleet: str, days: Days) -> None:
    """Refuse days of which the fleet has no files.

    Raises:
        SampleError: a day lies before the fleet's first month.
    """
    first_month = FLEETS[fleet].first_month
    if days.first < first_month:
        raise SampleError(f"{fleet} trips can be made from {first_month} on, not for {days.first}")


Maker = TripMaker | OldYellowTripMaker | HiredTripMaker


def _maker_of(fleet: str, day: date) -> type[Maker]:
    if fleet in HIRED_PARAMETERS:
        return HiredTripMaker
    return TripMaker if day >= FLEETS[fleet].zones_since else OldYellowTripMaker


def _write_month(
    path: Path, maker: Maker, days: Days, origin: dict[str, Any], on_day: Callable[[date], object]
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


def _as_table(trips: PublishedColumns, schema: "pa.Schema") -> "pa.Table":
    """The drawn columns under their published names and types; NaN and "" become NULL."""
    import pyarrow as pa

    num_rows = len(next(values for values in trips.values() if not isinstance(values, Texts)))
    columns = {
        field.name: trips.get(field.name.lower().removeprefix("tpep_").removeprefix("lpep_")) for field in schema
    }
    arrays = [_as_array(columns[field.name], field.type, num_rows) for field in schema]
    return pa.table(arrays, schema=schema)


def _as_array(values: "NDArray | Texts | None", type_: "pa.DataType", num_rows: int) -> "pa.Array":
    import pyarrow as pa

    if values is None or pa.types.is_null(type_):
        return pa.nulls(num_rows, type_)
    if isinstance(values, Texts):
        return pa.array(values.texts, pa.string()).take(pa.array(values.index))
    if values.dtype.kind == "U":
        return pa.array(values, type=type_, mask=values == "")
    array = pa.array(values, from_pandas=True)
    return array if array.type == type_ else array.cast(type_)
