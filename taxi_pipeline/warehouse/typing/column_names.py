"""Which column of a file holds what is published under a name, where names differ in case or in blanks only.

DuckDB gives a second column of the same name another name, and would read the first one without a word.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_pipeline.tlc.fleets import Source, plain_name, spellings
from taxi_pipeline.tlc.trip_files import UnusableFileError, read_trip_file
from taxi_pipeline.warehouse.typing.casts import PublishedColumn

if TYPE_CHECKING:
    import duckdb


def positions_of(file: Path, sources: Mapping[str, Source]) -> dict[str, int]:
    """Where the columns of a file are that feed ours.

    Of several columns with the same plain name, or of a column and its other name, the one that holds values counts, or
    the first where all hold the same.

    Args:
        file: a Parquet file.
        sources: column of `trips` → what feeds it.

    Returns:
        Plain name → position in the file.

    Raises:
        UnusableFileError: several columns of a name hold values that differ, or can't be read.
    """
    names = read_trip_file(file).columns
    wanted = {plain_name(name): plain_name(name) for source in sources.values() for name in source.names}
    for source in sources.values():
        wanted |= dict.fromkeys(spellings(source) - set(wanted), plain_name(source.names[0]))
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        if plain_name(name) in wanted:
            positions.setdefault(wanted[plain_name(name)], []).append(position)
    return {
        name: found[0] if len(found) == 1 else _only_one_filled(file, names, found) for name, found in positions.items()
    }


def columns_of(relation: "duckdb.DuckDBPyRelation", positions: Mapping[str, int]) -> dict[str, PublishedColumn]:
    """Plain name → the column at its position in a relation over the file."""
    return {
        name: PublishedColumn(relation.columns[position], str(relation.types[position]))
        for name, position in positions.items()
    }


def _only_one_filled(file: Path, names: Sequence[str], positions: Sequence[int]) -> int:
    """The position of the only column that holds values, or of the first where all hold the same."""
    import duckdb

    try:
        with duckdb.connect(config={"threads": 1, "memory_limit": "1GB"}) as connection:
            relation = connection.sql("FROM read_parquet(?, can_have_nan = true)", params=[str(file)])
            columns = [PublishedColumn(relation.columns[position], "VARCHAR") for position in positions]
            texts = [column.text for column in columns]
            # The same number is written differently as another type: 1 and 1.0.
            values = [f"coalesce(CAST(TRY_CAST({text} AS DOUBLE) AS VARCHAR), {text})" for text in texts]
            counts = [f"count({value})" for value in values]
            differ = [f"bool_or({value} IS DISTINCT FROM {values[0]})" for value in values]
            found = relation.set_alias("published").aggregate(", ".join([*counts, *differ])).fetchall()[0]
    except duckdb.Error as error:
        raise UnusableFileError(f"its columns {_listed(names, positions)} can't be read: {error}") from error
    filled = [position for position, count in zip(positions, found, strict=False) if count]
    if len(filled) > 1 and any(found[len(positions) :]):
        raise UnusableFileError(
            f"its columns {_listed(names, filled)} are the same column but for case and blanks or by another name, and "
            "hold different values, of which only one can be right"
        )
    return filled[0] if filled else positions[0]


def _listed(names: Sequence[str], positions: Iterable[int]) -> str:
    return " and ".join(f"{names[position]!r}" for position in positions)
