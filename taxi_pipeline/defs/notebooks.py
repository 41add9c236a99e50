"""Group `notebooks`: `taxi_pipeline/notebooks/tour.ipynb` as an asset, when the extra `notebook` is installed.

The notebook itself holds the questions; this module makes a page of the outputs out of it.
"""

import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_pipeline.defs.metadata import file_metadata, link
from taxi_pipeline.pages.links import Pages
from taxi_pipeline.settings import Settings
from taxi_pipeline.storage import Storage

_TOUR = Path(__file__).parents[1] / "notebooks" / "tour.ipynb"
_IO_MANAGER = "notebook_pages"


class NotebookIOManager(dg.IOManager):
    """Keeps an executed notebook in the storage, as it is and as a page."""

    def __init__(self, files: Storage, pages: Pages) -> None:
        """Nothing is written yet."""
        self._files = files
        self._pages = pages

    def handle_output(self, context: dg.OutputContext, obj: bytes) -> None:
        """Write `outputs/NAME.ipynb` and `outputs/NAME.html`.

        Args:
            context: names the asset; the files get its name.
            obj: the executed notebook.
        """
        import nbformat
        from nbconvert import HTMLExporter

        name = f"outputs/{context.asset_key.path[-1]}"
        page, _ = HTMLExporter().from_notebook_node(nbformat.reads(obj.decode(), as_version=4))
        self._files.write(f"{name}.ipynb", obj)
        file = self._files.write(f"{name}.html", page)
        context.add_output_metadata({**file_metadata(file), **link(file, self._pages)})

    def load_input(self, context: dg.InputContext) -> bytes:
        """The executed notebook."""
        return self._files.read(f"outputs/{context.asset_key.path[-1]}.ipynb")


def build_notebooks(settings: Settings, marts: Iterable[dg.AssetsDefinition]) -> tuple[list[Any], dict[str, Any]]:
    """Build the assets and resources of the notebooks; empty when they are off, or without the extra `notebook`.

    Args:
        settings: settings of the code location.
        marts: the assets of the marts, which the notebook queries.
    """
    if not settings.notebooks or importlib.util.find_spec("dagstermill") is None:
        return [], {}
    from dagstermill import define_dagstermill_asset

    tour = define_dagstermill_asset(
        name="tour",
        notebook_path=str(_TOUR),
        deps=["taxi_trips", "borough_flows", "zone_hours", "demand_model", *_asked(marts)],
        group_name="notebooks",
        description="outputs/tour.html: ten questions to the warehouse, the marts and the datasets of the newest whole "
        "month. The datasets and the marts of that month must be there, and the forecast of the month after it.",
        io_manager_key=_IO_MANAGER,
        asset_tags={"output": "page"},
    )

    @dg.io_manager(required_resource_keys={"files", "pages"})
    def notebook_pages(context: dg.InitResourceContext) -> NotebookIOManager:
        return NotebookIOManager(context.resources.files, context.resources.pages)

    version = hashlib.sha256(_TOUR.read_bytes()).hexdigest()[:12]
    versioned = tour.map_asset_specs(lambda spec: spec.replace_attributes(code_version=version))
    return [versioned], {_IO_MANAGER: notebook_pages}


def _asked(marts: Iterable[dg.AssetsDefinition]) -> list[dg.AssetKey]:
    return [key for mart in marts for key in mart.keys if key.path[-1] in ("airport_trips", "fare_parts")]
