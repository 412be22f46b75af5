"""Answers are what the OpenAPI document declares: what handlers are annotated to return."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec
import pytest
from aiohttp import web
from pydantic import SecretStr

from hub.api.answers import Answer, NoContent, NotModified, Ok, Text, answering, declared
from hub.api.openapi import describe
from hub.api.routes import ROUTES
from hub.api.rules import RULES
from hub.api.views import StatusView
from tests.site import ADMIN, Replica, running, settings, signing_key, token
from tests.site import Answer as Answered

DOCUMENT = json.loads(describe(ROUTES))
ADA = "ada"


class Case(NamedTuple):
    """One call, and the status that answers it; ``{…}`` in the path is filled in by the test."""

    route: str
    path: str
    status: int = 200
    by: str | None = ADA
    body: dict[str, Any] | None = None
    headers: dict[str, str] | None = None
    form: dict[str, str] | None = None


SIGNED = {"Accept": "application/token-introspection+jwt"}
ONE = {"user": "bob", "reason": "admin", "message": "Bye"}
CASES = [
    Case("POST /logout", "/logout", body={"scope": "others", "message": "Bye"}),
    Case("POST /logout", "/logout?wait=0.1", body={"scope": "all"}),
    Case("POST /logout", "/logout", 400, body={"scope": "none"}),
    Case("POST /logout", "/logout", 401, by="eve"),
    Case("GET /session", "/session"),
    Case("GET /session", "/session", by="per token"),
    Case("GET /session", "/session", 304, headers={"If-None-Match": "{tag}"}),
    Case("GET /session", "/session", 401, by="eve"),
    Case("GET /session", "/session", 401, by=None),
    Case("GET /sessions", "/sessions"),
    Case("DELETE /sessions/{sid}", "/sessions/s2"),
    Case("DELETE /sessions/{sid}", "/sessions/unknown", 404),
    Case("GET /logouts/{id}", "/logouts/{one}", by=ADMIN),
    Case("GET /logouts/{id}", "/logouts/{several}", by=ADMIN),
    Case("GET /logouts/{id}", "/logouts/unknown", 404, by=ADMIN),
    Case("GET /logouts/{id}/sessions", "/logouts/{several}/sessions?limit=1", by=ADMIN),
    Case("GET /logouts/{id}/sessions", "/logouts/{several}/sessions", 403),
    Case("GET /verify", "/verify", 204),
    Case("GET /verify", "/verify", 401, by="eve"),
    Case("GET /verify", "/verify?redirect=web"),
    Case("GET /verify", "/verify?redirect=web", 303, by=None, headers={"Accept": "text/html"}),
    Case("GET /verify", "/verify?redirect=nobody", 400),
    Case("GET /verify/{path}", "/verify/orders/1"),
    Case("GET /verify/{path}", "/verify/orders/1", 401, by="eve"),
    Case("POST /admin/logout", "/admin/logout", by=ADMIN, body=ONE),
    Case("POST /admin/logout", "/admin/logout", by=ADMIN, body={**ONE, "user": "nobody"}),
    Case(
        "POST /admin/logout",
        "/admin/logout?wait=0.1",
        by=ADMIN,
        body={"users": ["bob", "nobody"], "reason": "policy"},
    ),
    Case(
        "POST /admin/logout", "/admin/logout", by=ADMIN, body={"everyone": True, "reason": "policy"}
    ),
    Case("POST /admin/logout", "/admin/logout", 403, body=ONE),
    Case(
        "POST /admin/logout",
        "/admin/logout",
        by=ADMIN,
        body={"sub_id": {"format": "opaque", "id": "bob"}, "reason": "admin"},
    ),
    Case("GET /admin/users/{user}/sessions", "/admin/users/ada/sessions", by=ADMIN),
    Case("POST /revoke", "/revoke", by=None, form={"token": "{ada}"}),
    Case("POST /revoke", "/revoke", 400, by=None, form={"token_type_hint": "access_token"}),
    Case("POST /revoke", "/revoke", 401, form={"token": "{ada}"}),
    Case("POST /introspect", "/introspect", by=ADMIN, form={"token": "{ada}"}),
    Case("POST /introspect", "/introspect", by=ADMIN, form={"token": "none"}),
    Case("POST /introspect", "/introspect", by=ADMIN, form={"token": "{ada}"}, headers=SIGNED),
    Case("POST /introspect", "/introspect", 400, by=ADMIN, form={"other": "x"}),
    Case("POST /introspect", "/introspect", 401, by=None, form={"token": "{ada}"}),
    Case("POST /introspect", "/introspect", 403, form={"token": "{ada}"}),
    Case(
        "POST /global-token-revocation",
        "/global-token-revocation",
        204,
        by=ADMIN,
        body={"sub_id": {"format": "opaque", "id": "ada"}},
    ),
    Case(
        "POST /global-token-revocation",
        "/global-token-revocation",
        422,
        by=ADMIN,
        body={"sub_id": {"format": "complex", "tenant": {"format": "opaque", "id": "ada"}}},
    ),
    Case("GET /.well-known/logout-hub", "/.well-known/logout-hub"),
    Case("GET /.well-known/jwks.json", "/.well-known/jwks.json"),
    Case("GET /healthz", "/healthz"),
    Case("GET /readyz", "/readyz"),
    Case("GET /metrics", "/metrics"),
    Case("GET /openapi.json", "/openapi.json"),
    Case("GET /client.js", "/client.js"),
    Case("GET /client.js", "/client.js", 304, headers={"If-None-Match": "{client_tag}"}),
    Case("GET /elements.js", "/elements.js"),
    Case("GET /elements.js", "/elements.js", 304, headers={"If-None-Match": "{elements_tag}"}),
]


SIGNALS = {
    ("POST /backchannel-logout", 200),
    ("POST /events", 202),
    ("POST /events", 400),
    ("POST /events", 401),
}
"""Answers to what an issuer signs: the tests of these calls hold each of them to `check`."""


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub where ada and bob have sessions, and eve is logged out."""
    given = settings(
        cookie_name="hub_token",
        allowed_origins=("https://a.test",),
        public_url="https://hub.test",
        verify_redirects=("web=https://login.test/",),
        introspection_key=SecretStr(signing_key()),
    )
    async with running(given) as it:
        for who, sid in ((ADA, "s1"), (ADA, "s2"), ("bob", "s3"), ("eve", "s4")):
            await it.call("GET", "/session", token(who, sid))
        yield it


