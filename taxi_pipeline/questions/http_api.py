"""The HTTP API: routes beside the pages, for what `endpoints` declares. It only reads, and nobody needs to log in.

It asks the kept copy of the warehouse, so it is up while a run writes, and keeps no run waiting. Pages of other sites
can't read it from a browser: no answer allows another origin (CORS), because where the pages are behind a login, so is
this. Caches keep an answer and ask whether it changed (`Cache-Control: no-cache`): data is new when a run ends, and
nobody knows when that is.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.pages.server import has_version
from taxi_pipeline.questions.endpoints import ENDPOINTS, BadRequestedValueError, Endpoint, values_of
from taxi_pipeline.questions.openapi import openapi_document
from taxi_pipeline.questions.snapshots import KeptCopy
from taxi_pipeline.storage import StorageError
from taxi_pipeline.storage.whole_files import FileInUseError
from taxi_pipeline.warehouse.coverage import is_synthetic
from taxi_pipeline.warehouse.interface import Session, WarehouseUnavailableError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

METHODS = ("GET", "HEAD")
DOCUMENT_PATH = "/api/v1/openapi.json"
RETRY_AFTER_SECONDS = 30
MAX_KEPT_BYTES = 20_000_000
"""Of the answers that are kept."""


def api_routes(copy: KeptCopy, url: str | None = None) -> list[Route]:
    """The routes of the API, also for paths below /api that do not exist.

    Args:
        copy: the copy of the warehouse that is asked.
        url: where browsers reach the pages, for the document; None where that is not known.
    """
    document = _as_json(openapi_document(ENDPOINTS, url))
    answers = _Answers(copy)
    return [
        Route(DOCUMENT_PATH, _Answering(lambda _: document)),
        *(Route(endpoint.path, _Answering(partial(answers.get, endpoint))) for endpoint in ENDPOINTS),
        Route("/api", _Answering(_not_found)),
        Route("/api/{path:path}", _Answering(_not_found)),
    ]


class _NotFoundError(Exception):
    """There is nothing at this path."""


class _Answers:
    """Bodies of answers. They are kept as long as the copy is the same, so that asking again costs nothing."""

    def __init__(self, copy: KeptCopy) -> None:
        self._copy = copy
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, endpoint: Endpoint, request: Request) -> bytes:
        values = values_of(endpoint, request.query_params.multi_items())
        key = (self._copy.current().name, f"{endpoint.path} {sorted(values.items())}")
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        body = _body(endpoint, values, self._copy.session)
        with self._lock:
            self._kept[key] = body
            while sum(map(len, self._kept.values())) > MAX_KEPT_BYTES:
                self._kept.popitem(last=False)
        return body


def _body(
    endpoint: Endpoint, values: Mapping[str, Any], session_of: Callable[[], AbstractContextManager[Session]]
) -> bytes:
    with session_of() as session:
        rows = endpoint.rows(session, values)
        synthetic = is_synthetic(session)
    names = [column.name for column in endpoint.columns]
    data = [dict(zip(names, map(_exact, row), strict=True)) for row in rows]
    return _as_json({"synthetic": synthetic, "data": data})


def _exact(value: Any) -> Any:
    match value:
        case Decimal():
            return f"{value:f}"
        case date():
            return value.isoformat()
    return value


def _as_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _not_found(request: Request) -> bytes:
    raise _NotFoundError(f"There is nothing at {request.url.path[:100]!a}; {DOCUMENT_PATH} says what there is")


class _Answering:
    """An application that sends what a function returns, with its tag, or the problem that it raises.

    A class, because Starlette's own refusal of other methods is no problem document.
    """

    def __init__(self, body_of: Callable[[Request], bytes]) -> None:
        self._body_of = body_of

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        request = Request(scope, receive)
        response = await run_in_threadpool(self._response, request)
        await response(scope, receive, send)

    def _response(self, request: Request) -> Response:
        if request.method not in METHODS:
            allowed = {"Allow": ", ".join(METHODS)}
            return _problem(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are answered here", allowed)
        try:
            body = self._body_of(request)
        except _NotFoundError as error:
            return _problem(HTTPStatus.NOT_FOUND, str(error))
        except BadRequestedValueError as error:
            return _problem(HTTPStatus.BAD_REQUEST, str(error))
        except (WarehouseUnavailableError, StorageError, FileInUseError) as error:
            return _unavailable(error)
        headers = {"ETag": f'"{sha256(body).hexdigest()[:32]}"'}
        if has_version(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(body, media_type="application/json", headers=headers)


def _unavailable(error: TaxiPipelineError) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)[:1000], headers)


def _problem(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return Response(_as_json(content), status, headers, media_type="application/problem+json")
