"""The web application: an index, and the files below `outputs/` that a browser can show. It only reads.

A file of a folder is sent from where it lies, a file of an object store from the storage's local copy, both block by
block. A request without a body in its answer (HEAD, or for a file that has not changed) reads no file.
"""

import os
import socket
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from taxi_pipeline.outputs.templates import render
from taxi_pipeline.pages.links import PAGES_FOLDER
from taxi_pipeline.pages.listing import KINDS, NUM_SHOWN, loaded_of, sections_of
from taxi_pipeline.storage import MissingFileError, Storage, StorageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOR_PROGRAMS = {"/api/v1/openapi.json": "Questions over HTTP, as OpenAPI", "/metrics": "Figures for Prometheus"}
"""Path of what else may be served → what it is called on the index."""

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Names by which a browser on this machine reaches the server."""

ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - names that are not served as a host
"""Addresses that stand for all of a machine's; no browser asks for them."""

HEADERS = {
    # A page is one file: it loads nothing from elsewhere, whatever is in it, and no other site shows it in a frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A browser asks each time, and gets the file when it has changed.
    "Cache-Control": "no-cache",
}
"""Headers of every answer."""

_LONGEST_PART = 255
_LONGEST_NAME = 1000
"""Bytes: file systems take 255 in a part of a path, object stores 1,024 in a key with its prefix."""

_one_copy_at_a_time = Lock()
"""Held while a storage makes a local copy, because storages are made for one thread."""


def hosts_served(address: str, pages_url: str | None, others: Collection[str] = ()) -> list[str]:
    """The hosts in whose name the pages are served.

    A request for any other host is refused: otherwise a stranger's page could read these pages by a name of its own
    that leads to this machine (DNS rebinding).

    Args:
        address: where the server listens.
        pages_url: where browsers reach the pages; None where that is not known.
        others: further names.
    """
    hosts = [*LOOPBACK_HOSTS, *others]
    if address in ANY_ADDRESS:
        hosts += own_names()
    else:
        hosts.append(f"[{address}]" if ":" in address else address)
    if pages_url and (host := urlsplit(pages_url).hostname):
        hosts.append(f"[{host}]" if ":" in host else host)
    return list(dict.fromkeys(hosts))