async def fill_in(hub: Replica, text: str) -> str:
    """Return text with what its braces name: the id of a logout, or the tag of an answer."""
    if "{one}" in text or "{several}" in text:
        whom = {"user": "cid"} if "{one}" in text else {"users": ["eve", "bob"]}
        body = {**whom, "reason": "admin"}
        ended = await hub.call("POST", "/admin/logout", ADMIN, json=body)
        return text.format(one=ended.body["id"], several=ended.body["id"])
    tags = {"{tag}": "/session", "{client_tag}": "/client.js", "{elements_tag}": "/elements.js"}
    if text in tags:
        tag: str = (await hub.call("GET", tags[text], token(ADA, "s1"))).headers["ETag"]
        return tag
    return text


def closed(node: Any) -> Any:
    """Return a schema by which an object has the members that are declared, and no others."""
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    bound = {"additionalProperties": False} if node.get("type") == "object" else {}
    if "properties" not in node:
        bound = {}
    return {name: closed(value) for name, value in node.items()} | bound


COMPONENTS = {
    "schemas": {
        name: schema if name in RULES else closed(schema)
        for name, schema in DOCUMENT["components"]["schemas"].items()
    }
}


def check(route: str, status: int, media_type: str, body: Any) -> None:
    """Fail unless the document declares this answer of a route."""
    method, path = route.split()
    response = DOCUMENT["paths"][path][method.lower()]["responses"][str(status)]
    content = response.get("content")
    if content is None:
        assert body == ""
        return
    schema = {**content[media_type]["schema"], "components": COMPONENTS}
    jsonschema_rs.Draft202012Validator(schema).validate(body)


