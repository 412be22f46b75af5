"""``GET /openapi.json``: the API's description, made from the table of routes and its handlers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from hub.access.parameters import MAX_PAGE, MAX_PLACE, MAX_WAIT, USUAL_PAGE
from hub.api.answers import Answer, declared
from hub.api.form import FORM
from hub.api.problem import OAUTH_CONTENT_TYPE
from hub.api.route import Route
from hub.api.rules import RULES
from hub.api.views import OAuthErrorView
from hub.core.model import State
from hub.core.problem import CONTENT_TYPE as PROBLEM
from hub.core.problem import ProblemView
from hub.version import hub_version

METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
"""The methods that OpenAPI can describe."""

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
        "description": "only sessions in this state",
        "schema": {"enum": list(State)},
    },
    {
        "name": "limit",
        "in": "query",
        "description": f"how many at most; {USUAL_PAGE} by default",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
    },
    {
        "name": "after",
        "in": "query",
        "description": "`next` of the previous page",
        "schema": {"type": "string", "maxLength": MAX_PLACE},
    },
)
REDIRECT: tuple[dict[str, Any], ...] = (
    {
        "name": "redirect",
        "in": "query",
        "description": "a name in HUB_VERIFY_REDIRECTS: the login page where browsers are sent",
        "schema": {"type": "string"},
    },
)
KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "a repeated key returns the earlier logout instead of ending anything again",
    # Printable ASCII; white space at the ends is no part of a header's value.
    "schema": {"type": "string", "maxLength": 256, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}


class OpenApi(Answer, frozen=True):
    """200 with the OpenAPI document, which is encoded once."""

    content_type = "application/json"
    schema = {"type": "object"}  # noqa: RUF012 - declared by the base

    document: bytes

    def encode(self) -> bytes:
        """Return the encoded body."""
        return self.document


async def get_openapi(request: web.Request) -> OpenApi:
    """Return the OpenAPI document."""
    return OpenApi(document=request.app[DOCUMENT])


def describe(routes: Sequence[Route]) -> bytes:
    """Return the OpenAPI 3.1 document of these routes."""
    schema_of, components = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in METHODS if route.any_method else (route.method,):
            operation = _operation(method, route, schema_of)
            paths.setdefault(route.path, {})[method.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {"title": "logout-hub", "version": hub_version(), "license": {"name": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }
    return msgspec.json.encode(document)


def _schemas(routes: Sequence[Route]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Return the schema of each type that these routes take or return, and the components."""
    types: list[Any] = [ProblemView, OAuthErrorView]
    for route in routes:
        types += [body for bodies in declared(route.handler).values() for body in bodies]
        types += [] if route.body is None else [route.body]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    for name, rules in RULES.items():
        if name in components:
            components[name] |= rules
    return dict(zip(types, schemas, strict=True)), components


def _operation(method: str, route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{method.lower()}{re.sub(r'[^a-z]+', '_', route.path)}".rstrip("_"),
        "responses": _answers(route, schema_of) | _problems(route, schema_of),
    }
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.secured:
        operation["security"] = [
            {} if scheme == "none" else {scheme: []} for scheme in route.schemes
        ]
    if route.body is not None:
        media_type = FORM if route.is_oauth else "application/json"
        content = {media_type: {"schema": schema_of[route.body]}}
        required = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {"content": content, "required": required}
    if route.consumes is not None:
        content = {route.consumes: {"schema": {"type": "string"}}}
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += route.query
    if route.waits:
        parameters.append(WAIT)
    if route.waits and route.method != "GET":
        parameters.append(KEY)
    return parameters


def _answers(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    """Return the responses that the route's handler is annotated to return."""
    responses: dict[str, Any] = {}
    for kind, bodies in declared(route.handler).items():
        meaning = route.summary if kind.status == 200 else (kind.__doc__ or "")
        response = responses.setdefault(str(kind.status), {"description": meaning})
        schemas = [schema_of[body] for body in bodies] or [kind.schema]
        if kind.content_type:
            media_type = kind.content_type.partition(";")[0]
            schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            response.setdefault("content", {})[media_type] = {"schema": schema}
    return responses


def _problems(route: Route, schema_of: dict[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    media_type, view = PROBLEM, schema_of[ProblemView]
    if route.is_oauth:
        media_type, view = OAUTH_CONTENT_TYPE, schema_of[OAuthErrorView]
    for error in route.errors:
        codes = [other.code for other in route.errors if other.status == error.status]
        responses[str(error.status)] = {
            "description": ", ".join(codes),
            "content": {media_type: {"schema": view}},
        }
    return responses
