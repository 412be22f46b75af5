"""``GET /openapi.json``: the API's description, made from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from hub.access.requests import MAX_PAGE, MAX_PLACE, MAX_WAIT, USUAL_PAGE
from hub.api.rules import RULES
from hub.api.views import ProblemView
from hub.core.model import State

if TYPE_CHECKING:
    from hub.api.routes import Route

DOCUMENT = web.AppKey("openapi", bytes)

WAIT: dict[str, Any] = {
    "name": "wait",
    "in": "query",
    "description": f"seconds to wait until the receipt is complete, at most {MAX_WAIT:g}",
    "schema": {"type": "number", "minimum": 0},
}
PAGE: tuple[dict[str, Any], ...] = (
    {
        "name": "state",
        "in": "query",
        "description": "only the sessions in this state",
        "schema": {"enum": list(State)},
    },
    {
        "name": "limit",
        "in": "query",
        "description": f"how many at most, {USUAL_PAGE} by default",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
    },
    {
        "name": "after",
        "in": "query",
        "description": "the `next` of the page before",
        "schema": {"type": "string", "maxLength": MAX_PLACE},
    },
)
KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "the same key again answers for the same logout",
    # Printable ASCII; white space at the ends is no part of a header's value.
    "schema": {"type": "string", "maxLength": 256, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}


async def get_openapi(request: web.Request) -> web.Response:
    """Return the description."""
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


def describe(routes: Sequence[Route]) -> bytes:
    """Return the OpenAPI 3.1 document of these routes."""
    types = [ProblemView]
    for route in routes:
        types += [*route.answers, *([route.body] if route.body is not None else [])]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    for name, rules in RULES.items():
        if name in components:
            components[name] |= rules
    schema_of = {repr(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, schema_of)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {"title": "logout-hub", "version": hub_version(), "license": {"name": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(document)


def hub_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("logout-hub")
    except PackageNotFoundError:
        return "0"


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-z]+', '_', route.path)}".rstrip("_"),
        "responses": {str(route.status): _answer(route, schema_of)},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += route.query
    if route.waits:
        parameters.append(WAIT)
    if route.waits and route.method != "GET":
        parameters.append(KEY)
    if parameters:
        operation["parameters"] = parameters
    if route.secured:
        operation["security"] = [{"bearer": []}]
    if route.body is not None:
        content = {"application/json": {"schema": schema_of[repr(route.body)]}}
        required = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {"content": content, "required": required}
    for error in route.errors:
        codes = [other.code for other in route.errors if other.status == error.status]
        operation["responses"][str(error.status)] = {
            "description": ", ".join(codes),
            "content": {"application/problem+json": {"schema": schema_of[repr(ProblemView)]}},
        }
    return operation


def _answer(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    schemas = [schema_of[repr(kind)] for kind in route.answers]
    if schemas:
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        answer["content"] = {"application/json": {"schema": schema}}
    return answer