def check_answer(route: str, answer: Answered) -> None:
    """Fail unless the document declares an answer of a route."""
    media_type = answer.headers.get("Content-Type", "").partition(";")[0]
    check(route, answer.status, media_type, answer.body)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.route} {case.path} {case.status}")
async def test_an_answer_is_what_the_document_declares(hub: Replica, case: Case) -> None:
    """Its status, its media type, and every member of its body."""
    eve = token("eve", "s4")
    if case.by == "eve":
        await hub.call("POST", "/logout", eve, json={"message": "Bye"})
    tokens = {ADA: token(ADA, "s1"), "eve": eve, "per token": token(ADA), ADMIN: ADMIN}
    headers = {name: await fill_in(hub, value) for name, value in (case.headers or {}).items()}
    form = case.form and {name: value.format(ada=tokens[ADA]) for name, value in case.form.items()}
    answer = await hub.call(
        case.route.split()[0],
        await fill_in(hub, case.path),
        None if case.by is None else tokens[case.by],
        json=case.body,
        data=form,
        headers=headers,
    )
    assert answer.status == case.status
    check_answer(case.route, answer)


ENDLESS = {("GET /revocations", 200)}
"""Answers that do not end: the tests of these calls read them as they come."""


def test_every_answer_that_is_declared_is_called_for() -> None:
    """The cases above meet each status that a route declares for success, and each route."""
    expected = {
        (f"{route.method} {route.path}", kind.status)
        for route in ROUTES
        for kind in declared(route.handler)
    }
    assert expected - SIGNALS - ENDLESS <= {(case.route, case.status) for case in CASES}


@pytest.mark.parametrize("more", [{"extra": 1}, {"status": 1}])
def test_the_check_finds_a_member_that_is_not_declared(more: dict[str, Any]) -> None:
    """And one of another type."""
    check("GET /healthz", 200, "application/json", {"status": "ok"})
    with pytest.raises(jsonschema_rs.ValidationError):
        check("GET /healthz", 200, "application/json", {"status": "ok", **more})


class Other(msgspec.Struct):
    """A body that no handler here declares."""

    status: str


async def other_body(request: web.Request) -> Ok[StatusView]:
    """Return another body than is declared."""
    return Ok(Other("ok"))  # type: ignore[arg-type]


async def other_answer(request: web.Request) -> Ok[StatusView] | NotModified:
    """Return another answer than is declared."""
    return NoContent()  # type: ignore[return-value]


async def no_answer(request: web.Request) -> Ok[StatusView]:
    """Return what is no answer at all."""
    return {"status": "ok"}  # type: ignore[return-value]


@pytest.mark.parametrize("handler", [other_body, other_answer, no_answer])
async def test_what_is_not_declared_is_not_sent(handler: Any) -> None:
    """A handler that returns anything but what it is annotated with has failed."""
    with pytest.raises(TypeError, match="undeclared"):
        await answering(handler)(None)  # type: ignore[arg-type]


async def any_dict(request: web.Request) -> Ok[dict[str, str]]:  # type: ignore[type-var]
    """Declare a body that says nothing of its members."""
    raise NotImplementedError


async def any_answer(request: web.Request) -> Answer:
    """Declare any answer at all."""
    raise NotImplementedError


async def any_response(request: web.Request) -> web.Response:
    """Declare what says nothing of its body."""
    raise NotImplementedError


async def no_body(request: web.Request) -> Ok | Text:  # type: ignore[type-arg]
    """Declare 200 without saying with what."""
    raise NotImplementedError


@pytest.mark.parametrize("handler", [any_dict, any_answer, any_response, no_body])
def test_a_handler_must_say_what_it_returns(handler: Any) -> None:
    """A route whose handler declares no precise answer cannot be served or described."""
    with pytest.raises(TypeError, match="not an Answer"):
        declared(handler)