def own_names() -> list[str]:
    """The name of this machine, and its addresses as far as its name leads to them."""
    name = socket.gethostname()
    try:
        found = [str(address[0]) for *_, address in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except OSError:
        found = []  # the name leads nowhere
    return [name.lower(), *(f"[{each}]" if ":" in each else each for each in found)]


def build_app(files: Storage, hosts: Collection[str] = LOOPBACK_HOSTS, others: Sequence[BaseRoute] = ()) -> Starlette:
    """Build the application for a storage.

    Args:
        files: the storage whose outputs are served.
        hosts: the hosts in whose name they are served, without ports.
        others: what else is served, before names are looked for among the outputs.
    """
    paths = {route.path for route in others if isinstance(route, Route)}
    programs = [(title, path.lstrip("/")) for path, title in FOR_PROGRAMS.items() if path in paths]

    def index(_: Request) -> Response:
        names = served_names(files)
        return HTMLResponse(
            render(
                Path(__file__).with_name("index.html.jinja"),
                sections=sections_of(names),
                loaded=loaded_of(files, names),
                programs=programs,
                num_shown=NUM_SHOWN,
            )
        )

    def page(request: Request) -> Response:
        return _page(files, request)

    def health(_: Request) -> Response:
        return PlainTextResponse("ok")

    def unavailable(_: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), status_code=503)

    return Starlette(
        routes=[Route("/", index), Route("/health", health), *others, Route("/{name:path}", page)],
        middleware=[
            Middleware(_WithHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        ],
        exception_handlers={StorageError: unavailable},
    )


class _WithHeaders:
    """Adds `HEADERS` to every answer, also to refusals."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def send_with_headers(message: "Message") -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _CopyResponse(FileResponse):
    """Sends a storage's local copy, and keeps it until the last byte is sent."""

    def __init__(
        self, copy: AbstractContextManager[object], path: Path, media_type: str | None, headers: Mapping[str, str]
    ) -> None:
        super().__init__(path, media_type=media_type, headers=headers, stat_result=path.stat())
        self._copy = copy

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        with self._copy:
            await super().__call__(scope, receive, send)


def _page(files: Storage, request: Request) -> Response:
    name = request.path_params["name"]
    try:
        _refuse_hidden(name)
        folder = _folder_of(files)
        if folder is not None:
            return _from_folder(folder, name, request)
        return _from_store(files, f"{PAGES_FOLDER}{name}", request)
    except (MissingFileError, ValueError):
        return PlainTextResponse(f"There is no page {name[:100]}", status_code=404)


def _refuse_hidden(name: str) -> None:
    """Raise MissingFileError for names that are not served: hidden and temporary files, other suffixes, odd names."""
    parts = name.split("/")
    hidden = any(part.startswith(".") for part in parts)
    too_long = max(len(part.encode()) for part in parts) > _LONGEST_PART or len(name.encode()) > _LONGEST_NAME
    if hidden or too_long or not name.isprintable() or _media_type(name) is None:
        raise MissingFileError(name)


def _folder_of(files: Storage) -> Path | None:
    """The folder of the outputs on this machine; None for an object store."""
    parts = urlsplit(files.uri(PAGES_FOLDER))
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _from_folder(folder: Path, name: str, request: Request) -> Response:
    path, status = _resolved(folder, name)
    # A file that is replaced is another inode, also within the same tick of the file system's clock.
    tag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
    if has_version(request, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return FileResponse(path, media_type=_media_type(name), headers={"ETag": tag}, stat_result=status)


def _resolved(folder: Path, name: str) -> tuple[Path, os.stat_result]:
    """The file itself, and what it is.

    Raises:
        MissingFileError: there is no such file that can be read, or a symbolic link leads out of the folder or to a
            file that is not served.
    """
    root = Path(os.path.realpath(folder))
    path = Path(os.path.realpath(root / name))
    if not path.is_relative_to(root):
        raise MissingFileError(name)
    _refuse_hidden(path.relative_to(root).as_posix())
    try:
        status = path.stat()
    except OSError:
        raise MissingFileError(name) from None
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
        raise MissingFileError(name)
    return path, status


def _from_store(files: Storage, name: str, request: Request) -> Response:
    stored = files.describe(name)
    headers = {"ETag": f'"{stored.sha256}"'}
    if has_version(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        headers["Content-Length"] = str(stored.size_bytes)
        return Response(media_type=_media_type(name), headers=headers)
    with ExitStack() as copy:
        with _one_copy_at_a_time:
            path = copy.enter_context(files.local_copy(name))
        return _CopyResponse(copy.pop_all(), path, _media_type(name), headers)


def has_version(request: Request, tag: str) -> bool:
    """True if the browser has this version of what it asks for."""
    known = [part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")]
    return tag in known or "*" in known


def _media_type(name: str) -> str | None:
    kind = KINDS.get(PurePosixPath(name).suffix)
    return kind and kind.media_type


def served_names(files: Storage) -> list[str]:
    """The names of all files that are served, below `outputs/`, sorted."""
    names = [entry.name.removeprefix(PAGES_FOLDER) for entry in files.entries_below(PAGES_FOLDER.rstrip("/"))]
    return [name for name in names if _is_served(files, name)]


def _is_served(files: Storage, name: str) -> bool:
    folder = _folder_of(files)
    try:
        _refuse_hidden(name)
        if folder is not None:
            _resolved(folder, name)
    except (MissingFileError, ValueError):  # a name that is no UTF-8 is a ValueError
        return False
    return True
