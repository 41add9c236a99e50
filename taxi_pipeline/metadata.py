"""What the Dagster UI shows of an asset: column schemas, table previews, files, pictures.

Here belongs turning plain values into Dagster metadata; which metadata an asset has is said by the asset.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_pipeline.tables import TRIPS, Table
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.fleets import FLEETS

OWNERS = ["team:taxi-pipeline"]
PREVIEW_ROWS = 10


def table_schema(table: Table) -> dg.TableSchema:
    """The declared columns, for the asset's page."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=f"{column.description} ({column.unit})" if column.unit else column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )


def table_metadata(table: Table) -> dict[str, Any]:
    """Metadata of an asset that is a table: its name and columns."""
    return {"dagster/table_name": table.name, "dagster/column_schema": table_schema(table)}


_ASSETS = {"trips": "taxi_trips", "zones": "taxi_zones"}
"""Table → its asset, where that has another name."""


def column_lineage(table: Table) -> dict[str, Any]:
    """Metadata of a materialization: which columns of other assets each column is made from."""
    sources = {
        column.name: _published_columns(column.name) if table is TRIPS else column.made_from for column in table.columns
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
    """All that a column of `trips` was ever published as; the pickup date follows from the pickup's time."""
    published = "pickup_datetime" if column == "pickup_date" else column
    names = {name for fleet in FLEETS.values() for name in fleet.published_names(published)}
    return [f"taxi_trips_file.{name}" for name in sorted(names)]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.MarkdownMetadataValue:
    """Rows as a Markdown table; None is left blank, integers get thousands separators."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def file_metadata(path: Path) -> dict[str, Any]:
    """Where a written file lies and how large it is."""
    return {"path": dg.MetadataValue.path(path), "size_bytes": path.stat().st_size}


def fetched_metadata(files: Sequence[FetchedFile]) -> dict[str, Any]:
    """Where fetched files lie and where they came from: entries for a single one, a table for several."""
    warnings = "; ".join(file.warning for file in files if file.warning)
    metadata: dict[str, Any] = {"warning": warnings} if warnings else {}
    if replaced := ", ".join(file.replaced for file in files if file.replaced):
        metadata["replaced_version"] = replaced
    if len(files) == 1:
        (file,) = files
        return {
            **file_metadata(file.path),
            "source_url": dg.MetadataValue.url(file.url),
            "version": file.sha256,
            "downloaded": file.downloaded,
            **metadata,
        }
    rows = [(file.path, file.size_bytes, file.url, file.sha256, file.downloaded) for file in files]
    return {
        "files": markdown_table(("path", "size_bytes", "source_url", "version", "downloaded"), rows),
        "size_bytes": sum(file.size_bytes for file in files),
        **metadata,
    }


def picture(png: Path, width: int = 640) -> dg.MarkdownMetadataValue:
    """A PNG, scaled down to the width in pixels and embedded, so that the UI shows it wherever the file lies."""
    import io

    from PIL import Image

    with Image.open(png) as image:
        image.thumbnail((width, width))
        small = io.BytesIO()
        image.convert("P", palette=Image.Palette.ADAPTIVE).save(small, format="PNG")
    encoded = base64.b64encode(small.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![{png.name}](data:image/png;base64,{encoded})")


def per_partition(context: dg.AssetExecutionContext, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Attach metadata to each partition of the run: partition key → metadata."""
    for key, metadata in values.items():
        context.add_asset_metadata(dict(metadata), partition_key=key)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")
