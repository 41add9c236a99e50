"""In which months the pickups of a file lie, whichever month it should be."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from taxi_pipeline.tlc.fleets import Source
from taxi_pipeline.tlc.trip_files import UnusableFileError
from taxi_pipeline.warehouse.typing.casts import stepwise, typed_columns
from taxi_pipeline.warehouse.typing.column_names import columns_of, positions_of
from taxi_pipeline.warehouse.typing.published_view import view_parquet

_MAX_REASON = 300


def pickup_months(path: Path, sources: Mapping[str, Source]) -> dict[date, int]:
    """Count the pickups of a Parquet file by month.

    Args:
        path: the file.
        sources: column of `trips` → what feeds it.

    Returns:
        First day of the month → its pickups, for those that are readable.

    Raises:
        UnusableFileError: the file can't be read.
    """
    import duckdb

    wanted = {"pickup_datetime": sources["pickup_datetime"]}
    try:
        with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
            published = columns_of(view_parquet(connection, path), positions_of(path, wanted))
            (pickup,) = typed_columns(wanted, published)
            found = connection.execute(
                f"SELECT CAST(date_trunc('month', {pickup.value}) AS DATE), count(*) FROM {stepwise([pickup])} "
                f"WHERE {pickup.value} IS NOT NULL GROUP BY 1"
            ).fetchall()
    except duckdb.Error as error:
        raise UnusableFileError(f"its values can't be read: {str(error)[:_MAX_REASON]}") from error
    return dict(found)
