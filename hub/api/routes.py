"""Every route of the hub: the one table that serving, describing and testing read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from aiohttp import web

from hub.access.requests import AdminLogoutRequest, LogoutRequest
from hub.api import admin, client, health, logout, openapi, receipts, session, sessions, verify
from hub.api.middleware import LISTENERS
from hub.api.views import (
    EndedPageView,
    ManyReceiptView,
    OwnSessionView,
    ReadyView,
    ReceiptView,
    SessionsView,
    StatusView,
)
from hub.errors import (
    Forbidden,
    HubError,
    InvalidRequest,
    LoginRequired,
    NotFound,
    OriginNotAllowed,
    PayloadTooLarge,
    RateLimited,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenNotYetValid,
    TokenRevoked,
    TokenTooOld,
    Unavailable,
)

TOKEN = (
    TokenMissing,
    TokenInvalid,
    TokenExpired,
    TokenRevoked,
    TokenTooOld,
    TokenNotYetValid,
    LoginRequired,
    Unavailable,
)
READ = (*TOKEN, InvalidRequest, RateLimited)
CHANGE = (*READ, OriginNotAllowed)
ADMIN = (*CHANGE, Forbidden)


class Route(msgspec.Struct, frozen=True):
    """One call: where, what for, what it takes, what it answers, and how it may refuse.

    ``waits`` when ``?wait=`` waits for the receipt; ``query`` are other parameters. ``on``
    says on which listener it is, where there is one for those who run the hub.
    """

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    summary: str
    secured: bool = True
    body: Any = None
    answers: tuple[Any, ...] = ()
    status: int = 200
    errors: tuple[type[HubError], ...] = ()
    waits: bool = False
    query: tuple[dict[str, Any], ...] = ()
    on: Literal["public", "admin", "both"] = "public"


ROUTES = (
    Route("POST", "/logout", logout.post_logout, "End sessions of the caller",
          body=LogoutRequest, answers=(ReceiptView,), errors=(*CHANGE, NotFound, PayloadTooLarge),
          waits=True),
    Route("GET", "/session", session.get_session, "The caller's session; 304 when unchanged",
          answers=(OwnSessionView,), errors=READ),
    Route("GET", "/sessions", sessions.get_sessions, "The caller's sessions",
          answers=(SessionsView,), errors=READ),
    Route("DELETE", "/sessions/{sid}", logout.delete_session, "End one session of the caller",
          answers=(ReceiptView,), errors=(*CHANGE, NotFound), waits=True),
    Route("GET", "/logouts/{id}", receipts.get_logout, "What became of a logout; ?wait=SECONDS",
          answers=(ReceiptView, ManyReceiptView), errors=(*READ, NotFound),
          waits=True, on="both"),
    Route("GET", "/logouts/{id}/sessions", receipts.get_sessions,
          "What became of each session of a logout", answers=(EndedPageView,),
          errors=(*READ, Forbidden, NotFound), query=openapi.PAGE, on="admin"),
    Route("GET", "/verify", verify.get_verify, "Forward authentication for reverse proxies",
          status=204, errors=(*TOKEN, InvalidRequest)),
    Route("POST", "/admin/logout", admin.post_logout, "End sessions of one, several or all users",
          body=AdminLogoutRequest, answers=(ReceiptView, ManyReceiptView),
          errors=(*ADMIN, PayloadTooLarge), waits=True, on="admin"),
    Route("GET", "/admin/users/{user}/sessions", admin.get_sessions, "Any user's sessions",
          answers=(SessionsView,), errors=(*READ, Forbidden, NotFound),
          on="admin"),
    Route("GET", "/healthz", health.get_healthz, "Liveness", secured=False, answers=(StatusView,),
          errors=(Unavailable,), on="both"),
    Route("GET", "/readyz", health.get_readyz, "Readiness: store writable, logouts heard",
          secured=False, answers=(ReadyView,), errors=(Unavailable,), on="admin"),
    Route("GET", "/metrics", health.get_metrics, "Counters for Prometheus", secured=False,
          on="admin"),
    Route("GET", "/openapi.json", openapi.get_openapi, "This API, as OpenAPI 3.1", secured=False,
          on="both"),
    Route("GET", "/client.js", client.get_client, "The browser client", secured=False),
    Route("GET", "/elements.js", client.get_elements, "The custom elements", secured=False),
)  # fmt: skip


def add_routes(app: web.Application) -> None:
    """Serve every route."""
    app[openapi.DOCUMENT] = openapi.describe(ROUTES)
    app[LISTENERS] = {str(route.path): str(route.on) for route in ROUTES}
    for route in ROUTES:
        if route.method == "GET":
            app.router.add_get(route.path, route.handler)  # answers HEAD as well
        else:
            app.router.add_route(route.method, route.path, route.handler)
