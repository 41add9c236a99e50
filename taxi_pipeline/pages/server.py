"""The web application: an index, and the files below `outputs/` that a browser can show. It only reads."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from taxi_pipeline.outputs.templates import render
from taxi_pipeline.pages.links import PAGES_FOLDER
from taxi_pipeline.storage import MissingFileError, Storage, StorageError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".geojson": "application/geo+json",
}
"""What is shown, by suffix; other files, such as a copy of the warehouse, are not served."""

FOLDERS = ("", "reports/", "week_summary/", "requests/")
"""Folders below `outputs/`, in the order of the index; the empty name is `outputs/` itself."""


def build_app(files: Storage) -> "Starlette":
    """The application for a storage."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route

    def index(_: Request) -> Response:
        groups = [(folder or "outputs", list(_shown_in(files, folder))) for folder in FOLDERS]
        return HTMLResponse(render(Path(__file__).with_name("index.html.jinja"), groups=groups))

    def page(request: Request) -> Response:
        return _page(files, request)

    def health(_: Request) -> Response:
        return PlainTextResponse("ok")

    def unavailable(_: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), status_code=503)

    return Starlette(
        routes=[Route("/", index), Route("/health", health), Route("/{name:path}", page)],
        exception_handlers={StorageError: unavailable},
    )


def _page(files: Storage, request: "Request") -> "Response":
    from starlette.responses import PlainTextResponse, Response

    name = f"{PAGES_FOLDER}{request.path_params['name']}"
    media_type = MEDIA_TYPES.get(PurePosixPath(name).suffix)
    try:
        if media_type is None:
            raise MissingFileError(name)
        tag = f'"{files.describe(name).sha256}"'
        # A browser asks each time, and gets the file when it has changed.
        headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(files.read(name), media_type=media_type, headers=headers)
    except (MissingFileError, ValueError):
        return PlainTextResponse(f"There is no page {request.path_params['name']}", status_code=404)


def _shown_in(files: Storage, folder: str) -> Iterator[tuple[str, str]]:
    """Name and relative URL of each file in a folder, the newest month first where names are months."""
    for name in sorted(files.list(f"{PAGES_FOLDER}{folder}*"), reverse=bool(folder)):
        if PurePosixPath(name).suffix in MEDIA_TYPES:
            shown = name.removeprefix(PAGES_FOLDER)
            yield shown.removeprefix(folder), quote(shown)
