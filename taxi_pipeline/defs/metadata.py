"""Metadata for the Dagster UI: column schemas, tables, files, pictures.

Plain values become Dagster metadata here; each asset decides which metadata it has.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import dagster as dg

from taxi_pipeline.pages.links import Pages
from taxi_pipeline.storage import StoredFile
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.fleets import FLEETS
from taxi_pipeline.warehouse.tables import TRIPS, Table

PREVIEW_ROWS = 10


@cache
def table_schema(declared: Table) -> dg.TableSchema:
    """The schema of the declared columns, for the asset's page."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in declared.columns
        ]
    )


def table_metadata(declared: Table) -> dict[str, Any]:
    """Metadata of an asset that is a table: its name and columns."""
    return {"dagster/table_name": declared.name, "dagster/column_schema": table_schema(declared)}


def table_facts(declared: Table, num_rows: int) -> dict[str, Any]:
    """Metadata of a materialization that tools for lineage read: the table's columns, and its number of rows."""
    return {"dagster/column_schema": table_schema(declared), "dagster/row_count": num_rows}


_ASSETS = {"trips": "taxi_trips", "zones": "taxi_zones"}
"""Table → its asset, where that has another name."""


def column_lineage(declared: Table) -> dict[str, Any]:
    """Metadata of a materialization: the columns of other assets from which each column is made."""
    sources = {
        column.name: _published_columns(column.name) if declared is TRIPS else column.made_from
        for column in declared.columns
    }
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {name: [_column_dep(source) for source in found] for name, found in sources.items() if found}
        )
    }


def _column_dep(source: str) -> dg.TableColumnDep:
    table, _, column = source.partition(".")
    return dg.TableColumnDep(dg.AssetKey(_ASSETS.get(table, table)), column)


def _published_columns(column: str) -> list[str]:
    """All names under which a column of `trips` was ever published; the pickup date follows from the pickup's time."""
    published = "pickup_datetime" if column == "pickup_date" else column
    names = {name for fleet in FLEETS.values() for name in fleet.published_names(published)}
    return [f"taxi_trips_file.{name}" for name in sorted(names)]


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    """Rows as a table that the UI shows; what is not a number, a boolean or None is shown as text."""
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(header, map(_cell, row), strict=True))) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name) for name in header]),
    )


def file_metadata(file: StoredFile) -> dict[str, Any]:
    """Metadata of a file: its place and its size."""
    return {"dagster/uri": file.uri, "size_bytes": file.size_bytes}


def link(file: StoredFile, pages: Pages) -> dict[str, Any]:
    """A link that opens a file in the browser, where there is one."""
    url = pages.link(file.name)
    return {"open": dg.MetadataValue.url(url)} if url else {}


def written(file: StoredFile, metadata: Mapping[str, Any]) -> dg.MaterializeResult:
    """The result of an asset that wrote a file: its place, its SHA-256 as the data version, and further metadata."""
    return dg.MaterializeResult(metadata={**file_metadata(file), **metadata}, data_version=dg.DataVersion(file.sha256))


def fetched_metadata(files: Sequence[FetchedFile]) -> dict[str, Any]:
    """Metadata of fetched files, their places and origins: entries for a single file, a table for several."""
    warnings = "; ".join(file.warning for file in files if file.warning)
    metadata: dict[str, Any] = {"warning": warnings} if warnings else {}
    if replaced := ", ".join(file.replaced for file in files if file.replaced):
        metadata["replaced_version"] = replaced
    if len(files) == 1:
        (file,) = files
        return {
            **file_metadata(file),
            "source_url": dg.MetadataValue.url(file.url),
            "version": file.sha256,
            "downloaded": file.downloaded,
            **metadata,
        }
    # The whole SHA-256 would be wider than the page; each partition has it as its data version.
    rows = [(file.uri, file.size_bytes, file.url, file.sha256[:16], file.downloaded) for file in files]
    return {
        "files": table(("uri", "size_bytes", "source_url", "version", "downloaded"), rows),
        "size_bytes": sum(file.size_bytes for file in files),
        **metadata,
    }


def picture(png: bytes, title: str, width: int = 640) -> dg.MarkdownMetadataValue:
    """Scale a PNG down to the width in pixels and embed it, so that the UI shows it wherever the file lies."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        image.thumbnail((width, width))
        small = io.BytesIO()
        image.convert("P", palette=Image.Palette.ADAPTIVE).save(small, format="PNG")
    encoded = base64.b64encode(small.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{encoded})")


def per_partition(
    context: dg.AssetExecutionContext, values: Mapping[str, Mapping[str, Any]], asset: str | None = None
) -> None:
    """Attach metadata to partitions of the run.

    Args:
        context: the run's context.
        values: partition key → metadata.
        asset: the asset of the step; None when it has only one.
    """
    for key, metadata in values.items():
        context.add_asset_metadata(dict(metadata), asset_key=asset, partition_key=key)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
