"""The OpenAPI document of the HTTP API, out of the declarations in `endpoints`."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from taxi_pipeline.questions.endpoints import Endpoint, Parameter
from taxi_pipeline.warehouse.tables import Column

DESCRIPTION = """\
The rollups of New York's taxi trips, read-only. Sums of money and miles are text, so that no reader rounds them; days
are New York's. An answer has an ETag, which is another one when the data is: send it as If-None-Match to get 304 while
nothing changed. Refusals are problem details (RFC 9457)."""

_PROBLEM = "#/components/schemas/Problem"
_HEADERS = {
    "ETag": {"description": "Another one when the answer is", "schema": {"type": "string"}, "required": True},
    "Cache-Control": {
        "description": "no-cache: keep it, and ask with If-None-Match whether it changed",
        "schema": {"type": "string"},
        "required": True,
    },
}


def openapi_document(endpoints: Sequence[Endpoint], url: str | None) -> dict[str, Any]:
    """The document, OpenAPI 3.1.

    Args:
        endpoints: what it describes.
        url: where browsers reach the pages, also below a path of a proxy; None for the root of the document's server.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "New York taxi trips",
            "version": version("taxi-pipeline"),
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": url or "/"}],
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in endpoints},
        "components": {
            "schemas": {
                **{schema_name(endpoint): _row(endpoint.columns) for endpoint in endpoints},
                "Problem": {
                    "type": "object",
                    "description": "Problem details, RFC 9457",
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string", "description": "What is wrong, and what to do"},
                    },
                    "required": ["type", "title", "status", "detail"],
                },
            }
        },
    }


def schema_name(endpoint: Endpoint) -> str:
    """The name of the schema of an endpoint's rows: ZoneHours."""
    return endpoint.path.rpartition("/")[2].title().replace("-", "")


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "operationId": endpoint.path.rpartition("/")[2],
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": [_parameter(parameter) for parameter in endpoint.parameters],
        "responses": {
            "200": {
                "description": "The rows, in the order of their keys",
                "headers": _HEADERS,
                "content": {"application/json": {"schema": _answer(endpoint)}},
            },
            "304": {"description": "Nothing changed since the answer with the ETag in If-None-Match"},
            "400": _problem("A parameter is missing, unknown, not accepted, or asks for too much"),
            "405": _problem("Only GET and HEAD are answered"),
            "503": _problem("Nothing is loaded yet, or the tables can't be read now: try again after Retry-After"),
        },
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": parameter.schema, "minItems": 1} if parameter.many else parameter.schema
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "required": parameter.required,
        "schema": dict(schema),
    }


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "synthetic": {"type": "boolean", "description": "Whether the trips were generated, and are not the TLC's"},
            "data": {"type": "array", "items": {"$ref": f"#/components/schemas/{schema_name(endpoint)}"}},
        },
        "required": ["synthetic", "data"],
        "additionalProperties": False,
    }


def _row(columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {column.name: _schema(column) for column in columns},
        "required": [column.name for column in columns],
        "additionalProperties": False,
    }


def _schema(column: Column) -> dict[str, Any]:
    """Of a column that is never NULL."""
    base, _, digits = column.type.partition("(")
    match base:
        case "DECIMAL":
            scale = digits.rstrip(")").split(",")[1].strip()
            schema = {"type": "string", "pattern": f"^-?[0-9]+\\.[0-9]{{{scale}}}$"}
        case "DATE":
            schema = {"type": "string", "format": "date"}
        case "VARCHAR":
            schema = {"type": "string"}
        case _:
            schema = {"type": "integer"}
    return {**schema, "description": column.comment}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": {"$ref": _PROBLEM}}}}
